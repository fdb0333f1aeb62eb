/* target.h - what a user asks to capture from, turned into instances with an agent each.  A source answers for one type of target: host (the static
 * inventory), bosh (VMs, asked of the director), cf (app instances, asked of Cloud Controller).  All of them together: targets.h. */
#ifndef PCAPLINE_GATEWAY_TARGETS_TARGET_H
#define PCAPLINE_GATEWAY_TARGETS_TARGET_H

#include "common/err.h"
#include "gateway/identity/identity.h"
#include "schema/capture_request.h"
#include "schema/scope.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TARGET_OTHERS_MAX 7

struct target_instance {
	char name[CAPTURE_NAME_MAX];
	char host[256]; /* address or DNS name of the agent; "" only with error */
	char others[TARGET_OTHERS_MAX]
		   [46]; /* further addresses of the same machine, tried in their order when host does not answer */
	size_t others_n;
	uint16_t port;
	char agent_name[256]; /* that its certificate must bear */
	struct agent_target agent;
	char device[CAPTURE_DEVICE_MAX]; /* filled by targets_resolve */
	bool follows;                    /* filled by targets_resolve: of a source whose instances come and go */
	struct err error; /* why it cannot be captured now (a stopped VM, a crashed instance); code ERR_NONE: it can */
};

struct target_set {
	struct target_instance *instances;
	size_t n;
	/* Of all of it, for the job's record and its object's key; "" : none.  GUIDs where the platform has them. */
	char org[AGENT_GUID_MAX], space[AGENT_GUID_MAX];
	char deployment[CAPTURE_NAME_MAX];
	struct scope_list scopes; /* where all of it lies, also what has no instance just now */
};

struct target_query {
	const struct identity *who; /* of the source's issuer; its token is what the platform is asked with */
	json_t *target; /* the object, "type" already seen; a source may add to it what it stands for (an app's GUID) */
	size_t max;     /* more instances than this: ERR_LIMIT */
	bool again; /* of a running capture: named instances that are not there (any more) are no error, just not in the answer */
};

struct target_source;
struct target_source_ops {
	/* Resolves a target for its user, who may capture all of what comes back.  Errors speak of "target", field names begin with it.
	 *   ERR_INPUT       malformed
	 *   ERR_NOT_FOUND   not there or not visible, without telling which
	 *   ERR_PERM        visible, but no right to capture it; detail "switched_off": nobody may
	 *   ERR_AUTH        the platform does not take the token
	 *   ERR_STATE       nothing of it runs
	 *   ERR_LIMIT       more than max
	 *   ERR_NET, ERR_TIMEOUT, ERR_UNAVAILABLE, ERR_BUSY  the platform did not answer, not properly, or wants to be left alone for now
	 * An instance that cannot be captured now comes back with its error. */
	int (*resolve)(struct target_source *s, const struct target_query *q, struct target_set *ret, struct err *err);
	/* May this user capture in this space (its GUID), and where does it lie?  Errors as of resolve, they speak of "space".  NULL: it knows no spaces. */
	int (*space)(struct target_source *s, const struct identity *who, const char *guid, struct scope *ret,
		struct err *err);
	/* Ends of agents' listeners that this source knows of, to keep the platform's own streams out of captures; at most max.  NULL: it knows none. */
	size_t (*agents)(struct target_source *s, struct capture_exclude *ret, size_t max);
	/* Tells each agent that this source knows of without asking anybody, once or more; tell must not call back.  NULL: it knows none. */
	void (*each_agent)(struct target_source *s,
		void (*tell)(void *ctx, const char *host, uint16_t port, const char *agent_name), void *ctx);
	/* Is there a group of this name, as far as this source knows without asking anybody?  NULL: it does not know. */
	bool (*has_group)(struct target_source *s, const char *name);
	/* Reads its file again; on failure what it said stays.  NULL: there is none. */
	int (*reload)(struct target_source *s, struct err *err);
	void (*free)(struct target_source *s);
};
struct target_source {
	const struct target_source_ops *ops;
	const char *type;   /* "host", "bosh", "cf" */
	const char *issuer; /* whose people it knows; NULL: anybody's */
	bool follows;       /* running captures take in instances that come, and let go those that leave */
};

/* Are they the same, on the same machine?  A container is known by its handle, whatever its app is called now. */
bool target_instance_is(const struct target_instance *a, const struct target_instance *b);

/* target_set_add: a copy of i.  ERR_LIMIT (too_many_instances) when there are max already.  One of the same name and container is taken once. */
int target_set_add(struct target_set *t, const struct target_instance *i, size_t max, struct err *err);
void target_set_done(struct target_set *t);

/* The static inventory; default_agent_name copied.  path "": an empty one. */
struct target_source *target_host_new(const char *path, const char *default_agent_name, struct err *err);

#endif
