#include "gateway/identity/jwks.h"

#include "common/json_in.h"

#include <cjose/base64.h>
#include <stdlib.h>
#include <string.h>

#define RSA_BITS_MIN    2048
#define RSA_BITS_MAX    8192
#define EXPONENT_DIGITS 11 /* base64url of 8 bytes */

/* The member's text; NULL when it is absent or no plain text. */
static const char *text_of(json_t *o, const char *member, size_t most)
{
	json_t *v = json_object_get(o, member);
	size_t n = json_string_length(v);

	return json_is_string(v) && n <= most && strlen(json_string_value(v)) == n ? json_string_value(v) : NULL;
}

static bool is_base64url(const char *s, size_t most)
{
	size_t n = s ? strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") : 0;

	return n > 0 && n <= most && s[n] == '\0';
}

/* Only the public members reach the library, so that nothing else of a hostile key does. */
static cjose_jwk_t *import(json_t *public)
{
	char *text = public ? json_dumps(public, JSON_COMPACT) : NULL;
	cjose_err error;
	cjose_jwk_t *jwk = text ? cjose_jwk_import(text, strlen(text), &error) : NULL;

	free(text);
	json_decref(public);
	return jwk;
}

/* Odd and 3 at least, judged by its bytes: exponents of 1 (and of 0) would make signatures of anything, and base64 has several texts for each of them.  Leading
 * zeros: nobody sends them but who has something to hide. */
static bool is_exponent(const char *e)
{
	uint8_t *raw = NULL;
	size_t n = 0;
	cjose_err error;
	bool good = cjose_base64url_decode(e, strlen(e), &raw, &n, &error) && n > 0 && raw[0] != 0 &&
		    (raw[n - 1] & 1) && (n > 1 || raw[0] > 1);

	free(raw);
	return good;
}

static cjose_jwk_t *take_rsa(json_t *o)
{
	const char *n = text_of(o, "n", RSA_BITS_MAX / 6 + 4), *e = text_of(o, "e", EXPONENT_DIGITS);
	cjose_jwk_t *jwk;
	size_t bits;

	if (!is_base64url(n, RSA_BITS_MAX / 6 + 4) || !is_base64url(e, EXPONENT_DIGITS) || !is_exponent(e))
		return NULL;
	if (!(jwk = import(json_pack("{s:s, s:s, s:s}", "kty", "RSA", "n", n, "e", e))))
		return NULL;
	bits = cjose_jwk_get_keysize(jwk, NULL);
	if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
		return jwk;
	cjose_jwk_release(jwk);
	return NULL;
}

static cjose_jwk_t *take_ec(json_t *o)
{
	const char *crv = text_of(o, "crv", 8), *x = text_of(o, "x", 64), *y = text_of(o, "y", 64);

	if (!crv || (strcmp(crv, "P-256") != 0 && strcmp(crv, "P-384") != 0) || !is_base64url(x, 64) ||
		!is_base64url(y, 64))
		return NULL;
	return import(json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", crv, "x", x, "y", y));
}

/* false: not a key for us. */
static bool take_key(json_t *o, struct jwks_key *ret)
{
	const char *kty = text_of(o, "kty", 8), *use = text_of(o, "use", 8);
	const char *alg = text_of(o, "alg", sizeof(ret->alg) - 1), *kid = text_of(o, "kid", JWKS_KID_BYTES - 1);

	if (!kty || (json_object_get(o, "kid") && !kid) || (json_object_get(o, "alg") && !alg) ||
		(json_object_get(o, "use") && (!use || strcmp(use, "sig") != 0)))
		return false;
	memset(ret, 0, sizeof(*ret));
	if (strcmp(kty, "RSA") == 0)
		ret->jwk = take_rsa(o);
	else if (strcmp(kty, "EC") == 0)
		ret->jwk = take_ec(o);
	if (!ret->jwk)
		return false;
	if (alg)
		memcpy(ret->alg, alg, strlen(alg) + 1);
	if ((ret->kid = strdup(kid ? kid : "")))
		return true;
	cjose_jwk_release(ret->jwk);
	return false;
}

int jwks_parse(const void *text, size_t n, struct jwks *ret, struct err *err)
{
	json_t *set, *keys, *key;
	size_t i;
	int rc = -1;

	*ret = (struct jwks){0};
	if (n > JWKS_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "%zu bytes of keys are over %u", n, JWKS_BYTES_MAX);
	if (!(set = json_in_parse(text, n, err)))
		return -1;
	keys = json_object_get(set, "keys");
	if (!json_is_array(keys)) {
		err_set(err, ERR_INPUT, "this is no key set: it has no list \"keys\"");
	} else if (json_array_size(keys) > JWKS_KEYS_MAX) {
		err_set(err, ERR_LIMIT, "%zu keys are over %d", json_array_size(keys), JWKS_KEYS_MAX);
	} else if (!(ret->keys = calloc(json_array_size(keys) + 1, sizeof(*ret->keys)))) {
		err_nomem(err);
	} else {
		json_array_foreach(keys, i, key)
		{
			if (take_key(key, &ret->keys[ret->n]))
				ret->n++;
			else
				ret->left_out++;
		}
		rc = 0;
	}
	json_decref(set);
	return rc;
}

void jwks_done(struct jwks *k)
{
	for (size_t i = 0; i < k->n; i++) {
		free(k->keys[i].kid);
		cjose_jwk_release(k->keys[i].jwk);
	}
	free(k->keys);
	*k = (struct jwks){0};
}

bool jwks_alg_fits(const struct jwks_key *k, const char *alg)
{
	cjose_jwk_kty_t kty = cjose_jwk_get_kty(k->jwk, NULL);
	size_t bits = cjose_jwk_get_keysize(k->jwk, NULL);

	if (k->alg[0] && strcmp(k->alg, alg) != 0)
		return false;
	if (kty == CJOSE_JWK_KTY_RSA)
		return alg[0] == 'R' || alg[0] == 'P';
	return kty == CJOSE_JWK_KTY_EC && strcmp(alg, bits == 256 ? "ES256" : "ES384") == 0;
}
