/* guard.h - the agent guards its host: what all captures together may take, and less of it while the host is under pressure.
 *
 * A thread looks every guard.interval at the host (guard_host.h), finds the level (guard_level.h) and narrows the captures' common pace
 * (pace_pool.h).  Captures rest then instead of reading; what the kernel drops meanwhile is counted as shed (shed.h).
 *
 * Why resting, and no filter that refuses all, no leaving of the device: measured on two cores with a sender at full rate (900 kpps) and with bulk TCP,
 * a full ring that nobody reads, a filter that refuses everything and a socket that has left the device cost the traffic the same - nothing that stands
 * out of the noise of 5 %, while reading costs it 12 to 20 %: a full ring is found to be full before anything is copied.  But only the full ring
 * counts what it drops, to the packet.
 *
 * The same thread watches the captures: one that is at work and makes no turn for guard.watchdog is cut (its connection is shut down); when
 * it is still there that long after the cut, on_hung is called: a thread that is stuck in the kernel cannot be ended alone.
 *
 * Life: guard_start, then captures come and go; guard_watch once there is a table of them; guard_stop when none is left.  Any thread. */
#ifndef PCAPLINE_COLLECTOR_GUARD_H
#define PCAPLINE_COLLECTOR_GUARD_H

#include "collector/guard_level.h"
#include "collector/pace.h"
#include "common/err.h"
#include "schema/config_agent.h"

#include <jansson.h>

struct capture_table;
struct guard;

/* Who is told of a capture that cannot even be cut.  From the guard's thread; it need not return. */
typedef void (*guard_hung_fn)(void *ctx, const char *capture_id);

/* guard_start: looks once before it returns.  paths NULL: the system's.  config is borrowed until guard_stop. */
struct guard *guard_start(const struct config_agent *config, const struct guard_paths *paths, struct err *err);
void guard_watch(struct guard *g, struct capture_table *table, guard_hung_fn on_hung, void *ctx);
void guard_stop(struct guard *g); /* accepts NULL; the table may be gone afterwards */

/* guard_admit: room for one more capture, which guard_release gives back.  -1: ERR_UNAVAILABLE host_busy (the host is under pressure, or a ring would
 * leave it less memory than guard.memory_free), ERR_BUSY agent_memory (limits.memory). */
int guard_admit(struct guard *g, struct err *err);
void guard_release(struct guard *g);

/* guard_rest, guard_piece: as in pace_pool.h.  ret_why, without a rest untouched: words for shed.h; ret_host: it is for the host's sake. */
uint64_t guard_rest(
	struct guard *g, struct pace_moment *last, const struct pace_moment *at, const char **ret_why, bool *ret_host);
size_t guard_piece(struct guard *g, size_t max);

void guard_count_shed(struct guard *g, uint64_t packets); /* so many more were shed, by any capture */

struct guard_snapshot {
	enum guard_level level;
	enum guard_cause cause;
	uint64_t since_ns; /* wall: when the level became this */
	struct guard_figures figures;
	uint64_t own_bytes;   /* anonymous memory and rings */
	uint64_t bytes_per_s; /* of all streams, over the last span */
	uint64_t changes;     /* of the level */
	uint64_t shed;        /* packets, ever */
	uint64_t refused;     /* captures */
	uint64_t cut;         /* captures that hung */
};
void guard_snapshot(struct guard *g, struct guard_snapshot *ret);
json_t *guard_json(struct guard *g); /* for GET /v1/info; new reference; NULL: no memory */

#endif
