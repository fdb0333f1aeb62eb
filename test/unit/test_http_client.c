/* test_http_client.c - common/http_client*.c against our own server, and against one that says what it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/http_client.h"
#include "test/unit/http_rig.h"
#include "test/unit/http_script.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rig rig;
static struct rig_certs certs;
static struct http_call_options o;
static char url[128];
static struct err err;

static int group_setup(void **state)
{
	(void)state;
	assert_int_equal(http_client_global_init(NULL), 0);
	rig_certs_init(&certs);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	rig_certs_done(&certs);
	return 0;
}

static void use_port(uint16_t port, const char *path)
{
	memset(&o, 0, sizeof(o));
	memset(&err, 0, sizeof(err));
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	o.method = "GET";
	o.url = url;
	o.total_timeout_ms = RIG_WAIT_MS; /* so that no test hangs */
}

static int setup(void **state)
{
	(void)state;
	rig_init(&rig);
	rig_start(&rig);
	use_port(http_server_port(rig.server), "/echo");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* Makes and runs a call with o; rc in *ret_rc. */
static struct http_call *run(int *ret_rc)
{
	struct http_call *c = http_call_new(&o, &err);

	if (!c)
		fail_msg("%s", err.msg);
	*ret_rc = http_call_run(c, &err);
	return c;
}

static void assert_fails(enum err_code code, const char *says)
{
	struct http_call *c;
	int rc;

	memset(&err, 0, sizeof(err));
	c = run(&rc);
	http_call_free(c);
	if (rc == 0)
		fail_msg("\"%s\" was expected to fail", says);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("not %s \"%s\" but %s \"%s\"", err_code_name(code), says, err_code_name(err.code), err.msg);
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
	o.method = "PUT";
	o.body = "{\"a\":1}";
	o.body_len = 7;
	o.bearer = "secret-token";
	o.headers = headers;
	c = run(&rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 200);
	assert_true(http_call_sent(c));
	assert_string_equal(http_call_header(c, "content-type"), "application/json");
	assert_null(http_call_header(c, "no-such"));
	assert_int_equal(http_call_error(c, &err), 0);
	j = http_call_json(c, &err);
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
		o.method = methods[i];
		c = run(&rc);
		assert_int_equal(rc, 0);
		j = http_call_json(c, &err);
		assert_string_equal(json_text(j, "method"), methods[i]);
		json_decref(j);
		http_call_free(c);
	}
	o.method = "HEAD";
	c = run(&rc);
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
		use_port(s.port, "/");
		c = run(&rc);
		assert_int_equal(rc, 0);
		assert_int_equal(http_call_error(c, &err), -1);
		assert_string_equal(err_code_name(err.code), err_code_name(errors[i].code));
		assert_string_equal(err.msg, errors[i].message);
		assert_string_equal(err.detail, errors[i].detail);
		assert_string_equal(err.field, errors[i].field);
		http_call_free(c);
		http_script_stop(&s);
	}
}

/* ---- bodies ---- */

struct sink {
	struct http_call *call;
	uint64_t n;
	uint64_t cancel_at, refuse_at; /* 0: never */
	bool wrong, answered;
};

static int sink_on_answer(void *ctx, const struct http_call *call)
{
	struct sink *s = ctx;

	s->answered = http_call_status(call) == 200 && http_call_header(call, "Content-Type") != NULL;
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

	use_port(http_server_port(rig.server), path);
	o.on_answer = sink_on_answer;
	o.on_data = sink_on_data;
	o.ctx = s;
	s->call = http_call_new(&o, &err);
	assert_non_null(s->call);
	rc = http_call_run(s->call, &err);
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
	assert_int_equal(err.code, ERR_NET);
	assert_int_equal(s.n, 2 * RIG_BLOCK);
	assert_non_null(strstr(err.msg, "127.0.0.1: cut short after 1048576 bytes"));
}

