/* POST and GET /v1/captures, and what is done with one capture. */
#include "common/clock.h"
#include "common/json_in.h"
#include "common/log.h"
#include "common/parse.h"
#include "gateway/api/api.h"
#include "gateway/api/start_request.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/capture/own_ends.h"
#include "gateway/limits/limits.h"
#include "gateway/metrics/metrics.h"
#include "gateway/policy/approvals.h"
#include "gateway/policy/policy.h"
#include "gateway/storage/retention.h"
#include "gateway/storage/storage.h"
#include "gateway/storage/store_health.h"
#include "gateway/targets/targets.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT 50u
#define LIST_MAX     1000u
#define STATES_MAX   JOB_STATES_N
#define END_WAIT_MS  30000u /* DELETE waits so long for a running capture to let go */

/* ---- start ---- */

/* Which of live and store it becomes; -1 when it cannot. */
static int choose_mode(struct api_call *a, const struct start_request *r, enum job_mode *ret, struct err *err)
{
	struct err store_err = {0};
	int rc;

	if (r->mode == START_LIVE) {
		*ret = JOB_LIVE;
		return 0;
	}
	if (!a->gw->store) {
		rc = err_set(&store_err, ERR_PERM, "mode: storage is switched off on this gateway; live is offered");
		err_detail(&store_err, "storage_off");
	} else {
		rc = storage_usable(a->gw, STORE_HEALTH_WAIT_MS, &store_err);
	}
	if (rc < 0 && r->mode == START_STORE) {
		*err = store_err;
		return err_field(err, "mode");
	}
	*ret = rc < 0 ? JOB_LIVE : JOB_STORE;
	return 0;
}

/* What stands first in the object's key: whose traffic it is, else whose capture. */
static const char *folder(const struct target_set *t, const struct job *j)
{
	if (t->org[0])
		return t->org;
	if (t->deployment[0])
		return t->deployment;
	return j->org[0] ? j->org : j->owner_user_id;
}

/* What is forced there; and a job must not be stored that must not be. */
static int apply_policy(
	const struct policy_verdict *v, const struct start_request *r, enum job_mode *mode, struct err *err)
{
	if (!v->store_forbidden || *mode != JOB_STORE)
		return 0;
	if (r->mode == START_STORE) {
		err_set(err, ERR_PERM, "mode: %s", v->store_why);
		err_field(err, "mode");
		return err_detail(err, "store_forbidden");
	}
	*mode = JOB_LIVE;
	return 0;
}

static int set_policy(const struct policy_verdict *v, struct job *j, struct err *err)
{
	char *text = json_array_size(v->rules) > 0 ? json_dumps(v->rules, JSON_COMPACT) : strdup("");

	policy_apply(v, &j->options);
	if (!text)
		return err_nomem(err);
	free(j->policy);
	j->policy = text;
	return 0;
}

/* was: its record while it waited for an approval, which it has now; NULL: it is new. */
static struct job *make_job(struct api_call *a, const struct start_request *r, const struct job *was,
	enum job_mode mode, const struct target_set *targets, const struct policy_verdict *verdict, struct err *err)
{
	const struct identity *w = a->who;
	char *target = json_dumps(r->targets, JSON_COMPACT | JSON_SORT_KEYS);
	const struct limits_overrides kept = {
		.retention_ms = verdict->retention_s * 1000, .retention_max_ms = verdict->retention_max_s * 1000};
	struct job *j = job_new(targets->n);
	char store[STORAGE_NAME_MAX];

