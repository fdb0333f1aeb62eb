/* jwks.h - the public keys of an issuer (JWK Set, RFC 7517), as it publishes them.  Of hostile sets too: what is no signing key of
 * a kind that we take is left out and counted. */
#ifndef PCAPLINE_GATEWAY_IDENTITY_JWKS_H
#define PCAPLINE_GATEWAY_IDENTITY_JWKS_H

#include "common/err.h"
#include "common/ossl.h"

#include <cjose/cjose.h>
#include <stddef.h>

#define JWKS_BYTES_MAX (256u * 1024)
#define JWKS_KEYS_MAX  64
#define JWKS_KID_BYTES 256

struct jwks_key {
	char *kid;        /* "" : it has none */
	char alg[8];      /* "" : any that fits the key */
	cjose_jwk_t *jwk; /* RSA of 2048..8192 bits, P-256 or P-384; the public half, whatever was sent */
};

struct jwks {
	struct jwks_key *keys;
	size_t n;
	size_t left_out;
};

/* jwks_parse: ERR_INPUT when text is no key set, ERR_LIMIT when it is too long or has too many keys.  A set of no key that we take is no failure. */
int jwks_parse(const void *text, size_t n, struct jwks *ret, struct err *err);
void jwks_done(struct jwks *k);

/* jwks_alg_fits: may a signature by alg ("RS256") be checked with this key?  Its own "alg", if any, is the only one. */
bool jwks_alg_fits(const struct jwks_key *k, const char *alg);

#endif
