/* test_store_key.c - names of objects: whatever the owner is called, the key is one that the file driver takes. */
#include "uploader/store.h"

#include "uploader/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JOB "01kdbw3m80jz6c5t9v2x4y7q8r"
#define DAY UINT64_C(1767607200000000000) /* 2026-01-05T10:00:00Z */
#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static void test_keys(void **state)
{
	static const struct {
		const char *what, *prefix, *owner;
		uint64_t created_ns;
		const char *extension, *key;
	} cases[] = {
		{"plain", "captures", "acme", DAY, "pcapng", "captures/acme/2026/01/05/" JOB ".pcapng"},
		{"classic", "captures", "acme", DAY, "pcap", "captures/acme/2026/01/05/" JOB ".pcap"},
		{"the last moment of a day", "c", "a", UINT64_C(1767571199999999999), "pcap",
			"c/a/2026/01/04/" JOB ".pcap"},
		{"the first of the next", "c", "a", UINT64_C(1767571200000000000), "pcap",
			"c/a/2026/01/05/" JOB ".pcap"},
		{"the first of all days", "c", "a", 0, "pcap", "c/a/1970/01/01/" JOB ".pcap"},
		{"the last of all days", "c", "a", UINT64_MAX, "pcap", "c/a/2554/07/21/" JOB ".pcap"},
		{"prefix of two", "a/b", "acme", DAY, "pcap", "a/b/acme/2026/01/05/" JOB ".pcap"},
		{"slashes around", "//a//b//", "acme", DAY, "pcap", "a/b/acme/2026/01/05/" JOB ".pcap"},
		{"no prefix", "", "acme", DAY, "pcap", "acme/2026/01/05/" JOB ".pcap"},
		{"no owner", "c", "", DAY, "pcap", "c/_/2026/01/05/" JOB ".pcap"},
		{"owner with slashes", "c", "../../etc", DAY, "pcap", "c/_._.._etc/2026/01/05/" JOB ".pcap"},
		{"owner one dot", "c", ".", DAY, "pcap", "c/_/2026/01/05/" JOB ".pcap"},
		{"owner two dots", "c", "..", DAY, "pcap", "c/_./2026/01/05/" JOB ".pcap"},
		{"owner of the driver's own", "", ".uploads", DAY, "pcap", "_uploads/2026/01/05/" JOB ".pcap"},
		{"prefix with dots", "../c", "a", DAY, "pcap", "_./c/a/2026/01/05/" JOB ".pcap"},
		{"odd characters", "c", "a b\n\xc3\xa9%", DAY, "pcap", "c/a_b____/2026/01/05/" JOB ".pcap"},
		{"128 bytes", "c", X64 X64, DAY, "pcap", "c/" X64 X64 "/2026/01/05/" JOB ".pcap"},
		{"129 bytes", "c", X64 X64 "x", DAY, "pcap", "c/" X64 X64 "/2026/01/05/" JOB ".pcap"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *key = store_key(cases[i].prefix, cases[i].owner, cases[i].created_ns, JOB, cases[i].extension);
		struct err err = {0};

		print_message("  %s\n", cases[i].what);
		assert_non_null(key);
		assert_string_equal(key, cases[i].key);
		assert_int_equal(file_tree_check(key, &err), 0);
		free(key);
	}
}

/* Every owner of one and two bytes gives a key that the driver takes. */
static void test_all_owners(void **state)
{
	char owner[3] = {0};
	struct err err = {0};

	(void)state;
	for (unsigned a = 1; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			char *key;

			owner[0] = (char)a;
			owner[1] = (char)b;
			key = store_key("", owner, DAY, JOB, "pcapng");
			assert_non_null(key);
			if (file_tree_check(key, &err) < 0)
				fail_msg("%s", err.msg);
			free(key);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_all_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
