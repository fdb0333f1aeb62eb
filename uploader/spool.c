/* spool.c - see spool.h. */
#include "uploader/spool.h"

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

static bool name_parse(const char *name, uint32_t *ret_seq, enum spool_kind *ret_kind)
{
	uint32_t seq = 0;

	for (unsigned i = 0; i < SEQ_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		seq = seq * 10 + (uint32_t)(name[i] - '0');
	}
	if (seq == 0 || name[SEQ_DIGITS] != '.')
		return false;
	for (unsigned k = 0; k < sizeof(kind_names) / sizeof(kind_names[0]); k++) {
		if (strcmp(name + SEQ_DIGITS + 1, kind_names[k]) == 0) {
			*ret_seq = seq;
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

int spool_scan(struct spool *sp, struct spool_file **ret, size_t *ret_n, struct err *err)
{
	struct spool_file *files = NULL, f;
	size_t n = 0, cap = 0;
	struct dirent *e;
	struct stat st;
	DIR *d = NULL;
	/* A descriptor of its own: readdir moves the position, closedir closes. */
	int fd = openat(sp->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !(d = fdopendir(fd))) {
		err_sys(err, errno, "reading folder %s", sp->path);
		fs_close(fd);
		return -1;
	}
	while (errno = 0, (e = readdir(d))) {
		if (!name_parse(e->d_name, &f.seq, &f.kind) ||
			fstatat(sp->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		f.bytes = (uint64_t)st.st_size;
		if (scan_add(&files, &n, &cap, &f) < 0) {
			err_nomem(err);
			goto fail;
		}
	}
	if (errno != 0) {
		err_sys(err, errno, "reading folder %s", sp->path);
		goto fail;
	}
	closedir(d);
	if (n > 0)
		qsort(files, n, sizeof(*files), file_compare);
	*ret = files;
	*ret_n = n;
	return 0;
fail:
	closedir(d);
	free(files);
	return -1;
}
