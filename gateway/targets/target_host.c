#include "common/json_in.h"
#include "common/parse.h"
#include "gateway/targets/target.h"
#include "schema/config_gateway.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_NAMES_MAX 1000

struct target_host {
	struct target_source source;
	char *path;
	char *agent_name;
	pthread_mutex_t lock;
	struct inventory inventory; /* by lock */
};

static bool listed(const struct config_list *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++) {
		if (text[0] && strcmp(l->items[i], text) == 0)
			return true;
	}
	return false;
}

static bool may(const struct inventory_group *g, const struct identity *who)
{
	const struct config_list *scopes = &g->scopes;

	/* What an issuer calls its people is not unique (UAA: one name per origin), and theirs to choose. */
	if (listed(&g->users, who->user_id) || listed(&g->orgs, who->org) ||
		(!who->issuer[0] && listed(&g->users, who->user_name)))
		return true;
	for (size_t i = 0; i < scopes->n; i++) {
		const char *colon = strchr(scopes->items[i], ':');
		size_t n = (size_t)(colon - scopes->items[i]);

		if (strlen(who->issuer) == n && strncmp(who->issuer, scopes->items[i], n) == 0 &&
			identity_has_scope(who, colon + 1))
			return true;
	}
	return false;
}

static int add(const struct target_host *s, const struct inventory_group *g, const struct inventory_instance *i,
	size_t max, struct target_set *ret, struct err *err)
{
	struct target_instance t = {.port = i->port, .agent.index = AGENT_INDEX_ANY};
	struct scope scope = {0};

	snprintf(t.name, sizeof(t.name), "%s/%s", g->name, i->id);
	snprintf(t.host, sizeof(t.host), "%s", i->host);
	snprintf(t.agent_name, sizeof(t.agent_name), "%s",
		i->agent_name && i->agent_name[0] ? i->agent_name : s->agent_name);
	snprintf(scope.group, sizeof(scope.group), "%s", g->name);
	if (scope_list_add(&ret->scopes, &scope, err) < 0)
		return -1;
	return target_set_add(ret, &t, max, err);
}

/* Adds what name ("group" or "group/id", NULL: everything) stands for, as far as the user may. */
static int select_named(const struct target_host *s, const struct target_query *q, const char *name,
	struct target_set *ret, struct err *err)
{
	const char *slash = name ? strchr(name, '/') : NULL;
	bool found = false;

	for (size_t n = 0; n < s->inventory.groups_n; n++) {
		const struct inventory_group *g = &s->inventory.groups[n];
		size_t len = strlen(g->name);

		if (!may(g, q->who))
			continue;
		if (name && (strncmp(name, g->name, len) != 0 || (slash ? name + len != slash : name[len] != '\0')))
			continue;
		for (size_t i = 0; i < g->instances_n; i++) {
			if (slash && strcmp(slash + 1, g->instances[i].id) != 0)
				continue;
			found = true;
			if (add(s, g, &g->instances[i], q->max, ret, err) < 0)
				return -1;
		}
	}
	if (found || (name && q->again))
		return 0;
	if (name) {
		char shown[80];

		err_set(err, ERR_NOT_FOUND,
			"target.instances: there is no group or instance \"%s\" that you may capture from",
			parse_printable(name, shown, sizeof(shown)));
	} else {
		err_set(err, ERR_NOT_FOUND, "target: there is nothing that you may capture from");
	}
	return err_field(err, name ? "target.instances" : "target");
}

/* Does item n stand earlier in names too?  Once is enough: a large group named a thousand times would keep everybody waiting. */
static bool is_said_before(json_t *names, size_t n)
{
	const char *name = json_string_value(json_array_get(names, n));

	for (size_t i = 0; i < n; i++) {
		if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
			return true;
	}
	return false;
}

static int select_all(
	struct target_host *s, const struct target_query *q, json_t *names, struct target_set *ret, struct err *err)
{
	json_t *item;
	size_t n;

	if (!names)
		return select_named(s, q, NULL, ret, err);
	if (json_array_size(names) == 0) {
		err_set(err, ERR_INPUT, "target.instances: is empty; leave it out for all instances, or name some");
		return err_field(err, "target.instances");
	}
	json_array_foreach(names, n, item)
	{
		const char *name = json_string_value(item);

		if (!name || strlen(name) != json_string_length(item) || !name[0] || strlen(name) >= CAPTURE_NAME_MAX) {
			err_set(err, ERR_INPUT,
				"target.instances: item %zu is not the name of a group (\"web\") or an instance "
				"(\"web/1\")",
				n + 1);
			return err_field(err, "target.instances");
		}
		if (!is_said_before(names, n) && select_named(s, q, name, ret, err) < 0)
			return -1;
	}
	if (q->again && ret->n == 0) {
		err_set(err, ERR_NOT_FOUND, "target.instances: there is none of them left that you may capture from");
		return err_field(err, "target.instances");
	}
	return 0;
}

