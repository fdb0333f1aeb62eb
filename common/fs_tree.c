/* fs_tree.c - folders made and removed with all that is in them; see fs.h. */
#include "common/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fs_mkdir_one(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, errno, "mkdir %s", path);
	if (stat(path, &st) != 0)
		return err_sys(err, errno, "stat %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_sys(err, ENOTDIR, "mkdir %s", path);
	return 0;
}

int fs_mkdir_p(const char *path, mode_t mode, struct err *err)
{
	char *prefix = strdup(path);
	int rc = 0;

	if (prefix == NULL)
		return err_nomem(err);
	for (char *p = prefix; rc == 0 && *p != '\0'; p++) {
		if (p == prefix || *p != '/')
			continue;
		*p = '\0';
		rc = fs_mkdir_one(prefix, mode, err);
		*p = '/';
	}
	if (rc == 0)
		rc = fs_mkdir_one(path, mode, err);
	free(prefix);
	return rc;
}

static int fs_remove_at(int dir_fd, const char *name, struct err *err);

static bool fs_is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes what is in the folder fd, which is taken. */
static int fs_empty_dir(int fd, const char *name, struct err *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (dir == NULL) {
		rc = err_sys(err, errno, "open %s", name);
		fs_close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (!fs_is_dot(entry->d_name))
			rc = fs_remove_at(dirfd(dir), entry->d_name, err);
	if (rc == 0 && errno != 0)
		rc = err_sys(err, errno, "read %s", name);
	else if (rc < 0)
		err_in(err, "%s", name);
	closedir(dir);
	return rc;
}

/* Every name is taken relative to an open folder and never through a link, so nothing outside can be reached by
 * exchanging a folder for a link meanwhile. */
static int fs_remove_at(int dir_fd, const char *name, struct err *err)
{
	int fd;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return err_sys(err, errno, "remove %s", name);
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open %s", name);
	if (fs_empty_dir(fd, name, err) < 0)
		return -1;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", name);
	return 0;
}

int fs_remove_tree(const char *path, struct err *err)
{
	return fs_remove_at(AT_FDCWD, path, err);
}
