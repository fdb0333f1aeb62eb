/* test_target_bosh.c - targets of type bosh against a director on loopback: what slugs stand for, what comes of each instance, and of a running capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_client.h"
#include "common/json_in.h"
#include "gateway/targets/target_bosh.h"
#include "test/unit/http_double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VM(group, index, id, ips)                                                                                      \
	"{\"job\":\"" group "\",\"index\":" #index ",\"id\":\"" id "\",\"cid\":\"c\",\"agent_id\":\"a\",\"ips\":[" ips \
	"]}"

static const char usual[] = "[" VM("router", 4, "u4", "\"10.0.0.4\"") "," VM(
	"router", 1, "u1", "\"10.0.0.1\",\"10.1.0.1\",\"fd00::1\"") "," VM("cell", 0, "c0",
	"\"10.0.0.16/28\",\"fd00::2/128\"") "," VM("router2", 1, "u21", "\"10.0.0.21\"") "," VM("void", 0, "v0",
	"\"10.0.0.16/28\"") "," VM("down", 0, "d0", "") ","
							"{\"job\":\"errand\",\"index\":0,\"id\":\"e0\",\"cid\":null,"
							"\"agent_id\":null,\"ips\":[],\"expects_vm\":false},"
							"{\"job\":\"old\",\"index\":0,\"ips\":[\"10.0.0.30\"]}]";

static const char *list; /* of instances */
static int rights;       /* status of the question for the right */
static unsigned asked;
static struct http_server *server;
static struct target_source *source;
static struct config_gateway config;
static struct target_set set;
static struct err err;
static bool again;

static char token[] = "t", bosh[] = "bosh", none[] = "", agents_name[] = "pcap-agent", url[80];
static const struct identity who = {
	.user_id = bosh, .user_name = none, .org = none, .space = none, .issuer = bosh, .token = token};

static void on_request(void *ctx, struct http_request *rq)
{
	bool probe = strstr(http_request_path(rq), "/variables");

	(void)ctx;
	asked++;
	if (!probe)
		http_reply_text(rq, 200, "application/json", list);
	else if (rights == 404)
		http_reply_text(rq, 404, "application/json", "{\"code\":70000}");
	else
		http_reply_text(rq, rights, "application/json", rights == 200 ? "[]" : "{\"code\":600000}");
}

static int group_setup(void **state)
{
	(void)state;
	if (http_client_global_init(NULL) < 0)
		return -1;
	server = http_double_start(on_request, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", http_server_port(server));
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	http_server_stop(server);
	return 0;
}

static void open_source(void)
{
	if (source)
		source->ops->free(source);
	if (!(source = target_bosh_new(&config, &err)))
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	(void)state;
	list = usual;
	rights = 200;
	asked = 0;
	again = false;
	config = (struct config_gateway){.agents_name = agents_name,
		.bosh_director = url,
		.bosh_ca = none,
		.bosh_issuer = bosh,
		.bosh_timeout_ms = 10000,
		.bosh_agent_port = 9495,
		.bosh_agent_name = none,
		.bosh_confirm = true};
	memset(&err, 0, sizeof(err));
	open_source();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	target_set_done(&set);
	source->ops->free(source);
	source = NULL;
	return 0;
}

static int resolve(const char *target, size_t max)
{
	json_t *j = json_in_parse(target, strlen(target), &err);
	int rc;

	if (!j)
		fail_msg("%s: %s", target, err.msg);
	target_set_done(&set);
	memset(&err, 0, sizeof(err));
	rc = source->ops->resolve(
		source, &(struct target_query){.who = &who, .target = j, .max = max, .again = again}, &set, &err);
	json_decref(j);
	return rc;
}

/* instances: as JSON, NULL: all; names: what comes of it, in order, with commas. */
static void expect(const char *instances, const char *names)
{
	char text[1024] = "", target[512];
	size_t n = 0;

	snprintf(target, sizeof(target), "{\"type\":\"bosh\",\"deployment\":\"cf\",\"instances\":%s}",
		instances ? instances : "null");
	if (resolve(target, 100) < 0)
		fail_msg("%s: %s", target, err.msg);
	for (size_t i = 0; i < set.n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "," : "", set.instances[i].name);
	assert_string_equal(text, names);
	assert_string_equal(set.deployment, "cf");
}

static void refused(const char *target, enum err_code code, const char *field)
{
	if (resolve(target, 100) == 0)
		fail_msg("taken: %s", target);
	if (err.code != code || strcmp(err.field, field) != 0)
		fail_msg("%s: %s, field \"%s\": %s", target, err_code_name(err.code), err.field, err.msg);
	assert_null(set.instances);
	assert_int_equal(set.n, 0);
	assert_string_equal(set.deployment, "");
}

static void whose_people(void **state)
{
	(void)state;
	assert_string_equal(source->type, "bosh");
	assert_string_equal(source->issuer, "bosh");
	assert_null(source->ops->agents);
	assert_null(source->ops->reload);
}

static void slugs(void **state)
{
	(void)state;
	expect(NULL, "router/4,router/1,cell/0,router2/1,void/0,down/0,old/0"); /* but no errand that does not run */
	expect("[\"router\"]", "router/4,router/1");
	expect("[\"router/1\"]", "router/1");
	expect("[\"router/0001\"]", "router/1");
	expect("[\"router/u1\"]", "router/1");
	expect("[\"router/1\",\"router\",\"router/u4\"]", "router/1,router/4");
	expect("[\"errand\",\"cell/0\"]", "errand/0,cell/0");
	list = "[" VM("5", 5, "5", "\"10.0.0.5\"") "," VM("5", 6, "x", "\"10.0.0.6\"") "]";
	expect("[\"5\"]", "5/5,5/6");
	expect("[\"5/6\",\"5/x\"]", "5/6");
	list = "[{\"job\":\"a\",\"id\":\"17\",\"ips\":[\"10.0.0.1\"]},{\"job\":\"a\",\"id\":\"x\",\"index\":null,"
	       "\"ips\":[\"10.0.0.1\"]}]";
	expect("[\"a/x\",\"a\"]", "a/x,a/17");
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\",\"instances\":[\"a/17\"]}", ERR_NOT_FOUND,
		"target.instances"); /* an index */
}

