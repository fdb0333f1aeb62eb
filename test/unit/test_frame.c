/* test_frame.c - where a block ends: what counts as whole, byte by byte, and what as none. */
#include "test/unit/store_rig.h"
#include "uploader/spool/chunk_note.h"
#include "uploader/spool/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of the first n bytes of a good stream exactly the blocks that end within them are whole. */
static void every_cut(enum frame_format format)
{
	struct store_rig_stream s;
	size_t last = 0;

	store_rig_stream_make(&s, format, 5, 6);
	for (size_t n = 0; n <= s.n; n++) {
		struct frame f = {0}, two = {0};
		size_t whole = frame_walk(&f, s.bytes, n);

		assert_false(f.bad);
		assert_in_range(whole, last, n); /* never less than a shorter look gave */
		last = whole;
		/* In two looks it is the same. */
		size_t first = frame_walk(&two, s.bytes, n / 2);
		assert_int_equal(first + frame_walk(&two, s.bytes + first, n - first), whole);
		assert_int_equal(two.interfaces, f.interfaces);
		assert_int_equal(two.format, f.format);
	}
	assert_int_equal(last, s.n);
	store_rig_stream_done(&s);
}

static void test_every_cut(void **state)
{
	(void)state;
	every_cut(FRAME_PCAPNG);
	every_cut(FRAME_PCAP);
}

static size_t pcapng_start(uint8_t *dst, size_t room)
{
	const struct pcapng_section section = {0};
	const struct pcapng_interface interface = {.link_type = 1};
	size_t n = pcapng_write_section(dst, room, &section);

	return n + pcapng_write_interface(dst + n, room - n, &interface);
}

