/* segment_rig.h - for the unit tests of the gateway: segments of numbered packets, and what a stream of them holds when it is read back. Everything
 * fails the running test when something is not as it must be. */
#ifndef PCAPLINE_TEST_UNIT_SEGMENT_RIG_H
#define PCAPLINE_TEST_UNIT_SEGMENT_RIG_H

#include "gateway/capture/segment.h"
#include "schema/pcapng.h"

#define SEG_ETHERNET 1
#define SEG_RAW      101

/* ---- making ---- */
struct segment *seg_new(void);

/* A packet of caplen bytes (len on the wire: one more), the first four of which are number. */
void seg_packet(struct segment *s, uint32_t interface_id, uint64_t ts_ns, uint32_t caplen, uint32_t number);
void seg_stats(struct segment *s, uint32_t interface_id, uint64_t ts_ns);

/* One packet of 40 bytes as a segment of its own. */
struct segment *seg_of_one(uint32_t interface_id, uint64_t ts_ns, uint32_t number);

/* A section header and interfaces of link type Ethernet. */
struct segment *seg_header(unsigned interfaces);

/* ---- reading back ---- */
struct seen_block {
	enum pcapng_kind kind;
	uint32_t interface_id, caplen, len, number;
	uint64_t ts_ns;
	char text[256]; /* comment of sections and statistics, name of interfaces */
};

struct seen {
	struct seen_block *blocks;
	size_t n;
	unsigned sections, interfaces, packets, stats;
};

/* seen_pcapng: p must be one whole, good pcapng stream. */
void seen_pcapng(struct seen *ret, const uint8_t *p, size_t n);

/* The same for classic pcap; it may hold nothing at all.  Returns the link type. */
uint32_t seen_pcap(struct seen *ret, const uint8_t *p, size_t n);
void seen_done(struct seen *s);

#endif
