/* test_start_request.c - the body of POST /v1/captures: what stands for what, and what is refused with which field named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/api/start_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "\"target\":{\"type\":\"host\"}"

static struct start_request r;
static struct err err;

static int read_text(const char *text)
{
	memset(&err, 0, sizeof(err));
	memset(&r, 0xff, sizeof(r));
	return start_request_read(text, strlen(text), &r, &err);
}

static void taken(const char *text)
{
	if (read_text(text) < 0)
		fail_msg("%s: %s", text, err.msg);
}

static void the_least_is_a_target(void **state)
{
	(void)state;
	taken("{" HOST "}");
	assert_ptr_equal(r.targets, json_object_get(r.body, "target"));
	assert_int_equal(r.mode, START_LIVE);
	assert_int_equal(r.format, JOB_PCAPNG);
	assert_string_equal(r.note, "");
	assert_true(r.snaplen_open);
	assert_string_equal(r.options.device, "eth0");
	assert_int_equal(r.options.snaplen, CAPTURE_SNAPLEN_DEFAULT);
	start_request_done(&r);
	assert_null(r.body);
	start_request_done(&r);
}

static void everything_is_read(void **state)
{
	(void)state;
	taken("{\"target\":{\"type\":\"cf\",\"app\":\"x\"},\"options\":{\"device\":\"lo\",\"filter\":\"tcp port "
	      "80\",\"snaplen\":96,"
	      "\"payload\":\"full\",\"max_duration_s\":60,\"max_bytes\":1000,\"max_packets\":7},\"mode\":\"auto\","
	      "\"format\":\"pcap\",\"retention_s\":604800,\"note\":\"why \xC3\xBC\"}");
	assert_true(json_is_object(r.targets)); /* who resolves it says whether there is such a type */
	assert_int_equal(r.mode, START_AUTO);
	assert_int_equal(r.format, JOB_PCAP);
	assert_string_equal(r.note, "why \xC3\xBC");
	assert_int_equal(r.retention_s, 604800);
	assert_false(r.snaplen_open);
	assert_string_equal(r.options.device, "lo");
	assert_string_equal(r.options.filter, "tcp port 80");
	assert_int_equal(r.options.snaplen, 96);
	assert_int_equal(r.options.max_duration_s, 60);
	assert_int_equal(r.options.max_bytes, 1000);
	assert_int_equal(r.options.max_packets, 7);
	start_request_done(&r);

	taken("{" HOST ",\"mode\":\"store\",\"options\":null,\"note\":null}");
	assert_int_equal(r.mode, START_STORE);
	assert_string_equal(r.note, "");
	start_request_done(&r);
}

static void several_targets_are_a_list(void **state)
{
	(void)state;
	taken("{\"targets\":[{\"type\":\"cf\",\"app\":\"x\"},{\"type\":\"bosh\"}]}");
	assert_ptr_equal(r.targets, json_object_get(r.body, "targets"));
	assert_int_equal(json_array_size(r.targets), 2);
	start_request_done(&r);
}

static void a_note_has_its_length(void **state)
{
	char text[START_NOTE_MAX + 100], note[START_NOTE_MAX + 2];

	(void)state;
	memset(note, 'n', sizeof(note));
	note[START_NOTE_MAX] = '\0';
	snprintf(text, sizeof(text), "{" HOST ",\"note\":\"%s\"}", note);
	taken(text);
	assert_string_equal(r.note, note);
	start_request_done(&r);
	note[START_NOTE_MAX] = 'n';
	note[START_NOTE_MAX + 1] = '\0';
	snprintf(text, sizeof(text), "{" HOST ",\"note\":\"%s\"}", note);
	assert_int_equal(read_text(text), -1);
	assert_string_equal(err.field, "note");
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *field, *says;
	} rows[] = {
		{"", "", ""},
		{"[]", "", ""},
		{"{", "", "line 1"},
		{"{} {}", "", ""},
		{"null", "", ""},
		{"{}", "target", "target"},
		{"{\"target\":null}", "target", ""},
		{"{\"target\":\"host\"}", "target", ""},
		{"{" HOST ",\"targets\":1}", "targets", "targets"},
		{"{" HOST ",\"targets\":[{}]}", "targets", "one of the two"},
		{"{\"targets\":[]}", "targets", "is empty"},
		{"{\"targets\":[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1]}", "targets", "20"},
		{"{" HOST "," HOST "}", "", "target"},
		{"{" HOST ",\"mode\":\"both\"}", "mode", "live"},
		{"{" HOST ",\"mode\":1}", "mode", ""},
		{"{" HOST ",\"format\":\"pcap-ng\"}", "format", "pcapng"},
		{"{" HOST ",\"note\":5}", "note", ""},
		{"{" HOST ",\"retention_s\":60}", "retention_s", "mode store or auto"},
		{"{" HOST ",\"mode\":\"store\",\"retention_s\":0}", "retention_s", ""},
		{"{" HOST ",\"retention_s\":31536001}", "retention_s", ""},
		{"{" HOST ",\"retention_s\":\"7d\"}", "retention_s", ""},
		{"{" HOST ",\"note\":\"a\\u0000b\"}", "", ""},
		{"{" HOST ",\"note\":\"a\\u001b[2J\"}", "note", ""},
		{"{" HOST ",\"note\":\"\xff\"}", "", ""},
		{"{" HOST ",\"options\":[]}", "options", ""},
		{"{" HOST ",\"options\":{\"snaplen\":15}}", "options.snaplen", ""},
		{"{" HOST ",\"options\":{\"device\":\"../../x\"}}", "options.device", ""},
		{"{" HOST ",\"options\":{\"snap\":1}}", "options.snap", "snap"},
		{"{" HOST ",\"options\":{\"payload\":\"none\"}}", "options.payload", "headers"},
		{"{" HOST ",\"options\":{\"max_bytes\":-1}}", "options.max_bytes", ""},
		{"{" HOST ",\"options\":{\"max_packets\":1.5}}", "options.max_packets", ""},
		{"{" HOST ",\"options\":{\"max_duration_s\":99999999999999999999}}", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (read_text(rows[i].text) == 0)
			fail_msg("taken: %s", rows[i].text);
		assert_int_equal(err.code, ERR_INPUT);
		if (strcmp(err.field, rows[i].field) != 0 || !strstr(err.msg, rows[i].says) || !err.msg[0])
			fail_msg("%s: field \"%s\", \"%s\"", rows[i].text, err.field, err.msg);
		assert_null(r.body); /* nothing is left to be freed */
	}
}

static void a_type_with_a_nul_is_none(void **state)
{
	static const char text[] = "{\"target\":{\"type\":\"host\\u0000x\"}}";

	(void)state;
	assert_int_equal(read_text(text), -1);
	assert_int_equal(err.code, ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_is_a_target),
		cmocka_unit_test(everything_is_read),
		cmocka_unit_test(several_targets_are_a_list),
		cmocka_unit_test(a_note_has_its_length),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(a_type_with_a_nul_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
