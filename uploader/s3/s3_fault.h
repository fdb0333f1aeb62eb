/* s3_fault.h - what an answer that is no success means for whoever asked. */
#ifndef PCAPLINE_UPLOADER_S3_S3_FAULT_H
#define PCAPLINE_UPLOADER_S3_S3_FAULT_H

#include "common/http_client.h"

#include <stdbool.h>

struct s3_error;

/* s3_fault_of: an answer with a status that is not 2xx as an err (kinds as in s3_client.h).  head: to a HEAD, which has no body to say more; any other 404
 * without the store's code is ERR_UNAVAILABLE, detail "bad_answer".  *ret_keys_refused: the keys are wrong or have expired. */
void s3_fault_of(const struct http_call *call, bool head, bool *ret_keys_refused, struct err *err);

/* The same from its parts; date (may be NULL): the answer's Date header. */
void s3_fault_judge(
	int status, bool head, const struct s3_error *e, const char *date, bool *ret_keys_refused, struct err *err);

/* "NoSuchUpload" becomes "no_such_upload". */
void s3_fault_detail(const char *code, char ret[32]);

#endif
