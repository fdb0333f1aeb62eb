/* scope.h - where on the platform a capture's traffic belongs: what switches, limits, kill, purge and the audit trail go by.
 * A capture has one scope for each app, instance group or inventory group that it takes from. */
#ifndef PCAPLINE_SCHEMA_SCOPE_H
#define PCAPLINE_SCHEMA_SCOPE_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum scope_kind { SCOPE_PLATFORM, SCOPE_ORG, SCOPE_SPACE, SCOPE_APP, SCOPE_DEPLOYMENT, SCOPE_GROUP };
#define SCOPE_KINDS_N 6

#define SCOPE_NAME_MAX  256
#define SCOPE_GROUP_MAX 512

/* "" : it lies in none.  org, space and app are GUIDs where the platform has them. */
struct scope {
	char org[SCOPE_NAME_MAX], space[SCOPE_NAME_MAX], app[SCOPE_NAME_MAX];
	char deployment[SCOPE_NAME_MAX];
	char group[SCOPE_GROUP_MAX]; /* "router" of deployment "cf": "cf/router"; a group of the inventory: "web" */
};

struct scope_list {
	struct scope *items;
	size_t n;
};

/* scope_list_add: a copy of s, once. */
int scope_list_add(struct scope_list *l, const struct scope *s, struct err *err);
int scope_list_copy(const struct scope_list *from, struct scope_list *ret, struct err *err);
void scope_list_done(struct scope_list *l);

/* scope_list_has: does any lie in this one?  Of SCOPE_PLATFORM all do. */
bool scope_list_has(const struct scope_list *l, enum scope_kind kind, const char *id);

/* scope_id: what s lies in, of that kind; "" : none, and the id of SCOPE_PLATFORM. */
const char *scope_id(const struct scope *s, enum scope_kind kind);

const char *scope_kind_name(enum scope_kind kind); /* "platform", "org", "space", "app", "deployment", "group" */
bool scope_kind_parse(const char *name, enum scope_kind *ret);

/* scope_list_to_json: a new list of objects with what is not empty; NULL: no memory. */
json_t *scope_list_to_json(const struct scope_list *l);

#endif
