/* s3_told.h - what a request about the bucket that failed tells of the bucket: stores differ in how they say "no such setting" and "never heard of it". */
#ifndef PCAPLINE_UPLOADER_S3_S3_TOLD_H
#define PCAPLINE_UPLOADER_S3_S3_TOLD_H

#include "common/err.h"

enum s3_told {
	S3_TOLD,        /* answered */
	S3_TOLD_NONE,   /* there is no such setting: 404 with a code of its own, "NoSuchBucketPolicy" */
	S3_TOLD_DENIED, /* the keys have no right to ask */
	S3_TOLD_UNKNOWN, /* the store does not have this request: 501, 405, 400, 404 NoSuchKey, or an answer to some other request */
	S3_TOLD_FAULT, /* nothing was told */
};

/* s3_told_of: of an err that s3_call or a reader of s3_xml.h filled. */
enum s3_told s3_told_of(const struct err *e);

#endif
