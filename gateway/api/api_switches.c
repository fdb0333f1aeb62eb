/* Operators' switches: what may be captured and stored where, and what is forced on it. */
#include "common/clock.h"
#include "common/json_in.h"
#include "common/log.h"
#include "common/parse.h"
#include "gateway/api/api.h"
#include "gateway/limits/limits.h"
#include "gateway/policy/enforcer.h"
#include "gateway/policy/policy.h"

#include <inttypes.h>
#include <string.h>

#define PATH_BEGIN "/v1/admin/switches/"
#define TTL_MAX_S  (UINT64_C(10) * 365 * 24 * 3600)
#define KINDS_TEXT "platform, org, space, app, deployment, group"

/* ---- which one ---- */

static int read_kind(const char *name, enum scope_kind *ret, struct err *err)
{
	char shown[40];

	if (scope_kind_parse(name, ret))
		return 0;
	err_set(err, ERR_INPUT, "scope: \"%s\" is not one of " KINDS_TEXT, parse_printable(name, shown, sizeof(shown)));
	return err_field(err, "scope");
}

static int bad_id(const char *text, struct err *err)
{
	err_set(err, ERR_INPUT, "id: %s", text);
	return err_field(err, "id");
}

/* Of the path; r is zeroed.  The routes see to it that all but the platform have an id, and that only that of a group holds a slash, written as it is or as %2F. */
static int read_scope(struct api_call *a, struct switch_row *r, struct err *err)
{
	const char *rest = http_request_path(a->rq) + strlen(PATH_BEGIN), *slash = strchr(rest, '/');
	const char *id = slash ? slash + 1 : "";
	char kind[32];

	snprintf(kind, sizeof(kind), "%.*s", (int)(slash ? slash - rest : (ptrdiff_t)strlen(rest)), rest);
	if (read_kind(kind, &r->kind, err) < 0)
		return -1;
	if (r->kind == SCOPE_PLATFORM && *id)
		return bad_id("the platform has none", err);
	if (strlen(id) >= (r->kind == SCOPE_GROUP ? SCOPE_GROUP_MAX : SCOPE_NAME_MAX) ||
		!parse_is_text(id, strlen(id), false))
		return bad_id("is longer than any, or no text", err);
	snprintf(r->id, sizeof(r->id), "%s", id);
	return 0;
}

static int read_level(struct api_call *a, enum switch_level *ret, struct err *err)
{
	const char *text = http_request_query(a->rq, "level");

	*ret = SWITCH_OPERATOR;
	if (!text)
		return 0;
	for (int l = SWITCH_OPERATOR; l <= SWITCH_DEVELOPER; l++) {
		*ret = (enum switch_level)l;
		if (strcmp(text, switch_level_name(*ret)) == 0)
			return 0;
	}
	err_set(err, ERR_INPUT, "level: is operator, temporary or developer");
	return err_field(err, "level");
}

/* Path and query of a call for one switch. */
static int read_which(struct api_call *a, struct switch_row *r, struct err *err)
{
	static const char *const names[] = {"level", NULL};

	memset(r, 0, sizeof(*r));
	if (http_request_query_known(a->rq, names, err) < 0 || read_scope(a, r, err) < 0)
		return -1;
	return read_level(a, &r->level, err);
}

/* ---- what it shall be ---- */

static void read_word(struct json_in *in, const char *key, enum switch_word *ret)
{
	static const char *const names[] = {"", "allow", "forbid", NULL};
	int word = SWITCH_SILENT;

	json_in_enum(in, key, JSON_IN_OPTIONAL, names, &word);
	*ret = (enum switch_word)word;
}

