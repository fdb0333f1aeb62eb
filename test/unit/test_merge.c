/* test_merge.c - many streams into one: the order, who waits for whom and for how long, what is counted late, and ends of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "gateway/capture/merge.h"
#include "test/unit/segment_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHORT_NS  (20 * CLOCK_NS_PER_MS)
#define LONG_NS   (600 * CLOCK_NS_PER_S) /* longer than any test: a wait for it would be seen as a hang */
#define QUEUE     (1024 * 1024)
#define INPUTS    4
#define TAKEN_MAX 20000

/* What came out, packet by packet. */
struct taken {
	uint64_t late, packets, bytes;
	size_t n, stats;
	uint32_t numbers[TAKEN_MAX];
	uint64_t ts[TAKEN_MAX];
	unsigned tags[TAKEN_MAX];
};

static struct taken taken;

static struct merge *merge_make(uint64_t window_ns, size_t queue_bytes)
{
	struct err err = {0};
	struct merge *m = merge_new(window_ns, queue_bytes, &err);

	assert_non_null(m);
	memset(&taken, 0, sizeof(taken));
	return m;
}

static struct merge_input *input_make(struct merge *m, unsigned tag)
{
	struct err err = {0};
	struct merge_input *in = merge_add(m, tag, &err);

	assert_non_null(in);
	return in;
}

static void push_one(struct merge_input *in, uint64_t ts, uint32_t number)
{
	assert_int_equal(merge_push(in, seg_of_one(0, ts, number)), 0);
}

static uint64_t in_ns(uint64_t ns)
{
	return clock_mono_ns() + ns;
}

/* The piece's own figures must be those of its blocks. */
static void take(const struct merge_piece *p)
{
	uint64_t packets = 0, bytes = 0;
	size_t pos = p->off;

	assert_true(p->len > 0 && p->off + p->len <= p->segment->len);
	while (pos < p->off + p->len) {
		struct block_view v = block_at(p->segment->data + pos);

		if (v.type == PCAPNG_BLOCK_PACKET) {
			assert_true(taken.n < TAKEN_MAX);
			memcpy(&taken.numbers[taken.n], p->segment->data + pos + 28, 4);
			taken.ts[taken.n] = v.ts_ns;
			taken.tags[taken.n++] = p->tag;
			packets++;
			bytes += v.caplen;
		} else {
			taken.stats++;
		}
		pos += v.len;
	}
	assert_int_equal(pos, p->off + p->len);
	assert_int_equal(packets, p->packets);
	assert_int_equal(bytes, p->captured_bytes);
	assert_true(p->late <= p->packets);
	taken.late += p->late;
	taken.packets += p->packets;
	taken.bytes += p->captured_bytes;
	segment_unref(p->segment);
}

/* Takes what there is without waiting longer than deadline_ns; says how it ended. */
static enum merge_result take_all(struct merge *m, uint64_t deadline_ns)
{
	struct merge_piece p;
	enum merge_result r;

	while ((r = merge_next(m, deadline_ns, &p)) == MERGE_PIECE)
		take(&p);
	return r;
}

static void assert_order(const uint32_t *numbers, size_t n)
{
	assert_int_equal(taken.n, n);
	for (size_t i = 0; i < n; i++) {
		if (taken.numbers[i] != numbers[i])
			fail_msg("packet %zu is number %u, not %u", i, taken.numbers[i], numbers[i]);
	}
}

static void interleaved_inputs_come_out_in_order(void **state)
{
	static const uint32_t order[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 10), *b = input_make(m, 11), *c = input_make(m, 12);
	struct segment *s = seg_new();

	(void)state;
	seg_packet(s, 0, 100, 40, 1);
	seg_packet(s, 0, 400, 44, 4);
	seg_packet(s, 0, 500, 40, 5);
	seg_packet(s, 0, 900, 40, 9);
	assert_int_equal(merge_push(a, s), 0);
	push_one(b, 200, 2);
	push_one(b, 700, 7);
	s = seg_new();
	seg_packet(s, 0, 300, 40, 3);
	seg_packet(s, 0, 600, 40, 6);
	seg_packet(s, 0, 800, 40, 8);
	assert_int_equal(merge_push(c, s), 0);
	merge_close(a);
	merge_close(b);
	merge_close(c);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END);
	assert_order(order, 9);
	assert_int_equal(taken.tags[0], 10);
	assert_int_equal(taken.tags[1], 11);
	assert_int_equal(taken.tags[2], 12);
	assert_int_equal(taken.late, 0);
	assert_int_equal(taken.bytes, 8 * 40 + 44);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END); /* and so it stays */
	merge_free(m);
}