	if (!target || !j) {
		err_nomem(err);
		goto fail;
	}
	id_new(j->id);
	j->created_at = clock_wall_ns();
	if (was) {
		memcpy(j->id, was->id, sizeof(j->id));
		j->created_at = was->created_at;
		j->state = JOB_WAITING;
		if (job_set(&j->hold, was->hold, err) < 0)
			goto fail;
	}
	j->mode = mode;
	j->format = r->format;
	j->options = r->options;
	if (r->snaplen_open && j->options.snaplen > a->gw->config.limit_snaplen)
		j->options.snaplen = (uint32_t)a->gw->config.limit_snaplen;
	if (limits_options(&a->gw->config, mode, &j->options, err) < 0 || set_policy(verdict, j, err) < 0)
		goto fail;
	if (mode == JOB_STORE && limits_retention(&a->gw->config, &kept, r->retention_s, &j->retention_s, err) < 0)
		goto fail;
	if (scope_list_copy(&targets->scopes, &j->scopes, err) < 0)
		goto fail;
	if (job_set(&j->owner_user_id, w->user_id, err) < 0 || job_set(&j->owner_user_name, w->user_name, err) < 0 ||
		job_set(&j->org, targets->org[0] ? targets->org : w->org, err) < 0 ||
		job_set(&j->space, targets->org[0] ? targets->space : w->space, err) < 0 ||
		job_set(&j->target, target, err) < 0 || job_set(&j->note, r->note, err) < 0)
		goto fail;
	if (mode == JOB_STORE) {
		char *key = store_key(a->gw->config.storage_prefix, folder(targets, j), j->created_at, j->id,
			job_format_name(r->format));

		if (job_set(&j->object_store, storage_name(&a->gw->config, store), err) < 0) {
			free(key);
			goto fail;
		}
		free(j->object_key);
		if (!(j->object_key = key)) {
			err_nomem(err);
			goto fail;
		}
	}
	free(target);
	return j;
fail:
	free(target);
	job_free(j);
	return NULL;
}

static int resolve(struct api_call *a, const struct start_request *r, struct target_set *ret, struct err *err)
{
	const struct targets_query q = {
		.people = &a->people,
		.targets = r->targets,
		.options = &r->options,
		.max = a->gw->config.limit_instances,
	};

	return targets_resolve(a->gw->targets, &q, ret, err);
}

/* Under the limits, and among those that the end waits for. */
static int take_place(struct api_call *a, const struct job *j, const struct target_set *targets,
	struct limits_told *told, struct err *err)
{
	const struct limits_ask ask = {
		.job = j, .instances = targets->instances, .instances_n = targets->n, .now_ns = clock_wall_ns()};

	if (limits_take(a->gw->limits, &ask, told, err) < 0)
		return -1;
	if (jobs_reserve(a->gw->jobs, j->owner_user_id, err) == 0)
		return 0;
	limits_forget(a->gw->limits, j->id);
	return -1;
}

/* No agent was asked; and what the trail has of its start is taken back there. */
static void unstart(struct api_call *a, const char *id, const struct err *why)
{
	limits_forget(a->gw->limits, id);
	api_audit(a, "capture.end", &(struct api_audited){.refused = why, .job = id}, NULL);
}

static struct capture *start_as(struct api_call *a, const struct start_request *r, const struct job *was,
	enum job_mode mode, const struct target_set *targets, const struct policy_verdict *verdict,
	const struct own_ends *own, struct limits_told *told, struct err *err)
{
	struct capture_watch watch;
	struct job *j = make_job(a, r, was, mode, targets, verdict, err);
	struct capture *c;
	char id[ID_MAX];

	if (!j)
		return NULL;
	if (take_place(a, j, targets, told, err) < 0) {
		job_free(j);
		return NULL;
	}
	memcpy(id, j->id, sizeof(id));
	if (api_audit_start(a, r, j, targets, err) < 0) {
		jobs_release(a->gw->jobs, a->who->user_id);
		limits_forget(a->gw->limits, id);
		job_free(j);
		return NULL;
	}
	watch.people = &a->people;
	watch.targets = r->targets;
	watch.options = &r->options;
	watch.forced = verdict->forced;
	watch.forced_n = verdict->forced_n;
	log_event(LOG_LEVEL_INFO, "capture.start",
		json_pack("{s:s, s:s, s:s, s:s, s:I}", "job", j->id, "user", a->who->user_id, "org", j->org, "mode",
			job_mode_name(mode), "instances", (json_int_t)targets->n));
	c = capture_start(a->gw, j, targets->instances, own->ends, own->n, &watch, err);
	/* A switch that was set since the verdict has looked through all captures but this one. */
	if (c)
		capture_judge(c, NULL);
	else
		unstart(a, id, err);
	return c;
}

