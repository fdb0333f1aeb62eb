/* token.h - what an access token says of itself, read without verifying it: it is the user's own, and the gateway verifies.
 * Only to know when to renew it and whose it is. */
#ifndef PCAPLINE_CLI_LOGIN_TOKEN_H
#define PCAPLINE_CLI_LOGIN_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_USER_MAX 256

struct token_info {
	uint64_t issued_s, expires_s; /* 0: it does not say */
	char user[TOKEN_USER_MAX];    /* user or client; "" : it does not say */
	bool is_client;               /* a client's own token */
};

/* token_read: false (and nothing known) for anything but a signed token (JWT) whose claims are a JSON object. */
bool token_read(const char *text, struct token_info *ret);

/* token_renew_s: from when on the token should be renewed: with a quarter of its life left, or 30 s when its life is not known; 0: it does not
 * say when it ends. */
uint64_t token_renew_s(const struct token_info *t);

/* token_is_plain: can it stand in a header, is it no longer than API_TOKEN_MAX? */
bool token_is_plain(const char *text);

#endif
