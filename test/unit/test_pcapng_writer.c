/* The pcapng writer: judged by our reader, byte by byte where it matters, and by libpcap. */
#include "schema/pcapng.h"

#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t out[PCAPNG_BLOCK_BYTES_MAX];

static const struct pcapng_section a_section = {
	.hardware = "x86", .os = "Linux 6.1", .application = "pcapline", .comment = "started by alice"};
static const struct pcapng_interface an_interface = {.link_type = 1,
	.snaplen = 65535,
	.name = "web/0 eth0",
	.description = "first",
	.filter = "tcp port 80",
	.os = "Linux",
	.hardware = "virtio",
	.comment = "mind the gap",
	.speed_bps = UINT64_C(10000000000)};
static const struct pcapng_stats some_stats = {.interface_id = 0,
	.ts_ns = UINT64_C(1700000000123456789),
	.have = PCAPNG_STATS_START | PCAPNG_STATS_END | PCAPNG_STATS_RECEIVED | PCAPNG_STATS_IFDROP |
		PCAPNG_STATS_ACCEPTED | PCAPNG_STATS_OSDROP | PCAPNG_STATS_DELIVERED,
	.start_ns = UINT64_C(1690000000000000001),
	.end_ns = UINT64_MAX,
	.received = UINT64_C(1) << 40,
	.dropped_interface = 1,
	.accepted = UINT64_MAX,
	.dropped_os = UINT32_MAX,
	.delivered = 0,
	.comment = "capture ended (user_stop)"};

/* ---- reading back ---- */

static struct pcapng_block last;
static unsigned blocks_n;

static void (*check)(const struct pcapng_block *b); /* called while the texts of the block are there */

static int on_block(void *ctx, const struct pcapng_block *b, struct err *err)
{
	(void)ctx;
	(void)err;
	last = *b;
	blocks_n++;
	if (check)
		check(b);
	return 0;
}

/* A reader that has a section and one interface behind it. */
static struct pcapng_reader *reader_in_section(void)
{
	struct pcapng_reader *r = pcapng_reader_new(0, on_block, NULL, NULL);
	size_t n;

	assert_non_null(r);
	check = NULL;
	n = pcapng_write_section(out, sizeof(out), &(struct pcapng_section){0});
	n += pcapng_write_interface(out + n, sizeof(out) - n, &(struct pcapng_interface){.link_type = 1});
	assert_int_equal(n, 28 + 32);
	assert_int_equal(pcapng_reader_feed(r, out, n, NULL), 0);
	blocks_n = 0;
	return r;
}