static void what_is_known_of_each(void **state)
{
	const struct target_instance *i;

	(void)state;
	expect(NULL, "router/4,router/1,cell/0,router2/1,void/0,down/0,old/0");
	i = set.instances;
	assert_string_equal(i[1].host, "10.0.0.1");
	assert_int_equal(i[1].others_n, 2);
	assert_string_equal(i[1].others[0], "10.1.0.1");
	assert_string_equal(i[1].others[1], "fd00::1");
	assert_int_equal(i[1].port, 9495);
	assert_string_equal(i[1].agent_name, "pcap-agent");
	assert_int_equal(i[1].agent.type, AGENT_TARGET_HOST);
	assert_string_equal(i[1].agent.instance, "u1");
	assert_int_equal(i[1].agent.index, AGENT_INDEX_ANY);
	assert_int_equal(i[1].error.code, ERR_NONE);
	assert_string_equal(i[2].host, "fd00::2");
	assert_int_equal(i[2].others_n, 0);
	assert_string_equal(i[4].error.detail, "no_address");
	assert_string_equal(i[5].error.detail, "instance_stopped");
	assert_string_equal(i[6].error.detail, "no_id");
	for (size_t n = 4; n < 7; n++) {
		assert_int_equal(i[n].error.code, ERR_STATE);
		assert_string_equal(i[n].host, "");
	}
	config.bosh_confirm = false;
	config.bosh_agent_name = bosh;
	open_source();
	expect("[\"old\",\"cell\"]", "old/0,cell/0");
	assert_string_equal(set.instances[0].host, "10.0.0.30");
	assert_string_equal(set.instances[1].agent.instance, "");
	assert_string_equal(set.instances[1].agent_name, "bosh");
}

static void more_addresses_than_are_tried(void **state)
{
	(void)state;
	list = "[" VM("a", 0, "u",
		"\"10.0.0.1\",\"10.0.0.2\",\"10.0.0.3\",\"10.0.0.4\",\"10.0.0.5\",\"10.0.0.6\",\"10.0.0.7\",\"10.0.0."
		"8\",\"10.0.0.9\"") "]";
	expect(NULL, "a/0");
	assert_int_equal(set.instances[0].others_n, TARGET_OTHERS_MAX);
	assert_string_equal(set.instances[0].others[TARGET_OTHERS_MAX - 1], "10.0.0.8");
}

