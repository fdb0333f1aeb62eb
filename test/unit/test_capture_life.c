/* test_capture_life.c - a capture that is stopped, killed, looked at and cut short at moments when it is least welcome. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/gateway_rig.h"
#include "test/unit/segment_rig.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct gateway_rig rig;
static struct err err;

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	gateway_rig_init(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_rig_done(&rig);
	return 0;
}

static struct capture *start(enum job_mode mode)
{
	struct capture *c = gateway_rig_start(&rig, mode, &err);

	if (!c)
		fail_msg("%s", err.msg);
	return c;
}

/* Until all packets of the agent went out. */
static void until_captured(struct capture *c)
{
	for (unsigned ms = 0; ms < GATEWAY_RIG_WAIT_MS; ms++) {
		json_t *j = capture_to_json(c, true);
		json_int_t n = json_integer_value(json_object_get(json_object_get(j, "packets"), "captured"));

		json_decref(j);
		if (n == GATEWAY_RIG_PACKETS)
			return;
		(void)poll(NULL, 0, 1);
	}
	fail_msg("the packets never came");
}

static void assert_job(enum job_state state, enum stop_reason reason)
{
	struct job *j = gateway_rig_job(&rig);

	assert_string_equal(job_state_name(j->state), job_state_name(state));
	assert_string_equal(stop_reason_name(j->stop_reason), stop_reason_name(reason));
	job_free(j);
}

static void assert_object(bool there)
{
	struct seen seen;
	size_t n = 0;
	uint8_t *bytes = store_rig_object(&rig.store, &n);

	assert_int_equal(bytes != NULL, there);
	if (!bytes)
		return;
	seen_pcapng(&seen, bytes, n);
	assert_int_equal(seen.packets, GATEWAY_RIG_PACKETS);
	seen_done(&seen);
	free(bytes);
}

/* A driver that fails for some tenths of a second. */
static void make_slow(void)
{
	rig.store.fail_parts = 60;
	rig.store.store->retry = (struct store_retry){.tries = 1000, .first_ms = 5, .cap_ms = 5, .total_ms = 60000};
}

static void test_stopped(void **state)
{
	struct capture *c = start(JOB_STORE);

	(void)state;
	until_captured(c);
	capture_stop(c, STOP_USER, "alice");
	gateway_rig_ended(&rig, c);
	assert_job(JOB_READY, STOP_USER);
	assert_object(true);
}

static void test_killed_while_running(void **state)
{
	struct capture *c = start(JOB_STORE);
	struct driver_erased erased;

	(void)state;
	until_captured(c);
	capture_kill(c, STOP_KILLED, "op");
	assert_int_equal(capture_wait_ended(c, GATEWAY_RIG_WAIT_MS), 0);
	capture_erased(c, &erased);
	assert_int_equal(erased.objects, 0);
	assert_true(erased.bytes > GATEWAY_RIG_PACKETS * 40);
	gateway_rig_ended(&rig, c);
	assert_job(JOB_KILLED, STOP_KILLED);
	assert_object(false);
}

/* What is on hold is kept as far as it was stored; by whom and why it ended is said. */
static void test_killed_while_held(void **state)
{
	struct capture *c = start(JOB_STORE);
	struct err why = {0};
	struct job *j;

	(void)state;
	until_captured(c);
	assert_int_equal(capture_hold(c, "case 4711", &err), 0);
	err_set(&why, ERR_CANCELLED, "killed by olga: enough");
	capture_kill_for(c, STOP_KILLED, "op", &why);
	gateway_rig_ended(&rig, c);
	assert_job(JOB_READY, STOP_KILLED);
	j = gateway_rig_job(&rig);
	assert_string_equal(j->stop_by, "op");
	assert_string_equal(j->error_code, "killed");
	assert_string_equal(j->error, "killed by olga: enough");
	job_free(j);
	assert_object(true);
}

/* Of many that are cut first and killed then, none says that it does not know why. */
static void test_cut_before_killed(void **state)
{
	struct capture *c = start(JOB_STORE);
	struct job *j;

	(void)state;
	until_captured(c);
	capture_cut(c, STOP_KILLED);
	for (unsigned ms = 0; capture_has_any(c) && ms < GATEWAY_RIG_WAIT_MS; ms++)
		(void)poll(NULL, 0, 1);
	assert_false(capture_has_any(c));
	(void)poll(NULL, 0, 20);
	capture_kill(c, STOP_KILLED, "op");
	gateway_rig_ended(&rig, c);
	assert_job(JOB_KILLED, STOP_KILLED);
	j = gateway_rig_job(&rig);
	assert_string_equal(j->stop_by, "op");
	assert_string_equal(stop_reason_name(j->instances[0].stop_reason), "killed");
	job_free(j);
}

