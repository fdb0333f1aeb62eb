/* spool.c - see spool.h. */
#include "uploader/spool/spool.h"

#include "common/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 16
#define SEQ_DIGITS     6u
#define KEY_NAME       "key"

struct spool {
	char *path;
	int dir; /* descriptor of the job's folder */
	int fd;  /* of the open chunk, -1: none */
	uint32_t seq;
	uint64_t bytes;
};

static const char *const kind_names[] = {[SPOOL_OPEN] = "open", [SPOOL_CHUNK] = "chunk", [SPOOL_LAST] = "last"};

static const char *chunk_name(uint32_t seq, const char *suffix, char ret[NAME_MAX_BYTES])
{
	snprintf(ret, NAME_MAX_BYTES, "%06" PRIu32 ".%s", seq % (SPOOL_SEQ_MAX + 1), suffix);
	return ret;
}

/* "000001." and anything. */
static bool seq_parse(const char *name, uint32_t *ret)
{
	uint32_t seq = 0;

	for (unsigned i = 0; i < SEQ_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		seq = seq * 10 + (uint32_t)(name[i] - '0');
	}
	*ret = seq;
	return seq > 0 && name[SEQ_DIGITS] == '.';
}

static bool name_parse(const char *name, uint32_t *ret_seq, enum spool_kind *ret_kind)
{
	if (!seq_parse(name, ret_seq))
		return false;
	for (unsigned k = 0; k < sizeof(kind_names) / sizeof(kind_names[0]); k++) {
		if (strcmp(name + SEQ_DIGITS + 1, kind_names[k]) == 0) {
			*ret_kind = (enum spool_kind)k;
			return true;
		}
	}
	return false;
}

static struct spool *spool_new(const char *spool_dir, const char *job_id, struct err *err)
{
	struct spool *sp = calloc(1, sizeof(*sp));

	if (!sp || !(sp->path = fs_path("%s/%s", spool_dir, job_id))) {
		free(sp);
		err_nomem(err);
		return NULL;
	}
	sp->dir = sp->fd = -1;
	return sp;
}

struct spool *spool_open(const char *spool_dir, const char *job_id, struct err *err)
{
	struct spool *sp = spool_new(spool_dir, job_id, err);

	if (!sp)
		return NULL;
	sp->dir = open(sp->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sp->dir < 0) {
		err_sys(err, errno, "spool folder %s", sp->path);
		spool_close(sp);
		return NULL;
	}
	return sp;
}

struct spool *spool_begin(const char *spool_dir, const char *job_id, struct err *err)
{
	char *path = fs_path("%s/%s", spool_dir, job_id);
	struct spool *sp = NULL;

	if (!path) {
		err_nomem(err);
		return NULL;
	}
	if (mkdir(path, 0700) < 0) {
		if (errno == EEXIST)
			err_set(err, ERR_STATE, "spool folder %s is there already", path);
		else
			err_sys(err, errno, "making spool folder %s", path);
		goto out;
	}
	if (fs_sync_dir(spool_dir, err) < 0)
		goto out;
	sp = spool_open(spool_dir, job_id, err);
out:
	free(path);
	return sp;
}

void spool_close(struct spool *sp)
{
	if (!sp)
		return;
	fs_close(sp->fd);
	fs_close(sp->dir);
	free(sp->path);
	free(sp);
}

/* ---- the key ---- */

int spool_key_put(struct spool *sp, const char *key, struct err *err)
{
	int fd = openat(sp->dir, KEY_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), rc = -1;

	if (fd < 0)
		return err_sys(err, errno, "making %s/" KEY_NAME, sp->path);
	if (fs_write_all(fd, key, strlen(key), err) < 0)
		err_in(err, "%s/" KEY_NAME, sp->path);
	else if (fsync(fd) < 0 || fsync(sp->dir) < 0)
		err_sys(err, errno, "flushing %s/" KEY_NAME, sp->path);
	else
		rc = 0;
	fs_close(fd);
	return rc;
}

