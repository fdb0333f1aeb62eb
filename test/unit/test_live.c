/* test_live.c - the numbered live stream: where viewers come in, what is kept, what is left out and how that is told, and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/http_server.h"
#include "gateway/capture/live.h"
#include "schema/pcap_file.h"
#include "test/unit/segment_rig.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG    4096u
#define ONE        72u /* bytes of a packet of seg_of_one */
#define STREAM_MAX (1024 * 1024)
#define T0         UINT64_C(1767607200000000000) /* 2026-01-05T10:00:00Z */

static struct live *l;
static uint64_t pushed_bytes; /* of what was asked to be pushed */
static uint8_t got[STREAM_MAX];
static size_t got_n;

static void use(uint64_t backlog, enum job_format format)
{
	struct err err = {0};

	l = live_new(backlog, format, &err);
	assert_non_null(l);
	pushed_bytes = 0;
	got_n = 0;
}

static int setup(void **state)
{
	(void)state;
	use(BACKLOG, JOB_PCAPNG);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	live_unref(l);
	return 0;
}

static void push(struct segment *s, bool must)
{
	struct err err = {0};

	pushed_bytes += s->len;
	if (live_push(l, s, must, &err) < 0)
		fail_msg("%s", err.msg);
	segment_unref(s);
}

static void push_packets(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		push(seg_of_one(i % 2, T0 + i, i), false);
}

static struct live_viewer *attach(int64_t offset, uint64_t expected)
{
	struct err err = {0};
	uint64_t at = UINT64_MAX;
	struct live_viewer *v = live_attach(l, offset, NULL, -1, &at, &err);

	if (!v)
		fail_msg("%s", err.msg);
	assert_int_equal(at, expected);
	return v;
}

static void assert_no_attach(int64_t offset, enum err_code code, const char *detail)
{
	struct err err = {0};
	uint64_t at;

	assert_null(live_attach(l, offset, seg_new(), -1, &at, &err));
	assert_int_equal(err.code, code);
	assert_string_equal(err.detail, detail);
}

/* Reads n bytes behind those in got, by at most slice at once. */
static void read_bytes(struct live_viewer *v, size_t n, size_t slice)
{
	assert_true(n <= sizeof(got) - got_n);
	while (n > 0) {
		ssize_t k = live_read(v, got + got_n, slice < n ? slice : n);

		assert_true(k > 0);
		got_n += (size_t)k;
		n -= (size_t)k;
	}
}

static void assert_ends(struct live_viewer *v, ssize_t how)
{
	uint8_t c;

	assert_int_equal(live_read(v, &c, 1), how);
	assert_int_equal(live_read(v, &c, 1), how);
}

/* Reads to the end. */
static ssize_t read_all(struct live_viewer *v, size_t slice)
{
	for (;;) {
		size_t room = sizeof(got) - got_n;
		ssize_t k;

		assert_true(room > 0);
		k = live_read(v, got + got_n, slice < room ? slice : room);
		if (k < 0)
			return k;
		assert_true(k > 0);
		got_n += (size_t)k;
	}
}

/* "17 packets between ..." */
static uint64_t told_by(const struct seen_block *b)
{
	char *end;
	uint64_t n = strtoull(b->text, &end, 10);

	if (n == 0 || strncmp(end, " packets between ", 17) != 0)
		fail_msg("\"%s\" tells no number", b->text);
	return n;
}

