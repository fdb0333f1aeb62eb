/* One request, as libmicrohttpd calls us, always in the connection's own thread:
 *   first line     http_request_on_uri makes the request
 *   header block   http_request_on_access without data: our refusals, then on_headers
 *   body           http_request_on_access with data, any number of times
 *   end of body    http_request_on_access without data: on_request
 *   over           http_request_on_completed, also when the peer went away or the header block was malformed */
#include "common/clock.h"
#include "common/http_server_internal.h"
#include "common/id.h"
#include "common/log.h"
#include "common/parse.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static struct http_conn *conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void request_free(struct http_request *rq)
{
	size_t i;

	if (!rq)
		return;
	if (rq->response)
		MHD_destroy_response(rq->response);
	for (i = 0; i < rq->extra_n; i++) {
		free(rq->extra[i].name);
		free(rq->extra[i].value);
	}
	buf_done(&rq->body);
	free(rq->uri);
	free(rq);
}

void *http_request_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct http_server *s = cls;
	struct http_request *rq = calloc(1, sizeof(*rq));

	if (!rq)
		return NULL;
	rq->server = s;
	rq->conn = conn_of(mhd);
	rq->mhd = mhd;
	rq->path = "";
	rq->uri = strdup(uri ? uri : "");
	buf_init(&rq->body, s->o.body_bytes_max);
	if (!rq->conn || !rq->uri) {
		request_free(rq);
		return NULL; /* on_access closes the connection */
	}
	rq->uri_len = strlen(rq->uri);
	http_guard_phase(rq->conn, HTTP_PHASE_HEADERS);
	return rq;
}

