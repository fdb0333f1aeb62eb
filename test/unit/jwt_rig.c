/* jwt_rig.c - see jwt_rig.h. */
#include "test/unit/jwt_rig.h"

#include "common/fs.h"
#include "test/unit/http_double.h"

#include <cjose/base64.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 60000u

static void rig_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "jwt rig: %s\n", what);
	abort();
}

/* ---- keys and tokens ---- */

void jwt_rig_key_new(struct jwt_rig_key *k, const char *kid, const char *alg)
{
	static const uint8_t exponent[] = {1, 0, 1};
	cjose_err error;

	k->kid = kid;
	k->alg = alg;
	if (alg[0] == 'E')
		k->jwk = cjose_jwk_create_EC_random(
			strcmp(alg, "ES384") == 0 ? CJOSE_JWK_EC_P_384 : CJOSE_JWK_EC_P_256, &error);
	else
		k->jwk = cjose_jwk_create_RSA_random(2048, exponent, sizeof(exponent), &error);
	rig_must(k->jwk, "a new key");
}

void jwt_rig_key_free(struct jwt_rig_key *k)
{
	cjose_jwk_release(k->jwk);
}

json_t *jwt_rig_public(const struct jwt_rig_key *k)
{
	cjose_err error;
	char *text = cjose_jwk_to_json(k->jwk, false, &error);
	json_t *o = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	rig_must(o && json_object_set_new(o, "alg", json_string(k->alg)) == 0 &&
			 json_object_set_new(o, "use", json_string("sig")) == 0,
		"a public key");
	if (k->kid)
		json_object_set_new(o, "kid", json_string(k->kid));
	return o;
}

void jwt_rig_parse(json_t *key, struct jwks *ret)
{
	json_t *set = json_pack("{s:[o]}", "keys", key);
	char *text = json_dumps(set, 0);

	rig_must(text && jwks_parse(text, strlen(text), ret, NULL) == 0, "a set of keys");
	free(text);
	json_decref(set);
}

char *jwt_rig_base64(const void *p, size_t n)
{
	char *text = NULL;
	size_t len;
	cjose_err error;

	rig_must(cjose_base64url_encode(p, n, &text, &len, &error), "base64");
	return text;
}

char *jwt_rig_sign(const struct jwt_rig_key *k, json_t *claims)
{
	cjose_err error;
	cjose_header_t *header = cjose_header_new(&error);
	char *text = json_dumps(claims, JSON_COMPACT), *ret = NULL;
	const char *token = NULL;
	cjose_jws_t *jws;

	rig_must(text && header && cjose_header_set(header, CJOSE_HDR_ALG, k->alg, &error), "a header");
	if (k->kid)
		cjose_header_set(header, CJOSE_HDR_KID, k->kid, &error);
	jws = cjose_jws_sign(k->jwk, header, (const uint8_t *)text, strlen(text), &error);
	rig_must(jws && cjose_jws_export(jws, &token, &error) && (ret = strdup(token)), "a token");
	cjose_jws_release(jws);
	cjose_header_release(header);
	free(text);
	json_decref(claims);
	return ret;
}

char *jwt_rig_assemble(const char *header, const char *claims, const char *signature)
{
	char *h = jwt_rig_base64(header, strlen(header)), *c = jwt_rig_base64(claims, strlen(claims));
	char *ret = fs_path("%s.%s.%s", h, c, signature);

	rig_must(ret, "memory");
	free(h);
	free(c);
	return ret;
}

/* ---- an issuer ---- */

static void answer_keys(struct issuer_double *d, struct http_request *rq)
{
	const struct timespec tick = {.tv_nsec = 1000000};
	char *keys;
	int status;

	while (atomic_load(&d->hold))
		nanosleep(&tick, NULL);
	pthread_mutex_lock(&d->lock);
	status = d->status;
	keys = strdup(d->keys);
	pthread_mutex_unlock(&d->lock);
	rig_must(keys, "memory");
	http_reply_text(rq, status, "application/json", keys);
	free(keys);
}

static void answer_discovery(struct issuer_double *d, struct http_request *rq)
{
	char right[256], *said;

	snprintf(right, sizeof(right), "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/token_keys\"}", d->url, d->url);
	pthread_mutex_lock(&d->lock);
	said = strdup(d->discovery ? d->discovery : right);
	pthread_mutex_unlock(&d->lock);
	rig_must(said, "memory");
	http_reply_text(rq, 200, "application/json", said);
	free(said);
}

static void on_request(void *ctx, struct http_request *rq)
{
	const char *path = http_request_path(rq);
	struct issuer_double *d = ctx;

	if (strcmp(path, "/token_keys") == 0) {
		atomic_fetch_add(&d->fetches, 1);
		answer_keys(d, rq);
	} else if (strcmp(path, "/.well-known/openid-configuration") == 0) {
		atomic_fetch_add(&d->discoveries, 1);
		answer_discovery(d, rq);
	} else {
		http_reply_text(rq, 404, "text/plain", "");
	}
}

void issuer_double_start(struct issuer_double *d)
{
	memset(d, 0, sizeof(*d));
	d->status = 200;
	pthread_mutex_init(&d->lock, NULL);
	rig_must((d->keys = strdup("{\"keys\":[]}")), "memory");
	d->server = http_double_start(on_request, d);
	snprintf(d->url, sizeof(d->url), "http://127.0.0.1:%u", http_server_port(d->server));
}

void issuer_double_say(struct issuer_double *d, int status, const char *keys)
{
	pthread_mutex_lock(&d->lock);
	d->status = status;
	if (keys) {
		free(d->keys);
		rig_must((d->keys = strdup(keys)), "memory");
	}
	pthread_mutex_unlock(&d->lock);
}

void issuer_double_offer(struct issuer_double *d, const struct jwt_rig_key *keys, size_t n)
{
	json_t *set = json_pack("{s:[]}", "keys"), *list = json_object_get(set, "keys");
	char *text;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, jwt_rig_public(&keys[i]));
	rig_must((text = json_dumps(set, JSON_COMPACT)), "memory");
	issuer_double_say(d, 200, text);
	free(text);
	json_decref(set);
}

void issuer_double_discovery(struct issuer_double *d, const char *discovery)
{
	pthread_mutex_lock(&d->lock);
	free(d->discovery);
	d->discovery = discovery ? strdup(discovery) : NULL;
	pthread_mutex_unlock(&d->lock);
}

void issuer_double_stop(struct issuer_double *d)
{
	atomic_store(&d->hold, false);
	http_server_stop(d->server);
	d->server = NULL;
	pthread_mutex_destroy(&d->lock);
	free(d->keys);
	free(d->discovery);
}

void jwt_rig_wait(const atomic_uint *count, unsigned n)
{
	const struct timespec tick = {.tv_nsec = 1000000};

	for (unsigned ms = 0; atomic_load(count) < n; ms++) {
		rig_must(ms < WAIT_MS, "waited in vain");
		nanosleep(&tick, NULL);
	}
}
