/* capture_policy.c - a running capture before the rules of now. */
#include "gateway/capture_internal.h"
#include "gateway/policy.h"

#include "common/log.h"

static int still(struct capture *c, const struct scope_list *scopes, enum stop_reason *ret_reason, struct err *err)
{
	/* All fixed since the start. */
	const struct policy_terms terms = {
		.options = &c->job->options,
		.forced = c->forced,
		.forced_n = c->forced_n,
		.stored = c->job->mode == JOB_STORE,
	};

	return policy_still(c->gw->policy, scopes, &terms, ret_reason, err);
}

bool capture_judge(struct capture *c, const struct scope_list *also)
{
	enum stop_reason reason = STOP_NONE;
	struct err err = {0};

	if (still(c, &c->job->scopes, &reason, &err) == 0 && (!also || still(c, also, &reason, &err) == 0))
		return true;
	/* No memory now says nothing about any rule: the next look will. */
	if (err.code == ERR_NOMEM)
		return true;
	if (!job_state_is_end(capture_state(c)))
		log_err(LOG_LEVEL_WARNING, "capture.not_allowed", &err,
			json_pack("{s:s, s:s}", "job", capture_id(c), "reason", stop_reason_name(reason)));
	capture_stop_for(c, reason, &err);
	return false;
}
