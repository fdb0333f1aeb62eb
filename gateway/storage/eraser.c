#include "gateway/storage/eraser.h"

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "gateway/gateway.h"
#include "gateway/storage/retention.h"
#include "uploader/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One job's.  Belongs to who waits for it until it is left, then to the thread. */
struct order {
	struct order *next;
	char id[ID_MAX];
	char *key;
	bool done, left; /* by the eraser's lock */
	int rc;
	struct err err;
	struct driver_erased erased;
};

struct eraser {
	struct gateway *gw;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* by lock */
	struct order *orders; /* oldest first */
	char at[ID_MAX];      /* whose file is just being erased for somebody who has waited; "" : nobody's */
	bool stopping;
};

static void order_free(struct order *o)
{
	free(o->key);
	free(o);
}

/* The capture has gone on without it: now its record can say that nothing is left. */
static void finish_left(struct eraser *e, const struct order *o)
{
	if (o->rc == 0)
		retention_finish_killed(e->gw, o->id);
	else if (o->err.code != ERR_CANCELLED)
		log_err(LOG_LEVEL_ERROR, "eraser.failed", &o->err, json_pack("{s:s}", "job", o->id));
}

static void *run(void *arg)
{
	struct eraser *e = arg;

	pthread_setname_np(pthread_self(), "eraser");
	pthread_mutex_lock(&e->lock);
	while (e->orders || !e->stopping) {
		struct order *o = e->orders;
		bool left;

		if (!o) {
			pthread_cond_wait(&e->changed, &e->lock);
			continue;
		}
		e->orders = o->next;
		left = o->left; /* already: then under the claim, which also sees whether somebody has put it on hold since */
		if (!left)
			memcpy(e->at, o->id, sizeof(e->at));
		pthread_mutex_unlock(&e->lock);
		if (!left)
			o->rc = store_erase(e->gw->store, o->id, o->key, &o->erased, &o->err);
		pthread_mutex_lock(&e->lock);
		e->at[0] = '\0';
		o->done = true;
		left = o->left;
		pthread_cond_broadcast(&e->changed);
		if (!left)
			continue;
		pthread_mutex_unlock(&e->lock);
		finish_left(e, o);
		order_free(o);
		pthread_mutex_lock(&e->lock);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

struct eraser *eraser_start(struct gateway *gw, struct err *err)
{
	struct eraser *e = calloc(1, sizeof(*e));
	int rc;

	if (!e || pthread_mutex_init(&e->lock, NULL) != 0) {
		free(e);
		err_nomem(err);
		return NULL;
	}
	e->gw = gw;
	if ((rc = clock_cond_init(&e->changed)) == 0) {
		if ((rc = pthread_create(&e->thread, NULL, run, e)) == 0)
			return e;
		pthread_cond_destroy(&e->changed);
	}
	err_sys(err, rc, "thread that erases");
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

void eraser_stop(struct eraser *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

bool eraser_is_at(struct eraser *e, const char *job_id)
{
	bool is;

	if (!e)
		return false;
	pthread_mutex_lock(&e->lock);
	is = strcmp(e->at, job_id) == 0;
	pthread_mutex_unlock(&e->lock);
	return is;
}

static struct order *order_new(const char *job_id, const char *key)
{
	struct order *o = calloc(1, sizeof(*o));

	if (!o || !(o->key = strdup(key))) {
		free(o);
		return NULL;
	}
	snprintf(o->id, sizeof(o->id), "%s", job_id);
	return o;
}

int eraser_erase(
	struct eraser *e, const char *job_id, const char *key, uint64_t ms, struct driver_erased *ret, struct err *err)
{
	struct order *o = order_new(job_id, key), **end = &e->orders;
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	if (!o)
		return err_nomem(err);
	pthread_mutex_lock(&e->lock);
	while (*end)
		end = &(*end)->next;
	*end = o;
	pthread_cond_broadcast(&e->changed);
	while (!o->done && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&e->changed, &e->lock, &until);
	if (!o->done) {
		o->left = true; /* it is the thread's now */
		pthread_mutex_unlock(&e->lock);
		return err_set(err, ERR_TIMEOUT, "the store has not erased it within %" PRIu64 " ms; it goes on", ms);
	}
	pthread_mutex_unlock(&e->lock);
	*ret = o->erased;
	rc = o->rc;
	if (rc < 0 && err)
		*err = o->err;
	order_free(o);
	return rc;
}
