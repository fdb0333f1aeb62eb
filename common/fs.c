/* fs.c - see fs.h. */
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FS_READ_BYTES (64 * 1024)

void fs_close(int fd)
{
	/* Not repeated on EINTR: Linux has given the number up by then. */
	if (fd >= 0)
		close(fd);
}

char *fs_path(const char *fmt, ...)
{
	char *path = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&path, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : path;
}

/* Opens a regular file for reading.  O_NONBLOCK: a fifo in its place must not hang us. */
static int fs_open_regular(const char *path, struct stat *ret_st, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (fstat(fd, ret_st) != 0)
		err_sys(err, errno, "stat %s", path);
	else if (!S_ISREG(ret_st->st_mode))
		err_set(err, ERR_INPUT, "%s is not a regular file", path);
	else
		return fd;
	fs_close(fd);
	return -1;
}

/* Reads up to n bytes; what read(2) returns, but never because of a signal. */
static ssize_t fs_read_some(int fd, void *p, size_t n)
{
	ssize_t got;

	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* Reads fd to its end, at most `most` bytes.  The size in stat is a hint only: the file may grow meanwhile, and those
 * in /proc say 0. */
static int fs_read_fd(int fd, const char *path, struct buf *b, size_t most, struct err *err)
{
	size_t start = b->len, room, spare;
	uint8_t *to, beyond;
	ssize_t got;

	for (;;) {
		spare = b->cap > b->len ? b->cap - b->len : FS_READ_BYTES;
		room = most - (b->len - start);
		room = room < spare ? room : spare;
		to = &beyond;
		if (room > 0 && (to = buf_reserve(b, room, err)) == NULL)
			return err_in(err, "%s", path);
		got = fs_read_some(fd, to, room > 0 ? room : 1);
		if (got < 0)
			return err_sys(err, errno, "read %s", path);
		if (got == 0)
			return 0;
		if (room == 0)
			return err_set(err, ERR_LIMIT, "%s is larger than the %zu bytes allowed", path, most);
		b->len += (size_t)got;
	}
}

static int fs_read_most(const char *path, struct buf *b, size_t most, struct err *err)
{
	size_t start = b->len, first;
	struct stat st;
	int fd, rc = -1;

	if ((fd = fs_open_regular(path, &st, err)) < 0)
		return -1;
	if (st.st_size > 0 && (uintmax_t)st.st_size > most) {
		err_set(err, ERR_LIMIT, "%s has %jd bytes, more than the %zu allowed", path, (intmax_t)st.st_size,
			most);
		goto out;
	}
	/* One allocation for all and what ends it, so that a secret is not left behind in outgrown ones. */
	first = (size_t)st.st_size < b->max - b->len ? (size_t)st.st_size + 1 : b->max - b->len;
	if (buf_reserve(b, first, err) == NULL) {
		err_in(err, "%s", path);
		goto out;
	}
	rc = fs_read_fd(fd, path, b, most, err);
	if (rc < 0)
		b->len = start;
out:
	fs_close(fd);
	return rc;
}

int fs_read(const char *path, struct buf *b, struct err *err)
{
	return fs_read_most(path, b, b->max - b->len, err);
}

char *fs_read_text(const char *path, size_t max, struct err *err)
{
	struct buf b;
	uint8_t *end;

	/* One byte more than the text may have: for its terminator. */
	buf_init(&b, max < SIZE_MAX - 1 ? max + 1 : SIZE_MAX);
	if (fs_read_most(path, &b, b.max - 1, err) < 0)
		goto fail;
	if (b.len > 0 && memchr(b.data, '\0', b.len) != NULL) {
		err_set(err, ERR_INPUT, "%s has a NUL byte: not a text file", path);
		goto fail;
	}
	if ((end = buf_reserve(&b, 1, err)) == NULL) {
		err_in(err, "%s", path);
		goto fail;
	}
	*end = '\0';
	return (char *)b.data;
fail:
	buf_done(&b);
	return NULL;
}

int fs_write_all(int fd, const void *p, size_t n, struct err *err)
{
	const uint8_t *from = p;
	ssize_t put;

	while (n > 0) {
		put = write(fd, from, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(err, errno, "write");
		from += put;
		n -= (size_t)put;
	}
	return 0;
}

/* The folder that path is in, as a new string. */
static char *fs_dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* Fills the new file fd, so that it survives a crash once this has returned 0. */
static int fs_fill(int fd, const void *p, size_t n, mode_t mode, struct err *err)
{
	if (fchmod(fd, mode) != 0)
		return err_sys(err, errno, "chmod");
	if (fs_write_all(fd, p, n, err) < 0)
		return -1;
	if (fsync(fd) != 0)
		return err_sys(err, errno, "fsync");
	return 0;
}

int fs_write_new(const char *path, const void *p, size_t n, mode_t mode, struct err *err)
{
	char *dir = NULL, *aside = NULL;
	int fd = -1, rc = -1;

	if ((dir = fs_dir_of(path)) == NULL || (aside = fs_path("%s/.new-XXXXXX", dir)) == NULL) {
		err_nomem(err);
		goto out;
	}
	if ((fd = mkostemp(aside, O_CLOEXEC)) < 0) {
		err_sys(err, errno, "create %s", aside);
		goto out;
	}
	if (fs_fill(fd, p, n, mode, err) < 0) {
		err_in(err, "%s", path);
		unlink(aside);
		goto out;
	}
	if (rename(aside, path) != 0) {
		err_sys(err, errno, "rename %s to %s", aside, path);
		unlink(aside);
		goto out;
	}
	rc = fs_sync_dir(dir, err);
out:
	fs_close(fd);
	free(aside);
	free(dir);
	return rc;
}

int fs_sync_dir(const char *path, struct err *err)
{
	int fd, rc = 0;

	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return err_sys(err, errno, "open %s", path);
	/* EINVAL: a file system whose folders have nothing to flush. */
	if (fsync(fd) != 0 && errno != EINVAL)
		rc = err_sys(err, errno, "fsync %s", path);
	fs_close(fd);
	return rc;
}

int fs_free_bytes(const char *path, uint64_t *ret, struct err *err)
{
	struct statvfs vfs;
	uint64_t free_bytes;

	if (statvfs(path, &vfs) != 0)
		return err_sys(err, errno, "statvfs %s", path);
	if (__builtin_mul_overflow((uint64_t)vfs.f_bavail, (uint64_t)vfs.f_frsize, &free_bytes))
		free_bytes = UINT64_MAX;
	*ret = free_bytes;
	return 0;
}
