/* Where the audit trail goes on: at the end of what file and database know together. */
#include "gateway/audit/audit_internal.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What the last line of the file says; seq 0: there is none, or none that can be believed. */
struct file_end {
	struct audit_link link;
	bool damaged;
};

static int read_end(struct audit *a, struct file_end *ret, struct err *err)
{
	bool genuine = false;
	struct err why = {0};
	char *line = audit_file_last(&a->file, AUDIT_LINE_MAX, &why);
	json_t *record;

	if (!line && why.code != ERR_NONE && why.code != ERR_INPUT) {
		if (err)
			*err = why;
		return -1;
	}
	record = line ? audit_line_read(line, strlen(line), &a->key, &ret->link, &genuine, &why) : NULL;
	if (!genuine) {
		ret->damaged = why.code != ERR_NONE || record;
		ret->link.seq = 0;
	}
	json_decref(record);
	free(line);
	return 0;
}

/* ---- the database lacks the end: killed between the two, or put back to an older one ---- */

static int add_row(struct audit *a, const json_t *record, const struct audit_link *l, const char *line, struct err *err)
{
	const char *at = json_string_value(json_object_get(record, "at"));
	const char *user = json_string_value(json_object_get(record, "user_id"));
	const char *job = json_string_value(json_object_get(record, "job"));
	const char *outcome = json_string_value(json_object_get(record, "outcome"));
	struct audit_row r = {
		.seq = l->seq,
		.action = json_string_value(json_object_get(record, "action")),
		.outcome = outcome ? outcome : "",
		.user_id = user ? user : "",
		.job_id = job ? job : "",
		.record = line,
		.hash = l->hash,
	};

	if (clock_parse_rfc3339(at ? at : "", &r.at_ns, err) < 0)
		return -1;
	return job_db_audit_add(a->gw->db, &r, NULL, NULL, err);
}

/* The lines of the file after the database's last record, as far as they follow on it. */
static int fill_database(
	struct audit *a, uint64_t *seq, char head[DIGEST_SHA256_HEX_MAX], uint64_t *ret_n, struct err *err)
{
	FILE *in = fopen(a->path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int rc = 0;

	if (!in)
		return err_sys(err, errno, "%s", a->path);
	while (rc == 0 && (n = getline(&line, &room, in)) > 0) {
		struct audit_link l = {0};
		bool genuine = false;
		json_t *record;

		line[n - 1] = '\0'; /* what the file ends with was looked at before */
		record = audit_line_read(line, (size_t)n - 1, &a->key, &l, &genuine, NULL);
		if (genuine && (l.seq == *seq + 1 || *seq == 0)) {
			rc = add_row(a, record, &l, line, err);
			*seq = l.seq;
			memcpy(head, l.hash, sizeof(l.hash));
			(*ret_n)++;
		}
		json_decref(record);
	}
	free(line);
	fclose(in);
	return rc;
}

/* ---- the file lacks the end: power was lost before it was on the disk, or somebody cut it off ---- */

struct filling {
	struct audit *a;
	char prev[DIGEST_SHA256_HEX_MAX];
	uint64_t n;
};

static int append_row(void *ctx, const struct audit_row *r, struct err *err)
{
	struct filling *f = ctx;
	struct audit_link l = {0};
	bool genuine = false;
	json_t *record = audit_line_read(r->record, strlen(r->record), &f->a->key, &l, &genuine, NULL);

	json_decref(record);
	if (!genuine || strcmp(l.prev, f->prev) != 0)
		return err_set(
			err, ERR_STATE, "record %" PRIu64 " of the database does not follow on the file", r->seq);
	if (audit_file_append(&f->a->file, r->record, err) < 0)
		return -1;
	memcpy(f->prev, l.hash, sizeof(f->prev));
	f->n++;
	return 0;
}

static uint64_t fill_file(struct audit *a, const struct file_end *end, uint64_t upto)
{
	struct filling f = {.a = a};
	struct err err = {0};

	memcpy(f.prev, end->link.hash, sizeof(f.prev));
	if (job_db_audit_each(a->gw->db, end->link.seq, upto, append_row, &f, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "audit.file_not_mended", &err, NULL);
	return f.n;
}

/* ---- the file begins anew ---- */

static bool is_head(const struct audit *a, const char *line)
{
	struct audit_link l = {0};
	bool genuine = false;

	if (line)
		json_decref(audit_line_read(line, strlen(line), &a->key, &l, &genuine, NULL));
	return genuine && l.seq == a->seq && strcmp(l.hash, a->head) == 0;
}

bool audit_follows(const struct audit *a, const struct audit_file *f)
{
	char *line = audit_file_last(f, AUDIT_LINE_MAX, NULL);
	bool ret = is_head(a, line);

	free(line);
	return ret;
}

static bool is_head_of(const struct audit *a, const char *name)
{
	char *path = fs_path("%s/%s", a->dir, name), *line = NULL;
	bool ret;

	if (path)
		line = audit_file_last_of(path, AUDIT_LINE_MAX, NULL);
	ret = is_head(a, line);
	free(line);
	free(path);
	return ret;
}

/* Does a file beside it, of its name and something more, end with the last record that the database knows? */
static bool is_put_aside(const struct audit *a)
{
	const char *slash = strrchr(a->path, '/'), *name = slash ? slash + 1 : a->path;
	DIR *dir = opendir(a->dir);
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		found = strncmp(e->d_name, name, strlen(name)) == 0 && e->d_name[strlen(name)] &&
			is_head_of(a, e->d_name);
	if (dir)
		closedir(dir);
	return found;
}

/* ---- together ---- */

int audit_begin(struct audit *a, json_t **ret_mended, struct err *err)
{
	struct file_end end = {0};
	uint64_t torn = 0, database_lacked = 0, file_lacked = 0;
	bool forked = false;

	if (audit_file_open(&a->file, &torn, err) < 0 || read_end(a, &end, err) < 0 ||
		job_db_audit_last(a->gw->db, &a->seq, a->head, err) < 0)
		return -1;
	if (end.link.seq > a->seq) {
		if (fill_database(a, &a->seq, a->head, &database_lacked, err) < 0)
			return -1;
		/* What lies between is in neither: the chain goes on from the newest that is known. */
		if (a->seq < end.link.seq) {
			a->seq = end.link.seq;
			memcpy(a->head, end.link.hash, sizeof(a->head));
			forked = true;
		}
	} else if (end.link.seq > 0 && end.link.seq < a->seq) {
		file_lacked = fill_file(a, &end, a->seq);
		forked = file_lacked == 0;
	} else if (end.link.seq > 0 && strcmp(end.link.hash, a->head) != 0) {
		forked = true; /* the file is what lasts */
		memcpy(a->head, end.link.hash, sizeof(a->head));
	}
	if (a->file.size == 0 && a->seq > 0)
		a->begun = is_put_aside(a) ? AUDIT_BEGUN_ROTATED : AUDIT_BEGUN_UNEXPLAINED;
	*ret_mended = NULL;
	if (torn == 0 && database_lacked == 0 && file_lacked == 0 && !end.damaged && !forked)
		return 0;
	*ret_mended = json_pack("{s:I, s:I, s:I, s:b, s:b}", "torn_bytes", (json_int_t)torn, "database_lacked",
		(json_int_t)database_lacked, "file_lacked", (json_int_t)file_lacked, "last_line_damaged", end.damaged,
		"differ", forked);
	return *ret_mended ? 0 : err_nomem(err);
}
