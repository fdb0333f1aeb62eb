/* test_target_cf.c - apps as targets of a running capture: what is asked again, what may be gone, and what instances are called.  The rest is told end to end (test_42_cf.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_client.h"
#include "common/json_in.h"
#include "common/parse.h"
#include "gateway/targets/target_cf.h"
#include "test/unit/http_double.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APP   "1c0f0a52-6a55-4b9f-8b2e-2f0d7c6a1111"
#define SPACE "5b1c0e7e-0d5f-4f5c-9d53-9a1c2b3d2222"
#define ORG   "0f9e8d7c-3333-4444-8555-666677778888"
#define USER  "7a1f3c1e-20c5-4a35-9b70-3f6f0f6f1a01"
#define OTHER "9e9e9e9e-20c5-4a35-9b70-3f6f0f6f1a01"

#define APP_OF(name, state)                                                                                            \
	"\"guid\":\"" APP "\",\"name\":\"" name "\",\"state\":\"" state                                                \
	"\",\"relationships\":{\"space\":{\"data\":{\"guid\":\"" SPACE "\"}}}"
#define INCLUDED                                                                                                       \
	"\"included\":{\"spaces\":[{\"guid\":\"" SPACE                                                                 \
	"\",\"relationships\":{\"organization\":{\"data\":{\"guid\":\"" ORG                                            \
	"\"}}}}],\"organizations\":[{\"guid\":\"" ORG "\",\"suspended\":false}]}"
#define ONE_APP(name, state) "{" APP_OF(name, state) "," INCLUDED "}"
#define DEVELOPER                                                                                                      \
	"{\"resources\":[{\"type\":\"space_developer\",\"relationships\":{\"user\":{\"data\":{\"guid\":\"" USER        \
	"\"}},\"space\":{\"data\":{\"guid\":\"" SPACE "\"}}}}]}"
#define PROCESS(guid, type, since, n)                                                                                  \
	"{\"guid\":\"" guid "\",\"type\":\"" type "\",\"created_at\":\"" since "\",\"instances\":" n "}"
#define LIST(items) "{\"resources\":[" items "]}"
#define RUNNING(index, handle)                                                                                         \
	"{\"index\":" index ",\"state\":\"RUNNING\",\"host\":\"10.0.16.21\",\"instance_guid\":\"" handle "\"}"
#define HANDLE_0 "00000000-7d0e-4c1a-5e2b-77aa"
#define HANDLE_1 "11111111-7d0e-4c1a-5e2b-77aa"

static struct {
	struct http_server *server;
	pthread_mutex_t lock;
	const char *app, *found, *roles, *processes, *stats;
	char names[2048], user[256], bearer[64]; /* of the last request that had them */
	unsigned asked;
} cc = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct target_source *source;
static struct target_set set;
static struct err err;
static json_t *target;

static void note(char *ret, size_t size, const char *text)
{
	if (text)
		snprintf(ret, size, "%s", text);
}

static void on_request(void *ctx, struct http_request *rq)
{
	const char *path = http_request_path(rq), *body = NULL;

	(void)ctx;
	pthread_mutex_lock(&cc.lock);
	cc.asked++;
	note(cc.names, sizeof(cc.names), http_request_query(rq, "names"));
	note(cc.user, sizeof(cc.user), http_request_query(rq, "user_guids"));
	note(cc.bearer, sizeof(cc.bearer), http_request_header(rq, "Authorization"));
	if (strcmp(path, "/v3/apps/" APP) == 0)
		body = cc.app;
	else if (strcmp(path, "/v3/apps") == 0)
		body = cc.found;
	else if (strcmp(path, "/v3/roles") == 0)
		body = cc.roles;
	else if (strcmp(path, "/v3/apps/" APP "/processes") == 0)
		body = cc.processes;
	else if (strncmp(path, "/v3/processes/", 14) == 0)
		body = cc.stats;
	if (body)
		http_reply_text(rq, 200, "application/json", body);
	else
		http_reply_text(rq, 404, "application/json",
			"{\"errors\":[{\"title\":\"CF-ResourceNotFound\",\"detail\":\"x\",\"code\":10010}]}");
	pthread_mutex_unlock(&cc.lock);
}

