/* driver_s3v2_internal.h - what the files of the driver for signature version 2 share.
 *
 *   driver_s3v2.c          the driver as a whole: options, health, links, reading, erasing
 *   driver_s3v2_upload.c   one object: its parts are put together aside (staging.h) and sent as a whole at the end
 *   driver_s3v2_examine.c  what an operator should know */
#ifndef PCAPLINE_UPLOADER_S3_DRIVER_S3V2_INTERNAL_H
#define PCAPLINE_UPLOADER_S3_DRIVER_S3V2_INTERNAL_H

#include "uploader/s3/driver_s3.h"
#include "uploader/s3/libs3_call.h"
#include "uploader/s3/s3_labels.h"
#include "uploader/s3/s3_look.h"
#include "uploader/staging.h"

struct driver_s3v2 {
	struct driver base;
	struct libs3_client *client;
	char *prefix, *staging_path;
	int staging; /* descriptor of the folder */
	struct s3_look look;
};

/* driver_s3v2.c: does the store answer, as far as these keys may ask it? */
int driver_s3v2_look(struct driver_s3v2 *d, struct err *err);
int driver_s3v2_erase(struct driver_s3v2 *d, const char *key, struct driver_erased *ret, struct err *err);

/* driver_s3v2_upload.c */
void *driver_s3v2_upload_begin(
	struct driver *base, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err);
char *driver_s3v2_upload_state(void *upload, struct err *err);
int driver_s3v2_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err);
int driver_s3v2_upload_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err);
void driver_s3v2_upload_cancel(void *upload);
int driver_s3v2_upload_abort(void *upload, struct err *err);
void driver_s3v2_upload_free(void *upload);

/* The MD5 of fd's first bytes, in both forms that S3 speaks of. */
struct driver_s3v2_md5 {
	char hex[2 * DIGEST_MD5_BYTES + 1];
	char base64[25];
};
int driver_s3v2_md5_of(int fd, uint64_t bytes, struct driver_s3v2_md5 *ret, struct err *err);

/* driver_s3v2_examine.c */
int driver_s3v2_examine(struct driver *base, struct driver_findings *ret, struct err *err);

#endif
