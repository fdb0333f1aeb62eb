/* test_segment.c - room, references, and the fields read out of blocks of our own writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/segment_rig.h"

#include <string.h>

static void room_is_there_up_to_the_last_byte(void **state)
{
	struct segment *s = segment_new(8);
	uint8_t *p;

	(void)state;
	assert_non_null(s);
	p = segment_room(s, 8);
	assert_ptr_equal(p, s->data);
	memcpy(p, "abcdefgh", 8);
	s->len = 8;
	assert_ptr_equal(segment_room(s, 0), s->data + 8);
	assert_int_equal(s->cap, 8);

	p = segment_room(s, 100000);
	assert_non_null(p);
	assert_ptr_equal(p, s->data + 8);
	assert_true(s->cap - s->len >= 100000);
	memset(p, 1, 100000);
	assert_memory_equal(s->data, "abcdefgh", 8);
	segment_unref(s);
}

static void none_at_first_is_no_trap(void **state)
{
	struct segment *s = segment_new(0);

	(void)state;
	assert_non_null(s);
	assert_non_null(segment_room(s, 1));
	segment_unref(s);
}

static void what_no_memory_can_hold_is_refused(void **state)
{
	struct segment *s = segment_new(16);

	(void)state;
	s->len = 16;
	assert_null(segment_room(s, SIZE_MAX));
	assert_null(segment_room(s, SIZE_MAX - 16));
	assert_null(segment_room(s, SIZE_MAX / 2));
	assert_int_equal(s->cap, 16); /* and it goes on as it was */
	assert_non_null(segment_room(s, 16));
	segment_unref(s);
}

static void the_last_reference_frees(void **state)
{
	struct segment *s = segment_new(1), *t = segment_ref(s);

	(void)state;
	assert_ptr_equal(s, t);
	segment_unref(s);
	t->data[0] = 1; /* the sanitizer's business */
	segment_unref(t);
	segment_unref(NULL);
}

static void blocks_show_their_fields(void **state)
{
	const uint64_t ts = UINT64_C(0x123456789abcdef0);
	struct segment *s = seg_header(2);
	struct block_view v;
	size_t pos;

	(void)state;
	v = block_at(s->data);
	assert_int_equal(v.type, PCAPNG_BLOCK_SECTION);
	assert_int_equal(v.ts_ns, 0);
	pos = v.len;
	v = block_at(s->data + pos);
	assert_int_equal(v.type, PCAPNG_BLOCK_INTERFACE);
	assert_int_equal(v.interface_id, 0);
	assert_int_equal(v.caplen, 0);

	pos = s->len;
	seg_packet(s, 5, ts, 61, 1);
	seg_stats(s, 6, ts + 1);
	v = block_at(s->data + pos);
	assert_int_equal(v.type, PCAPNG_BLOCK_PACKET);
	assert_int_equal(v.len, pcapng_packet_bytes(61));
	assert_int_equal(v.interface_id, 5);
	assert_int_equal(v.caplen, 61);
	assert_int_equal(v.ts_ns, ts);
	pos += v.len;
	v = block_at(s->data + pos);
	assert_int_equal(v.type, PCAPNG_BLOCK_STATS);
	assert_int_equal(v.interface_id, 6);
	assert_int_equal(v.ts_ns, ts + 1);
	assert_int_equal(v.caplen, 0);
	assert_int_equal(pos + v.len, s->len);
	segment_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_is_there_up_to_the_last_byte),
		cmocka_unit_test(none_at_first_is_no_trap),
		cmocka_unit_test(what_no_memory_can_hold_is_refused),
		cmocka_unit_test(the_last_reference_frees),
		cmocka_unit_test(blocks_show_their_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
