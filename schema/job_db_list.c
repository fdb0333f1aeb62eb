/* job_db_list.c - many jobs at once: what a filter finds, heartbeats, forgetting. */
#include "common/buf.h"
#include "schema/job_db_internal.h"

#include <stdlib.h>
#include <string.h>

#define JOB_DB_LIMIT_MAX 1000
#define WHERE_SQL_MAX    8192
#define WHERE_BINDS_MAX  40

/* A condition that grows: only literals of ours become SQL, every value is bound.  The first failure sticks in rc. */
struct where {
	struct buf sql;
	struct {
		const char *text; /* NULL: n */
		uint64_t n;
	} binds[WHERE_BINDS_MAX];
	size_t binds_n;
	int rc;
	struct err *err;
};

static void where_sql(struct where *w, const char *literal)
{
	if (w->rc == 0)
		w->rc = buf_add_str(&w->sql, literal, w->err);
}

static void where_bind(struct where *w, const char *text, uint64_t n)
{
	if (w->rc < 0)
		return;
	if (w->binds_n == WHERE_BINDS_MAX) {
		w->rc = err_set(w->err, ERR_INTERNAL, "job filter: too many values");
		return;
	}
	w->binds[w->binds_n].text = text;
	w->binds[w->binds_n++].n = n;
}

static void where_text(struct where *w, const char *literal, const char *text)
{
	if (!text)
		return;
	where_sql(w, literal);
	where_bind(w, text, 0);
}

static void where_text_twice(struct where *w, const char *literal, const char *text)
{
	where_text(w, literal, text);
	if (text)
		where_bind(w, text, 0);
}

static void where_u64(struct where *w, const char *literal, uint64_t n)
{
	if (!n)
		return;
	where_sql(w, literal);
	where_bind(w, NULL, n);
}

static void where_states(struct where *w, const enum job_state *states, size_t n)
{
	if (!n)
		return;
	where_sql(w, " AND state IN (");
	for (size_t i = 0; i < n; i++) {
		where_sql(w, i ? ", ?" : "?");
		where_bind(w, job_state_name(states[i]), 0);
	}
	where_sql(w, ")");
}

static void where_visible(struct where *w, const struct job_filter *f)
{
	if (!f->visible_to)
		return;
	where_text(w, " AND (owner_user_id = ?", f->visible_to);
	if (f->shared_org && f->shared_org[0]) {
		where_text(w, " OR (org = ?", f->shared_org);
		where_text(w, " AND space = ?", f->shared_space);
		where_text(w, " AND NOT EXISTS (SELECT 1 FROM job_scopes WHERE job_id = jobs.id AND (org <> ?",
			f->shared_org);
		where_text(w, " OR space <> ?", f->shared_space);
		where_sql(w, ")))");
	}
	where_sql(w, ")");
}

static int where_make(struct where *w, const char *select, const struct job_filter *f, struct err *err)
{
	static const struct job_filter any;

	*w = (struct where){.err = err};
	buf_init(&w->sql, WHERE_SQL_MAX);
	if (!f)
		f = &any;
	where_sql(w, select);
	where_sql(w, " WHERE 1 = 1");
	/* Names are ids of a kind only among static tokens, whose ids have no colon: an issuer's people choose theirs. */
	where_text_twice(
		w, " AND (owner_user_id = ? OR (owner_user_name = ? AND owner_user_id NOT LIKE '%:%'))", f->user_id);
	where_visible(w, f);
	where_text_twice(w,
		" AND (org = ? OR EXISTS (SELECT 1 FROM job_scopes s WHERE s.job_id = jobs.id AND s.org = ?))", f->org);
	where_text_twice(w,
		" AND (space = ? OR EXISTS (SELECT 1 FROM job_scopes s WHERE s.job_id = jobs.id AND s.space = ?))",
		f->space);
	where_text(w, " AND id = ?", f->job);
	where_text_twice(w,
		" AND EXISTS (SELECT 1 FROM instances WHERE instances.job_id = jobs.id AND (agent = ? OR agent_host = "
		"?))",
		f->agent);
	where_text_twice(w,
		" AND (instr(',' || app || ',', ',' || ? || ',') > 0 OR EXISTS (SELECT 1 FROM job_scopes s WHERE "
		"s.job_id = jobs.id AND s.app = ?))",
		f->app);
	where_text_twice(w,
		" AND (instr(',' || deployment || ',', ',' || ? || ',') > 0 OR EXISTS (SELECT 1 FROM job_scopes s "
		"WHERE s.job_id = jobs.id AND s.deployment = ?))",
		f->deployment);
	where_text(w, " AND EXISTS (SELECT 1 FROM job_scopes s WHERE s.job_id = jobs.id AND s.instance_group = ?)",
		f->group);
	where_states(w, f->states, f->states_n);
	where_u64(w, " AND created_at >= ?", f->since_ns);
	where_u64(w, " AND created_at < ?", f->before_ns);
	where_u64(w, " AND expires_at > 0 AND expires_at < ?", f->expires_before_ns);
	where_text(w, " AND gateway = ?", f->gateway);
	where_text(w, " AND gateway <> ?", f->not_gateway);
	where_text(w, " AND id < ?", f->after_id);
	if (f->with_object)
		where_sql(w, " AND object_key <> ''");
	if (f->not_held)
		where_sql(w, " AND hold = ''");
	return w->rc;
}

