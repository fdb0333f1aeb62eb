/* test_jwt.c - signed tokens taken apart: what is read at all, up to its bounds; and that nothing verifies but what was signed, with the key that signed it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/identity/jwt.h"
#include "test/unit/jwt_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool reads(const char *token)
{
	struct err err = {0};
	struct jwt t;
	int rc = jwt_read(token, &t, &err);

	if (rc < 0) {
		assert_int_equal(err.code, ERR_AUTH);
		assert_string_equal(err.msg, "the token is not valid here");
	} else {
		assert_true(json_is_object(t.claims));
		assert_non_null(t.kid);
	}
	jwt_done(&t);
	return rc == 0;
}

/* Read and signed by that key? */
static bool is_of(const char *token, const struct jwks_key *key)
{
	struct jwt t;
	bool good = jwt_read(token, &t, NULL) == 0 && jwt_verify(&t, key);

	jwt_done(&t);
	return good;
}

static void a_token_is_taken_apart(void **state)
{
	struct jwt_rig_key k;
	struct jwks set;
	struct jwt t;
	char *token;

	(void)state;
	jwt_rig_key_new(&k, "key-1", "ES256");
	jwt_rig_parse(jwt_rig_public(&k), &set);
	token = jwt_rig_sign(&k, json_pack("{s:s, s:i}", "iss", "https://i", "exp", 7));
	assert_true(jwt_looks_like(token));
	assert_int_equal(jwt_read(token, &t, NULL), 0);
	assert_string_equal(t.alg, "ES256");
	assert_string_equal(t.kid, "key-1");
	assert_string_equal(json_string_value(json_object_get(t.claims, "iss")), "https://i");
	assert_int_equal(json_integer_value(json_object_get(t.claims, "exp")), 7);
	assert_true(jwt_verify(&t, &set.keys[0]));
	assert_true(jwt_verify(&t, &set.keys[0])); /* it may be tried with many keys */
	jwt_done(&t);
	assert_null(t.claims);
	jwt_done(&t);
	free(token);

	k.kid = NULL;
	token = jwt_rig_sign(&k, json_object());
	assert_int_equal(jwt_read(token, &t, NULL), 0);
	assert_string_equal(t.kid, "");
	assert_true(jwt_verify(&t, &set.keys[0]));
	jwt_done(&t);
	free(token);
	jwks_done(&set);
	jwt_rig_key_free(&k);
}

/* Each algorithm with each key: the key's kind and its own "alg" decide. */
static void algorithms_fit_their_keys(void **state)
{
	static const char *const algs[] = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384"};
	struct jwt_rig_key rsa, p256, p384, *signer;
	struct jwks any[3], one;

	(void)state;
	jwt_rig_key_new(&rsa, NULL, "RS256");
	jwt_rig_key_new(&p256, NULL, "ES256");
	jwt_rig_key_new(&p384, NULL, "ES384");
	for (size_t i = 0; i < 3; i++) {
		json_t *key = jwt_rig_public(i == 0 ? &rsa : i == 1 ? &p256 : &p384);

		json_object_del(key, "alg");
		jwt_rig_parse(key, &any[i]);
		assert_int_equal(any[i].n, 1);
	}
	for (size_t i = 0; i < COUNT(algs); i++) {
		size_t kind = i < 4 ? 0 : i - 3;
		char *token;

		signer = kind == 0 ? &rsa : kind == 1 ? &p256 : &p384;
		signer->alg = algs[i];
		token = jwt_rig_sign(signer, json_object());
		assert_true(reads(token));
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(is_of(token, &any[k].keys[0]), k == kind);
		for (size_t k = 0; k < COUNT(algs); k++) {
			json_t *key = jwt_rig_public(signer);

			json_object_set_new(key, "alg", json_string(algs[k]));
			jwt_rig_parse(key, &one);
			assert_int_equal(is_of(token, &one.keys[0]), k == i);
			jwks_done(&one);
		}
		free(token);
	}
	for (size_t i = 0; i < 3; i++)
		jwks_done(&any[i]);
	jwt_rig_key_free(&rsa);
	jwt_rig_key_free(&p256);
	jwt_rig_key_free(&p384);
}

