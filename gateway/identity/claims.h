/* claims.h - what a signed token says, once its signature is known to be good: is it for us, now, and who is it?  Sources: RFC 7519 section 4.1,
 * RFC 8725, OpenID Connect Core 1.0 section 2, UAA's tokens. */
#ifndef PCAPLINE_GATEWAY_IDENTITY_CLAIMS_H
#define PCAPLINE_GATEWAY_IDENTITY_CLAIMS_H

#include "gateway/identity/identity.h"
#include "schema/issuers.h"

#include <stdint.h>

/* "iss" as text; NULL: none. */
const char *claims_issuer(json_t *claims);

/* claims_take: ret must be zeroed; identity_done it in any case.  ERR_AUTH: expired, not yet valid, for another audience, no access token, of nobody; ERR_PERM: a client where
 * none are taken, a required scope is missing. */
int claims_take(const struct issuer *s, json_t *claims, uint64_t now_ns, struct identity *ret, struct err *err);

#endif
