/* test_guard_level.c - collector/guard_level.c and collector/guard_host.c: from made-up files of /proc to a level, up at once and down with patience. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/guard_level.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct guard_thresholds all = {
	.cpu_percent = 40, .memory_percent = 10, .io_percent = 60, .load = 8, .free_bytes = 1000};

static struct guard_figures calm_host(void)
{
	return (struct guard_figures){.cpu.there = true,
		.memory.there = true,
		.io.there = true,
		.has_load = true,
		.has_memory = true,
		.memory_available = 100000,
		.memory_total = 200000};
}

static void test_each_figure_has_its_levels(void **state)
{
	static const struct {
		const char *what;
		double cpu, memory, io, load;
		uint64_t available;
		enum guard_level level;
		enum guard_cause cause;
	} rows[] = {
		{"nothing", 0, 0, 0, 0, 100000, GUARD_CALM, GUARD_BY_NOTHING},
		{"just below all", 39.9, 9.9, 59.9, 7.9, 1001, GUARD_CALM, GUARD_BY_NOTHING},
		{"cpu at it", 40, 0, 0, 0, 100000, GUARD_EASED, GUARD_BY_CPU},
		{"cpu at twice", 80, 0, 0, 0, 100000, GUARD_NARROWED, GUARD_BY_CPU},
		{"cpu at most", 100, 0, 0, 0, 100000, GUARD_NARROWED, GUARD_BY_CPU},
		{"memory at it", 0, 10, 0, 0, 100000, GUARD_EASED, GUARD_BY_MEMORY},
		{"memory just below twice", 0, 19.9, 0, 0, 100000, GUARD_EASED, GUARD_BY_MEMORY},
		{"memory at four times", 0, 40, 0, 0, 100000, GUARD_SHEDDING, GUARD_BY_MEMORY},
		{"io at it", 0, 0, 60, 0, 100000, GUARD_EASED, GUARD_BY_IO},
		{"load at twice", 0, 0, 0, 16, 100000, GUARD_NARROWED, GUARD_BY_LOAD},
		{"load at four times", 0, 0, 0, 32, 100000, GUARD_SHEDDING, GUARD_BY_LOAD},
		{"free memory at it", 0, 0, 0, 0, 1000, GUARD_EASED, GUARD_BY_FREE},
		{"a half of it", 0, 0, 0, 0, 500, GUARD_NARROWED, GUARD_BY_FREE},
		{"a quarter of it", 0, 0, 0, 0, 250, GUARD_SHEDDING, GUARD_BY_FREE},
		{"none", 0, 0, 0, 0, 0, GUARD_SHEDDING, GUARD_BY_FREE},
		{"the worst counts", 45, 25, 61, 9, 900, GUARD_NARROWED, GUARD_BY_MEMORY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct guard_figures f = calm_host();
		struct guard_state s = {0};

		f.cpu.percent = rows[i].cpu;
		f.memory.percent = rows[i].memory;
		f.io.percent = rows[i].io;
		f.load = rows[i].load;
		f.memory_available = rows[i].available;
		assert_int_equal(guard_state_step(&s, &all, &f), rows[i].level != GUARD_CALM);
		if (s.level != rows[i].level || s.cause != rows[i].cause)
			fail_msg("%s: %s, %s", rows[i].what, guard_level_name(s.level), guard_cause_text(s.cause));
	}
}

static void test_what_is_not_looked_at_or_not_there(void **state)
{
	static const struct guard_thresholds none = {0};
	struct guard_figures f = {.cpu.percent = 100, .memory.percent = 100, .io.percent = 100, .load = 1000};
	struct guard_state s = {0};

	(void)state;
	assert_false(guard_state_step(&s, &all, &f)); /* nothing could be read */
	f.cpu.there = f.memory.there = f.io.there = f.has_load = f.has_memory = true;
	assert_false(guard_state_step(&s, &none, &f));
	assert_int_equal(s.level, GUARD_CALM);
}

static struct guard_state after(struct guard_state s, double cpu, unsigned looks)
{
	struct guard_figures f = calm_host();

	f.cpu.percent = cpu;
	for (unsigned i = 0; i < looks; i++)
		guard_state_step(&s, &(struct guard_thresholds){.cpu_percent = 10}, &f);
	return s;
}

