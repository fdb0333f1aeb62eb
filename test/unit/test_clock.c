/* test_clock.c - common/clock.c: times as text and back, the settable clock, deadlines that cannot overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"

#include <errno.h>
#include <string.h>

#define NS CLOCK_NS_PER_S

static void test_text(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{0, ""},
		{1, "1970-01-01T00:00:00.000Z"},
		{UINT64_C(999999), "1970-01-01T00:00:00.000Z"},
		{UINT64_C(1000000), "1970-01-01T00:00:00.001Z"},
		{UINT64_C(951782400) * NS, "2000-02-29T00:00:00.000Z"},
		{UINT64_C(1767607200) * NS + UINT64_C(123456789), "2026-01-05T10:00:00.123Z"},
		{UINT64_C(2147483648) * NS, "2038-01-19T03:14:08.000Z"},
		{UINT64_MAX, "2554-07-21T23:34:33.709Z"},
	};
	char text[CLOCK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(clock_rfc3339(rows[i].ns, text), rows[i].text);
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:00.000000001Z", 1},
		{"2026-01-05T10:00:00Z", UINT64_C(1767607200) * NS},
		{"2026-01-05t10:00:00z", UINT64_C(1767607200) * NS},
		{"2026-01-05T10:00:00.5Z", UINT64_C(1767607200) * NS + NS / 2},
		{"2026-01-05T10:00:00.1234567899999Z", UINT64_C(1767607200) * NS + UINT64_C(123456789)},
		{"2026-01-05T12:00:00+02:00", UINT64_C(1767607200) * NS},
		{"2026-01-05T04:30:00-05:30", UINT64_C(1767607200) * NS},
		{"2024-02-29T23:59:59Z", UINT64_C(1709251199) * NS},
		{"2016-12-31T23:59:60Z", UINT64_C(1483228800) * NS},
		{"1970-01-01T23:59:00+23:59", 0},
		{"2553-12-31T23:59:59.999999999-23:59", UINT64_C(18429379139) * NS + UINT64_C(999999999)},
	};
	struct err e = {0};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ns = 42;
		if (clock_parse_rfc3339(rows[i].text, &ns, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		if (ns != rows[i].ns)
			fail_msg("%s: %ju instead of %ju", rows[i].text, (uintmax_t)ns, (uintmax_t)rows[i].ns);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const rows[] = {
		"",
		"now",
		"2026-01-05",
		"2026-01-05T10:00:00",
		"2026-01-05 10:00:00Z",
		" 2026-01-05T10:00:00Z",
		"2026-01-05T10:00:00Z ",
		"2026-01-05T10:00Z",
		"2026-1-5T10:00:00Z",
		"2026-00-05T10:00:00Z",
		"2026-13-05T10:00:00Z",
		"2026-01-00T10:00:00Z",
		"2026-01-32T10:00:00Z",
		"2026-04-31T10:00:00Z",
		"2026-02-29T10:00:00Z",
		"2100-02-29T10:00:00Z",
		"2026-01-05T24:00:00Z",
		"2026-01-05T10:60:00Z",
		"2026-01-05T10:00:61Z",
		"2026-01-05T10:00:00.Z",
		"2026-01-05T10:00:00.-1Z",
		"2026-01-05T10:00:00+2:00",
		"2026-01-05T10:00:00+24:00",
		"2026-01-05T10:00:00+0200",
		"+026-01-05T10:00:00Z",
		"1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+00:01",
		"2554-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z",
	};
	struct err e;
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e = (struct err){0};
		ns = 42;
		if (clock_parse_rfc3339(rows[i], &ns, &e) == 0)
			fail_msg("\"%s\" was taken for %ju", rows[i], (uintmax_t)ns);
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(ns, 42);
	}
	clock_parse_rfc3339("tomorrow\n", &ns, &e);
	assert_string_equal(e.msg, "\"tomorrow?\" is not a time such as 2026-01-05T10:00:00Z");
	clock_parse_rfc3339("1970-01-01T00:00:00+00:01", &ns, &e);
	assert_string_equal(e.msg, "\"1970-01-01T00:00:00+00:01\" is before 1970");
}

/* Every day of the range and a bit: what the text says is what comes back. */
static void test_text_and_back(void **state)
{
	char text[CLOCK_TEXT_MAX];
	struct err e = {0};
	uint64_t back;

	(void)state;
	for (uint64_t ns = CLOCK_NS_PER_MS; ns < UINT64_C(18429000000) * NS;
		ns += UINT64_C(86461) * NS + CLOCK_NS_PER_MS) {
		if (clock_parse_rfc3339(clock_rfc3339(ns, text), &back, &e) < 0)
			fail_msg("%s: %s", text, e.msg);
		if (back != ns)
			fail_msg("%s: %ju instead of %ju", text, (uintmax_t)back, (uintmax_t)ns);
	}
}

static void test_fake(void **state)
{
	uint64_t mono_ns = clock_mono_ns();

	(void)state;
	clock_fake(UINT64_C(1767607200) * NS);
	assert_int_equal(clock_wall_ns(), UINT64_C(1767607200) * NS);
	assert_true(clock_mono_ns() >= mono_ns);
	clock_fake(0);
	assert_true(clock_wall_ns() > UINT64_C(1767607200) * NS);
}

static void test_deadline(void **state)
{
	static const uint64_t rows[] = {0, 1, 999, 1000, 1001, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t now_s = clock_mono_ns() / NS;
		struct timespec t = clock_deadline(rows[i]);

		assert_in_range(t.tv_nsec, 0, 999999999);
		assert_true((uint64_t)t.tv_sec >= now_s + rows[i] / 1000);
	}
}

static void test_cond_waits_on_the_monotonic_clock(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct timespec deadline = clock_deadline(1);
	pthread_cond_t cond;

	(void)state;
	assert_int_equal(clock_cond_init(&cond), 0);
	assert_int_equal(pthread_mutex_lock(&lock), 0);
	/* Nobody signals; on the wall clock so early a deadline would have passed decades ago: look at the time. */
	assert_int_equal(pthread_cond_timedwait(&cond, &lock, &deadline), ETIMEDOUT);
	assert_true(clock_mono_ns() >= (uint64_t)deadline.tv_sec * NS + (uint64_t)deadline.tv_nsec);
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&cond);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_fake),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_cond_waits_on_the_monotonic_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
