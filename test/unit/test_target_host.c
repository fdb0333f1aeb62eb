/* test_target_host.c - the static inventory: who sees what, names and their instances, and that what one may not see looks like what is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/json_in.h"
#include "gateway/targets/target.h"
#include "test/unit/temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char inventory[] = "groups:\n"
				"- name: web\n"
				"  users: [alice, Bob]\n"
				"  instances:\n"
				"  - {id: \"0\", agent: \"10.0.0.1:9495\"}\n"
				"  - {id: \"1\", agent: \"[fd00::2]:9496\", agent_name: other-name}\n"
				"- name: web2\n"
				"  orgs: [acme]\n"
				"  instances:\n"
				"  - {id: \"0\", agent: db.example.com}\n"
				"- name: secret\n"
				"  users: [root]\n"
				"  instances:\n"
				"  - {id: \"0\", agent: 10.0.0.9}\n"
				"- name: cells\n"
				"  users: [\"cf:u-7\"]\n"
				"  scopes: [\"cf:pcap.cells\"]\n"
				"  instances:\n"
				"  - {id: \"0\", agent: 10.0.0.11}\n"
				"- name: nobodys\n"
				"  instances:\n"
				"  - {id: \"0\", agent: 10.0.0.10}\n";

static struct temp_file file;
static struct target_source *source;
static struct target_set set;
static struct err err;

static char id_alice[] = "alice", id_u2[] = "u-2", name_bob[] = "Bob", org_acme[] = "acme", none[] = "",
	    id_root[] = "root", name_alice[] = "Alice";
static const struct identity alice = {
	.user_id = id_alice, .user_name = name_alice, .org = none, .space = none, .issuer = none};
static const struct identity bob = {
	.user_id = id_u2, .user_name = name_bob, .org = org_acme, .space = none, .issuer = none};
static const struct identity operator= {
	.user_id = id_u2, .user_name = id_u2, .org = none, .space = none, .issuer = none, .is_operator = true};
static const struct identity blank = {.user_id = none, .user_name = none, .org = none, .space = none, .issuer = none};
static const struct identity root = {
	.user_id = id_root, .user_name = id_root, .org = none, .space = none, .issuer = none};

static int setup(void **state)
{
	(void)state;
	temp_file_init(&file);
	memset(&err, 0, sizeof(err));
	temp_file_write(&file, inventory, strlen(inventory));
	if (!(source = target_host_new(file.path, "pcap-agent", &err)))
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	target_set_done(&set);
	if (source)
		source->ops->free(source);
	temp_file_done(&file);
	return 0;
}

static bool again; /* of a running capture */

static int resolve(const struct identity *who, const char *target, size_t max)
{
	json_t *j = json_in_parse(target, strlen(target), &err);
	int rc;

	if (!j)
		fail_msg("%s", err.msg);
	target_set_done(&set);
	memset(&err, 0, sizeof(err));
	rc = source->ops->resolve(
		source, &(struct target_query){.who = who, .target = j, .max = max, .again = again}, &set, &err);
	json_decref(j);
	return rc;
}

/* names: what comes of it, in order, with commas. */
static void expect(const struct identity *who, const char *target, const char *names)
{
	char text[1024] = "";
	size_t n = 0;

	if (resolve(who, target, 100) < 0)
		fail_msg("%s: %s", target, err.msg);
	for (size_t i = 0; i < set.n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "," : "", set.instances[i].name);
	assert_string_equal(text, names);
}

static void refused(const struct identity *who, const char *target, enum err_code code, const char *field)
{
	if (resolve(who, target, 100) == 0)
		fail_msg("taken: %s", target);
	if (err.code != code || strcmp(err.field, field) != 0)
		fail_msg("%s: %s, field \"%s\": %s", target, err_code_name(err.code), err.field, err.msg);
	assert_null(set.instances);
	assert_int_equal(set.n, 0);
}

static void all_is_what_one_may_see(void **state)
{
	static const char all[] = "{\"type\":\"host\"}";

	(void)state;
	assert_string_equal(source->type, "host");
	expect(&alice, all, "web/0,web/1");
	expect(&bob, all, "web/0,web/1,web2/0"); /* by name and by org */
	expect(&root, all, "secret/0");
	refused(&operator, all, ERR_NOT_FOUND, "target"); /* operators see captures, not packets */
	refused(&blank, all, ERR_NOT_FOUND, "target");    /* an empty name is nobody's */
}

