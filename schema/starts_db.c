#include "schema/starts_db.h"

#include "schema/job_db_internal.h"

/* Of jobs, what counts as stored. */
#define STORED                                                                                                         \
	"COALESCE(SUM(CASE WHEN state = 'ready' THEN object_bytes "                                                    \
	"WHEN mode = 'store' AND state IN ('starting', 'running', 'finishing') THEN bytes ELSE 0 END), 0)"

/* Of jobs, which are of an org; twice the org. */
#define OF_ORG                                                                                                         \
	"(id IN (SELECT job_id FROM job_scopes WHERE org = ?) OR (org = ? AND NOT EXISTS "                             \
	"(SELECT 1 FROM job_scopes WHERE job_id = jobs.id AND job_scopes.org <> '')))"

static int change(struct job_db *db, struct dbq *q, struct err *err)
{
	return job_db_leave(db, dbq_run(q, err), err) < 0 ? -1 : 0;
}

static int insert(struct job_db *db, const struct starts_one *s, const char *org, struct err *err)
{
	static const char sql[] = "INSERT INTO starts (job_id, at, user_id, org) VALUES (?, ?, ?, ?)";
	struct dbq q;

	dbq_open(&q, db, sql);
	dbq_text(&q, s->job_id);
	dbq_u64(&q, s->at_ns);
	dbq_text(&q, s->user);
	dbq_text(&q, org);
	return dbq_run(&q, err);
}

int starts_db_add(struct job_db *db, const struct starts_one *s, struct err *err)
{
	int rc = 0;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if (s->orgs_n == 0)
		rc = insert(db, s, "", err);
	for (size_t i = 0; i < s->orgs_n && rc >= 0; i++)
		rc = insert(db, s, s->orgs[i], err);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

int starts_db_remove(struct job_db *db, const char *job_id, struct err *err)
{
	static const char sql[] = "DELETE FROM starts WHERE job_id = ?";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	return change(db, &q, err);
}

int starts_db_forget(struct job_db *db, uint64_t until_ns, struct err *err)
{
	static const char sql[] = "DELETE FROM starts WHERE at <= ?";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_u64(&q, until_ns);
	return change(db, &q, err);
}

/* The one number of the one row that a bound statement gives; 0 when it gives none. */
static int number(struct dbq *q, uint64_t *ret, struct err *err)
{
	uint64_t n = 0;
	int rc = dbq_step(q, err);

	if (rc > 0) {
		n = dbq_col_u64(q);
		rc = dbq_row_ok(q, err);
	}
	dbq_close(q);
	if (rc == 0)
		*ret = n;
	return rc;
}

int starts_db_count(
	struct job_db *db, enum starts_of of, const char *id, uint64_t since_ns, uint64_t *ret, struct err *err)
{
	static const char user[] = "SELECT COUNT(DISTINCT job_id) FROM starts WHERE user_id = ? AND at > ?";
	static const char org[] = "SELECT COUNT(*) FROM starts WHERE org = ? AND at > ?";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, of == STARTS_OF_USER ? user : org);
	dbq_text(&q, id);
	dbq_u64(&q, since_ns);
	return job_db_leave(db, number(&q, ret, err), err);
}

int starts_db_at(struct job_db *db, enum starts_of of, const char *id, uint64_t since_ns, uint64_t skip,
	uint64_t *ret_ns, struct err *err)
{
	static const char user[] = "SELECT MIN(at) FROM starts WHERE user_id = ? AND at > ? GROUP BY job_id "
				   "ORDER BY MIN(at) LIMIT 1 OFFSET ?";
	static const char org[] = "SELECT at FROM starts WHERE org = ? AND at > ? ORDER BY at LIMIT 1 OFFSET ?";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, of == STARTS_OF_USER ? user : org);
	dbq_text(&q, id);
	dbq_u64(&q, since_ns);
	dbq_u64(&q, skip);
	return job_db_leave(db, number(&q, ret_ns, err), err);
}

static void bind_whose(struct dbq *q, enum starts_of of, const char *id)
{
	dbq_text(q, id);
	if (of == STARTS_OF_ORG)
		dbq_text(q, id);
}

static int stored_of_job(struct job_db *db, const char *job_id, uint64_t *ret, struct err *err)
{
	static const char sql[] = "SELECT " STORED " FROM jobs WHERE id = ?";
	struct dbq q;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	return number(&q, ret, err);
}

int starts_db_stored(struct job_db *db, enum starts_of of, const char *id, const char *const *except, size_t except_n,
	uint64_t *ret_bytes, struct err *err)
{
	static const char user[] = "SELECT " STORED " FROM jobs WHERE owner_user_id = ?";
	static const char org[] = "SELECT " STORED " FROM jobs WHERE " OF_ORG;
	uint64_t all = 0, one = 0;
	struct dbq q;
	int rc;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, of == STARTS_OF_USER ? user : org);
	bind_whose(&q, of, id);
	rc = number(&q, &all, err);
	for (size_t i = 0; i < except_n && rc == 0; i++) {
		if ((rc = stored_of_job(db, except[i], &one, err)) == 0)
			all -= one < all ? one : all;
	}
	if (job_db_leave(db, rc, err) < 0)
		return -1;
	*ret_bytes = all;
	return 0;
}

int starts_db_next_expiry(struct job_db *db, enum starts_of of, const char *id, uint64_t *ret_ns, struct err *err)
{
	static const char user[] = "SELECT expires_at FROM jobs WHERE owner_user_id = ? AND state = 'ready' AND "
				   "hold = '' AND expires_at > 0 ORDER BY expires_at LIMIT 1";
	static const char org[] = "SELECT expires_at FROM jobs WHERE " OF_ORG " AND state = 'ready' AND hold = '' "
				  "AND expires_at > 0 ORDER BY expires_at LIMIT 1";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, of == STARTS_OF_USER ? user : org);
	bind_whose(&q, of, id);
	return job_db_leave(db, number(&q, ret_ns, err), err);
}
