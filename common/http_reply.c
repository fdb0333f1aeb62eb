/* The answers.  Each makes a libmicrohttpd response and leaves it in the request; http_server_request.c hands it over
 * when libmicrohttpd is ready for it.  Log lines here do not name the path: it may be a signed link. */
#include "common/http_server_internal.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* reply_may: is there no answer yet?  A second one is our mistake: the first stands. */
static bool reply_may(struct http_request *rq)
{
	if (rq->answered)
		log_event(LOG_LEVEL_ERROR, "http.answered_twice", json_pack("{s:i}", "status", rq->status));
	return !rq->answered;
}

static bool reply_has_header(const struct http_request *rq, const char *name)
{
	size_t i;

	for (i = 0; i < rq->extra_n; i++) {
		if (strcasecmp(rq->extra[i].name, name) == 0)
			return true;
	}
	return false;
}

void http_reply_header(struct http_request *rq, const char *name, const char *value)
{
	char *n, *v;

	if (!*name || strpbrk(name, "\r\n\t :") || strpbrk(value, "\r\n") || rq->extra_n == HTTP_EXTRA_MAX) {
		log_event(LOG_LEVEL_WARNING, "http.header_dropped", NULL);
		return;
	}
	n = strdup(name);
	v = strdup(value);
	if (!n || !v) {
		free(n);
		free(v);
		return;
	}
	rq->extra[rq->extra_n].name = n;
	rq->extra[rq->extra_n].value = v;
	rq->extra_n++;
}

/* reply_default: the header unless the caller has given another. */
static void reply_default(const struct http_request *rq, struct MHD_Response *r, const char *name, const char *value)
{
	if (!reply_has_header(rq, name))
		MHD_add_response_header(r, name, value);
}

void http_reply_response(struct http_request *rq, int status, struct MHD_Response *r)
{
	bool last;
	size_t i;

	rq->answered = true;
	rq->status = status;
	rq->response = r;
	if (!r)
		return;
	for (i = 0; i < rq->extra_n; i++)
		MHD_add_response_header(r, rq->extra[i].name, rq->extra[i].value);
	if (status == 401)
		reply_default(rq, r, "WWW-Authenticate", "Bearer");
	reply_default(rq, r, HTTP_ID_HEADER, rq->id);
	reply_default(rq, r, "Cache-Control", "no-store");
	reply_default(rq, r, "X-Content-Type-Options", "nosniff");
	pthread_mutex_lock(&rq->server->lock);
	last = rq->server->quiesced || rq->server->live_n > HTTP_KEPT_MAX;
	pthread_mutex_unlock(&rq->server->lock);
	if (last)
		MHD_add_response_header(r, "Connection", "close");
}

/* reply_text: a whole body from the heap, taken. */
static void reply_text(struct http_request *rq, int status, const char *content_type, char *text)
{
	struct MHD_Response *r = NULL;

	if (text)
		r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (r)
		MHD_add_response_header(r, "Content-Type", content_type);
	else
		free(text);
	http_reply_response(rq, status, r);
}

void http_reply_text(struct http_request *rq, int status, const char *content_type, const char *text)
{
	if (reply_may(rq))
		reply_text(rq, status, content_type, strdup(text));
}

void http_reply_empty(struct http_request *rq, int status)
{
	if (reply_may(rq))
		http_reply_response(rq, status, MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT));
}

void http_reply_json(struct http_request *rq, int status, json_t *body)
{
	char *text;

	if (!reply_may(rq)) {
		json_decref(body);
		return;
	}
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text) {
		status = 500;
		text = strdup("{\"error\":{\"code\":\"nomem\",\"message\":\"out of memory\"}}");
	}
	reply_text(rq, status, "application/json", text);
}

static void reply_error(struct http_request *rq, int status, const char *code, const char *field, const char *message)
{
	json_t *error = json_pack("{s:s, s:s, s:s}", "code", code, "message", message, "request_id", rq->id);

	if (error && field && *field && json_object_set_new(error, "field", json_string(field)) < 0) {
		json_decref(error);
		error = NULL;
	}
	http_reply_json(rq, status, error ? json_pack("{s:o}", "error", error) : NULL);
}

