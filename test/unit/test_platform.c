/* test_platform.c - a platform's API on loopback: what is sent, what of its answers is kept and how much, and which words its refusals become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/http_client.h"
#include "gateway/targets/platform.h"
#include "test/unit/http_double.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW_S UINT64_C(1767225600)

/* What the double says, and what it was asked; one request at a time. */
static struct {
	int status;
	const char *type, *header, *value;
	char *body;
	char path[512], authorization[128], accept[64];
	unsigned asked;
} say;

static struct http_server *server;
static struct platform p;
static struct platform_answer a;
static struct err err;

static void keep(const struct http_request *rq, const char *header, char *ret, size_t size)
{
	const char *value = http_request_header(rq, header);

	snprintf(ret, size, "%s", value ? value : "");
}

static void on_request(void *ctx, struct http_request *rq)
{
	(void)ctx;
	say.asked++;
	snprintf(say.path, sizeof(say.path), "%s", http_request_path(rq));
	keep(rq, "Authorization", say.authorization, sizeof(say.authorization));
	keep(rq, "Accept", say.accept, sizeof(say.accept));
	if (say.header)
		http_reply_header(rq, say.header, say.value);
	http_reply_text(rq, say.status, say.type, say.body);
}

static void says(int status, const char *body)
{
	free(say.body);
	assert_non_null(say.body = strdup(body));
	say.status = status;
}

static void says_header(const char *header, const char *value)
{
	say.header = header;
	say.value = value;
}

static int group_setup(void **state)
{
	(void)state;
	return http_client_global_init(NULL);
}

