/* Target: {"type":"bosh","deployment":"cf","instances":["router","diego-cell/0","diego-cell/5d0a6f0e-..."]}; without instances the whole deployment. */
#include "gateway/targets/target_bosh.h"

#include "common/json_in.h"
#include "common/parse.h"
#include "gateway/targets/director.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_SLUGS_MAX 1000

struct target_bosh {
	struct target_source source;
	struct platform director;
	char *issuer;
	char *agent_name;
	uint16_t port;
	bool confirm;
};

/* ---- what is asked for ---- */

/* As bosh ssh takes it: a group, or one of its instances, by index where the second part is a number, else by id. */
struct slug {
	const char *text;
	size_t group_n;   /* bytes of text */
	const char *part; /* behind the slash; NULL: the whole group */
	bool is_index;
	uint64_t index;
};

static int bad_slug(size_t n, struct err *err)
{
	err_set(err, ERR_INPUT,
		"target.instances: item %zu is not the name of an instance group (\"router\") or of an instance "
		"(\"router/0\", "
		"\"router/ID\")",
		n + 1);
	return err_field(err, "target.instances");
}

static bool read_slug(json_t *item, struct slug *ret)
{
	const char *text = json_string_value(item), *slash = text ? strchr(text, '/') : NULL;
	size_t n = json_string_length(item);

	if (!text || n == 0 || n >= CAPTURE_NAME_MAX || !parse_is_text(text, n, false) ||
		(slash && (slash == text || !slash[1] || strchr(slash + 1, '/'))))
		return false;
	*ret = (struct slug){
		.text = text, .group_n = slash ? (size_t)(slash - text) : n, .part = slash ? slash + 1 : NULL};
	if (ret->part && strspn(ret->part, "0123456789") == strlen(ret->part)) {
		ret->is_index = true;
		if (parse_u64(ret->part, 0, DIRECTOR_NO_INDEX - 1, &ret->index, NULL) < 0)
			ret->index = DIRECTOR_NO_INDEX - 1; /* no director counts so far */
	}
	return true;
}

/* names NULL: the whole deployment, for which *ret stays NULL. */
static int read_slugs(json_t *names, struct slug **ret, size_t *ret_n, struct err *err)
{
	size_t size = json_array_size(names);
	struct slug *s;

	*ret = NULL;
	*ret_n = 0;
	if (!names)
		return 0;
	if (size == 0) {
		err_set(err, ERR_INPUT, "target.instances: is empty; leave it out for all instances, or name some");
		return err_field(err, "target.instances");
	}
	if (!(s = calloc(size, sizeof(*s))))
		return err_nomem(err);
	for (size_t n = 0; n < size; n++) {
		if (!read_slug(json_array_get(names, n), &s[n])) {
			free(s);
			return bad_slug(n, err);
		}
	}
	*ret = s;
	*ret_n = size;
	return 0;
}

