/* test_fetch_ranges.c - cli/fetch/fetch_ranges.c: bytes that come in any order leave in theirs, and the window bounds what is held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/fetch/fetch_ranges.h"

#include <string.h>

#define SEGMENT 100u

static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos * 31 + (pos >> 8) * 7);
}

/* The next n bytes of a segment come. */
static void feed(struct ranges_segment *s, size_t n)
{
	assert_true(n <= s->bytes - s->got);
	for (size_t i = 0; i < n; i++)
		s->data[s->got + i] = byte_at(s->from + s->got + i);
	ranges_got(s, n);
}

static struct ranges_segment *take(struct ranges *r)
{
	struct ranges_segment *s = NULL;

	assert_int_equal(ranges_take(r, &s, NULL), 1);
	assert_non_null(s);
	assert_int_equal(s->got, 0);
	return s;
}

static void no_more(struct ranges *r)
{
	struct ranges_segment *s = NULL;

	assert_int_equal(ranges_take(r, &s, NULL), 0);
	assert_null(s);
}

/* Passes on up to most bytes in one go, looking at each.  Returns how many. */
static size_t pass(struct ranges *r, size_t most)
{
	const uint8_t *p = NULL;
	size_t n = ranges_head(r, &p);

	if (n > most)
		n = most;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], byte_at(r->written + i));
	if (n)
		ranges_pass(r, n);
	return n;
}

static uint64_t pass_all(struct ranges *r)
{
	uint64_t all = 0;
	size_t n;

	while ((n = pass(r, SIZE_MAX)) > 0)
		all += n;
	return all;
}

static void test_nothing(void **state)
{
	struct ranges r;

	(void)state;
	for (uint64_t at = 0; at < 3; at++) {
		ranges_init(&r, at * SEGMENT, at * SEGMENT, SEGMENT, 4);
		assert_true(ranges_is_over(&r));
		assert_true(ranges_all_taken(&r));
		assert_int_equal(ranges_left(&r), 0);
		no_more(&r);
		assert_int_equal(pass_all(&r), 0);
		ranges_done(&r);
	}
}

/* How the bytes are cut: each bound just inside and just outside. */
static void test_cuts(void **state)
{
	static const struct {
		uint64_t from, end;
		unsigned segments;
		size_t last;
	} rows[] = {
		{0, 1, 1, 1},
		{0, SEGMENT - 1, 1, SEGMENT - 1},
		{0, SEGMENT, 1, SEGMENT},
		{0, SEGMENT + 1, 2, 1},
		{0, 3 * SEGMENT, 3, SEGMENT},
		{0, 3 * SEGMENT + 1, 4, 1},
		{1, SEGMENT, 1, SEGMENT - 1},
		{1, SEGMENT + 1, 1, SEGMENT},
		{37, 3 * SEGMENT, 3, SEGMENT - 37},
		{3 * SEGMENT - 1, 3 * SEGMENT, 1, 1},
		{UINT64_MAX - 150, UINT64_MAX, 2, 50},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ranges_segment *s = NULL;
		uint64_t at = rows[i].from;
		struct ranges r;

		ranges_init(&r, rows[i].from, rows[i].end, SEGMENT, 2);
		for (unsigned k = 0; k < rows[i].segments; k++) {
			assert_int_equal(ranges_left(&r), rows[i].segments - k);
			assert_false(ranges_is_over(&r));
			s = take(&r);
			assert_int_equal(s->from, at);
			assert_int_equal(s->bytes, k + 1 < rows[i].segments ? SEGMENT : rows[i].last);
			at += s->bytes;
			assert_int_equal(ranges_all_taken(&r), k + 1 == rows[i].segments);
			feed(s, s->bytes);
			assert_int_equal(pass_all(&r), at - s->from);
		}
		assert_int_equal(at, rows[i].end);
		assert_int_equal(r.written, rows[i].end);
		assert_true(ranges_is_over(&r));
		no_more(&r);
		ranges_done(&r);
	}
}

/* The last comes first: nothing leaves before the first has come, then all at once. */
static void test_backwards(void **state)
{
	struct ranges_segment *s[4];
	struct ranges r;

	(void)state;
	ranges_init(&r, 50, 50 + 4 * SEGMENT, SEGMENT, 4);
	for (int i = 0; i < 4; i++)
		s[i] = take(&r);
	for (int i = 3; i > 0; i--) {
		assert_false(ranges_is_head(&r, s[i]));
		feed(s[i], SEGMENT);
		assert_int_equal(pass_all(&r), 0);
	}
	assert_true(ranges_is_head(&r, s[0]));
	feed(s[0], SEGMENT);
	assert_int_equal(pass_all(&r), 4 * SEGMENT);
	assert_true(ranges_is_over(&r));
	ranges_done(&r);
}

