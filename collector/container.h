/* container.h - a container of this cell: found by what the cell's own records say, reached, and watched until it goes.
 *
 * The records are silk's metadata store (whose it is), runc's state (its first process) and the mount of its network namespace.  A handle proves
 * nothing: without an entry in the store that names the app there is no capture, whatever else is known of the handle.
 *
 * Reached by its network namespace, when the process may enter one; else, eth0 only, by the host's end of its veth, s-AAABBBCCCDDD.  That name and
 * the address behind it are given to the next container once this one is gone: so the interface is pinned by its number, and the records are asked again
 * once the device is open (container_verify), and every second (container_look).
 *
 * Refusals (err->detail):
 *   unknown_container   404  no entry of this handle or address, or no store
 *   other_app           403  it belongs to another app
 *   other_workload      403  it is no container of an app (containers.workloads): a task, staging
 *   other_index         409  it is another instance of the app
 *   container_gone      409  the records are those of a container that has ended
 *   records_disagree    409  they contradict each other: which container it is cannot be said
 *   host_network        403  its network is the machine's own
 *   needs_entry         403  this device is seen only from inside, and the agent may not enter
 *   records_unreadable  503  the store cannot be read, or is no store; or whether the container lives cannot be seen
 *   unavailable         503  entering failed for a reason that passes: no descriptors, no memory */
#ifndef PCAPLINE_COLLECTOR_CONTAINER_H
#define PCAPLINE_COLLECTOR_CONTAINER_H

#include "collector/container_store.h"
#include "common/err.h"
#include "schema/capture_request.h"
#include "schema/config_agent.h"

#include <stdbool.h>

#define CONTAINER_LOOK_MS   1000 /* how often a capture looks whether its container is still there */
#define CONTAINER_TEXT_MAX  200
#define CONTAINER_BLIND_MAX 30 /* looks in a row that may fail because the store or the process cannot be seen */

struct container;

/* container_find: config is borrowed until container_free.  no_entry: why containers are not entered, borrowed as well; NULL: they are. */
struct container *container_find(
	const struct config_agent *config, const char *no_entry, const struct agent_target *t, struct err *err);
void container_free(struct container *c); /* accepts NULL */

const struct container_entry *container_entry(const struct container *c);

/* How to open one of its devices. */
struct container_device {
	const char *
		name; /* to open: the device's own name, or the host's end of eth0; borrowed from container or argument */
	int netns;    /* descriptor of the namespace where it is, borrowed; -1: this one */
	unsigned ifindex; /* it must have this number; 0: any */
	const char *note; /* what the reader of the file has to know; NULL: nothing */
};
int container_device(struct container *c, const char *name, struct container_device *ret, struct err *err);

/* container_opened: everything that is to be opened there is open.  A descriptor of the namespace's mount would keep Garden from taking it down. */
void container_opened(struct container *c);

/* container_verify: the records still say what they said when it was found.  To be asked between opening and joining the device. */
int container_verify(const struct container *c, struct err *err);

/* container_fd: readable once its first process has ended; borrowed; -1: that is only seen by looking. */
int container_fd(const struct container *c);

/* container_look: is it still there?  ret_text, unless it is: why not. */
enum container_look {
	CONTAINER_THERE, /* as far as can be seen */
	CONTAINER_GONE,
	CONTAINER_OTHER, /* gone, and what the host's end carries since the last look may be another container's */
};
enum container_look container_look(struct container *c, char ret_text[CONTAINER_TEXT_MAX]);

#endif
