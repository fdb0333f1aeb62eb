/* priority.h - the agent steps back behind the workload: nice, ionice, OOM score.  None of it needs a privilege, for it only ever lowers.
 * Threads started later inherit it, so it comes first; and before privileges_drop, which gives the process's own files in /proc to root. */
#ifndef PCAPLINE_COLLECTOR_PRIORITY_H
#define PCAPLINE_COLLECTOR_PRIORITY_H

#include "common/err.h"
#include "schema/config_agent.h"

/* Each: whoever started us with a lower one stays there.  -1 with err naming the key; the agent works without it. */
int priority_nice(const struct config_agent *config, struct err *err);
int priority_io(const struct config_agent *config, struct err *err);
int priority_oom(const struct config_agent *config, struct err *err);

#endif