/* It becomes a part of a path, where a slash and dots would mean something else. */
static int check_deployment(const char *name, struct err *err)
{
	char shown[80];

	if (!strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		return 0;
	err_set(err, ERR_INPUT, "target.deployment: \"%s\" is not the name of a deployment",
		parse_printable(name, shown, sizeof(shown)));
	return err_field(err, "target.deployment");
}

/* ---- what comes of it ---- */

static bool matches(const struct slug *s, const struct director_instance *i)
{
	if (strlen(i->group) != s->group_n || strncmp(i->group, s->text, s->group_n) != 0)
		return false;
	if (!s->part)
		return true;
	return s->is_index ? i->index == s->index : strcmp(i->id, s->part) == 0;
}

static int cannot(struct target_instance *t, const char *detail, const char *text)
{
	err_set(&t->error, ERR_STATE, "%s", text);
	return err_detail(&t->error, detail);
}

/* Where its agent is, or why there is none. */
static void locate(const struct target_bosh *s, const struct director_instance *i, struct target_instance *t)
{
	char addresses[1 + TARGET_OTHERS_MAX][DIRECTOR_ADDRESS_MAX];
	size_t n = director_addresses(i, addresses, 1 + TARGET_OTHERS_MAX);

	if (!i->has_vm) {
		cannot(t, "instance_stopped", "it has no VM: it is stopped, or an errand that does not run");
	} else if (n == 0) {
		cannot(t, "no_address", "the director tells no address of its VM that could be dialled");
	} else if (s->confirm && !i->id[0]) {
		cannot(t, "no_id", "the director does not tell its id, by which its agent would know that it is meant");
	} else {
		memcpy(t->host, addresses[0], sizeof(addresses[0]));
		for (size_t k = 1; k < n; k++)
			memcpy(t->others[t->others_n++], addresses[k], sizeof(addresses[k]));
	}
}

static int add(const struct target_bosh *s, const struct director_instance *i, size_t max, struct target_set *ret,
	struct err *err)
{
	struct target_instance t = {.port = s->port, .agent.index = AGENT_INDEX_ANY};

	if (i->index == DIRECTOR_NO_INDEX)
		snprintf(t.name, sizeof(t.name), "%s/%s", i->group, i->id);
	else
		snprintf(t.name, sizeof(t.name), "%s/%" PRIu64, i->group, i->index);
	snprintf(t.agent_name, sizeof(t.agent_name), "%s", s->agent_name);
	if (s->confirm)
		snprintf(t.agent.instance, sizeof(t.agent.instance), "%s", i->id);
	locate(s, i, &t);
	return target_set_add(ret, &t, max, err);
}

static int add_scope(struct target_set *ret, const struct director_instance *i, struct err *err)
{
	struct scope scope = {0};

	snprintf(scope.deployment, sizeof(scope.deployment), "%s", ret->deployment);
	snprintf(scope.group, sizeof(scope.group), "%s/%s", ret->deployment, i->group);
	return scope_list_add(&ret->scopes, &scope, err);
}

/* Adds what a slug (NULL: everything) stands for; taken: per instance, whether it is in ret already. */
static int select_slug(const struct target_bosh *s, const struct target_query *q, const struct slug *slug,
	const struct director_instances *d, bool *taken, struct target_set *ret, struct err *err)
{
	bool found = false;

	for (size_t n = 0; n < d->n; n++) {
		const struct director_instance *i = &d->items[n];

		if (slug ? !matches(slug, i) : !i->has_vm && !i->expects_vm)
			continue;
		found = true;
		if (add_scope(ret, i, err) < 0)
			return -1;
		if (!taken[n] && add(s, i, q->max, ret, err) < 0)
			return -1;
		taken[n] = true;
	}
	if (slug && !found && !q->again) {
		char shown[80], of[80];

		err_set(err, ERR_NOT_FOUND, "target.instances: \"%s\" has no instance group or instance \"%s\"",
			parse_printable(ret->deployment, of, sizeof(of)),
			parse_printable(slug->text, shown, sizeof(shown)));
		return err_field(err, "target.instances");
	}
	return 0;
}

static int select_all(const struct target_bosh *s, const struct target_query *q, const struct slug *slugs,
	size_t slugs_n, const struct director_instances *d, struct target_set *ret, struct err *err)
{
	bool *taken = calloc(d->n + 1, sizeof(*taken));
	char shown[80];
	int rc = 0;

	if (!taken)
		return err_nomem(err);
	if (!slugs)
		rc = select_slug(s, q, NULL, d, taken, ret, err);
	for (size_t n = 0; n < slugs_n && rc == 0; n++)
		rc = select_slug(s, q, &slugs[n], d, taken, ret, err);
	free(taken);
	if (rc == 0 && ret->n == 0 && !q->again) {
		err_set(err, ERR_STATE, "target.deployment: no instance of \"%s\" has a VM",
			parse_printable(ret->deployment, shown, sizeof(shown)));
		err_field(err, "target.deployment");
		return err_detail(err, "instance_stopped");
	}
	return rc;
}

/* What the director says of the deployment is about that field; that it does not answer is not. */
static int ask(const struct target_bosh *s, const struct target_query *q, const char *deployment,
	struct director_instances *ret, struct err *err)
{
	struct err e = {0};

	if (director_deployment(&s->director, q->who->token, deployment, ret, &e) == 0)
		return 0;
	if (e.code == ERR_NOT_FOUND || e.code == ERR_PERM) {
		err_in(&e, "target.deployment");
		err_field(&e, "target.deployment");
	}
	if (err)
		*err = e;
	return -1;
}

static int resolve(struct target_source *source, const struct target_query *q, struct target_set *ret, struct err *err)
{
	struct target_bosh *s = (struct target_bosh *)source;
	const char *type = NULL, *deployment = NULL;
	struct director_instances d = {0};
	struct slug *slugs = NULL;
	json_t *names = NULL;
	size_t slugs_n = 0;
	struct json_in in;
	int rc = -1;

	memset(ret, 0, sizeof(*ret));
	json_in_begin(&in, q->target, "target", err);
	json_in_str(&in, "type", JSON_IN_REQUIRED, 1, 16, &type);
	json_in_str(&in, "deployment", JSON_IN_REQUIRED, 1, CAPTURE_NAME_MAX - 1, &deployment);
	json_in_array(&in, "instances", JSON_IN_OPTIONAL, TARGET_SLUGS_MAX, &names);
	if (json_in_end(&in) < 0 || check_deployment(deployment, err) < 0 ||
		read_slugs(names, &slugs, &slugs_n, err) < 0)
		return -1;
	snprintf(ret->deployment, sizeof(ret->deployment), "%s", deployment);
	if (ask(s, q, deployment, &d, err) == 0)
		rc = select_all(s, q, slugs, slugs_n, &d, ret, err);
	director_instances_done(&d);
	free(slugs);
	if (rc < 0)
		target_set_done(ret);
	return rc;
}

/* ---- life ---- */

static void source_free(struct target_source *source)
{
	struct target_bosh *s = (struct target_bosh *)source;

	platform_close(&s->director);
	free(s->issuer);
	free(s->agent_name);
	free(s);
}

static const struct target_source_ops ops = {.resolve = resolve, .free = source_free};

struct target_source *target_bosh_new(const struct config_gateway *c, struct err *err)
{
	struct target_bosh *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->issuer = strdup(c->bosh_issuer);
	s->agent_name = strdup(c->bosh_agent_name[0] ? c->bosh_agent_name : c->agents_name);
	s->port = (uint16_t)c->bosh_agent_port;
	s->confirm = c->bosh_confirm;
	s->source = (struct target_source){.ops = &ops, .type = "bosh", .issuer = s->issuer};
	if (!s->issuer || !s->agent_name) {
		err_nomem(err);
	} else if (platform_open(&s->director, "the director", c->bosh_director, c->bosh_ca, c->bosh_timeout_ms, err) <
		   0) {
		err_in(err, "bosh.ca");
	} else {
		s->director.metrics = METRICS_BOSH;
		return &s->source;
	}
	source_free(&s->source);
	return NULL;
}