static void what_is_pushed_is_read(void **state)
{
	struct live_viewer *v = attach(-1, 0);
	struct seen seen;

	(void)state;
	push(seg_header(2), true);
	push_packets(0, 10);
	live_end(l, true);
	assert_false(live_is_delivered(l));
	assert_int_equal(read_all(v, 7), HTTP_STREAM_END);
	assert_true(live_is_delivered(l));
	assert_ends(v, HTTP_STREAM_END);
	assert_int_equal(got_n, pushed_bytes);
	seen_pcapng(&seen, got, got_n);
	assert_int_equal(seen.packets, 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(seen.blocks[3 + i].number, i);
	assert_int_equal(live_dropped(l), 0);
	seen_done(&seen);
	live_detach(v);
}

static void an_end_that_is_not_whole_cuts(void **state)
{
	struct live_viewer *v = attach(-1, 0);

	(void)state;
	push_packets(0, 3);
	live_end(l, false);
	read_bytes(v, 3 * ONE, 1000);
	assert_ends(v, HTTP_STREAM_ABORT);
	assert_false(live_is_delivered(l));
	live_detach(v);
}

static void viewers_come_in_where_they_say(void **state)
{
	struct live_viewer *a, *b, *c;
	uint8_t *expected;

	(void)state;
	push_packets(0, 5);
	a = attach(0, 0);
	b = attach(ONE + 3, ONE + 3); /* any byte, not only the beginning of a block */
	c = attach(-1, 5 * ONE);
	push_packets(5, 6);
	read_bytes(a, 6 * ONE, 5);
	expected = malloc(got_n);
	assert_non_null(expected);
	memcpy(expected, got, got_n);
	got_n = 0;
	read_bytes(b, 5 * ONE - 3, 1000);
	assert_memory_equal(got, expected + ONE + 3, got_n);
	got_n = 0;
	read_bytes(c, ONE, 1000);
	assert_memory_equal(got, expected + 5 * ONE, ONE);
	free(expected);
	live_detach(a);
	live_detach(b);
	live_detach(c);
	live_detach(attach(6 * ONE, 6 * ONE));
	assert_no_attach(6 * ONE + 1, ERR_INPUT, "");
	assert_no_attach(INT64_MAX, ERR_INPUT, "");
}

static void the_prelude_goes_first_and_is_not_numbered(void **state)
{
	struct segment *prelude = seg_header(1);
	size_t n = prelude->len;
	struct live_viewer *v;
	struct err err = {0};
	struct seen seen;
	uint64_t at;

	(void)state;
	push_packets(0, 3);
	v = live_attach(l, -1, prelude, -1, &at, &err);
	assert_non_null(v);
	assert_int_equal(at, 3 * ONE);
	push(seg_of_one(0, T0, 77), false);
	live_end(l, true);
	assert_int_equal(read_all(v, 11), HTTP_STREAM_END);
	assert_int_equal(got_n, n + ONE);
	seen_pcapng(&seen, got, got_n);
	assert_int_equal(seen.packets, 1);
	assert_int_equal(seen.blocks[2].number, 77);
	seen_done(&seen);
	live_detach(v);
}

static void a_viewer_comes_back_without_a_lost_or_doubled_byte(void **state)
{
	struct live_viewer *v = attach(0, 0);
	uint32_t next = 0;
	struct seen seen;

	(void)state;
	push(seg_header(2), true);
	for (unsigned round = 0; round < 40; round++) {
		size_t n = 1 + round * 37 % 300;

		push_packets(next, next + 4);
		next += 4;
		if (n > pushed_bytes - got_n)
			n = pushed_bytes - got_n;
		read_bytes(v, n, 64);
		if (round % 3 == 0) {
			live_detach(v);
			v = attach((int64_t)got_n, got_n);
			read_bytes(v, pushed_bytes - got_n, 50);
		}
	}
	live_end(l, true);
	assert_int_equal(read_all(v, 1000), HTTP_STREAM_END);
	assert_int_equal(live_dropped(l), 0);
	seen_pcapng(&seen, got, got_n);
	assert_int_equal(seen.packets, next);
	for (size_t i = 0; i < next; i++)
		assert_int_equal(seen.blocks[3 + i].number, i);
	seen_done(&seen);
	live_detach(v);
}

static void what_was_sent_is_kept_for_a_while_only(void **state)
{
	struct live_viewer *v = attach(-1, 0);
	uint64_t gone = 0;
	struct err err = {0};

	(void)state;
	for (uint32_t i = 0; i < 500; i++) {
		push_packets(i, i + 1);
		read_bytes(v, ONE, ONE);
		got_n = 0;
	}
	assert_int_equal(live_dropped(l), 0);
	/* Half of the backlog at least, all of it and a segment at most. */
	live_detach(attach(500 * ONE - BACKLOG / 2, 500 * ONE - BACKLOG / 2));
	for (uint64_t at = 0; at < 500 * ONE; at++) {
		uint64_t where;
		struct live_viewer *w = live_attach(l, (int64_t)at, NULL, -1, &where, &err);

		if (w) {
			live_detach(w);
			break;
		}
		assert_int_equal(err.code, ERR_STATE);
		assert_string_equal(err.detail, "offset_gone");
		gone = at;
	}
	assert_true(gone < 500 * ONE - BACKLOG);
	assert_true(gone + 1 >= 500 * ONE - BACKLOG - ONE);
	assert_no_attach(0, ERR_STATE, "offset_gone");
	live_detach(v);
}

static void packets_without_room_are_counted_and_told(void **state)
{
	struct live_viewer *v = attach(-1, 0);
	uint64_t told = 0, dropped, of_even, of_odd;
	struct seen seen;

	(void)state;
	push(seg_header(2), true);
	push_packets(0, 1000);
	dropped = live_dropped(l);
	of_even = live_dropped_of(l, 0);
	of_odd = live_dropped_of(l, 1);
	assert_true(dropped > 900 && dropped < 1000);
	assert_int_equal(of_even + of_odd, dropped);
	assert_true(of_even >= 450 && of_odd >= 450);
	assert_int_equal(live_dropped_of(l, 2), 0);
	assert_int_equal(live_dropped_of(l, UINT32_MAX), 0);

	push(seg_of_one(1, T0 + 5000, 5000), true);
	live_end(l, true);
	assert_int_equal(read_all(v, 333), HTTP_STREAM_END);
	assert_true(got_n < BACKLOG);
	seen_pcapng(&seen, got, got_n);
	assert_int_equal(seen.packets, 1000 - dropped + 1);
	assert_int_equal(seen.stats, 2);
	for (size_t i = 0; i < seen.n; i++) {
		const struct seen_block *b = &seen.blocks[i];
		uint64_t n;

		if (b->kind != PCAPNG_STATS)
			continue;
		n = told_by(b);
		assert_non_null(strstr(b->text, "between 2026-01-05T10:00:00"));
		assert_int_equal(n, b->interface_id == 0 ? of_even : of_odd);
		assert_int_equal(b->ts_ns, T0 + (b->interface_id == 0 ? 998 : 999));
		assert_int_equal(seen.blocks[seen.n - 1].number, 5000); /* told before what comes after the gap */
		told += n;
	}
	assert_int_equal(told, dropped);
	seen_done(&seen);
	live_detach(v);
}

/* Whatever a viewer's pace: got + told = all, in order, and the gap is told where it is. */
static void every_pace_adds_up(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 30; seed++) {
		struct live_viewer *v;
		uint64_t told = 0, next = 0;
		uint32_t n = 0;
		unsigned r = seed;
		struct seen seen;

		live_unref(l);
		use(BACKLOG, JOB_PCAPNG);
		v = attach(-1, 0);
		push(seg_header(2), true);
		while (n < 1500) {
			size_t most = 1 + (size_t)rand_r(&r) % (40 * seed);
			struct segment *s = seg_new();
			uint32_t more = 1 + (uint32_t)rand_r(&r) % 6;

			for (uint32_t i = 0; i < more; i++, n++)
				seg_packet(s, 0, T0 + n, 40, n);
			push(s, false);
			if (rand_r(&r) % 4 == 0) {
				/* Something is always there: what was just pushed, or what left no room for it. */
				ssize_t k = most > sizeof(got) - got_n ? 0 : live_read(v, got + got_n, most);

				if (k > 0)
					got_n += (size_t)k;
				if (rand_r(&r) % 8 == 0) {
					live_detach(v);
					v = attach((int64_t)got_n, got_n);
				}
			}
		}
		push(seg_of_one(1, T0 + n, n), true);
		live_end(l, true);
		assert_int_equal(read_all(v, 1000), HTTP_STREAM_END);
		seen_pcapng(&seen, got, got_n);
		for (size_t i = 0; i < seen.n; i++) {
			const struct seen_block *b = &seen.blocks[i];
			if (b->kind == PCAPNG_PACKET) {
				assert_int_equal(b->number, next);
				next++;
			} else if (b->kind == PCAPNG_STATS) {
				told += told_by(b);
				next += told_by(b);
			}
		}
		assert_int_equal(next, n + 1);
		assert_int_equal(told, live_dropped(l));
		if (seed <= 5)
			assert_true(told > 0);
		seen_done(&seen);
		live_detach(v);
	}
}

