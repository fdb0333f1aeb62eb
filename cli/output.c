/* output.c - see output.h. */
#include "cli/output.h"

#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Local files fail with ERR_IO or ERR_FULL only: the other kinds stand for what the gateway refused (see cli_exit_code). */
static int fail(struct err *err, int errnum, const char *what, const char *path)
{
	err_sys(err, errnum, "%s %s", what, path);
	if (err && err->code != ERR_FULL)
		err->code = ERR_IO;
	return -1;
}

static int open_stdout(struct out *o, struct err *err)
{
	if (isatty(STDOUT_FILENO) == 1)
		return err_set(err, ERR_INPUT,
			"stdout is a terminal: packets go to a pipe or a file (\"-w - | wireshark -k -i -\", or -w "
			"FILE)");
	o->is_stdout = true;
	o->fd = STDOUT_FILENO;
	return 0;
}

/* An old file keeps its content until out_begin: a refused capture must not cost the last one. */
static int open_file(struct out *o, bool fresh, struct err *err)
{
	o->fd = open(o->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (o->fd >= 0) {
		o->is_new = true;
		return 0;
	}
	if (errno == EEXIST && !fresh)
		o->fd = open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return o->fd >= 0 ? 0 : fail(err, errno, "cannot write", o->path);
}

int out_open(struct out *o, const char *path, bool fresh, struct err *err)
{
	struct stat st;

	*o = (struct out){.fd = -1};
	o->path = strdup(path);
	if (!o->path)
		return err_nomem(err);
	if ((!strcmp(path, "-") ? open_stdout(o, err) : open_file(o, fresh, err)) < 0) {
		out_close(o, NULL);
		return -1;
	}
	o->is_regular = !o->is_stdout && fstat(o->fd, &st) == 0 && S_ISREG(st.st_mode);
	return 0;
}

int out_begin(struct out *o, struct err *err)
{
	o->is_new = false;
	if (o->is_regular && ftruncate(o->fd, 0) < 0)
		return fail(err, errno, "cannot empty", o->path);
	return 0;
}

static void advance(struct iovec parts[2], size_t done)
{
	for (int i = 0; i < 2; i++) {
		size_t n = done < parts[i].iov_len ? done : parts[i].iov_len;

		parts[i].iov_base = (char *)parts[i].iov_base + n;
		parts[i].iov_len -= n;
		done -= n;
	}
}

/* Writes both parts; false with errno when that failed on the way. */
static bool write_parts(int fd, struct iovec parts[2])
{
	while (parts[0].iov_len || parts[1].iov_len) {
		ssize_t done = writev(fd, parts, 2);

		if (done >= 0)
			advance(parts, (size_t)done);
		else if (errno != EINTR)
			return false;
	}
	return true;
}

int out_write(struct out *o, const void *head, size_t head_n, const void *body, size_t body_n, struct err *err)
{
	struct iovec parts[2] = {{(void *)head, head_n}, {(void *)body, body_n}};

	if (write_parts(o->fd, parts)) {
		o->bytes += head_n + body_n;
		return 0;
	}
	if (errno == EPIPE) {
		err_set(err, ERR_CANCELLED, "the reader of the output has closed it");
		return err_detail(err, OUTPUT_PIPE_CLOSED);
	}
	fail(err, errno, "writing", o->is_stdout ? "stdout" : o->path);
	if (o->is_regular && (ftruncate(o->fd, (off_t)o->bytes) < 0 || lseek(o->fd, (off_t)o->bytes, SEEK_SET) < 0))
		err_in(err, "and the file could not be cut at the last whole packet");
	return -1;
}

int out_rewind(struct out *o, struct err *err)
{
	if (!o->bytes)
		return 0;
	if (!o->is_regular)
		return err_set(err, ERR_STATE, "what was written to %s cannot be taken back", o->path);
	if (ftruncate(o->fd, 0) < 0 || lseek(o->fd, 0, SEEK_SET) < 0)
		return fail(err, errno, "cannot empty", o->path);
	o->bytes = 0;
	return 0;
}

bool out_is_open(const struct out *o)
{
	return o->fd >= 0 && o->path;
}

int out_close(struct out *o, struct err *err)
{
	int rc = 0;

	if (o->fd >= 0 && !o->is_stdout && close(o->fd) < 0 && errno != EINTR)
		rc = fail(err, errno, "closing", o->path);
	if (o->is_new)
		unlink(o->path);
	free(o->path);
	*o = (struct out){.fd = -1};
	return rc;
}
