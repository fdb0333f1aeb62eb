/* test_rate.c - what is slowed, by which limit, and that the end of a capture waits for nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/limits/rate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define KIB UINT64_C(1024)

static struct rate *rate;

static struct rate_flow *flow_of(const char *user)
{
	struct rate_flow *f = rate_flow_new(rate, user, NULL);

	assert_non_null(f);
	return f;
}

static void assert_limit(struct rate_flow *f, const char *limit, uint64_t bytes_per_s)
{
	uint64_t n = 0;

	assert_non_null(rate_limit(f, &n));
	assert_string_equal(rate_limit(f, &n), limit);
	assert_int_equal(n, bytes_per_s);
}

static void without_limits_nothing_waits(void **state)
{
	struct rate_flow *f;
	uint64_t n;

	(void)state;
	rate = rate_new(0, 0, NULL);
	f = flow_of("alice");
	for (unsigned i = 0; i < 1000; i++)
		rate_take(f, 256 * KIB);
	assert_null(rate_limit(f, &n));
	assert_int_equal(rate_piece(f, 256 * KIB), 256 * KIB);
	assert_int_equal(rate_of_agent(f), 0);
	rate_flow_free(f);
	rate_free(rate);

	assert_null(rate_flow_new(NULL, "alice", NULL));
	rate_take(NULL, 1);
	rate_open(NULL);
	rate_join(NULL);
	rate_leave(NULL);
	assert_null(rate_limit(NULL, &n));
	assert_int_equal(rate_of_agent(NULL), 0);
	rate_flow_free(NULL);
	rate_free(NULL);
}

static void the_limit_that_slows_is_named(void **state)
{
	struct rate_flow *a, *b;
	uint64_t n, began = clock_mono_ns();

	(void)state;
	rate = rate_new(1024 * KIB, 0, NULL);
	a = flow_of("alice");
	b = flow_of("alice");
	rate_take(a, 50 * KIB); /* a burst of a tenth of a second */
	assert_null(rate_limit(a, &n));
	rate_take(a, 100 * KIB);
	assert_limit(a, "limits.rate_per_capture", 1024 * KIB);
	assert_true(clock_mono_ns() - began >= 40 * CLOCK_NS_PER_MS); /* 150 KiB less the burst cannot be here sooner */
	assert_null(rate_limit(b, &n));                               /* each capture has its own */
	rate_flow_free(a);
	rate_flow_free(b);
	rate_free(rate);

	rate = rate_new(0, 2048 * KIB, NULL);
	a = flow_of("alice");
	b = flow_of("bob");
	rate_take(a, 400 * KIB);
	rate_take(b, 10 * KIB);
	assert_limit(b, "limits.rate", 2048 * KIB); /* all have it together */
	rate_flow_free(a);
	rate_flow_free(b);
	rate_free(rate);
}

static void pieces_and_agents_go_by_the_lower(void **state)
{
	struct rate_flow *f;

	(void)state;
	rate = rate_new(1024 * KIB, 8192 * KIB, NULL);
	f = flow_of("alice");
	assert_int_equal(rate_of_agent(f), 1152 * KIB);
	assert_int_equal(rate_piece(f, 256 * KIB), 1024 * KIB / 20);
	rate_flow_free(f);
	rate_free(rate);

	rate = rate_new(0, RATE_LEAST, NULL);
	f = flow_of("alice");
	assert_int_equal(rate_of_agent(f), 72 * KIB);
	assert_int_equal(rate_piece(f, 256 * KIB), RATE_LEAST / 20);
	rate_flow_free(f);
	rate_free(rate);
}

static void join(struct rate_flow *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rate_join(f);
}

