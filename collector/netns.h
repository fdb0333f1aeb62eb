/* netns.h - work in another network namespace.
 * It is done by a thread that exists for this alone: it enters, works, and ends.  So no thread that serves anybody is ever in a wrong namespace, and there
 * is no way back that could fail.  What was opened there (sockets, libpcap handles) stays there and is used from anywhere. */
#ifndef PCAPLINE_COLLECTOR_NETNS_H
#define PCAPLINE_COLLECTOR_NETNS_H

#include "common/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Which namespace it is: what two descriptors of one namespace have in common. */
struct netns_id {
	dev_t dev;
	ino_t ino;
};

bool netns_same(const struct netns_id *a, const struct netns_id *b);

int netns_own(struct netns_id *ret, struct err *err); /* of the calling thread */

/* netns_open: a descriptor of the network namespace at path (/proc/PID/ns/net, or a mount of it).
 * -1: as open says; ERR_INPUT: what is there is no network namespace, such as the empty file that shows where the mount is not seen. */
int netns_open(const char *path, struct netns_id *ret_id, struct err *err);

/* netns_stat: the same without a descriptor: 0, or -1 with errno as stat leaves it. */
int netns_stat(const char *path, struct netns_id *ret);

/* netns_run: fn in the namespace of fd, and what it returns.  -1 when the way there failed: ERR_PERM with detail "needs_entry": we may not;
 * ERR_STATE: it is the namespace in which we are already; others, ERR_UNAVAILABLE mostly: not now, for want of memory, say. */
int netns_run(int fd, int (*fn)(void *ctx, struct err *err), void *ctx, struct err *err);

/* netns_can_enter: false: this process is not allowed to enter namespaces at all.  Tried with its own; what fails for another reason may work
 * the next time. */
bool netns_can_enter(void);

#endif
