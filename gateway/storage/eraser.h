/* eraser.h - erases from the store what killed captures left there, one after the other, in a thread of its own: so that nobody who kills, and no capture's
 * thread, waits for a store that hangs. */
#ifndef PCAPLINE_GATEWAY_STORAGE_ERASER_H
#define PCAPLINE_GATEWAY_STORAGE_ERASER_H

#include "common/err.h"
#include "uploader/driver.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct eraser;

struct eraser *eraser_start(struct gateway *gw, struct err *err);
void eraser_stop(struct eraser *e); /* the store is cancelled already, so that nothing of it takes long; accepts NULL */

/* eraser_erase: store_erase, waited for at most ms: then ERR_TIMEOUT, and it goes on; once it is done, the job's record (which is to name the
 * key for so long) says so.  What fails later is tried again by the sweeper. */
int eraser_erase(
	struct eraser *e, const char *job_id, const char *key, uint64_t ms, struct driver_erased *ret, struct err *err);

/* eraser_is_at: is the file of this job just being erased, whether or not anybody waits for it any more?  e may be NULL. */
bool eraser_is_at(struct eraser *e, const char *job_id);

#endif
