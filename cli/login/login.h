/* login.h - who asks: a token that stays good for as long as the command runs.
 *
 *   static   PCAP_TOKEN: as it is
 *   cf       the cf CLI's configuration; renewed by `cf oauth-token`, else by its refresh token
 *   bosh     BOSH_CLIENT, else the bosh CLI's configuration; renewed at the director's own UAA
 *
 * What a renewal brings is kept in memory only: other tools' files are theirs.  All functions but the makers may be called from any thread. */
#ifndef PCAPLINE_CLI_LOGIN_LOGIN_H
#define PCAPLINE_CLI_LOGIN_LOGIN_H

#include "cli/login/bosh_config.h"
#include "cli/login/cf_config.h"
#include "cli/login/token.h"
#include "cli/login/uaa.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

/* details of an err: there is no login that could be used; cli_fail adds what to do about it. */
#define LOGIN_NO_CF    "tip_cf_login"
#define LOGIN_NO_API   "tip_cf_api"
#define LOGIN_NO_SPACE "tip_cf_target"
#define LOGIN_NO_BOSH  "tip_bosh_login"

struct login;

/* A source of tokens, taken over by login_new.  renew: a new token, *token as it was until now ("" : none); may block for seconds, called by one
 * thread at a time; cancel (may be NULL), from another one, lets it and all later ones fail soon. */
struct login_source {
	int (*renew)(void *ctx, const char *token, char **ret, struct err *err);
	void (*cancel)(void *ctx);
	void (*free)(void *ctx);
	void *ctx;
};

/* login_new: token is what is known so far; NULL or "" : none.  Without renew the token stays.  NULL with err: no memory (and the source is freed). */
struct login *login_new(const char *token, const struct login_source *source, struct err *err);
void login_free(struct login *l); /* wipes; accepts NULL */

/* login_ready: has a token that has not expired, renewed when it was due.  To be called once before the others. */
int login_ready(struct login *l, struct err *err);

/* login_token: the token as a new string, renewed first when it is due; the old one when that fails (login_trouble tells).  NULL: no memory. */
char *login_token(struct login *l);

/* login_present: the same, but renewed only when it has expired: for calls that may take less time than a renewal. */
char *login_present(struct login *l);

/* login_cancel: a renewal that is under way ends without one, and there will be no other: the token stays as it is. */
void login_cancel(struct login *l);

/* login_due_ms: until the next renewal is due; 0: now; UINT64_MAX: never. */
uint64_t login_due_ms(struct login *l);

/* login_trouble: why the last renewal failed, once for each row of failures. */
bool login_trouble(struct login *l, struct err *ret);

/* login_info: what the present token says of itself. */
void login_info(struct login *l, struct token_info *ret);

/* login_cf: from a configuration that is loaded and outlives the login.  cacert: another CA for the platform, may be NULL. */
struct login *login_cf(const struct cf_config *c, const struct tls_files *also, struct err *err);

/* login_bosh: config outlives the login. */
struct login_bosh {
	const struct bosh_config *config;
	const char *url;                   /* of the director, see bosh_url */
	const char *name;                  /* of the environment, as the user gave it */
	const char *client, *secret;       /* BOSH_CLIENT...; NULL: from the configuration */
	const struct tls_files *ca, *also; /* NULL: the system's */
};
struct login *login_bosh(const struct login_bosh *o, struct err *err);

#endif