/* request_take_id: a router's id is kept, so that its log and ours meet; but only what cannot hurt a log. */
static void request_take_id(struct http_request *rq)
{
	const char *given = http_request_header(rq, HTTP_ID_HEADER);
	size_t n = given ? strlen(given) : 0;

	if (n >= 16 && n < sizeof(rq->id) &&
		strspn(given, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == n)
		memcpy(rq->id, given, n + 1);
	else
		id_new(rq->id);
}

/* request_take_method: 405 for what HTTP knows and we do not serve, 501 for the rest. */
static int request_take_method(struct http_request *rq, const char *method)
{
	static const char *const served[] = {"GET", "POST", "PUT", "DELETE", NULL};
	static const char *const known[] = {"PATCH", "OPTIONS", "TRACE", "CONNECT", NULL};
	char shown[32];
	size_t i;

	rq->is_head = strcmp(method, "HEAD") == 0;
	rq->method = rq->is_head ? "GET" : NULL;
	for (i = 0; served[i] && !rq->method; i++) {
		if (strcmp(method, served[i]) == 0)
			rq->method = served[i];
	}
	if (rq->method)
		return 0;
	rq->method = "";
	for (i = 0; known[i]; i++) {
		if (strcmp(method, known[i]) == 0) {
			http_reply_header(rq, "Allow", "GET, HEAD, POST, PUT, DELETE");
			http_reply_error(rq, 405, "method_not_allowed", NULL, "method %s is not served", known[i]);
			return -1;
		}
	}
	http_reply_error(rq, 501, "not_implemented", NULL, "method \"%s\" is not known",
		parse_printable(method, shown, sizeof(shown)));
	return -1;
}

struct framing {
	unsigned lengths, encodings, hosts, authorizations;
	const char *length, *encoding;
};

static enum MHD_Result framing_take(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = cls;

	(void)kind;
	if (strcasecmp(name, "Content-Length") == 0) {
		f->lengths++;
		f->length = value;
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		f->encodings++;
		f->encoding = value;
	} else if (strcasecmp(name, "Host") == 0) {
		f->hosts++;
	} else if (strcasecmp(name, "Authorization") == 0) {
		f->authorizations++;
	}
	return MHD_YES;
}

/* request_check_framing: where this request ends must be beyond doubt (RFC 9112, 6.1 and 6.3), and who asks too. */
static int request_check_framing(struct http_request *rq)
{
	struct framing f = {0};
	uint64_t length = 0;

	MHD_get_connection_values(rq->mhd, MHD_HEADER_KIND, framing_take, &f);
	if (f.lengths + f.encodings > 1) {
		http_reply_error(
			rq, 400, "bad_request", NULL, "Content-Length and Transfer-Encoding: one of them, once");
		return -1;
	}
	if (f.hosts > 1 || f.authorizations > 1) {
		http_reply_error(rq, 400, "bad_request", NULL, "%s is there more than once",
			f.hosts > 1 ? "Host" : "Authorization");
		return -1;
	}
	if (f.encodings && (!f.encoding || strcasecmp(f.encoding, "chunked") != 0)) {
		http_reply_error(rq, 501, "not_implemented", NULL, "Transfer-Encoding: only chunked is known");
		return -1;
	}
	if (f.lengths && parse_u64(f.length ? f.length : "", 0, UINT64_MAX, &length, NULL) < 0) {
		http_reply_error(rq, 400, "bad_request", NULL, "Content-Length: not a number");
		return -1;
	}
	rq->has_body = f.encodings || length > 0;
	if (length > rq->server->o.body_bytes_max) {
		http_reply_error(rq, 413, "too_large", NULL, "body of %llu bytes is over %zu",
			(unsigned long long)length, rq->server->o.body_bytes_max);
		return -1;
	}
	return 0;
}

/* request_check: the server's own refusals, cheapest first.  -1: answered. */
static int request_check(struct http_request *rq, const char *url, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(rq->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct err err = {0};

	if (!info || info->header_size > rq->server->o.header_bytes_max) {
		rq->method = "";
		http_reply_error(rq, 431, "headers_too_large", NULL, "request line and headers are over %zu bytes",
			rq->server->o.header_bytes_max);
		return -1;
	}
	if (request_take_method(rq, method) < 0)
		return -1;
	/* The version stands right behind the target and one space in libmicrohttpd's buffer; a NUL byte in the target
	 * would have made our copy of it shorter. */
	if ((size_t)(version - url) != rq->uri_len + 1) {
		http_reply_error(rq, 400, "bad_request", NULL, "path: a NUL byte");
		return -1;
	}
	if (http_uri_split(rq, &err) < 0) {
		http_reply_error(rq, 400, "bad_request", NULL, "%s", err.msg);
		return -1;
	}
	return request_check_framing(rq);
}

static void request_begin(struct http_request *rq, const char *url, const char *method, const char *version)
{
	struct http_server *s = rq->server;

	http_guard_phase(rq->conn, HTTP_PHASE_HANDLER);
	request_take_id(rq);
	log_context_request(rq->id);
	rq->is_http10 = strcmp(version, "HTTP/1.0") == 0;
	if (request_check(rq, url, method, version) < 0) {
		rq->has_body = true; /* there may be one, and we are not going to look for its end: close */
		return;
	}
	rq->on_headers = true;
	if (s->o.on_headers)
		s->o.on_headers(s->o.ctx, rq);
	if (!rq->answered && rq->has_body)
		http_guard_phase(rq->conn, HTTP_PHASE_BODY);
}

/* request_take_body: libmicrohttpd accepts no answer while a body is on its way, so one that grows too large is read on
 * for a while and refused at its end; one that does not end then is cut. */
static enum MHD_Result request_take_body(struct http_request *rq, const char *data, size_t n)
{
	size_t max = rq->server->o.body_bytes_max;

	if (!rq->too_large && n > max - rq->body.len)
		rq->too_large = true;
	if (rq->too_large) {
		rq->discarded += n;
		return rq->discarded > max ? MHD_NO : MHD_YES;
	}
	return buf_add(&rq->body, data, n, NULL) < 0 ? MHD_NO : MHD_YES;
}

static void request_serve(struct http_request *rq)
{
	struct http_server *s = rq->server;

	http_guard_phase(rq->conn, HTTP_PHASE_HANDLER);
	if (rq->too_large) {
		http_reply_error(rq, 413, "too_large", NULL, "body is over %zu bytes", s->o.body_bytes_max);
		return;
	}
	s->o.on_request(s->o.ctx, rq);
	if (!rq->answered) {
		log_event(LOG_LEVEL_ERROR, "http.unanswered", NULL);
		http_reply_error(rq, 500, "internal", NULL, "internal error");
	}
}

static enum MHD_Result request_queue(struct http_request *rq)
{
	enum MHD_Result ret;

	if (!rq->response)
		return MHD_NO;
	http_guard_phase(rq->conn, HTTP_PHASE_ANSWER);
	ret = MHD_queue_response(rq->mhd, (unsigned)rq->status, rq->response);
	MHD_destroy_response(rq->response); /* our hold on it; libmicrohttpd has its own */
	rq->response = NULL;
	return ret;
}

enum MHD_Result http_request_on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *data_len, void **rq_ctx)
{
	struct http_request *rq = *rq_ctx;
	size_t n = *data_len;

	(void)cls;
	(void)mhd;
	if (!rq)
		return MHD_NO; /* no memory at its beginning */
	if (!rq->begun) {
		rq->begun = true;
		request_begin(rq, url, method, version);
		/* An answer given here closes the connection, since the body is never read.  Without a body it waits
		 * for the second call, and the connection lives on. */
		rq->body_unread = rq->answered && rq->has_body;
		return rq->body_unread ? request_queue(rq) : MHD_YES;
	}
	if (n > 0) {
		*data_len = 0;
		return request_take_body(rq, data, n);
	}
	if (!rq->answered)
		request_serve(rq);
	return request_queue(rq);
}

/* Closing with bytes unread resets the connection, and the peer may lose the answer with it (RFC 9112, 9.6).  So what of a
 * refused body still comes is forgotten here until the peer, who was told that this is the end, closes; within bounds. */
static void request_linger(int fd, bool tls)
{
	uint64_t now = clock_mono_ns(), end = now + HTTP_LINGER_MS * CLOCK_NS_PER_MS;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t forgotten[16 * 1024];

	if (!tls) /* else libmicrohttpd still has a last record to send */
		shutdown(fd, SHUT_WR);
	for (size_t left = HTTP_LINGER_BYTES; left > 0 && now < end; now = clock_mono_ns()) {
		ssize_t n = -1;

		if (poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1) == 1)
			n = recv(fd, forgotten, left < sizeof(forgotten) ? left : sizeof(forgotten), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return;
		left -= n > 0 ? (size_t)n : 0;
	}
}

void http_request_on_completed(
	void *cls, struct MHD_Connection *mhd, void **rq_ctx, enum MHD_RequestTerminationCode how)
{
	struct http_request *rq = *rq_ctx;
	struct http_conn *c = conn_of(mhd);

	*rq_ctx = NULL;
	if (rq && rq->body_unread && c && how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		request_linger(c->fd, c->server->o.tls != NULL);
	if (rq) {
		/* The owner's stream ends before its request does: close may still look at the request. */
		http_stream_close(rq->stream);
		if (rq->on_headers && rq->server->o.on_done)
			rq->server->o.on_done(rq->server->o.ctx, rq);
		if (rq->stream)
			rq->stream->rq = NULL;
		request_free(rq);
		log_context_request(NULL);
	}
	(void)cls;
	if (c && how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		http_guard_phase(c, HTTP_PHASE_IDLE);
}