static char url[64], ca[64], none[] = "", cf[] = "cf", cell_agent[] = "cell-agent", other_name[] = "pcap-agent",
			     word[] = "allow";
static struct config_gateway config;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	assert_int_equal(http_client_global_init(&err), 0);
	cc.app = ONE_APP("shop", "STARTED");
	cc.found = "{\"resources\":[{" APP_OF("shop", "STARTED") "}]," INCLUDED "}";
	cc.roles = DEVELOPER;
	cc.processes = LIST(PROCESS(APP, "web", "2026-01-05T10:00:00Z", "2"));
	cc.stats = LIST(RUNNING("0", HANDLE_0) "," RUNNING("1", HANDLE_1));
	cc.server = http_double_start(on_request, NULL);
	cc.asked = 0;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(cc.server));
	ca[0] = '\0';
	config = (struct config_gateway){.cf_api = url,
		.cf_ca = ca,
		.cf_issuer = cf,
		.cf_timeout_ms = 20000,
		.cf_agent_port = 9494,
		.cf_agent_name = cell_agent,
		.agents_name = other_name,
		.cf_label = none,
		.cf_default = word};
	source = target_cf_new(&config, &err);
	assert_non_null(source);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	target_set_done(&set);
	json_decref(target);
	target = NULL;
	source->ops->free(source);
	http_server_stop(cc.server);
	return 0;
}

static char user_id[] = "cf:" USER, client_id[] = "cf:client:ci,1", issuer_cf[] = "cf", token[] = "t0ken", empty[] = "";

/* With the scopes, text separated by one space. */
static int resolve_as(char *id, const char *scopes, const char *text, bool again, size_t max)
{
	struct identity who = {
		.user_id = id, .user_name = empty, .issuer = issuer_cf, .token = token, .scopes = json_array()};
	struct target_query q = {.who = &who, .max = max, .again = again};
	char copy[200], *save = NULL;
	int rc;

	snprintf(copy, sizeof(copy), "%s", scopes);
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		json_array_append_new(who.scopes, json_string(s));
	if (text) {
		json_decref(target);
		target = json_in_parse(text, strlen(text), NULL);
		assert_non_null(target);
	}
	q.target = target;
	target_set_done(&set);
	memset(&err, 0, sizeof(err));
	rc = source->ops->resolve(source, &q, &set, &err);
	json_decref(who.scopes);
	return rc;
}

/* text NULL: the target of the last time. */
static int resolve(const char *text, bool again)
{
	return resolve_as(user_id, "cloud_controller.read cloud_controller.write", text, again, 50);
}

static const char *name_of(size_t n)
{
	return n < set.n ? set.instances[n].name : "(none)";
}

#define BY_GUID "{\"type\":\"cf\",\"app\":\"" APP "\"}"
#define BY_NAME "{\"type\":\"cf\",\"app_name\":\"shop\",\"space\":\"" SPACE "\"}"

static void instances_have_all_that_an_agent_needs(void **state)
{
	const struct target_instance *i;

	(void)state;
	assert_int_equal(resolve(BY_GUID, false), 0);
	assert_int_equal(set.n, 2);
	assert_string_equal(set.org, ORG);
	assert_string_equal(set.space, SPACE);
	assert_string_equal(set.deployment, "");
	i = &set.instances[1];
	assert_string_equal(i->name, "shop/1");
	assert_string_equal(i->host, "10.0.16.21");
	assert_int_equal(i->port, 9494);
	assert_string_equal(i->agent_name, "cell-agent");
	assert_int_equal(i->agent.type, AGENT_TARGET_CONTAINER);
	assert_string_equal(i->agent.handle, HANDLE_1);
	assert_string_equal(i->agent.address, "");
	assert_string_equal(i->agent.app, APP);
	assert_int_equal(i->agent.index, 1);
	assert_int_equal(i->error.code, ERR_NONE);
	assert_string_equal(cc.bearer, "Bearer t0ken");
	assert_string_equal(cc.user, USER);
	assert_int_equal(cc.asked, 4);
	assert_string_equal(source->issuer, "cf");
}