static void classic_pcap_is_cut_record_by_record(void **state)
{
	struct live_viewer *v;
	uint64_t n = 1, dropped;
	struct seen seen;

	(void)state;
	live_unref(l);
	use(BACKLOG, JOB_PCAP);
	v = attach(-1, 0);
	for (uint32_t i = 0; i < 300; i++) {
		struct segment *s = seg_new();
		uint8_t data[64] = {0};

		if (i == 0)
			s->len += pcap_file_write_header(segment_room(s, PCAP_FILE_HEADER_BYTES), SEG_ETHERNET, 65535);
		for (uint32_t k = 0; k < 3; k++, n++) {
			uint32_t caplen = 8 + (uint32_t)n % 30, number = (uint32_t)n;
			uint8_t *room = segment_room(s, PCAP_FILE_RECORD_BYTES + caplen);

			memcpy(data, &number, sizeof(number));
			s->len += pcap_file_write_packet(room, T0 + n, caplen, 100, data);
		}
		push(s, i == 0);
	}
	dropped = live_dropped(l);
	assert_true(dropped > 0 && dropped % 3 == 0);
	live_end(l, true);
	assert_int_equal(read_all(v, 100), HTTP_STREAM_END);
	assert_int_equal(seen_pcap(&seen, got, got_n), SEG_ETHERNET);
	assert_int_equal(seen.packets, 900 - dropped);
	seen_done(&seen);
	live_detach(v);
}