static void a_run_is_one_piece(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0), *b = input_make(m, 1);
	struct segment *s = seg_new();
	struct merge_piece p;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		seg_packet(s, 0, 100 + i, 40, i);
	assert_int_equal(merge_push(a, s), 0);
	push_one(b, 103, 99);
	assert_int_equal(merge_next(m, in_ns(LONG_NS), &p), MERGE_PIECE);
	assert_int_equal(p.tag, 0);
	assert_int_equal(p.off, 0);
	assert_int_equal(p.packets, 4); /* equal timestamps still belong to the run */
	assert_int_equal(p.last_ts_ns, 103);
	segment_unref(p.segment);
	merge_free(m);
}

static void one_input_alone_never_waits(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0);

	(void)state;
	push_one(a, 5, 1);
	assert_int_equal(take_all(m, 0), MERGE_IDLE);
	assert_int_equal(taken.n, 1);
	push_one(a, 6, 2);
	assert_int_equal(take_all(m, 0), MERGE_IDLE);
	assert_int_equal(taken.n, 2);
	merge_free(m);
}

static void a_silent_input_delays_by_the_window_only(void **state)
{
	struct merge *m = merge_make(SHORT_NS, QUEUE);
	struct merge_input *a = input_make(m, 0);
	uint64_t before;
	struct merge_piece p;

	(void)state;
	input_make(m, 1);
	before = clock_mono_ns();
	push_one(a, 5, 1);
	assert_int_equal(merge_next(m, in_ns(LONG_NS), &p), MERGE_PIECE);
	assert_true(clock_mono_ns() - before >= SHORT_NS);
	take(&p);
	merge_free(m);
}

static void within_the_window_nothing_goes_before_its_time(void **state)
{
	static const uint32_t order[] = {1, 2};
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0), *b = input_make(m, 1);

	(void)state;
	push_one(a, 20, 2);
	assert_int_equal(take_all(m, 0), MERGE_IDLE);
	assert_int_equal(taken.n, 0);
	push_one(b, 10, 1);
	assert_int_equal(take_all(m, 0), MERGE_IDLE); /* number 2 waits again: b is empty */
	assert_int_equal(taken.n, 1);
	merge_close(b);
	assert_int_equal(take_all(m, 0), MERGE_IDLE);
	assert_order(order, 2);
	assert_int_equal(taken.late, 0);
	merge_free(m);
}

static void what_comes_behind_the_window_is_late_but_not_lost(void **state)
{
	static const uint32_t order[] = {9, 1, 2, 10};
	struct merge *m = merge_make(1, QUEUE);
	struct merge_input *a = input_make(m, 0), *b = input_make(m, 1);
	struct segment *s = seg_new();

	(void)state;
	push_one(a, 900, 9);
	assert_int_equal(take_all(m, in_ns(SHORT_NS)), MERGE_IDLE);
	assert_int_equal(taken.n, 1);
	seg_packet(s, 0, 100, 40, 1);
	seg_packet(s, 0, 899, 40, 2);
	seg_packet(s, 0, 900, 40, 10); /* as old as the newest: in order */
	assert_int_equal(merge_push(b, s), 0);
	merge_close(a);
	merge_close(b);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END);
	assert_order(order, 4);
	assert_int_equal(taken.late, 2);
	merge_free(m);
}

