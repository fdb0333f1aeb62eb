/* agent_devices.h - which network devices an instance has: its agent is asked. */
#ifndef PCAPLINE_GATEWAY_TARGETS_AGENT_DEVICES_H
#define PCAPLINE_GATEWAY_TARGETS_AGENT_DEVICES_H

#include "common/err.h"
#include "gateway/gateway.h"
#include "gateway/targets/target.h"

#include <jansson.h>

/* agent_devices: a new list of {"name","up","loopback","addresses":[text],"description"} as the agent says, checked; at most 1024.  Blocks for agents.connect_timeout and
 * agents.start_timeout at most, once for each address of the instance.  NULL: the agent's refusal in its own words, or ERR_NET, ERR_TIMEOUT with the agent named. */
json_t *agent_devices(const struct gateway *gw, const struct target_instance *i, struct err *err);

#endif
