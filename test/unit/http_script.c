/* http_script.c - see http_script.h. */
#include "test/unit/http_script.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRIPT_WAIT_MS 30000

static void script_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "http script: %s: %s\n", what, strerror(errno));
	abort();
}

static bool script_send(int fd, const char *text)
{
	size_t n = strlen(text);
	ssize_t k;

	for (; n > 0; n -= (size_t)k, text += k) {
		k = send(fd, text, n, MSG_NOSIGNAL);
		if (k < 0)
			return false;
	}
	return true;
}

static void *script_main(void *arg)
{
	struct http_script *s = arg;
	struct pollfd p = {.events = POLLRDHUP};
	char request[8192];
	size_t n = 0;
	ssize_t k = 1;

	p.fd = accept(s->listen_fd, NULL, NULL);
	if (p.fd < 0)
		return NULL; /* stopped before anybody came */
	while (k > 0 && !memmem(request, n, "\r\n\r\n", 4) && n < sizeof(request)) {
		k = recv(p.fd, request + n, sizeof(request) - n, 0);
		n += k > 0 ? (size_t)k : 0;
	}
	if (script_send(p.fd, s->text)) {
		while (s->more && script_send(p.fd, s->more))
			;
		if (s->held)
			poll(&p, 1, SCRIPT_WAIT_MS);
	}
	close(p.fd);
	return NULL;
}

static void script_run(struct http_script *s, const char *text, const char *more, int held)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);

	memset(s, 0, sizeof(*s));
	s->text = strdup(text);
	s->more = more;
	s->held = held;
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	script_must(s->text && s->listen_fd >= 0, "socket");
	script_must(bind(s->listen_fd, (struct sockaddr *)&in, len) == 0 && listen(s->listen_fd, 4) == 0, "listen");
	script_must(getsockname(s->listen_fd, (struct sockaddr *)&in, &len) == 0, "port");
	s->port = ntohs(in.sin_port);
	script_must(pthread_create(&s->thread, NULL, script_main, s) == 0, "thread");
}

void http_script_start(struct http_script *s, const char *text)
{
	script_run(s, text, NULL, 0);
}

void http_script_start_held(struct http_script *s, const char *text)
{
	script_run(s, text, NULL, 1);
}

void http_script_start_endless(struct http_script *s, const char *text, const char *more)
{
	script_run(s, text, more, 0);
}

void http_script_stop(struct http_script *s)
{
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	free(s->text);
}
