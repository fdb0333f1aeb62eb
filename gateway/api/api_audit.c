/* What a request did, for the audit trail; and what operators are shown of it. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/parse.h"
#include "gateway/api/api.h"
#include "gateway/api/start_request.h"
#include "gateway/audit/audit.h"
#include "gateway/storage/retention.h"
#include "gateway/targets/target.h"
#include "schema/audit_db.h"

#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT  100u
#define LIST_MAX      1000u
#define AGO_MAX_MS    (UINT64_C(3650) * 24 * 3600 * 1000)
#define LEVELS_MAX    4u
#define UNCHECKED_MAX 2048u /* bytes of a target in a record of a refusal */
#define ASKED_MAX     400u  /* bytes of the path of a refused request */
#define LINK_AGAIN_S  60u
#define LOOK_AGAIN_S  600u /* the status page asks for its lists every few seconds */
#define INSTANCES_MAX 200u /* names of a start's instances that its record lists */

/* ---- records ---- */

static bool is_failure(const struct err *e)
{
	return e->code == ERR_INTERNAL || e->code == ERR_IO || e->code == ERR_NOMEM;
}

static const char *outcome_of(const struct api_audited *what)
{
	if (!what->refused)
		return what->begins ? "begun" : "ok";
	return what->was_begun || is_failure(what->refused) ? "failed" : "refused";
}

int api_audit(struct api_call *a, const char *action, const struct api_audited *what, struct err *err)
{
	const struct err *refused = what->refused;
	const struct audit_record r = {
		.action = action,
		.outcome = outcome_of(what),
		.code = refused ? err_api_code(refused) : NULL,
		.why = refused ? refused->msg : what->why,
		.user_id = a->who->user_id,
		.user_name = a->who->user_name,
		.peer = http_request_peer(a->rq),
		.forwarded_for = http_request_header(a->rq, "X-Forwarded-For"),
		.request_id = http_request_id(a->rq),
		.job = what->job,
		.scopes = what->scopes,
		.data = what->data,
		.is_strangers = what->is_strangers,
	};

	if (audit_write(a->gw->audit, &r, err) < 0)
		return -1;
	a->begun |= !refused;
	a->refused |= refused != NULL;
	return 0;
}

int api_audit_job(struct api_call *a, const char *action, const struct job *j, json_t *data, struct err *err)
{
	int rc = api_audit(a, action, &(struct api_audited){.job = j->id, .scopes = &j->scopes, .data = data}, err);

	json_decref(data);
	return rc;
}

static bool is_flat(const json_t *value, unsigned levels)
{
	const char *key;
	json_t *inner;
	size_t i;

	if (levels == 0)
		return !json_is_object(value) && !json_is_array(value);
	json_object_foreach((json_t *)value, key, inner) if (!is_flat(inner, levels - 1)) return false;
	json_array_foreach(value, i, inner) if (!is_flat(inner, levels - 1)) return false;
	return true;
}

/* As it was asked.  What nobody has checked is text, and not too much of it: it may be anything, and must not look like other members of a record to who searches them. */
static json_t *target_json(const json_t *targets, bool is_checked)
{
	char *text;
	json_t *ret;

	if (is_checked && is_flat(targets, LEVELS_MAX))
		return json_deep_copy(targets);
	if ((text = json_dumps(targets, JSON_COMPACT | JSON_ENSURE_ASCII)) && strlen(text) > UNCHECKED_MAX)
		text[UNCHECKED_MAX] = '\0';
	ret = text ? json_string(text) : NULL;
	free(text);
	return ret;
}

