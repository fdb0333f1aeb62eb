#include "gateway/capture/capture_internal.h"

#include "common/log.h"
#include "gateway/capture/capture_notes.h"
#include "gateway/capture/jobs.h"
#include "gateway/capture/watch.h"
#include "gateway/limits/limits.h"
#include "gateway/metrics/metrics.h"
#include "gateway/targets/agents.h"
#include "schema/shed_note.h"

#include <stdlib.h>
#include <string.h>

#define TICK_NS       (200 * CLOCK_NS_PER_MS)  /* how often limits, grace and the like are looked at */
#define SAVE_NS       (1000 * CLOCK_NS_PER_MS) /* how often a running job goes to the database */
#define HOLD_NS       (5 * CLOCK_NS_PER_S) /* a delivered live stream stays for a viewer whose last bytes were lost */
#define CUT_MS        500u /* who views a killed capture has so long to take what is left, and with it why it ended */
#define SHED_EVENT_NS (10 * CLOCK_NS_PER_S)
#define AGENT_EXTRA_S 10u /* the agent's own limit lies behind ours, for the case that we are gone */

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
	char name[NOTE_MAX], description[NOTE_MAX], gap[NOTE_MAX], comment[2 * NOTE_MAX];
	const char *device = from->name ? from->name : i->device;
	bool first;
	int rc;

	note_interface(c->job, i, device, name, description);
	out.name = name;
	out.description = description;
	pthread_mutex_lock(&c->lock);
	capture_gap_note(c, index, gap);
	pthread_mutex_unlock(&c->lock);
	if (gap[0]) {
		snprintf(comment, sizeof(comment), "%s%s%s", gap, from->comment ? "; " : "",
			from->comment ? from->comment : "");
		out.comment = comment;
	}
	if (output_interface(c->output, &out, ret_id, err) < 0)
		return -1;
	pthread_mutex_lock(&c->lock);
	first = c->job->state == JOB_STARTING;
	if (first)
		c->job->state = JOB_RUNNING; /* here, so that one instance is the first */
	i->state = INSTANCE_RUNNING;
	i->link_type = from->link_type;
	snprintf(i->device, sizeof(i->device), "%s", device);
	c->instances[index].started = true;
	rc = interface_remember(c, *ret_id, index, err);
	/* Not behind the back of a stop, which lets go once. */
	if (first && c->follows && c->stop_reason == STOP_NONE)
		merge_hold(c->merge, true);
	pthread_mutex_unlock(&c->lock);
	agents_note(c->gw->agents, &c->instances[index].target, true);
	if (rc < 0)
		return -1;
	capture_event(c, "instance_running",
		json_pack("{s:s, s:s, s:s, s:s*}", "instance", i->name, "device", device, "link_type",
			pcapng_link_type_name(from->link_type), "gap", gap[0] ? gap : NULL));
	if (first) {
		capture_set_state(c, JOB_RUNNING);
		capture_event(c, "running", NULL);
	}
	merge_wake(c->merge); /* so that the header blocks go out before the first packet comes */
	return 0;
}

/* What an agent said about what it sheds; the lock is held.  Which event is due, "" : none: an agent that sheds by fits and starts, or lies, does not
 * fill the table of events. */
static const char *take_shed(struct capture_interface *ci, const struct shed_note *n)
{
	const uint64_t now = clock_mono_ns();

	ci->shed = n->packets;
	if (ci->shedding && n->to_ns) {
		ci->shedding = false;
		return "instance_shed_over";
	}
	if (ci->shedding || (ci->shed_event_ns && now - ci->shed_event_ns < SHED_EVENT_NS))
		return "";
	ci->shedding = n->to_ns == 0;
	ci->shed_event_ns = now;
	return ci->shedding ? "instance_sheds" : "instance_shed_over";
}

