/* link.h - signed links to stored captures, for stores that cannot sign their own:
 *   <job>.<expiry>.<nonce or 0>.<HMAC-SHA256 over "pcapline-link:" and the text before it, hex>
 * The nonce marks a one-time link.  The key never leaves the process; verification is constant-time and takes exactly the text that
 * link_sign writes: lower case, no leading zeros, nothing around it. */
#ifndef PCAPLINE_UPLOADER_LINK_H
#define PCAPLINE_UPLOADER_LINK_H

#include "common/err.h"
#include "common/id.h"

#include <stdbool.h>
#include <stdint.h>

#define LINK_KEY_BYTES 32
#define LINK_TEXT_MAX  192

struct link_key {
	uint8_t bytes[LINK_KEY_BYTES];
};

struct link {
	char job[ID_MAX];
	uint64_t expires_s; /* Unix seconds */
	char nonce[ID_MAX]; /* "" : may be used many times */
};

/* Reads the key file (64 hex digits, a line end may follow), or makes it (0600) when missing.  ERR_PERM: others may read it, or
 * the group may write it; ERR_INPUT: not a key. */
int link_key_load(const char *path, struct link_key *ret, struct err *err);

/* The text that stands in the URL's path.  ERR_INPUT: job or nonce is not an id. */
int link_sign(const struct link_key *k, const struct link *l, char ret[LINK_TEXT_MAX], struct err *err);

/* ERR_PERM with one and the same message for everything that is wrong with the text, ERR_STATE detail "link_expired" when right but
 * too old (now_s is past expires_s). */
int link_verify(const struct link_key *k, const char *text, uint64_t now_s, struct link *ret, struct err *err);

#endif
