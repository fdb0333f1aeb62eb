/* test_cli_target.c - cli/target.c: apps and VMs as they are typed become targets, and targets text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/target.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 6

struct row {
	const char
		*words[WORDS_MAX]; /* "a:" an app, "g:" one by GUID, "v:" of deployment d, "d:" with its deployment */
	const char *json;          /* or the refusal */
	const char *text;
};

static int add(json_t *targets, const char *word, struct err *err)
{
	if (*word == 'v')
		return target_add_vm(targets, "d", word[2] ? word + 2 : NULL, err);
	if (*word == 'd')
		return target_add_deployment(targets, word + 2, err);
	return target_add_app(targets, word + 2, *word == 'g', NULL, err);
}

static void check(const struct row *row)
{
	json_t *targets = json_array();
	struct err err = {0};
	char text[256], *json;
	int rc = 0;

	for (size_t i = 0; i < WORDS_MAX && row->words[i] && rc == 0; i++)
		rc = add(targets, row->words[i], &err);
	json = json_dumps(targets, JSON_COMPACT);
	if (rc < 0)
		assert_int_equal(err.code, ERR_INPUT);
	if (strncmp(rc < 0 ? err.msg : json, row->json, strlen(row->json)))
		fail_msg("%s %s", err.msg, json);
	if (row->text)
		assert_string_equal(target_text(targets, text, sizeof(text)), row->text);
	free(json);
	json_decref(targets);
}

static void test_words(void **state)
{
	static const struct row rows[] = {
		{{"a:shop"}, "[{\"type\":\"cf\",\"app_name\":\"shop\"}]", "shop"},
		{{"a:shop/2", "a:shop/0", "a:shop/2"}, "[{\"type\":\"cf\",\"app_name\":\"shop\",\"instances\":[2,0]}]",
			"shop/2, shop/0"},
		{{"a:shop/2", "a:shop", "a:shop/1"}, "[{\"type\":\"cf\",\"app_name\":\"shop\"}]", "shop"},
		{{"a:a/1", "a:b"},
			"[{\"type\":\"cf\",\"app_name\":\"a\",\"instances\":[1]},{\"type\":\"cf\",\"app_name\":\"b\"}]",
			"a/1; b"},
		{{"g:x/0", "a:x"},
			"[{\"type\":\"cf\",\"app\":\"x\",\"instances\":[0]},{\"type\":\"cf\",\"app_name\":\"x\"}]",
			"x/0; x"},
		{{"a:a/b/1"}, "[{\"type\":\"cf\",\"app_name\":\"a/b\",\"instances\":[1]}]", NULL},
		{{"v:"}, "[{\"type\":\"bosh\",\"deployment\":\"d\"}]", "d"},
		{{"v:router/0", "v:cell", "v:cell"},
			"[{\"type\":\"bosh\",\"deployment\":\"d\",\"instances\":[\"router/0\",\"cell\"]}]",
			"d: router/0, cell"},
		{{"v:router", "d:d", "d:e/x/1"},
			"[{\"type\":\"bosh\",\"deployment\":\"d\"},{\"type\":\"bosh\",\"deployment\":\"e\","
			"\"instances\":[\"x/1\"]}]",
			"d; e: x/1"},
		{{"a:"}, "app: the name is empty", NULL},
		{{"a:/1"}, "app: the name is empty", NULL},
		{{"a:shop/"}, "\"shop/\": expects APP", NULL},
		{{"a:shop/-1"}, "\"shop/-1\": expects APP", NULL},
		{{"a:shop/1000000"}, "\"shop/1000000\": expects APP", NULL},
		{{"a:shop/0x1"}, "\"shop/0x1\": expects APP", NULL},
		{{"a:s\xff"}, "app \"s?\": not a name", NULL},
		{{"a:a\nb"}, "app \"a?b\": not a name", NULL},
		{{"v:/"}, "\"/\": expects GROUP", NULL},
		{{"v:a/"}, "\"a/\": expects GROUP", NULL},
		{{"v:a/b/c"}, "\"a/b/c\": expects GROUP", NULL},
		{{"d:d/"}, "instance: the name is empty", NULL},
		{{"d:/a"}, "deployment: the name is empty", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(&rows[i]);
}

static void check_longest(char kind, size_t most, const char *refusal)
{
	char word[1100] = {kind, ':'};
	struct row row = {{word}, refusal, NULL};

	memset(word + 2, 'x', most + 1);
	check(&row);
	word[2 + most] = '\0';
	row.json = "[{";
	check(&row);
}

static void test_long_names(void **state)
{
	(void)state;
	check_longest('a', 1023, "app \"");
	check_longest('v', 255, "instance \"");
	check_longest('d', 255, "deployment \"");
}

/* A space is for names only. */
static void test_space(void **state)
{
	json_t *targets = json_array();
	char *json;

	(void)state;
	assert_int_equal(target_add_app(targets, "g", true, "worker", NULL), 0);
	assert_false(target_has_names(targets));
	assert_int_equal(target_add_app(targets, "n", false, NULL, NULL), 0);
	assert_true(target_has_names(targets));
	target_set_space(targets, "S");
	json = json_dumps(targets, JSON_COMPACT);
	assert_string_equal(json,
		"[{\"type\":\"cf\",\"app\":\"g\",\"process\":\"worker\"},{\"type\":\"cf\",\"app_name\":\"n\","
		"\"space\":\"S\"}]");
	free(json);
	json_decref(targets);
}

/* What a gateway shows may be anything. */
static void test_text_of_anything(void **state)
{
	static const struct {
		const char *json, *text;
	} rows[] = {
		{"{\"type\":\"host\",\"instances\":[\"web\",\"db/1\"]}", "web, db/1"},
		{"{\"type\":\"host\"}", "host"},
		{"{\"type\":\"cf\"}", "cf"},
		{"{\"type\":\"cf\",\"app\":5,\"instances\":[\"x\",1]}", "cf/0, cf/1"},
		{"{\"instances\":[5,{}]}", "?, ?"},
		{"{}", ""},
		{"[]", ""},
		{"[{\"type\":\"host\",\"instances\":[\"a\"]},5]", "a; "},
		{"5", ""},
		{"{\"type\":\"host\",\"instances\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"b\"]}",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		json_t *target = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);
		char text[32];

		assert_string_equal(target_text(target, text, sizeof(text)), rows[i].text);
		json_decref(target);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_space),
		cmocka_unit_test(test_text_of_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
