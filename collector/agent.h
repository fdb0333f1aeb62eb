/* agent.h - the agent's HTTP API (schema/capture_request.h) and the table of running captures.
 * Life: agent_start, then requests come in on the server's threads; agent_stop once, from the thread that started it. */
#ifndef PCAPLINE_COLLECTOR_AGENT_H
#define PCAPLINE_COLLECTOR_AGENT_H

#include "common/err.h"
#include "common/tls_files.h"
#include "schema/config_agent.h"

#include <stdbool.h>
#include <stdint.h>

/* Running captures get so long to send what the kernel holds when the agent ends. */
#define AGENT_STOP_MS 5000

struct agent;

/* agent_see_processes: in a process namespace of its own /proc shows others than runc names: then containers.proc becomes "".  Before privileges go. */
void agent_see_processes(struct config_agent *config);

/* config, tls and metrics_tls (of the listener that monitoring asks; may be empty) are borrowed until agent_stop has returned.  Comes after the privileges were dropped: whether containers can be entered is
 * tried here, and logged (agent.containers) when they are offered. */
struct agent *agent_start(const struct config_agent *config, const struct tls_files *tls,
	const struct tls_files *metrics_tls, struct err *err);
uint16_t agent_port(const struct agent *a);

/* agent_stop: no new captures; the running ones end gracefully as agent_shutdown, within AGENT_STOP_MS; frees.  false: a thread did
 * not come back in time, nothing was freed, and the process had better end at once. */
bool agent_stop(struct agent *a);

#endif
