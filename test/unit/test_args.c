/* test_args.c - cli/args.c: options and words by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/args.h"

#include <stdlib.h>
#include <string.h>

struct values {
	bool flag, other;
	const char *text;
	struct arg_number number, size, time_ms;
};

struct more {
	const char *gateway;
};

#define AT(m) offsetof(struct values, m)
static const struct arg_option options[] = {
	{'a', "flag", NULL, ARG_FLAG, AT(flag), 0, 0, "a flag"},
	{'b', "other", NULL, ARG_FLAG, AT(other), 0, 0, "another flag"},
	{'t', "text", "TEXT", ARG_TEXT, AT(text), 0, 0, "some text"},
	{'n', "number", "N", ARG_NUMBER, AT(number), 1, 10, "a number"},
	{0, "size", "SIZE", ARG_SIZE, AT(size), 1, 4096, "a size"},
	{0, "time", "TIME", ARG_DURATION, AT(time_ms), 1000, 60000, "a time"},
	{0},
};
static const struct arg_option more_options[] = {
	{0, "gateway", "URL", ARG_TEXT, offsetof(struct more, gateway), 0, 0, "second table"},
	{0},
};

#define ARGV_MAX 8

struct run {
	struct values v;
	struct more more;
	struct args args;
	struct err err;
};

static int parse_some(const char *const *argv, bool first_word_ends, struct run *r)
{
	struct arg_table tables[2];
	int argc = 0;

	memset(r, 0, sizeof(*r));
	tables[0] = (struct arg_table){options, &r->v};
	tables[1] = (struct arg_table){more_options, &r->more};
	while (argv[argc])
		argc++;
	return args_parse(argc, (char *const *)(uintptr_t)argv, tables, 2, first_word_ends, &r->args, &r->err);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *argv[ARGV_MAX];
		const char *says;
	} rows[] = {
		{{"--foo"}, "unknown option --foo"},
		{{"--foo=1"}, "unknown option --foo"},
		{{"--fla"}, "unknown option --fla"},
		{{"--flags"}, "unknown option --flags"},
		{{"--="}, "unknown option --"},
		{{"-z"}, "unknown option -z"},
		{{"-az"}, "unknown option -z"},
		{{"--flag=yes"}, "option --flag takes no value"},
		{{"--text"}, "option --text needs a value (TEXT)"},
		{{"-t"}, "option --text needs a value (TEXT)"},
		{{"-t", "x", "--text", "y"}, "option --text is given twice"},
		{{"-a", "-a"}, "option --flag is given twice"},
		{{"-aa"}, "option --flag is given twice"},
		{{"-n1", "-n", "2"}, "option --number is given twice"},
		{{"-n", "0"}, "option --number: \"0\" is not within 1..10"},
		{{"-n", "11"}, "option --number: \"11\" is not within 1..10"},
		{{"-n", "-5"}, "option --number: \"-5\" is not a whole number"},
		{{"-n", ""}, "option --number: \"\" is not a whole number"},
	};
	struct run r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(parse_some(rows[i].argv, false, &r), -1);
		assert_string_equal(r.err.msg, rows[i].says);
		assert_int_equal(r.err.code, ERR_INPUT);
		args_done(&r.args);
	}
}

static void test_values(void **state)
{
	static const char *const forms[][ARGV_MAX] = {
		{"-a", "-t", "x", "-n", "10", "--gateway", "g"},
		{"-at", "x", "-n10", "--gateway=g"},
		{"-atx", "--number=10", "--gateway", "g"},
		{"--flag", "--text=x", "--number", "10", "--gateway=g"},
	};
	struct run r;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if (parse_some(forms[i], false, &r) < 0)
			fail_msg("form %zu: %s", i, r.err.msg);
		assert_true(r.v.flag);
		assert_false(r.v.other);
		assert_string_equal(r.v.text, "x");
		assert_true(r.v.number.given);
		assert_int_equal(r.v.number.value, 10);
		assert_string_equal(r.more.gateway, "g");
		assert_false(r.v.size.given);
		assert_int_equal(r.args.words_n, 0);
		args_done(&r.args);
	}
}

static void test_units(void **state)
{
	static const char *const argv[] = {"--size", "4K", "--time", "1m", NULL};
	static const char *const over[] = {"--size", "4097", NULL};
	static const char *const brief[] = {"--time", "999ms", NULL};
	struct run r;

	(void)state;
	assert_int_equal(parse_some(argv, false, &r), 0);
	assert_int_equal(r.v.size.value, 4096);
	assert_int_equal(r.v.time_ms.value, 60000);
	args_done(&r.args);
	assert_int_equal(parse_some(over, false, &r), -1);
	args_done(&r.args);
	assert_int_equal(parse_some(brief, false, &r), -1);
	args_done(&r.args);
}

static void test_words_between_options(void **state)
{
	static const char *const argv[] = {"web", "-a", "-", "--text", "-b", "db/1", NULL};
	struct run r;

	(void)state;
	assert_int_equal(parse_some(argv, false, &r), 0);
	assert_int_equal(r.args.words_n, 3);
	assert_string_equal(r.args.words[0], "web");
	assert_string_equal(r.args.words[1], "-"); /* a word, as in "-w -" it is a value */
	assert_string_equal(r.args.words[2], "db/1");
	assert_string_equal(r.v.text, "-b"); /* a value may look like an option */
	assert_false(r.v.other);
	assert_false(r.args.has_dashes);
	assert_int_equal(r.args.dashes, 3);
	args_done(&r.args);
}

