/* Is the audit trail whole?  Looked at while it goes on: up to the record that was the last one when the look began. */
#include "gateway/audit/audit_internal.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 10000u

/* ---- the database ---- */

static bool says(const json_t *record, const char *key, const char *column)
{
	const char *text = json_string_value(json_object_get(record, key));

	return strcmp(text ? text : "", column) == 0;
}

static int check_row(void *ctx, const struct audit_row *r, struct err *err)
{
	struct audit_check *c = ctx;
	json_t *record = audit_check_line(c, r->record, strlen(r->record));
	uint64_t at_ns = 0;

	(void)err;
	if (!record)
		return 0;
	clock_parse_rfc3339(json_string_value(json_object_get(record, "at")), &at_ns, NULL);
	if (r->seq != (uint64_t)json_integer_value(json_object_get(record, "seq")) || r->at_ns != at_ns ||
		!says(record, "action", r->action) || !says(record, "outcome", r->outcome) ||
		!says(record, "user_id", r->user_id) || !says(record, "job", r->job_id) ||
		!says(record, "hash", r->hash))
		audit_check_spoil(c, "the columns of its row say something else than it does");
	json_decref(record);
	return 0;
}

/* ---- the files ---- */

struct piece {
	char *path, *name;
	uint64_t first; /* number of its first record; 0: not to be read */
	int fd;         /* of the one that is written to, which may get another name meanwhile; -1: not open */
};

struct pieces {
	struct piece *items;
	size_t n;
};

static void pieces_done(struct pieces *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->items[i].path);
		free(p->items[i].name);
		fs_close(p->items[i].fd);
	}
	free(p->items);
}

/* Only to put the files in order: whether it is genuine is looked at later. */
static uint64_t first_of(const struct audit *a, const char *path)
{
	FILE *in = fopen(path, "re");
	char *line = malloc(AUDIT_LINE_MAX + 2);
	struct audit_link l = {0};
	bool genuine;

	if (in && line && fgets(line, AUDIT_LINE_MAX + 2, in))
		json_decref(audit_line_read(line, strcspn(line, "\n"), &a->key, &l, &genuine, NULL));
	if (in)
		fclose(in);
	free(line);
	return l.seq;
}

static int add_piece(const struct audit *a, struct pieces *p, const char *name, struct err *err)
{
	struct piece *more, one = {.path = fs_path("%s/%s", a->dir, name), .name = strdup(name), .fd = -1};

	if (p->n == FILES_MAX) {
		err_set(err, ERR_LIMIT, "%s: there are more than %u files of the trail", a->dir, FILES_MAX);
	} else if (!one.path || !one.name || !(more = realloc(p->items, (p->n + 1) * sizeof(*more)))) {
		err_nomem(err);
	} else {
		one.first = first_of(a, one.path);
		p->items = more;
		p->items[p->n++] = one;
		return 0;
	}
	free(one.path);
	free(one.name);
	return -1;
}

static int compare(const void *x, const void *y)
{
	const struct piece *a = x, *b = y;

	return a->first < b->first ? -1 : a->first > b->first;
}

/* "audit.jsonl.1234": put aside by us, or by another program that numbers. */
static bool is_put_aside(const char *name, const char *of)
{
	size_t n = strlen(of);

	return strncmp(name, of, n) == 0 && name[n] == '.' && name[n + 1] &&
	       !name[n + 1 + strspn(name + n + 1, "0123456789")];
}

static int find_pieces(const struct audit *a, struct pieces *p, struct err *err)
{
	const char *slash = strrchr(a->path, '/'), *name = slash ? slash + 1 : a->path;
	DIR *dir = opendir(a->dir);
	struct dirent *e;
	int rc = 0;

	if (!dir)
		return err_sys(err, errno, "%s", a->dir);
	while (rc == 0 && (e = readdir(dir)))
		if (is_put_aside(e->d_name, name))
			rc = add_piece(a, p, e->d_name, err);
	closedir(dir);
	if (rc == 0 && p->n > 0)
		qsort(p->items, p->n, sizeof(*p->items), compare);
	return rc < 0 ? -1 : add_piece(a, p, name, err);
}

static int open_piece(struct piece *p, struct err *err)
{
	p->fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return p->fd < 0 ? err_sys(err, errno, "%s", p->path) : 0;
}

static int check_piece(struct audit_check *c, struct piece *p, bool is_last, uint64_t size, struct err *err)
{
	struct stat st;

	/* Gone altogether: what the trail ends with is then not there. */
	if (is_last && p->fd < 0)
		return 0;
	if (!is_last && open_piece(p, err) < 0)
		return -1;
	if (fstat(p->fd, &st) < 0)
		return err_sys(err, errno, "%s", p->path);
	return audit_check_file(c, p->fd, is_last ? size : (uint64_t)st.st_size, p->name, err);
}

/* Also of what others have added; but not of a line of which we could not take back what there is. */
static uint64_t file_bytes(const struct audit_file *f)
{
	struct stat st;

	return !f->torn && f->fd >= 0 && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : f->size;
}

int audit_look(struct audit *a, struct audit_check *ret_database, struct audit_check *ret_file, struct err *err)
{
	char head[DIGEST_SHA256_HEX_MAX];
	struct pieces pieces = {0};
	struct err why = {0};
	uint64_t seq, size;
	int rc;

	audit_check_begin(ret_database, &a->key);
	audit_check_begin(ret_file, &a->key);
	/* Under the lock, so that none is put aside between; the last may be from then on. */
	pthread_mutex_lock(&a->lock);
	seq = a->seq;
	size = file_bytes(&a->file);
	memcpy(head, a->head, sizeof(head));
	rc = find_pieces(a, &pieces, err);
	if (rc == 0 && open_piece(&pieces.items[pieces.n - 1], &why) < 0 && why.code != ERR_NOT_FOUND) {
		rc = -1;
		if (err)
			*err = why;
	}
	pthread_mutex_unlock(&a->lock);
	if (rc == 0)
		rc = job_db_audit_each(a->gw->db, 0, seq, check_row, ret_database, err);
	for (size_t i = 0; i < pieces.n && rc == 0; i++)
		rc = check_piece(ret_file, &pieces.items[i], i == pieces.n - 1, size, err);
	if (rc == 0) {
		audit_check_end(ret_database, head);
		audit_check_end(ret_file, head);
		if (ret_database->fault == AUDIT_WHOLE)
			audit_check_beside(ret_file, ret_database);
	}
	pieces_done(&pieces);
	return rc;
}
