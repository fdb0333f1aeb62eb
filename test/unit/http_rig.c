/* http_rig.c - see http_rig.h. */
#include "test/unit/http_rig.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void rig_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "http rig: %s: %s\n", what, strerror(errno));
	abort();
}

uint8_t rig_byte(uint64_t pos)
{
	return (uint8_t)(pos ^ pos >> 8 ^ pos >> 16);
}

/* ---- routes ---- */

struct rig_stream {
	struct rig *rig;
	int fd;
	enum { STREAM_BLOCKS, STREAM_ABORT, STREAM_HOLD, STREAM_QUIET } kind;
	unsigned blocks;
	uint64_t pos;
};

static bool rig_hung_up(int fd, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, wait_ms) > 0;
}

static ssize_t rig_stream_wait(struct rig_stream *s, uint8_t *dst)
{
	if (s->pos == 0) {
		dst[0] = rig_byte(s->pos++);
		return 1;
	}
	if (s->kind == STREAM_QUIET)
		return rig_hung_up(s->fd, s->rig->quiet_ms) ? HTTP_STREAM_ABORT : HTTP_STREAM_END;
	while (!atomic_load(&s->rig->release)) {
		if (rig_hung_up(s->fd, 10))
			return HTTP_STREAM_ABORT;
	}
	return HTTP_STREAM_END;
}

static ssize_t rig_stream_read(void *ctx, uint8_t *dst, size_t max)
{
	struct rig_stream *s = ctx;
	size_t i;

	if (max > atomic_load(&s->rig->largest_read))
		atomic_store(&s->rig->largest_read, max);
	if (s->kind == STREAM_HOLD || s->kind == STREAM_QUIET)
		return rig_stream_wait(s, dst);
	if (s->blocks == 0)
		return s->kind == STREAM_ABORT ? HTTP_STREAM_ABORT : HTTP_STREAM_END;
	s->blocks--;
	for (i = 0; i < max; i++)
		dst[i] = rig_byte(s->pos + i);
	s->pos += max;
	return (ssize_t)max;
}

static void rig_stream_close(void *ctx)
{
	struct rig_stream *s = ctx;

	atomic_fetch_add(&s->rig->streams_closed, 1);
	free(s);
}

static void rig_reply_stream(struct rig *r, struct http_request *rq, int kind)
{
	static const struct http_stream ops = {.read = rig_stream_read, .close = rig_stream_close};
	const char *n = http_request_query(rq, "n");
	struct rig_stream *s = calloc(1, sizeof(*s));

	rig_must(s != NULL, "memory");
	s->rig = r;
	s->fd = http_request_fd(rq);
	s->kind = kind;
	s->blocks = n ? (unsigned)strtoul(n, NULL, 10) : 1;
	atomic_fetch_add(&r->streams_opened, 1);
	http_reply_stream(rq, 200, "application/octet-stream", &ops, s);
}

static void rig_reply_echo(struct http_request *rq)
{
	const char *auth = http_request_header(rq, "Authorization"), *type = http_request_header(rq, "Content-Type");
	const char *q = http_request_query(rq, "q");
	uint16_t port = 0;
	const char *local = http_request_local(rq, &port);
	size_t n = 0;
	const char *body = http_request_body(rq, &n);

	http_reply_json(rq, 200,
		json_pack("{s:s, s:b, s:s, s:s?, s:s%, s:s, s:s, s:i, s:s?, s:s?}", "method", http_request_method(rq),
			"head", http_request_is_head(rq), "path", http_request_path(rq), "q", q, "body", body, n,
			"peer", http_request_peer(rq), "local", local, "port", (int)port, "auth", auth, "type", type));
}

static void rig_reply_file(struct http_request *rq)
{
	int fd = memfd_create("rig", MFD_CLOEXEC);
	size_t n = strlen(RIG_FILE_TEXT);

	rig_must(fd >= 0 && write(fd, RIG_FILE_TEXT, n) == (ssize_t)n, "file");
	http_reply_file(rq, fd, http_request_query(rq, "empty") ? 0 : n, "text/plain", "\"v1\"");
}

