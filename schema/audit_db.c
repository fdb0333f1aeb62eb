#include "schema/audit_db.h"

#include "common/fs.h"
#include "schema/job_db_internal.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_MAX 1000
#define PAGE      256

static int insert(struct job_db *db, const struct audit_row *r, struct err *err)
{
	static const char sql[] = "INSERT INTO audit (seq, at, action, outcome, user_id, job_id, record, hash) VALUES "
				  "(?, ?, ?, ?, ?, ?, ?, ?)";
	struct dbq q;

	dbq_open(&q, db, sql);
	dbq_u64(&q, r->seq);
	dbq_u64(&q, r->at_ns);
	dbq_text(&q, r->action);
	dbq_text(&q, r->outcome);
	dbq_text(&q, r->user_id);
	dbq_text(&q, r->job_id);
	dbq_text(&q, r->record);
	dbq_text(&q, r->hash);
	return dbq_run(&q, err) < 0 ? -1 : 0;
}

int job_db_audit_add(struct job_db *db, const struct audit_row *r, int (*also)(void *ctx, struct err *err), void *ctx,
	struct err *err)
{
	int rc;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	rc = insert(db, r, err);
	if (rc == 0 && also)
		rc = also(ctx, err);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

int job_db_audit_last(struct job_db *db, uint64_t *ret_seq, char ret_hash[DIGEST_SHA256_HEX_MAX], struct err *err)
{
	static const char sql[] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
	char hash[DIGEST_SHA256_HEX_MAX] = AUDIT_FIRST;
	uint64_t seq = 0;
	struct dbq q;
	int rc;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	if ((rc = dbq_step(&q, err)) > 0) {
		seq = dbq_col_u64(&q);
		dbq_col_copy(&q, hash, sizeof(hash));
		rc = dbq_row_ok(&q, err);
	}
	dbq_close(&q);
	if (job_db_leave(db, rc, err) < 0)
		return -1;
	*ret_seq = seq;
	memcpy(ret_hash, hash, sizeof(hash));
	return 0;
}

/* ---- looking through ---- */

/* `"key":"value"` as it stands in a record: within a text no quote stands without a backslash, so only a member is found so.  "" : any. */
static char *member(const char *key, const char *value, struct err *err)
{
	json_t *text;
	char *quoted, *ret = NULL;

	if (!value)
		return strdup("");
	text = json_string(value);
	quoted = text ? json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
	if (!quoted || !(ret = fs_path("\"%s\":%s", key, quoted)))
		err_nomem(err);
	free(quoted);
	json_decref(text);
	return ret;
}

static void bind_twice(struct dbq *q, const char *text)
{
	dbq_text(q, text);
	dbq_text(q, text);
}

static int list_read(struct job_db *db, const struct audit_filter *f, char *const members[4], size_t limit, char **list,
	size_t *n, struct err *err)
{
	static const char sql[] =
		"SELECT record FROM audit WHERE (? = 0 OR seq < ?) AND at >= ? AND (? = 0 OR at < ?)"
		" AND (? = '' OR action = ?) AND (? = '' OR outcome = ?) AND (? = '' OR job_id = ?)"
		" AND (? = '' OR user_id = ? OR instr(record, ?) > 0)"
		" AND (? = '' OR instr(record, ?) > 0) AND (? = '' OR instr(record, ?) > 0) AND (? = '' OR "
		"instr(record, ?) > 0)"
		" ORDER BY seq DESC LIMIT ?";
	struct dbq q;
	int rc;

	dbq_open(&q, db, sql);
	dbq_u64(&q, f->before_seq);
	dbq_u64(&q, f->before_seq);
	dbq_u64(&q, f->since_ns);
	dbq_u64(&q, f->until_ns);
	dbq_u64(&q, f->until_ns);
	bind_twice(&q, f->action);
	bind_twice(&q, f->outcome);
	bind_twice(&q, f->job);
	bind_twice(&q, f->user);
	dbq_text(&q, members[0]);
	for (size_t i = 1; i < 4; i++)
		bind_twice(&q, members[i]);
	dbq_u64(&q, limit);
	while ((rc = dbq_step(&q, err)) > 0 && *n < limit) {
		list[(*n)++] = dbq_col_text(&q);
		if ((rc = dbq_row_ok(&q, err)) < 0)
			break;
	}
	dbq_close(&q);
	return rc < 0 ? -1 : 0;
}

int job_db_audit_list(struct job_db *db, const struct audit_filter *f, size_t limit, char ***ret_records, size_t *ret_n,
	struct err *err)
{
	char *members[4] = {member("user_name", f->user, err), member("org", f->org, err),
		member("space", f->space, err), member("app", f->app, err)};
	char **list = NULL;
	size_t n = 0;
	int rc = -1;

