/* job_db_chunks.c - what the spool and the store know of a job's bytes, and its one-time links. */
#include "schema/job_db_internal.h"

#include <stdlib.h>

static int job_missing(const char *job_id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no job %s in the database", job_id);
}

/* One statement with the job's id as its only value, as a transaction of its own. */
static int run_for_job(struct job_db *db, const char *sql_literal, const char *job_id, struct err *err)
{
	struct dbq q;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql_literal);
	dbq_text(&q, job_id);
	return job_db_leave(db, dbq_run(&q, err), err) < 0 ? -1 : 0;
}

/* ---- chunks ---- */

static int chunk_write(
	struct job_db *db, const char *sql_literal, const char *job_id, const struct job_chunk *c, struct err *err)
{
	struct dbq q;

	dbq_open(&q, db, sql_literal);
	dbq_u64(&q, c->bytes);
	dbq_int(&q, c->stored);
	dbq_text(&q, c->sha256);
	dbq_text(&q, c->part);
	dbq_text(&q, job_id);
	dbq_u64(&q, c->seq);
	return dbq_run(&q, err);
}

int job_db_chunk_put(struct job_db *db, const char *job_id, const struct job_chunk *c, struct err *err)
{
	static const char update[] =
		"UPDATE chunks SET bytes = ?, stored = ?, sha256 = ?, part = ? WHERE job_id = ? AND seq = ?";
	static const char insert[] =
		"INSERT INTO chunks (bytes, stored, sha256, part, job_id, seq) VALUES (?, ?, ?, ?, ?, ?)";
	int rc;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if ((rc = chunk_write(db, update, job_id, c, err)) == 0)
		rc = chunk_write(db, insert, job_id, c, err);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

static int chunks_count(struct job_db *db, const char *job_id, size_t *ret, struct err *err)
{
	static const char sql[] = "SELECT COUNT(*) FROM chunks WHERE job_id = ?";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	if ((rc = dbq_step(&q, err)) > 0)
		*ret = (size_t)dbq_col_u64(&q);
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

static int chunks_read(
	struct job_db *db, const char *job_id, struct job_chunk *list, size_t most, size_t *n, struct err *err)
{
	static const char sql[] = "SELECT seq, bytes, stored, sha256, part FROM chunks WHERE job_id = ? ORDER BY seq";
	struct dbq q;
	int rc = 0;

	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	while (*n < most && (rc = dbq_step(&q, err)) > 0) {
		struct job_chunk *c = &list[(*n)++];

		c->seq = (uint32_t)dbq_col_u64(&q);
		c->bytes = dbq_col_u64(&q);
		c->stored = dbq_col_int(&q) != 0;
		dbq_col_copy(&q, c->sha256, sizeof(c->sha256));
		c->part = dbq_col_text(&q);
		if ((rc = dbq_row_ok(&q, err)) < 0)
			break;
	}
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

int job_db_chunks(struct job_db *db, const char *job_id, struct job_chunk **ret, size_t *ret_n, struct err *err)
{
	struct job_chunk *list = NULL;
	size_t most = 0, n = 0;
	int rc;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	rc = chunks_count(db, job_id, &most, err);
	if (rc == 0 && !(list = calloc(most + 1, sizeof(*list))))
		rc = err_nomem(err);
	if (rc == 0)
		rc = chunks_read(db, job_id, list, most, &n, err);
	if (job_db_leave(db, rc, err) < 0) {
		job_db_chunks_free(list, n);
		return -1;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

void job_db_chunks_free(struct job_chunk *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(c[i].part);
	free(c);
}

int job_db_chunks_delete(struct job_db *db, const char *job_id, struct err *err)
{
	static const char sql[] = "DELETE FROM chunks WHERE job_id = ?";

	return run_for_job(db, sql, job_id, err);
}

/* ---- uploads ---- */

int job_db_upload_set(struct job_db *db, const char *job_id, const char *text, struct err *err)
{
	static const char sql[] = "UPDATE jobs SET upload = ? WHERE id = ?";
	struct dbq q;
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, text);
	dbq_text(&q, job_id);
	if ((n = dbq_run(&q, err)) == 0)
		n = job_missing(job_id, err);
	return job_db_leave(db, n, err) < 0 ? -1 : 0;
}

int job_db_upload_get(struct job_db *db, const char *job_id, char **ret, struct err *err)
{
	static const char sql[] = "SELECT upload FROM jobs WHERE id = ?";
	struct dbq q;
	char *text = NULL;
	int rc;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, job_id);
	if ((rc = dbq_step(&q, err)) > 0) {
		text = dbq_col_text(&q);
		rc = dbq_row_ok(&q, err);
	} else if (rc == 0) {
		rc = job_missing(job_id, err);
	}
	dbq_close(&q);
	if (job_db_leave(db, rc, err) < 0) {
		free(text);
		return -1;
	}
	*ret = text;
	return 0;
}

/* ---- one-time links ---- */

int job_db_link_add(struct job_db *db, const char *nonce, const char *job_id, uint64_t expires_ns, struct err *err)
{
	static const char sql[] = "INSERT INTO links (nonce, job_id, expires_at) VALUES (?, ?, ?)";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, nonce);
	dbq_text(&q, job_id);
	dbq_u64(&q, expires_ns);
	return job_db_leave(db, dbq_run(&q, err), err) < 0 ? -1 : 0;
}

/* The row is the right to one download: who deletes it has it, and one DELETE succeeds. */
int job_db_link_use(struct job_db *db, const char *nonce, const char *job_id, struct err *err)
{
	static const char sql[] = "DELETE FROM links WHERE nonce = ? AND job_id = ?";
	struct dbq q;
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_text(&q, nonce);
	dbq_text(&q, job_id);
	if ((n = dbq_run(&q, err)) == 0)
		n = err_set(err, ERR_NOT_FOUND, "this link was used before, or never made");
	return job_db_leave(db, n, err) < 0 ? -1 : 0;
}

int job_db_links_delete(struct job_db *db, const char *job_id, struct err *err)
{
	static const char sql[] = "DELETE FROM links WHERE job_id = ?";

	return run_for_job(db, sql, job_id, err);
}

int job_db_links_sweep(struct job_db *db, uint64_t now_ns, struct err *err)
{
	static const char sql[] = "DELETE FROM links WHERE expires_at <= ?";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_u64(&q, now_ns);
	return job_db_leave(db, dbq_run(&q, err), err) < 0 ? -1 : 0;
}
