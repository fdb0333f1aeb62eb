#include "gateway/identity/issuer_keys.h"

#include "common/clock.h"
#include "common/http_client.h"
#include "common/log.h"
#include "common/parse.h"
#include "common/tls_files.h"
#include "gateway/metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DISCOVERY_BYTES_MAX (64u * 1024)
#define WAITING_MAX         64u /* requests that wait for a fetch; more are told to come again */

struct issuer_keys {
	atomic_uint refs;
	char *name, *issuer, *url, *keys_url, *ca;
	uint64_t refresh_ms, retry_ms;
	bool allow_http;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted_cond, done_cond;
	/* all below by lock */
	struct jwks keys;
	bool have_keys;        /* fetched once at least */
	bool wanted, ending;   /* fetch now; end now */
	uint64_t fetches;      /* ended ones, good or bad */
	uint64_t last_mono_ns; /* when the last one ended */
	struct err failure;    /* of the last one; ERR_NONE: it was good */
	unsigned waiting;
	struct http_call *call; /* under way: to be cancelled */
};

/* ---- fetching ---- */

/* The body of a 200 answer as a new json text in ret_call's body; the call is the caller's. */
static struct http_call *get(struct issuer_keys *k, const struct tls_files *tls, const char *url, size_t bytes_max,
	uint64_t until_ns, struct err *err)
{
	uint64_t now = clock_mono_ns();
	unsigned left_ms = until_ns > now ? (unsigned)((until_ns - now) / CLOCK_NS_PER_MS) + 1 : 1;
	static const char *const headers[] = {"Accept: application/json", NULL};
	struct http_call_options o = {
		.method = "GET",
		.url = url,
		.tls = tls,
		.headers = headers,
		.connect_timeout_ms = left_ms,
		.total_timeout_ms = left_ms,
		.body_bytes_max = bytes_max,
	};
	struct http_call *c = http_call_new(&o, err);
	struct err e = {0};
	bool ending;
	int rc;

	if (!c)
		return NULL;
	pthread_mutex_lock(&k->lock);
	k->call = c;
	ending = k->ending;
	pthread_mutex_unlock(&k->lock);
	rc = ending ? err_set(&e, ERR_CANCELLED, "ending") : http_call_run(c, &e);
	pthread_mutex_lock(&k->lock);
	k->call = NULL;
	pthread_mutex_unlock(&k->lock);
	metrics_platform_asked(METRICS_ISSUER, rc == 0 ? http_call_status(c) : 0, &e, clock_mono_ns() - now);
	if (rc < 0 && err)
		*err = e;
	if (rc == 0 && http_call_status(c) != 200)
		rc = err_set(err, ERR_NET, "HTTP status %d", http_call_status(c));
	if (rc < 0) {
		http_call_free(c);
		err_in(err, "%s", url);
		return NULL;
	}
	return c;
}

/* OpenID Connect Discovery 1.0, section 4: where the keys are, and that this is the issuer that we mean (4.3). */
static char *discover(struct issuer_keys *k, const struct tls_files *tls, uint64_t until_ns, struct err *err)
{
	char url[ISSUER_URL_BYTES + 64], shown[120];
	struct http_call *c;
	json_t *doc;
	const char *issuer, *uri;
	char *ret = NULL;

	snprintf(url, sizeof(url), "%s/.well-known/openid-configuration", k->url);
	if (!(c = get(k, tls, url, DISCOVERY_BYTES_MAX, until_ns, err)))
		return NULL;
	doc = http_call_json(c, err);
	http_call_free(c);
	if (!doc) {
		err_in(err, "%s", url);
		return NULL;
	}
	issuer = json_string_value(json_object_get(doc, "issuer"));
	uri = json_string_value(json_object_get(doc, "jwks_uri"));
	if (!issuer || strcmp(issuer, k->issuer) != 0)
		err_set(err, ERR_INPUT, "%s: its issuer is \"%s\", not \"%s\"", url,
			parse_printable(issuer ? issuer : "", shown, sizeof(shown)), k->issuer);
	else if (!uri || strlen(uri) > ISSUER_URL_BYTES)
		err_set(err, ERR_INPUT, "%s: it names no jwks_uri", url);
	else if (strncmp(uri, "https://", 8) != 0 && !(k->allow_http && strncmp(uri, "http://", 7) == 0))
		err_set(err, ERR_INPUT, "%s: its jwks_uri \"%s\" is not https://", url,
			parse_printable(uri, shown, sizeof(shown)));
	else if (!(ret = strdup(uri)))
		err_nomem(err);
	json_decref(doc);
	return ret;
}

