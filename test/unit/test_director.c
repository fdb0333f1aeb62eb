/* test_director.c - a director on loopback: which of its answers let a user in, what the others become, and what is taken of its list of instances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_client.h"
#include "common/json_in.h"
#include "gateway/targets/director.h"
#include "test/unit/http_double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_RIGHT      "{\"code\":600000,\"description\":\"Require one of the scopes: bosh.admin\"}"
#define NO_DEPLOYMENT "{\"code\":70000,\"description\":\"Deployment 'cf' doesn't exist\"}"
#define BAD_TOKEN     "Not authorized: '/deployments/cf/variables'\n"
#define ONE           "[{\"job\":\"a\",\"index\":0,\"id\":\"u\",\"cid\":\"c\",\"agent_id\":\"g\",\"ips\":[\"10.0.0.1\"]}]"

/* One answer per route; asked: which, in order. */
static struct said {
	int status;
	const char *body;
} variables, instances;
static char asked[256];

static struct http_server *server;
static struct platform p;
static struct director_instances d;
static struct err err;

static void on_request(void *ctx, struct http_request *rq)
{
	const char *path = http_request_path(rq), *part = strrchr(path, '/') + 1;
	const struct said *s = strcmp(part, "variables") == 0 ? &variables : &instances;

	(void)ctx;
	snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%s ", path);
	http_reply_text(rq, s->status, "application/json", s->body);
}

static int group_setup(void **state)
{
	char url[80];

	(void)state;
	if (http_client_global_init(NULL) < 0)
		return -1;
	server = http_double_start(on_request, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(server));
	return platform_open(&p, "the director", url, "", 10000, NULL);
}

static int group_teardown(void **state)
{
	(void)state;
	platform_close(&p);
	http_server_stop(server);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	director_instances_done(&d);
	return 0;
}

static int deployment(const char *name)
{
	director_instances_done(&d);
	memset(&err, 0, sizeof(err));
	asked[0] = '\0';
	return director_deployment(&p, "t", name, &d, &err);
}

/* ---- who may ---- */

