/* s3_access.h - who may do what with a bucket, out of the documents that the store keeps on it: its policy, its ACL.  Pure functions on hostile input.
 * Source: "Policies and permissions in Amazon S3", "The meaning of 'public'", Amazon S3 User Guide; "IAM JSON policy elements reference". */
#ifndef PCAPLINE_UPLOADER_S3_S3_ACCESS_H
#define PCAPLINE_UPLOADER_S3_S3_ACCESS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

/* How a policy keeps requests without TLS out. */
enum s3_plain_http {
	S3_PLAIN_HTTP_ALLOWED,
	S3_PLAIN_HTTP_DENIED_IF_KNOWN, /* by Bool: Ceph has no aws:SecureTransport for a plain request, so there it denies nothing */
	S3_PLAIN_HTTP_DENIED, /* by BoolIfExists */
};

struct s3_policy_judgement {
	enum s3_plain_http plain_http;
	bool is_public; /* everybody is allowed something in the bucket, without a condition */
};

/* s3_access_policy: what it says of reading and writing objects below prefix.  ERR_INPUT, ERR_LIMIT: it is no policy. */
int s3_access_policy(const void *json, size_t n, const char *bucket, const char *prefix,
	struct s3_policy_judgement *ret, struct err *err);

/* <PolicyStatus>: does the store itself call the policy public? */
int s3_access_policy_status(const void *xml, size_t n, bool *ret_public, struct err *err);

/* <AccessControlPolicy>: is a group granted anything that everybody, or everybody with any account, belongs to? */
int s3_access_acl(const void *xml, size_t n, bool *ret_public, struct err *err);

#endif