/* Might it go live where it cannot be stored?  The store was well a moment ago, and then would not have it; or its user has no room there. */
static bool goes_live(const struct start_request *r, const struct job *was, enum job_mode mode, const struct err *err)
{
	if (r->mode != START_AUTO || mode != JOB_STORE)
		return false;
	/* One that was approved has failed with its record, of which there is no second. */
	return (strcmp(err->detail, CAPTURE_NOT_STORED) == 0 && !was) || strcmp(err->detail, "quota_exceeded") == 0;
}

/* ---- approval ---- */

static bool needs_approval(const struct api_call *a, const struct policy_verdict *v, char *ret_because, size_t size)
{
	if (v->approval)
		snprintf(ret_because, size, "captures of %s need an operator's approval", v->approval_by);
	else if (strcmp(a->gw->config.policy_approval, "all") == 0 && !a->who->is_operator)
		snprintf(ret_because, size, "all captures need an operator's approval here");
	else
		return false;
	return true;
}

static bool is_same_scope(const struct scope *a, const struct scope *b)
{
	return strcmp(a->org, b->org) == 0 && strcmp(a->space, b->space) == 0 && strcmp(a->app, b->app) == 0 &&
	       strcmp(a->deployment, b->deployment) == 0 && strcmp(a->group, b->group) == 0;
}

/* The word was for what lay there when it was asked: a name may mean something else by now. */
static int check_same_scopes(const struct target_set *targets, const struct job *was, struct err *err)
{
	for (size_t n = 0; n < targets->scopes.n; n++) {
		bool known = false;

		for (size_t i = 0; i < was->scopes.n && !known; i++)
			known = is_same_scope(&targets->scopes.items[n], &was->scopes.items[i]);
		if (!known) {
			err_set(err, ERR_STATE,
				"its targets lie elsewhere than when it was approved; start a new capture of them");
			return err_detail(err, "approval_outdated");
		}
	}
	return 0;
}

/* All is as for a start, but that no place is taken and no agent asked. */
static struct job *wait_for_approval(struct api_call *a, const struct start_request *r, enum job_mode mode,
	const struct target_set *targets, const struct policy_verdict *verdict, const char *because, struct err *err)
{
	const struct config_gateway *cfg = &a->gw->config;
	struct job *j = make_job(a, r, NULL, mode, targets, verdict, err);
	char *text = json_dumps(r->body, JSON_COMPACT), until[CLOCK_TEXT_MAX];
	uint64_t expires;

	if (!j || !text)
		goto fail;
	expires = j->created_at + cfg->approval_expiry_ms * CLOCK_NS_PER_MS;
	j->state = JOB_WAITING;
	j->instances_n = 0; /* which these are is seen when it begins; so is where it will lie */
	if (job_set(&j->object_key, "", err) < 0 || job_set(&j->object_store, "", err) < 0)
		goto fail;
	if (approvals_db_room(a->gw->db, j, cfg->limit_waiting_per_user, err) < 0 ||
		api_audit_ask(a, r, j, targets, because, err) < 0 ||
		approvals_db_ask(a->gw->db, j, text, because, expires, cfg->limit_waiting_per_user, err) < 0)
		goto fail;
	approvals_event(a->gw, j->id, "waiting",
		json_pack("{s:s, s:s}", "because", because, "expires_at", clock_rfc3339(expires, until)));
	log_event(LOG_LEVEL_INFO, "capture.waiting",
		json_pack("{s:s, s:s, s:s}", "job", j->id, "user", a->who->user_id, "because", because));
	free(text);
	return j;
fail:
	if (err->code == ERR_NONE)
		err_nomem(err);
	free(text);
	job_free(j);
	return NULL;
}

/* ---- all of it ---- */

/* NULL: refused, or with *ret_waits it has to wait. */
static struct capture *start(struct api_call *a, const struct start_request *r, const struct job *was,
	struct job **ret_waits, struct limits_told *told, struct err *err)
{
	char because[CAPTURE_FORCED_BY_MAX + 64];
	struct own_ends *own = calloc(1, sizeof(*own));
	struct policy_verdict *verdict = calloc(1, sizeof(*verdict));
	struct target_set targets = {0};
	struct capture *c = NULL;
	enum job_mode mode = JOB_LIVE;
	const char *local;
	uint16_t port;

