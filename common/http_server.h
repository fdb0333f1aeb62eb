/* http_server.h - one listener over libmicrohttpd, one thread per connection, blocking handlers.
 *
 * Life: http_server_start, requests..., http_server_quiesce (no new connections: refused at once, and kept-alive ones end
 * with their next answer), http_server_stop: who is not being served is cut, answers under way get 30 s to be taken by their
 * peers, then the connections are shut down and their threads waited for; so whoever feeds a stream must have ended it
 * before, or end it when its peer hangs up.
 *
 * A request: on_headers is called once when the header block is in, before any of the body is read: it may already answer
 * (a refusal), then the body is never read.  Otherwise on_request is called with the whole body (bounded) and must
 * answer exactly once.  on_done is called exactly once for each request that reached on_headers, after the answer was sent
 * or the connection died.  All three run in the connection's own thread and may block.
 *
 * Before on_headers the server itself refuses: bodies over the limit (413, from Content-Length or while counting), both a length and
 * a transfer encoding (400), methods it does not know (405/501), header blocks that are too large (431), bad percent encoding or NUL in the path (400).
 * Connections that have not completed a request's headers within header_timeout_s (slow or idle ones), or its body within
 * body_timeout_s, are closed however many bytes they drip; so a slot is never held for long by a silent peer.  When 7 of 8 slots
 * are taken, each newcomer pushes out the connection that has been waiting longest without a request.  A handler that works, and a
 * stream that has nothing to say, are never cut for it.  With more than 64 connections open none is kept alive.
 *
 * With tls->ca_pem and client_name set the TLS handshake itself requires a client certificate that chains to ca_pem,
 * is within its dates and bears client_name as a DNS subject alternative name: without it no byte of HTTP is read.
 * TLS 1.2 is the least.  Certificates are GnuTLS's business, see http_server_tls.c. */
#ifndef PCAPLINE_COMMON_HTTP_SERVER_H
#define PCAPLINE_COMMON_HTTP_SERVER_H

#include "common/err.h"
#include "common/tls_files.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct http_server;
struct http_request;

struct http_server_options {
	const char *address;         /* numeric IPv4 or IPv6; "0.0.0.0", "::" */
	uint16_t port;               /* 0: the kernel chooses, see http_server_port */
	const struct tls_files *tls; /* NULL: plain HTTP, refused unless address is loopback */
	const char *client_name;  /* DNS name the client's certificate must bear; NULL: no client certificate asked */
	unsigned connections_max; /* when so many are being served, further ones are closed at once */
	unsigned connections_reserved; /* but for so many more, whose requests say so (http_request_is_reserved) */
	unsigned connections_per_address_max; /* 0: no such limit */
	unsigned idle_timeout_s; /* kept-alive connections without a request; a peer that takes no byte of an answer */
	unsigned header_timeout_s; /* a whole header block, from accept or (kept alive) from its first byte */
	unsigned body_timeout_s;   /* a whole body */
	size_t header_bytes_max;   /* request line and headers */
	size_t body_bytes_max;
	size_t stream_block_bytes;                              /* how much a stream's read may fill at once */
	void (*on_headers)(void *ctx, struct http_request *rq); /* may be NULL */
	void (*on_request)(void *ctx, struct http_request *rq);
	void (*on_done)(void *ctx, struct http_request *rq); /* may be NULL */
	void *ctx;
};

/* http_server_start: NULL with err (address in use, bad certificate...). */
struct http_server *http_server_start(const struct http_server_options *o, struct err *err);
uint16_t http_server_port(const struct http_server *s);
unsigned http_server_connections(const struct http_server *s); /* open right now */
void http_server_quiesce(struct http_server *s);
void http_server_stop(struct http_server *s); /* frees; accepts NULL */

/* ---- what was asked.  Strings live as long as the request. ---- */
const char *http_request_id(const struct http_request *rq); /* X-Vcap-Request-Id when it looks like one, else fresh */
const char *http_request_method(const struct http_request *rq); /* "HEAD" is given as "GET"; see http_request_is_head */
bool http_request_is_head(const struct http_request *rq);
const char *http_request_path(const struct http_request *rq); /* percent-decoded, without the query */
const char *http_request_query(const struct http_request *rq, const char *name); /* decoded; NULL: absent; "" : empty */

