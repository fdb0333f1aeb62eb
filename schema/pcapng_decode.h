/* pcapng_decode.h - what pcapng_reader.c and pcapng_writer.c share, and the bodies of the blocks that are not packets.  Private to schema/.
 * Everything here is handed one block whose frame (type, length, trailer) was checked already; a refusal names the cause, the reader
 * puts the place before it. */
#ifndef PCAPLINE_SCHEMA_PCAPNG_DECODE_H
#define PCAPLINE_SCHEMA_PCAPNG_DECODE_H

#include "common/err.h"
#include "schema/pcapng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PCAPNG_OPT_END     0
#define PCAPNG_OPT_COMMENT 1

#define PCAPNG_OPT_SHB_HARDWARE 2
#define PCAPNG_OPT_SHB_OS       3
#define PCAPNG_OPT_SHB_USERAPPL 4

#define PCAPNG_OPT_IF_NAME        2
#define PCAPNG_OPT_IF_DESCRIPTION 3
#define PCAPNG_OPT_IF_MACADDR     6
#define PCAPNG_OPT_IF_EUIADDR     7
#define PCAPNG_OPT_IF_SPEED       8
#define PCAPNG_OPT_IF_TSRESOL     9
#define PCAPNG_OPT_IF_TZONE       10
#define PCAPNG_OPT_IF_FILTER      11
#define PCAPNG_OPT_IF_OS          12
#define PCAPNG_OPT_IF_FCSLEN      13
#define PCAPNG_OPT_IF_TSOFFSET    14
#define PCAPNG_OPT_IF_HARDWARE    15

#define PCAPNG_OPT_EPB_FLAGS     2
#define PCAPNG_OPT_EPB_DROPCOUNT 4
#define PCAPNG_OPT_EPB_PACKETID  5
#define PCAPNG_OPT_EPB_QUEUE     6

#define PCAPNG_OPT_ISB_STARTTIME    2
#define PCAPNG_OPT_ISB_ENDTIME      3
#define PCAPNG_OPT_ISB_IFRECV       4
#define PCAPNG_OPT_ISB_IFDROP       5
#define PCAPNG_OPT_ISB_FILTERACCEPT 6
#define PCAPNG_OPT_ISB_OSDROP       7
#define PCAPNG_OPT_ISB_USRDELIV     8

static inline uint16_t pcapng_u16(const uint8_t *p, bool swapped)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap16(v) : v;
}

static inline uint32_t pcapng_u32(const uint8_t *p, bool swapped)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap32(v) : v;
}

static inline uint64_t pcapng_u64(const uint8_t *p, bool swapped)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap64(v) : v;
}

/* Two halves, the upper one first in either byte order. */
static inline uint64_t pcapng_ticks(const uint8_t *p, bool swapped)
{
	return (uint64_t)pcapng_u32(p, swapped) << 32 | pcapng_u32(p + 4, swapped);
}

/* How an interface's ticks become nanoseconds, worked out once when it is described. */
enum pcapng_scale_kind {
	PCAPNG_SCALE_NONE,     /* ticks are nanoseconds since 1970 */
	PCAPNG_SCALE_MULTIPLY, /* 10^0..10^9 per second: by factor */
	PCAPNG_SCALE_DIVIDE,   /* 10^10..10^19: by factor */
	PCAPNG_SCALE_SHIFT,    /* 2^shift per second */
};
struct pcapng_scale {
	enum pcapng_scale_kind kind;
	unsigned shift;
	uint64_t factor;
	int64_t offset_ns;
};

/* pcapng_scale_ns: false when the time does not fit 0..2^64-1 nanoseconds. */
bool pcapng_scale_ns(const struct pcapng_scale *s, uint64_t ticks, uint64_t *ret_ns);

/* Room for the texts of one block; they are valid until the next one is decoded. */
#define PCAPNG_TEXTS 6
struct pcapng_texts {
	char text[PCAPNG_TEXTS][PCAPNG_TEXT_MAX + 1];
};

/* body: what stands between the block's length fields; n bytes of it. */
int pcapng_decode_section(const uint8_t *body, size_t n, bool swapped, struct pcapng_texts *t,
	struct pcapng_section *ret, struct err *err);
int pcapng_decode_interface(const uint8_t *body, size_t n, bool swapped, struct pcapng_texts *t,
	struct pcapng_interface *ret, struct pcapng_scale *ret_scale, struct err *err);

/* scales: of the section's interfaces_n interfaces. */
int pcapng_decode_stats(const uint8_t *body, size_t n, bool swapped, const struct pcapng_scale *scales,
	size_t interfaces_n, struct pcapng_texts *t, struct pcapng_stats *ret, struct err *err);

/* The options of a packet: checked, and epb_flags taken out of them (0: absent). */
int pcapng_decode_packet_options(const uint8_t *p, size_t n, bool swapped, uint32_t *ret_flags, struct err *err);

/* How many of the n bytes of s to keep so that at most PCAPNG_TEXT_MAX remain and no UTF-8 character is cut in two. */
size_t pcapng_text_cut(const char *s, size_t n);

#endif