static void the_slower_of_two_is_cut_not_the_faster(void **state)
{
	struct live_viewer *fast = attach(-1, 0), *slow = attach(-1, 0);
	uint8_t c;

	(void)state;
	assert_int_equal(live_read(slow, (push_packets(0, 1), &c), 1), 1);
	for (uint32_t i = 1; i < 200; i++) {
		push_packets(i, i + 1);
		read_bytes(fast, ONE, 1000);
		got_n = 0;
	}
	assert_int_equal(live_dropped(l), 0);
	assert_ends(slow, HTTP_STREAM_ABORT);
	live_detach(slow);
	read_bytes(fast, ONE, 1000);
	live_detach(fast);
}

/* Nobody looks, the room is full; who comes then for what is new must get it. */
static void a_new_viewer_opens_a_full_stream(void **state)
{
	struct live_viewer *v;
	uint64_t end;
	struct err err = {0};

	(void)state;
	push_packets(0, 1000);
	assert_true(live_dropped(l) > 0);
	v = live_attach(l, -1, NULL, -1, &end, &err);
	assert_non_null(v);
	push_packets(1000, 1001);
	live_end(l, true);
	assert_int_equal(read_all(v, 1000), HTTP_STREAM_END);
	assert_true(got_n > ONE); /* with what is told of the gap */
	assert_memory_equal(got + got_n - ONE + 28, &(uint32_t){1000}, 4);
	live_detach(v);
}

static void viewers_are_so_many_and_no_more(void **state)
{
	struct live_viewer *v[LIVE_VIEWERS_MAX];
	uint64_t since = 0, later = 0;

	(void)state;
	assert_true(live_is_alone(l, &since));
	assert_true(since > 0);
	for (unsigned i = 0; i < LIVE_VIEWERS_MAX; i++)
		v[i] = attach(-1, 0);
	assert_no_attach(-1, ERR_BUSY, "");
	assert_no_attach(0, ERR_BUSY, "");
	live_detach(v[3]);
	v[3] = attach(0, 0);
	for (unsigned i = 0; i < LIVE_VIEWERS_MAX; i++) {
		assert_false(live_is_alone(l, &later));
		live_detach(v[i]);
	}
	assert_true(live_is_alone(l, &later));
	assert_true(later >= since);
}

static void a_peer_that_left_ends_a_quiet_wait(void **state)
{
	struct err err = {0};
	struct live_viewer *v;
	uint64_t at;
	int fds[2];
	uint8_t c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	v = live_attach(l, -1, NULL, fds[0], &at, &err);
	assert_non_null(v);
	close(fds[1]);
	assert_int_equal(live_read(v, &c, 1), HTTP_STREAM_ABORT);
	live_detach(v);
	close(fds[0]);
}

