/* What a request did, for the audit trail. */
#include "gateway/api.h"
#include "gateway/audit.h"

int api_audit(struct api_call *a, const char *action, const struct api_audited *what, struct err *err)
{
	const struct err *refused = what->refused;
	const struct audit_record r = {
		.action = action,
		.outcome = !refused                                                   ? "ok"
			   : refused->code == ERR_INTERNAL || refused->code == ERR_IO ? "failed"
										      : "refused",
		.code = refused ? err_api_code(refused) : NULL,
		.why = refused ? refused->msg : what->why,
		.user_id = a->who->user_id,
		.user_name = a->who->user_name,
		.peer = http_request_peer(a->rq),
		.request_id = http_request_id(a->rq),
		.job = what->job,
		.scopes = what->scopes,
		.data = what->data,
	};

	return audit_write(a->gw->audit, &r, err);
}
