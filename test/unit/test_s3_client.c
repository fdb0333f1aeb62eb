/* test_s3_client.c - one request and its answer, of a store that goes on and on. */
#include "uploader/s3/s3_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/http_script.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct s3_client *client_at(unsigned port)
{
	const struct s3_credentials_options keys = {
		.source = S3_SOURCE_STATIC, .access_key = "AK", .secret_key = "SK", .session_token = ""};
	char endpoint[64];
	struct s3_client_options o = {.endpoint = endpoint,
		.bucket = "captures-1",
		.region = "us-east-1",
		.path_style = true,
		.ca_file = "",
		.credentials = s3_credentials_new(&keys, NULL)};
	struct s3_client *c;
	struct err err = {0};

	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", port);
	if (!(c = s3_client_new(&o, &err)))
		fail_msg("%s", err.msg);
	return c;
}

static int count(void *ctx, const uint8_t *p, size_t n)
{
	(void)p;
	*(uint64_t *)ctx += n;
	return 0;
}

static void test_more_than_expected(void **state)
{
	uint64_t got = 0;
	const struct s3_request rq = {
		.method = "GET", .key = "captures/x.pcapng", .on_data = count, .ctx = &got, .data_bytes = 1000};
	struct http_script s;
	struct s3_client *c;
	struct err err = {0};

	(void)state;
	http_script_start_endless(&s, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", "0123456789abcdef");
	c = client_at(s.port);
	assert_int_equal(s3_call(c, &rq, NULL, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "1000 bytes"));
	assert_true(got <= 1000);
	s3_client_free(c);
	http_script_stop(&s);
}

/* A byte now and then is not silence. */
static void *drip(void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
	int fd = accept(*(const int *)arg, NULL, NULL);
	char request[4096];

	if (recv(fd, request, sizeof(request), 0) <= 0 || write(fd, answer, sizeof(answer) - 1) < 0)
		abort();
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		(void)poll(NULL, 0, 10);
	close(fd);
	return NULL;
}

static void test_drip(void **state)
{
	const struct s3_request rq = {.method = "GET", .key = "captures/x.pcapng", .timeout_ms = 200};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);
	struct s3_client *c;
	struct err err = {0};
	pthread_t thread;

	(void)state;
	assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(pthread_create(&thread, NULL, drip, &listener), 0);
	c = client_at(ntohs(at.sin_port));
	assert_int_equal(s3_call(c, &rq, NULL, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_non_null(strstr(err.msg, "not over"));
	pthread_join(thread, NULL);
	s3_client_free(c);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_more_than_expected),
		cmocka_unit_test(test_drip),
	};

	if (http_client_global_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
