/* lying_store.c - see lying_store.h.  One connection after the other, one request in each. */
#include "test/unit/lying_store.h"

#include "common/digest.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANG_MS 60000

static void store_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "lying store: %s: %s\n", what, strerror(errno));
	abort();
}

static bool send_bytes(int fd, const void *p, size_t n)
{
	const char *at = p;
	ssize_t k;

	for (; n > 0; n -= (size_t)k, at += k) {
		k = send(fd, at, n, MSG_NOSIGNAL);
		if (k < 0)
			return false;
	}
	return true;
}

static bool __attribute__((format(printf, 2, 3))) say(int fd, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	store_must(n >= 0 && (size_t)n < sizeof(text), "answer is too long");
	return send_bytes(fd, text, (size_t)n);
}

static void answer(int fd, const char *status, const char *body)
{
	say(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status, strlen(body), body);
}

/* ---- PUT ---- */

static void put_refuse(int fd, enum lie lie, uint16_t port)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	switch ((int)lie) {
	case LIE_PUT_500:
		answer(fd, "500 Internal Server Error", "");
		break;
	case LIE_PUT_502:
		answer(fd, "502 Bad Gateway", "<html><body><h1>502 Bad Gateway</h1></body></html>");
		break;
	case LIE_PUT_LOST:
		answer(fd, "200 OK", "");
		break;
	case LIE_PUT_CUT:
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
		break;
	case LIE_PUT_REDIRECT:
		say(fd,
			"HTTP/1.1 307 Temporary Redirect\r\nLocation: "
			"http://127.0.0.1:%u/elsewhere/x\r\nContent-Length: 0\r\n"
			"Connection: close\r\n\r\n",
			port);
		break;
	case LIE_PUT_DIGEST:
		answer(fd, "400 Bad Request", "<?xml version=\"1.0\"?><Error><Code>BadDigest</Code></Error>");
		break;
	case LIE_PUT_SLOW_DOWN:
		answer(fd, "503 Slow Down", "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>");
		break;
	case LIE_PUT_HANGS:
		poll(&p, 1, HANG_MS);
		break;
	case LIE_PUT_CHATTER:
		say(fd, "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n");
		while (say(fd, "21\r\nand so on and so on and so on and\r\n"))
			;
		break;
	case LIE_PUT_DETAILS:
		say(fd, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n<?xml "
			"version=\"1.0\"?><Error><Code>AccessDenied</Code>");
		for (int i = 0; i < 400; i++)
			say(fd, "<%c%d/>", 'a' + i % 26, i);
		say(fd, "</Error>");
		break;
	}
}

static void do_put(struct lying_store *s, int fd, const char *head, const char *key, const uint8_t *body, size_t n)
{
	snprintf(s->last_put, sizeof(s->last_put), "%s", head);
	snprintf(s->put_key, sizeof(s->put_key), "%s", key);
	s->puts++;
	if (s->lie >= LIE_PUT_500 && s->lie <= LIE_PUT_DETAILS) {
		enum lie lie = s->lie;

		/* A hanging one must not keep the test from looking. */
		pthread_mutex_unlock(&s->lock);
		put_refuse(fd, lie, s->port);
		pthread_mutex_lock(&s->lock);
		return;
	}
	if (n > 0)
		memcpy(s->object, body, n);
	s->object_n = n;
	s->there = true;
	s->hidden = false;
	answer(fd, "200 OK", "");
}

/* ---- HEAD, GET, DELETE ---- */

static void etag_of(const struct lying_store *s, char ret[64])
{
	uint8_t sum[DIGEST_MD5_BYTES];

	store_must(digest_md5(s->object, s->object_n, sum, NULL) == 0, "MD5");
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
	if (s->lie == LIE_ETAG)
		ret[0] = ret[0] == '0' ? '1' : '0';
}

static void do_head(struct lying_store *s, int fd)
{
	bool lower = s->lie == LIE_LOWER_CASE;
	char etag[64];

	if (!s->there || s->hidden) {
		answer(fd, "404 Not Found", "");
		return;
	}
	etag_of(s, etag);
	say(fd, "HTTP/1.1 200 OK\r\n%s: %zu\r\n%s: \"%s\"\r\n", lower ? "content-length" : "Content-Length",
		s->object_n + (s->lie == LIE_SIZE), lower ? "etag" : "ETag", etag);
	for (int i = 0; s->lie == LIE_MANY_HEADERS && i < 800; i++)
		say(fd, "x-amz-meta-: \r\n");
	say(fd, "Connection: close\r\n\r\n");
}

static void do_get(struct lying_store *s, int fd, const char *head)
{
	const char *range = strcasestr(head, "\r\nRange: bytes=");
	size_t first = 0, last = 0, n;
	char *dash;
	uint8_t other;

	if (range) {
		first = strtoull(strchr(range, '=') + 1, &dash, 10);
		last = strtoull(dash + 1, NULL, 10);
	}
	if (!s->there || !range) {
		answer(fd, "404 Not Found", "<Error><Code>NoSuchKey</Code></Error>");
		return;
	}
	if (s->lie == LIE_GET_WHOLE) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", s->object_n);
		send_bytes(fd, s->object, s->object_n);
		return;
	}
	last = last < s->object_n ? last : s->object_n - 1;
	if (s->lie == LIE_GET_SHORT)
		last = (first + last) / 2;
	n = last - first + 1;
	say(fd,
		"HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\nContent-Range: bytes "
		"%zu-%zu/%zu\r\nConnection: close\r\n\r\n",
		n, first, last, s->object_n);
	other = (uint8_t)(s->object[first] + (s->lie == LIE_GET_OTHER));
	send_bytes(fd, &other, 1);
	send_bytes(fd, s->object + first + 1, s->lie == LIE_GET_CUT ? n / 10 : n - 1);
}