static void the_configuration_counts(void **state)
{
	(void)state;
	source->ops->free(source);
	config.cf_agent_name = none;
	config.cf_agent_port = 1234;
	source = target_cf_new(&config, &err);
	assert_non_null(source);
	assert_int_equal(resolve(BY_GUID, false), 0);
	assert_string_equal(set.instances[0].agent_name, "pcap-agent");
	assert_int_equal(set.instances[0].port, 1234);
	snprintf(ca, sizeof(ca), "/nonexistent/ca.pem");
	assert_null(target_cf_new(&config, &err));
	assert_non_null(strstr(err.msg, "/nonexistent/ca.pem"));
}

/* The server has decoded once; Cloud Controller splits at commas and decodes again. */
static void values_of_lists_are_encoded_twice(void **state)
{
	(void)state;
	cc.found = LIST("");
	assert_int_equal(
		resolve("{\"type\":\"cf\",\"app_name\":\"a,b %41/\\u00f6\",\"space\":\"" SPACE "\"}", false), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.field, "target.app_name");
	assert_string_equal(cc.names, "a%2Cb%20%2541%2F%C3%B6");
	assert_int_equal(resolve_as(client_id, "cloud_controller.write", BY_GUID, false, 50), -1);
	assert_int_equal(err.code, ERR_PERM);
	assert_string_equal(cc.user, "ci%2C1");
}

