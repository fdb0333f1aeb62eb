/* store_job.c - a running job as its writer sees it: blocks go in, chunks are closed, and at the end there is an object. */
#include "uploader/store_internal.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- birth and death ---- */

static void jobs_add(struct store_job *j)
{
	struct store *s = j->store;

	pthread_mutex_lock(&s->jobs_lock);
	j->next = s->jobs;
	s->jobs = j;
	j->cancelled = s->cancelled;
	pthread_mutex_unlock(&s->jobs_lock);
}

static void jobs_remove(struct store_job *j)
{
	struct store *s = j->store;

	pthread_mutex_lock(&s->jobs_lock);
	for (struct store_job **at = &s->jobs; *at; at = &(*at)->next) {
		if (*at == j) {
			*at = j->next;
			break;
		}
	}
	pthread_mutex_unlock(&s->jobs_lock);
}

bool store_status(struct store *s, const char *job_id, struct store_job_status *ret)
{
	struct store_job *j;

	pthread_mutex_lock(&s->jobs_lock);
	for (j = s->jobs; j && strcmp(j->id, job_id) != 0; j = j->next)
		;
	if (j)
		store_job_status(j, ret);
	pthread_mutex_unlock(&s->jobs_lock);
	return j != NULL;
}

void store_figures(struct store *s, struct store_figures *ret)
{
	*ret = (struct store_figures){
		.spool_bytes = atomic_load(&s->spool_bytes),
		.spool_max_bytes = s->spool_max_bytes,
		.parts_stored = atomic_load(&s->counted.parts_stored),
		.attempts_failed = atomic_load(&s->counted.attempts_failed),
		.given_up = atomic_load(&s->counted.given_up),
		.objects = atomic_load(&s->counted.objects),
		.object_bytes = atomic_load(&s->counted.object_bytes),
	};
	pthread_mutex_lock(&s->jobs_lock);
	for (struct store_job *j = s->jobs; j; j = j->next) {
		struct store_job_status now;

		store_job_status(j, &now);
		ret->parts_waiting += now.parts_waiting;
		ret->jobs_failing += now.unreachable_since_ns > 0;
	}
	pthread_mutex_unlock(&s->jobs_lock);
}

/* The list's lock is held: neither the job nor its upload goes meanwhile. */
static void job_cancel(struct store_job *j)
{
	const struct driver_ops *ops = j->store->driver->ops;
	void *upload;

	pthread_mutex_lock(&j->lock);
	j->cancelled = true;
	upload = j->upload;
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
	if (upload && ops->upload_cancel)
		ops->upload_cancel(upload);
}

void store_cancel(struct store *s, const char *job_id)
{
	pthread_mutex_lock(&s->jobs_lock);
	s->cancelled |= !job_id;
	for (struct store_job *j = s->jobs; j; j = j->next)
		if (!job_id || strcmp(j->id, job_id) == 0)
			job_cancel(j);
	pthread_mutex_unlock(&s->jobs_lock);
	if (!job_id && s->driver->ops->cancel)
		s->driver->ops->cancel(s->driver);
}

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
	jobs_add(j);
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
	jobs_remove(j);
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

	bool aborted;

	store_upload_stop(j);
	memcpy(id, j->id, sizeof(id));
	aborted = !j->upload || s->driver->ops->upload_abort(j->upload, NULL) == 0;
	store_job_free(j);
	store_clean(s, id, NULL);
	if (aborted)
		job_db_upload_set(s->db, id, "", NULL);
}

struct store_job *store_job_begin(struct store *s, const char *key, const struct driver_tags *tags, struct err *err)
{
	struct store_job *j = store_job_new(s, tags->job, key, err);

	if (!j)
		return NULL;
	if (store_spool_check(s, err) < 0 || store_disk_look(j, err) < 0)
		goto fail;
	if (!(j->spool = spool_begin(s->spool_dir, j->id, err)))
		goto fail;
	if (spool_key_put(j->spool, key, err) < 0 || store_upload_begin(j, tags, NULL, err) < 0) {
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
	store_spool_add(j->store, n);
	atomic_fetch_add(&j->spool_bytes, n);
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
	if (rc == 0) {
		j->parts[j->parts_n++] = copy;
		j->stored_n += copy.part != NULL;
		j->waiting_bytes += copy.part ? 0 : copy.bytes;
	} else {
		free(copy.part);
	}
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

/* A disk that is full is told as a budget that is used up. */
static int write_failed(struct err *err)
{
	if (err && err->code == ERR_FULL)
		err_detail(err, STORE_SPOOL_FULL);
	return -1;
}

/* May the job be written to at all? */
static int writable(struct store_job *j, struct err *err)
{
	struct err why = j->broken;

	if (atomic_load(&j->lost)) {
		pthread_mutex_lock(&j->lock);
		why = j->why;
		pthread_mutex_unlock(&j->lock);
	} else if (why.code == ERR_NONE && j->stopped) {
		err_set(&why, ERR_STATE, "a write to the spool failed before; the capture can only be finished");
	}
	if (why.code == ERR_NONE)
		return 0;
	if (err)
		*err = why;
	return -1;
}

int store_write(struct store_job *j, const void *blocks, size_t n, struct err *err)
{
	struct frame after = j->note.frame;

	if (n == 0)
		return 0;
	if (writable(j, err) < 0)
		return -1;
	if (frame_walk(&after, blocks, n) != n)
		return err_set(err, ERR_INTERNAL, "what is to be stored at byte %" PRIu64 " is not whole blocks",
			j->note.sum.bytes);
	if (n > j->store->job_bytes_max - j->note.sum.bytes)
		return err_set(err, ERR_FULL, "the capture would pass %" PRIu64 " bytes, the most that is stored",
			j->store->job_bytes_max);
	if (store_allow(j, n, err) < 0)
		return -1;
	/* A full chunk is closed by the write after the one that filled it: so the last one is still open when the job finishes, and
	 * is marked as the last. */
	if (j->chunk_sum && j->chunk_bytes >= store_chunk_bytes(j->store, j->parts_n + 1) &&
		store_job_close_chunk(j, false, err) < 0)
		return -1;
	if ((!j->chunk_sum && store_job_open_chunk(j, err) < 0) || store_job_append(j, blocks, n, &after, err) < 0)
		return write_failed(err);
	j->free_bytes -= j->free_bytes < n ? j->free_bytes : n;
	j->free_look_bytes += n;
	return 0;
}

uint64_t store_job_bytes(const struct store_job *j)
{
	return atomic_load_explicit(&j->bytes, memory_order_relaxed);
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
	atomic_fetch_add(&j->store->counted.objects, 1);
	atomic_fetch_add(&j->store->counted.object_bytes, object.bytes);
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

/* The text of its upload stays in the database, by which store_erase finds what the driver holds. */
void store_job_leave(struct store_job *j)
{
	struct store *s = j->store;
	char id[ID_MAX];

	store_upload_stop(j);
	memcpy(id, j->id, sizeof(id));
	store_job_free(j);
	store_clean(s, id, NULL);
}
