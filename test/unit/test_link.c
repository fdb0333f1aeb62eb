/* test_link.c - signed links: what is signed is accepted, and nothing else is. */
#include "test/unit/temp_file.h"
#include "uploader/link.h"

#include "common/digest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define JOB   "01kdbw3m80jz6c5t9v2x4y7q8r"
#define NONCE "01kdbw3m81abcdefghjkmnpqrs"
#define KEY   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct link_key key_of(uint8_t first)
{
	struct link_key k;

	for (size_t i = 0; i < sizeof(k.bytes); i++)
		k.bytes[i] = (uint8_t)(first + i);
	return k;
}

static void sign(
	const struct link_key *k, const char *job, uint64_t expires_s, const char *nonce, char ret[LINK_TEXT_MAX])
{
	struct link l = {.expires_s = expires_s};
	struct err err = {0};

	snprintf(l.job, sizeof(l.job), "%s", job);
	snprintf(l.nonce, sizeof(l.nonce), "%s", nonce);
	assert_int_equal(link_sign(k, &l, ret, &err), 0);
}

/* The HMAC was computed once with another tool (openssl dgst -sha256 -mac HMAC). */
static void test_known_text(void **state)
{
	struct link_key k = key_of(0);
	char text[LINK_TEXT_MAX];

	(void)state;
	sign(&k, JOB, 1767607200, "", text);
	assert_string_equal(text, JOB ".1767607200.0.ae9c8571a02c0819c7b798d0edcd7a4a48ff601230966f315573196c8e5233b6");
	sign(&k, JOB, 1767607200, NONCE, text);
	assert_string_equal(
		text, JOB ".1767607200." NONCE ".37e0c39db7176e0b077271ee863921d7b6cb171f5e20781d34fec4337d05aabe");
}

static void test_round_trip(void **state)
{
	static const uint64_t expiries[] = {0, 1, 9, 10, 1767607200, UINT64_MAX};
	static const char *const nonces[] = {"", NONCE};
	struct link_key k = key_of(7);

	(void)state;
	for (size_t i = 0; i < sizeof(expiries) / sizeof(expiries[0]); i++) {
		for (size_t n = 0; n < 2; n++) {
			char text[LINK_TEXT_MAX];
			struct link l;
			struct err err = {0};

			sign(&k, JOB, expiries[i], nonces[n], text);
			assert_int_equal(link_verify(&k, text, expiries[i], &l, &err), 0);
			assert_string_equal(l.job, JOB);
			assert_string_equal(l.nonce, nonces[n]);
			assert_int_equal(l.expires_s, expiries[i]);
		}
	}
}

static void test_expiry(void **state)
{
	struct link_key k = key_of(7);
	char text[LINK_TEXT_MAX];
	struct link l;
	struct err err = {0};

	(void)state;
	sign(&k, JOB, 1000, "", text);
	assert_int_equal(link_verify(&k, text, 999, &l, &err), 0);
	assert_int_equal(link_verify(&k, text, 1000, &l, &err), 0);
	assert_int_equal(link_verify(&k, text, 1001, &l, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_string_equal(err.detail, "link_expired");
}

static void assert_refused(const struct link_key *k, const char *text)
{
	struct link l;
	struct err err = {0};

	if (link_verify(k, text, 1, &l, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.code, ERR_PERM);
	assert_string_equal(err.msg, "this link is not valid");
	assert_string_equal(err.detail, "");
}

static void test_not_links(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"...",
		"....",
		JOB,
		JOB ".1767607200.0",
		JOB ".1767607200.0.",
		JOB ".1767607200.0.00",
		"../../etc/passwd",
	};
	char longer[2 * LINK_TEXT_MAX];
	struct link_key k = key_of(7);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(&k, bad[i]);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_refused(&k, longer);
	memset(longer, '.', sizeof(longer) - 1);
	assert_refused(&k, longer);
}

/* Every text that differs in one byte, is shorter, or longer. */
static void test_every_change(void **state)
{
	struct link_key k = key_of(7);
	char text[LINK_TEXT_MAX], changed[LINK_TEXT_MAX + 2];
	size_t n;

	(void)state;
	sign(&k, JOB, 1767607200, NONCE, text);
	n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		for (unsigned c = 1; c < 256; c++) {
			memcpy(changed, text, n + 1);
			if ((char)c == text[i])
				continue;
			changed[i] = (char)c;
			assert_refused(&k, changed);
		}
		memcpy(changed, text, n + 1);
		changed[i] = '\0';
		assert_refused(&k, changed);
	}
	snprintf(changed, sizeof(changed), "%s0", text);
	assert_refused(&k, changed);
	snprintf(changed, sizeof(changed), "%s.", text);
	assert_refused(&k, changed);
	snprintf(changed, sizeof(changed), " %s", text);
	assert_refused(&k, changed);
}

/* Another writing of the same link, with the right HMAC over that writing, is refused all the same: one link, one text. */
static void test_other_writings(void **state)
{
	static const char *const others[] = {"01767607200", "+1767607200", " 1767607200", "1767607200 ", "0x1", "",
		"18446744073709551616", "99999999999999999999"};
	struct link_key k = key_of(7);
	struct link_key other = key_of(8);
	char text[LINK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char message[LINK_TEXT_MAX], whole[2 * LINK_TEXT_MAX], mac[65];

		snprintf(message, sizeof(message), "pcapline-link:" JOB ".%s.0", others[i]);
		digest_hmac_hex(k.bytes, sizeof(k.bytes), message, strlen(message), mac);
		snprintf(whole, sizeof(whole), "%s.%s", message + strlen("pcapline-link:"), mac);
		assert_refused(&k, whole);
	}
	sign(&other, JOB, 1767607200, "", text);
	assert_refused(&k, text);
}

static void test_sign_refuses(void **state)
{
	static const struct {
		const char *job, *nonce;
	} bad[] = {{"", ""}, {"x", ""}, {"../../../../../../etc/pass", ""}, {JOB, "0"}, {JOB, "x.y"}};
	struct link_key k = key_of(7);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[LINK_TEXT_MAX];
		struct link l = {.expires_s = 1};
		struct err err = {0};

		snprintf(l.job, sizeof(l.job), "%s", bad[i].job);
		snprintf(l.nonce, sizeof(l.nonce), "%s", bad[i].nonce);
		assert_int_equal(link_sign(&k, &l, text, &err), -1);
		assert_int_equal(err.code, ERR_INPUT);
	}
}

