/* halt.c - see halt.h. */
#include "cli/halt.h"

int halt_init(struct halt *h, struct err *err)
{
	*h = (struct halt){0};
	return pthread_mutex_init(&h->lock, NULL) ? err_nomem(err) : 0;
}

void halt_done(struct halt *h)
{
	pthread_mutex_destroy(&h->lock);
}

void halt_end(struct halt *h)
{
	pthread_mutex_lock(&h->lock);
	h->is_over = true;
	if (h->call)
		http_call_cancel(h->call);
	pthread_mutex_unlock(&h->lock);
}

bool halt_is_over(struct halt *h)
{
	bool is_over;

	if (!h)
		return false;
	pthread_mutex_lock(&h->lock);
	is_over = h->is_over;
	pthread_mutex_unlock(&h->lock);
	return is_over;
}

static bool enter(struct halt *h, struct http_call *call)
{
	bool goes_on;

	pthread_mutex_lock(&h->lock);
	goes_on = !h->is_over;
	if (goes_on)
		h->call = call;
	pthread_mutex_unlock(&h->lock);
	return goes_on;
}

int halt_run(struct halt *h, struct http_call *call, struct err *err)
{
	int rc;

	if (!h)
		return http_call_run(call, err);
	if (!enter(h, call))
		return err_set(err, ERR_CANCELLED, "not asked for any more");
	rc = http_call_run(call, err);
	pthread_mutex_lock(&h->lock);
	h->call = NULL;
	pthread_mutex_unlock(&h->lock);
	return rc;
}
