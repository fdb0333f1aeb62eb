/* test_sha_state.c - a sum that was put down at any byte and taken up again is the sum of the whole. */
#include "uploader/spool/sha_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES 300u /* over four blocks of SHA-256 */

static uint8_t data[BYTES];

static void test_split_anywhere(void **state)
{
	char want[DIGEST_SHA256_HEX_MAX], got[DIGEST_SHA256_HEX_MAX], text[SHA_STATE_TEXT_MAX];

	(void)state;
	digest_sha256_hex(data, BYTES, want);
	for (size_t a = 0; a <= BYTES; a++) {
		struct sha_state first, second;

		sha_state_init(&first);
		sha_state_add(&first, data, a);
		sha_state_hex(&first, got); /* looking does not change it */
		memset(&second, 0xff, sizeof(second));
		assert_true(sha_state_load(&second, sha_state_save(&first, text)));
		assert_int_equal(second.bytes, a);
		sha_state_add(&second, data + a, BYTES - a);
		sha_state_hex(&second, got);
		assert_string_equal(got, want);
		assert_true(strlen(text) < SHA_STATE_TEXT_MAX);
	}
}

/* The length in bits needs both words from 512 MiB on. */
static void test_long(void **state)
{
	const uint64_t bytes = (UINT64_C(1) << 29) + 5;
	char want[DIGEST_SHA256_HEX_MAX], got[DIGEST_SHA256_HEX_MAX], text[SHA_STATE_TEXT_MAX];
	const size_t piece = 1u << 20;
	uint8_t *p = calloc(1, piece);
	struct sha_state a, b;

	(void)state;
	assert_non_null(p);
	sha_state_init(&a);
	for (uint64_t left = bytes; left > 0;) {
		size_t n = left < piece ? (size_t)left : piece;

		sha_state_add(&a, p, n);
		left -= n;
	}
	assert_true(sha_state_load(&b, sha_state_save(&a, text)));
	assert_int_equal(b.ctx.Nh, a.ctx.Nh);
	assert_int_equal(b.ctx.Nl, a.ctx.Nl);
	sha_state_add(&a, data, BYTES);
	sha_state_add(&b, data, BYTES);
	sha_state_hex(&a, want);
	sha_state_hex(&b, got);
	assert_string_equal(got, want);
	free(p);
}

static void test_bad_texts(void **state)
{
#define H "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"
	static const struct {
		const char *what, *text;
		bool good;
	} cases[] = {
		{"nothing yet", H ":0:", true},
		{"one byte", H ":1:61", true},
		{"a whole block", H ":64:", true},
		{"empty", "", false},
		{"no length", H, false},
		{"empty length", H "::", false},
		{"length too large", H ":2305843009213693952:", false},
		{"the largest length",
			H ":2305843009213693951:" H "000000000000000000000000000000000000000000000000000000000"
			  "00000",
			true},
		{"length over 64 bits", H ":18446744073709551616:", false},
		{"negative", H ":-1:", false},
		{"rest missing", H ":1:", false},
		{"rest half", H ":1:6", false},
		{"rest too long", H ":1:6161", false},
		{"upper case", H ":1:6A", false},
		{"after it", H ":0: ", false},
		{"state short", "6a09e667:0:", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sha_state s;

		if (sha_state_load(&s, cases[i].text) != cases[i].good)
			fail_msg("%s", cases[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_anywhere),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_bad_texts),
	};

	for (unsigned i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 7 + 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
