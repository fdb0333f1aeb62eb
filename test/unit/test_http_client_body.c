/* test_http_client_body.c - common/http_client*.c: answers that come whole, cut, endless, or are not wanted any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/http_caller.h"
#include "test/unit/http_rig.h"
#include "test/unit/http_script.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct rig rig;
static struct caller call;

static int group_setup(void **state)
{
	(void)state;
	return http_client_global_init(NULL);
}

static int setup(void **state)
{
	(void)state;
	rig_init(&rig);
	rig_start(&rig);
	caller_use(&call, http_server_port(rig.server), "/echo");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

struct sink {
	struct http_call *call;
	uint64_t n;
	uint64_t cancel_at, refuse_at; /* 0: never */
	bool wrong, answered;
};

static int sink_on_answer(void *ctx, const struct http_call *c)
{
	struct sink *s = ctx;

	s->answered = http_call_status(c) == 200 && http_call_header(c, "Content-Type") != NULL;
	return 0;
}

static int sink_on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct sink *s = ctx;
	size_t i;

	for (i = 0; i < n; i++)
		s->wrong = s->wrong || p[i] != rig_byte(s->n + i);
	s->n += n;
	if (s->cancel_at && s->n >= s->cancel_at)
		http_call_cancel(s->call);
	return s->refuse_at && s->n >= s->refuse_at ? -1 : 0;
}

static int run_stream(struct sink *s, const char *path)
{
	int rc;

	caller_use(&call, http_server_port(rig.server), path);
	call.o.on_answer = sink_on_answer;
	call.o.on_data = sink_on_data;
	call.o.ctx = s;
	s->call = http_call_new(&call.o, &call.err);
	assert_non_null(s->call);
	rc = http_call_run(s->call, &call.err);
	http_call_free(s->call);
	return rc;
}

static void a_stream_comes_whole_and_in_order(void **state)
{
	struct sink s = {0};

	(void)state;
	assert_int_equal(run_stream(&s, "/stream?n=64"), 0);
	assert_true(s.answered);
	assert_int_equal(s.n, 64 * RIG_BLOCK);
	assert_false(s.wrong);
}

static void an_aborted_stream_is_an_error(void **state)
{
	struct sink s = {0};

	(void)state;
	assert_int_equal(run_stream(&s, "/abort?n=2"), -1);
	assert_int_equal(call.err.code, ERR_NET);
	assert_int_equal(s.n, 2 * RIG_BLOCK);
	assert_non_null(strstr(call.err.msg, "127.0.0.1: cut short after 1048576 bytes"));
}

static void a_receiver_may_stop_a_stream(void **state)
{
	struct sink refuses = {.refuse_at = 1000000}, cancels = {.cancel_at = 1000000};

	(void)state;
	assert_int_equal(run_stream(&refuses, "/stream?n=100000"), -1);
	assert_int_equal(call.err.code, ERR_CANCELLED);
	assert_int_equal(run_stream(&cancels, "/stream?n=100000"), -1);
	assert_int_equal(call.err.code, ERR_CANCELLED);
	rig_wait(&rig.streams_closed, 2); /* and the server notices */
}

static int slow_on_data(void *ctx, const uint8_t *p, size_t n)
{
	const struct timespec slow = {.tv_nsec = 400 * 1000 * 1000};
	unsigned *taken = ctx;

	(void)p;
	(void)n;
	nanosleep(&slow, NULL);
	return ++*taken == 4 ? -1 : 0;
}

