#include "gateway/targets/target_cf.h"

#include "common/json_in.h"
#include "common/parse.h"
#include "gateway/targets/cloud_controller.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDICES_MAX 1000 /* in one target */
#define PROCESS_WEB "web"
#define PROCESS_ANY "*"
#define SCOPE_ADMIN "cloud_controller.admin"
#define SCOPE_WRITE "cloud_controller.write"
#define SHOWN_NAME  120 /* bytes of an app's name within an instance's */
#define SHOWN_TYPE  60
#define SHOWN_REV   8
#define SHOWN_MARK  "..."

struct target_cf {
	struct target_source source;
	struct platform platform;
	char *issuer;
	char *agent_name;
	char *label; /* "": labels say nothing */
	uint16_t port;
	bool ssh, deny;
};

/* ---- what is asked for ---- */

struct wish {
	const char *app, *app_name, *space, *process; /* of the target; NULL: not said */
	uint32_t indices[INDICES_MAX];                /* in order, each once */
	size_t n;                                     /* 0: all */
};

/* Where an app that cannot be had is spoken of. */
static const char *field_of(const struct wish *w)
{
	if (w->app)
		return "target.app";
	return w->app_name ? "target.app_name" : "space";
}

static void check_guid(struct json_in *in, const char *key, const char *guid, const char *hint)
{
	if (!in->bad && guid && !cc_is_guid(guid))
		json_in_fail(in, key, "is not a GUID: 1 to %d letters, digits, - and _%s", AGENT_GUID_MAX - 1, hint);
}

static void read_app(struct json_in *in, struct wish *w)
{
	json_in_str(in, "app", JSON_IN_OPTIONAL, 1, CC_NAME_MAX, &w->app);
	json_in_str(in, "app_name", JSON_IN_OPTIONAL, 1, CC_NAME_MAX - 1, &w->app_name);
	json_in_str(in, "space", JSON_IN_OPTIONAL, 1, CC_NAME_MAX, &w->space);
	if (in->bad)
		return;
	if (!w->app && !w->app_name)
		json_in_fail(in, "app", "or app_name is required");
	else if (w->app_name && !w->space)
		json_in_fail(in, "space",
			"is required with app_name: the GUID of the space in which the name is looked for");
	else if (w->space && !w->app_name)
		json_in_fail(in, "space", "goes with app_name");
	check_guid(in, "app", w->app, "; a name goes into app_name");
	check_guid(in, "space", w->space, "");
}

