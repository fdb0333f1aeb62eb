/* Approval: which captures wait for an operator's word, and that word. */
#include "common/clock.h"
#include "common/json_in.h"
#include "common/log.h"
#include "gateway/api/api.h"
#include "gateway/api/api_select.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/policy/approvals.h"

#include <stdlib.h>
#include <string.h>

#define LISTED 1000u

/* ---- the list ---- */

static json_t *entry(struct gateway *gw, const char *id)
{
	struct job *j = job_db_get(gw->db, id, NULL);
	json_t *json = NULL, *ret = NULL;
	struct approval a;
	char at[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];

	if (!j || approvals_db_get(gw->db, id, &a, NULL) < 0) /* it is gone already */
		goto out;
	if ((json = job_to_json(j, true)))
		ret = json_pack("{s:s, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:s, s:s, s:s}", "job", j->id, "owner",
			json_object_get(json, "owner"), "org", json_object_get(json, "org"), "space",
			json_object_get(json, "space"), "target", json_object_get(json, "target"), "options",
			json_object_get(json, "options"), "mode", json_object_get(json, "mode"), "note",
			json_object_get(json, "note"), "because", a.because, "asked_at",
			clock_rfc3339(j->created_at, at), "expires_at", clock_rfc3339(a.expires_at, until));
	approval_done(&a);
out:
	json_decref(json);
	job_free(j);
	return ret;
}

void api_admin_approvals(struct api_call *a)
{
	static const char *const names[] = {NULL};
	char(*ids)[ID_MAX] = NULL;
	json_t *list = json_array(), *one;
	struct err err = {0};
	size_t n = 0;

	if (http_request_query_known(a->rq, names, &err) < 0 ||
		approvals_db_list(a->gw->db, false, clock_wall_ns(), LISTED, &ids, &n, &err) < 0) {
		json_decref(list);
		http_reply_err(a->rq, &err);
		return;
	}
	api_audit_looked(a, "approvals", names);
	for (size_t i = 0; i < n; i++) {
		if ((one = entry(a->gw, ids[i])))
			json_array_append_new(list, one);
	}
	free(ids);
	http_reply_json(a->rq, 200, json_pack("{s:o}", "approvals", list));
}

/* ---- the word ---- */

static int read_reason(json_t *body, bool required, const char **ret, struct err *err)
{
	struct json_in in;

	json_in_begin(&in, body, "", err);
	json_in_str(&in, "reason", required ? JSON_IN_REQUIRED : JSON_IN_OPTIONAL, 1, API_REASON_MAX, ret);
	return json_in_end(&in);
}

/* By whichever of the tokens that came with the request: who has two logins is one person. */
static bool is_own(const struct api_call *a, const struct job *j)
{
	for (size_t i = 0; i < a->people.n; i++)
		if (strcmp(j->owner_user_id, a->people.who[i].user_id) == 0)
			return true;
	return false;
}

/* Not one's own, whoever one is; and not one that is decided already. */
static int check_decidable(struct api_call *a, const struct job *j, struct err *err)
{
	struct approval now;

	if (is_own(a, j)) {
		err_set(err, ERR_PERM, "this capture is your own: another operator must decide about it");
		return err_detail(err, "own_approval");
	}
	if (approvals_db_get(a->gw->db, j->id, &now, err) < 0) {
		if (err->code == ERR_NOT_FOUND)
			err->code = ERR_STATE;
		return err->code == ERR_STATE ? err_detail(err, "not_waiting") : -1;
	}
	if (j->state != JOB_WAITING || now.state != APPROVAL_WAITING || now.expires_at <= clock_wall_ns()) {
		err_set(err, ERR_STATE, "the capture does not wait for a decision%s",
			j->state == JOB_WAITING && now.state == APPROVAL_APPROVED ? ": it is approved"
			: j->state == JOB_WAITING                                 ? ": its time is up"
										  : "");
		err_detail(err, "not_waiting");
	}
	approval_done(&now);
	return err->code == ERR_NONE ? 0 : -1;
}

static int approve(struct api_call *a, struct job *j, const char *reason, struct err *err)
{
	const uint64_t now = clock_wall_ns();
	char name[API_OPERATOR_NAME_MAX];
	const struct approval_decision d = {
		.by = api_operator_name(a, name),
		.reason = reason ? reason : "",
		.at_ns = now,
		.expires_ns = now + a->gw->config.approval_expiry_ms * CLOCK_NS_PER_MS,
	};

	if (approvals_db_approve(a->gw->db, j->id, &d, err) < 0)
		return -1;
	approvals_event(a->gw, j->id, "approved", json_pack("{s:s, s:s*}", "by", d.by, "reason", reason));
	return 0;
}

