/* lying_store.h - a small S3 server on loopback that holds one object and tells one lie at a time.  Does not look at signatures: that is the real store's part.
 * Aborts the test program when the system refuses. */
#ifndef PCAPLINE_TEST_UNIT_LYING_STORE_H
#define PCAPLINE_TEST_UNIT_LYING_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lie {
	LIE_NONE,
	/* of an upload; nothing is kept */
	LIE_PUT_500,       /* with an empty body */
	LIE_PUT_502,       /* a proxy's page */
	LIE_PUT_LOST,      /* "200 OK" */
	LIE_PUT_CUT,       /* "200 OK", cut off in its body */
	LIE_PUT_REDIRECT,  /* 307 to the same place */
	LIE_PUT_DIGEST,    /* 400 BadDigest */
	LIE_PUT_SLOW_DOWN, /* 503 SlowDown */
	LIE_PUT_HANGS,     /* no answer */
	LIE_PUT_CHATTER,   /* 500 with a body without end */
	LIE_PUT_DETAILS,   /* 403 with an XML document of more elements than libs3 has room for */
	/* of an upload that is kept */
	LIE_NO_CONTINUE,  /* "Expect: 100-continue" is not answered */
	LIE_LOWER_CASE,   /* names of headers, as some proxies send them */
	LIE_ETAG,         /* of the object */
	LIE_SIZE,         /* one byte more */
	LIE_MANY_HEADERS, /* more x-amz-meta- than libs3 has room for */
	/* of reading */
	LIE_GET_CUT,   /* the connection ends within the range */
	LIE_GET_SHORT, /* a shorter range, honestly told */
	LIE_GET_WHOLE, /* the range is not looked at */
	LIE_GET_OTHER, /* another byte */
	/* of deleting */
	LIE_DELETE_KEEPS,
	LIE_DELETE_HIDES, /* gone for HEAD, still in the list */
};

#define LYING_OBJECT_MAX  (4u * 1024 * 1024)
#define LYING_REQUEST_MAX 8192

struct lying_store {
	uint16_t port;
	int listen_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* of all below */
	enum lie lie;
	bool there, hidden;
	uint8_t *object; /* LYING_OBJECT_MAX */
	size_t object_n;
	unsigned puts, deletes, requests;
	char last_put[LYING_REQUEST_MAX]; /* its header block */
	char put_key[1100];
};

void lying_store_start(struct lying_store *s);
void lying_store_stop(struct lying_store *s);

void lying_store_set(struct lying_store *s, enum lie lie);
bool lying_store_has(struct lying_store *s, const void *p, size_t n); /* is this the object? */
unsigned lying_store_puts(struct lying_store *s);

#endif
