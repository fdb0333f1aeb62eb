/* own_ends.h - the ends of the platform's own connections, which no capture may show: else a capture of `any` feeds itself (the agent on the
 * gateway's own machine sees the streams that it makes). */
#ifndef PCAPLINE_GATEWAY_CAPTURE_OWN_ENDS_H
#define PCAPLINE_GATEWAY_CAPTURE_OWN_ENDS_H

#include "gateway/targets/targets.h"
#include "schema/capture_request.h"
#include "schema/config_gateway.h"

#include <stddef.h>
#include <stdint.h>

struct own_ends {
	struct capture_exclude ends[CAPTURE_EXCLUDES_MAX];
	size_t n;
};

/* own_ends_collect: by importance, as far as there is room: the listener (local and port are its end of the connection that asks; when it listens on all
 * addresses, each of this machine), the ports that our own connections leave from (to agents, and to the store: what it is sent would be captured and sent again), the
 * agents of this capture, the other agents that the sources know. */
void own_ends_collect(const struct config_gateway *c, const char *local, uint16_t port,
	const struct target_set *captured, struct targets *all, struct own_ends *ret);

#endif
