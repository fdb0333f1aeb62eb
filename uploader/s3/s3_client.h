/* s3_client.h - one signed request to the bucket and what its answer means.  Blocking; any number of threads at once.
 *
 * What failures mean (err code; err detail is the store's code in lower case with '_', "no_such_upload"):
 *   later  ERR_NET, ERR_TIMEOUT (no answer, cut off), ERR_UNAVAILABLE (5xx, 429, SlowDown, expired keys, clock skew, a 404 that is not the store's), ERR_IO (bytes damaged on the way), ERR_FULL (quota)
 *   never  ERR_CANCELLED (s3_client_cancel), ERR_AUTH (certificate), ERR_PERM (fixed keys, rights), ERR_NOT_FOUND (object, upload), ERR_STATE (bucket missing or elsewhere), ERR_INPUT (other 4xx), ERR_LIMIT (answer too large) */
#ifndef PCAPLINE_UPLOADER_S3_S3_CLIENT_H
#define PCAPLINE_UPLOADER_S3_S3_CLIENT_H

#include "common/buf.h"
#include "common/http_client.h"
#include "uploader/s3/s3_endpoint.h"
#include "uploader/s3/s3_xml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct s3_client;

struct s3_client *s3_client_new(const struct s3_client_options *o, struct err *err);
void s3_client_free(struct s3_client *c); /* accepts NULL */

struct s3_request {
	const char *method;
	const char *key; /* as meant, not encoded; NULL: the bucket itself */
	const struct s3_pair *query;
	size_t query_n;
	const struct s3_pair *headers; /* signed; Content-Type among them */
	size_t headers_n;
	const void *body; /* in memory, or ... */
	size_t body_len;
	const struct http_body_file *file; /* ... of a descriptor; then sha256 must be given */
	const char *sha256;                /* hex of the body; NULL: computed (of a body in memory) */
	bool md5;                          /* send Content-MD5 (of a body in memory) */
	size_t answer_bytes_max;           /* of the answer's body; 0: 1 MiB */
	int (*on_data)(void *ctx, const uint8_t *p, size_t n); /* a 2xx body in pieces; NULL: collected */
	void *ctx;
	uint64_t data_bytes;          /* most that on_data may be given: more is ERR_UNAVAILABLE */
	const atomic_bool *cancelled; /* its flag of s3_client_cancel; may be NULL */
	unsigned timeout_ms;          /* to connect, and of silence, instead of the client's; 0: the client's */
};

/* The answer to a request that succeeded. */
struct s3_answer {
	int status;
	struct http_call *call; /* headers (http_call_header) and body (http_call_body) */
};

/* s3_call: 0 only for a 2xx status; ret must be freed by s3_answer_done then.  ret may be NULL.  A request with a file waits until fewer than connections_max of
 * these are under way.  One that moves less than some kilobytes in a second for minutes is ERR_TIMEOUT, though it were never silent. */
int s3_call(struct s3_client *c, const struct s3_request *rq, struct s3_answer *ret, struct err *err);

/* s3_absent: HEAD said 404, which has no body that says whose answer it is: a proxy's looks the same.  0: the store itself says that there is nothing at key. */
int s3_absent(struct s3_client *c, const char *key, const atomic_bool *cancelled, struct err *err);

void s3_client_cancel(struct s3_client *c, atomic_bool *flag); /* s3_endpoint_cancel */
void s3_answer_done(struct s3_answer *a);

/* s3_answer_etag: the ETag header without quotes, "" when there is none or it is too long. */
void s3_answer_etag(const struct s3_answer *a, char ret[S3_ETAG_MAX]);

/* s3_client_url: a presigned GET URL; query are the response-... parameters.  Good for *ttl_s, which is made less when the keys end before; new string. */
char *s3_client_url(struct s3_client *c, const char *key, const struct s3_pair *query, size_t query_n, uint64_t *ttl_s,
	struct err *err);

const char *s3_client_bucket(const struct s3_client *c);
const char *s3_client_endpoint(const struct s3_client *c);
bool s3_client_is_tls(const struct s3_client *c);

#endif
