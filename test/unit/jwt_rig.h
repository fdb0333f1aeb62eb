/* jwt_rig.h - signing keys, key sets and signed tokens for unit tests, made at run time; and an issuer on loopback that offers such keys.  Aborts the test
 * program when the system refuses. */
#ifndef PCAPLINE_TEST_UNIT_JWT_RIG_H
#define PCAPLINE_TEST_UNIT_JWT_RIG_H

#include "common/http_server.h"
#include "gateway/identity/jwks.h"
#include "schema/issuers.h"

#include <pthread.h>
#include <stdatomic.h>

struct jwt_rig_key {
	cjose_jwk_t *jwk;      /* with its private half */
	const char *kid, *alg; /* borrowed; kid NULL: none */
};

void jwt_rig_key_new(struct jwt_rig_key *k, const char *kid, const char *alg /* "ES256", "ES384", "RS256"... */);
void jwt_rig_key_free(struct jwt_rig_key *k);

json_t *jwt_rig_public(const struct jwt_rig_key *k);            /* as an issuer publishes it */
void jwt_rig_parse(json_t *key /* stolen */, struct jwks *ret); /* a set of this one */
char *jwt_rig_base64(const void *p, size_t n);

/* A token with {"alg", "kid"}; claims is stolen.  A new string. */
char *jwt_rig_sign(const struct jwt_rig_key *k, json_t *claims);

/* Parts as they are, signed by nobody. */
char *jwt_rig_assemble(const char *header, const char *claims, const char *signature);

struct issuer_double {
	struct http_server *server;
	char url[64];                     /* its "iss" too */
	atomic_uint discoveries, fetches; /* requests for either, when they come in */
	atomic_bool hold;                 /* keys are not answered while it is true */

	pthread_mutex_t lock;
	int status;      /* of the keys' answer */
	char *keys;      /* its body */
	char *discovery; /* NULL: the right one */
};

void issuer_double_start(struct issuer_double *d);
void issuer_double_offer(struct issuer_double *d, const struct jwt_rig_key *keys, size_t n);
void issuer_double_say(struct issuer_double *d, int status, const char *keys); /* NULL: as before */
void issuer_double_discovery(struct issuer_double *d, const char *discovery);  /* NULL: the right one */
void issuer_double_stop(struct issuer_double *d);

/* Waits until the count is at least n; a generous limit. */
void jwt_rig_wait(const atomic_uint *count, unsigned n);

#endif