static void test_not_begun_while_halted(void **state)
{
	(void)state;
	snprintf(rig.gw.stop_switch.by, sizeof(rig.gw.stop_switch.by), "olga");
	rig.gw.stop_switch.on = true;
	assert_null(gateway_rig_start(&rig, JOB_LIVE, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.detail, "halted");
	assert_int_equal(jobs_running(rig.gw.jobs), 0);
}

static void test_matches(void **state)
{
	struct capture *c = start(JOB_LIVE);
	const struct {
		struct job_filter f;
		bool matches;
	} cases[] = {
		{{0}, true},
		{{.job = rig.store.job}, true},
		{{.job = "01jh8zxk5f8m3q0v7w2n4r6t9y"}, false},
		{{.user_id = capture_user_id(c)}, true},
		{{.user_id = "nobody"}, false},
		{{.user_id = capture_user_id(c), .org = "nowhere"}, false},
		{{.group = "nowhere"}, false},
		{{.agent = "127.0.0.1"}, true},
		{{.agent = "127.0.0.2"}, false},
		{{.before_ns = 1}, false},
		{{.before_ns = UINT64_MAX}, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (capture_matches(c, &cases[i].f) != cases[i].matches)
			fail_msg("case %zu", i);
	}
	capture_kill(c, STOP_KILLED, "op");
	gateway_rig_ended(&rig, c);
}

/* Who kills has been told that it is done. */
static void test_killed_while_finishing(void **state)
{
	struct capture *c;

	(void)state;
	make_slow();
	c = start(JOB_STORE);
	until_captured(c);
	capture_stop(c, STOP_USER, "alice");
	gateway_rig_until(c, JOB_FINISHING);
	capture_kill(c, STOP_KILLED, "op");
	gateway_rig_ended(&rig, c);
	assert_job(JOB_KILLED, STOP_KILLED);
	assert_object(false);
}

static void test_an_outage_is_told(void **state)
{
	const char *since = NULL, *error = NULL;
	struct capture *c;
	json_t *j = NULL;
	json_int_t parts = 0, bytes = 0;

	(void)state;
	make_slow();
	rig.store.fail_parts = 1000000;
	c = start(JOB_STORE);
	until_captured(c);
	capture_stop(c, STOP_USER, "alice");
	for (unsigned ms = 0; !since && ms < GATEWAY_RIG_WAIT_MS; ms++) {
		json_decref(j);
		(void)poll(NULL, 0, 1);
		j = capture_to_json(c, true);
		(void)json_unpack(j, "{s:{s:I, s:I, s:s, s:s}}", "storage", "parts_waiting", &parts, "bytes_waiting",
			&bytes, "unreachable_since", &since, "error", &error);
	}
	assert_non_null(since);
	assert_true(parts > 0);
	assert_true(bytes > 0);
	assert_non_null(strstr(error, "the fake fails as told"));
	json_decref(j);
	pthread_mutex_lock(&rig.store.lock);
	rig.store.fail_parts = 0;
	pthread_mutex_unlock(&rig.store.lock);
	gateway_rig_ended(&rig, c);
	assert_job(JOB_READY, STOP_USER);
	assert_object(true);
}

/* Never ready with a hole, and nothing of it stays. */
static void test_a_store_that_loses_parts(void **state)
{
	struct capture *c;
	struct job *j;

	(void)state;
	rig.store.parallel = 1;
	rig.store.chunk_bytes = 1000;
	rig.store.forget_at_part = 2;
	gateway_rig_reopen(&rig);
	c = start(JOB_STORE);
	until_captured(c);
	capture_stop(c, STOP_USER, "alice");
	gateway_rig_ended(&rig, c);
	assert_job(JOB_FAILED, STOP_USER);
	j = gateway_rig_job(&rig);
	assert_string_equal(j->error_code, "storage_lost");
	assert_string_equal(j->object_key, "");
	assert_true(j->ended_at > 0);
	job_free(j);
	assert_object(false);
}

static void test_killed_while_a_viewer_fetches(void **state)
{
	struct capture *c = start(JOB_LIVE);
	struct live_viewer *v;
	uint64_t at;
	size_t prelude;

	(void)state;
	v = capture_attach(c, 0, -1, &at, &prelude, &err);
	assert_non_null(v);
	until_captured(c);
	capture_stop(c, STOP_USER, "alice");
	gateway_rig_until(c, JOB_FINISHING);
	capture_kill(c, STOP_KILLED, "op");
	gateway_rig_ended(&rig, c);
	live_detach(v);
	assert_job(JOB_KILLED, STOP_KILLED);
}

/* The gateway's end is no reason to throw away what it has. */
static void test_cut_short_by_shutdown(void **state)
{
	struct capture *c;

	(void)state;
	rig.way = AGENT_DEAF;
	c = start(JOB_STORE);
	until_captured(c);
	capture_stop(c, STOP_GATEWAY_SHUTDOWN, NULL);
	capture_kill(c, STOP_GATEWAY_SHUTDOWN, NULL);
	gateway_rig_ended(&rig, c);
	assert_job(JOB_READY, STOP_GATEWAY_SHUTDOWN);
	assert_object(true);
}

static void test_started_while_draining(void **state)
{
	struct capture *c;

	(void)state;
	atomic_store(&rig.gw.draining, true);
	c = start(JOB_STORE);
	gateway_rig_ended(&rig, c);
	jobs_close(rig.gw.jobs);
	assert_int_equal(jobs_reserve(rig.gw.jobs, "alice", &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.detail, "draining");
}

/* An agent that is busy with nothing holds no place for ever. */
static void test_never_an_interface(void **state)
{
	struct capture *c;

	(void)state;
	rig.way = AGENT_DRIPS;
	rig.gw.config.agents_connect_ms = rig.gw.config.agents_start_ms = rig.gw.config.agents_idle_ms = 200;
	rig.gw.config.agents_stop_ms = 100;
	c = start(JOB_LIVE);
	gateway_rig_ended(&rig, c);
	assert_job(JOB_FAILED, STOP_START_FAILED);
}

/* ---- others look while it is made ---- */

static void *look(void *arg)
{
	atomic_bool *done = arg;

	while (!atomic_load(done)) {
		struct capture *c = jobs_find(rig.gw.jobs, rig.store.job);
		struct live_viewer *v;
		uint64_t at;
		size_t prelude;

		if (!c)
			continue;
		json_decref(capture_to_json(c, false));
		if ((v = capture_attach(c, -1, -1, &at, &prelude, NULL)))
			live_detach(v);
		capture_unref(c);
	}
	return NULL;
}

static void test_looked_at_while_made(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		atomic_bool done = false;
		struct capture *c;
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, look, &done), 0);
		c = start(i % 2 ? JOB_LIVE : JOB_STORE);
		capture_kill(c, STOP_DELETED, "alice");
		gateway_rig_ended(&rig, c);
		atomic_store(&done, true);
		assert_int_equal(pthread_join(thread, NULL), 0);
		gateway_rig_done(&rig);
		gateway_rig_init(&rig);
	}
}