static json_t *start_json(const struct start_request *r, const struct job *j, const struct target_set *targets)
{
	static const char *const modes[] = {[START_LIVE] = "live", [START_STORE] = "store", [START_AUTO] = "auto"};
	json_t *data = json_pack("{s:o, s:s, s:s, s:s*, s:o}", "target", target_json(r->targets, j != NULL), "mode",
		j ? job_mode_name(j->mode) : modes[r->mode], "format", job_format_name(r->format), "note",
		r->note && r->note[0] ? r->note : NULL, "options",
		capture_options_to_json(j ? &j->options : &r->options));
	json_t *names = json_array();

	for (size_t i = 0; targets && i < targets->n && i < INSTANCES_MAX; i++)
		json_array_append_new(names, json_string(targets->instances[i].name));
	if (targets && data) {
		json_object_set(data, "instances", names);
		json_object_set_new(data, "instances_n", json_integer((json_int_t)targets->n));
	}
	json_decref(names);
	return data;
}

int api_audit_start(struct api_call *a, const struct start_request *r, const struct job *j,
	const struct target_set *targets, struct err *err)
{
	return api_audit_job(a, "capture.start", j, start_json(r, j, targets), err);
}

int api_audit_ask(struct api_call *a, const struct start_request *r, const struct job *j,
	const struct target_set *targets, const char *because, struct err *err)
{
	json_t *data = start_json(r, j, targets);

	json_object_set_new(data, "because", json_string(because));
	return api_audit_job(a, "approval.ask", j, data, err);
}

void api_audit_start_refused(struct api_call *a, const struct start_request *r, const struct err *why)
{
	json_t *data = r ? start_json(r, NULL, NULL) : NULL;

	const struct api_audited what = {.refused = why, .job = id_is_valid(a->param) ? a->param : NULL, .data = data};

	api_audit(a, "capture.start", &what, NULL);
	json_decref(data);
}

int api_audit_link(struct api_call *a, const struct job *j, bool once, struct err *err)
{
	const char *forwarded = http_request_header(a->rq, "X-Forwarded-For"),
		   *range = http_request_header(a->rq, "Range");
	char *what = fs_path("%s %s %s", a->param, http_request_peer(a->rq), forwarded ? forwarded : "");
	char shown[80];
	int rc = 0;

	if (!what)
		return err_nomem(err);
	if (!audit_knows(a->gw->audit, what, LINK_AGAIN_S)) {
		json_t *data = json_pack("{s:b, s:I, s:s*}", "once", once, "size_bytes", (json_int_t)j->object_bytes,
			"range", range ? parse_printable(range, shown, sizeof(shown)) : NULL);

		if ((rc = api_audit_job(a, "link.use", j, data, err)) == 0)
			audit_remember(a->gw->audit, what);
	}
	free(what);
	return rc;
}

void api_audit_stranger(struct api_call *a, const char *action, const struct err *why)
{
	json_t *data = json_pack("{s:s, s:s}", "method", a->route->method, "path", a->route->path);

	const struct api_audited what = {.refused = why,
		.job = id_is_valid(a->param) ? a->param : NULL,
		.data = data,
		.is_strangers = !a->who->user_id};

	api_audit(a, action, &what, NULL);
	json_decref(data);
}

void api_audit_erased(struct api_call *a, const struct job *j, const struct erase_report *r, bool purge, bool record,
	const struct err *why)
{
	json_t *data = json_pack("{s:b, s:b, s:b, s:I, s:I, s:I, s:s*}", "purge", (int)purge, "record", (int)record,
		"verified", (int)r->verified, "erased_bytes", (json_int_t)r->store.bytes, "objects",
		(json_int_t)r->store.objects, "uploads", (json_int_t)r->store.uploads, "note",
		r->note[0] ? r->note : NULL);
	const struct api_audited what = {
		.refused = why, .was_begun = true, .job = j->id, .scopes = &j->scopes, .data = data};

	api_audit(a, "capture.erased", &what, NULL);
	json_decref(data);
}

/* ---- refusals ---- */

