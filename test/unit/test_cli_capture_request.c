/* test_cli_capture_request.c - cli/request.c: from the words of a command line to the start request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/request.h"
#include "schema/capture_request.h"

#include <stdlib.h>
#include <string.h>

#define ARGV_MAX 16

/* The request as compact JSON, or "error: ..." ; the caller frees. */
static char *request_text(const char *const *argv)
{
	struct request_values v = {0};
	struct arg_table table = {request_options, &v};
	struct args args;
	struct err err = {0};
	json_t *request = NULL;
	char *text = NULL;
	int argc = 0;

	while (argv[argc])
		argc++;
	if (args_parse(argc, (char *const *)(uintptr_t)argv, &table, 1, false, &args, &err) == 0)
		request = request_host(&v, &args, &err);
	if (request)
		text = json_dumps(request, JSON_COMPACT);
	else if (asprintf(&text, "error: %s", err.msg) < 0)
		text = NULL;
	json_decref(request);
	args_done(&args);
	return text;
}

struct row {
	const char *argv[ARGV_MAX];
	const char *says;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *text = request_text(rows[i].argv);

		assert_non_null(text);
		assert_string_equal(text, rows[i].says);
		free(text);
	}
}

#define HEAD(instances) "{\"target\":{\"type\":\"host\",\"instances\":[" instances "]},\"options\":"
#define LIVE            ",\"mode\":\"live\",\"format\":\"pcapng\"}"

static void test_targets_and_filter(void **state)
{
	static const struct row rows[] = {
		{{"web"}, HEAD("\"web\"") "{}" LIVE},
		{{"web", "db/1"}, HEAD("\"web\",\"db/1\"") "{}" LIVE},
		{{"web", "tcp", "port", "80"}, HEAD("\"web\"") "{\"filter\":\"tcp port 80\"}" LIVE},
		{{"web", "tcp port 80"}, HEAD("\"web\"") "{\"filter\":\"tcp port 80\"}" LIVE},
		{{"web/0", "db", "not", "host", "web/1"},
			HEAD("\"web/0\",\"db\"") "{\"filter\":\"not host web/1\"}" LIVE},
		/* the first word is a target whatever it is */
		{{"tcp"}, HEAD("\"tcp\"") "{}" LIVE},
		{{"gateway", "tcp"}, HEAD("\"gateway\"") "{\"filter\":\"tcp\"}" LIVE},
		/* characters that no name has */
		{{"web", "(tcp"}, HEAD("\"web\"") "{\"filter\":\"(tcp\"}" LIVE},
		{{"web", "!tcp"}, HEAD("\"web\"") "{\"filter\":\"!tcp\"}" LIVE},
		{{"web", "", "db"}, HEAD("\"web\"") "{\"filter\":\"db\"}" LIVE},
		/* no doubt */
		{{"web", "tcp", "--"}, HEAD("\"web\",\"tcp\"") "{}" LIVE},
		{{"web", "--", "db"}, HEAD("\"web\"") "{\"filter\":\"db\"}" LIVE},
		{{"web", "tcp", "-f", "udp"}, HEAD("\"web\",\"tcp\"") "{\"filter\":\"udp\"}" LIVE},
		{{"-f", "tcp[13] & 2 != 0", "web"}, HEAD("\"web\"") "{\"filter\":\"tcp[13] & 2 != 0\"}" LIVE},
		/* options between the words */
		{{"web", "-c", "5", "tcp", "-i", "lo", "port", "80"},
			HEAD("\"web\"") "{\"device\":\"lo\",\"filter\":\"tcp port 80\",\"max_packets\":5}" LIVE},
		{{"web", "-f", "udp", "--", "tcp"}, "error: the filter is given twice, with -f and after --"},
		{{"--", "tcp"}, "error: no target: name at least one (NAME or NAME/N)"},
		{{"-f", "tcp"}, "error: no target: name at least one (NAME or NAME/N)"},
	};

	(void)state;
	check(rows, sizeof(rows) / sizeof(*rows));
}

