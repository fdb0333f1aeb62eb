#include "gateway/capture_internal.h"

#include "common/log.h"
#include "gateway/jobs.h"
#include "gateway/limits.h"

#include <stdlib.h>

void capture_event(struct capture *c, const char *type, json_t *data)
{
	char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
	struct err err = {0};
	uint64_t seq = 0;

	if (job_db_event_add(c->gw->db, c->job->id, clock_wall_ns(), type, text ? text : "{}", &seq, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "capture.event_lost", &err, NULL);
	free(text);
	json_decref(data);
	pthread_mutex_lock(&c->lock);
	if (seq > c->events)
		c->events = seq;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* Figures that others keep go into the record; the lock is held. */
void capture_refresh(struct capture *c)
{
	struct job *j = c->job;
	struct job_drops sum = {0};

	j->bytes = c->output ? output_bytes(c->output) : 0;
	for (size_t n = 0; n < c->n; n++) {
		j->instances[n].dropped.gateway = 0;
	}
	/* What a slow viewer of a stored capture misses is missing from its stream only. */
	for (uint32_t id = 0; id < c->interfaces_n && c->live && j->mode == JOB_LIVE; id++)
		j->instances[c->interfaces[id].instance].dropped.gateway += live_dropped_of(c->live, id);
	for (size_t n = 0; n < c->n; n++) {
		sum.kernel += j->instances[n].dropped.kernel;
		sum.interface += j->instances[n].dropped.interface;
		sum.agent += j->instances[n].dropped.agent;
		sum.gateway += j->instances[n].dropped.gateway;
	}
	j->dropped = sum;
}

void capture_save(struct capture *c)
{
	struct err err = {0};

	pthread_mutex_lock(&c->lock);
	capture_refresh(c);
	c->job->heartbeat_at = clock_wall_ns();
	if (job_db_save(c->gw->db, c->job, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "capture.save_failed", &err, NULL);
	c->saved_ns = clock_mono_ns();
	pthread_mutex_unlock(&c->lock);
}

bool capture_is_discarded(const struct capture *c)
{
	return c->killed && c->stop_reason != STOP_GATEWAY_SHUTDOWN;
}

void capture_over(struct capture *c)
{
	jobs_idle(c->gw->jobs, c);
	limits_give(c->gw->limits, c->job->id);
	pthread_mutex_lock(&c->lock);
	c->ended = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void capture_set_state(struct capture *c, enum job_state state)
{
	pthread_mutex_lock(&c->lock);
	c->job->state = state;
	if (state == JOB_RUNNING)
		c->job->started_at = clock_wall_ns();
	if (job_state_is_end(state) && c->job->ended_at == 0)
		c->job->ended_at = clock_wall_ns();
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	capture_save(c);
}
