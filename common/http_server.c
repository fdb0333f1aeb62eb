/* The listener: options to libmicrohttpd, connections as they come and go, start, quiesce, stop.
 *
 * libmicrohttpd runs one thread per connection, so handlers and streams may block.  A stream's buffer is what is left of
 * the connection's memory pool once the header blocks are in it, and chunks are built in place there; so the pool is made
 * a little larger than stream_block_bytes.  The pool is mapped, not touched, until it is used. */
#include "common/clock.h"
#include "common/http_server_internal.h"
#include "common/log.h"
#include "common/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_POOL_OVERHEAD (24 * 1024) /* header list, answer's headers, chunk frame */
#define HTTP_BACKLOG       1024
#define HTTP_OPTIONS_MAX   16
#define HTTP_FILES_OTHER   256 /* open files besides two for each connection: one that ends while another begins */

/* Nothing may be on its way on a quiet stream for hours; a peer that has lost power is noticed by TCP's own probes. */
#define HTTP_KEEPALIVE_IDLE_S     15
#define HTTP_KEEPALIVE_INTERVAL_S 5
#define HTTP_KEEPALIVE_PROBES     3

/* http_address: text and port of one end; an IPv4 address that came in over an IPv6 socket is shown as what it is. */
static void http_address(const struct sockaddr_storage *ss, char text[INET6_ADDRSTRLEN], uint16_t *ret_port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	snprintf(text, INET6_ADDRSTRLEN, "unknown");
	if (ss->ss_family == AF_INET) {
		memcpy(&in, ss, sizeof(in));
		inet_ntop(AF_INET, &in.sin_addr, text, INET6_ADDRSTRLEN);
		*ret_port = ntohs(in.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(&in6, ss, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
		else
			inet_ntop(AF_INET6, &in6.sin6_addr, text, INET6_ADDRSTRLEN);
		*ret_port = ntohs(in6.sin6_port);
	}
}

static void conn_set_keepalive(int fd)
{
	const int on = 1, idle = HTTP_KEEPALIVE_IDLE_S, interval = HTTP_KEEPALIVE_INTERVAL_S, n = HTTP_KEEPALIVE_PROBES;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &n, sizeof(n));
}

static struct http_conn *conn_new(struct http_server *s, int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct http_conn *c = calloc(1, sizeof(*c));
	uint16_t peer_port = 0;

	if (!c)
		return NULL;
	c->server = s;
	c->fd = fd;
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		ss.ss_family = AF_UNSPEC;
	http_address(&ss, c->peer, &peer_port);
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		ss.ss_family = AF_UNSPEC;
	http_address(&ss, c->local, &c->local_port);
	conn_set_keepalive(fd);
	return c;
}

/* Called by libmicrohttpd's listening thread, before the connection's thread runs and after it has ended. */
static void http_on_connection(
	void *cls, struct MHD_Connection *mhd, void **conn_ctx, enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = cls;
	struct http_conn *c = *conn_ctx;
	const union MHD_ConnectionInfo *info;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (c) {
			http_guard_remove(c);
			free(c);
		}
		*conn_ctx = NULL;
		return;
	}
	info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	c = info ? conn_new(s, info->connect_fd) : NULL;
	*conn_ctx = c;
	if (c)
		http_guard_add(c);
	/* A connection that cannot be guarded, or not asked for its certificate, must not speak at all. */
	if (!http_tls_require_client(s, mhd) || !c) {
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
	}
}

/* Only the library's own words: what it fills in may be a target, and a target may be a signed link. */
static void http_on_log(void *cls, const char *fmt, va_list ap)
{
	char text[160];

	(void)cls;
	(void)ap;
	log_event(
		LOG_LEVEL_DEBUG, "http.library", json_pack("{s:s}", "text", parse_printable(fmt, text, sizeof(text))));
}

/* Percent encoding is ours to decode and refuse (http_server_uri.c). */
static size_t http_unescape_not(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls;
	(void)mhd;
	return strlen(text);
}