/* An agent stamps statistics with the time of their making, while its kernel holds older packets still. */
static void statistics_hold_nothing_up(void **state)
{
	static const uint32_t order[] = {1, 2, 3, 4, 5, 6};
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0), *b = input_make(m, 1);
	struct segment *s = seg_new();

	(void)state;
	seg_stats(s, 0, 1000);
	seg_packet(s, 0, 100, 40, 1);
	seg_stats(s, 0, 1000);
	seg_packet(s, 0, 300, 40, 3);
	assert_int_equal(merge_push(a, s), 0);
	s = seg_new();
	seg_stats(s, 0, 1000);
	assert_int_equal(merge_push(a, s), 0);
	push_one(a, 500, 5);
	push_one(b, 200, 2);
	push_one(b, 400, 4);
	push_one(b, 600, 6);
	merge_close(a);
	merge_close(b);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END);
	assert_order(order, 6);
	assert_int_equal(taken.stats, 3);
	assert_int_equal(taken.late, 0);
	merge_free(m);
}

static void empty_segments_are_nothing(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0);

	(void)state;
	assert_int_equal(merge_push(a, seg_new()), 0);
	assert_int_equal(take_all(m, 0), MERGE_IDLE);
	merge_close(a);
	assert_int_equal(take_all(m, 0), MERGE_END);
	merge_free(m);
}

static void closed_inputs_take_nothing_but_give_what_they_have(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0), *b = input_make(m, 1);

	(void)state;
	push_one(a, 1, 1);
	merge_close(a);
	merge_close(a);
	assert_int_equal(merge_push(a, seg_of_one(0, 2, 2)), -1);
	assert_int_equal(take_all(m, 0), MERGE_IDLE); /* b is open and empty */
	merge_close(b);
	assert_int_equal(take_all(m, 0), MERGE_END);
	assert_int_equal(taken.n, 1);
	merge_free(m);
}

static void no_inputs_are_the_end(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_piece p;

	(void)state;
	assert_int_equal(merge_next(m, UINT64_MAX, &p), MERGE_END);
	merge_free(m);
	merge_free(NULL);
}

static void abort_forgets_what_is_queued(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0), *b = input_make(m, 1);
	struct merge_piece p;
	struct segment *s = seg_new();

	(void)state;
	seg_packet(s, 0, 1, 40, 1);
	seg_packet(s, 0, 3, 40, 3);
	assert_int_equal(merge_push(a, s), 0);
	push_one(b, 2, 2);
	assert_int_equal(merge_next(m, in_ns(LONG_NS), &p), MERGE_PIECE); /* part of a segment is held elsewhere */
	merge_abort(m);
	assert_int_equal(take_all(m, 0), MERGE_END);
	assert_int_equal(merge_push(b, seg_of_one(0, 4, 4)), -1);
	assert_int_equal(p.packets, 1);
	take(&p);
	merge_free(m);
}

static void wake_is_told_once(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);

	(void)state;
	input_make(m, 0);
	merge_wake(m);
	merge_wake(m);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_WOKEN);
	assert_int_equal(take_all(m, 0), MERGE_IDLE);
	merge_free(m);
}

static void what_is_queued_at_the_end_is_freed(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	struct merge_input *a = input_make(m, 0);

	(void)state;
	push_one(a, 1, 1);
	push_one(a, 2, 2);
	merge_free(m);
}

/* ---- with threads ---- */

struct producer {
	struct merge_input *in;
	pthread_t thread;
	unsigned seed;
	uint32_t count, first;
	uint64_t step;      /* between timestamps, at most */
	atomic_uint pushed; /* segments */
	int failed;         /* the last answer of merge_push */
};

static void *produce(void *arg)
{
	struct producer *p = arg;
	uint64_t ts = 1000;
	uint32_t number = p->first;

	while (number < p->first + p->count && p->failed == 0) {
		struct segment *s = seg_new();
		unsigned n = 1 + (unsigned)rand_r(&p->seed) % 7;

		while (n-- > 0 && number < p->first + p->count) {
			ts += (uint64_t)rand_r(&p->seed) % p->step;
			if (rand_r(&p->seed) % 8 == 0)
				seg_stats(s, 0, ts + 50);
			seg_packet(s, 0, ts, 40 + (uint32_t)rand_r(&p->seed) % 100, number++);
		}
		p->failed = merge_push(p->in, s);
		atomic_fetch_add(&p->pushed, 1);
	}
	merge_close(p->in);
	return NULL;
}

