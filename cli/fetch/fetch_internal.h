/* fetch_internal.h - what the files of a download share; nobody else includes it.
 *
 *   fetch.c          a download from its beginning to its end
 *   fetch_file.c     the local side: FILE.part or stdout
 *   fetch_link.c     the signed link: asked for, asked for anew
 *   fetch_call.c     one request, its answer checked; whether another one is worth it
 *   fetch_parallel.c several of them at a time, in threads
 *   fetch_ranges.c   the window that brings their bytes into order (no network, no threads) */
#ifndef PCAPLINE_CLI_FETCH_FETCH_INTERNAL_H
#define PCAPLINE_CLI_FETCH_FETCH_INTERNAL_H

#include "cli/fetch/fetch.h"
#include "cli/stopper.h"
#include "common/digest.h"
#include "common/err.h"
#include "common/http_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FETCH_SEGMENT_BYTES ((size_t)8 * 1024 * 1024)
#define FETCH_TIMEOUT_MS    30000u /* silence of gateway or store */
#define FETCH_ETAG_MAX      256u

/* ---- the local side; the main thread's ---- */

struct fetch_file {
	const char *path;
	bool force;
	char *part_path;       /* NULL: stdout */
	int fd;                /* -1: not open */
	bool is_locked;        /* the part is ours */
	uint64_t have;         /* bytes at fd, the file's beginning */
	bool resumed;          /* some of it is from an earlier run */
	struct digest *digest; /* of what went to stdout; a file is read again when it is whole */
};

/* fetch_file_open: refuses a file that is there (unless force), a part that another download writes, a terminal as stdout. */
int fetch_file_open(struct fetch_file *o, const char *path, bool force, struct err *err);
int fetch_file_write(struct fetch_file *o, const uint8_t *p, size_t n, struct err *err); /* behind what it has */
int fetch_file_empty(struct fetch_file *o, struct err *err);                             /* ERR_NET where it cannot */
int fetch_file_verify(struct fetch_file *o, uint64_t size, const char *sha256, struct err *err); /* ERR_INTERNAL */
int fetch_file_put_in_place(struct fetch_file *o, struct err *err);
void fetch_file_remove(struct fetch_file *o); /* the part, if it is ours */
void fetch_file_close(struct fetch_file *o);

/* ---- the link ---- */

struct fetch_link {
	_Atomic uint64_t size;              /* of the file; fixed once there is a link, read by the live line */
	char sha256[DIGEST_SHA256_HEX_MAX]; /* fixed once there is a link */
	pthread_mutex_t lock;               /* guards what follows, and is held while the gateway is asked */
	char *url;                          /* NULL: not asked yet */
	unsigned generation;                /* how many of them there have been */
	char etag[FETCH_ETAG_MAX];          /* of the first answer; all others must have the same */
	bool has_etag;
	atomic_bool
		is_private; /* the store's certificate is not of the system's CAs: the one that the user gave is tried */
};

struct fetch_task {
	const struct fetch *f;
	struct stopper *stopper;
	struct fetch_file file;
	struct fetch_link link;
	bool one_connection;       /* the server does not serve ranges */
	_Atomic uint64_t seen;     /* bytes of the file that are here, in memory or written */
	_Atomic uint64_t told_ns;  /* when a lost connection was told of last */
	atomic_bool is_answered;   /* the store has given something: from now on trouble is worth patience */
	atomic_bool is_called_off; /* a thread failed for good: the others' pauses are over */
};

/* fetch_link_ask: a first one, if there is none.  fetch_link_renew: another one, unless somebody has got one since that of generation.
 * Never a one-time link: parts and going on take many requests. */
int fetch_link_ask(struct fetch_task *t, struct err *err);
int fetch_link_renew(struct fetch_task *t, unsigned generation, struct err *err);
char *fetch_link_url(struct fetch_task *t, unsigned *ret_generation, struct err *err); /* new string */
int fetch_link_check_etag(struct fetch_task *t, const char *etag, struct err *err);    /* NULL: has none */

/* ---- one request ---- */

enum fetch_end {
	FETCH_DONE,
	FETCH_NO_RANGES, /* all of the file was offered where a part was asked for */
	FETCH_EXPIRED,   /* the link is not good any more */
	FETCH_AT_ONCE,   /* it is to be made again in another way, which the next one is */
	FETCH_LATER,     /* it may work another time */
	FETCH_NEVER,
};

struct fetch_call {
	struct fetch_task *t;
	uint64_t from, end; /* bytes wanted */
	bool takes_whole;   /* all of the file will do as well: what comes before from is dropped; end is its end */
	void (*on_good)(void *ctx); /* the answer is what was asked for; may be NULL */
	int (*on_data)(void *ctx, const uint8_t *p, size_t n, struct err *err); /* never more than wanted */
	void *ctx;
	/* its own */
	struct http_call *http;
	unsigned generation;    /* of the link */
	uint64_t drop;          /* bytes still to be dropped */
	uint64_t got;           /* of those wanted */
	enum fetch_end refusal; /* a callback's, with why; FETCH_DONE: none */
	struct err why;
};

/* fetch_call_open, once the public fields are set; run; close, also after a failed open.  fetch_call_cancel: any thread, between open and close. */
int fetch_call_open(struct fetch_call *c, struct err *err);
enum fetch_end fetch_call_run(struct fetch_call *c, struct err *err);
void fetch_call_cancel(struct fetch_call *c);
void fetch_call_close(struct fetch_call *c);

enum fetch_end fetch_end_of(const struct err *err); /* FETCH_LATER or FETCH_NEVER */

/* Whether a failed request for bytes from at on is followed by another one: then the pause is over and the link is fresh.  why may become
 * a better reason.  Zeroed before the first. */
struct fetch_retry {
	unsigned tries; /* without a byte of progress, on any connection */
	uint64_t seen;
	unsigned renewals; /* of the link, without getting further than at */
	uint64_t at;
};
bool fetch_retry(struct fetch_task *t, struct fetch_retry *r, enum fetch_end end, unsigned generation, uint64_t at,
	struct err *why);

/* ---- many ---- */

/* fetch_parallel: the rest of the file.  FETCH_DONE, FETCH_NO_RANGES or FETCH_NEVER; in each case all that came without a gap is written. */
enum fetch_end fetch_parallel(struct fetch_task *t, unsigned connections, struct err *err);

#endif
