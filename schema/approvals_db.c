#include "schema/approvals_db.h"

#include "common/clock.h"
#include "schema/job_db_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const states[] = {
	[APPROVAL_WAITING] = "waiting",
	[APPROVAL_APPROVED] = "approved",
	[APPROVAL_DENIED] = "denied",
	[APPROVAL_EXPIRED] = "expired",
	[APPROVAL_CANCELLED] = "cancelled",
};
#define STATES_N (sizeof(states) / sizeof(states[0]))

void approval_done(struct approval *a)
{
	free(a->request);
	free(a->because);
	free(a->decided_by);
	free(a->reason);
	*a = (struct approval){0};
}

static int not_waiting(const char *job_id, struct err *err)
{
	err_set(err, ERR_STATE, "capture %s does not wait for that any more", job_id);
	return err_detail(err, "not_waiting");
}

/* ---- asked for ---- */

static int count_waiting(struct job_db *db, const char *user_id, uint64_t *ret, struct err *err)
{
	static const char sql[] = "SELECT COUNT(*) FROM jobs WHERE owner_user_id = ? AND state = 'waiting'";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_text(&q, user_id);
	if ((rc = dbq_step(&q, err)) > 0)
		*ret = dbq_col_u64(&q);
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

static int check_room(struct job_db *db, const struct job *j, uint64_t most, struct err *err)
{
	uint64_t n = 0;

	if (count_waiting(db, j->owner_user_id, &n, err) < 0)
		return -1;
	if (n < most)
		return 0;
	err_set(err, ERR_BUSY,
		"%s has %llu captures that wait for an operator's approval, and no more may (limits.waiting_per_user)",
		j->owner_user_name[0] ? j->owner_user_name : j->owner_user_id, (unsigned long long)n);
	return err_detail(err, "too_many_waiting");
}

int approvals_db_room(struct job_db *db, const struct job *j, uint64_t most, struct err *err)
{
	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	return job_db_leave(db, check_room(db, j, most, err), err);
}

static int insert(struct job_db *db, const struct job *j, const char *request, const char *because, uint64_t expires_ns,
	struct err *err)
{
	static const char sql[] = "INSERT INTO approvals (job_id, request, because, state, decided_by, decided_at, "
				  "reason, expires_at) VALUES (?, ?, ?, 'waiting', '', 0, '', ?)";
	struct dbq q;

	dbq_open(&q, db, sql);
	dbq_text(&q, j->id);
	dbq_text(&q, request);
	dbq_text(&q, because);
	dbq_u64(&q, expires_ns);
	return dbq_run(&q, err);
}

int approvals_db_ask(struct job_db *db, const struct job *j, const char *request, const char *because,
	uint64_t expires_ns, uint64_t most, struct err *err)
{
	int rc;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if ((rc = check_room(db, j, most, err)) == 0 && (rc = job_db_write_new(db, j, err)) >= 0)
		rc = insert(db, j, request, because, expires_ns, err);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

/* ---- read ---- */

static void col_state(struct dbq *q, enum approval_state *ret)
{
	const char *name = dbq_col_peek(q);

	for (size_t i = 0; i < STATES_N; i++) {
		if (strcmp(name, states[i]) == 0) {
			*ret = (enum approval_state)i;
			return;
		}
	}
	q->damaged = true;
}

static int read_row(struct dbq *q, struct approval *ret, struct err *err)
{
	ret->request = dbq_col_text(q);
	ret->because = dbq_col_text(q);
	col_state(q, &ret->state);
	ret->decided_by = dbq_col_text(q);
	ret->decided_at = dbq_col_u64(q);
	ret->reason = dbq_col_text(q);
	ret->expires_at = dbq_col_u64(q);
	return dbq_row_ok(q, err);
}

int approvals_db_get(struct job_db *db, const char *job_id, struct approval *ret, struct err *err)
{
	/* Erasing a job asks no approval: what waited for one is then called so. */
	static const char sql[] =
		"SELECT request, because, CASE WHEN jobs.state = 'purged' AND jobs.started_at = 0 AND approvals.state "
		"IN ('waiting', 'approved') THEN 'cancelled' ELSE approvals.state END, decided_by, decided_at, reason, "
		"approvals.expires_at FROM approvals JOIN jobs ON jobs.id = approvals.job_id WHERE job_id = ?";
	struct dbq q;
	int rc;

	*ret = (struct approval){0};
	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	if ((rc = dbq_step(&q, err)) > 0)
		rc = read_row(&q, ret, err);
	else if (rc == 0)
		rc = err_set(err, ERR_NOT_FOUND, "capture %s never needed an approval", job_id);
	dbq_close(&q);
	if (job_db_leave(db, rc, err) == 0)
		return 0;
	approval_done(ret);
	return -1;
}

static int ids_read(struct dbq *q, char (*ids)[ID_MAX], size_t most, size_t *n, struct err *err)
{
	int rc = 0;

	while (*n < most && (rc = dbq_step(q, err)) > 0) {
		dbq_col_copy(q, ids[(*n)++], ID_MAX);
		if ((rc = dbq_row_ok(q, err)) < 0)
			break;
	}
	return rc < 0 ? -1 : 0;
}

int approvals_db_list(struct job_db *db, bool overdue, uint64_t now_ns, size_t most, char (**ret)[ID_MAX],
	size_t *ret_n, struct err *err)
{
	static const char late[] = "SELECT id FROM approvals JOIN jobs ON id = job_id WHERE jobs.state = 'waiting' AND "
				   "approvals.expires_at <= ? ORDER BY id";
	static const char open[] = "SELECT id FROM approvals JOIN jobs ON id = job_id WHERE jobs.state = 'waiting' AND "
				   "approvals.expires_at > ? AND approvals.state = 'waiting' ORDER BY id";
	char(*ids)[ID_MAX] = calloc(most, sizeof(*ids));
	struct dbq q;
	int rc;

	*ret_n = 0;
	if (!ids)
		return err_nomem(err);
	if ((rc = job_db_enter(db, JOB_DB_READ, err)) == 0) {
		dbq_open(&q, db, overdue ? late : open);
		dbq_u64(&q, now_ns);
		rc = ids_read(&q, ids, most, ret_n, err);
		dbq_close(&q);
		rc = job_db_leave(db, rc, err);
	}
	if (rc < 0) {
		free(ids);
		return -1;
	}
	*ret = ids;
	return 0;
}

/* ---- decided ---- */

int approvals_db_approve(struct job_db *db, const char *job_id, const struct approval_decision *d, struct err *err)
{
	static const char sql[] =
		"UPDATE approvals SET state = 'approved', decided_by = ?, decided_at = ?, reason = ?, expires_at = ? "
		"WHERE job_id = ? AND state = 'waiting' AND expires_at > ? AND EXISTS (SELECT 1 FROM jobs WHERE id = "
		"job_id AND state = 'waiting')";
	struct dbq q;
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, d->by);
	dbq_u64(&q, d->at_ns);
	dbq_text(&q, d->reason);
	dbq_u64(&q, d->expires_ns);
	dbq_text(&q, job_id);
	dbq_u64(&q, d->at_ns);
	if ((n = dbq_run(&q, err)) == 0)
		n = not_waiting(job_id, err);
	return job_db_leave(db, n, err) < 0 ? -1 : 0;
}

/* The same row still waits: nothing is changed, but the transaction has seen it. */
static int check_waiting(struct job_db *db, const char *job_id, struct err *err)
{
	static const char sql[] = "UPDATE jobs SET state = state WHERE id = ? AND state = 'waiting'";
	struct dbq q;
	int n;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	n = dbq_run(&q, err);
	return n == 0 ? not_waiting(job_id, err) : n;
}

static int set_state(struct job_db *db, const char *job_id, enum approval_state state,
	const struct approval_decision *d, struct err *err)
{
	static const char undecided[] = "UPDATE approvals SET state = ? WHERE job_id = ?";
	static const char decided[] = "UPDATE approvals SET state = ?, decided_by = ?, decided_at = ?, reason = ? "
				      "WHERE job_id = ? AND state = 'waiting'";
	struct dbq q;
	int n;

	dbq_open(&q, db, d ? decided : undecided);
	dbq_text(&q, states[state]);
	if (d) {
		dbq_text(&q, d->by);
		dbq_u64(&q, d->at_ns);
		dbq_text(&q, d->reason);
	}
	dbq_text(&q, job_id);
	n = dbq_run(&q, err);
	return n == 0 ? not_waiting(job_id, err) : n;
}

int approvals_db_end(struct job_db *db, const struct job *j, enum approval_state state,
	const struct approval_decision *d, struct err *err)
{
	int rc;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if ((rc = check_waiting(db, j->id, err)) >= 0 && (rc = set_state(db, j->id, state, d, err)) >= 0)
		rc = job_db_write_changed(db, j, err);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

/* ---- begun ---- */

static int check_approved(struct job_db *db, const char *job_id, uint64_t now_ns, struct err *err)
{
	static const char sql[] = "UPDATE approvals SET state = state WHERE job_id = ? AND state = 'approved' AND "
				  "expires_at > ?";
	struct dbq q;
	int n;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	dbq_u64(&q, now_ns);
	n = dbq_run(&q, err);
	return n == 0 ? not_waiting(job_id, err) : n;
}

/* What was fixed when it was asked for, and may be another now: what is forced has changed, or defaults have. */
static int write_fixed(struct job_db *db, const struct job *j, struct err *err)
{
	static const char sql[] =
		"UPDATE jobs SET org = ?, space = ?, option_snaplen = ?, option_max_duration_s = ?, option_max_bytes = "
		"?, option_max_packets = ?, option_payload = ?, policy = ?, retention_s = ? WHERE id = ?";
	struct dbq q;

	dbq_open(&q, db, sql);
	dbq_text(&q, j->org);
	dbq_text(&q, j->space);
	dbq_u64(&q, j->options.snaplen);
	dbq_u64(&q, j->options.max_duration_s);
	dbq_u64(&q, j->options.max_bytes);
	dbq_u64(&q, j->options.max_packets);
	dbq_text(&q, capture_options_payload(&j->options));
	dbq_text(&q, j->policy);
	dbq_u64(&q, j->retention_s);
	dbq_text(&q, j->id);
	return dbq_run(&q, err);
}

static int write_scopes(struct job_db *db, const struct job *j, struct err *err)
{
	static const char sql[] = "DELETE FROM job_scopes WHERE job_id = ?";
	struct dbq q;

	dbq_open(&q, db, sql);
	dbq_text(&q, j->id);
	return dbq_run(&q, err) < 0 ? -1 : job_db_scopes_write(db, j, err);
}

int approvals_db_begin(struct job_db *db, const struct job *j, uint64_t now_ns, struct err *err)
{
	int rc;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if ((rc = check_waiting(db, j->id, err)) >= 0 && (rc = check_approved(db, j->id, now_ns, err)) >= 0 &&
		(rc = write_fixed(db, j, err)) >= 0 && (rc = write_scopes(db, j, err)) >= 0)
		rc = job_db_write_changed(db, j, err);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

/* ---- shown ---- */

static json_t *text_json(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *time_json(uint64_t ns)
{
	char text[CLOCK_TEXT_MAX];

	return ns > 0 ? json_string(clock_rfc3339(ns, text)) : json_null();
}

json_t *approval_to_json(const struct approval *a)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "state", states[a->state], "because", a->because,
		"decided_by", text_json(a->decided_by), "decided_at", time_json(a->decided_at), "reason",
		text_json(a->reason), "expires_at", time_json(a->expires_at));
}