/* The more streams, the less at once; their agents are told a share only where that is little. */
static void streams_share(void **state)
{
	struct rate_flow *a, *b;

	(void)state;
	rate = rate_new(0, 1024 * KIB, NULL);
	a = flow_of("alice");
	b = flow_of("bob");
	join(a, 12);
	assert_int_equal(rate_piece(a, 256 * KIB), 1024 * KIB / 20);
	join(b, 52);
	assert_int_equal(rate_piece(a, 256 * KIB), 1024 * KIB / 96);
	assert_int_equal(rate_of_agent(a), 1152 * KIB);
	rate_join(b);
	assert_int_equal(rate_of_agent(a), 1024 * KIB / 65 * 9 / 8);
	rate_leave(b);
	assert_int_equal(rate_of_agent(a), 1152 * KIB);
	rate_flow_free(b); /* with its streams */
	assert_int_equal(rate_piece(a, 256 * KIB), 1024 * KIB / 20);
	rate_flow_free(a);
	rate_free(rate);

	rate = rate_new(128 * KIB, 1024 * KIB, NULL);
	a = flow_of("alice");
	b = flow_of("bob");
	join(a, 16);
	rate_join(b);
	assert_int_equal(rate_of_agent(a), 8 * KIB * 9 / 8); /* of its own capture's */
	assert_int_equal(rate_piece(a, 256 * KIB), 128 * KIB / 24);
	assert_int_equal(rate_of_agent(b), 144 * KIB); /* each capture has its own */
	join(b, 2000);
	assert_int_equal(rate_of_agent(b), 1024 * 9 / 8); /* never so little that nothing would come */
	assert_int_equal(rate_piece(b, 256 * KIB), 1024);
	rate_flow_free(a);
	rate_flow_free(b);
	rate_free(rate);
}

/* ---- with threads ---- */

static void *take_much(void *arg)
{
	for (unsigned i = 0; i < 100; i++) /* an hour's worth */
		rate_take(arg, 2048 * KIB);
	return NULL;
}

#define MANY      60u
#define MANY_RATE (1024 * KIB)
#define MANY_WANT (2304 * KIB)

static pthread_barrier_t line;
static _Atomic uint64_t taken, there_ns; /* when it was what is wanted */

static void *take_a_share(void *arg)
{
	uint64_t own = 0;

	pthread_barrier_wait(&line);
	while (taken < MANY_WANT) {
		size_t n = rate_piece(arg, 256 * KIB);

		rate_take(arg, n);
		own += n;
		if (atomic_fetch_add(&taken, n) + n >= MANY_WANT && there_ns == 0)
			there_ns = clock_mono_ns();
	}
	rate_open(arg);
	return (void *)(uintptr_t)own;
}

/* So many that each would wait for too long if all took what a single one does: what they get together cannot be here sooner, and each gets some. */
static void many_streams_stay_within(void **state)
{
	const struct {
		uint64_t own, all;
		unsigned flows;
	} rows[] = {{0, MANY_RATE, 3}, {MANY_RATE, 0, 1}};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct rate_flow *flows[3];
		pthread_t threads[MANY];
		uint64_t began;
		void *own;

		rate = rate_new(rows[r].own, rows[r].all, NULL);
		for (unsigned i = 0; i < rows[r].flows; i++) {
			flows[i] = flow_of(i ? "bob" : "alice");
			join(flows[i], MANY / rows[r].flows);
		}
		taken = there_ns = 0;
		assert_int_equal(pthread_barrier_init(&line, NULL, MANY), 0);
		began = clock_mono_ns();
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, take_a_share, flows[i % rows[r].flows]), 0);
		for (unsigned i = 0; i < MANY; i++) {
			assert_int_equal(pthread_join(threads[i], &own), 0);
			assert_true((uintptr_t)own > 0);
		}
		/* All but the burst of a tenth of a second, and a piece. */
		assert_true((there_ns - began) * MANY_RATE >= (MANY_WANT - MANY_RATE / 8) * CLOCK_NS_PER_S);
		pthread_barrier_destroy(&line);
		for (unsigned i = 0; i < rows[r].flows; i++)
			rate_flow_free(flows[i]);
		rate_free(rate);
	}
}

static void the_end_waits_for_nothing(void **state)
{
	const uint64_t own[] = {RATE_LEAST, 0};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		pthread_t threads[3];
		struct rate_flow *f;

		rate = rate_new(own[i], RATE_LEAST, NULL);
		f = flow_of("alice");
		for (unsigned t = 0; t < 3; t++)
			assert_int_equal(pthread_create(&threads[t], NULL, take_much, f), 0);
		rate_open(f);
		for (unsigned t = 0; t < 3; t++)
			pthread_join(threads[t], NULL);
		rate_flow_free(f);
		rate_free(rate);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_limits_nothing_waits),
		cmocka_unit_test(the_limit_that_slows_is_named),
		cmocka_unit_test(pieces_and_agents_go_by_the_lower),
		cmocka_unit_test(streams_share),
		cmocka_unit_test(many_streams_stay_within),
		cmocka_unit_test(the_end_waits_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
