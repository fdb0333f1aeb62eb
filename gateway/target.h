/* target.h - what a user asks to capture from, turned into instances with an agent each.  A source answers for one or more target types; the static
 * inventory is the first one. */
#ifndef PCAPLINE_GATEWAY_TARGET_H
#define PCAPLINE_GATEWAY_TARGET_H

#include "common/err.h"
#include "gateway/identity.h"
#include "schema/capture_request.h"

#include <jansson.h>
#include <stddef.h>

struct target_instance {
	char name[CAPTURE_NAME_MAX];
	char host[256]; /* address or DNS name of the agent */
	uint16_t port;
	char agent_name[256]; /* that its certificate must bear */
};

struct target_set {
	struct target_instance *instances;
	size_t n;
};

struct target_source;
struct target_source_ops {
	/* Resolves target (the JSON object, "type" already seen) for this user.  ERR_INPUT: malformed; ERR_NOT_FOUND: not there or not visible; ERR_PERM;
	 * ERR_NET: a platform service failed.  At most max instances, else ERR_LIMIT. */
	int (*resolve)(struct target_source *s, const struct identity *who, json_t *target, size_t max,
		struct target_set *ret, struct err *err);
	/* Ends of agents' listeners that this source knows of, to keep the platform's own streams out of captures; at most max. */
	size_t (*agents)(struct target_source *s, struct capture_exclude *ret, size_t max);
	void (*free)(struct target_source *s);
};
struct target_source {
	const struct target_source_ops *ops;
	const char *type; /* "host" */
};

void target_set_done(struct target_set *t);

/* The static inventory; default_agent_name copied.  path "": an empty one. */
struct target_source *target_host_new(const char *path, const char *default_agent_name, struct err *err);

/* Reads the file again; on failure the old list stays. */
int target_host_reload(struct target_source *s, struct err *err);

#endif
