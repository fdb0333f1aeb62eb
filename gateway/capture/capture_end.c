#include "gateway/capture/capture_internal.h"

#include "common/log.h"
#include "gateway/audit/audit_capture.h"
#include "gateway/capture/capture_notes.h"
#include "gateway/limits/limits.h"
#include "gateway/metrics/metrics.h"
#include "gateway/policy/policy.h"
#include "gateway/storage/eraser.h"

#include <string.h>

/* A viewer that fetches the end drop by drop keeps the job's place for so long at the most; gorouter cuts after as much. */
#define FETCH_MAX_NS (900 * CLOCK_NS_PER_S)
/* A kill is to be done within a second, also of what is in a store that hangs. */
#define ERASE_WAIT_MS 500u

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

/* Why it ended, into the record; the lock is held. */
static void take_reason(struct capture *c, enum stop_reason reason)
{
	c->job->stop_reason = reason;
	job_set(&c->job->stop_by, c->stop_by, NULL);
	if (c->stop_why.code == ERR_NONE)
		limits_bound(&c->gw->config, &c->job->options, reason, &c->stop_why);
	job_set(&c->job->error_code, c->stop_why.code != ERR_NONE ? stop_reason_name(reason) : "", NULL);
	job_set(&c->job->error, c->stop_why.code != ERR_NONE ? c->stop_why.msg : "", NULL);
}

/* What the event of its end says; error is the job's. */
static json_t *killed_json(struct capture *c, enum stop_reason reason)
{
	json_t *data;

	pthread_mutex_lock(&c->lock);
	data = json_pack("{s:s, s:s*, s:s}", "reason", stop_reason_name(reason), "by",
		c->job->stop_by[0] ? c->job->stop_by : NULL, "error", c->job->error);
	pthread_mutex_unlock(&c->lock);
	return data;
}

/* -1: it is not erased yet. */
static int erase(struct capture *c, struct driver_erased *ret)
{
	const struct job *j = c->job;
	struct err err = {0};
	int rc = c->gw->eraser ? eraser_erase(c->gw->eraser, j->id, j->object_key, ERASE_WAIT_MS, ret, &err)
			       : store_erase(c->gw->store, j->id, j->object_key, ret, &err);

	if (rc < 0)
		log_err(err.code == ERR_TIMEOUT ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "capture.erase_failed", &err,
			NULL);
	return rc;
}

/* Killed, maybe while it was being finished: what was made goes again.  -1: it is still there. */
static int discard(struct capture *c)
{
	struct driver_erased erased = {0};
	enum stop_reason reason;
	uint64_t dropped = 0;
	int rc;

	if (c->live)
		live_end(c->live, true);
	if (c->store) {
		dropped = store_job_bytes(c->store);
		if (c->gw->eraser)
			store_job_leave(c->store); /* asks the store nothing, which may hang */
		else
			store_job_drop(c->store);
		c->store = NULL;
	}

	pthread_mutex_lock(&c->lock);
	reason = c->stop_reason;
	take_reason(c, reason);
	pthread_mutex_unlock(&c->lock);
	capture_save(c); /* should this process die now, the next one goes on erasing */
	rc = c->job->mode == JOB_STORE ? erase(c, &erased) : 0;
	if (rc < 0 && reason != STOP_KILLED)
		return -1;
	if (rc < 0) {
		/* Its key stays in the record: so the sweeper knows what is still to be erased. */
		capture_set_state(c, JOB_KILLED);
		capture_event(c, "killed", killed_json(c, reason));
		return 0;
	}
	erased.bytes += dropped;
	pthread_mutex_lock(&c->lock);
	c->erased = erased;
	pthread_mutex_unlock(&c->lock);
	capture_fail(c, reason == STOP_DELETED ? JOB_PURGED : JOB_KILLED, reason);
	return 0;
}

/* The store has lost what it had confirmed: no trying helps, and what is left is of no use.  -1: the sweeper goes on erasing; or it is on hold. */
static int lose(struct capture *c, const struct err *why)
{
	struct err err = {0};
	bool held;

	pthread_mutex_lock(&c->lock);
	held = c->job->hold[0] != '\0';
	pthread_mutex_unlock(&c->lock);
	if (held)
		return -1;

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
	c->job->expires_at = clock_wall_ns() +
			     policy_kept_ns(c->gw->policy, &c->job->scopes, limits_kept_ns(&c->gw->config, c->job));
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
	data = killed_json(c, reason);
	if (data && state != JOB_FAILED && c->job->mode == JOB_STORE)
		json_object_update_missing_new(
			data, json_pack("{s:I, s:I, s:I}", "objects", (json_int_t)c->erased.objects, "uploads",
				      (json_int_t)c->erased.uploads, "bytes", (json_int_t)c->erased.bytes));
	capture_event(c, job_state_name(state), data);
}

static void log_ended(struct capture *c)
{
	const struct job *j = c->job;
	struct job seen; /* whoever looks at it brings its figures up to date; its texts are this thread's own */
	json_t *fields;

	pthread_mutex_lock(&c->lock);
	seen = *j;
	fields = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "job", j->id, "state",
		job_state_name(j->state), "reason", stop_reason_name(j->stop_reason), "user", j->owner_user_id,
		"packets", (json_int_t)j->packets, "bytes", (json_int_t)j->bytes, "dropped_kernel",
		(json_int_t)j->dropped.kernel, "dropped_interface", (json_int_t)j->dropped.interface, "dropped_agent",
		(json_int_t)j->dropped.agent, "dropped_gateway", (json_int_t)j->dropped.gateway);
	pthread_mutex_unlock(&c->lock);
	log_event(LOG_LEVEL_INFO, "capture.ended", fields);
	audit_capture_end(c->gw->audit, &seen);
	metrics_capture_ended(j->mode, j->state, j->stop_reason);
}

static void join_stream(struct capture *c, size_t n)
{
	struct agent_stream *s = c->instances[n].stream;

	pthread_mutex_lock(&c->streams_lock);
	c->instances[n].stream = NULL;
	pthread_mutex_unlock(&c->streams_lock);
	agent_stream_join(s);
}

void capture_end(struct capture *c)
{
	enum stop_reason reason;
	bool discarded, any = false;

	for (size_t n = 0; n < c->n; n++) {
		join_stream(c, n);
		any |= c->instances[n].started;
	}
	pthread_mutex_lock(&c->lock);
	/* Who cuts the streams of many first says in a moment by whom and why. */
	while (atomic_load(&c->cut) != STOP_NONE && !c->killed)
		pthread_cond_wait(&c->changed, &c->lock);
	reason = end_reason(c);
	discarded = capture_is_discarded(c);
	c->closing = true;
	take_reason(c, reason);
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
