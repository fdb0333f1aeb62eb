#include "gateway/policy/policy.h"

#include "common/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct policy {
	struct policy_options o; /* fixed */
	pthread_mutex_t lock;
	struct switch_row **rows; /* by kind, id and level; this and all below by lock */
	size_t n, room;
};

/* ---- rows ---- */

static int compare(const struct switch_row *r, enum scope_kind kind, const char *id, enum switch_level level)
{
	int c = (r->kind > kind) - (r->kind < kind);

	if (c == 0)
		c = strcmp(r->id, id);
	return c != 0 ? c : (r->level > level) - (r->level < level);
}

/* Where it is, or would be. */
static size_t place_of(
	const struct policy *p, enum scope_kind kind, const char *id, enum switch_level level, bool *ret_there)
{
	size_t low = 0, high = p->n;

	*ret_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = compare(p->rows[middle], kind, id, level);

		if (c == 0) {
			*ret_there = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Developers can have as many as they have apps: what is left is operators', who need it when it matters. */
static int make_room(struct policy *p, enum switch_level level, struct err *err)
{
	size_t most = level == SWITCH_DEVELOPER ? SWITCHES_MAX / 10 * 8 : SWITCHES_MAX;
	struct switch_row **more;

	if (p->n >= most)
		return err_set(err, ERR_LIMIT, "there are %zu switches already, no more are kept", most);
	if (p->n < p->room)
		return 0;
	if (!(more = realloc(p->rows, (p->room + 64) * sizeof(struct switch_row *))))
		return err_nomem(err);
	p->rows = more;
	p->room += 64;
	return 0;
}

/* A copy of r; there is room. */
static int place(struct policy *p, const struct switch_row *r, struct err *err)
{
	bool there;
	size_t at = place_of(p, r->kind, r->id, r->level, &there);
	struct switch_row *copy;

	if (there) {
		*p->rows[at] = *r;
		return 0;
	}
	if (make_room(p, r->level, err) < 0)
		return -1;
	if (!(copy = malloc(sizeof(*copy))))
		return err_nomem(err);
	*copy = *r;
	memmove(p->rows + at + 1, p->rows + at, (p->n - at) * sizeof(struct switch_row *));
	p->rows[at] = copy;
	p->n++;
	return 0;
}

static void take_out(struct policy *p, size_t at)
{
	free(p->rows[at]);
	p->n--;
	memmove(p->rows + at, p->rows + at + 1, (p->n - at) * sizeof(struct switch_row *));
}

static bool has_expired(const struct switch_row *r, uint64_t now)
{
	return r->expires_at > 0 && r->expires_at <= now;
}

/* ---- life ---- */

static int load(struct policy *p, struct err *err)
{
	struct switch_row *list;
	size_t n;
	int rc = 0;

	if (job_db_switches(p->o.db, &list, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = place(p, &list[i], err);
	free(list);
	return rc;
}

struct policy *policy_new(const struct policy_options *o, struct err *err)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (!p || pthread_mutex_init(&p->lock, NULL) != 0) {
		free(p);
		err_nomem(err);
		return NULL;
	}
	p->o = *o;
	if (load(p, err) == 0)
		return p;
	err_in(err, "switches");
	policy_free(p);
	return NULL;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->rows[i]);
	free(p->rows);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

enum policy_developers policy_developers(const struct policy *p)
{
	return p->o.developers;
}

bool policy_developers_parse(const char *name, enum policy_developers *ret)
{
	static const char *const names[] = {"off", "disable", "on"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum policy_developers)i;
			return true;
		}
	}
	return false;
}

/* ---- changes ---- */

/* First where it lasts: what could not be written does not hold either. */
int policy_put(struct policy *p, const struct switch_row *r, struct err *err)
{
	bool there;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	place_of(p, r->kind, r->id, r->level, &there);
	if (!there)
		rc = make_room(p, r->level, err);
	if (rc == 0)
		rc = job_db_switch_put(p->o.db, r, err);
	if (rc == 0)
		rc = place(p, r, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int policy_delete(struct policy *p, enum scope_kind kind, const char *id, enum switch_level level, struct err *err)
{
	bool there;
	size_t at;
	int rc;

	pthread_mutex_lock(&p->lock);
	at = place_of(p, kind, id, level, &there);
	if (!there)
		rc = err_set(err, ERR_NOT_FOUND, "there is no switch of that scope");
	else
		rc = job_db_switch_delete(p->o.db, kind, id, level, err);
	if (rc == 0)
		take_out(p, at);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

size_t policy_expire(struct policy *p, json_t *told)
{
	uint64_t now = clock_wall_ns();
	size_t n = 0, i = 0;

	pthread_mutex_lock(&p->lock);
	while (i < p->n) {
		const struct switch_row *r = p->rows[i];

		if (!has_expired(r, now)) {
			i++;
			continue;
		}
		if (told)
			json_array_append_new(told, switch_row_to_json(r));
		/* One that stays in the database is expired at the next start as well. */
		job_db_switch_delete(p->o.db, r->kind, r->id, r->level, NULL);
		take_out(p, i);
		n++;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* ---- looking ---- */

/* The one that holds now; the lock is held. */
static const struct switch_row *find(
	const struct policy *p, enum scope_kind kind, const char *id, enum switch_level level, uint64_t now)
{
	bool there;
	size_t at = place_of(p, kind, id, level, &there);

	return there && !has_expired(p->rows[at], now) ? p->rows[at] : NULL;
}

bool policy_get(struct policy *p, enum scope_kind kind, const char *id, enum switch_level level, struct switch_row *ret)
{
	const struct switch_row *r;

	pthread_mutex_lock(&p->lock);
	if ((r = find(p, kind, id, level, clock_wall_ns())))
		*ret = *r;
	pthread_mutex_unlock(&p->lock);
	return r != NULL;
}

json_t *policy_list(struct policy *p, const enum scope_kind *kind, const char *id)
{
	uint64_t now = clock_wall_ns();
	json_t *list = json_array();

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->n && list; i++) {
		const struct switch_row *r = p->rows[i];

		if ((kind && r->kind != *kind) || (id && strcmp(r->id, id) != 0) || has_expired(r, now))
			continue;
		if (json_array_append_new(list, switch_row_to_json(r)) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return list;
}

/* ---- judging ---- */

static void add(char *ret, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void add(char *ret, size_t size, const char *fmt, ...)
{
	size_t used = strlen(ret);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret + used, size - used, fmt, ap);
	va_end(ap);
}

/* "org acme", "app 1c0f... (its developers)" */
static void name_of(const struct switch_row *r, char ret[CAPTURE_FORCED_BY_MAX])
{
	ret[0] = '\0';
	add(ret, CAPTURE_FORCED_BY_MAX, "%s%s%s%s",
		r->kind == SCOPE_PLATFORM ? "the whole platform" : scope_kind_name(r->kind), r->id[0] ? " " : "", r->id,
		r->level == SWITCH_DEVELOPER ? " (by its developers)" : "");
}

/* What a capture shows of it; "" : it forces nothing. */
static void rule_of(const struct switch_row *r, char ret[POLICY_RULE_MAX])
{
	char name[CAPTURE_FORCED_BY_MAX], forces[POLICY_RULE_MAX - CAPTURE_FORCED_BY_MAX - SWITCH_REASON_MAX] = "";
	const size_t size = sizeof(forces);

	if (r->headers_only)
		add(forces, size, ", headers only");
	if (r->snaplen > 0)
		add(forces, size, ", at most %" PRIu32 " bytes of a packet", r->snaplen);
	if (r->filter[0])
		add(forces, size, ", filter \"%s\"", r->filter);
	if (r->storage == SWITCH_FORBID)
		add(forces, size, ", not stored");
	if (r->retention_s > 0)
		add(forces, size, ", kept for %" PRIu64 " s", r->retention_s);
	if (r->retention_max_s > 0)
		add(forces, size, ", kept for at most %" PRIu64 " s", r->retention_max_s);
	if (r->approval)
		add(forces, size, ", approved by an operator");
	name_of(r, name);
	ret[0] = '\0';
	if (forces[0])
		add(ret, POLICY_RULE_MAX, "%s: %s (%s)", name, forces + 2, r->reason);
}

/* "until 2026-01-05T10:00:00Z " */
static const char *until_of(const struct switch_row *r, char *ret, size_t size)
{
	char at[CLOCK_TEXT_MAX];

	ret[0] = '\0';
	if (r->expires_at > 0)
		add(ret, size, " until %s", clock_rfc3339(r->expires_at, at));
	return ret;
}

static int refuse(const struct switch_row *r, struct err *err)
{
	char name[CAPTURE_FORCED_BY_MAX], until[CLOCK_TEXT_MAX + 16];

	name_of(r, name);
	err_set(err, ERR_PERM, "captures are switched off for %s%s: %s", name, until_of(r, until, sizeof(until)),
		r->reason);
	return err_detail(err, "switched_off");
}

static int refuse_closed(const struct scope *s, struct err *err)
{
	char where[300] = "";

	for (unsigned k = SCOPE_ORG; k < SCOPE_KINDS_N; k++) {
		const char *id = scope_id(s, (enum scope_kind)k);

		if (*id)
			add(where, sizeof(where), ", %s %s", scope_kind_name((enum scope_kind)k), id);
	}
	err_set(err, ERR_PERM,
		"captures are closed here unless an operator opens them, and no switch does so (platform%s)", where);
	return err_detail(err, "switched_off");
}

static void least(uint64_t *smallest, uint64_t n)
{
	if (n > 0 && (*smallest == 0 || n < *smallest))
		*smallest = n;
}

static bool is_forced(const struct capture_forced *list, size_t n, const char *filter)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].filter, filter) == 0)
			return true;
	}
	return false;
}

static int take_filter(const struct switch_row *r, struct policy_verdict *v, struct err *err)
{
	struct capture_forced *f = &v->forced[v->forced_n];

	if (is_forced(v->forced, v->forced_n, r->filter))
		return 0;
	if (v->forced_n == CAPTURE_FORCED_MAX) {
		err_set(err, ERR_LIMIT,
			"target: more than %d filters are forced on all that together; capture less of it at once",
			CAPTURE_FORCED_MAX);
		return err_field(err, "target");
	}
	memcpy(f->filter, r->filter, sizeof(f->filter));
	name_of(r, f->by);
	v->forced_n++;
	return 0;
}

static bool has_text(json_t *list, const char *text)
{
	json_t *one;
	size_t n;

	json_array_foreach(list, n, one)
	{
		if (strcmp(json_string_value(one), text) == 0)
			return true;
	}
	return false;
}

static int take_rule(const struct switch_row *r, struct policy_verdict *v, struct err *err)
{
	char rule[POLICY_RULE_MAX];

	rule_of(r, rule);
	if (!rule[0] || has_text(v->rules, rule))
		return 0;
	return json_array_append_new(v->rules, json_string(rule)) < 0 ? err_nomem(err) : 0;
}

static int take_row(const struct switch_row *r, struct policy_verdict *v, struct err *err)
{
	char name[CAPTURE_FORCED_BY_MAX], until[CLOCK_TEXT_MAX + 16];
	uint64_t snaplen = v->snaplen_max;

	name_of(r, name);
	if (r->storage == SWITCH_FORBID && !v->store_forbidden) {
		v->store_forbidden = true;
		v->store_why[0] = '\0';
		add(v->store_why, sizeof(v->store_why),
			"storing captures is switched off for %s%s: %s; live is offered", name,
			until_of(r, until, sizeof(until)), r->reason);
	}
	least(&snaplen, r->snaplen);
	v->snaplen_max = (uint32_t)snaplen;
	v->headers_only |= r->headers_only;
	if (r->approval && !v->approval)
		memcpy(v->approval_by, name, sizeof(v->approval_by));
	v->approval |= r->approval;
	least(&v->retention_s, r->retention_s);
	least(&v->retention_max_s, r->retention_max_s);
	if (r->filter[0] && take_filter(r, v, err) < 0)
		return -1;
	return take_rule(r, v, err);
}

/* A copy: the words of the row for a time stand before those of the one that stays.  false: there is none. */
static bool row_of(const struct policy *p, enum scope_kind kind, const char *id, enum switch_level level, uint64_t now,
	struct switch_row *ret)
{
	const struct switch_row *r = find(p, kind, id, level, now), *before;

	if (!r)
		return false;
	*ret = *r;
	if (level == SWITCH_OPERATOR && (before = find(p, kind, id, SWITCH_TEMPORARY, now))) {
		if (before->capture != SWITCH_SILENT)
			ret->capture = SWITCH_SILENT;
		if (before->storage != SWITCH_SILENT)
			ret->storage = SWITCH_SILENT;
	}
	return true;
}

static int judge_scope(
	const struct policy *p, const struct scope *s, uint64_t now, struct policy_verdict *v, struct err *err)
{
	bool open = !p->o.closed, store_open = !p->o.store_closed;
	struct switch_row r;

	for (unsigned k = 0; k < SCOPE_KINDS_N; k++) {
		const char *id = scope_id(s, (enum scope_kind)k);

		for (unsigned l = SWITCH_OPERATOR; l <= SWITCH_DEVELOPER; l++) {
			if ((k != SCOPE_PLATFORM && !*id) ||
				!row_of(p, (enum scope_kind)k, id, (enum switch_level)l, now, &r))
				continue;
			if (r.capture == SWITCH_FORBID)
				return refuse(&r, err);
			open |= r.capture == SWITCH_ALLOW &&
				(l != SWITCH_DEVELOPER || p->o.developers == POLICY_DEVELOPERS_ON);
			store_open |= r.storage == SWITCH_ALLOW;
			if (take_row(&r, v, err) < 0)
				return -1;
		}
	}
	if (!store_open && !v->store_forbidden)
		snprintf(v->store_why, sizeof(v->store_why),
			"storing captures is closed here unless an operator opens it, and no switch does so; live is "
			"offered");
	v->store_forbidden |= !store_open;
	return open ? 0 : refuse_closed(s, err);
}

int policy_judge(struct policy *p, const struct scope_list *scopes, struct policy_verdict *ret, struct err *err)
{
	static const struct scope nowhere;
	uint64_t now = clock_wall_ns();
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	if (!(ret->rules = json_array()))
		return err_nomem(err);
	if (!p)
		return 0;
	pthread_mutex_lock(&p->lock);
	if (scopes->n == 0)
		rc = judge_scope(p, &nowhere, now, ret, err);
	for (size_t i = 0; i < scopes->n && rc == 0; i++)
		rc = judge_scope(p, &scopes->items[i], now, ret, err);
	pthread_mutex_unlock(&p->lock);
	if (rc < 0)
		policy_verdict_done(ret);
	return rc;
}

void policy_verdict_done(struct policy_verdict *v)
{
	json_decref(v->rules);
	v->rules = NULL;
}

void policy_apply(const struct policy_verdict *v, struct capture_options *o)
{
	if (v->snaplen_max > 0 && o->snaplen > v->snaplen_max)
		o->snaplen = v->snaplen_max;
	o->headers_only |= v->headers_only;
}

/* ---- what runs ---- */

static int stricter(const struct policy_verdict *v, const struct policy_terms *t, struct err *err)
{
	const char *what = NULL;

	if (v->store_forbidden && t->stored)
		what = "it must not be stored";
	else if (v->headers_only && !t->options->headers_only)
		what = "only headers may be captured";
	else if (v->snaplen_max > 0 && t->options->snaplen > v->snaplen_max)
		what = "less of each packet may be captured";
	else if (v->approval && !t->approved)
		what = "an operator must approve each capture";
	for (size_t i = 0; i < v->forced_n && !what; i++) {
		if (!is_forced(t->forced, t->forced_n, v->forced[i].filter))
			what = "a filter is forced";
	}
	if (!what)
		return 0;
	err_set(err, ERR_PERM, "an operator has changed what is allowed there: %s now; start it again", what);
	return err_detail(err, "policy_changed");
}

int policy_still(struct policy *p, const struct scope_list *scopes, const struct policy_terms *t,
	enum stop_reason *ret_reason, struct err *err)
{
	struct policy_verdict *v = malloc(sizeof(*v)); /* large for a thread's stack */
	int rc;

	*ret_reason = STOP_INTERNAL;
	if (!v)
		return err_nomem(err);
	if (policy_judge(p, scopes, v, err) < 0) {
		if (err->code == ERR_PERM)
			*ret_reason = STOP_SWITCHED_OFF;
		else if (err->code == ERR_LIMIT)
			*ret_reason = STOP_POLICY;
		free(v);
		return -1;
	}
	*ret_reason = STOP_POLICY;
	rc = stricter(v, t, err);
	policy_verdict_done(v);
	free(v);
	return rc;
}

/* Also of what may not be captured any more. */
static void retention_of(const struct policy *p, const struct scope *s, uint64_t *ret_max_s)
{
	uint64_t now = clock_wall_ns();

	for (unsigned k = 0; k < SCOPE_KINDS_N; k++) {
		for (unsigned l = SWITCH_OPERATOR; l <= SWITCH_TEMPORARY; l++) {
			const struct switch_row *r =
				find(p, (enum scope_kind)k, scope_id(s, (enum scope_kind)k), (enum switch_level)l, now);

			if (r)
				least(ret_max_s, r->retention_max_s);
		}
	}
}

uint64_t policy_kept_ns(struct policy *p, const struct scope_list *scopes, uint64_t kept_ns)
{
	static const struct scope nowhere;
	uint64_t max_s = 0;

	if (!p)
		return kept_ns;
	pthread_mutex_lock(&p->lock);
	retention_of(p, &nowhere, &max_s);
	for (size_t i = 0; i < scopes->n; i++)
		retention_of(p, &scopes->items[i], &max_s);
	pthread_mutex_unlock(&p->lock);
	return max_s > 0 && max_s * CLOCK_NS_PER_S < kept_ns ? max_s * CLOCK_NS_PER_S : kept_ns;
}
