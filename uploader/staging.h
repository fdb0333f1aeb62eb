/* staging.h - the parts of one upload while they wait to become an object, in a folder that may hold those of many:
 *   <job>.part    the parts, one after the other
 *   <job>.index   a line per part, "<seq> <offset> <bytes> <sha256>", written when the part is on disk
 * What stands in .part past the last line of the index does not count; so a part that a crash cut off is simply sent again.
 * One thread at a time. */
#ifndef PCAPLINE_UPLOADER_STAGING_H
#define PCAPLINE_UPLOADER_STAGING_H

#include "uploader/driver.h"

#include <sys/types.h>

struct staging_part {
	uint64_t offset, bytes;
	char sha256[DIGEST_SHA256_HEX_MAX];
	off_t index_end; /* of its line */
};

struct staging {
	int dir; /* the folder, borrowed */
	char *part_name, *index_name;
	int data, index;
	struct staging_part *parts; /* 1.. at 0.. */
	uint32_t n, cap;
};

/* staging_open: the parts of job, as they are (resume) or none.  s is filled either way: staging_close must follow. */
int staging_open(struct staging *s, int dir, const char *job, bool resume, struct err *err);
void staging_close(struct staging *s); /* the files stay */

uint64_t staging_bytes(const struct staging *s); /* of all parts */

/* staging_add: as driver.h says of upload_part.  The text of a part is its line of the index. */
int staging_add(
	struct staging *s, uint32_t seq, int fd, uint64_t bytes, const char *sha256, char **ret_part, struct err *err);

/* staging_seal: the parts are 1..n with these texts, their file is cut to them and flushed, and what is read back from it is what is expected.  Else ERR_IO. */
int staging_seal(
	struct staging *s, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err);

/* Are these bytes of fd what is expected?  ERR_IO. */
int staging_compare(int fd, uint64_t bytes, const struct driver_object *expect, struct err *err);

int staging_remove(struct staging *s, struct err *err); /* the files; gone already is success */

/* staging_forget: the files of a job in the folder at path, of whichever configuration; neither there is success. */
int staging_forget(const char *path, const char *job, struct err *err);

/* staging_check: can files be made in this folder? */
int staging_check(int dir, struct err *err);

#endif