static int deny(struct api_call *a, struct job *j, const char *reason, struct err *err)
{
	char name[API_OPERATOR_NAME_MAX], message[API_OPERATOR_NAME_MAX + API_REASON_MAX + 16];
	const struct approval_decision d = {
		.by = api_operator_name(a, name), .reason = reason, .at_ns = clock_wall_ns()};
	const struct approvals_end how = {
		.approval = APPROVAL_DENIED,
		.state = JOB_FAILED,
		.by = a->who->user_id,
		.code = "approval_denied",
		.message = message,
		.decision = &d,
	};

	snprintf(message, sizeof(message), "denied by %s: %s", name, reason);
	return approvals_end(a->gw, j, &how, err);
}

static void decide(struct api_call *a, const char *action, bool reason_required,
	int (*act)(struct api_call *a, struct job *j, const char *reason, struct err *err))
{
	struct job *j = api_job(a, api_may_see), *now;
	json_t *body = j ? api_body(a) : NULL;
	const char *reason = NULL;
	struct err err = {0};

	if (!body)
		goto out;
	if (read_reason(body, reason_required, &reason, &err) < 0)
		goto refused;
	if (check_decidable(a, j, &err) < 0) {
		api_audit(a, action, &(struct api_audited){.refused = &err, .job = j->id, .scopes = &j->scopes}, NULL);
		goto refused;
	}
	if (api_audit(a, action, &(struct api_audited){.why = reason, .job = j->id, .scopes = &j->scopes}, &err) < 0 ||
		act(a, j, reason, &err) < 0)
		goto refused;
	log_event(LOG_LEVEL_WARNING, action,
		json_pack("{s:s, s:s, s:s*}", "by", a->who->user_id, "job", j->id, "reason", reason));
	if (!(now = job_db_get(a->gw->db, j->id, &err)))
		goto refused;
	http_reply_json(a->rq, 200, api_job_json_for(a, now, false));
	job_free(now);
	goto out;
refused:
	http_reply_err(a->rq, &err);
out:
	json_decref(body);
	job_free(j);
}

void api_admin_approve(struct api_call *a)
{
	decide(a, "approval.approve", false, approve);
}

void api_admin_deny(struct api_call *a)
{
	decide(a, "approval.deny", true, deny);
}

/* ---- ended by others ---- */

struct killing {
	const struct err *why;
	json_t *killed;
};

static bool kill_one(struct api_call *a, const struct job *found, void *ctx)
{
	const struct killing *k = ctx;
	const struct approvals_end how = {
		.approval = APPROVAL_CANCELLED,
		.state = JOB_KILLED,
		.reason = STOP_KILLED,
		.by = a->who->user_id,
		.code = "killed",
		.message = k->why->msg,
	};
	struct job *j = job_db_get(a->gw->db, found->id, NULL);
	struct capture *c = NULL;

	if (j && j->state == JOB_WAITING && approvals_end(a->gw, j, &how, NULL) == 0) {
		json_array_append_new(k->killed, json_string(j->id));
	} else if ((c = jobs_find(a->gw->jobs, found->id))) { /* it has just begun */
		capture_kill_for(c, STOP_KILLED, a->who->user_id, k->why);
		json_array_append_new(k->killed, json_string(found->id));
	}
	capture_unref(c);
	job_free(j);
	return true;
}

void api_kill_waiting(struct api_call *a, const struct job_filter *filter, const struct err *why, json_t *killed)
{
	static const enum job_state waiting[] = {JOB_WAITING};
	struct killing k = {.why = why, .killed = killed};
	struct job_filter f = *filter;
	struct err err = {0};

	f.states = waiting;
	f.states_n = 1;
	if (api_each_selected(a, &f, kill_one, &k, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "admin.kill_waiting_failed", &err, NULL);
}

int api_stop_waiting(struct api_call *a, struct job *j, struct err *err)
{
	const struct approvals_end how = {
		.approval = APPROVAL_CANCELLED,
		.state = JOB_FAILED,
		.reason = STOP_USER,
		.by = a->who->user_id,
		.code = "approval_cancelled",
		.message = "its user did not want it any more",
	};

	if (api_audit_job(a, "capture.stop", j, NULL, err) < 0)
		return -1;
	return approvals_end(a->gw, j, &how, err);
}
