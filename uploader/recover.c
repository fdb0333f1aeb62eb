/* recover.c - jobs of a process that died: what spool, database and driver hold becomes one object.
 *
 * What is believed, chunk by chunk from the first:
 *   record says stored              the driver has it, whatever comes before it; a file that is still there goes
 *   record and closed file          when size and SHA-256 of the file are the record's
 *   closed file, no record          died between rename and record; when it is whole units to its end
 *   open file                       the last one; up to its last whole unit
 *   anything else                   damaged or missing: the object ends before it, and the rest is set aside */
#include "uploader/store_internal.h"

#include "common/fs.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recovery {
	struct store_job *j;
	char *text; /* of the upload, as in the database */
	struct upload_text upload;
	struct job_chunk *records;
	size_t records_n;
	struct spool_file *files;
	size_t files_n;
	bool nothing; /* not a byte is there */
	bool damaged;
	char damage[ERR_MSG_MAX];
};

enum step { STEP_NEXT, STEP_END, STEP_FAILED };

static void recovery_done(struct recovery *r)
{
	store_job_free(r->j);
	job_db_chunks_free(r->records, r->records_n);
	free(r->files);
	free(r->text);
}

/* The spool folder may be gone when everything in it was stored; then it is needed again for the tail. */
static int recovery_load(struct recovery *r, struct err *err)
{
	struct store_job *j = r->j;
	struct err why = {0};

	if (job_db_upload_get(j->store->db, j->id, &r->text, err) < 0 ||
		upload_text_parse(r->text, &r->upload, err) < 0 ||
		job_db_chunks(j->store->db, j->id, &r->records, &r->records_n, err) < 0)
		return -1;
	j->spool = spool_open(j->store->spool_dir, j->id, &why);
	if (!j->spool && why.code == ERR_NOT_FOUND) {
		j->spool = spool_begin(j->store->spool_dir, j->id, &why);
		if (j->spool && spool_key_put(j->spool, j->key, err) < 0)
			return -1;
	}
	if (!j->spool) {
		if (err)
			*err = why;
		return -1;
	}
	return spool_scan(j->spool, &r->files, &r->files_n, err);
}