static void do_list(struct lying_store *s, int fd)
{
	char body[2048];

	snprintf(body, sizeof(body),
		"<?xml "
		"version=\"1.0\"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>%s%s%s</"
		"ListBucketResult>",
		s->there ? "<Contents><Key>" : "", s->there ? s->put_key : "",
		s->there ? "</Key><Size>3</Size><ETag>\"x\"</ETag></Contents>" : "");
	answer(fd, "200 OK", body);
}

static void do_delete(struct lying_store *s, int fd)
{
	s->deletes++;
	if (s->lie == LIE_DELETE_HIDES)
		s->hidden = true;
	else if (s->lie != LIE_DELETE_KEEPS)
		s->there = false;
	say(fd, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
}

/* ---- a connection ---- */

static size_t read_head(int fd, char *head, size_t size, size_t *ret_got)
{
	size_t n = 0;
	const char *end;
	ssize_t k;

	while (!(end = memmem(head, n, "\r\n\r\n", 4))) {
		if (n == size - 1 || (k = recv(fd, head + n, size - 1 - n, 0)) <= 0)
			return 0;
		n += (size_t)k;
	}
	*ret_got = n;
	return (size_t)(end - head) + 4;
}

static bool read_body(struct lying_store *s, int fd, const char *head, uint8_t *body, size_t got, size_t n)
{
	bool lies;
	ssize_t k;

	pthread_mutex_lock(&s->lock);
	lies = s->lie == LIE_NO_CONTINUE;
	pthread_mutex_unlock(&s->lock);
	if (!lies && strcasestr(head, "\r\nExpect: 100-continue"))
		say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
	while (got < n) {
		k = recv(fd, body + got, n - got, 0);
		if (k <= 0)
			return false;
		got += (size_t)k;
	}
	return true;
}

static void converse(struct lying_store *s, int fd, uint8_t *body)
{
	char head[LYING_REQUEST_MAX], line[LYING_REQUEST_MAX], *method, *path, *key, *query, *rest;
	size_t got = 0, head_n = read_head(fd, head, sizeof(head), &got), n = 0;
	const char *length;

	if (head_n == 0)
		return;
	memcpy(body, head + head_n, got - head_n);
	head[head_n] = '\0';
	if ((length = strcasestr(head, "\r\nContent-Length:")))
		n = strtoull(length + strlen("\r\nContent-Length:"), NULL, 10);
	memcpy(line, head, head_n + 1);
	method = strtok_r(line, " ", &rest);
	path = strtok_r(NULL, " ", &rest);
	if (!path || n > LYING_OBJECT_MAX || !read_body(s, fd, head, body, got - head_n, n))
		return;
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	key = strchr(path + 1, '/');
	pthread_mutex_lock(&s->lock);
	s->requests++;
	if (strcmp(method, "PUT") == 0)
		do_put(s, fd, head, key ? key + 1 : "", body, n);
	else if (strcmp(method, "HEAD") == 0)
		do_head(s, fd);
	else if (strcmp(method, "DELETE") == 0)
		do_delete(s, fd);
	else if (query && strstr(query, "max-keys"))
		do_list(s, fd);
	else
		do_get(s, fd, head);
	pthread_mutex_unlock(&s->lock);
}

/* An answer is on its way until the peer has read it: a close with unread bytes would take it back. */
static void end(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};
	char rest[4096];

	shutdown(fd, SHUT_WR);
	while (poll(&p, 1, HANG_MS) > 0 && recv(fd, rest, sizeof(rest), 0) > 0)
		;
	close(fd);
}

static void *store_main(void *arg)
{
	struct lying_store *s = arg;
	uint8_t *body = malloc(LYING_OBJECT_MAX + LYING_REQUEST_MAX);
	int fd;

	store_must(body != NULL, "memory");
	while ((fd = accept(s->listen_fd, NULL, NULL)) >= 0) {
		converse(s, fd, body);
		end(fd);
	}
	free(body);
	return NULL;
}

void lying_store_start(struct lying_store *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);

	memset(s, 0, sizeof(*s));
	s->object = malloc(LYING_OBJECT_MAX);
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	store_must(s->object && s->listen_fd >= 0 && pthread_mutex_init(&s->lock, NULL) == 0, "socket");
	store_must(bind(s->listen_fd, (struct sockaddr *)&in, len) == 0 && listen(s->listen_fd, 64) == 0, "listen");
	store_must(getsockname(s->listen_fd, (struct sockaddr *)&in, &len) == 0, "port");
	s->port = ntohs(in.sin_port);
	store_must(pthread_create(&s->thread, NULL, store_main, s) == 0, "thread");
}

void lying_store_stop(struct lying_store *s)
{
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	pthread_mutex_destroy(&s->lock);
	free(s->object);
}

void lying_store_set(struct lying_store *s, enum lie lie)
{
	pthread_mutex_lock(&s->lock);
	s->lie = lie;
	pthread_mutex_unlock(&s->lock);
}

bool lying_store_has(struct lying_store *s, const void *p, size_t n)
{
	bool has;

	pthread_mutex_lock(&s->lock);
	has = s->there && s->object_n == n && memcmp(s->object, p, n) == 0;
	pthread_mutex_unlock(&s->lock);
	return has;
}

unsigned lying_store_puts(struct lying_store *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->puts;
	pthread_mutex_unlock(&s->lock);
	return n;
}
