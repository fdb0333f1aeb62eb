/* audit_file.h - the file of the audit trail: whole lines or nothing.  One thread at a time. */
#ifndef PCAPLINE_GATEWAY_AUDIT_AUDIT_FILE_H
#define PCAPLINE_GATEWAY_AUDIT_AUDIT_FILE_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_file {
	char *path; /* borrowed */
	bool sync;
	int fd;        /* -1: not open */
	uint64_t size; /* up to the end of the last whole line */
	bool torn;     /* there is more behind it, which has to go first */
};

/* audit_file_open: opens or makes it (0600).  A last line without an end stays where it is, as torn: its length in ret_torn. */
int audit_file_open(struct audit_file *f, uint64_t *ret_torn, struct err *err);
void audit_file_close(struct audit_file *f);

/* audit_file_append: line and its end, in one write; on -1 the file is as before. */
int audit_file_append(struct audit_file *f, const char *line, struct err *err);

/* audit_file_sync: what was appended is on the disk (audit.sync). */
int audit_file_sync(struct audit_file *f, struct err *err);

/* audit_file_back: to a size that it had, when what was appended since shall not stand. */
void audit_file_back(struct audit_file *f, uint64_t size);

/* audit_file_put_aside: renames it to PATH.SEQ and begins another one.  On -1 nothing has changed. */
int audit_file_put_aside(struct audit_file *f, uint64_t seq, struct err *err);

/* audit_file_look: is it as we left it?  What others did to it is taken as it is now: *ret_lost bytes fewer; *ret_gone: it has no name any more. */
int audit_file_look(struct audit_file *f, uint64_t *ret_lost, bool *ret_gone, struct err *err);

/* audit_file_last: a copy of the last whole line, of at most max bytes, which the caller frees; NULL and no err: there is none. */
char *audit_file_last(const struct audit_file *f, size_t max, struct err *err);

/* audit_file_last_of: the same of any file. */
char *audit_file_last_of(char *path, size_t max, struct err *err);

#endif
