/* store_rig_fake.c - the driver that the rig gives to the store: the real one behind it, with faults, delays and deaths on order, and an eye on how it
 * is called. */
#include "test/unit/store_rig.h"

#include "test/unit/store_rig_bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOLD_MS_MAX 20000u

struct fake {
	struct driver base;
	struct driver *real;
	struct store_rig *rig;
};

struct fake_upload {
	struct fake *fake;
	void *real;
	char job[ID_MAX];
};

static void die_maybe(struct store_rig *r, enum store_rig_point point)
{
	pthread_mutex_lock(&r->lock);
	if (r->die_at == point && r->die_after-- == 0)
		syscall(SYS_exit_group,
			STORE_RIG_DEATH); /* as a crash: a sanitizer's own end would miss the threads that nobody joins */
	pthread_mutex_unlock(&r->lock);
}

static int fail_maybe(struct store_rig *r, unsigned *left, struct err *err)
{
	bool fails;

	pthread_mutex_lock(&r->lock);
	fails = *left > 0;
	*left -= fails;
	pthread_mutex_unlock(&r->lock);
	return fails ? err_set(err, r->fail_code, "the fake fails as told") : 0;
}

static unsigned fake_parallel(const struct driver *d)
{
	const struct fake *f = (const struct fake *)d;

	return f->real->ops->parallel(f->real);
}

/* ---- uploads ---- */

static void *fake_begin(
	struct driver *d, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err)
{
	struct fake *f = (struct fake *)d;
	struct fake_upload *u = calloc(1, sizeof(*u));

	if (!u)
		abort();
	u->fake = f;
	pthread_mutex_lock(&f->rig->lock);
	f->rig->cancelled = false; /* that was another upload */
	pthread_mutex_unlock(&f->rig->lock);
	snprintf(u->job, sizeof(u->job), "%s", tags->job);
	u->real = f->real->ops->upload_begin(f->real, key, tags, resume_text, err);
	if (!u->real) {
		free(u);
		return NULL;
	}
	return u;
}

static int fake_upload_open(void *upload, struct err *err)
{
	struct fake_upload *u = upload;
	struct store_rig *r = u->fake->rig;

	die_maybe(r, STORE_RIG_BEFORE_OPEN);
	if (fail_maybe(r, &r->fail_open, err) < 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	r->opens++;
	r->mistakes += r->in_flight > 0;
	pthread_mutex_unlock(&r->lock);
	if (u->fake->real->ops->upload_open(u->real, err) < 0)
		return -1;
	die_maybe(r, STORE_RIG_AFTER_OPEN);
	return 0;
}

static char *fake_state(void *upload, struct err *err)
{
	struct fake_upload *u = upload;
	struct store_rig *r = u->fake->rig;

	if (fail_maybe(r, &r->fail_state, err) < 0)
		return NULL;
	return u->fake->real->ops->upload_state(u->real, err);
}

/* The upload that a part goes to must be in the database, or nobody would find it after a crash. */
static bool is_recorded(const struct fake_upload *u)
{
	char *state = u->fake->real->ops->upload_state(u->real, NULL), *text = NULL;
	bool good = state && job_db_upload_get(u->fake->rig->db, u->job, &text, NULL) == 0 &&
		    strncmp(text, "open ", 5) == 0 && strcmp(text + 5, state) == 0;

	free(state);
	free(text);
	return good;
}

/* A part is held until others are done, or the upload is cancelled: then -1. */
static int hold(struct store_rig *r, uint32_t seq, struct err *err)
{
	bool cancelled = false, done = false;

	for (unsigned ms = 0; seq == r->hold_seq && !done && !cancelled && ms < HOLD_MS_MAX; ms++) {
		usleep(1000);
		pthread_mutex_lock(&r->lock);
		done = r->parts_done >= r->hold_until;
		cancelled = r->cancelled;
		pthread_mutex_unlock(&r->lock);
	}
	return cancelled ? err_set(err, ERR_CANCELLED, "cancelled") : 0;
}

/* Stored where nobody will look: true when it came to that. */
static bool is_late(struct store_rig *r, uint32_t seq)
{
	bool mine = true, late = false;

	for (unsigned ms = 0; mine && !late && ms < HOLD_MS_MAX; ms++) {
		pthread_mutex_lock(&r->lock);
		mine = seq == r->late_seq;
		late = mine && r->gone > 0;
		if (late)
			r->late_seq = 0;
		pthread_mutex_unlock(&r->lock);
		if (mine && !late)
			usleep(1000);
	}
	return late;
}

static void delay(struct store_rig *r)
{
	uint16_t random;

	digest_random(&random, sizeof(random));
	if (r->slow_us > 0)
		usleep(random % r->slow_us);
}

static void part_comes(struct fake_upload *u, bool alone, struct store_rig *r)
{
	bool good = alone || is_recorded(u);

	pthread_mutex_lock(&r->lock);
	r->alones += alone;
	r->mistakes += !good;
	r->in_flight++;
	if (r->in_flight > r->in_flight_max)
		r->in_flight_max = r->in_flight;
	if (r->forget_at_part > 0 && --r->forget_at_part == 0)
		store_rig_bucket_forget(r->root);
	pthread_mutex_unlock(&r->lock);
}

static void part_goes(struct store_rig *r, uint32_t seq, bool stored, bool gone)
{
	pthread_mutex_lock(&r->lock);
	r->gone += gone;
	r->in_flight--;
	if (stored) {
		r->parts_done++;
		r->overtaken += seq < r->seq_max;
		r->seq_max = seq > r->seq_max ? seq : r->seq_max;
	}
	pthread_mutex_unlock(&r->lock);
}

static int fake_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err)
{
	struct fake_upload *u = upload;
	struct store_rig *r = u->fake->rig;
	struct err why = {0};
	int rc;

	die_maybe(r, STORE_RIG_BEFORE_PART);
	part_comes(u, alone, r);
	rc = hold(r, seq, err);
	delay(r);
	if (rc == 0)
		rc = fail_maybe(r, &r->fail_parts, err);
	if (rc == 0 && is_late(r, seq))
		*ret_part = strdup("late");
	else if (rc == 0)
		rc = u->fake->real->ops->upload_part(u->real, seq, alone, fd, bytes, sha256, ret_part, &why);
	if (rc < 0 && why.code != ERR_NONE && err)
		*err = why;
	part_goes(r, seq, rc == 0, why.code == ERR_NOT_FOUND);
	if (rc == 0)
		die_maybe(r, STORE_RIG_AFTER_PART);
	return rc;
}

