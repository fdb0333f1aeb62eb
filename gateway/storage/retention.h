/* retention.h - what becomes of jobs that nobody runs: after a restart the unfinished ones are finished from the spool, after their time the stored
 * ones are erased, and long after that they are forgotten.  A thread of its own sweeps at intervals. */
#ifndef PCAPLINE_GATEWAY_STORAGE_RETENTION_H
#define PCAPLINE_GATEWAY_STORAGE_RETENTION_H

#include "common/err.h"
#include "schema/job.h"
#include "uploader/driver.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct retention;

/* retention_start: when it returns, no job of a former process is called running any more: live ones have failed (interrupted), stored ones
 * are being finished.  Finishing them may take long (a store that does not answer), so it goes on while requests are served. */
struct retention *retention_start(struct gateway *gw, struct err *err);
/* retention_stop: no capture runs any more, so all that asks the store is given up (store_cancel), an erasing that somebody waits for too; accepts NULL. */
void retention_stop(struct retention *r);

/* What was erased. */
struct erase_report {
	struct driver_erased store;
	bool verified;          /* it was looked for again, and nothing of it is left */
	char note[ERR_MSG_MAX]; /* what should be known of it beyond the figures, a plain sentence; "" : nothing */
};

/* retention_erase: object, spool and links of a job that does not run, verified; then it is in state (JOB_EXPIRED, JOB_PURGED). A job that is
 * purged already is success; one on hold is ERR_STATE (detail on_hold).  Adds to *ret (may be NULL), on -1 too: what it came to erase.  ERR_UNAVAILABLE: the object is in a store that this gateway does not use; expiry lets such
 * an object be and says so in the job. */
int retention_erase(struct gateway *gw, const char *job_id, enum job_state state, const char *by,
	struct erase_report *ret, struct err *err);

/* retention_check_hold: -1: ERR_STATE, detail on_hold. */
int retention_check_hold(const struct job *j, struct err *err);

/* retention_kill: a stored job that is not finished and that no capture of this process runs: it is killed, at once, by `by` and why (whose text users are told); what there is of it is
 * erased at once where the store's objects are files, else soon after.  1: it has ended meanwhile, or runs; -1: ERR_STATE (on_hold), ERR_UNAVAILABLE (somebody works on it and does not
 * end). */
int retention_kill(struct gateway *gw, const char *job_id, const char *by, const struct err *why, struct err *err);

/* retention_finish_killed: of a job that was killed while its store did not answer: what is left there is erased, and its record says so. */
void retention_finish_killed(struct gateway *gw, const char *job_id);

#endif
