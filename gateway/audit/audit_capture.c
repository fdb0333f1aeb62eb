#include "gateway/audit/audit_capture.h"

#include "common/log.h"

static void write_it(struct audit *a, const struct audit_record *r)
{
	struct err err = {0};

	if (audit_write(a, r, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "audit.event_lost", &err,
			json_pack("{s:s, s:s}", "action", r->action, "job", r->job));
	json_decref(r->data);
}

void audit_capture_end(struct audit *a, const struct job *j)
{
	const struct audit_record r = {
		.action = "capture.end",
		.outcome = j->state == JOB_FAILED ? "failed" : "ok",
		.code = j->error_code,
		.why = j->error,
		.user_id = j->owner_user_id,
		.user_name = j->owner_user_name,
		.job = j->id,
		.scopes = &j->scopes,
		.has_figures = true,
		.bytes = j->bytes,
		.packets = j->packets,
		.data = json_pack("{s:s, s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I}}", "state", job_state_name(j->state),
			"reason", stop_reason_name(j->stop_reason), "stop_by", j->stop_by, "mode",
			job_mode_name(j->mode), "dropped", "kernel", (json_int_t)j->dropped.kernel, "interface",
			(json_int_t)j->dropped.interface, "agent", (json_int_t)j->dropped.agent, "gateway",
			(json_int_t)j->dropped.gateway),
	};

	write_it(a, &r);
}

void audit_capture_expired(struct audit *a, const struct job *j, uint64_t bytes, const char *note)
{
	const struct audit_record r = {
		.action = "capture.expire",
		.outcome = "ok",
		.why = note,
		.job = j->id,
		.scopes = &j->scopes,
		.data = json_pack("{s:s, s:I}", "owner", j->owner_user_id, "erased_bytes", (json_int_t)bytes),
	};

	write_it(a, &r);
}
