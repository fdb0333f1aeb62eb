#include "gateway/capture/capture_internal.h"

#include "common/log.h"
#include "gateway/capture/jobs.h"
#include "gateway/limits/limits.h"

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

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The record as monitoring sees it; the lock is held.  What an agent says may go back, what is told of it does not. */
static void tell(struct capture *c)
{
	struct capture_figures f = {.state = c->job->state, .stream_bytes = c->job->bytes};
	const struct job_drops *d = &c->job->dropped;

	for (size_t n = 0; n < c->n; n++) {
		const struct job_instance *i = &c->job->instances[n];

		f.bytes += i->bytes;
		f.late_packets += i->late_packets;
		f.streams += i->state == INSTANCE_RUNNING;
	}
	f.packets = c->job->packets;
	if (c->merge)
		f.queued_bytes = merge_queued(c->merge);
	if (c->live)
		live_fill(c->live, &f.backlog_bytes, &f.viewers);
	pthread_mutex_lock(&c->told_lock);
	f.dropped.kernel = larger(d->kernel, c->told.dropped.kernel);
	f.dropped.interface = larger(d->interface, c->told.dropped.interface);
	f.dropped.agent = larger(d->agent, c->told.dropped.agent);
	f.dropped.gateway = larger(d->gateway, c->told.dropped.gateway);
	c->told = f;
	pthread_mutex_unlock(&c->told_lock);
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
	tell(c);
}

void capture_figures(struct capture *c, struct capture_figures *ret)
{
	pthread_mutex_lock(&c->told_lock);
	*ret = c->told;
	pthread_mutex_unlock(&c->told_lock);
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
	return c->killed && c->stop_reason != STOP_GATEWAY_SHUTDOWN && !c->job->hold[0];
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