	if (limit == 0 || limit > LIMIT_MAX) {
		err_set(err, ERR_INPUT, "audit: limit %zu is not within 1..%d", limit, LIMIT_MAX);
		goto out;
	}
	if (!members[0] || !members[1] || !members[2] || !members[3] || !(list = calloc(limit, sizeof(*list)))) {
		rc = err_nomem(err);
		goto out;
	}
	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		goto out;
	rc = list_read(db, f, members, limit, list, &n, err);
	rc = job_db_leave(db, rc, err);
out:
	for (size_t i = 0; i < 4; i++)
		free(members[i]);
	if (rc < 0) {
		job_db_audit_list_free(list, n);
		return -1;
	}
	*ret_records = list;
	*ret_n = n;
	return 0;
}

void job_db_audit_list_free(char **records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(records[i]);
	free(records);
}

/* ---- all of them ---- */

struct page {
	struct {
		uint64_t seq, at_ns;
		char *text[6];
	} rows[PAGE];
	size_t n;
};

static void page_clear(struct page *p)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t t = 0; t < 6; t++)
			free(p->rows[i].text[t]);
	p->n = 0;
}

static int page_read(struct job_db *db, uint64_t after, uint64_t upto, struct page *p, struct err *err)
{
	static const char sql[] = "SELECT seq, at, action, outcome, user_id, job_id, record, hash FROM audit WHERE seq "
				  "> ? AND seq <= ? ORDER BY seq LIMIT 256";
	struct dbq q;
	int rc = 0;

	if (job_db_enter(db, JOB_DB_READ, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_u64(&q, after);
	dbq_u64(&q, upto);
	while (p->n < PAGE && (rc = dbq_step(&q, err)) > 0) {
		p->rows[p->n].seq = dbq_col_u64(&q);
		p->rows[p->n].at_ns = dbq_col_u64(&q);
		for (size_t t = 0; t < 6; t++)
			p->rows[p->n].text[t] = dbq_col_text(&q);
		p->n++;
		if ((rc = dbq_row_ok(&q, err)) < 0)
			break;
	}
	dbq_close(&q);
	return job_db_leave(db, rc, err) < 0 ? -1 : 0;
}

static int page_act(const struct page *p, int (*act)(void *ctx, const struct audit_row *r, struct err *err), void *ctx,
	struct err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct audit_row r = {
			.seq = p->rows[i].seq,
			.at_ns = p->rows[i].at_ns,
			.action = p->rows[i].text[0],
			.outcome = p->rows[i].text[1],
			.user_id = p->rows[i].text[2],
			.job_id = p->rows[i].text[3],
			.record = p->rows[i].text[4],
			.hash = p->rows[i].text[5],
		};

		if (act(ctx, &r, err) < 0)
			return -1;
	}
	return 0;
}

int job_db_audit_each(struct job_db *db, uint64_t after, uint64_t upto,
	int (*act)(void *ctx, const struct audit_row *r, struct err *err), void *ctx, struct err *err)
{
	struct page *p = calloc(1, sizeof(*p));
	int rc = 0;
	bool more = true;

	if (!p)
		return err_nomem(err);
	while (rc == 0 && more) {
		rc = page_read(db, after, upto, p, err);
		more = p->n == PAGE;
		if (rc == 0 && p->n > 0) {
			after = p->rows[p->n - 1].seq;
			rc = page_act(p, act, ctx, err);
		}
		page_clear(p);
	}
	free(p);
	return rc;
}

int job_db_audit_sweep(struct job_db *db, uint64_t before_ns, struct err *err)
{
	static const char sql[] = "DELETE FROM audit WHERE at < ? AND seq < (SELECT MAX(seq) FROM audit)";
	struct dbq q;

	if (job_db_enter(db, JOB_DB_WRITE, err) < 0)
		return -1;
	dbq_open(&q, db, sql);
	dbq_u64(&q, before_ns);
	return job_db_leave(db, dbq_run(&q, err), err) < 0 ? -1 : 0;
}
