/* test_parse.c - common/parse.c, parse_text.c: just inside and just outside of every bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/parse.h"

#include <string.h>

struct row {
	const char *text;
	uint64_t least, most;
	uint64_t value;
	const char *says; /* NULL: taken */
};

typedef int parse_fn(const char *text, uint64_t least, uint64_t most, uint64_t *ret, struct err *err);

static void check_rows(parse_fn *parse, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err e = {0};
		uint64_t v = 42;
		int rc = parse(rows[i].text, rows[i].least, rows[i].most, &v, &e);

		if (rows[i].says == NULL) {
			if (rc != 0)
				fail_msg("%s", e.msg);
			if (v != rows[i].value)
				fail_msg(
					"%s: %ju instead of %ju", rows[i].text, (uintmax_t)v, (uintmax_t)rows[i].value);
		} else {
			assert_int_equal(rc, -1);
			assert_string_equal(e.msg, rows[i].says);
			assert_int_equal(e.code, ERR_INPUT);
			assert_int_equal(v, 42);
		}
	}
}

static void test_u64(void **state)
{
	static const struct row rows[] = {
		{"16", 16, 20, 16, NULL},
		{"20", 16, 20, 20, NULL},
		{"0", 0, 0, 0, NULL},
		{"007", 0, 9, 7, NULL},
		{"18446744073709551615", 0, UINT64_MAX, UINT64_MAX, NULL},
		{"15", 16, 20, 0, "\"15\" is not within 16..20"},
		{"21", 16, 20, 0, "\"21\" is not within 16..20"},
		{"18446744073709551616", 0, 20, 0, "\"18446744073709551616\" is not within 0..20"},
		{"99999999999999999999999999", 0, 20, 0, "\"99999999999999999999999999\" is not within 0..20"},
		{"", 0, 9, 0, "\"\" is not a whole number"},
		{"-1", 0, 9, 0, "\"-1\" is not a whole number"},
		{"+1", 0, 9, 0, "\"+1\" is not a whole number"},
		{" 1", 0, 9, 0, "\" 1\" is not a whole number"},
		{"1 ", 0, 9, 0, "\"1 \" is not a whole number"},
		{"1.0", 0, 9, 0, "\"1.0\" is not a whole number"},
		{"0x1", 0, 9, 0, "\"0x1\" is not a whole number"},
		{"1e1", 0, 9, 0, "\"1e1\" is not a whole number"},
		{"99999999999999999999999999x", 0, 9, 0, "\"99999999999999999999999999x\" is not a whole number"},
		{"1\n", 0, 9, 0, "\"1?\" is not a whole number"},
	};

	(void)state;
	check_rows(parse_u64, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_size(void **state)
{
	static const struct row rows[] = {
		{"100", 0, 1000, 100, NULL},
		{"100B", 0, 1000, 100, NULL},
		{"1K", 0, 2000, 1024, NULL},
		{"1k", 0, 2000, 1024, NULL},
		{"1KiB", 0, 2000, 1024, NULL},
		{"1KB", 0, 2000, 1000, NULL},
		{"100M", 0, UINT64_MAX, UINT64_C(104857600), NULL},
		{"10MB", 0, UINT64_MAX, UINT64_C(10000000), NULL},
		{"64MiB", 0, UINT64_MAX, UINT64_C(67108864), NULL},
		{"2G", 0, UINT64_MAX, UINT64_C(2147483648), NULL},
		{"2GB", 0, UINT64_MAX, UINT64_C(2000000000), NULL},
		{"1T", 0, UINT64_MAX, UINT64_C(1) << 40, NULL},
		{"16777215T", 0, UINT64_MAX, UINT64_C(16777215) << 40, NULL},
		{"1M", UINT64_C(1048577), UINT64_C(2097152), 0, "\"1M\" is not within 1048577B..2M"},
		{"3M", 0, UINT64_C(2097152), 0, "\"3M\" is not within 0..2M"},
		{"16777216T", 0, UINT64_MAX, 0, "\"16777216T\" is not within 0..18446744073709551615B"},
		{"99999999999999999999K", 0, 1024, 0, "\"99999999999999999999K\" is not within 0..1K"},
		{"", 0, 9, 0, "\"\" is not a size such as 100, 64K, 100M or 2GB"},
		{"M", 0, 9, 0, "\"M\" is not a size such as 100, 64K, 100M or 2GB"},
		{"1.5M", 0, 9, 0, "\"1.5M\" is not a size such as 100, 64K, 100M or 2GB"},
		{"-1M", 0, 9, 0, "\"-1M\" is not a size such as 100, 64K, 100M or 2GB"},
		{"1 M", 0, 9, 0, "\"1 M\" is not a size such as 100, 64K, 100M or 2GB"},
		{"1MBs", 0, 9, 0, "\"1MBs\" is not a size such as 100, 64K, 100M or 2GB"},
		{"1s", 0, 9, 0, "\"1s\" is not a size such as 100, 64K, 100M or 2GB"},
	};

	(void)state;
	check_rows(parse_size, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_duration(void **state)
{
	static const struct row rows[] = {
		{"90", 0, UINT64_MAX, 90000, NULL},
		{"500ms", 0, UINT64_MAX, 500, NULL},
		{"60s", 0, UINT64_MAX, 60000, NULL},
		{"5m", 0, UINT64_MAX, 300000, NULL},
		{"2h", 0, UINT64_MAX, 7200000, NULL},
		{"7d", 0, UINT64_MAX, UINT64_C(604800000), NULL},
		{"0", 0, 1, 0, NULL},
		{"1s", 1000, 1000, 1000, NULL},
		{"999ms", 1000, 60000, 0, "\"999ms\" is not within 1s..1m"},
		{"61s", 1000, 60000, 0, "\"61s\" is not within 1s..1m"},
		{"18446744073709552s", 0, 60000, 0, "\"18446744073709552s\" is not within 0..1m"},
		{"1w", 0, 9, 0, "\"1w\" is not a duration such as 500ms, 60s, 5m or 2h"},
		{"1h30m", 0, 9, 0, "\"1h30m\" is not a duration such as 500ms, 60s, 5m or 2h"},
		{"", 0, 9, 0, "\"\" is not a duration such as 500ms, 60s, 5m or 2h"},
		{"s", 0, 9, 0, "\"s\" is not a duration such as 500ms, 60s, 5m or 2h"},
	};

	(void)state;
	check_rows(parse_duration_ms, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_bool(void **state)
{
	static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
	static const char *const neither[] = {"", "1", "TRUE", "y", "true "};
	struct err e = {0};
	bool b;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		b = false;
		assert_int_equal(parse_bool(yes[i], &b, &e), 0);
		assert_true(b);
		assert_int_equal(parse_bool(no[i], &b, &e), 0);
		assert_false(b);
	}
	b = true;
	for (size_t i = 0; i < sizeof(neither) / sizeof(neither[0]); i++)
		assert_int_equal(parse_bool(neither[i], &b, &e), -1);
	assert_true(b);
	assert_string_equal(e.msg, "\"true \" is not true or false");
}

static void test_host_port(void **state)
{
	static const struct {
		const char *text;
		uint16_t fallback;
		const char *host;
		uint16_t port;
	} rows[] = {
		{"example.org:443", 0, "example.org", 443},
		{"1.2.3.4:80", 0, "1.2.3.4", 80},
		{"[::1]:80", 0, "::1", 80},
		{"[fe80::1%eth0]:65535", 0, "fe80::1%eth0", 65535},
		{"[::ffff:1.2.3.4]:1", 0, "::ffff:1.2.3.4", 1},
		{"host", 9494, "host", 9494},
		{"[::1]", 9494, "::1", 9494},
		{"a_b-c.d:7", 9494, "a_b-c.d", 7},
	};
	char host[256], joined[300];
	struct err e = {0};
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (parse_host_port(rows[i].text, rows[i].fallback, host, &port, &e) < 0)
			fail_msg("%s", e.msg);
		assert_string_equal(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
		if (rows[i].fallback == 0)
			assert_string_equal(parse_join_host_port(host, port, joined, sizeof(joined)), rows[i].text);
	}
}

static void test_host_port_refuses(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} rows[] = {
		{"", "\"\" is not host:port, such as example.org:443 or [::1]:443"},
		{":80", "\":80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"host", "\"host\" is not host:port: the port is missing"},
		{"host:", "port: \"\" is not a whole number"},
		{"host:0", "port: \"0\" is not within 1..65535"},
		{"host:65536", "port: \"65536\" is not within 1..65535"},
		{"host:80x", "port: \"80x\" is not a whole number"},
		{"host:80:80", "port: \"80:80\" is not a whole number"},
		{"ho st:80", "\"ho st:80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"ho/st:80", "\"ho/st:80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"user@host:80", "\"user@host:80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"::1", "\"::1\" is not host:port: an IPv6 address needs brackets, as in [::1]:80"},
		{"fe80::1:80", "\"fe80::1:80\" is not host:port: an IPv6 address needs brackets, as in [::1]:80"},
		{"[::1", "\"[::1\" is not host:port, such as example.org:443 or [::1]:443"},
		{"[::1]80", "\"[::1]80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"[]:80", "\"[]:80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"[host]:80", "\"[host]:80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"[fe80::1%]:80", "\"[fe80::1%]:80\" is not host:port, such as example.org:443 or [::1]:443"},
		{"[fe80::1%a/b]:80", "\"[fe80::1%a/b]:80\" is not host:port, such as example.org:443 or [::1]:443"},
	};
	char host[256] = "as before", name[300];
	struct err e = {0};
	uint16_t port = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse_host_port(rows[i].text, 0, host, &port, &e), -1);
		assert_string_equal(e.msg, rows[i].says);
	}
	assert_string_equal(host, "as before");
	assert_int_equal(port, 42);

	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	assert_int_equal(parse_host_port(name, 80, host, &port, &e), 0);
	assert_int_equal(strlen(host), 255);
	name[255] = 'a';
	name[256] = '\0';
	assert_int_equal(parse_host_port(name, 80, host, &port, &e), -1);
}

static void test_printable(void **state)
{
	char ret[8];

	(void)state;
	assert_string_equal(parse_printable("abc", ret, sizeof(ret)), "abc");
	assert_string_equal(parse_printable("1234567", ret, sizeof(ret)), "1234567");
	assert_string_equal(parse_printable("12345678", ret, sizeof(ret)), "1234...");
	assert_string_equal(parse_printable("a\n\x1b\x7f\xff ~", ret, sizeof(ret)), "a???? ~");
	assert_string_equal(parse_printable("abc", ret, 1), "");
	assert_string_equal(parse_printable("abc", ret, 3), "ab");
	ret[0] = 'x';
	parse_printable("abc", ret, 0);
	assert_int_equal(ret[0], 'x');
}

static void test_is_text(void **state)
{
	static const struct {
		const char *what, *bytes;
		bool plain, with_tabs;
	} rows[] = {
		{"empty", "", true, true},
		{"ASCII", "tcp port 80 ~", true, true},
		{"tab", "a\tb", false, true},
		{"newline", "a\nb", false, false},
		{"escape", "\x1b[2J", false, false},
		{"delete", "a\x7f", false, false},
		{"C1 control U+0080", "\xc2\x80", false, false},
		{"C1 control U+009F", "\xc2\x9f", false, false},
		{"U+00A0", "\xc2\xa0", true, true},
		{"U+07FF", "\xdf\xbf", true, true},
		{"U+0800", "\xe0\xa0\x80", true, true},
		{"U+D7FF", "\xed\x9f\xbf", true, true},
		{"surrogate U+D800", "\xed\xa0\x80", false, false},
		{"surrogate U+DFFF", "\xed\xbf\xbf", false, false},
		{"U+E000", "\xee\x80\x80", true, true},
		{"U+10000", "\xf0\x90\x80\x80", true, true},
		{"U+10FFFF", "\xf4\x8f\xbf\xbf", true, true},
		{"U+110000", "\xf4\x90\x80\x80", false, false},
		{"overlong '/' in two", "\xc0\xaf", false, false},
		{"overlong in two", "\xc1\xbf", false, false},
		{"overlong in three", "\xe0\x9f\xbf", false, false},
		{"overlong in four", "\xf0\x8f\xbf\xbf", false, false},
		{"lone continuation", "\x80", false, false},
		{"cut in two", "\xc3", false, false},
		{"cut in three", "\xe2\x82", false, false},
		{"cut in four", "\xf0\x90\x80", false, false},
		{"no continuation", "\xc3(", false, false},
		{"never a first byte", "\xf5\x80\x80\x80", false, false},
		{"0xff", "\xff", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (parse_is_text(rows[i].bytes, strlen(rows[i].bytes), false) != rows[i].plain)
			fail_msg("%s", rows[i].what);
		if (parse_is_text(rows[i].bytes, strlen(rows[i].bytes), true) != rows[i].with_tabs)
			fail_msg("%s, with tabs", rows[i].what);
	}
	assert_false(parse_is_text("a\0b", 3, true));
	assert_false(parse_is_text("\xc3\xa9", 1, true)); /* never looks past n */
}

static void test_format_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1.0 kB"},
		{1999, "1.9 kB"},
		{UINT64_C(999999), "999.9 kB"},
		{UINT64_C(1000000), "1.0 MB"},
		{UINT64_C(1234567), "1.2 MB"},
		{UINT64_C(1500000000), "1.5 GB"},
		{UINT64_MAX, "18.4 EB"},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(parse_format_bytes(rows[i].bytes, text, sizeof(text)), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_host_port),
		cmocka_unit_test(test_host_port_refuses),
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_is_text),
		cmocka_unit_test(test_format_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
