#include "gateway/capture.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/parse.h"
#include "common/version.h"
#include "gateway/agent_stream.h"
#include "gateway/capture_notes.h"
#include "gateway/gateway.h"
#include "gateway/jobs.h"
#include "gateway/merge.h"
#include "gateway/output.h"
#include "gateway/target.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS       (200 * CLOCK_NS_PER_MS)  /* how often limits, grace and the like are looked at */
#define SAVE_NS       (1000 * CLOCK_NS_PER_MS) /* how often a running job goes to the database */
#define HOLD_NS       (5 * CLOCK_NS_PER_S) /* a delivered live stream stays for a viewer whose last bytes were lost */
#define AGENT_EXTRA_S 10u                  /* the agent's own limit lies behind ours, for the case that we are gone */

struct capture_instance {
	struct target_instance target;
	struct agent_stream *stream; /* the capture thread's own */
	struct merge_input *input;
	bool started;     /* by lock */
	struct err error; /* by lock */
};

/* One interface of the output. */
struct capture_interface {
	unsigned instance;
	struct pcapng_stats stats; /* newest; comment NULL */
};

struct capture {
	atomic_uint refs;
	struct gateway *gw;
	size_t n;
	struct capture_instance *instances;
	struct capture_exclude excludes[CAPTURE_EXCLUDES_MAX];
	size_t excludes_n;
	struct merge *merge;
	struct output *output;
	struct store_job *store; /* the thread's own; NULL: not stored */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* by lock */
	struct job *job;
	struct live *live; /* NULL: nobody looks */
	struct capture_interface *interfaces;
	uint32_t interfaces_n;
	uint64_t events; /* number of the newest event */
	enum stop_reason stop_reason;
	char stop_by[128];
	bool killed, ended;

	/* the thread's own */
	bool stopping, full;
	uint64_t started_ns, stop_deadline_ns, saved_ns, ticked_ns;
	struct err store_err;
};

/* ---- events and the record ---- */

/* data is stolen. */
static void event(struct capture *c, const char *type, json_t *data)
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
static void refresh(struct capture *c)
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

