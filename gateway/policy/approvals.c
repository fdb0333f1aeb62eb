#include "gateway/policy/approvals.h"

#include "common/clock.h"
#include "common/log.h"
#include "gateway/audit/audit.h"

#include <stdlib.h>

#define SWEPT_AT_ONCE 1000u

void approvals_tell(struct gateway *gw, const char *job_id, json_t *job)
{
	struct approval a;

	if (approvals_db_get(gw->db, job_id, &a, NULL) < 0)
		return;
	json_object_set_new(job, "approval", approval_to_json(&a));
	approval_done(&a);
}

void approvals_event(struct gateway *gw, const char *job_id, const char *type, json_t *data)
{
	char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
	struct err err = {0};

	if (job_db_event_add(gw->db, job_id, clock_wall_ns(), type, text ? text : "{}", NULL, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "approval.event_lost", &err, json_pack("{s:s}", "job", job_id));
	free(text);
	json_decref(data);
}

int approvals_end(struct gateway *gw, struct job *j, const struct approvals_end *how, struct err *err)
{
	j->state = how->state;
	j->ended_at = clock_wall_ns();
	j->stop_reason = how->reason;
	if (job_set(&j->stop_by, how->by, err) < 0 || job_set(&j->error_code, how->code, err) < 0 ||
		job_set(&j->error, how->message, err) < 0)
		return -1;
	if (approvals_db_end(gw->db, j, how->approval, how->decision, err) < 0)
		return -1;
	approvals_event(gw, j->id, job_state_name(j->state),
		json_pack("{s:s*, s:s*, s:s}", "reason",
			how->reason == STOP_NONE ? NULL : stop_reason_name(how->reason), "by", how->by, "error",
			how->message));
	log_event(LOG_LEVEL_INFO, "approval.ended",
		json_pack("{s:s, s:s, s:s*}", "job", j->id, "code", how->code, "by", how->by));
	return 0;
}

/* ---- time ---- */

static void audit_expire(struct gateway *gw, const struct job *j, const char *why)
{
	const struct audit_record r = {
		.action = "approval.expire",
		.outcome = "ok",
		.why = why,
		.user_id = j->owner_user_id,
		.user_name = j->owner_user_name,
		.job = j->id,
		.scopes = &j->scopes,
	};
	struct err err = {0};

	if (audit_write(gw->audit, &r, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "approval.not_audited", &err, json_pack("{s:s}", "job", j->id));
}

static void expire(struct gateway *gw, struct job *j)
{
	struct approvals_end how = {.approval = APPROVAL_EXPIRED, .state = JOB_FAILED, .code = "approval_expired"};
	struct approval a;
	struct err err = {0};

	if (approvals_db_get(gw->db, j->id, &a, &err) < 0)
		goto failed;
	how.message = a.state == APPROVAL_APPROVED ? "it was approved, and not begun in time"
						   : "no operator has decided in time";
	approval_done(&a);
	if (approvals_end(gw, j, &how, &err) == 0) {
		audit_expire(gw, j, how.message);
		return;
	}
failed:
	if (err.code != ERR_STATE && err.code != ERR_NOT_FOUND) /* somebody was faster */
		log_err(LOG_LEVEL_ERROR, "approval.expire_failed", &err, json_pack("{s:s}", "job", j->id));
}

void approvals_sweep(struct gateway *gw)
{
	char(*ids)[ID_MAX] = NULL;
	struct err err = {0};
	size_t n = 0;

	if (approvals_db_list(gw->db, true, clock_wall_ns(), SWEPT_AT_ONCE, &ids, &n, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, "approval.list_failed", &err, NULL);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct job *j = job_db_get(gw->db, ids[i], NULL);

		if (j && j->state == JOB_WAITING)
			expire(gw, j);
		job_free(j);
	}
	free(ids);
}
