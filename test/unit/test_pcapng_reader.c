/* The pcapng reader: what it hands out, in both byte orders and any slicing, and what it refuses, each with its own message.
 * Every block handed out becomes one line of text, so that a test compares whole streams. */
#include "schema/pcapng.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- blocks made by hand, in either byte order ---- */

struct made {
	bool swapped;
	size_t n, block_at;
	uint8_t bytes[64 * 1024];
};

static struct made made;

static void put(const void *p, size_t n)
{
	assert_true(n <= sizeof(made.bytes) - made.n);
	memcpy(made.bytes + made.n, p, n);
	made.n += n;
}

static void put16(uint16_t v)
{
	v = made.swapped ? __builtin_bswap16(v) : v;
	put(&v, sizeof(v));
}

static void put32(uint32_t v)
{
	v = made.swapped ? __builtin_bswap32(v) : v;
	put(&v, sizeof(v));
}

static void put64(uint64_t v)
{
	v = made.swapped ? __builtin_bswap64(v) : v;
	put(&v, sizeof(v));
}

static void put_ticks(uint64_t v)
{
	put32((uint32_t)(v >> 32));
	put32((uint32_t)v);
}

static void put_padded(const void *p, size_t n)
{
	put(p, n);
	put("\0\0\0", -n & 3);
}

static void put_option(uint16_t code, const void *p, uint16_t n)
{
	put16(code);
	put16(n);
	put_padded(p, n);
}

static void put_option_u64(uint16_t code, uint64_t v)
{
	put16(code);
	put16(8);
	put64(v);
}

static void block_begin(uint32_t type)
{
	made.block_at = made.n;
	put32(type);
	put32(0);
}

static void block_end(void)
{
	uint32_t len = (uint32_t)(made.n + 4 - made.block_at);
	size_t end;

	put32(len);
	end = made.n;
	made.n = made.block_at + 4;
	put32(len);
	made.n = end;
}

static void put_section(void)
{
	block_begin(PCAPNG_BLOCK_SECTION);
	put32(0x1A2B3C4D);
	put16(1);
	put16(0);
	put64(UINT64_MAX);
	block_end();
}

static void put_interface_begin(uint16_t link_type, uint32_t snaplen)
{
	block_begin(PCAPNG_BLOCK_INTERFACE);
	put16(link_type);
	put16(0);
	put32(snaplen);
}

static void put_interface(uint16_t link_type, uint32_t snaplen)
{
	put_interface_begin(link_type, snaplen);
	block_end();
}

static void put_interface_resolution(uint8_t tsresol)
{
	put_interface_begin(1, 0);
	put_option(9, &tsresol, 1);
	block_end();
}

static void put_packet_begin(uint32_t interface_id, uint64_t ticks, uint32_t caplen, uint32_t len)
{
	block_begin(PCAPNG_BLOCK_PACKET);
	put32(interface_id);
	put_ticks(ticks);
	put32(caplen);
	put32(len);
}

static void put_packet(uint32_t interface_id, uint64_t ticks, const char *data, uint32_t len)
{
	put_packet_begin(interface_id, ticks, (uint32_t)strlen(data), len);
	put_padded(data, strlen(data));
	block_end();
}

/* ---- what comes out, as text ---- */

struct seen {
	char text[16 * 1024];
	size_t n;
	unsigned blocks;
	const uint8_t *raw; /* of the last block */
	int fail_at;        /* the handler fails at this block; 0: never */
	bool fail_silently;
};

static struct seen seen;

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(seen.text + seen.n, sizeof(seen.text) - seen.n, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(seen.text) - seen.n)
		seen.n += (size_t)n;
}

static void note_text(const char *name, const char *value)
{
	if (value)
		note(" %s=%s", name, value);
}

static void note_interface(const struct pcapng_interface *i)
{
	note("interface %u snaplen=%u units=%" PRIu64, i->link_type, i->snaplen, i->units_per_s);
	note_text("name", i->name);
	note_text("description", i->description);
	note_text("filter", i->filter);
	note_text("os", i->os);
	note_text("hardware", i->hardware);
	note_text("comment", i->comment);
	if (i->speed_bps)
		note(" speed=%" PRIu64, i->speed_bps);
	if (i->offset_s)
		note(" offset=%" PRId64, i->offset_s);
}

