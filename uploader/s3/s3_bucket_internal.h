/* s3_bucket_internal.h - what the files of the examination share.
 *
 *   s3_bucket.c            the order of things, whether the bucket is there, versions
 *   s3_bucket_probe.c      an object and an upload of our own: writing, tags, encryption, erasing
 *   s3_bucket_access.c     strangers and plain http
 *   s3_bucket_lifecycle.c  the rule that expires what the gateway forgot */
#ifndef PCAPLINE_UPLOADER_S3_S3_BUCKET_INTERNAL_H
#define PCAPLINE_UPLOADER_S3_S3_BUCKET_INTERNAL_H

#include "uploader/s3/s3_bucket.h"
#include "uploader/s3/s3_told.h"
#include "uploader/s3/s3_xml.h"

struct s3_exam {
	struct s3_client *c;
	const struct s3_bucket_options *o;
	struct driver_findings *ret;
	char below[S3_KEY_MAX]; /* "captures/": all that may have to be listed */
	bool versions_kept;     /* versioning is on, or was */
	unsigned faults;        /* requests that had no answer */
	struct err gone;        /* ERR_NONE, or why nothing more is asked */
};

/* Adds a finding; the text is cut when it is too long. */
void s3_exam_add(struct s3_exam *x, enum driver_severity severity, const char *check, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What a failed question means in general: DENIED names the right, UNKNOWN is the store's limit, FAULT says what happened. */
void s3_exam_add_untold(struct s3_exam *x, enum s3_told told, const char *check, const char *question,
	const char *right, const struct err *why);

/* s3_exam_call: s3_call, but answers S3_TOLD_FAULT at once when the store is gone. */
enum s3_told s3_exam_call(struct s3_exam *x, const struct s3_request *rq, struct s3_answer *ret, struct err *why);

/* GET ?what of the bucket; S3_TOLD: its body is in ret, to be freed by s3_answer_done. */
enum s3_told s3_exam_get(struct s3_exam *x, const char *what, struct s3_answer *ret, struct err *why);

/* s3_bucket_lifecycle_days: the retention and the longest capture, rounded up to whole days, and one more: the gateway itself comes first.  An object of parts
 * is as old as its upload, which begins with the capture, and is kept from the capture's end on. */
uint32_t s3_bucket_lifecycle_days(uint64_t retention_ms, uint64_t capture_ms);

/* What the store did with the encryption that was asked of it. */
struct s3_exam_encryption {
	enum s3_encryption asked;
	bool put;            /* an object was put, with what was asked or (refused) without */
	char refused[256];   /* why the store refused what was asked; "" : it did not */
	char answer[16];     /* x-amz-server-side-encryption of the answer, "" : none */
	enum s3_told told;   /* of the bucket's default */
	char by_default[16]; /* its algorithm */
};
enum driver_severity s3_exam_encryption_judge(const struct s3_exam_encryption *e, char *ret, size_t size);

/* Each adds its findings. */
void s3_exam_probe(struct s3_exam *x);
void s3_exam_access(struct s3_exam *x);
void s3_exam_lifecycle(struct s3_exam *x);

#endif