static void bad_ones_are_not_asked_about(void **state)
{
	static const char *const names[] = {"[]", "[\"\"]", "[5]", "[null]", "[\"a/\"]", "[\"/a\"]", "[\"/\"]",
		"[\"a/b/c\"]", "[\"a//b\"]", "[\"a\\nb\"]", "[\"a/\\u0001\"]", "\"a\"", "{}", "[\"a\",[]]"};
	static const char *const deployments[] = {
		"null", "5", "\"\"", "\"a/b\"", "\".\"", "\"..\"", "\"a\\nb\"", "[\"a\"]"};
	char text[2 * CAPTURE_NAME_MAX], name[CAPTURE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"bosh\",\"deployment\":\"cf\",\"instances\":%s}", names[i]);
		refused(text, ERR_INPUT, "target.instances");
	}
	for (size_t i = 0; i < sizeof(deployments) / sizeof(deployments[0]); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"bosh\",\"deployment\":%s}", deployments[i]);
		refused(text, ERR_INPUT, "target.deployment");
	}
	refused("{\"type\":\"bosh\"}", ERR_INPUT, "target.deployment");
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\",\"index\":0}", ERR_INPUT, "target.index");
	memset(name, 'n', sizeof(name));
	name[CAPTURE_NAME_MAX] = '\0';
	snprintf(text, sizeof(text), "{\"type\":\"bosh\",\"deployment\":\"%s\"}", name);
	refused(text, ERR_INPUT, "target.deployment");
	snprintf(text, sizeof(text), "{\"type\":\"bosh\",\"deployment\":\"cf\",\"instances\":[\"%s\"]}", name);
	refused(text, ERR_INPUT, "target.instances");
	assert_int_equal(asked, 0);
	snprintf(text, sizeof(text), "{\"type\":\"bosh\",\"deployment\":\"cf\",\"instances\":[\"%s\"]}", name + 1);
	refused(text, ERR_NOT_FOUND, "target.instances");
	assert_int_equal(asked, 2);
	rights = 404;
	snprintf(text, sizeof(text), "{\"type\":\"bosh\",\"deployment\":\"%s\"}", name + 1);
	refused(text, ERR_NOT_FOUND, "target.deployment");
}

static void names_are_so_many_and_no_more(void **state)
{
	char text[16 * 1024];

	(void)state;
	for (size_t names = 1000; names <= 1001; names++) {
		size_t n = (size_t)snprintf(
			text, sizeof(text), "{\"type\":\"bosh\",\"deployment\":\"cf\",\"instances\":[\"cell\"");

		for (size_t i = 1; i < names; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"cell\"");
		snprintf(text + n, sizeof(text) - n, "]}");
		if (names == 1001)
			refused(text, ERR_INPUT, "target.instances");
		else
			assert_int_equal(resolve(text, 1), 0);
	}
}

static void so_many_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(resolve("{\"type\":\"bosh\",\"deployment\":\"cf\"}", 7), 0);
	assert_int_equal(resolve("{\"type\":\"bosh\",\"deployment\":\"cf\"}", 6), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.detail, "too_many_instances");
	assert_int_equal(set.n, 0);
}

static void what_is_not_there(void **state)
{
	static const char *const names[] = {"route", "routers", "router/0", "router/2", "router/u", "router/U1",
		"router/-1", "router/18446744073709551615", "router/99999999999999999999999999", "cell/1", "10.0.0.4",
		"router/10.0.0.4", "r\xc3\xb6uter"};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text),
			"{\"type\":\"bosh\",\"deployment\":\"cf\",\"instances\":[\"cell\",\"%s\"]}", names[i]);
		refused(text, ERR_NOT_FOUND, "target.instances");
	}
	rights = 404;
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_NOT_FOUND, "target.deployment");
	rights = 401;
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_PERM, "target.deployment");
	rights = 500;
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_NET, "");
}

static void nothing_runs(void **state)
{
	(void)state;
	list = "[]";
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_STATE, "target.deployment");
	list = "[{\"job\":\"errand\",\"index\":0,\"ips\":[],\"expects_vm\":false}]";
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_STATE, "target.deployment");
	assert_string_equal(err.detail, "instance_stopped");
	expect("[\"errand\"]", "errand/0");
}

/* Of a running capture: what went is left out, and the right is asked as at the start. */
static void once_more(void **state)
{
	(void)state;
	again = true;
	expect("[\"router/1\",\"router/77\",\"gone\"]", "router/1");
	expect("[\"gone\"]", "");
	list = "[]";
	expect(NULL, "");
	rights = 404;
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_NOT_FOUND, "target.deployment");
	rights = 401;
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_PERM, "target.deployment");
	rights = 503;
	refused("{\"type\":\"bosh\",\"deployment\":\"cf\"}", ERR_UNAVAILABLE, "");
}

static void a_ca_that_is_not_there(void **state)
{
	static char ca[] = "/nonexistent/ca.pem";

	(void)state;
	config.bosh_ca = ca;
	assert_null(target_bosh_new(&config, &err));
	assert_non_null(strstr(err.msg, "bosh.ca: "));
	assert_non_null(strstr(err.msg, ca));
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(whose_people),
		test(slugs),
		test(what_is_known_of_each),
		test(more_addresses_than_are_tried),
		test(bad_ones_are_not_asked_about),
		test(names_are_so_many_and_no_more),
		test(so_many_and_no_more),
		test(what_is_not_there),
		test(nothing_runs),
		test(once_more),
		test(a_ca_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