static void start(struct producer *p)
{
	assert_int_equal(pthread_create(&p->thread, NULL, produce, p), 0);
}

static void assert_each_whole_and_in_order(const struct producer *p, unsigned inputs)
{
	for (unsigned t = 0; t < inputs; t++) {
		uint32_t next = p[t].first;

		for (size_t i = 0; i < taken.n; i++) {
			if (taken.tags[i] == t)
				assert_int_equal(taken.numbers[i], next++);
		}
		assert_int_equal(next, p[t].first + p[t].count);
	}
}

static uint64_t count_late(void)
{
	uint64_t newest = 0, late = 0;

	for (size_t i = 0; i < taken.n; i++) {
		late += taken.ts[i] < newest;
		if (taken.ts[i] > newest)
			newest = taken.ts[i];
	}
	return late;
}

/* Whatever comes in when: each input's packets come out whole and in its own order; with a window that outlasts all and queues that hold all, in the
 * order of time; and what is out of it is counted, with any window and any queue. */
static void any_streams_merge(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 24; seed++) {
		const bool patient = seed % 3 == 0;
		struct merge *m = merge_make(seed % 3 == 1 ? 1 : LONG_NS, patient ? QUEUE : seed % 2 ? 4096 : 64);
		struct producer p[INPUTS];
		uint64_t bytes = 0;

		for (unsigned t = 0; t < INPUTS; t++) {
			p[t] = (struct producer){.in = input_make(m, t),
				.seed = seed * 100 + t,
				.count = 300 * t, /* the first ends without a packet */
				.first = t * 1000,
				.step = 1 + seed * t};
			start(&p[t]);
		}
		assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END);
		for (unsigned t = 0; t < INPUTS; t++) {
			pthread_join(p[t].thread, NULL);
			assert_int_equal(p[t].failed, 0);
		}
		assert_each_whole_and_in_order(p, INPUTS);
		assert_int_equal(taken.late, count_late());
		if (patient)
			assert_int_equal(taken.late, 0);
		bytes = taken.bytes;
		assert_true(bytes >= taken.n * 40);
		merge_free(m);
	}
}

static void wait_for(const atomic_uint *what, unsigned n)
{
	for (unsigned tries = 0; atomic_load(what) < n; tries++) {
		if (tries > 30000)
			fail_msg("only %u of %u after a long time", atomic_load(what), n);
		usleep(1000);
	}
}

static void a_full_queue_blocks_its_own_producer_only(void **state)
{
	struct merge *m = merge_make(LONG_NS, 4096);
	struct producer p[2] = {
		{.seed = 1, .count = 2000, .first = 0, .step = 5}, {.seed = 2, .count = 12, .first = 5000, .step = 5}};

	(void)state;
	for (unsigned t = 0; t < 2; t++)
		p[t].in = input_make(m, t);
	start(&p[0]);
	wait_for(&p[0].pushed, 3);
	start(&p[1]);
	pthread_join(p[1].thread, NULL); /* while the other stands */
	assert_true(atomic_load(&p[0].pushed) < 400);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END);
	pthread_join(p[0].thread, NULL);
	assert_each_whole_and_in_order(p, 2);
	assert_int_equal(taken.late, 0);
	merge_free(m);
}

/* Who cannot take more does not wait for who brings nothing: its agent would lose packets. */
static void a_full_queue_waits_for_nobody(void **state)
{
	struct merge *m = merge_make(LONG_NS, 4096);
	struct producer p = {.in = input_make(m, 0), .seed = 5, .count = 2000, .step = 5};
	struct merge_input *silent = input_make(m, 1);
	struct merge_piece piece;

	(void)state;
	start(&p);
	while (taken.n < 1900) {
		assert_int_equal(merge_next(m, in_ns(60 * CLOCK_NS_PER_S), &piece), MERGE_PIECE);
		take(&piece);
	}
	merge_close(silent);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END);
	pthread_join(p.thread, NULL);
	assert_each_whole_and_in_order(&p, 1);
	assert_int_equal(taken.late, 0);
	merge_free(m);
}