static void a_stranger_of_the_same_kind(void **state)
{
	struct jwt_rig_key k, stranger;
	struct jwks set;
	char *token;

	(void)state;
	jwt_rig_key_new(&k, "key-1", "ES256");
	jwt_rig_key_new(&stranger, "key-1", "ES256");
	jwt_rig_parse(jwt_rig_public(&k), &set);
	token = jwt_rig_sign(&stranger, json_object());
	assert_true(reads(token));
	assert_false(is_of(token, &set.keys[0]));
	free(token);
	jwks_done(&set);
	jwt_rig_key_free(&k);
	jwt_rig_key_free(&stranger);
}

static void every_character_counts(void **state)
{
	struct jwt_rig_key k;
	struct jwks set;
	char *token;
	size_t n;

	(void)state;
	jwt_rig_key_new(&k, "key-1", "ES256");
	jwt_rig_parse(jwt_rig_public(&k), &set);
	token = jwt_rig_sign(&k, json_pack("{s:s}", "sub", "alice"));
	assert_true(is_of(token, &set.keys[0]));
	n = strlen(token);
	/* Not the last one: some of its bits stand for nothing. */
	for (size_t i = 0; i + 1 < n; i++) {
		const char old = token[i], *at = strchr(base64url, old);

		for (size_t bit = 0; bit < 6; bit++) {
			token[i] = at ? base64url[(size_t)(at - base64url) ^ 1u << bit] : "A-_=+ "[bit];
			if (is_of(token, &set.keys[0]))
				fail_msg("still good with character %zu as '%c'", i, token[i]);
		}
		token[i] = old;
	}
	for (size_t cut = 0; cut < n; cut++) {
		const char old = token[cut];

		token[cut] = '\0';
		assert_false(is_of(token, &set.keys[0]));
		token[cut] = old;
	}
	assert_true(is_of(token, &set.keys[0]));
	free(token);
	jwks_done(&set);
	jwt_rig_key_free(&k);
}

static void what_looks_like_one(void **state)
{
	static const char *const yes[] = {"a.b.c", "e30.e30.e30", "A-_.0.9"};
	static const char *const no[] = {"", ".", "..", "a", "a.", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.", "a.b.c.d",
		"a.b.c ", " a.b.c", "a.b=.c", "a.b+.c", "a.b/.c", "a.b.c\n", "a,b,c", "a.b.\xc3\xa4"};

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++) {
		if (!jwt_looks_like(yes[i]))
			fail_msg("not \"%s\"", yes[i]);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		if (jwt_looks_like(no[i]) || reads(no[i]))
			fail_msg("\"%s\"", no[i]);
	}
}

