/* test_store.c - a running job from its first byte to its object, and what a store does when something fails on the way. */
#include "test/unit/store_rig.h"

#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
	struct store_rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	store_rig_init(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	store_rig_done(*state);
	free(*state);
	return 0;
}

static void write_all(struct store_job *j, const struct store_rig_stream *s)
{
	size_t at = 0;

	for (size_t i = 0; i < s->writes_n; i++) {
		struct err err = {0};

		assert_int_equal(store_write(j, s->bytes + at, s->ends[i] - at, &err), 0);
		at = s->ends[i];
		assert_int_equal(store_job_bytes(j), at);
	}
}

static void assert_nothing_left(struct store_rig *r, bool object)
{
	char path[TEMP_FILE_PATH_MAX + 128];
	struct job_chunk *chunks;
	struct stat st;
	size_t n, bytes;
	uint8_t *p = store_rig_object(r, &bytes);

	assert_int_equal(p != NULL, object);
	free(p);
	snprintf(path, sizeof(path), "%s/%s", r->spool, r->job);
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof(path), "%s/.uploads/%s.part", r->root, r->job);
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof(path), "%s/.uploads/%s.index", r->root, r->job);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(job_db_chunks(r->db, r->job, &chunks, &n, NULL), 0);
	job_db_chunks_free(chunks, n);
	assert_int_equal(n, 0);
}

static void stream_through(struct store_rig *r, enum frame_format format, size_t writes)
{
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, format, 1, writes);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	assert_nothing_left(r, true);
	store_rig_stream_done(&s);
}

static void test_one_chunk(void **state)
{
	stream_through(*state, FRAME_PCAPNG, 1);
}

static void test_many_chunks(void **state)
{
	stream_through(*state, FRAME_PCAPNG, 60);
}

static void test_classic_pcap(void **state)
{
	stream_through(*state, FRAME_PCAP, 60);
}

static void test_nothing_written(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct err err = {0};

	store_rig_open(r);
	assert_int_equal(store_job_finish(store_rig_begin(r), &o, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_nothing_left(r, false);
}

static void test_drop(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 2, 40);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	store_job_drop(j);
	assert_nothing_left(r, false);
	store_rig_stream_done(&s);
}

/* A retry that waits must not hold up the end. */
static void test_drop_while_failing(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 3, 20);
	r->fail_parts = 1000;
	store_rig_open(r);
	r->store->retry =
		(struct store_retry){.tries = 1000, .first_ms = 3600000, .cap_ms = 3600000, .total_ms = UINT32_MAX};
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	store_job_drop(j);
	assert_nothing_left(r, false);
	store_rig_stream_done(&s);
}