	if (!own || !verdict) {
		err_nomem(err);
		goto out;
	}
	if (choose_mode(a, r, &mode, err) < 0 || resolve(a, r, &targets, err) < 0)
		goto out;
	if (policy_judge(a->gw->policy, &targets.scopes, verdict, err) < 0 || apply_policy(verdict, r, &mode, err) < 0)
		goto out;
	if (was && check_same_scopes(&targets, was, err) < 0)
		goto out;
	if (!was && needs_approval(a, verdict, because, sizeof(because))) {
		*ret_waits = wait_for_approval(a, r, mode, &targets, verdict, because, err);
		goto out;
	}
	local = http_request_local(a->rq, &port);
	own_ends_collect(&a->gw->config, local, port, &targets, a->gw->targets, own);
	c = start_as(a, r, was, mode, &targets, verdict, own, told, err);
	if (!c && goes_live(r, was, mode, err)) {
		*err = (struct err){0};
		c = start_as(a, r, was, JOB_LIVE, &targets, verdict, own, told, err);
	}
out:
	target_set_done(&targets);
	if (verdict)
		policy_verdict_done(verdict);
	free(verdict);
	free(own);
	return c;
}

static void reply_job(struct api_call *a, const char *id, json_t *json)
{
	char location[64];

	snprintf(location, sizeof(location), "/v1/captures/%s", id);
	http_reply_header(a->rq, "Location", location);
	http_reply_json(a->rq, 202, json);
}

static void reply_waits(struct api_call *a, const struct job *j)
{
	a->waits = true;
	http_reply_header(a->rq, "Pcap-Job", j->id);
	reply_job(a, j->id, api_job_json_for(a, j, false));
}

static void reply_started(struct api_call *a, struct capture *c, enum job_mode mode, enum job_format format)
{
	const struct config_gateway *cfg = &a->gw->config;
	uint64_t wait_ms = cfg->agents_connect_ms + cfg->agents_start_ms + 1000, offset = 0;
	struct live_viewer *v = NULL;
	struct err err = {0};
	size_t prelude = 0;

	/* The viewer joins before anything flows, so that the stream it gets is the stream from its first byte. */
	if (mode == JOB_LIVE && !(v = capture_attach(c, 0, http_request_fd(a->rq), &offset, &prelude, &err))) {
		capture_kill(c, STOP_INTERNAL, NULL);
		http_reply_err(a->rq, &err);
		return;
	}
	http_reply_header(a->rq, "Pcap-Job", capture_id(c));
	if (capture_wait_started(c, wait_ms, &err) < 0) {
		if (v)
			live_detach(v);
		if (strcmp(err.detail, AGENT_HOST_BUSY) == 0)
			http_reply_header(a->rq, "Retry-After", AGENT_HOST_BUSY_RETRY_S);
		http_reply_err(a->rq, &err);
	} else if (v) {
		api_stream_reply(a, v, format, NULL, offset, prelude);
	} else {
		reply_job(a, capture_id(c), capture_to_json(c, false));
	}
}

/* How many more may be started; also of a refusal that has nothing to do with it. */
static void reply_limits(struct api_call *a, struct limits_told *told)
{
	char text[32];

	if (!told->known)
		limits_tell(a->gw->limits, a->who->user_id, a->who->org, clock_wall_ns(), told);
	if (told->retry_s > 0) {
		snprintf(text, sizeof(text), "%" PRIu64, told->retry_s);
		http_reply_header(a->rq, "Retry-After", text);
	}
	if (!told->known)
		return;
	snprintf(text, sizeof(text), "%" PRIu64, told->limit);
	http_reply_header(a->rq, "RateLimit-Limit", text);
	snprintf(text, sizeof(text), "%" PRIu64, told->remaining);
	http_reply_header(a->rq, "RateLimit-Remaining", text);
	snprintf(text, sizeof(text), "%" PRIu64, told->reset_s);
	http_reply_header(a->rq, "RateLimit-Reset", text);
}