/* What changes something, by what the trail calls it. */
static const struct {
	void (*handle)(struct api_call *a);
	const char *action;
} deeds[] = {
	{api_captures_start, "capture.start"},
	{api_captures_begin, "capture.start"},
	{api_captures_stop, "capture.stop"},
	{api_captures_delete, "capture.delete"},
	{api_link, "link.create"},
	{api_admin_approve, "approval.approve"},
	{api_admin_deny, "approval.deny"},
	{api_admin_kill, "admin.kill"},
	{api_admin_purge, "admin.purge"},
	{api_admin_halt, "admin.halt"},
	{api_admin_resume, "admin.resume"},
	{api_admin_hold, "admin.hold"},
	{api_admin_unhold, "admin.unhold"},
	{api_switches_set, "switch.set"},
	{api_switches_delete, "switch.delete"},
	{api_switches_allow, "switch.set"},
	{api_admin_audit_verify, "audit.verify"},
};

static const char *deed_of(const struct api_route *route)
{
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		if (deeds[i].handle == route->handle)
			return deeds[i].action;
	return NULL;
}

void api_audit_refusal(struct api_call *a)
{
	const struct err *why = http_request_refusal(a->rq);
	const char *action = deed_of(a->route);
	char asked[ASKED_MAX];
	json_t *data;

	if (!why || !action || a->refused || !a->who->user_id)
		return;
	data = json_pack("{s:s, s:s, s:s, s:s*}", "method", a->route->method, "path", a->route->path, "asked",
		parse_printable(http_request_path(a->rq), asked, sizeof(asked)), "field",
		why->field[0] ? why->field : NULL);
	const struct api_audited what = {
		.refused = why, .was_begun = a->begun, .job = id_is_valid(a->param) ? a->param : NULL, .data = data};

	api_audit(a, action, &what, NULL);
	json_decref(data);
}

/* ---- looking through ---- */

static int read_time(const char *name, const char *text, uint64_t *ret_ns, struct err *err)
{
	uint64_t ago_ms;
	char shown[40];

	if (!text || clock_parse_rfc3339(text, ret_ns, NULL) == 0)
		return 0;
	if (parse_duration_ms(text, 0, AGO_MAX_MS, &ago_ms, NULL) == 0) {
		*ret_ns = clock_wall_ns() - ago_ms * CLOCK_NS_PER_MS;
		return 0;
	}
	err_set(err, ERR_INPUT, "%s: \"%s\" is neither a time (2026-01-05T10:00:00Z) nor a duration (2h)", name,
		parse_printable(text, shown, sizeof(shown)));
	return err_field(err, name);
}

static int read_number(const char *name, const char *text, uint64_t most, uint64_t *ret, struct err *err)
{
	if (!text || parse_u64(text, 1, most, ret, err) == 0)
		return 0;
	err_in(err, "%s", name);
	return err_field(err, name);
}

static int read_filter(struct api_call *a, struct audit_filter *f, uint64_t *ret_limit, struct err *err)
{
	static const char *const names[] = {
		"user", "action", "outcome", "job", "org", "space", "app", "since", "until", "limit", "cursor", NULL};
	const char *outcome = http_request_query(a->rq, "outcome");

	*ret_limit = LIST_DEFAULT;
	if (http_request_query_known(a->rq, names, err) < 0)
		return -1;
	f->user = http_request_query(a->rq, "user");
	f->action = http_request_query(a->rq, "action");
	f->outcome = outcome;
	f->job = http_request_query(a->rq, "job");
	f->org = http_request_query(a->rq, "org");
	f->space = http_request_query(a->rq, "space");
	f->app = http_request_query(a->rq, "app");
	if (outcome && strcmp(outcome, "ok") != 0 && strcmp(outcome, "begun") != 0 && strcmp(outcome, "refused") != 0 &&
		strcmp(outcome, "failed") != 0) {
		err_set(err, ERR_INPUT, "outcome: is ok, begun, refused or failed");
		return err_field(err, "outcome");
	}
	if (read_time("since", http_request_query(a->rq, "since"), &f->since_ns, err) < 0 ||
		read_time("until", http_request_query(a->rq, "until"), &f->until_ns, err) < 0)
		return -1;
	if (read_number("limit", http_request_query(a->rq, "limit"), LIST_MAX, ret_limit, err) < 0)
		return -1;
	return read_number("cursor", http_request_query(a->rq, "cursor"), INT64_MAX, &f->before_seq, err);
}

