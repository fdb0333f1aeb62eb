/* bucket_double.h - a bucket on loopback that keeps versions and open uploads, the bytes of one object and the parts of one upload, and answers any one
 * request as it is told to instead.  Does not look at signatures.  Aborts the test program when the system refuses. */
#ifndef PCAPLINE_TEST_UNIT_BUCKET_DOUBLE_H
#define PCAPLINE_TEST_UNIT_BUCKET_DOUBLE_H

#include "common/http_server.h"
#include "uploader/s3/s3_client.h"

#include <pthread.h>

#define DOUBLE_BUCKET      "captures-1"
#define DOUBLE_ENTRIES_MAX 64
#define DOUBLE_ANSWERS_MAX 16
#define DOUBLE_OBJECT_MAX  8192
#define DOUBLE_PARTS_MAX   2500

struct double_entry {
	char key[128], id[32]; /* version or upload */
	bool marker;
	unsigned bytes;
};

/* What is said instead of the right thing; what is a word of the query ("versions", "uploadId"), "list" (of objects) or "object". */
struct double_answer {
	const char *method, *what;
	int status; /* 0: the connection is ended without an answer */
	const char *body;
	unsigned after; /* so many of these requests are answered rightly first */
};

struct bucket_double {
	struct http_server *server;
	struct s3_client *client; /* for it */

	pthread_mutex_t lock; /* of all below, while requests are under way */
	struct double_entry versions[DOUBLE_ENTRIES_MAX], uploads[DOUBLE_ENTRIES_MAX];
	size_t versions_n, uploads_n;
	struct double_answer answers[DOUBLE_ANSWERS_MAX];
	size_t answers_n;
	const char *versioning, *encryption; /* "Enabled"; of the answer to PUT, "AES256" */
	bool keeps;                          /* what is deleted is still there */
	bool tags_replace;                   /* ?tagging is not looked at: the tags become the object */
	const char *allowed;                 /* lists are for what begins with this, others are denied; "" : all */
	bool all_or_none;                    /* as Ceph: an upload is completed with all its parts only */
	unsigned aborts;                     /* an upload goes with this one of its aborts; 0: the first */
	size_t page;                         /* entries of a list's page; 0: all */
	const char *hold_method, *hold_what; /* such requests wait until they are released; NULL: none */
	pthread_cond_t changed;              /* of these two: */
	bool hold;
	unsigned held; /* came and were held */
	unsigned requests, made;
	char object[DOUBLE_OBJECT_MAX], etag[64]; /* the last object put: text */
	char lifecycle[4096];                     /* the rules, "" : none */
	char parts[DOUBLE_PARTS_MAX][8];          /* of the upload that was begun last; "" : not there */
	char transition
		[128]; /* AWS's smallest size for transitions beside the rules; a PUT that does not name it takes it back to its default */
};

void bucket_double_start(struct bucket_double *d);
void bucket_double_stop(struct bucket_double *d);

/* Between what the test does to the fields and the requests before and after it. */
void bucket_double_settle(struct bucket_double *d);

/* All before the requests that they are for. */
void bucket_double_version(struct bucket_double *d, const char *key, const char *version, bool marker, unsigned bytes);
void bucket_double_upload(struct bucket_double *d, const char *key, const char *id);
void bucket_double_part(struct bucket_double *d, unsigned number, const char *text);
void bucket_double_say(struct bucket_double *d, const char *method, const char *what, int status, const char *body);

/* An <Error> with this code, static. */
#define DOUBLE_ERROR(code) "<Error><Code>" code "</Code></Error>"

/* bucket_double_hold: such requests are not answered until bucket_double_release (or the stop); then rightly.  bucket_double_held: waits until the n-th of them has come. */
void bucket_double_hold(struct bucket_double *d, const char *method, const char *what);
void bucket_double_held(struct bucket_double *d, unsigned n);
void bucket_double_release(struct bucket_double *d);

size_t bucket_double_left(struct bucket_double *d, const char *key); /* entries and uploads of this key */

#endif