static void what_its_answers_mean(void **state)
{
	static const struct {
		struct said variables, instances;
		enum err_code code;
		const char *detail, *msg;
		bool asks_twice;
	} rows[] = {
		{{200, "[]"}, {200, ONE}, ERR_NONE, "", "", true},
		{{200, "\r\n [{\"id\":\"1\"}]"}, {200, ONE}, ERR_NONE, "", "", true},
		{{200, "{}"}, {200, ONE}, ERR_NET, "platform_failed", "no list of variables", false},
		{{200, ""}, {200, ONE}, ERR_NET, "platform_failed", "no list of variables", false},
		{{200, "<html>"}, {200, ONE}, ERR_NET, "platform_failed", "no list of variables", false},
		{{201, "[]"}, {200, ONE}, ERR_NET, "platform_failed", "(HTTP 201)", false},
		{{206, "[]"}, {200, ONE}, ERR_NET, "platform_failed", "(HTTP 206)", false},
		/* a good token without the right: 401 too */
		{{401, NO_RIGHT}, {200, ONE}, ERR_PERM, "", "you may see \"cf\", but", true},
		{{401, NO_RIGHT}, {401, NO_RIGHT}, ERR_NOT_FOUND, "", "there is no deployment \"cf\"", true},
		{{401, NO_RIGHT}, {404, NO_DEPLOYMENT}, ERR_NOT_FOUND, "", "there is no deployment \"cf\"", true},
		{{401, NO_RIGHT}, {401, BAD_TOKEN}, ERR_AUTH, "platform_token", "log in again", true},
		{{401, NO_RIGHT}, {500, ""}, ERR_NET, "platform_failed", "(HTTP 500)", true},
		{{401, NO_RIGHT}, {404, "x"}, ERR_NET, "platform_failed", "bosh.director", true},
		{{404, NO_DEPLOYMENT}, {200, ONE}, ERR_NOT_FOUND, "", "there is no deployment \"cf\"", false},
		{{404, "Endpoint '/x' not found."}, {200, ONE}, ERR_NET, "platform_failed", "bosh.director", false},
		{{404, "{\"code\":70001}"}, {200, ONE}, ERR_NET, "platform_failed", "bosh.director", false},
		{{401, BAD_TOKEN}, {200, ONE}, ERR_AUTH, "platform_token", "log in again", false},
		{{401, ""}, {200, ONE}, ERR_AUTH, "platform_token", "log in again", false},
		{{401, "[600000]"}, {200, ONE}, ERR_AUTH, "platform_token", "log in again", false},
		{{401, "{\"code\":\"600000\"}"}, {200, ONE}, ERR_AUTH, "platform_token", "log in again", false},
		{{401, "{\"code\":600000.0}"}, {200, ONE}, ERR_AUTH, "platform_token", "log in again", false},
		{{403, NO_RIGHT}, {200, ONE}, ERR_NET, "platform_failed", "something before it", false},
		{{500, "{\"description\":\"why\"}"}, {200, ONE}, ERR_NET, "platform_failed", "(HTTP 500): why", false},
		{{500, "{\"description\":[]}"}, {200, ONE}, ERR_NET, "platform_failed", "(HTTP 500)", false},
		{{503, ""}, {200, ONE}, ERR_UNAVAILABLE, "platform_failed", "not available", false},
		{{429, "{}"}, {200, ONE}, ERR_BUSY, "platform_busy", "fewer requests", false},
		{{302, ""}, {200, ONE}, ERR_NET, "platform_failed", "redirect", false},
		/* it changed in between */
		{{200, "[]"}, {401, NO_RIGHT}, ERR_NOT_FOUND, "", "there is no deployment \"cf\"", true},
		{{200, "[]"}, {404, NO_DEPLOYMENT}, ERR_NOT_FOUND, "", "there is no deployment \"cf\"", true},
		{{200, "[]"}, {401, BAD_TOKEN}, ERR_AUTH, "platform_token", "log in again", true},
		{{200, "[]"}, {302, ""}, ERR_NET, "platform_failed", "redirect", true},
		{{200, "[]"}, {200, "{}"}, ERR_NET, "platform_failed", "no list of instances", true},
		{{200, "[]"}, {200, "<html>"}, ERR_NET, "platform_failed", "no list of instances", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc;

		variables = rows[i].variables;
		instances = rows[i].instances;
		rc = deployment("cf");
		if (err.code != rows[i].code || strcmp(err.detail, rows[i].detail) != 0 ||
			!strstr(err.msg, rows[i].msg))
			fail_msg("row %zu: %s, %s: %s", i, err_code_name(err.code), err.detail, err.msg);
		assert_int_equal(rc, err.code == ERR_NONE ? 0 : -1);
		assert_int_equal(d.n, rc == 0 ? 1 : 0);
		assert_string_equal(asked, rows[i].asks_twice ? "/deployments/cf/variables /deployments/cf/instances "
							      : "/deployments/cf/variables ");
	}
}

static void names_stay_within_their_segment(void **state)
{
	(void)state;
	variables = (struct said){404, NO_DEPLOYMENT};
	assert_int_equal(deployment("a b?c#d%2e\xc3\xbc"), -1);
	assert_string_equal(asked, "/deployments/a b?c#d%2e\xc3\xbc/variables ");
	assert_string_equal(err.msg, "there is no deployment \"a b?c#d%2e??\" that you may capture from");
}

/* ---- instances ---- */

static int read_text(const char *text)
{
	json_t *j = json_in_parse(text, strlen(text), NULL);
	int rc;

	assert_non_null(j);
	director_instances_done(&d);
	rc = director_instances_read(j, &d, &err);
	json_decref(j);
	return rc;
}

static void what_makes_an_instance(void **state)
{
	static const struct {
		const char *entry;
		const char *group, *id; /* group NULL: it is left out */
		uint64_t index;
		bool has_vm, expects_vm;
	} rows[] = {
		{"{\"job\":\"a\",\"index\":0}", "a", "", 0, false, true},
		{"{\"job\":\"a\",\"index\":7,\"id\":\"u\",\"ips\":[\"10.0.0.1\"]}", "a", "u", 7, true, true},
		{"{\"job\":\"a\",\"index\":7,\"ips\":[\"10.0.0.1\"],\"cid\":null}", "a", "", 7, false, true},
		{"{\"job\":\"a\",\"index\":7,\"ips\":[\"10.0.0.1\"],\"agent_id\":null}", "a", "", 7, false, true},
		{"{\"job\":\"a\",\"index\":7,\"ips\":[],\"cid\":\"c\",\"agent_id\":\"g\"}", "a", "", 7, false, true},
		{"{\"job\":\"a\",\"index\":7,\"ips\":null}", "a", "", 7, false, true},
		{"{\"job\":\"a\",\"index\":7,\"ips\":\"10.0.0.1\"}", "a", "", 7, false, true},
		{"{\"job\":\"a\",\"index\":0,\"expects_vm\":false}", "a", "", 0, false, false},
		{"{\"job\":\"a\",\"index\":0,\"expects_vm\":null}", "a", "", 0, false, true},
		{"{\"job\":\"a\",\"index\":0,\"expects_vm\":0}", "a", "", 0, false, true},
		{"{\"job\":\"a\",\"id\":\"u\"}", "a", "u", DIRECTOR_NO_INDEX, false, true},
		{"{\"job\":\"a\",\"id\":\"u\",\"index\":null}", "a", "u", DIRECTOR_NO_INDEX, false, true},
		{"{\"job\":\"a\",\"id\":\"u\",\"index\":-1}", "a", "u", DIRECTOR_NO_INDEX, false, true},
		{"{\"job\":\"a\",\"id\":5,\"index\":9223372036854775807}", "a", "", INT64_MAX, false, true},
		{"{\"job\":\"a\",\"id\":\"\",\"index\":1}", "a", "", 1, false, true},
		{"{\"job\":\"a\",\"id\":\"u/v\",\"index\":1}", "a", "", 1, false, true},
		{"{\"job\":\"a\",\"id\":\"u\\nv\",\"index\":1}", "a", "", 1, false, true},
		{"{\"job\":\"a\",\"id\":\"u/v\"}", NULL, "", 0, false, true},
		{"{\"job\":\"a\"}", NULL, "", 0, false, true},
		{"{\"job\":\"a\",\"index\":\"0\"}", NULL, "", 0, false, true},
		{"{\"job\":\"a\",\"index\":0.0}", NULL, "", 0, false, true},
		{"{\"index\":0}", NULL, "", 0, false, true},
		{"{\"job\":null,\"index\":0}", NULL, "", 0, false, true},
		{"{\"job\":5,\"index\":0}", NULL, "", 0, false, true},
		{"{\"job\":\"\",\"index\":0}", NULL, "", 0, false, true},
		{"{\"job\":\"a/b\",\"index\":0}", NULL, "", 0, false, true},
		{"{\"job\":\"a\\u0007\",\"index\":0}", NULL, "", 0, false, true},
		{"[]", NULL, "", 0, false, true},
		{"null", NULL, "", 0, false, true},
		{"5", NULL, "", 0, false, true},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "[{\"job\":\"z\",\"index\":0},%s]", rows[i].entry);
		assert_int_equal(read_text(text), 0);
		if (d.n != (rows[i].group ? 2 : 1))
			fail_msg("%s", rows[i].entry);
		if (!rows[i].group)
			continue;
		assert_string_equal(d.items[1].group, rows[i].group);
		assert_string_equal(d.items[1].id, rows[i].id);
		if (d.items[1].index != rows[i].index || d.items[1].has_vm != rows[i].has_vm ||
			d.items[1].expects_vm != rows[i].expects_vm)
			fail_msg("%s", rows[i].entry);
	}
	assert_int_equal(read_text("[]"), 0);
	assert_int_equal(d.n, 0);
	assert_int_equal(read_text("[5,{}]"), -1);
	assert_string_equal(err.detail, "platform_failed");
	assert_int_equal(director_instances_read(NULL, &d, &err), -1);
}

