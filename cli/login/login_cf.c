/* login_cf.c - the cf CLI's login as a source of tokens (login.h). */
#include "cli/login/cf_program.h"
#include "cli/login/login.h"
#include "common/clock.h"
#include "common/digest.h"

#include <stdlib.h>
#include <string.h>

#define LAST_MINUTE_S 60u /* from then on the token that cf gives must be a new one */

struct source {
	const struct cf_config *config;
	struct trust trust;
	struct halt halt;
	char *refresh; /* the latest one; NULL: as the configuration has it */
	char *program; /* NULL: there is no cf program */
};

static bool is_good(const char *token, const char *old)
{
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S;
	struct token_info info;

	token_read(token, &info);
	if (!info.expires_s)
		return true;
	return info.expires_s > now_s && (strcmp(token, old) || info.expires_s > now_s + LAST_MINUTE_S);
}

static bool ask_program(struct source *s, const char *old, char **ret)
{
	char *token = s->program ? cf_program_token(s->program, &s->halt, NULL) : NULL;

	if (token && is_good(token, old)) {
		*ret = token;
		return true;
	}
	digest_wipe_free(token);
	return false;
}

static int gone(struct err *err)
{
	err_set(err, ERR_AUTH, "Your cf login has expired.");
	return err_detail(err, LOGIN_NO_CF);
}

static int ask_uaa(struct source *s, char **ret, struct err *err)
{
	const struct cf_config *c = s->config;
	bool is_client = !strcmp(c->grant_type, "client_credentials");
	struct uaa uaa = {.url = c->uaa,
		.client = *c->client ? c->client : "cf",
		.secret = c->client_secret,
		.secret_in_body = is_client,
		.trust = s->trust};
	struct uaa_answer answer;
	struct err why = {0};

	if (!*c->uaa || (!is_client && !s->refresh && !*c->refresh_token))
		return gone(err);
	if (uaa_ask(&uaa, is_client ? NULL : s->refresh ? s->refresh : c->refresh_token, &answer, &why) < 0) {
		if (!strcmp(why.detail, UAA_REFUSED))
			return gone(err);
		if (err)
			*err = why;
		return err_in(err, "the cf login cannot be renewed");
	}
	*ret = answer.access_token;
	answer.access_token = NULL;
	if (answer.refresh_token) {
		digest_wipe_free(s->refresh);
		s->refresh = answer.refresh_token;
		answer.refresh_token = NULL;
	}
	uaa_answer_done(&answer);
	return 0;
}

static int renew(void *ctx, const char *token, char **ret, struct err *err)
{
	struct source *s = ctx;

	/* Once a refresh token has come to us the program's one may be good no more. */
	if (!s->refresh && ask_program(s, token, ret))
		return 0;
	return ask_uaa(s, ret, err);
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
	free(s->program);
	free(s);
}

struct login *login_cf(const struct cf_config *c, const struct tls_files *also, struct err *err)
{
	struct source *s = calloc(1, sizeof(*s));
	const struct login_source source = {.renew = renew, .cancel = cancel, .free = source_free, .ctx = s};

	if (!s || halt_init(&s->halt, err) < 0) {
		free(s);
		err_nomem(err);
		return NULL;
	}
	s->config = c;
	s->trust = (struct trust){.insecure = c->ssl_disabled, .also = also, .halt = &s->halt};
	s->program = cf_program_find();
	return login_new(token_is_plain(c->access_token) ? c->access_token : NULL, &source, err);
}
