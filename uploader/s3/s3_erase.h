/* s3_erase.h - nothing of a key is left in the bucket: no version, no delete marker, no upload that could still become an object.
 * Nothing is tried twice: the caller does, and what is gone already is success. */
#ifndef PCAPLINE_UPLOADER_S3_S3_ERASE_H
#define PCAPLINE_UPLOADER_S3_S3_ERASE_H

#include "common/err.h"
#include "uploader/driver.h"
#include "uploader/s3/s3_client.h"

/* s3_erase_key: uploads, versions, delete markers of exactly this key; 0 only when the store was asked afterwards and has none of them.  Adds to *ret (may be
 * NULL) what was taken away, also when it fails half way.
 * ERR_PERM names the right that is missing.  ERR_UNAVAILABLE: the store took the request and still has it. */
int s3_erase_key(struct s3_client *c, const char *key, struct driver_erased *ret, struct err *err);

/* s3_erase_uploads: the open uploads alone.  A store that cannot list uploads at all counts as having none.  cancelled: the flag of s3_client_cancel that gives it up; may
 * be NULL. */
int s3_erase_uploads(struct s3_client *c, const char *key, const atomic_bool *cancelled, struct err *err);

#endif