static void *push_three(void *arg)
{
	for (uint32_t i = 1; i <= 3; i++) {
		if (merge_push(arg, seg_of_one(0, i, i)) < 0)
			return arg;
	}
	return NULL;
}

/* With room again the window holds again. */
static void a_full_queue_gives_only_what_makes_room(void **state)
{
	struct merge *m = merge_make(LONG_NS, 150); /* two of the three */
	struct merge_input *a = input_make(m, 0);
	struct merge_piece p;
	pthread_t thread;
	void *bad;

	(void)state;
	input_make(m, 1); /* silent */
	assert_int_equal(pthread_create(&thread, NULL, push_three, a), 0);
	assert_int_equal(merge_next(m, in_ns(60 * CLOCK_NS_PER_S), &p), MERGE_PIECE);
	take(&p);
	assert_int_equal(merge_next(m, 0, &p), MERGE_IDLE);
	pthread_join(thread, &bad);
	assert_null(bad);
	assert_int_equal(merge_next(m, 0, &p), MERGE_IDLE);
	merge_free(m);
}

static void larger_than_the_queue_passes_when_it_is_empty(void **state)
{
	struct merge *m = merge_make(LONG_NS, 1);
	struct producer p = {.in = input_make(m, 0), .seed = 3, .count = 50, .step = 5};

	(void)state;
	start(&p);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_END);
	pthread_join(p.thread, NULL);
	assert_each_whole_and_in_order(&p, 1);
	merge_free(m);
}

static void abort_and_close_free_a_blocked_producer(void **state)
{
	(void)state;
	for (int abort = 0; abort < 2; abort++) {
		struct merge *m = merge_make(LONG_NS, 256);
		struct producer p = {.in = input_make(m, 0), .seed = 4, .count = 5000, .step = 5};

		start(&p);
		wait_for(&p.pushed, 1);
		if (abort)
			merge_abort(m);
		else
			merge_close(p.in);
		pthread_join(p.thread, NULL);
		assert_int_equal(p.failed, -1);
		assert_int_equal(take_all(m, 0), MERGE_END);
		assert_int_equal(taken.n > 0, !abort);
		merge_free(m);
	}
}

static void *wake_later(void *arg)
{
	merge_wake(arg);
	return NULL;
}

static void wake_ends_a_wait(void **state)
{
	struct merge *m = merge_make(LONG_NS, QUEUE);
	pthread_t thread;

	(void)state;
	input_make(m, 0);
	assert_int_equal(pthread_create(&thread, NULL, wake_later, m), 0);
	assert_int_equal(take_all(m, in_ns(LONG_NS)), MERGE_WOKEN);
	pthread_join(thread, NULL);
	merge_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interleaved_inputs_come_out_in_order),
		cmocka_unit_test(a_run_is_one_piece),
		cmocka_unit_test(one_input_alone_never_waits),
		cmocka_unit_test(a_silent_input_delays_by_the_window_only),
		cmocka_unit_test(within_the_window_nothing_goes_before_its_time),
		cmocka_unit_test(what_comes_behind_the_window_is_late_but_not_lost),
		cmocka_unit_test(statistics_hold_nothing_up),
		cmocka_unit_test(empty_segments_are_nothing),
		cmocka_unit_test(closed_inputs_take_nothing_but_give_what_they_have),
		cmocka_unit_test(no_inputs_are_the_end),
		cmocka_unit_test(abort_forgets_what_is_queued),
		cmocka_unit_test(wake_is_told_once),
		cmocka_unit_test(what_is_queued_at_the_end_is_freed),
		cmocka_unit_test(any_streams_merge),
		cmocka_unit_test(a_full_queue_blocks_its_own_producer_only),
		cmocka_unit_test(a_full_queue_waits_for_nobody),
		cmocka_unit_test(a_full_queue_gives_only_what_makes_room),
		cmocka_unit_test(larger_than_the_queue_passes_when_it_is_empty),
		cmocka_unit_test(abort_and_close_free_a_blocked_producer),
		cmocka_unit_test(wake_ends_a_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
