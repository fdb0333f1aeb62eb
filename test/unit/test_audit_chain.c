/* test_audit_chain.c - schema/audit_record.c and audit_verify.c: what was written is known again, and every way of changing it is found and called by its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "schema/audit_action.h"
#include "schema/audit_cef.h"
#include "schema/audit_verify.h"
#include "test/unit/temp_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N 8u

static struct audit_key key;
static char *lines[N + 1]; /* lines[1] is record 1 */
static struct audit_link links[N + 1];

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < AUDIT_KEY_BYTES; i++)
		key.bytes[i] = (uint8_t)i;
	memcpy(links[0].hash, AUDIT_FIRST, sizeof(links[0].hash));
	for (unsigned i = 1; i <= N; i++) {
		json_t *r = json_pack("{s:s, s:s, s:s, s:i}", "action", "capture.start", "at",
			"2026-01-05T10:00:00.000000001Z", "why", "\"hash\":\"x\" \xc3\xa4\n", "n", (int)i);

		lines[i] = audit_line_make(r, i, links[i - 1].hash, &key, &links[i], NULL);
		assert_non_null(lines[i]);
		json_decref(r);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= N; i++)
		free(lines[i]);
	return 0;
}

static void test_line(void **state)
{
	struct audit_link l = {0};
	bool genuine = false;
	json_t *r = audit_line_read(lines[2], strlen(lines[2]), &key, &l, &genuine, NULL);
	char seal[DIGEST_SHA256_HEX_MAX],
		*end = strstr(lines[2], ",\"hash\":\"" /* the quotes in "why" have backslashes */);

	(void)state;
	assert_non_null(r);
	assert_true(genuine);
	assert_int_equal(l.seq, 2);
	assert_string_equal(l.prev, links[1].hash);
	digest_hmac_hex(key.bytes, sizeof(key.bytes), lines[2], (size_t)(end - lines[2]), seal);
	assert_string_equal(seal, l.hash);
	assert_memory_equal(lines[2], "{\"action\":\"capture.start\",\"at\":", 31);
	assert_null(strchr(lines[2], '\n'));
	json_decref(r);
}

/* The HMAC of the first record was computed once with another tool (Python's hmac). */
static void test_known_seal(void **state)
{
	json_t *r = json_pack("{s:s, s:s}", "at", "2026-01-05T10:00:00.000000000Z", "action", "gateway.start");
	struct audit_link l;
	char *line = audit_line_make(r, 1, AUDIT_FIRST, &key, &l, NULL);

	(void)state;
	assert_string_equal(line,
		"{\"action\":\"gateway.start\",\"at\":\"2026-01-05T10:00:00.000000000Z\",\"prev\":\"" AUDIT_FIRST
		"\",\"seq\":1,\"hash\":\"88603345148c2c1046b985ff72f5acf0d86aed5dd3fc7dd1f9a2a0e32a1f29d3\"}");
	free(line);
	json_decref(r);
}

static void test_too_large(void **state)
{
	char *huge = malloc(AUDIT_LINE_MAX);
	struct audit_link l;
	struct err err = {0};
	json_t *r;

	(void)state;
	memset(huge, 'x', AUDIT_LINE_MAX - 1);
	huge[AUDIT_LINE_MAX - 1] = '\0';
	r = json_pack("{s:s}", "why", huge);
	assert_null(audit_line_make(r, 1, AUDIT_FIRST, &key, &l, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	json_decref(r);
	free(huge);
}

static void test_no_records(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "7", "{}", "{\"action\":\"x\",\"at\":\"y\"}",
		"{\"action\":\"x\",\"at\":\"y\",\"seq\":0,\"prev\":\"" AUDIT_FIRST "\",\"hash\":\"" AUDIT_FIRST "\"}",
		"{\"action\":\"x\",\"at\":\"y\",\"seq\":1,\"prev\":\"0\",\"hash\":\"" AUDIT_FIRST "\"}",
		"{\"action\":\"x\",\"at\":\"y\",\"seq\":1,\"prev\":\"" AUDIT_FIRST "0\",\"hash\":\"" AUDIT_FIRST "\"}",
		"{\"action\":7,\"at\":\"y\",\"seq\":1,\"prev\":\"" AUDIT_FIRST "\",\"hash\":\"" AUDIT_FIRST "\"}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct audit_link l = {0};
		struct err err = {0};
		bool genuine = false;

		if (audit_line_read(bad[i], strlen(bad[i]), &key, &l, &genuine, &err))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, ERR_INPUT);
		assert_false(genuine);
	}
}

/* ---- chains ---- */

struct order {
	const char *what;
	int numbers[N + 4]; /* records in this order; -n: n altered; 99: no record; 0 ends */
	const char *head;   /* NULL: nobody knows; "" : that of record N */
	enum audit_fault fault;
	uint64_t seq, line;
};

