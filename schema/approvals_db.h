/* approvals_db.h - captures that wait for an operator's word: what was asked for, why it waits, and what became of it.
 *
 *   WAITING -approve-> APPROVED -job_db_begin, by its user-> the job is in STARTING and goes its way
 *   WAITING -deny-> DENIED;   WAITING, APPROVED -expires_at-> EXPIRED, -stopped, killed, erased-> CANCELLED     (the job has ended)
 *
 * The job is in JOB_WAITING until it begins or ends, and every step looks for that in its own transaction: of two that come at once, one finds it done. */
#ifndef PCAPLINE_SCHEMA_APPROVALS_DB_H
#define PCAPLINE_SCHEMA_APPROVALS_DB_H

#include "schema/job_db.h"

enum approval_state { APPROVAL_WAITING, APPROVAL_APPROVED, APPROVAL_DENIED, APPROVAL_EXPIRED, APPROVAL_CANCELLED };

struct approval {
	char *request; /* body of the start; no token is in it */
	char *because;
	enum approval_state state;
	char *decided_by; /* "" : nobody yet */
	char *reason;     /* "" : none was given */
	uint64_t decided_at, expires_at;
};
void approval_done(struct approval *a);

/* approvals_db_ask: a new job in JOB_WAITING, with what it waits for.  ERR_BUSY, detail too_many_waiting: its owner has `most` of them. */
int approvals_db_ask(struct job_db *db, const struct job *j, const char *request, const char *because,
	uint64_t expires_ns, uint64_t most, struct err *err);

/* approvals_db_room: may j's owner have one more that waits?  As approvals_db_ask looks itself. */
int approvals_db_room(struct job_db *db, const struct job *j, uint64_t most, struct err *err);

int approvals_db_get(struct job_db *db, const char *job_id, struct approval *ret, struct err *err); /* ERR_NOT_FOUND */

/* approvals_db_approve: ERR_STATE when it does not wait for that (any more). */
struct approval_decision {
	const char *by, *reason;
	uint64_t at_ns;
	uint64_t expires_ns; /* of an approval: until then it may begin */
};
int approvals_db_approve(struct job_db *db, const char *job_id, const struct approval_decision *d, struct err *err);

/* approvals_db_end: j, as it is now in memory, is how the job ends that waited; d NULL: nobody has decided.  ERR_STATE: it waits no more. */
int approvals_db_end(struct job_db *db, const struct job *j, enum approval_state state,
	const struct approval_decision *d, struct err *err);

/* approvals_db_begin: j, of a job that is approved and waits, in the place of its record.  ERR_STATE: it is not, or not any more. */
int approvals_db_begin(struct job_db *db, const struct job *j, uint64_t now_ns, struct err *err);

/* approvals_db_list: ids of jobs that wait, oldest first, at most `most`; the caller frees *ret.  overdue: those whose time is up at now_ns; else those that wait for a decision. */
int approvals_db_list(struct job_db *db, bool overdue, uint64_t now_ns, size_t most, char (**ret)[ID_MAX],
	size_t *ret_n, struct err *err);

/* {"state", "because", "decided_by", "decided_at", "reason", "expires_at"}; new reference, NULL: no memory. */
json_t *approval_to_json(const struct approval *a);

#endif
