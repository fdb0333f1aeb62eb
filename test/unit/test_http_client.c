/* test_http_client.c - common/http_client*.c: what is asked, of whom, and what errors and silence become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/http_caller.h"
#include "test/unit/http_rig.h"
#include "test/unit/http_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const char *json_text(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static void a_request_arrives_with_all_its_parts(void **state)
{
	static const char *const headers[] = {"X-Other: 1", NULL};
	struct http_call *c;
	json_t *j;
	int rc;

	(void)state;
	call.o.method = "PUT";
	call.o.body = "{\"a\":1}";
	call.o.body_len = 7;
	call.o.bearer = "secret-token";
	call.o.headers = headers;
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 200);
	assert_true(http_call_sent(c));
	assert_string_equal(http_call_header(c, "content-type"), "application/json");
	assert_null(http_call_header(c, "no-such"));
	assert_int_equal(http_call_error(c, &call.err), 0);
	j = http_call_json(c, &call.err);
	assert_non_null(j);
	assert_string_equal(json_text(j, "method"), "PUT");
	assert_string_equal(json_text(j, "body"), "{\"a\":1}");
	assert_string_equal(json_text(j, "type"), "application/json");
	assert_string_equal(json_text(j, "auth"), "Bearer secret-token");
	json_decref(j);
	http_call_free(c);
}

static void each_method_is_itself(void **state)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
	struct http_call *c;
	json_t *j;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < 4; i++) {
		call.o.method = methods[i];
		c = caller_run(&call, &rc);
		assert_int_equal(rc, 0);
		j = http_call_json(c, &call.err);
		assert_string_equal(json_text(j, "method"), methods[i]);
		json_decref(j);
		http_call_free(c);
	}
	call.o.method = "HEAD";
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 200);
	assert_int_equal(http_call_body(c)->len, 0);
	http_call_free(c);
}

static const struct {
	const char *status, *body;
	enum err_code code;
	const char *message, *detail, *field;
} errors[] = {
	{"400", "{\"error\":{\"code\":\"bad_filter\",\"message\":\"syntax\",\"field\":\"options.filter\"}}", ERR_INPUT,
		"syntax", "bad_filter", "options.filter"},
	{"401", "{\"error\":{\"code\":\"auth\",\"message\":\"who\"}}", ERR_AUTH, "who", "auth", ""},
	{"403", "", ERR_PERM, "HTTP 403 from 127.0.0.1", "", ""},
	{"404", "<html>", ERR_NOT_FOUND, "HTTP 404 from 127.0.0.1", "", ""},
	{"409", "{}", ERR_STATE, "HTTP 409 from 127.0.0.1", "", ""},
	{"413", "[]", ERR_LIMIT, "HTTP 413 from 127.0.0.1", "", ""},
	{"418", "\"error\"", ERR_INPUT, "HTTP 418 from 127.0.0.1", "", ""},
	{"429", "{\"error\":1}", ERR_BUSY, "HTTP 429 from 127.0.0.1", "", ""},
	{"500", "{\"error\":{\"code\":\"x\"}}", ERR_INTERNAL, "HTTP 500 from 127.0.0.1", "", ""},
	{"502", "{\"error\":{\"code\":\"not a code!\",\"message\":\"m\"}}", ERR_NET, "HTTP 502 from 127.0.0.1", "", ""},
	{"503", "{\"error\":{\"code\":\"draining\",\"message\":\"later\"}}", ERR_UNAVAILABLE, "later", "draining", ""},
	{"504", "{\"error\":{\"code\":7,\"message\":8}}", ERR_TIMEOUT, "HTTP 504 from 127.0.0.1", "", ""},
};

static void an_error_answer_becomes_an_error(void **state)
{
	struct http_script s;
	struct http_call *c;
	char text[512];
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		snprintf(text, sizeof(text), "HTTP/1.1 %s x\r\nContent-Length: %zu\r\n\r\n%s", errors[i].status,
			strlen(errors[i].body), errors[i].body);
		http_script_start(&s, text);
		caller_use(&call, s.port, "/");
		c = caller_run(&call, &rc);
		assert_int_equal(rc, 0);
		assert_int_equal(http_call_error(c, &call.err), -1);
		assert_string_equal(err_code_name(call.err.code), err_code_name(errors[i].code));
		assert_string_equal(call.err.msg, errors[i].message);
		assert_string_equal(call.err.detail, errors[i].detail);
		assert_string_equal(call.err.field, errors[i].field);
		http_call_free(c);
		http_script_stop(&s);
	}
}

static void silence_is_noticed(void **state)
{
	struct http_script s;
	struct http_call *c;
	int rc;

	(void)state;
	http_script_start_held(&s, "");
	caller_use(&call, s.port, "/");
	call.o.answer_timeout_ms = 100;
	c = caller_run(&call, &rc);
	assert_int_equal(rc, -1);
	assert_int_equal(call.err.code, ERR_TIMEOUT);
	assert_non_null(strstr(call.err.msg, "no answer within 100 ms"));
	assert_true(http_call_sent(c)); /* it may have had effects */
	http_call_free(c);
	http_script_stop(&s);

	http_script_start_held(&s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	caller_use(&call, s.port, "/");
	call.o.answer_timeout_ms = RIG_WAIT_MS;
	call.o.idle_timeout_ms = 100;
	caller_fails(&call, ERR_TIMEOUT, "silent for 100 ms after 3 bytes");
	http_script_stop(&s);

	http_script_start_held(&s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	caller_use(&call, s.port, "/");
	call.o.total_timeout_ms = 100;
	caller_fails(&call, ERR_TIMEOUT, "not over after 100 ms");
	http_script_stop(&s);
}

static void a_closed_port_is_said_so(void **state)
{
	struct http_script s;
	struct http_call *c;
	int rc;

	(void)state;
	http_script_start(&s, "");
	caller_use(&call, s.port, "/");
	http_script_stop(&s); /* nobody listens there now */
	c = caller_run(&call, &rc);
	assert_int_equal(rc, -1);
	assert_int_equal(call.err.code, ERR_NET);
	assert_false(http_call_sent(c));
	assert_int_equal(http_call_status(c), 0);
	http_call_free(c);
}

static void refuse_new(const char *says)
{
	assert_null(http_call_new(&call.o, &call.err));
	assert_int_equal(call.err.code, ERR_INPUT);
	if (!strstr(call.err.msg, says))
		fail_msg("\"%s\" is not in \"%s\"", says, call.err.msg);
}

static void what_cannot_be_asked_is_refused(void **state)
{
	static const char *const split[] = {"X: a\r\nY: b", NULL}, *const none[] = {"X", NULL};

	(void)state;
	call.o.url = "http://";
	refuse_new("URL \"http://\"");
	call.o.url = "no call.url at all";
	refuse_new("URL");
	call.o.url = call.url;
	call.o.bearer = "a\r\nX: y";
	refuse_new("token");
	call.o.bearer = "";
	refuse_new("token");
	call.o.bearer = NULL;
	call.o.headers = split;
	refuse_new("request header");
	call.o.headers = none;
	refuse_new("request header");
	call.o.headers = NULL;
	call.o.dial = "nowhere";
	refuse_new("");
	call.o.dial = NULL;
	call.o.url = "file:///etc/passwd";
	refuse_new("Unsupported URL scheme");
}

static void dial_takes_another_way_to_the_same_name(void **state)
{
	char dial[32];
	struct http_call *c;
	json_t *j;
	int rc;

	(void)state;
	snprintf(dial, sizeof(dial), "127.0.0.1:%u", http_server_port(rig.server));
	call.o.url = "http://name.that.is.nowhere.test:1/echo";
	call.o.dial = dial;
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 200);
	http_call_free(c);

	rig_stop(&rig);
	rig_init(&rig);
	rig.o.address = "::1";
	rig_start(&rig);
	snprintf(dial, sizeof(dial), "[::1]:%u", http_server_port(rig.server));
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	j = http_call_json(c, &call.err);
	assert_string_equal(json_text(j, "peer"), "::1");
	assert_string_equal(json_text(j, "local"), "::1");
	json_decref(j);
	http_call_free(c);
}

static void a_proxy_is_used_only_when_asked_for(void **state)
{
	struct http_call *c;
	int rc;

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	http_call_free(c);
	call.o.use_proxy = true;
	caller_fails(&call, ERR_NET, "127.0.0.1 port 1 ");
	unsetenv("http_proxy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_arrives_with_all_its_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(each_method_is_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_answer_becomes_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_port_is_said_so, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_asked_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(dial_takes_another_way_to_the_same_name, setup, teardown),
		cmocka_unit_test_setup_teardown(a_proxy_is_used_only_when_asked_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
