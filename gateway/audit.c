#include "gateway/audit.h"

#include "common/log.h"

static const char *text(const char *s)
{
	return s ? s : "";
}

int audit_write(struct audit *a, const struct audit_record *r, struct err *err)
{
	(void)a;
	(void)err;
	log_event(LOG_LEVEL_INFO, "audit",
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "action", r->action, "outcome", r->outcome, "user",
			text(r->user_id), "job", text(r->job), "code", text(r->code)));
	return 0;
}
