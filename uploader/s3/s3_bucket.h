/* s3_bucket.h - is this bucket fit for captures?  Asked at the start and by operators. */
#ifndef PCAPLINE_UPLOADER_S3_S3_BUCKET_H
#define PCAPLINE_UPLOADER_S3_S3_BUCKET_H

#include "uploader/s3/driver_s3.h"
#include "uploader/s3/s3_client.h"

#include <stdbool.h>
#include <stdint.h>

struct s3_bucket_options {
	const char *prefix; /* of all keys, without a '/' at its end */
	enum s3_encryption encryption;
	const char *kms_key_id;            /* "" : the bucket's */
	bool lifecycle;                    /* put the rule in place; false: only tell */
	uint64_t retention_ms, capture_ms; /* how long captures are kept, from their end on; how long one may run */
	const char *probe;                 /* what no other gateway's probe object is called */
};

/* s3_bucket_examine: what is good and what is not, at most one finding for each of these checks:
 *
 *   transport      is the endpoint https?
 *   reachable      the bucket is there and the keys are good for it.  When not, this is the last finding
 *   versioning     does the bucket keep versions, and may they be listed?
 *   writable       an object is put and read back: PREFIX/.pcapline-probe-PROBE
 *   tags           it is tagged
 *   encryption     what the store said of it when it was put, and the bucket's default
 *   uploads        an upload is begun, listed and aborted
 *   erase          all of this is erased again
 *   public_access  access block, policy and ACL: may strangers read?
 *   tls_only       does the policy deny plain http?
 *   lifecycle      the rule that expires what the gateway forgot; merged with those of others, never over them
 *
 * Lists are asked for what begins with PREFIX/ and nothing else: the right to do that is enough.
 * A request that fails becomes a finding; -1 with err only when the store cannot be reached (then ret holds what was found until then). */
int s3_bucket_examine(
	struct s3_client *c, const struct s3_bucket_options *o, struct driver_findings *ret, struct err *err);

#endif
