/* frame.c - see frame.h. */
#include "uploader/spool/frame.h"

#include "schema/pcap_file.h"

#include <string.h>

#define BYTE_ORDER_MAGIC 0x1A2B3C4Du
#define PCAP_MAGIC_NANO  0xA1B23C4Du
#define NS_PER_S         1000000000u

/* What the fixed part of a block type needs, with the 12 bytes of frame around it. */
#define SECTION_BYTES_MIN   28u
#define INTERFACE_BYTES_MIN 20u
#define PACKET_BYTES_MIN    32u
#define SIMPLE_BYTES_MIN    16u
#define STATS_BYTES_MIN     24u

static uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool packet_fits(const struct frame *f, const uint8_t *p, uint32_t len)
{
	uint32_t caplen;

	if (len < PACKET_BYTES_MIN || load_u32(p + 8) >= f->interfaces)
		return false;
	caplen = load_u32(p + 20);
	return caplen <= PCAPNG_SNAPLEN_MAX && caplen <= len - PACKET_BYTES_MIN;
}

/* Does a whole block (len bytes, trailer checked) go with what came before it? */
static bool block_fits(struct frame *f, const uint8_t *p, uint32_t type, uint32_t len)
{
	switch (type) {
	case PCAPNG_BLOCK_SECTION:
		if (len < SECTION_BYTES_MIN || load_u32(p + 8) != BYTE_ORDER_MAGIC)
			return false;
		f->interfaces = 0;
		return true;
	case PCAPNG_BLOCK_INTERFACE:
		if (len < INTERFACE_BYTES_MIN || f->interfaces >= PCAPNG_INTERFACES_MAX)
			return false;
		f->interfaces++;
		return true;
	case PCAPNG_BLOCK_PACKET:
		return packet_fits(f, p, len);
	case PCAPNG_BLOCK_SIMPLE:
		return len >= SIMPLE_BYTES_MIN && f->interfaces > 0;
	case PCAPNG_BLOCK_STATS:
		return len >= STATS_BYTES_MIN && load_u32(p + 8) < f->interfaces;
	default:
		return true;
	}
}

/* The length of the unit at p; 0: not all there yet, or bad. */
static size_t block_bytes(struct frame *f, const uint8_t *p, size_t n)
{
	uint32_t type, len;

	if (n < 8)
		return 0;
	type = load_u32(p);
	len = load_u32(p + 4);
	if (len < 12 || len % 4 != 0 || len > FRAME_UNIT_BYTES_MAX) {
		f->bad = true;
		return 0;
	}
	if (n < len)
		return 0;
	if (load_u32(p + len - 4) != len || !block_fits(f, p, type, len)) {
		f->bad = true;
		return 0;
	}
	return len;
}

static size_t record_bytes(struct frame *f, const uint8_t *p, size_t n)
{
	uint32_t caplen;

	if (n < PCAP_FILE_RECORD_BYTES)
		return 0;
	caplen = load_u32(p + 8);
	if (load_u32(p + 4) >= NS_PER_S || caplen > PCAPNG_SNAPLEN_MAX || load_u32(p + 12) < caplen) {
		f->bad = true;
		return 0;
	}
	return n - PCAP_FILE_RECORD_BYTES < caplen ? 0 : PCAP_FILE_RECORD_BYTES + (size_t)caplen;
}

/* The first unit says which format it is. */
static size_t first_bytes(struct frame *f, const uint8_t *p, size_t n)
{
	size_t len;

	if (n < 4)
		return 0;
	switch (load_u32(p)) {
	case PCAPNG_BLOCK_SECTION:
		len = block_bytes(f, p, n);
		if (len > 0)
			f->format = FRAME_PCAPNG;
		return len;
	case PCAP_MAGIC_NANO:
		if (n < PCAP_FILE_HEADER_BYTES)
			return 0;
		f->format = FRAME_PCAP;
		return PCAP_FILE_HEADER_BYTES;
	default:
		f->bad = true;
		return 0;
	}
}

size_t frame_walk(struct frame *f, const uint8_t *p, size_t n)
{
	size_t done = 0, unit = 0;

	while (!f->bad && done < n) {
		switch (f->format) {
		case FRAME_NOTHING:
			unit = first_bytes(f, p + done, n - done);
			break;
		case FRAME_PCAPNG:
			unit = block_bytes(f, p + done, n - done);
			break;
		case FRAME_PCAP:
			unit = record_bytes(f, p + done, n - done);
			break;
		}
		if (unit == 0)
			break;
		done += unit;
	}
	return done;
}

static const char *const format_names[] = {
	[FRAME_NOTHING] = "nothing", [FRAME_PCAPNG] = "pcapng", [FRAME_PCAP] = "pcap"};

const char *frame_format_name(enum frame_format f)
{
	return format_names[f];
}

bool frame_format_parse(const char *name, enum frame_format *ret)
{
	for (unsigned i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++) {
		if (strcmp(name, format_names[i]) == 0) {
			*ret = (enum frame_format)i;
			return true;
		}
	}
	return false;
}
