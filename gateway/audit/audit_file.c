#include "gateway/audit/audit_file.h"

#include "common/fs.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536u

static ssize_t read_at(const struct audit_file *f, void *dst, size_t n, uint64_t at)
{
	ssize_t got;

	do
		got = pread(f->fd, dst, n, (off_t)at);
	while (got < 0 && errno == EINTR);
	return got;
}

/* Where the line that ends before `end` begins: behind the last '\n' in what stands before it. */
static int find_begin(const struct audit_file *f, uint64_t end, uint64_t *ret, struct err *err)
{
	char block[BLOCK];

	while (end > 0) {
		size_t n = end < BLOCK ? (size_t)end : BLOCK;
		const char *newline;

		if (read_at(f, block, n, end - n) != (ssize_t)n)
			return err_sys(err, errno ? errno : EIO, "%s", f->path);
		if ((newline = memrchr(block, '\n', n))) {
			*ret = end - n + (uint64_t)(newline - block) + 1;
			return 0;
		}
		end -= n;
	}
	*ret = 0;
	return 0;
}

int audit_file_open(struct audit_file *f, uint64_t *ret_torn, struct err *err)
{
	int fd = open(f->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct audit_file fresh = {.path = f->path, .sync = f->sync, .fd = fd};
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "%s", f->path);
	if (fstat(fd, &st) < 0) {
		err_sys(err, errno, "%s", f->path);
		goto fail;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_INPUT, "%s is not a file", f->path);
		goto fail;
	}
	if (st.st_mode & (S_IWGRP | S_IRWXO)) {
		err_set(err, ERR_PERM, "%s: mode is %03o, others may not read or write it (0600 or 0640)", f->path,
			(unsigned)st.st_mode & 0777u);
		goto fail;
	}
	if (find_begin(&fresh, (uint64_t)st.st_size, &fresh.size, err) < 0)
		goto fail;
	*ret_torn = (uint64_t)st.st_size - fresh.size;
	fresh.torn = *ret_torn > 0;
	*f = fresh;
	return 0;
fail:
	fs_close(fd);
	return -1;
}

void audit_file_close(struct audit_file *f)
{
	fs_close(f->fd);
	f->fd = -1;
}

void audit_file_back(struct audit_file *f, uint64_t size)
{
	f->size = size;
	f->torn = f->fd >= 0 && ftruncate(f->fd, (off_t)size) < 0;
}

static int write_line(struct audit_file *f, const char *line, size_t n, struct err *err)
{
	char *copy = malloc(n + 1);
	ssize_t put;

	if (!copy)
		return err_nomem(err);
	memcpy(copy, line, n);
	copy[n] = '\n';
	do
		put = write(f->fd, copy, n + 1);
	while (put < 0 && errno == EINTR);
	free(copy);
	if (put < 0)
		return err_sys(err, errno, "%s", f->path);
	return (size_t)put == n + 1 ? 0 : err_sys(err, ENOSPC, "%s", f->path);
}

int audit_file_append(struct audit_file *f, const char *line, struct err *err)
{
	size_t n = strlen(line);
	uint64_t torn;

	if (f->fd < 0 && audit_file_open(f, &torn, err) < 0)
		return -1;
	if (f->torn)
		audit_file_back(f, f->size);
	if (f->torn)
		return err_set(err, ERR_IO, "%s: the unfinished line at its end cannot be removed", f->path);
	if (write_line(f, line, n, err) < 0) {
		audit_file_back(f, f->size);
		return -1;
	}
	f->size += n + 1;
	return 0;
}

int audit_file_sync(struct audit_file *f, struct err *err)
{
	if (f->sync && fdatasync(f->fd) < 0)
		return err_sys(err, errno, "flushing %s", f->path);
	return 0;
}

int audit_file_look(struct audit_file *f, uint64_t *ret_lost, bool *ret_gone, struct err *err)
{
	struct stat st;
	uint64_t was = f->size;

	*ret_lost = 0;
	*ret_gone = false;
	if (f->fd < 0)
		return 0;
	if (fstat(f->fd, &st) < 0)
		return err_sys(err, errno, "%s", f->path);
	if (!S_ISREG(st.st_mode))
		return 0;
	*ret_gone = st.st_nlink == 0;
	if ((uint64_t)st.st_size == f->size || (f->torn && (uint64_t)st.st_size > f->size))
		return 0;
	if (find_begin(f, (uint64_t)st.st_size, &f->size, err) < 0) {
		f->size = was;
		return -1;
	}
	f->torn = f->size < (uint64_t)st.st_size;
	*ret_lost = f->size < was ? was - f->size : 0;
	return 0;
}

int audit_file_put_aside(struct audit_file *f, uint64_t seq, struct err *err)
{
	char *aside = fs_path("%s.%" PRIu64, f->path, seq);
	struct audit_file fresh = {.path = f->path, .sync = f->sync, .fd = -1};
	uint64_t torn;
	int rc = -1;

	if (!aside)
		return err_nomem(err);
	if (access(aside, F_OK) == 0)
		err_set(err, ERR_STATE, "%s is there already",
			aside); /* somebody's, and this one's end would be its end */
	else if (rename(f->path, aside) < 0)
		err_sys(err, errno, "putting %s aside", f->path);
	else if (audit_file_open(&fresh, &torn, err) == 0)
		rc = 0;
	else if (rename(aside, f->path) < 0)
		log_event(LOG_LEVEL_ERROR, "audit.file_renamed", json_pack("{s:s}", "file", aside));
	if (rc == 0) {
		fs_close(f->fd);
		*f = fresh;
	}
	free(aside);
	return rc;
}

char *audit_file_last(const struct audit_file *f, size_t max, struct err *err)
{
	uint64_t begin;
	size_t n;
	char *line;

	if (f->size == 0)
		return NULL;
	if (find_begin(f, f->size - 1, &begin, err) < 0)
		return NULL;
	n = (size_t)(f->size - 1 - begin);
	if (n > max) {
		err_set(err, ERR_INPUT, "%s: its last line has more than %zu bytes", f->path, max);
		return NULL;
	}
	if (!(line = malloc(n + 1))) {
		err_nomem(err);
		return NULL;
	}
	if (read_at(f, line, n, begin) != (ssize_t)n) {
		err_sys(err, EIO, "%s", f->path);
		free(line);
		return NULL;
	}
	line[n] = '\0';
	return line;
}

char *audit_file_last_of(char *path, size_t max, struct err *err)
{
	struct audit_file f = {.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
	struct stat st;
	char *ret = NULL;

	if (f.fd < 0 || fstat(f.fd, &st) < 0)
		err_sys(err, errno, "%s", path);
	else if (S_ISREG(st.st_mode) && find_begin(&f, (uint64_t)st.st_size, &f.size, err) == 0)
		ret = audit_file_last(&f, max, err);
	fs_close(f.fd);
	return ret;
}