char *spool_key_get(struct spool *sp, struct err *err)
{
	int fd = openat(sp->dir, KEY_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[SPOOL_KEY_MAX + 1];
	char *key = NULL;
	ssize_t n;

	if (fd < 0) {
		err_sys(err, errno, "opening %s/" KEY_NAME, sp->path);
		return NULL;
	}
	n = pread(fd, text, sizeof(text), 0);
	if (n < 0)
		err_sys(err, errno, "reading %s/" KEY_NAME, sp->path);
	else if (n == 0 || (size_t)n > SPOOL_KEY_MAX || memchr(text, '\0', (size_t)n))
		err_set(err, ERR_IO, "%s/" KEY_NAME " holds no key", sp->path);
	else if (!(key = strndup(text, (size_t)n)))
		err_nomem(err);
	fs_close(fd);
	return key;
}

int spool_remove(const char *spool_dir, const char *job_id, struct err *err)
{
	char *path = fs_path("%s/%s", spool_dir, job_id);
	int rc = -1;

	if (!path)
		return err_nomem(err);
	if (fs_remove_tree(path, err) == 0)
		rc = fs_sync_dir(spool_dir, err);
	free(path);
	return rc;
}

int spool_start(struct spool *sp, uint32_t seq, struct err *err)
{
	char name[NAME_MAX_BYTES];

	if (seq > SPOOL_SEQ_MAX)
		return err_set(err, ERR_FULL, "the capture has %u chunks, which is the most", SPOOL_SEQ_MAX);
	sp->fd = openat(sp->dir, chunk_name(seq, "open", name),
		O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (sp->fd < 0)
		return err_sys(err, errno, "making %s/%s", sp->path, name);
	sp->seq = seq;
	sp->bytes = 0;
	return 0;
}

int spool_resume(struct spool *sp, uint32_t seq, uint64_t bytes, struct err *err)
{
	char name[NAME_MAX_BYTES];
	int fd = openat(sp->dir, chunk_name(seq, "open", name), O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "opening %s/%s", sp->path, name);
	if (ftruncate(fd, (off_t)bytes) < 0) {
		err_sys(err, errno, "cutting %s/%s to %" PRIu64 " bytes", sp->path, name, bytes);
		fs_close(fd);
		return -1;
	}
	sp->fd = fd;
	sp->seq = seq;
	sp->bytes = bytes;
	return 0;
}

int spool_append(struct spool *sp, const void *p, size_t n, struct err *err)
{
	struct err cut;

	if (fs_write_all(sp->fd, p, n, err) == 0) {
		sp->bytes += n;
		return 0;
	}
	err_in(err, "chunk %" PRIu32, sp->seq);
	/* A write that failed half way (a full disk) may have left a part of a block. */
	if (ftruncate(sp->fd, (off_t)sp->bytes) < 0) {
		err_sys(&cut, errno, "cutting chunk %" PRIu32 " back to %" PRIu64 " bytes", sp->seq, sp->bytes);
		if (err)
			*err = cut;
	}
	return -1;
}

int spool_seal(struct spool *sp, bool last, struct err *err)
{
	char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];
	int fd = sp->fd, rc = -1;

	sp->fd = -1;
	chunk_name(sp->seq, "open", from);
	chunk_name(sp->seq, kind_names[last ? SPOOL_LAST : SPOOL_CHUNK], to);
	if (fsync(fd) < 0)
		err_sys(err, errno, "flushing %s/%s", sp->path, from);
	else if (renameat(sp->dir, from, sp->dir, to) < 0)
		err_sys(err, errno, "renaming %s/%s to %s", sp->path, from, to);
	else if (fsync(sp->dir) < 0)
		err_sys(err, errno, "flushing folder %s", sp->path);
	else
		rc = 0;
	fs_close(fd);
	return rc;
}

int spool_chunk_fd(struct spool *sp, uint32_t seq, enum spool_kind kind, uint64_t *ret_bytes, struct err *err)
{
	char name[NAME_MAX_BYTES];
	struct stat st;
	int fd = openat(
		sp->dir, chunk_name(seq, kind_names[kind], name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "opening %s/%s", sp->path, name);
	if (fstat(fd, &st) < 0) {
		err_sys(err, errno, "%s/%s", sp->path, name);
	} else if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_IO, "%s/%s is not a file", sp->path, name);
	} else {
		*ret_bytes = (uint64_t)st.st_size;
		return fd;
	}
	fs_close(fd);
	return -1;
}

