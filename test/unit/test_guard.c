/* test_guard.c - collector/guard.c with made-up files: who is let in, what a capture hears, and a capture that hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/capture_table.h"
#include "collector/guard.h"
#include "common/clock.h"
#include "common/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING    (UINT64_C(16) << 20)
#define WAIT_MS 20000

struct rig {
	char meminfo[64];
	struct guard_paths paths;
	struct config_agent config;
	struct guard *guard;
};

static struct rig rig;

/* In place and always as long: a reader finds the old or the new figure. */
static void set_available(unsigned mib)
{
	FILE *f = fopen(rig.meminfo, "r+");

	if (!f)
		f = fopen(rig.meminfo, "w");
	assert_non_null(f);
	fprintf(f, "MemTotal: %12u kB\nMemAvailable: %12u kB\n", 1024u << 10, mib << 10);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	static const char none[] = "/nonexistent/file";

	(void)state;
	memset(&rig, 0, sizeof(rig));
	snprintf(rig.meminfo, sizeof(rig.meminfo), "/tmp/test_guard_meminfo_%d", (int)getpid());
	rig.paths = (struct guard_paths){none, none, none, rig.meminfo, none, none};
	rig.config = (struct config_agent){
		.guard_enabled = true, .guard_interval_ms = 10, .guard_memory_free_percent = 10, .ring_bytes = RING};
	set_available(500);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guard_stop(rig.guard);
	unlink(rig.meminfo);
	return 0;
}

static void start(void)
{
	struct err err = {0};

	rig.guard = guard_start(&rig.config, &rig.paths, &err);
	if (!rig.guard)
		fail_msg("%s", err.msg);
}

static void until_level(enum guard_level level)
{
	struct guard_snapshot s = {0};

	for (unsigned ms = 0; ms < WAIT_MS; ms++) {
		guard_snapshot(rig.guard, &s);
		if (s.level == level)
			return;
		(void)poll(NULL, 0, 1);
	}
	fail_msg("the level stays %s", guard_level_name(s.level));
}

static void assert_refused(enum err_code code, const char *detail, const char *says)
{
	struct err err = {0};

	assert_int_equal(guard_admit(rig.guard, &err), -1);
	assert_int_equal(err.code, code);
	assert_string_equal(err.detail, detail);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void test_limits_memory_is_exact(void **state)
{
	struct guard_snapshot s;

	(void)state;
	rig.config.memory_max = 3 * RING;
	rig.config.guard_enabled = false;
	start();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guard_admit(rig.guard, NULL), 0);
	assert_refused(
		ERR_BUSY, "agent_memory", "takes 48 MiB, and one more ring of 16 MiB would pass limits.memory, 48 MiB");
	guard_snapshot(rig.guard, &s);
	assert_int_equal(s.own_bytes, 3 * RING);
	assert_int_equal(s.refused, 1);
	guard_release(rig.guard);
	assert_int_equal(guard_admit(rig.guard, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		guard_release(rig.guard);
}

#define STARTERS 64

static void *start_one(void *arg)
{
	(void)arg;
	return guard_admit(rig.guard, NULL) == 0 ? rig.guard : NULL;
}

static void test_no_overshoot_by_one(void **state)
{
	pthread_t threads[STARTERS];
	unsigned in = 0;

	(void)state;
	rig.config.memory_max = 8 * RING;
	rig.config.guard_enabled = false;
	start();
	for (unsigned i = 0; i < STARTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, start_one, NULL), 0);
	for (unsigned i = 0; i < STARTERS; i++) {
		void *got;

		assert_int_equal(pthread_join(threads[i], &got), 0);
		in += got != NULL;
	}
	assert_int_equal(in, 8);
	while (in-- > 0)
		guard_release(rig.guard);
}

/* 10 percent of 1 GiB must stay free: 102 MiB. */
static void test_a_ring_must_leave_memory(void **state)
{
	(void)state;
	rig.config.guard_interval_ms = 4000; /* what it has seen stays */
	set_available(140);
	start();
	assert_int_equal(guard_admit(rig.guard, NULL), 0);
	assert_int_equal(guard_admit(rig.guard, NULL), 0);
	assert_refused(ERR_UNAVAILABLE, "host_busy", "140 MiB are free, and a ring of 16 MiB would leave less than 10");
	guard_release(rig.guard);
	assert_int_equal(guard_admit(rig.guard, NULL), 0);
	guard_release(rig.guard);
	guard_release(rig.guard);
}

static void test_a_capture_hears_of_pressure(void **state)
{
	struct pace_moment last = {.now_ns = clock_mono_ns()}, at = last;
	struct guard_snapshot s;
	const char *why = NULL;
	bool host = false;
	json_t *j;

	(void)state;
	start();
	assert_int_equal(guard_rest(rig.guard, &last, &at, &why, &host), 0);
	assert_null(why);
	set_available(10);
	until_level(GUARD_SHEDDING);
	at.now_ns = clock_mono_ns();
	/* The pace is narrowed right after the level is shown. */
	for (unsigned ms = 0; ms < WAIT_MS && guard_rest(rig.guard, &last, &at, &why, &host) <= at.now_ns; ms++) {
		(void)poll(NULL, 0, 1);
		at.now_ns = clock_mono_ns();
	}
	assert_non_null(why);
	assert_string_equal(why, "host short of memory");
	assert_true(host);
	assert_refused(ERR_UNAVAILABLE, "host_busy", "host short of memory: no new capture");
	guard_count_shed(rig.guard, 5);
	guard_snapshot(rig.guard, &s);
	assert_int_equal(s.shed, 5);
	assert_int_equal(s.changes, 1);
	assert_int_equal(s.figures.memory_available, UINT64_C(10) << 20);
	j = guard_json(rig.guard);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "level")), "shedding");
	json_decref(j);
	set_available(500);
	until_level(GUARD_CALM);
	assert_int_equal(guard_admit(rig.guard, NULL), 0);
	guard_release(rig.guard);
}