static bool is_draining(struct api_call *a)
{
	if (!atomic_load(&a->gw->draining))
		return false;
	http_reply_header(a->rq, "Retry-After", "30");
	http_reply_error(a->rq, 503, "draining", NULL, "this gateway is shutting down and takes no new captures");
	return true;
}

/* body: of the start, of now or of when an approval was asked for; then was is claimed, until it is among the running ones or refused. */
static void start_and_reply(struct api_call *a, const void *body, size_t n, const struct job *was)
{
	struct start_request r;
	struct limits_told told = {0};
	struct job *waits = NULL;
	struct capture *c;
	struct err err = {0};

	if (stop_switch_check(&a->gw->stop_switch, &err) < 0 || start_request_read(body, n, &r, &err) < 0) {
		if (was)
			jobs_unclaim(a->gw->jobs, was->id);
		reply_limits(a, &told);
		api_audit_start_refused(a, NULL, &err);
		http_reply_err(a->rq, &err);
		return;
	}
	c = start(a, &r, was, &waits, &told, &err);
	if (was)
		jobs_unclaim(a->gw->jobs, was->id);
	reply_limits(a, &told);
	if (waits) {
		reply_waits(a, waits);
		job_free(waits);
	} else if (c) {
		reply_started(a, c, capture_mode(c), r.format);
		capture_unref(c);
	} else {
		metrics_refused(&err);
		api_audit_start_refused(a, &r, &err);
		http_reply_err(a->rq, &err);
	}
	start_request_done(&r);
}

void api_captures_start(struct api_call *a)
{
	size_t n;
	const void *body = http_request_body(a->rq, &n);

	if (!is_draining(a))
		start_and_reply(a, body, n, NULL);
}

/* Approved, and in time? */
static int check_approved(const struct job *j, const struct approval *approval, struct err *err)
{
	if (j->state != JOB_WAITING || approval->state > APPROVAL_APPROVED) {
		err_set(err, ERR_STATE, "the capture does not wait to be begun (%s%s%s)", job_state_name(j->state),
			j->error[0] ? ": " : "", j->error);
		return err_detail(err, "not_waiting");
	}
	if (approval->expires_at <= clock_wall_ns()) {
		err_set(err, ERR_STATE, "its time is up; start a new capture");
		return err_detail(err, "approval_expired");
	}
	if (approval->state == APPROVAL_APPROVED)
		return 0;
	err_set(err, ERR_STATE, "no operator has approved it yet");
	return err_detail(err, "not_approved");
}

/* It is claimed, which ends here: until then nobody else begins it, and who erases it waits. */
static void begin_claimed(struct api_call *a, const char *id)
{
	struct approval approval = {0};
	struct err err = {0};
	struct job *was = job_db_get(a->gw->db, id, &err);

	if (was && approvals_db_get(a->gw->db, id, &approval, &err) < 0 && err.code == ERR_NOT_FOUND) {
		err_set(&err, ERR_STATE, "the capture never waited for an approval");
		err_detail(&err, "not_waiting");
	}
	if (was && err.code == ERR_NONE && check_approved(was, &approval, &err) == 0) {
		start_and_reply(a, approval.request, strlen(approval.request), was);
	} else {
		jobs_unclaim(a->gw->jobs, id);
		http_reply_err(a->rq, &err);
	}
	approval_done(&approval);
	job_free(was);
}

void api_captures_begin(struct api_call *a)
{
	struct job *j = is_draining(a) ? NULL : api_job(a, api_may_end);
	json_t *body = j ? api_body(a) : NULL;
	struct err err = {0};

	if (!body)
		goto out;
	if (json_object_size(body) > 0) {
		err_set(&err, ERR_INPUT, "this call takes no members: what was asked for is what begins");
		http_reply_err(a->rq, &err);
	} else if (jobs_claim(a->gw->jobs, j->id, 0, NULL) < 0) {
		http_reply_error(a->rq, 409, "not_waiting", NULL, "the capture is being begun or ended already");
	} else {
		begin_claimed(a, j->id);
	}
out:
	json_decref(body);
	job_free(j);
}

