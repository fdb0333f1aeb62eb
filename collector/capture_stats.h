/* capture_stats.h - 64-bit totals from the 32-bit counters that libpcap keeps for a handle.
 * libpcap adds up what the kernel says into an unsigned int that wraps; only differences between two readings mean anything, and
 * they are right as long as less than CAPTURE_STATS_STEP_MAX is counted between two of them (an interval is a minute at the most). */
#ifndef PCAPLINE_COLLECTOR_CAPTURE_STATS_H
#define PCAPLINE_COLLECTOR_CAPTURE_STATS_H

#include <stdbool.h>
#include <stdint.h>

/* A larger step is a counter that went back (the interface's own figures start again when its driver is reset): counted as 0. */
#define CAPTURE_STATS_STEP_MAX UINT32_C(0x7fffffff)

struct capture_counts {
	uint32_t received;          /* passed the kernel's filter, including what was then dropped (ps_recv) */
	uint32_t dropped_os;        /* of these, no room in the ring (ps_drop) */
	uint32_t dropped_interface; /* by device or driver (ps_ifdrop) */
};

struct capture_stats {
	struct capture_counts last;
	bool begun;
	uint64_t received, dropped_os, dropped_interface; /* since the first reading */
};

/* capture_stats_add: the first reading is the zero of the totals. */
void capture_stats_add(struct capture_stats *s, const struct capture_counts *now);

#endif
