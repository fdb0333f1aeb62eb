/* A file, or what a reader gives, as the answer, with one Range (RFC 9110, 14). */
#include "common/http_server_internal.h"
#include "common/log.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum range { RANGE_WHOLE, RANGE_PART, RANGE_UNSATISFIABLE };

/* range_number: digits up to end (exclusive). -1: none, or not a number. */
static int range_number(const char *p, const char *end, uint64_t *ret)
{
	char digits[24];
	size_t n = (size_t)(end - p);

	if (n == 0 || n >= sizeof(digits) || strspn(p, "0123456789") < n)
		return -1;
	memcpy(digits, p, n);
	digits[n] = '\0';
	return parse_u64(digits, 0, UINT64_MAX, ret, NULL);
}

/* range_parse: "bytes=a-b", "bytes=a-", "bytes=-n".  Several ranges, and units that we do not know, are answered with the
 * whole file, as the RFC allows; what is malformed or begins behind the end, with 416. */
static enum range range_parse(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_n)
{
	uint64_t first, last, n;
	const char *dash, *end;

	if (strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
		return RANGE_WHOLE;
	text += 6;
	end = text + strlen(text);
	dash = strchr(text, '-');
	if (!dash)
		return RANGE_UNSATISFIABLE;
	if (dash == text) {
		if (range_number(dash + 1, end, &n) < 0 || n == 0 || size == 0)
			return RANGE_UNSATISFIABLE;
		*ret_n = n < size ? n : size;
		*ret_first = size - *ret_n;
		return RANGE_PART;
	}
	if (range_number(text, dash, &first) < 0 || first >= size)
		return RANGE_UNSATISFIABLE;
	last = size - 1;
	if (dash + 1 < end && (range_number(dash + 1, end, &last) < 0 || last < first))
		return RANGE_UNSATISFIABLE;
	if (last > size - 1)
		last = size - 1;
	*ret_first = first;
	*ret_n = last - first + 1;
	return RANGE_PART;
}

struct file_reader {
	int fd;
	uint64_t first;
};

static ssize_t file_read(void *cls, uint64_t pos, char *dst, size_t max)
{
	const struct file_reader *f = cls;
	ssize_t n = pread(f->fd, dst, max, (off_t)(f->first + pos));

	/* 0: the file has become shorter than promised. */
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void file_free(void *cls)
{
	struct file_reader *f = cls;

	close(f->fd);
	free(f);
}

/* file_response: fd is taken.  Plain HTTP goes by sendfile; for TLS libmicrohttpd would read 4 KiB at a time, so that is
 * done here in larger pieces. */
static struct MHD_Response *file_response(const struct http_request *rq, int fd, uint64_t first, uint64_t n)
{
	struct MHD_Response *r;
	struct file_reader *f;

	if (!rq->server->tls) {
		r = MHD_create_response_from_fd_at_offset64(n, fd, first);
		if (!r)
			close(fd);
		return r;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		close(fd);
		return NULL;
	}
	f->fd = fd;
	f->first = first;
	r = MHD_create_response_from_callback(n, HTTP_FILE_BLOCK, file_read, f, file_free);
	if (!r)
		file_free(f);
	return r;
}

/* ---- a reader ---- */

struct reader {
	struct http_reader ops;
	void *ctx;
	uint64_t first, n;
};

static ssize_t reader_read(void *cls, uint64_t pos, char *dst, size_t max)
{
	const struct reader *f = cls;
	size_t n = max < f->n - pos ? max : (size_t)(f->n - pos);
	struct err err = {0};

	if (f->ops.read(f->ctx, f->first + pos, dst, n, &err) == 0)
		return (ssize_t)n;
	log_err(LOG_LEVEL_WARNING, "http.reader_failed", &err, NULL);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static void reader_free(void *cls)
{
	struct reader *f = cls;

	f->ops.close(f->ctx);
	free(f);
}

/* reader_response: ctx is taken.  libmicrohttpd's buffer is what is sent from, so the owner fills it directly. */
static struct MHD_Response *reader_response(const struct http_reader *ops, void *ctx, uint64_t first, uint64_t n)
{
	struct MHD_Response *r;
	struct reader *f;

	if (n == 0) {
		ops->close(ctx);
		return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		ops->close(ctx);
		return NULL;
	}
	*f = (struct reader){.ops = *ops, .ctx = ctx, .first = first, .n = n};
	r = MHD_create_response_from_callback(
		n, n < HTTP_READER_BLOCK ? (size_t)n : HTTP_READER_BLOCK, reader_read, f, reader_free);
	if (!r)
		reader_free(f);
	return r;
}

/* ---- what is asked for ---- */

struct ranged {
	enum range kind;
	uint64_t first, n;
};

static void reply_unsatisfiable(struct http_request *rq, uint64_t size)
{
	char text[64];

	snprintf(text, sizeof(text), "bytes */%" PRIu64, size);
	http_reply_header(rq, "Content-Range", text);
	http_reply_error(rq, 416, "bad_range", NULL, "Range: not within the %" PRIu64 " bytes of the file", size);
}

/* ranged_begin: the headers that tell which bytes follow.  False: it is answered without them. */
static bool ranged_begin(struct http_request *rq, uint64_t size, const char *etag, struct ranged *ret)
{
	const char *range = http_request_header(rq, "Range"), *if_range = http_request_header(rq, "If-Range");
	char text[96];

	*ret = (struct ranged){.kind = RANGE_WHOLE, .n = size};
	/* If-Range: a part only of the very file that the asker has begun to fetch. */
	if (range && (!if_range || (etag && strcmp(if_range, etag) == 0)))
		ret->kind = range_parse(range, size, &ret->first, &ret->n);
	http_reply_header(rq, "Accept-Ranges", "bytes");
	if (ret->kind == RANGE_UNSATISFIABLE) {
		reply_unsatisfiable(rq, size);
		return false;
	}
	if (etag)
		http_reply_header(rq, "ETag", etag);
	if (ret->kind == RANGE_PART) {
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, ret->first,
			ret->first + ret->n - 1, size);
		http_reply_header(rq, "Content-Range", text);
	}
	return !rq->answered;
}

static void ranged_end(
	struct http_request *rq, const struct ranged *w, const char *content_type, struct MHD_Response *response)
{
	if (response)
		MHD_add_response_header(response, "Content-Type", content_type);
	http_reply_response(rq, w->kind == RANGE_PART ? 206 : 200, response);
}

void http_reply_file(struct http_request *rq, int fd, uint64_t size, const char *content_type, const char *etag)
{
	struct ranged w;

	if (ranged_begin(rq, size, etag, &w))
		ranged_end(rq, &w, content_type, file_response(rq, fd, w.first, w.n));
	else
		close(fd);
}

void http_reply_reader(struct http_request *rq, const struct http_reader *ops, void *reader_ctx, uint64_t size,
	const char *content_type, const char *etag)
{
	struct ranged w;

	if (ranged_begin(rq, size, etag, &w))
		ranged_end(rq, &w, content_type, reader_response(ops, reader_ctx, w.first, w.n));
	else
		ops->close(reader_ctx);
}
