/* identity.h - who is asking.  A source turns a bearer token into an identity: static tokens, and signed tokens of issuers. */
#ifndef PCAPLINE_GATEWAY_IDENTITY_IDENTITY_H
#define PCAPLINE_GATEWAY_IDENTITY_IDENTITY_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct identity {
	/* Unique among all sources: "alice" of the static tokens, "cf:7a1f..." and "cf:client:ci" of issuer "cf". */
	char *user_id;
	char *user_name;   /* for people; unique only among static tokens */
	char *org, *space; /* "" : none; static tokens only */
	char *issuer;      /* its name; "" : a static token */
	json_t *scopes;    /* list of text; NULL: none */
	bool is_operator;
	char *token;         /* what was checked: platforms are asked with it; wiped by identity_done, never logged */
	uint64_t expires_at; /* wall ns; 0: never */
};

struct identity_source;
struct identity_source_ops {
	/* ERR_AUTH: with one and the same message as long as nothing proves that the token was ever good; ERR_PERM: good, but not enough for this gateway;
	 * ERR_UNAVAILABLE: cannot be checked now. */
	int (*check)(struct identity_source *s, const char *token, struct identity *ret, struct err *err);
	/* Reads its file again; on failure what that file said stays. */
	int (*reload)(struct identity_source *s, struct err *err);
	/* Adds to the list what a client should know to log in ({"name", "issuer", "url"}); NULL: nothing. */
	void (*tell_login)(struct identity_source *s, json_t *list);
	void (*free)(struct identity_source *s);
};
struct identity_source {
	const struct identity_source_ops *ops;
};

void identity_done(struct identity *i);
int identity_copy(const struct identity *from, struct identity *ret, struct err *err);

bool identity_has_scope(const struct identity *i, const char *scope);

/* identity_subject: what the issuer itself calls the person or the client, "7a1f..." or "ci": user_id without what we put before it.  Borrowed from i. */
const char *identity_subject(const struct identity *i);

/* Tokens listed by SHA-256 in a file; path "": none, so every token is refused. */
struct identity_source *identity_static_new(const char *path, struct err *err);

/* Signed tokens of the issuers in a file (schema/issuers.h); path "": none, so every token is refused.  Their keys are fetched in the background: an issuer that is away
 * is no reason not to start. */
struct identity_source *identity_issuers_new(const char *path, struct err *err);

/* Both: a token that the static list does not know and that looks like a signed one is the issuers' business.  The one that sets token. */
struct identity_source *identity_any_new(const char *tokens_path, const char *issuers_path, struct err *err);

#endif
