/* test_static_tokens.c - schema/static_tokens.c: hashes, names, ends; and that no token's text is ever repeated. */
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

#define HASH  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define UPPER "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
#define OTHER "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

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

static int load(const struct temp_file *t, const char *text, struct static_tokens *ret, struct err *err)
{
	temp_file_write(t, text, strlen(text));
	return static_tokens_load(t->path, ret, err);
}

static void tokens_are_read(void **state)
{
	static const char text[] = "tokens:\n"
				   "- sha256: " UPPER "\n"
				   "  user_id: alice\n"
				   "- sha256: " OTHER "\n"
				   "  user_id: u-2\n"
				   "  user_name: Bob\n"
				   "  org: acme\n"
				   "  space: dev\n"
				   "  operator: true\n"
				   "  expires_at: 2027-01-01T00:00:00Z\n";
	struct static_tokens t;
	struct err err = {0};

	if (load(*state, text, &t, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(t.n, 2);
	assert_string_equal(t.tokens[0].sha256, HASH);
	assert_string_equal(t.tokens[0].user_id, "alice");
	assert_string_equal(t.tokens[0].user_name, "alice");
	assert_string_equal(t.tokens[0].org, "");
	assert_string_equal(t.tokens[0].space, "");
	assert_false(t.tokens[0].is_operator);
	assert_int_equal(t.tokens[0].expires_at, 0);
	assert_string_equal(t.tokens[1].user_name, "Bob");
	assert_string_equal(t.tokens[1].org, "acme");
	assert_string_equal(t.tokens[1].space, "dev");
	assert_true(t.tokens[1].is_operator);
	assert_int_equal(t.tokens[1].expires_at, UINT64_C(1798761600000000000));
	static_tokens_done(&t);
	assert_int_equal(t.n, 0);
}

static void nothing_is_no_token(void **state)
{
	static const char *const texts[] = {"", "# none\n", "tokens: []\n"};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct static_tokens t;

		if (load(*state, texts[i], &t, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(t.n, 0);
		static_tokens_done(&t);
	}
}

#define TOKEN "tokens:\n- sha256: " HASH "\n"

static void refusals_name_the_token(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"tokens:\n- {sha256: abc, user_id: a}\n", "token 1: sha256: not 64 hex digits"},
		{"tokens:\n- {sha256: " HASH "0, user_id: a}\n", "token 1: sha256: not 64 hex digits"},
		{"tokens:\n- {sha256: 'x" HASH "', user_id: a}\n", "token 1: sha256: not 64 hex digits"},
		{"tokens:\n- {sha256: '', user_id: a}\n", "token 1: sha256: not 64 hex digits"},
		{"tokens:\n- {user_id: a}\n", "key \"sha256\" is missing in tokens[1] (line 2)"},
		{TOKEN, "key \"user_id\" is missing in tokens[1] (line 2)"},
		{TOKEN "  user_id: ''\n", "token 1: user_id: 0 bytes are not within 1..256"},
		{TOKEN "  user_id: a\n  user_name: ''\n", "token 1: user_name: 0 bytes are not within 1..256"},
		{TOKEN "  user_id: a\n  operator: maybe\n", "token 1: operator: \"maybe\" is not true or false"},
		{TOKEN "  user_id: a\n  expires_at: 1970-01-01T00:00:00Z\n", "token 1: expires_at: not after 1970"},
		{TOKEN "  user_id: a\n  admin: true\n", "unexpected key \"admin\" in tokens[1] (line 4)"},
		{TOKEN "  user_id: a\n- sha256: " UPPER "\n  user_id: b\n", "a token stands twice: sha256 ba7816bf..."},
		{"tokens: {}\n", "expected a list in tokens (line 1)"},
		{"token: []\n", "unexpected key \"token\" (line 1)"},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct static_tokens tokens;
		struct err err = {0};
		char says[300];

		if (load(t, rows[i].text, &tokens, &err) == 0)
			fail_msg("taken: %s", rows[i].text);
		snprintf(says, sizeof(says), "%s: %s", t->path, rows[i].says);
		assert_string_equal(err.msg, says);
		assert_int_equal(err.code, ERR_INPUT);
		assert_null(tokens.tokens);
	}
}

static void a_bad_time_is_named(void **state)
{
	struct static_tokens tokens;
	struct err err = {0};

	assert_int_equal(load(*state, TOKEN "  user_id: a\n  expires_at: tomorrow\n", &tokens, &err), -1);
	assert_non_null(strstr(err.msg, "token 1: expires_at: \"tomorrow\""));
}

static void a_token_in_the_place_of_its_hash_is_not_repeated(void **state)
{
	struct static_tokens tokens;
	struct err err = {0};

	assert_int_equal(load(*state, "tokens:\n- {sha256: my-secret-token, user_id: a}\n", &tokens, &err), -1);
	assert_null(strstr(err.msg, "secret"));
}

#define with_file(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_file(tokens_are_read),
		with_file(nothing_is_no_token),
		with_file(refusals_name_the_token),
		with_file(a_bad_time_is_named),
		with_file(a_token_in_the_place_of_its_hash_is_not_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
