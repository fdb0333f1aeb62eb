/* test_store_upload.c - parts that go to a bucket several at once: opened once, in any order, through outages, and what comes of an upload that the
 * bucket has forgotten. */
#include "test/unit/store_rig.h"

#include "test/unit/store_rig_bucket.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000u

static int setup(void **state)
{
	struct store_rig *r = malloc(sizeof(*r));

	assert_non_null(r);
	store_rig_init(r);
	r->parallel = 4;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	store_rig_done(*state);
	free(*state);
	return 0;
}

static void write_some(struct store_job *j, const struct store_rig_stream *s, size_t from, size_t to)
{
	size_t at = from ? s->ends[from - 1] : 0;

	for (size_t i = from; i < to; at = s->ends[i++]) {
		struct err err = {0};

		if (store_write(j, s->bytes + at, s->ends[i] - at, &err) < 0)
			fail_msg("store_write: %s", err.msg);
	}
}

static void write_all(struct store_job *j, const struct store_rig_stream *s)
{
	write_some(j, s, 0, s->writes_n);
}

static void assert_no_object(struct store_rig *r)
{
	size_t n;

	assert_null(store_rig_object(r, &n));
}

static void assert_clean(struct store_rig *r)
{
	char path[TEMP_FILE_PATH_MAX + 128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", r->spool, r->job);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(store_rig_bucket_uploads(r->root), 0);
	assert_int_equal(r->mistakes, 0);
	assert_int_equal(atomic_load(&r->store->spool_bytes), 0);
}

static struct store_job_status status_of(struct store_job *j)
{
	struct store_job_status st;

	store_job_status(j, &st);
	return st;
}

static void wait_until(bool (*is)(struct store_rig *r, struct store_job *j), struct store_rig *r, struct store_job *j)
{
	for (unsigned ms = 0; !is(r, j); ms++) {
		if (ms > PATIENCE_MS)
			fail_msg("it never came so far");
		usleep(1000);
	}
}

static void finish_well(struct store_rig *r, struct store_job *j, const struct store_rig_stream *s)
{
	struct driver_object o;
	struct err err = {0};

	if (store_job_finish(j, &o, &err) < 0)
		fail_msg("store_job_finish: %s", err.msg);
	store_rig_assert_object(r, &o, s->bytes, s->n);
	assert_clean(r);
}

static int recover(struct store_rig *r, struct driver_object *ret, struct err *err)
{
	struct driver_tags tags = store_rig_tags(r);

	return store_recover(r->store, r->job, r->key, &tags, store_rig_tail, NULL, ret, err);
}

/* ---- several at once ---- */

static void test_parallel(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 1, 120);
	r->hold_seq = 1; /* the first part comes last of the first four */
	r->hold_until = 3;
	r->slow_us = 2000;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	finish_well(r, j, &s);
	assert_int_equal(r->opens, 1);
	assert_int_equal(r->alones, 0);
	assert_in_range(r->in_flight_max, 2, 4);
	assert_true(r->overtaken > 0);
	assert_int_equal(r->retries + r->oks + r->failures, 0);
	store_rig_stream_done(&s);
}

/* A driver that takes one at a time gets them in order. */
static void test_one_at_a_time(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 2, 60);
	r->parallel = 1;
	r->slow_us = 500;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	finish_well(r, j, &s);
	assert_int_equal(r->in_flight_max, 1);
	assert_int_equal(r->overtaken, 0);
	store_rig_stream_done(&s);
}

/* What fits into one chunk is put without an upload. */
static void test_alone(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 3, 5);
	r->chunk_bytes = 1u << 20;
	r->fail_parts = 2;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	finish_well(r, j, &s);
	assert_int_equal(r->opens, 0);
	assert_int_equal(r->alones, 3);
	store_rig_stream_done(&s);
}

