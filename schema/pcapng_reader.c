/* pcapng_reader.c - the stream: finds each block's frame, checks it and hands the block on.
 *
 *   at a boundary: whole block in the slice -> decoded where it lies
 *                  else -> gathered in `held` until it is whole, then decoded there
 *
 * Memory is the reader itself, `held` (at most block_bytes_max) and the interface table. */
#include "schema/pcapng.h"
#include "schema/pcapng_decode.h"

#include <inttypes.h>
#include <stdlib.h>

#define FRAME_BYTES                                                                                                    \
	12u /* type, length, trailer; with the section header its byte-order magic also stands within them */
#define PACKET_BYTES     20u /* fixed part of an Enhanced Packet Block's body */
#define BYTE_ORDER_MAGIC 0x1A2B3C4Du
#define MAGIC_SWAPPED    0x4D3C2B1Au
#define HELD_BYTES_LEAST 4096u

struct pcapng_reader {
	pcapng_block_fn fn;
	void *ctx;
	uint32_t block_bytes_max;
	bool in_section, swapped;
	uint64_t good_bytes;
	struct err failed; /* code ERR_NONE: not yet */

	struct pcapng_scale *scales; /* by interface id */
	uint32_t interfaces_n, interfaces_cap;
	uint32_t snaplen_first; /* of interface 0, for Simple Packet Blocks */

	uint8_t *held; /* the start of a block whose rest has not come yet */
	uint32_t held_len, held_cap;

	struct pcapng_texts texts;
};

struct pcapng_reader *pcapng_reader_new(uint32_t block_bytes_max, pcapng_block_fn fn, void *ctx, struct err *err)
{
	struct pcapng_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		err_nomem(err);
		return NULL;
	}
	if (!block_bytes_max || block_bytes_max > PCAPNG_BLOCK_BYTES_MAX)
		block_bytes_max = PCAPNG_BLOCK_BYTES_MAX;
	r->block_bytes_max = block_bytes_max;
	r->fn = fn;
	r->ctx = ctx;
	return r;
}

void pcapng_reader_free(struct pcapng_reader *r)
{
	if (!r)
		return;
	free(r->scales);
	free(r->held);
	free(r);
}

uint64_t pcapng_reader_good_bytes(const struct pcapng_reader *r)
{
	return r->good_bytes;
}

/* ---- one block ---- */

static int interface_add(struct pcapng_reader *r, const struct pcapng_scale *scale, struct err *err)
{
	if (r->interfaces_n == PCAPNG_INTERFACES_MAX)
		return err_set(err, ERR_INPUT, "more than %u interfaces in a section", PCAPNG_INTERFACES_MAX);
	if (r->interfaces_n == r->interfaces_cap) {
		uint32_t cap = r->interfaces_cap ? 2 * r->interfaces_cap : 16;
		struct pcapng_scale *grown = realloc(r->scales, cap * sizeof(*grown));

		if (!grown)
			return err_nomem(err);
		r->scales = grown;
		r->interfaces_cap = cap;
	}
	r->scales[r->interfaces_n++] = *scale;
	return 0;
}

static int decode_interface(struct pcapng_reader *r, struct pcapng_block *b, struct err *err)
{
	struct pcapng_scale scale;

	if (pcapng_decode_interface(
		    b->raw + 8, b->raw_len - FRAME_BYTES, r->swapped, &r->texts, &b->interface, &scale, err) < 0)
		return -1;
	if (r->interfaces_n == 0)
		r->snaplen_first = b->interface.snaplen;
	return interface_add(r, &scale, err);
}

/* caplen is bounded by the block and by PCAPNG_SNAPLEN_MAX; a length on the wire under caplen is raised to it, as tools that wrote
 * such files meant. */
static int packet_data(
	struct pcapng_packet *p, const uint8_t *data, uint32_t caplen, uint32_t len, size_t left, struct err *err)
{
	if (caplen > PCAPNG_SNAPLEN_MAX)
		return err_set(err, ERR_INPUT, "packet: captured length %u is over %u", caplen, PCAPNG_SNAPLEN_MAX);
	if (caplen > left)
		return err_set(err, ERR_INPUT,
			"packet: captured length %u passes the end of the block, %zu bytes are left", caplen, left);
	p->caplen = caplen;
	p->len = len > caplen ? len : caplen;
	p->data = data;
	p->comment = NULL;
	p->flags = 0;
	return 0;
}

