/* limits.h - may one more capture start?  One place that decides it, under one lock, before any agent is asked: captures at once (of a user, org,
 * space, app, on an agent, here), starts per hour and day (of a user, an org; in the database, so that a restart forgets none), stored bytes (of a
 * user, an org).  Of 200 at once exactly as many start as may.
 *
 * Life of a place: limits_take, then limits_give when the capture has ended or could not begin.  What was refused has taken nothing; what could not
 * begin has been a start all the same (its agents were asked), unless limits_forget says that it was none.
 *
 * The orgs, spaces and apps of a capture are those that its targets lie in; where these lie in no org, the org of its user counts.  A capture of two orgs
 * counts in each of them as if there were no other: as one that runs, as a start, and with all of its bytes.  One gateway runs per database (state_dir is
 * locked), so its captures are those of the platform.
 *
 * A stored capture reserves what it writes before it writes it, a step at a time, so that a quota is never passed; the one that finds no more room ends.
 *
 * All functions may be called by any thread and take NULL for "no limits".  Lock order: capture -> limits -> database. */
#ifndef PCAPLINE_GATEWAY_LIMITS_LIMITS_H
#define PCAPLINE_GATEWAY_LIMITS_LIMITS_H

#include "schema/config_gateway.h"
#include "schema/job.h"
#include "schema/job_db.h"

#include <jansson.h>

struct target_instance;
struct limits;

#define LIMITS_KEY_BYTES 32

/* c and db are borrowed.  Starts are kept under an HMAC of their user's id, under a key made from this one: limits hold on when all of somebody's is purged, and what they go by names
 * nobody.  With another key users begin anew. */
struct limits *limits_new(
	const struct config_gateway *c, struct job_db *db, const uint8_t key[LIMITS_KEY_BYTES], struct err *err);
void limits_free(struct limits *l);

/* limits_sweep: starts that count no more are forgotten. */
void limits_sweep(struct limits *l, uint64_t now_ns);

/* Who wants to start what; borrowed, copied. */
struct limits_ask {
	const struct job *job; /* id, owner, org, scopes, mode, options.max_duration_s count */
	const struct target_instance *instances;
	size_t instances_n;
	uint64_t now_ns; /* wall */
};

/* What an answer's headers say. */
struct limits_told {
	bool known;                         /* else there is no limit on starts */
	uint64_t limit, remaining, reset_s; /* of the window that is nearest to its end */
	uint64_t retry_s;                   /* after a refusal: sooner it is no use; 0: it is not the time that helps */
};

/* limits_take: a place for the job, or ERR_BUSY (detail too_many_captures, too_many_starts, quota_exceeded) with the limit named.  ret_told is filled both ways. */
int limits_take(struct limits *l, const struct limits_ask *ask, struct limits_told *ret_told, struct err *err);
void limits_give(struct limits *l, const char *job_id);   /* once or more often */
void limits_forget(struct limits *l, const char *job_id); /* also: it was no start */

/* limits_tell: where this user and org stand, without taking anything. */
void limits_tell(struct limits *l, const char *user_id, const char *org, uint64_t now_ns, struct limits_told *ret_told);

/* limits_join: one more instance of a running capture, on this agent.  ERR_BUSY: no room there. */
int limits_join(struct limits *l, const char *job_id, const struct target_instance *t, struct err *err);
void limits_leave(struct limits *l, const char *job_id, const struct target_instance *t);

/* limits_room: how many bytes the job may have stored in all, when it wants to have `bytes`; less than that: the quota of *ret_limit is used up.
 * UINT64_MAX: nothing bounds it. */
uint64_t limits_room(struct limits *l, const char *job_id, uint64_t bytes, const char **ret_limit);

/* limits_standing: a list of {"limit", "of": "user" or "org", "used", "max", "reset_s"}; max 0: none.  NULL: no memory. */
json_t *limits_standing(struct limits *l, const char *user_id, const char *org, uint64_t now_ns);

/* What holds for an org instead of storage.retention and storage.retention_max; 0: these. */
struct limits_overrides {
	uint64_t retention_ms, retention_max_ms;
};

/* limits_retention_max_ms: the longest that anything is kept here. */
uint64_t limits_retention_max_ms(const struct config_gateway *c);

/* limits_retention: how long a capture is kept whose user asked for asked_s (0: for nothing).  ERR_LIMIT (over_limit), field retention_s.  Nothing an org has is longer than
 * limits_retention_max_ms: the store's own rule, which expires what was forgotten, knows no orgs. */
int limits_retention(const struct config_gateway *c, const struct limits_overrides *o, uint64_t asked_s,
	uint64_t *ret_s, struct err *err);

/* limits_kept_ns: how long the object of j is kept, from its end on. */
uint64_t limits_kept_ns(const struct config_gateway *c, const struct job *j);

/* limits_options: what is asked for beyond this gateway's limits is refused (ERR_LIMIT, over_limit, the field named), what is left open is set to them. */
int limits_options(const struct config_gateway *c, enum job_mode mode, struct capture_options *o, struct err *err);

/* limits_bound: whose limit it was that a capture with these options met: the gateway's, told in ret, or (false) its user's own. */
bool limits_bound(
	const struct config_gateway *c, const struct capture_options *o, enum stop_reason reason, struct err *ret);

#endif
