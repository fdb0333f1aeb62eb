#include "common/clock.h"
#include "gateway/identity/claims.h"
#include "gateway/identity/identity.h"
#include "gateway/identity/issuer_keys.h"
#include "gateway/identity/jwt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What the file said at one time; a check goes on with the one it began with. */
struct snapshot {
	unsigned refs; /* by the source's lock */
	struct issuers list;
	struct issuer_keys **keys; /* of each */
};

struct identity_issuers {
	struct identity_source source;
	char *path;
	pthread_mutex_t lock;
	struct snapshot *now; /* by lock */
};

/* ---- snapshots ---- */

static void snapshot_free(struct snapshot *s)
{
	for (size_t i = 0; s->keys && i < s->list.n; i++)
		issuer_keys_unref(s->keys[i]);
	free(s->keys);
	issuers_done(&s->list);
	free(s);
}

static struct issuer_keys *keys_of(const struct snapshot *old, const struct issuer *s, struct err *err)
{
	for (size_t i = 0; old && i < old->list.n; i++) {
		if (issuer_keys_are_of(old->keys[i], s))
			return issuer_keys_ref(old->keys[i]);
	}
	return issuer_keys_start(s, err);
}

/* Keys are taken over from old where they come from the same place: else a reload would forget those of an issuer that is away. */
static struct snapshot *snapshot_load(const char *path, const struct snapshot *old, struct err *err)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->refs = 1;
	if (issuers_load(path, &s->list, err) < 0)
		goto fail;
	if (!(s->keys = calloc(s->list.n + 1, sizeof(struct issuer_keys *)))) {
		err_nomem(err);
		goto fail;
	}
	for (size_t i = 0; i < s->list.n; i++) {
		if (!(s->keys[i] = keys_of(old, &s->list.issuers[i], err))) {
			err_in(err, "%s", path);
			goto fail;
		}
	}
	return s;
fail:
	snapshot_free(s);
	return NULL;
}

static struct snapshot *take_now(struct identity_issuers *s)
{
	struct snapshot *now;

	pthread_mutex_lock(&s->lock);
	now = s->now;
	now->refs++;
	pthread_mutex_unlock(&s->lock);
	return now;
}

static void give_back(struct identity_issuers *s, struct snapshot *snapshot)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --snapshot->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		snapshot_free(snapshot);
}

/* ---- the source ---- */

static int verify(const struct snapshot *now, const struct jwt *t, struct identity *ret, struct err *err)
{
	const char *iss = claims_issuer(t->claims);

	for (size_t i = 0; iss && i < now->list.n; i++) {
		const struct issuer *s = &now->list.issuers[i];

		if (strcmp(iss, s->issuer) != 0)
			continue;
		if (issuer_keys_verify(now->keys[i], t, err) < 0)
			return -1;
		return claims_take(s, t->claims, clock_wall_ns(), ret, err);
	}
	return err_set(err, ERR_AUTH, "the token is not valid here");
}

static int check(struct identity_source *source, const char *token, struct identity *ret, struct err *err)
{
	struct identity_issuers *s = (struct identity_issuers *)source;
	struct snapshot *now = take_now(s);
	struct jwt t;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = jwt_read(token, &t, err);
	if (rc == 0)
		rc = verify(now, &t, ret, err);
	if (rc < 0)
		identity_done(ret);
	jwt_done(&t);
	give_back(s, now);
	return rc;
}

static int reload(struct identity_source *source, struct err *err)
{
	struct identity_issuers *s = (struct identity_issuers *)source;
	struct snapshot *old = take_now(s), *fresh = snapshot_load(s->path, old, err), *was;

	if (fresh) {
		pthread_mutex_lock(&s->lock);
		was = s->now; /* not old, when two reload at once */
		s->now = fresh;
		pthread_mutex_unlock(&s->lock);
		give_back(s, was); /* the source's own */
	}
	give_back(s, old);
	return fresh ? 0 : -1;
}

static void tell_login(struct identity_source *source, json_t *list)
{
	struct identity_issuers *s = (struct identity_issuers *)source;
	struct snapshot *now = take_now(s);

	for (size_t i = 0; i < now->list.n; i++) {
		const struct issuer *is = &now->list.issuers[i];

		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s}", "name", is->name, "issuer", is->issuer, "url", is->login_url));
	}
	give_back(s, now);
}

static void source_free(struct identity_source *source)
{
	struct identity_issuers *s = (struct identity_issuers *)source;

	if (s->now)
		snapshot_free(s->now);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

static const struct identity_source_ops ops = {
	.check = check, .reload = reload, .tell_login = tell_login, .free = source_free};

struct identity_source *identity_issuers_new(const char *path, struct err *err)
{
	struct identity_issuers *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(path)) || pthread_mutex_init(&s->lock, NULL) != 0) {
		if (s)
			free(s->path);
		free(s);
		err_nomem(err);
		return NULL;
	}
	s->source.ops = &ops;
	if ((s->now = snapshot_load(s->path, NULL, err)))
		return &s->source;
	source_free(&s->source);
	return NULL;
}