/* A viewer that came when all was over would wait for ever. */
static void *view(void *arg)
{
	struct capture *c = arg;
	struct live_viewer *v = NULL;
	uint8_t bytes[4096];
	uint64_t at;
	size_t prelude;

	while (capture_wait_ended(c, 0) < 0) {
		if (!(v = capture_attach(c, -1, -1, &at, &prelude, NULL)))
			continue;
		while (live_read(v, bytes, sizeof(bytes)) > 0)
			;
		live_detach(v);
	}
	capture_unref(c);
	return NULL;
}

static void test_viewers_of_the_last_moment(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct capture *c = start(JOB_STORE);
		pthread_t thread;

		until_captured(c);
		assert_int_equal(pthread_create(&thread, NULL, view, capture_ref(c)), 0);
		capture_kill(c, STOP_KILLED, "op");
		gateway_rig_ended(&rig, c);
		assert_int_equal(pthread_join(thread, NULL), 0);
		gateway_rig_done(&rig);
		gateway_rig_init(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_while_running, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_while_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_before_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_begun_while_halted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_matches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_while_finishing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_outage_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_store_that_loses_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_while_a_viewer_fetches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_short_by_shutdown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_started_while_draining, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_an_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(test_looked_at_while_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_viewers_of_the_last_moment, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