static int http_check_options(const struct http_server_options *o, bool loopback, struct err *err)
{
	if (!o->on_request)
		return err_set(err, ERR_INTERNAL, "no request handler");
	if (o->connections_max == 0)
		return err_set(err, ERR_INPUT, "at least one connection must be allowed");
	if (o->header_bytes_max == 0 || o->stream_block_bytes > SIZE_MAX / 4 || o->header_bytes_max > SIZE_MAX / 8)
		return err_set(err, ERR_INPUT, "header or block size out of range");
	if (!o->tls && o->client_name)
		return err_set(err, ERR_INPUT, "client certificates need TLS");
	if (!o->tls && !loopback)
		return err_set(err, ERR_INPUT, "plain HTTP is for loopback addresses only, not for %s", o->address);
	return o->tls ? http_tls_check(o, err) : 0;
}

/* http_need_files: without a descriptor to accept with, libmicrohttpd would try again and again at full speed.  So there
 * are enough of them from the start, or there is no start. */
static int http_need_files(unsigned connections, struct err *err)
{
	const rlim_t need = 2 * (rlim_t)connections + HTTP_FILES_OTHER;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return err_sys(err, errno, "limit of open files");
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= need)
		return 0;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < need)
		return err_set(err, ERR_INPUT, "%u connections need %llu open files, the process may have %llu",
			connections, (unsigned long long)need, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = need;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? err_sys(err, errno, "limit of open files") : 0;
}

static int http_parse_address(const char *text, uint16_t port, struct sockaddr_storage *ret, socklen_t *ret_len,
	bool *ret_loopback, struct err *err)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(ret, 0, sizeof(*ret));
	if (text && inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(ret, &in, sizeof(in));
		*ret_len = sizeof(in);
		*ret_loopback = ntohl(in.sin_addr.s_addr) >> 24 == 127;
		return 0;
	}
	if (text && inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
		memcpy(ret, &in6, sizeof(in6));
		*ret_len = sizeof(in6);
		*ret_loopback = IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
		return 0;
	}
	return err_set(err, ERR_INPUT, "listen address \"%s\" is neither IPv4 nor IPv6", text ? text : "");
}

/* http_listen: our own socket instead of libmicrohttpd's, for errors with a reason. */
static int http_listen(const char *address, const struct sockaddr_storage *ss, socklen_t len, struct err *err)
{
	const int on = 1, off = 0;
	uint16_t port = 0;
	char text[INET6_ADDRSTRLEN];
	int fd;

	http_address(ss, text, &port);
	fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, errno, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (const struct sockaddr *)ss, len) < 0 || listen(fd, HTTP_BACKLOG) < 0) {
		err_sys(err, errno, "listen on %s port %u", address, port);
		close(fd);
		return -1;
	}
	return fd;
}

static int http_port_of(int fd, uint16_t *ret_port, struct err *err)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	char text[INET6_ADDRSTRLEN];

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return err_sys(err, errno, "listening socket");
	http_address(&ss, text, ret_port);
	return 0;
}

/* http_run: starts libmicrohttpd on s->listen_fd.  When that fails, some of its ways out have closed the socket and some
 * have not: it is left alone, for closing another's is worse than losing one at the end of a program. */