static void test_down_goes_with_patience(void **state)
{
	struct guard_state s = after((struct guard_state){0}, 50, 1);

	(void)state;
	assert_int_equal(s.level, GUARD_SHEDDING);
	s = after(s, 0, GUARD_CALM_LOOKS - 1);
	assert_int_equal(s.level, GUARD_SHEDDING);
	s = after(s, 35, 1); /* below the threshold, but not by a margin: the patience begins anew */
	s = after(s, 0, GUARD_CALM_LOOKS - 1);
	assert_int_equal(s.level, GUARD_SHEDDING);
	s = after(s, 0, 1);
	assert_int_equal(s.level, GUARD_NARROWED); /* one at a time */
	assert_int_equal(s.cause, GUARD_BY_CPU);
	s = after(s, 0, GUARD_CALM_LOOKS);
	assert_int_equal(s.level, GUARD_EASED);
	s = after(s, 9, 10 * GUARD_CALM_LOOKS);
	assert_int_equal(s.level, GUARD_EASED);
	s = after(s, 7.9, GUARD_CALM_LOOKS);
	assert_int_equal(s.level, GUARD_CALM);
	assert_int_equal(s.cause, GUARD_BY_NOTHING);
	assert_int_equal(after(s, 7.9, 100).level, GUARD_CALM);
	assert_int_equal(after(s, 20, 1).level, GUARD_NARROWED); /* up: at once, by two */
}

/* ---- files ---- */

#define PATHS 6
static char folder[] = "/tmp/test_guard_XXXXXX";
static char paths[PATHS][64];

static int setup(void **state)
{
	static const char *const names[PATHS] = {"cpu", "memory", "io", "meminfo", "loadavg", "statm"};

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	for (size_t i = 0; i < PATHS; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < PATHS; i++)
		unlink(paths[i]);
	return rmdir(folder);
}

static void put(size_t which, const char *text)
{
	FILE *f = fopen(paths[which], "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_files_are_read(void **state)
{
	const struct guard_paths where = {paths[0], paths[1], paths[2], paths[3], paths[4], paths[5]};
	struct guard_figures f;
	struct guard_host h;

	(void)state;
	guard_host_init(&h, &where);
	h.cores = 2;
	guard_host_look(&h, CLOCK_NS_PER_S, &f); /* none of the files is there */
	assert_false(f.cpu.there || f.memory.there || f.io.there || f.has_load || f.has_memory);
	assert_int_equal(f.own_memory, 0);

	put(0, "some avg10=99.00 avg60=0.00 avg300=0.00 total=1000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
	       "total=0\n");
	put(1, "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=99\n");
	put(2, "nonsense\n");
	put(3, "MemTotal:        2000 kB\nMemFree:   1 kB\nMemAvailable:    500 kB\n");
	put(4, "3.00 2.00 1.00 1/100 4711\n");
	put(5, "10000 300 100 1 0 50 0\n");
	guard_host_look(&h, 2 * CLOCK_NS_PER_S, &f);
	assert_false(f.cpu.there); /* one total says nothing about a span */
	assert_true(f.has_memory && f.has_load);
	assert_int_equal(f.memory_available, 500 * 1024);
	assert_int_equal(f.memory_total, 2000 * 1024);
	assert_true(f.load > 1.49 && f.load < 1.51);
	assert_int_equal(f.own_memory, 200 * sysconf(_SC_PAGESIZE));

	put(0, "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n");
	put(1, "some avg10=0.00 avg60=0.00 avg300=0.00 total=9000005\n");
	guard_host_look(&h, 4 * CLOCK_NS_PER_S, &f);
	assert_true(f.cpu.there && f.cpu.percent > 24.9 && f.cpu.percent < 25.1); /* half a second of two */
	assert_true(f.memory.there && f.memory.percent > 99.9 && f.memory.percent < 100.1);
	assert_false(f.io.there);

	put(0, "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"); /* it went back */
	put(3, "MemTotal: 2000 kB\n");
	put(4, "busy\n");
	put(5, "10\n");
	guard_host_look(&h, 5 * CLOCK_NS_PER_S, &f);
	assert_false(f.cpu.there || f.has_memory || f.has_load);
	assert_int_equal(f.own_memory, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_figure_has_its_levels),
		cmocka_unit_test(test_what_is_not_looked_at_or_not_there),
		cmocka_unit_test(test_down_goes_with_patience),
		cmocka_unit_test_setup_teardown(test_files_are_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