static void note_stats(const struct pcapng_stats *s)
{
	note("stats of %u at %" PRIu64 " have=%02x", s->interface_id, s->ts_ns, s->have);
	note(" %" PRIu64 "..%" PRIu64 " received=%" PRIu64, s->start_ns, s->end_ns, s->received);
	note(" ifdrop=%" PRIu64 " accepted=%" PRIu64, s->dropped_interface, s->accepted);
	note(" osdrop=%" PRIu64 " delivered=%" PRIu64, s->dropped_os, s->delivered);
	note_text("comment", s->comment);
}

static int on_block(void *ctx, const struct pcapng_block *b, struct err *err)
{
	(void)ctx;
	seen.raw = b->raw;
	seen.blocks++;
	if (seen.fail_at && seen.blocks == (unsigned)seen.fail_at)
		return seen.fail_silently ? -1 : err_set(err, ERR_CANCELLED, "enough");
	note("@%" PRIu64 "+%u ", b->offset, b->raw_len);
	switch (b->kind) {
	case PCAPNG_SECTION:
		note("section");
		note_text("hardware", b->section.hardware);
		note_text("os", b->section.os);
		note_text("application", b->section.application);
		note_text("comment", b->section.comment);
		break;
	case PCAPNG_INTERFACE:
		note_interface(&b->interface);
		break;
	case PCAPNG_PACKET:
		note("packet of %u at %" PRIu64 " len=%u flags=%x %.*s", b->packet.interface_id, b->packet.ts_ns,
			b->packet.len, b->packet.flags, b->packet.caplen < 40 ? (int)b->packet.caplen : 0,
			(const char *)b->packet.data);
		assert_null(b->packet.comment);
		break;
	case PCAPNG_STATS:
		note_stats(&b->stats);
		break;
	case PCAPNG_OTHER:
		note("other %x", b->type);
		break;
	}
	note("\n");
	return 0;
}

static struct pcapng_reader *reader;
static struct err err;

static void reader_begin(uint32_t block_bytes_max)
{
	pcapng_reader_free(reader);
	memset(&seen, 0, sizeof(seen));
	memset(&err, 0, sizeof(err));
	reader = pcapng_reader_new(block_bytes_max, on_block, NULL, &err);
	assert_non_null(reader);
}

static int setup(void **state)
{
	(void)state;
	made.n = 0;
	made.swapped = false;
	reader_begin(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pcapng_reader_free(reader);
	reader = NULL;
	return 0;
}

/* Fed from a block of exactly n bytes, so that AddressSanitizer sees a read past it. */
static int feed_exact(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, p, n);
	rc = pcapng_reader_feed(reader, copy, n, &err);
	free(copy);
	return rc;
}

