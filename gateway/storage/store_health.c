#include "gateway/storage/store_health.h"

#include "common/clock.h"
#include "uploader/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define FRESH_NS CLOCK_NS_PER_S

struct store_health {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* by lock */
	bool stopping, wanted;
	uint64_t answers; /* so many came */
	uint64_t answered_ns;
	int rc;
	struct err err;
};

static void *run(void *arg)
{
	struct store_health *h = arg;

	pthread_setname_np(pthread_self(), "store-health");
	pthread_mutex_lock(&h->lock);
	while (!h->stopping) {
		struct err err = {0};
		int rc;

		if (!h->wanted) {
			pthread_cond_wait(&h->changed, &h->lock);
			continue;
		}
		pthread_mutex_unlock(&h->lock);
		rc = store_check(h->store, &err);
		pthread_mutex_lock(&h->lock);
		h->wanted = false;
		h->rc = rc;
		h->err = err;
		h->answers++;
		h->answered_ns = clock_mono_ns();
		pthread_cond_broadcast(&h->changed);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

struct store_health *store_health_start(struct store *s, struct err *err)
{
	struct store_health *h = calloc(1, sizeof(*h));
	int rc;

	if (!h || pthread_mutex_init(&h->lock, NULL) != 0) {
		free(h);
		err_nomem(err);
		return NULL;
	}
	h->store = s;
	if ((rc = clock_cond_init(&h->changed)) == 0) {
		if ((rc = pthread_create(&h->thread, NULL, run, h)) == 0)
			return h;
		pthread_cond_destroy(&h->changed);
	}
	err_sys(err, rc, "thread for the health of the store");
	pthread_mutex_destroy(&h->lock);
	free(h);
	return NULL;
}

void store_health_stop(struct store_health *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* Waits for one more answer; the lock is held. */
static void await(struct store_health *h, uint64_t wait_ms)
{
	struct timespec until = clock_deadline(wait_ms);
	uint64_t seen = h->answers;
	int rc = 0;

	h->wanted = true;
	pthread_cond_broadcast(&h->changed);
	while (h->answers == seen && !h->stopping && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&h->changed, &h->lock, &until);
}

int store_health_check(struct store_health *h, uint64_t wait_ms, struct err *err)
{
	uint64_t asked_ns = clock_mono_ns();
	int rc;

	if (store_objects_are_files(h->store))
		return store_check(h->store, err); /* that takes no time, and then is what is true now */
	pthread_mutex_lock(&h->lock);
	if (h->answers == 0 || asked_ns - h->answered_ns >= FRESH_NS)
		await(h, wait_ms);
	if (h->answers > 0 && (h->answered_ns >= asked_ns || asked_ns - h->answered_ns < FRESH_NS)) {
		rc = h->rc;
		if (rc < 0 && err)
			*err = h->err;
	} else {
		rc = err_set(err, ERR_UNAVAILABLE, "the store has not answered for %" PRIu64 " ms", wait_ms);
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}