static void test_dashes(void **state)
{
	static const char *const argv[] = {"web", "--", "-a", "--", "x", NULL};
	static const char *const last[] = {"web", "--", NULL};
	struct run r;

	(void)state;
	assert_int_equal(parse_some(argv, false, &r), 0);
	assert_true(r.args.has_dashes);
	assert_int_equal(r.args.dashes, 1);
	assert_int_equal(r.args.words_n, 4);
	assert_string_equal(r.args.words[1], "-a");
	assert_string_equal(r.args.words[2], "--");
	assert_false(r.v.flag);
	args_done(&r.args);
	assert_int_equal(parse_some(last, false, &r), 0);
	assert_true(r.args.has_dashes);
	assert_int_equal(r.args.words_n, 1);
	args_done(&r.args);
}

static void test_first_word_ends(void **state)
{
	static const char *const argv[] = {"--flag", "--text", "x", "jobs", "--other", NULL};
	struct run r;

	(void)state;
	assert_int_equal(parse_some(argv, true, &r), 0);
	assert_int_equal(r.args.used, 3);
	assert_int_equal(r.args.words_n, 0);
	assert_true(r.v.flag);
	assert_false(r.v.other);
	args_done(&r.args);
}

static void test_too_many_words(void **state)
{
	char **argv = calloc(ARGS_WORDS_MAX + 1, sizeof(*argv));
	static char word[] = "x";
	struct args args;
	struct err err = {0};

	(void)state;
	assert_non_null(argv);
	for (size_t i = 0; i < ARGS_WORDS_MAX + 1; i++)
		argv[i] = word;
	assert_int_equal(args_parse(ARGS_WORDS_MAX, argv, NULL, 0, false, &args, &err), 0);
	assert_int_equal(args.words_n, ARGS_WORDS_MAX);
	args_done(&args);
	assert_int_equal(args_parse(ARGS_WORDS_MAX + 1, argv, NULL, 0, false, &args, &err), -1);
	assert_string_equal(err.msg, "more than 4096 words");
	args_done(&args);
	free(argv);
}

static void test_help_is_aligned(void **state)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	(void)state;
	assert_non_null(to);
	args_help(to, more_options);
	fclose(to);
	assert_string_equal(text, "      --gateway URL       second table\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_words_between_options),
		cmocka_unit_test(test_dashes),
		cmocka_unit_test(test_first_word_ends),
		cmocka_unit_test(test_too_many_words),
		cmocka_unit_test(test_help_is_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
