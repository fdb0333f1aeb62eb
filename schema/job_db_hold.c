/* job_db_hold.c - what must not be erased, and what is to be as if it had never been. */
#include "schema/job_db_internal.h"

int job_db_hold(struct job_db *db, const char *job_id, const char *text, struct err *err)
{
	static const char sql[] = "UPDATE jobs SET hold = ? WHERE id = ?";
	struct dbq q;
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, text);
	dbq_text(&q, job_id);
	if ((n = dbq_run(&q, err)) == 0)
		n = err_set(err, ERR_NOT_FOUND, "no job %s in the database", job_id);
	return job_db_leave(db, n, err) < 0 ? -1 : 0;
}

/* Here and not before: a hold that came a moment ago counts. */
int job_db_delete(struct job_db *db, const char *job_id, struct err *err)
{
	static const char sql[] = "DELETE FROM jobs WHERE id = ? AND hold = ''";
	struct dbq q;
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	if ((n = dbq_run(&q, err)) == 0)
		n = err_set(err, ERR_NOT_FOUND, "job %s is not in the database any more, or on hold", job_id);
	return job_db_leave(db, n, err) < 0 ? -1 : 0;
}

/* Readers hold the log only for the moment of a transaction, and all of ours take db->lock. */
int job_db_wipe(struct job_db *db, struct err *err)
{
	int rc;

	pthread_mutex_lock(&db->lock);
	rc = sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (rc != SQLITE_OK)
		job_db_fail(db->sqlite, rc, err);
	pthread_mutex_unlock(&db->lock);
	return rc == SQLITE_OK ? 0 : -1;
}
