/* test_capture_notes.c - what the file says about itself, also when there is more to say than fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/capture/capture_notes.h"
#include "test/unit/segment_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct job *job;
static char text[NOTE_MAX], other[NOTE_MAX];

static int setup(void **state)
{
	struct err err = {0};

	(void)state;
	job = job_new(3);
	assert_non_null(job);
	snprintf(job->id, sizeof(job->id), "0123456789");
	job->created_at = UINT64_C(1767607200000000000);
	capture_options_init(&job->options);
	assert_int_equal(job_set(&job->owner_user_id, "u-1", &err), 0);
	assert_int_equal(job_set(&job->target, "{\"type\":\"host\"}", &err), 0);
	for (size_t i = 0; i < 3; i++) {
		snprintf(job->instances[i].name, sizeof(job->instances[i].name), "web/%zu", i);
		snprintf(job->instances[i].agent, sizeof(job->instances[i].agent), "10.0.0.%zu:9494", i);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	job_free(job);
	return 0;
}

static void set(char **field, const char *value)
{
	assert_int_equal(job_set(field, value, NULL), 0);
}

static void the_section_says_who_and_what(void **state)
{
	(void)state;
	note_section(job, text);
	assert_string_equal(text,
		"capture 0123456789 by u-1, started 2026-01-05T10:00:00.000Z; snaplen 65535; traffic of the capture "
		"itself is left out; target {\"type\":\"host\"}");

	set(&job->owner_user_name, "Alice");
	set(&job->org, "acme");
	set(&job->space, "dev");
	set(&job->note, "slow logins");
	job->options.max_duration_s = 60;
	job->options.max_bytes = 1000;
	job->options.max_packets = 7;
	note_section(job, text);
	assert_string_equal(text,
		"capture 0123456789 by Alice, org acme, space dev, started 2026-01-05T10:00:00.000Z; snaplen 65535; "
		"at most 60 s; at most 1000 bytes; at most 7 packets; traffic of the capture itself is left out; "
		"note: slow logins; target {\"type\":\"host\"}");
}

static void interfaces_are_named_by_instance_and_device(void **state)
{
	(void)state;
	note_interface(job, &job->instances[1], "eth0", text, other);
	assert_string_equal(text, "web/1 eth0");
	assert_string_equal(other, "web/1, device eth0, by agent 10.0.0.1:9494, capture 0123456789");
	job->options.headers_only = true;
	note_interface(job, &job->instances[1], "eth0", text, other);
	assert_string_equal(other, "web/1, device eth0, by agent 10.0.0.1:9494, capture 0123456789; headers only: "
				   "payload cut at the agent");
	note_section(job, text);
	assert_non_null(strstr(text, "; snaplen 65535; headers only; traffic"));
}

static void the_end_says_why_and_what_is_missing(void **state)
{
	struct job_instance *i = &job->instances[0];
	enum stop_reason reason;
	char said[STOP_NOTE_MAX];

	(void)state;
	i->stop_reason = STOP_MAX_PACKETS;
	i->packets = 100;
	note_end(job, i, false, text);
	assert_string_equal(text,
		"capture ended (max_packets); web/0: 100 packets here, missing: 0 kernel, 0 interface, 0 agent, 0 "
		"gateway");

	i->dropped = (struct job_drops){.kernel = 1, .interface = 2, .agent = 3, .gateway = 4};
	i->late_packets = 5;
	i->stop_reason = STOP_USER;
	set(&job->stop_by, "Alice");
	job->instances[2].state = INSTANCE_FAILED;
	snprintf(job->instances[2].error, sizeof(job->instances[2].error), "no such device");
	note_end(job, i, true, text);
	assert_string_equal(text, "capture ended (user_stop): by Alice; web/0: 100 packets here, missing: 1 kernel, 2 "
				  "interface, 3 agent, "
				  "4 gateway; 5 came late and stand out of order; nothing from web/2: no such device");
	note_end(job, i, false, text);
	assert_null(strstr(text, "nothing from"));

	set(&job->stop_by, "");
	i->stop_reason = STOP_DEVICE_GONE;
	snprintf(i->error, sizeof(i->error), "eth0 is down");
	note_end(job, i, false, text);
	assert_true(strncmp(text, "capture ended (device_gone): eth0 is down; web/0", 48) == 0);
	i->error[0] = '\0';
	note_end(job, i, false, text);
	assert_false(stop_note_parse(text, &reason, said)); /* it is ours, not an agent's, and says more */
}

/* Whatever is cut, what is read back is text: no character is cut in two. */
static void long_notes_are_cut_between_characters(void **state)
{
	char target[4 * PCAPNG_TEXT_MAX];

	(void)state;
	for (size_t shift = 0; shift < 5; shift++) {
		static const char euro[] = "\xE2\x82\xAC";
		struct pcapng_section section = {.comment = text};
		uint8_t block[PCAPNG_META_BYTES_MAX];
		char whole[PCAPNG_TEXT_MAX + 1] = "";
		const char *comment;
		uint16_t n;
		size_t tail;

		memset(target, 'x', shift);
		for (size_t at = shift; at + 4 < sizeof(target); at += 3)
			memcpy(target + at, euro, sizeof(euro));
		set(&job->target, target);
		note_section(job, text);
		assert_int_equal(strlen(text), NOTE_MAX - 1);
		assert_true(pcapng_write_section(block, sizeof(block), &section) > 0);
		memcpy(&n, block + 26, sizeof(n)); /* length of the comment, the first option */
		comment = (const char *)block + 28;
		assert_in_range(n, PCAPNG_TEXT_MAX - 2, PCAPNG_TEXT_MAX);
		memcpy(whole, comment, n);
		tail = strlen(whole);
		assert_int_equal(tail, n);
		assert_string_equal(whole + tail - 3, euro);
	}
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_section_says_who_and_what),
		test(interfaces_are_named_by_instance_and_device),
		test(the_end_says_why_and_what_is_missing),
		test(long_notes_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
