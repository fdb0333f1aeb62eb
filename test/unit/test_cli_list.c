/* test_cli_list.c - cli/list.c: what is said of a stored capture that waits for its store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/list.h"
#include "cli/wait.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void what_waits_is_told(void **state)
{
	static const struct {
		const char *storage, *told, *troubles;
	} rows[] = {
		{"", "", ""},
		{", \"storage\": null", "", ""},
		{", \"storage\": {\"parts_waiting\": 0, \"unreachable_since\": null}", "", ""},
		{", \"storage\": {\"parts_waiting\": 1, \"unreachable_since\": null}", "1 part waiting", ""},
		{", \"storage\": {\"parts_waiting\": 3, \"unreachable_since\": \"2026-01-05T12:04:59Z\"}",
			"3 parts waiting, store unreachable since 12:04",
			"3 parts waiting, store unreachable since 12:04"},
		{", \"storage\": {\"parts_waiting\": 0, \"unreachable_since\": \"2026-01-05T12:04:00Z\"}",
			"0 parts waiting, store unreachable since 12:04",
			"0 parts waiting, store unreachable since 12:04"},
		{", \"storage\": {\"parts_waiting\": 3, \"unreachable_since\": \"2026-01-03T12:04:00Z\"}",
			"3 parts waiting, store unreachable since 2026-01-03 12:04",
			"3 parts waiting, store unreachable since 2026-01-03 12:04"},
		{", \"storage\": {\"parts_waiting\": 3, \"unreachable_since\": \"when\"}",
			"3 parts waiting, store unreachable since ?", "3 parts waiting, store unreachable since ?"},
	};
	uint64_t now = 0;

	(void)state;
	assert_int_equal(clock_parse_rfc3339("2026-01-05T13:00:00Z", &now, NULL), 0);
	clock_fake(now);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[300], told[120];
		json_t *job;

		snprintf(text, sizeof(text), "{\"state\": \"running\"%s}", rows[i].storage);
		job = json_loads(text, 0, NULL);
		assert_non_null(job);
		assert_string_equal(list_storage(job, false, told, sizeof(told)), rows[i].told);
		assert_string_equal(list_storage(job, true, told, sizeof(told)), rows[i].troubles);
		wait_line(job, text, sizeof(text));
		if (*rows[i].told ? !strstr(text, rows[i].told) : !strstr(text, "0 dropped") || strstr(text, "waiting"))
			fail_msg("%s: \"%s\"", rows[i].storage, text);
		json_decref(job);
	}
	clock_fake(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_is_told),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
