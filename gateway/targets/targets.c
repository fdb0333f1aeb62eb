#include "gateway/targets/targets.h"

#include "common/parse.h"
#include "gateway/targets/target_bosh.h"
#include "gateway/targets/target_cf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct targets {
	struct target_source *sources[TARGETS_SOURCES_MAX];
	size_t n;
};

/* ---- the list ---- */

struct targets *targets_of(struct target_source *const *sources, size_t n)
{
	struct targets *t = calloc(1, sizeof(*t));

	for (size_t i = 0; i < n; i++) {
		if (t)
			t->sources[t->n++] = sources[i];
		else
			sources[i]->ops->free(sources[i]);
	}
	return t;
}

struct targets *targets_new(const struct config_gateway *c, struct err *err)
{
	struct target_source *sources[TARGETS_SOURCES_MAX];
	struct targets *t;
	size_t n = 0;

	if (!(sources[n++] = target_host_new(c->inventory_file, c->agents_name, err))) {
		err_in(err, "inventory");
		return NULL;
	}
	if (c->bosh_director[0] && !(sources[n++] = target_bosh_new(c, err)))
		goto fail;
	if (c->cf_api[0] && !(sources[n++] = target_cf_new(c, err)))
		goto fail;
	if (!(t = targets_of(sources, n)))
		err_nomem(err);
	return t;
fail:
	for (n--; n > 0; n--)
		sources[n - 1]->ops->free(sources[n - 1]);
	return NULL;
}

void targets_free(struct targets *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		t->sources[i]->ops->free(t->sources[i]);
	free(t);
}

int targets_reload(struct targets *t, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->sources[i]->ops->reload && t->sources[i]->ops->reload(t->sources[i], err) < 0)
			return -1;
	}
	return 0;
}

static bool is_listed(json_t *logins, const char *name)
{
	json_t *login;
	size_t n;

	json_array_foreach(logins, n, login)
	{
		if (strcmp(json_string_value(json_object_get(login, "name")), name) == 0)
			return true;
	}
	return false;
}

int targets_check_issuers(const struct targets *t, json_t *logins, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct target_source *s = t->sources[i];

		if (s->issuer && !is_listed(logins, s->issuer))
			return err_set(err, ERR_INPUT, "%s.issuer: there is no \"%s\" in the file of issuers", s->type,
				s->issuer);
	}
	return 0;
}

json_t *targets_types(const struct targets *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++)
		json_array_append_new(list, json_string(t->sources[i]->type));
	return list;
}

size_t targets_agents(struct targets *t, struct capture_exclude *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n && n < max; i++) {
		if (t->sources[i]->ops->agents)
			n += t->sources[i]->ops->agents(t->sources[i], ret + n, max - n);
	}
	return n;
}

bool targets_has_group(struct targets *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->sources[i]->ops->has_group && t->sources[i]->ops->has_group(t->sources[i], name))
			return true;
	}
	return false;
}

void targets_each_agent(
	struct targets *t, void (*tell)(void *ctx, const char *host, uint16_t port, const char *agent_name), void *ctx)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->sources[i]->ops->each_agent)
			t->sources[i]->ops->each_agent(t->sources[i], tell, ctx);
	}
}

void people_done(struct people *p)
{
	for (size_t i = 0; i < p->n; i++)
		identity_done(&p->who[i]);
	p->n = 0;
}

/* ---- resolving ---- */

static int refuse_type(const struct targets *t, json_t *type, struct err *err)
{
	char shown[40], offered[64] = "";

	for (size_t i = 0; i < t->n; i++)
		snprintf(offered + strlen(offered), sizeof(offered) - strlen(offered), "%s\"%s\"", i ? ", " : "",
			t->sources[i]->type);
	if (json_is_string(type))
		err_set(err, ERR_INPUT, "target.type: \"%s\" is not offered by this gateway; it offers %s",
			parse_printable(json_string_value(type), shown, sizeof(shown)), offered);
	else
		err_set(err, ERR_INPUT, "target.type: %s; %s is offered", type ? "must be a text" : "is missing",
			offered);
	return err_field(err, "target.type");
}

/* Whose targets are of this one's type; NULL: nobody's here. */
static struct target_source *source_of(const struct targets *t, json_t *target)
{
	const char *type = json_string_value(json_object_get(target, "type"));

	for (size_t i = 0; type && i < t->n; i++) {
		if (strcmp(t->sources[i]->type, type) == 0)
			return t->sources[i];
	}
	return NULL;
}

static const struct identity *person_for(const struct target_source *s, const struct people *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!s->issuer || strcmp(p->who[i].issuer, s->issuer) == 0)
			return &p->who[i];
	}
	return NULL;
}

static int refuse_person(const struct target_source *s, struct err *err)
{
	err_set(err, ERR_PERM,
		"target.type: \"%s\" takes a token of the issuer \"%s\"; log in there, and send its token "
		"(beside "
		"another one as Pcap-Second-Token)",
		s->type, s->issuer);
	err_field(err, "target.type");
	return err_detail(err, "other_issuer");
}

static int resolve_one(
	struct targets *t, const struct targets_query *q, json_t *target, struct target_set *ret, struct err *err)
{
	struct target_query one = {.target = target, .max = q->max, .again = q->again};
	struct target_source *s = source_of(t, target);

