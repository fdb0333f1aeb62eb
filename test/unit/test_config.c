/* test_config.c - schema/config*.c, yaml_file.c: values at both sides of each bound, what is refused and in which words, help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fs.h"
#include "schema/config_agent.h"
#include "schema/config_gateway.h"
#include "temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One key of every type, at the top and in sections. */
struct sample {
	char *word, *must, *colour;
	uint64_t count, bytes, ms;
	bool on;
	struct config_list names;
};

static const struct config_key keys[] = {
	{"", "word", CONFIG_TEXT, offsetof(struct sample, word), "a b", 1, 8, NULL, "", "A word"},
	{"one", "must", CONFIG_TEXT, offsetof(struct sample, must), NULL, 1, 100, NULL, "", "Needed for all"},
	{"one", "colour", CONFIG_CHOICE, offsetof(struct sample, colour), "red", 0, 0, "red|green|blue", "",
		"A colour"},
	{"one", "names", CONFIG_LIST, offsetof(struct sample, names), "", 1, 5, NULL, "", "Names"},
	{"two", "count", CONFIG_NUMBER, offsetof(struct sample, count), "5", 1, 10, NULL, "things", "How many"},
	{"two", "bytes", CONFIG_SIZE, offsetof(struct sample, bytes), "64KiB", 1024, 1 << 20, NULL, "", "How much"},
	{"two", "ms", CONFIG_DURATION, offsetof(struct sample, ms), "1500ms", 100, 60000, NULL, "", "How long"},
	{"", "on", CONFIG_BOOL, offsetof(struct sample, on), "true", 0, 0, NULL, "", "Whether"},
};
#define KEYS_N (sizeof(keys) / sizeof(keys[0]))