static int by_number(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static void read_indices(struct json_in *in, struct wish *w)
{
	json_t *list = NULL, *one;
	size_t n;

	json_in_array(in, "instances", JSON_IN_OPTIONAL, INDICES_MAX, &list);
	if (in->bad || !list)
		return;
	if (json_array_size(list) == 0)
		json_in_fail(in, "instances", "is empty; leave it out for all instances, or name some");
	json_array_foreach(list, n, one)
	{
		json_int_t v = json_is_integer(one) ? json_integer_value(one) : -1;

		if (v < 0 || v > CC_INDEX_MAX) {
			json_in_fail(in, "instances", "item %zu is not the index of an instance: a whole number, 0..%d",
				n + 1, CC_INDEX_MAX);
			return;
		}
		w->indices[w->n++] = (uint32_t)v;
	}
	qsort(w->indices, w->n, sizeof(*w->indices), by_number);
	for (n = 1; n < w->n; n++) {
		if (w->indices[n] == w->indices[n - 1])
			json_in_fail(in, "instances", "%" PRIu32 " is there twice", w->indices[n]);
	}
}

static int read_wish(const struct target_query *q, struct wish *w, struct err *err)
{
	const char *type = NULL;
	struct json_in in;

	memset(w, 0, sizeof(*w));
	w->process = PROCESS_WEB;
	json_in_begin(&in, q->target, "target", err);
	json_in_str(&in, "type", JSON_IN_REQUIRED, 1, 16, &type);
	read_app(&in, w);
	json_in_str(&in, "process", JSON_IN_OPTIONAL, 1, CC_TYPE_MAX - 1, &w->process);
	read_indices(&in, w);
	return json_in_end(&in);
}

/* ---- the app ---- */

/* Not there and not visible are one thing, told in one text. */
static int not_there(const struct wish *w, struct err *err)
{
	char shown[100];

	if (!w->app && !w->app_name) {
		err_set(err, ERR_NOT_FOUND, "space: there is no space \"%s\" that you may see",
			parse_printable(w->space, shown, sizeof(shown)));
		return err_field(err, "space");
	}
	err_set(err, ERR_NOT_FOUND, "%s: there is no app \"%s\"%s that you may see", field_of(w),
		parse_printable(w->app ? w->app : w->app_name, shown, sizeof(shown)), w->app ? "" : " in that space");
	return err_field(err, field_of(w));
}

/* What Cloud Controller says about a part of the app it says about the app: it went away a moment ago. */
static int fail_as(const struct wish *w, const struct err *e, struct err *err)
{
	if (e->code == ERR_NOT_FOUND)
		return not_there(w, err);
	if (err)
		*err = *e;
	return -1;
}

/* Both from the start: two words for one app.  Later its name may change. */
static int check_name(const struct target_query *q, const struct wish *w, const struct cc_app *app, struct err *err)
{
	char shown[100];

	if (q->again || !w->app_name || (strcmp(w->app_name, app->name) == 0 && strcmp(w->space, app->space.guid) == 0))
		return 0;
	err_set(err, ERR_INPUT, "target.app_name: the app of that GUID is not \"%s\" of that space; name it in one way",
		parse_printable(w->app_name, shown, sizeof(shown)));
	return err_field(err, "target.app_name");
}

static int find_app(const struct target_cf *s, const struct target_query *q, const struct cloud_controller *cc,
	const struct wish *w, struct cc_app *ret, struct err *err)
{
	struct err e = {0};
	int rc;

	if (w->app)
		rc = cc_app_get(cc, w->app, s->label, ret, &e);
	else
		rc = cc_app_find(cc, w->app_name, w->space, s->label, ret, &e);
	return rc < 0 ? fail_as(w, &e, err) : check_name(q, w, ret, err);
}

/* ---- the right ---- */

static int refuse(const struct wish *w, const char *detail, struct err *err, const char *text)
{
	err_set(err, ERR_PERM, "%s: %s", field_of(w), text);
	err_field(err, field_of(w));
	return detail[0] ? err_detail(err, detail) : -1;
}

/* To see an app is not enough: auditors, managers and supporters see it too. */
static int check_role(const struct target_query *q, const struct cloud_controller *cc, const struct wish *w,
	const struct cc_app *app, struct err *err)
{
	bool developer = false;
	struct err e = {0};

	if (identity_has_scope(q->who, SCOPE_ADMIN))
		return 0;
	if (!identity_has_scope(q->who, SCOPE_WRITE))
		return refuse(w, "", err,
			"to capture from it your token needs the scope " SCOPE_WRITE ", which it does not have");
	if (app->org.suspended)
		return refuse(w, "suspended", err, "its org is suspended");
	if (app->space.suspended)
		return refuse(w, "suspended", err, "its space is suspended");
	if (cc_is_developer(cc, app->space.guid, identity_subject(q->who), &developer, &e) < 0)
		return fail_as(w, &e, err);
	if (!developer)
		return refuse(w, "", err,
			"to capture from it you must be space developer of its space; seeing it is not enough");
	return 0;
}

/* The first that says anything decides: what stands above in the hands of managers is not undone below by those who are to be bound by it. */
static int check_labels(const struct target_cf *s, const struct wish *w, const struct cc_app *app, struct err *err)
{
	const struct {
		const char *whose;
		const struct cc_label *label;
	} order[] = {{"its org", &app->org.label}, {"its space", &app->space.label}, {"the app", &app->label}};
	char text[500];

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		switch (order[i].label->word) {
		case CC_SILENT:
			break;
		case CC_ALLOW:
			return 0;
		case CC_DENY:
			snprintf(text, sizeof(text), "captures are switched off: %s has the label %s=deny",
				order[i].whose, s->label);
			return refuse(w, "switched_off", err, text);
		case CC_OTHER:
			snprintf(text, sizeof(text),
				"captures are switched off: %s has the label %s=%s, which is neither allow nor deny",
				order[i].whose, s->label, order[i].label->text);
			return refuse(w, "switched_off", err, text);
		}
	}
	if (!s->deny)
		return 0;
	snprintf(text, sizeof(text),
		"captures are switched off: neither its org nor its space nor the app has the label %s=allow",
		s->label);
	return refuse(w, "switched_off", err, text);
}

