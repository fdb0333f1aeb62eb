/* job_db_internal.h - what the files of job_db share: the connection, transactions, and one statement's life.
 *
 * A public function is:  job_db_enter (lock, BEGIN) - statements - job_db_leave (COMMIT or ROLLBACK, unlock).
 * A statement is:        dbq_open - dbq_text, dbq_u64... in the order of the question marks - dbq_run, or dbq_step and dbq_col_... in the
 * order of the columns - dbq_close.  The first failure sticks, so a statement is bound and read straight through and tested once. */
#ifndef PCAPLINE_SCHEMA_JOB_DB_INTERNAL_H
#define PCAPLINE_SCHEMA_JOB_DB_INTERNAL_H

#include "schema/job_db.h"

#include <pthread.h>
#include <sqlite3.h>

#define JOB_DB_STATEMENTS_MAX 64 /* different constant statements kept prepared; the rest are made each time */

struct job_db {
	char *path;  /* fixed */
	int version; /* fixed */
	pthread_mutex_t lock;
	sqlite3 *sqlite; /* this and all below: under lock */
	struct {
		const char *sql; /* a literal: found again by its address */
		sqlite3_stmt *stmt;
	} kept[JOB_DB_STATEMENTS_MAX];
	size_t kept_n;
};

/* ---- transactions ---- */
enum job_db_access { JOB_DB_READ, JOB_DB_WRITE };
int job_db_enter(struct job_db *db, enum job_db_access access, struct err *err);
int job_db_leave(
	struct job_db *db, int rc, struct err *err); /* rc < 0: rolls back. Returns rc, or -1 when the commit failed */

/* Turns SQLite's last failure into err.  Returns -1. */
int job_db_fail(sqlite3 *sqlite, int sqlite_rc, struct err *err);

/* ---- statements ---- */
struct dbq {
	sqlite3 *sqlite;
	sqlite3_stmt *stmt;
	bool kept;    /* belongs to the job_db: reset, not finalised */
	int bound;    /* question marks so far */
	int column;   /* columns of this row so far */
	int rc;       /* first failure: SQLITE_OK so far */
	bool damaged; /* a column did not hold what we write */
};

void dbq_open(struct dbq *q, struct job_db *db, const char *sql_literal);
void dbq_open_once(struct dbq *q, sqlite3 *sqlite, const char *sql);
void dbq_text(struct dbq *q, const char *text); /* must live until dbq_close; NULL: "" */
void dbq_u64(struct dbq *q, uint64_t n);        /* SQL's integers end at 2^63-1, and so do ours */
void dbq_int(struct dbq *q, int64_t n);
int dbq_step(struct dbq *q, struct err *err); /* 1: a row, 0: no more, -1 */
void dbq_close(struct dbq *q);

/* A statement without rows, run and closed: how many rows it changed, or -1. */
int dbq_run(struct dbq *q, struct err *err);

char *dbq_col_text(struct dbq *q);                        /* new string */
void dbq_col_copy(struct dbq *q, char *ret, size_t size); /* into a field of fixed size */
const char *dbq_col_peek(struct dbq *q);                  /* valid until the next step */
uint64_t dbq_col_u64(struct dbq *q);
int64_t dbq_col_int(struct dbq *q);
int dbq_row_ok(struct dbq *q, struct err *err); /* 0, or -1 when a column of this row was wrong */

/* ---- rows of jobs ---- */

/* Followed by WHERE, ORDER BY...: what job_db_row reads. */
#define JOB_DB_SELECT                                                                                                  \
	"SELECT id, format, owner_user_id, owner_user_name, org, space, target, option_device, option_filter, "        \
	"option_snaplen,"                                                                                              \
	" option_max_duration_s, option_max_bytes, option_max_packets, option_payload, note, policy, hold, "           \
	"retention_s, created_at, mode, state, started_at, "                                                           \
	"ended_at,"                                                                                                    \
	" expires_at, stop_reason, stop_by, error_code, error, bytes, packets, dropped_kernel, dropped_interface, "    \
	"dropped_agent,"                                                                                               \
	" dropped_gateway, object_key, object_bytes, object_sha256, object_store, limited_by, gateway, heartbeat_at "  \
	"FROM jobs"

struct job *job_db_row(struct dbq *q, struct err *err);                      /* without its instances */
int job_db_row_instances(struct job_db *db, struct job *j, struct err *err); /* adds them */

/* Within the caller's transaction: job_db_insert, job_db_save. */
int job_db_write_new(struct job_db *db, const struct job *j, struct err *err);
int job_db_write_changed(struct job_db *db, const struct job *j, struct err *err);

/* ---- scopes (job_db_scopes.c) ---- */
int job_db_scopes_write(struct job_db *db, const struct job *j, struct err *err);
int job_db_scopes_read(struct job_db *db, struct job *j, struct err *err);

/* ---- migrations ---- */
extern const char *const job_db_migrations[]; /* [i] leads from version i to i + 1 */
extern const int job_db_migrations_n;

/* Empty: 0; ours: its version; else ERR_STATE.  Writes nothing. */
int job_db_examine(sqlite3 *sqlite, int *ret_version, struct err *err);

/* The first `upto` migrations, those that are missing, in one transaction. */
int job_db_migrate(sqlite3 *sqlite, int upto, struct err *err);

#endif