/* Of an issuer's people ids count, and scopes, but not what they are called. */
static void people_of_issuers(void **state)
{
	static const char all[] = "{\"type\":\"host\"}";
	static char cf[] = "cf", other[] = "cfx", u7[] = "cf:u-7", u8[] = "cf:u-8";
	struct identity i = {.user_id = u7, .user_name = name_alice, .org = none, .space = none, .issuer = cf};

	(void)state;
	expect(&i, all, "cells/0");
	i.user_id = u8;
	i.user_name = id_root;
	refused(&i, all, ERR_NOT_FOUND, "target");
	i.scopes = json_pack("[s, s]", "pcap.cell", "pcap.cells.x");
	refused(&i, all, ERR_NOT_FOUND, "target");
	json_array_append_new(i.scopes, json_string("pcap.cells"));
	expect(&i, all, "cells/0");
	i.issuer = other;
	refused(&i, all, ERR_NOT_FOUND, "target");
	i.issuer = none;
	refused(&i, "{\"type\":\"host\",\"instances\":[\"cells\"]}", ERR_NOT_FOUND, "target.instances");
	json_decref(i.scopes);
}

static void instances_have_their_agents(void **state)
{
	(void)state;
	expect(&bob, "{\"type\":\"host\"}", "web/0,web/1,web2/0");
	assert_string_equal(set.instances[0].host, "10.0.0.1");
	assert_int_equal(set.instances[0].port, 9495);
	assert_string_equal(set.instances[0].agent_name, "pcap-agent");
	assert_string_equal(set.instances[1].host, "fd00::2");
	assert_int_equal(set.instances[1].port, 9496);
	assert_string_equal(set.instances[1].agent_name, "other-name");
	assert_string_equal(set.instances[2].host, "db.example.com");
	assert_int_equal(set.instances[2].port, 9494);
}

static void names_choose(void **state)
{
	(void)state;
	expect(&bob, "{\"type\":\"host\",\"instances\":[\"web\"]}", "web/0,web/1"); /* and not web2 */
	expect(&bob, "{\"type\":\"host\",\"instances\":[\"web/1\"]}", "web/1");
	expect(&bob, "{\"type\":\"host\",\"instances\":[\"web2\",\"web/1\"]}", "web2/0,web/1");
	expect(&bob, "{\"type\":\"host\",\"instances\":[\"web/1\",\"web\",\"web/1\",\"web\"]}", "web/1,web/0");
	expect(&bob, "{\"type\":\"host\",\"instances\":null}", "web/0,web/1,web2/0");
}

static void names_are_so_many_and_no_more(void **state)
{
	char text[16 * 1024];

	(void)state;
	for (size_t names = 1000; names <= 1001; names++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "{\"type\":\"host\",\"instances\":[\"web/1\"");

		for (size_t i = 1; i < names; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"web\"");
		snprintf(text + n, sizeof(text) - n, "]}");
		if (names == 1000)
			expect(&alice, text, "web/1,web/0");
		else
			refused(&alice, text, ERR_INPUT, "target.instances");
	}
}

