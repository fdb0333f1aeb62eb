/* GET and PUT /v1/switches/{app|space}/{id}: developers about captures of what is theirs, as cf ssh-enabled, enable-ssh and disable-ssh. */
#include "common/clock.h"
#include "common/json_in.h"
#include "gateway/api/api.h"
#include "gateway/policy/enforcer.h"
#include "gateway/policy/policy.h"

#include <stdlib.h>
#include <string.h>

#define PATH_BEGIN   "/v1/switches/"
#define NO_REASON    "no reason was given"
#define AS_MANY_MOST 100000u /* instances of an app; none of them is captured */

/* What is spoken of, by somebody with the right to capture there. */
struct own {
	enum scope_kind kind;
	char id[SCOPE_NAME_MAX];
	struct scope_list scopes;
	struct err closed; /* by the platform itself (a label, cf ssh); code ERR_NONE: it is not */
};

/* ---- the right ---- */

static int find_app(struct api_call *a, const char *id, const char *space, struct own *o, struct err *err)
{
	json_t *target = space ? json_pack("{s:s, s:s, s:s}", "type", "cf", "app_name", id, "space", space)
			       : json_pack("{s:s, s:s}", "type", "cf", "app", id);
	struct capture_options options;
	const struct targets_query q = {
		.people = &a->people, .targets = target, .options = &options, .max = AS_MANY_MOST, .again = true};
	struct target_set set = {0};
	int rc;

	if (!target)
		return err_set(err, ERR_INPUT, "id: is no text");
	capture_options_init(&options);
	rc = targets_resolve(a->gw->targets, &q, &set, err);
	if (rc == 0) {
		rc = scope_list_copy(&set.scopes, &o->scopes, err);
		snprintf(o->id, sizeof(o->id), "%s", set.scopes.n > 0 ? set.scopes.items[0].app : id);
	} else if (!space && err->code == ERR_PERM && strcmp(err->detail, "switched_off") == 0) {
		o->closed = *err; /* said only to who has the right */
		*err = (struct err){0};
		snprintf(o->id, sizeof(o->id), "%s", id);
		rc = 0;
	}
	target_set_done(&set);
	json_decref(target);
	return rc;
}

static int find_space(struct api_call *a, const char *id, struct own *o, struct err *err)
{
	struct scope s;

	if (targets_space(a->gw->targets, &a->people, id, &s, err) < 0)
		return -1;
	snprintf(o->id, sizeof(o->id), "%s", id);
	return scope_list_add(&o->scopes, &s, err);
}

static int find(struct api_call *a, struct own *o, struct err *err)
{
	static const char *const names[] = {"space", NULL};
	const char *rest = http_request_path(a->rq) + strlen(PATH_BEGIN), *id = a->param;
	const char *space = http_request_query(a->rq, "space");
	bool is_app = strncmp(rest, "app/", 4) == 0;

	memset(o, 0, sizeof(*o));
	if (http_request_query_known(a->rq, names, err) < 0)
		return -1;
	if (!is_app && strncmp(rest, "space/", 6) != 0)
		return err_set(err, ERR_NOT_FOUND, "there are switches of developers for an app and for a space");
	o->kind = is_app ? SCOPE_APP : SCOPE_SPACE;
	if (is_app)
		return find_app(a, id, space, o, err);
	if (space) {
		err_set(err, ERR_INPUT, "space: goes with the name of an app");
		return err_field(err, "space");
	}
	return find_space(a, id, o, err);
}

/* ---- how it stands ---- */

static json_t *word_json(const char *because)
{
	return json_pack("{s:b, s:s?}", "allowed", !because, "because", because);
}

static void reply(struct api_call *a, const struct own *o)
{
	struct policy_verdict *v = calloc(1, sizeof(*v));
	struct switch_row own;
	struct err err = {0};
	const char *store = NULL;
	bool has_own = policy_get(a->gw->policy, o->kind, o->id, SWITCH_DEVELOPER, &own), judged;

	if (!v) {
		err_nomem(&err);
		http_reply_err(a->rq, &err);
		return;
	}
	judged = policy_judge(a->gw->policy, &o->scopes, v, &err) == 0;
	if (!judged && err.code != ERR_PERM) {
		free(v);
		http_reply_err(a->rq, &err);
		return;
	}
	if (judged && o->closed.code != ERR_NONE)
		err = o->closed;
	if (!a->gw->store)
		store = "storage is switched off on this gateway";
	else if (judged && v->store_forbidden)
		store = v->store_why;
	http_reply_json(a->rq, 200,
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "scope", scope_kind_name(o->kind), "id", o->id,
			"capture", word_json(err.code != ERR_NONE ? err.msg : NULL), "storage", word_json(store),
			"rules", judged ? json_incref(v->rules) : json_array(), "own",
			has_own ? switch_row_to_json(&own) : json_null(), "developers",
			a->gw->config.policy_developers));
	if (judged)
		policy_verdict_done(v);
	free(v);
}

void api_switches_allowed(struct api_call *a)
{
	struct err err = {0};
	struct own o;

	if (find(a, &o, &err) < 0)
		http_reply_err(a->rq, &err);
	else
		reply(a, &o);
	scope_list_done(&o.scopes);
}

/* ---- on and off ---- */

static int read_wish(json_t *body, struct switch_row *r, struct err *err)
{
	static const char *const words[] = {"allow", "forbid", NULL};
	const char *reason = NO_REASON;
	struct json_in in;
	int word = 0;

	json_in_begin(&in, body, "", err);
	json_in_enum(&in, "capture", JSON_IN_REQUIRED, words, &word);
	json_in_str(&in, "reason", JSON_IN_OPTIONAL, 1, SWITCH_REASON_MAX, &reason);
	if (json_in_end(&in) < 0)
		return -1;
	r->capture = word == 0 ? SWITCH_ALLOW : SWITCH_FORBID;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	return 0;
}

/* Where developers may only switch off, to switch on is to take that back. */
static int put(struct api_call *a, struct switch_row *r, struct err *err)
{
	enum policy_developers may = policy_developers(a->gw->policy);
	struct switch_row old;

	if (may == POLICY_DEVELOPERS_OFF) {
		err_set(err, ERR_PERM,
			"capture: developers do not switch captures here (policy.developers of the gateway is off); "
			"ask "
			"an operator");
		err_field(err, "capture");
		return err_detail(err, "developers_off");
	}
	if (r->capture == SWITCH_FORBID || may == POLICY_DEVELOPERS_ON)
		return api_switch_put(a, r, NULL, err);
	return policy_get(a->gw->policy, r->kind, r->id, r->level, &old) ? api_switch_remove(a, &old, err) : 0;
}

void api_switches_allow(struct api_call *a)
{
	struct switch_row r = {.level = SWITCH_DEVELOPER, .set_at = clock_wall_ns()};
	json_t *body = api_body(a);
	struct err err = {0};
	struct own o = {0};
	int rc;

	if (!body)
		return;
	rc = read_wish(body, &r, &err);
	json_decref(body);
	if (rc == 0)
		rc = find(a, &o, &err);
	r.kind = o.kind;
	snprintf(r.id, sizeof(r.id), "%s", o.id);
	snprintf(r.set_by, sizeof(r.set_by), "%s", a->who->user_id);
	if (rc < 0 || put(a, &r, &err) < 0) {
		http_reply_err(a->rq, &err);
	} else {
		json_decref(enforcer_now(a->gw));
		reply(a, &o);
	}
	scope_list_done(&o.scopes);
}
