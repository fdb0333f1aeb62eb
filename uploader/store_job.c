/* store_job.c - a running job as its writer sees it: blocks go in, chunks are closed, and at the end there is an object. */
#include "uploader/store_internal.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FREE_LOOK_BYTES (1024u * 1024) /* the disk is looked at after so many bytes written */

/* ---- birth and death ---- */

struct store_job *store_job_new(struct store *s, const char *id, const char *key, struct err *err)
{
	struct store_job *j;

	if (!id_is_valid(id)) {
		err_set(err, ERR_INPUT, "\"%s\" is not a job id", id);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j)
		goto fail;
	if (pthread_mutex_init(&j->lock, NULL) != 0)
		goto fail;
	if (clock_cond_init(&j->cond) != 0)
		goto fail_lock;
	j->store = s;
	memcpy(j->id, id, ID_MAX);
	sha_state_init(&j->note.sum);
	if (!(j->key = strdup(key))) {
		store_job_free(j);
		err_nomem(err);
		return NULL;
	}
	return j;
fail_lock:
	pthread_mutex_destroy(&j->lock);
fail:
	free(j);
	err_nomem(err);
	return NULL;
}

void store_job_free(struct store_job *j)
{
	if (!j)
		return;
	if (j->upload)
		j->store->driver->ops->upload_free(j->upload);
	spool_close(j->spool);
	digest_free(j->chunk_sum);
	for (uint32_t i = 0; i < j->parts_n; i++)
		free(j->parts[i].part);
	free(j->parts);
	free(j->upload_text);
	free(j->key);
	pthread_cond_destroy(&j->cond);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

/* A failure here is not the caller's affair: what stays is found by store_erase or store_orphans. */
void store_job_discard(struct store_job *j)
{
	struct store *s = j->store;
	char id[ID_MAX];

	store_upload_stop(j);
	memcpy(id, j->id, sizeof(id));
	if (j->upload)
		s->driver->ops->upload_abort(j->upload, NULL);
	store_job_free(j);
	store_clean(s, id, NULL);
	job_db_upload_set(s->db, id, "", NULL);
}

static int disk_look(struct store_job *j, struct err *err)
{
	j->free_look_bytes = 0;
	return store_free_bytes(j->store, &j->free_bytes, err);
}

static uint64_t disk_spare(const struct store_job *j)
{
	return j->free_bytes > j->store->min_free_bytes ? j->free_bytes - j->store->min_free_bytes : 0;
}

struct store_job *store_job_begin(struct store *s, const char *key, const struct driver_tags *tags, struct err *err)
{
	struct store_job *j = store_job_new(s, tags->job, key, err);

	if (!j)
		return NULL;
	if (disk_look(j, err) < 0)
		goto fail;
	if (disk_spare(j) == 0) {
		err_set(err, ERR_FULL, "the spool's disk is full up to its reserve of %" PRIu64 " bytes",
			s->min_free_bytes);
		goto fail;
	}
	if (!(j->spool = spool_begin(s->spool_dir, j->id, err)))
		goto fail;
	if (store_upload_begin(j, tags, "", err) < 0) {
		store_job_discard(j);
		return NULL;
	}
	return j;
fail:
	store_job_free(j);
	return NULL;
}

/* ---- chunks ---- */

int store_job_open_chunk(struct store_job *j, struct err *err)
{
	struct digest *sum = digest_new();

	if (!sum)
		return err_nomem(err);
	if (spool_start(j->spool, j->parts_n + 1, err) < 0) {
		digest_free(sum);
		return -1;
	}
	j->chunk_sum = sum;
	j->chunk_bytes = 0;
	return 0;
}

int store_job_append(struct store_job *j, const void *p, size_t n, const struct frame *after, struct err *err)
{
	if (spool_append(j->spool, p, n, err) < 0) {
		j->stopped = true;
		return -1;
	}
	digest_add(j->chunk_sum, p, n);
	sha_state_add(&j->note.sum, p, n);
	j->note.frame = *after;
	j->chunk_bytes += n;
	atomic_store_explicit(&j->bytes, j->note.sum.bytes, memory_order_relaxed);
	return 0;
}

int store_job_add_part(struct store_job *j, const struct job_part *p, struct err *err)
{
	struct job_part copy = *p;
	int rc = 0;

	if (p->part && !(copy.part = strdup(p->part)))
		return err_nomem(err);
	pthread_mutex_lock(&j->lock);
	if (j->parts_n == j->parts_cap) {
		uint32_t cap = j->parts_cap ? j->parts_cap * 2 : 16;
		struct job_part *more = reallocarray(j->parts, cap, sizeof(*more));

		if (more) {
			j->parts = more;
			j->parts_cap = cap;
		} else {
			rc = err_nomem(err);
		}
	}
	if (rc == 0)
		j->parts[j->parts_n++] = copy;
	else
		free(copy.part);
	pthread_mutex_unlock(&j->lock);
	return rc;
}

/* The record that protects the chunk by its checksum.  Should the database refuse it, nothing is lost: recovery can do without, and the upload
 * writes it again. */
static void part_record(struct store_job *j, uint32_t seq, const struct job_part *p)
{
	struct job_chunk c = {.seq = seq, .bytes = p->bytes, .part = chunk_note_format(&p->note, "")};

	memcpy(c.sha256, p->sha256, sizeof(c.sha256));
	if (c.part)
		job_db_chunk_put(j->store->db, j->id, &c, NULL);
	free(c.part);
}

int store_job_close_chunk(struct store_job *j, bool last, struct err *err)
{
	struct job_part p = {.bytes = j->chunk_bytes};
	struct err why = {0};

	j->note.last = last;
	p.note = j->note;
	digest_hex(j->chunk_sum, p.sha256);
	digest_free(j->chunk_sum);
	j->chunk_sum = NULL;
	if (spool_seal(j->spool, last, &why) < 0)
		goto fail;
	/* Before the upload thread can see the part: what that thread records must come after this. */
	part_record(j, j->parts_n + 1, &p);
	if (store_job_add_part(j, &p, &why) < 0)
		goto fail;
	store_upload_wake(j);
	return 0;
fail:
	j->broken = why;
	if (err)
		*err = why;
	return -1;
}

/* ---- writing ---- */

/* May n bytes more go to the disk?  What goes beyond the reserve is lent, STORE_TAIL_BYTES in all, so that a capture can end properly. */
static int disk_allow(struct store_job *j, size_t n, struct err *err)
{
	if ((j->free_look_bytes >= FREE_LOOK_BYTES || disk_spare(j) < n) && disk_look(j, err) < 0)
		return -1;
	if (disk_spare(j) >= n)
		return 0;
	if (n > STORE_TAIL_BYTES - j->lent_bytes)
		return err_set(err, ERR_FULL, "the spool's disk is full up to its reserve of %" PRIu64 " bytes",
			j->store->min_free_bytes);
	j->lent_bytes += n;
	return 0;
}

int store_write(struct store_job *j, const void *blocks, size_t n, struct err *err)
{
	struct frame after = j->note.frame;

	if (n == 0)
		return 0;
	if (j->broken.code != ERR_NONE) {
		if (err)
			*err = j->broken;
		return -1;
	}
	if (j->stopped)
		return err_set(err, ERR_STATE, "a write to the spool failed before; the capture can only be finished");
	if (frame_walk(&after, blocks, n) != n)
		return err_set(err, ERR_INTERNAL, "what is to be stored at byte %" PRIu64 " is not whole blocks",
			j->note.sum.bytes);
	if (n > j->store->job_bytes_max - j->note.sum.bytes)
		return err_set(err, ERR_FULL, "the capture would pass %" PRIu64 " bytes, the most that is stored",
			j->store->job_bytes_max);
	if (disk_allow(j, n, err) < 0)
		return -1;
	/* A full chunk is closed by the write after the one that filled it: so the last one is still open when the job finishes, and
	 * is marked as the last. */
	if (j->chunk_sum && j->chunk_bytes >= store_chunk_bytes(j->store, j->parts_n + 1) &&
		store_job_close_chunk(j, false, err) < 0)
		return -1;
	if (!j->chunk_sum && store_job_open_chunk(j, err) < 0)
		return -1;
	if (store_job_append(j, blocks, n, &after, err) < 0)
		return -1;
	j->free_bytes -= j->free_bytes < n ? j->free_bytes : n;
	j->free_look_bytes += n;
	return 0;
}

uint64_t store_job_bytes(const struct store_job *j)
{
	return atomic_load_explicit(&j->bytes, memory_order_relaxed);
}

uint64_t store_room(const struct store_job *j)
{
	uint64_t left = j->store->job_bytes_max - j->note.sum.bytes, spare = disk_spare(j);

	left = left > STORE_TAIL_BYTES ? left - STORE_TAIL_BYTES : 0;
	return left < spare ? left : spare;
}

bool store_room_is_spool(const struct store_job *j)
{
	uint64_t left = j->store->job_bytes_max - j->note.sum.bytes;

	return disk_spare(j) < (left > STORE_TAIL_BYTES ? left - STORE_TAIL_BYTES : 0);
}

void store_job_status(struct store_job *j, struct store_job_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&j->lock);
	for (uint32_t i = 0; i < j->parts_n; i++) {
		if (!j->parts[i].part) {
			ret->parts_waiting++;
			ret->bytes_waiting += j->parts[i].bytes;
		}
	}
	pthread_mutex_unlock(&j->lock);
}

/* ---- the end ---- */

int store_job_complete(struct store_job *j, struct driver_object *ret, struct err *err)
{
	struct driver_object object = {.bytes = j->note.sum.bytes};

	sha_state_hex(&j->note.sum, object.sha256);
	if (store_upload_rest(j, err) < 0 || store_upload_complete(j, &object, err) < 0)
		return -1;
	/* The object stands and was checked.  What cannot be cleaned up now goes with store_erase. */
	store_clean(j->store, j->id, NULL);
	*ret = object;
	return 0;
}

int store_job_finish(struct store_job *j, struct driver_object *ret, struct err *err)
{
	int rc = -1;

	if (j->note.sum.bytes == 0) {
		store_job_discard(j);
		return err_set(err, ERR_NOT_FOUND, "not a byte was stored");
	}
	if (j->broken.code == ERR_NONE && j->chunk_sum)
		store_job_close_chunk(j, true, NULL);
	if (j->broken.code == ERR_NONE) {
		rc = store_job_complete(j, ret, err);
	} else {
		store_upload_stop(j);
		if (err)
			*err = j->broken;
	}
	store_job_free(j);
	return rc;
}

void store_job_drop(struct store_job *j)
{
	if (j)
		store_job_discard(j);
}
