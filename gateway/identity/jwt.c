#include "gateway/identity/jwt.h"

#include "common/json_in.h"

#include <cjose/base64.h>
#include <stdlib.h>
#include <string.h>

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct part {
	const char *text;
	size_t len;
};

static bool split(const char *text, struct part ret[3])
{
	for (int i = 0; i < 3; i++) {
		ret[i].text = text;
		ret[i].len = strspn(text, base64url);
		text += ret[i].len;
		if (ret[i].len == 0 || *text != (i < 2 ? '.' : '\0'))
			return false;
		text++;
	}
	return true;
}

bool jwt_looks_like(const char *text)
{
	struct part parts[3];

	return split(text, parts);
}

static json_t *decode_object(const struct part *p)
{
	uint8_t *raw = NULL;
	size_t n = 0;
	cjose_err error;
	json_t *o = NULL;

	if (p->len % 4 != 1 && cjose_base64url_decode(p->text, p->len, &raw, &n, &error))
		o = json_in_parse(raw, n, NULL);
	free(raw);
	if (o && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static int take_header(json_t *h, struct jwt *ret)
{
	static const char *const taken[] = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384"};
	const char *alg = json_string_value(json_object_get(h, "alg"));
	json_t *kid = json_object_get(h, "kid");

	/* b64 needs crit (RFC 7797); a token within a token is none of ours (cty) */
	if (!alg || json_object_get(h, "crit") || json_object_get(h, "b64") || json_object_get(h, "zip"))
		return -1;
	if (kid && (!json_is_string(kid) || json_string_length(kid) >= JWKS_KID_BYTES ||
			   strlen(json_string_value(kid)) != json_string_length(kid)))
		return -1;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (strcmp(alg, taken[i]) == 0)
			memcpy(ret->alg, taken[i], strlen(taken[i]) + 1);
	}
	if (!ret->alg[0] || !(ret->kid = strdup(kid ? json_string_value(kid) : "")))
		return -1;
	return 0;
}

int jwt_read(const char *text, struct jwt *ret, struct err *err)
{
	struct part parts[3];
	json_t *header = NULL;
	cjose_err error;
	int rc = -1;

	*ret = (struct jwt){0};
	if (strlen(text) <= JWT_BYTES_MAX && split(text, parts) && (header = decode_object(&parts[0])) &&
		take_header(header, ret) == 0 && (ret->claims = decode_object(&parts[1])) &&
		(ret->jws = cjose_jws_import(text, strlen(text), &error)))
		rc = 0;
	json_decref(header);
	return rc == 0 ? 0 : err_set(err, ERR_AUTH, "the token is not valid here");
}

void jwt_done(struct jwt *t)
{
	free(t->kid);
	json_decref(t->claims);
	if (t->jws)
		cjose_jws_release(t->jws);
	*t = (struct jwt){0};
}

bool jwt_verify(const struct jwt *t, const struct jwks_key *key)
{
	cjose_err error;

	return jwks_alg_fits(key, t->alg) && cjose_jws_verify(t->jws, key->jwk, &error);
}