/* ---- list ---- */

static int read_states(const char *text, enum job_state ret[STATES_MAX], size_t *ret_n, struct err *err)
{
	char *copy = strdup(text), *save = NULL;
	int rc = 0;

	*ret_n = 0;
	if (!copy)
		return err_nomem(err);
	for (char *word = strtok_r(copy, ",", &save); word && rc == 0; word = strtok_r(NULL, ",", &save)) {
		if (*ret_n == STATES_MAX || !job_state_parse(word, &ret[*ret_n])) {
			char shown[40];

			rc = err_set(err, ERR_INPUT,
				"state: \"%s\" is not one of waiting, starting, running, finishing, ready, streamed, "
				"failed, "
				"killed, expired, purged",
				parse_printable(word, shown, sizeof(shown)));
		} else {
			(*ret_n)++;
		}
	}
	free(copy);
	return rc < 0 ? err_field(err, "state") : 0;
}

/* A point in time, or how long ago. */
static int read_since(const char *text, uint64_t *ret_ns, struct err *err)
{
	uint64_t ago_ms;

	if (clock_parse_rfc3339(text, ret_ns, NULL) == 0)
		return 0;
	if (parse_duration_ms(text, 0, UINT64_C(400) * 24 * 3600 * 1000, &ago_ms, NULL) < 0) {
		char shown[40];

		err_set(err, ERR_INPUT, "since: \"%s\" is neither a time (2026-01-05T10:00:00Z) nor a duration (2h)",
			parse_printable(text, shown, sizeof(shown)));
		return err_field(err, "since");
	}
	*ret_ns = clock_wall_ns() - ago_ms * CLOCK_NS_PER_MS;
	return 0;
}

static int read_filter(struct api_call *a, bool admin, struct job_filter *f, enum job_state states[STATES_MAX],
	uint64_t *ret_limit, struct err *err)
{
	static const char *const user_names[] = {"state", "app", "deployment", "since", "limit", "cursor", NULL};
	static const char *const admin_names[] = {"state", "app", "deployment", "since", "limit", "cursor", "user",
		"org", "space", "group", "agent", NULL};
	const char *state = http_request_query(a->rq, "state"), *since = http_request_query(a->rq, "since");
	const char *limit = http_request_query(a->rq, "limit");

	*ret_limit = LIST_DEFAULT;
	if (http_request_query_known(a->rq, admin ? admin_names : user_names, err) < 0)
		return -1;
	if (state && read_states(state, states, &f->states_n, err) < 0)
		return -1;
	f->states = states;
	if (since && read_since(since, &f->since_ns, err) < 0)
		return -1;
	if (limit && parse_u64(limit, 1, LIST_MAX, ret_limit, err) < 0) {
		err_in(err, "limit");
		return err_field(err, "limit");
	}
	f->after_id = http_request_query(a->rq, "cursor");
	if (f->after_id && !id_is_valid(f->after_id)) {
		err_set(err, ERR_INPUT, "cursor: is not one that a list gave out");
		return err_field(err, "cursor");
	}
	f->app = http_request_query(a->rq, "app");
	f->deployment = http_request_query(a->rq, "deployment");
	if (admin) {
		f->user_id = http_request_query(a->rq, "user");
		f->org = http_request_query(a->rq, "org");
		f->space = http_request_query(a->rq, "space");
		f->agent = http_request_query(a->rq, "agent");
		f->group = http_request_query(a->rq, "group");
	} else {
		/* In the database already: a cursor is the id of a job, and no stranger's. */
		f->visible_to = a->who->user_id;
		if (strcmp(a->gw->config.share, "none") != 0)
			f->shared_org = a->who->org;
		if (strcmp(a->gw->config.share, "space") == 0)
			f->shared_space = a->who->space;
	}
	return 0;
}