/* How long the receiver takes says nothing about the peer, whether pieces are gathered or not: here there is always more. */
static void a_slow_receiver_is_not_a_silent_peer(void **state)
{
	static const size_t gather[] = {0, 1024 * 1024};

	(void)state;
	for (size_t i = 0; i < sizeof(gather) / sizeof(gather[0]); i++) {
		unsigned taken = 0;
		struct http_script s;

		http_script_start_endless(
			&s, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", "0123456789abcdef");
		caller_use(&call, s.port, "/");
		call.o.idle_timeout_ms = 300;
		call.o.gather_bytes = gather[i];
		call.o.on_data = slow_on_data;
		call.o.ctx = &taken;
		caller_fails(&call, ERR_CANCELLED, "cancelled after");
		assert_int_equal(taken, 4);
		http_script_stop(&s);
	}
}

static atomic_uint pieces; /* that have come */

static int count_on_data(void *ctx, const uint8_t *p, size_t n)
{
	(void)ctx;
	(void)p;
	(void)n;
	atomic_fetch_add(&pieces, 1);
	return 0;
}

static void *cancel_in_thread(void *arg)
{
	const struct timespec moment = {.tv_nsec = 400000000};
	struct http_call *c = arg;

	rig_wait(&pieces, 1);
	nanosleep(&moment, NULL); /* timers of libcurl's own, from the connect, would else do the waking up */
	http_call_cancel(c);
	return NULL;
}

static void another_thread_may_cancel_a_silent_call(void **state)
{
	struct http_call *c;
	pthread_t thread;

	(void)state;
	caller_use(&call, http_server_port(rig.server), "/hold"); /* a byte, and then nothing */
	call.o.total_timeout_ms = 0;
	call.o.connect_timeout_ms = 100 * RIG_WAIT_MS; /* libcurl looks up when it is over, connected or not */
	call.o.on_data = count_on_data;
	atomic_store(&pieces, 0);
	c = http_call_new(&call.o, &call.err);
	assert_int_equal(pthread_create(&thread, NULL, cancel_in_thread, c), 0);
	assert_int_equal(http_call_run(c, &call.err), -1);
	assert_int_equal(call.err.code, ERR_CANCELLED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	http_call_free(c);
	rig_wait(&rig.streams_closed, 1);
}

static void a_call_cancelled_before_its_run_is_not_made(void **state)
{
	struct http_call *c = http_call_new(&call.o, &call.err);

	(void)state;
	http_call_cancel(c);
	assert_int_equal(http_call_run(c, &call.err), -1);
	assert_int_equal(call.err.code, ERR_CANCELLED);
	assert_false(http_call_sent(c));
	http_call_free(c);
	assert_int_equal(rig.headers, 0);
}

static const struct {
	const char *what, *answer;
	enum err_code code;
	const char *says;
} broken[] = {
	{"nothing", "", ERR_NET, ""},
	{"not HTTP", "SSH-2.0-x\r\n", ERR_NET, ""},
	{"half a status line", "HTTP/1.1 2", ERR_NET, ""},
	{"half a header block", "HTTP/1.1 200 OK\r\nContent-Le", ERR_NET, ""},
	{"short length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789", ERR_NET, "cut short after 9 bytes"},
	{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ERR_NET,
		"cut short after 3 bytes"},
	{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", ERR_NET,
		"cut short after 2 bytes"},
	{"last chunk half", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", ERR_NET,
		"cut short after 1 bytes"},
	{"bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", ERR_NET, ""},
	{"no length at all", "HTTP/1.1 200 OK\r\n\r\nabc", ERR_NET, "cut short after 3 bytes, or not"},
	{"no length, no body", "HTTP/1.1 200 OK\r\n\r\n", ERR_NET, "cut short after 0 bytes, or not"},
};

static void an_answer_cut_short_is_an_error(void **state)
{
	struct http_script s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		http_script_start(&s, broken[i].answer);
		caller_use(&call, s.port, "/");
		caller_fails(&call, broken[i].code, broken[i].says);
		http_script_stop(&s);
	}
}

static const struct {
	const char *what, *answer, *body;
	int status;
} whole[] = {
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 200},
	{"more than the length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc", 200},
	{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", 200},
	{"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n", "abc", 200},
	{"old version", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 200},
	{"early hints", "HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", 200},
	{"no content", "HTTP/1.1 204 No\r\n\r\n", "", 204},
	{"redirect, not followed", "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "",
		302},
};

static void a_whole_answer_is_a_success(void **state)
{
	struct http_script s;
	struct http_call *c;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		http_script_start(&s, whole[i].answer);
		caller_use(&call, s.port, "/");
		c = caller_run(&call, &rc);
		if (rc < 0)
			fail_msg("%s: %s", whole[i].what, call.err.msg);
		assert_int_equal(http_call_status(c), whole[i].status);
		assert_int_equal(http_call_body(c)->len, strlen(whole[i].body));
		if (whole[i].body[0])
			assert_memory_equal(http_call_body(c)->data, whole[i].body, strlen(whole[i].body));
		http_call_free(c);
		http_script_stop(&s);
	}
}

