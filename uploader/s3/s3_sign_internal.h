/* s3_sign_internal.h - the steps of a signature, for s3_canonical.c, s3_sign.c and their units. */
#ifndef PCAPLINE_UPLOADER_S3_S3_SIGN_INTERNAL_H
#define PCAPLINE_UPLOADER_S3_S3_SIGN_INTERNAL_H

#include "common/digest.h"
#include "uploader/s3/s3_sign.h"

#include <stdbool.h>
#include <stddef.h>

#define S3_PAIRS_MAX 64u
#define S3_TEXT_MAX  ((size_t)256 * 1024) /* the longest canonical request */

/* A header as it is signed and sent: "name: value", name in lower case, value without blanks around it and with single ones inside. */
struct s3_line {
	char *text;
	size_t name_len;
	size_t nth; /* lines of one name keep their order */
};

/* s3_line_make: ERR_INPUT: the name is no token, the value is empty or has control characters. */
int s3_line_make(struct s3_line *ret, const char *name, const char *value, size_t nth, struct err *err);
void s3_line_done(struct s3_line *l); /* wipes */

/* s3_canonical: appends the canonical request to dst and the names of the signed headers ("host;range") to names.  query is what s3_query made.
 * Sorts lines. */
int s3_canonical(struct buf *dst, struct buf *names, const struct s3_signable *s, const char *query,
	struct s3_line *lines, size_t lines_n, struct err *err);

/* What a signature is good for. */
struct s3_scope {
	char stamp[17]; /* "20130524T000000Z" */
	char day[9];
	const char *region, *service;
};

/* s3_signature: of a canonical request. */
void s3_signature(
	const struct s3_scope *scope, const char *secret, const struct buf *canonical, char ret[DIGEST_SHA256_HEX_MAX]);

void s3_buf_wipe(struct buf *b); /* wipes and frees */

#endif