static void read_forced(struct json_in *in, struct switch_row *r)
{
	static const char *const payloads[] = {"full", "headers", NULL}, *const approvals[] = {"", "required", NULL};
	const char *filter = "";
	uint64_t snaplen = 0;
	int payload = 0, approval = 0;

	json_in_u64(in, "snaplen", 0, PCAPNG_SNAPLEN_MAX, &snaplen);
	if (!in->bad && snaplen > 0 && snaplen < CAPTURE_SNAPLEN_MIN)
		json_in_fail(in, "snaplen", "%" PRIu64 " is not within %u..%u (0: none is forced)", snaplen,
			CAPTURE_SNAPLEN_MIN, PCAPNG_SNAPLEN_MAX);
	json_in_enum(in, "payload", JSON_IN_OPTIONAL, payloads, &payload);
	json_in_str(in, "filter", JSON_IN_OPTIONAL, 0, CAPTURE_FORCED_FILTER_MAX, &filter);
	json_in_enum(in, "approval", JSON_IN_OPTIONAL, approvals, &approval);
	r->snaplen = (uint32_t)snaplen;
	r->headers_only = payload == 1;
	r->approval = approval == 1;
	snprintf(r->filter, sizeof(r->filter), "%s", filter);
}

/* Longer than what the store's own rule is made for cannot be promised. */
static void read_retention(struct api_call *a, struct json_in *in, struct switch_row *r)
{
	uint64_t most = limits_retention_max_ms(&a->gw->config) / 1000;

	json_in_u64(in, "retention_s", 0, most, &r->retention_s);
	json_in_u64(in, "retention_max_s", 0, most, &r->retention_max_s);
}

static void read_expiry(struct json_in *in, struct switch_row *r)
{
	const char *at = NULL;
	uint64_t ttl_s = 0;

	json_in_str(in, "expires_at", JSON_IN_OPTIONAL, 1, 64, &at);
	json_in_u64(in, "ttl_s", 1, TTL_MAX_S, &ttl_s);
	if (in->bad)
		return;
	if (at && ttl_s > 0)
		json_in_fail(in, "ttl_s", "and expires_at: one of the two");
	else if (at && clock_parse_rfc3339(at, &r->expires_at, NULL) < 0)
		json_in_fail(in, "expires_at", "\"%s\" is no time (2026-01-05T10:00:00Z)", at);
	else if (at && r->expires_at <= r->set_at)
		json_in_fail(in, "expires_at", "\"%s\" has passed", at);
	else if (ttl_s > 0)
		r->expires_at = r->set_at + ttl_s * CLOCK_NS_PER_S;
}

static bool says_nothing(const struct switch_row *r)
{
	return r->capture == SWITCH_SILENT && r->storage == SWITCH_SILENT && !r->snaplen && !r->headers_only &&
	       !r->filter[0] && !r->approval && !r->retention_s && !r->retention_max_s;
}

static int read_switch(struct api_call *a, json_t *body, struct switch_row *r, struct err *err)
{
	const char *reason = "";
	struct json_in in;

	r->set_at = clock_wall_ns();
	snprintf(r->set_by, sizeof(r->set_by), "%s", a->who->user_id);
	json_in_begin(&in, body, "", err);
	read_word(&in, "capture", &r->capture);
	read_word(&in, "storage", &r->storage);
	read_forced(&in, r);
	read_retention(a, &in, r);
	json_in_str(&in, "reason", JSON_IN_REQUIRED, 1, SWITCH_REASON_MAX, &reason);
	read_expiry(&in, r);
	if (!in.bad && says_nothing(r))
		json_in_fail(&in, "",
			"the switch says nothing: give capture, storage, snaplen, payload, filter, approval, "
			"retention_s or retention_max_s; DELETE removes it");
	if (json_in_end(&in) < 0)
		return -1;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	return 0;
}

/* ---- the deed ---- */

static int audit(struct api_call *a, const char *action, const struct switch_row *r, const struct switch_row *old,
	const struct switch_row *fresh, struct err *err)
{
	json_t *data = json_pack("{s:s, s:s, s:s, s:o, s:o}", "scope", scope_kind_name(r->kind), "id", r->id, "level",
		switch_level_name(r->level), "old", old ? switch_row_to_json(old) : json_null(), "new",
		fresh ? switch_row_to_json(fresh) : json_null());
	const struct api_audited what = {.why = fresh ? fresh->reason : NULL, .data = data};
	int rc = data ? api_audit(a, action, &what, err) : err_nomem(err);

	json_decref(data);
	return rc;
}