static int resolve(struct target_source *source, const struct target_query *q, struct target_set *ret, struct err *err)
{
	struct target_host *s = (struct target_host *)source;
	struct json_in in;
	const char *type = NULL;
	json_t *names = NULL;
	int rc;

	memset(ret, 0, sizeof(*ret));
	json_in_begin(&in, q->target, "target", err);
	json_in_str(&in, "type", JSON_IN_REQUIRED, 1, 16, &type);
	json_in_array(&in, "instances", JSON_IN_OPTIONAL, TARGET_NAMES_MAX, &names);
	if (json_in_end(&in) < 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	rc = select_all(s, q, names, ret, err);
	pthread_mutex_unlock(&s->lock);
	if (rc < 0)
		target_set_done(ret);
	return rc;
}

/* A numeric address of one host: a DNS name's agent leaves its own listener out by itself, and "every address" is nobody's. */
static bool is_host_address(const char *host)
{
	static const unsigned char none[sizeof(struct in6_addr)];
	unsigned char raw[sizeof(struct in6_addr)] = {0};

	return (inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1) &&
	       memcmp(raw, none, sizeof(raw)) != 0;
}

static bool is_listed_end(const struct capture_exclude *ends, size_t n, const struct inventory_instance *i)
{
	for (size_t k = 0; k < n; k++) {
		if (ends[k].port == i->port && strcmp(ends[k].address, i->host) == 0)
			return true;
	}
	return false;
}

static size_t agents(struct target_source *source, struct capture_exclude *ret, size_t max)
{
	struct target_host *s = (struct target_host *)source;
	size_t got = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t n = 0; n < s->inventory.groups_n; n++) {
		const struct inventory_group *g = &s->inventory.groups[n];

		for (size_t i = 0; i < g->instances_n && got < max; i++) {
			const struct inventory_instance *in = &g->instances[i];

			if (strlen(in->host) >= sizeof(ret->address) || !is_host_address(in->host) ||
				is_listed_end(ret, got, in))
				continue;
			snprintf(ret[got].address, sizeof(ret[got].address), "%s", in->host);
			ret[got++].port = in->port;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return got;
}

static void each_agent(struct target_source *source,
	void (*tell)(void *ctx, const char *host, uint16_t port, const char *agent_name), void *ctx)
{
	struct target_host *s = (struct target_host *)source;

	pthread_mutex_lock(&s->lock);
	for (size_t n = 0; n < s->inventory.groups_n; n++) {
		const struct inventory_group *g = &s->inventory.groups[n];

		for (size_t i = 0; i < g->instances_n; i++) {
			const struct inventory_instance *in = &g->instances[i];

			tell(ctx, in->host, in->port,
				in->agent_name && in->agent_name[0] ? in->agent_name : s->agent_name);
		}
	}
	pthread_mutex_unlock(&s->lock);
}

static bool has_group(struct target_source *source, const char *name)
{
	struct target_host *s = (struct target_host *)source;
	bool has = false;

	pthread_mutex_lock(&s->lock);
	for (size_t n = 0; n < s->inventory.groups_n && !has; n++)
		has = strcmp(s->inventory.groups[n].name, name) == 0;
	pthread_mutex_unlock(&s->lock);
	return has;
}

static void source_free(struct target_source *source)
{
	struct target_host *s = (struct target_host *)source;

	inventory_done(&s->inventory);
	pthread_mutex_destroy(&s->lock);
	free(s->agent_name);
	free(s->path);
	free(s);
}

static int reload(struct target_source *source, struct err *err)
{
	struct target_host *s = (struct target_host *)source;
	struct inventory fresh = {0}, old;

	if (s->path[0] && inventory_load(s->path, &fresh, err) < 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	old = s->inventory;
	s->inventory = fresh;
	pthread_mutex_unlock(&s->lock);
	inventory_done(&old);
	return 0;
}

static const struct target_source_ops ops = {.resolve = resolve,
	.agents = agents,
	.each_agent = each_agent,
	.has_group = has_group,
	.reload = reload,
	.free = source_free};

struct target_source *target_host_new(const char *path, const char *default_agent_name, struct err *err)
{
	struct target_host *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(path)) || !(s->agent_name = strdup(default_agent_name)) ||
		pthread_mutex_init(&s->lock, NULL) != 0) {
		if (s) {
			free(s->path);
			free(s->agent_name);
		}
		free(s);
		err_nomem(err);
		return NULL;
	}
	s->source.ops = &ops;
	s->source.type = "host";
	if (reload(&s->source, err) < 0) {
		source_free(&s->source);
		return NULL;
	}
	return &s->source;
}
