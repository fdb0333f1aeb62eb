/* starts_db.h - what limits are reckoned from that must outlive the process: the starts of the last day, and what users and orgs have
 * stored.  As job_db.h: every function is one transaction, failures are ERR_IO (ERR_FULL when the disk is). */
#ifndef PCAPLINE_SCHEMA_STARTS_DB_H
#define PCAPLINE_SCHEMA_STARTS_DB_H

#include "schema/job_db.h"

/* Whose. */
enum starts_of { STARTS_OF_USER, STARTS_OF_ORG };

/* One more: of a user, and of each of these different orgs; 0: of none. */
struct starts_one {
	const char *job_id;
	const char *user; /* what the caller calls them here: nothing that names them, for no purge removes it */
	const char *const *orgs;
	size_t orgs_n;
	uint64_t at_ns;
};

int starts_db_add(struct job_db *db, const struct starts_one *s, struct err *err);
int starts_db_remove(struct job_db *db, const char *job_id, struct err *err); /* it does not count after all */
int starts_db_forget(struct job_db *db, uint64_t until_ns, struct err *err);  /* those at or before */

/* starts_db_count: how many after since_ns. */
int starts_db_count(
	struct job_db *db, enum starts_of of, const char *id, uint64_t since_ns, uint64_t *ret, struct err *err);

/* starts_db_at: when the oldest of them but `skip` was; 0: there are not so many. */
int starts_db_at(struct job_db *db, enum starts_of of, const char *id, uint64_t since_ns, uint64_t skip,
	uint64_t *ret_ns, struct err *err);

/* starts_db_stored: bytes of the objects that are there, and of what unfinished captures have for theirs so far; without those of the jobs in `except`.  Of an org
 * are the jobs with a target in it, in full; where no target lies in any, those that have it for their org. */
int starts_db_stored(struct job_db *db, enum starts_of of, const char *id, const char *const *except, size_t except_n,
	uint64_t *ret_bytes, struct err *err);

/* starts_db_next_expiry: when the next of the objects expires; 0: there is none. */
int starts_db_next_expiry(struct job_db *db, enum starts_of of, const char *id, uint64_t *ret_ns, struct err *err);

#endif
