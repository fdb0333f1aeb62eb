/* test_capture_table.c - collector/capture_table.c: unique ids, the limit, and the end of all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/capture_table.h"
#include "common/clock.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX 3

static struct capture_slot make_slot(void)
{
	struct agent_request r = {0};
	const struct capture_settings s = {.request = &r,
		.duration_max_ms = 1000,
		.ring_bytes = 1 << 20,
		.block_timeout_ms = 10,
		.stats_interval_ms = 1000};
	struct capture_slot slot = {.fd = -1};

	capture_options_init(&r.options);
	id_new(slot.id);
	slot.capture = capture_new(&s, NULL);
	assert_non_null(slot.capture);
	return slot;
}

static void assert_refused(struct capture_table *t, struct capture_slot *s, enum err_code code, const char *detail)
{
	struct err err = {0};

	assert_int_equal(capture_table_add(t, s, &err), -1);
	assert_int_equal(err.code, code);
	assert_string_equal(err.detail, detail);
}

static void test_ids_and_limit(void **state)
{
	struct capture_table *t = capture_table_new(MAX, NULL);
	struct capture_slot slots[MAX + 1], twin;

	(void)state;
	assert_non_null(t);
	for (size_t i = 0; i < MAX + 1; i++)
		slots[i] = make_slot();
	for (size_t i = 0; i < MAX; i++) {
		assert_int_equal(capture_table_count(t), i);
		assert_int_equal(capture_table_add(t, &slots[i], NULL), 0);
	}
	assert_refused(t, &slots[MAX], ERR_BUSY, "too_many_captures");
	twin = slots[0];
	assert_refused(t, &twin, ERR_STATE, "duplicate_capture"); /* also when full */

	capture_table_remove(t, &slots[1]);
	assert_int_equal(capture_table_count(t), MAX - 1);
	assert_refused(t, &twin, ERR_STATE, "duplicate_capture"); /* also with room */
	assert_int_equal(capture_table_add(t, &slots[MAX], NULL), 0);
	capture_table_remove(t, &slots[1]); /* not there: nothing happens */
	assert_int_equal(capture_table_count(t), MAX);

	assert_true(capture_table_stop(t, slots[0].id, STOP_USER));
	assert_false(capture_table_stop(t, slots[1].id, STOP_USER));
	assert_false(capture_table_stop(t, "", STOP_USER));
	for (size_t i = 0; i < MAX + 1; i++) {
		capture_table_remove(t, &slots[i]);
		capture_free(slots[i].capture);
	}
	capture_table_free(t);
	capture_table_free(NULL);
}

/* ---- the watchdog ---- */

#define SPAN_NS (30 * CLOCK_NS_PER_S)

static void on_cut(void *ctx, const char *id)
{
	unsigned *n = ctx;

	assert_int_equal(strlen(id), ID_LEN);
	(*n)++;
}

/* One that nobody turns, one that is read, and one whose bytes are on their way out. */
static void test_watch(void **state)
{
	static const struct {
		uint64_t at_s;
		unsigned cut; /* in all, after this look */
		bool hung;
	} looks[] = {
		{100, 0, false},
		{115, 0, false},
		{129, 0, false},
		{130, 1, false},
		{145, 1, false},
		{159, 1, false},
		{160, 1, true},
		{175, 1, false},
		{191, 1, false}, /* nobody looked for too long: all begins anew */
		{206, 1, false},
		{220, 1, false},
		{221, 1, true},
	};
	struct capture_table *t = capture_table_new(2, NULL);
	struct capture_slot stuck = make_slot(), turning = make_slot();
	unsigned cut = 0;
	uint8_t byte;

	(void)state;
	assert_int_equal(capture_table_add(t, &stuck, NULL), 0);
	assert_int_equal(capture_table_add(t, &turning, NULL), 0);
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		char id[ID_MAX] = "";
		bool hung;

		if (i % 2) /* and then it is away, for as long as it likes */
			assert_int_equal(capture_read(turning.capture, &byte, 1), CAPTURE_END);
		hung = capture_table_watch(t, looks[i].at_s * CLOCK_NS_PER_S, SPAN_NS, on_cut, &cut, id);
		assert_int_equal(cut, looks[i].cut);
		assert_int_equal(hung, looks[i].hung);
		assert_string_equal(id, looks[i].hung ? stuck.id : "");
	}
	/* A turn, and it was no hanging. */
	assert_int_equal(capture_read(stuck.capture, &byte, 1), CAPTURE_END);
	assert_false(capture_table_watch(t, 230 * CLOCK_NS_PER_S, SPAN_NS, on_cut, &cut, NULL));
	assert_false(stuck.cut);
	capture_table_remove(t, &stuck);
	capture_table_remove(t, &turning);
	capture_free(stuck.capture);
	capture_free(turning.capture);
	capture_table_free(t);
}

struct remover {
	struct capture_table *t;
	struct capture_slot *s;
};

static void *remove_it(void *arg)
{
	struct remover *r = arg;

	capture_table_remove(r->t, r->s);
	return NULL;
}

static void test_end_of_all(void **state)
{
	struct capture_table *t = capture_table_new(MAX, NULL);
	struct capture_slot slot = make_slot(), late = make_slot();
	struct remover remover = {t, &slot};
	pthread_t thread;
	char byte;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	slot.fd = pair[0];
	assert_true(capture_table_wait_empty(t, 0));
	assert_int_equal(capture_table_add(t, &slot, NULL), 0);
	capture_table_stop_all(t, STOP_AGENT_SHUTDOWN);
	assert_refused(t, &late, ERR_UNAVAILABLE, "shutting_down");
	assert_false(capture_table_wait_empty(t, 1));
	assert_int_equal(capture_table_cut_all(t), 1);
	assert_int_equal(read(pair[1], &byte, 1), 0); /* the peer sees the end */

	assert_int_equal(pthread_create(&thread, NULL, remove_it, &remover), 0);
	assert_true(capture_table_wait_empty(t, 60 * 1000));
	assert_int_equal(pthread_join(thread, NULL), 0);
	capture_free(slot.capture);
	capture_free(late.capture);
	capture_table_free(t);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_and_limit),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_end_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
