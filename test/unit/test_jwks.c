/* test_jwks.c - key sets of issuers, hostile ones too: which keys are taken, what of them, and the bounds of number, length and strength. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/identity/jwks.h"
#include "test/unit/jwt_rig.h"

#include <cjose/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* "kty":"RSA" with a modulus of so many bytes (all of its bits are set) and the exponent. */
static json_t *rsa(size_t bytes, const char *e)
{
	uint8_t *n = malloc(bytes);
	char *text;
	json_t *ret;

	assert_non_null(n);
	memset(n, 0xff, bytes);
	text = jwt_rig_base64(n, bytes);
	ret = json_pack("{s:s, s:s, s:s}", "kty", "RSA", "n", text, "e", e);
	free(n);
	free(text);
	assert_non_null(ret);
	return ret;
}

static json_t *ec(void)
{
	static struct jwt_rig_key k;

	if (!k.jwk)
		jwt_rig_key_new(&k, "key-1", "ES256");
	return jwt_rig_public(&k);
}

static bool is_taken(json_t *key)
{
	struct jwks set;
	size_t n;

	jwt_rig_parse(key, &set);
	n = set.n;
	assert_int_equal(set.n + set.left_out, 1);
	jwks_done(&set);
	return n == 1;
}

/* The good key of ec() with one member as the text says; NULL: without it. */
static json_t *ec_but(const char *member, const char *value)
{
	json_t *key = ec();

	if (!value)
		assert_int_equal(json_object_del(key, member), 0);
	else
		assert_int_equal(json_object_set_new(key, member, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
	return key;
}

static void keys_are_taken(void **state)
{
	struct jwt_rig_key p256, p384, rs;
	struct jwks set;
	json_t *all;
	char *text;
	struct err err = {0};

	(void)state;
	jwt_rig_key_new(&p256, "a", "ES256");
	jwt_rig_key_new(&p384, NULL, "ES384");
	jwt_rig_key_new(&rs, "c", "RS256");
	all = json_pack("{s:[o, o, s, o], s:s}", "keys", jwt_rig_public(&p256), jwt_rig_public(&p384), "no key",
		jwt_rig_public(&rs), "more", "of no interest");
	json_object_del(json_array_get(json_object_get(all, "keys"), 3), "alg");
	json_object_del(json_array_get(json_object_get(all, "keys"), 3), "use");
	text = json_dumps(all, 0);
	if (jwks_parse(text, strlen(text), &set, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(set.n, 3);
	assert_int_equal(set.left_out, 1);
	assert_string_equal(set.keys[0].kid, "a");
	assert_string_equal(set.keys[0].alg, "ES256");
	assert_int_equal(cjose_jwk_get_keysize(set.keys[0].jwk, NULL), 256);
	assert_string_equal(set.keys[1].kid, "");
	assert_string_equal(set.keys[1].alg, "ES384");
	assert_string_equal(set.keys[2].kid, "c");
	assert_string_equal(set.keys[2].alg, "");
	assert_int_equal(cjose_jwk_get_keysize(set.keys[2].jwk, NULL), 2048);
	jwks_done(&set);
	assert_int_equal(set.n, 0);
	assert_null(set.keys);
	jwks_done(&set);
	free(text);
	json_decref(all);
	jwt_rig_key_free(&p256);
	jwt_rig_key_free(&p384);
	jwt_rig_key_free(&rs);
}

/* An issuer that publishes too much does not make us keep it. */
static void private_halves_stay_out(void **state)
{
	static const char *const algs[] = {"ES256", "RS256"};

	(void)state;
	for (size_t i = 0; i < COUNT(algs); i++) {
		struct jwt_rig_key k;
		struct jwks set;
		cjose_err error;
		char *text;
		json_t *kept;

		jwt_rig_key_new(&k, "a", algs[i]);
		text = cjose_jwk_to_json(k.jwk, true, &error);
		assert_non_null(strstr(text, "\"d\""));
		jwt_rig_parse(json_loads(text, 0, NULL), &set);
		free(text);
		assert_int_equal(set.n, 1);
		text = cjose_jwk_to_json(set.keys[0].jwk, true, &error);
		kept = json_loads(text, 0, NULL);
		assert_non_null(kept);
		assert_null(json_object_get(kept, "d"));
		assert_null(json_object_get(kept, "p"));
		json_decref(kept);
		free(text);
		jwks_done(&set);
		jwt_rig_key_free(&k);
	}
}

static void members(void **state)
{
	static const struct {
		const char *member, *value; /* NULL: absent */
		bool taken;
	} rows[] = {
		{"kid", NULL, true},
		{"kid", "\"\"", true},
		{"kid", "5", false},
		{"kid", "null", false},
		{"kid", "[\"key-1\"]", false},
		{"use", NULL, true},
		{"use", "\"enc\"", false},
		{"use", "\"Sig\"", false},
		{"use", "\"\"", false},
		{"use", "null", false},
		{"use", "[\"sig\"]", false},
		{"alg", NULL, true},
		{"alg", "\"ES384\"", true}, /* but never fits */
		{"alg", "\"1234567\"", true},
		{"alg", "\"12345678\"", false},
		{"alg", "5", false},
		{"alg", "null", false},
		{"kty", NULL, false},
		{"kty", "\"oct\"", false},
		{"kty", "\"OKP\"", false},
		{"kty", "\"ec\"", false},
		{"kty", "\"RSA\"", false}, /* without n and e */
		{"kty", "1", false},
		{"crv", NULL, false},
		{"crv", "\"P-384\"", false}, /* no point of it */
		{"crv", "\"P-521\"", false},
		{"crv", "\"secp256k1\"", false},
		{"x", NULL, false},
		{"x", "\"\"", false},
		{"x", "\"AA\"", false},
		{"x", "5", false},
		{"x", "\"+/+/\"", false},
		{"y", NULL, false},
		{"y", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", false}, /* not on the curve */
		{"key_ops", "[\"sign\"]", true},
		{"x5u", "\"https://x\"", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (is_taken(ec_but(rows[i].member, rows[i].value)) != rows[i].taken)
			fail_msg("%s %s: %s", rows[i].member, rows[i].value ? rows[i].value : "absent",
				rows[i].taken ? "left out" : "taken");
	}
}

static void key_ids_have_a_bound(void **state)
{
	char kid[JWKS_KID_BYTES + 3];

	(void)state;
	for (size_t n = JWKS_KID_BYTES - 1; n <= JWKS_KID_BYTES; n++) {
		kid[0] = kid[n + 1] = '"';
		memset(kid + 1, 'k', n);
		kid[n + 2] = '\0';
		assert_int_equal(is_taken(ec_but("kid", kid)), n < JWKS_KID_BYTES);
	}
}

/* By number, however it is written: with an exponent of 1 anything would be its own signature. */
static void exponents(void **state)
{
	static const struct {
		const char *e;
		bool taken;
	} rows[] = {
		{"AQAB", true},          /* 65537 */
		{"Aw", true},            /* 3 */
		{"EQ", true},            /* 17 */
		{"AQAAAAAAAAE", true},   /* 8 bytes */
		{"AQAAAAAAAAAB", false}, /* 9 */
		{"AQ", false},           /* 1 */
		{"AR", false},           /* 1, with bits that stand for nothing */
		{"Af", false},
		{"AA", false}, /* 0 */
		{"AB", false},
		{"AP", false},
		{"AAE", false}, /* 1 */
		{"AAAB", false},
		{"AAEAAQ", false}, /* 65537 with a zero before */
		{"ABAB", false},   /* 4097 so */
		{"Ag", false},     /* 2 */
		{"AQAC", false},   /* 65538 */
		{"A", false},
		{"", false},
		{"AQAB=", false},
		{"AQ==", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (is_taken(rsa(256, rows[i].e)) != rows[i].taken)
			fail_msg("\"%s\": %s", rows[i].e, rows[i].taken ? "left out" : "taken");
	}
}

static void strength(void **state)
{
	char zeros[343];
	json_t *key = rsa(256, "AQAB");

	(void)state;
	assert_false(is_taken(rsa(1, "AQAB")));
	assert_false(is_taken(rsa(128, "AQAB")));
	assert_false(is_taken(rsa(255, "AQAB")));
	assert_true(is_taken(rsa(256, "AQAB")));
	assert_true(is_taken(rsa(1024, "AQAB")));
	assert_false(is_taken(rsa(1025, "AQAB")));
	assert_false(is_taken(rsa(4096, "AQAB")));
	/* As long as 2048 bits, but for the zeros before it. */
	memset(zeros, 'A', 170);
	memset(zeros + 170, '_', 172);
	zeros[342] = '\0';
	json_object_set_new(key, "n", json_string(zeros));
	assert_false(is_taken(key));
}

static void algorithms(void **state)
{
	static const char *const algs[] = {
		"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "HS256", "none", ""};
	struct jwks set;

	(void)state;
	for (size_t i = 0; i < COUNT(algs); i++) {
		jwt_rig_parse(rsa(256, "AQAB"), &set);
		assert_int_equal(jwks_alg_fits(&set.keys[0], algs[i]), i < 4);
		jwks_done(&set);
		jwt_rig_parse(ec_but("alg", NULL), &set);
		assert_int_equal(jwks_alg_fits(&set.keys[0], algs[i]), i == 4);
		jwks_done(&set);
		jwt_rig_parse(ec(), &set); /* "ES256" itself */
		assert_int_equal(jwks_alg_fits(&set.keys[0], algs[i]), i == 4);
		jwks_done(&set);
		jwt_rig_parse(ec_but("alg", "\"ES384\""), &set);
		assert_false(jwks_alg_fits(&set.keys[0], algs[i]));
		jwks_done(&set);
	}
}

static void number_of_keys(void **state)
{
	struct err err = {0};
	struct jwks set;

	(void)state;
	for (size_t n = JWKS_KEYS_MAX - 1; n <= JWKS_KEYS_MAX + 1; n++) {
		json_t *list = json_array(), *all = json_pack("{s:o}", "keys", list);
		char *text;
		int rc;

		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, i % 2 ? ec() : json_null());
		text = json_dumps(all, 0);
		rc = jwks_parse(text, strlen(text), &set, &err);
		assert_int_equal(rc, n <= JWKS_KEYS_MAX ? 0 : -1);
		assert_int_equal(set.n + set.left_out, rc == 0 ? n : 0);
		jwks_done(&set);
		free(text);
		json_decref(all);
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.msg, "65 keys are over 64");
}

static void length_of_the_text(void **state)
{
	static const char empty[] = "{\"keys\":[]}";
	char *text = malloc(JWKS_BYTES_MAX + 1);
	struct err err = {0};
	struct jwks set;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', JWKS_BYTES_MAX + 1);
	memcpy(text, empty, sizeof(empty) - 1);
	assert_int_equal(jwks_parse(text, JWKS_BYTES_MAX, &set, &err), 0);
	assert_int_equal(set.n, 0);
	jwks_done(&set);
	assert_int_equal(jwks_parse(text, JWKS_BYTES_MAX + 1, &set, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	jwks_done(&set);
	free(text);
}

static void no_key_sets(void **state)
{
	static const char *const wrong[] = {"", " ", "null", "[]", "5", "\"keys\"", "{}", "{\"keys\":{}}",
		"{\"keys\":null}", "{\"keys\":\"x\"}", "{\"Keys\":[]}", "{\"keys\":[]", "{\"keys\":[],\"keys\":[]}",
		"{\"keys\":[]}x", "<html>", "{\"keys\":[\"\\u0000\"]}"};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct err err = {0};
		struct jwks set;

		if (jwks_parse(wrong[i], strlen(wrong[i]), &set, &err) == 0)
			fail_msg("taken: %s", wrong[i]);
		assert_int_equal(err.code, ERR_INPUT);
		assert_null(set.keys);
		jwks_done(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_taken),
		cmocka_unit_test(private_halves_stay_out),
		cmocka_unit_test(members),
		cmocka_unit_test(key_ids_have_a_bound),
		cmocka_unit_test(exponents),
		cmocka_unit_test(strength),
		cmocka_unit_test(algorithms),
		cmocka_unit_test(number_of_keys),
		cmocka_unit_test(length_of_the_text),
		cmocka_unit_test(no_key_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