static int fetch(struct issuer_keys *k, struct jwks *ret, struct err *err)
{
	uint64_t until_ns = clock_mono_ns() + ISSUER_FETCH_MS * CLOCK_NS_PER_MS;
	struct tls_files tls = {0};
	struct http_call *c = NULL;
	char *url = NULL;
	int rc = -1;

	if (tls_files_load(&tls, NULL, NULL, k->ca[0] ? k->ca : NULL, err) < 0)
		return err_in(err, "ca");
	if (!(url = k->keys_url[0] ? strdup(k->keys_url) : discover(k, &tls, until_ns, err))) {
		if (k->keys_url[0])
			err_nomem(err);
		goto out;
	}
	if (!(c = get(k, &tls, url, JWKS_BYTES_MAX, until_ns, err)))
		goto out;
	if (jwks_parse(http_call_body(c)->data, http_call_body(c)->len, ret, err) < 0)
		err_in(err, "%s", url);
	else if (ret->n == 0)
		err_set(err, ERR_INPUT, "%s: none of its %zu keys is one to check signatures with", url, ret->left_out);
	else
		rc = 0;
out:
	if (rc < 0)
		jwks_done(ret);
	http_call_free(c);
	free(url);
	tls_files_done(&tls);
	return rc;
}

static bool has_kid(const struct jwks *k, const char *kid)
{
	for (size_t i = 0; i < k->n; i++) {
		if (strcmp(k->keys[i].kid, kid) == 0)
			return true;
	}
	return false;
}

static bool same_kids(const struct jwks *a, const struct jwks *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!has_kid(b, a->keys[i].kid))
			return false;
	}
	return true;
}

/* A line when something is new, none for each fetch. */
static void tell(const struct issuer_keys *k, bool changed, bool was_failing, const struct err *failure, size_t n)
{
	if (failure->code == ERR_CANCELLED)
		return;
	if (failure->code != ERR_NONE && !was_failing)
		log_err(LOG_LEVEL_WARNING, "issuer.keys_failed", failure, json_pack("{s:s}", "issuer", k->name));
	else if (failure->code == ERR_NONE && (changed || was_failing))
		log_event(LOG_LEVEL_INFO, "issuer.keys",
			json_pack("{s:s, s:I}", "issuer", k->name, "keys", (json_int_t)n));
}

static void publish(struct issuer_keys *k, struct jwks *fresh, const struct err *failure)
{
	struct jwks old = {0};
	bool changed = false, was_failing;
	size_t n;

	pthread_mutex_lock(&k->lock);
	was_failing = k->failure.code != ERR_NONE;
	if (failure->code == ERR_NONE) {
		changed = !k->have_keys || !same_kids(&k->keys, fresh);
		old = k->keys;
		k->keys = *fresh;
		k->have_keys = true;
	}
	k->failure = *failure;
	k->fetches++;
	k->last_mono_ns = clock_mono_ns();
	k->wanted = false;
	n = k->keys.n;
	pthread_cond_broadcast(&k->done_cond);
	pthread_mutex_unlock(&k->lock);
	jwks_done(&old);
	tell(k, changed, was_failing, failure, n);
}