static void test_options(void **state)
{
	static const struct row rows[] = {
		{{"w", "-s", "0"}, HEAD("\"w\"") "{\"snaplen\":0}" LIVE},
		{{"w", "-s", "16"}, HEAD("\"w\"") "{\"snaplen\":16}" LIVE},
		{{"w", "-s", "262144"}, HEAD("\"w\"") "{\"snaplen\":262144}" LIVE},
		{{"w", "-s", "15"}, "error: option --snapshot-length: 15 is outside 16..262144 (or 0)"},
		{{"w", "-s", "262145"}, "error: option --snapshot-length: \"262145\" is not within 0..262144"},
		{{"w", "-c", "0"}, "error: option --count: \"0\" is not within 1..9007199254740992"},
		{{"w", "--duration", "60s"}, HEAD("\"w\"") "{\"max_duration_s\":60}" LIVE},
		/* seconds on the wire: part of one counts as one */
		{{"w", "--duration", "1500ms"}, HEAD("\"w\"") "{\"max_duration_s\":2}" LIVE},
		{{"w", "--retention", "7d"}, "error: --retention goes with --store or --auto"},
		{{"w", "--duration", "7d"}, HEAD("\"w\"") "{\"max_duration_s\":604800}" LIVE},
		{{"w", "--max-size", "100M"}, HEAD("\"w\"") "{\"max_bytes\":104857600}" LIVE},
		{{"w", "--headers-only"}, HEAD("\"w\"") "{\"payload\":\"headers\"}" LIVE},
		{{"w", "--headers-only", "--headers-only"}, "error: option --headers-only is given twice"},
		{{"w", "--store"}, HEAD("\"w\"") "{},\"mode\":\"store\",\"format\":\"pcapng\"}"},
		{{"w", "--auto", "--wait"}, HEAD("\"w\"") "{},\"mode\":\"auto\",\"format\":\"pcapng\"}"},
		{{"w", "--format", "pcap"}, HEAD("\"w\"") "{},\"mode\":\"live\",\"format\":\"pcap\"}"},
		{{"w", "--note", "why \"x\""},
			HEAD("\"w\"") "{},\"mode\":\"live\",\"format\":\"pcapng\",\"note\":\"why \\\"x\\\"\"}"},
		{{"w", "--store", "--wait", "-w", "f"}, HEAD("\"w\"") "{},\"mode\":\"store\",\"format\":\"pcapng\"}"},
		{{"w", "--store", "--retention", "7d"},
			HEAD("\"w\"") "{},\"mode\":\"store\",\"format\":\"pcapng\",\"retention_s\":604800}"},
		{{"w", "--store", "--auto"}, "error: --store and --auto exclude each other"},
		{{"w", "--wait"}, "error: --wait goes with --store or --auto"},
		{{"w", "--store", "-w", "f"},
			"error: -w with --store needs --wait (or fetch it later with \"pcap download\")"},
		{{"w", "--format", "erf"}, "error: option --format: \"erf\" is neither pcapng nor pcap"},
		{{"w", "--note", "\xff"}, "error: option --note: must be UTF-8 text"},
		{{"w", "-i", "\xff"}, "error: device and filter must be UTF-8 text"},
		{{"\xff"}, "error: \"?\" is not the name of a target"},
	};

	(void)state;
	check(rows, sizeof(rows) / sizeof(*rows));
}

/* What goes out is what the gateway's own reader takes. */
static void test_gateway_reads_it(void **state)
{
	static const char *const argv[] = {"web", "-i", "any", "-s", "0", "-c", "7", "--duration", "5m", "--max-size",
		"2G", "--headers-only", "udp", NULL};
	char *text = request_text(argv);
	json_t *request = json_loads(text, 0, NULL);
	struct capture_options o;
	struct err err = {0};

	(void)state;
	if (capture_options_from_json(json_object_get(request, "options"), "options", &o, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(o.headers_only);
	assert_string_equal(o.device, "any");
	assert_string_equal(o.filter, "udp");
	assert_int_equal(o.snaplen, PCAPNG_SNAPLEN_MAX);
	assert_int_equal(o.max_packets, 7);
	assert_int_equal(o.max_duration_s, 300);
	assert_int_equal(o.max_bytes, UINT64_C(2) << 30);
	json_decref(request);
	free(text);
}

static void test_filter_length(void **state)
{
	char filter[CAPTURE_FILTER_MAX + 2];
	const char *argv[] = {"web", "-f", filter, NULL};
	char *text;

	(void)state;
	memset(filter, ' ', sizeof(filter));
	filter[CAPTURE_FILTER_MAX] = '\0';
	text = request_text(argv);
	assert_null(strstr(text, "error"));
	free(text);
	filter[CAPTURE_FILTER_MAX] = ' ';
	filter[CAPTURE_FILTER_MAX + 1] = '\0';
	text = request_text(argv);
	assert_string_equal(text, "error: the filter is longer than 8192 bytes");
	free(text);
}

static void test_file_name(void **state)
{
	static const struct {
		const char *target, *format, *name;
	} rows[] = {
		{"web", "pcapng", "web-JOB.pcapng"},
		{"web/0", "pcap", "web-0-JOB.pcap"},
		{"../../etc/x", "pcapng", "_.-..-etc-x-JOB.pcapng"},
		{"-rf", "pcapng", "_rf-JOB.pcapng"},
		{"a b\n", "pcapng", "a-b--JOB.pcapng"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *name = request_file_name(rows[i].target, "JOB", rows[i].format);

		assert_string_equal(name, rows[i].name);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets_and_filter),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_gateway_reads_it),
		cmocka_unit_test(test_filter_length),
		cmocka_unit_test(test_file_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
