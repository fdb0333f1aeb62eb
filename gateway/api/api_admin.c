/* What operators may: see all jobs, end captures at once, let none begin. */
#include "common/json_in.h"
#include "common/log.h"
#include "gateway/api/api.h"
#include "gateway/api/api_select.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/storage/retention.h"

#include <stdlib.h>
#include <string.h>

void api_admin_list(struct api_call *a)
{
	api_list(a, true);
}

/* Those that no capture runs any more, but whose files are still being finished: of a former process, or of a store that did not take them. */
struct unfinished {
	const struct err *why;
	json_t *killed, *held, *failed;
};

/* What was meant, and what that was.  Ending what runs must work also where the trail cannot be written: then the log says who did it. */
static void audit_kill(struct api_call *a, const char *action, const char *reason, json_t *body, json_t *killed,
	const struct unfinished *u)
{
	json_t *data = json_pack("{s:O, s:O, s:O*, s:O*}", "selector", body, "jobs", killed, "held", u ? u->held : NULL,
		"failed", u ? u->failed : NULL);
	struct api_audited what = {.was_begun = true, .why = reason, .data = data};
	struct err err = {0}, some = {0};

	if (u && json_array_size(u->failed) > 0) {
		err_set(&some, ERR_INTERNAL, "%zu captures could not be ended", json_array_size(u->failed));
		err_detail(&some, "not_all_ended");
		what.refused = &some;
	}

	if (json_array_size(killed) == 1)
		what.job = json_string_value(json_array_get(killed, 0));
	if (!data || api_audit(a, action, &what, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "admin.not_audited", &err,
			json_pack("{s:s, s:s, s:O}", "action", action, "by", a->who->user_id, "asked", body));
	json_decref(data);
}

/* ---- kill ---- */

/* All at once, found by what this process runs: a database that is busy delays nothing.  First every agent loses its connection, which waits for nothing;
 * only then what may wait for a capture that waits for its disk.  A new list of ids. */
static json_t *kill_all(struct api_call *a, const struct job_filter *f, const struct err *why)
{
	size_t n;
	struct capture **all = jobs_all(a->gw->jobs, &n);
	json_t *killed = json_array();

	for (size_t i = 0; i < n; i++) {
		if (!capture_matches(all[i], f)) {
			capture_unref(all[i]);
			all[i] = NULL;
		} else {
			capture_cut(all[i], STOP_KILLED);
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (all[i] && !job_state_is_end(capture_state(all[i]))) {
			capture_kill_for(all[i], STOP_KILLED, a->who->user_id, why);
			json_array_append_new(killed, json_string(capture_id(all[i])));
		}
		capture_unref(all[i]);
	}
	free(all);
	return killed;
}

static bool kill_unfinished(struct api_call *a, const struct job *found, void *ctx)
{
	const struct unfinished *u = ctx;
	struct capture *c = jobs_find(a->gw->jobs, found->id);
	struct err err = {0};
	int rc;

	capture_unref(c);
	if (c) /* it was among those that run */
		return true;
	rc = retention_check_hold(found, &err); /* before anything is done to it: its finishing shall go on */
	if (rc == 0)
		rc = retention_kill(a->gw, found->id, a->who->user_id, u->why, &err);
	if (rc == 0)
		json_array_append_new(u->killed, json_string(found->id));
	else if (rc < 0 && strcmp(err.detail, "on_hold") == 0)
		json_array_append_new(u->held, json_string(found->id));
	else if (rc < 0)
		json_array_append_new(u->failed, json_pack("{s:s, s:s}", "job", found->id, "error", err.msg));
	return true;
}

static void kill_all_unfinished(struct api_call *a, const struct job_filter *filter, struct unfinished *u)
{
	static const enum job_state states[] = {JOB_STARTING, JOB_RUNNING, JOB_FINISHING};
	struct job_filter f = *filter;
	struct err err = {0};

	f.states = states;
	f.states_n = sizeof(states) / sizeof(states[0]);
	if (api_each_selected(a, &f, kill_unfinished, u, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "admin.kill_unfinished_failed", &err, NULL);
}

void api_admin_kill(struct api_call *a)
{
	struct api_selection s = {0};
	struct err err = {0}, why = {0};
	json_t *body = api_body(a), *killed;
	struct unfinished u = {.why = &why};
	char name[API_OPERATOR_NAME_MAX];

	if (!body)
		return;
	if (api_select_read(body, API_REASON_OPTIONAL, false, &s, &err) < 0) {
		http_reply_err(a->rq, &err);
	} else {
		err_set(&why, ERR_CANCELLED, "killed by %s%s%s", api_operator_name(a, name), s.reason ? ": " : "",
			s.reason ? s.reason : "");
		killed = kill_all(a, &s.filter, &why);
		api_kill_waiting(a, &s.filter, &why, killed);
		u.killed = killed;
		u.held = json_array();
		u.failed = json_array();
		kill_all_unfinished(a, &s.filter, &u);
		audit_kill(a, "admin.kill", s.reason, body, killed, &u); /* after it: a slow disk holds up no kill */
		log_event(LOG_LEVEL_WARNING, "admin.kill",
			json_pack("{s:s, s:O, s:s*}", "by", a->who->user_id, "killed", killed, "reason", s.reason));
		http_reply_json(
			a->rq, 200, json_pack("{s:o, s:o, s:o}", "killed", killed, "held", u.held, "failed", u.failed));
	}
	json_decref(body);
}

/* ---- the global stop ---- */

static int read_halt(json_t *body, const char **ret_reason, bool *ret_kill, struct err *err)
{
	struct json_in in;

	json_in_begin(&in, body, "", err);
	json_in_str(&in, "reason", JSON_IN_REQUIRED, 1, API_REASON_MAX, ret_reason);
	json_in_bool(&in, "kill", ret_kill);
	return json_in_end(&in);
}

static void halt(struct api_call *a, json_t *body, const char *reason, bool kill)
{
	const struct job_filter everything = {0};
	struct err err = {0}, why = {0};
	char name[API_OPERATOR_NAME_MAX];
	json_t *killed;
	int rc;

	stop_switch_set(&a->gw->stop_switch, api_operator_name(a, name), reason);
	err_set(&why, ERR_CANCELLED, "killed by %s, who stopped all captures: %s", name, reason);
	killed = kill ? kill_all(a, &everything, &why) : json_array();
	rc = stop_switch_keep(&a->gw->stop_switch, &err);
	audit_kill(a, "admin.halt", reason, body, killed, NULL);
	log_event(LOG_LEVEL_WARNING, "admin.halt",
		json_pack("{s:s, s:s, s:O}", "by", a->who->user_id, "reason", reason, "killed", killed));
	if (rc < 0) {
		json_decref(killed);
		err_in(&err,
			"no capture begins until this gateway ends, but it could not be written down for the next one");
		log_err(LOG_LEVEL_ERROR, "admin.halt_not_kept", &err, NULL);
		http_reply_error(a->rq, 500, "halt_not_kept", NULL, "%s", err.msg);
		return;
	}
	http_reply_json(a->rq, 200,
		json_pack("{s:o, s:o}", "halted", stop_switch_json(&a->gw->stop_switch, STOP_SWITCH_OPERATOR), "killed",
			killed));
}

void api_admin_halt(struct api_call *a)
{
	json_t *body = api_body(a);
	const char *reason = NULL;
	struct err err = {0};
	bool kill = true;

	if (!body)
		return;
	if (read_halt(body, &reason, &kill, &err) < 0) {
		http_reply_err(a->rq, &err);
	} else {
		halt(a, body, reason, kill);
	}
	json_decref(body);
}

void api_admin_resume(struct api_call *a)
{
	json_t *body = api_body(a), *was;
	const char *reason = NULL;
	struct err err = {0};
	struct json_in in;

	if (!body)
		return;
	json_in_begin(&in, body, "", &err);
	json_in_str(&in, "reason", JSON_IN_OPTIONAL, 1, API_REASON_MAX, &reason);
	was = stop_switch_json(&a->gw->stop_switch, STOP_SWITCH_OPERATOR);
	if (json_in_end(&in) < 0 ||
		api_audit(a, "admin.resume", &(struct api_audited){.why = reason, .data = was}, &err) < 0 ||
		stop_switch_lift(&a->gw->stop_switch, &err) < 0) {
		http_reply_err(a->rq, &err);
	} else {
		log_event(LOG_LEVEL_WARNING, "admin.resume", json_pack("{s:s}", "by", a->who->user_id));
		http_reply_json(a->rq, 200, json_pack("{s:O}", "was", was));
	}
	json_decref(was);
	json_decref(body);
}
