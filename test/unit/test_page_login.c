/* test_page_login.c - gateway/page/page_login.c: what goes to the issuer, what of its answers comes through, and how often it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_client.h"
#include "gateway/page/page_login.h"
#include "test/unit/http_double.h"
#include "test/unit/temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACK     "https://pcap.example.test/admin"
#define PEER     "203.0.113.7"
#define VERIFIER "v-._~v-._~v-._~v-._~v-._~v-._~v-._~v-._~v-._~"

static struct temp_file file;
static struct http_server *issuer;
static struct page_login *login;
static struct config_gateway config;
static char asked[4096]; /* the last body */
static int status;
static const char *answer;
static char empty[] = "", client[] = "pcap page", name[] = "cf", scopes[] = "openid";

static void on_request(void *ctx, struct http_request *rq)
{
	size_t n;
	const void *body = http_request_body(rq, &n);

	(void)ctx;
	assert_string_equal(http_request_method(rq), "POST");
	assert_string_equal(http_request_path(rq), "/oauth/token");
	assert_string_equal(http_request_header(rq, "Content-Type"), "application/x-www-form-urlencoded");
	assert_null(http_request_header(rq, "Authorization"));
	snprintf(asked, sizeof(asked), "%.*s", (int)n, (const char *)body);
	http_reply_text(rq, status, "application/json", answer);
}

static void write_issuers(const char *more)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
		"issuers:\n- {name: cf, issuer: \"x\", url: \"http://127.0.0.1:%u\", allow_http: true, audience: "
		"[a]%s}\n",
		http_server_port(issuer), more);

	temp_file_write(&file, text, (size_t)n);
}

static int setup(void **state)
{
	struct err err = {0};

	(void)state;
	temp_file_init(&file);
	issuer = http_double_start(on_request, NULL);
	write_issuers("");
	config = (struct config_gateway){.issuers_file = file.path,
		.page_client_id = client,
		.page_issuer = name,
		.page_scopes = scopes,
		.page_authorize_url = empty,
		.page_token_url = empty};
	status = 200;
	answer = "{\"access_token\": \"T\", \"expires_in\": 600, \"refresh_token\": \"R\", \"id_token\": \"I\"}";
	if (http_client_global_init(&err) < 0 || page_login_new(&config, &login, &err) < 0)
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	page_login_free(login);
	http_server_stop(issuer);
	temp_file_done(&file);
	return 0;
}

static void test_only_the_token_comes_through(void **state)
{
	struct err err = {0};
	json_t *token = page_login_exchange(login, PEER, BACK, "c&o=d%e", VERIFIER, &err);

	(void)state;
	assert_non_null(token);
	assert_string_equal(asked, "grant_type=authorization_code&client_id=pcap%20page&redirect_uri=https%3A%2F%"
				   "2Fpcap.example.test%2Fadmin"
				   "&code=c%26o%3Dd%25e&code_verifier=" VERIFIER);
	assert_int_equal(json_object_size(token), 3);
	assert_string_equal(json_string_value(json_object_get(token, "access_token")), "T");
	assert_int_equal(json_integer_value(json_object_get(token, "expires_in")), 600);
	json_decref(token);
	answer = "{\"access_token\": \"T\", \"expires_in\": \"soon\"}";
	assert_non_null(token = page_login_exchange(login, PEER, BACK, "c", VERIFIER, &err));
	assert_null(json_object_get(token, "expires_in"));
	json_decref(token);
}