static void feed_made_good(void)
{
	if (feed_exact(made.bytes, made.n) < 0 || pcapng_reader_end(reader, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(pcapng_reader_good_bytes(reader), made.n);
}

static void feed_made_refused(const char *says)
{
	if (feed_exact(made.bytes, made.n) == 0)
		fail_msg("taken, but should be refused with: %s", says);
	assert_int_equal(err.code, ERR_INPUT);
	assert_string_equal(err.msg, says);
}

/* ---- good streams ---- */

/* One of everything that the reader knows. */
static void make_everything(void)
{
	block_begin(PCAPNG_BLOCK_SECTION);
	put32(0x1A2B3C4D);
	put16(1);
	put16(0);
	put64(UINT64_MAX);
	put_option(1, "why", 3);
	put_option(2, "x86", 3);
	put_option(3, "Linux 6.1", 9);
	put_option(4, "pcapline", 8);
	put_option(1, "second comment", 14);
	put_option(0, "", 0);
	block_end();

	put_interface_begin(113, 65535);
	put_option(2, "web/0 any", 9);
	put_option(3, "all of it", 9);
	put_option_u64(8, UINT64_C(10000000000));
	put_option(9, "\x09", 1);
	put_option(11, "\0tcp port 80", 12);
	put_option(12, "Linux", 5);
	put_option_u64(14, 5);
	put_option(15, "virtio", 6);
	put_option(4, "\x7f\0\0\1\xff\0\0\0", 8); /* if_IPv4addr, may be repeated */
	put_option(4, "\x7f\0\0\2\xff\0\0\0", 8);
	put_option(0, "", 0);
	block_end();
	put_interface(1, 0);

	put_packet(0, UINT64_C(1700000000123456789), "four", 1500);
	put_packet(1, UINT64_C(1700000000123456), "three", 5);
	put_packet_begin(0, 0, 3, 3);
	put_padded("opt", 3);
	put_option(1, "a comment", 9);
	put16(2);
	put16(4);
	put32(0x12);
	put_option(0, "", 0);
	block_end();

	block_begin(PCAPNG_BLOCK_STATS);
	put32(0);
	put_ticks(7);
	put_option(1, "capture ended", 13);
	for (uint16_t code = 2; code <= 3; code++) {
		put16(code);
		put16(8);
		put_ticks(UINT64_C(0x100000000) * code + 1);
	}
	for (uint16_t code = 4; code <= 8; code++)
		put_option_u64(code, UINT64_C(0x100000000) * code + 2);
	block_end();

	block_begin(0x0BAD);
	put32(0x12345678);
	block_end();
}

static const char everything[] =
	"@0+96 section hardware=x86 os=Linux 6.1 application=pcapline comment=why\n"
	"@96+152 interface 113 snaplen=65535 units=1000000000 name=web/0 any description=all of it filter=tcp port 80 "
	"os=Linux hardware=virtio speed=10000000000 offset=5\n"
	"@248+20 interface 1 snaplen=0 units=1000000\n"
	"@268+36 packet of 0 at 1700000005123456789 len=1500 flags=0 four\n"
	"@304+40 packet of 1 at 1700000000123456000 len=5 flags=0 three\n"
	"@344+64 packet of 0 at 5000000000 len=3 flags=12 opt\n"
	"@408+128 stats of 0 at 5000000007 have=7f 13589934593..17884901889 received=17179869186 ifdrop=21474836482 "
	"accepted=25769803778 osdrop=30064771074 delivered=34359738370 comment=capture ended\n"
	"@536+16 other bad\n";

static void test_everything_is_read_in_both_byte_orders(void **state)
{
	(void)state;
	for (int swapped = 0; swapped <= 1; swapped++) {
		reader_begin(0);
		made.n = 0;
		made.swapped = swapped;
		make_everything();
		feed_made_good();
		assert_string_equal(seen.text, everything);
	}
}

static void test_any_slicing_gives_the_same(void **state)
{
	(void)state;
	make_everything();
	for (size_t slice = 1; slice <= made.n; slice++) {
		reader_begin(0);
		for (size_t at = 0; at < made.n; at += slice)
			if (feed_exact(made.bytes + at, made.n - at < slice ? made.n - at : slice) < 0)
				fail_msg("slices of %zu: %s", slice, err.msg);
		assert_string_equal(seen.text, everything);
		assert_int_equal(pcapng_reader_end(reader, &err), 0);
	}
	for (size_t cut = 0; cut <= made.n; cut++) { /* two slices, the first may be empty */
		reader_begin(0);
		assert_int_equal(feed_exact(made.bytes, cut), 0);
		assert_int_equal(feed_exact(made.bytes + cut, made.n - cut), 0);
		assert_string_equal(seen.text, everything);
	}
}

static void test_whole_blocks_are_not_copied(void **state)
{
	(void)state;
	put_section();
	assert_int_equal(pcapng_reader_feed(reader, made.bytes, made.n, &err), 0);
	assert_ptr_equal(seen.raw, made.bytes);
}

static void test_sections_have_their_own_order_and_interfaces(void **state)
{
	(void)state;
	put_section();
	put_interface(1, 0);
	put_packet(0, 1, "a", 1);
	made.swapped = true;
	put_section();
	put_interface(101, 0);
	put_packet(0, 2, "b", 1);
	made.swapped = false;
	put_section();
	put_interface(276, 0);
	put_packet(0, 3, "c", 1);
	feed_made_good();
	assert_string_equal(seen.text, "@0+28 section\n@28+20 interface 1 snaplen=0 units=1000000\n@48+36 packet of 0 "
				       "at 1000 len=1 flags=0 a\n"
				       "@84+28 section\n@112+20 interface 101 snaplen=0 units=1000000\n@132+36 packet "
				       "of 0 at 2000 len=1 flags=0 b\n"
				       "@168+28 section\n@196+20 interface 276 snaplen=0 units=1000000\n@216+36 packet "
				       "of 0 at 3000 len=1 flags=0 c\n");
}

static void test_interfaces_end_with_their_section(void **state)
{
	(void)state;
	put_section();
	put_interface(1, 0);
	put_section();
	put_packet(0, 1, "a", 1);
	feed_made_refused("pcapng block at byte 76: packet of interface 0, the section described 0 so far");
}

static void test_simple_packets_are_cut_by_the_first_snaplen(void **state)
{
	(void)state;
	put_section();
	put_interface(1, 4);
	put_interface(1, 2);
	block_begin(PCAPNG_BLOCK_SIMPLE);
	put32(9);
	put_padded("four", 4);
	block_end();
	block_begin(PCAPNG_BLOCK_SIMPLE);
	put32(3);
	put_padded("thr", 3);
	block_end();
	feed_made_good();
	assert_non_null(strstr(seen.text, "packet of 0 at 0 len=9 flags=0 four\n"));
	assert_non_null(strstr(seen.text, "packet of 0 at 0 len=3 flags=0 thr\n"));
}

static void test_length_on_the_wire_is_raised_to_the_captured(void **state)
{
	(void)state;
	put_section();
	put_interface(1, 0);
	put_packet(0, 1, "12345", 4);
	feed_made_good();
	assert_non_null(strstr(seen.text, "len=5 flags=0 12345\n"));
}

/* ---- time ---- */

static void test_resolutions(void **state)
{
	static const struct {
		const char *what;
		uint8_t tsresol;
		uint64_t ticks, ns, units;
	} good[] = {
		{"seconds", 0, 1700000000, UINT64_C(1700000000000000000), 1},
		{"milliseconds", 3, 5, 5000000, 1000},
		{"microseconds", 6, 7, 7000, 1000000},
		{"nanoseconds", 9, UINT64_MAX, UINT64_MAX, 1000000000},
		{"picoseconds", 12, 1999, 1, UINT64_C(1000000000000)},
		{"finest power of 10", 19, UINT64_MAX, 1844674407, UINT64_C(10000000000000000000)},
		{"2^0", 0x80, 3, UINT64_C(3000000000), 1},
		{"2^-1", 0x81, 3, 1500000000, 2},
		{"2^-10", 0x8a, 1025, UINT64_C(1000976562), 1024},
		{"finest power of 2", 0x80 | 63, UINT64_MAX, 1999999999, UINT64_C(1) << 63},
		{"largest in seconds", 0, UINT64_C(18446744073), UINT64_C(18446744073000000000), 1},
		{"largest in 2^-1", 0x81, UINT64_C(36893488147), UINT64_C(18446744073500000000), 2},
	};
	char want[96];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		reader_begin(0);
		made.n = 0;
		put_section();
		put_interface_resolution(good[i].tsresol);
		put_packet(0, good[i].ticks, "x", 1);
		feed_made_good();
		snprintf(want, sizeof(want), "units=%" PRIu64 "\n", good[i].units);
		assert_non_null(strstr(seen.text, want));
		snprintf(want, sizeof(want), "packet of 0 at %" PRIu64 " len", good[i].ns);
		if (!strstr(seen.text, want))
			fail_msg("%s: no \"%s\" in %s", good[i].what, want, seen.text);
	}
}

static void test_times_that_do_not_fit(void **state)
{
	static const struct {
		uint8_t tsresol;
		uint64_t ticks;
	} bad[] = {
		{0, UINT64_C(18446744074)},
		{8, UINT64_MAX / 10 + 1},
		{6, UINT64_MAX},
		{0x80, UINT64_C(18446744074)},
		{0x81, UINT64_C(36893488148)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reader_begin(0);
		made.n = 0;
		put_section();
		put_interface_resolution(bad[i].tsresol);
		put_packet(0, bad[i].ticks, "x", 1);
		feed_made_refused("pcapng block at byte 56: time of packet does not fit 64-bit nanoseconds");
	}
}

static void test_offsets_of_time(void **state)
{
	static const struct {
		int64_t offset_s;
		uint64_t ticks_s;
		const char *says; /* NULL: read, as ns */
		uint64_t ns;
	} cases[] = {
		{-5, 5, NULL, 0},
		{-5, 4, "pcapng block at byte 68: time of packet does not fit 64-bit nanoseconds", 0},
		{INT64_C(9223372036), 0, NULL, UINT64_C(9223372036000000000)},
		{INT64_C(9223372037), 0,
			"pcapng block at byte 28: option if_tsoffset: 9223372037 s does not fit 64-bit nanoseconds", 0},
		{INT64_C(-9223372037), 0,
			"pcapng block at byte 28: option if_tsoffset: -9223372037 s does not fit 64-bit nanoseconds",
			0},
		{INT64_MIN, 0,
			"pcapng block at byte 28: option if_tsoffset: -9223372036854775808 s does not fit 64-bit "
			"nanoseconds",
			0},
	};
	char want[96];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reader_begin(0);
		made.n = 0;
		put_section();
		put_interface_begin(1, 0);
		put_option(9, "\0", 1);
		put_option_u64(14, (uint64_t)cases[i].offset_s);
		block_end();
		put_packet(0, cases[i].ticks_s, "x", 1);
		if (cases[i].says) {
			feed_made_refused(cases[i].says);
			continue;
		}
		feed_made_good();
		snprintf(want, sizeof(want), "packet of 0 at %" PRIu64 " len", cases[i].ns);
		assert_non_null(strstr(seen.text, want));
	}
}

/* ---- text ---- */

static void read_name(const void *p, size_t n)
{
	reader_begin(0);
	made.n = 0;
	put_section();
	put_interface_begin(1, 0);
	put_option(2, p, (uint16_t)n);
	block_end();
	feed_made_good();
}

static void test_text_is_clean(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *out;
	} cases[] = {
		{"plain", 5, "plain"},
		{"g\xc3\xbcnther \xe2\x82\xac \xf0\x9f\x98\x80", 17, "g\xc3\xbcnther \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"tab\tand\nline", 12, "tab\tand\nline"},
		{"ends\0here", 9, "ends"},
		{"\x1b[31mred\x7f", 9, "?[31mred?"},
		{"\xc2\x9b"
		 "31m",
			5, "??31m"},
		{"overlong \xc0\xaf", 11, "overlong ??"},
		{"surrogate \xed\xa0\x80", 13, "surrogate ???"},
		{"cut \xe2\x82", 6, "cut ??"},
		{"beyond \xf4\x90\x80\x80", 11, "beyond ????"},
		{"\x80\xff", 2, "??"},
	};
	char want[96];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_name(cases[i].in, cases[i].n);
		snprintf(want, sizeof(want), "units=1000000 name=%s\n", cases[i].out);
		if (!strstr(seen.text, want))
			fail_msg("case %zu: %s", i, seen.text);
	}
}

