/* fuzz_jwt.c - any bytes as a signed token ('t'), as header and claims of one with a NUL between ('p'), and as claims that somebody has signed ('c').
 * Nothing verifies but what was once signed with the key below; an identity comes of nothing but claims that say whose, for whom and until when. */
#include "common/clock.h"
#include "common/json_in.h"
#include "common/parse.h"
#include "gateway/identity/claims.h"
#include "gateway/identity/jwt.h"

#include <assert.h>
#include <cjose/base64.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S 1767607200 /* 2026-01-05T10:00:00Z */

/* Its private half signed the seed "signed" and was thrown away. */
static const char keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"alg\":\"ES256\",\"use\":\"sig"
			   "\",\"x\":\"h0bY6NCzhDY5KGPnJLfODQZEfWH5r0krcBBIdyPOT3o\",\"y\":\"zgVvHzPlPbSzDpeE7D_MIvB8O"
			   "OmW6LXSO38YlvGp75M\"}]}";
static const char signed_text[] =
	"eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJpIiwianRpIjoiMSIsInN1YiI6IjdhMWYiLCJ1c2VyX2l"
	"kIjoiN2ExZiIsInVzZXJfbmFtZSI6ImFsaWNlIiwiY2xpZW50X2lkIjoiY2YiLCJncmFudF90eXBlIjoicGFzc3dvc"
	"mQiLCJhdWQiOlsib3BlbmlkIiwiY2MiXSwic2NvcGUiOlsib3BlbmlkIiwib3AiXSwiaWF0IjoxNzY3NjA3MTAwLCJ"
	"leHAiOjE3Njc2MDc4MDB9.";

static const char signature[] =
	"tdgLCjgz0PFlygbAYfskP-FRmTjIXXBeKopFht8_byV5uFNZhw0LIo0vfb9mLmHhZkV8MsHkf0hSY4V6lbZ8ug";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* ---- claims ---- */

static int take(enum issuer_kind kind, json_t *claims, uint64_t now_s, struct identity *ret, struct err *err)
{
	static char name[] = "cf", iss[] = "i", cc[] = "cc", bosh[] = "bosh.*", op[] = "op";
	static char *audience[] = {cc, bosh}, *operators[] = {op};
	const struct issuer s = {.name = name,
		.issuer = iss,
		.kind = kind,
		.audience = {audience, 2},
		.operator_scopes = {operators, 1},
		.clients = kind == ISSUER_UAA,
		.leeway_ms = 30000};

	memset(ret, 0, sizeof(*ret));
	return claims_take(&s, claims, now_s * CLOCK_NS_PER_S, ret, err);
}

static void check_identity(const struct identity *who, enum issuer_kind kind)
{
	const char *id = who->user_id + 3;
	bool client = strncmp(id, "client:", 7) == 0;
	json_t *scope;
	size_t i;

	assert(strncmp(who->user_id, "cf:", 3) == 0 && *id && strcmp(who->issuer, "cf") == 0);
	assert(strlen(client ? id + 7 : id) <= 200 && !strpbrk(id, " \t\r\n"));
	assert(!client || (kind == ISSUER_UAA && strcmp(id + 7, who->user_name) == 0));
	assert(strlen(who->user_name) <= 256 && parse_is_text(who->user_name, strlen(who->user_name), false));
	assert(!who->org[0] && !who->space[0]);
	assert(json_is_array(who->scopes) && json_array_size(who->scopes) <= 1000);
	json_array_foreach(who->scopes, i, scope) assert(json_string_length(scope) > 0);
	assert(who->is_operator == identity_has_scope(who, "op"));
}

static void check_claims(json_t *claims, enum issuer_kind kind)
{
	double exp_s = json_number_value(json_object_get(claims, "exp"));
	struct identity who;
	struct err err = {0};

	if (take(kind, claims, NOW_S, &who, &err) < 0) {
		assert((err.code == ERR_AUTH || err.code == ERR_PERM) && err.msg[0]);
		identity_done(&who);
		return;
	}
	check_identity(&who, kind);
	identity_done(&who);
	assert(strcmp(claims_issuer(claims), "i") == 0 && json_object_get(claims, "aud"));
	assert(exp_s + 30 > NOW_S);
	if (exp_s < 1e10) { /* and then it ends */
		assert(take(kind, claims, (uint64_t)exp_s + 31, &who, &err) < 0);
		assert(strcmp(err.detail, "token_expired") == 0);
		identity_done(&who);
	}
}

static void fuzz_claims(const uint8_t *data, size_t n)
{
	json_t *claims = json_in_parse(data, n, NULL);

	if (json_is_object(claims)) {
		check_claims(claims, ISSUER_UAA);
		check_claims(claims, ISSUER_OIDC);
	}
	json_decref(claims);
}

/* ---- tokens ---- */

static bool is_taken(const char *alg)
{
	static const char *const taken[] = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384"};
	bool found = false;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		found = found || strcmp(alg, taken[i]) == 0;
	return found;
}

static void fuzz_token(const char *text)
{
	static struct jwks set;
	struct err err = {0};
	bool is_signed, verified;
	struct jwt t;

	if (!set.n)
		assert(jwks_parse(keys, sizeof(keys) - 1, &set, NULL) == 0 && set.n == 1);
	if (jwt_read(text, &t, &err) == 0) {
		assert(jwt_looks_like(text) && strlen(text) <= JWT_BYTES_MAX && is_taken(t.alg));
		assert(strlen(t.kid) < JWKS_KID_BYTES && json_is_object(t.claims));
		is_signed = strncmp(text, signed_text, sizeof(signed_text) - 1) == 0;
		verified = jwt_verify(&t, &set.keys[0]);
		assert(!verified || is_signed);
		assert(verified || !is_signed || strcmp(text + sizeof(signed_text) - 1, signature) != 0);
		check_claims(t.claims, ISSUER_UAA);
		check_claims(t.claims, ISSUER_OIDC);
	} else {
		assert(err.code == ERR_AUTH && strcmp(err.msg, "the token is not valid here") == 0);
	}
	jwt_done(&t);
	assert(!t.claims && !t.kid && !t.jws);
}

static char *encode(const uint8_t *data, size_t n)
{
	cjose_err error;
	size_t len;
	char *ret = NULL;

	assert(n == 0 || cjose_base64url_encode(data, n, &ret, &len, &error));
	return ret ? ret : strdup("");
}

static void fuzz_parts(const uint8_t *data, size_t n)
{
	const uint8_t *nul = memchr(data, 0, n);
	size_t head = nul ? (size_t)(nul - data) : n, rest = nul ? n - head - 1 : 0;
	char *h = encode(data, head), *c = encode(nul ? nul + 1 : data, rest);
	size_t room = strlen(h) + strlen(c) + 8;
	char *token = malloc(room);

	assert(token);
	snprintf(token, room, "%s.%s.AAAA", h, c);
	fuzz_token(token);
	free(token);
	free(h);
	free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	if (data[0] == 'c') {
		fuzz_claims(data + 1, n - 1);
	} else if (data[0] == 'p') {
		fuzz_parts(data + 1, n - 1);
	} else if (data[0] == 't') {
		char *text = malloc(n);

		assert(text);
		memcpy(text, data + 1, n - 1);
		text[n - 1] = '\0';
		fuzz_token(text);
		free(text);
	}
	return 0;
}
