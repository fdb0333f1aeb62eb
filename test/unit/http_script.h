/* http_script.h - a peer that takes one connection on loopback, waits for a request's header block and then says what it
 * was told to, HTTP or not.  Aborts the test program when the system refuses. */
#ifndef PCAPLINE_TEST_UNIT_HTTP_SCRIPT_H
#define PCAPLINE_TEST_UNIT_HTTP_SCRIPT_H

#include <pthread.h>
#include <stdint.h>

struct http_script {
	uint16_t port;
	int listen_fd;
	pthread_t thread;
	char *text;
	const char *more; /* repeated behind text until the client goes; NULL: not */
	int held;         /* keep the connection open until the client goes */
};

void http_script_start(struct http_script *s, const char *text); /* then the connection is ended */
void http_script_start_held(struct http_script *s, const char *text);
void http_script_start_endless(struct http_script *s, const char *text, const char *more /* borrowed */);
void http_script_stop(struct http_script *s);

#endif