/* Binds in the order of the conditions. */
static int where_open(struct where *w, struct dbq *q, struct job_db *db)
{
	const char *sql = buf_str(&w->sql);

	if (!sql)
		return err_nomem(w->err);
	dbq_open_once(q, db->sqlite, sql);
	for (size_t i = 0; i < w->binds_n; i++) {
		if (w->binds[i].text)
			dbq_text(q, w->binds[i].text);
		else
			dbq_u64(q, w->binds[i].n);
	}
	return 0;
}

static int list_read(struct job_db *db, struct where *w, struct job **list, size_t *n, struct err *err)
{
	struct dbq q;
	int rc;

	if (where_open(w, &q, db) < 0)
		return -1;
	while ((rc = dbq_step(&q, err)) > 0) {
		if (!(list[*n] = job_db_row(&q, err))) {
			rc = -1;
			break;
		}
		(*n)++;
	}
	dbq_close(&q);
	return rc;
}

static int list_instances(struct job_db *db, struct job **list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (job_db_row_instances(db, list[i], err) < 0)
			return -1;
	return 0;
}

int job_db_list(struct job_db *db, const struct job_filter *f, size_t limit, struct job ***ret_jobs, size_t *ret_n,
	struct err *err)
{
	struct job **list = NULL;
	struct where w;
	size_t n = 0;
	int rc;

	if (limit == 0 || limit > JOB_DB_LIMIT_MAX)
		return err_set(err, ERR_INPUT, "jobs: limit %zu is not within 1..%d", limit, JOB_DB_LIMIT_MAX);
	where_make(&w, JOB_DB_SELECT, f, err);
	where_sql(&w, " ORDER BY id DESC LIMIT ?");
	where_bind(&w, NULL, limit);
	if ((rc = w.rc) == 0 && !(list = calloc(limit, sizeof(*list))))
		rc = err_nomem(err);
	if (rc == 0 && (rc = job_db_enter(db, JOB_DB_READ, err)) == 0) {
		rc = list_read(db, &w, list, &n, err);
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = job_db_scopes_read(db, list[i], err);
		if (rc == 0 && !(f && f->brief))
			rc = list_instances(db, list, n, err);
		rc = job_db_leave(db, rc, err);
	}
	buf_done(&w.sql);
	if (rc < 0) {
		job_db_list_free(list, n);
		return -1;
	}
	*ret_jobs = list;
	*ret_n = n;
	return 0;
}

void job_db_list_free(struct job **jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		job_free(jobs[i]);
	free(jobs);
}

int job_db_count(struct job_db *db, const struct job_filter *f, uint64_t *ret, struct err *err)
{
	struct where w;
	struct dbq q;
	uint64_t n = 0;
	int rc = where_make(&w, "SELECT COUNT(*) FROM jobs", f, err);

	if (rc == 0 && (rc = job_db_enter(db, JOB_DB_READ, err)) == 0) {
		if ((rc = where_open(&w, &q, db)) == 0) {
			if ((rc = dbq_step(&q, err)) > 0)
				n = dbq_col_u64(&q);
			dbq_close(&q);
		}
		rc = job_db_leave(db, rc, err);
	}
	buf_done(&w.sql);
	if (rc < 0)
		return -1;
	*ret = n;
	return 0;
}

int job_db_heartbeat(struct job_db *db, const char *gateway, uint64_t now_ns, struct err *err)
{
	static const char sql[] =
		"UPDATE jobs SET heartbeat_at = ? WHERE gateway = ? AND state IN ('starting', 'running', 'finishing')";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_u64(&q, now_ns);
	dbq_text(&q, gateway);
	return job_db_leave(db, dbq_run(&q, err), err) < 0 ? -1 : 0;
}

int job_db_forget(struct job_db *db, uint64_t ended_before_ns, uint64_t *ret_n, struct err *err)
{
	/* one that never said when it ended is as old as its beginning */
	static const char sql[] =
		"DELETE FROM jobs WHERE state IN ('expired', 'purged', 'failed', 'killed', 'streamed')"
		" AND hold = '' AND NOT (state = 'killed' AND object_key <> '')"
		" AND CASE WHEN ended_at > 0 THEN ended_at ELSE created_at END < ?";
	struct dbq q;
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_u64(&q, ended_before_ns);
	n = dbq_run(&q, err);
	if (job_db_leave(db, n, err) < 0)
		return -1;
	if (ret_n)
		*ret_n = (uint64_t)n;
	return 0;
}
