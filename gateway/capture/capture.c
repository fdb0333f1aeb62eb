#include "gateway/capture/capture_internal.h"

#include "common/parse.h"
#include "common/version.h"
#include "gateway/capture/capture_notes.h"
#include "gateway/capture/jobs.h"
#include "gateway/capture/watch.h"
#include "gateway/limits/limits.h"
#include "gateway/storage/storage.h"
#include "gateway/targets/targets.h"
#include "schema/approvals_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- birth and death ---- */

static void capture_free(struct capture *c)
{
	output_free(c->output);
	live_unref(c->live);
	merge_free(c->merge);
	free(c->instances);
	free(c->joining);
	watch_free(c->watch);
	rate_flow_free(c->flow);
	free(c->interfaces);
	job_free(c->job);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->told_lock);
	pthread_mutex_destroy(&c->streams_lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Whatever the store says against a new object is no mistake of who asked for it. */
static int begin_store(struct capture *c, struct err *err)
{
	const struct job *j = c->job;
	struct driver_tags tags = {
		.job = j->id, .user = j->owner_user_id, .org = j->org, .space = j->space, .source = "pcapline"};

	if ((c->store = store_job_begin(c->gw->store, j->object_key, &tags, err)))
		return 0;
	if (err && err->code != ERR_FULL)
		err->code = ERR_UNAVAILABLE;
	return err_detail(err, CAPTURE_NOT_STORED);
}

static int begin_sinks(struct capture *c, struct err *err)
{
	const struct job *j = c->job;
	char comment[NOTE_MAX];
	struct pcapng_section section = {
		.os = "Linux", .application = "pcap-gateway " PCAPLINE_VERSION, .comment = comment};
	struct live *live = NULL;
	struct output *output;
	struct output_options o = {
		.format = j->format,
		.max_packets = j->options.max_packets,
		.max_bytes = j->options.max_bytes,
		.snaplen = j->options.snaplen,
	};

	note_section(j, comment);
	if (j->mode == JOB_LIVE && !(live = live_new(c->gw->config.live_backlog_bytes, j->format, err)))
		return -1;
	if (j->mode == JOB_STORE && begin_store(c, err) < 0)
		return -1;
	o.live = live;
	o.store = c->store;
	output = output_new(&o, &section, err);
	/* The job stands in the database already: others may be looking. */
	pthread_mutex_lock(&c->lock);
	c->live = live;
	c->output = output;
	pthread_mutex_unlock(&c->lock);
	return output ? 0 : -1;
}

static int begin_locks(struct capture *c)
{
	if (pthread_mutex_init(&c->lock, NULL) != 0)
		return -1;
	if (pthread_mutex_init(&c->streams_lock, NULL) != 0)
		goto fail;
	if (pthread_mutex_init(&c->told_lock, NULL) != 0)
		goto fail_streams;
	if (clock_cond_init(&c->changed) == 0)
		return 0;
	pthread_mutex_destroy(&c->told_lock);
fail_streams:
	pthread_mutex_destroy(&c->streams_lock);
fail:
	pthread_mutex_destroy(&c->lock);
	return -1;
}

struct capture *capture_start(struct gateway *gw, struct job *job, const struct target_instance *targets,
	const struct capture_exclude *excludes, size_t excludes_n, const struct capture_watch *watch, struct err *err)
{
	struct capture *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (!c || begin_locks(c) < 0)
		goto fail_early;
	atomic_init(&c->refs, 2); /* the thread's and the caller's */
	c->gw = gw;
	c->job = job;
	memcpy(c->excludes, excludes, excludes_n * sizeof(*excludes));
	c->excludes_n = excludes_n;
	if (watch && watch->forced_n > 0) {
		memcpy(c->forced, watch->forced, watch->forced_n * sizeof(*watch->forced));
		c->forced_n = watch->forced_n;
	}
	c->approved = job->state == JOB_WAITING;
	job->state = JOB_STARTING;
	job->heartbeat_at = clock_wall_ns();
	c->born_ns = clock_mono_ns();
	c->follows = watch && targets_follow(gw->targets, watch->targets);
	if (watch && !(c->watch = watch_new(gw, c, watch, err)))
		goto fail;
	if (gw->rate && !(c->flow = rate_flow_new(gw->rate, job->owner_user_id, err)))
		goto fail;
	if (capture_instances_begin(c, targets, err) < 0 || job_set(&job->gateway, gw->id, err) < 0)
		goto fail;
	/* First among the running ones, then in the database: what stands there unfinished and does not run is taken for left over. */
	jobs_add(gw->jobs, c);
	/* Not before: either the global stop finds it among the running ones, or it finds the stop. */
	if (stop_switch_check(&gw->stop_switch, err) < 0)
		goto fail_added;
	pthread_mutex_lock(&c->lock);
	rc = c->approved ? approvals_db_begin(gw->db, job, job->heartbeat_at, err) : job_db_insert(gw->db, job, err);
	pthread_mutex_unlock(&c->lock);
	if (rc < 0)
		goto fail_added;
	if (begin_sinks(c, err) < 0) {
		pthread_mutex_lock(&c->lock);
		job_set(&job->error_code, err_api_code(err), NULL);
		job_set(&job->error, err->msg, NULL);
		pthread_mutex_unlock(&c->lock);
		capture_fail(c, JOB_FAILED, STOP_START_FAILED);
		goto fail_added;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, capture_run, c);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return c;
	err_sys(err, rc, "thread for capture %s", job->id);
	capture_fail(c, JOB_FAILED, STOP_INTERNAL);
fail_added:
	capture_over(c);
	jobs_remove(gw->jobs, c);
	capture_unref(c);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the second of two references, which the analyser does not count */
	capture_unref(c);
	return NULL;
fail:
	jobs_release(gw->jobs, job->owner_user_id);
	limits_give(gw->limits, job->id);
	capture_free(c);
	return NULL;
fail_early:
	jobs_release(gw->jobs, job->owner_user_id);
	limits_give(gw->limits, job->id);
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
	if (strcmp(e->detail, AGENT_HOST_BUSY) == 0) /* 503: it will be over, and who asks again then is served */
		return true;
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
	if (c->n == 1 &&
		strcmp(err->detail, AGENT_HOST_BUSY) == 0) /* the agent says "host"; which is meant is ours to say */
		return err_in(err, "%s", c->job->instances[0].name);
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
	/* Who is refused may ask again at once: so its place is given back before it is told. */
	while (c->job->state == JOB_FAILED && !c->ended && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&c->changed, &c->lock, &until);
	rc = 0;
	if (c->job->state == JOB_FAILED && c->job->started_at == 0)
		rc = start_error(c, err);
	else if (c->killed && c->job->started_at == 0)
		rc = err_set(err, ERR_STATE, "the capture was ended before it started");
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static void request_end(struct capture *c, enum stop_reason reason, const char *by, const struct err *why, bool kill)
{
	bool news;

	pthread_mutex_lock(&c->lock);
	news = c->stop_reason == STOP_NONE || (kill && !c->killed) ||
	       (kill && c->stop_reason == STOP_GATEWAY_SHUTDOWN); /* which would keep what there is */
	if (news) {
		c->stop_reason = reason;
		snprintf(c->stop_by, sizeof(c->stop_by), "%s", by ? by : "");
		c->stop_why = why ? *why : (struct err){0};
	}
	c->killed |= kill;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (news)
		merge_wake(c->merge);
}

void capture_stop(struct capture *c, enum stop_reason reason, const char *by)
{
	request_end(c, reason, by, NULL, false);
}

void capture_stop_for(struct capture *c, enum stop_reason reason, const struct err *why)
{
	request_end(c, reason, NULL, why, false);
}

void capture_renew(struct capture *c, const struct people *people)
{
	if (c->watch)
		watch_renew(c->watch, people);
}

bool capture_has_any(struct capture *c)
{
	bool any = false;

	pthread_mutex_lock(&c->lock);
	for (size_t n = 0; n < c->n; n++)
		any |= c->job->instances[n].state <= INSTANCE_RUNNING;
	pthread_mutex_unlock(&c->lock);
	return any;
}

/* ---- the kill ---- */

static bool lies_in(const struct job *j, enum scope_kind kind, const char *own, const char *id)
{
	return !id || (own && strcmp(own, id) == 0) || scope_list_has(&j->scopes, kind, id);
}

static bool is_owners(const struct job *j, const char *user)
{
	if (!user || strcmp(j->owner_user_id, user) == 0)
		return true;
	/* Names are ids only among static tokens, as in job_db_list. */
	return strcmp(j->owner_user_name, user) == 0 && !strchr(j->owner_user_id, ':');
}

static bool is_of_agent(struct capture *c, const char *agent)
{
	bool found = !agent;
	char host[256];
	uint16_t port;

	pthread_mutex_lock(&c->streams_lock);
	for (size_t n = 0; n < c->streams_n && !found; n++) {
		const char *its = c->job->instances[n].agent;

		found = strcmp(its, agent) == 0 ||
			(parse_host_port(its, 1, host, &port, NULL) == 0 && strcmp(host, agent) == 0);
	}
	pthread_mutex_unlock(&c->streams_lock);
	return found;
}

/* Of the job only what does not change any more. */
bool capture_matches(struct capture *c, const struct job_filter *f)
{
	const struct job *j = c->job;

	return is_owners(j, f->user_id) && lies_in(j, SCOPE_ORG, j->org, f->org) &&
	       lies_in(j, SCOPE_SPACE, j->space, f->space) && lies_in(j, SCOPE_APP, NULL, f->app) &&
	       lies_in(j, SCOPE_DEPLOYMENT, NULL, f->deployment) && lies_in(j, SCOPE_GROUP, NULL, f->group) &&
	       (!f->job || strcmp(j->id, f->job) == 0) && (!f->before_ns || j->created_at < f->before_ns) &&
	       is_of_agent(c, f->agent);
}

void capture_cut(struct capture *c, enum stop_reason reason)
{
	int none = STOP_NONE;

	pthread_mutex_lock(&c->streams_lock);
	atomic_compare_exchange_strong(&c->cut, &none, (int)reason);
	for (size_t n = 0; n < c->streams_n; n++) {
		if (c->instances[n].stream)
			agent_stream_cancel(c->instances[n].stream);
	}
	pthread_mutex_unlock(&c->streams_lock);
}

int capture_hold(struct capture *c, const char *text, struct err *err)
{
	int rc;

	pthread_mutex_lock(&c->lock);
	if (text[0] && capture_is_discarded(c))
		rc = err_set(err, ERR_STATE, "the capture is just being erased");
	else
		rc = job_set(&c->job->hold, text, err);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void capture_kill_for(struct capture *c, enum stop_reason reason, const char *by, const struct err *why)
{
	bool discarded;

	capture_cut(c, reason);
	request_end(c, reason, by, why, true);
	pthread_mutex_lock(&c->lock);
	discarded = capture_is_discarded(c);
	pthread_mutex_unlock(&c->lock);
	/* What shall be erased need not be stored first. */
	if (c->gw->store && discarded)
		store_cancel(c->gw->store, c->job->id);
}

void capture_kill(struct capture *c, enum stop_reason reason, const char *by)
{
	capture_kill_for(c, reason, by, NULL);
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

void capture_erased(struct capture *c, struct driver_erased *ret)
{
	pthread_mutex_lock(&c->lock);
	*ret = c->erased;
	pthread_mutex_unlock(&c->lock);
}

json_t *capture_to_json(struct capture *c, bool brief)
{
	json_t *j;

	pthread_mutex_lock(&c->lock);
	capture_refresh(c);
	j = job_to_json(c->job, brief);
	pthread_mutex_unlock(&c->lock);
	if (j)
		storage_tell(c->gw, c->job->id, j);
	return j;
}

struct live_viewer *capture_attach(struct capture *c, int64_t offset, int peer_fd, uint64_t *ret_offset,
	size_t *ret_prelude_bytes, struct err *err)
{
	struct live_viewer *v = NULL;

	pthread_mutex_lock(&c->lock);
	if (!c->output) {
		err_set(err, ERR_UNAVAILABLE, "the capture is just being made; try again in a moment");
		goto out;
	}
	if (!c->live && (c->closing || c->job->state > JOB_RUNNING)) {
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
