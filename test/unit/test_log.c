/* test_log.c - common/log.c: what arrives on stderr, line for line.  stderr is a pipe while a case runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TS "\"ts\":\"2026-01-05T10:00:00.123456Z\""

static int real_stderr, pipe_read;

static int catch_stderr(void **state)
{
	int ends[2];

	(void)state;
	clock_fake(UINT64_C(1767607200123456789));
	log_init("test", LOG_LEVEL_INFO);
	real_stderr = dup(STDERR_FILENO);
	if (real_stderr < 0 || pipe2(ends, O_CLOEXEC) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
		return -1;
	close(ends[1]);
	pipe_read = ends[0];
	return 0;
}

static int release_stderr(void **state)
{
	(void)state;
	log_context_request(NULL);
	log_context_job(NULL);
	clock_fake(0);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(pipe_read);
	return 0;
}

/* What was logged since; at most size - 1 bytes of it. */
static const char *logged(char *ret, size_t size)
{
	ssize_t n;

	if (fcntl(pipe_read, F_SETFL, O_NONBLOCK) != 0)
		return "fcntl failed";
	n = read(pipe_read, ret, size - 1);
	ret[n > 0 ? n : 0] = '\0';
	return ret;
}

static void test_line(void **state)
{
	char text[1000];

	(void)state;
	log_event(LOG_LEVEL_INFO, "capture.started", json_pack("{s:i}", "n", 3));
	assert_string_equal(logged(text, sizeof(text)), "{" TS ",\"level\":\"info\",\"source\":\"test\",\"event\":"
							"\"capture.started\",\"data\":{\"n\":3}}\n");
	log_event(LOG_LEVEL_ERROR, "x", NULL);
	assert_string_equal(
		logged(text, sizeof(text)), "{" TS ",\"level\":\"error\",\"source\":\"test\",\"event\":\"x\"}\n");
}

static void test_context(void **state)
{
	char text[1000], longer[100], expected[1000];

	(void)state;
	log_context_request("req");
	log_context_job("job");
	log_event(LOG_LEVEL_INFO, "x", NULL);
	assert_string_equal(logged(text, sizeof(text)),
		"{" TS ",\"level\":\"info\",\"source\":\"test\",\"event\":\"x\","
		"\"request_id\":\"req\",\"job\":\"job\"}\n");
	memset(longer, 'r', sizeof(longer));
	longer[63] = '\0';
	log_context_request(longer);
	log_context_job(NULL);
	log_event(LOG_LEVEL_INFO, "x", NULL);
	snprintf(expected, sizeof(expected),
		"{" TS ",\"level\":\"info\",\"source\":\"test\",\"event\":\"x\",\"request_id\":\"%s\"}\n", longer);
	assert_string_equal(logged(text, sizeof(text)), expected);
	longer[63] = 'r';
	longer[99] = '\0';
	log_context_request(longer);
	log_event(LOG_LEVEL_INFO, "x", NULL);
	longer[63] = '\0';
	memcpy(longer + 60, "...", 3);
	snprintf(expected, sizeof(expected),
		"{" TS ",\"level\":\"info\",\"source\":\"test\",\"event\":\"x\",\"request_id\":\"%s\"}\n", longer);
	assert_string_equal(logged(text, sizeof(text)), expected);
}

static void *log_one(void *arg)
{
	log_event(LOG_LEVEL_INFO, arg, NULL);
	return NULL;
}

