/* segment.h - a run of whole pcapng blocks (or pcap records) on its way from an agent's reader to the sinks; shared by reference, so that a
 * block is copied once when it comes in and once when it goes out.
 * Life: segment_new, segment_room/len by its one owner, then segment_ref/unref; nobody writes once it is shared. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_SEGMENT_H
#define PCAPLINE_GATEWAY_CAPTURE_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment {
	atomic_uint refs;
	struct segment *next; /* in the merge queue that holds it */
	uint64_t arrived_ns;  /* monotonic; set by merge_push */
	size_t len, cap;
	uint8_t *data;
};

struct segment *segment_new(size_t cap); /* NULL: no memory */

/* segment_room: a place for n more bytes at data+len (the owner then adds to len); NULL: no memory. */
uint8_t *segment_room(struct segment *s, size_t n);

/* segment_trim: gives back what it did not need, before it is shared: many small ones may wait in a backlog that counts their bytes. */
void segment_trim(struct segment *s);

struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s); /* accepts NULL */

/* The fields at the same place in enhanced packet and interface statistics blocks (pcapng draft, figures of both), in host order. */
struct block_view {
	uint32_t type, len, interface_id, caplen;
	uint64_t ts_ns;
};

/* block_at: the block at p, of which left bytes are there; only for blocks that our own writer made. */
struct block_view block_at(const uint8_t *p);

#endif