static void test_open_fails_first(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 4, 60);
	r->fail_open = 3;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	finish_well(r, j, &s);
	assert_int_equal(r->opens, 1);
	assert_int_equal(r->retries, 1);
	assert_int_equal(r->oks, 1);
	store_rig_stream_done(&s);
}

/* What comes between the driver's opening and its record fails: the upload is not opened twice. */
static void test_state_fails(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 17, 60);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	r->fail_state = 3;
	write_all(j, &s);
	finish_well(r, j, &s);
	assert_int_equal(r->opens, 1);
	assert_int_equal(r->retries, 1);
	store_rig_stream_done(&s);
}

/* The database fails for good between the driver's opening and its record: no part is sent. */
static void test_record_fails(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 5, 60);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	/* A job that the database does not know cannot be recorded. */
	char id[ID_MAX];
	memcpy(id, j->id, sizeof(id));
	id_new(j->id);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_not_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(r->opens, 1);
	assert_int_equal(r->parts_done, 0);
	assert_int_equal(r->failures, 1);
	/* What was written lies in its folder. */
	assert_int_equal(recover(r, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	assert_clean(r);
	store_rig_stream_done(&s);
}

/* ---- outages ---- */

static bool has_failed_often(struct store_rig *r, struct store_job *j)
{
	unsigned left;

	(void)j;
	pthread_mutex_lock(&r->lock);
	left = r->fail_parts;
	pthread_mutex_unlock(&r->lock);
	return left < 1000000 - 50; /* far more than the budget of tries */
}

static void heal(struct store_rig *r)
{
	pthread_mutex_lock(&r->lock);
	r->fail_parts = 0;
	pthread_mutex_unlock(&r->lock);
}

static bool is_well(struct store_rig *r, struct store_job *j)
{
	struct store_job_status st = status_of(j);

	(void)r;
	return st.unreachable_since_ns == 0 && st.parts_waiting == 0;
}

/* While the capture runs the store is waited for, however long it takes; then all is uploaded without anybody's doing. */
static void test_outage(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;
	struct store_job_status st;

	store_rig_stream_make(&s, FRAME_PCAPNG, 6, 120);
	r->fail_parts = 1000000;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	st = status_of(j);
	assert_int_equal(st.parts_waiting, 0);
	assert_int_equal(st.unreachable_since_ns, 0);
	assert_string_equal(st.error, "");
	write_some(j, &s, 0, 100);
	wait_until(has_failed_often, r, j);
	st = status_of(j);
	assert_int_equal(st.parts_waiting, j->parts_n);
	assert_int_equal(st.bytes_waiting, s.ends[99] - j->chunk_bytes);
	assert_in_range(st.unreachable_since_ns, UINT64_C(1600000000) * 1000000000, UINT64_MAX);
	assert_non_null(strstr(st.error, "the fake fails"));
	heal(r);
	wait_until(is_well, r, j);
	assert_string_equal(status_of(j).error, "");
	write_some(j, &s, 100, s.writes_n);
	finish_well(r, j, &s);
	assert_int_equal(r->retries, 1);
	assert_int_equal(r->oks, 1);
	assert_int_equal(r->failures, 0);
	store_rig_stream_done(&s);
}

/* From the moment of finishing tries are counted; what there is stays for later. */
static void test_outage_at_the_end(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 7, 60);
	r->fail_parts = 1000000;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	wait_until(has_failed_often, r, j);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(err.code, ERR_NET);
	assert_string_equal(err.detail, "");
	assert_int_equal(r->retries, 1);
	assert_int_equal(r->oks, 0);
	assert_int_equal(r->failures, 1);
	assert_no_object(r);
	heal(r);
	assert_int_equal(recover(r, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	assert_clean(r);
	store_rig_stream_done(&s);
}

static bool all_have_failed(struct store_rig *r, struct store_job *j)
{
	unsigned failing;

	(void)r;
	pthread_mutex_lock(&j->lock);
	failing = j->failing;
	pthread_mutex_unlock(&j->lock);
	return failing == 4;
}

/* A long back-off is cut short when the capture is stopped. */
static void test_finish_does_not_wait(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 8, 60);
	r->fail_parts = 4; /* each thread once, and then an hour's wait */
	store_rig_open(r);
	r->store->retry = (struct store_retry){.tries = 4, .first_ms = 3600000, .cap_ms = 3600000, .total_ms = 60000};
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	wait_until(all_have_failed, r, j);
	finish_well(r, j, &s);
	store_rig_stream_done(&s);
}

static bool has_failed(struct store_rig *r, struct store_job *j)
{
	unsigned failures;

	(void)j;
	pthread_mutex_lock(&r->lock);
	failures = r->failures;
	pthread_mutex_unlock(&r->lock);
	return failures > 0;
}

/* What will be the same next time ends the upload at once, told once; the capture goes on into the spool. */
static void test_never(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 9, 60);
	r->fail_parts = 1000000;
	r->fail_code = ERR_PERM;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_some(j, &s, 0, 40);
	wait_until(has_failed, r, j);
	assert_true(status_of(j).unreachable_since_ns > 0);
	assert_non_null(strstr(status_of(j).error, "the fake fails"));
	write_some(j, &s, 40, s.writes_n);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(err.code, ERR_PERM);
	assert_in_range(1000000 - r->fail_parts, 1, 4);
	assert_int_equal(r->failures, 1);
	assert_int_equal(r->retries, 0);
	heal(r);
	assert_int_equal(recover(r, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	store_rig_stream_done(&s);
}

/* Nobody who drops a job waits for the store: neither for a back-off, nor for the opening, nor for a part that hangs. */
static void test_drop(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	for (unsigned i = 0; i < 3; i++) {
		store_rig_stream_make(&s, FRAME_PCAPNG, 10, 60);
		r->fail_open = i == 0 ? 1000000 : 0;
		r->fail_parts = i == 1 ? 1000000 : 0;
		r->hold_seq = i == 2 ? 2 : 0;
		r->hold_until = 1000000;
		r->cancelled = false;
		store_rig_open(r);
		r->store->retry =
			(struct store_retry){.tries = 4, .first_ms = 3600000, .cap_ms = 3600000, .total_ms = 1};
		struct store_job *j = store_rig_begin(r);
		write_all(j, &s);
		store_job_drop(j);
		assert_true(r->cancelled);
		assert_int_equal(r->failures, 0);
		assert_clean(r);
		assert_no_object(r);
		store_rig_close(r);
		store_rig_stream_done(&s);
	}
}

struct canceller {
	struct store_rig *r;
	struct store_job *j;
	bool all;
};

static void *cancel_main(void *arg)
{
	struct canceller *x = arg;
	bool ended = false;

	while (!ended) {
		pthread_mutex_lock(&x->j->lock);
		ended = x->j->ended;
		pthread_mutex_unlock(&x->j->lock);
		(void)poll(NULL, 0, 1);
	}
	store_cancel(x->r->store, "01j00000000000000000000000"); /* another one's: nothing happens */
	store_cancel(x->r->store, x->all ? NULL : x->r->job);
	return NULL;
}

/* Finishing ends at once when nobody wants to wait for it any more, and the spool stays. */
static void test_cancel_while_finishing(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;

	for (unsigned i = 0; i < 4; i++) {
		struct canceller x = {.r = r, .all = i & 1};
		struct err err = {0};
		pthread_t thread;

		store_rig_stream_make(&s, FRAME_PCAPNG, 11, 60);
		r->fail_parts = i < 2 ? 1000000 : 0;
		r->hold_seq = i < 2 ? 0 : 2; /* a part that hangs */
		r->hold_until = 1000000;
		store_rig_open(r);
		r->store->retry = (struct store_retry){
			.tries = 1000000, .first_ms = 3600000, .cap_ms = 3600000, .total_ms = 3600000};
		x.j = store_rig_begin(r);
		write_all(x.j, &s);
		assert_int_equal(pthread_create(&thread, NULL, cancel_main, &x), 0);
		assert_int_equal(store_job_finish(x.j, &o, &err), -1);
		pthread_join(thread, NULL);
		assert_int_equal(err.code, ERR_CANCELLED);
		assert_no_object(r);
		store_rig_close(r);
		r->fail_parts = r->hold_seq = 0;
		store_rig_open(r);
		if (recover(r, &o, &err) < 0)
			fail_msg("store_recover: %s", err.msg);
		store_rig_assert_object(r, &o, s.bytes, s.n);
		assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
		store_rig_close(r);
		store_rig_stream_done(&s);
	}
}

/* Once nobody waits for anything, nothing is begun either. */
static void test_cancel_before_recovery(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 12, 60);
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	store_cancel(r->store, NULL);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(recover(r, &o, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	store_rig_close(r);
	store_rig_open(r);
	assert_int_equal(recover(r, &o, &err), 0);
	store_rig_assert_object(r, &o, s.bytes, s.n);
	store_rig_stream_done(&s);
}

/* ---- an upload that the store has forgotten ---- */

static void test_forgotten_before_anything(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	for (unsigned slow = 0; slow < 2; slow++) {
		store_rig_stream_make(&s, FRAME_PCAPNG, 11, 60);
		r->opens = 0;
		r->forget_at_part = 1;
		r->slow_us = slow * 3000;
		store_rig_open(r);
		struct store_job *j = store_rig_begin(r);
		write_all(j, &s);
		finish_well(r, j, &s);
		assert_int_equal(r->opens, 2);
		assert_int_equal(r->retries, slow + 1);
		assert_int_equal(r->oks, slow + 1);
		assert_int_equal(store_erase(r->store, r->job, r->key, NULL, NULL), 0);
		store_rig_close(r);
		store_rig_stream_done(&s);
	}
}

/* A part that was stored in the upload which another one finds forgotten: it is not believed. */
static void test_late_part(void **state)
{
	struct store_rig *r = *state;
	struct store_rig_stream s;

	store_rig_stream_make(&s, FRAME_PCAPNG, 18, 60);
	r->forget_at_part = 1;
	r->late_seq = 1;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	finish_well(r, j, &s);
	assert_int_equal(r->opens, 2);
	assert_int_equal(r->late_seq, 0);
	store_rig_stream_done(&s);
}

static bool is_lost(struct store_rig *r, struct store_job *j)
{
	(void)r;
	return atomic_load(&j->lost);
}

static void lost_for_good(struct store_rig *r)
{
	struct driver_object o;
	struct err err = {0};

	for (unsigned i = 0; i < 2; i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(recover(r, &o, &err), -1);
		assert_int_equal(err.code, ERR_IO);
		assert_string_equal(err.detail, "storage_lost");
		assert_no_object(r);
	}
	assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
	assert_clean(r);
}

/* Parts that were confirmed are gone, and their files too: no object, and it is said. */
static void test_forgotten_after_confirmed(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 12, 60);
	r->forget_at_part = 9;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	/* The writer learns of it while it writes, or with its next write. */
	for (size_t i = 0, at = 0; i < 59 && store_write(j, s.bytes + at, s.ends[i] - at, NULL) == 0; i++)
		at = s.ends[i];
	wait_until(is_lost, r, j);
	assert_int_equal(store_write(j, s.bytes + s.ends[58], s.n - s.ends[58], &err), -1);
	assert_string_equal(err.detail, "storage_lost");
	memset(&err, 0, sizeof(err));
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err.detail, "storage_lost");
	assert_non_null(strstr(err.msg, "has forgotten the upload"));
	assert_int_equal(r->failures, 1);
	assert_no_object(r);
	lost_for_good(r);
	store_rig_stream_done(&s);
}

static void test_forgotten_at_the_end(void **state)
{
	struct store_rig *r = *state;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 13, 60);
	r->forget_at_complete = true;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err.detail, "storage_lost");
	lost_for_good(r);
	store_rig_stream_done(&s);
}

