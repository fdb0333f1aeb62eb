/* buf.h - bytes that grow, up to a bound set at birth.
 * Life: buf_init, buf_add..., buf_done.  One thread at a time.  After a failed add the content is unchanged. */
#ifndef PCAPLINE_COMMON_BUF_H
#define PCAPLINE_COMMON_BUF_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* NULL while empty */
	size_t len;
	size_t cap;
	size_t max; /* never allocates more than this many bytes */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; the buffer is empty and reusable afterwards */
void buf_clear(struct buf *b);

/* buf_add: appends n bytes.  -1: ERR_LIMIT (would pass max) or ERR_NOMEM. */
int buf_add(struct buf *b, const void *p, size_t n, struct err *err);
int buf_add_str(struct buf *b, const char *s, struct err *err);
int buf_addf(struct buf *b, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* buf_reserve: room for n more bytes at data+len; the caller writes there and adds to len.  NULL with err on failure. */
uint8_t *buf_reserve(struct buf *b, size_t n, struct err *err);

/* buf_consume: drops the first n (<= len) bytes. */
void buf_consume(struct buf *b, size_t n);

/* buf_str: the content as a terminated string (the terminator is not part of len); "" when empty; NULL on no memory
 * or when max leaves no room for the terminator. */
const char *buf_str(struct buf *b);

#endif