static void test_context_is_the_threads_own(void **state)
{
	char text[1000], event[] = "y";
	pthread_t thread;

	(void)state;
	log_context_job("mine");
	assert_int_equal(pthread_create(&thread, NULL, log_one, event), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(
		logged(text, sizeof(text)), "{" TS ",\"level\":\"info\",\"source\":\"test\",\"event\":\"y\"}\n");
}

static void test_levels(void **state)
{
	static const char *const names[] = {"debug", "info", "warning", "error"};
	enum log_level level = LOG_LEVEL_ERROR;
	char text[1000];

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(log_level_parse(names[i], &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("Error", &level), -1);
	assert_int_equal(log_level_parse("", &level), -1);
	assert_int_equal(level, LOG_LEVEL_ERROR);

	log_init("test", LOG_LEVEL_WARNING);
	log_event(LOG_LEVEL_INFO, "not seen", json_object());
	assert_string_equal(logged(text, sizeof(text)), "");
	log_event(LOG_LEVEL_WARNING, "seen", NULL);
	assert_string_equal(
		logged(text, sizeof(text)), "{" TS ",\"level\":\"warning\",\"source\":\"test\",\"event\":\"seen\"}\n");
}

static void test_strangers_text_cannot_make_lines(void **state)
{
	char text[1000];

	(void)state;
	log_context_request("a\n{\"level\":\"x\"}\xff");
	log_event(LOG_LEVEL_INFO, "x", json_pack("{s:s}", "user", "eve\"\n\x1b[2J\xc2\x85"));
	assert_string_equal(logged(text, sizeof(text)),
		"{" TS ",\"level\":\"info\",\"source\":\"test\",\"event\":\"x\","
		"\"request_id\":\"a?{\\\"level\\\":\\\"x\\\"}?\",\"data\":{\"user\":\"eve\\\"\\n\\u001B[2J\\u0085\"}}"
		"\n");
}

static void test_error(void **state)
{
	struct err e = {0};
	char text[1000];

	(void)state;
	err_set(&e, ERR_INPUT, "syntax error");
	err_field(&e, "options.filter");
	err_detail(&e, "bad_filter");
	log_err(LOG_LEVEL_WARNING, "capture.refused", &e, json_pack("{s:s}", "user", "ann"));
	assert_string_equal(logged(text, sizeof(text)),
		"{" TS
		",\"level\":\"warning\",\"source\":\"test\",\"event\":\"capture.refused\",\"data\":{\"user\":\"ann\","
		"\"error\":{\"code\":\"bad_filter\",\"message\":\"syntax error\",\"field\":\"options.filter\"}}}\n");
	err_set(&e, ERR_NET, "reset");
	log_err(LOG_LEVEL_ERROR, "x", &e, NULL);
	assert_string_equal(logged(text, sizeof(text)),
		"{" TS ",\"level\":\"error\",\"source\":\"test\",\"event\":\"x\","
		"\"data\":{\"error\":{\"code\":\"net\",\"message\":\"reset\"}}}\n");
}

#define THREADS 4
#define LINES   20 /* of all threads, under the 64 KiB that a pipe holds */

static void *log_lines(void *arg)
{
	log_context_job(arg);
	for (int i = 0; i < LINES; i++)
		log_event(LOG_LEVEL_INFO, "line", json_pack("{s:i}", "i", i));
	return NULL;
}

static void test_lines_of_threads_do_not_mingle(void **state)
{
	static char names[THREADS][8], text[65536];
	pthread_t threads[THREADS];
	char *at = text, *end;
	int n = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		snprintf(names[i], sizeof(names[i]), "t%d", i);
		assert_int_equal(pthread_create(&threads[i], NULL, log_lines, names[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	logged(text, sizeof(text));
	for (; (end = strchr(at, '\n')) != NULL; at = end + 1, n++) {
		json_t *v = json_loadb(at, (size_t)(end - at), 0, NULL);

		assert_non_null(v);
		json_decref(v);
	}
	assert_int_equal(n, THREADS * LINES);
}

static void test_closed_stderr_is_survived(void **state)
{
	(void)state;
	close(STDERR_FILENO);
	log_event(LOG_LEVEL_ERROR, "x", NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, catch_stderr, release_stderr)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_line),
		CASE(test_context),
		CASE(test_context_is_the_threads_own),
		CASE(test_levels),
		CASE(test_strangers_text_cannot_make_lines),
		CASE(test_error),
		CASE(test_lines_of_threads_do_not_mingle),
		CASE(test_closed_stderr_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
