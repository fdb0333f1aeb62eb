/* test_job.c - schema/job.c, job_json.c: states, birth, and the JSON that the API shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void states_have_names_both_ways(void **state)
{
	(void)state;
	for (int s = JOB_STARTING; s <= JOB_PURGED; s++) {
		enum job_state back = JOB_PURGED;

		assert_true(job_state_parse(job_state_name((enum job_state)s), &back));
		assert_int_equal(back, s);
	}
}

static void unknown_states_are_refused(void **state)
{
	static const char *const bad[] = {"", "Running", "running ", "unknown", "0"};
	enum job_state back = JOB_READY;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(job_state_parse(bad[i], &back));
	assert_int_equal(back, JOB_READY);
}

static void three_states_are_no_end(void **state)
{
	(void)state;
	for (int s = JOB_STARTING; s <= JOB_PURGED; s++)
		assert_int_equal(job_state_is_end((enum job_state)s), s > JOB_FINISHING);
}

static void a_new_job_is_empty_and_frees(void **state)
{
	struct job *j = job_new(3);

	(void)state;
	assert_non_null(j);
	assert_string_equal(j->owner_user_id, "");
	assert_string_equal(j->gateway, "");
	assert_string_equal(j->options.device, "eth0");
	assert_int_equal(j->options.snaplen, CAPTURE_SNAPLEN_DEFAULT);
	assert_int_equal(j->instances_n, 3);
	assert_int_equal(j->instances[2].link_type, -1);
	assert_int_equal(job_set(&j->note, "why", NULL), 0);
	assert_string_equal(j->note, "why");
	assert_int_equal(job_set(&j->note, NULL, NULL), 0);
	assert_string_equal(j->note, "");
	job_free(j);
	job_free(NULL);
}

/* ---- JSON ---- */

static struct job *fresh(void)
{
	struct job *j = job_new(0);

	assert_non_null(j);
	snprintf(j->id, sizeof(j->id), "%s", "01jh8zxk5f8m3q0v7w2n4r6t9y");
	job_set(&j->owner_user_id, "alice", NULL);
	job_set(&j->owner_user_name, "Alice", NULL);
	job_set(&j->target, "{\"type\": \"host\", \"instances\": [\"web\"]}", NULL);
	j->created_at = UINT64_C(1767607200123000000);
	return j;
}

static struct job *ready(void)
{
	struct job *j = fresh(), *full = job_new(2);
	struct job_instance *i = full->instances;

	free(j->instances);
	j->instances = full->instances;
	j->instances_n = 2;
	full->instances = NULL;
	job_free(full);

	j->state = JOB_READY;
	j->mode = JOB_STORE;
	job_set(&j->org, "acme", NULL);
	job_set(&j->space, "dev", NULL);
	j->retention_s = 86400;
	job_set(&j->note, "why", NULL);
	j->started_at = j->created_at + UINT64_C(1000000000);
	j->ended_at = j->created_at + UINT64_C(61000000000);
	j->expires_at = j->created_at + UINT64_C(86400000000000);
	j->stop_reason = STOP_MAX_DURATION;
	j->bytes = 4096;
	j->packets = 30;
	job_set(&j->policy, "[\"org acme: headers only (x)\"]", NULL);
	j->dropped = (struct job_drops){1, 2, 3, 4};
	job_set(&j->object_key, "captures/acme/2026/01/05/x.pcapng", NULL);
	j->object_bytes = 4096;
	snprintf(j->object_sha256, sizeof(j->object_sha256), "%s", SHA);
	i[0] = (struct job_instance){.name = "web/0",
		.agent = "10.0.0.1:9494",
		.device = "eth0",
		.link_type = 1,
		.state = INSTANCE_ENDED,
		.stop_reason = STOP_MAX_DURATION,
		.packets = 30,
		.bytes = 3000,
		.late_packets = 5,
		.dropped = {6, 7, 8, 9}};
	i[1] = (struct job_instance){.name = "web/1",
		.agent = "[::1]:9494",
		.device = "eth0",
		.link_type = -1,
		.state = INSTANCE_FAILED,
		.stop_reason = STOP_AGENT_LOST,
		.error_code = "net",
		.error = "refused"};
	return j;
}

/* Consumes both; says what came out when they differ. */
static void assert_json(json_t *got, const char *expected)
{
	json_error_t e;
	json_t *want = json_loads(expected, 0, &e);
	char *text = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);

	if (!want)
		fail_msg("expected text, line %d: %s", e.line, e.text);
	assert_non_null(text);
	if (!json_equal(got, want)) {
		char *want_text = json_dumps(want, JSON_COMPACT | JSON_SORT_KEYS);

		assert_string_equal(text, want_text);
	}
	free(text);
	json_decref(want);
	json_decref(got);
}

#define DEFAULT_OPTIONS                                                                                                \
	"\"options\":{\"device\":\"eth0\",\"filter\":\"\",\"snaplen\":65535,\"payload\":\"full\","                     \
	"\"max_duration_s\":0,\"max_bytes\":0,\"max_packets\":0}"

