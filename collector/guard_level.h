/* guard_level.h - from how the host is to how much captures hold back.
 *
 * Each figure has a threshold; at it, at twice and at four times it the level is 1, 2 and 3 (free memory: at the threshold, a half and a quarter of it).
 * The worst figure counts.  Up goes at once, as far as it takes; down goes one level after GUARD_CALM_LOOKS looks in a row at which even
 * figures a quarter higher would have allowed it, so that captures do not flap with what they themselves take off the host.
 *
 *   level      captures
 *   CALM       as their own ceilings let them
 *   EASED      together a quarter of limits.cpu_total (without one: of a core), and of limits.rate_total where there is one
 *   NARROWED   a sixteenth
 *   SHEDDING   nothing is read: rings fill, and then the kernel drops and counts; new captures are refused
 *
 * Pure. */
#ifndef PCAPLINE_COLLECTOR_GUARD_LEVEL_H
#define PCAPLINE_COLLECTOR_GUARD_LEVEL_H

#include "collector/guard_host.h"

#define GUARD_CALM_LOOKS 5

enum guard_level { GUARD_CALM, GUARD_EASED, GUARD_NARROWED, GUARD_SHEDDING };
enum guard_cause { GUARD_BY_NOTHING, GUARD_BY_CPU, GUARD_BY_MEMORY, GUARD_BY_IO, GUARD_BY_LOAD, GUARD_BY_FREE };

/* 0: not looked at. */
struct guard_thresholds {
	uint64_t cpu_percent, memory_percent, io_percent;
	uint64_t load; /* per core */
	uint64_t free_bytes;
};

struct guard_state {
	enum guard_level level;
	enum guard_cause cause; /* of this level; GUARD_BY_NOTHING when calm */
	unsigned calm_looks;
};

/* guard_state_step: true: the level is another one now. */
bool guard_state_step(struct guard_state *s, const struct guard_thresholds *t, const struct guard_figures *f);

const char *guard_level_name(enum guard_level l); /* "calm", "eased", "narrowed", "shedding" */
const char *guard_cause_text(enum guard_cause c); /* "host under memory pressure"; "" : nothing */

#endif
