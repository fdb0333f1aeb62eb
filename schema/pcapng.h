/* pcapng.h - pcapng blocks in and out (draft-ietf-opsawg-pcapng).  One reader, one writer, shared by agent, gateway
 * and command.
 *
 * Reading: bytes are fed in any slices; each whole block is checked, decoded and handed to the caller's function, with no copy where
 * the block lies whole within the slice.  Strict: length under 12, not divisible by 4, over the cap, trailer unequal to header,
 * data before a section header, packets of an interface that was not described, options that do not fit or stand twice where the
 * draft allows one, an if_tsresol that does not fit 64-bit nanoseconds - each its own message with the byte offset.  Unknown block types pass as PCAPNG_OTHER.
 * Both byte orders; several sections.  Hostile input costs at most block_bytes_max plus the interface table.
 *
 * Texts handed out are valid UTF-8 without control characters other than tab and newline: anything else in them stands as '?'.
 *
 * Writing: each function writes one whole block in host byte order to dst and returns its length, or 0 when it does not fit
 * into room (nothing useful written then).  Strings are cut at PCAPNG_TEXT_MAX bytes, packets at PCAPNG_SNAPLEN_MAX. */
#ifndef PCAPLINE_SCHEMA_PCAPNG_H
#define PCAPLINE_SCHEMA_PCAPNG_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCAPNG_BLOCK_SECTION   0x0A0D0D0Au
#define PCAPNG_BLOCK_INTERFACE 0x00000001u
#define PCAPNG_BLOCK_SIMPLE    0x00000003u
#define PCAPNG_BLOCK_STATS     0x00000005u
#define PCAPNG_BLOCK_PACKET    0x00000006u

#define PCAPNG_SNAPLEN_MAX     262144u         /* libpcap's MAXIMUM_SNAPLEN */
#define PCAPNG_BLOCK_BYTES_MAX (1024u * 1024u) /* a packet of the largest snaplen with room for its options */
#define PCAPNG_INTERFACES_MAX  4096u           /* per section */
#define PCAPNG_TEXT_MAX        1023u           /* bytes of one text option, in and out (longer input is cut) */

enum pcapng_kind { PCAPNG_SECTION, PCAPNG_INTERFACE, PCAPNG_PACKET, PCAPNG_STATS, PCAPNG_OTHER };

struct pcapng_section {
	const char *hardware, *os, *application, *comment; /* NULL: absent */
};

struct pcapng_interface {
	uint16_t link_type;
	uint32_t snaplen;                                                  /* 0: no limit */
	const char *name, *description, *filter, *os, *hardware, *comment; /* NULL: absent */
	uint64_t speed_bps;                                                /* 0: unknown */
	uint64_t units_per_s; /* read only: from if_tsresol; 1000000 when absent.  We write 10^9 always. */
	int64_t offset_s;     /* read only: if_tsoffset */
};

struct pcapng_packet {
	uint32_t interface_id;
	uint64_t ts_ns;  /* since 1970-01-01 UTC, whatever the file's resolution; 0 in a Simple Packet Block */
	uint32_t caplen; /* bytes at data */
	uint32_t len;    /* bytes on the wire; read: never under caplen */
	const uint8_t *data;
	const char *comment; /* written when not NULL; read: NULL (use options) */
	uint32_t flags;      /* epb_flags, 0: absent */
};

#define PCAPNG_STATS_START     0x01u
#define PCAPNG_STATS_END       0x02u
#define PCAPNG_STATS_RECEIVED  0x04u
#define PCAPNG_STATS_IFDROP    0x08u
#define PCAPNG_STATS_ACCEPTED  0x10u
#define PCAPNG_STATS_OSDROP    0x20u
#define PCAPNG_STATS_DELIVERED 0x40u

struct pcapng_stats {
	uint32_t interface_id;
	uint64_t ts_ns;
	unsigned have; /* PCAPNG_STATS_*: which of the following are there */
	uint64_t start_ns, end_ns;
	uint64_t received;          /* isb_ifrecv */
	uint64_t dropped_interface; /* isb_ifdrop */
	uint64_t accepted;          /* isb_filteraccept */
	uint64_t dropped_os;        /* isb_osdrop */
	uint64_t delivered;         /* isb_usrdeliv */
	const char *comment;        /* NULL: absent */
};

struct pcapng_block {
	enum pcapng_kind kind;
	uint32_t type;
	const uint8_t *raw; /* the whole block as it stood, in the sender's byte order */
	uint32_t raw_len;
	uint64_t offset; /* of its first byte in the stream */
	union {          /* by kind; everything borrowed until the callback returns */
		struct pcapng_section section;
		struct pcapng_interface interface;
		struct pcapng_packet packet;
		struct pcapng_stats stats;
	};
};

/* ---- reading ---- */
struct pcapng_reader;

/* Return 0 to go on, -1 (with err filled) to stop. */
typedef int (*pcapng_block_fn)(void *ctx, const struct pcapng_block *b, struct err *err);

/* block_bytes_max: at most PCAPNG_BLOCK_BYTES_MAX; 0 for that. */
struct pcapng_reader *pcapng_reader_new(uint32_t block_bytes_max, pcapng_block_fn fn, void *ctx, struct err *err);

/* Feeds n bytes.  -1: ERR_INPUT (the stream is broken; every later call fails the same way), ERR_NOMEM, or what fn said. */
int pcapng_reader_feed(struct pcapng_reader *r, const uint8_t *p, size_t n, struct err *err);

/* The stream is over: ERR_INPUT when it ends inside a block or holds no section header. */
int pcapng_reader_end(struct pcapng_reader *r, struct err *err);

uint64_t pcapng_reader_good_bytes(const struct pcapng_reader *r); /* up to the end of the last whole block */
void pcapng_reader_free(struct pcapng_reader *r);

/* ---- writing ---- */
size_t pcapng_write_section(uint8_t *dst, size_t room, const struct pcapng_section *s);
size_t pcapng_write_interface(uint8_t *dst, size_t room, const struct pcapng_interface *i);
size_t pcapng_write_packet(uint8_t *dst, size_t room, const struct pcapng_packet *p);
size_t pcapng_write_stats(uint8_t *dst, size_t room, const struct pcapng_stats *s);

/* Length of the block that pcapng_write_packet makes for a packet without comment and flags. */
static inline size_t pcapng_packet_bytes(uint32_t caplen)
{
	return 32 + (((size_t)caplen + 3) & ~(size_t)3);
}

/* An upper bound for section, interface and statistics blocks with every text at its longest. */
#define PCAPNG_META_BYTES_MAX 8192u

/* "EN10MB", "LINUX_SLL2", "RAW"... or "DLT 999" in a static per-thread buffer. */
const char *pcapng_link_type_name(uint16_t link_type);

/* The link type to write for what pcap_datalink says: they differ for a few, among them raw IP (12 in memory, 101 in files).
 * -1: no such number. */
int pcapng_link_type_of_dlt(int dlt);

#endif
