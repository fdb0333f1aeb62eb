/* store_health.h - may a capture be stored now?  A store in a bucket may take half a minute to say that it does not answer; who wants to start a capture, or asks
 * whether the gateway is ready, is told sooner: a thread asks the store, and those who wait for it do not wait for ever. */
#ifndef PCAPLINE_GATEWAY_STORAGE_STORE_HEALTH_H
#define PCAPLINE_GATEWAY_STORAGE_STORE_HEALTH_H

#include "common/err.h"

#include <stdint.h>

struct store;
struct store_health;

#define STORE_HEALTH_WAIT_MS 3000u

struct store_health *store_health_start(struct store *s, struct err *err); /* s is borrowed */
void store_health_stop(struct store_health *h); /* waits for the store's answer (store_cancel: at once); accepts NULL */

/* store_health_check: as store_check; of a store that is no folder the answer may be a second old, and when there is none after wait_ms:
 * ERR_UNAVAILABLE. */
int store_health_check(struct store_health *h, uint64_t wait_ms, struct err *err);

#endif
