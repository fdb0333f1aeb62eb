/* pace.h - how fast one capture may go: bytes of its stream per second, and a share of one core.
 *
 * What was taken is paid for with time: n bytes with n / bytes_per_s, CPU time with CPU time / share.  A capture that is further ahead of
 * the clock than PACE_AHEAD_NS rests until the clock has caught up; time in which nothing was taken is not saved up.  So over any span
 * the ceiling is passed by PACE_AHEAD_NS and one step at the most.
 *
 * Pure: the caller says what time it is.  One look per step, never per packet. */
#ifndef PCAPLINE_COLLECTOR_PACE_H
#define PCAPLINE_COLLECTOR_PACE_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_AHEAD_NS (100 * CLOCK_NS_PER_MS)
#define PACE_RATE_MAX (UINT64_C(1) << 34) /* so that a second's worth of nanoseconds times it fits */

struct pace_limits {
	uint64_t bytes_per_s; /* at most PACE_RATE_MAX; 0: no ceiling */
	unsigned cpu_percent; /* of one core; 0: no ceiling */
};

/* A moment: what the clock says, and what has been taken until then. */
struct pace_moment {
	uint64_t now_ns; /* monotonic */
	uint64_t cpu_ns; /* of the thread; less than before (another thread goes on): counted as nothing */
	uint64_t bytes;  /* of the stream */
};

struct pace {
	struct pace_limits limits;
	struct pace_moment last;
	uint64_t bytes_paid_ns, cpu_paid_ns; /* when the clock will have caught up with either */
	bool resting;
	uint64_t rested_ns; /* in all */
};

void pace_begin(struct pace *p, const struct pace_limits *limits, const struct pace_moment *at);

/* pace_rest: until when to rest; 0: no need.  Called again at any time, also before a rest is over. */
uint64_t pace_rest(struct pace *p, const struct pace_moment *at);

bool pace_is_for_bytes(const struct pace *p); /* the rest that pace_rest told last; false: for the CPU */

/* pace_piece: how many of at most max (> 0) bytes to take in one step, so that a slow stream flows rather than jumps. */
size_t pace_piece(const struct pace *p, size_t max);

#endif
