/* test_inventory.c - schema/inventory.c: groups, instances, addresses; what stands twice or is no name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/config_gateway.h"
#include "temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
	struct temp_file *t = malloc(sizeof(*t));

	temp_file_init(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	temp_file_done(*state);
	free(*state);
	return 0;
}

static int load(const struct temp_file *t, const char *text, struct inventory *ret, struct err *err)
{
	temp_file_write(t, text, strlen(text));
	return inventory_load(t->path, ret, err);
}

static void groups_and_instances_are_read(void **state)
{
	static const char text[] = "groups:\n"
				   "- name: web\n"
				   "  users: [alice, \"bob smith\"]\n"
				   "  orgs: [acme]\n"
				   "  instances:\n"
				   "  - {id: \"0\", agent: \"10.0.0.1:9495\"}\n"
				   "  - {id: \"1\", agent: \"[fd00::2]:9496\", agent_name: other-name}\n"
				   "- name: db-1.b_c\n"
				   "  instances:\n"
				   "  - id: a\n"
				   "    agent: db.example.com\n";
	struct inventory inv;
	struct err err = {0};

	if (load(*state, text, &inv, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(inv.groups_n, 2);
	assert_string_equal(inv.groups[0].name, "web");
	assert_int_equal(inv.groups[0].users.n, 2);
	assert_string_equal(inv.groups[0].users.items[1], "bob smith");
	assert_int_equal(inv.groups[0].orgs.n, 1);
	assert_int_equal(inv.groups[0].instances_n, 2);
	assert_string_equal(inv.groups[0].instances[0].id, "0");
	assert_string_equal(inv.groups[0].instances[0].host, "10.0.0.1");
	assert_int_equal(inv.groups[0].instances[0].port, 9495);
	assert_string_equal(inv.groups[0].instances[0].agent_name, "");
	assert_string_equal(inv.groups[0].instances[1].host, "fd00::2");
	assert_int_equal(inv.groups[0].instances[1].port, 9496);
	assert_string_equal(inv.groups[0].instances[1].agent_name, "other-name");
	assert_int_equal(inv.groups[1].users.n, 0);
	assert_string_equal(inv.groups[1].instances[0].host, "db.example.com");
	assert_int_equal(inv.groups[1].instances[0].port, 9494);
	inventory_done(&inv);
	assert_int_equal(inv.groups_n, 0);
}

static void nothing_is_an_empty_inventory(void **state)
{
	static const char *const texts[] = {"", "# none yet\n", "---\n", "groups: []\n"};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct inventory inv;

		if (load(*state, texts[i], &inv, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(inv.groups_n, 0);
		inventory_done(&inv);
	}
}

#define NAME_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define WEB     "groups:\n- name: web\n  instances:\n"

static void names_end_at_63(void **state)
{
	struct inventory inv;
	struct err err = {0};

	if (load(*state, "groups:\n- name: " NAME_63 "\n  instances: [{id: " NAME_63 ", agent: a}]\n", &inv, &err) < 0)
		fail_msg("%s", err.msg);
	inventory_done(&inv);
}

static void refusals_name_group_and_instance(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"groups:\n- name: web/1\n  instances: []\n",
			"group 1 (\"web/1\"): name \"web/1\" is not 1..63 letters, digits, '.', '_' or '-'"},
		{"groups:\n- name: ''\n  instances: []\n",
			"group 1 (\"\"): name \"\" is not 1..63 letters, digits, '.', '_' or '-'"},
		{"groups:\n- name: a" NAME_63 "\n  instances: []\n",
			"group 1 (\"a" NAME_63 "\"): name \"a" NAME_63
			"\" is not 1..63 letters, digits, '.', '_' or '-'"},
		{"groups:\n- name: a\n  instances: []\n- name: b\n  instances: []\n- name: a\n  instances: []\n",
			"group \"a\" stands twice"},
		{"groups:\n- instances: []\n", "key \"name\" is missing in groups[1] (line 2)"},
		{"groups:\n- name: a\n", "key \"instances\" is missing in groups[1] (line 2)"},
		{"groups:\n- name: a\n  instances:\n", "expected a list in groups[1].instances (line 3)"},
		{"groups:\n- name: a\n  users: alice\n  instances: []\n",
			"expected a list in groups[1].users (line 3)"},
		{"groups:\n- name: a\n  users: ['']\n  instances: []\n",
			"group 1 (\"a\"): users, entry 1: 0 bytes are not within 1..256"},
		{"groups:\n- name: a\n  hosts: []\n", "unexpected key \"hosts\" in groups[1] (line 3)"},
		{"group: []\n", "unexpected key \"group\" (line 1)"},
		{WEB "  - {id: '0', agent: a}\n  - {id: '1', agent: a}\n  - {id: '0', agent: b}\n",
			"group 1 (\"web\"): instance \"0\" stands twice"},
		{WEB "  - {id: '0'}\n", "key \"agent\" is missing in groups[1].instances[1] (line 4)"},
		{WEB "  - {agent: a}\n", "key \"id\" is missing in groups[1].instances[1] (line 4)"},
		{WEB "  - {id: '0 1', agent: a}\n",
			"group 1 (\"web\"): instance id \"0 1\" is not 1..63 letters, digits, '.', '_' or '-'"},
		{WEB "  - {id: '0', agent: a, port: 7}\n",
			"unexpected key \"port\" in groups[1].instances[1] (line 4)"},
		{WEB "  - {id: '0', agent: a, agent_name: ''}\n",
			"group 1 (\"web\"): instance \"0\": agent_name is not 1..253 bytes"},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct inventory inv;
		struct err err = {0};
		char says[600];

		if (load(t, rows[i].text, &inv, &err) == 0)
			fail_msg("taken: %s", rows[i].text);
		snprintf(says, sizeof(says), "%s: %s", t->path, rows[i].says);
		assert_string_equal(err.msg, says);
		assert_int_equal(err.code, ERR_INPUT);
		assert_null(inv.groups);
	}
}

static void bad_addresses_name_their_instance(void **state)
{
	static const char *const bad[] = {
		"", ":9494", "a:", "a:0", "a:65536", "a:http", "fd00::2", "[fd00::2", "[fd00::2]9494"};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct inventory inv;
		struct err err = {0};
		char text[200], says[300];

		snprintf(text, sizeof(text), WEB "  - {id: \"7\", agent: \"%s\"}\n", bad[i]);
		if (load(t, text, &inv, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		snprintf(says, sizeof(says), "%s: group 1 (\"web\"): instance \"7\", agent: ", t->path);
		if (strncmp(err.msg, says, strlen(says)))
			fail_msg("\"%s\" does not begin with \"%s\"", err.msg, says);
	}
}

static void too_many_instances_are_refused(void **state)
{
	const struct temp_file *t = *state;
	struct inventory inv;
	struct err err = {0};
	FILE *f = fopen(t->path, "w");

	/* no group holds too many, all together do */
	assert_non_null(f);
	fprintf(f, "groups:\n");
	for (int g = 0; g < 2; g++) {
		fprintf(f, "- name: g%d\n  instances:\n", g);
		for (int i = 0; i < INVENTORY_INSTANCES_MAX / 2 + g; i++)
			fprintf(f, "  - {id: i%d, agent: a}\n", i);
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(inventory_load(t->path, &inv, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "10001 instances are over 10000"));
}

#define with_file(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_file(groups_and_instances_are_read),
		with_file(nothing_is_an_empty_inventory),
		with_file(names_end_at_63),
		with_file(refusals_name_group_and_instance),
		with_file(bad_addresses_name_their_instance),
		with_file(too_many_instances_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