static void a_starting_job_shows_null_for_what_is_not_yet(void **state)
{
	struct job *j = fresh();

	(void)state;
	assert_json(job_to_json(j, false),
		"{\"id\":\"01jh8zxk5f8m3q0v7w2n4r6t9y\",\"state\":\"starting\",\"mode\":\"live\",\"format\":\"pcapng\","
		"\"owner\":{\"user_id\":\"alice\",\"user_name\":\"Alice\"},\"org\":null,\"space\":null,"
		"\"target\":{\"type\":\"host\",\"instances\":[\"web\"]}," DEFAULT_OPTIONS
		",\"note\":null,\"retention_s\":null,"
		"\"created_at\":\"2026-01-05T10:00:00.123Z\",\"started_at\":null,\"ended_at\":null,\"expires_at\":null,"
		"\"stop_reason\":null,\"stop_by\":null,\"hold\":false,\"limited_by\":null,\"error\":null,\"bytes\":0,"
		"\"policy\":[],\"packets\":{\"captured\":0,\"dropped\":{\"kernel\":0,\"interface\":0,\"agent\":0,"
		"\"gateway\":0}},"
		"\"instances\":[],\"object\":null}");
	job_free(j);
}

static void a_ready_job_shows_everything(void **state)
{
	struct job *j = ready();

	(void)state;
	assert_json(job_to_json(j, false),
		"{\"id\":\"01jh8zxk5f8m3q0v7w2n4r6t9y\",\"state\":\"ready\",\"mode\":\"store\",\"format\":\"pcapng\","
		"\"owner\":{\"user_id\":\"alice\",\"user_name\":\"Alice\"},\"org\":\"acme\",\"space\":\"dev\","
		"\"target\":{\"type\":\"host\",\"instances\":[\"web\"]}," DEFAULT_OPTIONS
		",\"note\":\"why\",\"retention_s\":86400,"
		"\"created_at\":\"2026-01-05T10:00:00.123Z\",\"started_at\":\"2026-01-05T10:00:01.123Z\","
		"\"ended_at\":\"2026-01-05T10:01:01.123Z\",\"expires_at\":\"2026-01-06T10:00:00.123Z\","
		"\"stop_reason\":\"max_duration\",\"stop_by\":null,\"hold\":false,\"limited_by\":null,\"error\":null,"
		"\"bytes\":4096,"
		"\"policy\":[\"org acme: headers only "
		"(x)\"],\"packets\":{\"captured\":30,\"dropped\":{\"kernel\":1,\"interface\":2,\"agent\":3,\"gateway\":"
		"4}},"
		"\"instances\":[{\"name\":\"web/"
		"0\",\"agent\":\"10.0.0.1:9494\",\"device\":\"eth0\",\"link_type\":\"EN10MB\","
		"\"state\":\"ended\",\"stop_reason\":\"max_duration\",\"packets\":30,\"bytes\":3000,\"late_packets\":5,"
		"\"dropped\":{\"kernel\":6,\"interface\":7,\"agent\":8,\"gateway\":9},\"error\":null},"
		"{\"name\":\"web/1\",\"agent\":\"[::1]:9494\",\"device\":\"eth0\",\"link_type\":null,"
		"\"state\":\"failed\",\"stop_reason\":\"agent_lost\",\"packets\":0,\"bytes\":0,\"late_packets\":0,"
		"\"dropped\":{\"kernel\":0,\"interface\":0,\"agent\":0,\"gateway\":0},"
		"\"error\":{\"code\":\"net\",\"message\":\"refused\"}}],"
		"\"object\":{\"key\":\"captures/acme/2026/01/05/x.pcapng\",\"size_bytes\":4096,\"sha256\":\"" SHA
		"\"}}");
	job_free(j);
}

static void brief_leaves_the_instances_out(void **state)
{
	struct job *j = ready();
	json_t *v = job_to_json(j, true);

	(void)state;
	assert_null(json_object_get(v, "instances"));
	assert_non_null(json_object_get(v, "object"));
	json_decref(v);
	job_free(j);
}

static void an_object_shows_only_while_it_is_there(void **state)
{
	struct job *j = ready();

	(void)state;
	for (int s = JOB_STARTING; s <= JOB_PURGED; s++) {
		json_t *v;

		j->state = (enum job_state)s;
		v = job_to_json(j, true);
		assert_int_equal(json_is_object(json_object_get(v, "object")), s == JOB_READY);
		json_decref(v);
	}
	job_free(j);
}

static void odd_content_still_gives_a_job(void **state)
{
	struct job *j = ready();
	json_t *v;

	(void)state;
	job_set(&j->target, "not json", NULL);
	job_set(&j->error, "agent said \xff\xfe", NULL);
	j->bytes = UINT64_MAX;
	snprintf(j->instances[1].error, sizeof(j->instances[1].error), "%s", "caf\xe9");
	v = job_to_json(j, false);
	assert_non_null(v);
	assert_true(json_is_null(json_object_get(v, "target")));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(v, "error"), "message")), "agent said ??");
	assert_true(json_integer_value(json_object_get(v, "bytes")) == INT64_MAX);
	json_decref(v);
	job_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_have_names_both_ways),
		cmocka_unit_test(unknown_states_are_refused),
		cmocka_unit_test(three_states_are_no_end),
		cmocka_unit_test(a_new_job_is_empty_and_frees),
		cmocka_unit_test(a_starting_job_shows_null_for_what_is_not_yet),
		cmocka_unit_test(a_ready_job_shows_everything),
		cmocka_unit_test(brief_leaves_the_instances_out),
		cmocka_unit_test(an_object_shows_only_while_it_is_there),
		cmocka_unit_test(odd_content_still_gives_a_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
