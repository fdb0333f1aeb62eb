/* s3_sign.h - AWS Signature Version 4 as S3 wants it: the path is signed as it is sent (encoded once, never normalised), the payload's hash is a
 * header.  Pure functions: no clock, no network, no state.
 * Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference. */
#ifndef PCAPLINE_UPLOADER_S3_S3_SIGN_H
#define PCAPLINE_UPLOADER_S3_S3_SIGN_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define S3_TTL_MAX_S        604800u /* the longest a presigned URL may be good */

/* What a request is signed with.  token "" : none (long-lived keys). */
struct s3_keys {
	char access[129];
	char secret[129];
	char token[4097];
};

/* A query parameter or a header, as meant: nothing encoded. value "" is a parameter without a value ("?uploads="); a header must have one. */
struct s3_pair {
	const char *name, *value;
};

struct s3_signable {
	const char *method;
	const char *host; /* as the Host header will say it, with the port when that is not the scheme's own */
	const char *path; /* encoded, begins with '/' */
	const struct s3_pair *query; /* any order */
	size_t query_n;
	const struct s3_pair
		*headers; /* beyond host, x-amz-date, x-amz-content-sha256 and x-amz-security-token; all are signed */
	size_t headers_n;
	const char *payload_sha256; /* hex, or S3_UNSIGNED_PAYLOAD */
};

/* s3_encode: RFC 3986 unreserved bytes stay, all others become %XX (upper case); '/' stays when slashes.  Appends to dst. */
int s3_encode(struct buf *dst, const char *text, bool slashes, struct err *err);

/* s3_query: the pairs encoded, sorted by encoded name, then value, and joined by '&': what stands in the URL is what is signed.  Appends to dst
 * (no '?' before it). */
int s3_query(struct buf *dst, const struct s3_pair *query, size_t n, struct err *err);

/* s3_sign: the headers to send for this request, NULL-terminated list of "name: value" (s3_headers_free): the given ones, x-amz-date,
 * x-amz-content-sha256, x-amz-security-token when there is a token, authorization.  Not host (libcurl sends it).  region "us-east-1", now_s Unix seconds.
 * Sent is what is signed: names in lower case, values without blanks around them and with single ones inside (stores disagree about more).
 * ERR_INPUT: a header without a value, with control characters, or of those that are added here; more than 64 pairs of a kind. */
char **s3_sign(
	const struct s3_signable *s, const struct s3_keys *k, const char *region, uint64_t now_s, struct err *err);
void s3_headers_free(char **headers); /* wipes; accepts NULL */

/* s3_presign: the query string (without '?') of a URL that is good for ttl_s (1..S3_TTL_MAX_S) seconds from now_s, signature included; new string.
 * Parameters x-amz-... are added here, and at most 58 others fit.  payload_sha256 is not looked at (S3_UNSIGNED_PAYLOAD), headers must be empty: only host is signed. */
char *s3_presign(const struct s3_signable *s, const struct s3_keys *k, const char *region, uint64_t now_s,
	uint64_t ttl_s, struct err *err);

#endif