/* ---- what is erased ---- */

static bool two_are_stored(struct store_rig *r, struct store_job *j)
{
	struct store_job_status st = status_of(j);

	(void)r;
	return j->parts_n - st.parts_waiting >= 2;
}

static void test_erase_counts(void **state)
{
	struct store_rig *r = *state;
	struct driver_erased erased = {9, 9, 9};
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 14, 60);
	store_rig_open(r);
	assert_int_equal(store_erase(r->store, r->job, r->key, &erased, &err), 0);
	assert_int_equal(erased.objects + erased.uploads + erased.bytes, 0);

	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	finish_well(r, j, &s);
	assert_int_equal(store_erase(r->store, r->job, r->key, &erased, &err), 0);
	assert_int_equal(erased.objects, 1);
	assert_int_equal(erased.uploads, 0);
	assert_int_equal(erased.bytes, s.n);

	r->fail_complete = 100;
	j = store_rig_begin(r);
	write_all(j, &s);
	wait_until(two_are_stored, r, j);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(store_rig_bucket_uploads(r->root), 1);
	assert_int_equal(store_erase(r->store, r->job, r->key, &erased, &err), 0);
	assert_int_equal(erased.objects, 0);
	assert_int_equal(erased.uploads, 1);
	assert_clean(r);
	store_rig_stream_done(&s);
}

