/* test_store_budget.c - how much may wait in the spool, of one job and of all, and how chunks grow. */
#include "test/unit/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000u

static int setup(void **state)
{
	struct store_rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	store_rig_init(r);
	r->parallel = 2;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	store_rig_done(*state);
	free(*state);
	return 0;
}

/* Writes until the store refuses; how many bytes it took. */
static size_t write_until_full(struct store_job *j, const struct store_rig_stream *s, size_t at, struct err *err)
{
	for (size_t i = 0; i < s->writes_n; i++) {
		if (s->ends[i] <= at)
			continue;
		if (store_write(j, s->bytes + at, s->ends[i] - at, err) < 0)
			return at;
		at = s->ends[i];
	}
	return at;
}

/* Writes as a capture does, which stops when there is no room; how many bytes. */
static size_t write_while_room(struct store_job *j, const struct store_rig_stream *s, size_t at)
{
	struct err err = {0};

	for (size_t i = 0; i < s->writes_n; i++) {
		if (s->ends[i] <= at)
			continue;
		if (store_room(j) < s->ends[i] - at)
			break;
		if (store_write(j, s->bytes + at, s->ends[i] - at, &err) < 0)
			fail_msg("store_write: %s", err.msg);
		at = s->ends[i];
	}
	return at;
}

static void assert_full(struct err *err, const char *key)
{
	assert_int_equal(err->code, ERR_FULL);
	assert_string_equal(err->detail, "spool_full");
	assert_non_null(strstr(err->msg, key));
	memset(err, 0, sizeof(*err));
}

static void store_is(struct store_rig *r, bool up)
{
	pthread_mutex_lock(&r->lock);
	r->fail_parts = up ? 0 : 1000000;
	pthread_mutex_unlock(&r->lock);
}

static void finish_well(struct store_rig *r, struct store_job *j, const struct store_rig_stream *s, size_t n)
{
	char sha256[DIGEST_SHA256_HEX_MAX];
	struct driver_object o;
	struct err err = {0};

	store_is(r, true);
	if (store_job_finish(j, &o, &err) < 0)
		fail_msg("store_job_finish: %s", err.msg);
	digest_sha256_hex(s->bytes, n, sha256);
	assert_int_equal(o.bytes, n);
	assert_string_equal(o.sha256, sha256);
}

static void wait_for_spool(struct store *s, uint64_t least, uint64_t most)
{
	for (unsigned ms = 0;; ms++) {
		uint64_t bytes = atomic_load(&s->spool_bytes);

		if (bytes >= least && bytes <= most)
			break;
		if (ms > PATIENCE_MS)
			fail_msg("%llu bytes are in the spool", (unsigned long long)bytes);
		usleep(1000);
	}
}

/* A store that is down fills the budget; one that is back empties it, and the capture can go on for ever. */
static void test_job_budget(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 1, 1600);
	assert_true(s.n > 200000 + 2 * STORE_TAIL_BYTES);
	r->spool_job_max_bytes = 20000;
	store_is(r, false);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	assert_int_equal(store_room(j), 20000);
	assert_true(store_room_is_spool(j));
	size_t at = write_while_room(j, &s, 0);
	assert_in_range(at, 15000, 20000);
	assert_int_equal(store_room(j), 20000 - at);

	store_is(r, true);
	wait_for_spool(r->store, 0, j->chunk_bytes);
	assert_int_equal(store_room(j), 20000 - j->chunk_bytes);
	at = write_while_room(j, &s, at);
	assert_true(at > 20000);

	/* The end notes are lent their bytes, and no more.  Once there is room again, they are as if they had never been lent. */
	for (unsigned i = 0; i < 2; i++) {
		store_is(r, false);
		at = write_while_room(j, &s, at);
		size_t before = at;
		at = write_until_full(j, &s, at, &err);
		assert_full(&err, "storage.spool_job_max");
		/* A part that was on its way may have made room once more. */
		assert_in_range(at - before, STORE_TAIL_BYTES - 16384, STORE_TAIL_BYTES + 20000);
		store_is(r, true);
		wait_for_spool(r->store, 0, j->chunk_bytes);
		at = write_while_room(j, &s, at);
	}
	finish_well(r, j, &s, at);
	assert_int_equal(atomic_load(&r->store->spool_bytes), 0);
	store_rig_stream_done(&s);
}