static void put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* After section and one interface comes a block of len bytes with one word of it changed. */
static void test_bad_blocks(void **state)
{
	static const struct {
		const char *what;
		uint32_t type, len, at, value; /* value is put at byte `at`; at 0: nothing is changed */
		bool good;
	} cases[] = {
		{"packet", PCAPNG_BLOCK_PACKET, 36, 20, 4, true},
		{"packet longer than its block", PCAPNG_BLOCK_PACKET, 36, 20, 5, false},
		{"packet length absurd", PCAPNG_BLOCK_PACKET, 36, 20, 0xffffffff, false},
		{"packet of no interface", PCAPNG_BLOCK_PACKET, 36, 8, 1, false},
		{"packet block too short", PCAPNG_BLOCK_PACKET, 28, 0, 0, false},
		{"packet block just long enough", PCAPNG_BLOCK_PACKET, 32, 0, 0, true},
		{"statistics", PCAPNG_BLOCK_STATS, 24, 0, 0, true},
		{"statistics of no interface", PCAPNG_BLOCK_STATS, 24, 8, 1, false},
		{"statistics too short", PCAPNG_BLOCK_STATS, 20, 0, 0, false},
		{"interface", PCAPNG_BLOCK_INTERFACE, 20, 0, 0, true},
		{"interface too short", PCAPNG_BLOCK_INTERFACE, 16, 0, 0, false},
		{"simple packet", PCAPNG_BLOCK_SIMPLE, 16, 0, 0, true},
		{"simple packet too short", PCAPNG_BLOCK_SIMPLE, 12, 0, 0, false},
		{"unknown type", 0x0bad, 12, 0, 0, true},
		{"second section of another byte order", PCAPNG_BLOCK_SECTION, 28, 8, 0x4D3C2B1A, false},
		{"second section too short", PCAPNG_BLOCK_SECTION, 24, 8, 0x1A2B3C4D, false},
		{"second section", PCAPNG_BLOCK_SECTION, 28, 8, 0x1A2B3C4D, true},
		{"length under 12", 0x0bad, 12, 4, 8, false},
		{"length not divisible by 4", 0x0bad, 16, 4, 14, false},
		{"length over the most", 0x0bad, 16, 4, FRAME_UNIT_BYTES_MAX + 4, false},
		{"trailer unlike the header", 0x0bad, 16, 12, 12, false},
		{"zeros", 0, 0, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[512] = {0};
		size_t start = pcapng_start(bytes, sizeof(bytes)), n = cases[i].len ? cases[i].len : 12;
		uint8_t *b = bytes + start;
		struct frame f = {0};

		put_u32(b, cases[i].type);
		put_u32(b + 4, cases[i].len);
		if (cases[i].len)
			put_u32(b + cases[i].len - 4, cases[i].len);
		if (cases[i].at)
			put_u32(b + cases[i].at, cases[i].value);
		if (frame_walk(&f, bytes, start + n) != (cases[i].good ? start + n : start) || f.bad == cases[i].good)
			fail_msg("%s", cases[i].what);
		/* Bad once is bad for ever. */
		if (f.bad)
			assert_int_equal(frame_walk(&f, bytes, start), 0);
	}
}

static void test_longest_block(void **state)
{
	uint8_t *bytes = calloc(1, FRAME_UNIT_BYTES_MAX + 512);
	struct frame f = {0};
	size_t start;

	(void)state;
	assert_non_null(bytes);
	start = pcapng_start(bytes, 512);
	put_u32(bytes + start, 0x0bad);
	put_u32(bytes + start + 4, FRAME_UNIT_BYTES_MAX);
	put_u32(bytes + start + FRAME_UNIT_BYTES_MAX - 4, FRAME_UNIT_BYTES_MAX);
	assert_int_equal(frame_walk(&f, bytes, start + FRAME_UNIT_BYTES_MAX), start + FRAME_UNIT_BYTES_MAX);
	free(bytes);
}

static void test_bad_beginnings(void **state)
{
	static const struct {
		const char *what;
		uint32_t first;
		bool bad;
	} cases[] = {
		{"a packet before the section", PCAPNG_BLOCK_PACKET, true},
		{"pcap with microseconds", 0xA1B2C3D4, true},
		{"pcap of another byte order", 0x4D3CB2A1, true},
		{"zeros", 0, true},
		{"pcap with nanoseconds", 0xA1B23C4D, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[24] = {0};
		struct frame f = {0};

		put_u32(bytes, cases[i].first);
		assert_int_equal(frame_walk(&f, bytes, sizeof(bytes)), cases[i].bad ? 0 : sizeof(bytes));
		assert_int_equal(f.bad, cases[i].bad);
	}
}

static void test_bad_records(void **state)
{
	static const struct {
		const char *what;
		uint32_t nanoseconds, caplen, len;
		size_t whole;
		bool bad;
	} cases[] = {
		{"empty packet", 999999999, 0, 0, 16, false},
		{"nanoseconds of a whole second", 1000000000, 0, 0, 0, true},
		{"cut packet", 0, 4, 9, 20, false},
		{"longer than it was on the wire", 0, 4, 3, 0, true},
		{"just the longest, not there yet", 0, PCAPNG_SNAPLEN_MAX, PCAPNG_SNAPLEN_MAX, 0, false},
		{"over the longest", 0, PCAPNG_SNAPLEN_MAX + 1, PCAPNG_SNAPLEN_MAX + 1, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[24 + 20] = {0};
		struct frame f = {0};
		size_t whole;

		put_u32(bytes, 0xA1B23C4D);
		put_u32(bytes + 28, cases[i].nanoseconds);
		put_u32(bytes + 32, cases[i].caplen);
		put_u32(bytes + 36, cases[i].len);
		whole = frame_walk(&f, bytes, 24 + (cases[i].whole ? cases[i].whole : 20));
		if (whole != 24 + cases[i].whole || f.bad != cases[i].bad)
			fail_msg("%s", cases[i].what);
	}
}

/* ---- the note that the database keeps with a chunk ---- */

static void test_note_round_trip(void **state)
{
	static const char *const parts[] = {"", "etag", "1 0 8388608 abc", " leading", "end more"};

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct chunk_note a = {
			.frame = {.format = i % 2 ? FRAME_PCAP : FRAME_PCAPNG, .interfaces = (uint32_t)i},
			.last = i == 2};
		struct chunk_note b;
		struct err err = {0};
		const char *part;
		char *text;

		sha_state_init(&a.sum);
		sha_state_add(&a.sum, "some bytes", i);
		text = chunk_note_format(&a, parts[i]);
		assert_non_null(text);
		assert_int_equal(chunk_note_parse(text, &b, &part, &err), 0);
		assert_string_equal(part, parts[i]);
		assert_int_equal(b.frame.format, a.frame.format);
		assert_int_equal(b.frame.interfaces, a.frame.interfaces);
		assert_int_equal(b.last, a.last);
		assert_int_equal(b.sum.bytes, i);
		free(text);
	}
}

static void test_bad_notes(void **state)
{
#define SUM "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19:0:"
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"pcapng 4096 more " SUM " ", true},
		{"pcapng 4097 more " SUM " ", false},
		{"pcapng 1 end " SUM " x", true},
		{"pcapng 1 ende " SUM " x", false},
		{"pcapng 1 mor " SUM " x", false},
		{"nothing 0 more " SUM " ", false},
		{"elf 0 more " SUM " ", false},
		{"pcapng -1 more " SUM " ", false},
		{"pcapng 1 more " SUM, false},
		{"pcapng 1 more 6a09 ", false},
		{"pcapng 1 more", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct chunk_note n;
		struct err err = {0};
		const char *part;

		if ((chunk_note_parse(cases[i].text, &n, &part, &err) == 0) != cases[i].good)
			fail_msg("\"%s\"", cases[i].text);
		if (!cases[i].good)
			assert_int_equal(err.code, ERR_IO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_bad_blocks),
		cmocka_unit_test(test_longest_block),
		cmocka_unit_test(test_bad_beginnings),
		cmocka_unit_test(test_bad_records),
		cmocka_unit_test(test_note_round_trip),
		cmocka_unit_test(test_bad_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