static bool known_none(void *ctx, const char *job_id)
{
	(void)ctx;
	(void)job_id;
	return false;
}

/* An orphan's upload is found by the key that lies in its folder. */
static void test_orphan(void **state)
{
	struct store_rig *r = *state;
	unsigned erased = 0, foreign = 0;
	struct driver_object o;
	struct store_rig_stream s;
	struct err err = {0};

	store_rig_stream_make(&s, FRAME_PCAPNG, 15, 60);
	r->fail_complete = 100;
	store_rig_open(r);
	struct store_job *j = store_rig_begin(r);
	write_all(j, &s);
	assert_int_equal(store_job_finish(j, &o, &err), -1);
	assert_int_equal(store_rig_bucket_uploads(r->root), 1);
	assert_int_equal(store_orphans(r->store, known_none, NULL, &erased, &foreign, &err), 0);
	assert_int_equal(erased, 1);
	assert_clean(r);
	store_rig_stream_done(&s);
}

/* ---- objects ---- */

static void test_read_and_examine(void **state)
{
	struct store_rig *r = *state;
	struct driver_findings findings = {.n = 9};
	struct store_rig_stream s;
	struct err err = {0};
	uint8_t got[64];

	for (unsigned i = 0; i < 2; i++) {
		store_rig_stream_make(&s, FRAME_PCAPNG, 16, 5);
		r->parallel = i ? 0 : 4;
		store_rig_open(r);
		assert_int_equal(store_objects_are_files(r->store), i == 1);
		assert_int_equal(store_examine(r->store, &findings, &err), 0);
		assert_int_equal(findings.n, i ? 0 : 1);
		struct store_job *j = store_rig_begin(r);
		write_all(j, &s);
		finish_well(r, j, &s);
		assert_int_equal(store_object_read(r->store, r->key, s.n - 64, got, 64, &err), 0);
		assert_memory_equal(got, s.bytes + s.n - 64, 64);
		assert_int_equal(store_object_read(r->store, r->key, s.n - 63, got, 64, &err), -1);
		assert_int_equal(store_object_read(r->store, r->key, UINT64_MAX, got, 64, &err), -1);
		assert_int_equal(store_object_read(r->store, "none.pcapng", 0, got, 1, &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_int_equal(store_erase(r->store, r->job, r->key, NULL, &err), 0);
		store_rig_close(r);
		store_rig_stream_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_parallel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_fails_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outage_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_while_finishing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_before_recovery, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_before_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_part, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_after_confirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_erase_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orphan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_and_examine, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