static void a_receiver_may_stop_a_stream(void **state)
{
	struct sink refuses = {.refuse_at = 1000000}, cancels = {.cancel_at = 1000000};

	(void)state;
	assert_int_equal(run_stream(&refuses, "/stream?n=100000"), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(run_stream(&cancels, "/stream?n=100000"), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	rig_wait(&rig.streams_closed, 2); /* and the server notices */
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
	use_port(http_server_port(rig.server), "/hold"); /* a byte, and then nothing */
	o.total_timeout_ms = 0;
	o.connect_timeout_ms = 100 * RIG_WAIT_MS; /* libcurl looks up when it is over, connected or not */
	o.on_data = count_on_data;
	atomic_store(&pieces, 0);
	c = http_call_new(&o, &err);
	assert_int_equal(pthread_create(&thread, NULL, cancel_in_thread, c), 0);
	assert_int_equal(http_call_run(c, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	http_call_free(c);
	rig_wait(&rig.streams_closed, 1);
}

static void a_call_cancelled_before_its_run_is_not_made(void **state)
{
	struct http_call *c = http_call_new(&o, &err);

	(void)state;
	http_call_cancel(c);
	assert_int_equal(http_call_run(c, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
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
		use_port(s.port, "/");
		assert_fails(broken[i].code, broken[i].says);
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
		use_port(s.port, "/");
		c = run(&rc);
		if (rc < 0)
			fail_msg("%s: %s", whole[i].what, err.msg);
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
	use_port(s.port, "/");
	o.body_bytes_max = 3;
	c = run(&rc);
	assert_int_equal(rc, 0);
	http_call_free(c);
	http_script_stop(&s);

	http_script_start(&s, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd");
	use_port(s.port, "/");
	o.body_bytes_max = 3;
	assert_fails(ERR_LIMIT, "answer is over 3 bytes");
	http_script_stop(&s);
}

static void an_endless_error_is_cut_and_stays_that_error(void **state)
{
	struct http_script s;
	struct http_call *c;
	int rc;

	(void)state;
	http_script_start_endless(&s, "HTTP/1.1 503 x\r\n\r\n", "0123456789abcdef");
	use_port(s.port, "/");
	c = run(&rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 503);
	assert_int_equal(http_call_body(c)->len, 64 * 1024);
	assert_int_equal(http_call_error(c, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
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
		use_port(s.port, "/");
		if (n == 100) {
			c = run(&rc);
			assert_int_equal(rc, 0);
			http_call_free(c);
		} else {
			assert_fails(ERR_LIMIT, "more than 100 headers");
		}
		http_script_stop(&s);
		buf_done(&b);
	}
	http_script_start_endless(&s, "HTTP/1.1 200 OK\r\nX: ", "0123456789abcdef");
	use_port(s.port, "/");
	o.total_timeout_ms = 0;
	c = run(&rc);
	assert_int_equal(rc, -1);
	http_call_free(c);
	http_script_stop(&s);
}

/* ---- time ---- */

static void silence_is_noticed(void **state)
{
	struct http_script s;
	struct http_call *c;
	int rc;

	(void)state;
	http_script_start_held(&s, "");
	use_port(s.port, "/");
	o.answer_timeout_ms = 100;
	c = run(&rc);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_non_null(strstr(err.msg, "no answer within 100 ms"));
	assert_true(http_call_sent(c)); /* it may have had effects */
	http_call_free(c);
	http_script_stop(&s);

	http_script_start_held(&s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	use_port(s.port, "/");
	o.answer_timeout_ms = RIG_WAIT_MS;
	o.idle_timeout_ms = 100;
	assert_fails(ERR_TIMEOUT, "silent for 100 ms after 3 bytes");
	http_script_stop(&s);

	http_script_start_held(&s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	use_port(s.port, "/");
	o.total_timeout_ms = 100;
	assert_fails(ERR_TIMEOUT, "not over after 100 ms");
	http_script_stop(&s);
}

/* ---- where to ---- */

static void a_closed_port_is_said_so(void **state)
{
	struct http_script s;
	struct http_call *c;
	int rc;

	(void)state;
	http_script_start(&s, "");
	use_port(s.port, "/");
	http_script_stop(&s); /* nobody listens there now */
	c = run(&rc);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_NET);
	assert_false(http_call_sent(c));
	assert_int_equal(http_call_status(c), 0);
	http_call_free(c);
}

static void refuse_new(const char *says)
{
	assert_null(http_call_new(&o, &err));
	assert_int_equal(err.code, ERR_INPUT);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
}

static void what_cannot_be_asked_is_refused(void **state)
{
	static const char *const split[] = {"X: a\r\nY: b", NULL}, *const none[] = {"X", NULL};

	(void)state;
	o.url = "http://";
	refuse_new("URL \"http://\"");
	o.url = "no url at all";
	refuse_new("URL");
	o.url = url;
	o.bearer = "a\r\nX: y";
	refuse_new("token");
	o.bearer = "";
	refuse_new("token");
	o.bearer = NULL;
	o.headers = split;
	refuse_new("request header");
	o.headers = none;
	refuse_new("request header");
	o.headers = NULL;
	o.dial = "nowhere";
	refuse_new("");
	o.dial = NULL;
	o.url = "file:///etc/passwd";
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
	o.url = "http://name.that.is.nowhere.test:1/echo";
	o.dial = dial;
	c = run(&rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 200);
	http_call_free(c);

	rig_stop(&rig);
	rig_init(&rig);
	rig.o.address = "::1";
	rig_start(&rig);
	snprintf(dial, sizeof(dial), "[::1]:%u", http_server_port(rig.server));
	c = run(&rc);
	assert_int_equal(rc, 0);
	j = http_call_json(c, &err);
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
	c = run(&rc);
	assert_int_equal(rc, 0);
	http_call_free(c);
	o.use_proxy = true;
	assert_fails(ERR_NET, "127.0.0.1 port 1 ");
	unsetenv("http_proxy");
}

/* ---- TLS ---- */

static void use_tls(enum rig_client who, const char *host)
{
	rig_stop(&rig);
	rig_init(&rig);
	rig.o.tls = &certs.server;
	rig.o.client_name = RIG_CLIENT_NAME;
	rig_start(&rig);
	use_port(http_server_port(rig.server), "/echo");
	snprintf(url, sizeof(url), "https://%s:%u/echo", host, http_server_port(rig.server));
	o.tls = &certs.client[who];
}

static void both_sides_of_tls_are_checked(void **state)
{
	struct tls_files stranger = certs.client[RIG_RIGHT];
	struct http_call *c;
	char dial[32];
	int rc;

	(void)state;
	use_tls(RIG_RIGHT, "localhost");
	c = run(&rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 200);
	http_call_free(c);

	stranger.ca_pem = certs.client[RIG_WRONG_CA].cert_pem; /* some certificate, but not our CA's */
	o.tls = &stranger;
	assert_fails(ERR_AUTH, "");
	o.tls_insecure = true;
	c = run(&rc);
	assert_int_equal(rc, 0);
	http_call_free(c);

	use_tls(RIG_RIGHT, "other.test");
	snprintf(dial, sizeof(dial), "127.0.0.1:%u", http_server_port(rig.server));
	o.dial = dial;
	assert_fails(ERR_AUTH, "other.test");
}

static void a_client_that_is_not_accepted_learns_it(void **state)
{
	int who;

	(void)state;
	for (who = 0; who < RIG_CLIENTS; who++) {
		if (who == RIG_RIGHT || who == RIG_NONE)
			continue;
		use_tls((enum rig_client)who, "localhost");
		assert_fails(ERR_AUTH, "localhost: ");
	}
	use_tls(RIG_NONE, "localhost"); /* GnuTLS ends that one without an alert */
	memset(&err, 0, sizeof(err));
	http_call_free(run(&who));
	assert_int_equal(who, -1);
	assert_int_equal(rig.headers, 0);
}

/* CAs come from the caller or from libcurl's own default, never from variables. */
static void the_environment_is_not_trusted(void **state)
{
	char path[] = "/tmp/pcapline-ca-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	use_tls(RIG_NONE, "localhost");
	o.tls = NULL;
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, certs.server.ca_pem, strlen(certs.server.ca_pem), &err), 0);
	setenv("SSL_CERT_FILE", path, 1);
	setenv("CURL_CA_BUNDLE", path, 1);
	assert_fails(ERR_AUTH, "");
	unsetenv("SSL_CERT_FILE");
	unsetenv("CURL_CA_BUNDLE");
	unlink(path);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_arrives_with_all_its_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(each_method_is_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_answer_becomes_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stream_comes_whole_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(an_aborted_stream_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_receiver_may_stop_a_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(another_thread_may_cancel_a_silent_call, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_cancelled_before_its_run_is_not_made, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_cut_short_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_whole_answer_is_a_success, setup, teardown),
		cmocka_unit_test_setup_teardown(collected_bodies_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endless_error_is_cut_and_stays_that_error, setup, teardown),
		cmocka_unit_test_setup_teardown(headers_of_an_answer_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_port_is_said_so, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_asked_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(dial_takes_another_way_to_the_same_name, setup, teardown),
		cmocka_unit_test_setup_teardown(a_proxy_is_used_only_when_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(both_sides_of_tls_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_is_not_accepted_learns_it, setup, teardown),
		cmocka_unit_test_setup_teardown(the_environment_is_not_trusted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
