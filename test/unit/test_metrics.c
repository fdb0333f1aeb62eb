/* test_metrics.c - common/metrics.c: counting, and a page whose every byte is the format's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MS CLOCK_NS_PER_MS

static void assert_page(struct metrics_page *p, const char *text)
{
	struct err err = {0};

	if (metrics_page_end(p, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(buf_str(p->out), text);
	buf_done(p->out);
}

static void test_rows(void **state)
{
	struct metrics_page p;
	struct buf b;

	(void)state;
	buf_init(&b, METRICS_PAGE_MAX);
	metrics_page_begin(&p, &b);
	metrics_single(&p, METRICS_GAUGE, "a_bytes", "Bytes.", UINT64_MAX);
	metrics_family(&p, METRICS_COUNTER, "b_total", "Things.");
	metrics_u64(&p, 0, "x", "1", METRICS_END);
	metrics_u64(&p, 7, "x", "2", "y", "", METRICS_END);
	metrics_real(&p, 1796000000.125, METRICS_END);
	metrics_real(&p, 0.5, "x", "3", METRICS_END);
	assert_page(&p,
		"# HELP a_bytes Bytes.\n# TYPE a_bytes gauge\na_bytes 18446744073709551615\n"
		"# HELP b_total Things.\n# TYPE b_total counter\nb_total{x=\"1\"} 0\nb_total{x=\"2\",y=\"\"} 7\n"
		"b_total 1796000000.125\nb_total{x=\"3\"} 0.5\n");
}

static void test_escapes(void **state)
{
	struct metrics_page p;
	struct buf b;

	(void)state;
	buf_init(&b, METRICS_PAGE_MAX);
	metrics_page_begin(&p, &b);
	metrics_family(&p, METRICS_GAUGE, "a", "One \"word\",\nand C:\\n.");
	metrics_u64(&p, 1, "x", "q\"b\\n\nend", METRICS_END);
	metrics_u64(&p, 1, "x", "\"\\\n", METRICS_END);
	assert_page(&p, "# HELP a One \"word\",\\nand C:\\\\n.\n# TYPE a gauge\na{x=\"q\\\"b\\\\n\\nend\"} 1\n"
			"a{x=\"\\\"\\\\\\n\"} 1\n");
}

static void test_full_page(void **state)
{
	struct metrics_page p;
	struct err err = {0};
	struct buf b;

	(void)state;
	buf_init(&b, 40);
	metrics_page_begin(&p, &b);
	metrics_single(&p, METRICS_GAUGE, "a", "Much more than goes into it.", 1);
	metrics_single(&p, METRICS_GAUGE, "b", "", 1);
	assert_int_equal(metrics_page_end(&p, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	buf_done(&b);
}

/* ---- counters ---- */

static const char *const colours[] = {"red", "green", "other"};
static const char *const sizes[] = {"small", "other"};
static _Atomic uint64_t cells[6];
static struct metrics_counter counter = {
	.name = "c_total",
	.help = "C.",
	.labels = {{"colour", METRICS_WORDS(colours)}, {"size", METRICS_WORDS(sizes)}},
	.cells = cells,
};

static void count(const char *colour, const char *size)
{
	metrics_count(&counter, metrics_word(&counter.labels[0], colour), metrics_word(&counter.labels[1], size), 1);
}

/* Whatever comes, there are six rows. */
static void test_words(void **state)
{
	static const char *const odd[] = {"", "RED", "red ", "blue", "other", "\n", "a\"b"};
	struct metrics_page p;
	struct buf b;

	(void)state;
	memset((void *)cells, 0, sizeof(cells));
	count("red", "small");
	count("green", "huge");
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		count(odd[i], "small");
	metrics_count(&counter, 99, 99, 3);
	metrics_count(&counter, SIZE_MAX, SIZE_MAX, 1);
	buf_init(&b, METRICS_PAGE_MAX);
	metrics_page_begin(&p, &b);
	metrics_counter_show(&p, &counter);
	counter.sparse = true;
	metrics_counter_show(&p, &counter);
	counter.sparse = false;
	assert_page(&p, "# HELP c_total C.\n# TYPE c_total counter\nc_total{colour=\"red\",size=\"small\"} 1\n"
			"c_total{colour=\"red\",size=\"other\"} 0\nc_total{colour=\"green\",size=\"small\"} 0\n"
			"c_total{colour=\"green\",size=\"other\"} 1\nc_total{colour=\"other\",size=\"small\"} 7\n"
			"c_total{colour=\"other\",size=\"other\"} 4\n"
			"# HELP c_total C.\n# TYPE c_total counter\nc_total{colour=\"red\",size=\"small\"} 1\n"
			"c_total{colour=\"green\",size=\"other\"} 1\nc_total{colour=\"other\",size=\"small\"} 7\n"
			"c_total{colour=\"other\",size=\"other\"} 4\n");
}