static void test_text_is_cut_between_characters(void **state)
{
	char in[PCAPNG_TEXT_MAX + 10], *name;

	(void)state;
	memset(in, 'a', sizeof(in));
	for (size_t n = PCAPNG_TEXT_MAX - 1; n <= sizeof(in); n++) {
		read_name(in, n);
		name = strstr(seen.text, "name=") + 5;
		assert_int_equal(strcspn(name, "\n"), n < PCAPNG_TEXT_MAX ? n : PCAPNG_TEXT_MAX);
	}
	memcpy(in + PCAPNG_TEXT_MAX - 2, "\xe2\x82\xac", 3); /* its last byte is the first one too many */
	read_name(in, sizeof(in));
	name = strstr(seen.text, "name=") + 5;
	assert_int_equal(strcspn(name, "\n"), PCAPNG_TEXT_MAX - 2);
	memcpy(in + PCAPNG_TEXT_MAX - 3, "\xe2\x82\xac", 3); /* just fits */
	in[PCAPNG_TEXT_MAX] = 'a';
	read_name(in, sizeof(in));
	name = strstr(seen.text, "name=") + 5;
	assert_int_equal(strcspn(name, "\n"), PCAPNG_TEXT_MAX);
}

static void test_filters_of_other_kinds_are_left_out(void **state)
{
	(void)state;
	put_section();
	put_interface_begin(1, 0);
	put_option(11, "\1\x28\0\0", 4);
	block_end();
	feed_made_good();
	assert_null(strstr(seen.text, "filter"));
}