/* http_request_query_known: ERR_INPUT naming the first query parameter that is not in names (NULL-terminated) or is given twice. */
int http_request_query_known(const struct http_request *rq, const char *const *names, struct err *err);
const char *http_request_header(const struct http_request *rq, const char *name);
const void *http_request_body(const struct http_request *rq, size_t *ret_len);
const char *http_request_peer(const struct http_request *rq); /* "203.0.113.7", "2001:db8::1" (v4-mapped shown as v4) */
const char *http_request_local(const struct http_request *rq, uint16_t *ret_port); /* our end of this connection */
/* http_request_is_reserved: only the reserve had a place for this connection, and no other has become free since: serve it if it is who the reserve is for. */
bool http_request_is_reserved(const struct http_request *rq);
int http_request_fd(const struct http_request *rq); /* the socket, borrowed: to poll for the peer's hang-up */
void http_request_set_user(struct http_request *rq, void *user);
void *http_request_user(const struct http_request *rq);
bool http_request_answered(const struct http_request *rq);
int http_request_status(const struct http_request *rq); /* of the answer; 0: there is none yet */
/* http_request_refusal: what http_reply_err or http_reply_error were told to answer, also the cause that "internal error" does not show; NULL: it is no such answer. */
const struct err *http_request_refusal(const struct http_request *rq);

/* ---- the answer: exactly one of http_reply_*. ---- */

/* http_reply_header: one more header for the answer that follows. Copied; CR and LF are refused (dropped header, logged). */
void http_reply_header(struct http_request *rq, const char *name, const char *value);

void http_reply_json(struct http_request *rq, int status, json_t *body /* stolen; NULL on no memory gives 500 */);
void http_reply_empty(struct http_request *rq, int status);
void http_reply_text(struct http_request *rq, int status, const char *content_type, const char *text /* copied */);

/* http_reply_error: {"error":{"code","message","field","request_id"}}; field may be NULL (left out then).
 * 401 also carries WWW-Authenticate: Bearer. */
void http_reply_error(struct http_request *rq, int status, const char *code, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* http_reply_err: the same from an err; the status by its kind: INPUT 400, AUTH 401, PERM 403, NOT_FOUND 404, STATE 409, LIMIT 413, BUSY 429
 * (with Retry-After: 1 unless a header was added), NET/TIMEOUT 502, UNAVAILABLE/FULL/CANCELLED (we are about to end) 503, else 500 whose message is not shown but logged. */
void http_reply_err(struct http_request *rq, const struct err *err);
int http_status_of(const struct err *err);

/* http_reply_file: size bytes of fd (taken) with Range (one range; 206, 416), HEAD, ETag (may be NULL; If-Range), Accept-Ranges. */
void http_reply_file(struct http_request *rq, int fd, uint64_t size, const char *content_type, const char *etag);

/* http_reply_reader: the same of something that is no file: size bytes that are read as the peer takes them. */
struct http_reader {
	/* Blocks until exactly n bytes from offset on are in dst; at most HTTP_READER_BLOCK at once.  -1: they cannot be had; err is logged and the
	 * connection cut, so that the peer sees that the body was not whole. */
	int (*read)(void *reader_ctx, uint64_t offset, void *dst, size_t n, struct err *err);
	void (*close)(void *reader_ctx); /* exactly once, whatever happened */
};
#define HTTP_READER_BLOCK (4u * 1024 * 1024)
void http_reply_reader(struct http_request *rq, const struct http_reader *ops, void *reader_ctx, uint64_t size,
	const char *content_type, const char *etag);

/* A body of unknown length, chunked (HTTP/1.0: until close). */
struct http_stream {
	/* Blocks until there is something, fills at most max bytes: > 0 bytes, HTTP_STREAM_END (a good end, the
	 * last chunk is sent) or HTTP_STREAM_ABORT (the connection is cut, so that the reader sees it was not whole). */
	ssize_t (*read)(void *stream_ctx, uint8_t *dst, size_t max);
	void (*close)(void *stream_ctx); /* exactly once, whatever happened */
};
#define HTTP_STREAM_END   (-1)
#define HTTP_STREAM_ABORT (-2)
void http_reply_stream(
	struct http_request *rq, int status, const char *content_type, const struct http_stream *ops, void *stream_ctx);

#endif