	if (!s)
		return refuse_type(t, json_object_get(target, "type"), err);
	if (!(one.who = person_for(s, q->people)))
		return refuse_person(s, err);
	return s->ops->resolve(s, &one, ret, err);
}

/* An error of a list's item n speaks of "targets[n]" where the source said "target". */
static int place_error(struct err *err, size_t n)
{
	static const char word[] = "target";
	struct err was;

	if (!err)
		return -1;
	was = *err;
	if (strncmp(was.field, word, strlen(word)) == 0)
		snprintf(err->field, sizeof(err->field), "targets[%zu]%.*s", n, ERR_FIELD_MAX - 32,
			was.field + strlen(word));
	if (strncmp(was.msg, word, strlen(word)) == 0)
		snprintf(err->msg, sizeof(err->msg), "targets[%zu]%.*s", n, ERR_MSG_MAX - 32, was.msg + strlen(word));
	return -1;
}

/* Each instance once for each device. */
static int take_all(
	const struct target_set *from, const struct targets_query *q, struct target_set *ret, struct err *err)
{
	char devices[CAPTURE_DEVICES_MAX][CAPTURE_DEVICE_MAX];
	size_t devices_n = capture_options_devices(q->options, devices);

	for (size_t n = 0; n < from->n; n++) {
		struct target_instance i = from->instances[n];

		for (size_t d = 0; d < devices_n; d++) {
			memcpy(i.device, devices[d], sizeof(i.device));
			if (target_set_add(ret, &i, q->max, err) < 0)
				return -1;
		}
	}
	for (size_t n = 0; n < from->scopes.n; n++) {
		if (scope_list_add(&ret->scopes, &from->scopes.items[n], err) < 0)
			return -1;
	}
	if (!ret->org[0]) {
		memcpy(ret->org, from->org, sizeof(ret->org));
		memcpy(ret->space, from->space, sizeof(ret->space));
	}
	if (!ret->deployment[0])
		memcpy(ret->deployment, from->deployment, sizeof(ret->deployment));
	return 0;
}

static bool follows(const struct targets *t, json_t *target)
{
	const struct target_source *s = source_of(t, target);

	return s && s->follows;
}

static int resolve_into(
	struct targets *t, const struct targets_query *q, json_t *target, struct target_set *ret, struct err *err)
{
	struct target_set one = {0};
	int rc = resolve_one(t, q, target, &one, err), person = targets_person(t, q->people, target);

	for (size_t n = 0; n < one.n; n++)
		one.instances[n].follows = follows(t, target);

	/* What no platform has an org for lies in its user's. */
	for (size_t n = 0; rc == 0 && n < one.scopes.n; n++) {
		struct scope *s = &one.scopes.items[n];

		if (s->org[0])
			continue;
		snprintf(s->org, sizeof(s->org), "%s", q->people->who[person].org);
		snprintf(s->space, sizeof(s->space), "%s", q->people->who[person].space);
	}
	if (rc == 0)
		rc = take_all(&one, q, ret, err);
	target_set_done(&one);
	return rc;
}

/* Where nothing can be captured there is nothing to start. */
static int check_any(const struct target_set *t, struct err *err)
{
	const struct err *first = t->n > 0 ? &t->instances[0].error : NULL;

	for (size_t n = 0; n < t->n; n++) {
		if (t->instances[n].error.code == ERR_NONE)
			return 0;
	}
	if (!first)
		return err_set(err, ERR_STATE, "target: nothing of it runs");
	if (err)
		*err = *first;
	return t->n == 1 ? err_in(err, "%s", t->instances[0].name)
			 : err_in(err, "none of %zu instances can be captured; the first, %s", t->n,
				   t->instances[0].name);
}

int targets_resolve(struct targets *t, const struct targets_query *q, struct target_set *ret, struct err *err)
{
	json_t *target;
	size_t n;
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	if (!json_is_array(q->targets))
		rc = resolve_into(t, q, q->targets, ret, err);
	else
		json_array_foreach(q->targets, n, target)
		{
			if ((rc = resolve_into(t, q, target, ret, err)) < 0) {
				place_error(err, n);
				break;
			}
		}
	if (rc == 0 && !q->again)
		rc = check_any(ret, err);
	if (rc < 0)
		target_set_done(ret);
	return rc;
}

int targets_space(struct targets *t, const struct people *people, const char *guid, struct scope *ret, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		struct target_source *s = t->sources[i];
		const struct identity *who = person_for(s, people);

		if (s->ops->space)
			return who ? s->ops->space(s, who, guid, ret, err) : refuse_person(s, err);
	}
	return err_set(err, ERR_NOT_FOUND, "space: there are none here");
}

bool targets_follow(const struct targets *t, json_t *targets)
{
	json_t *target;
	bool any = false;
	size_t n;

	if (!json_is_array(targets))
		return follows(t, targets);
	json_array_foreach(targets, n, target) any |= follows(t, target);
	return any;
}

int targets_person(const struct targets *t, const struct people *p, json_t *target)
{
	const struct target_source *s = source_of(t, target);
	const struct identity *who = s ? person_for(s, p) : NULL;

	return who ? (int)(who - p->who) : -1;
}
