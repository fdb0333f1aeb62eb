/* privileges.h - down to what a capture needs: CAP_NET_RAW, and what entering containers needs when they are offered.
 * Capabilities belong to threads, so this comes before the first thread is started; threads started later inherit the result. */
#ifndef PCAPLINE_COLLECTOR_PRIVILEGES_H
#define PCAPLINE_COLLECTOR_PRIVILEGES_H

#include "common/err.h"
#include "schema/config_agent.h"

#include <stdbool.h>
#include <stddef.h>

struct privileges_options {
	const char *run_as; /* user to become, with its groups; "" : stay who we are.  Needs root */
	bool low_port;      /* also keep CAP_NET_BIND_SERVICE, when we have it: the port is below 1024 */
	/* Also keep, as far as we have them: */
	bool containers; /* CAP_DAC_READ_SEARCH: the metadata store is vcap's, states and mounts are root's */
	bool enter;      /* CAP_SYS_ADMIN: setns */
	bool processes;  /* CAP_SYS_PTRACE: /proc/PID/ns of others */
};

/* privileges_wanted: what this configuration takes; run_as is borrowed from it. */
struct privileges_options privileges_wanted(const struct config_agent *config);

/* privileges_drop: permitted and effective set become {CAP_NET_RAW} (and what the options say), inheritable, ambient and, as far as allowed, bounding
 * set empty; no new privileges by exec; no core files; memory not readable for other processes of the user.
 * -1: ERR_PERM naming the capability that is missing, or the step that failed.  Then the process is to end: it may be half way down. */
int privileges_drop(const struct privileges_options *o, struct err *err);

/* privileges_missing: of those that containers, enter and processes want kept, the ones that this process does not have,
 * "CAP_SYS_ADMIN, CAP_SYS_PTRACE", "" : none; into ret.  Returns ret. */
char *privileges_missing(const struct privileges_options *o, char *ret, size_t size);

/* privileges_text: the effective capabilities, "net_raw, net_bind_service" or "none", into ret.  Returns ret. */
char *privileges_text(char *ret, size_t size);

#endif
