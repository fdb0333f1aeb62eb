#include "gateway/capture_internal.h"

#include "common/log.h"
#include "gateway/capture_notes.h"
#include "gateway/limits.h"

#include <string.h>

/* A viewer that fetches the end drop by drop keeps the job's place for so long at the most; gorouter cuts after as much. */
#define FETCH_MAX_NS (900 * CLOCK_NS_PER_S)

static enum stop_reason end_reason(struct capture *c)
{
	enum stop_reason same = STOP_NONE;

	if (c->stop_reason != STOP_NONE)
		return c->stop_reason;
	for (size_t n = 0; n < c->n; n++) {
		const struct job_instance *i = &c->job->instances[n];

		if (!c->instances[n].started)
			continue;
		if (same != STOP_NONE && same != i->stop_reason)
			return STOP_INSTANCES_ENDED;
		same = i->stop_reason;
	}
	switch (same) {
	case STOP_NONE:
		return STOP_START_FAILED;
	case STOP_MAX_BYTES:
	case STOP_MAX_PACKETS:
	case STOP_MAX_DURATION:
		return same;
	default:
		return STOP_INSTANCES_ENDED;
	}
}

static void write_end(struct capture *c)
{
	struct err err = {0};
	bool first = true;
	uint64_t bytes_per_s;
	const char *limit = rate_limit(c->flow, &bytes_per_s);

	for (uint32_t id = 0; id < c->interfaces_n; id++) {
		const struct capture_interface *ci = &c->interfaces[id];
		struct pcapng_stats s = ci->stats;
		char text[NOTE_MAX];

		pthread_mutex_lock(&c->lock);
		note_end(c->job, &c->job->instances[ci->instance], first, text);
		pthread_mutex_unlock(&c->lock);
		if (limit)
			note_limited(limit, bytes_per_s, text);
		s.interface_id = id;
		s.ts_ns = clock_wall_ns();
		s.comment = text;
		first = false;
		if (output_stats(c->output, &s, &err) < 0)
			break;
	}
	if (output_flush(c->output, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "capture.end_not_written", &err, NULL);
}

static bool is_discarded(struct capture *c)
{
	bool discarded;

	pthread_mutex_lock(&c->lock);
	discarded = capture_is_discarded(c);
	pthread_mutex_unlock(&c->lock);
	return discarded;
}

/* Killed, maybe while it was being finished: what was made goes again.  -1: it is still there. */
static int discard(struct capture *c)
{
	struct driver_erased erased = {0};
	enum stop_reason reason;
	struct err err = {0};
	uint64_t dropped = 0;

	if (c->live)
		live_end(c->live, true);
	if (c->store) {
		dropped = store_job_bytes(c->store);
		store_job_drop(c->store);
		c->store = NULL;
	}

	pthread_mutex_lock(&c->lock);
	reason = c->stop_reason;
	c->job->stop_reason = reason;
	job_set(&c->job->stop_by, c->stop_by, NULL);
	pthread_mutex_unlock(&c->lock);
	capture_save(c); /* should this process die now, the next one goes on erasing */
	if (c->job->mode == JOB_STORE && store_erase(c->gw->store, c->job->id, c->job->object_key, &erased, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, "capture.erase_failed", &err, NULL);
		return -1;
	}
	erased.bytes += dropped;
	pthread_mutex_lock(&c->lock);
	c->erased = erased;
	pthread_mutex_unlock(&c->lock);
	capture_fail(c, reason == STOP_DELETED ? JOB_PURGED : JOB_KILLED, reason);
	return 0;
}

/* The store has lost what it had confirmed: no trying helps, and what is left is of no use.  -1: the sweeper goes on erasing. */
static int lose(struct capture *c, const struct err *why)
{
	struct err err = {0};

	log_err(LOG_LEVEL_ERROR, "capture.storage_lost", why, NULL);
	if (store_erase(c->gw->store, c->job->id, c->job->object_key, NULL, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, "capture.erase_failed", &err, NULL);
		return -1;
	}
	pthread_mutex_lock(&c->lock);
	c->job->object_key[0] = '\0';
	job_set(&c->job->error_code, "storage_lost", NULL);
	job_set(&c->job->error, why->msg, NULL);
	pthread_mutex_unlock(&c->lock);
	capture_set_state(c, JOB_FAILED);
	capture_event(c, "failed",
		json_pack("{s:s, s:s}", "reason", stop_reason_name(c->job->stop_reason), "error", why->msg));
	return 0;
}

static void finish_store(struct capture *c)
{
	struct driver_object object;
	struct err err = {0};
	struct store_job *s = c->store;
	int rc;

	c->store = NULL;
	rc = store_job_finish(s, &object, &err);
	if (is_discarded(c)) {
		if (discard(c) < 0)
			capture_set_state(c, JOB_FINISHING); /* the sweeper goes on erasing */
		return;
	}
	if (rc < 0 && strcmp(err.detail, "storage_lost") == 0 && lose(c, &err) == 0)
		return;
	if (rc < 0) {
		/* What there is stays in the spool; the sweeper tries again until it is too old. */
		log_err(LOG_LEVEL_ERROR, "capture.store_failed", &err, NULL);
		pthread_mutex_lock(&c->lock);
		job_set(&c->job->error_code, "storage_failed", NULL);
		job_set(&c->job->error, err.msg, NULL);
		pthread_mutex_unlock(&c->lock);
		capture_save(c);
		capture_event(c, "storage_waiting", json_pack("{s:s}", "error", err.msg));
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->job->object_bytes = object.bytes;
	memcpy(c->job->object_sha256, object.sha256, sizeof(object.sha256));
	c->job->expires_at = clock_wall_ns() + limits_kept_ns(&c->gw->config, c->job);
	pthread_mutex_unlock(&c->lock);
	capture_set_state(c, JOB_READY);
	capture_event(
		c, "ready", json_pack("{s:I, s:s}", "size_bytes", (json_int_t)object.bytes, "sha256", object.sha256));
}

/* A live stream has ended when somebody was given all of it, or nobody came back for it. */
static void finish_live(struct capture *c)
{
	uint64_t since = 0, ended = clock_mono_ns();
	bool delivered;

	for (;;) {
		struct timespec until = clock_deadline(50);

		if (c->job->stop_reason == STOP_CLIENT_GONE)
			return;
		delivered = live_is_delivered(c->live);
		pthread_mutex_lock(&c->lock);
		if (!c->killed && !delivered)
			pthread_cond_timedwait(&c->changed, &c->lock, &until);
		delivered |= c->killed;
		pthread_mutex_unlock(&c->lock);
		if (delivered)
			break;
		if (live_is_alone(c->live, &since) && clock_mono_ns() - (since > ended ? since : ended) >
							      c->gw->config.live_grace_ms * CLOCK_NS_PER_MS)
			break;
		if (clock_mono_ns() - ended > FETCH_MAX_NS)
			break;
	}
	pthread_mutex_lock(&c->lock);
	if (!delivered) {
		job_set(&c->job->error_code, "client_gone", NULL);
		job_set(&c->job->error, "the viewer did not fetch the end of the stream", NULL);
	}
	pthread_mutex_unlock(&c->lock);
}

void capture_fail(struct capture *c, enum job_state state, enum stop_reason reason)
{
	struct err err = {0};
	json_t *data;

	if (c->live)
		live_end(c->live, state != JOB_FAILED);
	if (c->store)
		store_job_drop(c->store);
	c->store = NULL;
	pthread_mutex_lock(&c->lock);
	c->job->object_key[0] = '\0';
	for (size_t n = 0; n < c->n && !err.code; n++)
		err = c->instances[n].error;
	if (state == JOB_FAILED && err.code) {
		job_set(&c->job->error_code, err_api_code(&err), NULL);
		job_set(&c->job->error, err.msg, NULL);
	}
	pthread_mutex_unlock(&c->lock);
	capture_set_state(c, state);
	data = json_pack("{s:s, s:s}", "reason", stop_reason_name(reason), "error", c->job->error);
	if (data && state != JOB_FAILED && c->job->mode == JOB_STORE)
		json_object_update_missing_new(
			data, json_pack("{s:I, s:I, s:I}", "objects", (json_int_t)c->erased.objects, "uploads",
				      (json_int_t)c->erased.uploads, "bytes", (json_int_t)c->erased.bytes));
	capture_event(c, job_state_name(state), data);
}

static void log_ended(struct capture *c)
{
	const struct job *j = c->job;
	json_t *fields;

	pthread_mutex_lock(&c->lock);
	fields = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "job", j->id, "state",
		job_state_name(j->state), "reason", stop_reason_name(j->stop_reason), "user", j->owner_user_id,
		"packets", (json_int_t)j->packets, "bytes", (json_int_t)j->bytes, "dropped_kernel",
		(json_int_t)j->dropped.kernel, "dropped_interface", (json_int_t)j->dropped.interface, "dropped_agent",
		(json_int_t)j->dropped.agent, "dropped_gateway", (json_int_t)j->dropped.gateway);
	pthread_mutex_unlock(&c->lock);
	log_event(LOG_LEVEL_INFO, "capture.ended", fields);
}

void capture_end(struct capture *c)
{
	enum stop_reason reason;
	bool discarded, any = false;

	for (size_t n = 0; n < c->n; n++) {
		agent_stream_join(c->instances[n].stream);
		c->instances[n].stream = NULL;
		any |= c->instances[n].started;
	}
	pthread_mutex_lock(&c->lock);
	reason = end_reason(c);
	discarded = capture_is_discarded(c);
	c->closing = true;
	c->job->stop_reason = reason;
	job_set(&c->job->stop_by, c->stop_by, NULL);
	if (c->stop_why.code == ERR_NONE)
		limits_bound(&c->gw->config, &c->job->options, reason, &c->stop_why);
	if (c->stop_why.code != ERR_NONE) {
		job_set(&c->job->error_code, stop_reason_name(reason), NULL);
		job_set(&c->job->error, c->stop_why.msg, NULL);
	}
	capture_refresh(c);
	pthread_mutex_unlock(&c->lock);
	write_end(c);

	if (discarded) {
		if (discard(c) < 0)
			capture_set_state(c, JOB_FINISHING);
	} else if (!any) {
		capture_fail(c, JOB_FAILED, reason);
	} else {
		capture_set_state(c, JOB_FINISHING);
		if (c->live)
			live_end(c->live, true);
		if (c->store) {
			finish_store(c);
		} else {
			finish_live(c);
			if (!is_discarded(c) || discard(c) < 0) {
				capture_set_state(c, JOB_STREAMED);
				capture_event(c, "streamed", json_pack("{s:s}", "reason", stop_reason_name(reason)));
			}
		}
	}
	log_ended(c);
}