struct rig_reader {
	struct rig *rig;
	uint64_t n, cut; /* n 0: RIG_FILE_TEXT */
};

static int rig_reader_read(void *ctx, uint64_t offset, void *dst, size_t n, struct err *err)
{
	const struct rig_reader *f = ctx;
	size_t i;

	if (n > atomic_load(&f->rig->largest_read))
		atomic_store(&f->rig->largest_read, n);
	if (offset + n > f->cut)
		return err_set(err, ERR_NET, "cut");
	for (i = 0; i < n; i++)
		((uint8_t *)dst)[i] = f->n ? rig_byte(offset + i) : (uint8_t)RIG_FILE_TEXT[offset + i];
	return 0;
}

static void rig_reader_close(void *ctx)
{
	struct rig_reader *f = ctx;

	atomic_fetch_add(&f->rig->streams_closed, 1);
	free(f);
}

static void rig_reply_reader(struct rig *r, struct http_request *rq)
{
	static const struct http_reader ops = {.read = rig_reader_read, .close = rig_reader_close};
	const char *n = http_request_query(rq, "n"), *cut = http_request_query(rq, "cut");
	struct rig_reader *f = calloc(1, sizeof(*f));
	uint64_t size = strlen(RIG_FILE_TEXT);

	rig_must(f != NULL, "memory");
	f->rig = r;
	f->n = n ? strtoull(n, NULL, 10) : 0;
	f->cut = cut ? strtoull(cut, NULL, 10) : UINT64_MAX;
	if (f->n || http_request_query(rq, "empty"))
		size = f->n;
	atomic_fetch_add(&r->streams_opened, 1);
	http_reply_reader(rq, &ops, f, size, "text/plain", "\"v1\"");
}

static void rig_reply_err(struct http_request *rq)
{
	struct err e = {0};
	const char *k = http_request_query(rq, "k");

	err_set(&e, (enum err_code)strtoul(k ? k : "", NULL, 10), "the secret reason");
	if (http_request_query(rq, "field"))
		err_field(&e, http_request_query(rq, "field"));
	if (http_request_query(rq, "header")) {
		http_reply_header(rq, "Retry-After", "77");
		http_reply_header(rq, "X-Split", "a\r\nX-Injected: b");
	}
	http_reply_err(rq, &e);
}

static void rig_reply_known(struct http_request *rq)
{
	static const char *const names[] = {"a", "b", NULL};
	struct err e = {0};

	if (http_request_query_known(rq, names, &e) < 0)
		http_reply_err(rq, &e);
	else
		http_reply_empty(rq, 200);
}

static void rig_on_headers(void *ctx, struct http_request *rq)
{
	struct rig *r = ctx;

	atomic_fetch_add(&r->headers, 1);
	http_request_set_user(rq, r);
	if (strcmp(http_request_path(rq), "/early") == 0)
		http_reply_error(rq, 401, "auth", NULL, "no token");
}

static void rig_on_request(void *ctx, struct http_request *rq)
{
	struct rig *r = ctx;
	const char *path = http_request_path(rq);

	atomic_fetch_add(&r->requests, 1);
	if (strcmp(path, "/file") == 0)
		rig_reply_file(rq);
	else if (strcmp(path, "/reader") == 0)
		rig_reply_reader(r, rq);
	else if (strcmp(path, "/err") == 0)
		rig_reply_err(rq);
	else if (strcmp(path, "/known") == 0)
		rig_reply_known(rq);
	else if (strcmp(path, "/stream") == 0)
		rig_reply_stream(r, rq, STREAM_BLOCKS);
	else if (strcmp(path, "/abort") == 0)
		rig_reply_stream(r, rq, STREAM_ABORT);
	else if (strcmp(path, "/hold") == 0) {
		http_reply_header(rq, "Reserved", http_request_is_reserved(rq) ? "yes" : "no");
		rig_reply_stream(r, rq, STREAM_HOLD);
	} else if (strcmp(path, "/quiet") == 0)
		rig_reply_stream(r, rq, STREAM_QUIET);
	else if (strcmp(path, "/forget") != 0)
		rig_reply_echo(rq);
}

