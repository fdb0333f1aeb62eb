/* identity.h - who is asking.  A source turns a bearer token into an identity; static tokens are the first one. */
#ifndef PCAPLINE_GATEWAY_IDENTITY_H
#define PCAPLINE_GATEWAY_IDENTITY_H

#include "common/err.h"

#include <stdbool.h>

struct identity {
	char *user_id, *user_name;
	char *org, *space; /* "" : none */
	bool is_operator;
};

struct identity_source;
struct identity_source_ops {
	/* ERR_AUTH with one and the same message for every wrong token (expired may be said); ERR_UNAVAILABLE: cannot be checked now. */
	int (*check)(struct identity_source *s, const char *token, struct identity *ret, struct err *err);
	void (*free)(struct identity_source *s);
};
struct identity_source {
	const struct identity_source_ops *ops;
};

void identity_done(struct identity *i);

/* Tokens listed by SHA-256 in a file; path "": none, so every token is refused. */
struct identity_source *identity_static_new(const char *path, struct err *err);

/* Reads the file again; on failure the old list stays. */
int identity_static_reload(struct identity_source *s, struct err *err);

#endif