/* ---- the key file ---- */

static void test_key_is_made(void **state)
{
	struct link_key a = {0}, b = {0};
	struct temp_file t;
	struct err err = {0};
	struct stat st;

	(void)state;
	temp_file_init(&t);
	assert_int_equal(link_key_load(t.path, &a, &err), 0);
	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 65);
	assert_int_equal(link_key_load(t.path, &b, &err), 0);
	assert_memory_equal(a.bytes, b.bytes, sizeof(a.bytes));
	temp_file_done(&t);
	temp_file_init(&t);
	assert_int_equal(link_key_load(t.path, &b, &err), 0);
	assert_memory_not_equal(a.bytes, b.bytes, sizeof(a.bytes));
	temp_file_done(&t);
}

static void test_key_files(void **state)
{
	static const struct {
		const char *what, *text;
		mode_t mode;
		enum err_code code;
	} cases[] = {
		{"with a line end", KEY "\n", 0600, ERR_NONE},
		{"without", KEY, 0600, ERR_NONE},
		{"readable by the group", KEY, 0640, ERR_NONE},
		{"writable by the group", KEY, 0660, ERR_PERM},
		{"readable by others", KEY, 0604, ERR_PERM},
		{"executable by others", KEY, 0601, ERR_PERM},
		{"empty", "", 0600, ERR_INPUT},
		{"a digit short", "00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0600, ERR_INPUT},
		{"a digit long", KEY "0", 0600, ERR_INPUT},
		{"two line ends", KEY "\n\n", 0600, ERR_INPUT},
		{"much too long", KEY KEY KEY, 0600, ERR_INPUT},
		{"upper case", "000102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0600, ERR_INPUT},
		{"not hex", "g00102030405060708090a0b0c0d0e0f10111213141516171819a1b1c1d1e1f0", 0600, ERR_INPUT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_key want = key_of(0), k;
		struct temp_file t;
		struct err err = {0};

		temp_file_init(&t);
		temp_file_write(&t, cases[i].text, strlen(cases[i].text));
		assert_int_equal(chmod(t.path, cases[i].mode), 0);
		if (link_key_load(t.path, &k, &err) != (cases[i].code ? -1 : 0) || err.code != cases[i].code)
			fail_msg("%s: code %d: %s", cases[i].what, (int)err.code, err.msg);
		if (!cases[i].code)
			assert_memory_equal(k.bytes, want.bytes, sizeof(k.bytes));
		else
			assert_null(strstr(err.msg, "0102030405")); /* no key in an error text */
		temp_file_done(&t);
	}
}

static void test_key_is_a_folder(void **state)
{
	struct temp_file t;
	struct link_key k;
	struct err err = {0};

	(void)state;
	temp_file_init(&t);
	assert_int_equal(link_key_load(t.dir, &k, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_int_equal(link_key_load("/nonexistent/folder/key", &k, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	temp_file_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_text),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_not_links),
		cmocka_unit_test(test_every_change),
		cmocka_unit_test(test_other_writings),
		cmocka_unit_test(test_sign_refuses),
		cmocka_unit_test(test_key_is_made),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test(test_key_is_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
