/* fetch_ranges.h - the window of a download over several connections: the bytes [from, end) are cut into segments, which are
 * handed out in their order, filled in any order, and passed on in their order again.  No more than slots_n segments are under way or
 * waiting at a time, each in memory of its own: that bounds the memory, whatever comes in whatever order.
 *
 * Plain data without a lock: the caller has one.  Only the bytes of a segment that has been taken may be written without it, by
 * whom it was given to, behind those that ranges_got has told of. */
#ifndef PCAPLINE_CLI_FETCH_FETCH_RANGES_H
#define PCAPLINE_CLI_FETCH_FETCH_RANGES_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANGES_SLOTS_MAX 16u

struct ranges_segment {
	uint64_t from; /* its first byte */
	size_t bytes;  /* all of it; 0: a free slot */
	size_t got;    /* there, from its beginning on */
	size_t passed; /* of those, passed on */
	uint8_t *data; /* segment_bytes of memory, kept for the slot's next segment; NULL: never used */
};

struct ranges {
	uint64_t next;    /* first byte that was not handed out */
	uint64_t written; /* first byte that was not passed on */
	uint64_t end;
	size_t segment_bytes;
	unsigned slots_n, head; /* slots[head] begins the window */
	struct ranges_segment slots[RANGES_SLOTS_MAX];
};

/* ranges_init: from <= end, segment_bytes > 0, slots_n 1..RANGES_SLOTS_MAX.  Memory is taken as segments are.  ranges_done frees it. */
void ranges_init(struct ranges *r, uint64_t from, uint64_t end, size_t segment_bytes, unsigned slots_n);
void ranges_done(struct ranges *r);

/* ranges_take: 1 and the next segment, 0 when the window is full or all are handed out, -1 with err (ERR_NOMEM). */
int ranges_take(struct ranges *r, struct ranges_segment **ret, struct err *err);
bool ranges_all_taken(const struct ranges *r);
uint64_t ranges_left(const struct ranges *r); /* segments that were not handed out yet */

/* ranges_got: n more bytes of s are there; no more than it lacks. */
void ranges_got(struct ranges_segment *s, size_t n);

/* ranges_head: what can be passed on now: 0 or more bytes at *ret, which stay there until ranges_pass says that they are passed on (n of
 * them, from the first; none stands for "not yet").  The last byte of a segment passed on frees its slot. */
size_t ranges_head(const struct ranges *r, const uint8_t **ret);
void ranges_pass(struct ranges *r, size_t n);
bool ranges_is_head(const struct ranges *r, const struct ranges_segment *s);
bool ranges_is_over(const struct ranges *r); /* all has been passed on */

#endif
