/* login_bosh.c - the bosh CLI's login, or a client's, as a source of tokens of a director's UAA (login.h). */
#include "cli/login/login.h"

#include "cli/api.h"
#include "cli/text.h"
#include "common/digest.h"

#include <stdlib.h>
#include <string.h>

#define CLI_CLIENT "bosh_cli" /* of the bosh CLI at every director's UAA, without a secret */

struct source {
	struct login_bosh o;
	struct halt halt;
	char *uaa;     /* NULL: not yet asked for */
	char *refresh; /* the latest one; NULL: as the configuration has it */
};

static struct trust trust_of(struct source *s)
{
	return (struct trust){.ca = s->o.ca, .also = s->o.ca ? NULL : s->o.also, .halt = &s->halt};
}

static int read_info(struct source *s, const json_t *info, struct err *err)
{
	const char *type = json_text(info, "user_authentication.type");
	const char *url = json_text(info, "user_authentication.options.url");

	if (strcmp(type, "uaa"))
		return err_set(err, ERR_PERM,
			"the director at %s has user management \"%.40s\": tokens come only from one with a UAA",
			s->o.url, *type ? type : "none");
	if (!*url)
		url = json_string_value(json_array_get(json_at(info, "user_authentication.options.urls"), 0));
	if (!url || !*url)
		return err_set(err, ERR_NET, "the director at %s does not say where its UAA is", s->o.url);
	return (s->uaa = strdup(url)) ? 0 : err_nomem(err);
}

static int find_uaa(struct source *s, struct err *err)
{
	struct trust trust = trust_of(s);
	char *url, *what;
	json_t *info = NULL;
	int rc = -1;

	if (s->uaa)
		return 0;
	url = api_path(err, "%s/info", s->o.url);
	what = url ? api_path(err, "the director at %s", s->o.url) : NULL;
	if (what && (info = uaa_get(url, &trust, what, err)))
		rc = read_info(s, info, err);
	json_decref(info);
	free(what);
	free(url);
	return rc;
}

static int gone(const struct source *s, const char *what, struct err *err)
{
	err_set(err, ERR_AUTH, "%s environment '%s'", what, s->o.url);
	return err_detail(err, LOGIN_NO_BOSH);
}

/* Who asks with what: a client with its secret, or the user's refresh token. */
static int choose(const struct source *s, struct uaa *uaa, const char **ret_refresh, struct err *err)
{
	const struct bosh_config *c = s->o.config;
	const char *refresh = s->refresh ? s->refresh : c->refresh_token;

	*ret_refresh = NULL;
	if (s->o.client) {
		uaa->client = s->o.client;
		uaa->secret = s->o.secret ? s->o.secret : "";
	} else if (*refresh) {
		uaa->client = CLI_CLIENT;
		uaa->secret = "";
		*ret_refresh = refresh;
	} else if (*c->username) {
		uaa->client = c->username;
		uaa->secret = c->password;
	} else {
		return gone(s, *c->access_token ? "The login has expired for" : "Not logged in to", err);
	}
	return 0;
}

static int renew(void *ctx, const char *token, char **ret, struct err *err)
{
	struct source *s = ctx;
	struct uaa uaa = {.trust = trust_of(s)};
	struct uaa_answer answer;
	struct err why = {0};
	const char *refresh;

	(void)token;
	if (choose(s, &uaa, &refresh, err) < 0 || find_uaa(s, err) < 0)
		return -1;
	uaa.url = s->uaa;
	if (uaa_ask(&uaa, refresh, &answer, &why) < 0) {
		if (!strcmp(why.detail, UAA_REFUSED))
			return gone(s,
				refresh ? "The login has expired for" : "The client is not accepted by the UAA of",
				err);
		if (err)
			*err = why;
		return err_in(err, "the bosh login cannot be renewed");
	}
	*ret = answer.access_token;
	answer.access_token = NULL;
	if (refresh && answer.refresh_token) {
		digest_wipe_free(s->refresh);
		s->refresh = answer.refresh_token;
		answer.refresh_token = NULL;
	}
	uaa_answer_done(&answer);
	return 0;
}

static void cancel(void *ctx)
{
	struct source *s = ctx;

	halt_end(&s->halt);
}

static void source_free(void *ctx)
{
	struct source *s = ctx;

	halt_done(&s->halt);
	digest_wipe_free(s->refresh);
	free(s->uaa);
	free(s);
}

struct login *login_bosh(const struct login_bosh *o, struct err *err)
{
	struct source *s = calloc(1, sizeof(*s));
	const struct login_source source = {.renew = renew, .cancel = cancel, .free = source_free, .ctx = s};
	const char *token = o->config->access_token;

	if (!s || halt_init(&s->halt, err) < 0) {
		free(s);
		err_nomem(err);
		return NULL;
	}
	s->o = *o;
	if (o->client || !token_is_plain(token)) /* a client of its own has nothing to do with whose token is kept */
		token = NULL;
	return login_new(token, &source, err);
}
