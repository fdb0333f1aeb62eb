/* retention.h - what becomes of jobs that nobody runs: after a restart the unfinished ones are finished from the spool, after their time the stored
 * ones are erased, and long after that they are forgotten.  A thread of its own sweeps at intervals. */
#ifndef PCAPLINE_GATEWAY_RETENTION_H
#define PCAPLINE_GATEWAY_RETENTION_H

#include "common/err.h"
#include "schema/job.h"

#include <stdint.h>

struct gateway;
struct retention;

/* retention_start: when it returns, no job of a former process is called running any more: live ones have failed (interrupted), stored ones
 * are being finished.  Finishing them may take long (a store that does not answer), so it goes on while requests are served. */
struct retention *retention_start(struct gateway *gw, struct err *err);
void retention_stop(struct retention *r); /* waits for the job at which a sweep is; accepts NULL */

/* retention_erase: object, spool and links of a job that does not run, verified; then it is in state (JOB_EXPIRED, JOB_PURGED). A job that is
 * purged already is success.  ret_bytes (may be NULL): of the object that was erased. */
int retention_erase(struct gateway *gw, const char *job_id, enum job_state state, const char *by, uint64_t *ret_bytes,
	struct err *err);

#endif