/* ---- the watchdog ---- */

static char hung[ID_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void on_hung(void *ctx, const char *id)
{
	(void)ctx;
	pthread_mutex_lock(&lock);
	memcpy(hung, id, sizeof(hung));
	pthread_mutex_unlock(&lock);
}

static bool is_hung(const char *id)
{
	bool yes;

	pthread_mutex_lock(&lock);
	yes = strcmp(hung, id) == 0;
	pthread_mutex_unlock(&lock);
	return yes;
}

/* A capture whose device is being opened, for ever: made, in the table, and nobody turns it. */
static void test_what_hangs_is_cut_and_then_told(void **state)
{
	struct capture_table *t = capture_table_new(2, NULL);
	struct agent_request r = {0};
	const struct capture_settings settings = {
		.request = &r, .ring_bytes = 1 << 20, .block_timeout_ms = 10, .stats_interval_ms = 1000};
	struct capture_slot slot = {0};
	struct guard_snapshot s;
	struct pollfd peer = {.events = POLLRDHUP};
	int pair[2];

	(void)state;
	assert_non_null(t);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	capture_options_init(&r.options);
	id_new(slot.id);
	slot.fd = pair[0];
	peer.fd = pair[1];
	slot.capture = capture_new(&settings, NULL);
	assert_non_null(slot.capture);
	rig.config.guard_watchdog_ms = 300;
	start();
	assert_int_equal(capture_table_add(t, &slot, NULL), 0);
	guard_watch(rig.guard, t, on_hung, NULL);
	assert_int_equal(poll(&peer, 1, WAIT_MS), 1);
	guard_snapshot(rig.guard, &s);
	assert_int_equal(s.cut, 1);
	for (unsigned ms = 0; ms < WAIT_MS && !is_hung(slot.id); ms++)
		(void)poll(NULL, 0, 1);
	assert_true(is_hung(slot.id));
	guard_stop(rig.guard);
	rig.guard = NULL;
	capture_table_remove(t, &slot);
	capture_free(slot.capture);
	capture_table_free(t);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_limits_memory_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_overshoot_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_ring_must_leave_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_capture_hears_of_pressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_hangs_is_cut_and_then_told, setup, teardown),
	};

	log_init("test_guard", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