void http_reply_error(struct http_request *rq, int status, const char *code, const char *field, const char *fmt, ...)
{
	struct err text = {0};
	va_list ap;

	va_start(ap, fmt);
	err_vset(&text, ERR_INPUT, fmt, ap); /* for its bounds and its printable text */
	va_end(ap);
	if (status >= 500 && status != 503)
		text.code = ERR_INTERNAL;
	err_detail(&text, code);
	rq->refusal = text;
	reply_error(rq, status, code, field, text.msg);
}

int http_status_of(const struct err *err)
{
	switch (err->code) {
	case ERR_INPUT:
		return 400;
	case ERR_AUTH:
		return 401;
	case ERR_PERM:
		return 403;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_STATE:
		return 409;
	case ERR_LIMIT:
		return 413;
	case ERR_BUSY:
		return 429;
	case ERR_NET:
	case ERR_TIMEOUT:
		return 502;
	case ERR_UNAVAILABLE:
	case ERR_FULL:
	case ERR_CANCELLED: /* we are about to end */
		return 503;
	case ERR_NONE:
	case ERR_IO:
	case ERR_NOMEM:
	case ERR_INTERNAL:
		break;
	}
	return 500;
}

void http_reply_err(struct http_request *rq, const struct err *err)
{
	int status = http_status_of(err);

	rq->refusal = *err;
	if (status == 500) { /* our affair: the asker gets the request id to tell us */
		log_err(LOG_LEVEL_ERROR, "http.internal_error", err, NULL);
		reply_error(rq, 500, "internal", NULL, "internal error");
		return;
	}
	if (status == 429 && !reply_has_header(rq, "Retry-After"))
		http_reply_header(rq, "Retry-After", "1");
	reply_error(rq, status, err_api_code(err), err->field, err->msg);
}

void http_stream_close(struct http_stream_state *st)
{
	if (!st || st->closed)
		return;
	st->closed = true;
	st->ops.close(st->ctx);
}

/* stream_reset: an HTTP/1.0 body ends with the connection, so only a reset tells the reader that it was not whole; and
 * libmicrohttpd would first shut down in good order.  On Linux, connecting to nowhere resets. */
static void stream_reset(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	(void)connect(fd, &nowhere, sizeof(nowhere));
}

/* stream_read: libmicrohttpd's buffer is what TLS or the socket sends from; the owner fills it directly. */
static ssize_t stream_read(void *cls, uint64_t pos, char *dst, size_t max)
{
	struct http_stream_state *st = cls;
	ssize_t n;

	(void)pos;
	n = st->ops.read(st->ctx, (uint8_t *)dst, max < st->max ? max : st->max);
	if (n > 0)
		return n;
	if (n == HTTP_STREAM_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (st->rq && st->rq->is_http10)
		stream_reset(st->rq->conn->fd);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static void stream_free(void *cls)
{
	struct http_stream_state *st = cls;

	http_stream_close(st);
	if (st->rq)
		st->rq->stream = NULL;
	free(st);
}

void http_reply_stream(
	struct http_request *rq, int status, const char *content_type, const struct http_stream *ops, void *stream_ctx)
{
	struct http_stream_state *st;
	struct MHD_Response *r;

	if (!reply_may(rq)) {
		ops->close(stream_ctx);
		return;
	}
	if (rq->is_head) { /* libmicrohttpd would send the last chunk of a body that there is not */
		ops->close(stream_ctx);
		http_reply_header(rq, "Content-Type", content_type);
		http_reply_empty(rq, status);
		return;
	}
	st = calloc(1, sizeof(*st));
	if (!st) {
		ops->close(stream_ctx);
		http_reply_response(rq, status, NULL);
		return;
	}
	st->ops = *ops;
	st->ctx = stream_ctx;
	st->max = rq->server->o.stream_block_bytes;
	st->rq = rq;
	rq->stream = st;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, st->max, stream_read, st, stream_free);
	if (r)
		MHD_add_response_header(r, "Content-Type", content_type);
	else
		stream_free(st);
	http_reply_response(rq, status, r);
}
