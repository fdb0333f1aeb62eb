/* switches_db.h - what operators, and developers of their own, have switched for a scope: rows of the job database.  What a row means when a capture starts is the gateway's
 * (gateway/policy/policy.h); here it is only kept, one row for each scope and level. */
#ifndef PCAPLINE_SCHEMA_SWITCHES_DB_H
#define PCAPLINE_SCHEMA_SWITCHES_DB_H

#include "schema/job_db.h"
#include "schema/scope.h"

#include <jansson.h>

#define SWITCH_REASON_MAX 400   /* bytes */
#define SWITCH_WHO_MAX    300   /* of a user's id */
#define SWITCHES_MAX      10000 /* rows: all are held in memory, about 2.5 KiB each */

/* Operators have two for a scope: one that stays, and one for a time, which leaves the other as it is. */
enum switch_level { SWITCH_OPERATOR, SWITCH_TEMPORARY, SWITCH_DEVELOPER };
enum switch_word { SWITCH_SILENT, SWITCH_ALLOW, SWITCH_FORBID };

struct switch_row {
	enum scope_kind kind;
	char id[SCOPE_GROUP_MAX]; /* "" of SCOPE_PLATFORM only */
	enum switch_level level;
	enum switch_word capture, storage;
	uint32_t snaplen;                           /* 0: none is forced */
	bool headers_only, approval;                /* forced; needed */
	char filter[CAPTURE_FORCED_FILTER_MAX + 1]; /* "" : none is forced */
	uint64_t retention_s, retention_max_s;      /* 0: none of its own */
	char reason[SWITCH_REASON_MAX + 1];         /* never "" */
	char set_by[SWITCH_WHO_MAX + 1];
	uint64_t set_at, expires_at; /* wall ns; expires_at 0: never, and always so but for SWITCH_TEMPORARY */
};

/* job_db_switch_put: insert or replace.  job_db_switch_delete: ERR_NOT_FOUND. */
int job_db_switch_put(struct job_db *db, const struct switch_row *r, struct err *err);
int job_db_switch_delete(
	struct job_db *db, enum scope_kind kind, const char *id, enum switch_level level, struct err *err);

/* job_db_switches: all, in no order; the caller frees *ret. */
int job_db_switches(struct job_db *db, struct switch_row **ret, size_t *ret_n, struct err *err);

const char *switch_level_name(enum switch_level l); /* "operator", "temporary", "developer" */
const char *switch_word_name(enum switch_word w);   /* "", "allow", "forbid" */

/* switch_row_to_json: as the API shows it; NULL: no memory. */
json_t *switch_row_to_json(const struct switch_row *r);

#endif