/* job_bytes_max is another limit, and is told as another. */
static void test_object_limit(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 2, 20);
	r->spool_job_max_bytes = 1u << 30;
	r->job_bytes_max = STORE_TAIL_BYTES + 100;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	assert_int_equal(store_room(j), 100);
	assert_false(store_room_is_spool(j));
	store_job_drop(j);
	store_rig_close(r);

	r->job_bytes_max = s.ends[18];
	store_rig_open(r);
	j = store_rig_begin(r);
	size_t at = write_until_full(j, &s, 0, &err);
	assert_int_equal(err.code, ERR_FULL);
	assert_string_equal(err.detail, "");
	finish_well(r, j, &s, at);
	store_rig_stream_done(&s);
}

/* The budget over all jobs: what one has taken the other has not, also when a former process left it. */
static void test_total_budget(void **state)
{
	struct store_rig *r = *state;
	struct driver_tags tags = store_rig_tags(r);
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};
	char other[ID_MAX];

	store_rig_stream_make(&s, FRAME_PCAPNG, 3, 800);
	r->spool_max_bytes = 30000;
	store_is(r, false);
	store_rig_open(r);
	id_new(other);
	store_rig_add_job(r, other);
	struct store_job *j = store_rig_begin(r);
	tags.job = other;
	struct store_job *k = store_job_begin(r->store, "captures/other.pcapng", &tags, &err);
	assert_non_null(k);
	size_t at = write_while_room(j, &s, 0);
	assert_in_range(at, 25000, 30000);
	assert_int_equal(store_room(k), 30000 - at);
	assert_true(store_room_is_spool(k));
	size_t lent = write_until_full(k, &s, 0, &err);
	assert_full(&err, "storage.spool_max");
	assert_true(lent > 0);
	assert_int_equal(store_check(r->store, &err), -1);
	assert_full(&err, "storage.spool_max");

	/* Its end gives back what it had; the other's failure leaves its bytes where they are, and the next process counts them. */
	store_job_drop(k);
	wait_for_spool(r->store, at, at);
	r->store->retry.tries = 1;
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	store_rig_close(r);
	store_rig_open(r);
	assert_int_equal(atomic_load(&r->store->spool_bytes), at);
	k = store_job_begin(r->store, "captures/other.pcapng", &tags, &err);
	assert_non_null(k);
	assert_int_equal(store_room(k), 30000 - at);
	store_job_drop(k);

	/* Recovery gives them back too, and so does erasing. */
	tags.job = r->job;
	store_is(r, true);
	assert_int_equal(store_recover(r->store, r->job, r->key, &tags, store_rig_tail, NULL, &o, &err), 0);
	assert_int_equal(atomic_load(&r->store->spool_bytes), 0);
	assert_int_equal(store_check(r->store, &err), 0);
	store_rig_stream_done(&s);
}

static void test_total_budget_at_begin(void **state)
{
	struct store_rig *r = *state;
	struct driver_tags tags = store_rig_tags(r);
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};
	char other[ID_MAX];

	store_rig_stream_make(&s, FRAME_PCAPNG, 4, 100);
	store_is(r, false);
	store_rig_open(r);
	r->store->retry.tries = 1;
	id_new(other);
	store_rig_add_job(r, other);
	struct store_job *j = store_rig_begin(r);
	size_t at = write_until_full(j, &s, 0, &err);
	assert_int_equal(at, s.n);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	store_rig_close(r);
	r->spool_max_bytes = s.n;
	store_rig_open(r);
	tags.job = other;
	memset(&err, 0, sizeof(err));
	assert_null(store_job_begin(r->store, "captures/other.pcapng", &tags, &err));
	assert_full(&err, "storage.spool_max");
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_int_equal(atomic_load(&r->store->spool_bytes), 0);
	struct store_job *k = store_job_begin(r->store, "captures/other.pcapng", &tags, &err);
	assert_non_null(k);
	store_job_drop(k);
	store_rig_stream_done(&s);
}

