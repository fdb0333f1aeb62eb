/* own_ends.h - the ends of the platform's own connections, which no capture may show: else a capture of `any` feeds itself (the agent on the
 * gateway's own machine sees the streams that it makes). */
#ifndef PCAPLINE_GATEWAY_OWN_ENDS_H
#define PCAPLINE_GATEWAY_OWN_ENDS_H

#include "gateway/target.h"
#include "schema/capture_request.h"

#include <stddef.h>
#include <stdint.h>

struct own_ends {
	struct capture_exclude ends[CAPTURE_EXCLUDES_MAX];
	size_t n;
};

/* own_ends_collect: by importance, as far as there is room: the listener (local is its end of the connection that asks; when it listens on all
 * addresses, each of this machine), the agents of this capture, the other agents that the source knows. */
void own_ends_collect(const char *listen_address, const char *local, uint16_t port, const struct target_set *targets,
	struct target_source *source, struct own_ends *ret);

#endif
