/* store_attempt.c - calls of the driver that may fail: tried again as long as that is of use, with what is told about it on the way.
 *
 * What will be the same next time is final at once.  Anything else is tried again for as long as the capture runs; a budget of tries and time
 * counts from the moment when the job is being finished.  An outage is the job's, not the part's: it begins with the first call that
 * fails and is over when every call that had failed has worked. */
#include "uploader/store_internal.h"

#include "common/clock.h"
#include "common/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How one call is doing. */
struct pace {
	bool failed;       /* it counts in the job's failing */
	bool counts;       /* the job is being finished: the budget counts */
	unsigned waits;    /* that the back-off has grown by */
	unsigned tries;    /* of the budget */
	uint64_t since_ns; /* that: from the first failure, or from the beginning of the end */
};

static void tell(struct store_job *j, const char *type, const char *what, const char *text)
{
	char *sentence;

	if (!j->store->on_event)
		return;
	sentence = fs_path("%s: %s", what, text);
	j->store->on_event(j->store->ctx, j->id, type, sentence ? sentence : what);
	free(sentence);
}

/* The lock is held. */
static void outage_set(struct store_job *j, const struct err *why)
{
	if (j->outage_since_ns == 0)
		j->outage_since_ns = clock_wall_ns();
	snprintf(j->outage, sizeof(j->outage), "%.*s", (int)sizeof(j->outage) - 1, why->msg);
}

static void outage_note(struct store_job *j, const char *what, const struct err *why, struct pace *p)
{
	bool begins = false;

	pthread_mutex_lock(&j->lock);
	if (!p->failed) {
		p->failed = true;
		begins = j->failing++ == 0;
	}
	outage_set(j, why);
	pthread_mutex_unlock(&j->lock);
	atomic_fetch_add(&j->store->counted.attempts_failed, 1);
	if (begins)
		tell(j, "storage_retry", what, why->msg);
}

static void outage_over(struct store_job *j, const char *what, const struct pace *p)
{
	bool over;

	if (!p->failed)
		return;
	pthread_mutex_lock(&j->lock);
	over = --j->failing == 0 && !j->failed;
	if (over) {
		j->outage_since_ns = 0;
		j->outage[0] = '\0';
	}
	pthread_mutex_unlock(&j->lock);
	if (over)
		tell(j, "storage_ok", what, "stored at last");
}

/* Of calls that fail for good at the same time the first one is told. */
static void give_up(struct store_job *j, const char *what, struct err *why)
{
	char text[ERR_MSG_MAX];
	bool first;

	snprintf(text, sizeof(text), "%s", why->msg);
	if (why->code == ERR_NOT_FOUND) /* which would say to callers that there was nothing to store */
		why->code = ERR_STATE;
	err_in(why, "%s", what);
	pthread_mutex_lock(&j->lock);
	first = !j->failed;
	if (first) {
		j->failed = true;
		j->why = *why;
		outage_set(j, why);
		atomic_store(&j->lost, store_is_lost(why));
	}
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
	if (!first)
		return;
	atomic_fetch_add(&j->store->counted.given_up, 1);
	tell(j, "storage_failed", what, text);
}

static uint64_t wait_ms(const struct store_retry *r, unsigned waits)
{
	uint64_t ms = r->first_ms;
	uint16_t random;

	for (unsigned i = 0; i < waits && ms < r->cap_ms; i++)
		ms *= 2;
	if (ms > r->cap_ms)
		ms = r->cap_ms;
	digest_random(&random, sizeof(random));
	return ms - ms / 2 * random / UINT16_MAX;
}

/* The last wait ends with the budget's time. */
static uint64_t next_wait_ms(const struct store_job *j, struct pace *p)
{
	uint64_t ms = wait_ms(&j->store->retry, p->waits++), gone;

	if (!p->counts)
		return ms;
	gone = (clock_mono_ns() - p->since_ns) / CLOCK_NS_PER_MS;
	if (gone >= j->store->retry.total_ms)
		return 0;
	return ms < j->store->retry.total_ms - gone ? ms : j->store->retry.total_ms - gone;
}

/* Waits; also until the job begins to be finished, so that nobody who stops a capture waits out a long back-off.  false: cancelled or
 * given up meanwhile. */
static bool wait_again(struct store_job *j, struct pace *p)
{
	struct timespec until = clock_deadline(next_wait_ms(j, p));
	bool go_on;
	int rc = 0;

	pthread_mutex_lock(&j->lock);
	while (!j->cancelled && !j->failed && j->ended == p->counts && rc == 0)
		rc = pthread_cond_timedwait(&j->cond, &j->lock, &until);
	go_on = !j->cancelled && !j->failed;
	pthread_mutex_unlock(&j->lock);
	return go_on;
}

/* After a failure: is the budget used up? */
static bool used_up(struct store_job *j, struct pace *p)
{
	const struct store_retry *r = &j->store->retry;

	pthread_mutex_lock(&j->lock);
	if (j->ended && !p->counts) {
		p->counts = true;
		p->waits = 0;
		p->since_ns = p->failed ? j->ended_ns : clock_mono_ns();
	}
	pthread_mutex_unlock(&j->lock);
	if (!p->counts)
		return false;
	return ++p->tries >= r->tries || clock_mono_ns() - p->since_ns >= r->total_ms * CLOCK_NS_PER_MS;
}

static bool is_stopped(struct store_job *j)
{
	bool stopped;

	pthread_mutex_lock(&j->lock);
	stopped = j->cancelled || j->failed;
	pthread_mutex_unlock(&j->lock);
	return stopped;
}

int store_attempt(struct store_job *j, const struct store_attempt *a, struct err *err)
{
	struct pace p = {0};
	struct err why = {0};

	while (a->run(j, a->arg, &why) < 0) {
		if (why.code == ERR_CANCELLED && is_stopped(j))
			goto stopped;
		if (a->is_final(&why) || used_up(j, &p)) {
			give_up(j, a->what, &why);
			goto fail;
		}
		outage_note(j, a->what, &why, &p);
		if (!wait_again(j, &p))
			goto stopped;
		memset(&why, 0, sizeof(why));
	}
	outage_over(j, a->what, &p);
	return 0;
stopped:
	err_in(&why, "%s", a->what);
fail:
	if (err)
		*err = why;
	return -1;
}

void store_job_status(struct store_job *j, struct store_job_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&j->lock);
	ret->parts_waiting = j->parts_n - j->stored_n;
	ret->bytes_waiting = j->waiting_bytes;
	ret->unreachable_since_ns = j->outage_since_ns;
	snprintf(ret->error, sizeof(ret->error), "%s", j->outage);
	pthread_mutex_unlock(&j->lock);
}
