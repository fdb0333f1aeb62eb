/* switches_db.c - rows of the table "switches", and how they look in JSON. */
#include "schema/switches_db.h"

#include "common/clock.h"
#include "schema/job_db_internal.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD_HEADERS   "headers"
#define APPROVAL_REQUIRED "required"

static const char *const levels[] = {
	[SWITCH_OPERATOR] = "operator", [SWITCH_TEMPORARY] = "temporary", [SWITCH_DEVELOPER] = "developer"};
static const char *const words[] = {[SWITCH_SILENT] = "", [SWITCH_ALLOW] = "allow", [SWITCH_FORBID] = "forbid"};

const char *switch_level_name(enum switch_level l)
{
	return levels[l];
}

const char *switch_word_name(enum switch_word w)
{
	return words[w];
}

/* ---- writing ---- */

static void bind_scope(struct dbq *q, enum scope_kind kind, const char *id, enum switch_level level)
{
	dbq_text(q, scope_kind_name(kind));
	dbq_text(q, id);
	dbq_text(q, levels[level]);
}

static int delete_row(struct job_db *db, enum scope_kind kind, const char *id, enum switch_level level, struct err *err)
{
	static const char sql[] = "DELETE FROM switches WHERE kind = ? AND id = ? AND level = ?";
	struct dbq q;

	dbq_open(&q, db, sql);
	bind_scope(&q, kind, id, level);
	return dbq_run(&q, err);
}

static int insert_row(struct job_db *db, const struct switch_row *r, struct err *err)
{
	static const char sql[] = "INSERT INTO switches (kind, id, level, capture, storage, snaplen, payload, filter, "
				  "approval, retention_s, retention_max_s, reason, set_by, set_at, expires_at) VALUES "
				  "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	struct dbq q;

	dbq_open(&q, db, sql);
	bind_scope(&q, r->kind, r->id, r->level);
	dbq_text(&q, words[r->capture]);
	dbq_text(&q, words[r->storage]);
	dbq_u64(&q, r->snaplen);
	dbq_text(&q, r->headers_only ? PAYLOAD_HEADERS : "");
	dbq_text(&q, r->filter);
	dbq_text(&q, r->approval ? APPROVAL_REQUIRED : "");
	dbq_u64(&q, r->retention_s);
	dbq_u64(&q, r->retention_max_s);
	dbq_text(&q, r->reason);
	dbq_text(&q, r->set_by);
	dbq_u64(&q, r->set_at);
	dbq_u64(&q, r->expires_at);
	return dbq_run(&q, err);
}

int job_db_switch_put(struct job_db *db, const struct switch_row *r, struct err *err)
{
	int rc;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if ((rc = delete_row(db, r->kind, r->id, r->level, err)) >= 0)
		rc = insert_row(db, r, err);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

int job_db_switch_delete(
	struct job_db *db, enum scope_kind kind, const char *id, enum switch_level level, struct err *err)
{
	int n;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	if ((n = delete_row(db, kind, id, level, err)) == 0)
		n = err_set(err, ERR_NOT_FOUND, "no switch of that scope in the database");
	return job_db_leave(db, n, err) < 0 ? -1 : 0;
}

/* ---- reading ---- */

/* Which of n names the next column is. */
static unsigned col_name(struct dbq *q, const char *const *names, size_t n)
{
	const char *name = dbq_col_peek(q);

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	q->damaged = true;
	return 0;
}

static void row_read(struct dbq *q, struct switch_row *r)
{
	if (!scope_kind_parse(dbq_col_peek(q), &r->kind))
		q->damaged = true;
	dbq_col_copy(q, r->id, sizeof(r->id));
	r->level = (enum switch_level)col_name(q, levels, sizeof(levels) / sizeof(*levels));
	r->capture = (enum switch_word)col_name(q, words, 3);
	r->storage = (enum switch_word)col_name(q, words, 3);
	r->snaplen = (uint32_t)dbq_col_u64(q);
	r->headers_only = strcmp(dbq_col_peek(q), PAYLOAD_HEADERS) == 0;
	dbq_col_copy(q, r->filter, sizeof(r->filter));
	r->approval = strcmp(dbq_col_peek(q), APPROVAL_REQUIRED) == 0;
	r->retention_s = dbq_col_u64(q);
	r->retention_max_s = dbq_col_u64(q);
	dbq_col_copy(q, r->reason, sizeof(r->reason));
	dbq_col_copy(q, r->set_by, sizeof(r->set_by));
	r->set_at = dbq_col_u64(q);
	r->expires_at = dbq_col_u64(q);
}

static int rows_count(struct job_db *db, size_t *ret, struct err *err)
{
	static const char sql[] = "SELECT COUNT(*) FROM switches";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	if ((rc = dbq_step(&q, err)) > 0)
		*ret = (size_t)dbq_col_u64(&q);
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

static int rows_read(struct job_db *db, struct switch_row *list, size_t most, size_t *n, struct err *err)
{
	static const char sql[] = "SELECT kind, id, level, capture, storage, snaplen, payload, filter, approval, "
				  "retention_s, retention_max_s, reason, set_by, set_at, expires_at FROM switches";
	struct dbq q;
	int rc = 0;

	dbq_open(&q, db, sql);
	while (*n < most && (rc = dbq_step(&q, err)) > 0) {
		row_read(&q, &list[(*n)++]);
		if ((rc = dbq_row_ok(&q, err)) < 0)
			break;
	}
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

int job_db_switches(struct job_db *db, struct switch_row **ret, size_t *ret_n, struct err *err)
{
	struct switch_row *list = NULL;
	size_t most = 0, n = 0;
	int rc;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	rc = rows_count(db, &most, err);
	if (rc == 0 && !(list = calloc(most + 1, sizeof(*list))))
		rc = err_nomem(err);
	if (rc == 0)
		rc = rows_read(db, list, most, &n, err);
	if (job_db_leave(db, rc, err) < 0) {
		free(list);
		return -1;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

/* ---- JSON ---- */

static json_t *word_json(const char *word)
{
	return word[0] ? json_string(word) : json_null();
}

static json_t *number_json(uint64_t n)
{
	return n > 0 ? json_integer((json_int_t)n) : json_null();
}

static json_t *time_json(uint64_t wall_ns)
{
	char text[CLOCK_TEXT_MAX];

	return wall_ns ? json_string(clock_rfc3339(wall_ns, text)) : json_null();
}

json_t *switch_row_to_json(const struct switch_row *r)
{
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o}", "scope",
		scope_kind_name(r->kind), "id", word_json(r->id), "level", levels[r->level], "capture",
		word_json(words[r->capture]), "storage", word_json(words[r->storage]), "snaplen",
		number_json(r->snaplen), "payload", word_json(r->headers_only ? PAYLOAD_HEADERS : ""), "filter",
		word_json(r->filter), "approval", word_json(r->approval ? APPROVAL_REQUIRED : ""), "retention_s",
		number_json(r->retention_s), "retention_max_s", number_json(r->retention_max_s), "reason", r->reason,
		"set_by", r->set_by, "set_at", time_json(r->set_at), "expires_at", time_json(r->expires_at));
}
