#include "collector/shed.h"

#include <stdio.h>
#include <string.h>

bool shed_is_new(const struct shed *s, const char *why)
{
	return !s->held || strcmp(s->note.why, why) != 0;
}

bool shed_begin(struct shed *s, const char *why, bool loud, uint64_t wall_ns)
{
	if (!shed_is_new(s, why))
		return false;
	snprintf(s->note.why, sizeof(s->note.why), "%s", why);
	s->note.from_ns = wall_ns;
	s->note.to_ns = 0;
	s->held = s->ever = true;
	s->loud = loud;
	s->told = false;
	return loud;
}

bool shed_over(struct shed *s, uint64_t wall_ns)
{
	const bool tell = s->told;

	if (!s->held)
		return false;
	s->held = false;
	s->note.to_ns = wall_ns;
	/* What nobody has heard of and cost nothing need not be told at all. */
	s->told = !tell;
	return tell && s->loud;
}

void shed_count(struct shed *s, uint64_t dropped)
{
	if (s->held)
		s->note.packets += dropped;
}

bool shed_is_untold(const struct shed *s)
{
	if (!s->ever)
		return false;
	return s->note.packets != s->told_lost || (!s->told && (s->loud || !s->held));
}

const char *shed_tell(struct shed *s, char ret[SHED_NOTE_MAX])
{
	if (!shed_is_untold(s))
		return NULL;
	s->told = true;
	s->told_lost = s->note.packets;
	return shed_note_format(&s->note, ret);
}