/* ---- limits ---- */

static void test_largest_packet(void **state)
{
	static uint8_t big[PCAPNG_SNAPLEN_MAX + 64];
	struct pcapng_packet p = {.caplen = PCAPNG_SNAPLEN_MAX, .len = PCAPNG_SNAPLEN_MAX, .data = big};
	static uint8_t block[PCAPNG_SNAPLEN_MAX + 64];
	size_t n;
	uint32_t over = PCAPNG_SNAPLEN_MAX + 1, len;

	(void)state;
	put_section();
	put_interface(1, 0);
	assert_int_equal(feed_exact(made.bytes, made.n), 0);
	n = pcapng_write_packet(block, sizeof(block), &p);
	assert_int_equal(n, pcapng_packet_bytes(PCAPNG_SNAPLEN_MAX));
	assert_int_equal(feed_exact(block, n), 0);

	memcpy(block + 20, &over, 4);
	len = (uint32_t)n + 4;
	memcpy(block + 4, &len, 4);
	memcpy(block + n, &len, 4);
	assert_int_equal(feed_exact(block, len), -1);
	assert_string_equal(err.msg, "pcapng block at byte 262224: packet: captured length 262145 is over 262144");
}

static void test_block_limit(void **state)
{
	(void)state;
	put_section();
	block_begin(0x0BAD);
	put("0123456789012345678901234567890123456789", 40);
	block_end();
	reader_begin(52);
	feed_made_good();
	reader_begin(48);
	feed_made_refused("pcapng block at byte 28: length 52 is over 48");
}