static void names_have_a_length(void **state)
{
	char name[DIRECTOR_TEXT_MAX + 1], text[512];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t n = DIRECTOR_TEXT_MAX - 1; n <= DIRECTOR_TEXT_MAX; n++) {
		snprintf(text, sizeof(text),
			"[{\"job\":\"%.*s\",\"index\":0},{\"job\":\"a\",\"id\":\"%.*s\"},{\"job\":\"z\",\"index\":0}]",
			(int)n, name, (int)n, name);
		assert_int_equal(read_text(text), 0);
		assert_int_equal(d.n, n < DIRECTOR_TEXT_MAX ? 3 : 1);
	}
}

static void so_many_and_no_more(void **state)
{
	json_t *list = json_array(), *entry = json_pack("{s:s, s:i}", "job", "a", "index", 1);

	(void)state;
	for (size_t n = 0; n < DIRECTOR_INSTANCES_MAX; n++)
		json_array_append(list, entry);
	assert_int_equal(director_instances_read(list, &d, &err), 0);
	assert_int_equal(d.n, DIRECTOR_INSTANCES_MAX);
	director_instances_done(&d);
	json_array_append_new(list, entry);
	assert_int_equal(director_instances_read(list, &d, &err), -1);
	assert_non_null(strstr(err.msg, "10001 instances"));
	json_decref(list);
}

