/* inventory.c - the static list of hosts: groups of instances, and who may capture there. */
#include "common/parse.h"
#include "schema/config_gateway.h"
#include "schema/yaml_file.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES  63
#define USER_MAX_BYTES  256
#define VALUE_MAX_BYTES 4096 /* taken from the file before the exact checks */

/* As the file has it. */
struct file_instance {
	char *id, *agent, *agent_name;
};
struct file_group {
	char *name;
	struct config_list users, orgs, scopes;
	struct file_instance *instances;
	size_t instances_count;
};
struct file_inventory {
	struct file_group *groups;
	size_t groups_count;
};

#define TEXT(key, type, member, flags)                                                                                 \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | (flags), type, member, 0, VALUE_MAX_BYTES)

static const cyaml_schema_value_t text_entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, VALUE_MAX_BYTES)};

static const cyaml_schema_field_t instance_fields[] = {
	TEXT("id", struct file_instance, id, 0),
	TEXT("agent", struct file_instance, agent, 0),
	TEXT("agent_name", struct file_instance, agent_name, CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t instance_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_instance, instance_fields),
};

static const cyaml_schema_field_t group_fields[] = {
	TEXT("name", struct file_group, name, 0),
	CYAML_FIELD_SEQUENCE_COUNT("users", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_group, users.items,
		users.n, &text_entry, 0, CONFIG_LIST_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("orgs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_group, orgs.items,
		orgs.n, &text_entry, 0, CONFIG_LIST_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("scopes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_group, scopes.items,
		scopes.n, &text_entry, 0, CONFIG_LIST_MAX),
	CYAML_FIELD_SEQUENCE("instances", CYAML_FLAG_POINTER, struct file_group, instances, &instance_entry, 0,
		INVENTORY_INSTANCES_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t group_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_group, group_fields)};

static const cyaml_schema_field_t top_fields[] = {
	CYAML_FIELD_SEQUENCE(
		"groups", CYAML_FLAG_POINTER, struct file_inventory, groups, &group_entry, 0, INVENTORY_GROUPS_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t top = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER_NULL, struct file_inventory, top_fields)};

/* ---- checks ---- */

static int check_name(const char *name, const char *what, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX_BYTES || name[strspn(name, allowed)])
		return err_set(err, ERR_INPUT, "%s \"%.80s\" is not 1..%d letters, digits, '.', '_' or '-'", what, name,
			NAME_MAX_BYTES);
	return 0;
}

static int take_list(const struct config_list *from, struct config_list *ret, const char *what, struct err *err)
{
	if (from->n && !(ret->items = calloc(from->n, sizeof(*ret->items))))
		return err_nomem(err);
	for (size_t i = 0; i < from->n; i++) {
		size_t n = strlen(from->items[i]);

		if (n == 0 || n > USER_MAX_BYTES)
			return err_set(err, ERR_INPUT, "%s, entry %zu: %zu bytes are not within 1..%d", what, i + 1, n,
				USER_MAX_BYTES);
		if (!(ret->items[i] = strdup(from->items[i])))
			return err_nomem(err);
		ret->n++;
	}
	return 0;
}

static int take_instance(const struct file_instance *from, struct inventory_instance *ret, struct err *err)
{
	char host[256];

	if (check_name(from->id, "instance id", err) < 0)
		return -1;
	if (parse_host_port(from->agent, INVENTORY_AGENT_PORT, host, &ret->port, err) < 0)
		return err_in(err, "instance \"%s\", agent", from->id);
	if (from->agent_name && (!*from->agent_name || strlen(from->agent_name) > 253))
		return err_set(err, ERR_INPUT, "instance \"%s\": agent_name is not 1..253 bytes", from->id);
	if (!(ret->id = strdup(from->id)) || !(ret->host = strdup(host)) ||
		!(ret->agent_name = strdup(from->agent_name ? from->agent_name : "")))
		return err_nomem(err);
	return 0;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Borrows the n names in names and sorts them; the list may be long, so no comparing of each with each. */
static int check_unique(const char **names, size_t n, const char *what, struct err *err)
{
	qsort(names, n, sizeof(*names), compare_text);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(names[i - 1], names[i]))
			return err_set(err, ERR_INPUT, "%s \"%s\" stands twice", what, names[i]);
	return 0;
}

static int check_instances(const struct inventory_group *g, struct err *err)
{
	const char **ids = calloc(g->instances_n + 1, sizeof(*ids));
	int rc;

	if (!ids)
		return err_nomem(err);
	for (size_t i = 0; i < g->instances_n; i++)
		ids[i] = g->instances[i].id;
	rc = check_unique(ids, g->instances_n, "instance", err);
	free(ids);
	return rc;
}

static int check_groups(const struct inventory *inv, struct err *err)
{
	const char **names = calloc(inv->groups_n + 1, sizeof(*names));
	int rc;

	if (!names)
		return err_nomem(err);
	for (size_t i = 0; i < inv->groups_n; i++)
		names[i] = inv->groups[i].name;
	rc = check_unique(names, inv->groups_n, "group", err);
	free(names);
	return rc;
}

static int take_group(const struct file_group *from, struct inventory_group *ret, struct err *err)
{
	if (check_name(from->name, "name", err) < 0)
		return -1;
	if (!(ret->name = strdup(from->name)))
		return err_nomem(err);
	if (take_list(&from->users, &ret->users, "users", err) < 0 ||
		take_list(&from->orgs, &ret->orgs, "orgs", err) < 0 ||
		take_list(&from->scopes, &ret->scopes, "scopes", err) < 0)
		return -1;
	for (size_t i = 0; i < ret->scopes.n; i++) {
		const char *colon = strchr(ret->scopes.items[i], ':');

		if (!colon || colon == ret->scopes.items[i] || !colon[1])
			return err_set(err, ERR_INPUT,
				"scopes, entry %zu: must name issuer and scope (\"cf:pcap.web\")", i + 1);
	}
	if (from->instances_count && !(ret->instances = calloc(from->instances_count, sizeof(*ret->instances))))
		return err_nomem(err);
	ret->instances_n = from->instances_count;
	for (size_t i = 0; i < from->instances_count; i++)
		if (take_instance(&from->instances[i], &ret->instances[i], err) < 0)
			return -1;
	return check_instances(ret, err);
}

static int take_inventory(const struct file_inventory *from, struct inventory *ret, struct err *err)
{
	size_t instances = 0;

	for (size_t i = 0; i < from->groups_count; i++)
		instances += from->groups[i].instances_count;
	if (instances > INVENTORY_INSTANCES_MAX)
		return err_set(err, ERR_LIMIT, "%zu instances are over %d", instances, INVENTORY_INSTANCES_MAX);
	if (from->groups_count && !(ret->groups = calloc(from->groups_count, sizeof(*ret->groups))))
		return err_nomem(err);
	ret->groups_n = from->groups_count;
	for (size_t i = 0; i < from->groups_count; i++)
		if (take_group(&from->groups[i], &ret->groups[i], err) < 0)
			return err_in(err, "group %zu (\"%.80s\")", i + 1, from->groups[i].name);
	return check_groups(ret, err);
}

int inventory_load(const char *path, struct inventory *ret, struct err *err)
{
	void *data = NULL;
	int rc = 0;

	*ret = (struct inventory){0};
	if (yaml_file_load(path, &top, &data, err) < 0)
		return -1;
	if (data)
		rc = take_inventory(data, ret, err);
	yaml_file_free(&top, data);
	if (rc < 0) {
		inventory_done(ret);
		return err_in(err, "%s", path);
	}
	return 0;
}

static void group_done(struct inventory_group *g)
{
	for (size_t i = 0; i < g->instances_n; i++) {
		free(g->instances[i].id);
		free(g->instances[i].host);
		free(g->instances[i].agent_name);
	}
	free(g->instances);
	config_list_done(&g->users);
	config_list_done(&g->orgs);
	config_list_done(&g->scopes);
	free(g->name);
}

void inventory_done(struct inventory *i)
{
	for (size_t g = 0; g < i->groups_n; g++)
		group_done(&i->groups[g]);
	free(i->groups);
	*i = (struct inventory){0};
}
