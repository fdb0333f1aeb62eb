/* driver_file.c - the file driver: objects in a folder.  How they are made is in driver_file_upload.c. */
#include "uploader/driver_file_internal.h"

#include "common/fs.h"
#include "uploader/file_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UPLOADS_NAME ".uploads"

int driver_file_open_at(struct driver_file *d, const char *key, uint64_t *ret_bytes, struct err *err)
{
	int dir, fd = -1;
	struct stat st;

	if (file_tree_check(key, err) < 0)
		return -1;
	dir = file_tree_dir(d->root, key, false, err);
	if (dir < 0)
		return -1;
	fd = openat(dir, file_tree_name(key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		err_sys(err, errno, "object %s", key);
	} else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		err_set(err, ERR_IO, "object %s is not a file", key);
		fs_close(fd);
		fd = -1;
	} else {
		*ret_bytes = (uint64_t)st.st_size;
	}
	fs_close(dir);
	return fd;
}

static int driver_file_open(struct driver *d, const char *key, uint64_t *ret_bytes, struct err *err)
{
	return driver_file_open_at((struct driver_file *)d, key, ret_bytes, err);
}

static int remove_at(int dir, const char *name, struct err *err)
{
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "removing %s", name);
	return 0;
}

/* Object first: should the second fail, what is left names no object. */
static int erase_in(int dir, const char *name, struct driver_erased *ret, struct err *err)
{
	char meta[FILE_TREE_COMPONENT_MAX + sizeof(FILE_TREE_META)];
	struct stat st, was;
	bool there = fstatat(dir, name, &was, AT_SYMLINK_NOFOLLOW) == 0;

	snprintf(meta, sizeof(meta), "%s" FILE_TREE_META, name);
	if (remove_at(dir, name, err) < 0 || remove_at(dir, meta, err) < 0)
		return -1;
	if (fsync(dir) < 0)
		return err_sys(err, errno, "flushing the folder");
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return err_set(err, ERR_IO, "it is still there");
	if (there) {
		ret->objects++;
		ret->bytes += (uint64_t)was.st_size;
	}
	return 0;
}

static int driver_file_erase(struct driver *driver, const char *key, struct driver_erased *ret, struct err *err)
{
	struct driver_file *d = (struct driver_file *)driver;
	struct err missing = {0};
	int dir, rc = -1;

	if (file_tree_check(key, err) < 0)
		return -1;
	pthread_mutex_lock(&d->tree);
	dir = file_tree_dir(d->root, key, false, &missing);
	if (dir >= 0)
		rc = erase_in(dir, file_tree_name(key), ret, err);
	else if (missing.code == ERR_NOT_FOUND)
		rc = 0;
	else if (err)
		*err = missing;
	fs_close(dir);
	if (rc == 0)
		rc = file_tree_prune(d->root, key, err);
	pthread_mutex_unlock(&d->tree);
	return rc < 0 ? err_in(err, "erasing object %s", key) : 0;
}

static int driver_file_check(struct driver *driver, struct err *err)
{
	struct driver_file *d = (struct driver_file *)driver;

	return staging_check(d->uploads, err) < 0 ? err_in(err, "object store %s", d->root_path) : 0;
}

static void driver_file_free(struct driver *driver)
{
	struct driver_file *d = (struct driver_file *)driver;

	if (!d)
		return;
	fs_close(d->uploads);
	fs_close(d->root);
	pthread_mutex_destroy(&d->tree);
	free(d->root_path);
	free(d);
}

/* Parts lie one behind the other in one file, and its index tells how far it can be believed. */
static unsigned driver_file_parallel(const struct driver *driver)
{
	(void)driver;
	return 1;
}

static const struct driver_ops driver_file_ops = {
	.name = "file",
	.parallel = driver_file_parallel,
	.upload_begin = driver_file_upload_begin,
	.upload_state = driver_file_upload_state,
	.upload_part = driver_file_upload_part,
	.upload_complete = driver_file_upload_complete,
	.upload_abort = driver_file_upload_abort,
	.upload_free = driver_file_upload_free,
	.open = driver_file_open,
	.url = NULL,
	.erase = driver_file_erase,
	.check = driver_file_check,
	.free = driver_file_free,
};

/* Opens root and makes it ours.  The root of the file system is refused: its mode is not for us to change. */
static int root_take(struct driver_file *d, struct err *err)
{
	struct stat root, top;

	if (fs_mkdir_p(d->root_path, 0700, err) < 0)
		return -1;
	d->root = open(d->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->root < 0 || fstat(d->root, &root) < 0 || stat("/", &top) < 0)
		return err_sys(err, errno, "object store %s", d->root_path);
	if (root.st_dev == top.st_dev && root.st_ino == top.st_ino)
		return err_set(err, ERR_INPUT, "object store %s: it needs a folder of its own", d->root_path);
	if (fchmod(d->root, 0700) < 0)
		return err_sys(err, errno, "object store %s: setting mode 0700", d->root_path);
	if (mkdirat(d->root, UPLOADS_NAME, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "object store %s: making " UPLOADS_NAME, d->root_path);
	d->uploads = openat(d->root, UPLOADS_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->uploads < 0 || fsync(d->root) < 0)
		return err_sys(err, errno, "object store %s: " UPLOADS_NAME, d->root_path);
	return 0;
}

struct driver *driver_file_new(const char *root, struct err *err)
{
	struct driver_file *d = calloc(1, sizeof(*d));

	if (!d || pthread_mutex_init(&d->tree, NULL) != 0) {
		free(d);
		err_nomem(err);
		return NULL;
	}
	d->base.ops = &driver_file_ops;
	d->root = d->uploads = -1;
	d->root_path = strdup(root);
	if (!d->root_path) {
		err_nomem(err);
		goto fail;
	}
	if (root_take(d, err) < 0)
		goto fail;
	return &d->base;
fail:
	driver_file_free(&d->base);
	return NULL;
}
