/* http_server_internal.h - what the files of the HTTP server share; nobody else includes it.
 *
 *   http_server.c         listener, libmicrohttpd's options, start, quiesce, stop
 *   http_server_guard.c   the thread that cuts connections which take too long, and who is cut when it gets crowded
 *   http_server_tls.c     key material and the client certificate's check inside the handshake
 *   http_server_request.c one request from its first line to its end, as libmicrohttpd calls us
 *   http_server_uri.c     path and query, decoded
 *   http_request.c        what was asked
 *   http_reply.c          the answers, http_reply_file.c those with Range */
#ifndef PCAPLINE_COMMON_HTTP_SERVER_INTERNAL_H
#define PCAPLINE_COMMON_HTTP_SERVER_INTERNAL_H

#include "common/buf.h"
#include "common/http_server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>

#define HTTP_ID_MAX        65   /* of a request, with the terminator: ours or a router's UUID */
#define HTTP_QUERY_MAX     64   /* parameters in one query */
#define HTTP_EXTRA_MAX     16   /* headers added by http_reply_header */
#define HTTP_GUARD_TICK_MS 200  /* how often the guard looks: the precision of the timeouts */
#define HTTP_STOP_DRAIN_S  30   /* answers under way get so long to end when the server stops */
#define HTTP_STOP_IDLE_S   3    /* of these, a peer that takes nothing for so long is cut */
#define HTTP_LINGER_MS     2000 /* after an answer to a request whose body was not read */
#define HTTP_LINGER_BYTES  (8u * 1024 * 1024)
#define HTTP_CUT_MAX       16 /* connections about to end before accepting slows down */
/* Between two requests libmicrohttpd clears a connection's whole pool, so each one that is kept alive holds that memory
 * for real.  With more connections than this none is kept. */
#define HTTP_KEPT_MAX   64
#define HTTP_FILE_BLOCK (64 * 1024)
#define HTTP_ID_HEADER  "X-Vcap-Request-Id"

/* The life of a connection, and which limit holds in each phase:
 *
 *   accept -> HEADERS -header block in-> HANDLER -body follows-> BODY -whole-> HANDLER -answer-> ANSWER -sent-> IDLE
 *               ^                                                                                          |
 *               +---------------------------------- first byte of another request ------------------------+
 *
 * HEADERS  header_timeout_s from accept (the TLS handshake included) or from the first byte
 * BODY     body_timeout_s in all
 * HANDLER  none: it is our own code that works
 * ANSWER   idle_timeout_s without the peer taking a byte that is there for it
 * IDLE     idle_timeout_s */
enum http_phase { HTTP_PHASE_HEADERS, HTTP_PHASE_BODY, HTTP_PHASE_HANDLER, HTTP_PHASE_ANSWER, HTTP_PHASE_IDLE };

struct http_conn {
	/* fixed */
	struct http_server *server;
	int fd; /* libmicrohttpd's; open for as long as the connection is in the server's list */
	char peer[INET6_ADDRSTRLEN];
	char local[INET6_ADDRSTRLEN];
	uint16_t local_port;

	/* guarded by server->lock */
	struct http_conn *prev, *next;
	enum http_phase phase;
	uint64_t since_ns; /* when the phase, or in ANSWER the last progress, was seen */
	uint64_t mark;     /* TCP's counter of bytes at that time */
	bool cut;          /* shut down by us, its thread is about to end */
	bool reserved;     /* it was let in by the reserve */
};

struct http_server {
	/* fixed after the start */
	struct http_server_options o; /* address and tls are not valid any more; client_name is our copy */
	char *client_name;
	bool tls;
	struct MHD_Daemon *daemon;
	uint16_t port;
	size_t pool_bytes;
	pthread_t guard;
	bool guard_runs;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* the list, or what the guard is to do */

	/* guarded by lock */
	struct http_conn *conns;
	unsigned live_n, cut_n; /* in conns: being served or waited for; about to end */
	int listen_fd;          /* ours to close once quiesced, else -1 */
	bool quiesced;
	bool stopping; /* cut everything that is not being served */
	bool guard_stop;
};

struct http_stream_state {
	struct http_stream ops;
	void *ctx;
	struct http_request *rq; /* NULL once the request is over */
	size_t max;
	bool closed;
};

struct http_request {
	struct http_server *server;
	struct http_conn *conn;
	struct MHD_Connection *mhd;
	char id[HTTP_ID_MAX];
	const char *method;
	bool is_head, is_http10;

	char *uri;      /* our copy, cut into the strings below */
	size_t uri_len; /* as it came */
	const char *path;
	struct http_param {
		const char *name, *value;
	} query[HTTP_QUERY_MAX];
	size_t query_n;

	bool begun;      /* the header block is in */
	bool on_headers; /* the owner knows of it, so on_done is due */
	bool has_body;
	bool body_unread; /* refused in the headers */
	bool too_large;
	struct buf body;
	size_t discarded; /* of a body that is too large */

	struct {
		char *name, *value;
	} extra[HTTP_EXTRA_MAX];
	size_t extra_n;
	bool answered;
	int status;
	struct err refusal;            /* code ERR_NONE: the answer is none */
	struct MHD_Response *response; /* NULL when answered but out of memory: the connection is closed */
	struct http_stream_state *stream;
	void *user;
};

/* http_server_guard.c */
int http_guard_start(struct http_server *s, struct err *err);
void http_guard_stop(struct http_server *s);
void http_guard_add(struct http_conn *c); /* may cut the one that has kept us waiting longest */
void http_guard_remove(struct http_conn *c);
bool http_guard_is_reserved(struct http_conn *c);
void http_guard_phase(struct http_conn *c, enum http_phase phase);
void http_guard_drain(struct http_server *s); /* waits until nobody is served, or HTTP_STOP_DRAIN_S */

/* http_server_tls.c */
const char *http_tls_priorities(void);
int http_tls_check(const struct http_server_options *o, struct err *err);        /* is the material usable? */
bool http_tls_require_client(struct http_server *s, struct MHD_Connection *mhd); /* false: cut the connection */

/* http_server_request.c: libmicrohttpd's callbacks */
void *http_request_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_request_on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *data_len, void **rq_ctx);
void http_request_on_completed(
	void *cls, struct MHD_Connection *mhd, void **rq_ctx, enum MHD_RequestTerminationCode how);

/* http_server_uri.c: cuts rq->uri into path and query; -1 ERR_INPUT. */
int http_uri_split(struct http_request *rq, struct err *err);

/* http_reply.c */
void http_reply_response(
	struct http_request *rq, int status, struct MHD_Response *response); /* taken, NULL: no memory */
void http_stream_close(struct http_stream_state *st);

#endif
