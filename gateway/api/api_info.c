/* What anyone may ask: what this is, is it alive, is it ready. */
#include "common/clock.h"
#include "common/version.h"
#include "gateway/api/api.h"
#include "gateway/audit/audit.h"
#include "gateway/capture/jobs.h"
#include "gateway/identity/identity.h"
#include "gateway/limits/limits.h"
#include "gateway/storage/examination.h"
#include "gateway/targets/targets.h"

#include <string.h>

static json_t *limits_json(const struct config_gateway *c)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{"captures", c->limit_captures},
		{"captures_per_user", c->limit_captures_per_user},
		{"captures_per_org", c->limit_captures_per_org},
		{"captures_per_space", c->limit_captures_per_space},
		{"captures_per_app", c->limit_captures_per_app},
		{"captures_per_agent", c->limit_captures_per_agent},
		{"starts_per_hour", c->limit_starts_per_hour},
		{"starts_per_day", c->limit_starts_per_day},
		{"starts_per_hour_org", c->limit_starts_per_hour_org},
		{"starts_per_day_org", c->limit_starts_per_day_org},
		{"instances", c->limit_instances},
		{"max_duration_s", c->limit_duration_ms / 1000},
		{"max_bytes", c->limit_max_bytes},
		{"max_packets", c->limit_max_packets},
		{"snaplen", c->limit_snaplen},
		{"rate_per_capture", c->limit_rate_per_capture},
		{"rate", c->limit_rate},
		{"quota_user", c->limit_quota_user_bytes},
		{"quota_org", c->limit_quota_org_bytes},
		{"live_grace_s", c->live_grace_ms / 1000},
		{"live_backlog_bytes", c->live_backlog_bytes},
	};
	json_t *limits = json_object();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(limits, all[i].name, json_integer((json_int_t)all[i].value));
	return limits;
}

/* Who shows a token is told who that is, and what it may do here. */
static json_t *you_json(struct api_call *a)
{
	const struct identity *who = api_caller(a);
	char at[CLOCK_TEXT_MAX];

	if (!who)
		return NULL;
	return json_pack("{s:s, s:s, s:s?, s:s?, s:b, s:s?}", "user_id", who->user_id, "user_name", who->user_name,
		"org", who->org && who->org[0] ? who->org : NULL, "space",
		who->space && who->space[0] ? who->space : NULL, "operator", who->is_operator, "expires_at",
		who->expires_at ? clock_rfc3339(who->expires_at, at) : NULL);
}

void api_info(struct api_call *a)
{
	const struct config_gateway *c = &a->gw->config;
	enum stop_switch_told told = api_is_operator(a) ? STOP_SWITCH_OPERATOR
				     : api_caller(a)    ? STOP_SWITCH_USER
							: STOP_SWITCH_ANYBODY;
	json_t *login;
	json_t *storage = json_pack("{s:b}", "offered", a->gw->store != NULL);
	json_t *issuers = json_array();
	json_t *limits = limits_json(c), *standing = NULL;

	if (storage && a->gw->store) {
		json_object_set_new(storage, "driver", json_string(c->storage_driver));
		json_object_set_new(storage, "retention_s", json_integer((json_int_t)(c->storage_retention_ms / 1000)));
		json_object_set_new(
			storage, "retention_max_s", json_integer((json_int_t)(limits_retention_max_ms(c) / 1000)));
		json_object_set_new(storage, "max_bytes", json_integer((json_int_t)c->storage_job_max_bytes));
		json_object_set_new(storage, "link_ttl_s", json_integer((json_int_t)(c->link_ttl_ms / 1000)));
		json_object_set_new(storage, "link_ttl_max_s", json_integer((json_int_t)(c->link_ttl_max_ms / 1000)));
		/* They name buckets and what is wrong with them, which is nobody's business but the operator's. */
		if (a->gw->examination && api_is_operator(a))
			json_object_set_new(storage, "findings", examination_json(a->gw->examination));
	}
	if (api_caller(a))
		standing = limits_standing(a->gw->limits, a->who->user_id, a->who->org, clock_wall_ns());
	a->gw->identities->ops->tell_login(a->gw->identities, issuers);
	login = json_pack(
		"{s:s, s:o}", "type", json_array_size(issuers) ? "bearer" : "static_token", "issuers", issuers);
	api_page_tell(a, login);
	http_reply_json(a->rq, 200,
		json_pack("{s:s, s:s, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:o*, s:o*}", "name", "pcapline", "version",
			PCAPLINE_VERSION, "api_level", PCAPLINE_API_LEVEL, "targets", targets_types(a->gw->targets),
			"login", login, "share", c->share, "storage", storage, "limits", limits, "halted",
			stop_switch_json(&a->gw->stop_switch, told), "standing", standing, "you", you_json(a)));
}

void api_healthz(struct api_call *a)
{
	http_reply_json(a->rq, 200, json_pack("{s:s}", "status", "ok"));
}

static void add_reason(json_t *reasons, const char *what, const char *message)
{
	json_array_append_new(reasons, json_pack("{s:s, s:s}", "what", what, "message", message));
}

void api_readyz(struct api_call *a)
{
	json_t *reasons = json_array();
	bool draining = atomic_load(&a->gw->draining), database, storage, audit, ready;

	readiness_look(a->gw, &database, &storage, &audit);
	ready = database && audit && !draining;
	if (draining)
		add_reason(reasons, "draining", "the gateway is shutting down");
	if (!database)
		add_reason(reasons, "database", "the job database cannot be used");
	/* It answers, and operators must reach it: who takes it out of service for that would keep them from lifting it. */
	if (stop_switch_check(&a->gw->stop_switch, NULL) < 0)
		add_reason(reasons, "halted", "an operator has stopped all captures");
	if (!audit)
		add_reason(reasons, "audit", "the audit trail cannot be written");
	/* Without its store the gateway still takes live captures. */
	if (!storage)
		add_reason(reasons, "storage", "captures cannot be stored");
	http_reply_json(a->rq, ready ? 200 : 503,
		json_pack("{s:s, s:o, s:I}", "status", ready ? "ready" : "not ready", "reasons", reasons, "captures",
			(json_int_t)jobs_running(a->gw->jobs)));
}
