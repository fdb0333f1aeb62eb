/* segment_rig.c - segments for the gateway's unit tests, and streams read back. */
#include "test/unit/segment_rig.h"

#include "schema/pcap_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct segment *seg_new(void)
{
	struct segment *s = segment_new(256);

	assert_non_null(s);
	return s;
}

void seg_packet(struct segment *s, uint32_t interface_id, uint64_t ts_ns, uint32_t caplen, uint32_t number)
{
	static _Thread_local uint8_t data[PCAPNG_SNAPLEN_MAX];
	struct pcapng_packet p = {
		.interface_id = interface_id, .ts_ns = ts_ns, .caplen = caplen, .len = caplen + 1, .data = data};
	size_t n = pcapng_packet_bytes(caplen);
	uint8_t *room = segment_room(s, n);

	assert_non_null(room);
	assert_true(caplen >= sizeof(number) && caplen <= sizeof(data));
	memcpy(data, &number, sizeof(number));
	assert_int_equal(pcapng_write_packet(room, n, &p), n);
	s->len += n;
}

void seg_stats(struct segment *s, uint32_t interface_id, uint64_t ts_ns)
{
	const struct pcapng_stats stats = {
		.interface_id = interface_id, .ts_ns = ts_ns, .have = PCAPNG_STATS_RECEIVED, .received = 7};
	uint8_t *room = segment_room(s, PCAPNG_META_BYTES_MAX);
	size_t n;

	assert_non_null(room);
	n = pcapng_write_stats(room, PCAPNG_META_BYTES_MAX, &stats);
	assert_true(n > 0);
	s->len += n;
}

struct segment *seg_of_one(uint32_t interface_id, uint64_t ts_ns, uint32_t number)
{
	struct segment *s = seg_new();

	seg_packet(s, interface_id, ts_ns, 40, number);
	return s;
}

struct segment *seg_header(unsigned interfaces)
{
	const struct pcapng_section section = {.application = "unit test"};
	struct segment *s = seg_new();
	uint8_t *room = segment_room(s, (interfaces + 1) * (size_t)PCAPNG_META_BYTES_MAX);

	assert_non_null(room);
	s->len = pcapng_write_section(room, PCAPNG_META_BYTES_MAX, &section);
	for (unsigned i = 0; i < interfaces; i++) {
		char name[16];
		const struct pcapng_interface interface = {.link_type = SEG_ETHERNET, .name = name};

		snprintf(name, sizeof(name), "i%u", i);
		s->len += pcapng_write_interface(s->data + s->len, PCAPNG_META_BYTES_MAX, &interface);
	}
	return s;
}

/* ---- reading back ---- */

static struct seen_block *seen_add(struct seen *s, enum pcapng_kind kind)
{
	struct seen_block *more = realloc(s->blocks, (s->n + 1) * sizeof(*more));

	assert_non_null(more);
	s->blocks = more;
	more += s->n++;
	memset(more, 0, sizeof(*more));
	more->kind = kind;
	return more;
}

static void seen_packet(struct seen *s, uint64_t ts_ns, uint32_t caplen, uint32_t len, const uint8_t *data)
{
	struct seen_block *b = seen_add(s, PCAPNG_PACKET);

	b->ts_ns = ts_ns;
	b->caplen = caplen;
	b->len = len;
	assert_true(caplen >= sizeof(b->number));
	memcpy(&b->number, data, sizeof(b->number));
	s->packets++;
}

static int on_block(void *ctx, const struct pcapng_block *from, struct err *err)
{
	struct seen *s = ctx;
	struct seen_block *b;

	(void)err;
	switch (from->kind) {
	case PCAPNG_PACKET:
		seen_packet(s, from->packet.ts_ns, from->packet.caplen, from->packet.len, from->packet.data);
		s->blocks[s->n - 1].interface_id = from->packet.interface_id;
		break;
	case PCAPNG_STATS:
		b = seen_add(s, PCAPNG_STATS);
		b->interface_id = from->stats.interface_id;
		b->ts_ns = from->stats.ts_ns;
		snprintf(b->text, sizeof(b->text), "%s", from->stats.comment ? from->stats.comment : "");
		s->stats++;
		break;
	case PCAPNG_INTERFACE:
		b = seen_add(s, PCAPNG_INTERFACE);
		b->interface_id = s->interfaces++;
		snprintf(b->text, sizeof(b->text), "%s", from->interface.name ? from->interface.name : "");
		break;
	case PCAPNG_SECTION:
		b = seen_add(s, PCAPNG_SECTION);
		snprintf(b->text, sizeof(b->text), "%s", from->section.comment ? from->section.comment : "");
		s->sections++;
		break;
	case PCAPNG_OTHER:
		fail_msg("a block of type %#x", from->type);
	}
	return 0;
}

void seen_pcapng(struct seen *ret, const uint8_t *p, size_t n)
{
	struct err err = {0};
	struct pcapng_reader *r;

	memset(ret, 0, sizeof(*ret));
	r = pcapng_reader_new(0, on_block, ret, &err);
	assert_non_null(r);
	if (pcapng_reader_feed(r, p, n, &err) < 0 || pcapng_reader_end(r, &err) < 0)
		fail_msg("%s", err.msg);
	pcapng_reader_free(r);
}

static int on_pcap_packet(void *ctx, const struct pcap_file_packet *p, struct err *err)
{
	(void)err;
	seen_packet(ctx, p->ts_ns, p->caplen, p->len, p->data);
	return 0;
}

uint32_t seen_pcap(struct seen *ret, const uint8_t *p, size_t n)
{
	struct err err = {0};
	struct pcap_file_reader *r;
	uint32_t link_type;

	memset(ret, 0, sizeof(*ret));
	r = pcap_file_reader_new(on_pcap_packet, ret, &err);
	assert_non_null(r);
	if (n > 0 && (pcap_file_reader_feed(r, p, n, &err) < 0 || pcap_file_reader_end(r, &err) < 0))
		fail_msg("%s", err.msg);
	link_type = pcap_file_reader_link_type(r);
	pcap_file_reader_free(r);
	return link_type;
}

void seen_done(struct seen *s)
{
	free(s->blocks);
	memset(s, 0, sizeof(*s));
}