static int decode_packet(struct pcapng_reader *r, struct pcapng_block *b, struct err *err)
{
	const uint8_t *body = b->raw + 8;
	const bool swapped = r->swapped;
	struct pcapng_packet *p = &b->packet;
	const struct pcapng_scale *scale;
	uint64_t ticks;
	size_t left, used;

	if (b->raw_len < FRAME_BYTES + PACKET_BYTES)
		return err_set(err, ERR_INPUT, "packet: length %u is under %u", b->raw_len, FRAME_BYTES + PACKET_BYTES);
	left = b->raw_len - FRAME_BYTES - PACKET_BYTES;
	p->interface_id = pcapng_u32(body, swapped);
	if (p->interface_id >= r->interfaces_n)
		return err_set(err, ERR_INPUT, "packet of interface %u, the section described %u so far",
			p->interface_id, r->interfaces_n);
	if (packet_data(p, body + PACKET_BYTES, pcapng_u32(body + 12, swapped), pcapng_u32(body + 16, swapped), left,
		    err) < 0)
		return -1;
	scale = &r->scales[p->interface_id];
	ticks = pcapng_ticks(body + 4, swapped);
	if (scale->kind == PCAPNG_SCALE_NONE)
		p->ts_ns = ticks;
	else if (!pcapng_scale_ns(scale, ticks, &p->ts_ns))
		return err_set(err, ERR_INPUT, "time of packet does not fit 64-bit nanoseconds");
	used = ((size_t)p->caplen + 3) & ~(size_t)3; /* <= left: both are divisible by 4 */
	if (used == left)
		return 0;
	return pcapng_decode_packet_options(p->data + used, left - used, swapped, &p->flags, err);
}

/* A Simple Packet Block belongs to interface 0, has no time, and its captured length follows from that interface's snaplen. */
static int decode_simple(struct pcapng_reader *r, struct pcapng_block *b, struct err *err)
{
	uint32_t len, caplen;

	if (b->raw_len < FRAME_BYTES + 4)
		return err_set(err, ERR_INPUT, "simple packet: length %u is under %u", b->raw_len, FRAME_BYTES + 4);
	if (!r->interfaces_n)
		return err_set(err, ERR_INPUT, "simple packet before any interface");
	len = pcapng_u32(b->raw + 8, r->swapped);
	caplen = r->snaplen_first && r->snaplen_first < len ? r->snaplen_first : len;
	b->packet.interface_id = 0;
	b->packet.ts_ns = 0;
	return packet_data(&b->packet, b->raw + 12, caplen, len, b->raw_len - FRAME_BYTES - 4, err);
}

static int decode_section(struct pcapng_reader *r, struct pcapng_block *b, struct err *err)
{
	if (pcapng_decode_section(b->raw + 8, b->raw_len - FRAME_BYTES, r->swapped, &r->texts, &b->section, err) < 0)
		return -1;
	r->in_section = true;
	r->interfaces_n = 0;
	return 0;
}

static int decode(struct pcapng_reader *r, struct pcapng_block *b, struct err *err)
{
	uint32_t trailer = pcapng_u32(b->raw + b->raw_len - 4, r->swapped);

	if (trailer != b->raw_len)
		return err_set(
			err, ERR_INPUT, "length %u at the end differs from %u at the beginning", trailer, b->raw_len);
	switch (b->type) {
	case PCAPNG_BLOCK_PACKET:
		b->kind = PCAPNG_PACKET;
		return decode_packet(r, b, err);
	case PCAPNG_BLOCK_SIMPLE:
		b->kind = PCAPNG_PACKET;
		return decode_simple(r, b, err);
	case PCAPNG_BLOCK_SECTION:
		b->kind = PCAPNG_SECTION;
		return decode_section(r, b, err);
	case PCAPNG_BLOCK_INTERFACE:
		b->kind = PCAPNG_INTERFACE;
		return decode_interface(r, b, err);
	case PCAPNG_BLOCK_STATS:
		b->kind = PCAPNG_STATS;
		return pcapng_decode_stats(b->raw + 8, b->raw_len - FRAME_BYTES, r->swapped, r->scales, r->interfaces_n,
			&r->texts, &b->stats, err);
	default:
		b->kind = PCAPNG_OTHER;
		return 0;
	}
}

static int block_handle(struct pcapng_reader *r, const uint8_t *raw, uint32_t len)
{
	struct pcapng_block b;

	b.type = pcapng_u32(raw, r->swapped);
	b.raw = raw;
	b.raw_len = len;
	b.offset = r->good_bytes;
	if (decode(r, &b, &r->failed) < 0)
		return err_in(&r->failed, "pcapng block at byte %" PRIu64, r->good_bytes);
	if (r->fn(r->ctx, &b, &r->failed) < 0)
		return -1;
	r->good_bytes += len;
	return 0;
}

/* ---- the stream ---- */

