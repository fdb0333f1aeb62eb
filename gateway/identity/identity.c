#include "gateway/identity/identity.h"

#include "common/digest.h"
#include "gateway/identity/jwt.h"

#include <stdlib.h>
#include <string.h>

void identity_done(struct identity *i)
{
	free(i->user_id);
	free(i->user_name);
	free(i->org);
	free(i->space);
	free(i->issuer);
	json_decref(i->scopes);
	digest_wipe_free(i->token);
	memset(i, 0, sizeof(*i));
}

static char *copy_text(const char *from, bool *ok)
{
	char *to = from ? strdup(from) : NULL;

	*ok &= !from || to;
	return to;
}

int identity_copy(const struct identity *from, struct identity *ret, struct err *err)
{
	bool ok = true;

	*ret = (struct identity){.is_operator = from->is_operator, .expires_at = from->expires_at};
	ret->user_id = copy_text(from->user_id, &ok);
	ret->user_name = copy_text(from->user_name, &ok);
	ret->org = copy_text(from->org, &ok);
	ret->space = copy_text(from->space, &ok);
	ret->issuer = copy_text(from->issuer, &ok);
	ret->token = copy_text(from->token, &ok);
	ret->scopes =
		json_deep_copy(from->scopes); /* of its own: a count of references that two threads change is none */
	if (ok && (ret->scopes || !from->scopes))
		return 0;
	identity_done(ret);
	return err_nomem(err);
}

bool identity_has_scope(const struct identity *i, const char *scope)
{
	json_t *s;
	size_t n;

	json_array_foreach(i->scopes, n, s)
	{
		if (strcmp(json_string_value(s), scope) == 0)
			return true;
	}
	return false;
}

const char *identity_subject(const struct identity *i)
{
	static const char client[] = "client:"; /* as claims.c writes it; no person's id begins with it */
	size_t n = strlen(i->issuer);
	const char *id = i->user_id;

	if (n == 0 || strncmp(id, i->issuer, n) != 0 || id[n] != ':')
		return id;
	id += n + 1;
	return strncmp(id, client, strlen(client)) == 0 ? id + strlen(client) : id;
}

/* ---- both sources as one ---- */

struct identity_any {
	struct identity_source source;
	struct identity_source *tokens, *issuers;
};

static int check_both(struct identity_any *s, const char *token, struct identity *ret, struct err *err)
{
	struct err e = {0};

	if (s->tokens->ops->check(s->tokens, token, ret, &e) == 0)
		return 0;
	if (e.code == ERR_AUTH && jwt_looks_like(token))
		return s->issuers->ops->check(s->issuers, token, ret, err);
	if (err)
		*err = e;
	return -1;
}

static int check(struct identity_source *source, const char *token, struct identity *ret, struct err *err)
{
	if (check_both((struct identity_any *)source, token, ret, err) < 0)
		return -1;
	if ((ret->token = strdup(token)))
		return 0;
	identity_done(ret);
	return err_nomem(err);
}

static int reload(struct identity_source *source, struct err *err)
{
	struct identity_any *s = (struct identity_any *)source;

	if (s->tokens->ops->reload(s->tokens, err) < 0)
		return -1;
	return s->issuers->ops->reload(s->issuers, err);
}

static void tell_login(struct identity_source *source, json_t *list)
{
	struct identity_any *s = (struct identity_any *)source;

	s->issuers->ops->tell_login(s->issuers, list);
}

static void source_free(struct identity_source *source)
{
	struct identity_any *s = (struct identity_any *)source;

	if (s->tokens)
		s->tokens->ops->free(s->tokens);
	if (s->issuers)
		s->issuers->ops->free(s->issuers);
	free(s);
}

static const struct identity_source_ops ops = {
	.check = check, .reload = reload, .tell_login = tell_login, .free = source_free};

struct identity_source *identity_any_new(const char *tokens_path, const char *issuers_path, struct err *err)
{
	struct identity_any *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->source.ops = &ops;
	if (!(s->tokens = identity_static_new(tokens_path, err)))
		err_in(err, "tokens");
	else if (!(s->issuers = identity_issuers_new(issuers_path, err)))
		err_in(err, "issuers");
	else
		return &s->source;
	source_free(&s->source);
	return NULL;
}