/* A name may have another owner by then. */
static void an_app_found_by_name_stays_that_app(void **state)
{
	(void)state;
	assert_int_equal(resolve(BY_NAME, false), 0);
	assert_string_equal(json_string_value(json_object_get(target, "app")), APP);
	cc.found = NULL;
	cc.app = ONE_APP("renamed", "STARTED");
	assert_int_equal(resolve(NULL, true), 0);
	assert_string_equal(name_of(0), "renamed/0");
	cc.app = NULL;
	assert_int_equal(resolve(NULL, true), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void what_is_gone_is_no_error_when_asked_again(void **state)
{
	static const char two[] = "{\"type\":\"cf\",\"app\":\"" APP "\",\"instances\":[0,5]}";
	static const struct {
		const char *what, *app, *processes, *stats;
		size_t n;            /* instances left */
		enum err_code first; /* of the same at a start */
	} rows[] = {
		{"scaled down", ONE_APP("shop", "STARTED"), LIST(PROCESS(APP, "web", "", "1")),
			LIST(RUNNING("0", HANDLE_0)), 1, ERR_NOT_FOUND},
		{"scaled to none", ONE_APP("shop", "STARTED"), LIST(PROCESS(APP, "web", "", "0")), LIST(""), 0,
			ERR_STATE},
		{"stopped", ONE_APP("shop", "STOPPED"), LIST(PROCESS(APP, "web", "", "1")), LIST(""), 0, ERR_STATE},
		{"no process", ONE_APP("shop", "STARTED"), LIST(""), LIST(""), 0, ERR_NOT_FOUND},
		{"process gone meanwhile", ONE_APP("shop", "STARTED"), LIST(PROCESS(APP, "web", "", "9")), NULL, 0,
			ERR_STATE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cc.app = rows[i].app;
		cc.processes = rows[i].processes;
		cc.stats = rows[i].stats;
		print_message("%s\n", rows[i].what);
		assert_int_equal(resolve(two, true), 0);
		assert_int_equal(set.n, rows[i].n);
		assert_string_equal(set.org, ORG);
		assert_int_equal(resolve(two, false), -1);
		assert_int_equal(err.code, rows[i].first);
	}
}

/* What ends a capture is an error then too. */
static void a_right_that_is_gone_is_an_error_when_asked_again(void **state)
{
	(void)state;
	cc.roles = LIST("");
	assert_int_equal(resolve(BY_GUID, true), -1);
	assert_int_equal(err.code, ERR_PERM);
	assert_string_equal(err.field, "target.app");
	assert_int_equal(resolve_as(user_id, "cloud_controller.read", BY_GUID, true, 50), -1);
	assert_int_equal(err.code, ERR_PERM);
	assert_int_equal(resolve_as(user_id, "cloud_controller.admin", BY_GUID, true, 50), 0);
	cc.app = "{\"errors\":[]}";
	assert_int_equal(resolve(BY_GUID, true), -1);
	assert_int_equal(err.code, ERR_NET);
	assert_string_equal(err.detail, "platform_failed");
}

static void more_than_the_limit_is_refused_before_places_are_asked_for(void **state)
{
	(void)state;
	assert_int_equal(resolve_as(user_id, "cloud_controller.write", BY_GUID, false, 2), 0);
	cc.asked = 0;
	assert_int_equal(resolve_as(user_id, "cloud_controller.write", BY_GUID, false, 1), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.detail, "too_many_instances");
	assert_int_equal(set.n, 0);
	assert_int_equal(cc.asked, 3);
}

/* Of one type the oldest has the plain name, in whatever order they come. */
static void processes_of_one_type_are_told_apart(void **state)
{
	(void)state;
	cc.processes = LIST(PROCESS(OTHER, "web", "2026-01-05T11:00:00Z", "1") "," PROCESS(
		"w", "worker", "", "1") "," PROCESS(APP, "web", "2026-01-05T10:00:00Z", "1"));
	assert_int_equal(resolve("{\"type\":\"cf\",\"app\":\"" APP "\",\"process\":\"*\"}", false), 0);
	assert_int_equal(set.n, 3);
	assert_string_equal(name_of(0), "shop/0");
	assert_string_equal(name_of(1), "shop/0 (rev 9e9e9e9e)");
	assert_string_equal(name_of(2), "shop/worker/0");
}

static void long_names_end_between_characters(void **state)
{
	char app[4096], name[1000] = "", *end = name;

	(void)state;
	*end++ = 'x'; /* so that a cut at an even place would be within a character */
	for (size_t i = 0; i < 255; i++) {
		memcpy(end, "\xc3\xb6", 3);
		end += 2;
	}
	snprintf(app, sizeof(app),
		"{\"guid\":\"" APP
		"\",\"name\":\"%s\",\"state\":\"STARTED\",\"relationships\":{\"space\":{\"data\":{\"guid\":\"" SPACE
		"\"}}}," INCLUDED "}",
		name);
	cc.app = app;
	assert_int_equal(resolve(BY_GUID, false), 0);
	assert_true(parse_is_text(name_of(0), strlen(name_of(0)), false));
	assert_non_null(strstr(name_of(0), "\xc3\xb6.../0"));
	assert_true(strlen(name_of(0)) < 130);
}

static void an_issuers_own_id_is_what_stands_behind_its_name(void **state)
{
	static const struct {
		const char *user_id, *issuer, *subject;
	} rows[] = {
		{"cf:7a1f", "cf", "7a1f"},
		{"cf:client:ci", "cf", "ci"},
		{"cf:client:client:ci", "cf", "client:ci"},
		{"cf:a:b", "cf", "a:b"},
		{"alice", "", "alice"},
		{"cf:x", "c", "cf:x"},
		{"cf", "cf", "cf"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *id = strdup(rows[i].user_id), *issuer = strdup(rows[i].issuer);
		const struct identity who = {.user_id = id, .issuer = issuer};

		assert_string_equal(identity_subject(&who), rows[i].subject);
		free(id);
		free(issuer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(instances_have_all_that_an_agent_needs, setup, teardown),
		cmocka_unit_test_setup_teardown(the_configuration_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(values_of_lists_are_encoded_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(an_app_found_by_name_stays_that_app, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_gone_is_no_error_when_asked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_right_that_is_gone_is_an_error_when_asked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_than_the_limit_is_refused_before_places_are_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(processes_of_one_type_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(long_names_end_between_characters, setup, teardown),
		cmocka_unit_test(an_issuers_own_id_is_what_stands_behind_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