static int fake_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err)
{
	struct fake_upload *u = upload;
	struct store_rig *r = u->fake->rig;

	die_maybe(r, STORE_RIG_BEFORE_COMPLETE);
	if (r->forget_at_complete)
		store_rig_bucket_forget(r->root);
	if (fail_maybe(r, &r->fail_complete, err) < 0 ||
		u->fake->real->ops->upload_complete(u->real, n, parts, expect, err) < 0)
		return -1;
	die_maybe(r, STORE_RIG_AFTER_COMPLETE);
	return 0;
}

static int fake_beyond(void *upload, uint32_t n, bool *ret, struct err *err)
{
	const struct fake_upload *u = upload;

	return u->fake->real->ops->upload_beyond(u->real, n, ret, err);
}

static void fake_cancel(void *upload)
{
	const struct fake_upload *u = upload;

	pthread_mutex_lock(&u->fake->rig->lock);
	u->fake->rig->cancelled = true;
	pthread_mutex_unlock(&u->fake->rig->lock);
}

static int fake_abort(void *upload, struct err *err)
{
	struct fake_upload *u = upload;

	return u->fake->real->ops->upload_abort(u->real, err);
}

static void fake_upload_free(void *upload)
{
	struct fake_upload *u = upload;

	u->fake->real->ops->upload_free(u->real);
	free(u);
}

/* ---- the rest is the real one's ---- */

static int fake_open(struct driver *d, const char *key, uint64_t *ret_bytes, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->open(f->real, key, ret_bytes, err);
}

static int fake_read(struct driver *d, const char *key, uint64_t offset, void *dst, size_t n, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->read(f->real, key, offset, dst, n, err);
}

static int fake_erase(struct driver *d, const char *key, struct driver_erased *ret, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->erase(f->real, key, ret, err);
}

static int fake_check(struct driver *d, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->check(f->real, err);
}

static int fake_examine(struct driver *d, struct driver_findings *ret, struct err *err)
{
	struct fake *f = (struct fake *)d;

	return f->real->ops->examine(f->real, ret, err);
}

static void fake_free(struct driver *d)
{
	struct fake *f = (struct fake *)d;

	f->real->ops->free(f->real);
	free(f);
}

/* Over the file driver. */
static const struct driver_ops fake_ops = {
	.name = "fake",
	.parallel = fake_parallel,
	.upload_begin = fake_begin,
	.upload_state = fake_state,
	.upload_part = fake_part,
	.upload_complete = fake_complete,
	.upload_cancel = fake_cancel,
	.upload_abort = fake_abort,
	.upload_free = fake_upload_free,
	.open = fake_open,
	.erase = fake_erase,
	.check = fake_check,
	.free = fake_free,
};

/* Over the bucket. */
static const struct driver_ops fake_bucket_ops = {
	.name = "fake bucket",
	.parallel = fake_parallel,
	.upload_begin = fake_begin,
	.upload_open = fake_upload_open,
	.upload_state = fake_state,
	.upload_part = fake_part,
	.upload_beyond = fake_beyond,
	.upload_complete = fake_complete,
	.upload_cancel = fake_cancel,
	.upload_abort = fake_abort,
	.upload_free = fake_upload_free,
	.read = fake_read,
	.erase = fake_erase,
	.check = fake_check,
	.examine = fake_examine,
	.free = fake_free,
};

struct driver *store_rig_fake_new(struct store_rig *r)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->rig = r;
	f->base.ops = r->parallel > 0 ? &fake_bucket_ops : &fake_ops;
	f->real = r->parallel > 0 ? store_rig_bucket_new(r->root, r->parallel, r->chunk_bytes)
				  : driver_file_new(r->root, NULL);
	if (!f->real)
		abort();
	return &f->base;
}