/* Both lists are sorted by seq; a capture can have a hundred thousand chunks. */
static const struct job_chunk *record_of(const struct recovery *r, uint32_t seq)
{
	size_t low = 0, high = r->records_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->records[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low < r->records_n && r->records[low].seq == seq ? &r->records[low] : NULL;
}

/* Of one seq the last in order is the furthest: LAST, CHUNK, OPEN. */
static const struct spool_file *file_of(const struct recovery *r, uint32_t seq)
{
	size_t low = 0, high = r->files_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->files[mid].seq <= seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 && r->files[low - 1].seq == seq ? &r->files[low - 1] : NULL;
}

static bool anything_from(const struct recovery *r, uint32_t seq)
{
	return (r->records_n > 0 && r->records[r->records_n - 1].seq >= seq) ||
	       (r->files_n > 0 && r->files[r->files_n - 1].seq >= seq);
}

static enum step damaged(struct recovery *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static enum step damaged(struct recovery *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->damage, sizeof(r->damage), fmt, ap);
	va_end(ap);
	r->damaged = true;
	return STEP_END;
}

static enum step part_take(struct recovery *r, const struct job_part *p, struct err *err)
{
	if (store_job_add_part(r->j, p, err) < 0)
		return STEP_FAILED;
	r->j->note = p->note;
	return p->note.last ? STEP_END : STEP_NEXT;
}

static int file_drop(struct recovery *r, const struct spool_file *f, struct err *err)
{
	if (spool_unlink(r->j->spool, f->seq, f->kind, err) < 0)
		return -1;
	store_spool_sub(r->j->store, f->bytes);
	return 0;
}

static enum step take_stored(struct recovery *r, const struct job_chunk *c, const struct spool_file *f, struct err *err)
{
	struct job_part p = {.bytes = c->bytes};
	const char *text;
	enum step step = STEP_FAILED;

	memcpy(p.sha256, c->sha256, sizeof(p.sha256));
	if (chunk_note_parse(c->part, &p.note, &text, err) < 0)
		return STEP_FAILED;
	if (!(p.part = strdup(text))) {
		err_nomem(err);
		return STEP_FAILED;
	}
	if (p.note.sum.bytes < p.bytes || p.note.sum.bytes - p.bytes != r->j->note.sum.bytes)
		step = damaged(r, "chunk %" PRIu32 ": it does not follow the one before it", c->seq);
	else if (!f || file_drop(r, f, err) == 0)
		step = part_take(r, &p, err);
	free(p.part);
	return step;
}

/* A closed file, with its record or (c NULL) without. */
static enum step take_closed(struct recovery *r, const struct job_chunk *c, const struct spool_file *f, struct err *err)
{
	struct job_part p = {.note = r->j->note};
	struct digest *sum = digest_new();
	enum step step = STEP_FAILED;

	p.note.last = f->kind == SPOOL_LAST;
	if (!sum) {
		err_nomem(err);
		return STEP_FAILED;
	}
	if (spool_measure(r->j->spool, f->seq, f->kind, &p.note.frame, &p.note.sum, sum, &p.bytes, err) < 0)
		goto out;
	digest_hex(sum, p.sha256);
	if (p.bytes != f->bytes || p.bytes == 0)
		step = damaged(r, "chunk %" PRIu32 ": only %" PRIu64 " of its %" PRIu64 " bytes are whole blocks",
			f->seq, p.bytes, f->bytes);
	else if (c && (c->bytes != p.bytes || strcmp(c->sha256, p.sha256) != 0))
		step = damaged(r, "chunk %" PRIu32 ": its bytes are not those that were written (SHA-256)", f->seq);
	else
		step = part_take(r, &p, err);
out:
	digest_free(sum);
	return step;
}

static enum step take_open(struct recovery *r, const struct spool_file *f, struct err *err)
{
	struct chunk_note note = r->j->note;
	struct digest *sum = digest_new();
	uint64_t bytes;

	if (!sum) {
		err_nomem(err);
		return STEP_FAILED;
	}
	if (spool_measure(r->j->spool, f->seq, f->kind, &note.frame, &note.sum, sum, &bytes, err) < 0)
		goto fail;
	note.frame.bad = false; /* what was bad is cut off; the stream can go on here */
	if (bytes == 0) {
		digest_free(sum);
		return file_drop(r, f, err) < 0 ? STEP_FAILED : STEP_END;
	}
	if (spool_resume(r->j->spool, f->seq, bytes, err) < 0)
		goto fail;
	store_spool_sub(r->j->store, f->bytes > bytes ? f->bytes - bytes : 0);
	r->j->note = note;
	r->j->chunk_sum = sum;
	r->j->chunk_bytes = bytes;
	return STEP_END;
fail:
	digest_free(sum);
	return STEP_FAILED;
}

static enum step take(struct recovery *r, uint32_t seq, struct err *err)
{
	const struct job_chunk *c = record_of(r, seq);
	const struct spool_file *f = file_of(r, seq);

	if (c && c->stored)
		return take_stored(r, c, f, err);
	if (f && f->kind != SPOOL_OPEN)
		return take_closed(r, c, f, err);
	if (f && !c && !anything_from(r, seq + 1))
		return take_open(r, f, err);
	if (c || anything_from(r, seq))
		return damaged(r, "chunk %" PRIu32 ": it is missing", seq);
	return STEP_END;
}

static int collect(struct recovery *r, struct err *err)
{
	enum step step;
	uint32_t seq = 1;

	do
		step = take(r, seq++, err);
	while (step == STEP_NEXT);
	if (step == STEP_FAILED)
		return -1;
	for (size_t i = 0; r->damaged && i < r->files_n; i++)
		if (r->files[i].seq > r->j->parts_n && spool_set_aside(r->j->spool, &r->files[i], err) < 0)
			return -1;
	return 0;
}

/* ---- the end of the stream ---- */

static int tail_append(struct recovery *r, store_tail_fn tail, void *ctx, struct err *err)
{
	struct store_job *j = r->j;
	struct frame after = j->note.frame;
	uint8_t *block = malloc(STORE_TAIL_BYTES);
	size_t n = 0;
	int rc = -1;

	if (!block)
		return err_nomem(err);
	if (tail(ctx, j->note.frame.interfaces, block, STORE_TAIL_BYTES, &n, err) < 0)
		goto out;
	if (n > STORE_TAIL_BYTES || frame_walk(&after, block, n) != n) {
		err_set(err, ERR_INTERNAL, "the tail is not whole blocks");
		goto out;
	}
	if (n > 0 &&
		((!j->chunk_sum && store_job_open_chunk(j, err) < 0) || store_job_append(j, block, n, &after, err) < 0))
		goto out;
	rc = 0;
out:
	free(block);
	return rc;
}

/* Where parts are stored behind a hole the tail would be a small part before others, which no bucket takes: the packets are worth more. */
static int tail_fits(struct recovery *r, bool *ret, struct err *err)
{
	struct store_job *j = r->j;
	const struct driver_ops *ops = j->store->driver->ops;
	struct err why = {0};
	bool beyond = false;

	*ret = true;
	if (!j->opened || !ops->upload_beyond)
		return 0;
	/* An upload that is gone is found out when it is needed. */
	if (ops->upload_beyond(j->upload, j->parts_n + 1, &beyond, &why) < 0 && why.code != ERR_NOT_FOUND) {
		if (err)
			*err = why;
		return -1;
	}
	*ret = !beyond;
	return 0;
}

static int finish(struct recovery *r, store_tail_fn tail, void *ctx, struct driver_object *ret, struct err *err)
{
	struct store_job *j = r->j;
	bool fits = !j->note.last && j->note.frame.format == FRAME_PCAPNG && tail;

	if (fits && tail_fits(r, &fits, err) < 0)
		return -1;
	if (fits && tail_append(r, tail, ctx, err) < 0)
		return -1;
	if (j->chunk_sum && store_job_close_chunk(j, true, err) < 0)
		return -1;
	return store_job_complete(j, ret, err);
}

/* The process died while or after the driver completed: what must stand there is known. */
static int complete_again(struct recovery *r, struct driver_object *ret, struct err *err)
{
	struct driver_object expect = r->upload.expect;

	/* Records that follow a damaged chunk are left over from before it was found. */
	for (size_t i = 0; i < r->records_n && r->records[i].stored && r->records[i].seq == i + 1; i++) {
		enum step step = take_stored(r, &r->records[i], NULL, err);

		if (step == STEP_FAILED)
			return -1;
		if (step == STEP_END)
			break;
	}
	if (store_upload_complete(r->j, &expect, err) < 0)
		return -1;
	store_clean(r->j->store, r->j->id, NULL);
	*ret = expect;
	return 0;
}

/* The driver may find out already now that the store has forgotten the upload. */
static int upload_resume(struct recovery *r, const struct driver_tags *tags, struct err *err)
{
	struct store_job *j = r->j;
	struct err why = {0};

	if (store_upload_begin(j, tags, r->upload.driver[0] ? &r->upload : NULL, &why) == 0)
		return 0;
	if (why.code == ERR_NOT_FOUND && !j->upload && r->upload.complete)
		return store_upload_lost((uint32_t)r->records_n, r->upload.expect.bytes, err);
	if (why.code == ERR_NOT_FOUND && !j->upload && j->stored_n > 0)
		return store_upload_lost(j->stored_n, j->note.sum.bytes - j->waiting_bytes, err);
	if (why.code == ERR_NOT_FOUND && !j->upload)
		return store_upload_begin(j, tags, NULL, err);
	if (err)
		*err = why;
	return -1;
}

static int recover(struct recovery *r, const struct driver_tags *tags, store_tail_fn tail, void *ctx,
	struct driver_object *ret, struct err *err)
{
	struct store_job *j = r->j;

	if (recovery_load(r, err) < 0)
		return -1;
	if (!r->upload.complete && collect(r, err) < 0)
		return -1;
	if (r->damaged && j->note.sum.bytes == 0)
		return err_set(err, ERR_IO, "%s, and nothing comes before it", r->damage);
	if (upload_resume(r, tags, err) < 0)
		return -1;
	if (r->upload.complete)
		return complete_again(r, ret, err);
	if (j->note.sum.bytes == 0) {
		store_job_discard(j);
		r->j = NULL;
		r->nothing = true;
		return err_set(err, ERR_NOT_FOUND, "the spool holds nothing of job %s", tags->job);
	}
	if (r->damaged && j->store->on_event) {
		char text[ERR_MSG_MAX + 64];

		snprintf(text, sizeof(text), "%s; the capture ends before it", r->damage);
		j->store->on_event(j->store->ctx, j->id, "storage_damaged", text);
	}
	return finish(r, tail, ctx, ret, err);
}

int store_recover(struct store *s, const char *job_id, const char *key, const struct driver_tags *tags,
	store_tail_fn tail, void *ctx, struct driver_object *ret, struct err *err)
{
	struct recovery r = {0};
	struct err why = {0};
	int rc;

	if (strcmp(job_id, tags->job) != 0)
		return err_set(err, ERR_INTERNAL, "job %s has the tags of job %s", job_id, tags->job);
	if (!(r.j = store_job_new(s, job_id, key, err)))
		return -1;
	rc = recover(&r, tags, tail, ctx, ret, &why);
	/* Something else that was not found must not read as: there is nothing. */
	if (rc < 0 && why.code == ERR_NOT_FOUND && !r.nothing)
		why.code = ERR_STATE;
	if (rc < 0 && err)
		*err = why;
	if (r.j)
		store_upload_stop(r.j);
	recovery_done(&r);
	return rc;
}