int api_switch_put(struct api_call *a, const struct switch_row *r, json_t **ret_replaced, struct err *err)
{
	struct switch_row old;
	bool had = policy_get(a->gw->policy, r->kind, r->id, r->level, &old);

	if (audit(a, "switch.set", r, had ? &old : NULL, r, err) < 0 || policy_put(a->gw->policy, r, err) < 0)
		return -1;
	if (ret_replaced)
		*ret_replaced = had ? switch_row_to_json(&old) : json_null();
	return 0;
}

int api_switch_remove(struct api_call *a, const struct switch_row *old, struct err *err)
{
	if (audit(a, "switch.delete", old, old, NULL, err) < 0)
		return -1;
	return policy_delete(a->gw->policy, old->kind, old->id, old->level, err);
}

static int not_there(const struct switch_row *r, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no switch of %s%s%s%s", scope_kind_name(r->kind),
		r->id[0] ? " " : "", r->id,
		r->level == SWITCH_DEVELOPER   ? " by its developers"
		: r->level == SWITCH_TEMPORARY ? " for a time"
					       : "");
}

/* Which of an operator's two, where no level was given: the one there is. */
static bool get(struct api_call *a, struct switch_row *which, struct switch_row *ret)
{
	struct policy *p = a->gw->policy;

	if (policy_get(p, which->kind, which->id, which->level, ret))
		return true;
	if (http_request_query(a->rq, "level") || !policy_get(p, which->kind, which->id, SWITCH_TEMPORARY, ret))
		return false;
	which->level = SWITCH_TEMPORARY;
	return true;
}

/* To lift the wrong one would open what shall stay closed. */
static int check_only_one(struct api_call *a, const struct switch_row *which, struct err *err)
{
	struct switch_row other;

	if (http_request_query(a->rq, "level") || which->level != SWITCH_OPERATOR ||
		!policy_get(a->gw->policy, which->kind, which->id, SWITCH_TEMPORARY, &other))
		return 0;
	err_set(err, ERR_STATE,
		"level: there are two switches of %s%s%s, one that stays and one for a time (%s); say which is meant: "
		"operator or temporary",
		scope_kind_name(which->kind), which->id[0] ? " " : "", which->id, other.reason);
	err_field(err, "level");
	return err_detail(err, "two_switches");
}

/* ---- what it cannot have meant ---- */

static bool is_guid(const char *id)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'x' ? !id[i] || !strchr("0123456789abcdefABCDEF", id[i]) : id[i] != form[i])
			return false;
	return true;
}

/* Groups of deployments go by DEPLOYMENT/GROUP, and which of these there are only the director knows; those of the inventory are known here. */
static json_t *warn_group(const struct gateway *gw, const struct switch_row *r)
{
	char text[300 + SCOPE_GROUP_MAX * 4], shown[SCOPE_GROUP_MAX * 4];

	if (strchr(r->id, '/') || targets_has_group(gw->targets, r->id))
		return json_array();
	snprintf(text, sizeof(text),
		"the inventory has no group \"%s\", so this counts for nothing until it has (a deployment's group is "
		"DEPLOYMENT/GROUP)",
		parse_printable(r->id, shown, sizeof(shown)));
	return json_pack("[s]", text);
}

/* Cloud Foundry's orgs, spaces and apps go by GUID; a name there is easily given, and matches nothing.  Elsewhere orgs and spaces are those of users, and may be called anything. */
static json_t *warnings(const struct gateway *gw, const struct switch_row *r)
{
	const char *kind = scope_kind_name(r->kind);
	char text[300 + SCOPE_NAME_MAX * 4], shown[SCOPE_NAME_MAX * 4];
	bool is_place = r->kind == SCOPE_ORG || r->kind == SCOPE_SPACE;

	if (r->kind == SCOPE_GROUP)
		return warn_group(gw, r);
	if ((r->kind != SCOPE_APP && !(is_place && gw->config.cf_api[0])) || is_guid(r->id))
		return json_array();
	parse_printable(r->id, shown, sizeof(shown));
	if (is_place)
		snprintf(text, sizeof(text),
			"\"%s\" is no GUID, so this counts for no %s of Cloud Foundry (\"cf %s NAME --guid\" tells "
			"its GUID), only for users whose own %s is called so",
			shown, kind, kind, kind);
	else
		snprintf(text, sizeof(text),
			"\"%s\" is no GUID, so this counts for no app (\"cf app NAME --guid\" tells its GUID)", shown);
	return json_pack("[s]", text);
}