static void test_block_limit_is_never_over_the_largest(void **state)
{
	(void)state;
	put_section();
	put32(0x0BAD);
	put32(PCAPNG_BLOCK_BYTES_MAX + 4);
	put32(0);
	reader_begin(UINT32_MAX);
	feed_made_refused("pcapng block at byte 28: length 1048580 is over 1048576");
	reader_begin(0);
	made.n -= 8;
	put32(PCAPNG_BLOCK_BYTES_MAX);
	put32(0);
	assert_int_equal(feed_exact(made.bytes, made.n), 0);
}

static void test_interface_limit(void **state)
{
	(void)state;
	put_section();
	assert_int_equal(feed_exact(made.bytes, made.n), 0);
	made.n = 0;
	put_interface(1, 0);
	for (unsigned i = 0; i < PCAPNG_INTERFACES_MAX; i++)
		assert_int_equal(feed_exact(made.bytes, made.n), 0);
	feed_made_refused("pcapng block at byte 81948: more than 4096 interfaces in a section");
}

/* ---- refusals: a section, an interface, then these words in our own byte order ---- */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PAIR(first, second) ((uint32_t)(first) | (uint32_t)(second) << 16)
#else
#define PAIR(first, second) ((uint32_t)(first) << 16 | (uint32_t)(second))
#endif
#define WORD(a, b, c, d) PAIR((a) | (b) << 8, (c) | (d) << 8)

