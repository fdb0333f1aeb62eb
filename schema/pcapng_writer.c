/* pcapng_writer.c - whole pcapng blocks, written in place. */
#include "schema/pcapng.h"
#include "schema/pcapng_decode.h"

#include <string.h>

#define BYTE_ORDER_MAGIC 0x1A2B3C4Du
#define VERSION_MAJOR    1u
#define VERSION_MINOR    0u
#define TSRESOL_NS       9u
#define FILTER_IS_TEXT   0u

/* A block under way: its type and length stand first, the length is filled in when it is known.  Once full it stays full. */
struct out {
	uint8_t *dst;
	size_t room, len;
	bool full, has_options;
};

static void out_bytes(struct out *o, const void *p, size_t n)
{
	if (o->full || n > o->room - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->dst + o->len, p, n);
	o->len += n;
}

static void out_u16(struct out *o, uint16_t v)
{
	out_bytes(o, &v, sizeof(v));
}

static void out_u32(struct out *o, uint32_t v)
{
	out_bytes(o, &v, sizeof(v));
}

static void out_u64(struct out *o, uint64_t v)
{
	out_bytes(o, &v, sizeof(v));
}

/* Timestamps are two halves, the upper one first in either byte order (draft, section "Enhanced Packet Block"). */
static void out_ts(struct out *o, uint64_t ns)
{
	out_u32(o, (uint32_t)(ns >> 32));
	out_u32(o, (uint32_t)ns);
}

static void out_pad(struct out *o)
{
	static const uint8_t zero[4];

	out_bytes(o, zero, -o->len & 3);
}

static struct out out_begin(uint8_t *dst, size_t room, uint32_t type)
{
	struct out o = {.dst = dst, .room = room};

	out_u32(&o, type);
	out_u32(&o, 0);
	return o;
}

static size_t out_end(struct out *o)
{
	uint32_t len;

	if (o->has_options)
		out_u32(o, PCAPNG_OPT_END);
	len = (uint32_t)o->len + 4;
	out_u32(o, len);
	if (o->full)
		return 0;
	memcpy(o->dst + 4, &len, sizeof(len));
	return len;
}

static void out_option(struct out *o, uint16_t code, uint16_t len)
{
	o->has_options = true;
	out_u16(o, code);
	out_u16(o, len);
}

static void out_text(struct out *o, uint16_t code, const char *text)
{
	size_t n;

	if (!text)
		return;
	n = pcapng_text_cut(text, strnlen(text, PCAPNG_TEXT_MAX + 1));
	out_option(o, code, (uint16_t)n);
	out_bytes(o, text, n);
	out_pad(o);
}

/* if_filter: one byte for the kind of filter, then the text. */
static void out_filter(struct out *o, const char *text)
{
	const uint8_t kind = FILTER_IS_TEXT;
	size_t n;

	if (!text)
		return;
	n = pcapng_text_cut(text, strnlen(text, PCAPNG_TEXT_MAX + 1));
	out_option(o, PCAPNG_OPT_IF_FILTER, (uint16_t)(n + 1));
	out_bytes(o, &kind, 1);
	out_bytes(o, text, n);
	out_pad(o);
}

static void out_option_u64(struct out *o, uint16_t code, uint64_t v)
{
	out_option(o, code, 8);
	out_u64(o, v);
}

static void out_option_ts(struct out *o, uint16_t code, uint64_t ns)
{
	out_option(o, code, 8);
	out_ts(o, ns);
}

size_t pcapng_write_section(uint8_t *dst, size_t room, const struct pcapng_section *s)
{
	struct out o = out_begin(dst, room, PCAPNG_BLOCK_SECTION);

	out_u32(&o, BYTE_ORDER_MAGIC);
	out_u16(&o, VERSION_MAJOR);
	out_u16(&o, VERSION_MINOR);
	out_u64(&o, UINT64_MAX); /* length of the section: not known, it is a stream */
	out_text(&o, PCAPNG_OPT_COMMENT, s->comment);
	out_text(&o, PCAPNG_OPT_SHB_HARDWARE, s->hardware);
	out_text(&o, PCAPNG_OPT_SHB_OS, s->os);
	out_text(&o, PCAPNG_OPT_SHB_USERAPPL, s->application);
	return out_end(&o);
}

