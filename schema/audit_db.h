/* audit_db.h - the audit trail in the job database: what operators look through, and a second copy that the file is held against. */
#ifndef PCAPLINE_SCHEMA_AUDIT_DB_H
#define PCAPLINE_SCHEMA_AUDIT_DB_H

#include "schema/audit_record.h"
#include "schema/job_db.h"

/* All but record are there to look for; they say what record says. */
struct audit_row {
	uint64_t seq, at_ns;
	const char *action, *outcome, *user_id, *job_id;
	const char *record; /* the line without its end */
	const char *hash;
};

/* job_db_audit_add: also, when not NULL, is done within the transaction, so that what fails there is not in the database either.  When the commit fails after
 * it the caller has to take back what it did. */
int job_db_audit_add(struct job_db *db, const struct audit_row *r, int (*also)(void *ctx, struct err *err), void *ctx,
	struct err *err);

/* job_db_audit_last: the newest record; seq 0 and AUDIT_FIRST when there is none. */
int job_db_audit_last(struct job_db *db, uint64_t *ret_seq, char ret_hash[DIGEST_SHA256_HEX_MAX], struct err *err);

struct audit_filter {     /* NULL or 0: any */
	const char *user; /* id or name */
	const char *action, *outcome, *job;
	const char *org, *space, *app; /* of a scope */
	uint64_t since_ns, until_ns;   /* from, and before */
	uint64_t before_seq;           /* the cursor */
};

/* job_db_audit_list: records newest first, at most limit (1..1000); the caller frees each and the array. */
int job_db_audit_list(struct job_db *db, const struct audit_filter *f, size_t limit, char ***ret_records, size_t *ret_n,
	struct err *err);
void job_db_audit_list_free(char **records, size_t n);

/* job_db_audit_each: those with after < seq <= upto, in order; the database is not held while act runs, and the row only lives so long.  act's -1 ends it. */
int job_db_audit_each(struct job_db *db, uint64_t after, uint64_t upto,
	int (*act)(void *ctx, const struct audit_row *r, struct err *err), void *ctx, struct err *err);

/* job_db_audit_sweep: forgets older ones; the newest always stays, for the chain goes on from it. */
int job_db_audit_sweep(struct job_db *db, uint64_t before_ns, struct err *err);

#endif
