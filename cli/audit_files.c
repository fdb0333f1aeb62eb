#include "cli/audit_files.h"

#include "common/fs.h"
#include "schema/audit_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_file(struct audit_check *c, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_sys(err, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_INPUT, "%s: is not a file", path);
	else
		rc = audit_check_file(c, fd, (uint64_t)st.st_size, path, err);
	fs_close(fd);
	return rc;
}

json_t *audit_files_check(const char *const *paths, size_t n, const char *key, const char *head, struct err *err)
{
	struct audit_check *c = calloc(1, sizeof(*c));
	struct audit_key k = {0};
	json_t *ret = NULL;
	int rc;

	if (!c) {
		err_nomem(err);
		return NULL;
	}
	rc = audit_key_load(key, false, &k, err);
	audit_check_begin(c, &k);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = check_file(c, paths[i], err);
	if (rc == 0) {
		audit_check_end(c, head);
		if (!(ret = audit_check_to_json(c)))
			err_nomem(err);
	}
	digest_wipe(&k, sizeof(k));
	free(c);
	return ret;
}
