/* What the command says at the end of a capture, and the exit code that goes with it. */
#include "cli/cli.h"
#include "cli/summary.h"
#include "common/fs.h"
#include "test/unit/temp_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What summary_say(s) writes on stderr. */
static char *said(const struct summary *s)
{
	struct err err = {0};
	struct temp_file t;
	char *text;
	int old, fd;

	temp_file_init(&t);
	fd = open(t.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	old = dup(STDERR_FILENO);
	assert_true(fd >= 0 && old >= 0);
	fflush(stderr);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	summary_say(s);
	fflush(stderr);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	close(fd);
	text = fs_read_text(t.path, 1 << 16, &err);
	temp_file_done(&t);
	assert_non_null(text);
	return text;
}

static json_t *job(const char *state, const char *reason, const char *instance_reason, const char *instance_error)
{
	json_t *j = json_pack("{s:s, s:s, s:[{s:s, s:s, s:{s:s}}]}", "state", state, "stop_reason", reason, "instances",
		"name", "web/0", "stop_reason", instance_reason, "error", "message", instance_error);

	assert_non_null(j);
	return j;
}

static void instances_that_ended_before_the_capture_are_named(void **state)
{
	static const struct {
		const char *job, *instance, *error, *warns; /* warns NULL: of nothing */
	} rows[] = {
		{"max_duration", "max_duration", "", NULL},
		{"user_stop", "max_duration", "", NULL},
		{"max_packets", "user_stop", "", NULL},
		{"max_duration", "agent_shutdown", "", "warning: web/0: The agent was told to end.\n"},
		{"max_duration", "agent_lost", "it fell silent", "warning: web/0: it fell silent\n"},
		{"gateway_shutdown", "gateway_shutdown", "", NULL}, /* the last line says it */
		{"killed", "killed", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *j = job("streamed", rows[i].job, rows[i].instance, rows[i].error);
		char *text = said(&(struct summary){.job = j});

		if (rows[i].warns ? !strstr(text, rows[i].warns) : !!strstr(text, "warning"))
			fail_msg("%s, %s: %s", rows[i].job, rows[i].instance, text);
		free(text);
		json_decref(j);
	}
}

static void feed(struct counter *c, const struct pcapng_block *b)
{
	struct err err = {0};

	if (counter_block(c, b, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Statistics are older than the packets that came after them. */
static void no_more_was_captured_than_received(void **state)
{
	static const struct {
		uint64_t received;
		const char *says;
	} rows[] = {
		{2, "3 packets captured\n3 packets received by filter\n0 packets dropped by kernel\n"},
		{3, "3 packets captured\n3 packets received by filter\n0 packets dropped by kernel\n"},
		{4, "3 packets captured\n4 packets received by filter\n0 packets dropped by kernel\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct counter *c = counter_new(NULL);
		char *text;

		assert_non_null(c);
		feed(c, &(struct pcapng_block){.kind = PCAPNG_SECTION});
		feed(c, &(struct pcapng_block){.kind = PCAPNG_INTERFACE, .interface = {.name = "web/0 eth0"}});
		for (unsigned n = 0; n < 3; n++)
			feed(c, &(struct pcapng_block){.kind = PCAPNG_PACKET, .packet = {.caplen = 60}});
		feed(c, &(struct pcapng_block){.kind = PCAPNG_STATS,
				.stats = {.have = PCAPNG_STATS_ACCEPTED, .accepted = rows[i].received}});
		text = said(&(struct summary){.counter = c});
		assert_string_equal(text, rows[i].says);
		free(text);
		counter_free(c);
	}
}

static void the_exit_code_is_the_end_s(void **state)
{
	static const struct {
		const char *state, *reason;
		int code;
	} rows[] = {
		{"streamed", "user_stop", CLI_OK},
		{"ready", "max_duration", CLI_OK},
		{"ready", "max_bytes", CLI_OK},
		{"ready", "storage_full", CLI_INCOMPLETE},
		{"ready", "spool_full", CLI_INCOMPLETE},
		{"streamed", "gateway_shutdown", CLI_INCOMPLETE},
		{"streamed", "instances_ended", CLI_INCOMPLETE},
		{"killed", "killed", CLI_INCOMPLETE},
		{"failed", "max_duration", CLI_FAILED},
		{"failed", "start_failed", CLI_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *j = job(rows[i].state, rows[i].reason, rows[i].reason, "");

		if (summary_exit(j) != rows[i].code)
			fail_msg("%s, %s: %d", rows[i].state, rows[i].reason, summary_exit(j));
		json_decref(j);
	}
	assert_int_equal(summary_exit(NULL), CLI_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instances_that_ended_before_the_capture_are_named),
		cmocka_unit_test(no_more_was_captured_than_received),
		cmocka_unit_test(the_exit_code_is_the_end_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
