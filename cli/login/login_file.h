/* login_file.h - the files in which other tools keep their logins: read with a bound, never written. */
#ifndef PCAPLINE_CLI_LOGIN_LOGIN_FILE_H
#define PCAPLINE_CLI_LOGIN_LOGIN_FILE_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define LOGIN_FILE_BYTES_MAX ((size_t)1024 * 1024)

/* login_file_read: *ret_text NULL when it is not there, else the caller's (digest_wipe_free); *ret_readable: by everybody on this machine. */
int login_file_read(const char *path, char **ret_text, bool *ret_readable, struct err *err);

#endif
