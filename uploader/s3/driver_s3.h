/* driver_s3.h - objects in a bucket, over S3's API. */
#ifndef PCAPLINE_UPLOADER_S3_DRIVER_S3_H
#define PCAPLINE_UPLOADER_S3_DRIVER_S3_H

#include "uploader/driver.h"
#include "uploader/s3/s3_credentials.h"

#include <stdbool.h>
#include <stdint.h>

enum s3_encryption { S3_SSE_NONE, S3_SSE_AES256, S3_SSE_KMS };

struct driver_s3_options {
	const char *endpoint, *bucket, *region;
	bool path_style;
	const char *ca_file; /* "" : the system's CAs */
	struct s3_credentials_options credentials;
	enum s3_encryption encryption;
	const char *kms_key_id; /* S3_SSE_KMS; "" : the bucket's */
	const char *prefix;     /* of all keys: lifecycle rule and examination are for it */
	unsigned parallel;      /* parts of one upload in flight at once */
	unsigned connections_max;
	unsigned connect_timeout_ms, idle_timeout_ms;
	bool lifecycle;        /* put the rule in place when it is missing */
	uint64_t retention_ms; /* how long captures are kept, and ... */
	uint64_t capture_ms;   /* ... how long one may run: the rule's days are both, rounded up, and one more */
	const char *
		staging_dir; /* below the spool, nobody else's: where an object is put together for signature version 2 */
};

/* Signature version 4 over libcurl: parts while the capture runs. */
struct driver *driver_s3_new(const struct driver_s3_options *o, struct err *err);

/* Signature version 2 over libs3, for older stores: the whole object at the end, at most 5 GiB, no tags, no encryption, no lifecycle. */
struct driver *driver_s3v2_new(const struct driver_s3_options *o, struct err *err);

struct s3_client_options;

/* driver_s3_client_options: how both reach the bucket; makes the credentials.  -1: they cannot be had. */
int driver_s3_client_options(const struct driver_s3_options *o, struct s3_client_options *ret, struct err *err);

#endif
