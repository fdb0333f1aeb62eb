/* test_http_server_guard.c - connections that take too long, come too many, or are there when the server ends; streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "test/unit/http_rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST  "Host: x\r\n"
#define FLOOD 300

static struct rig rig;
static char answer[4096];

static int setup(void **state)
{
	(void)state;
	rig_init(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void assert_served(void)
{
	static const char request[] = "GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";

	rig_ask(http_server_port(rig.server), request, sizeof(request) - 1, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
}

/* Says text, then a byte now and then, which no timeout that restarts would mind, until the server has had enough. */
static void drip(int fd, const char *text, char c)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	uint64_t end = clock_mono_ns() + RIG_WAIT_MS * CLOCK_NS_PER_MS;

	rig_say(fd, text);
	while (poll(&p, 1, 20) == 0) {
		assert_true(clock_mono_ns() < end);
		rig_try_send(fd, &c, 1);
	}
	assert_true(rig_is_closed(fd));
	close(fd);
}

static void dripped_headers_are_cut(void **state)
{
	(void)state;
	rig.o.header_timeout_s = 1;
	rig_start(&rig);
	drip(rig_connect(http_server_port(rig.server)), "G", 'x');
	drip(rig_connect(http_server_port(rig.server)), "GET /echo HTTP/1.1\r\nX: ", 'x');
	assert_served();
	assert_int_equal(rig.headers, 1);
}

static void silence_after_accept_is_cut(void **state)
{
	int fd;

	(void)state;
	rig.o.header_timeout_s = 1;
	rig_start(&rig);
	fd = rig_connect(http_server_port(rig.server));
	assert_true(rig_is_closed(fd));
	close(fd);
}