/* ---- the calls ---- */

void api_switches_list(struct api_call *a)
{
	static const char *const names[] = {"scope", "id", NULL};
	const char *scope = http_request_query(a->rq, "scope");
	const struct config_gateway *c = &a->gw->config;
	enum scope_kind kind = SCOPE_PLATFORM;
	struct err err = {0};

	if (http_request_query_known(a->rq, names, &err) < 0 || (scope && read_kind(scope, &kind, &err) < 0)) {
		http_reply_err(a->rq, &err);
		return;
	}
	http_reply_json(a->rq, 200,
		json_pack("{s:o, s:s, s:s, s:s}", "switches",
			policy_list(a->gw->policy, scope ? &kind : NULL, http_request_query(a->rq, "id")), "default",
			c->policy_default, "storage", c->policy_storage, "developers", c->policy_developers));
}

void api_switches_show(struct api_call *a)
{
	struct switch_row which, r;
	struct err err = {0};

	if (read_which(a, &which, &err) == 0 && (get(a, &which, &r) || not_there(&which, &err) == 0))
		http_reply_json(a->rq, 200, switch_row_to_json(&r));
	else
		http_reply_err(a->rq, &err);
}

/* One that ends by itself leaves the one that stays as it is. */
static int settle_level(struct api_call *a, struct switch_row *r, struct err *err)
{
	const char *given = http_request_query(a->rq, "level");
	enum switch_level level = r->expires_at > 0 ? SWITCH_TEMPORARY : SWITCH_OPERATOR;

	if (given && r->level != level) {
		err_set(err, ERR_INPUT, "level: is %s, since the switch %s", switch_level_name(level),
			r->expires_at > 0 ? "ends by itself" : "stays");
		return err_field(err, "level");
	}
	r->level = level;
	return 0;
}

void api_switches_set(struct api_call *a)
{
	json_t *body = api_body(a), *replaced, *ended;
	struct switch_row r;
	struct err err = {0};
	int rc;

	if (!body)
		return;
	rc = read_which(a, &r, &err);
	if (rc == 0 && r.level == SWITCH_DEVELOPER) {
		err_set(&err, ERR_INPUT, "level: developers set theirs by /v1/switches; an operator can delete them");
		rc = err_field(&err, "level");
	}
	if (rc == 0)
		rc = read_switch(a, body, &r, &err);
	if (rc == 0)
		rc = settle_level(a, &r, &err);
	json_decref(body);
	if (rc < 0 || api_switch_put(a, &r, &replaced, &err) < 0) {
		http_reply_err(a->rq, &err);
		return;
	}
	ended = enforcer_now(a->gw);
	http_reply_json(a->rq, 200,
		json_pack("{s:o, s:o, s:o, s:o}", "switch", switch_row_to_json(&r), "replaced", replaced, "ended",
			ended, "warnings", warnings(a->gw, &r)));
}

void api_switches_delete(struct api_call *a)
{
	struct switch_row which, old;
	struct err err = {0};
	json_t *ended;

	if (read_which(a, &which, &err) < 0 || (!get(a, &which, &old) && not_there(&which, &err) < 0) ||
		check_only_one(a, &which, &err) < 0 || api_switch_remove(a, &old, &err) < 0) {
		http_reply_err(a->rq, &err);
		return;
	}
	/* What an "allow" had opened is closed now. */
	ended = enforcer_now(a->gw);
	http_reply_json(a->rq, 200, json_pack("{s:o, s:o}", "switch", switch_row_to_json(&old), "ended", ended));
}