/* The head leaves while it still comes; a request that broke off goes on behind what it brought. */
static void test_head_in_pieces(void **state)
{
	struct ranges_segment *first, *second;
	struct ranges r;

	(void)state;
	ranges_init(&r, 0, 2 * SEGMENT, SEGMENT, 2);
	first = take(&r);
	second = take(&r);
	feed(second, 60);
	feed(first, 10);
	assert_int_equal(pass(&r, 4), 4);
	assert_int_equal(pass(&r, SIZE_MAX), 6);
	assert_int_equal(pass(&r, SIZE_MAX), 0);
	assert_int_equal(r.written, 10);
	feed(first, 89);
	assert_int_equal(pass_all(&r), 89);
	assert_true(ranges_is_head(&r, first));
	feed(first, 1);
	assert_int_equal(pass_all(&r), 1 + 60);
	assert_true(ranges_is_head(&r, second));
	feed(second, 40);
	assert_int_equal(pass_all(&r), 40);
	assert_true(ranges_is_over(&r));
	ranges_done(&r);
}

/* One that never comes: the others fill the window and no more; what stands before the gap is all that leaves. */
static void test_gap(void **state)
{
	struct ranges_segment *bad, *s;
	struct ranges r;

	(void)state;
	ranges_init(&r, 0, 20 * SEGMENT, SEGMENT, 4);
	s = take(&r);
	bad = take(&r);
	feed(s, SEGMENT);
	feed(bad, 30);
	for (int i = 0; i < 2; i++)
		feed(take(&r), SEGMENT);
	no_more(&r);
	assert_int_equal(pass_all(&r), SEGMENT + 30);
	feed(take(&r), SEGMENT);
	no_more(&r);
	assert_int_equal(pass_all(&r), 0);
	assert_int_equal(r.written, SEGMENT + 30);
	assert_false(ranges_is_over(&r));
	/* It comes at last. */
	feed(bad, SEGMENT - 30);
	assert_int_equal(pass_all(&r), SEGMENT - 30 + 3 * SEGMENT);
	assert_int_equal(r.written, 5 * SEGMENT);
	ranges_done(&r);
}

/* A slot is not handed out while its last byte has not been passed on, and its memory is used again. */
static void test_slots_are_used_again(void **state)
{
	struct ranges_segment *s;
	const uint8_t *data;
	struct ranges r;

	(void)state;
	ranges_init(&r, 0, 5 * SEGMENT, SEGMENT, 1);
	for (int i = 0; i < 5; i++) {
		s = take(&r);
		data = i ? data : s->data;
		assert_ptr_equal(s->data, data);
		no_more(&r);
		feed(s, SEGMENT);
		no_more(&r);
		assert_int_equal(pass(&r, SEGMENT - 1), SEGMENT - 1);
		no_more(&r);
		assert_int_equal(pass(&r, 1), 1);
	}
	assert_true(ranges_is_over(&r));
	ranges_done(&r);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Any order of taking, coming and leaving: every byte leaves once and in its place, and never are more segments held than slots. */
static void one_walk(uint32_t seed)
{
	struct ranges_segment *open[RANGES_SLOTS_MAX];
	unsigned slots = 1 + next_random(&seed) % RANGES_SLOTS_MAX, n = 0;
	uint64_t from = next_random(&seed) % 1000, end = from + next_random(&seed) % 5000;
	uint64_t written = from;
	struct ranges r;

	ranges_init(&r, from, end, 1 + next_random(&seed) % 300, slots);
	while (!ranges_is_over(&r)) {
		struct ranges_segment *s = NULL;

		switch (next_random(&seed) % 3) {
		case 0:
			if (ranges_take(&r, &s, NULL) == 1) {
				assert_true(n < slots);
				open[n++] = s;
			}
			break;
		case 1:
			if (!n)
				break;
			s = open[next_random(&seed) % n];
			feed(s, next_random(&seed) % (s->bytes - s->got + 1));
			break;
		default:
			written += pass(&r, next_random(&seed) % 400);
			assert_int_equal(written, r.written);
		}
		for (unsigned i = 0; i < n; i++)
			if (open[i]->got == open[i]->bytes)
				open[i--] = open[--n];
		assert_true(r.next - r.written <= (uint64_t)slots * r.segment_bytes);
	}
	assert_int_equal(written, end);
	ranges_done(&r);
}

static void test_random(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 500; seed++)
		one_walk(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_head_in_pieces),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_slots_are_used_again),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
