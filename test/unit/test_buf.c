/* test_buf.c - common/buf.c: growth up to the bound, and nothing changed by an add that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buf.h"

#include <string.h>

static void test_new_is_empty(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(b.len, 0);
	assert_null(b.data);
	assert_string_equal(buf_str(&b), "");
	buf_done(&b);
}

static void test_adds_in_order(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_add(&b, "ab", 2, NULL), 0);
	assert_int_equal(buf_add(&b, NULL, 0, NULL), 0);
	assert_int_equal(buf_add_str(&b, "cd", NULL), 0);
	assert_int_equal(buf_addf(&b, NULL, "%d-%s", 42, "x"), 0);
	assert_string_equal(buf_str(&b), "abcd42-x");
	assert_int_equal(b.len, 8);
	buf_done(&b);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_add_str(&b, "again", NULL), 0);
	assert_string_equal(buf_str(&b), "again");
	buf_done(&b);
}

static void test_bound(void **state)
{
	struct err e = {0};
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_int_equal(buf_add_str(&b, "1234", &e), 0);
	assert_int_equal(buf_add_str(&b, "56", &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_string_equal(e.msg, "2 bytes after 4 are more than the 5 allowed");
	assert_string_equal(buf_str(&b), "1234");
	assert_int_equal(buf_addf(&b, &e, "%s", "5"), 0);
	assert_int_equal(b.len, 5);
	assert_true(b.cap <= 5);
	assert_null(buf_str(&b)); /* no room for the terminator */
	assert_int_equal(buf_addf(&b, &e, "%s", "6"), -1);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "12345", 5);
	buf_done(&b);
}

static void test_absurd_sizes_do_not_wrap(void **state)
{
	struct err e = {0};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(buf_add_str(&b, "x", &e), 0);
	assert_null(buf_reserve(&b, SIZE_MAX, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(buf_reserve(&b, SIZE_MAX - 1, &e));
	assert_null(buf_reserve(&b, 1000, &e));
	assert_non_null(buf_reserve(&b, 999, &e));
	buf_done(&b);
	buf_init(&b, 0);
	assert_non_null(buf_reserve(&b, 0, &e));
	assert_int_equal(buf_add(&b, "x", 1, &e), -1);
	buf_done(&b);
}

static void test_grows_by_bytes_to_max(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t byte = (uint8_t)i;

		assert_int_equal(buf_add(&b, &byte, 1, NULL), 0);
		assert_true(b.cap <= 1000);
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(b.data[i], (uint8_t)i);
	buf_done(&b);
}

static void test_reserve_then_write(void **state)
{
	struct buf b;
	uint8_t *to;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_add_str(&b, "ab", NULL), 0);
	to = buf_reserve(&b, 3, NULL);
	assert_non_null(to);
	memcpy(to, "cde", 3);
	b.len += 3;
	assert_string_equal(buf_str(&b), "abcde");
	buf_done(&b);
}

static void test_consume(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_add_str(&b, "abcdef", NULL), 0);
	buf_consume(&b, 0);
	assert_string_equal(buf_str(&b), "abcdef");
	buf_consume(&b, 4);
	assert_string_equal(buf_str(&b), "ef");
	buf_consume(&b, 2);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_add_str(&b, "gh", NULL), 0);
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void test_format_longer_than_any_first_guess(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5000);
	assert_int_equal(buf_addf(&b, NULL, "%04000d", 7), 0);
	assert_int_equal(b.len, 4000);
	assert_int_equal(b.data[0], '0');
	assert_int_equal(b.data[3999], '7');
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_is_empty),
		cmocka_unit_test(test_adds_in_order),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_absurd_sizes_do_not_wrap),
		cmocka_unit_test(test_grows_by_bytes_to_max),
		cmocka_unit_test(test_reserve_then_write),
		cmocka_unit_test(test_consume),
		cmocka_unit_test(test_format_longer_than_any_first_guess),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
