/* s3_cancel.h - requests that can be given up together, by another thread. */
#ifndef PCAPLINE_UPLOADER_S3_CANCEL_H
#define PCAPLINE_UPLOADER_S3_CANCEL_H

#include "common/http_client.h"

struct s3_cancel;
struct s3_cancel *s3_cancel_new(struct err *err);
void s3_cancel_now(struct s3_cancel *x);  /* those under way end with ERR_CANCELLED, and so do all that come */
void s3_cancel_free(struct s3_cancel *x); /* accepts NULL */

/* Around the run of a call.  s3_cancel_add: ERR_CANCELLED: it has been given up already, the call shall not be run. */
int s3_cancel_add(struct s3_cancel *x, struct http_call *call, struct err *err);
void s3_cancel_take(struct s3_cancel *x, const struct http_call *call);

#endif