/* Who looked for what: the trail is about people. */
static void audit_reading(struct api_call *a, const struct audit_filter *f)
{
	json_t *data = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*}", "what", "audit", "user", f->user,
		"action", f->action, "outcome", f->outcome, "of_job", f->job, "in_org", f->org, "in_space", f->space,
		"of_app", f->app);

	api_audit(a, "admin.read", &(struct api_audited){.data = data}, NULL);
	json_decref(data);
}

/* Once in a while for each operator, and what it is; data is stolen. */
static void looked(struct api_call *a, const struct job *j, json_t *data)
{
	char *text = data ? json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	char *key = text ? fs_path("look %s %s %s", a->who->user_id, j ? j->id : "", text) : NULL;

	if (!key || !audit_knows(a->gw->audit, key, LOOK_AGAIN_S)) {
		api_audit(a, "admin.read",
			&(struct api_audited){.job = j ? j->id : NULL, .scopes = j ? &j->scopes : NULL, .data = data},
			NULL);
		if (key)
			audit_remember(a->gw->audit, key);
	}
	json_decref(data);
	free(text);
	free(key);
}

void api_audit_shown(struct api_call *a, const struct job *j, const char *what)
{
	if (!api_may_have(a, j))
		looked(a, j, json_pack("{s:s}", "what", what));
}

void api_audit_looked(struct api_call *a, const char *what, const char *const *names)
{
	json_t *filter = json_object();

	for (size_t i = 0; names[i]; i++)
		if (http_request_query(a->rq, names[i]))
			json_object_set_new(filter, names[i], json_string(http_request_query(a->rq, names[i])));
	looked(a, NULL, json_pack("{s:s, s:o}", "what", what, "filter", filter));
}

void api_admin_audit(struct api_call *a)
{
	struct audit_filter f = {0};
	json_t *list = json_array(), *record, *cursor = json_null();
	char **records = NULL, text[24];
	struct err err = {0};
	uint64_t limit;
	size_t n = 0;

	if (read_filter(a, &f, &limit, &err) < 0 || job_db_audit_list(a->gw->db, &f, limit, &records, &n, &err) < 0) {
		http_reply_err(a->rq, &err);
		json_decref(list);
		return;
	}
	audit_reading(a, &f);
	for (size_t i = 0; i < n; i++) {
		if (!(record = json_loads(records[i], 0, NULL)))
			record = json_pack("{s:s}", "damaged", records[i]); /* verify says more */
		if (i == n - 1 && n == limit) {
			snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
				json_integer_value(json_object_get(record, "seq")));
			cursor = json_string(text);
		}
		json_array_append_new(list, record);
	}
	job_db_audit_list_free(records, n);
	http_reply_json(a->rq, 200, json_pack("{s:o, s:o}", "records", list, "next_cursor", cursor));
}

void api_admin_audit_verify(struct api_call *a)
{
	struct audit_check database, file;
	json_t *body = api_body(a), *data;
	struct err err = {0};
	bool ok;

	if (!body)
		return;
	if (json_object_size(body) > 0)
		err_set(&err, ERR_INPUT, "this call takes no members");
	json_decref(body);
	if (err.code != ERR_NONE || audit_look(a->gw->audit, &database, &file, &err) < 0) {
		http_reply_err(a->rq, &err);
		return;
	}
	ok = database.fault == AUDIT_WHOLE && file.fault == AUDIT_WHOLE;
	data = json_pack("{s:b, s:o, s:o}", "ok", ok, "database", audit_check_to_json(&database), "file",
		audit_check_to_json(&file));
	api_audit(a, "audit.verify", &(struct api_audited){.data = data}, NULL);
	http_reply_json(a->rq, 200, data);
}