/* Nobody learns from the answer whether there is such a thing. */
static void what_is_hidden_looks_like_what_is_not_there(void **state)
{
	static const char *const pairs[][2] = {
		{"{\"type\":\"host\",\"instances\":[\"secret\"]}", "{\"type\":\"host\",\"instances\":[\"secreT\"]}"},
		{"{\"type\":\"host\",\"instances\":[\"secret/0\"]}",
			"{\"type\":\"host\",\"instances\":[\"secret/1\"]}"},
		{"{\"type\":\"host\",\"instances\":[\"nobodys/0\"]}",
			"{\"type\":\"host\",\"instances\":[\"nobodyx/0\"]}"},
		{"{\"type\":\"host\",\"instances\":[\"web\",\"secret\"]}",
			"{\"type\":\"host\",\"instances\":[\"web\",\"secreT\"]}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct err hidden;

		refused(&alice, pairs[i][0], ERR_NOT_FOUND, "target.instances");
		hidden = err;
		refused(&alice, pairs[i][1], ERR_NOT_FOUND, "target.instances");
		assert_string_equal(hidden.detail, err.detail);
		assert_string_equal(hidden.field, err.field);
		assert_int_equal(strlen(hidden.msg), strlen(err.msg)); /* but for the name that was asked for */
		assert_non_null(strstr(err.msg, "that you may capture from"));
	}
}

static void wrong_names_are_refused(void **state)
{
	static const char *const missing[] = {"web/", "web/2", "web/00", "web/0/1", "/0", "/", "we", "webx", "web2/1"};
	static const char *const bad[] = {"{\"type\":\"host\",\"instances\":[]}",
		"{\"type\":\"host\",\"instances\":[1]}", "{\"type\":\"host\",\"instances\":[\"\"]}",
		"{\"type\":\"host\",\"instances\":[\"web\",null]}", "{\"type\":\"host\",\"instances\":\"web\"}"};
	char text[2 * CAPTURE_NAME_MAX], name[CAPTURE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"host\",\"instances\":[\"%s\"]}", missing[i]);
		refused(&bob, text, ERR_NOT_FOUND, "target.instances");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(&bob, bad[i], ERR_INPUT, "target.instances");
	refused(&bob, "{\"type\":\"host\",\"instance\":[\"web\"]}", ERR_INPUT, "target.instance");
	memset(name, 'w', sizeof(name));
	name[CAPTURE_NAME_MAX - 1] = '\0';
	snprintf(text, sizeof(text), "{\"type\":\"host\",\"instances\":[\"%s\"]}", name);
	refused(&bob, text, ERR_NOT_FOUND, "target.instances");
	assert_true(strlen(err.msg) < 200); /* long names are not said again in full */
	name[CAPTURE_NAME_MAX - 1] = 'w';
	name[CAPTURE_NAME_MAX] = '\0';
	snprintf(text, sizeof(text), "{\"type\":\"host\",\"instances\":[\"%s\"]}", name);
	refused(&bob, text, ERR_INPUT, "target.instances");
}

static void so_many_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(resolve(&bob, "{\"type\":\"host\"}", 3), 0);
	assert_int_equal(set.n, 3);
	assert_int_equal(resolve(&bob, "{\"type\":\"host\"}", 2), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.detail, "too_many_instances");
	assert_int_equal(set.n, 0);
	/* The same one again is not one more. */
	assert_int_equal(resolve(&bob, "{\"type\":\"host\",\"instances\":[\"web/0\",\"web/0\",\"web/1\"]}", 2), 0);
	assert_int_equal(set.n, 2);
}

static void ends_of_agents_are_numeric(void **state)
{
	struct capture_exclude ends[8];

	(void)state;
	assert_int_equal(source->ops->agents(source, ends, 8), 5); /* all but the DNS name, whoever may see them */
	assert_string_equal(ends[0].address, "10.0.0.1");
	assert_int_equal(ends[0].port, 9495);
	assert_string_equal(ends[1].address, "fd00::2");
	assert_int_equal(ends[1].port, 9496);
	assert_string_equal(ends[2].address, "10.0.0.9");
	assert_int_equal(source->ops->agents(source, ends, 2), 2);
	assert_int_equal(source->ops->agents(source, ends, 0), 0);
}

static void an_inventory_is_read_again(void **state)
{
	static const char other[] =
		"groups:\n- {name: db, users: [alice], instances: [{id: \"0\", agent: 10.0.0.3}]}\n";

	(void)state;
	temp_file_write(&file, other, strlen(other));
	expect(&alice, "{\"type\":\"host\"}", "web/0,web/1");
	assert_int_equal(source->ops->reload(source, &err), 0);
	expect(&alice, "{\"type\":\"host\"}", "db/0");
	temp_file_write(&file, "groups: {", 9);
	assert_int_equal(source->ops->reload(source, &err), -1);
	expect(&alice, "{\"type\":\"host\"}", "db/0");
}

/* A running capture goes on with what is left of its instances, and not when nothing is. */
static void what_went_is_left_out_of_a_running_one(void **state)
{
	(void)state;
	again = true;
	expect(&alice, "{\"type\":\"host\",\"instances\":[\"web/0\",\"web/77\"]}", "web/0");
	refused(&alice, "{\"type\":\"host\",\"instances\":[\"web/77\"]}", ERR_NOT_FOUND, "target.instances");
	again = false;
}

static void without_a_file_there_is_nothing(void **state)
{
	struct capture_exclude end;

	(void)state;
	source->ops->free(source);
	source = target_host_new("", "pcap-agent", &err);
	assert_non_null(source);
	refused(&alice, "{\"type\":\"host\"}", ERR_NOT_FOUND, "target");
	assert_int_equal(source->ops->agents(source, &end, 1), 0);
	assert_null(target_host_new("/no/such/file", "pcap-agent", &err));
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(all_is_what_one_may_see),
		test(people_of_issuers),
		test(instances_have_their_agents),
		test(names_choose),
		test(names_are_so_many_and_no_more),
		test(what_is_hidden_looks_like_what_is_not_there),
		test(wrong_names_are_refused),
		test(so_many_and_no_more),
		test(ends_of_agents_are_numeric),
		test(an_inventory_is_read_again),
		test(what_went_is_left_out_of_a_running_one),
		test(without_a_file_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