static void read_back(const uint8_t *p, size_t n, void (*with)(const struct pcapng_block *b))
{
	struct pcapng_reader *r = reader_in_section();
	struct err err = {0};

	check = with;
	if (pcapng_reader_feed(r, p, n, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(blocks_n, 1);
	assert_int_equal(pcapng_reader_end(r, &err), 0);
	pcapng_reader_free(r);
}

static uint8_t block[PCAPNG_BLOCK_BYTES_MAX];

static void check_section(const struct pcapng_block *b)
{
	assert_int_equal(b->kind, PCAPNG_SECTION);
	assert_string_equal(b->section.hardware, a_section.hardware);
	assert_string_equal(b->section.os, a_section.os);
	assert_string_equal(b->section.application, a_section.application);
	assert_string_equal(b->section.comment, a_section.comment);
}

static void test_section(void **state)
{
	(void)state;
	read_back(block, pcapng_write_section(block, sizeof(block), &a_section), check_section);
}

static void check_interface(const struct pcapng_block *b)
{
	assert_int_equal(b->kind, PCAPNG_INTERFACE);
	assert_int_equal(b->interface.link_type, an_interface.link_type);
	assert_int_equal(b->interface.snaplen, an_interface.snaplen);
	assert_string_equal(b->interface.name, an_interface.name);
	assert_string_equal(b->interface.description, an_interface.description);
	assert_string_equal(b->interface.filter, an_interface.filter);
	assert_string_equal(b->interface.os, an_interface.os);
	assert_string_equal(b->interface.hardware, an_interface.hardware);
	assert_string_equal(b->interface.comment, an_interface.comment);
	assert_true(b->interface.speed_bps == an_interface.speed_bps);
	assert_true(b->interface.units_per_s == 1000000000);
	assert_true(b->interface.offset_s == 0);
}

static void test_interface(void **state)
{
	(void)state;
	read_back(block, pcapng_write_interface(block, sizeof(block), &an_interface), check_interface);
}

static void check_bare_interface(const struct pcapng_block *b)
{
	assert_int_equal(b->interface.link_type, 65535);
	assert_int_equal(b->interface.snaplen, 0);
	assert_null(b->interface.name);
	assert_null(b->interface.filter);
	assert_null(b->interface.comment);
}

static void test_absent_texts_stay_absent(void **state)
{
	const struct pcapng_interface i = {.link_type = 65535};

	(void)state;
	read_back(block, pcapng_write_interface(block, sizeof(block), &i), check_bare_interface);
}

static void check_stats(const struct pcapng_block *b)
{
	const struct pcapng_stats *s = &b->stats;

	assert_int_equal(b->kind, PCAPNG_STATS);
	assert_int_equal(s->have, some_stats.have);
	assert_true(s->ts_ns == some_stats.ts_ns);
	assert_true(s->start_ns == some_stats.start_ns);
	assert_true(s->end_ns == some_stats.end_ns);
	assert_true(s->received == some_stats.received);
	assert_true(s->dropped_interface == some_stats.dropped_interface);
	assert_true(s->accepted == some_stats.accepted);
	assert_true(s->dropped_os == some_stats.dropped_os);
	assert_true(s->delivered == some_stats.delivered);
	assert_string_equal(s->comment, some_stats.comment);
}

static void test_stats(void **state)
{
	(void)state;
	read_back(block, pcapng_write_stats(block, sizeof(block), &some_stats), check_stats);
}

static void test_stats_have_only_what_is_known(void **state)
{
	struct pcapng_stats s = some_stats;

	(void)state;
	for (unsigned bit = 1; bit <= PCAPNG_STATS_DELIVERED; bit <<= 1) {
		s.have = bit;
		read_back(block, pcapng_write_stats(block, sizeof(block), &s), NULL);
		assert_int_equal(last.stats.have, bit);
	}
}

static void test_packets_of_every_padding(void **state)
{
	static uint8_t data[40];
	uint8_t exact[80];

	(void)state;
	memset(data, 0xAA, sizeof(data));
	for (uint32_t caplen = 0; caplen <= sizeof(data); caplen++) {
		const struct pcapng_packet p = {
			.ts_ns = UINT64_MAX - 1, .caplen = caplen, .len = 70000, .data = caplen ? data : NULL};
		const size_t n = pcapng_packet_bytes(caplen);

		memset(exact, 0xFF, sizeof(exact));
		assert_int_equal(pcapng_write_packet(exact, n - 1, &p), 0);
		assert_int_equal(pcapng_write_packet(exact, n, &p), n);
		assert_int_equal(exact[n], 0xFF);
		for (size_t i = 28 + caplen; i < n - 4; i++)
			assert_int_equal(exact[i], 0);
		read_back(exact, n, NULL);
		assert_int_equal(last.kind, PCAPNG_PACKET);
		assert_true(last.packet.ts_ns == UINT64_MAX - 1);
		assert_int_equal(last.packet.caplen, caplen);
		assert_int_equal(last.packet.len, 70000);
		assert_memory_equal(last.packet.data, data, caplen);
	}
}

static void test_packet_options(void **state)
{
	const struct pcapng_packet p = {
		.ts_ns = 5, .caplen = 3, .len = 3, .data = (const uint8_t *)"abc", .comment = "odd", .flags = 0x12};
	size_t n = pcapng_write_packet(block, sizeof(block), &p);

	(void)state;
	assert_int_equal(n, 36 + 8 + 8 + 4);
	assert_memory_equal(block + 36, "odd\0", 4);
	read_back(block, n, NULL);
	assert_int_equal(last.packet.flags, 0x12);
	for (size_t room = 0; room < n; room++)
		assert_int_equal(pcapng_write_packet(block, room, &p), 0);
}

static void test_packets_are_cut_at_the_largest_snaplen(void **state)
{
	static uint8_t data[PCAPNG_SNAPLEN_MAX + 1];
	const struct pcapng_packet p = {.caplen = sizeof(data), .len = sizeof(data), .data = data};
	size_t n = pcapng_write_packet(block, sizeof(block), &p);

	(void)state;
	assert_int_equal(n, pcapng_packet_bytes(PCAPNG_SNAPLEN_MAX));
	read_back(block, n, NULL);
	assert_int_equal(last.packet.caplen, PCAPNG_SNAPLEN_MAX);
	assert_int_equal(last.packet.len, sizeof(data));
}

/* ---- room ---- */

static size_t write_section(uint8_t *dst, size_t room)
{
	return pcapng_write_section(dst, room, &a_section);
}

static size_t write_interface(uint8_t *dst, size_t room)
{
	return pcapng_write_interface(dst, room, &an_interface);
}

static size_t write_stats(uint8_t *dst, size_t room)
{
	return pcapng_write_stats(dst, room, &some_stats);
}

/* Written into blocks of exactly the room, so that AddressSanitizer sees a byte too many. */
static void test_room(void **state)
{
	size_t (*const writers[])(uint8_t *, size_t) = {write_section, write_interface, write_stats};

	(void)state;
	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
		size_t n = writers[i](block, sizeof(block));

		assert_true(n > 80);
		assert_int_equal(n % 4, 0);
		for (size_t room = 0; room <= n; room++) {
			uint8_t *exact = malloc(room ? room : 1);

			assert_non_null(exact);
			assert_int_equal(writers[i](exact, room), room < n ? 0 : n);
			if (room == n)
				assert_memory_equal(exact, block, n);
			free(exact);
		}
	}
}

static void check_long_interface(const struct pcapng_block *b)
{
	const char *texts[] = {b->interface.name, b->interface.description, b->interface.filter, b->interface.os,
		b->interface.hardware, b->interface.comment};

	for (size_t i = 0; i < 6; i++)
		assert_int_equal(strlen(texts[i]), PCAPNG_TEXT_MAX);
}

static void test_longest_texts(void **state)
{
	static char t[3 * PCAPNG_TEXT_MAX];
	size_t n;

	(void)state;
	memset(t, 'a', sizeof(t) - 1);
	n = pcapng_write_interface(block, PCAPNG_META_BYTES_MAX,
		&(struct pcapng_interface){.name = t,
			.description = t,
			.filter = t,
			.os = t,
			.hardware = t,
			.comment = t,
			.speed_bps = UINT64_MAX});
	assert_true(n > 0);
	read_back(block, n, check_long_interface);
	n = pcapng_write_section(block, PCAPNG_META_BYTES_MAX,
		&(struct pcapng_section){.hardware = t, .os = t, .application = t, .comment = t});
	assert_true(n > 0);
	read_back(block, n, NULL);
}

static void check_cut_name(const struct pcapng_block *b)
{
	assert_int_equal(strlen(b->interface.name), PCAPNG_TEXT_MAX - 1);
}

static void test_text_is_cut_between_characters(void **state)
{
	char t[PCAPNG_TEXT_MAX + 2];

	(void)state;
	memset(t, 'a', sizeof(t));
	memcpy(t + PCAPNG_TEXT_MAX - 1, "\xc3\xbc", 3);
	read_back(block, pcapng_write_interface(block, sizeof(block), &(struct pcapng_interface){.name = t}),
		check_cut_name);
}

/* ---- somebody else's opinion ---- */

static void test_libpcap_reads_it(void **state)
{
	char errbuf[PCAP_ERRBUF_SIZE] = "";
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p;
	FILE *f;
	size_t n;

	(void)state;
	n = pcapng_write_section(out, sizeof(out), &a_section);
	n += pcapng_write_interface(out + n, sizeof(out) - n, &an_interface);
	n += pcapng_write_interface(
		out + n, sizeof(out) - n, &(struct pcapng_interface){.link_type = 1, .snaplen = 65535});
	for (uint32_t i = 0; i < 3; i++)
		n += pcapng_write_packet(out + n, sizeof(out) - n,
			&(struct pcapng_packet){.interface_id = i % 2,
				.ts_ns = UINT64_C(1700000000123456789) + i,
				.caplen = 5 + i,
				.len = 100,
				.data = (const uint8_t *)"1234567",
				.comment = i == 1 ? "odd" : NULL,
				.flags = i});
	n += pcapng_write_stats(out + n, sizeof(out) - n, &some_stats);
	f = fmemopen(out, n, "rb");
	assert_non_null(f);
	p = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, errbuf);
	if (!p)
		fail_msg("%s", errbuf);
	assert_int_equal(pcap_datalink(p), DLT_EN10MB);
	for (int i = 0; i < 3; i++) {
		if (pcap_next_ex(p, &h, &data) != 1)
			fail_msg("packet %d: %s", i, pcap_geterr(p));
		assert_int_equal(h->caplen, 5 + i);
		assert_int_equal(h->len, 100);
		assert_int_equal(h->ts.tv_sec, 1700000000);
		assert_int_equal(h->ts.tv_usec, 123456789 + i);
		assert_memory_equal(data, "1234567", h->caplen);
	}
	assert_int_equal(pcap_next_ex(p, &h, &data), PCAP_ERROR_BREAK);
	pcap_close(p);
}

