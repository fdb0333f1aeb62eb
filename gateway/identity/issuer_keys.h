/* issuer_keys.h - the signing keys of one issuer, kept fresh by a thread of their own: at the start, each `refresh`, and when a token names a key that is not known, but
 * never sooner than `retry` after the last time.  One that does not fit the key it names has them fetched too, but is refused at once.  The last good keys stay while the issuer is away. */
#ifndef PCAPLINE_GATEWAY_IDENTITY_ISSUER_KEYS_H
#define PCAPLINE_GATEWAY_IDENTITY_ISSUER_KEYS_H

#include "common/err.h"
#include "gateway/identity/jwt.h"
#include "schema/issuers.h"

#define ISSUER_FETCH_MS 5000u /* longest fetch of discovery and keys, and longest wait of a request for them */

struct issuer_keys;

/* s is copied.  Nothing is fetched before it returns.  One reference. */
struct issuer_keys *issuer_keys_start(const struct issuer *s, struct err *err);
struct issuer_keys *issuer_keys_ref(struct issuer_keys *k);
void issuer_keys_unref(struct issuer_keys *k); /* the last one ends the thread, at once */

/* Do these keys come from where s says? */
bool issuer_keys_are_of(const struct issuer_keys *k, const struct issuer *s);

/* issuer_keys_verify: 0; ERR_AUTH: signed by none of this issuer's keys; ERR_UNAVAILABLE: that cannot be known now, since the issuer does not answer (the
 * message says why).  Waits ISSUER_FETCH_MS at most, and only for keys that are not known. */
int issuer_keys_verify(struct issuer_keys *k, const struct jwt *t, struct err *err);

#endif
