/* job_db.c - the database file: opening, transactions, statements. */
#include "schema/job_db_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOB_DB_BUSY_MS 5000

int job_db_fail(sqlite3 *sqlite, int sqlite_rc, struct err *err)
{
	const char *says = sqlite ? sqlite3_errmsg(sqlite) : sqlite3_errstr(sqlite_rc);
	int sys = sqlite ? sqlite3_system_errno(sqlite) : 0;

	switch (sqlite_rc & 0xff) {
	case SQLITE_FULL:
		return err_set(err, ERR_FULL, "job database: %s", says);
	case SQLITE_NOMEM:
		return err_nomem(err);
	case SQLITE_IOERR:
		/* the write-ahead index grows by other calls than the file, which SQLite does not report as "full" */
		if (sys == ENOSPC || sys == EDQUOT)
			return err_set(err, ERR_FULL, "job database: %s", strerror(sys));
		break;
	case SQLITE_CONSTRAINT:
		if (sqlite_rc == SQLITE_CONSTRAINT_FOREIGNKEY)
			return err_set(err, ERR_NOT_FOUND, "no such job in the database");
		if (sqlite_rc == SQLITE_CONSTRAINT_PRIMARYKEY || sqlite_rc == SQLITE_CONSTRAINT_UNIQUE)
			return err_set(err, ERR_STATE, "job database: already there: %s", says);
		break;
	}
	return err_set(err, ERR_IO, "job database: %s", says);
}

/* ---- statements ---- */

void dbq_open_once(struct dbq *q, sqlite3 *sqlite, const char *sql)
{
	*q = (struct dbq){.sqlite = sqlite};
	q->rc = sqlite3_prepare_v2(sqlite, sql, -1, &q->stmt, NULL);
}

void dbq_open(struct dbq *q, struct job_db *db, const char *sql_literal)
{
	for (size_t i = 0; i < db->kept_n; i++) {
		if (db->kept[i].sql == sql_literal) {
			*q = (struct dbq){.sqlite = db->sqlite, .stmt = db->kept[i].stmt, .kept = true};
			return;
		}
	}
	dbq_open_once(q, db->sqlite, sql_literal);
	if (q->rc == SQLITE_OK && db->kept_n < JOB_DB_STATEMENTS_MAX) {
		db->kept[db->kept_n].sql = sql_literal;
		db->kept[db->kept_n++].stmt = q->stmt;
		q->kept = true;
	}
}

void dbq_text(struct dbq *q, const char *text)
{
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_bind_text(q->stmt, ++q->bound, text ? text : "", -1, SQLITE_STATIC);
}

void dbq_int(struct dbq *q, int64_t n)
{
	if (q->rc == SQLITE_OK)
		q->rc = sqlite3_bind_int64(q->stmt, ++q->bound, n);
}

void dbq_u64(struct dbq *q, uint64_t n)
{
	dbq_int(q, n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

int dbq_step(struct dbq *q, struct err *err)
{
	if (q->rc == SQLITE_OK) {
		int rc = sqlite3_step(q->stmt);

		q->column = 0;
		if (rc == SQLITE_ROW)
			return 1;
		if (rc == SQLITE_DONE)
			return 0;
		q->rc = rc;
	}
	return job_db_fail(q->sqlite, q->rc, err);
}

void dbq_close(struct dbq *q)
{
	if (q->kept) {
		sqlite3_reset(q->stmt);
		sqlite3_clear_bindings(q->stmt);
	} else {
		sqlite3_finalize(q->stmt);
	}
	q->stmt = NULL;
}

int dbq_run(struct dbq *q, struct err *err)
{
	int rc = dbq_step(q, err);

	if (rc == 0)
		rc = sqlite3_changes(q->sqlite);
	dbq_close(q);
	return rc;
}

const char *dbq_col_peek(struct dbq *q)
{
	const char *text = (const char *)sqlite3_column_text(q->stmt, q->column++);

	if (!text)
		q->damaged = true; /* every column of ours is NOT NULL (or memory ran out) */
	return text ? text : "";
}

char *dbq_col_text(struct dbq *q)
{
	char *copy = strdup(dbq_col_peek(q));

	if (!copy && q->rc == SQLITE_OK)
		q->rc = SQLITE_NOMEM;
	return copy;
}

void dbq_col_copy(struct dbq *q, char *ret, size_t size)
{
	const char *text = dbq_col_peek(q);
	size_t n = strlen(text);

	if (n >= size) {
		q->damaged = true;
		n = 0;
	}
	memcpy(ret, text, n);
	ret[n] = '\0';
}

int64_t dbq_col_int(struct dbq *q)
{
	return sqlite3_column_int64(q->stmt, q->column++);
}

uint64_t dbq_col_u64(struct dbq *q)
{
	int64_t n = dbq_col_int(q);

	if (n < 0)
		q->damaged = true;
	return n < 0 ? 0 : (uint64_t)n;
}

int dbq_row_ok(struct dbq *q, struct err *err)
{
	if (q->rc != SQLITE_OK)
		return q->rc == SQLITE_NOMEM ? err_nomem(err) : job_db_fail(q->sqlite, q->rc, err);
	if (q->damaged)
		return err_set(err, ERR_IO, "job database: a row holds what this program never writes");
	return 0;
}

/* ---- transactions ---- */

static int job_db_say(struct job_db *db, const char *sql_literal, struct err *err)
{
	struct dbq q;

	dbq_open(&q, db, sql_literal);
	return dbq_run(&q, err) < 0 ? -1 : 0;
}

int job_db_enter(struct job_db *db, enum job_db_access access, struct err *err)
{
	static const char read[] = "BEGIN", write[] = "BEGIN IMMEDIATE";
	int rc = pthread_mutex_lock(&db->lock);

	if (rc)
		return err_sys(err, rc, "job database: lock");
	if (job_db_say(db, access == JOB_DB_WRITE ? write : read, err) < 0) {
		pthread_mutex_unlock(&db->lock);
		return -1;
	}
	return 0;
}

int job_db_leave(struct job_db *db, int rc, struct err *err)
{
	static const char commit[] = "COMMIT", rollback[] = "ROLLBACK";

	if (rc >= 0 && job_db_say(db, commit, err) < 0)
		rc = -1;
	/* a full disk may have ended the transaction already */
	if (rc < 0 && !sqlite3_get_autocommit(db->sqlite))
		job_db_say(db, rollback, NULL);
	pthread_mutex_unlock(&db->lock);
	return rc;
}

/* ---- opening ---- */

/* SQLite would make the file readable by others; its -wal and -shm take over the mode of the file. */
static int job_db_create(const char *path, struct err *err)
{
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno != EEXIST)
		return err_sys(err, errno, "%s", path);
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "%s is not a regular file", path);
	return 0;
}

