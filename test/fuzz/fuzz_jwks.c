/* fuzz_jwks.c - any bytes as an issuer's keys: what is taken is public, strong enough, and read again the same when it is written plainly. */
#include "gateway/identity/jwks.h"

#include "common/json_in.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_algorithms(const struct jwks_key *k, bool rsa, size_t bits)
{
	static const char *const algs[] = {
		"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "HS256", "none", ""};

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		bool may = rsa ? i < 4 : i == (bits == 256 ? 4u : 5u);

		assert(jwks_alg_fits(k, algs[i]) == (may && (!k->alg[0] || strcmp(k->alg, algs[i]) == 0)));
	}
}

/* The key as the library writes it, private members too if it had any. */
static char *written(const struct jwks_key *k)
{
	cjose_err error;
	char *text = cjose_jwk_to_json(k->jwk, true, &error);

	assert(text);
	return text;
}

static void check_again(const char *text)
{
	size_t room = strlen(text) + 32;
	char *set = malloc(room), *again;
	struct jwks one;

	assert(set);
	snprintf(set, room, "{\"keys\":[%s]}", text);
	assert(jwks_parse(set, strlen(set), &one, NULL) == 0 && one.n == 1);
	again = written(&one.keys[0]);
	assert(strcmp(again, text) == 0);
	free(again);
	free(set);
	jwks_done(&one);
}

static void check_key(const struct jwks_key *k)
{
	cjose_jwk_kty_t kty = cjose_jwk_get_kty(k->jwk, NULL);
	size_t bits = cjose_jwk_get_keysize(k->jwk, NULL);
	char *text = written(k);
	json_t *o = json_in_parse(text, strlen(text), NULL);

	assert(strlen(k->kid) < JWKS_KID_BYTES && strlen(k->alg) < sizeof(k->alg));
	assert(kty == CJOSE_JWK_KTY_RSA || kty == CJOSE_JWK_KTY_EC);
	assert(o && !json_object_get(o, "d") && !json_object_get(o, "p") && !json_object_get(o, "k"));
	if (kty == CJOSE_JWK_KTY_RSA) {
		const char *e = json_string_value(json_object_get(o, "e"));

		assert(bits >= 2048 && bits <= 8192);
		assert(e && strlen(e) >= 2 && strcmp(e, "AQ") != 0);
	} else {
		assert(bits == 256 || bits == 384);
	}
	check_algorithms(k, kty == CJOSE_JWK_KTY_RSA, bits);
	check_again(text);
	json_decref(o);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err err = {0};
	struct jwks set;

	if (jwks_parse(data, n, &set, &err) < 0) {
		assert((err.code == ERR_INPUT || err.code == ERR_LIMIT) && err.msg[0]);
		assert(!set.keys && set.n == 0);
		return 0;
	}
	assert(n <= JWKS_BYTES_MAX && set.n + set.left_out <= JWKS_KEYS_MAX);
	for (size_t i = 0; i < set.n; i++)
		check_key(&set.keys[i]);
	jwks_done(&set);
	return 0;
}
