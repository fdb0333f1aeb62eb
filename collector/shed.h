/* shed.h - what one capture has shed on purpose.
 *
 * Who rests leaves the ring alone: it fills, and the kernel drops and counts.  From the beginning of a rest until the ring has been found empty
 * again (a span) whatever the kernel drops was dropped because we rested, and counts as shed; outside of a span it was a slow gateway or a
 * small ring.  So each drop is counted once, here or as the kernel's, to the packet.
 *
 * Pure: the caller reads the kernel's counters (shed_count) right before shed_begin and shed_over, and says what time it is. */
#ifndef PCAPLINE_COLLECTOR_SHED_H
#define PCAPLINE_COLLECTOR_SHED_H

#include "schema/shed_note.h"

#include <stdbool.h>
#include <stdint.h>

struct shed {
	struct shed_note note; /* the latest span */
	bool held;             /* a span goes on */
	bool ever;
	bool loud;          /* it is for the host's sake: told also before a packet was lost */
	bool told;          /* the latest span is in the stream as it stands */
	uint64_t told_lost; /* packets at that time */
};

/* shed_begin: a rest, for this reason; within a span for the same reason nothing happens.  true: a loud span has begun, tell it soon. */
bool shed_begin(struct shed *s, const char *why, bool loud, uint64_t wall_ns);
bool shed_is_new(const struct shed *s, const char *why); /* would shed_begin begin a span? */

/* shed_over: the ring was empty.  true: a loud span that was told is over, tell it soon. */
bool shed_over(struct shed *s, uint64_t wall_ns);

void shed_count(struct shed *s, uint64_t dropped); /* so many more were dropped by the kernel since the last call */

bool shed_is_untold(const struct shed *s); /* would shed_tell tell? */

/* shed_tell: the comment for the next statistics; NULL: nothing new. */
const char *shed_tell(struct shed *s, char ret[SHED_NOTE_MAX]);

#endif
