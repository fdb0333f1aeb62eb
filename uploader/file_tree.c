/* file_tree.c - see file_tree.h. */
#include "uploader/file_tree.h"

#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

int file_tree_check(const char *key, struct err *err)
{
	size_t len = strnlen(key, FILE_TREE_KEY_MAX + 1), meta = strlen(FILE_TREE_META), n;
	unsigned depth = 0;

	if (len > FILE_TREE_KEY_MAX)
		return err_set(err, ERR_INPUT, "object key: over %u bytes", FILE_TREE_KEY_MAX);
	for (const char *p = key;; p += n + 1) {
		n = strspn(p, allowed);
		if (n == 0 || n > FILE_TREE_COMPONENT_MAX || *p == '.' || (p[n] != '/' && p[n] != '\0'))
			return err_set(err, ERR_INPUT, "object key \"%s\": byte %zu is where it goes wrong", key,
				(size_t)(p - key) + (*p == '.' ? 0 : n));
		if (++depth > FILE_TREE_DEPTH_MAX)
			return err_set(
				err, ERR_INPUT, "object key \"%s\": over %u components", key, FILE_TREE_DEPTH_MAX);
		if (p[n] == '\0')
			break;
	}
	if (len >= meta && strcmp(key + len - meta, FILE_TREE_META) == 0)
		return err_set(err, ERR_INPUT, "object key \"%s\": may not end with " FILE_TREE_META, key);
	return 0;
}

const char *file_tree_name(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash ? slash + 1 : key;
}

/* Copies the next component of key before its last one; where the next begins, NULL: only the name is left. */
static const char *folder_next(const char *key, char ret[FILE_TREE_COMPONENT_MAX + 1])
{
	const char *slash = strchr(key, '/');
	size_t n;

	if (!slash || (n = (size_t)(slash - key)) > FILE_TREE_COMPONENT_MAX)
		return NULL;
	memcpy(ret, key, n);
	ret[n] = '\0';
	return slash + 1;
}

static int folder_enter(int at, const char *name, bool make, struct err *err)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make) {
		if ((mkdirat(at, name, 0700) < 0 && errno != EEXIST) || fsync(at) < 0)
			return err_sys(err, errno, "making folder %s", name);
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? err_sys(err, errno, "folder %s", name) : fd;
}

int file_tree_dir(int root, const char *key, bool make, struct err *err)
{
	char name[FILE_TREE_COMPONENT_MAX + 1];
	int at = fcntl(root, F_DUPFD_CLOEXEC, 0), next;
	const char *rest = key, *after;

	if (at < 0)
		return err_sys(err, errno, "object %s", key);
	for (; (after = folder_next(rest, name)); rest = after) {
		next = folder_enter(at, name, make, err);
		fs_close(at);
		if (next < 0)
			return err_in(err, "object %s", key);
		at = next;
	}
	return at;
}

int file_tree_prune(int root, const char *key, struct err *err)
{
	char path[FILE_TREE_KEY_MAX + 1];
	char *slash;

	memcpy(path, key, strlen(key) + 1);
	while ((slash = strrchr(path, '/'))) {
		*slash = '\0';
		if (unlinkat(root, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		if (errno == ENOTEMPTY || errno == EEXIST)
			return 0;
		return err_sys(err, errno, "removing folder %s", path);
	}
	return 0;
}
