/* audit_files.h - files of the audit trail, looked at without a gateway. */
#ifndef PCAPLINE_CLI_AUDIT_FILES_H
#define PCAPLINE_CLI_AUDIT_FILES_H

#include "common/err.h"

#include <jansson.h>
#include <stddef.h>

/* audit_files_check: n files, oldest first, under the key in the file key; head: the hash that they must end with, NULL: nobody knows.  What audit_check_to_json says, a new
 * reference; NULL: they cannot be read. */
json_t *audit_files_check(const char *const *paths, size_t n, const char *key, const char *head, struct err *err);

#endif
