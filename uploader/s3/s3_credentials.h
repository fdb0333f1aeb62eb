/* s3_credentials.h - the keys that requests are signed with, from where the configuration says: fixed, the environment, a file that is re-read when it changes, or the
 * instance metadata service (IMDSv2 only).  Thread-safe.  Keys never stand in a message.
 * Source: "Use IMDSv2", Amazon EC2 User Guide; "Configuration and credential file settings", AWS SDKs Reference Guide. */
#ifndef PCAPLINE_UPLOADER_S3_S3_CREDENTIALS_H
#define PCAPLINE_UPLOADER_S3_S3_CREDENTIALS_H

#include "common/err.h"
#include "uploader/s3/s3_sign.h"

#include <stdint.h>

enum s3_source {
	S3_SOURCE_STATIC,
	S3_SOURCE_ENVIRONMENT, /* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; read once */
	S3_SOURCE_FILE,        /* the format of ~/.aws/credentials */
	S3_SOURCE_IMDS,
};

struct s3_credentials_options {
	enum s3_source source;
	const char *access_key, *secret_key, *session_token; /* STATIC; token "" : none */
	const char *file, *profile;                          /* FILE; profile "" : "default" */
	const char *imds_url;                                /* IMDS; "" : "http://169.254.169.254" */
};

struct s3_credentials;

/* s3_credentials_new: reads what can be read at once (not IMDS).  ERR_INPUT names what is missing or wrong, ERR_PERM: the file may be read by others
 * (its group may). */
struct s3_credentials *s3_credentials_new(const struct s3_credentials_options *o, struct err *err);
void s3_credentials_free(struct s3_credentials *c); /* wipes; accepts NULL */

/* s3_credentials_get: the keys for a request that is made now.  FILE: looks whether the file has changed (a changed file that cannot be used: the last good keys stay, until they are
 * refused).  IMDS: kept until 5 minutes before they expire; when the service does not answer, the old ones are given while they are still good.  May take some seconds then; other
 * threads wait only when there is nothing good to give.
 * Every failure may pass: ERR_UNAVAILABLE, ERR_NET, ERR_TIMEOUT or ERR_NOMEM, err detail "no_keys". */
int s3_credentials_get(struct s3_credentials *c, struct s3_keys *ret, struct err *err);

/* s3_credentials_refused: the store said that these are wrong or have expired; the next get fetches anew (IMDS, FILE), at most once in 5 s.  false:
 * there are no others (static, environment). */
bool s3_credentials_refused(struct s3_credentials *c);

/* When the keys that get gave end, Unix ns; 0: not known to end.  A presigned URL is good no longer. */
uint64_t s3_credentials_expiry(struct s3_credentials *c);

/* "static keys", "keys of the environment", "file /etc/...", "instance role pcap": for people. */
void s3_credentials_describe(struct s3_credentials *c, char *ret, size_t size);

#endif