static int setup(void **state)
{
	struct temp_file *t = malloc(sizeof(*t));

	temp_file_init(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	temp_file_done(*state);
	free(*state);
	return 0;
}

static int load(const struct temp_file *t, const char *text, struct sample *ret, struct err *err)
{
	temp_file_write(t, text, strlen(text));
	return config_load(t->path, keys, KEYS_N, ret, err);
}

/* ---- values ---- */

static void defaults_fill_what_is_not_given(void **state)
{
	struct err err = {0};
	struct sample s;

	if (load(*state, "one:\n  must: x\n", &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(s.word, "a b");
	assert_string_equal(s.must, "x");
	assert_string_equal(s.colour, "red");
	assert_int_equal(s.names.n, 0);
	assert_int_equal(s.count, 5);
	assert_int_equal(s.bytes, 65536);
	assert_int_equal(s.ms, 1500);
	assert_true(s.on);
	config_done(keys, KEYS_N, &s);
	assert_null(s.word);
	config_done(keys, KEYS_N, &s);
}

static void every_type_is_read(void **state)
{
	struct err err = {0};
	struct sample s;

	if (load(*state,
		    "---\n# a comment\nword: 'x: #y'\non: no\ntwo: {count: \"10\", bytes: 1M, ms: 1m}\n"
		    "one:\n  must: café\n  colour: blue\n  names:\n  - a\n  - bcdef\n",
		    &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(s.word, "x: #y");
	assert_string_equal(s.must, "café");
	assert_string_equal(s.colour, "blue");
	assert_int_equal(s.names.n, 2);
	assert_string_equal(s.names.items[0], "a");
	assert_string_equal(s.names.items[1], "bcdef");
	assert_int_equal(s.count, 10);
	assert_int_equal(s.bytes, 1 << 20);
	assert_int_equal(s.ms, 60000);
	assert_false(s.on);
	config_done(keys, KEYS_N, &s);
}

static void a_section_may_be_empty(void **state)
{
	struct err err = {0};
	struct sample s;

	if (load(*state, "two:\none: {must: x}\n", &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s.count, 5);
	config_done(keys, KEYS_N, &s);
}

/* The file is "MUST" + text; says follows "path: ". */
#define MUST "one: {must: x}\n"

static void refusals_name_key_value_and_line(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		/* values */
		{"", "one.must: must be given: Needed for all"},
		{"---\n", "one.must: must be given: Needed for all"},
		{"one: {colour: red}\n", "one.must: must be given: Needed for all"},
		{"one: {must: ''}\n", "one.must: must not be empty"},
		{MUST "word: 123456789\n", "word: 9 bytes are not within 1..8"},
		{MUST "word:\n", "word: must not be empty"},
		{MUST "two: {count: 0}\n", "two.count: \"0\" is not within 1..10"},
		{MUST "two: {count: 11}\n", "two.count: \"11\" is not within 1..10"},
		{MUST "two: {count: -1}\n", "two.count: \"-1\" is not a whole number"},
		{MUST "two: {count: 0x5}\n", "two.count: \"0x5\" is not a whole number"},
		{MUST "two: {count: }\n", "two.count: \"\" is not a whole number"},
		{MUST "two: {count: ~}\n", "two.count: \"~\" is not a whole number"},
		{MUST "two: {bytes: 1023}\n", "two.bytes: \"1023\" is not within 1K..1M"},
		{MUST "two: {bytes: 1048577}\n", "two.bytes: \"1048577\" is not within 1K..1M"},
		{MUST "two: {ms: 99ms}\n", "two.ms: \"99ms\" is not within 100ms..1m"},
		{MUST "two: {ms: 61s}\n", "two.ms: \"61s\" is not within 100ms..1m"},
		{MUST "on: maybe\n", "on: \"maybe\" is not true or false"},
		{"one: {must: x, colour: re}\n", "one.colour: \"re\" is none of red|green|blue"},
		{"one: {must: x, colour: red|green}\n", "one.colour: \"red|green\" is none of red|green|blue"},
		{"one: {must: x, colour: ''}\n", "one.colour: \"\" is none of red|green|blue"},
		{"one: {must: x, names: [a, '']}\n", "one.names: entry 2: must not be empty"},
		{"one: {must: x, names: []}\n", "an empty list: leave it out, or name some, in one.names (line 1)"},
		{"one: {must: x, names: [abcdef]}\n", "one.names: entry 1: 6 bytes are not within 1..5"},
		/* keys */
		{MUST "three: 1\n", "unexpected key \"three\" (line 2)"},
		{MUST "two:\n  count: 5\n  countess: 7\n", "unexpected key \"countess\" in two (line 4)"},
		{MUST "two:\n  must: 5\n", "unexpected key \"must\" in two (line 3)"},
		{MUST "Two: {count: 5}\n", "unexpected key \"Two\" (line 2)"},
		{MUST "word: a\nword: b\n", "key \"word\" stands twice (line 3)"},
		{MUST "two:\n  count: 5\n\n  count: 5\n", "key \"count\" stands twice in two (line 5)"},
		{MUST "two: {count: 5}\ntwo: {ms: 5s}\n", "key \"two\" stands twice (line 3)"},
		{"one: {must: x, names: [a], names: [b]}\n", "key \"names\" stands twice in one (line 1)"},
		{MUST "<<: {word: a}\n", "unexpected key \"<<\" (line 2)"},
		{MUST "[a]: b\n", "a key must be plain text (line 2)"},
		/* shapes */
		{MUST "two: 5\n", "expected keys and values in two (line 2)"},
		{MUST "two: [count]\n", "expected keys and values in two (line 2)"},
		{MUST "two: {count: [5]}\n", "expected a single value in two.count (line 2)"},
		{MUST "word: {a: b}\n", "expected a single value in word (line 2)"},
		{"one: {must: x, names: a}\n", "expected a list in one.names (line 1)"},
		{"one: {must: x, names: [[a]]}\n", "expected a single value in one.names[1] (line 1)"},
		{"- one\n", "expected keys and values"},
		{"one\n", "expected keys and values"},
		/* YAML that we do not want, and what is no YAML */
		{MUST "word: &a x\n", "anchors are not supported (line 2)"},
		{MUST "two: &a {count: 5}\n", "anchors are not supported (line 2)"},
		{"one: {must: x, names: &a [x]}\n", "anchors are not supported (line 1)"},
		{MUST "word: *a\n", "aliases are not supported (line 2)"},
		{MUST "word: \"a\\0b\"\n", "a control character or line break in a value (line 2)"},
		{MUST "word: \"a\\nb\"\n", "a control character or line break in a value (line 2)"},
		{MUST "word: |\n  a\n", "a control character or line break in a value (line 2)"},
		{MUST "---\nword: a\n", "more than one document (line 2)"},
		{"[[[[[[[[[[", "nested too deeply (line 1)"},
		{MUST "word: 'a\n", "not YAML: found unexpected end of stream (line 3)"},
		{MUST "\tword: a\n", "not YAML: found character that cannot start any token (line 2)"},
		{MUST "word: \xff\n", "not YAML: invalid leading UTF-8 octet (line 1)"},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char says[400];
		struct err err = {0};
		struct sample s;

		if (load(t, rows[i].text, &s, &err) == 0)
			fail_msg("taken: %s", rows[i].text);
		snprintf(says, sizeof(says), "%s: %s", t->path, rows[i].says);
		assert_string_equal(err.msg, says);
		assert_int_equal(err.code, ERR_INPUT);
		assert_null(s.word);
	}
}

static void long_lists_are_refused(void **state)
{
	char text[CONFIG_LIST_MAX * 3 + 64] = "one: {must: x, names: [a";
	size_t n = strlen(text);
	struct err err = {0};
	struct sample s;

	for (int i = 1; i < CONFIG_LIST_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",a");
	snprintf(text + n, sizeof(text) - n, "]}");
	if (load(*state, text, &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s.names.n, CONFIG_LIST_MAX);
	config_done(keys, KEYS_N, &s);
	snprintf(text + n, sizeof(text) - n, ",a]}");
	assert_int_equal(load(*state, text, &s, &err), -1);
	assert_non_null(strstr(err.msg, "Excessive entries"));
}

static void files_that_cannot_be_read_are_told(void **state)
{
	const struct temp_file *t = *state;
	char *large = malloc(CONFIG_FILE_BYTES_MAX + 1);
	struct err err = {0};
	struct sample s;

	assert_non_null(large);
	assert_int_equal(config_load(t->path, keys, KEYS_N, &s, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(config_load(t->dir, keys, KEYS_N, &s, &err), -1);
	memset(large, '#', CONFIG_FILE_BYTES_MAX + 1);
	temp_file_write(t, large, CONFIG_FILE_BYTES_MAX + 1);
	assert_int_equal(config_load(t->path, keys, KEYS_N, &s, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	temp_file_write(t, large, CONFIG_FILE_BYTES_MAX);
	assert_int_equal(config_load(t->path, keys, KEYS_N, &s, &err), -1);
	assert_non_null(strstr(err.msg, "one.must: must be given"));
	temp_file_write(t, "on: true\0", 9);
	assert_int_equal(config_load(t->path, keys, KEYS_N, &s, &err), -1);
	assert_non_null(strstr(err.msg, "NUL"));
	free(large);
}

static void without_a_file_all_are_defaults(void **state)
{
	struct err err = {0};
	struct sample s;

	(void)state;
	assert_int_equal(config_load(NULL, keys, KEYS_N, &s, &err), -1);
	assert_string_equal(err.msg, "one.must: must be given: Needed for all");
}

/* ---- help ---- */

static void write_help(const struct temp_file *t, const struct config_key *table, size_t n)
{
	FILE *out = fopen(t->path, "w");

	assert_non_null(out);
	config_help(table, n, out);
	assert_int_equal(fclose(out), 0);
}

static void help_names_all_of_a_key(void **state)
{
	const struct temp_file *t = *state;
	struct err err = {0};
	char *text;

	write_help(t, keys, KEYS_N);
	text = fs_read_text(t->path, 1 << 20, &err);
	assert_non_null(text);
	assert_string_equal(text, "# A word\nword: \"a b\"\n"
				  "# Whether (true or false)\non: true\n"
				  "\none:\n"
				  "  # Needed for all; required\n  #must: \"\"\n"
				  "  # A colour (red|green|blue)\n  colour: red\n"
				  "  # Names (a list)\n  #names: []\n"
				  "\ntwo:\n"
				  "  # How many (1..10 things)\n  count: 5\n"
				  "  # How much (1KiB..1MiB)\n  bytes: 64KiB\n"
				  "  # How long (100ms..1m)\n  ms: 1500ms\n");
	free(text);
}

/* What the help prints is what the program does without a file. */
static void help_loads_as_the_defaults(void **state)
{
	const struct temp_file *t = *state;
	struct config_key given[256];
	struct config_gateway a, b;
	struct err err = {0};

	assert_in_range(config_gateway_keys_n, 1, 256);
	memcpy(given, config_gateway_keys, config_gateway_keys_n * sizeof(given[0]));
	for (size_t i = 0; i < config_gateway_keys_n; i++)
		if (!given[i].default_text)
			given[i].default_text = "/some/file";
	write_help(t, given, config_gateway_keys_n);
	if (config_gateway_load(t->path, &a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(config_load(NULL, given, config_gateway_keys_n, &b, &err), 0);
	for (size_t i = 0; i < config_gateway_keys_n; i++) {
		const char *in_a = (const char *)&a + given[i].offset, *in_b = (const char *)&b + given[i].offset;

		if (given[i].type == CONFIG_TEXT || given[i].type == CONFIG_CHOICE)
			assert_string_equal(*(char *const *)(const void *)in_a, *(char *const *)(const void *)in_b);
		else
			assert_memory_equal(in_a, in_b, given[i].type == CONFIG_BOOL ? sizeof(bool) : sizeof(uint64_t));
	}
	config_gateway_done(&a);
	config_gateway_done(&b);
}

/* ---- the programs' tables ---- */

/* Sound tables: members apart, each key once, defaults within their own bounds, a sentence for people. */
static void check_table(const struct config_key *table, size_t n, size_t struct_bytes)
{
	struct config_key optional[256];
	void *config = malloc(struct_bytes);
	struct err err = {0};

	assert_in_range(n, 1, 256);
	assert_non_null(config);
	memcpy(optional, table, n * sizeof(optional[0]));
	for (size_t i = 0; i < n; i++) {
		assert_in_range(table[i].offset, 0, struct_bytes - 1);
		assert_true(table[i].least <= table[i].most);
		assert_true(strlen(table[i].text) > 5);
		for (size_t k = 0; k < i; k++) {
			assert_int_not_equal(table[i].offset, table[k].offset);
			assert_false(
				!strcmp(table[i].section, table[k].section) && !strcmp(table[i].key, table[k].key));
		}
		if (!optional[i].default_text)
			optional[i].default_text = "/some/file";
	}
	if (config_load(NULL, optional, n, config, &err) < 0)
		fail_msg("%s", err.msg);
	config_done(optional, n, config);
	free(config);
}

static void the_tables_are_sound(void **state)
{
	(void)state;
	check_table(config_agent_keys, config_agent_keys_n, sizeof(struct config_agent));
	check_table(config_gateway_keys, config_gateway_keys_n, sizeof(struct config_gateway));
}

static void the_agent_s_defaults_hold(void **state)
{
	static const char text[] = "tls: {certificate: c, private_key: k, client_ca: a}\n";
	struct config_agent c;
	struct err err = {0};

	temp_file_write(*state, text, sizeof(text) - 1);
	if (config_agent_load(((struct temp_file *)*state)->path, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(c.listen_address, "0.0.0.0");
	assert_int_equal(c.listen_port, 9494);
	assert_string_equal(c.tls_client_ca, "a");
	assert_string_equal(c.tls_client_name, "pcap-gateway");
	assert_int_equal(c.captures_max, 16);
	assert_int_equal(c.ring_bytes, 64 << 20);
	assert_int_equal(c.block_timeout_ms, 50);
	assert_int_equal(c.stats_interval_ms, 2000);
	assert_int_equal(c.peer_timeout_ms, 10000);
	assert_int_equal(c.duration_max_ms, 86400000);
	assert_int_equal(c.rate_max, 0);
	assert_int_equal(c.cpu_percent, 75);
	assert_int_equal(c.rate_total, 0);
	assert_int_equal(c.cpu_total_percent, 100);
	assert_int_equal(c.memory_max, UINT64_C(1280) << 20);
	assert_true(c.guard_enabled);
	assert_int_equal(c.guard_interval_ms, 1000);
	assert_int_equal(c.guard_cpu_pressure, 40);
	assert_int_equal(c.guard_memory_pressure, 10);
	assert_int_equal(c.guard_io_pressure, 60);
	assert_int_equal(c.guard_load, 8);
	assert_int_equal(c.guard_memory_free_percent, 5);
	assert_int_equal(c.guard_memory_free_bytes, 0);
	assert_int_equal(c.guard_nice, 10);
	assert_string_equal(c.guard_ionice, "idle");
	assert_int_equal(c.guard_oom_score_adj, 500);
	assert_int_equal(c.guard_watchdog_ms, 30000);
	assert_string_equal(c.instance, "");
	assert_true(config_agent_offers(&c, "host"));
	assert_false(config_agent_offers(&c, "container"));
	assert_false(config_agent_may_enter(&c));
	assert_string_equal(c.containers_metadata, "/var/vcap/data/container-metadata/store.json");
	assert_int_equal(c.containers_runc_roots.n, 2);
	assert_string_equal(c.containers_runc_roots.items[0], "/run/containerd/runc/garden");
	assert_string_equal(c.containers_runc_roots.items[1], "/run/runc");
	assert_string_equal(c.containers_netns, "/var/vcap/data/garden-cni/container-netns");
	assert_string_equal(c.containers_proc, "/proc");
	assert_int_equal(c.containers_workloads.n, 1);
	assert_string_equal(c.containers_workloads.items[0], "app");
	config_agent_done(&c);
}

static void the_agent_of_a_cell(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: taken */
		bool host, container, enter;
	} rows[] = {
		{"targets: []", "an empty list: leave it out, or name some, in targets (line 2)", false, false, false},
		{"targets:\n- host", NULL, true, false, false},
		{"targets: [container]", NULL, false, true, true},
		{"targets: [host, container]\ncontainers: {enter: never}", NULL, true, true, false},
		{"targets: [host]\ncontainers: {enter: auto}", NULL, true, false, false},
		{"targets: [container, cell]", "targets[1]: \"cell\" is neither host nor container", false, false,
			false},
		{"containers: {enter: sometimes}", "containers.enter", false, false, false},
		{"containers: {metadata: store.json}", "containers.metadata: \"store.json\" is not an absolute path",
			false, false, false},
		{"containers: {netns: netns}", "containers.netns: \"netns\" is not an absolute path", false, false,
			false},
		{"containers: {proc: proc}", "containers.proc: \"proc\" is not an absolute path", false, false, false},
		{"containers: {proc: ''}", NULL, true, false, false},
		{"containers: {runc_roots: [/a, b]}", "containers.runc_roots: \"b\" is not an absolute path", false,
			false, false},
		{"containers: {runc_roots: []}",
			"an empty list: leave it out, or name some, in containers.runc_roots (line 2)", false, false,
			false},
		{"containers: {workloads: []}",
			"an empty list: leave it out, or name some, in containers.workloads (line 2)", false, false,
			false},
		{"containers: {workloads: [task, staging, app]}", NULL, true, false, false},
		{"containers: {workloads: [app, apps]}",
			"containers.workloads[1]: \"apps\" is none of app, task, staging", false, false, false},
		{"containers: {runc_roots: ['']}", "containers.runc_roots", false, false, false},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_agent c;
		struct err err = {0};
		char text[300];
		int rc;

		snprintf(text, sizeof(text), "tls: {certificate: c, private_key: k, client_ca: a}\n%s\n", rows[i].text);
		temp_file_write(t, text, strlen(text));
		rc = config_agent_load(t->path, &c, &err);
		if (rc != (rows[i].says ? -1 : 0) || (rc < 0 && !strstr(err.msg, rows[i].says)))
			fail_msg("%s: %d %s", rows[i].text, rc, err.msg);
		if (rc < 0)
			continue;
		assert_true(config_agent_offers(&c, "host") == rows[i].host);
		assert_true(config_agent_offers(&c, "container") == rows[i].container);
		assert_true(config_agent_may_enter(&c) == rows[i].enter);
		assert_true(c.targets_given == (strncmp(rows[i].text, "targets", 7) == 0));
		config_agent_done(&c);
	}
}

static void the_agent_s_ceilings_have_bounds(void **state)
{
	static const struct {
		const char *limits, *says; /* NULL: taken */
		uint64_t rate, cpu;
	} rows[] = {
		{"rate: 0", NULL, 0, 75},
		{"rate: 1", "limits.rate: 1 is neither 0 nor at least 64KiB", 0, 0},
		{"rate: 65535", "limits.rate: 65535 is neither 0 nor at least 64KiB", 0, 0},
		{"rate: 64KiB", NULL, 65536, 75},
		{"rate: 16GiB", NULL, UINT64_C(1) << 34, 75},
		{"rate: 17179869185", "limits.rate: \"17179869185\" is not within 0..16G", 0, 0},
		{"cpu: 0", "limits.cpu: \"0\" is not within 1..100", 0, 0},
		{"cpu: 1", NULL, 0, 1},
		{"cpu: 100", NULL, 0, 100},
		{"cpu: 101", "limits.cpu: \"101\" is not within 1..100", 0, 0},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_agent c;
		struct err err = {0};
		char text[200];
		int rc;

		snprintf(text, sizeof(text), "tls: {certificate: c, private_key: k, client_ca: a}\nlimits: {%s}\n",
			rows[i].limits);
		temp_file_write(t, text, strlen(text));
		rc = config_agent_load(t->path, &c, &err);
		if (rc != (rows[i].says ? -1 : 0))
			fail_msg("%s: %d %s", rows[i].limits, rc, err.msg);
		if (rows[i].says) {
			if (!strstr(err.msg, rows[i].says) || strncmp(err.msg, t->path, strlen(t->path)) != 0)
				fail_msg("%s: %s", rows[i].limits, err.msg);
			continue;
		}
		assert_int_equal(c.rate_max, rows[i].rate);
		assert_int_equal(c.cpu_percent, rows[i].cpu);
		config_agent_done(&c);
	}
}

static void the_agent_s_guard_has_bounds(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: taken */
		uint64_t percent, bytes;
	} rows[] = {
		{"guard: {memory_free: 0}", NULL, 0, 0},
		{"guard: {memory_free: 0%}", NULL, 0, 0},
		{"guard: {memory_free: 100%}", NULL, 100, 0},
		{"guard: {memory_free: 101%}", "guard.memory_free, percent (\"5%\") or a size (\"512MiB\"): ", 0, 0},
		{"guard: {memory_free: '%'}", "guard.memory_free, percent", 0, 0},
		{"guard: {memory_free: -1%}", "guard.memory_free, percent", 0, 0},
		{"guard: {memory_free: 512MiB}", NULL, 0, UINT64_C(512) << 20},
		{"guard: {memory_free: some}", "guard.memory_free, percent", 0, 0},
		{"guard: {memory_free: ''}", "guard.memory_free", 0, 0},
		{"guard: {watchdog: 0}", NULL, 5, 0},
		{"guard: {watchdog: 9999ms}", "guard.watchdog: 9999 ms is neither 0 nor at least 10s", 0, 0},
		{"guard: {watchdog: 10s}", NULL, 5, 0},
		{"guard: {watchdog: 11m}", "guard.watchdog: \"11m\" is not within", 0, 0},
		{"guard: {interval: 99ms}", "guard.interval: \"99ms\" is not within", 0, 0},
		{"guard: {interval: 5s}", "guard.interval: \"5s\" is not within", 0, 0},
		{"guard: {cpu_pressure: 101}", "guard.cpu_pressure: \"101\" is not within 0..100", 0, 0},
		{"guard: {nice: 20}", "guard.nice: \"20\" is not within 0..19", 0, 0},
		{"guard: {nice: -1}", "guard.nice: \"-1\" is not a whole number", 0, 0},
		{"guard: {ionice: realtime}", "guard.ionice", 0, 0},
		{"guard: {oom_score_adj: 1001}", "guard.oom_score_adj: \"1001\" is not within 0..1000", 0, 0},
		{"limits: {rate_total: 65535}", "limits.rate_total: 65535 is neither 0 nor at least 64KiB", 0, 0},
		{"limits: {rate_total: 64KiB, cpu_total: 0, memory: 0}", NULL, 5, 0},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_agent c;
		struct err err = {0};
		char text[200];
		int rc;

		snprintf(text, sizeof(text), "tls: {certificate: c, private_key: k, client_ca: a}\n%s\n", rows[i].text);
		temp_file_write(t, text, strlen(text));
		rc = config_agent_load(t->path, &c, &err);
		if (rc != (rows[i].says ? -1 : 0) || (rc < 0 && !strstr(err.msg, rows[i].says)))
			fail_msg("%s: %d %s", rows[i].text, rc, err.msg);
		if (rc < 0)
			continue;
		assert_int_equal(c.guard_memory_free_percent, rows[i].percent);
		assert_int_equal(c.guard_memory_free_bytes, rows[i].bytes);
		config_agent_done(&c);
	}
}

static void the_agent_listens_at_numbers(void **state)
{
	static const struct {
		const char *address;
		bool taken;
	} rows[] = {
		{"0.0.0.0", true},
		{"::", true},
		{"fd00::12", true},
		{"localhost", false},
		{"10.0.0", false},
		{"[::1]", false},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_agent c;
		struct err err = {0};
		char text[200];
		int rc;

		snprintf(text, sizeof(text),
			"tls: {certificate: c, private_key: k, client_ca: a}\nlisten: {address: '%s'}\n",
			rows[i].address);
		temp_file_write(t, text, strlen(text));
		rc = config_agent_load(t->path, &c, &err);
		if (rc != (rows[i].taken ? 0 : -1))
			fail_msg("%s: %d %s", rows[i].address, rc, err.msg);
		if (rc == 0)
			config_agent_done(&c);
		else if (!strstr(err.msg, "listen.address: \"") || !strstr(err.msg, "is not a numeric address"))
			fail_msg("%s: %s", rows[i].address, err.msg);
	}
}

#define AGENTS "agents: {ca: a, certificate: c, private_key: k}\n"

static void the_gateway_s_keys_fit_together(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: taken */
	} rows[] = {
		{"", NULL},
		{"listen: {address: '::1'}\n", NULL},
		{"listen: {address: 127.9.9.9}\n", NULL},
		{"listen: {address: 0.0.0.0}\n",
			"listen.address: without tls.certificate only a loopback address, not \"0.0.0.0\""},
		{"listen: {address: '::'}\n",
			"listen.address: without tls.certificate only a loopback address, not \"::\""},
		{"listen: {address: 128.0.0.1}\n",
			"listen.address: without tls.certificate only a loopback address, not \"128.0.0.1\""},
		{"listen: {address: '::ffff:10.0.0.1'}\n",
			"listen.address: without tls.certificate only a loopback address, not \"::ffff:10.0.0.1\""},
		{"listen: {address: localhost}\n", "listen.address: \"localhost\" is not a numeric address"},
		{"listen: {address: 0.0.0.0}\ntls: {certificate: c, private_key: k}\n", NULL},
		{"tls: {certificate: c}\n", "tls.certificate and tls.private_key must be given together"},
		{"tls: {private_key: k}\n", "tls.certificate and tls.private_key must be given together"},
		{"links: {ttl: 24h}\n", NULL},
		{"limits: {rate: 65535}\n", "limits.rate: 65535 is neither 0 nor at least 64KiB"},
		{"limits: {rate_per_capture: 1KiB}\n", "limits.rate_per_capture: 1024 is neither 0 nor at least 64KiB"},
		{"storage: {retention: 2h, retention_max: 1h}\n",
			"storage.retention_max is shorter than storage.retention"},
		{"links: {ttl: 86401s}\n", "links.ttl is longer than links.ttl_max"},
		{"storage: {chunk: 1MiB, job_max: 1MiB}\n", NULL},
		{"storage: {chunk: 2MiB, job_max: 1MiB}\n", "storage.chunk is larger than storage.job_max"},
		{"public_url: https://pcap.example.com\n", NULL},
		{"public_url: ftp://pcap.example.com\n",
			"public_url: \"ftp://pcap.example.com\" begins with neither http:// nor https://"},
		{"public_url: 'https://x/?a'\n", "public_url: \"https://x/?a\" holds what the base of a link cannot"},
		{"storage: {prefix: a/b.c-d_e}\n", NULL},
		{"storage: {prefix: ../x}\n", "storage.prefix: \"../x\" is not made of names with letters, digits, "
					      "'.', '_', '-' and '/' between them"},
		{"storage: {prefix: a/../x}\n", "storage.prefix: \"a/../x\" is not made of names with letters, digits, "
						"'.', '_', '-' and '/' between them"},
		{"storage: {prefix: a/}\n", "storage.prefix: \"a/\" is not made of names with letters, digits, '.', "
					    "'_', '-' and '/' between them"},
		{"limits: {captures: 70000}\n", "limits.captures: \"70000\" is not within 1..10000"},
	};
	const struct temp_file *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_gateway c;
		struct err err = {0};
		char text[400];
		int rc;

		snprintf(text, sizeof(text), AGENTS "%s", rows[i].text);
		temp_file_write(t, text, strlen(text));
		rc = config_gateway_load(t->path, &c, &err);
		if (!rows[i].says) {
			if (rc < 0)
				fail_msg("%s", err.msg);
			config_gateway_done(&c);
			continue;
		}
		assert_int_equal(rc, -1);
		snprintf(text, sizeof(text), "%s: %s", t->path, rows[i].says);
		assert_string_equal(err.msg, text);
		assert_null(c.agents_ca);
	}
}

#define with_file(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_file(defaults_fill_what_is_not_given),
		with_file(every_type_is_read),
		with_file(a_section_may_be_empty),
		with_file(refusals_name_key_value_and_line),
		with_file(long_lists_are_refused),
		with_file(files_that_cannot_be_read_are_told),
		cmocka_unit_test(without_a_file_all_are_defaults),
		with_file(help_names_all_of_a_key),
		with_file(help_loads_as_the_defaults),
		with_file(the_agent_listens_at_numbers),
		cmocka_unit_test(the_tables_are_sound),
		with_file(the_agent_s_defaults_hold),
		with_file(the_agent_of_a_cell),
		with_file(the_agent_s_ceilings_have_bounds),
		with_file(the_agent_s_guard_has_bounds),
		with_file(the_gateway_s_keys_fit_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
