/* test_digest.c - common/digest.c against the published vectors (FIPS 180-4 examples, RFC 4231). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/digest.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUM_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SUM_OF_ABC     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SUM_OF_MILLION "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_vectors(void **state)
{
	char hex[DIGEST_SHA256_HEX_MAX];

	(void)state;
	digest_sha256_hex("", 0, hex);
	assert_string_equal(hex, SUM_OF_NOTHING);
	digest_sha256_hex("abc", 3, hex);
	assert_string_equal(hex, SUM_OF_ABC);
}

static void test_running(void **state)
{
	struct digest *d = digest_new();
	char hex[DIGEST_SHA256_HEX_MAX], thousand[1000];

	(void)state;
	assert_non_null(d);
	memset(thousand, 'a', sizeof(thousand));
	for (int i = 0; i < 1000; i++) {
		digest_add(d, thousand, (size_t)i);
		digest_add(d, NULL, 0);
		digest_add(d, thousand, sizeof(thousand) - (size_t)i);
	}
	digest_hex(d, hex);
	assert_string_equal(hex, SUM_OF_MILLION);
	digest_free(d);
	digest_free(NULL);
}

static void test_of_file(void **state)
{
	FILE *f = tmpfile();
	char hex[DIGEST_SHA256_HEX_MAX];
	struct err e = {0};

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 1000000; i++)
		assert_int_equal(fputc('a', f), 'a');
	assert_int_equal(fflush(f), 0);
	/* Wherever the file's position is, it starts at 0. */
	assert_int_equal(digest_fd_hex(fileno(f), 1000000, hex, &e), 0);
	assert_string_equal(hex, SUM_OF_MILLION);
	assert_int_equal(digest_fd_hex(fileno(f), 0, hex, &e), 0);
	assert_string_equal(hex, SUM_OF_NOTHING);
	assert_int_equal(digest_fd_hex(fileno(f), 1000001, hex, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_string_equal(e.msg, "file ends at byte 1000000, 1000001 were expected");
	assert_string_equal(hex, SUM_OF_NOTHING);
	assert_int_equal(digest_fd_hex(-1, 1, hex, &e), -1);
	assert_string_equal(e.msg, "read at byte 0: Bad file descriptor");
	assert_int_equal(digest_fd_hex(fileno(f), UINT64_MAX, hex, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	fclose(f);
}

static void test_hmac_vectors(void **state)
{
	char hex[DIGEST_SHA256_HEX_MAX];
	uint8_t key[131];

	(void)state;
	memset(key, 0x0b, 20);
	digest_hmac_hex(key, 20, "Hi There", 8, hex);
	assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	digest_hmac_hex("Jefe", 4, "what do ya want for nothing?", 28, hex);
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, 131);
	digest_hmac_hex(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, hex);
	assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_random(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	(void)state;
	digest_random(a, sizeof(a));
	digest_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

static void test_equal_and_wipe(void **state)
{
	char secret[] = "secret";

	(void)state;
	assert_true(digest_equal("abc", "abd", 2));
	assert_false(digest_equal("abc", "abd", 3));
	assert_true(digest_equal("a", "b", 0));
	assert_true(digest_equal_str("abc", "abc"));
	assert_true(digest_equal_str("", ""));
	assert_false(digest_equal_str("abc", "abd"));
	assert_false(digest_equal_str("abc", "ab"));
	assert_false(digest_equal_str("ab", "abc"));
	digest_wipe(secret, sizeof(secret));
	assert_memory_equal(secret, "\0\0\0\0\0\0\0", sizeof(secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_of_file),
		cmocka_unit_test(test_hmac_vectors),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_equal_and_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