/* The length of the block whose first FRAME_BYTES are at p; 0 with r->failed.  A section header also sets the byte order, its type
 * reads the same in both. */
static uint32_t frame_length(struct pcapng_reader *r, const uint8_t *p)
{
	uint32_t type = pcapng_u32(p, r->swapped), len;

	if (type == PCAPNG_BLOCK_SECTION) {
		uint32_t magic = pcapng_u32(p + 8, false);

		if (magic != BYTE_ORDER_MAGIC && magic != MAGIC_SWAPPED) {
			err_set(&r->failed, ERR_INPUT, "section header: byte-order magic is 0x%08x", magic);
			goto bad;
		}
		r->swapped = magic == MAGIC_SWAPPED;
	} else if (!r->in_section) {
		err_set(&r->failed, ERR_INPUT, "type 0x%08x before a section header", pcapng_u32(p, false));
		goto bad;
	}
	len = pcapng_u32(p + 4, r->swapped);
	if (len >= FRAME_BYTES && !(len & 3) && len <= r->block_bytes_max)
		return len;
	if (len < FRAME_BYTES)
		err_set(&r->failed, ERR_INPUT, "length %u is under %u", len, FRAME_BYTES);
	else if (len & 3)
		err_set(&r->failed, ERR_INPUT, "length %u is not divisible by 4", len);
	else
		err_set(&r->failed, ERR_INPUT, "length %u is over %u", len, r->block_bytes_max);
bad:
	err_in(&r->failed, "pcapng block at byte %" PRIu64, r->good_bytes);
	return 0;
}

/* held_gather: takes from the slice until `want` bytes are held.  1: they are, 0: the slice is used up, -1: r->failed. */
static int held_gather(struct pcapng_reader *r, const uint8_t **p, size_t *n, uint32_t want)
{
	size_t take;

	if (want > r->held_cap) {
		uint32_t cap = want > HELD_BYTES_LEAST ? want : HELD_BYTES_LEAST;
		uint8_t *grown = realloc(r->held, cap);

		if (!grown)
			return err_nomem(&r->failed);
		r->held = grown;
		r->held_cap = cap;
	}
	take = *n < want - r->held_len ? *n : want - r->held_len;
	memcpy(r->held + r->held_len, *p, take);
	r->held_len += (uint32_t)take;
	*p += take;
	*n -= take;
	return r->held_len == want;
}

/* 1: the block that straddled the slices is done; 0: more bytes are needed; -1: r->failed. */
static int held_feed(struct pcapng_reader *r, const uint8_t **p, size_t *n)
{
	uint32_t len;
	int rc;

	if (r->held_len < FRAME_BYTES && (rc = held_gather(r, p, n, FRAME_BYTES)) <= 0)
		return rc;
	if (!(len = frame_length(r, r->held)))
		return -1;
	if ((rc = held_gather(r, p, n, len)) <= 0)
		return rc;
	r->held_len = 0;
	return block_handle(r, r->held, len) < 0 ? -1 : 1;
}

static int feed(struct pcapng_reader *r, const uint8_t *p, size_t n)
{
	uint32_t len;
	int rc;

	while (n) {
		if (r->held_len || n < FRAME_BYTES) {
			if ((rc = held_feed(r, &p, &n)) <= 0)
				return rc;
			continue;
		}
		if (!(len = frame_length(r, p)))
			return -1;
		if (len > n) {
			if ((rc = held_gather(r, &p, &n, len)) <= 0)
				return rc;
			continue;
		}
		if (block_handle(r, p, len) < 0)
			return -1;
		p += len;
		n -= len;
	}
	return 0;
}

static int reader_fail(struct pcapng_reader *r, struct err *err)
{
	if (r->failed.code == ERR_NONE)
		err_set(&r->failed, ERR_INTERNAL, "the handler of a pcapng block failed without saying why");
	if (err)
		*err = r->failed;
	return -1;
}

int pcapng_reader_feed(struct pcapng_reader *r, const uint8_t *p, size_t n, struct err *err)
{
	if (r->failed.code != ERR_NONE || feed(r, p, n) < 0)
		return reader_fail(r, err);
	return 0;
}

int pcapng_reader_end(struct pcapng_reader *r, struct err *err)
{
	if (r->failed.code != ERR_NONE)
		return reader_fail(r, err);
	if (!r->in_section)
		return err_set(err, ERR_INPUT, "not a pcapng stream: %" PRIu64 " bytes without a section header",
			r->good_bytes + r->held_len);
	if (r->held_len)
		return err_set(err, ERR_INPUT, "pcapng block at byte %" PRIu64 ": the stream ends after %u bytes of it",
			r->good_bytes, r->held_len);
	return 0;
}
