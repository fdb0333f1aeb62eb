/* test_id.c - common/id.c: shape, order, and order between threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/id.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void test_shape(void **state)
{
	char id[ID_MAX];

	(void)state;
	id_new(id);
	assert_int_equal(strlen(id), ID_LEN);
	assert_true(id_is_valid(id));
}

static void test_time_comes_first(void **state)
{
	char id[ID_MAX];

	(void)state;
	/* The ULID specification's own example: 1469918176385 ms is 01ARYZ6S41. */
	clock_fake(UINT64_C(1469918176385) * CLOCK_NS_PER_MS);
	id_new(id);
	clock_fake(0);
	assert_memory_equal(id, "01aryz6s41", 10);
}

static void test_later_sorts_after(void **state)
{
	char last[ID_MAX], id[ID_MAX];

	(void)state;
	id_new(last);
	for (int i = 0; i < 10000; i++) {
		id_new(id);
		if (strcmp(last, id) >= 0)
			fail_msg("%s came after %s", id, last);
		memcpy(last, id, sizeof(last));
	}
	/* Also when somebody sets the clock back. */
	clock_fake(UINT64_C(1500000000000) * CLOCK_NS_PER_MS);
	id_new(id);
	clock_fake(0);
	assert_true(strcmp(last, id) < 0);
}

/* Neighbours of one millisecond differ by 64 random bits: 1 in 2^32 that the difference stays within the last 6 characters. */
static void test_neighbours_are_not_guessable(void **state)
{
	char a[ID_MAX], b[ID_MAX];

	(void)state;
	clock_fake(clock_wall_ns());
	id_new(a);
	id_new(b);
	clock_fake(0);
	assert_true(memcmp(a, b, 20) != 0);
}

#define THREADS 4
#define IDS     2000

static void *draw(void *arg)
{
	char(*ids)[ID_MAX] = arg;

	for (int i = 0; i < IDS; i++)
		id_new(ids[i]);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void test_threads_draw_different_ids(void **state)
{
	static char ids[THREADS * IDS][ID_MAX];
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, draw, &ids[(size_t)i * IDS]), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < THREADS * IDS; i++)
		if (i % IDS != 0 && strcmp(ids[i - 1], ids[i]) >= 0)
			fail_msg("%s came after %s in one thread", ids[i], ids[i - 1]);
	qsort(ids, (size_t)THREADS * IDS, ID_MAX, compare);
	for (int i = 1; i < THREADS * IDS; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
}

static void test_validity(void **state)
{
	static const struct {
		const char *what, *text;
		bool valid;
	} rows[] = {
		{"all zero", "00000000000000000000000000", true},
		{"the greatest", "7zzzzzzzzzzzzzzzzzzzzzzzzz", true},
		{"first over 7", "80000000000000000000000000", false},
		{"25 characters", "0000000000000000000000000", false},
		{"27 characters", "000000000000000000000000000", false},
		{"empty", "", false},
		{"upper case", "0A000000000000000000000000", false},
		{"no letter i", "0i000000000000000000000000", false},
		{"no letter l", "0l000000000000000000000000", false},
		{"no letter o", "0o000000000000000000000000", false},
		{"no letter u", "0u000000000000000000000000", false},
		{"a path", "../../../../../etc/passwd0", false},
		{"a slash within", "0000000000000/000000000000", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (id_is_valid(rows[i].text) != rows[i].valid)
			fail_msg("%s", rows[i].what);
	assert_false(id_is_valid(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_comes_first), /* before any id of today, after which time does not go back */
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_later_sorts_after),
		cmocka_unit_test(test_neighbours_are_not_guessable),
		cmocka_unit_test(test_threads_draw_different_ids),
		cmocka_unit_test(test_validity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