size_t pcapng_write_interface(uint8_t *dst, size_t room, const struct pcapng_interface *i)
{
	static const uint8_t tsresol = TSRESOL_NS;
	struct out o = out_begin(dst, room, PCAPNG_BLOCK_INTERFACE);

	out_u16(&o, i->link_type);
	out_u16(&o, 0);
	out_u32(&o, i->snaplen);
	out_text(&o, PCAPNG_OPT_COMMENT, i->comment);
	out_text(&o, PCAPNG_OPT_IF_NAME, i->name);
	out_text(&o, PCAPNG_OPT_IF_DESCRIPTION, i->description);
	if (i->speed_bps)
		out_option_u64(&o, PCAPNG_OPT_IF_SPEED, i->speed_bps);
	out_option(&o, PCAPNG_OPT_IF_TSRESOL, 1);
	out_bytes(&o, &tsresol, 1);
	out_pad(&o);
	out_filter(&o, i->filter);
	out_text(&o, PCAPNG_OPT_IF_OS, i->os);
	out_text(&o, PCAPNG_OPT_IF_HARDWARE, i->hardware);
	return out_end(&o);
}

/* The way of every packet: no cursor, one check for room, then stores at fixed places. */
size_t pcapng_write_packet(uint8_t *dst, size_t room, const struct pcapng_packet *p)
{
	const uint32_t caplen = p->caplen < PCAPNG_SNAPLEN_MAX ? p->caplen : PCAPNG_SNAPLEN_MAX;
	const size_t padded = ((size_t)caplen + 3) & ~(size_t)3;
	const uint32_t zero = 0;
	uint32_t head[7] = {PCAPNG_BLOCK_PACKET, (uint32_t)pcapng_packet_bytes(caplen), p->interface_id,
		(uint32_t)(p->ts_ns >> 32), (uint32_t)p->ts_ns, caplen, p->len};
	struct out o;

	if (room < head[1])
		return 0;
	memcpy(dst, head, sizeof(head));
	if (caplen) {
		memcpy(dst + sizeof(head) + padded - 4, &zero, 4); /* the padding: what the packet does not overwrite */
		memcpy(dst + sizeof(head), p->data, caplen);
	}
	if (!p->comment && !p->flags) {
		memcpy(dst + sizeof(head) + padded, &head[1], 4);
		return head[1];
	}
	o = (struct out){.dst = dst, .room = room, .len = sizeof(head) + padded};
	out_text(&o, PCAPNG_OPT_COMMENT, p->comment);
	if (p->flags) {
		out_option(&o, PCAPNG_OPT_EPB_FLAGS, 4);
		out_u32(&o, p->flags);
	}
	return out_end(&o);
}

size_t pcapng_write_stats(uint8_t *dst, size_t room, const struct pcapng_stats *s)
{
	struct out o = out_begin(dst, room, PCAPNG_BLOCK_STATS);

	out_u32(&o, s->interface_id);
	out_ts(&o, s->ts_ns);
	out_text(&o, PCAPNG_OPT_COMMENT, s->comment);
	if (s->have & PCAPNG_STATS_START)
		out_option_ts(&o, PCAPNG_OPT_ISB_STARTTIME, s->start_ns);
	if (s->have & PCAPNG_STATS_END)
		out_option_ts(&o, PCAPNG_OPT_ISB_ENDTIME, s->end_ns);
	if (s->have & PCAPNG_STATS_RECEIVED)
		out_option_u64(&o, PCAPNG_OPT_ISB_IFRECV, s->received);
	if (s->have & PCAPNG_STATS_IFDROP)
		out_option_u64(&o, PCAPNG_OPT_ISB_IFDROP, s->dropped_interface);
	if (s->have & PCAPNG_STATS_ACCEPTED)
		out_option_u64(&o, PCAPNG_OPT_ISB_FILTERACCEPT, s->accepted);
	if (s->have & PCAPNG_STATS_OSDROP)
		out_option_u64(&o, PCAPNG_OPT_ISB_OSDROP, s->dropped_os);
	if (s->have & PCAPNG_STATS_DELIVERED)
		out_option_u64(&o, PCAPNG_OPT_ISB_USRDELIV, s->delivered);
	return out_end(&o);
}
