/* The local side of a download: FILE.part or stdout. */
#include "cli/fetch/fetch_internal.h"
#include "cli/output.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Local files fail with ERR_IO or ERR_FULL only: the other kinds stand for what the gateway refused (see cli_exit_code). */
static int file_fail(struct err *err, int errnum, const char *what, const char *path)
{
	err_sys(err, errnum, "%s %s", what, path);
	if (err && err->code != ERR_FULL)
		err->code = ERR_IO;
	return -1;
}

static int refuse_existing(const char *path, struct err *err)
{
	return err_set(err, ERR_STATE, "%s is there already; --force replaces it", path);
}

static int open_part(struct fetch_file *o, struct err *err)
{
	struct stat st;

	o->part_path = fs_path("%s.part", o->path);
	if (!o->part_path)
		return err_nomem(err);
	o->fd = open(o->part_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->fd < 0)
		return file_fail(err, errno, "cannot write", o->part_path);
	if (flock(o->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_STATE, "%s is being written by another download", o->part_path);
	o->is_locked = true;
	if (fstat(o->fd, &st) < 0)
		return file_fail(err, errno, "cannot read", o->part_path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_STATE, "%s is not a regular file", o->part_path);
	o->have = (uint64_t)st.st_size;
	o->resumed = o->have > 0;
	return 0;
}

int fetch_file_open(struct fetch_file *o, const char *path, bool force, struct err *err)
{
	*o = (struct fetch_file){.path = path, .force = force, .fd = -1};
	if (strcmp(path, "-")) {
		if (!force && access(path, F_OK) == 0)
			return refuse_existing(path, err);
		return open_part(o, err);
	}
	if (isatty(STDOUT_FILENO) == 1)
		return err_set(err, ERR_INPUT, "stdout is a terminal: packets go to a pipe or a file");
	o->fd = STDOUT_FILENO;
	o->digest = digest_new();
	return o->digest ? 0 : err_nomem(err);
}

static int write_part(struct fetch_file *o, const uint8_t *p, size_t n, struct err *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t w = pwrite(o->fd, p + done, n - done, (off_t)(o->have + done));

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return file_fail(err, errno, "writing", o->part_path);
		done += (size_t)w;
	}
	return 0;
}

static int write_stdout(struct fetch_file *o, const uint8_t *p, size_t n, struct err *err)
{
	struct out out = {.fd = o->fd, .is_stdout = true};

	if (out_write(&out, NULL, 0, p, n, err) < 0)
		return -1;
	digest_add(o->digest, p, n);
	return 0;
}

int fetch_file_write(struct fetch_file *o, const uint8_t *p, size_t n, struct err *err)
{
	if ((o->part_path ? write_part(o, p, n, err) : write_stdout(o, p, n, err)) < 0)
		return -1;
	o->have += n;
	return 0;
}

int fetch_file_empty(struct fetch_file *o, struct err *err)
{
	if (!o->have)
		return 0;
	if (!o->part_path)
		return err_set(err, ERR_NET, "what was written to stdout cannot be taken back");
	if (ftruncate(o->fd, 0) < 0)
		return file_fail(err, errno, "cannot empty", o->part_path);
	o->have = 0;
	o->resumed = false;
	return 0;
}

int fetch_file_verify(struct fetch_file *o, uint64_t size, const char *sha256, struct err *err)
{
	char sha[DIGEST_SHA256_HEX_MAX];

	if (o->digest)
		digest_hex(o->digest, sha);
	else if (digest_fd_hex(o->fd, size, sha, err) < 0)
		return -1;
	if (strcmp(sha, sha256))
		return err_set(err, ERR_INTERNAL, "checksum: SHA-256 is %s, the gateway stored %s", sha, sha256);
	return 0;
}

int fetch_file_put_in_place(struct fetch_file *o, struct err *err)
{
	if (!o->part_path)
		return 0;
	if (fsync(o->fd) < 0)
		return file_fail(err, errno, "writing", o->part_path);
	if (o->force)
		return rename(o->part_path, o->path) < 0 ? file_fail(err, errno, "cannot rename to", o->path) : 0;
	if (renameat2(AT_FDCWD, o->part_path, AT_FDCWD, o->path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return refuse_existing(o->path, err);
	if (errno != EINVAL && errno != ENOSYS)
		return file_fail(err, errno, "cannot rename to", o->path);
	/* A file system without that call: the gap between the two lines is all that is left. */
	if (access(o->path, F_OK) == 0)
		return refuse_existing(o->path, err);
	return rename(o->part_path, o->path) < 0 ? file_fail(err, errno, "cannot rename to", o->path) : 0;
}

void fetch_file_remove(struct fetch_file *o)
{
	if (o->is_locked)
		unlink(o->part_path);
}

void fetch_file_close(struct fetch_file *o)
{
	if (o->part_path)
		fs_close(o->fd);
	free(o->part_path);
	digest_free(o->digest);
	*o = (struct fetch_file){.fd = -1};
}
