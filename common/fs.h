/* fs.h - files: whole reads with a cap, writes that are all there or not at all, folders. */
#ifndef PCAPLINE_COMMON_FS_H
#define PCAPLINE_COMMON_FS_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* fs_read: the whole file, appended to b (bounded by b->max: ERR_LIMIT).  Regular files only. */
int fs_read(const char *path, struct buf *b, struct err *err);

/* fs_read_text: as a new terminated string (caller frees); refuses NUL bytes.  max in bytes. */
char *fs_read_text(const char *path, size_t max, struct err *err);

/* fs_write_new: writes aside, flushes, renames over path, flushes the folder.  After a crash a file ".new-??????" may be left
 * beside path. */
int fs_write_new(const char *path, const void *p, size_t n, mode_t mode, struct err *err);

/* fs_write_all: all n bytes or an error. EINTR and short writes are handled. */
int fs_write_all(int fd, const void *p, size_t n, struct err *err);

int fs_mkdir_p(const char *path, mode_t mode, struct err *err);
int fs_sync_dir(const char *path, struct err *err);    /* makes renames in it durable */
int fs_remove_tree(const char *path, struct err *err); /* does not follow links; a missing path is fine */

/* fs_free_bytes: what an unprivileged writer may still use on the file system of path. */
int fs_free_bytes(const char *path, uint64_t *ret, struct err *err);

void fs_close(int fd); /* accepts -1 */

/* fs_path: a new string from the format; NULL on no memory. */
char *fs_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