static int check_ssh(const struct target_cf *s, const struct cloud_controller *cc, const struct wish *w,
	const struct cc_app *app, struct err *err)
{
	char reason[CC_REASON_MAX], text[CC_REASON_MAX + 80];
	struct err e = {0};
	bool enabled;

	if (!s->ssh)
		return 0;
	if (cc_ssh_enabled(cc, app->guid, &enabled, reason, &e) < 0)
		return fail_as(w, &e, err);
	if (enabled)
		return 0;
	snprintf(text, sizeof(text), "captures are switched off with cf ssh: %s",
		reason[0] ? reason : "it is not enabled");
	return refuse(w, "switched_off", err, text);
}

/* ---- its instances ---- */

/* At most `most` bytes of it, whole characters. */
static void shorten(const char *s, size_t most, char *ret)
{
	size_t n = strlen(s);

	if (n <= most) {
		memcpy(ret, s, n + 1);
		return;
	}
	for (n = most - strlen(SHOWN_MARK); n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
		;
	memcpy(ret, s, n);
	memcpy(ret + n, SHOWN_MARK, sizeof(SHOWN_MARK));
}

static void put_name(
	const struct cc_app *app, const struct cc_process *p, bool first, uint32_t index, char ret[CAPTURE_NAME_MAX])
{
	char name[SHOWN_NAME + 1], type[SHOWN_TYPE + 1], rev[SHOWN_REV + 16] = "";
	bool web = strcmp(p->type, PROCESS_WEB) == 0;

	shorten(app->name, SHOWN_NAME, name);
	shorten(p->type, SHOWN_TYPE, type);
	if (!first)
		snprintf(rev, sizeof(rev), " (rev %.*s)", SHOWN_REV, p->guid);
	snprintf(ret, CAPTURE_NAME_MAX, "%s/%s%s%" PRIu32 "%s", name, web ? "" : type, web ? "" : "/", index, rev);
}

static int fault(struct err *err, const char *detail, const char *text)
{
	err_set(err, detail[0] ? ERR_STATE : ERR_NET, "%s", text);
	return err_detail(err, detail[0] ? detail : "platform_failed");
}

/* Why it cannot be captured; 0: it can. */
static int check_instance(const struct cc_instance *i, struct err *err)
{
	char text[120];

	switch (i->state) {
	case CC_DOWN:
		return fault(err, "instance_down", "the instance is down");
	case CC_STOPPING:
		return fault(err, "instance_down", "the instance is being stopped");
	case CC_CRASHED:
		return fault(err, "instance_crashed", "the instance has crashed");
	case CC_STARTING:
		if (!i->fault && (!i->host[0] || !i->handle[0]))
			return fault(err, "instance_starting", "the instance is starting; it has no container yet");
		break;
	case CC_RUNNING:
		break;
	}
	if (i->fault) {
		snprintf(text, sizeof(text), "Cloud Controller's answer cannot be right: %s", i->fault);
		return fault(err, "", text);
	}
	if (!i->host[0])
		return fault(err, "", "Cloud Controller does not say on which cell it runs");
	if (!i->handle[0] && !i->address[0])
		return fault(err, "",
			"Cloud Controller does not say in which container it runs (its API is older than 3.149)");
	return 0;
}

static const struct cc_instance *instance_of(const struct cc_stats *all, uint32_t index)
{
	for (size_t n = 0; n < all->n; n++) {
		if (all->list[n].index == index)
			return &all->list[n];
	}
	return NULL;
}

/* What a walk through the processes is about. */
struct walk {
	const struct target_cf *source;
	const struct target_query *query;
	const struct wish *wish;
	const struct cc_app *app;
	struct target_set *ret;
};

static int add_instance(const struct walk *k, const struct cc_process *p, bool first, const struct cc_stats *stats,
	uint32_t index, struct err *err)
{
	const struct cc_instance none = {.index = index, .state = CC_DOWN}, *i = instance_of(stats, index);
	struct target_instance t = {.port = k->source->port, .agent = {.type = AGENT_TARGET_CONTAINER, .index = index}};

	if (!i)
		i = &none;
	put_name(k->app, p, first, index, t.name);
	snprintf(t.agent_name, sizeof(t.agent_name), "%s", k->source->agent_name);
	memcpy(t.agent.app, k->app->guid, sizeof(k->app->guid));
	if (check_instance(i, &t.error) == 0) {
		memcpy(t.host, i->host, sizeof(i->host));
		memcpy(t.agent.handle, i->handle, sizeof(i->handle));
		if (!i->handle[0])
			memcpy(t.agent.address, i->address, sizeof(i->address));
	}
	return target_set_add(k->ret, &t, k->query->max, err);
}

/* How many of the process's instances are meant. */
static size_t meant(const struct wish *w, const struct cc_process *p)
{
	size_t n = 0;

	if (w->n == 0)
		return p->instances;
	while (n < w->n && w->indices[n] < p->instances)
		n++;
	return n;
}

static int add_process(const struct walk *k, const struct cloud_controller *cc, const struct cc_process *p, bool first,
	struct err *err)
{
	size_t n = meant(k->wish, p);
	struct cc_stats stats;
	int rc = 0;

	if (n == 0)
		return 0;
	if (cc_stats_get(cc, p->guid, &stats, err) < 0)
		return -1;
	/* None at all: it went away, or down to none, since it was listed. */
	for (size_t i = 0; i < n && stats.n > 0 && rc == 0; i++)
		rc = add_instance(k, p, first, &stats, k->wish->n ? k->wish->indices[i] : (uint32_t)i, err);
	cc_stats_done(&stats);
	return rc;
}

/* All that can be said before their places are asked for. */
static int check_processes(const struct walk *k, const struct cc_processes *all, struct err *err)
{
	const struct wish *w = k->wish;
	bool any = strcmp(w->process, PROCESS_ANY) == 0;
	uint32_t most = 0;
	size_t n = 0;
	char shown[80];

	parse_printable(w->process, shown, sizeof(shown));
	for (size_t i = 0; i < all->n; i++) {
		n += meant(w, &all->list[i]);
		if (all->list[i].instances > most)
			most = all->list[i].instances;
	}
	if (n > k->query->max) {
		err_set(err, ERR_LIMIT,
			"target.instances: these are %zu instances, the limit of one capture here is %zu; name fewer",
			n, k->query->max);
		err_field(err, "target.instances");
		return err_detail(err, "too_many_instances");
	}
	if (k->query->again)
		return 0;
	if (all->n == 0 && all->empty == 0 && !any) {
		err_set(err, ERR_NOT_FOUND, "target.process: the app has no process \"%s\"", shown);
		return err_field(err, "target.process");
	}
	if (all->n == 0) {
		err_set(err, ERR_STATE, "target: the app has no instances%s%s%s; it is scaled to none",
			any ? "" : " of its process \"", any ? "" : shown, any ? "" : "\"");
		return err_detail(err, "not_running");
	}
	if (w->n > 0 && w->indices[w->n - 1] >= most) {
		err_set(err, ERR_NOT_FOUND,
			"target.instances: there is no instance %" PRIu32 "; the app has %" PRIu32 ", counted from 0",
			w->indices[w->n - 1], most);
		return err_field(err, "target.instances");
	}
	return 0;
}

static int add_all(const struct walk *k, const struct cloud_controller *cc, struct err *err)
{
	const char *type = k->wish->process;
	struct cc_processes all;
	struct err e = {0};
	int rc;

	if (cc_processes_get(cc, k->app->guid, strcmp(type, PROCESS_ANY) == 0 ? "" : type, &all, &e) < 0)
		return fail_as(k->wish, &e, err);
	rc = check_processes(k, &all, err);
	for (size_t i = 0; i < all.n && rc == 0; i++) {
		bool first = i == 0 || strcmp(all.list[i].type, all.list[i - 1].type) != 0;

		rc = add_process(k, cc, &all.list[i], first, err);
	}
	cc_processes_done(&all);
	if (rc == 0 && k->ret->n == 0 && !k->query->again) {
		err_set(err, ERR_STATE, "target: the app has no instances any more");
		rc = err_detail(err, "not_running");
	}
	return rc;
}

static int add_app(const struct walk *k, const struct cloud_controller *cc, struct err *err)
{
	char shown[100];
	struct scope scope = {0};

	memcpy(scope.org, k->app->org.guid, sizeof(k->app->org.guid));
	memcpy(scope.space, k->app->space.guid, sizeof(k->app->space.guid));
	memcpy(scope.app, k->app->guid, sizeof(k->app->guid));
	if (scope_list_add(&k->ret->scopes, &scope, err) < 0)
		return -1;
	memcpy(k->ret->org, k->app->org.guid, sizeof(k->app->org.guid));
	memcpy(k->ret->space, k->app->space.guid, sizeof(k->app->space.guid));
	if (!k->app->stopped)
		return add_all(k, cc, err);
	if (k->query->again) /* it may be started again */
		return 0;
	err_set(err, ERR_STATE, "target: the app \"%s\" is stopped",
		parse_printable(k->app->name, shown, sizeof(shown)));
	return err_detail(err, "not_running");
}

/* ---- the source ---- */

static int resolve(struct target_source *source, const struct target_query *q, struct target_set *ret, struct err *err)
{
	struct target_cf *s = (struct target_cf *)source;
	const struct cloud_controller cc = {.platform = &s->platform, .token = q->who->token};
	struct wish w;
	struct cc_app app;
	const struct walk k = {.source = s, .query = q, .wish = &w, .app = &app, .ret = ret};

	memset(ret, 0, sizeof(*ret));
	if (read_wish(q, &w, err) < 0 || find_app(s, q, &cc, &w, &app, err) < 0 ||
		check_role(q, &cc, &w, &app, err) < 0 || check_labels(s, &w, &app, err) < 0 ||
		check_ssh(s, &cc, &w, &app, err) < 0)
		return -1;
	if (add_app(&k, &cc, err) < 0) {
		target_set_done(ret);
		return -1;
	}
	if (w.app || json_object_set_new(q->target, "app", json_string(app.guid)) == 0)
		return 0;
	target_set_done(ret);
	return err_nomem(err);
}

/* The right that an app of it would take. */
static int space(
	struct target_source *source, const struct identity *who, const char *guid, struct scope *ret, struct err *err)
{
	struct target_cf *s = (struct target_cf *)source;
	const struct cloud_controller cc = {.platform = &s->platform, .token = who->token};
	const struct target_query q = {.who = who};
	struct wish *w = calloc(1, sizeof(*w)); /* only the space of it */
	struct cc_app app = {0};
	struct err e = {0};
	int rc = -1;

	if (!w)
		return err_nomem(err);
	w->space = guid;
	if (!cc_is_guid(guid))
		not_there(w, err);
	else if (cc_space_get(&cc, guid, &app.space, &app.org, &e) < 0)
		fail_as(w, &e, err);
	else
		rc = check_role(&q, &cc, w, &app, err);
	free(w);
	if (rc < 0)
		return -1;
	*ret = (struct scope){0};
	memcpy(ret->org, app.org.guid, sizeof(app.org.guid));
	memcpy(ret->space, app.space.guid, sizeof(app.space.guid));
	return 0;
}

static void source_free(struct target_source *source)
{
	struct target_cf *s = (struct target_cf *)source;

	platform_close(&s->platform);
	free(s->issuer);
	free(s->agent_name);
	free(s->label);
	free(s);
}

/* Where cells' agents listen is known only when an app was asked for: such an agent leaves its own listener out. */
static const struct target_source_ops ops = {.resolve = resolve, .space = space, .free = source_free};

struct target_source *target_cf_new(const struct config_gateway *c, struct err *err)
{
	struct target_cf *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	if (platform_open(&s->platform, "Cloud Controller", c->cf_api, c->cf_ca, c->cf_timeout_ms, err) < 0) {
		err_in(err, "cf");
		free(s);
		return NULL;
	}
	s->issuer = strdup(c->cf_issuer);
	s->agent_name = strdup(c->cf_agent_name[0] ? c->cf_agent_name : c->agents_name);
	s->label = strdup(c->cf_label);
	if (!s->issuer || !s->agent_name || !s->label) {
		source_free(&s->source);
		err_nomem(err);
		return NULL;
	}
	s->port = (uint16_t)c->cf_agent_port;
	s->ssh = c->cf_ssh;
	s->deny = s->label[0] && strcmp(c->cf_default, "deny") == 0;
	s->source = (struct target_source){.ops = &ops, .type = "cf", .issuer = s->issuer, .follows = true};
	return &s->source;
}