static const struct {
	const char *says; /* after "pcapng block at byte 48: " */
	size_t n;
	uint32_t words[20];
} bad[] = {
	/* frames */
	{"length 0 is under 12", 3, {6, 0, 0}},
	{"length 8 is under 12", 3, {6, 8, 8}},
	{"length 13 is not divisible by 4", 4, {6, 13, 0, 13}},
	{"length 1048580 is over 1048576", 3, {6, 1048580, 0}},
	{"length 4294967292 is over 1048576", 3, {6, UINT32_MAX - 3, 0}},
	{"length 4294967295 is not divisible by 4", 3, {6, UINT32_MAX, 0}},
	{"length 20 at the end differs from 16 at the beginning", 4, {99, 16, 0, 20}},
	/* sections */
	{"section header: byte-order magic is 0x1a2b3c4e", 7, {PCAPNG_BLOCK_SECTION, 28, 0x1A2B3C4E, 1, 0, 0, 28}},
	{"section header: length 24 is under 28", 6, {PCAPNG_BLOCK_SECTION, 24, 0x1A2B3C4D, PAIR(1, 0), 0, 24}},
	{"section header: version 2.0 is neither 1.0 nor 1.2", 7,
		{PCAPNG_BLOCK_SECTION, 28, 0x1A2B3C4D, PAIR(2, 0), UINT32_MAX, UINT32_MAX, 28}},
	{"section header: version 1.1 is neither 1.0 nor 1.2", 7,
		{PCAPNG_BLOCK_SECTION, 28, 0x1A2B3C4D, PAIR(1, 1), UINT32_MAX, UINT32_MAX, 28}},
	{"option 4 stands twice", 11,
		{PCAPNG_BLOCK_SECTION, 44, 0x1A2B3C4D, PAIR(1, 0), 0, 0, PAIR(4, 1), 0, PAIR(4, 1), 0, 44}},
	/* interfaces */
	{"interface: length 16 is under 20", 4, {1, 16, 1, 16}},
	{"option 2: length 1 passes the end of the block, 0 bytes are left", 6, {1, 24, 1, 0, PAIR(2, 1), 24}},
	{"option 2: length 5 passes the end of the block, 4 bytes are left", 7, {1, 28, 1, 0, PAIR(2, 5), 0, 28}},
	{"option 2: length 65535 passes the end of the block, 4 bytes are left", 7,
		{1, 28, 1, 0, PAIR(2, 65535), 0, 28}},
	{"option 2 stands twice", 7, {1, 28, 1, 0, PAIR(2, 0), PAIR(2, 0), 28}},
	{"option 9 stands twice", 9, {1, 36, 1, 0, PAIR(9, 1), WORD(6, 0, 0, 0), PAIR(9, 1), WORD(6, 0, 0, 0), 36}},
	{"end of options has length 4 instead of 0", 7, {1, 28, 1, 0, PAIR(0, 4), 0, 28}},
	{"option if_tsresol: length 4 is not 1", 7, {1, 28, 1, 0, PAIR(9, 4), 9, 28}},
	{"option if_tsresol: length 0 is not 1", 6, {1, 24, 1, 0, PAIR(9, 0), 24}},
	{"option if_tsresol: 10^-20 s is finer than 10^-19", 7, {1, 28, 1, 0, PAIR(9, 1), WORD(20, 0, 0, 0), 28}},
	{"option if_tsresol: 10^-127 s is finer than 10^-19", 7, {1, 28, 1, 0, PAIR(9, 1), WORD(127, 0, 0, 0), 28}},
	{"option if_tsresol: 2^-64 s is finer than 2^-63", 7, {1, 28, 1, 0, PAIR(9, 1), WORD(0xC0, 0, 0, 0), 28}},
	{"option if_tsoffset: length 4 is not 8", 7, {1, 28, 1, 0, PAIR(14, 4), 9, 28}},
	{"option if_speed: length 4 is not 8", 7, {1, 28, 1, 0, PAIR(8, 4), 9, 28}},
	{"option if_filter: length 0 leaves no room for its kind", 6, {1, 24, 1, 0, PAIR(11, 0), 24}},
	/* packets */
	{"packet: length 28 is under 32", 7, {6, 28, 0, 0, 0, 0, 28}},
	{"packet of interface 1, the section described 1 so far", 8, {6, 32, 1, 0, 0, 0, 0, 32}},
	{"packet of interface 4294967295, the section described 1 so far", 8, {6, 32, UINT32_MAX, 0, 0, 0, 0, 32}},
	{"packet: captured length 1 passes the end of the block, 0 bytes are left", 8, {6, 32, 0, 0, 0, 1, 1, 32}},
	{"packet: captured length 5 passes the end of the block, 4 bytes are left", 9, {6, 36, 0, 0, 0, 5, 5, 0, 36}},
	{"packet: captured length 4294967295 is over 262144", 9, {6, 36, 0, 0, 0, UINT32_MAX, 5, 0, 36}},
	{"packet: captured length 262145 is over 262144", 9, {6, 36, 0, 0, 0, 262145, 5, 0, 36}},
	{"option 1: length 1 passes the end of the block, 0 bytes are left", 10,
		{6, 40, 0, 0, 0, 1, 1, 0, PAIR(1, 1), 40}},
	{"option epb_flags: length 2 is not 4", 11, {6, 44, 0, 0, 0, 1, 1, 0, PAIR(2, 2), 0, 44}},
	{"option 2 stands twice", 13, {6, 52, 0, 0, 0, 1, 1, 0, PAIR(2, 4), 1, PAIR(2, 4), 1, 52}},
	/* simple packets */
	{"simple packet: length 12 is under 16", 3, {3, 12, 12}},
	{"packet: captured length 5 passes the end of the block, 4 bytes are left", 5, {3, 20, 5, 0, 20}},
	{"packet: captured length 4294967295 is over 262144", 5, {3, 20, UINT32_MAX, 0, 20}},
	/* statistics */
	{"interface statistics: length 20 is under 24", 5, {5, 20, 0, 0, 20}},
	{"statistics of interface 1, the section described 1 so far", 6, {5, 24, 1, 0, 0, 24}},
	{"time of statistics does not fit 64-bit nanoseconds", 6, {5, 24, 0, UINT32_MAX, 0, 24}},
	{"option isb_ifrecv: length 4 is not 8", 8, {5, 32, 0, 0, 0, PAIR(4, 4), 1, 32}},
	{"option isb_starttime: length 0 is not 8", 7, {5, 28, 0, 0, 0, PAIR(2, 0), 28}},
	{"option isb_starttime does not fit 64-bit nanoseconds", 9, {5, 36, 0, 0, 0, PAIR(2, 8), UINT32_MAX, 0, 36}},
	{"option 4 stands twice", 12, {5, 48, 0, 0, 0, PAIR(4, 8), 0, 0, PAIR(4, 8), 0, 0, 48}},
};