/* due: those taken, with commas. */
static void addresses_are(const char *ips, size_t max, const char *due)
{
	char found[8][DIRECTOR_ADDRESS_MAX], text[1024], all[512] = "";
	size_t n;

	snprintf(text, sizeof(text), "[{\"job\":\"a\",\"index\":0,\"ips\":%s}]", ips);
	assert_int_equal(read_text(text), 0);
	n = director_addresses(&d.items[0], found, max);
	for (size_t i = 0; i < n; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? "," : "", found[i]);
	assert_string_equal(all, due);
}

static void addresses(void **state)
{
	(void)state;
	addresses_are("null", 8, "");
	addresses_are("[]", 8, "");
	addresses_are("[\"10.0.0.2\",\"10.0.0.1\",\"fd00::1\"]", 8, "10.0.0.2,10.0.0.1,fd00::1");
	addresses_are("[\"10.0.0.2\",\"10.0.0.1\",\"fd00::1\"]", 2, "10.0.0.2,10.0.0.1");
	addresses_are("[\"10.0.0.1\"]", 0, "");
	addresses_are("[\"10.0.0.1\",\"10.0.0.1/32\",\"10.0.0.1\"]", 8, "10.0.0.1");
	addresses_are("[\"FD00:0:0::1\",\"fd00::1/128\"]", 8, "fd00::1");
	addresses_are("[\"10.0.0.16/28\",\"fd00::/64\",\"10.0.0.1/128\",\"fd00::1/32\",\"10.0.0.1/\",\"10.0.0.1/32/"
		      "32\",\"/32\",\"/\"]",
		8, "");
	addresses_are("[\"0.0.0.0\",\"::\",\"0.0.0.0/32\",\"::/128\"]", 8, "");
	addresses_are("[null,5,[],{},true,\"\",\"x\",\"10.0.0\",\"10.0.0.256\",\"010.0.0.1\",\"1\",\" "
		      "10.0.0.1\",\"fe80::1%eth0\",\"[fd00::1]\",\":\"]",
		8, "");
	addresses_are("[\"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128\"]", 8,
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	addresses_are("[\"fffffffffffffffffffffffffffffffffffffffffffffffffff:ffff:ffff:255.255.255.255\"]", 8, "");
}

#define test(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_its_answers_mean),
		test(names_stay_within_their_segment),
		test(what_makes_an_instance),
		test(names_have_a_length),
		test(so_many_and_no_more),
		test(addresses),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
