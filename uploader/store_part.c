/* store_part.c - one part to the driver: what its failures mean, when the upload has to be opened, and in which order what is written down.
 *
 * upload_open comes before the first part that is not alone and is called by one thread while no part is on its way; again only when the store
 * has forgotten the upload and no part of it was confirmed. */
#include "uploader/store_internal.h"

#include "common/fs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOST_DETAIL "storage_lost"

/* ---- what failures mean ---- */

bool store_is_lost(const struct err *why)
{
	return strcmp(why->detail, LOST_DETAIL) == 0;
}

/* What will be the same next time. */
bool store_part_is_final(const struct err *why)
{
	switch (why->code) {
	case ERR_NET:
	case ERR_TIMEOUT:
	case ERR_UNAVAILABLE:
	case ERR_BUSY:
	case ERR_FULL:
	case ERR_NOMEM:
		return false;
	case ERR_IO:
		return store_is_lost(why);
	default:
		return true;
	}
}

int store_upload_lost(uint32_t parts, uint64_t bytes, struct err *err)
{
	err_set(err, ERR_IO,
		"the store has forgotten the upload after it had confirmed %" PRIu32 " parts of it (%" PRIu64
		" bytes); they are lost",
		parts, bytes);
	return err_detail(err, LOST_DETAIL);
}

/* The lock is held, or no thread runs. */
int store_confirmed_lost(const struct store_job *j, struct err *err)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < j->parts_n; i++)
		if (j->parts[i].part)
			bytes += j->parts[i].bytes;
	return store_upload_lost(j->stored_n, bytes, err);
}

/* ---- the upload is opened ---- */

/* Between the driver's word and the database's nothing may be forgotten: should the record fail, only the record is tried again. */
static int open_run(struct store_job *j, struct err *err)
{
	if (!j->open_at_driver && j->store->driver->ops->upload_open(j->upload, err) < 0)
		return -1;
	j->open_at_driver = true;
	if (store_upload_state(j, err) < 0)
		return -1;
	return store_upload_text_set(j, true, NULL, err);
}

/* A thread comes in to send a part; the first one opens the upload.  While it is open any may be in. */
static int part_enter(struct store_job *j, bool alone, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&j->lock);
	while (!j->cancelled && !j->failed && (j->opening || (!alone && !j->opened && j->calls > 0)))
		pthread_cond_wait(&j->cond, &j->lock);
	if (j->cancelled || j->failed) {
		rc = err_set(err, ERR_CANCELLED, "the upload was given up");
	} else if (!alone && !j->opened && j->stored_n > 0) {
		rc = store_confirmed_lost(j, err);
	} else if (!alone && !j->opened) {
		j->opening = true;
		pthread_mutex_unlock(&j->lock);
		rc = open_run(j, err);
		pthread_mutex_lock(&j->lock);
		j->opening = false;
		j->opened = rc == 0;
		pthread_cond_broadcast(&j->cond);
	}
	j->calls += rc == 0;
	pthread_mutex_unlock(&j->lock);
	return rc;
}

static void part_leave(struct store_job *j)
{
	pthread_mutex_lock(&j->lock);
	j->calls--;
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
}

/* The store has forgotten the upload: whoever comes next opens another, once all are out. */
static void upload_forgotten(struct store_job *j)
{
	pthread_mutex_lock(&j->lock);
	j->opened = j->open_at_driver = false;
	pthread_mutex_unlock(&j->lock);
}

static bool upload_is_open(struct store_job *j)
{
	bool opened;

	pthread_mutex_lock(&j->lock);
	opened = j->opened;
	pthread_mutex_unlock(&j->lock);
	return opened;
}

/* ---- parts ---- */

static int part_confirm(struct store_job *j, const struct store_part *w, const char *text, struct err *err)
{
	struct job_chunk c = {.seq = w->seq, .bytes = w->part.bytes, .stored = true};
	int rc;

	memcpy(c.sha256, w->part.sha256, sizeof(c.sha256));
	c.part = chunk_note_format(&w->part.note, text);
	rc = c.part ? job_db_chunk_put(j->store->db, j->id, &c, err) : err_nomem(err);
	free(c.part);
	return rc;
}

/* To the driver; what it says of an upload that is gone becomes what can be done about it. */
static int part_put(struct store_job *j, const struct store_part *w, int fd, char **ret, struct err *err)
{
	const struct driver_ops *ops = j->store->driver->ops;
	struct err why = {0};

	if (ops->upload_part(j->upload, w->seq, w->alone, fd, w->part.bytes, w->part.sha256, ret, &why) == 0) {
		if (w->alone || upload_is_open(j))
			return 0;
		/* It went to an upload that another thread found forgotten meanwhile. */
		free(*ret);
		*ret = NULL;
		return err_set(err, ERR_UNAVAILABLE, "the store has forgotten the upload; it is begun anew");
	}
	if (why.code == ERR_NOT_FOUND && ops->upload_open && !w->alone) {
		upload_forgotten(j);
		return err_set(err, ERR_UNAVAILABLE, "the store has forgotten the upload: %s", why.msg);
	}
	if (err)
		*err = why;
	return -1;
}

static void part_stored(struct store_job *j, const struct store_part *w, char *text)
{
	pthread_mutex_lock(&j->lock);
	j->parts[w->seq - 1].part = text;
	j->parts[w->seq - 1].taken = false;
	j->taken_n--;
	j->stored_n++;
	j->waiting_bytes -= w->part.bytes;
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
}

/* The store has it, the database knows that, then the file goes: in this order, so that each crash leaves the bytes somewhere. */
static int part_send(struct store_job *j, const struct store_part *w, int fd, struct err *err)
{
	enum spool_kind kind = w->part.note.last ? SPOOL_LAST : SPOOL_CHUNK;
	char *text = NULL;

	if (part_put(j, w, fd, &text, err) < 0)
		return -1;
	if (part_confirm(j, w, text, err) < 0) {
		free(text);
		return -1;
	}
	/* A file that stays is in nobody's way: the folder goes at the end. */
	if (spool_unlink(j->spool, w->seq, kind, NULL) == 0)
		store_spool_sub(j->store, w->part.bytes);
	atomic_fetch_sub(&j->spool_bytes, w->part.bytes);
	atomic_fetch_add(&j->store->counted.parts_stored, 1);
	part_stored(j, w, text);
	return 0;
}

int store_part_run(struct store_job *j, void *arg, struct err *err)
{
	struct store_part *w = arg;
	uint64_t bytes;
	int fd = spool_chunk_fd(j->spool, w->seq, w->part.note.last ? SPOOL_LAST : SPOOL_CHUNK, &bytes, err), rc = -1;

	if (fd < 0)
		return -1;
	if (bytes != w->part.bytes) {
		err_set(err, ERR_STATE, "its file has %" PRIu64 " bytes, %" PRIu64 " were written", bytes,
			w->part.bytes);
	} else if (part_enter(j, w->alone, err) == 0) {
		rc = part_send(j, w, fd, err);
		part_leave(j);
	}
	fs_close(fd);
	return rc;
}