static void on_stats(void *ctx, unsigned index, const struct pcapng_stats *s)
{
	struct capture *c = ctx;
	struct job_drops *d = &c->job->instances[index].dropped;
	const char *event = "";
	struct shed_note note;
	bool sheds = shed_note_parse(s->comment, &note);

	pthread_mutex_lock(&c->lock);
	if (s->interface_id < c->interfaces_n) {
		c->interfaces[s->interface_id].stats = *s;
		c->interfaces[s->interface_id].stats.comment = NULL;
		if (sheds)
			event = take_shed(&c->interfaces[s->interface_id], &note);
	}
	d->kernel = d->interface = d->agent = 0;
	for (uint32_t id = 0; id < c->interfaces_n; id++) {
		if (c->interfaces[id].instance != index)
			continue;
		d->kernel += c->interfaces[id].stats.dropped_os;
		d->interface += c->interfaces[id].stats.dropped_interface;
		d->agent += c->interfaces[id].shed;
	}
	pthread_mutex_unlock(&c->lock);
	if (*event)
		capture_event(c, event,
			json_pack("{s:s, s:s, s:I}", "instance", c->job->instances[index].name, "why", note.why,
				"packets", (json_int_t)note.packets));
}

static void on_ended(
	void *ctx, unsigned index, bool started, enum stop_reason reason, const char *note, const struct err *err)
{
	struct capture *c = ctx;
	struct job_instance *i = &c->job->instances[index];
	enum stop_reason ours;
	json_t *data;

	pthread_mutex_lock(&c->lock);
	/* An agent only knows that it was told to stop; why is known here. */
	ours = c->stop_reason != STOP_NONE ? c->stop_reason : (enum stop_reason)atomic_load(&c->cut);
	if (ours != STOP_NONE && (reason == STOP_USER || err->code == ERR_CANCELLED))
		reason = ours;
	if (reason == STOP_USER && c->instances[index].left)
		reason = STOP_INSTANCE_LEFT;
	c->instances[index].ended_at = clock_wall_ns();
	limits_leave(c->gw->limits, c->job->id, &c->instances[index].target);
	rate_leave(c->flow);
	i->state = started ? INSTANCE_ENDED : INSTANCE_FAILED;
	i->stop_reason = reason;
	if (err->code != ERR_NONE && !(err->code == ERR_CANCELLED && ours != STOP_NONE && ours != STOP_START_FAILED)) {
		snprintf(i->error_code, sizeof(i->error_code), "%s", err_api_code(err));
		snprintf(i->error, sizeof(i->error), "%s", err->msg);
		c->instances[index].error = *err;
		metrics_stream_failed(err->code);
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
	capture_event(c, started ? "instance_ended" : "instance_failed", data);
	if (c->watch && c->follows && started)
		watch_hint(c->watch);
}

static const struct agent_stream_ops stream_ops = {.interface = on_interface, .stats = on_stats, .ended = on_ended};

/* ---- the capture's thread ---- */

/* One that is cut already asks no agent any more. */
static void start_uncut(struct capture *c, unsigned index, const struct agent_stream_options *o, struct err *err)
{
	pthread_mutex_lock(&c->streams_lock);
	if (index >= c->streams_n)
		c->streams_n = index + 1;
	if (atomic_load(&c->cut) == STOP_NONE)
		c->instances[index].stream = agent_stream_start(o, err);
	else
		err_set(err, ERR_CANCELLED, "cut off by the gateway");
	pthread_mutex_unlock(&c->streams_lock);
}

void capture_stream_start(struct capture *c, unsigned index)
{
	struct capture_instance *ci = &c->instances[index];
	const struct config_gateway *cfg = &c->gw->config;
	struct agent_request *r = calloc(1, sizeof(*r));
	struct agent_stream_options o = {
		.index = index,
		.host = ci->target.host,
		.others = ci->target.others,
		.others_n = ci->target.others_n,
		.port = ci->target.port,
		.agent_name = ci->target.agent_name,
		.tls = &c->gw->agents_tls,
		.request = r,
		.connect_ms = cfg->agents_connect_ms,
		.start_ms = cfg->agents_start_ms,
		.idle_ms = cfg->agents_idle_ms,
		.input = ci->input,
		.flow = c->flow,
		.ops = &stream_ops,
		.ctx = c,
	};
	struct err err = {0};

	if (ci->target.error.code != ERR_NONE) {
		err = ci->target.error;
	} else if (!r) {
		err_nomem(&err);
	} else {
		id_new(r->id);
		memcpy(r->job, c->job->id, sizeof(r->job));
		snprintf(r->name, sizeof(r->name), "%s", ci->target.name);
		r->target = ci->target.agent;
		r->options = c->job->options;
		snprintf(r->options.device, sizeof(r->options.device), "%s", ci->target.device);
		if (r->options.max_duration_s <= CAPTURE_DURATION_MAX_S - AGENT_EXTRA_S)
			r->options.max_duration_s += AGENT_EXTRA_S;
		memcpy(r->excludes, c->excludes, sizeof(r->excludes));
		r->excludes_n = c->excludes_n;
		agents_note(c->gw->agents, &ci->target, false);
		memcpy(r->forced, c->forced, sizeof(r->forced));
		r->forced_n = c->forced_n;
		r->max_rate = rate_of_agent(c->flow);
		start_uncut(c, index, &o, &err);
	}
	free(r);
	if (!ci->stream) {
		merge_close(ci->input);
		on_ended(c, index, false, STOP_START_FAILED, "", &err);
	}
}

static void begin_stop(struct capture *c)
{
	char by[sizeof(c->stop_by)], why[ERR_MSG_MAX];
	enum stop_reason reason;

	pthread_mutex_lock(&c->lock);
	reason = c->stop_reason;
	snprintf(why, sizeof(why), "%s", c->stop_why.msg);
	memcpy(by, c->stop_by, sizeof(by));
	pthread_mutex_unlock(&c->lock);
	c->stopping = true;
	rate_open(c->flow);
	merge_hold(c->merge, false);
	c->stop_deadline_ns = clock_mono_ns() + c->gw->config.agents_stop_ms * CLOCK_NS_PER_MS;
	capture_event(c, "stopping",
		json_pack("{s:s, s:s, s:s*}", "reason", stop_reason_name(reason), "by", by, "error",
			why[0] ? why : NULL));
	for (size_t n = 0; n < c->n; n++) {
		if (c->instances[n].stream)
			agent_stream_stop(c->instances[n].stream);
	}
}

static void cancel_streams(struct capture *c)
{
	rate_open(c->flow);
	for (size_t n = 0; n < c->n; n++) {
		if (c->instances[n].stream)
			agent_stream_cancel(c->instances[n].stream);
	}
}

static void check_limits(struct capture *c, uint64_t now)
{
	const struct config_gateway *cfg = &c->gw->config;
	uint64_t limit_ns = c->job->options.max_duration_s * CLOCK_NS_PER_S, since;
	uint64_t start_ns = (cfg->agents_connect_ms + cfg->agents_start_ms + cfg->agents_idle_ms) * CLOCK_NS_PER_MS;

	/* A start that came while the gateway began to drain. */
	if (atomic_load(&c->gw->draining))
		capture_stop(c, STOP_GATEWAY_SHUTDOWN, NULL);
	pthread_mutex_lock(&c->lock);
	if (c->job->started_at > 0 && c->started_ns == 0)
		c->started_ns = now;
	pthread_mutex_unlock(&c->lock);
	/* An agent may answer and then never describe an interface, however busy it looks. */
	if (c->started_ns == 0 && now - c->born_ns >= start_ns)
		capture_stop(c, STOP_START_FAILED, NULL);
	if (limit_ns > 0 && c->started_ns > 0 && now - c->started_ns >= limit_ns)
		capture_stop(c, STOP_MAX_DURATION, NULL);
	if (c->job->mode == JOB_LIVE && c->started_ns > 0 && live_is_alone(c->live, &since) && now > since &&
		now - since > cfg->live_grace_ms * CLOCK_NS_PER_MS)
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

/* A limit that slows is told once, when it first does. */
static void tell_slowed(struct capture *c)
{
	uint64_t bytes_per_s;
	const char *limit = c->slowed ? NULL : rate_limit(c->flow, &bytes_per_s);

	if (!limit)
		return;
	c->slowed = true;
	metrics_limit_hit(limit + strlen("limits."));
	pthread_mutex_lock(&c->lock);
	snprintf(c->job->limited_by, sizeof(c->job->limited_by), "%s", limit);
	pthread_mutex_unlock(&c->lock);
	capture_event(c, "limited", json_pack("{s:s, s:I}", "limit", limit, "bytes_per_s", (json_int_t)bytes_per_s));
}

/* What others wished for, and what time brings. */
static void tick(struct capture *c)
{
	uint64_t now = clock_mono_ns();
	bool stop, killed, discarded, save;

	c->ticked_ns = now;
	check_limits(c, now);
	drop_unwatched(c, now);
	tell_slowed(c);
	pthread_mutex_lock(&c->lock);
	stop = c->stop_reason != STOP_NONE;
	killed = c->killed;
	discarded = capture_is_discarded(c);
	save = now - c->saved_ns >= SAVE_NS && now > c->saved_ns;
	pthread_mutex_unlock(&c->lock);
	if (!stop && !killed)
		capture_take_joining(c);
	if (killed) {
		merge_hold(c->merge, false);
		cancel_streams(c);
		if (discarded)
			merge_abort(c->merge);
	} else if (stop && !c->stopping) {
		begin_stop(c);
	} else if (c->stopping && now >= c->stop_deadline_ns) {
		cancel_streams(c);
	}
	if (save)
		capture_save(c);
}

/* Why a capture ends whose output failed. */
static enum stop_reason failed_reason(const struct err *err)
{
	if (err->code != ERR_FULL)
		return STOP_STORAGE_FAILED;
	return strcmp(err->detail, "spool_full") == 0 ? STOP_SPOOL_FULL : STOP_STORAGE_FULL;
}

/* What is stored is reserved before it is written, so that no quota is ever passed. */
static void ask_for_room(struct capture *c, size_t more)
{
	uint64_t need, room;

	if (!c->store)
		return;
	need = output_need(c->output, more);
	room = limits_room(c->gw->limits, c->job->id, need, &c->quota);
	output_allow(c->output, room);
}

static void stop_for_quota(struct capture *c)
{
	struct err why = {0};

	err_set(&why, ERR_BUSY, "%s is used up (%s)",
		strcmp(c->quota, "limits.quota_org") == 0 ? "what the org may have stored"
							  : "what the user may have stored",
		c->quota);
	metrics_limit_hit(c->quota + strlen("limits."));
	capture_stop_for(c, STOP_QUOTA, &why);
}

static void take_piece(struct capture *c, const struct merge_piece *p)
{
	struct job_instance *i = &c->job->instances[p->tag];
	uint64_t packets = 0, bytes = 0;
	enum output_result result = OUTPUT_FULL_PACKETS;
	struct err err = {0};

	if (!c->full) {
		do {
			ask_for_room(c, p->len);
			result = output_piece(c->output, p, &packets, &bytes, &err);
		} while (result == OUTPUT_ASK_AGAIN); /* once for each interface at the most */
	}
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
	case OUTPUT_FULL_QUOTA:
		stop_for_quota(c);
		break;
	case OUTPUT_FULL_STORE:
		capture_stop(c, STOP_STORAGE_FULL, NULL);
		break;
	case OUTPUT_FULL_SPOOL:
		capture_stop(c, STOP_SPOOL_FULL, NULL);
		break;
	case OUTPUT_FAILED:
	case OUTPUT_ASK_AGAIN:
	case OUTPUT_OK:
		c->store_err = err;
		log_err(LOG_LEVEL_ERROR, "capture.output_failed", &err, NULL);
		capture_stop(c, failed_reason(&err), NULL);
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
				capture_stop(c, failed_reason(&err), NULL);
			}
			deadline = c->ticked_ns + TICK_NS;
		}
		if (r == MERGE_WOKEN || clock_mono_ns() - c->ticked_ns >= TICK_NS)
			tick(c);
	}
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

void *capture_run(void *arg)
{
	struct capture *c = arg;

	pthread_setname_np(pthread_self(), "capture");
	log_context_job(c->job->id);
	capture_event(c, "created",
		json_pack("{s:s, s:I}", "mode", job_mode_name(c->job->mode), "instances", (json_int_t)c->n));
	if (c->job->policy[0])
		capture_event(c, "policy", json_pack("{s:o}", "rules", json_loads(c->job->policy, 0, NULL)));
	for (unsigned n = 0; n < c->n; n++)
		capture_stream_start(c, n);
	if (c->watch)
		watch_start(c->watch);
	capture_loop(c);
	if (c->watch)
		watch_stop(c->watch);
	capture_end(c);
	capture_over(c);
	if (c->job->state == JOB_STREAMED)
		hold_live(c);
	else if (c->live && c->killed)
		live_cut(c->live, CUT_MS);
	if (c->watch)
		watch_join(c->watch); /* before the gateway may think that nothing runs any more */
	/* No stream runs any more; whoever waits for jobs to be empty may take the gateway apart. */
	rate_flow_free(c->flow);
	c->flow = NULL;
	jobs_remove(c->gw->jobs, c);
	capture_unref(c);
	return NULL;
}
