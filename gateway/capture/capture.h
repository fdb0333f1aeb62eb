/* capture.h - one running capture: its streams from the agents, the merge, the output and its sinks, the job record and its events; one
 * thread that owns all of it.  The states are those of schema/job.h.
 *
 * Life: capture_start; found through jobs.h while it runs and, with a live stream, for the grace period after; capture_unref by
 * all who hold it.  All functions but capture_start may be called by any thread. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_CAPTURE_H
#define PCAPLINE_GATEWAY_CAPTURE_CAPTURE_H

#include "common/err.h"
#include "gateway/capture/live.h"
#include "schema/job.h"
#include "uploader/driver.h"

#include <jansson.h>
#include <stdbool.h>

struct gateway;
struct job_filter;
struct target_instance;
struct capture;

/* What a running capture goes by when it asks the platform again; borrowed, copied. */
struct people;
struct capture_watch {
	const struct people *people; /* whose it is, with their tokens */
	json_t *targets;             /* as asked for */
	const struct capture_options *options;
	const struct capture_forced *forced; /* filters that hold beside the user's, for each of its agents */
	size_t forced_n;
};

/* capture_start: job (taken over also on failure) is filled but for state and times; in JOB_WAITING it has a record already, is approved, and the caller has claimed it
 * (jobs_claim).  Its instances match targets one by one.  The place that
 * was reserved for it (jobs_reserve, limits_take) is taken over too, and given back when the capture ends or here on failure.
 * excludes: ends of the platform's own connections, see capture_request.h.  Returns a reference.
 * Detail CAPTURE_NOT_STORED (ERR_UNAVAILABLE, ERR_FULL): the store did not let it begin. */
#define CAPTURE_NOT_STORED "storage_unavailable"
struct capture *capture_start(struct gateway *gw, struct job *job, const struct target_instance *targets,
	const struct capture_exclude *excludes, size_t excludes_n, const struct capture_watch *watch, struct err *err);

struct capture *capture_ref(struct capture *c);
void capture_unref(struct capture *c);
const char *capture_id(const struct capture *c);
const char *capture_user_id(const struct capture *c);
enum job_mode capture_mode(const struct capture *c);
enum job_state capture_state(struct capture *c);

/* capture_wait_started: until an instance runs (0) or it is clear that none will (-1, err is what the instances said), at most ms (then 0: still trying). */
int capture_wait_started(struct capture *c, uint64_t ms, struct err *err);

/* capture_stop: graceful; the first reason counts. by: who, or NULL. */
void capture_stop(struct capture *c, enum stop_reason reason, const char *by);

/* capture_stop_for: as capture_stop, because of what why says, which the record and the file show. */
void capture_stop_for(struct capture *c, enum stop_reason reason, const struct err *why);

/* capture_judge: is it still allowed, and under the terms that it was started under, in its own scopes and these too (NULL: none)?  Else it is stopped, STOP_SWITCHED_OFF or
 * STOP_POLICY; false.  One that is ending already goes on. */
struct scope_list;
bool capture_judge(struct capture *c, const struct scope_list *also);

/* capture_follow: what the platform lists now: instances that are missing for the second time are let go, their user may not capture them any more or they are not there; of
 * targets that follow, instances that are new join. */
struct target_set;
void capture_follow(struct capture *c, const struct target_set *now);

/* capture_has_any: is any instance starting or running? */
bool capture_has_any(struct capture *c);

/* capture_renew: its owner has shown newer tokens. */
void capture_renew(struct capture *c, const struct people *people);

/* capture_event: one more event of the job, kept in the database; data is stolen. */
void capture_event(struct capture *c, const char *type, json_t *data);

/* capture_matches: do all selectors of f (of those that name whose or where it is, or its age) hold?  Takes no lock that anybody holds while a disk or a database hangs; nor
 * does capture_cut, which takes the agents' streams away in the caller's own thread; a kill must follow. */
bool capture_matches(struct capture *c, const struct job_filter *f);
void capture_cut(struct capture *c, enum stop_reason reason);

/* capture_hold: a legal hold, or (text "") none any more; 0 once its record in memory says so, the one in the database is the caller's. */
int capture_hold(struct capture *c, const char *text, struct err *err);

/* capture_kill_for: as capture_kill, because of why, a sentence that the job, the events and the file show. */
void capture_kill_for(struct capture *c, enum stop_reason reason, const char *by, const struct err *why);

/* capture_kill: at once; nothing stored is kept, also when it is being finished already (then as soon as that lets go).  STOP_KILLED, STOP_DELETED,
 * STOP_INTERNAL.  STOP_GATEWAY_SHUTDOWN only cuts the agents off: what there is, is kept; and so is what a held capture has stored. */
void capture_kill(struct capture *c, enum stop_reason reason, const char *by);

/* capture_wait_ended: until nothing of it runs any more; -1 when it still does after ms. */
int capture_wait_ended(struct capture *c, uint64_t ms);

/* capture_erased: what was erased of a capture that was killed, once it has ended. */
void capture_erased(struct capture *c, struct driver_erased *ret);

/* How far a capture is, for monitoring.  capture_figures waits for nothing but another reader: it tells what stood when the record was last brought up to date, each
 * second and at each change of state.  The first lot never goes back. */
struct capture_figures {
	uint64_t packets, bytes, stream_bytes, late_packets;
	struct job_drops dropped;

	enum job_state state;
	unsigned streams, viewers; /* agents' streams that run; who looks on */
	uint64_t queued_bytes, backlog_bytes;
};
void capture_figures(struct capture *c, struct capture_figures *ret);

/* A new reference to the job as it stands (JSON as the API shows it). */
json_t *capture_to_json(struct capture *c, bool brief);

/* capture_attach: a viewer of the live stream.  offset as in live_attach; *ret_prelude_bytes of the answer are not numbered. */
struct live_viewer *capture_attach(struct capture *c, int64_t offset, int peer_fd, uint64_t *ret_offset,
	size_t *ret_prelude_bytes, struct err *err);

/* capture_wait_event: until there may be an event after seq or the capture has ended, at most ms. True: it has ended. */
bool capture_wait_event(struct capture *c, uint64_t seq, uint64_t ms);

#endif