void api_list(struct api_call *a, bool admin)
{
	static const char *const looked_by[] = {"user", "org", "space", "app", "deployment", "group", "agent", NULL};
	enum job_state states[STATES_MAX];
	struct job_filter f = {.brief = true};
	struct job **jobs = NULL;
	struct err err = {0};
	json_t *list = json_array(), *cursor;
	uint64_t limit;
	size_t n = 0;

	if (!list)
		err_nomem(&err);
	if (!list || read_filter(a, admin, &f, states, &limit, &err) < 0 ||
		job_db_list(a->gw->db, &f, limit, &jobs, &n, &err) < 0) {
		json_decref(list);
		http_reply_err(a->rq, &err);
		return;
	}
	if (admin)
		api_audit_looked(a, "captures", looked_by);
	/* The database has narrowed it; who may see what is decided in one place. */
	for (size_t i = 0; i < n; i++) {
		if (admin || api_may_have(a, jobs[i]))
			json_array_append_new(list, api_job_json_for(a, jobs[i], true));
	}
	cursor = n == limit ? json_string(jobs[n - 1]->id) : json_null();
	job_db_list_free(jobs, n);
	http_reply_json(a->rq, 200, json_pack("{s:o, s:o}", "captures", list, "next_cursor", cursor));
}

void api_captures_list(struct api_call *a)
{
	api_list(a, false);
}

/* ---- one capture ---- */

void api_captures_show(struct api_call *a)
{
	struct job *j = api_job(a, api_may_see);

	if (j)
		api_audit_shown(a, j, "capture");
	if (j)
		http_reply_json(a->rq, 200, api_job_json_for(a, j, false));
	job_free(j);
}

void api_captures_stop(struct api_call *a)
{
	struct job *j = api_job(a, api_may_end);
	struct err err = {0};
	struct capture *c;
	json_t *body;

	if (!j)
		return;
	if (!(body = api_body(a))) {
		job_free(j);
		return;
	}
	json_decref(body);
	c = jobs_find(a->gw->jobs, j->id);
	if (!c && j->state == JOB_WAITING) {
		if (api_stop_waiting(a, j, &err) == 0)
			http_reply_json(a->rq, 202, api_job_json_for(a, j, false));
		else
			http_reply_err(a->rq, &err);
	} else if (c && !job_state_is_end(capture_state(c))) {
		api_audit_job(a, "capture.stop", j, NULL, NULL);
		capture_stop(c, STOP_USER, a->who->user_id);
		http_reply_json(a->rq, 202, capture_to_json(c, false));
	} else {
		http_reply_error(a->rq, 409, "job_ended", NULL, "the capture has ended already (%s)",
			job_state_name(c ? capture_state(c) : j->state));
	}
	capture_unref(c);
	job_free(j);
}

void api_captures_delete(struct api_call *a)
{
	struct job *j = api_job(a, api_may_end);
	struct erase_report r = {0};
	struct driver_erased *e = &r.store;
	struct capture *c;
	struct err err = {0};
	char text[120];

	if (!j)
		return;
	/* Before it is ended for nothing; retention_erase looks again. */
	if (retention_check_hold(j, &err) < 0 ||
		api_audit(a, "capture.delete",
			&(struct api_audited){.begins = true, .job = j->id, .scopes = &j->scopes}, &err) < 0) {
		http_reply_err(a->rq, &err);
		job_free(j);
		return;
	}
	if ((c = jobs_find(a->gw->jobs, j->id))) {
		capture_kill(c, STOP_DELETED, a->who->user_id);
		if (capture_wait_ended(c, END_WAIT_MS) < 0)
			err_set(&err, ERR_UNAVAILABLE, "the capture is being ended; try again in a moment");
		else
			capture_erased(c, e);
		capture_unref(c);
	}
	if (err.code == ERR_NONE)
		retention_erase(a->gw, j->id, JOB_PURGED, a->who->user_id, &r, &err);
	api_audit_erased(a, j, &r, false, false, err.code == ERR_NONE ? NULL : &err);
	if (err.code == ERR_NONE) {
		snprintf(text, sizeof(text), "objects=%" PRIu32 ", uploads=%" PRIu32 ", bytes=%" PRIu64, e->objects,
			e->uploads, e->bytes);
		http_reply_header(a->rq, "Pcap-Erased", text);
		http_reply_empty(a->rq, 204);
	} else {
		http_reply_err(a->rq, &err);
	}
	job_free(j);
}
