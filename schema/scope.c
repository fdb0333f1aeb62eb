/* scope.c - see scope.h. */
#include "schema/scope.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[SCOPE_KINDS_N] = {
	[SCOPE_PLATFORM] = "platform",
	[SCOPE_ORG] = "org",
	[SCOPE_SPACE] = "space",
	[SCOPE_APP] = "app",
	[SCOPE_DEPLOYMENT] = "deployment",
	[SCOPE_GROUP] = "group",
};

static bool is_same(const struct scope *a, const struct scope *b)
{
	for (unsigned k = 0; k < SCOPE_KINDS_N; k++) {
		if (strcmp(scope_id(a, (enum scope_kind)k), scope_id(b, (enum scope_kind)k)) != 0)
			return false;
	}
	return true;
}

int scope_list_add(struct scope_list *l, const struct scope *s, struct err *err)
{
	struct scope *more;

	for (size_t n = 0; n < l->n; n++) {
		if (is_same(&l->items[n], s))
			return 0;
	}
	if (!(more = realloc(l->items, (l->n + 1) * sizeof(*more))))
		return err_nomem(err);
	l->items = more;
	l->items[l->n++] = *s;
	return 0;
}

int scope_list_copy(const struct scope_list *from, struct scope_list *ret, struct err *err)
{
	*ret = (struct scope_list){0};
	for (size_t n = 0; n < from->n; n++) {
		if (scope_list_add(ret, &from->items[n], err) < 0) {
			scope_list_done(ret);
			return -1;
		}
	}
	return 0;
}

void scope_list_done(struct scope_list *l)
{
	free(l->items);
	*l = (struct scope_list){0};
}

bool scope_list_has(const struct scope_list *l, enum scope_kind kind, const char *id)
{
	if (kind == SCOPE_PLATFORM)
		return true;
	for (size_t n = 0; n < l->n; n++) {
		if (strcmp(scope_id(&l->items[n], kind), id) == 0)
			return true;
	}
	return false;
}

const char *scope_id(const struct scope *s, enum scope_kind kind)
{
	switch (kind) {
	case SCOPE_PLATFORM:
		break;
	case SCOPE_ORG:
		return s->org;
	case SCOPE_SPACE:
		return s->space;
	case SCOPE_APP:
		return s->app;
	case SCOPE_DEPLOYMENT:
		return s->deployment;
	case SCOPE_GROUP:
		return s->group;
	}
	return "";
}

const char *scope_kind_name(enum scope_kind kind)
{
	return (unsigned)kind < SCOPE_KINDS_N ? kinds[kind] : "";
}

bool scope_kind_parse(const char *name, enum scope_kind *ret)
{
	for (unsigned k = 0; k < SCOPE_KINDS_N; k++) {
		if (strcmp(kinds[k], name) == 0) {
			*ret = (enum scope_kind)k;
			return true;
		}
	}
	return false;
}

static json_t *scope_json(const struct scope *s)
{
	json_t *o = json_object();

	for (unsigned k = SCOPE_ORG; o && k < SCOPE_KINDS_N; k++) {
		const char *id = scope_id(s, (enum scope_kind)k);

		if (*id && json_object_set_new(o, kinds[k], json_string(id)) < 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

json_t *scope_list_to_json(const struct scope_list *l)
{
	json_t *list = json_array();

	for (size_t n = 0; list && n < l->n; n++) {
		if (json_array_append_new(list, scope_json(&l->items[n])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