static void collected_bodies_are_bounded(void **state)
{
	struct http_script s;
	struct http_call *c;
	int rc;

	(void)state;
	http_script_start(&s, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
	caller_use(&call, s.port, "/");
	call.o.body_bytes_max = 3;
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	http_call_free(c);
	http_script_stop(&s);

	http_script_start(&s, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd");
	caller_use(&call, s.port, "/");
	call.o.body_bytes_max = 3;
	caller_fails(&call, ERR_LIMIT, "answer is over 3 bytes");
	http_script_stop(&s);
}

static void an_endless_error_is_cut_and_stays_that_error(void **state)
{
	struct http_script s;
	struct http_call *c;
	int rc;

	(void)state;
	http_script_start_endless(&s, "HTTP/1.1 503 x\r\n\r\n", "0123456789abcdef");
	caller_use(&call, s.port, "/");
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 503);
	assert_int_equal(http_call_body(c)->len, 64 * 1024);
	assert_int_equal(http_call_error(c, &call.err), -1);
	assert_int_equal(call.err.code, ERR_UNAVAILABLE);
	http_call_free(c);
	http_script_stop(&s);
}

static void headers_of_an_answer_are_bounded(void **state)
{
	struct http_script s;
	struct http_call *c;
	struct buf b;
	int i, n, rc;

	(void)state;
	for (n = 100; n <= 101; n++) {
		buf_init(&b, 65536);
		buf_add_str(&b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", NULL);
		for (i = 1; i < n; i++)
			buf_add_str(&b, "X: y\r\n", NULL);
		buf_add_str(&b, "\r\n", NULL);
		http_script_start(&s, buf_str(&b));
		caller_use(&call, s.port, "/");
		if (n == 100) {
			c = caller_run(&call, &rc);
			assert_int_equal(rc, 0);
			http_call_free(c);
		} else {
			caller_fails(&call, ERR_LIMIT, "more than 100 headers");
		}
		http_script_stop(&s);
		buf_done(&b);
	}
	http_script_start_endless(&s, "HTTP/1.1 200 OK\r\nX: ", "0123456789abcdef");
	caller_use(&call, s.port, "/");
	call.o.total_timeout_ms = 0;
	c = caller_run(&call, &rc);
	assert_int_equal(rc, -1);
	http_call_free(c);
	http_script_stop(&s);
}

/* ---- a body out of a file ---- */

static int body_fd(const char *text)
{
	char path[] = "/tmp/http-body-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void a_body_is_sent_from_a_file(void **state)
{
	static const struct {
		uint64_t offset, bytes;
		const char *expect;
	} cases[] = {{0, 10, "0123456789"}, {3, 4, "3456"}, {10, 0, ""}};
	int fd = body_fd("0123456789");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_body_file file = {.fd = fd, .offset = cases[i].offset, .bytes = cases[i].bytes};
		struct http_call *c;
		json_t *j;
		int rc;

		caller_use(&call, http_server_port(rig.server), "/echo");
		call.o.method = "PUT";
		call.o.body_file = &file;
		c = caller_run(&call, &rc);
		assert_int_equal(rc, 0);
		assert_int_equal(http_call_status(c), 200);
		j = http_call_json(c, &call.err);
		assert_string_equal(json_string_value(json_object_get(j, "body")), cases[i].expect);
		json_decref(j);
		http_call_free(c);
	}
	close(fd);
}

/* Less than was promised is no request that could be believed. */
static void a_file_that_is_too_short_is_an_error(void **state)
{
	int fd = body_fd("0123456789");
	struct http_body_file file = {.fd = fd, .offset = 2, .bytes = 9};

	(void)state;
	call.o.method = "PUT";
	call.o.body_file = &file;
	caller_fails(&call, ERR_IO, "8 of 9 bytes");
	close(fd);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct http_body_file file = {.fd = -1, .bytes = 9};

	(void)state;
	call.o.method = "PUT";
	call.o.body_file = &file;
	caller_fails(&call, ERR_IO, "body read from its file");
}

#define SLOW_BYTES (4 * 1024 * 1024)

/* Takes a body a little at a time, as a store behind a thin line does, and answers. */
static void *slow_store(void *arg)
{
	const struct timespec moment = {.tv_nsec = 100000000};
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	static char taken[128 * 1024];
	int listener = *(const int *)arg, fd = accept(listener, NULL, NULL);
	size_t got = 0;
	ssize_t n;

	while (got < SLOW_BYTES && (n = recv(fd, taken, sizeof(taken), MSG_WAITALL)) > 0) {
		got += (size_t)n;
		nanosleep(&moment, NULL);
	}
	if (write(fd, answer, sizeof(answer) - 1) < 0)
		abort();
	while (recv(fd, taken, sizeof(taken), 0) > 0)
		;
	close(fd);
	return NULL;
}

/* The kernel has taken the whole body long before the peer has: that is not silence. */
static void a_peer_that_takes_a_body_slowly_is_not_silent(void **state)
{
	int fd = memfd_create("body", MFD_CLOEXEC), listener = socket(AF_INET, SOCK_STREAM, 0), small = 64 * 1024, rc;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct http_body_file file = {.fd = fd, .bytes = SLOW_BYTES};
	socklen_t len = sizeof(at);
	struct http_call *c;
	pthread_t thread;

	(void)state;
	assert_int_equal(ftruncate(fd, SLOW_BYTES), 0);
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(pthread_create(&thread, NULL, slow_store, &listener), 0);
	caller_use(&call, ntohs(at.sin_port), "/");
	call.o.method = "PUT";
	call.o.body_file = &file;
	call.o.idle_timeout_ms = 1200;
	c = caller_run(&call, &rc);
	if (rc < 0)
		fail_msg("%s", call.err.msg);
	assert_int_equal(http_call_status(c), 200);
	http_call_free(c);
	pthread_join(thread, NULL);
	close(listener);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_stream_comes_whole_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(an_aborted_stream_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_receiver_may_stop_a_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_receiver_is_not_a_silent_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(another_thread_may_cancel_a_silent_call, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_cancelled_before_its_run_is_not_made, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_cut_short_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_whole_answer_is_a_success, setup, teardown),
		cmocka_unit_test_setup_teardown(collected_bodies_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endless_error_is_cut_and_stays_that_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_body_is_sent_from_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_too_short_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_peer_that_takes_a_body_slowly_is_not_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(headers_of_an_answer_are_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
