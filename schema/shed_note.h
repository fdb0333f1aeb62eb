/* shed_note.h - the comment by which an agent tells, in its statistics blocks, what it has shed on purpose: packets that its kernel dropped
 * because it rested, for its host's sake or at a ceiling.  They are not in isb_osdrop; isb_filteraccept holds them.
 *   "shed by the agent: 1234 packets; host under memory pressure, since 2026-01-05T10:00:03.120Z"
 *   "shed by the agent: 1300 packets; host under memory pressure, 2026-01-05T10:00:03.120Z to 2026-01-05T10:00:09.000Z" */
#ifndef PCAPLINE_SCHEMA_SHED_NOTE_H
#define PCAPLINE_SCHEMA_SHED_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#define SHED_WHY_MAX  64
#define SHED_NOTE_MAX 256

struct shed_note {
	uint64_t packets;        /* since the capture's start, in this and all earlier spans */
	char why[SHED_WHY_MAX];  /* of the latest span; no comma in it */
	uint64_t from_ns, to_ns; /* the latest span, wall; to_ns 0: it goes on.  Read back in milliseconds */
};

/* shed_note_format: returns ret. */
char *shed_note_format(const struct shed_note *n, char ret[SHED_NOTE_MAX]);

/* shed_note_parse: reads it back; false: not such a comment (or NULL), and nothing is written. */
bool shed_note_parse(const char *comment, struct shed_note *ret);

#endif
