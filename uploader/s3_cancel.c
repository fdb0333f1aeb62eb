/* s3_cancel.c - requests that are given up together. */
#include "uploader/s3_cancel.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define CANCEL_CALLS_MAX 64u

struct s3_cancel {
	pthread_mutex_t lock;
	bool cancelled;
	struct http_call *calls[CANCEL_CALLS_MAX]; /* under way; NULL: free */
};

struct s3_cancel *s3_cancel_new(struct err *err)
{
	struct s3_cancel *x = calloc(1, sizeof(*x));

	if (x && pthread_mutex_init(&x->lock, NULL) == 0)
		return x;
	free(x);
	err_nomem(err);
	return NULL;
}

void s3_cancel_free(struct s3_cancel *x)
{
	if (!x)
		return;
	pthread_mutex_destroy(&x->lock);
	free(x);
}

void s3_cancel_now(struct s3_cancel *x)
{
	pthread_mutex_lock(&x->lock);
	x->cancelled = true;
	for (size_t i = 0; i < CANCEL_CALLS_MAX; i++)
		if (x->calls[i])
			http_call_cancel(x->calls[i]);
	pthread_mutex_unlock(&x->lock);
}

int s3_cancel_add(struct s3_cancel *x, struct http_call *call, struct err *err)
{
	size_t i = 0;
	int rc = 0;

	pthread_mutex_lock(&x->lock);
	while (i < CANCEL_CALLS_MAX && x->calls[i])
		i++;
	if (x->cancelled)
		rc = err_set(err, ERR_CANCELLED, "given up");
	else if (i == CANCEL_CALLS_MAX)
		rc = err_set(err, ERR_INTERNAL, "more than %u requests at once", CANCEL_CALLS_MAX);
	else
		x->calls[i] = call;
	pthread_mutex_unlock(&x->lock);
	return rc;
}

void s3_cancel_take(struct s3_cancel *x, const struct http_call *call)
{
	pthread_mutex_lock(&x->lock);
	for (size_t i = 0; i < CANCEL_CALLS_MAX; i++)
		if (x->calls[i] == call)
			x->calls[i] = NULL;
	pthread_mutex_unlock(&x->lock);
}
