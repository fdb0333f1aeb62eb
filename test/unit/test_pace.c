/* test_pace.c - collector/pace.c: when a capture has to rest and until when, by clocks that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/pace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MS       CLOCK_NS_PER_MS
#define S        CLOCK_NS_PER_S
#define T0       (5 * S) /* when every capture here begins */
#define KIB      UINT64_C(1024)
#define RATE     (1000 * UINT64_C(1000)) /* a byte is a microsecond */
#define AHEAD    (PACE_AHEAD_NS / 1000)  /* bytes that RATE lets go ahead of the clock */
#define STEP_MAX 5

static const struct pace_limits none, by_bytes = {RATE, 0}, by_cpu = {0, 50}, by_both = {RATE, 50},
				      slowest = {64 * KIB, 1}, fastest = {PACE_RATE_MAX, 100};

/* Looks at the moments that follow the start, in ns since it; rest: until when, 0: none. */
struct look {
	uint64_t now_ns, cpu_ns, bytes, rest;
};

static const struct {
	const char *what;
	const struct pace_limits *limits;
	struct look looks[STEP_MAX]; /* the first without a time is no more */
} cases[] = {
	{"without ceilings never", &none, {{1, 3600 * S, UINT64_MAX, 0}}},
	{"nothing taken", &by_both, {{1, 0, 0, 0}, {2, 0, 0, 0}}},
	{"bytes: as far ahead as may be", &by_bytes, {{1, 0, AHEAD, 0}}},
	{"bytes: to the nanosecond", &by_bytes, {{1000, 0, AHEAD + 1, 0}, {1001, 0, AHEAD + 1, 0}}},
	{"bytes: one too many", &by_bytes, {{999, 0, AHEAD + 1, PACE_AHEAD_NS + 1000}}},
	{"bytes: a rest lasts until all is paid", &by_bytes,
		{{1, 0, 200 * KIB, 204800000}, {204799999, 0, 200 * KIB, 204800000}, {204800000, 0, 200 * KIB, 0}}},
	{"bytes: what goes out in a rest makes it longer", &by_bytes,
		{{1, 0, 2 * AHEAD, 200 * MS}, {150 * MS, 0, 2 * AHEAD + 1000, 201 * MS},
			{201 * MS, 0, 2 * AHEAD + 1000, 0}}},
	{"bytes: just at the ceiling for ever", &by_bytes,
		{{100 * MS, 0, AHEAD, 0}, {1 * S, 0, 10 * AHEAD, 0}, {100 * S, 0, 1000 * AHEAD, 0}}},
	{"bytes: quiet time is not saved up", &by_bytes,
		{{10 * S, 0, 0, 0}, {10 * S + 1, 0, 2 * AHEAD, 10 * S + 200 * MS}}},
	{"bytes: time between two looks pays for what was taken in it", &by_bytes, {{1 * S, 0, 10 * AHEAD, 0}}},
	{"bytes: CPU is free", &by_bytes, {{1, 10 * S, 0, 0}}},
	{"cpu: as far ahead as may be", &by_cpu, {{50 * MS, 75 * MS, 0, 0}}},
	{"cpu: one too many", &by_cpu, {{50 * MS, 75 * MS + 1, 0, 150 * MS + 2}}},
	{"cpu: half of the time", &by_cpu, {{1 * S, 500 * MS, 0, 0}, {2 * S, 1000 * MS, 0, 0}}},
	{"cpu: all of the time", &by_cpu,
		{{1 * S, 1 * S, 0, 2 * S}, {2 * S - 1, 1 * S, 0, 2 * S}, {2 * S, 1 * S, 0, 0}}},
	{"cpu: a clock that goes back counts nothing", &by_cpu,
		{{1 * S, 400 * MS, 0, 0}, {2 * S, 100 * MS, 0, 0}, {3 * S, 600 * MS, 0, 0}}},
	{"cpu: bytes are free", &by_cpu, {{1, 0, UINT64_MAX, 0}}},
	{"both: bytes are the longer", &by_both, {{1, 10 * MS, 3 * AHEAD, 300 * MS}}},
	{"both: CPU is the longer", &by_both, {{1, 200 * MS, 3 * AHEAD, 400 * MS}}},
	{"both: neither alone, and they do not add up", &by_both, {{1, 50 * MS, AHEAD, 0}}},
	{"the lowest rate and the largest packet", &slowest, {{1, 0, 256 * KIB, 4 * S}}},
	{"the lowest share", &slowest, {{1 * S, 20 * MS, 0, 2 * S}}},
	{"the highest ceilings", &fastest, {{1 * S, 1 * S, PACE_RATE_MAX, 0}, {2 * S, 2 * S, 2 * PACE_RATE_MAX, 0}}},
	{"more than can be paid for", &slowest,
		{{1, 0, UINT64_MAX, UINT64_MAX - T0}, {2, UINT64_MAX, UINT64_MAX, UINT64_MAX - T0}}},
};