static void *keep_fresh(void *arg)
{
	struct issuer_keys *k = arg;

	pthread_mutex_lock(&k->lock);
	while (!k->ending) {
		struct timespec due = clock_deadline(k->failure.code == ERR_NONE ? k->refresh_ms : k->retry_ms);
		struct jwks fresh = {0};
		struct err failure = {0};

		while (!k->ending && !k->wanted && pthread_cond_timedwait(&k->wanted_cond, &k->lock, &due) == 0)
			;
		if (k->ending)
			break;
		pthread_mutex_unlock(&k->lock);
		fetch(k, &fresh, &failure);
		publish(k, &fresh, &failure);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* ---- life ---- */

static void keys_free(struct issuer_keys *k)
{
	jwks_done(&k->keys);
	free(k->name);
	free(k->issuer);
	free(k->url);
	free(k->keys_url);
	free(k->ca);
	free(k);
}

struct issuer_keys *issuer_keys_start(const struct issuer *s, struct err *err)
{
	struct issuer_keys *k;
	struct tls_files tls = {0};

	/* Read for each fetch, so that it may change; but a wrong path is better said now. */
	if (tls_files_load(&tls, NULL, NULL, s->ca[0] ? s->ca : NULL, err) < 0) {
		err_in(err, "issuer \"%s\": ca", s->name);
		return NULL;
	}
	tls_files_done(&tls);
	k = calloc(1, sizeof(*k));
	if (!k || !(k->name = strdup(s->name)) || !(k->issuer = strdup(s->issuer)) || !(k->url = strdup(s->url)) ||
		!(k->keys_url = strdup(s->keys_url)) || !(k->ca = strdup(s->ca))) {
		if (k)
			keys_free(k);
		err_nomem(err);
		return NULL;
	}
	k->allow_http = s->allow_http;
	k->refresh_ms = s->refresh_ms;
	k->retry_ms = s->retry_ms;
	k->wanted = true;
	atomic_init(&k->refs, 1);
	pthread_mutex_init(&k->lock, NULL);
	clock_cond_init(&k->wanted_cond);
	clock_cond_init(&k->done_cond);
	if (pthread_create(&k->thread, NULL, keep_fresh, k) == 0)
		return k;
	keys_free(k);
	err_set(err, ERR_NOMEM, "no thread for the keys of issuer \"%s\"", s->name);
	return NULL;
}

struct issuer_keys *issuer_keys_ref(struct issuer_keys *k)
{
	atomic_fetch_add(&k->refs, 1);
	return k;
}

void issuer_keys_unref(struct issuer_keys *k)
{
	if (!k || atomic_fetch_sub(&k->refs, 1) > 1)
		return;
	pthread_mutex_lock(&k->lock);
	k->ending = true;
	if (k->call)
		http_call_cancel(k->call);
	pthread_cond_signal(&k->wanted_cond);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
	pthread_mutex_destroy(&k->lock);
	pthread_cond_destroy(&k->wanted_cond);
	pthread_cond_destroy(&k->done_cond);
	keys_free(k);
}

bool issuer_keys_are_of(const struct issuer_keys *k, const struct issuer *s)
{
	return strcmp(k->issuer, s->issuer) == 0 && strcmp(k->url, s->url) == 0 &&
	       strcmp(k->keys_url, s->keys_url) == 0 && strcmp(k->ca, s->ca) == 0 && strcmp(k->name, s->name) == 0 &&
	       k->allow_http == s->allow_http && k->refresh_ms == s->refresh_ms && k->retry_ms == s->retry_ms;
}

/* ---- verifying ---- */

enum verdict { GOOD, BAD, UNKNOWN_KEY };

/* By lock.  A token without kid may be signed by any of them (RFC 7515, 4.1.4). */
static enum verdict try_keys(const struct issuer_keys *k, const struct jwt *t)
{
	bool known = false;

	for (size_t i = 0; i < k->keys.n; i++) {
		const struct jwks_key *key = &k->keys.keys[i];

		if (t->kid[0] && strcmp(t->kid, key->kid) != 0)
			continue;
		known = true;
		if (jwt_verify(t, key))
			return GOOD;
	}
	return known ? BAD : UNKNOWN_KEY;
}

enum answer { NOT_ASKED, ANSWERED, NO_ANSWER };

/* By lock: asks for a fetch, unless the last one is too recent: then false. */
static bool ask_for_fetch(struct issuer_keys *k)
{
	if (!k->wanted && k->fetches > 0 && clock_mono_ns() - k->last_mono_ns < k->retry_ms * CLOCK_NS_PER_MS)
		return false;
	k->wanted = true;
	pthread_cond_signal(&k->wanted_cond);
	return true;
}

/* By lock: asks for one and waits for its end. */
static enum answer wait_for_fetch(struct issuer_keys *k)
{
	struct timespec until = clock_deadline(ISSUER_FETCH_MS);
	uint64_t before = k->fetches;

	if (!ask_for_fetch(k))
		return NOT_ASKED;
	if (k->waiting >= WAITING_MAX)
		return NO_ANSWER;
	k->waiting++;
	while (k->fetches == before && pthread_cond_timedwait(&k->done_cond, &k->lock, &until) == 0)
		;
	k->waiting--;
	return k->fetches != before ? ANSWERED : NO_ANSWER;
}

static int refuse(const struct issuer_keys *k, enum verdict v, enum answer a, struct err *err)
{
	const struct err *f = &k->failure;

	if (v == BAD || (k->have_keys && f->code == ERR_NONE && a != NO_ANSWER))
		return err_set(err, ERR_AUTH, "the token is not valid here");
	err_set(err, ERR_UNAVAILABLE,
		"the keys of issuer \"%s\" cannot be fetched, so no token of it can be checked: %s", k->name,
		f->code == ERR_NONE ? "it does not answer in time" : f->msg);
	return err_detail(err, "issuer_away");
}

int issuer_keys_verify(struct issuer_keys *k, const struct jwt *t, struct err *err)
{
	enum answer a = NOT_ASKED;
	enum verdict v;
	int rc;

	pthread_mutex_lock(&k->lock);
	v = try_keys(k, t);
	if (v == UNKNOWN_KEY && (a = wait_for_fetch(k)) == ANSWERED)
		v = try_keys(k, t);
	else if (v == BAD)
		ask_for_fetch(
			k); /* a new key may have the same id; but most of these are forged, and none shall have others wait */
	rc = v == GOOD ? 0 : refuse(k, v, a, err);
	pthread_mutex_unlock(&k->lock);
	return rc;
}
