/* jwt.h - a signed token (JWT, RFC 7519, as JWS compact serialisation, RFC 7515): taken apart strictly, and verified by cjose.
 *
 * Taking apart says nothing about truth: claims count only after jwt_verify.  The header's jku, jwk, x5u and x5c are never looked at: keys are
 * the issuer's, found by its configuration. */
#ifndef PCAPLINE_GATEWAY_IDENTITY_JWT_H
#define PCAPLINE_GATEWAY_IDENTITY_JWT_H

#include "common/err.h"
#include "gateway/identity/jwks.h"

#include <jansson.h>
#include <stdbool.h>

#define JWT_BYTES_MAX 16384

struct jwt {
	char alg[8];    /* one of RS256 RS384 RS512 PS256 ES256 ES384 */
	char *kid;      /* "" : none said */
	json_t *claims; /* an object */
	cjose_jws_t *jws;
};

/* Does text look like one (three parts, a dot between)?  Static tokens may be anything else. */
bool jwt_looks_like(const char *text);

/* jwt_read: ERR_AUTH when it is none that could ever be good here: malformed, unsigned, of an algorithm that is not taken, with header members that must be
 * understood ("crit").  jwt_done whatever it returned. */
int jwt_read(const char *text, struct jwt *ret, struct err *err);
void jwt_done(struct jwt *t);

/* jwt_verify: is this the signature of that key? */
bool jwt_verify(const struct jwt *t, const struct jwks_key *key);

#endif