int spool_unlink(struct spool *sp, uint32_t seq, enum spool_kind kind, struct err *err)
{
	char name[NAME_MAX_BYTES];

	if (unlinkat(sp->dir, chunk_name(seq, kind_names[kind], name), 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "removing %s/%s", sp->path, name);
	return 0;
}

int spool_set_aside(struct spool *sp, const struct spool_file *f, struct err *err)
{
	char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];

	chunk_name(f->seq, kind_names[f->kind], from);
	chunk_name(f->seq, "bad", to);
	if (renameat(sp->dir, from, sp->dir, to) < 0 || fsync(sp->dir) < 0)
		return err_sys(err, errno, "setting %s/%s aside", sp->path, from);
	return 0;
}

static int file_compare(const void *a, const void *b)
{
	const struct spool_file *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static int scan_add(struct spool_file **files, size_t *n, size_t *cap, const struct spool_file *f)
{
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 16;
		struct spool_file *p = reallocarray(*files, more, sizeof(*p));

		if (!p)
			return -1;
		*files = p;
		*cap = more;
	}
	(*files)[(*n)++] = *f;
	return 0;
}

/* Calls visit for each file whose name begins like a chunk's. */
static int walk(struct spool *sp, int (*visit)(void *ctx, const char *name, uint64_t bytes), void *ctx, struct err *err)
{
	struct dirent *e;
	struct stat st;
	DIR *d = NULL;
	int rc = 0;
	/* A descriptor of its own: readdir moves the position, closedir closes. */
	int fd = openat(sp->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !(d = fdopendir(fd))) {
		err_sys(err, errno, "reading folder %s", sp->path);
		fs_close(fd);
		return -1;
	}
	while (rc == 0 && (errno = 0, e = readdir(d))) {
		uint32_t seq;

		if (seq_parse(e->d_name, &seq) && fstatat(sp->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode) && visit(ctx, e->d_name, (uint64_t)st.st_size) < 0)
			rc = err_nomem(err);
	}
	if (rc == 0 && errno != 0)
		rc = err_sys(err, errno, "reading folder %s", sp->path);
	closedir(d);
	return rc;
}

struct scan {
	struct spool_file *files;
	size_t n, cap;
};

static int scan_visit(void *ctx, const char *name, uint64_t bytes)
{
	struct scan *scan = ctx;
	struct spool_file f = {.bytes = bytes};

	return name_parse(name, &f.seq, &f.kind) ? scan_add(&scan->files, &scan->n, &scan->cap, &f) : 0;
}

int spool_scan(struct spool *sp, struct spool_file **ret, size_t *ret_n, struct err *err)
{
	struct scan scan = {0};

	if (walk(sp, scan_visit, &scan, err) < 0) {
		free(scan.files);
		return -1;
	}
	if (scan.n > 0)
		qsort(scan.files, scan.n, sizeof(*scan.files), file_compare);
	*ret = scan.files;
	*ret_n = scan.n;
	return 0;
}

static int bytes_visit(void *ctx, const char *name, uint64_t bytes)
{
	uint64_t *sum = ctx;

	(void)name;
	*sum += bytes;
	return 0;
}

int spool_bytes(const char *spool_dir, const char *job_id, uint64_t *ret, struct err *err)
{
	struct err why = {0};
	struct spool *sp = spool_open(spool_dir, job_id, &why);
	uint64_t sum = 0;
	int rc = 0;

	if (sp)
		rc = walk(sp, bytes_visit, &sum, &why);
	else if (why.code != ERR_NOT_FOUND)
		rc = -1;
	spool_close(sp);
	if (rc == 0)
		*ret = sum;
	else if (err)
		*err = why;
	return rc;
}