static void rig_on_done(void *ctx, struct http_request *rq)
{
	struct rig *r = ctx;

	rig_must(http_request_user(rq) == r, "the request's user pointer is gone");
	atomic_fetch_add(&r->done, 1);
}

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->o.address = "127.0.0.1";
	r->o.connections_max = 400;
	r->o.idle_timeout_s = 60;
	r->o.header_timeout_s = 60;
	r->o.body_timeout_s = 60;
	r->o.header_bytes_max = RIG_HEADER_MAX;
	r->o.body_bytes_max = RIG_BODY_MAX;
	r->o.stream_block_bytes = RIG_BLOCK;
	r->o.on_headers = rig_on_headers;
	r->o.on_request = rig_on_request;
	r->o.on_done = rig_on_done;
	r->o.ctx = r;
}

void rig_start(struct rig *r)
{
	struct err err = {0};

	r->server = http_server_start(&r->o, &err);
	if (!r->server)
		fprintf(stderr, "http rig: %s\n", err.msg);
	rig_must(r->server != NULL, "start");
}

void rig_stop(struct rig *r)
{
	atomic_store(&r->release, true);
	http_server_stop(r->server);
	rig_must(atomic_load(&r->headers) == atomic_load(&r->done), "a request has not ended");
	rig_must(atomic_load(&r->streams_opened) == atomic_load(&r->streams_closed), "a stream was not closed once");
}

void rig_wait(const atomic_uint *what, unsigned n)
{
	const struct timespec tick = {.tv_nsec = 2000000};
	uint64_t end = clock_mono_ns() + RIG_WAIT_MS * CLOCK_NS_PER_MS;

	while (atomic_load(what) < n) {
		rig_must(clock_mono_ns() < end, "waited in vain");
		nanosleep(&tick, NULL);
	}
}

/* ---- the raw client ---- */

int rig_connect(uint16_t port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = RIG_WAIT_MS / 1000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	rig_must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0, "socket");
	rig_must(connect(fd, (const struct sockaddr *)&in, sizeof(in)) == 0, "connect");
	return fd;
}

bool rig_try_send(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;
	ssize_t k;

	while (n > 0) {
		k = send(fd, at, n, MSG_NOSIGNAL);
		if (k < 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

void rig_send(int fd, const void *p, size_t n)
{
	rig_must(rig_try_send(fd, p, n), "send");
}

void rig_say(int fd, const char *text)
{
	rig_send(fd, text, strlen(text));
}

size_t rig_read(int fd, char *ret, size_t size, const char *stop)
{
	size_t n = 0;
	ssize_t k;

	ret[0] = '\0';
	while (n < size - 1 && !(stop && memmem(ret, n, stop, strlen(stop)))) {
		k = recv(fd, ret + n, size - 1 - n, 0);
		if (k < 0)
			rig_must(errno == ECONNRESET, "no answer in time");
		if (k <= 0)
			break;
		n += (size_t)k;
		ret[n] = '\0';
	}
	return n;
}

bool rig_is_closed(int fd)
{
	char waste[4096];
	ssize_t k;

	while ((k = recv(fd, waste, sizeof(waste), 0)) > 0)
		;
	return k == 0 || errno == ECONNRESET;
}

size_t rig_ask(uint16_t port, const void *text, size_t n, char *ret, size_t size)
{
	int fd = rig_connect(port);
	size_t got;

	rig_try_send(fd, text, n); /* refused half way is a fine answer */
	got = rig_read(fd, ret, size, NULL);
	close(fd);
	return got;
}