static void test_refusals(void **state)
{
	static const struct {
		int status;
		const char *answer;
		enum err_code code;
		const char *detail, *says;
	} all[] = {
		{400, "{\"error\": \"invalid_grant\", \"error_description\": \"Bad\\ncode\"}", ERR_AUTH,
			"login_refused", ": Bad?code"},
		{401, "<html>", ERR_AUTH, "login_refused", "it does not say why"},
		{403, "", ERR_AUTH, "login_refused", "it does not say why"},
		{500, "{}", ERR_UNAVAILABLE, "issuer_away", "the issuer answers 500"},
		{302, "", ERR_UNAVAILABLE, "issuer_away", "the issuer answers 302"},
		{200, "{\"token_type\": \"bearer\"}", ERR_NET, "", "holds no access_token"},
		{200, "{\"access_token\": 7}", ERR_NET, "", "holds no access_token"},
		{200, "[]", ERR_NET, "", "holds no access_token"},
		{200, "<html>", ERR_NET, "", "line 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct err err = {0};

		status = all[i].status;
		answer = all[i].answer;
		assert_null(page_login_exchange(login, PEER, BACK, "c", VERIFIER, &err));
		assert_int_equal(err.code, all[i].code);
		assert_string_equal(err.detail, all[i].detail);
		if (!strstr(err.msg, all[i].says))
			fail_msg("%zu: \"%s\" does not say \"%s\"", i, err.msg, all[i].says);
	}
}

static void test_only_so_often(void **state)
{
	unsigned taken = 0;
	struct err err = {0};
	json_t *token;

	(void)state;
	while (taken < 10 * LOGIN_BURST && (token = page_login_exchange(login, PEER, BACK, "c", VERIFIER, &err))) {
		json_decref(token);
		taken++;
	}
	assert_int_equal(err.code, ERR_BUSY);
	assert_in_range(taken, LOGIN_BURST, 10 * LOGIN_BURST - 1);
}

/* As much as one may; how often. */
static unsigned ask_until_refused(const char *peer, unsigned most, struct err *err)
{
	json_t *token;
	unsigned taken = 0;

	*err = (struct err){0};
	while (taken < most && (token = page_login_exchange(login, peer, BACK, "c", VERIFIER, err))) {
		json_decref(token);
		taken++;
	}
	return taken;
}

static void test_a_stranger_locks_nobody_out(void **state)
{
	struct err err;

	(void)state;
	ask_until_refused("198.51.100.66", 10 * LOGIN_BURST, &err);
	assert_non_null(strstr(err.msg, "from 198.51.100.66"));
	assert_int_equal(ask_until_refused(PEER, LOGIN_BURST, &err), LOGIN_BURST);
	/* One with a network of his own is one still. */
	ask_until_refused("2001:db8:1:2::1", 10 * LOGIN_BURST, &err);
	assert_non_null(strstr(err.msg, "from 2001:db8:1:2::"));
	for (unsigned n = 0; n < 3; n++) {
		char peer[64];

		snprintf(peer, sizeof(peer), "2001:db8:1:2:%x::1", n);
		assert_in_range(ask_until_refused(peer, LOGIN_BURST, &err), 0, LOGIN_BURST / 2);
	}
	assert_int_equal(ask_until_refused("2001:db8:1:3::1", 1, &err), 1);
}

/* More of them than there are places: the issuer is spared, and who comes later is heard. */
static void test_many_strangers_spare_the_issuer(void **state)
{
	unsigned taken = 0, n;
	struct err err = {0};

	(void)state;
	for (n = 0; n < 2000 && err.code == ERR_NONE; n++) {
		char peer[64];

		snprintf(peer, sizeof(peer), "10.0.%u.%u", n / 250, n % 250);
		taken += ask_until_refused(peer, 1, &err);
	}
	assert_int_equal(err.code, ERR_BUSY);
	assert_non_null(strstr(err.msg, "too many people"));
	assert_in_range(taken, LOGIN_ALL_BURST, 1999);
}

static void test_where_the_issuer_is(void **state)
{
	struct err err = {0};
	json_t *page;

	(void)state;
	assert_non_null(page = page_login_json(login, BACK));
	assert_non_null(strstr(json_string_value(json_object_get(page, "authorize_url")), "/oauth/authorize"));
	json_decref(page);
	write_issuers(", login_url: \"https://login.example.test\"");
	assert_int_equal(page_login_reload(login, &err), 0);
	assert_non_null(page = page_login_json(login, BACK));
	assert_string_equal(json_string_value(json_object_get(page, "authorize_url")),
		"https://login.example.test/oauth/authorize");
	json_decref(page);

	temp_file_write(&file, "issuers: []\n", 12);
	assert_int_equal(page_login_reload(login, &err), -1);
	assert_non_null(strstr(err.msg, "page.issuer: \"cf\" does not stand in"));
	assert_non_null(page = page_login_json(login, BACK)); /* what was stays */
	json_decref(page);
	assert_int_equal(page_login_reload(NULL, &err), 0);
}

static void test_no_client_no_login(void **state)
{
	struct page_login *none = login;
	struct err err = {0};

	(void)state;
	config.page_client_id = empty;
	assert_int_equal(page_login_new(&config, &none, &err), 0);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_the_token_comes_through, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_so_often, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_stranger_locks_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_strangers_spare_the_issuer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_where_the_issuer_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_client_no_login, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