static void give(struct audit_check *c, int number)
{
	char *copy;

	if (number == 99) {
		json_decref(audit_check_line(c, "what is this", 12));
	} else if (number > 0) {
		json_decref(audit_check_line(c, lines[number], strlen(lines[number])));
	} else {
		copy = strdup(lines[-number]);
		*strstr(copy, "start") = 'S';
		assert_null(audit_check_line(c, copy, strlen(copy)));
		free(copy);
	}
}

static void test_orders(void **state)
{
	static const struct order orders[] = {
		{"whole", {1, 2, 3, 4, 5, 6, 7, 8}, "", AUDIT_WHOLE, 0, 0},
		{"none", {0}, NULL, AUDIT_WHOLE, 0, 0},
		{"from the middle on", {4, 5, 6, 7, 8}, "", AUDIT_WHOLE, 0, 0},
		{"altered", {1, 2, -3, 4, 5, 6, 7, 8}, "", AUDIT_ALTERED, 3, 3},
		{"the first altered", {-1, 2, 3}, NULL, AUDIT_ALTERED, 1, 1},
		{"the last altered", {1, 2, -3}, NULL, AUDIT_ALTERED, 3, 3},
		{"one missing", {1, 2, 4, 5, 6, 7, 8}, "", AUDIT_MISSING, 3, 3},
		{"three missing", {1, 2, 6, 7, 8}, "", AUDIT_MISSING, 3, 3},
		{"two swapped", {1, 2, 4, 3, 5, 6, 7, 8}, "", AUDIT_REORDERED, 3, 3},
		{"moved to the end", {1, 2, 4, 5, 6, 7, 8, 3}, "", AUDIT_REORDERED, 3, 3},
		{"moved to the beginning", {7, 1, 2, 3, 4, 5, 6, 8}, "", AUDIT_REORDERED, 1, 2},
		{"twice", {1, 2, 3, 3, 4, 5, 6, 7, 8}, "", AUDIT_REORDERED, 3, 4},
		{"cut", {1, 2, 3, 4, 5, 6}, "", AUDIT_CUT, 7, 7},
		{"cut, and nobody knows", {1, 2, 3, 4, 5, 6}, NULL, AUDIT_WHOLE, 0, 0},
		{"all cut", {0}, "", AUDIT_CUT, 1, 1},
		{"inserted, claiming a number", {1, 2, -3, 3, 4, 5, 6, 7, 8}, "", AUDIT_FOREIGN, 3, 3},
		{"inserted, another number", {1, 2, 3, -2, 4, 5, 6, 7, 8}, "", AUDIT_FOREIGN, 2, 4},
		{"inserted, nothing of ours", {1, 2, 99, 3, 4, 5, 6, 7, 8}, "", AUDIT_FOREIGN, 3, 3},
		{"the first of two faults", {1, 3, -4, 5}, NULL, AUDIT_MISSING, 2, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		const struct order *o = &orders[i];
		struct audit_check c;
		json_t *json;

		audit_check_begin(&c, &key);
		for (size_t n = 0; o->numbers[n]; n++)
			give(&c, o->numbers[n]);
		if (audit_check_end(&c, o->head ? links[N].hash : NULL) != o->fault)
			fail_msg("%s: is %s (%s), not %s", o->what, audit_fault_name(c.fault), c.message,
				audit_fault_name(o->fault));
		if (o->fault != AUDIT_WHOLE && (c.seq != o->seq || c.line != o->line || !c.message[0]))
			fail_msg("%s: record %d, line %d", o->what, (int)c.seq, (int)c.line);
		assert_non_null(json = audit_check_to_json(&c));
		assert_int_equal(json_is_true(json_object_get(json, "ok")), o->fault == AUDIT_WHOLE);
		json_decref(json);
	}
}

/* Two histories under one key: each genuine, but not after one another. */
static void test_fork(void **state)
{
	json_t *r = json_pack("{s:s, s:s}", "at", "2026-01-05T10:00:00.000000000Z", "action", "gateway.start");
	struct audit_link l;
	struct audit_check c;
	char *line;

	(void)state;
	line = audit_line_make(r, 3, AUDIT_FIRST, &key, &l, NULL);
	audit_check_begin(&c, &key);
	give(&c, 1);
	give(&c, 2);
	json_decref(audit_check_line(&c, line, strlen(line)));
	assert_int_equal(audit_check_end(&c, NULL), AUDIT_FOREIGN);
	free(line);
	json_decref(r);
}

static void check_bytes(const char *text, size_t n, struct audit_check *c)
{
	struct temp_file t;
	struct err err = {0};
	int fd;

	temp_file_init(&t);
	temp_file_write(&t, text, n);
	assert_true((fd = open(t.path, O_RDONLY | O_CLOEXEC)) >= 0);
	audit_check_begin(c, &key);
	assert_int_equal(audit_check_file(c, fd, n, "trail", &err), 0);
	close(fd);
	temp_file_done(&t);
}

static void test_file(void **state)
{
	struct audit_check c;
	char *text = calloc(1, AUDIT_LINE_MAX * 2), *at = text;

	(void)state;
	for (unsigned i = 1; i <= N; i++)
		at += snprintf(at, AUDIT_LINE_MAX, "%s\n", lines[i]);
	check_bytes(text, strlen(text), &c);
	assert_int_equal(audit_check_end(&c, links[N].hash), AUDIT_WHOLE);
	assert_int_equal(c.records, N);
	/* torn */
	check_bytes(text, strlen(text) - 1, &c);
	assert_int_equal(audit_check_end(&c, NULL), AUDIT_FOREIGN);
	assert_non_null(strstr(c.message, "no end"));
	assert_string_equal(c.place, "trail");
	/* a line without end is read in bounded memory */
	memset(text, 'x', AUDIT_LINE_MAX * 2 - 1);
	check_bytes(text, AUDIT_LINE_MAX * 2 - 1, &c);
	assert_int_equal(audit_check_end(&c, NULL), AUDIT_FOREIGN);
	free(text);
}

/* ---- keys, actions, CEF ---- */

static void test_keys(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		enum err_code code;
	} rows[] = {
		{AUDIT_FIRST "\n", 0600, ERR_NONE},
		{AUDIT_FIRST, 0640, ERR_NONE},
		{AUDIT_FIRST, 0644, ERR_PERM},
		{AUDIT_FIRST "0", 0600, ERR_INPUT},
		{"00", 0600, ERR_INPUT},
		{"", 0600, ERR_INPUT},
	};
	struct temp_file t;
	struct audit_key k, again;

	(void)state;
	temp_file_init(&t);
	assert_int_equal(audit_key_load(t.path, false, &k, NULL), -1);
	assert_int_equal(audit_key_load(t.path, true, &k, NULL), 0);
	assert_int_equal(audit_key_load(t.path, true, &again, NULL), 0);
	assert_memory_equal(&k, &again, sizeof(k));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = {0};

		temp_file_write(&t, rows[i].text, strlen(rows[i].text));
		chmod(t.path, rows[i].mode);
		assert_int_equal(audit_key_load(t.path, true, &k, &err), rows[i].code == ERR_NONE ? 0 : -1);
		assert_int_equal(err.code, rows[i].code);
	}
	temp_file_done(&t);
}

