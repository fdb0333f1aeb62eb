#include "collector/capture_stats.h"

static uint32_t step(uint32_t from, uint32_t to)
{
	uint32_t d = to - from;

	return d <= CAPTURE_STATS_STEP_MAX ? d : 0;
}

void capture_stats_add(struct capture_stats *s, const struct capture_counts *now)
{
	if (s->begun) {
		s->received += step(s->last.received, now->received);
		s->dropped_os += step(s->last.dropped_os, now->dropped_os);
		s->dropped_interface += step(s->last.dropped_interface, now->dropped_interface);
	}
	s->begun = true;
	s->last = *now;
}