static void *count_many(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 10000; i++)
		count("red", "small");
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	memset((void *)cells, 0, sizeof(cells));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&cells[0]), 40000);
}

/* ---- durations ---- */

static void assert_row(struct buf *b, const char *le, unsigned n)
{
	char row[80];

	snprintf(row, sizeof(row), "\nd_bucket{x=\"1\",le=\"%s\"} %u\n", le, n);
	if (!strstr(buf_str(b), row))
		fail_msg("no \"%s\" in %s", row, buf_str(b));
}

/* A duration that is a bound counts in its bucket. */
static void test_durations(void **state)
{
	static struct metrics_histogram h;
	struct metrics_page p;
	struct buf b;

	(void)state;
	metrics_observe(&h, 0);
	metrics_observe(&h, 5 * MS);
	metrics_observe(&h, 5 * MS + 1);
	metrics_observe(&h, 1000 * MS);
	metrics_observe(&h, 30000 * MS);
	metrics_observe(&h, 30001 * MS);
	buf_init(&b, METRICS_PAGE_MAX);
	metrics_page_begin(&p, &b);
	metrics_family(&p, METRICS_HISTOGRAM, "d", "D.");
	metrics_durations(&p, &h, "x", "1", METRICS_END);
	assert_int_equal(metrics_page_end(&p, NULL), 0);
	assert_row(&b, "0.005", 2);
	assert_row(&b, "0.01", 3);
	assert_row(&b, "0.5", 3);
	assert_row(&b, "1", 4);
	assert_row(&b, "10", 4);
	assert_row(&b, "30", 5);
	assert_row(&b, "+Inf", 6);
	assert_non_null(strstr(buf_str(&b), "\nd_sum{x=\"1\"} 61.011000001\nd_count{x=\"1\"} 6\n"));
	buf_done(&b);
}

/* ---- the process ---- */

static uint64_t figure(struct buf *b, const char *name)
{
	char start[80];
	const char *at;
	uint64_t v = 0;

	snprintf(start, sizeof(start), "\n%s ", name);
	at = strstr(buf_str(b), start);
	if (!at)
		fail_msg("no %s in %s", name, buf_str(b));
	for (at += strlen(start); *at >= '0' && *at <= '9'; at++)
		v = v * 10 + (uint64_t)(*at - '0');
	return v;
}

static void show(struct buf *b)
{
	struct metrics_page p;

	buf_init(b, METRICS_PAGE_MAX);
	metrics_page_begin(&p, b);
	metrics_process(&p);
	assert_int_equal(metrics_page_end(&p, NULL), 0);
}

static void test_process(void **state)
{
	uint64_t fds, now_s = clock_wall_ns() / CLOCK_NS_PER_S, started_s;
	struct buf b;
	int fd;

	(void)state;
	show(&b);
	fds = figure(&b, "process_open_fds");
	started_s = figure(&b, "process_start_time_seconds");
	assert_in_range(started_s, now_s - 3600, now_s + 1);
	assert_in_range(figure(&b, "process_resident_memory_bytes"), 64 * 1024, UINT64_C(1) << 40);
	assert_true(figure(&b, "process_virtual_memory_bytes") >= figure(&b, "process_resident_memory_bytes"));
	assert_true(figure(&b, "process_max_fds") >= fds);
	assert_true(figure(&b, "process_threads") >= 1);
	figure(&b, "process_cpu_seconds_total");
	buf_done(&b);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	show(&b);
	assert_int_equal(figure(&b, "process_open_fds"), fds + 1);
	assert_int_equal(figure(&b, "process_start_time_seconds"), started_s);
	close(fd);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_full_page),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