/* Also on a connection that has been good before; idle_timeout_s, a minute here, is not what ends it. */
static void dripped_headers_are_cut_on_a_kept_connection(void **state)
{
	int fd;

	(void)state;
	rig.o.header_timeout_s = 1;
	rig_start(&rig);
	fd = rig_connect(http_server_port(rig.server));
	rig_say(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
	rig_read(fd, answer, sizeof(answer), "\"type\":null}");
	drip(fd, "G", 'x');
	assert_int_equal(rig.done, 1);
}

static void a_dripped_body_is_cut(void **state)
{
	(void)state;
	rig.o.body_timeout_s = 1;
	rig_start(&rig);
	drip(rig_connect(http_server_port(rig.server)), "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 999\r\n\r\n",
		'x');
	rig_wait(&rig.done, 1);
	assert_int_equal(rig.requests, 0);
}

static void an_idle_connection_is_cut(void **state)
{
	int fd;

	(void)state;
	rig.o.idle_timeout_s = 1;
	rig_start(&rig);
	fd = rig_connect(http_server_port(rig.server));
	rig_say(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
	assert_true(rig_is_closed(fd)); /* behind the answer */
	assert_int_equal(rig.done, 1);
	close(fd);
}

static void flood(unsigned connections_max)
{
	int fd[FLOOD];
	size_t i;

	rig.o.connections_max = connections_max;
	rig_start(&rig);
	for (i = 0; i < FLOOD; i++) {
		fd[i] = rig_connect(http_server_port(rig.server));
		if (i % 2)
			rig_try_send(fd[i], "GET /", 5);
		if (i % 50 == 49)
			assert_served();
	}
	assert_served();
	assert_true(http_server_connections(rig.server) <= connections_max);
	for (i = 0; i < FLOOD; i++)
		close(fd[i]);
}

static void a_flood_within_the_limit_hurts_nobody(void **state)
{
	(void)state;
	flood(FLOOD + 100);
}

static void a_flood_over_the_limit_pushes_itself_out(void **state)
{
	(void)state;
	flood(64);
}

static void a_flood_does_not_push_out_who_is_served(void **state)
{
	int fd[FLOOD], good;
	size_t i, n;

	(void)state;
	rig.o.connections_max = 32;
	rig_start(&rig);
	good = rig_connect(http_server_port(rig.server));
	rig_say(good, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	rig_read(good, answer, sizeof(answer), "\r\n\r\n");
	for (i = 0; i < FLOOD; i++)
		fd[i] = rig_connect(http_server_port(rig.server));
	assert_served();
	atomic_store(&rig.release, true);
	n = rig_read(good, answer, sizeof(answer), "0\r\n\r\n"); /* the last chunk */
	assert_true(n >= 5);
	assert_memory_equal(answer + n - 5, "0\r\n\r\n", 5);
	for (i = 0; i < FLOOD; i++)
		close(fd[i]);
	close(good);
}

/* Two are held in a handler, so that neither can be pushed out: the third comes in by the reserve, the fourth not at all; and who leaves makes the third a guest like others. */
static void the_reserve_lets_in_and_says_so(void **state)
{
	int held[2], fd, fourth;

	(void)state;
	rig.o.connections_max = 2;
	rig.o.connections_reserved = 1;
	rig_start(&rig);
	for (unsigned i = 0; i < 2; i++) {
		held[i] = rig_connect(http_server_port(rig.server));
		rig_say(held[i], "GET /hold HTTP/1.1\r\n" HOST "\r\n");
		rig_read(held[i], answer, sizeof(answer), "\r\n\r\n");
		assert_non_null(strstr(answer, "Reserved: no"));
	}
	fd = rig_connect(http_server_port(rig.server));
	rig_say(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	rig_read(fd, answer, sizeof(answer), "\r\n\r\n");
	assert_non_null(strstr(answer, "Reserved: yes"));
	fourth = rig_connect(http_server_port(rig.server));
	assert_true(rig_is_closed(fourth));
	close(fourth);
	atomic_store(&rig.release, true);
	close(held[0]);
	close(held[1]);
	close(fd);
}

static void among_many_none_is_kept_alive(void **state)
{
	int fd[65];
	size_t i;

	(void)state;
	rig_start(&rig);
	for (i = 0; i < 65; i++) {
		fd[i] = rig_connect(http_server_port(rig.server));
		rig_say(fd[i], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
		rig_read(fd[i], answer, sizeof(answer), "\"type\":null}");
		assert_int_equal(strstr(answer, "Connection: close\r\n") != NULL, i == 64);
	}
	for (i = 0; i < 65; i++)
		close(fd[i]);
}

static void one_address_has_its_own_limit(void **state)
{
	int fd[3];
	size_t i;

	(void)state;
	rig.o.connections_per_address_max = 3;
	rig_start(&rig);
	for (i = 0; i < 3; i++) {
		fd[i] = rig_connect(http_server_port(rig.server));
		rig_say(fd[i], "GET /echo HTTP/1.1\r\n" HOST "\r\n");
		rig_read(fd[i], answer, sizeof(answer), "\"type\":null}");
	}
	i = (size_t)rig_connect(http_server_port(rig.server));
	assert_true(rig_is_closed((int)i));
	close((int)i);
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* Reads the chunks of a stream: how many bytes, -1 when it was cut before the last chunk or a byte is wrong. */
static int64_t read_stream(int fd)
{
	FILE *f = fdopen(dup(fd), "r");
	char line[256];
	uint64_t pos = 0, n = 0, i;
	int64_t ret = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && strcmp(line, "\r\n") != 0)
		;
	while (fgets(line, sizeof(line), f)) {
		n = strtoull(line, NULL, 16);
		if (n == 0) {
			ret = fgets(line, sizeof(line), f) ? (int64_t)pos : -1;
			break;
		}
		for (i = 0; i < n && getc(f) == rig_byte(pos + i); i++)
			;
		if (i < n || !fgets(line, sizeof(line), f))
			break;
		pos += n;
	}
	fclose(f);
	return ret;
}

static int ask_stream(const char *text)
{
	int fd = rig_connect(http_server_port(rig.server));

	rig_say(fd, text);
	return fd;
}

static void a_stream_fills_whole_blocks(void **state)
{
	int fd;

	(void)state;
	rig_start(&rig);
	fd = ask_stream("GET /stream?n=40 HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(read_stream(fd), 40 * RIG_BLOCK);
	assert_int_equal(rig.largest_read, RIG_BLOCK);
	/* Large request headers take nothing away from it. */
	rig_say(fd, "GET /stream?n=1 HTTP/1.1\r\n" HOST "X: ");
	memset(answer, 'x', sizeof(answer));
	rig_send(fd, answer, RIG_HEADER_MAX - 100);
	rig_say(fd, "\r\n\r\n");
	assert_int_equal(read_stream(fd), RIG_BLOCK);
	close(fd);
}

static void an_aborted_stream_is_seen_to_be_cut(void **state)
{
	int fd;

	(void)state;
	rig_start(&rig);
	fd = ask_stream("GET /abort?n=3 HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(read_stream(fd), -1);
	close(fd);
}

/* HTTP/1.0 knows no chunks: there the end of the connection, or its reset, is all that tells. */
static void an_old_reader_can_tell_too(void **state)
{
	static char block[RIG_BLOCK];
	ssize_t k;
	int fd;

	(void)state;
	rig_start(&rig);
	fd = ask_stream("GET /stream?n=3 HTTP/1.0\r\n\r\n");
	while ((k = recv(fd, block, sizeof(block), 0)) > 0)
		;
	assert_int_equal(k, 0);
	close(fd);
	fd = ask_stream("GET /abort?n=3 HTTP/1.0\r\n\r\n");
	while ((k = recv(fd, block, sizeof(block), 0)) > 0)
		;
	assert_int_equal(k, -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
}

static void a_stream_ends_when_its_reader_goes(void **state)
{
	int fd;

	(void)state;
	rig_start(&rig);
	fd = ask_stream("GET /hold HTTP/1.1\r\n" HOST "\r\n");
	rig_read(fd, answer, sizeof(answer), "\r\n\r\n");
	close(fd);
	rig_wait(&rig.streams_closed, 1);
	rig_wait(&rig.done, 1);
}

static void a_reader_that_takes_nothing_is_cut(void **state)
{
	int fd;

	(void)state;
	rig.o.idle_timeout_s = 1;
	rig_start(&rig);
	fd = ask_stream("GET /stream?n=100000 HTTP/1.1\r\n" HOST "\r\n"); /* 50 GB: more than any socket buffer */
	rig_wait(&rig.streams_closed, 1);
	close(fd);
}

static void a_quiet_stream_is_not_idle(void **state)
{
	int fd;

	(void)state;
	rig.o.idle_timeout_s = 1;
	rig.o.header_timeout_s = 1;
	rig.o.body_timeout_s = 1;
	rig.quiet_ms = 2500;
	rig_start(&rig);
	fd = ask_stream("GET /quiet HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(read_stream(fd), 1);
	close(fd);
}

static void a_quiesced_server_takes_nobody_new(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd, other;

	(void)state;
	rig_start(&rig);
	fd = rig_connect(http_server_port(rig.server));
	rig_say(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
	rig_read(fd, answer, sizeof(answer), "\"type\":null}");
	http_server_quiesce(rig.server);
	http_server_quiesce(rig.server);
	other = socket(AF_INET, SOCK_STREAM, 0);
	in.sin_port = htons(http_server_port(rig.server));
	assert_int_equal(connect(other, (struct sockaddr *)&in, sizeof(in)), -1);
	close(other);
	rig_say(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
	rig_read(fd, answer, sizeof(answer), NULL);
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	close(fd);
}

static void *read_in_thread(void *arg)
{
	int64_t *ret = arg;

	*ret = read_stream((int)*ret);
	return NULL;
}

/* What the feeder has ended is still delivered; who is idle or in the middle of a header block is not waited for. */
static void a_stop_delivers_what_is_under_way(void **state)
{
	int64_t ret;
	pthread_t reader;
	int idle, half, fd;

	(void)state;
	rig_start(&rig);
	idle = rig_connect(http_server_port(rig.server));
	rig_say(idle, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
	rig_read(idle, answer, sizeof(answer), "\"type\":null}");
	half = rig_connect(http_server_port(rig.server));
	rig_say(half, "GET /ec");
	fd = ask_stream("GET /stream?n=200 HTTP/1.1\r\n" HOST "\r\n");
	rig_wait(&rig.streams_opened, 1);
	ret = fd;
	assert_int_equal(pthread_create(&reader, NULL, read_in_thread, &ret), 0);
	http_server_stop(rig.server);
	rig.server = NULL;
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(ret, 200 * (int64_t)RIG_BLOCK);
	assert_true(rig_is_closed(idle));
	assert_true(rig_is_closed(half));
	close(idle);
	close(half);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dripped_headers_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_after_accept_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(dripped_headers_are_cut_on_a_kept_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dripped_body_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(an_idle_connection_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_within_the_limit_hurts_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_over_the_limit_pushes_itself_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_does_not_push_out_who_is_served, setup, teardown),
		cmocka_unit_test_setup_teardown(the_reserve_lets_in_and_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(among_many_none_is_kept_alive, setup, teardown),
		cmocka_unit_test_setup_teardown(one_address_has_its_own_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stream_fills_whole_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(an_aborted_stream_is_seen_to_be_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(an_old_reader_can_tell_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stream_ends_when_its_reader_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_that_takes_nothing_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(a_quiet_stream_is_not_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(a_quiesced_server_takes_nobody_new, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stop_delivers_what_is_under_way, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