static void test_not_whole_blocks(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 4, 3);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	assert_int_equal(store_write(j, s.bytes, s.ends[0] - 4, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	write_all(j, &s);
	assert_int_equal(store_write(j, s.bytes, s.ends[0] - 4, &err), -1);
	assert_int_equal(store_job_finish(j, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	store_rig_stream_done(&s);
}

static void test_job_bytes_max(void **state)
{
	static const struct {
		const char *what;
		int beside; /* job_bytes_max against the stream */
		int rc;
	} edges[] = {{"one byte too little", -1, -1}, {"just fits", 0, 0}, {"one byte more", 1, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct driver_object o;
		struct store_rig_stream s;
		struct err err = {0};
		struct store_rig r;

		store_rig_init(&r);
		store_rig_stream_make(&s, FRAME_PCAPNG, 5, 5);
		r.job_bytes_max = (uint64_t)((int64_t)s.n + edges[i].beside);
		store_rig_open(&r);
		struct store_job *j = store_rig_begin(&r);
		s.writes_n--;
		write_all(j, &s);
		assert_int_equal(store_write(j, s.bytes + s.ends[3], s.n - s.ends[3], &err), edges[i].rc);
		assert_int_equal(err.code, edges[i].rc ? ERR_FULL : ERR_NONE);
		assert_int_equal(store_job_finish(j, &o, &err), 0);
		store_rig_assert_object(&r, &o, s.bytes, edges[i].rc ? s.ends[3] : s.n);
		store_rig_stream_done(&s);
		store_rig_done(&r);
	}
}

static void test_room(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 6, 3);
	r->job_bytes_max = STORE_TAIL_BYTES + s.n + 10;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	assert_int_equal(store_room(j), s.n + 10);
	write_all(j, &s);
	assert_int_equal(store_room(j), 10);
	store_job_drop(j);
	store_rig_stream_done(&s);
}

/* The reserve of the disk: it refuses a beginning; in the middle it lends the end notes their bytes and no more. */
static void test_disk_reserve(void **state)
{
	struct store_rig *r = *state;
	struct driver_tags tags = store_rig_tags(r);
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};
	size_t written = 0, at = 0;

	store_rig_stream_make(&s, FRAME_PCAPNG, 7, 800);
	assert_true(s.n > STORE_TAIL_BYTES);
	r->chunk_bytes = 65536;
	store_rig_open(r);
	r->store->min_free_bytes = UINT64_MAX;
	assert_null(store_job_begin(r->store, r->key, &tags, &err));
	assert_int_equal(err.code, ERR_FULL);
	assert_int_equal(store_check(r->store, &err), -1);
	assert_int_equal(err.code, ERR_FULL);
	r->store->min_free_bytes = 0;
	assert_int_equal(store_check(r->store, &err), 0);

	struct store_job *j = store_rig_begin(r);
	r->store->min_free_bytes = UINT64_MAX;
	assert_int_equal(store_room(j), 0);
	for (size_t i = 0; i < s.writes_n; at = s.ends[i++]) {
		if (store_write(j, s.bytes + at, s.ends[i] - at, &err) < 0)
			break;
		written = s.ends[i];
	}
	assert_int_equal(err.code, ERR_FULL);
	assert_in_range(written, STORE_TAIL_BYTES - 16384, STORE_TAIL_BYTES);
	assert_int_equal(store_job_finish(j, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, written);
	store_rig_stream_done(&s);
}

/* The disk refuses half way through a write: nothing of it stays, what was there is finished.  A limit on file size stands for a full disk. */
static void test_short_write(void **state)
{
	struct store_rig *r = *state;
	struct rlimit old, small;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 8, 6);
	r->chunk_bytes = 1u << 20;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	s.writes_n = 5;
	write_all(j, &s);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = s.ends[4] + 8; /* the last write has more */
	assert_true(s.n > small.rlim_cur);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(store_write(j, s.bytes + s.ends[4], s.n - s.ends[4], &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(store_write(j, s.bytes + s.ends[4], s.n - s.ends[4], &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(store_job_bytes(j), s.ends[4]);
	assert_int_equal(store_job_finish(j, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.ends[4]);
	store_rig_stream_done(&s);
}

/* Pitfall 1 and 11: a part that fails is sent again, a bounded number of times; then the job fails and the spool stays. */
static void test_part_fails_and_recovers(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 9, 30);
	r->fail_parts = 3;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	assert_int_equal(r->retries, 1);
	assert_int_equal(r->oks, 1);
	assert_int_equal(r->failures, 0);
	store_rig_stream_done(&s);
}

static void test_part_fails_for_good(void **state)
{
	static const struct {
		enum err_code code;
		unsigned calls;
	} kinds[] = {{ERR_NET, 4}, {ERR_IO, 4}, {ERR_FULL, 4}, {ERR_PERM, 1}, {ERR_INPUT, 1}, {ERR_STATE, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct driver_object o;
		struct store_rig_stream s;
		struct err err = {0};
		struct store_rig r;

		store_rig_init(&r);
		store_rig_stream_make(&s, FRAME_PCAPNG, 10, 30);
		r.fail_parts = 1000;
		r.fail_code = kinds[i].code;
		store_rig_open(&r);
		struct store_job *j = store_rig_begin(&r);
		write_all(j, &s);
		assert_int_equal(store_job_finish(j, &o, &err), -1);
		assert_int_equal(err.code, kinds[i].code);
		assert_non_null(strstr(err.msg, "chunk 1: the fake fails"));
		/* What will be the same next time is called once; the rest as often as the budget says once the job ends. */
		assert_true(kinds[i].calls == 1 ? r.fail_parts == 999 : 1000 - r.fail_parts >= kinds[i].calls);
		assert_int_equal(r.failures, 1);
		size_t n;
		assert_null(store_rig_object(&r, &n));

		/* The store is well again: nothing was lost. */
		struct driver_tags tags = store_rig_tags(&r);
		r.fail_parts = 0;
		assert_int_equal(store_recover(r.store, r.job, r.key, &tags, store_rig_tail, NULL, &o, &err), 0);
		store_rig_assert_object(&r, &o, s.bytes, s.n);
		assert_nothing_left(&r, true);
		store_rig_stream_done(&s);
		store_rig_done(&r);
	}
}

static void test_complete_fails(void **state)
{
	struct store_rig *r = *state;
	struct driver_tags tags = store_rig_tags(r);
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 11, 30);
	r->fail_complete = 100;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(err.code, ERR_NET);
	assert_int_equal(r->fail_complete, 96);
	r->fail_complete = 1;
	assert_int_equal(store_recover(r->store, r->job, r->key, &tags, store_rig_tail, NULL, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	assert_nothing_left(r, true);
	store_rig_stream_done(&s);
}

/* Pitfall 15. */
static void test_never_overwrites(void **state)
{
	struct store_rig *r = *state;
	struct driver_tags tags = store_rig_tags(r);
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 12, 3);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	assert_null(store_job_begin(r->store, r->key, &tags, &err));
	assert_int_equal(err.code, ERR_STATE);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), 0);
	assert_null(store_job_begin(r->store, r->key, &tags, &err));
	assert_int_equal(err.code, ERR_STATE);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	store_rig_stream_done(&s);
}

/* Put together by a driver that another configuration had: packets, and nobody else would know of them. */
static void test_erase_takes_staged_parts(void **state)
{
	static const char *const ends[] = {"part", "index"};
	struct store_rig *r = *state;
	char path[2][TEMP_FILE_PATH_MAX + 128], other[TEMP_FILE_PATH_MAX + 128];
	struct err err = {0};

	store_rig_open(r);
	snprintf(other, sizeof(other), "%s/" STORE_STAGING_NAME, r->spool);
	assert_int_equal(mkdir(other, 0700), 0);
	snprintf(other, sizeof(other), "%s/" STORE_STAGING_NAME "/01j00000000000000000000000.part", r->spool);
	assert_int_equal(close(creat(other, 0600)), 0);
	for (size_t i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/" STORE_STAGING_NAME "/%s.%s", r->spool, r->job, ends[i]);
		assert_int_equal(close(creat(path[i], 0600)), 0);
	}
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_int_equal(access(path[0], F_OK), -1);
	assert_int_equal(access(path[1], F_OK), -1);
	assert_int_equal(access(other, F_OK), 0);
	store_rig_close(r);
}

static void test_erase(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};
	char nonce[ID_MAX];
	struct stat st;
	char path[TEMP_FILE_PATH_MAX + 128];

	store_rig_open(r);
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_int_equal(store_erase(r->store, r->job, "", NULL, &err), 0);
	assert_int_equal(store_erase(r->store, "../x", r->key, NULL, &err), -1);
	assert_int_equal(store_erase(r->store, r->job, "../x", NULL, &err), -1);

	store_rig_stream_make(&s, FRAME_PCAPNG, 13, 30);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), 0);
	id_new(nonce);
	assert_int_equal(job_db_link_add(r->db, nonce, r->job, UINT64_C(1) << 62, &err), 0);
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_nothing_left(r, false);
	assert_int_equal(job_db_link_use(r->db, nonce, r->job, &err), -1);
	snprintf(path, sizeof(path), "%s/captures", r->root);
	assert_int_equal(stat(path, &st), -1);

	/* An upload that failed leaves spool and parts: they go too. */
	r->fail_complete = 100;
	j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_nothing_left(r, false);
	store_rig_stream_done(&s);
}

static bool known_none(void *ctx, const char *job_id)
{
	(void)ctx;
	(void)job_id;
	return false;
}

static bool known_one(void *ctx, const char *job_id)
{
	return strcmp(ctx, job_id) == 0;
}

static void test_orphans(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};
	char path[TEMP_FILE_PATH_MAX + 64];
	unsigned erased = 9, foreign = 9;
	struct stat st;

	store_rig_stream_make(&s, FRAME_PCAPNG, 14, 30);
	r->fail_complete = 100;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	snprintf(path, sizeof(path), "%s/lost+found", r->spool);
	assert_int_equal(mkdir(path, 0700), 0);

	assert_int_equal(store_orphans(r->store, known_one, r->job, &erased, &foreign, &err), 0);
	assert_int_equal(erased, 0);
	assert_int_equal(foreign, 1);
	assert_int_equal(store_orphans(r->store, known_none, NULL, &erased, &foreign, &err), 0);
	assert_int_equal(erased, 1);
	assert_int_equal(foreign, 1);
	assert_nothing_left(r, false);
	assert_int_equal(stat(path, &st), 0);
	store_rig_stream_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_chunks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_classic_pcap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_while_failing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_whole_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_job_bytes_max, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_reserve, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_fails_and_recovers, setup, teardown),
		cmocka_unit_test(test_part_fails_for_good),
		cmocka_unit_test_setup_teardown(test_complete_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_overwrites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_erase, setup, teardown),
		cmocka_unit_test_setup_teardown(test_erase_takes_staged_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orphans, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
