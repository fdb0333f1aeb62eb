/* driver_s3_internal.h - what the files of the driver for signature version 4 share.
 *
 *   driver_s3.c           the driver as a whole: options, health, links, reading, erasing
 *   driver_s3_upload.c    one object on its way: multipart upload or single PUT
 *   driver_s3_complete.c  its end: parts compared, completed, checked, tagged
 *   driver_s3_shorten.c   an object that goes on behind its end becomes its beginning */
#ifndef PCAPLINE_UPLOADER_S3_DRIVER_S3_INTERNAL_H
#define PCAPLINE_UPLOADER_S3_DRIVER_S3_INTERNAL_H

#include "common/id.h"
#include "uploader/s3/driver_s3.h"
#include "uploader/s3/s3_client.h"
#include "uploader/s3/s3_labels.h"
#include "uploader/s3/s3_look.h"
#include "uploader/s3/s3_xml.h"

#include <pthread.h>
#include <stdatomic.h>

struct driver_s3 {
	struct driver base;
	struct s3_client *client;
	char *prefix, *kms_key_id;
	char probe[17]; /* tells this gateway's probe object from others' */
	enum s3_encryption encryption;
	unsigned parallel;
	bool lifecycle;
	uint64_t retention_ms, capture_ms;
	atomic_bool tags_harm; /* the examination has seen an object replaced by its tags: none are put */
	struct s3_look look;
};

struct s3_object_upload {
	struct driver_s3 *d;
	char *key;
	struct s3_labels labels;
	char id[S3_UPLOAD_ID_MAX]; /* "" : not opened */
	unsigned creates; /* requests to open one: what the store did not answer it may have done after all, and late */
	atomic_bool cancelled;
};

/* driver_s3_upload.c */
void *driver_s3_upload_begin(
	struct driver *base, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err);
int driver_s3_upload_open(void *upload, struct err *err);
char *driver_s3_upload_state(void *upload, struct err *err);
int driver_s3_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err);
void driver_s3_upload_cancel(void *upload);
int driver_s3_upload_abort(void *upload, struct err *err);
void driver_s3_upload_free(void *upload);

/* driver_s3_upload_create: another multipart upload at u's key, with the object's headers, once no other is open there. */
int driver_s3_upload_create(struct s3_object_upload *u, char ret_id[S3_UPLOAD_ID_MAX], struct err *err);

/* The text of a part is its ETag; of an object that was put as a whole this stands before it. */
#define DRIVER_S3_WHOLE "whole "

#define DRIVER_S3_PARTS_MAX 10000u /* of an upload, S3's own limit */

/* driver_s3_complete.c */
int driver_s3_upload_beyond(void *upload, uint32_t n, bool *ret, struct err *err);
int driver_s3_upload_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err);

/* driver_s3_completed: the upload id becomes the object: parts 1..n without those that are NULL. */
int driver_s3_completed(
	struct s3_object_upload *u, const char *id, uint32_t n, const char *const *parts, struct err *err);

/* driver_s3_shorten.c
 * driver_s3_shorten: of what stands at u's key only the first bytes stay: copied by the store itself, in an upload of its own.  After a failure the object
 * stands as it was, or as it shall. */
int driver_s3_shorten(struct s3_object_upload *u, uint64_t bytes, struct err *err);

/* driver_s3_head: size and ETag of what stands at the upload's key; ERR_NOT_FOUND. */
int driver_s3_head(struct s3_object_upload *u, uint64_t *ret_bytes, char ret_etag[S3_ETAG_MAX], struct err *err);

#endif