static void headers(void **state)
{
	static const struct {
		const char *header;
		bool taken;
	} rows[] = {
		{"{\"alg\":\"ES256\"}", true},
		{"{\"alg\":\"RS512\",\"typ\":\"at+jwt\"}", true},
		{"{\"alg\":\"PS256\",\"kid\":\"\"}", true},
		{" {\"alg\" : \"ES384\", \"jku\":\"https://x\", \"x5u\":\"y\"} ", true}, /* never looked at */
		{"{}", false},
		{"{\"alg\":\"none\"}", false},
		{"{\"alg\":\"HS256\"}", false},
		{"{\"alg\":\"ES512\"}", false},
		{"{\"alg\":\"PS384\"}", false},
		{"{\"alg\":\"ES25\"}", false},
		{"{\"alg\":\"ES2560\"}", false},
		{"{\"alg\":\"es256\"}", false},
		{"{\"alg\":[\"ES256\"]}", false},
		{"{\"alg\":\"ES256\",\"kid\":null}", false},
		{"{\"alg\":\"ES256\",\"kid\":1}", false},
		{"{\"alg\":\"ES256\",\"kid\":\"a\\u0000\"}", false},
		{"{\"alg\":\"ES256\",\"crit\":[]}", false},
		{"{\"alg\":\"ES256\",\"crit\":null}", false},
		{"{\"alg\":\"ES256\",\"b64\":true}", false},
		{"{\"alg\":\"ES256\",\"zip\":\"DEF\"}", false},
		{"{\"alg\":\"ES256\",\"alg\":\"ES256\"}", false},
		{"{\"alg\":\"ES256\"}}", false},
		{"{\"alg\":\"ES256\"", false},
		{"\"ES256\"", false},
		{"[\"alg\",\"ES256\"]", false},
		{"null", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *token = jwt_rig_assemble(rows[i].header, "{}", "AAAA");

		if (reads(token) != rows[i].taken)
			fail_msg("%s: %s", rows[i].header, rows[i].taken ? "refused" : "taken");
		free(token);
	}
}

static void claims_must_be_an_object(void **state)
{
	static const char *const wrong[] = {"[]", "null", "1", "\"x\"", "{", "{}x", "{\"a\":1,\"a\":1}", "\xff",
		"{\"a\":\"\\u0000\"}", "{\"exp\":99999999999999999999999}", "{\"a\":1e999}"};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char *token = jwt_rig_assemble("{\"alg\":\"ES256\"}", wrong[i], "AAAA");

		if (reads(token))
			fail_msg("taken: %s", wrong[i]);
		free(token);
	}
}

/* One character more than a multiple of four is no base64. */
static void parts_are_base64(void **state)
{
	static const struct {
		const char *token;
		bool taken;
	} rows[] = {
		{"eyJhbGciOiJFUzI1NiJ9.e30.AA", true},
		{"eyJhbGciOiJFUzI1NiJ9.e30.AAA", true},
		{"eyJhbGciOiJFUzI1NiJ9.e30A.AA", false},
		{"eyJhbGciOiJFUzI1NiJ9.e30AA.AA", false},
		{"eyJhbGciOiJFUzI1NiJ9A.e30.AA", false},
		{"e.e30.AA", false},
		{"eyJhbGciOiJFUzI1NiJ9.e.AA", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (reads(rows[i].token) != rows[i].taken)
			fail_msg("%s: %s", rows[i].token, rows[i].taken ? "refused" : "taken");
	}
}

static void key_ids_have_a_bound(void **state)
{
	char kid[JWKS_KID_BYTES + 1], header[400], *token;

	(void)state;
	for (size_t n = JWKS_KID_BYTES - 1; n <= JWKS_KID_BYTES; n++) {
		memset(kid, 'k', n);
		kid[n] = '\0';
		snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
		token = jwt_rig_assemble(header, "{}", "AAAA");
		assert_int_equal(reads(token), n < JWKS_KID_BYTES);
		free(token);
	}
}

static void tokens_have_a_bound(void **state)
{
	static const char head[] = "eyJhbGciOiJFUzI1NiJ9.e30.";
	char *token = malloc(JWT_BYTES_MAX + 8);

	(void)state;
	assert_non_null(token);
	for (size_t n = JWT_BYTES_MAX - 1; n <= JWT_BYTES_MAX + 1; n++) {
		memset(token, 'A', n);
		memcpy(token, head, sizeof(head) - 1);
		token[n] = '\0';
		assert_true((n - (sizeof(head) - 1)) % 4 != 1); /* it is base64, so only the bound can refuse it */
		assert_true(jwt_looks_like(token));
		assert_int_equal(reads(token), n <= JWT_BYTES_MAX);
	}
	free(token);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_taken_apart),
		cmocka_unit_test(algorithms_fit_their_keys),
		cmocka_unit_test(a_stranger_of_the_same_kind),
		cmocka_unit_test(every_character_counts),
		cmocka_unit_test(what_looks_like_one),
		cmocka_unit_test(headers),
		cmocka_unit_test(claims_must_be_an_object),
		cmocka_unit_test(parts_are_base64),
		cmocka_unit_test(key_ids_have_a_bound),
		cmocka_unit_test(tokens_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