static void an_interface_out_of_all_bounds_is_our_own_mistake(void **state)
{
	struct err err = {0};
	struct segment *s = seg_of_one(PCAPNG_INTERFACES_MAX * 4, T0, 1);

	(void)state;
	push_packets(0, 100);
	assert_int_equal(live_push(l, s, false, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	segment_unref(s);
	push(seg_of_one(PCAPNG_INTERFACES_MAX * 4 - 1, T0, 1), false);
	assert_int_equal(live_dropped_of(l, PCAPNG_INTERFACES_MAX * 4 - 1), 1);
}

/* ---- with threads ---- */

static void *view(void *arg)
{
	struct live_viewer *v = arg;
	uint8_t *all = malloc(STREAM_MAX);
	struct seen seen;
	size_t n = 0;
	ssize_t k;

	while (all && n < STREAM_MAX && (k = live_read(v, all + n, STREAM_MAX - n < 1000 ? STREAM_MAX - n : 1000)) > 0)
		n += (size_t)k;
	live_detach(v);
	seen_pcapng(&seen, all, n);
	free(all);
	n = seen.packets;
	seen_done(&seen);
	return (void *)n;
}

static void viewers_read_while_it_is_written(void **state)
{
	pthread_t threads[3];
	void *n;

	(void)state;
	live_unref(l);
	use(STREAM_MAX, JOB_PCAPNG);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, view, attach(-1, 0)), 0);
	push(seg_header(2), true);
	push_packets(0, 2000);
	live_end(l, true);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(threads[i], &n);
		assert_int_equal((size_t)n, 2000);
	}
	assert_true(live_is_delivered(l));
}

/* ---- who takes nothing ---- */

static void *leave_late(void *v)
{
	(void)poll(NULL, 0, 30);
	live_detach(v);
	return NULL;
}

static void who_leaves_in_time_is_not_cut(void **state)
{
	struct err err = {0};
	struct live_viewer *v;
	pthread_t thread;
	int pair[2];
	uint64_t at;
	char c = 'x';

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	v = live_attach(l, -1, NULL, pair[0], &at, &err);
	assert_non_null(v);
	live_end(l, true);
	assert_int_equal(pthread_create(&thread, NULL, leave_late, v), 0);
	live_cut(l, 60000);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(send(pair[0], &c, 1, MSG_NOSIGNAL), 1);
	close(pair[0]);
	close(pair[1]);
}

static void who_stays_is_cut(void **state)
{
	struct live_viewer *v, *w;
	int first[2], second[2];
	struct err err = {0};
	uint64_t at;
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
	v = live_attach(l, -1, NULL, first[0], &at, &err);
	w = live_attach(l, -1, NULL, second[0], &at, &err);
	assert_non_null(v);
	assert_non_null(w);
	live_end(l, true);
	live_detach(v);
	live_cut(l, 10);
	assert_int_equal(recv(second[1], &c, 1, 0), 0);
	assert_int_equal(recv(first[1], &c, 1, MSG_DONTWAIT), -1);
	live_detach(w);
	close(first[0]);
	close(first[1]);
	close(second[0]);
	close(second[1]);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(who_leaves_in_time_is_not_cut),
		test(who_stays_is_cut),
		test(what_is_pushed_is_read),
		test(an_end_that_is_not_whole_cuts),
		test(viewers_come_in_where_they_say),
		test(the_prelude_goes_first_and_is_not_numbered),
		test(a_viewer_comes_back_without_a_lost_or_doubled_byte),
		test(what_was_sent_is_kept_for_a_while_only),
		test(packets_without_room_are_counted_and_told),
		test(every_pace_adds_up),
		test(classic_pcap_is_cut_record_by_record),
		test(the_slower_of_two_is_cut_not_the_faster),
		test(a_new_viewer_opens_a_full_stream),
		test(viewers_are_so_many_and_no_more),
		test(a_peer_that_left_ends_a_quiet_wait),
		test(an_interface_out_of_all_bounds_is_our_own_mistake),
		test(viewers_read_while_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
