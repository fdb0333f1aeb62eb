/* test_err.c - common/err.c: text that says what, where and with which value, and is always printable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"

#include <errno.h>
#include <string.h>

static void test_set_fills_and_replaces(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set(&e, ERR_INPUT, "length %d is under %d", 8, 12), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_string_equal(e.msg, "length 8 is under 12");
	assert_int_equal(err_field(&e, "options.filter"), -1);
	assert_int_equal(err_detail(&e, "bad_filter"), -1);
	assert_string_equal(e.field, "options.filter");
	assert_string_equal(err_api_code(&e), "bad_filter");

	err_set(&e, ERR_NET, "refused");
	assert_int_equal(e.code, ERR_NET);
	assert_string_equal(e.msg, "refused");
	assert_string_equal(e.field, "");
	assert_string_equal(err_api_code(&e), "net");
}

static void test_null_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_in(NULL, "x"), -1);
	assert_int_equal(err_field(NULL, "x"), -1);
	assert_int_equal(err_detail(NULL, "x"), -1);
	assert_int_equal(err_sys(NULL, ENOENT, "x"), -1);
	assert_int_equal(err_nomem(NULL), -1);
	assert_string_equal(err_api_code(NULL), "internal");
}

static void test_place_goes_before_cause(void **state)
{
	struct err e = {0};

	(void)state;
	err_set(&e, ERR_LIMIT, "too long");
	err_field(&e, "note");
	err_in(&e, "chunk %d", 12);
	assert_int_equal(err_in(&e, "job %s", "7f3a"), -1);
	assert_string_equal(e.msg, "job 7f3a: chunk 12: too long");
	assert_int_equal(e.code, ERR_LIMIT);
	assert_string_equal(e.field, "note");
}

static void test_old_message_as_argument(void **state)
{
	struct err e = {0};

	(void)state;
	err_set(&e, ERR_IO, "cause");
	err_set(&e, ERR_NET, "[%s]", e.msg);
	assert_string_equal(e.msg, "[cause]");
	err_in(&e, "seen \"%s\"", e.msg);
	assert_string_equal(e.msg, "seen \"[cause]\": [cause]");
}

static void test_text_is_made_printable(void **state)
{
	struct err e = {0};

	(void)state;
	err_set(&e, ERR_INPUT, "device \"%s\"", "\x1b[2J\r\nlo\x7f\xc3\xa4");
	assert_string_equal(e.msg, "device \"?[2J??lo???\"");
	err_in(&e, "%s", "a\tb");
	assert_string_equal(e.msg, "a?b: device \"?[2J??lo???\"");
	err_field(&e, "options.\x01");
	assert_string_equal(e.field, "options.?");
}

static void test_long_text_is_cut_and_says_so(void **state)
{
	static const size_t lens[] = {ERR_MSG_MAX - 2, ERR_MSG_MAX - 1, ERR_MSG_MAX, 3 * ERR_MSG_MAX};
	char text[4 * ERR_MSG_MAX];
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(text, 'x', lens[i]);
		text[lens[i]] = '\0';
		err_set(&e, ERR_INPUT, "%s", text);
		if (lens[i] < ERR_MSG_MAX) {
			assert_string_equal(e.msg, text);
		} else {
			assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
			assert_string_equal(e.msg + ERR_MSG_MAX - 5, "x...");
		}
		err_in(&e, "%s", text);
		assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
		assert_string_equal(e.msg + ERR_MSG_MAX - 4, "...");
		err_field(&e, text);
		assert_int_equal(strlen(e.field), ERR_FIELD_MAX - 1);
		assert_string_equal(e.field + ERR_FIELD_MAX - 5, "x...");
		err_detail(&e, text);
		assert_int_equal(strlen(e.detail), sizeof(e.detail) - 1);
	}
}

static void test_sys_tells_kinds_apart(void **state)
{
	static const struct {
		int errnum;
		enum err_code code;
		const char *msg;
	} rows[] = {
		{ENOSPC, ERR_FULL, "write a: No space left on device"},
		{EDQUOT, ERR_FULL, "write a: Disk quota exceeded"},
		{EACCES, ERR_PERM, "write a: Permission denied"},
		{EPERM, ERR_PERM, "write a: Operation not permitted"},
		{ENOENT, ERR_NOT_FOUND, "write a: No such file or directory"},
		{ENOMEM, ERR_NOMEM, "write a: Cannot allocate memory"},
		{EIO, ERR_IO, "write a: Input/output error"},
	};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(err_sys(&e, rows[i].errnum, "write %s", "a"), -1);
		assert_int_equal(e.code, rows[i].code);
		assert_string_equal(e.msg, rows[i].msg);
	}
}

static void test_every_code_has_its_own_name(void **state)
{
	(void)state;
	for (int a = ERR_NONE; a <= ERR_INTERNAL; a++)
		for (int b = ERR_NONE; b < a; b++)
			assert_string_not_equal(err_code_name((enum err_code)a), err_code_name((enum err_code)b));
	assert_string_equal(err_code_name(ERR_NOT_FOUND), "not_found");
	assert_string_equal(err_code_name((enum err_code)999), "internal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_fills_and_replaces),
		cmocka_unit_test(test_null_is_accepted),
		cmocka_unit_test(test_place_goes_before_cause),
		cmocka_unit_test(test_old_message_as_argument),
		cmocka_unit_test(test_text_is_made_printable),
		cmocka_unit_test(test_long_text_is_cut_and_says_so),
		cmocka_unit_test(test_sys_tells_kinds_apart),
		cmocka_unit_test(test_every_code_has_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
