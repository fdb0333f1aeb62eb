#include "schema/shed_note.h"

#include "common/clock.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NOTE_BEGIN "shed by the agent: "
#define SINCE      "since "

char *shed_note_format(const struct shed_note *n, char ret[SHED_NOTE_MAX])
{
	char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX];

	clock_rfc3339(n->from_ns, from);
	clock_rfc3339(n->to_ns, to);
	snprintf(ret, SHED_NOTE_MAX, NOTE_BEGIN "%" PRIu64 " packets; %s, %s%s%s%s", n->packets, n->why,
		n->to_ns ? "" : SINCE, from, n->to_ns ? " to " : "", to);
	return ret;
}

/* Moves *s behind the next `end`, and what stood before it into ret; false: there is none, or too much before it. */
static bool take(const char **s, const char *end, char *ret, size_t size)
{
	const char *at = strstr(*s, end);
	size_t n = at ? (size_t)(at - *s) : 0;

	if (!at || n >= size)
		return false;
	memcpy(ret, *s, n);
	ret[n] = '\0';
	*s = at + strlen(end);
	return true;
}

static bool read_span(const char *s, struct shed_note *n)
{
	char from[CLOCK_TEXT_MAX];

	if (strncmp(s, SINCE, strlen(SINCE)) == 0)
		return clock_parse_rfc3339(s + strlen(SINCE), &n->from_ns, NULL) == 0;
	return take(&s, " to ", from, sizeof(from)) && clock_parse_rfc3339(from, &n->from_ns, NULL) == 0 &&
	       clock_parse_rfc3339(s, &n->to_ns, NULL) == 0 && n->to_ns > 0;
}

bool shed_note_parse(const char *comment, struct shed_note *ret)
{
	struct shed_note n = {0};
	char packets[24];

	if (!comment || strncmp(comment, NOTE_BEGIN, strlen(NOTE_BEGIN)) != 0)
		return false;
	comment += strlen(NOTE_BEGIN);
	if (!take(&comment, " packets; ", packets, sizeof(packets)) ||
		parse_u64(packets, 0, UINT64_MAX, &n.packets, NULL) < 0 ||
		!take(&comment, ", ", n.why, sizeof(n.why)) || !n.why[0] || !read_span(comment, &n))
		return false;
	*ret = n;
	return true;
}
