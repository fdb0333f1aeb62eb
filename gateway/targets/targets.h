/* targets.h - all target sources of this gateway: which types it offers, and what a start's list of targets stands for. */
#ifndef PCAPLINE_GATEWAY_TARGETS_TARGETS_H
#define PCAPLINE_GATEWAY_TARGETS_TARGETS_H

#include "gateway/targets/target.h"
#include "schema/config_gateway.h"

#define TARGETS_MAX         20 /* in one start */
#define TARGETS_PEOPLE_MAX  2  /* tokens in one request */
#define TARGETS_SOURCES_MAX 3

struct targets;

/* Those that the configuration asks for. */
struct targets *targets_new(const struct config_gateway *c, struct err *err);

/* Of these n sources, at most TARGETS_SOURCES_MAX, which it takes over. NULL: no memory, and they are freed. */
struct targets *targets_of(struct target_source *const *sources, size_t n);
void targets_free(struct targets *t);
int targets_reload(struct targets *t, struct err *err);

/* targets_check_issuers: is the issuer of each source among these logins (as identity_source_ops.tell_login makes them)?  Else nobody could capture there. */
int targets_check_issuers(const struct targets *t, json_t *logins, struct err *err);

/* targets_types: a new list of the types offered. */
json_t *targets_types(const struct targets *t);

/* Whose tokens came with a request: the first is the caller, a second one is for a platform with an issuer of its own. */
struct people {
	struct identity who[TARGETS_PEOPLE_MAX];
	size_t n;
};

void people_done(struct people *p);

struct targets_query {
	const struct people *people;
	json_t *targets;                       /* one object, or a list of them */
	const struct capture_options *options; /* each instance is there once for each of its devices */
	size_t max;                            /* instances, each counted once for each device */
	bool again; /* as target_query.again; then an answer without any instance is good too */
};

/* targets_resolve: as target_source_ops.resolve.  An error's field begins with "target", or with "targets[1]" where a list came.  When no instance at all can be
 * captured the first one's error comes back. */
int targets_resolve(struct targets *t, const struct targets_query *q, struct target_set *ret, struct err *err);

/* targets_person: whose token a target is asked for with, by number; -1: nobody's, or the type is not known. */
int targets_person(const struct targets *t, const struct people *p, json_t *target);

/* targets_space: may they capture in this space?  As target_source_ops.space of the source that knows spaces; ERR_NOT_FOUND: none does. */
int targets_space(struct targets *t, const struct people *people, const char *guid, struct scope *ret, struct err *err);

/* targets_follow: is any of these targets (as in targets_query) of a source whose instances come and go? */
bool targets_follow(const struct targets *t, json_t *targets);

/* targets_agents: as target_source_ops.agents, of all sources. */
size_t targets_agents(struct targets *t, struct capture_exclude *ret, size_t max);

/* targets_has_group: as target_source_ops.has_group, of any source that knows. */
bool targets_has_group(struct targets *t, const char *name);

/* targets_each_agent: as target_source_ops.each_agent, of all sources. */
void targets_each_agent(
	struct targets *t, void (*tell)(void *ctx, const char *host, uint16_t port, const char *agent_name), void *ctx);

#endif
