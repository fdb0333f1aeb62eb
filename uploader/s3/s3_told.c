/* s3_told.c - see s3_told.h. */
#include "uploader/s3/s3_told.h"

#include <string.h>

enum s3_told s3_told_of(const struct err *e)
{
	if (strcmp(e->detail, "bad_answer") == 0)
		return S3_TOLD_UNKNOWN;
	switch (e->code) {
	case ERR_NONE:
		return S3_TOLD;
	case ERR_PERM:
		return S3_TOLD_DENIED;
	case ERR_NOT_FOUND:
		/* A store that does not look at the query takes the bucket for an object. */
		return e->detail[0] && strcmp(e->detail, "no_such_key") != 0 ? S3_TOLD_NONE : S3_TOLD_UNKNOWN;
	case ERR_INPUT:
		return S3_TOLD_UNKNOWN;
	default:
		return S3_TOLD_FAULT;
	}
}
