/* s3_credentials_internal.h - what s3_credentials*.c share, and what their units look into. */
#ifndef PCAPLINE_UPLOADER_S3_S3_CREDENTIALS_INTERNAL_H
#define PCAPLINE_UPLOADER_S3_S3_CREDENTIALS_INTERNAL_H

#include "uploader/s3/s3_credentials.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#define S3_CREDENTIALS_FILE_MAX ((size_t)64 * 1024)
#define S3_IMDS_URL             "http://169.254.169.254"
#define S3_IMDS_ROLE_MAX        65

/* What the keys are called where they come from, for messages. */
struct s3_key_names {
	const char *access, *secret, *token;
};

/* s3_keys_set: refuses what cannot be a key (empty, blanks, not printable ASCII, too long).  token NULL or "": none.  ret is whole or untouched. */
int s3_keys_set(struct s3_keys *ret, const struct s3_key_names *names, const char *access, const char *secret,
	const char *token, struct err *err);

/* ---- the file ---- */

/* Which state of a file was seen: another one is told by any of these. */
struct s3_file_seen {
	bool there;
	dev_t dev;
	ino_t ino;
	mode_t mode;
	off_t size;
	struct timespec mtime, ctime;
};

/* s3_file_look: the file's state now; never fails (there = false). */
struct s3_file_seen s3_file_look(const char *path);
bool s3_file_same(const struct s3_file_seen *a, const struct s3_file_seen *b);

/* s3_file_read: the keys of a profile, and which state of the file they are from (set also when it cannot be used). */
int s3_file_read(
	const char *path, const char *profile, struct s3_keys *ret, struct s3_file_seen *ret_seen, struct err *err);

/* s3_file_parse: the same from n bytes of text.  ERR_INPUT naming the line; the text's values are not told. */
int s3_file_parse(const char *text, size_t n, const char *profile, struct s3_keys *ret, struct err *err);

/* ---- the instance metadata service ---- */

struct s3_imds_keys {
	struct s3_keys keys;
	uint64_t expiry_ns;
	char role[S3_IMDS_ROLE_MAX];
};

/* s3_imds_check_url: "http://host[:port]" or https, nothing behind it but a '/'. */
int s3_imds_check_url(const char *url, struct err *err);
int s3_imds_fetch(const char *url, unsigned total_ms, struct s3_imds_keys *ret, struct err *err);

/* ---- all of them ---- */

struct s3_credentials {
	enum s3_source source;
	char *file, *profile, *imds_url;            /* NULL for the other sources */
	unsigned again_ms, renew_ms, imds_total_ms; /* units shorten them */
	pthread_mutex_t lock;
	pthread_cond_t fetched;

	/* under lock */
	struct s3_keys keys;
	uint64_t expiry_ns; /* 0: not known to end */
	bool have;
	bool refused;       /* the store did not take them, and nothing newer has been had since */
	bool fetching;      /* one thread is at it, without the lock */
	uint64_t tried_ns;  /* when last, monotonic; 0: never */
	struct err failure; /* of the last try; ERR_NONE: it went well */
	struct s3_file_seen seen;
	char role[S3_IMDS_ROLE_MAX];
};

#endif
