/* test_pace_pool.c - collector/pace_pool.c: what several captures may take together, by clocks that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/pace_pool.h"

#define MS   CLOCK_NS_PER_MS
#define S    CLOCK_NS_PER_S
#define T0   (5 * S)
#define RATE UINT64_C(1000000) /* a byte is a microsecond */

static struct pace_pool make(uint64_t rate, unsigned cpu)
{
	const struct pace_limits l = {rate, cpu};
	struct pace_pool p;

	assert_int_equal(pace_pool_init(&p, &l, T0, NULL), 0);
	return p;
}

static struct pace_moment moment(uint64_t since_ns, uint64_t cpu_ns, uint64_t bytes)
{
	return (struct pace_moment){.now_ns = T0 + since_ns, .cpu_ns = cpu_ns, .bytes = bytes};
}

static uint64_t rest(struct pace_pool *p, struct pace_moment *last, struct pace_moment at)
{
	bool bytes = false;
	const uint64_t until = pace_pool_rest(p, last, &at, &bytes);

	return until ? until - T0 : 0;
}

static void test_one_account_for_all(void **state)
{
	struct pace_pool p = make(RATE, 0);
	struct pace_moment a = moment(0, 0, 0), b = moment(0, 0, 0);

	(void)state;
	assert_int_equal(rest(&p, &a, moment(1 * MS, 0, 60000)), 0);
	assert_int_equal(
		rest(&p, &b, moment(2 * MS, 0, 60000)), 121 * MS - 1 * MS); /* what a took began to be paid at 0 */
	assert_int_equal(rest(&p, &a, moment(3 * MS, 0, 60000)), 120 * MS); /* it took nothing, and rests as well */
	assert_int_equal(rest(&p, &a, moment(120 * MS, 0, 60000)), 0);
	assert_int_equal(pace_pool_bytes(&p), 120000);
	pace_pool_done(&p);
}

static void test_cpu_of_all(void **state)
{
	struct pace_pool p = make(0, 200); /* of one core: two of them */
	struct pace_moment a = moment(0, 0, 0), b = moment(0, 50 * S, 0);
	bool bytes = true;
	struct pace_moment at = moment(1 * S, 53 * S, 0);

	(void)state;
	assert_int_equal(rest(&p, &a, moment(1 * S, 1 * S, UINT64_C(1) << 40)), 0);
	assert_int_equal(pace_pool_rest(&p, &b, &at, &bytes), T0 + 1 * S + 1500 * MS);
	assert_false(bytes);
	pace_pool_done(&p);
}

static void test_an_older_clock(void **state)
{
	struct pace_pool p = make(RATE, 0);
	struct pace_moment a = moment(0, 0, 0), b = moment(0, 0, 0);

	(void)state;
	assert_int_equal(rest(&p, &a, moment(50 * MS, 0, 10)), 0);
	assert_int_equal(rest(&p, &b, moment(10 * MS, 0, 10)), 0); /* it looked before a did, and came after */
	assert_in_range(p.pace.rested_ns, 0, 50 * MS);
	pace_pool_done(&p);
}

static void test_narrowing(void **state)
{
	static const struct {
		uint64_t rate;
		unsigned cpu, step;
		uint64_t want_rate;
		unsigned want_cpu;
	} rows[] = {
		{0, 0, 0, 0, 0},
		{0, 0, 1, 0, 25},
		{0, 0, 2, 0, 6},
		{0, 0, 3, 0, 1},
		{1 << 20, 100, 1, 1 << 18, 25},
		{1 << 20, 100, 2, 1 << 16, 6},
		{1 << 18, 8, 2, 1 << 16, 1},
		{1 << 20, 400, 0, 1 << 20, 400},
		{1 << 20, 400, 1, 1 << 18, 100},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pace_pool p = make(rows[i].rate, rows[i].cpu);

		pace_pool_narrow(&p, rows[i].step);
		assert_int_equal(p.pace.limits.bytes_per_s, rows[i].want_rate);
		assert_int_equal(p.pace.limits.cpu_percent, rows[i].want_cpu);
		pace_pool_narrow(&p, 0);
		assert_int_equal(p.pace.limits.bytes_per_s, rows[i].rate);
		assert_int_equal(p.pace.limits.cpu_percent, rows[i].cpu);
		pace_pool_done(&p);
	}
}

static void test_the_last_step_takes_nothing(void **state)
{
	struct pace_pool p = make(0, 0);
	struct pace_moment a = moment(0, 0, 0);

	(void)state;
	assert_int_equal(rest(&p, &a, moment(1, 0, 0)), 0);
	pace_pool_narrow(&p, PACE_POOL_STEPS);
	assert_int_equal(rest(&p, &a, moment(2, 0, 0)), 2 + PACE_POOL_LOOK_NS);
	assert_int_equal(rest(&p, &a, moment(S, 0, 0)), S + PACE_POOL_LOOK_NS);
	pace_pool_narrow(&p, 0);
	assert_int_equal(rest(&p, &a, moment(S + 1, 0, 0)), 0);
	assert_int_equal(pace_pool_piece(&p, 4711), 4711);
	pace_pool_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_account_for_all),
		cmocka_unit_test(test_cpu_of_all),
		cmocka_unit_test(test_an_older_clock),
		cmocka_unit_test(test_narrowing),
		cmocka_unit_test(test_the_last_step_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
