/* login_file.c - see login_file.h. */
#include "cli/login/login_file.h"

#include "common/fs.h"

#include <sys/stat.h>

int login_file_read(const char *path, char **ret_text, bool *ret_readable, struct err *err)
{
	struct err why = {0};
	struct stat st;

	*ret_readable = stat(path, &st) == 0 && (st.st_mode & S_IROTH);
	*ret_text = fs_read_text(path, LOGIN_FILE_BYTES_MAX, &why);
	if (*ret_text || why.code == ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = why;
	return -1;
}
