/* test_capture_stats.c - collector/capture_stats.c: 64-bit totals from counters that wrap, and from one that goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/capture_stats.h"

static void test_first_reading_is_zero(void **state)
{
	struct capture_stats s = {0};

	(void)state;
	capture_stats_add(&s, &(struct capture_counts){1000, 200, 30});
	assert_int_equal(s.received, 0);
	assert_int_equal(s.dropped_os, 0);
	assert_int_equal(s.dropped_interface, 0);
	capture_stats_add(&s, &(struct capture_counts){1007, 202, 31});
	assert_int_equal(s.received, 7);
	assert_int_equal(s.dropped_os, 2);
	assert_int_equal(s.dropped_interface, 1);
}

static void test_steps(void **state)
{
	static const struct {
		const char *what;
		uint32_t from, to;
		uint64_t step;
	} cases[] = {
		{"nothing", 5, 5, 0},
		{"one", 5, 6, 1},
		{"over the wrap", UINT32_MAX, 0, 1},
		{"over the wrap by more", UINT32_MAX - 9, 90, 100},
		{"the largest", 0, CAPTURE_STATS_STEP_MAX, CAPTURE_STATS_STEP_MAX},
		{"the largest, over the wrap", UINT32_MAX, CAPTURE_STATS_STEP_MAX - 1, CAPTURE_STATS_STEP_MAX},
		{"just over the largest", 0, CAPTURE_STATS_STEP_MAX + 1, 0},
		{"one back", 6, 5, 0},
		{"back to nothing", 123456, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture_stats s = {0};

		capture_stats_add(&s, &(struct capture_counts){cases[i].from, cases[i].from, cases[i].from});
		capture_stats_add(&s, &(struct capture_counts){cases[i].to, cases[i].to, cases[i].to});
		if (s.received != cases[i].step || s.dropped_os != cases[i].step ||
			s.dropped_interface != cases[i].step)
			fail_msg("%s: %llu", cases[i].what, (unsigned long long)s.received);
	}
}

static void test_totals_pass_32_bits(void **state)
{
	const uint32_t step = UINT32_C(0x60000000);
	struct capture_stats s = {0};
	struct capture_counts now = {0};

	(void)state;
	capture_stats_add(&s, &now);
	for (int i = 1; i <= 20; i++) {
		now.received += step;
		capture_stats_add(&s, &now);
		assert_int_equal(s.received, (uint64_t)step * (uint64_t)i);
	}
}

static void test_after_a_step_back_it_goes_on(void **state)
{
	struct capture_stats s = {0};

	(void)state;
	capture_stats_add(&s, &(struct capture_counts){0, 0, 50});
	capture_stats_add(&s, &(struct capture_counts){0, 0, 3});
	capture_stats_add(&s, &(struct capture_counts){0, 0, 8});
	assert_int_equal(s.dropped_interface, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_reading_is_zero),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_totals_pass_32_bits),
		cmocka_unit_test(test_after_a_step_back_it_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
