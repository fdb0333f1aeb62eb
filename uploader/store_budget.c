/* store_budget.c - room in the spool: what the disk has free above its reserve, and the budgets of one job and of all jobs together.
 *
 * What counts is what lies in chunk files: written and not yet confirmed by the store, also of jobs that a former process left.  Jobs look before
 * they write, so all together can be beyond their budget by one write each. */
#include "uploader/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define FREE_LOOK_BYTES (1024u * 1024) /* the disk is looked at after so many bytes written */

/* ---- the account ---- */

void store_spool_add(struct store *s, uint64_t n)
{
	atomic_fetch_add(&s->spool_bytes, n);
}

void store_spool_sub(struct store *s, uint64_t n)
{
	uint64_t have = atomic_load(&s->spool_bytes);

	while (!atomic_compare_exchange_weak(&s->spool_bytes, &have, have > n ? have - n : 0))
		;
}

int store_spool_count(struct store *s, struct err *err)
{
	DIR *d = opendir(s->spool_dir);
	struct dirent *e;
	uint64_t bytes;
	int rc = 0;

	if (!d)
		return err_sys(err, errno, "spool %s", s->spool_dir);
	while (rc == 0 && (errno = 0, e = readdir(d))) {
		/* What is no folder, or cannot be read, is found out when somebody needs it. */
		if (id_is_valid(e->d_name) && spool_bytes(s->spool_dir, e->d_name, &bytes, NULL) == 0)
			store_spool_add(s, bytes);
	}
	if (errno != 0)
		rc = err_sys(err, errno, "spool %s", s->spool_dir);
	closedir(d);
	return rc;
}

/* ---- room ---- */

static uint64_t left_of(uint64_t max, uint64_t used)
{
	if (max == 0)
		return UINT64_MAX;
	return max > used ? max - used : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t disk_spare(const struct store_job *j)
{
	return j->free_bytes > j->store->min_free_bytes ? j->free_bytes - j->store->min_free_bytes : 0;
}

static uint64_t job_left(const struct store_job *j)
{
	return left_of(j->store->spool_job_max_bytes, atomic_load(&j->spool_bytes));
}

static uint64_t all_left(const struct store *s)
{
	return left_of(s->spool_max_bytes, atomic_load(&s->spool_bytes));
}

static uint64_t spool_spare(const struct store_job *j)
{
	return smaller(disk_spare(j), smaller(job_left(j), all_left(j->store)));
}

static uint64_t object_left(const struct store_job *j)
{
	uint64_t left = j->store->job_bytes_max - j->note.sum.bytes;

	return left > STORE_TAIL_BYTES ? left - STORE_TAIL_BYTES : 0;
}

uint64_t store_room(const struct store_job *j)
{
	return smaller(object_left(j), spool_spare(j));
}

bool store_room_is_spool(const struct store_job *j)
{
	return spool_spare(j) < object_left(j);
}

int store_disk_look(struct store_job *j, struct err *err)
{
	j->free_look_bytes = 0;
	return store_free_bytes(j->store, &j->free_bytes, err);
}

static int full(const struct store_job *j, size_t n, struct err *err)
{
	const struct store *s = j->store;

	if (job_left(j) < n)
		err_set(err, ERR_FULL,
			"%" PRIu64 " bytes of the capture wait in the spool, at most %" PRIu64
			" may (storage.spool_job_max)",
			atomic_load(&j->spool_bytes), s->spool_job_max_bytes);
	else if (all_left(s) < n)
		err_set(err, ERR_FULL,
			"%" PRIu64 " bytes of all captures wait in the spool, at most %" PRIu64
			" may (storage.spool_max)",
			atomic_load(&s->spool_bytes), s->spool_max_bytes);
	else
		err_set(err, ERR_FULL,
			"the spool's disk is full up to its reserve of %" PRIu64 " bytes (storage.min_free)",
			s->min_free_bytes);
	return err_detail(err, STORE_SPOOL_FULL);
}

/* What goes beyond a limit is lent, STORE_TAIL_BYTES in all, so that a capture can end properly; below the limits again, all of it is paid back. */
int store_allow(struct store_job *j, size_t n, struct err *err)
{
	if ((j->free_look_bytes >= FREE_LOOK_BYTES || disk_spare(j) < n) && store_disk_look(j, err) < 0)
		return -1;
	if (spool_spare(j) >= n) {
		j->lent_bytes = 0;
		return 0;
	}
	if (n > STORE_TAIL_BYTES - j->lent_bytes)
		return full(j, n, err);
	j->lent_bytes += n;
	return 0;
}

int store_spool_check(struct store *s, struct err *err)
{
	uint64_t free_bytes;

	if (store_free_bytes(s, &free_bytes, err) < 0)
		return -1;
	if (free_bytes <= s->min_free_bytes)
		err_set(err, ERR_FULL,
			"spool %s: %" PRIu64 " bytes are free, the reserve is %" PRIu64 " bytes (storage.min_free)",
			s->spool_dir, free_bytes, s->min_free_bytes);
	else if (all_left(s) == 0)
		err_set(err, ERR_FULL,
			"spool %s: %" PRIu64 " bytes wait in it, at most %" PRIu64 " may (storage.spool_max)",
			s->spool_dir, atomic_load(&s->spool_bytes), s->spool_max_bytes);
	else
		return 0;
	return err_detail(err, STORE_SPOOL_FULL);
}
