/* jobs.h - the captures that run in this process: found by id, drained at the end.  How many there may be says limits.h. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_JOBS_H
#define PCAPLINE_GATEWAY_CAPTURE_JOBS_H

#include "common/err.h"
#include "schema/job.h"

#include <stddef.h>
#include <stdint.h>

struct capture;
struct jobs;

struct jobs *jobs_new(struct err *err);
void jobs_free(struct jobs *j); /* must be empty */

/* jobs_reserve: a place for this user, so that the end waits for what is about to begin. jobs_add turns it into an entry, jobs_release gives it back. */
int jobs_reserve(struct jobs *j, const char *user_id, struct err *err);
void jobs_release(struct jobs *j, const char *user_id);

/* jobs_close: no more places are given (ERR_UNAVAILABLE, detail draining). */
void jobs_close(struct jobs *j);

void jobs_add(struct jobs *j, struct capture *c);  /* takes a reference of its own */
void jobs_idle(struct jobs *j, struct capture *c); /* it has ended: gives its place back, stays findable */
void jobs_remove(
	struct jobs *j, struct capture *c); /* and its reference; also gives the place back if that was not done */

struct capture *jobs_find(struct jobs *j, const char *id); /* new reference or NULL */

/* jobs_claim: the right to finish or erase what a job has left, for one caller at a time and while no capture of that id is here; waits for it at most
 * ms.  -1: ERR_UNAVAILABLE. */
int jobs_claim(struct jobs *j, const char *id, uint64_t ms, struct err *err);
void jobs_unclaim(struct jobs *j, const char *id);

/* jobs_all: an array of *ret_n new references; the caller unrefs each and frees the array. NULL with *ret_n 0: none, or no memory. */
struct capture **jobs_all(struct jobs *j, size_t *ret_n);
size_t jobs_running(struct jobs *j);

/* jobs_figures: of all captures that this process ever had, in ret the sums of what capture_figures tells of them, what only runs while they do (streams, viewers, bytes) of
 * those that are here; by_state says how many of these are in each state.  The counters never go back: a capture's figures are taken over when it goes. */
struct capture_figures;
void jobs_figures(struct jobs *j, struct capture_figures *ret, size_t by_state[JOB_STATES_N]);

/* jobs_wait_empty: until no capture is left, at most ms. 0, or -1 when some are. */
int jobs_wait_empty(struct jobs *j, uint64_t ms);

#endif
