/* frame.h - where one block of a stream ends and the next begins, for both formats that a job can have: pcapng (blocks) and classic pcap with
 * nanoseconds (a header, then records).  Looks at lengths and at what ties blocks together, never at options or packets.
 *
 * The spool keeps whole units only; after a crash this decides how far the bytes can be believed.  Only this host's byte order is known: whatever
 * else stands in a spool, no process of ours wrote it. */
#ifndef PCAPLINE_UPLOADER_SPOOL_FRAME_H
#define PCAPLINE_UPLOADER_SPOOL_FRAME_H

#include "schema/pcapng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_UNIT_BYTES_MAX PCAPNG_BLOCK_BYTES_MAX /* of one block or record */

enum frame_format { FRAME_NOTHING, FRAME_PCAPNG, FRAME_PCAP };

/* Zero-initialised: before the first byte.  May be copied. */
struct frame {
	enum frame_format format;
	uint32_t interfaces; /* described so far in the pcapng section */
	bool bad;            /* something that is no unit came: nothing after it counts */
};

/* frame_walk: how many of the n bytes at p, which follow those given before, are whole units.  Less than n with !bad: the rest is
 * the beginning of a unit. */
size_t frame_walk(struct frame *f, const uint8_t *p, size_t n);

const char *frame_format_name(enum frame_format f);
bool frame_format_parse(const char *name, enum frame_format *ret);

#endif
