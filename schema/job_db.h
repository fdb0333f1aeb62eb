/* job_db.h - the job database: SQLite in WAL mode, versioned migrations, and the only code that speaks SQL.
 * One connection behind a mutex: every function may be called from any thread and is one transaction.
 * Failures are ERR_IO (ERR_FULL when the disk is) unless said otherwise. */
#ifndef PCAPLINE_SCHEMA_JOB_DB_H
#define PCAPLINE_SCHEMA_JOB_DB_H

#include "common/err.h"
#include "schema/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job_db;

/* Opens or creates (mode 0600) and migrates.  A file of a newer version, or none of ours, is refused untouched. */
struct job_db *job_db_open(const char *path, struct err *err);
void job_db_close(struct job_db *db);
int job_db_version(const struct job_db *db);
int job_db_check(struct job_db *db, struct err *err); /* a cheap read and write: is it usable? (readyz) */

/* ---- jobs ---- */
int job_db_insert(struct job_db *db, const struct job *j, struct err *err); /* with its instances */
int job_db_save(struct job_db *db, const struct job *j,
	struct err *err); /* all that can change, with its instances; ERR_NOT_FOUND */
struct job *job_db_get(struct job_db *db, const char *id, struct err *err); /* caller frees; ERR_NOT_FOUND */

struct job_filter {          /* NULL or 0: any */
	const char *user_id; /* owner's id or user name (exact) */
	const char *org, *space;
	/* Not NULL: only jobs of this owner (the id, no name) and, with shared_org other than "" or NULL, those of that org; with shared_space likewise
	 * of that space of it. */
	const char *visible_to, *shared_org, *shared_space;
	const char *job;        /* one id */
	const char *agent;      /* "host:port" or host of one of its instances' agents */
	const char *app;        /* target.app */
	const char *deployment; /* target.deployment */
	const char *group;      /* "cf/router", or a group of the inventory */
	const enum job_state *states;
	size_t states_n;
	uint64_t since_ns;          /* created at or after */
	uint64_t before_ns;         /* created before */
	uint64_t expires_before_ns; /* expires_at > 0 and before this */
	const char *gateway;        /* run by this gateway process */
	const char *not_gateway;    /* run by any other */
	const char *after_id;       /* newest first: ids smaller than this (the cursor) */
	bool with_object;           /* the record names an object */
	bool not_held;              /* no legal hold is on it */
	bool brief; /* job_db_list leaves the instances out: a page of large captures is many megabytes otherwise */
};

/* Newest first, at most limit (1..1000).  ret_jobs: array of *ret_n jobs, the caller frees each and the array. */
int job_db_list(struct job_db *db, const struct job_filter *f, size_t limit, struct job ***ret_jobs, size_t *ret_n,
	struct err *err);
void job_db_list_free(struct job **jobs, size_t n);
int job_db_count(struct job_db *db, const struct job_filter *f, uint64_t *ret, struct err *err);

int job_db_heartbeat(
	struct job_db *db, const char *gateway, uint64_t now_ns, struct err *err); /* all its unfinished jobs */

/* ---- events ---- */
struct job_event {
	uint64_t seq; /* 1.. per job, without gaps */
	uint64_t at_ns;
	char *type; /* "created", "instance_running", ... */
	char *data; /* JSON object text */
};
int job_db_event_add(struct job_db *db, const char *job_id, uint64_t at_ns, const char *type, const char *data_json,
	uint64_t *ret_seq, struct err *err);
int job_db_events(struct job_db *db, const char *job_id, uint64_t after_seq, size_t limit, struct job_event **ret,
	size_t *ret_n, struct err *err);
void job_db_events_free(struct job_event *e, size_t n);

/* ---- chunks of the spool: what was closed, and what the store has confirmed ---- */
struct job_chunk {
	uint32_t seq; /* 1.. */
	uint64_t bytes;
	bool stored;                        /* the store has it: the spool file may go */
	char sha256[DIGEST_SHA256_HEX_MAX]; /* of the chunk */
	char *part;                         /* what the driver needs to know again (an ETag, say), "" : nothing */
};
int job_db_chunk_put(
	struct job_db *db, const char *job_id, const struct job_chunk *c, struct err *err); /* insert or replace */
int job_db_chunks(
	struct job_db *db, const char *job_id, struct job_chunk **ret, size_t *ret_n, struct err *err); /* by seq */
void job_db_chunks_free(struct job_chunk *c, size_t n);
int job_db_chunks_delete(struct job_db *db, const char *job_id, struct err *err);

/* job_db_upload_set/get: what the driver must remember of a job's upload (an upload id), "" : nothing. */
int job_db_upload_set(struct job_db *db, const char *job_id, const char *text, struct err *err);
int job_db_upload_get(struct job_db *db, const char *job_id, char **ret, struct err *err);

/* ---- one-time links ---- */
int job_db_link_add(struct job_db *db, const char *nonce, const char *job_id, uint64_t expires_ns, struct err *err);
/* Uses it up: ERR_NOT_FOUND when unknown, used, or of another job.  Atomic: of two callers one wins. */
int job_db_link_use(struct job_db *db, const char *nonce, const char *job_id, struct err *err);
int job_db_links_delete(struct job_db *db, const char *job_id, struct err *err);
int job_db_links_sweep(struct job_db *db, uint64_t now_ns, struct err *err); /* forgets expired ones */

/* ---- legal hold ---- */
/* job_db_hold: text "" lifts it.  ERR_NOT_FOUND. */
int job_db_hold(struct job_db *db, const char *job_id, const char *text, struct err *err);

/* ---- old ends ---- */
/* job_db_delete: the job and all that hangs on it; it has ended.  ERR_NOT_FOUND: not there, or on hold. */
int job_db_delete(struct job_db *db, const char *job_id, struct err *err);

/* job_db_wipe: what was deleted is in no file of the database any more, its log neither. */
int job_db_wipe(struct job_db *db, struct err *err);

/* Removes jobs (and all that hangs on them) that ended in one of the states EXPIRED, PURGED, FAILED, KILLED, STREAMED before this time, but for those on hold
 * and those of which something is still to be erased. */
int job_db_forget(struct job_db *db, uint64_t ended_before_ns, uint64_t *ret_n, struct err *err);

#endif