static void save(struct capture *c)
{
	struct err err = {0};

	pthread_mutex_lock(&c->lock);
	refresh(c);
	c->job->heartbeat_at = clock_wall_ns();
	if (job_db_save(c->gw->db, c->job, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "capture.save_failed", &err, NULL);
	pthread_mutex_unlock(&c->lock);
	c->saved_ns = clock_mono_ns();
}

static void set_state(struct capture *c, enum job_state state)
{
	pthread_mutex_lock(&c->lock);
	c->job->state = state;
	if (state == JOB_RUNNING)
		c->job->started_at = clock_wall_ns();
	if (job_state_is_end(state) && c->job->ended_at == 0)
		c->job->ended_at = clock_wall_ns();
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	save(c);
}

/* ---- what the streams' threads tell ---- */

static int interface_remember(struct capture *c, uint32_t id, unsigned index, struct err *err)
{
	struct capture_interface *more;

	if (id >= c->interfaces_n) {
		if (!(more = realloc(c->interfaces, (id + 1) * sizeof(*more))))
			return err_nomem(err);
		memset(more + c->interfaces_n, 0, (id + 1 - c->interfaces_n) * sizeof(*more));
		c->interfaces = more;
		c->interfaces_n = id + 1;
	}
	c->interfaces[id].instance = index;
	c->interfaces[id].stats.interface_id = id;
	return 0;
}

static int on_interface(
	void *ctx, unsigned index, const struct pcapng_interface *from, uint32_t *ret_id, struct err *err)
{
	struct capture *c = ctx;
	struct job_instance *i = &c->job->instances[index];
	struct pcapng_interface out = {.link_type = from->link_type,
		.snaplen = from->snaplen,
		.filter = from->filter,
		.os = from->os,
		.comment = from->comment};
	char name[NOTE_MAX], description[NOTE_MAX];
	const char *device = from->name ? from->name : c->job->options.device;
	bool first;
	int rc;

	note_interface(c->job, i, device, name, description);
	out.name = name;
	out.description = description;
	if (output_interface(c->output, &out, ret_id, err) < 0)
		return -1;
	pthread_mutex_lock(&c->lock);
	first = c->job->state == JOB_STARTING;
	i->state = INSTANCE_RUNNING;
	i->link_type = from->link_type;
	snprintf(i->device, sizeof(i->device), "%s", device);
	c->instances[index].started = true;
	rc = interface_remember(c, *ret_id, index, err);
	pthread_mutex_unlock(&c->lock);
	if (rc < 0)
		return -1;
	event(c, "instance_running",
		json_pack("{s:s, s:s, s:s}", "instance", i->name, "device", device, "link_type",
			pcapng_link_type_name(from->link_type)));
	if (first) {
		set_state(c, JOB_RUNNING);
		event(c, "running", NULL);
	}
	merge_wake(c->merge); /* so that the header blocks go out before the first packet comes */
	return 0;
}

static void on_stats(void *ctx, unsigned index, const struct pcapng_stats *s)
{
	struct capture *c = ctx;
	struct job_drops *d = &c->job->instances[index].dropped;

	pthread_mutex_lock(&c->lock);
	if (s->interface_id < c->interfaces_n) {
		c->interfaces[s->interface_id].stats = *s;
		c->interfaces[s->interface_id].stats.comment = NULL;
	}
	d->kernel = d->interface = 0;
	for (uint32_t id = 0; id < c->interfaces_n; id++) {
		if (c->interfaces[id].instance != index)
			continue;
		d->kernel += c->interfaces[id].stats.dropped_os;
		d->interface += c->interfaces[id].stats.dropped_interface;
	}
	pthread_mutex_unlock(&c->lock);
}

static void on_ended(
	void *ctx, unsigned index, bool started, enum stop_reason reason, const char *note, const struct err *err)
{
	struct capture *c = ctx;
	struct job_instance *i = &c->job->instances[index];
	json_t *data;

	pthread_mutex_lock(&c->lock);
	/* An agent only knows that it was told to stop; why is known here. */
	if (c->stop_reason != STOP_NONE && (reason == STOP_USER || err->code == ERR_CANCELLED))
		reason = c->stop_reason;
	i->state = started ? INSTANCE_ENDED : INSTANCE_FAILED;
	i->stop_reason = reason;
	if (err->code != ERR_NONE && !(err->code == ERR_CANCELLED && c->stop_reason != STOP_NONE)) {
		snprintf(i->error_code, sizeof(i->error_code), "%s", err_api_code(err));
		snprintf(i->error, sizeof(i->error), "%s", err->msg);
		c->instances[index].error = *err;
	} else if (note[0] && (reason == STOP_AGENT_ERROR || reason == STOP_DEVICE_GONE)) {
		snprintf(i->error_code, sizeof(i->error_code), "%s", stop_reason_name(reason));
		snprintf(i->error, sizeof(i->error), "%s", note);
	}
	data = json_pack("{s:s, s:s, s:s*, s:s*}", "instance", i->name, "reason", stop_reason_name(reason), "code",
		i->error_code[0] ? i->error_code : NULL, "error", i->error[0] ? i->error : NULL);
	pthread_mutex_unlock(&c->lock);
	log_event(i->error[0] ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, started ? "instance.ended" : "instance.failed",
		json_pack("{s:s, s:s, s:s, s:s}", "job", c->job->id, "instance", i->name, "reason",
			stop_reason_name(reason), "error", i->error));
	event(c, started ? "instance_ended" : "instance_failed", data);
}

static const struct agent_stream_ops stream_ops = {.interface = on_interface, .stats = on_stats, .ended = on_ended};

/* ---- the capture's thread ---- */

static void stream_start(struct capture *c, unsigned index)
{
	struct capture_instance *ci = &c->instances[index];
	const struct config_gateway *cfg = &c->gw->config;
	struct agent_request *r = calloc(1, sizeof(*r));
	struct agent_stream_options o = {
		.index = index,
		.host = ci->target.host,
		.port = ci->target.port,
		.agent_name = ci->target.agent_name,
		.tls = &c->gw->agents_tls,
		.request = r,
		.connect_ms = cfg->agents_connect_ms,
		.start_ms = cfg->agents_start_ms,
		.idle_ms = cfg->agents_idle_ms,
		.input = ci->input,
		.ops = &stream_ops,
		.ctx = c,
	};
	struct err err = {0};

	if (!r) {
		err_nomem(&err);
	} else {
		id_new(r->id);
		memcpy(r->job, c->job->id, sizeof(r->job));
		snprintf(r->name, sizeof(r->name), "%s", ci->target.name);
		r->options = c->job->options;
		if (r->options.max_duration_s <= CAPTURE_DURATION_MAX_S - AGENT_EXTRA_S)
			r->options.max_duration_s += AGENT_EXTRA_S;
		memcpy(r->excludes, c->excludes, sizeof(r->excludes));
		r->excludes_n = c->excludes_n;
		ci->stream = agent_stream_start(&o, &err);
	}
	free(r);
	if (!ci->stream) {
		merge_close(ci->input);
		on_ended(c, index, false, STOP_START_FAILED, "", &err);
	}
}

static void begin_stop(struct capture *c)
{
	char by[sizeof(c->stop_by)];
	enum stop_reason reason;

	pthread_mutex_lock(&c->lock);
	reason = c->stop_reason;
	memcpy(by, c->stop_by, sizeof(by));
	pthread_mutex_unlock(&c->lock);
	c->stopping = true;
	c->stop_deadline_ns = clock_mono_ns() + c->gw->config.agents_stop_ms * CLOCK_NS_PER_MS;
	event(c, "stopping", json_pack("{s:s, s:s}", "reason", stop_reason_name(reason), "by", by));
	for (size_t n = 0; n < c->n; n++) {
		if (c->instances[n].stream)
			agent_stream_stop(c->instances[n].stream);
	}
}

static void cancel_streams(struct capture *c)
{
	for (size_t n = 0; n < c->n; n++) {
		if (c->instances[n].stream)
			agent_stream_cancel(c->instances[n].stream);
	}
}

static void check_limits(struct capture *c, uint64_t now)
{
	uint64_t limit_ns = c->job->options.max_duration_s * CLOCK_NS_PER_S, since;

	pthread_mutex_lock(&c->lock);
	if (c->job->started_at > 0 && c->started_ns == 0)
		c->started_ns = now;
	pthread_mutex_unlock(&c->lock);
	if (limit_ns > 0 && c->started_ns > 0 && now - c->started_ns >= limit_ns)
		capture_stop(c, STOP_MAX_DURATION, NULL);
	if (c->job->mode == JOB_LIVE && c->started_ns > 0 && live_is_alone(c->live, &since) && now > since &&
		now - since > c->gw->config.live_grace_ms * CLOCK_NS_PER_MS)
		capture_stop(c, STOP_CLIENT_GONE, NULL);
}

/* A stored capture keeps a live stream only as long as somebody may come back to it. */
static void drop_unwatched(struct capture *c, uint64_t now)
{
	uint64_t since;

	pthread_mutex_lock(&c->lock);
	if (c->job->mode == JOB_STORE && c->live && live_is_alone(c->live, &since) && now > since &&
		now - since > c->gw->config.live_grace_ms * CLOCK_NS_PER_MS) {
		output_leave(c->output);
		live_unref(c->live);
		c->live = NULL;
	}
	pthread_mutex_unlock(&c->lock);
}

/* What others wished for, and what time brings. */
static void tick(struct capture *c)
{
	uint64_t now = clock_mono_ns();
	bool stop, killed;

	c->ticked_ns = now;
	check_limits(c, now);
	drop_unwatched(c, now);
	pthread_mutex_lock(&c->lock);
	stop = c->stop_reason != STOP_NONE;
	killed = c->killed;
	pthread_mutex_unlock(&c->lock);
	if (killed) {
		cancel_streams(c);
		merge_abort(c->merge);
	} else if (stop && !c->stopping) {
		begin_stop(c);
	} else if (c->stopping && now >= c->stop_deadline_ns) {
		cancel_streams(c);
	}
	if (now - c->saved_ns >= SAVE_NS)
		save(c);
}

static void take_piece(struct capture *c, const struct merge_piece *p)
{
	struct job_instance *i = &c->job->instances[p->tag];
	uint64_t packets = 0, bytes = 0;
	enum output_result result = OUTPUT_FULL_PACKETS;
	struct err err = {0};

	if (!c->full)
		result = output_piece(c->output, p, &packets, &bytes, &err);
	pthread_mutex_lock(&c->lock);
	i->packets += packets;
	i->bytes += bytes;
	i->late_packets += packets > 0 ? p->late : 0;
	c->job->packets += packets;
	pthread_mutex_unlock(&c->lock);
	if (result == OUTPUT_OK || c->full)
		return;
	c->full = true;
	switch (result) {
	case OUTPUT_FULL_PACKETS:
		capture_stop(c, STOP_MAX_PACKETS, NULL);
		break;
	case OUTPUT_FULL_BYTES:
		capture_stop(c, STOP_MAX_BYTES, NULL);
		break;
	case OUTPUT_FULL_STORE:
		capture_stop(c, STOP_STORAGE_FULL, NULL);
		break;
	case OUTPUT_FAILED:
	case OUTPUT_OK:
		c->store_err = err;
		log_err(LOG_LEVEL_ERROR, "capture.output_failed", &err, NULL);
		capture_stop(c, err.code == ERR_FULL ? STOP_STORAGE_FULL : STOP_STORAGE_FAILED, NULL);
		break;
	}
}

/* Until every stream has ended and all that they brought went out. */
static void capture_loop(struct capture *c)
{
	uint64_t deadline = 0; /* first look without waiting, then flush, then wait */

	for (;;) {
		struct merge_piece piece;
		enum merge_result r = merge_next(c->merge, deadline, &piece);
		struct err err = {0};

		deadline = 0;
		if (r == MERGE_PIECE) {
			take_piece(c, &piece);
			segment_unref(piece.segment);
		} else if (r == MERGE_END) {
			return;
		} else {
			if (output_flush(c->output, &err) < 0 && !c->full) {
				c->full = true;
				c->store_err = err;
				capture_stop(c, err.code == ERR_FULL ? STOP_STORAGE_FULL : STOP_STORAGE_FAILED, NULL);
			}
			deadline = c->ticked_ns + TICK_NS;
		}
		if (r == MERGE_WOKEN || clock_mono_ns() - c->ticked_ns >= TICK_NS)
			tick(c);
	}
}

/* ---- the end ---- */

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

	for (uint32_t id = 0; id < c->interfaces_n; id++) {
		const struct capture_interface *ci = &c->interfaces[id];
		struct pcapng_stats s = ci->stats;
		char text[NOTE_MAX];

		pthread_mutex_lock(&c->lock);
		note_end(c->job, &c->job->instances[ci->instance], first, text);
		pthread_mutex_unlock(&c->lock);
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

static void finish_store(struct capture *c)
{
	struct driver_object object;
	struct err err = {0};
	struct store_job *s = c->store;

	c->store = NULL;
	if (store_job_finish(s, &object, &err) < 0) {
		/* What there is stays in the spool; the sweeper tries again until it is too old. */
		log_err(LOG_LEVEL_ERROR, "capture.store_failed", &err, NULL);
		pthread_mutex_lock(&c->lock);
		job_set(&c->job->error_code, "storage_failed", NULL);
		job_set(&c->job->error, err.msg, NULL);
		pthread_mutex_unlock(&c->lock);
		save(c);
		event(c, "storage_waiting", json_pack("{s:s}", "error", err.msg));
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->job->object_bytes = object.bytes;
	memcpy(c->job->object_sha256, object.sha256, sizeof(object.sha256));
	c->job->expires_at = clock_wall_ns() + c->gw->config.storage_retention_ms * CLOCK_NS_PER_MS;
	pthread_mutex_unlock(&c->lock);
	set_state(c, JOB_READY);
	event(c, "ready", json_pack("{s:I, s:s}", "size_bytes", (json_int_t)object.bytes, "sha256", object.sha256));
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
	}
	pthread_mutex_lock(&c->lock);
	if (!delivered) {
		job_set(&c->job->error_code, "client_gone", NULL);
		job_set(&c->job->error, "the viewer did not fetch the end of the stream", NULL);
	}
	pthread_mutex_unlock(&c->lock);
}

static void hold_live(struct capture *c)
{
	uint64_t until_ns = clock_mono_ns() + HOLD_NS;

	pthread_mutex_lock(&c->lock);
	while (!c->killed && !atomic_load(&c->gw->draining) && clock_mono_ns() < until_ns) {
		struct timespec until = clock_deadline(100);

		pthread_cond_timedwait(&c->changed, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
}

static void finish_failed(struct capture *c, enum job_state state, enum stop_reason reason)
{
	struct err err = {0};

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
	set_state(c, state);
	event(c, job_state_name(state),
		json_pack("{s:s, s:s}", "reason", stop_reason_name(reason), "error", c->job->error));
}

static void capture_end(struct capture *c)
{
	enum stop_reason reason;
	bool killed, any = false;

	for (size_t n = 0; n < c->n; n++) {
		agent_stream_join(c->instances[n].stream);
		c->instances[n].stream = NULL;
		any |= c->instances[n].started;
	}
	pthread_mutex_lock(&c->lock);
	reason = end_reason(c);
	killed = c->killed;
	c->job->stop_reason = reason;
	job_set(&c->job->stop_by, c->stop_by, NULL);
	refresh(c);
	pthread_mutex_unlock(&c->lock);
	write_end(c);

	if (killed) {
		if (c->live)
			live_end(c->live, true);
		finish_failed(c, reason == STOP_DELETED ? JOB_PURGED : JOB_KILLED, reason);
	} else if (!any) {
		if (c->live)
			live_end(c->live, false);
		finish_failed(c, JOB_FAILED, reason);
	} else {
		set_state(c, JOB_FINISHING);
		if (c->live)
			live_end(c->live, true);
		if (c->store) {
			finish_store(c);
		} else {
			finish_live(c);
			set_state(c, JOB_STREAMED);
			event(c, "streamed", json_pack("{s:s}", "reason", stop_reason_name(reason)));
		}
	}
	log_event(LOG_LEVEL_INFO, "capture.ended",
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "job", c->job->id, "state",
			job_state_name(c->job->state), "reason", stop_reason_name(reason), "user",
			c->job->owner_user_id, "packets", (json_int_t)c->job->packets, "bytes",
			(json_int_t)c->job->bytes, "dropped_kernel", (json_int_t)c->job->dropped.kernel,
			"dropped_interface", (json_int_t)c->job->dropped.interface, "dropped_agent",
			(json_int_t)c->job->dropped.agent, "dropped_gateway", (json_int_t)c->job->dropped.gateway));
}

static void *capture_thread(void *arg)
{
	struct capture *c = arg;

	log_context_job(c->job->id);
	event(c, "created",
		json_pack("{s:s, s:I}", "mode", job_mode_name(c->job->mode), "instances", (json_int_t)c->n));
	for (unsigned n = 0; n < c->n; n++)
		stream_start(c, n);
	capture_loop(c);
	capture_end(c);
	jobs_idle(c->gw->jobs, c);
	pthread_mutex_lock(&c->lock);
	c->ended = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (c->job->state == JOB_STREAMED)
		hold_live(c);
	jobs_remove(c->gw->jobs, c);
	capture_unref(c);
	return NULL;
}

/* ---- birth and death ---- */

static void capture_free(struct capture *c)
{
	output_free(c->output);
	live_unref(c->live);
	merge_free(c->merge);
	free(c->instances);
	free(c->interfaces);
	job_free(c->job);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int begin_sinks(struct capture *c, struct err *err)
{
	const struct job *j = c->job;
	char comment[NOTE_MAX];
	struct pcapng_section section = {
		.os = "Linux", .application = "pcap-gateway " PCAPLINE_VERSION, .comment = comment};
	struct output_options o = {
		.format = j->format,
		.max_packets = j->options.max_packets,
		.max_bytes = j->options.max_bytes,
		.snaplen = j->options.snaplen,
	};
	struct driver_tags tags = {
		.job = j->id, .user = j->owner_user_id, .org = j->org, .space = j->space, .source = "pcapline"};

	note_section(j, comment);
	if (j->mode == JOB_LIVE && !(c->live = live_new(c->gw->config.live_backlog_bytes, j->format, err)))
		return -1;
	if (j->mode == JOB_STORE && !(c->store = store_job_begin(c->gw->store, j->object_key, &tags, err)))
		return -1;
	o.live = c->live;
	o.store = c->store;
	return (c->output = output_new(&o, &section, err)) ? 0 : -1;
}

static int begin_inputs(struct capture *c, const struct target_instance *targets, struct err *err)
{
	const struct config_gateway *cfg = &c->gw->config;

	if (!(c->instances = calloc(c->n, sizeof(*c->instances))))
		return err_nomem(err);
	if (!(c->merge = merge_new(cfg->merge_window_ms * CLOCK_NS_PER_MS, cfg->merge_queue_bytes, err)))
		return -1;
	for (unsigned n = 0; n < c->n; n++) {
		struct job_instance *i = &c->job->instances[n];

		c->instances[n].target = targets[n];
		if (!(c->instances[n].input = merge_add(c->merge, n, err)))
			return -1;
		snprintf(i->name, sizeof(i->name), "%s", targets[n].name);
		parse_join_host_port(targets[n].host, targets[n].port, i->agent, sizeof(i->agent));
		memcpy(i->device, c->job->options.device, sizeof(i->device));
	}
	return 0;
}

struct capture *capture_start(struct gateway *gw, struct job *job, const struct target_instance *targets,
	const struct capture_exclude *excludes, size_t excludes_n, struct err *err)
{
	struct capture *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (!c || pthread_mutex_init(&c->lock, NULL) != 0)
		goto fail_early;
	if (clock_cond_init(&c->changed) != 0) {
		pthread_mutex_destroy(&c->lock);
		goto fail_early;
	}
	atomic_init(&c->refs, 2); /* the thread's and the caller's */
	c->gw = gw;
	c->job = job;
	c->n = job->instances_n;
	memcpy(c->excludes, excludes, excludes_n * sizeof(*excludes));
	c->excludes_n = excludes_n;
	job->state = JOB_STARTING;
	job->heartbeat_at = job->created_at;
	if (begin_inputs(c, targets, err) < 0 || job_set(&job->gateway, gw->id, err) < 0)
		goto fail;
	/* First among the running ones, then in the database: what stands there unfinished and does not run is taken for left over. */
	jobs_add(gw->jobs, c);
	if (job_db_insert(gw->db, job, err) < 0)
		goto fail_added;
	if (begin_sinks(c, err) < 0) {
		job_set(&job->error_code, err_api_code(err), NULL);
		job_set(&job->error, err->msg, NULL);
		finish_failed(c, JOB_FAILED, STOP_START_FAILED);
		goto fail_added;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, capture_thread, c);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return c;
	err_sys(err, rc, "thread for capture %s", job->id);
	finish_failed(c, JOB_FAILED, STOP_INTERNAL);
fail_added:
	jobs_remove(gw->jobs, c);
	capture_unref(c);
	capture_unref(c);
	return NULL;
fail:
	jobs_release(gw->jobs, job->owner_user_id);
	capture_free(c);
	return NULL;
fail_early:
	jobs_release(gw->jobs, job->owner_user_id);
	job_free(job);
	free(c);
	err_nomem(err);
	return NULL;
}

struct capture *capture_ref(struct capture *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void capture_unref(struct capture *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		capture_free(c);
}

const char *capture_id(const struct capture *c)
{
	return c->job->id;
}

const char *capture_user_id(const struct capture *c)
{
	return c->job->owner_user_id;
}

enum job_mode capture_mode(const struct capture *c)
{
	return c->job->mode;
}

enum job_state capture_state(struct capture *c)
{
	enum job_state state;

	pthread_mutex_lock(&c->lock);
	state = c->job->state;
	pthread_mutex_unlock(&c->lock);
	return state;
}

/* ---- what others may ask ---- */

/* Whether an instance's failure is the asker's business, to be said with its own status; else it is the platform's (502). */
static bool is_askers(const struct err *e)
{
	return e->code == ERR_INPUT || e->code == ERR_BUSY || e->code == ERR_STATE ||
	       (e->code == ERR_NOT_FOUND && e->field[0]);
}

static int start_error(const struct capture *c, struct err *err)
{
	const struct err *first = NULL;
	bool alike = true;

	if (!err)
		return -1;
	for (size_t n = 0; n < c->n; n++) {
		const struct err *e = &c->instances[n].error;

		if (e->code == ERR_NONE)
			continue;
		alike &= !first || strcmp(err_api_code(first), err_api_code(e)) == 0;
		first = first ? first : e;
	}
	if (!first)
		return err_set(err, ERR_NET, "no instance could be started");
	*err = *first;
	if (!alike || !is_askers(first)) {
		err->code = ERR_NET;
		err->field[0] = '\0';
		if (!alike)
			err_detail(err, "start_failed");
	}
	return c->n == 1 ? -1
			 : err_in(err, "none of %zu instances could be started; the first, %s", c->n,
				   c->job->instances[0].name);
}

int capture_wait_started(struct capture *c, uint64_t ms, struct err *err)
{
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	while (c->job->state == JOB_STARTING && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&c->changed, &c->lock, &until);
	rc = 0;
	if (c->job->state == JOB_FAILED && c->job->started_at == 0)
		rc = start_error(c, err);
	else if (c->killed && c->job->started_at == 0)
		rc = err_set(err, ERR_CANCELLED, "the capture was ended before it started");
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static void request_end(struct capture *c, enum stop_reason reason, const char *by, bool kill)
{
	bool news;

	pthread_mutex_lock(&c->lock);
	news = c->stop_reason == STOP_NONE || (kill && !c->killed);
	if (news) {
		c->stop_reason = reason;
		snprintf(c->stop_by, sizeof(c->stop_by), "%s", by ? by : "");
	}
	c->killed |= kill;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (news)
		merge_wake(c->merge);
}

void capture_stop(struct capture *c, enum stop_reason reason, const char *by)
{
	request_end(c, reason, by, false);
}

void capture_kill(struct capture *c, enum stop_reason reason, const char *by)
{
	request_end(c, reason, by, true);
}

int capture_wait_ended(struct capture *c, uint64_t ms)
{
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	while (!c->ended && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&c->changed, &c->lock, &until);
	rc = c->ended ? 0 : -1;
	pthread_mutex_unlock(&c->lock);
	return rc;
}

json_t *capture_to_json(struct capture *c, bool brief)
{
	json_t *j;

	pthread_mutex_lock(&c->lock);
	refresh(c);
	j = job_to_json(c->job, brief);
	pthread_mutex_unlock(&c->lock);
	return j;
}

struct live_viewer *capture_attach(struct capture *c, int64_t offset, int peer_fd, uint64_t *ret_offset,
	size_t *ret_prelude_bytes, struct err *err)
{
	struct live_viewer *v = NULL;

	pthread_mutex_lock(&c->lock);
	if (!c->live && c->job->state > JOB_RUNNING) {
		err_set(err, ERR_STATE, "the capture has ended (%s)", job_state_name(c->job->state));
		err_detail(err, "job_ended");
		goto out;
	}
	if (!c->live && !(c->live = live_new(c->gw->config.live_backlog_bytes, c->job->format, err)))
		goto out;
	v = output_join(c->output, c->live, offset, peer_fd, ret_offset, ret_prelude_bytes, err);
out:
	pthread_mutex_unlock(&c->lock);
	return v;
}

bool capture_wait_event(struct capture *c, uint64_t seq, uint64_t ms)
{
	struct timespec until = clock_deadline(ms);
	bool ended;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	while (c->events <= seq && !c->ended && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&c->changed, &c->lock, &until);
	ended = c->ended;
	pthread_mutex_unlock(&c->lock);
	return ended;
}
