#include "temp_file.h"

#include "common/err.h"
#include "common/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	abort();
}

void temp_file_init(struct temp_file *t)
{
	const char *base = getenv("TMPDIR");

	snprintf(t->dir, sizeof(t->dir), "%.80s/pcapline-unit-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(t->dir))
		die(t->dir);
	snprintf(t->path, sizeof(t->path), "%s/file", t->dir);
}

void temp_file_write(const struct temp_file *t, const void *p, size_t n)
{
	int fd = open(t->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err = {0};

	if (fd < 0 || fs_write_all(fd, p, n, &err) < 0)
		die(t->path);
	close(fd);
}

void temp_file_done(struct temp_file *t)
{
	fs_remove_tree(t->dir, NULL);
}
