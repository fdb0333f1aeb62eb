/* driver_file_complete.c - how an upload of the file driver becomes an object: .part is flushed, read back, checked against what was sent,
 * and renamed to its key, replacing nothing.  The side record <key>.meta stands there first, so that no object is ever without. */
#include "uploader/driver_file_internal.h"

#include "common/fs.h"
#include "uploader/file_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 1: the object stands at its key as expected; 0: nothing does; -1: another one does. */
static int complete_already(struct file_upload *u, const struct driver_object *expect, struct err *err)
{
	struct err why = {0};
	uint64_t bytes;
	int fd = driver_file_open_at(u->d, u->key, &bytes, &why), rc = 1;

	if (fd < 0 && why.code == ERR_NOT_FOUND)
		return 0;
	if (fd < 0 || staging_compare(fd, bytes, expect, &why) < 0)
		rc = err_set(err, ERR_STATE, "another object stands at %s: %s", u->key, why.msg);
	fs_close(fd);
	return rc;
}

static int meta_write(
	const struct file_upload *u, int dir, const char *name, const struct driver_object *expect, struct err *err)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), rc = -1;
	char *text = NULL;

	if (fd < 0)
		return err_sys(err, errno, "making %s", name);
	/* u->meta is an object with members: its closing brace makes room for two more. */
	text = fs_path("%.*s,\"size_bytes\":%" PRIu64 ",\"sha256\":\"%s\"}\n", (int)strlen(u->meta) - 1, u->meta,
		expect->bytes, expect->sha256);
	if (!text)
		err_nomem(err);
	else if (fs_write_all(fd, text, strlen(text), err) < 0)
		err_in(err, "%s", name);
	else if (fsync(fd) < 0)
		err_sys(err, errno, "flushing %s", name);
	else
		rc = 0;
	free(text);
	fs_close(fd);
	return rc;
}

/* A rename that replaces nothing, also where the file system has no such call. */
static int rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
	if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(from_dir, from, to_dir, to, 0) < 0)
		return -1;
	return unlinkat(from_dir, from, 0);
}

static int object_place(struct file_upload *u, const struct driver_object *expect, struct err *err)
{
	char meta[FILE_TREE_COMPONENT_MAX + sizeof(FILE_TREE_META)];
	const char *name = file_tree_name(u->key);
	struct stat st;
	int dir, rc = -1;

	snprintf(meta, sizeof(meta), "%s" FILE_TREE_META, name);
	pthread_mutex_lock(&u->d->tree);
	dir = file_tree_dir(u->d->root, u->key, true, err);
	if (dir < 0)
		goto out;
	/* Looked at once more, so that the side record of another object is not written over. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		err_set(err, ERR_STATE, "another object came to stand there");
		goto out;
	}
	/* First the side record: no object is ever without. */
	if (meta_write(u, dir, meta, expect, err) < 0)
		goto out;
	if (rename_new(u->d->uploads, u->parts.part_name, dir, name) < 0) {
		err_sys(err, errno, "putting the object into its place");
		unlinkat(dir, meta, 0);
		goto out;
	}
	if (fsync(dir) < 0 || fsync(u->d->uploads) < 0)
		err_sys(err, errno, "flushing the folder");
	else
		rc = 0;
out:
	fs_close(dir);
	pthread_mutex_unlock(&u->d->tree);
	return rc;
}

int driver_file_upload_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err)
{
	struct file_upload *u = upload;
	int there = complete_already(u, expect, err);

	if (there < 0)
		return -1;
	if (there > 0)
		return driver_file_upload_abort(u, err); /* clears away what is left of the making */
	if (staging_seal(&u->parts, n, parts, expect, err) < 0 || object_place(u, expect, err) < 0)
		return err_in(err, "object %s", u->key);
	return driver_file_upload_abort(u, err);
}
