/* test_shed.c - collector/shed.c and schema/shed_note.c: what counts as shed, when it is told, and that it reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/shed.h"
#include "common/clock.h"

#include <stdio.h>
#include <string.h>

#define T0       (UINT64_C(1767607200) * CLOCK_NS_PER_S) /* 2026-01-05T10:00:00Z */
#define MS       CLOCK_NS_PER_MS
#define PRESSURE "host under memory pressure"
#define CEILING  "limits.rate reached"

/* Its reason is one byte longer than any of ours may be. */
static const char too_long[] =
	"shed by the agent: 1 packets; 0123456789012345678901234567890123456789012345678901234567890123, "
	"since 2026-01-05T10:00:00.000Z";

static void assert_told(struct shed *s, const char *want)
{
	char text[SHED_NOTE_MAX];
	const bool untold = shed_is_untold(s);
	const char *told = shed_tell(s, text);

	assert_int_equal(untold, told != NULL);
	if (want && told)
		assert_string_equal(told, want);
	else if (want || told)
		fail_msg("told \"%s\", and not \"%s\"", told ? told : "nothing", want ? want : "nothing");
}

static void test_a_span_for_the_host(void **state)
{
	struct shed s = {0};

	(void)state;
	shed_count(&s, 7); /* nobody rests: the kernel's own */
	assert_told(&s, NULL);
	assert_true(shed_begin(&s, PRESSURE, true, T0));
	assert_false(shed_begin(&s, PRESSURE, true, T0 + 1));
	assert_told(&s, "shed by the agent: 0 packets; " PRESSURE ", since 2026-01-05T10:00:00.000Z");
	assert_told(&s, NULL);
	shed_count(&s, 5);
	assert_told(&s, "shed by the agent: 5 packets; " PRESSURE ", since 2026-01-05T10:00:00.000Z");
	shed_count(&s, 2);
	assert_true(shed_over(&s, T0 + 6120 * MS));
	assert_false(shed_over(&s, T0 + 7000 * MS));
	shed_count(&s, 9);
	assert_told(
		&s, "shed by the agent: 7 packets; " PRESSURE ", 2026-01-05T10:00:00.000Z to 2026-01-05T10:00:06.120Z");
	assert_told(&s, NULL);
	assert_int_equal(s.note.packets, 7);
}

static void test_a_ceiling_is_told_when_it_costs(void **state)
{
	struct shed s = {0};

	(void)state;
	assert_false(shed_begin(&s, CEILING, false, T0));
	assert_told(&s, NULL);
	assert_false(shed_over(&s, T0 + 1));
	assert_told(&s, NULL); /* it cost nothing: nobody need know */
	assert_false(shed_begin(&s, CEILING, false, T0 + 10 * MS));
	shed_count(&s, 3);
	assert_false(shed_over(&s, T0 + 20 * MS)); /* nobody waits for it: with the next statistics */
	assert_told(
		&s, "shed by the agent: 3 packets; " CEILING ", 2026-01-05T10:00:00.010Z to 2026-01-05T10:00:00.020Z");
	assert_told(&s, NULL);
}

static void test_another_reason_is_another_span(void **state)
{
	struct shed s = {0};

	(void)state;
	shed_begin(&s, CEILING, false, T0);
	shed_count(&s, 1);
	assert_true(shed_is_new(&s, PRESSURE));
	assert_false(shed_is_new(&s, CEILING));
	assert_true(shed_begin(&s, PRESSURE, true, T0 + 5 * MS));
	shed_count(&s, 1);
	assert_told(&s, "shed by the agent: 2 packets; " PRESSURE ", since 2026-01-05T10:00:00.005Z");
}

static void test_notes_read_back(void **state)
{
	static const struct shed_note notes[] = {
		{0, PRESSURE, T0, 0},
		{UINT64_MAX, CEILING, T0 + 120 * MS, T0 + 9000 * MS},
	};
	struct shed_note back;
	char text[SHED_NOTE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		assert_true(shed_note_parse(shed_note_format(&notes[i], text), &back));
		assert_int_equal(back.packets, notes[i].packets);
		assert_string_equal(back.why, notes[i].why);
		assert_int_equal(back.from_ns, notes[i].from_ns);
		assert_int_equal(back.to_ns, notes[i].to_ns);
	}
}

static void test_other_comments(void **state)
{
	static const char *const texts[] = {
		NULL,
		"",
		"capture ended (user_stop)",
		"shed by the agent: ",
		"shed by the agent: 1 packets",
		"shed by the agent:  1 packets; x, since 2026-01-05T10:00:00.000Z",
		"shed by the agent: -1 packets; x, since 2026-01-05T10:00:00.000Z",
		"shed by the agent: 18446744073709551616 packets; x, since 2026-01-05T10:00:00.000Z",
		"shed by the agent: 1 packets; , since 2026-01-05T10:00:00.000Z",
		"shed by the agent: 1 packets; x, since yesterday",
		"shed by the agent: 1 packets; x, since 2026-01-05T10:00:00.000Z and on",
		"shed by the agent: 1 packets; x, 2026-01-05T10:00:00.000Z",
		"shed by the agent: 1 packets; x, 2026-01-05T10:00:00.000Z to ",
		"shed by the agent: 1 packets; x, 2026-01-05T10:00:00.000Z to 1970-01-01T00:00:00Z",
		too_long,
	};
	struct shed_note n = {.packets = 99};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (shed_note_parse(texts[i], &n))
			fail_msg("\"%s\" was taken", texts[i] ? texts[i] : "NULL");
		assert_int_equal(n.packets, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_span_for_the_host),
		cmocka_unit_test(test_a_ceiling_is_told_when_it_costs),
		cmocka_unit_test(test_another_reason_is_another_span),
		cmocka_unit_test(test_notes_read_back),
		cmocka_unit_test(test_other_comments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
