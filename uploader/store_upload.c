/* store_upload.c - closed chunks to the driver, in threads of the job's own while the capture runs, and the object at the end.  Each thread takes
 * the first part that is neither stored nor taken; until the upload is open only one is out. */
#include "uploader/store_internal.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- threads ---- */

/* The first part that is neither stored nor taken, 0: none.  The lock is held. */
static uint32_t part_free(struct store_job *j)
{
	while (j->parts_from < j->parts_n && j->parts[j->parts_from].part)
		j->parts_from++;
	for (uint32_t i = j->parts_from; i < j->parts_n; i++)
		if (!j->parts[i].part && !j->parts[i].taken)
			return i + 1;
	return 0;
}

/* Waits for a part; false: there is none and none will come. */
static bool part_take(struct store_job *j, struct store_part *w)
{
	bool opens = j->store->driver->ops->upload_open != NULL, found = false;
	uint32_t seq;

	pthread_mutex_lock(&j->lock);
	while (!j->cancelled && !j->failed) {
		seq = part_free(j);
		if (seq > 0 && (j->opened || j->taken_n == 0)) {
			w->seq = seq;
			w->part = j->parts[seq - 1];
			w->alone = seq == 1 && w->part.note.last && !(opens && j->opened);
			j->parts[seq - 1].taken = true;
			j->taken_n++;
			found = true;
			break;
		}
		if (seq == 0 && j->ended)
			break;
		pthread_cond_wait(&j->cond, &j->lock);
	}
	pthread_mutex_unlock(&j->lock);
	return found;
}

static void *upload_main(void *arg)
{
	struct store_job *j = arg;
	struct store_part w;
	char what[32];

	while (part_take(j, &w)) {
		const struct store_attempt a = {
			.what = what, .run = store_part_run, .arg = &w, .is_final = store_part_is_final};

		snprintf(what, sizeof(what), "chunk %" PRIu32, w.seq);
		if (store_attempt(j, &a, NULL) < 0)
			break; /* what failed for good stands in the job */
	}
	return NULL;
}

static unsigned threads_max(const struct store_job *j)
{
	const struct driver *d = j->store->driver;
	unsigned n = d->ops->parallel ? d->ops->parallel(d) : 1;

	if (n == 0)
		n = 1;
	return n < STORE_THREADS_MAX ? n : STORE_THREADS_MAX;
}

/* As many threads as have something to do.  Where none can be made, the chunks wait for the next one, or for store_upload_rest. */
static void threads_fill(struct store_job *j)
{
	unsigned max = threads_max(j), idle;
	uint32_t waiting;

	pthread_mutex_lock(&j->lock);
	waiting = j->parts_n - j->stored_n - j->taken_n;
	idle = j->threads_n > j->taken_n ? j->threads_n - j->taken_n : 0;
	pthread_mutex_unlock(&j->lock);
	for (; idle < waiting && j->threads_n < max; idle++, j->threads_n++)
		if (pthread_create(&j->threads[j->threads_n], NULL, upload_main, j) != 0)
			break;
}

static void threads_join(struct store_job *j)
{
	while (j->threads_n > 0)
		pthread_join(j->threads[--j->threads_n], NULL);
}

void store_upload_wake(struct store_job *j)
{
	pthread_mutex_lock(&j->lock);
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
	threads_fill(j);
}

/* No more parts will come: from now on the budget of tries counts. */
static void parts_end(struct store_job *j)
{
	pthread_mutex_lock(&j->lock);
	if (!j->ended) {
		j->ended = true;
		j->ended_ns = clock_mono_ns();
		pthread_cond_broadcast(&j->cond);
	}
	pthread_mutex_unlock(&j->lock);
}

int store_upload_rest(struct store_job *j, struct err *err)
{
	parts_end(j);
	threads_fill(j);
	if (j->threads_n == 0)
		upload_main(j);
	threads_join(j);
	if (j->failed) {
		if (err)
			*err = j->why;
		return -1;
	}
	if (j->stored_n < j->parts_n)
		return err_set(err, ERR_CANCELLED, "given up before the store had everything");
	return 0;
}

void store_upload_stop(struct store_job *j)
{
	const struct driver_ops *ops = j->store->driver->ops;

	pthread_mutex_lock(&j->lock);
	j->cancelled = true;
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
	if (j->upload && ops->upload_cancel)
		ops->upload_cancel(j->upload); /* nobody waits for a store that hangs */
	threads_join(j);
}

/* ---- the object ---- */

/* ERR_IO of a completion says that the store holds other bytes than were sent; looking again does not mend them. */
static bool complete_is_final(const struct err *why)
{
	return why->code == ERR_IO || store_part_is_final(why);
}

struct complete_work {
	const struct driver_object *expect;
	const char **parts;
};

static int expect_run(struct store_job *j, void *arg, struct err *err)
{
	const struct complete_work *w = arg;

	return store_upload_text_set(j, true, w->expect, err);
}

static int complete_run(struct store_job *j, void *arg, struct err *err)
{
	const struct complete_work *w = arg;
	struct err why = {0};

	if (j->store->driver->ops->upload_complete(j->upload, j->parts_n, w->parts, w->expect, &why) == 0)
		return 0;
	if (why.code == ERR_NOT_FOUND)
		return store_confirmed_lost(j, err);
	if (err)
		*err = why;
	return -1;
}

int store_upload_complete(struct store_job *j, const struct driver_object *expect, struct err *err)
{
	struct complete_work w = {.expect = expect, .parts = calloc(j->parts_n + 1u, sizeof(*w.parts))};
	/* First the database learns what the object must be: after a crash from here on it is recognised by that. */
	const struct store_attempt note = {
		.what = "object", .run = expect_run, .arg = &w, .is_final = store_part_is_final};
	const struct store_attempt make = {
		.what = "object", .run = complete_run, .arg = &w, .is_final = complete_is_final};
	int rc;

	if (!w.parts)
		return err_nomem(err);
	parts_end(j);
	for (uint32_t i = 0; i < j->parts_n; i++)
		w.parts[i] = j->parts[i].part;
	rc = store_attempt(j, &note, err) < 0 ? -1 : store_attempt(j, &make, err);
	free(w.parts);
	return rc;
}
