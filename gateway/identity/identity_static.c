#include "common/clock.h"
#include "common/digest.h"
#include "gateway/identity/identity.h"
#include "schema/config_gateway.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct identity_static {
	struct identity_source source;
	char *path;
	pthread_mutex_t lock;
	struct static_tokens list; /* by lock */
};

static int copy(const struct static_token *t, struct identity *ret, struct err *err)
{
	ret->user_id = strdup(t->user_id);
	ret->user_name = strdup(t->user_name && t->user_name[0] ? t->user_name : t->user_id);
	ret->org = strdup(t->org ? t->org : "");
	ret->space = strdup(t->space ? t->space : "");
	ret->issuer = strdup("");
	ret->is_operator = t->is_operator;
	ret->expires_at = t->expires_at;
	if (ret->user_id && ret->user_name && ret->org && ret->space && ret->issuer)
		return 0;
	identity_done(ret);
	return err_nomem(err);
}

/* Every entry is looked at, so that the time tells nothing about which one matched. */
static int check(struct identity_source *source, const char *token, struct identity *ret, struct err *err)
{
	struct identity_static *s = (struct identity_static *)source;
	const struct static_token *found = NULL;
	char hex[DIGEST_SHA256_HEX_MAX];
	int rc;

	digest_sha256_hex(token, strlen(token), hex);
	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->list.n; i++) {
		if (digest_equal(hex, s->list.tokens[i].sha256, sizeof(hex) - 1))
			found = &s->list.tokens[i];
	}
	if (!found)
		rc = err_set(err, ERR_AUTH, "the token is not valid here");
	else if (found->expires_at != 0 && found->expires_at <= clock_wall_ns())
		rc = err_set(err, ERR_AUTH, "the token has expired");
	else
		rc = copy(found, ret, err);
	pthread_mutex_unlock(&s->lock);
	digest_wipe(hex, sizeof(hex));
	return rc;
}

static void source_free(struct identity_source *source)
{
	struct identity_static *s = (struct identity_static *)source;

	static_tokens_done(&s->list);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

static int reload(struct identity_source *source, struct err *err)
{
	struct identity_static *s = (struct identity_static *)source;
	struct static_tokens fresh = {0}, old;

	if (s->path[0] && static_tokens_load(s->path, &fresh, err) < 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	old = s->list;
	s->list = fresh;
	pthread_mutex_unlock(&s->lock);
	static_tokens_done(&old);
	return 0;
}

static const struct identity_source_ops ops = {.check = check, .reload = reload, .free = source_free};

struct identity_source *identity_static_new(const char *path, struct err *err)
{
	struct identity_static *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(path)) || pthread_mutex_init(&s->lock, NULL) != 0) {
		if (s)
			free(s->path);
		free(s);
		err_nomem(err);
		return NULL;
	}
	s->source.ops = &ops;
	if (reload(&s->source, err) < 0) {
		source_free(&s->source);
		return NULL;
	}
	return &s->source;
}
