/* sha_state.h - a SHA-256 that can be put down as text and taken up again.
 *
 * The checksum of an object runs over all its chunks, but a chunk's file goes as soon as the store has it.  So the state of the
 * sum after each chunk is remembered with it: after a crash the sum goes on without the bytes.  EVP (common/digest.h) cannot do that;
 * this is libcrypto's low-level SHA-256, whose state is a public struct. */
#ifndef PCAPLINE_UPLOADER_SPOOL_SHA_STATE_H
#define PCAPLINE_UPLOADER_SPOOL_SHA_STATE_H

#include "common/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/sha.h>

#define SHA_STATE_TEXT_MAX 224 /* 64 hex, ':', 20 digits, ':', 126 hex, terminator */

struct sha_state { /* may be copied */
	SHA256_CTX ctx;
	uint64_t bytes;
};

void sha_state_init(struct sha_state *s);
void sha_state_add(struct sha_state *s, const void *p, size_t n);
void sha_state_hex(const struct sha_state *s, char ret[DIGEST_SHA256_HEX_MAX]); /* the sum so far; s can go on */

char *sha_state_save(const struct sha_state *s, char ret[SHA_STATE_TEXT_MAX]); /* returns ret */
bool sha_state_load(struct sha_state *s, const char *text);                    /* false: no text of sha_state_save */

#endif