/* ---- how chunks grow ---- */

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static void test_plan(void **state)
{
	static const struct {
		uint64_t chunk, job_max, first;
	} cases[] = {
		{8 * MIB, 10 * GIB, 8 * MIB},
		{8 * MIB, 5 * TIB, 8 * MIB},
		{5 * MIB, 5 * TIB, 10 * MIB},
		{1, 1023000, 1},
		{1, 1023001, 2},
		{16 * MIB, 30 * TIB, 512 * MIB},
		{8 * GIB, 5 * TIB, 8 * GIB},
		{1, UINT64_MAX, UINT64_C(1) << 51},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t first = store_plan_first(cases[i].chunk, cases[i].job_max), total = 0;

		print_message(
			"  %llu of %llu\n", (unsigned long long)cases[i].chunk, (unsigned long long)cases[i].job_max);
		assert_int_equal(first, cases[i].first);
		for (uint32_t seq = 1; seq <= STORE_PARTS_MAX; seq++) {
			uint64_t bytes = store_plan_bytes(first, seq);

			assert_true(bytes >= first);
			assert_true(bytes <= 4 * GIB || bytes == first);
			assert_true(seq == 1 || bytes >= store_plan_bytes(first, seq - 1));
			total = total > UINT64_MAX - bytes ? UINT64_MAX : total + bytes;
		}
		assert_true(total >= cases[i].job_max);
	}
	assert_int_equal(store_plan_bytes(8 * MIB, 1000), 8 * MIB);
	assert_int_equal(store_plan_bytes(8 * MIB, 1001), 16 * MIB);
	assert_int_equal(store_plan_bytes(8 * MIB, 9001), 4 * GIB);
	assert_int_equal(store_plan_bytes(8 * MIB, UINT32_MAX), 4 * GIB);
	assert_int_equal(store_plan_bytes(16 * MIB, 10000), 4 * GIB);
	assert_int_equal(store_chunk_largest(8 * MIB, 8000 * MIB), 8 * MIB);
	assert_int_equal(store_chunk_largest(8 * MIB, 8000 * MIB + 1), 16 * MIB);
	assert_int_equal(store_chunk_largest(8 * MIB, 1), 8 * MIB);
	assert_int_equal(store_chunk_largest(1 * MIB, UINT64_MAX),
		store_plan_bytes(store_plan_first(1 * MIB, UINT64_MAX), 10000));
}

/* The chunks of a job are what the plan says. */
static void test_plan_is_kept(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct driver_object o;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 5, 1200);
	r->parallel = 0;
	r->chunk_bytes = 1;
	r->job_bytes_max = 1023000;
	r->fail_parts = 1000000;
	r->fail_code = ERR_PERM;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	/* As small as can be: a classic pcap header, then records without a byte of data. */
	uint8_t record[16] = {0};
	struct store_rig_stream header;
	store_rig_stream_make(&header, FRAME_PCAP, 6, 1);
	assert_int_equal(store_write(j, header.bytes, header.n, &err), 0);
	for (unsigned i = 0; i < 1100; i++)
		assert_int_equal(store_write(j, record, sizeof(record), &err), 0);
	for (uint32_t i = 0; i < j->parts_n; i++)
		assert_true(j->parts[i].bytes >= store_chunk_bytes(r->store, i + 1) &&
			    j->parts[i].bytes < store_chunk_bytes(r->store, i + 1) + header.n);
	assert_int_equal(store_chunk_bytes(r->store, 1000), 1);
	assert_int_equal(store_chunk_bytes(r->store, 1001), 2);
	r->store->retry.tries = 1;
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	store_rig_stream_done(&header);
	store_rig_stream_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_job_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_object_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_total_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_total_budget_at_begin, setup, teardown),
		cmocka_unit_test(test_plan),
		cmocka_unit_test_setup_teardown(test_plan_is_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
