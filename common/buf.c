/* buf.c - see buf.h. */
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 64

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

/* The next capacity that holds need (<= max): doubling, so that n adds cost O(n), and never over max. */
static size_t buf_next_cap(const struct buf *b, size_t need)
{
	size_t cap = b->cap > b->max / 2 ? b->max : b->cap * 2;

	if (cap < BUF_FIRST_BYTES)
		cap = BUF_FIRST_BYTES < b->max ? BUF_FIRST_BYTES : b->max;
	return cap < need ? need : cap;
}

uint8_t *buf_reserve(struct buf *b, size_t n, struct err *err)
{
	uint8_t *grown;
	size_t cap;

	if (n > b->max - b->len) {
		err_set(err, ERR_LIMIT, "%zu bytes after %zu are more than the %zu allowed", n, b->len, b->max);
		return NULL;
	}
	if (b->data == NULL || n > b->cap - b->len) {
		cap = buf_next_cap(b, b->len + n);
		/* At least one byte: the answer to reserving nothing in an empty buffer is no failure. */
		grown = realloc(b->data, cap > 0 ? cap : 1);
		if (grown == NULL) {
			err_nomem(err);
			return NULL;
		}
		b->data = grown;
		b->cap = cap;
	}
	return b->data + b->len;
}

int buf_add(struct buf *b, const void *p, size_t n, struct err *err)
{
	uint8_t *to;

	if (n == 0)
		return 0;
	if ((to = buf_reserve(b, n, err)) == NULL)
		return -1;
	memcpy(to, p, n);
	b->len += n;
	return 0;
}

int buf_add_str(struct buf *b, const char *s, struct err *err)
{
	return buf_add(b, s, strlen(s), err);
}

int buf_addf(struct buf *b, struct err *err, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n, rc;

	/* Not printed in place: the terminator need not fit under max. */
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_nomem(err);
	rc = buf_add(b, text, (size_t)n, err);
	free(text);
	return rc;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

const char *buf_str(struct buf *b)
{
	uint8_t *end;

	if (b->len == 0)
		return "";
	if ((end = buf_reserve(b, 1, NULL)) == NULL)
		return NULL;
	*end = '\0';
	return (const char *)b->data;
}