static int job_db_pragma(sqlite3 *sqlite, const char *sql, const char *expect, struct err *err)
{
	struct dbq q;
	int rc;

	dbq_open_once(&q, sqlite, sql);
	rc = dbq_step(&q, err);
	if (rc > 0 && expect) {
		const char *got = dbq_col_peek(&q);

		if (strcmp(got, expect))
			rc = err_set(err, ERR_IO, "job database: \"%s\" gave \"%s\"", sql, got);
	}
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

static int job_db_start(struct job_db *db, struct err *err)
{
	int version = 0;

	/* Until the file is known to be ours nothing may change it, not even the checkpoint at close. */
	if (sqlite3_extended_result_codes(db->sqlite, 1) != SQLITE_OK ||
		sqlite3_busy_timeout(db->sqlite, JOB_DB_BUSY_MS) != SQLITE_OK ||
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK ||
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) != SQLITE_OK)
		return err_set(err, ERR_INTERNAL, "job database: SQLite refuses its settings");
	if (job_db_examine(db->sqlite, &version, err) < 0)
		return -1;
	if (sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL) != SQLITE_OK)
		return err_set(err, ERR_INTERNAL, "job database: SQLite refuses its settings");
	if (job_db_pragma(db->sqlite, "PRAGMA journal_mode = WAL", "wal", err) < 0 ||
		job_db_pragma(db->sqlite, "PRAGMA synchronous = NORMAL", NULL, err) < 0 ||
		job_db_pragma(db->sqlite, "PRAGMA foreign_keys = ON", NULL, err) < 0 ||
		/* What is deleted is overwritten: it may be what somebody asked to have erased. */
		job_db_pragma(db->sqlite, "PRAGMA secure_delete = ON", NULL, err) < 0 ||
		job_db_migrate(db->sqlite, job_db_migrations_n, err) < 0)
		return -1;
	db->version = job_db_migrations_n;
	return 0;
}

struct job_db *job_db_open(const char *path, struct err *err)
{
	struct job_db *db = calloc(1, sizeof(*db));
	int rc;

	if (!db) {
		err_nomem(err);
		return NULL;
	}
	if ((rc = pthread_mutex_init(&db->lock, NULL))) {
		err_sys(err, rc, "job database: lock");
		free(db);
		return NULL;
	}
	if (!(db->path = strdup(path))) {
		err_nomem(err);
		goto fail;
	}
	if (job_db_create(path, err) < 0)
		goto fail;
	rc = sqlite3_open_v2(
		path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	if (rc != SQLITE_OK) {
		job_db_fail(db->sqlite, rc, err);
		err_in(err, "%s", path);
		goto fail;
	}
	if (job_db_start(db, err) < 0) {
		err_in(err, "%s", path);
		goto fail;
	}
	return db;
fail:
	job_db_close(db);
	return NULL;
}

void job_db_close(struct job_db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < db->kept_n; i++)
		sqlite3_finalize(db->kept[i].stmt);
	sqlite3_close(db->sqlite);
	pthread_mutex_destroy(&db->lock);
	free(db->path);
	free(db);
}

int job_db_version(const struct job_db *db)
{
	return db->version;
}

int job_db_check(struct job_db *db, struct err *err)
{
	static const char sql[] = "UPDATE schema_version SET version = version WHERE version = ?";
	struct dbq q;
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_int(&q, db->version);
	n = dbq_run(&q, err);
	if (n == 0)
		n = err_set(err, ERR_STATE, "job database: no longer of version %d: another program has changed it",
			db->version);
	return job_db_leave(db, n < 0 ? -1 : 0, err);
}
