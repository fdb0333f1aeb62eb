/* job_db_events.c - what happened to a job, in order, without gaps. */
#include "schema/job_db_internal.h"

#include <stdlib.h>

#define JOB_DB_EVENTS_LIMIT_MAX 10000

static int event_next_seq(struct job_db *db, const char *job_id, uint64_t *ret, struct err *err)
{
	static const char sql[] = "SELECT COALESCE(MAX(seq), 0) + 1 FROM events WHERE job_id = ?";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	if ((rc = dbq_step(&q, err)) > 0) {
		*ret = dbq_col_u64(&q);
		rc = dbq_row_ok(&q, err);
	}
	dbq_close(&q);
	return rc;
}

int job_db_event_add(struct job_db *db, const char *job_id, uint64_t at_ns, const char *type, const char *data_json,
	uint64_t *ret_seq, struct err *err)
{
	static const char sql[] = "INSERT INTO events (job_id, seq, at, type, data) VALUES (?, ?, ?, ?, ?)";
	struct dbq q;
	uint64_t seq = 0;
	int rc;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if ((rc = event_next_seq(db, job_id, &seq, err)) == 0) {
		dbq_open(&q, db, sql);
		dbq_text(&q, job_id);
		dbq_u64(&q, seq);
		dbq_u64(&q, at_ns);
		dbq_text(&q, type);
		dbq_text(&q, data_json);
		rc = dbq_run(&q, err);
	}
	if (job_db_leave(db, rc, err) < 0)
		return -1;
	if (ret_seq)
		*ret_seq = seq;
	return 0;
}

static int events_read(struct job_db *db, const char *job_id, uint64_t after_seq, size_t limit, struct job_event *list,
	size_t *n, struct err *err)
{
	static const char sql[] =
		"SELECT seq, at, type, data FROM events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	dbq_u64(&q, after_seq);
	dbq_u64(&q, limit);
	while ((rc = dbq_step(&q, err)) > 0) {
		struct job_event *e = &list[(*n)++];

		e->seq = dbq_col_u64(&q);
		e->at_ns = dbq_col_u64(&q);
		e->type = dbq_col_text(&q);
		e->data = dbq_col_text(&q);
		if ((rc = dbq_row_ok(&q, err)) < 0)
			break;
	}
	dbq_close(&q);
	return rc;
}

int job_db_events(struct job_db *db, const char *job_id, uint64_t after_seq, size_t limit, struct job_event **ret,
	size_t *ret_n, struct err *err)
{
	struct job_event *list;
	size_t n = 0;
	int rc;

	if (limit == 0 || limit > JOB_DB_EVENTS_LIMIT_MAX)
		return err_set(err, ERR_INPUT, "events: limit %zu is not within 1..%d", limit, JOB_DB_EVENTS_LIMIT_MAX);
	if (!(list = calloc(limit, sizeof(*list))))
		return err_nomem(err);
	if ((rc = job_db_enter(db, JOB_DB_READ, err)) == 0)
		rc = job_db_leave(db, events_read(db, job_id, after_seq, limit, list, &n, err), err);
	if (rc < 0) {
		job_db_events_free(list, n);
		return -1;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

void job_db_events_free(struct job_event *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(e[i].type);
		free(e[i].data);
	}
	free(e);
}