static int setup(void **state)
{
	char url[80];

	(void)state;
	memset(&say, 0, sizeof(say));
	memset(&a, 0, sizeof(a));
	memset(&err, 0, sizeof(err));
	say.type = "application/json";
	says(200, "{}");
	server = http_double_start(on_request, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u//", http_server_port(server));
	assert_int_equal(platform_open(&p, "the platform", url, "", 10000, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clock_fake(0);
	platform_answer_done(&a);
	platform_close(&p);
	http_server_stop(server);
	free(say.body);
	say.body = NULL;
	return 0;
}

static void ask(bool probe, const char *path)
{
	platform_answer_done(&a);
	if ((probe ? platform_probe : platform_get)(&p, "t0ken", path, &a, &err) < 0)
		fail_msg("%s", err.msg);
}

/* ---- what is sent ---- */

static void asked_as_its_user(void **state)
{
	(void)state;
	ask(false, "/a%20b/../c?x=1");
	assert_string_equal(say.path, "/a b/../c"); /* as it stands, but for the double's decoding */
	assert_string_equal(say.authorization, "Bearer t0ken");
	assert_string_equal(say.accept, "application/json");
	platform_answer_done(&a);
	assert_int_equal(platform_get(&p, NULL, "/", &a, &err), 0);
	assert_string_equal(say.authorization, "");
	assert_int_equal(say.asked, 2);
}

static void encode(void **state)
{
	static const struct {
		const char *text, *encoded;
	} rows[] = {
		{"", ""},
		{"cf-1_x.y~Z9", "cf-1_x.y~Z9"},
		{"a b/c?d#e%f", "a%20b%2Fc%3Fd%23e%25f"},
		{"..", ".."},
		{"\xc3\xbc\x01\x7f\xff", "%C3%BC%01%7F%FF"},
		{"'\"&=+;:@,$[]\\", "%27%22%26%3D%2B%3B%3A%40%2C%24%5B%5D%5C"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *encoded = platform_encode(rows[i].text);

		assert_string_equal(encoded, rows[i].encoded);
		free(encoded);
	}
}

/* ---- what is kept ---- */

static void json_and_what_is_none(void **state)
{
	static const struct {
		const char *body, *json, *text;
	} rows[] = {
		{"{\"code\":5}", "{\"code\":5}", ""},
		{"[]", "[]", ""},
		{"5", "5", ""},
		{"", NULL, ""},
		{"<html>\n\x1b[2J\xc3\xbc", NULL, "<html>??[2J??"},
		{"{\"a\":1,\"a\":2}", NULL, "{\"a\":1,\"a\":2}"},
		{"{\"a\":1} x", NULL, "{\"a\":1} x"},
		{"Not authorized: '/x'\n", NULL, "Not authorized: '/x'?"},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		const char *due = rows[i / 2].json;
		int status = i % 2 ? 200 : 502;

		says(status, rows[i / 2].body);
		ask(false, "/");
		assert_int_equal(a.status, status);
		assert_string_equal(a.text, rows[i / 2].text);
		if (due) {
			char *text = json_dumps(a.json, JSON_COMPACT | JSON_ENCODE_ANY);

			assert_string_equal(text, due);
			free(text);
		} else {
			assert_null(a.json);
		}
	}
}

static char *many(size_t n, char c)
{
	char *text = malloc(n + 1);

	assert_non_null(text);
	memset(text, c, n);
	text[n] = '\0';
	return text;
}

static void text_is_cut(void **state)
{
	char *body = many(199, 'x');

	(void)state;
	says(502, body);
	ask(false, "/");
	assert_string_equal(a.text, body);
	free(body);
	body = many(200, 'x');
	says(502, body);
	ask(false, "/");
	assert_int_equal(strlen(a.text), 199);
	assert_string_equal(a.text + 195, "x...");
	free(body);
}

static void size_has_a_bound(void **state)
{
	char *body = many(PLATFORM_BODY_MAX, ' ');

	(void)state;
	body[0] = '[';
	body[PLATFORM_BODY_MAX - 1] = ']';
	says(200, body);
	ask(false, "/");
	assert_true(json_is_array(a.json));
	free(body);
	body = many(PLATFORM_BODY_MAX + 1, ' ');
	says(200, body);
	platform_answer_done(&a);
	assert_int_equal(platform_get(&p, "t", "/", &a, &err), -1);
	assert_int_equal(err.code, ERR_NET);
	assert_string_equal(err.detail, "platform_failed");
	assert_non_null(strstr(err.msg, "the answer of the platform cannot be taken: "));
	says(500, body); /* who answers an error with so much has said enough */
	ask(false, "/");
	assert_int_equal(a.status, 500);
	assert_null(a.json);
	free(body);
}

/* Of what was not asked for its contents only the beginning is read. */
static void a_probe_reads_no_body(void **state)
{
	static const size_t sizes[] = {0, 1, 199, 200, 201, 100000, 3 * PLATFORM_BODY_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *body = many(sizes[i], '[');

		says(200, body);
		ask(true, "/x");
		assert_int_equal(a.status, 200);
		assert_null(a.json);
		assert_int_equal(strlen(a.text), sizes[i] < 199 ? sizes[i] : 199);
		assert_int_equal(a.text[0], sizes[i] ? '[' : '\0');
		free(body);
	}
	says(401, "{\"code\":600000}"); /* an error says what it is */
	ask(true, "/x");
	assert_int_equal(a.status, 401);
	assert_int_equal(json_integer_value(json_object_get(a.json, "code")), 600000);
	assert_string_equal(a.text, "");
}

static void redirects_are_not_followed(void **state)
{
	char *location = many(512, 'x');

	(void)state;
	says(302, "");
	says_header("Location", "http://127.0.0.1:1/\x7f");
	ask(false, "/");
	assert_int_equal(a.status, 302);
	assert_string_equal(a.location, "http://127.0.0.1:1/?");
	assert_int_equal(say.asked, 1);
	says_header("Location", location);
	ask(false, "/");
	assert_string_equal(a.location, "");
	free(location);
}

static void when_to_come_again(void **state)
{
	static const struct {
		const char *header, *value;
		uint64_t s;
	} rows[] = {
		{NULL, NULL, 0},
		{"Retry-After", "0", 0},
		{"Retry-After", "17", 17},
		{"Retry-After", "3600", 3600},
		{"Retry-After", "3601", 3600},
		{"Retry-After", "18446744073709551615", 3600},
		{"Retry-After", "18446744073709551616", 0},
		{"Retry-After", "-1", 0},
		{"Retry-After", "1.5", 0},
		{"Retry-After", "Fri, 02 Jan 2026 03:04:05 GMT", 0},
		{"X-RateLimit-Reset", "1767225600", 0},
		{"X-RateLimit-Reset", "1767225609", 9},
		{"X-RateLimit-Reset", "1767225599", 0},
		{"X-RateLimit-Reset", "1767235600", 3600},
		{"X-RateLimit-Reset", "9", 0},
		{"X-RateLimit-Reset", "x", 0},
	};

	(void)state;
	clock_fake(NOW_S * CLOCK_NS_PER_S);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		says(429, "{}");
		says_header(rows[i].header, rows[i].value);
		ask(false, "/");
		if (a.retry_after_s != rows[i].s)
			fail_msg("%s: %s", rows[i].header, rows[i].value);
	}
}

/* ---- what it becomes ---- */

static void refusals(void **state)
{
	static const struct {
		int status;
		enum err_code code;
		const char *detail, *msg;
	} rows[] = {
		{401, ERR_AUTH, "platform_token", "the platform does not take the token; log in again: why?"},
		{403, ERR_PERM, "", "the platform does not allow it: why?"},
		{404, ERR_NOT_FOUND, "", "the platform does not know it, or does not show it to you: why?"},
		{429, ERR_BUSY, "platform_busy",
			"the platform asks for fewer requests with your token: why?; try again in 9 s"},
		{503, ERR_UNAVAILABLE, "platform_failed", "the platform is not available now: why?; try again in 9 s"},
		{302, ERR_NET, "platform_failed",
			"the platform answers with a redirect (HTTP 302), which is not followed: why?"},
		{200, ERR_NET, "platform_failed", "the platform failed (HTTP 200): why?"},
		{400, ERR_NET, "platform_failed", "the platform failed (HTTP 400): why?"},
		{500, ERR_NET, "platform_failed", "the platform failed (HTTP 500): why?"},
	};
	char *detail = many(1000, 'x');

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct platform_answer said = {
			.status = rows[i].status, .retry_after_s = strstr(rows[i].msg, "9 s") ? 9 : 0};

		assert_int_equal(platform_refuse(&p, &said, "why\n", &err), -1);
		assert_string_equal(err.msg, rows[i].msg);
		assert_int_equal(err.code, rows[i].code);
		assert_string_equal(err.detail, rows[i].detail);
		platform_refuse(&p, &said, "", &err);
		assert_null(strstr(err.msg, ": "));
		platform_refuse(&p, &said, detail, &err);
		assert_true(strlen(err.msg) < 300);
		assert_int_equal(platform_refuse(&p, &said, "", NULL), -1);
	}
	free(detail);
}

static void no_answer(const char *token, enum err_code code, const char *says_too)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(platform_get(&p, token, "/", &a, &err), -1);
	if (err.code != code || strcmp(err.detail, "platform_unreachable") != 0 ||
		!strstr(err.msg, "the platform does not answer: ") || !strstr(err.msg, says_too))
		fail_msg("%s, %s: %s", err_code_name(err.code), err.detail, err.msg);
	assert_null(a.json);
	assert_int_equal(platform_probe(&p, token, "/", &a, NULL), -1);
}

static void on_silence(void *ctx, struct http_request *rq)
{
	const struct timespec tick = {.tv_nsec = 1000000};

	while (!atomic_load((atomic_bool *)ctx))
		nanosleep(&tick, NULL);
	http_reply_empty(rq, 200);
}

static void nobody_answers(void **state)
{
	atomic_bool over = false;
	struct http_server *silent;
	char url[80];

	(void)state;
	no_answer("a token", ERR_NET, "token");
	http_server_stop(server);
	server = NULL;
	no_answer("t", ERR_NET, "127.0.0.1");
	silent = http_double_start(on_silence, &over);
	platform_close(&p);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(silent));
	assert_int_equal(platform_open(&p, "the platform", url, "", 50, &err), 0);
	no_answer("t", ERR_TIMEOUT, "127.0.0.1");
	atomic_store(&over, true);
	http_server_stop(silent);
}

static void a_ca_that_is_not_there(void **state)
{
	struct platform other;

	(void)state;
	assert_int_equal(platform_open(&other, "x", "https://localhost", "/nonexistent/ca.pem", 1000, &err), -1);
	assert_non_null(strstr(err.msg, "/nonexistent/ca.pem"));
	platform_close(&other);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(asked_as_its_user),
		test(encode),
		test(json_and_what_is_none),
		test(text_is_cut),
		test(size_has_a_bound),
		test(a_probe_reads_no_body),
		test(redirects_are_not_followed),
		test(when_to_come_again),
		test(refusals),
		test(nobody_answers),
		test(a_ca_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