static int http_run(struct http_server *s, const struct tls_files *tls, struct err *err)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
			 MHD_USE_ERROR_LOG | MHD_USE_ITC;
	/* Ours (http_guard_add) is connections_max and the reserve; libmicrohttpd also counts those that are about to end. */
	unsigned most =
		s->o.connections_max < UINT_MAX / 8 ? s->o.connections_max + s->o.connections_reserved : UINT_MAX / 4;
	unsigned limit = 2 * most + 64;
	struct MHD_OptionItem options[HTTP_OPTIONS_MAX] = {0};
	size_t n = 0;

	options[n++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, s->listen_fd, NULL};
	options[n++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_LIMIT, limit, NULL};
	options[n++] =
		(struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT, s->o.connections_per_address_max, NULL};
	options[n++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)s->pool_bytes, NULL};
	options[n++] = (struct MHD_OptionItem){MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL};
	options[n++] = (struct MHD_OptionItem){MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)http_request_on_uri, s};
	options[n++] = (struct MHD_OptionItem){MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_request_on_completed, s};
	options[n++] = (struct MHD_OptionItem){MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)http_on_connection, s};
	options[n++] = (struct MHD_OptionItem){MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)http_unescape_not, s};
	if (tls) {
		flags |= MHD_USE_TLS;
		options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)http_tls_priorities()};
		options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert_pem};
		options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key_pem};
		if (s->client_name)
			options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, tls->ca_pem};
	}
	options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_request_on_access, s, MHD_OPTION_EXTERNAL_LOGGER,
		http_on_log, NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!s->daemon) {
		s->listen_fd = -1;
		return err_set(err, ERR_INTERNAL, "the HTTP library did not start (its reason is in the debug log)");
	}
	return 0;
}

static void http_free(struct http_server *s)
{
	http_guard_stop(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	free(s->client_name);
	free(s);
}

static struct http_server *http_new(const struct http_server_options *o, struct err *err)
{
	struct http_server *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->o = *o;
	s->o.address = NULL;
	s->o.tls = NULL;
	s->o.client_name = NULL;
	s->tls = o->tls != NULL;
	s->listen_fd = -1;
	if (s->o.stream_block_bytes == 0)
		s->o.stream_block_bytes = HTTP_FILE_BLOCK;
	s->pool_bytes = s->o.stream_block_bytes + 2 * o->header_bytes_max + HTTP_POOL_OVERHEAD;
	if (o->client_name && !(s->client_name = strdup(o->client_name)))
		goto nomem;
	if (pthread_mutex_init(&s->lock, NULL))
		goto nomem;
	if (clock_cond_init(&s->changed)) {
		pthread_mutex_destroy(&s->lock);
		goto nomem;
	}
	return s;
nomem:
	err_nomem(err);
	free(s->client_name);
	free(s);
	return NULL;
}

struct http_server *http_server_start(const struct http_server_options *o, struct err *err)
{
	struct sockaddr_storage ss;
	socklen_t len = 0;
	bool loopback = false;
	struct http_server *s;

	if (http_parse_address(o->address, o->port, &ss, &len, &loopback, err) < 0)
		return NULL;
	if (http_check_options(o, loopback, err) < 0 ||
		http_need_files(o->connections_max + o->connections_reserved, err) < 0)
		return NULL;
	s = http_new(o, err);
	if (!s)
		return NULL;
	s->listen_fd = http_listen(o->address, &ss, len, err);
	if (s->listen_fd < 0 || http_port_of(s->listen_fd, &s->port, err) < 0 || http_guard_start(s, err) < 0 ||
		http_run(s, o->tls, err) < 0) {
		http_free(s);
		return NULL;
	}
	return s;
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->port;
}

unsigned http_server_connections(const struct http_server *s)
{
	struct http_server *w = (struct http_server *)s; /* only for the lock */
	unsigned n;

	pthread_mutex_lock(&w->lock);
	n = w->live_n;
	pthread_mutex_unlock(&w->lock);
	return n;
}

void http_server_quiesce(struct http_server *s)
{
	bool was;

	pthread_mutex_lock(&s->lock);
	was = s->quiesced;
	s->quiesced = true;
	pthread_mutex_unlock(&s->lock);
	if (was)
		return;
	MHD_quiesce_daemon(s->daemon);
	/* Those in the kernel's queue, and all to come, are refused at once instead of waiting for our end.  The
	 * socket stays ours to close after libmicrohttpd's thread is gone. */
	shutdown(s->listen_fd, SHUT_RDWR);
}

void http_server_stop(struct http_server *s)
{
	if (!s)
		return;
	http_server_quiesce(s);
	http_guard_drain(s);
	MHD_stop_daemon(s->daemon);
	http_free(s);
}
