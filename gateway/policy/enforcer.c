#include "gateway/policy/enforcer.h"

#include "common/clock.h"
#include "common/log.h"
#include "gateway/audit/audit.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/gateway.h"
#include "gateway/policy/policy.h"

#include <pthread.h>
#include <stdlib.h>

#define LOOK_MS 1000u /* the wall clock may be set: so much later is noticed what has expired */

struct enforcer {
	struct gateway *gw;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopped; /* by lock */
};

json_t *enforcer_now(struct gateway *gw)
{
	json_t *ended = json_array();
	size_t n;
	struct capture **all = jobs_all(gw->jobs, &n);

	for (size_t i = 0; i < n; i++) {
		if (!capture_judge(all[i], NULL) && ended)
			json_array_append_new(ended, json_string(capture_id(all[i])));
		capture_unref(all[i]);
	}
	free(all);
	return ended;
}

/* As switch.set and switch.delete have it: the platform's is empty. */
static const char *id_of(const json_t *row)
{
	const char *id = json_string_value(json_object_get(row, "id"));

	return id ? id : "";
}

static void tell_expired(struct gateway *gw, const json_t *expired)
{
	json_t *row;
	size_t i;

	json_array_foreach(expired, i, row) audit_event(gw->audit, "switch.expire",
		json_pack("{s:O, s:s, s:O, s:O, s:n}", "scope", json_object_get(row, "scope"), "id", id_of(row),
			"level", json_object_get(row, "level"), "old", row, "new"));
}

static void look(struct enforcer *e)
{
	json_t *expired = json_array();
	size_t n = policy_expire(e->gw->policy, expired);

	tell_expired(e->gw, expired);
	json_decref(expired);
	if (n == 0)
		return;
	log_event(LOG_LEVEL_INFO, "switch.expired", json_pack("{s:I}", "switches", (json_int_t)n));
	json_decref(enforcer_now(e->gw));
}

static void *run(void *arg)
{
	struct enforcer *e = arg;

	pthread_setname_np(pthread_self(), "enforcer");
	pthread_mutex_lock(&e->lock);
	while (!e->stopped) {
		struct timespec until = clock_deadline(LOOK_MS);

		pthread_cond_timedwait(&e->changed, &e->lock, &until);
		if (e->stopped)
			break;
		pthread_mutex_unlock(&e->lock);
		look(e);
		pthread_mutex_lock(&e->lock);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

struct enforcer *enforcer_start(struct gateway *gw, struct err *err)
{
	struct enforcer *e = calloc(1, sizeof(*e));
	int rc;

	if (!e || pthread_mutex_init(&e->lock, NULL) != 0)
		goto fail;
	if (clock_cond_init(&e->changed) != 0) {
		pthread_mutex_destroy(&e->lock);
		goto fail;
	}
	e->gw = gw;
	if ((rc = pthread_create(&e->thread, NULL, run, e)) == 0)
		return e;
	err_sys(err, rc, "thread of the switches");
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
fail:
	free(e);
	err_nomem(err);
	return NULL;
}

void enforcer_stop(struct enforcer *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopped = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