static void test_refusals(void **state)
{
	char says[160];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reader_begin(0);
		made.n = 0;
		put_section();
		put_interface(1, 0);
		put(bad[i].words, 4 * bad[i].n);
		snprintf(says, sizeof(says), "pcapng block at byte 48: %s", bad[i].says);
		feed_made_refused(says);
		assert_int_equal(pcapng_reader_good_bytes(reader), 48);
		assert_int_equal(seen.blocks, 2);
	}
}

static void test_nothing_stands_before_a_section(void **state)
{
	(void)state;
	put_interface(1, 0);
	feed_made_refused("pcapng block at byte 0: type 0x00000001 before a section header");
	reader_begin(0);
	made.n = 0;
	put("GET / HTTP/1.1\r\n", 16);
	feed_made_refused("pcapng block at byte 0: type 0x20544547 before a section header");
}

static void test_simple_packet_needs_an_interface(void **state)
{
	(void)state;
	put_section();
	block_begin(PCAPNG_BLOCK_SIMPLE);
	put32(0);
	block_end();
	feed_made_refused("pcapng block at byte 28: simple packet before any interface");
}

/* ---- the life of a reader ---- */

static void test_a_broken_stream_stays_broken(void **state)
{
	struct err again = {0};

	(void)state;
	put_section();
	put("\1\0\0\0\1\0\0\0\1\0\0\0", 12);
	assert_int_equal(feed_exact(made.bytes, made.n), -1);
	made.n = 0;
	put_section();
	assert_int_equal(pcapng_reader_feed(reader, made.bytes, made.n, &again), -1);
	assert_string_equal(again.msg, err.msg);
	assert_int_equal(again.code, ERR_INPUT);
	memset(&again, 0, sizeof(again));
	assert_int_equal(pcapng_reader_end(reader, &again), -1);
	assert_string_equal(again.msg, err.msg);
	assert_int_equal(pcapng_reader_feed(reader, made.bytes, 0, NULL), -1);
	assert_int_equal(seen.blocks, 1);
}

static void test_the_handler_may_stop(void **state)
{
	(void)state;
	make_everything();
	seen.fail_at = 3;
	assert_int_equal(feed_exact(made.bytes, made.n), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_string_equal(err.msg, "enough");
	assert_int_equal(pcapng_reader_good_bytes(reader), 248); /* the block it refused is not among them */
	assert_int_equal(feed_exact(made.bytes, 1), -1);
	assert_int_equal(seen.blocks, 3);

	reader_begin(0);
	seen.fail_at = 1;
	seen.fail_silently = true;
	assert_int_equal(feed_exact(made.bytes, made.n), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(pcapng_reader_end(reader, &err), -1);
	assert_string_equal(err.msg, "not a pcapng stream: 0 bytes without a section header");
	put_section();
	put_interface(1, 0);
	for (size_t cut = 1; cut < made.n; cut++) {
		reader_begin(0);
		assert_int_equal(feed_exact(made.bytes, cut), 0);
		assert_int_equal(pcapng_reader_end(reader, &err), cut == 28 ? 0 : -1);
		if (cut != 28)
			assert_int_equal(err.code, ERR_INPUT);
		assert_int_equal(pcapng_reader_good_bytes(reader), cut < 28 ? 0 : 28);
	}
	assert_string_equal(err.msg, "pcapng block at byte 28: the stream ends after 19 bytes of it");
}

static void test_free_of_nothing(void **state)
{
	(void)state;
	pcapng_reader_free(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_everything_is_read_in_both_byte_orders),
		T(test_any_slicing_gives_the_same),
		T(test_whole_blocks_are_not_copied),
		T(test_sections_have_their_own_order_and_interfaces),
		T(test_interfaces_end_with_their_section),
		T(test_simple_packets_are_cut_by_the_first_snaplen),
		T(test_length_on_the_wire_is_raised_to_the_captured),
		T(test_resolutions),
		T(test_times_that_do_not_fit),
		T(test_offsets_of_time),
		T(test_text_is_clean),
		T(test_text_is_cut_between_characters),
		T(test_filters_of_other_kinds_are_left_out),
		T(test_largest_packet),
		T(test_block_limit),
		T(test_block_limit_is_never_over_the_largest),
		T(test_interface_limit),
		T(test_refusals),
		T(test_nothing_stands_before_a_section),
		T(test_simple_packet_needs_an_interface),
		T(test_a_broken_stream_stays_broken),
		T(test_the_handler_may_stop),
		T(test_ends),
		T(test_free_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