static void test_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pace_moment at = {.now_ns = T0};
		struct pace p;

		pace_begin(&p, cases[i].limits, &at);
		for (size_t k = 0; k < STEP_MAX && cases[i].looks[k].now_ns; k++) {
			const struct look *l = &cases[i].looks[k];
			uint64_t rest;

			at = (struct pace_moment){.now_ns = T0 + l->now_ns, .cpu_ns = l->cpu_ns, .bytes = l->bytes};
			rest = pace_rest(&p, &at);
			if (rest != (l->rest ? T0 + l->rest : 0))
				fail_msg("%s, look %zu: until %" PRIu64 " and not %" PRIu64, cases[i].what, k + 1,
					rest ? rest - T0 : 0, l->rest);
		}
	}
}

/* A capture that takes a piece whenever it may: what it got in ten seconds is the ceiling and what may be ahead, never less than the ceiling. */
static void test_a_greedy_capture_gets_its_rate(void **state)
{
	static const uint64_t rates[] = {64 * KIB, 256 * KIB, 1000 * KIB + 1, UINT64_C(1) << 30};
	const uint64_t span = 10 * S;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		const struct pace_limits limits = {.bytes_per_s = rates[i], .cpu_percent = 100};
		struct pace_moment at = {.now_ns = T0};
		struct pace p;
		uint64_t rest;

		pace_begin(&p, &limits, &at);
		while (at.now_ns < T0 + span) {
			rest = pace_rest(&p, &at);
			if (rest) {
				at.now_ns = rest;
			} else {
				at.bytes += pace_piece(&p, 512 * KIB);
				at.now_ns += 50000;
			}
		}
		assert_in_range(at.bytes, rates[i] * 98 / 10, rates[i] * 10 + rates[i] / 5 + 512 * KIB);
	}
}

static void test_a_greedy_thread_gets_its_share(void **state)
{
	static const unsigned percents[] = {1, 2, 50, 75, 99, 100};
	const uint64_t span = 100 * S;

	(void)state;
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		const struct pace_limits limits = {.cpu_percent = percents[i]};
		struct pace_moment at = {.now_ns = T0};
		struct pace p;
		uint64_t rest;

		pace_begin(&p, &limits, &at);
		while (at.now_ns < T0 + span) {
			rest = pace_rest(&p, &at);
			if (rest) {
				at.now_ns = rest;
			} else {
				at.now_ns += MS;
				at.cpu_ns += MS;
			}
		}
		assert_in_range(at.cpu_ns, percents[i] * S * 99 / 100, percents[i] * S + 200 * MS);
		assert_in_range(at.cpu_ns + p.rested_ns + 200 * MS, at.now_ns - T0, at.now_ns - T0 + 200 * MS);
	}
}

static void test_rests_are_added_up(void **state)
{
	struct pace_moment at = {.now_ns = T0};
	struct pace p;

	(void)state;
	pace_begin(&p, &by_bytes, &at);
	at.bytes = 5 * AHEAD;
	assert_int_equal(pace_rest(&p, &at), T0 + 500 * MS);
	assert_int_equal(p.rested_ns, 0);
	at.now_ns += 300 * MS; /* woken in between */
	assert_int_equal(pace_rest(&p, &at), T0 + 500 * MS);
	assert_int_equal(p.rested_ns, 300 * MS);
	at.now_ns += 201 * MS;
	assert_int_equal(pace_rest(&p, &at), 0);
	assert_int_equal(p.rested_ns, 501 * MS);
	at.now_ns += 10 * S;
	assert_int_equal(pace_rest(&p, &at), 0);
	assert_int_equal(p.rested_ns, 501 * MS);
}

static void test_piece(void **state)
{
	static const struct {
		uint64_t rate;
		size_t max, piece;
	} rows[] = {
		{0, 1, 1}, {0, SIZE_MAX, SIZE_MAX}, {64 * KIB, 512 * KIB, 6553}, {64 * KIB, 6553, 6553},
		{64 * KIB, 6552, 6552}, {64 * KIB, 1, 1}, {5120 * KIB, 512 * KIB, 512 * KIB},
		{5120 * KIB - 10, 512 * KIB, 512 * KIB - 1}, {PACE_RATE_MAX, 512 * KIB, 512 * KIB},
		{1, 512 * KIB, 1}, /* never none */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pace_limits limits = {.bytes_per_s = rows[i].rate, .cpu_percent = 75};
		const struct pace_moment at = {.now_ns = T0};
		struct pace p;

		pace_begin(&p, &limits, &at);
		assert_int_equal(pace_piece(&p, rows[i].max), rows[i].piece);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_a_greedy_capture_gets_its_rate),
		cmocka_unit_test(test_a_greedy_thread_gets_its_share),
		cmocka_unit_test(test_rests_are_added_up),
		cmocka_unit_test(test_piece),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