static void test_actions(void **state)
{
	(void)state;
	assert_false(audit_action_can_wait("capture.start"));
	assert_false(audit_action_can_wait("admin.purge"));
	assert_false(audit_action_can_wait("link.create"));
	assert_false(audit_action_can_wait("switch.set"));
	assert_false(audit_action_can_wait("capture.delete"));
	assert_true(audit_action_can_wait("capture.erased"));
	assert_true(audit_action_can_wait("admin.purged"));
	assert_true(audit_action_can_wait("switch.expire"));
	assert_false(audit_action_can_wait("what nobody knows"));
	assert_true(audit_action_can_wait("capture.stop"));
	assert_true(audit_action_can_wait("capture.end"));
	assert_true(audit_action_can_wait("admin.kill"));
	assert_true(audit_action_can_wait("admin.halt"));
	assert_true(audit_action_is_known("capture.start") && !audit_action_is_known("capture"));
}

static void test_cef(void **state)
{
	json_t *r = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:{s:s}}", "action", "a|b\\c", "outcome",
		"refused", "at", "2026-01-05T10:00:00.123456789Z", "user_id", "al=ice|", "why", "one\ntwo\r\\ = \x1b[m",
		"seq", 7, "bytes", 9, "peer", "::1", "data", "filter", "a=b");
	char *line = audit_cef(r, NULL);

	(void)state;
	assert_string_equal(line, "CEF:0|Pcapline|pcap-gateway|0.1.0|a\\|b\\\\c|a\\|b\\\\c refused|5|rt=1767607200123 "
				  "outcome=refused suid=al\\=ice| "
				  "src=::1 msg=one\\ntwo\\r\\\\ \\= ?[m out=9 cn1Label=seq cn1=7 cs5Label=data "
				  "cs5={\"filter\":\"a\\=b\"}");
	free(line);
	json_object_set_new(r, "outcome", json_string("begun"));
	line = audit_cef(r, NULL);
	assert_non_null(strstr(line, " begun|3|"));
	free(line);
	json_decref(r);
}

static void test_time(void **state)
{
	char text[AUDIT_TIME_MAX];

	(void)state;
	assert_string_equal(
		audit_time(UINT64_C(1767607200) * CLOCK_NS_PER_S + 7, text), "2026-01-05T10:00:00.000000007Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_known_seal),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_no_records),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_cef),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
