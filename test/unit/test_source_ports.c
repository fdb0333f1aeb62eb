/* test_source_ports.c - connections leave from the range that was set, in turn, past ports that are taken. */
#include "common/source_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_client.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 20480 /* nobody's in these tests */

/* Our end of a connection made by libcurl's own rules. */
static unsigned port_of_call(const char *host, int family)
{
	int listener = socket(family, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback}, peer = {0};
	socklen_t len = sizeof(peer);
	char url[80];
	CURL *easy;
	int fd;

	assert_true(listener >= 0);
	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET)
		assert_int_equal(bind(listener, (const struct sockaddr *)&in, sizeof(in)), 0);
	else
		assert_int_equal(bind(listener, (const struct sockaddr *)&in6, sizeof(in6)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&peer, &len), 0);
	snprintf(url, sizeof(url), "http://%s:%u/", host, ntohs(peer.sin6_port)); /* at the same place for both */
	easy = curl_easy_init();
	assert_non_null(easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	assert_int_equal(source_ports_of(easy), CURLE_OK);
	assert_int_equal(curl_easy_perform(easy), CURLE_OK);
	len = sizeof(peer);
	fd = accept(listener, (struct sockaddr *)&peer, &len);
	assert_true(fd >= 0);
	curl_easy_cleanup(easy);
	close(fd);
	close(listener);
	return ntohs(peer.sin6_port);
}

static void test_any(void **state)
{
	(void)state;
	source_ports_set(0);
	assert_int_not_equal(port_of_call("127.0.0.1", AF_INET), 0);
}

static void test_in_turn(void **state)
{
	unsigned before = 0;

	(void)state;
	source_ports_set(FIRST);
	for (int i = 0; i < 20; i++) {
		unsigned port = port_of_call(i & 1 ? "127.0.0.1" : "[::1]", i & 1 ? AF_INET : AF_INET6);

		assert_in_range(port, FIRST, FIRST + SOURCE_PORTS_N - 1);
		assert_int_not_equal(port, before);
		before = port;
	}
}

static void test_taken_ports_are_passed(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	unsigned next;
	int fds[8];

	(void)state;
	source_ports_set(FIRST);
	next = port_of_call("127.0.0.1", AF_INET) + 1;
	for (unsigned i = 0; i < 8; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		in.sin_port = htons((uint16_t)(next + i));
		(void)bind(fds[i], (const struct sockaddr *)&in, sizeof(in));
	}
	assert_in_range(port_of_call("127.0.0.1", AF_INET), next + 8, FIRST + SOURCE_PORTS_N - 1);
	for (unsigned i = 0; i < 8; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_in_turn),
		cmocka_unit_test(test_taken_ports_are_passed),
	};
	struct err err = {0};

	if (http_client_global_init(&err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
