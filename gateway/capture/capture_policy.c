/* capture_policy.c - a running capture before the rules of now. */
#include "gateway/capture/capture_internal.h"
#include "gateway/policy/policy.h"

#include "common/log.h"

static int still(struct capture *c, const struct scope_list *scopes, enum stop_reason *ret_reason, struct err *err)
{
	/* All fixed since the start. */
	const struct policy_terms terms = {
		.options = &c->job->options,
		.forced = c->forced,
		.forced_n = c->forced_n,
		.stored = c->job->mode == JOB_STORE,
		.approved = c->approved,
	};

	return policy_still(c->gw->policy, scopes, &terms, ret_reason, err);
}

bool capture_judge(struct capture *c, const struct scope_list *also)
{
	enum stop_reason reason = STOP_NONE;
	enum job_state state = capture_state(c);
	struct err err = {0};

	if (state != JOB_STARTING && state != JOB_RUNNING) /* it has an end already, and a reason of its own */
		return true;
	if (still(c, &c->job->scopes, &reason, &err) == 0 && (!also || still(c, also, &reason, &err) == 0))
		return true;
	/* No memory now says nothing about any rule: the next look will. */
	if (err.code == ERR_NOMEM)
		return true;
	log_err(LOG_LEVEL_WARNING, "capture.not_allowed", &err,
		json_pack("{s:s, s:s}", "job", capture_id(c), "reason", stop_reason_name(reason)));
	capture_stop_for(c, reason, &err);
	return false;
}