static void test_link_types_have_libpcaps_names(void **state)
{
	static const uint16_t same[] = {DLT_NULL, DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_IEEE802_11_RADIO,
		DLT_IPV4, DLT_IPV6, DLT_NFLOG, DLT_PPP, DLT_LOOP, DLT_USB_LINUX_MMAPPED, DLT_NETLINK, DLT_VSOCK};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_string_equal(pcapng_link_type_name(same[i]), pcap_datalink_val_to_name(same[i]));
		assert_int_equal(pcapng_link_type_of_dlt(same[i]), same[i]);
	}
	assert_string_equal(pcapng_link_type_name(101), "RAW");
	assert_string_equal(pcapng_link_type_name(999), "DLT 999");
	assert_string_equal(pcapng_link_type_name(65535), "DLT 65535");
}

/* libpcap translates when it writes a file: what it puts there for each number in memory is what we must put there. */
static void test_link_types_are_translated_as_libpcap_does(void **state)
{
	(void)state;
	for (int dlt = 0; dlt <= 300; dlt++) {
		char *bytes = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&bytes, &n);
		pcap_t *p = pcap_open_dead(dlt, 100);
		pcap_dumper_t *d;
		uint32_t written;

		assert_non_null(f);
		assert_non_null(p);
		d = pcap_dump_fopen(p, f);
		if (d) {
			pcap_dump_flush(d);
			memcpy(&written, bytes + 20, 4);
			if (pcapng_link_type_of_dlt(dlt) != (int)written)
				fail_msg("%d: %d is not %u", dlt, pcapng_link_type_of_dlt(dlt), written);
			pcap_dump_close(d);
		} else {
			fclose(f);
		}
		pcap_close(p);
		free(bytes);
	}
	assert_int_equal(pcapng_link_type_of_dlt(-1), -1);
	assert_int_equal(pcapng_link_type_of_dlt(65535), 65535);
	assert_int_equal(pcapng_link_type_of_dlt(65536), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_interface),
		cmocka_unit_test(test_absent_texts_stay_absent),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_stats_have_only_what_is_known),
		cmocka_unit_test(test_packets_of_every_padding),
		cmocka_unit_test(test_packet_options),
		cmocka_unit_test(test_packets_are_cut_at_the_largest_snaplen),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_longest_texts),
		cmocka_unit_test(test_text_is_cut_between_characters),
		cmocka_unit_test(test_libpcap_reads_it),
		cmocka_unit_test(test_link_types_have_libpcaps_names),
		cmocka_unit_test(test_link_types_are_translated_as_libpcap_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
