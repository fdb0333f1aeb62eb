/* test_jobs.c - places: each given back once, and found by id while they are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that jobs.c asks of a capture. */
struct capture {
	atomic_uint refs;
	const char *id, *user;
	struct capture_figures figures;
};

struct capture *capture_ref(struct capture *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void capture_unref(struct capture *c)
{
	assert_true(atomic_fetch_sub(&c->refs, 1) > 0);
}

const char *capture_id(const struct capture *c)
{
	return c->id;
}

const char *capture_user_id(const struct capture *c)
{
	return c->user;
}

void capture_figures(struct capture *c, struct capture_figures *ret)
{
	*ret = c->figures;
}

static struct err err;

static struct jobs *jobs_make(void)
{
	struct jobs *j;

	memset(&err, 0, sizeof(err));
	j = jobs_new(&err);
	assert_non_null(j);
	return j;
}

static void reserve(struct jobs *j, const char *user)
{
	if (jobs_reserve(j, user, &err) < 0)
		fail_msg("%s", err.msg);
}

static void only_what_was_reserved_is_given_back(void **state)
{
	struct jobs *j = jobs_make();

	(void)state;
	reserve(j, "alice");
	jobs_release(j, "bob");
	assert_int_equal(jobs_running(j), 1);
	jobs_release(j, "alice");
	jobs_release(j, "alice");
	assert_int_equal(jobs_running(j), 0);
	assert_int_equal(jobs_wait_empty(j, 0), 0);
	jobs_free(j);
}

static void captures_are_found_while_they_are_there(void **state)
{
	struct jobs *j = jobs_make();
	struct capture a = {.refs = 1, .id = "a", .user = "alice"}, b = {.refs = 1, .id = "b", .user = "bob"};
	struct capture **all;
	size_t n = 99;

	(void)state;
	assert_null(jobs_all(j, &n));
	assert_int_equal(n, 0);
	reserve(j, "alice");
	assert_null(jobs_all(j, &n)); /* a place is no capture yet */
	reserve(j, "bob");
	jobs_add(j, &b);
	jobs_add(j, &a);
	assert_int_equal(atomic_load(&a.refs), 2);
	assert_int_equal(jobs_running(j), 2);
	jobs_release(j, "alice"); /* nothing is reserved any more */
	assert_int_equal(jobs_running(j), 2);

	assert_ptr_equal(jobs_find(j, "a"), &a);
	capture_unref(&a);
	assert_null(jobs_find(j, "c"));
	assert_null(jobs_find(j, ""));
	all = jobs_all(j, &n);
	assert_non_null(all);
	assert_int_equal(n, 2);
	assert_true((all[0] == &a && all[1] == &b) || (all[0] == &b && all[1] == &a));
	assert_int_equal(atomic_load(&b.refs), 3);
	capture_unref(all[0]);
	capture_unref(all[1]);
	free(all);

	assert_int_equal(jobs_wait_empty(j, 1), -1);
	jobs_remove(j, &a);
	assert_null(jobs_find(j, "a"));
	jobs_remove(j, &b);
	assert_int_equal(atomic_load(&a.refs), 1);
	assert_int_equal(atomic_load(&b.refs), 1);
	assert_int_equal(jobs_running(j), 0);
	assert_int_equal(jobs_wait_empty(j, 0), 0);
	jobs_free(j);
}

static void who_has_ended_takes_no_place_but_is_found(void **state)
{
	struct jobs *j = jobs_make();
	struct capture a = {.refs = 1, .id = "a", .user = "alice"}, next = {.refs = 1, .id = "n", .user = "alice"};

	(void)state;
	reserve(j, "alice");
	jobs_add(j, &a);
	jobs_idle(j, &a);
	jobs_idle(j, &a);
	assert_int_equal(jobs_running(j), 0);
	assert_ptr_equal(jobs_find(j, "a"), &a);
	capture_unref(&a);
	reserve(j, "alice");
	jobs_add(j, &next);
	jobs_remove(j, &a); /* its place was given back before: not twice */
	assert_int_equal(jobs_running(j), 1);
	jobs_remove(j, &next);
	assert_int_equal(jobs_running(j), 0);
	jobs_free(j);
}

/* What a capture had stays when it goes: at no moment is it counted twice, or not at all. */
static void figures_are_taken_over(void **state)
{
	struct jobs *j = jobs_make();
	struct capture a = {.refs = 1,
		.id = "a",
		.user = "alice",
		.figures = {.packets = 5, .bytes = 50, .late_packets = 1, .state = JOB_RUNNING, .streams = 2}};
	struct capture b = {.refs = 1,
		.id = "b",
		.user = "alice",
		.figures = {.packets = 7, .dropped.kernel = 3, .state = JOB_FINISHING, .viewers = 1}};
	struct capture_figures sum;
	size_t by_state[JOB_STATES_N];

	(void)state;
	reserve(j, "alice");
	jobs_figures(j, &sum, by_state);
	assert_int_equal(sum.packets, 0);
	jobs_add(j, &a);
	reserve(j, "alice");
	jobs_add(j, &b);
	jobs_figures(j, &sum, by_state);
	assert_int_equal(sum.packets, 12);
	assert_int_equal(sum.streams, 2);
	assert_int_equal(by_state[JOB_RUNNING], 1);
	assert_int_equal(by_state[JOB_FINISHING], 1);
	jobs_idle(j, &a);
	a.figures.packets = 6;
	jobs_remove(j, &a);
	jobs_figures(j, &sum, by_state);
	assert_int_equal(sum.packets, 13);
	assert_int_equal(sum.bytes, 50);
	assert_int_equal(sum.late_packets, 1);
	assert_int_equal(sum.streams, 0);
	assert_int_equal(sum.viewers, 1);
	assert_int_equal(by_state[JOB_RUNNING], 0);
	jobs_remove(j, &b);
	jobs_figures(j, &sum, by_state);
	assert_int_equal(sum.packets, 13);
	assert_int_equal(sum.dropped.kernel, 3);
	assert_int_equal(sum.viewers, 0);
	jobs_free(j);
}

static void who_closes_gives_no_more_places(void **state)
{
	struct jobs *j = jobs_make();

	(void)state;
	reserve(j, "alice");
	jobs_close(j);
	jobs_close(j);
	assert_int_equal(jobs_reserve(j, "alice", &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.detail, "draining");
	assert_int_equal(jobs_reserve(j, "bob", NULL), -1);
	assert_int_equal(jobs_running(j), 1); /* what runs goes on */
	jobs_release(j, "alice");
	assert_int_equal(jobs_wait_empty(j, 0), 0);
	jobs_free(j);
}

static void one_at_a_time_has_the_claim(void **state)
{
	struct jobs *j = jobs_make();
	struct capture a = {.refs = 1, .id = "a", .user = "alice"};

	(void)state;
	assert_int_equal(jobs_claim(j, "a", 0, &err), 0);
	assert_int_equal(jobs_claim(j, "b", 0, &err), 0); /* another's */
	assert_int_equal(jobs_claim(j, "a", 1, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	jobs_unclaim(j, "a");
	jobs_unclaim(j, "a");
	assert_int_equal(jobs_claim(j, "a", 0, &err), 0);
	jobs_unclaim(j, "a");
	jobs_unclaim(j, "b");

	/* Who runs has it, to the very end. */
	reserve(j, "alice");
	jobs_add(j, &a);
	assert_int_equal(jobs_claim(j, "a", 1, &err), -1);
	jobs_idle(j, &a);
	assert_int_equal(jobs_claim(j, "a", 1, &err), -1);
	jobs_remove(j, &a);
	assert_int_equal(jobs_claim(j, "a", 0, &err), 0);
	jobs_unclaim(j, "a");
	jobs_free(j);
}

/* ---- with threads ---- */

#define THREADS 64
#define ROUNDS  200

struct racer {
	struct jobs *jobs;
	char user[16];
	unsigned got;
};

static pthread_barrier_t line;
static atomic_int inside;

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(&line);
	for (unsigned i = 0; i < ROUNDS; i++) {
		r->got += jobs_reserve(r->jobs, r->user, NULL) == 0;
		jobs_release(r->jobs, r->user);
	}
	return NULL;
}

static unsigned run_race(struct jobs *j, void *(*fn)(void *), unsigned users)
{
	struct racer racers[THREADS];
	pthread_t threads[THREADS];
	unsigned got = 0;

	assert_int_equal(pthread_barrier_init(&line, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){.jobs = j};
		snprintf(racers[i].user, sizeof(racers[i].user), "user%u", i % users);
		assert_int_equal(pthread_create(&threads[i], NULL, fn, &racers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		got += racers[i].got;
	}
	pthread_barrier_destroy(&line);
	return got;
}

static void places_come_and_go_without_loss(void **state)
{
	struct jobs *j = jobs_make();

	(void)state;
	assert_int_equal(run_race(j, race, 8), THREADS * ROUNDS);
	assert_int_equal(jobs_running(j), 0);
	assert_int_equal(jobs_wait_empty(j, 0), 0);
	jobs_free(j);
}

static void *race_for_claim(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(&line);
	for (unsigned i = 0; i < 20; i++) {
		if (jobs_claim(r->jobs, "job", 60000, NULL) < 0)
			continue;
		r->got += atomic_fetch_add(&inside, 1) == 0; /* alone */
		atomic_fetch_sub(&inside, 1);
		jobs_unclaim(r->jobs, "job");
	}
	return NULL;
}

static void claims_are_waited_for(void **state)
{
	struct jobs *j = jobs_make();

	(void)state;
	atomic_store(&inside, 0);
	assert_int_equal(run_race(j, race_for_claim, 1), THREADS * 20);
	jobs_free(j);
}

static void *release(void *arg)
{
	jobs_release(arg, "alice");
	return NULL;
}

static void the_last_one_out_is_noticed(void **state)
{
	struct jobs *j = jobs_make();
	pthread_t thread;

	(void)state;
	reserve(j, "alice");
	assert_int_equal(pthread_create(&thread, NULL, release, j), 0);
	assert_int_equal(jobs_wait_empty(j, 60000), 0);
	pthread_join(thread, NULL);
	jobs_free(j);
	jobs_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_was_reserved_is_given_back),
		cmocka_unit_test(captures_are_found_while_they_are_there),
		cmocka_unit_test(who_has_ended_takes_no_place_but_is_found),
		cmocka_unit_test(figures_are_taken_over),
		cmocka_unit_test(who_closes_gives_no_more_places),
		cmocka_unit_test(one_at_a_time_has_the_claim),
		cmocka_unit_test(places_come_and_go_without_loss),
		cmocka_unit_test(claims_are_waited_for),
		cmocka_unit_test(the_last_one_out_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
