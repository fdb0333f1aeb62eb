/* s3_endpoint.h - where a bucket is and how it is reached: host, TLS, timeouts, keys, how many uploads may be under way at once, and giving requests up.  What both
 * signature versions share. */
#ifndef PCAPLINE_UPLOADER_S3_S3_ENDPOINT_H
#define PCAPLINE_UPLOADER_S3_S3_ENDPOINT_H

#include "common/err.h"
#include "common/tls_files.h"
#include "uploader/s3/s3_credentials.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct s3_client_options {
	const char *endpoint; /* "https://s3.eu-central-1.amazonaws.com", "http://127.0.0.1:7480"; no path */
	const char *bucket, *region;
	bool path_style;                              /* endpoint/bucket/key instead of bucket.endpoint/key */
	const char *ca_file;                          /* "" : the system's CAs */
	unsigned connect_timeout_ms, idle_timeout_ms; /* 0: 10 s, 30 s */
	unsigned connections_max;                     /* uploads at once over all threads; further ones wait; 0: 16 */
	struct s3_credentials *credentials;           /* taken over (also when new fails) */
};

struct s3_endpoint {
	char *url;  /* as configured */
	char *host; /* with the port when that is not the scheme's own, as libcurl says it in Host; without the bucket */
	char *bucket;
	bool path_style, is_tls, has_ca;
	struct tls_files tls; /* has_ca */
	unsigned connect_timeout_ms, idle_timeout_ms;
	struct s3_credentials *credentials;

	pthread_mutex_t lock;
	pthread_cond_t freed; /* or given up */
	/* by lock */
	unsigned uploads, uploads_max;
	struct s3_running *running; /* the requests under way that may have to be given up */
	atomic_bool cancelled;      /* all of them, for good; set by lock */
};

/* s3_endpoint_init: ERR_INPUT: the endpoint is no URL of a host; or a CA file that is none.  After a failure nothing is left of it. */
int s3_endpoint_init(struct s3_endpoint *e, const struct s3_client_options *o, struct err *err);
void s3_endpoint_done(struct s3_endpoint *e);

/* s3_endpoint_cancel: any thread: requests with this flag are given up for good: those under way end soon with ERR_CANCELLED, and so do all that come.
 * flag NULL: all requests, whatever theirs, but those with s3_to_the_end.  A request may have the flag NULL. */
void s3_endpoint_cancel(struct s3_endpoint *e, atomic_bool *flag);
extern const atomic_bool s3_to_the_end;

/* s3_endpoint_check: ERR_CANCELLED: a request with this flag is given up. */
int s3_endpoint_check(const struct s3_endpoint *e, const atomic_bool *flag, struct err *err);

/* s3_endpoint_enter: waits for the permission to make one upload, given back by s3_endpoint_leave.  Only what carries captures may take so long that it has to wait for
 * others: requests without such a body never ask.  ERR_CANCELLED. */
int s3_endpoint_enter(struct s3_endpoint *e, const atomic_bool *flag, struct err *err);
void s3_endpoint_leave(struct s3_endpoint *e);

/* s3_endpoint_run: http_call_run, of a request with this flag. */
struct http_call;
int s3_endpoint_run(struct s3_endpoint *e, struct http_call *call, const atomic_bool *flag, struct err *err);

/* s3_endpoint_keys_refused: the store knows the keys of a request no more (err says so).  Where others can come this passes: ERR_UNAVAILABLE. */
void s3_endpoint_keys_refused(struct s3_endpoint *e, struct err *err);

#endif
