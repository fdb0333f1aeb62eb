/* metrics.h - what the agent tells monitoring.  Any thread. */
#ifndef PCAPLINE_COLLECTOR_METRICS_H
#define PCAPLINE_COLLECTOR_METRICS_H

#include "common/err.h"
#include "common/metrics.h"
#include "schema/stop_reason.h"

struct capture_table;
struct guard;

/* A capture's stream is over; a request was refused. */
void agent_metrics_ended(enum stop_reason reason);
void agent_metrics_refused(enum err_code code);

/* agent_metrics_show: all of it, for metrics_server_options.show. */
struct agent_metrics_state {
	struct capture_table *table;
	struct guard *guard;
	uint64_t captures_max, connections;
};
void agent_metrics_show(const struct agent_metrics_state *now, struct metrics_page *p);

#endif
