/* store_upload.c - closed chunks to the driver, in a thread of the job's own while the capture runs, and the object at the end. */
#include "uploader/store_internal.h"

#include "common/clock.h"
#include "common/fs.h"
#include "uploader/text_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_TEXT_MAX 21 /* 20 digits of the largest uint64_t */

/* ---- what the database keeps of the upload ---- */

static const char open_word[] = "open ", complete_word[] = "complete ";

static char *upload_text_format(const char *driver_text, const struct driver_object *expect)
{
	if (!expect)
		return fs_path("%s%s", open_word, driver_text);
	return fs_path("%s%" PRIu64 " %s %s", complete_word, expect->bytes, expect->sha256, driver_text);
}

static bool complete_parse(const char *text, struct upload_text *ret)
{
	uint8_t sum[DIGEST_SHA256_BYTES];
	char bytes[NUMBER_TEXT_MAX];

	if (!(text = text_field(text, ' ', bytes, sizeof(bytes))) ||
		!(text = text_field(text, ' ', ret->expect.sha256, sizeof(ret->expect.sha256))))
		return false;
	ret->complete = true;
	ret->driver = text;
	return text_u64(bytes, &ret->expect.bytes) && strlen(ret->expect.sha256) == 2 * sizeof(sum) &&
	       text_hex(ret->expect.sha256, sum, sizeof(sum));
}

int upload_text_parse(const char *text, struct upload_text *ret, struct err *err)
{
	struct upload_text t = {.driver = ""};

	if (strncmp(text, open_word, strlen(open_word)) == 0)
		t.driver = text + strlen(open_word);
	else if (text[0] && (strncmp(text, complete_word, strlen(complete_word)) != 0 ||
				    !complete_parse(text + strlen(complete_word), &t)))
		return err_set(err, ERR_IO, "the database's text of the upload, \"%s\", is none of ours", text);
	*ret = t;
	return 0;
}

static int upload_text_set(struct store_job *j, const struct driver_object *expect, struct err *err)
{
	char *text = upload_text_format(j->upload_text, expect);
	int rc = text ? job_db_upload_set(j->store->db, j->id, text, err) : err_nomem(err);

	free(text);
	return rc;
}

int store_upload_begin(struct store_job *j, const struct driver_tags *tags, const char *resume_text, struct err *err)
{
	const struct driver_ops *ops = j->store->driver->ops;

	if (!(j->upload = ops->upload_begin(j->store->driver, j->key, tags, resume_text, err)))
		return -1;
	if (!(j->upload_text = ops->upload_state(j->upload, err)))
		return -1;
	/* A resumed upload is in the database already, maybe as complete. */
	return resume_text[0] ? 0 : upload_text_set(j, NULL, err);
}

int store_upload_undo(struct store *s, const char *job_id, const char *key, const char *text, struct err *err)
{
	const struct driver_tags tags = {.job = job_id, .user = "", .org = "", .space = "", .source = ""};
	const struct driver_ops *ops = s->driver->ops;
	struct err why = {0};
	struct upload_text t;
	void *upload = NULL;
	int rc;

	/* A text that nobody understands must not keep a job from being erased: a new upload replaces the job's old one. */
	if (upload_text_parse(text, &t, NULL) < 0)
		t.driver = "";
	if (t.driver[0] && !(upload = ops->upload_begin(s->driver, key, &tags, t.driver, &why)) &&
		why.code != ERR_INPUT) {
		if (err)
			*err = why;
		return -1;
	}
	if (!upload && !(upload = ops->upload_begin(s->driver, key, &tags, "", err)))
		return -1;
	rc = ops->upload_abort(upload, err);
	ops->upload_free(upload);
	return rc;
}

/* ---- attempts ---- */

struct attempt {
	const char *what; /* "chunk 3" */
	int (*run)(struct store_job *j, void *arg, struct err *err);
	void *arg;
	bool (*is_final)(enum err_code code); /* no use in trying again? */
};

/* What will be the same next time. */
static bool part_is_final(enum err_code code)
{
	return code == ERR_INPUT || code == ERR_LIMIT || code == ERR_NOT_FOUND || code == ERR_AUTH ||
	       code == ERR_PERM || code == ERR_STATE || code == ERR_CANCELLED || code == ERR_INTERNAL;
}

/* ERR_IO of a completion says that the store holds other bytes than were sent; looking again does not mend them. */
static bool complete_is_final(enum err_code code)
{
	return code == ERR_IO || part_is_final(code);
}

static void tell(struct store_job *j, const char *type, const char *what, const char *text)
{
	char *sentence;

	if (!j->store->on_event)
		return;
	sentence = fs_path("%s%s%s", what, text[0] ? ": " : "", text);
	j->store->on_event(j->store->ctx, j->id, type, sentence ? sentence : what);
	free(sentence);
}

static uint64_t wait_ms(const struct store_retry *r, unsigned tries)
{
	uint64_t ms = r->first_ms;
	uint16_t random;

	for (unsigned i = 1; i < tries && ms < r->cap_ms; i++)
		ms *= 2;
	if (ms > r->cap_ms)
		ms = r->cap_ms;
	digest_random(&random, sizeof(random));
	return ms - ms / 2 * random / UINT16_MAX;
}

/* Waits; false: cancelled meanwhile. */
static bool wait_again(struct store_job *j, uint64_t ms)
{
	struct timespec until = clock_deadline(ms);
	bool cancelled;
	int rc = 0;

	pthread_mutex_lock(&j->lock);
	while (!j->cancelled && rc == 0)
		rc = pthread_cond_timedwait(&j->cond, &j->lock, &until);
	cancelled = j->cancelled;
	pthread_mutex_unlock(&j->lock);
	return !cancelled;
}

static int attempt_run(struct store_job *j, const struct attempt *a, struct err *err)
{
	const struct store_retry *r = &j->store->retry;
	uint64_t from_ns = clock_mono_ns();
	struct err why = {0};

	for (unsigned tries = 1;; tries++) {
		if (a->run(j, a->arg, &why) == 0) {
			if (tries > 1)
				tell(j, "storage_ok", a->what, "stored at last");
			return 0;
		}
		if (a->is_final(why.code) || tries >= r->tries ||
			clock_mono_ns() - from_ns >= r->total_ms * CLOCK_NS_PER_MS) {
			tell(j, "storage_failed", a->what, why.msg);
			break;
		}
		if (tries == 1)
			tell(j, "storage_retry", a->what, why.msg);
		if (!wait_again(j, wait_ms(r, tries)))
			break;
	}
	err_in(&why, "%s", a->what);
	if (err)
		*err = why;
	return -1;
}

/* ---- parts ---- */

struct part_work {
	uint32_t seq;
	struct job_part part; /* as it stood in the list */
};

static int part_confirm(struct store_job *j, const struct part_work *w, const char *text, struct err *err)
{
	struct job_chunk c = {.seq = w->seq, .bytes = w->part.bytes, .stored = true};
	int rc;

	memcpy(c.sha256, w->part.sha256, sizeof(c.sha256));
	c.part = chunk_note_format(&w->part.note, text);
	rc = c.part ? job_db_chunk_put(j->store->db, j->id, &c, err) : err_nomem(err);
	free(c.part);
	return rc;
}

/* The store has it, the database knows that, then the file goes: in this order, so that each crash leaves the bytes somewhere. */
static int part_run(struct store_job *j, void *arg, struct err *err)
{
	struct part_work *w = arg;
	enum spool_kind kind = w->part.note.last ? SPOOL_LAST : SPOOL_CHUNK;
	char *text = NULL;
	uint64_t bytes;
	int fd = spool_chunk_fd(j->spool, w->seq, kind, &bytes, err), rc = -1;

	if (fd < 0)
		return -1;
	if (bytes != w->part.bytes) {
		err_set(err, ERR_STATE, "its file has %" PRIu64 " bytes, %" PRIu64 " were written", bytes,
			w->part.bytes);
		goto out;
	}
	if (j->store->driver->ops->upload_part(
		    j->upload, w->seq, w->seq == 1 && w->part.note.last, fd, bytes, w->part.sha256, &text, err) < 0 ||
		part_confirm(j, w, text, err) < 0)
		goto out;
	/* A file that stays is in nobody's way: the folder goes at the end. */
	spool_unlink(j->spool, w->seq, kind, NULL);
	pthread_mutex_lock(&j->lock);
	j->parts[w->seq - 1].part = text;
	pthread_mutex_unlock(&j->lock);
	text = NULL;
	rc = 0;
out:
	free(text);
	fs_close(fd);
	return rc;
}

/* Waits for the next part that is not stored yet; false: there is none and none will come. */
static bool part_next(struct store_job *j, struct part_work *w)
{
	bool found = false;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		while (w->seq <= j->parts_n && j->parts[w->seq - 1].part)
			w->seq++;
		if (j->cancelled)
			break;
		if (w->seq <= j->parts_n) {
			w->part = j->parts[w->seq - 1];
			found = true;
			break;
		}
		if (j->ended || pthread_cond_wait(&j->cond, &j->lock) != 0)
			break;
	}
	pthread_mutex_unlock(&j->lock);
	return found;
}

static void *upload_main(void *arg)
{
	struct store_job *j = arg;
	struct part_work w = {.seq = 1};
	struct err why = {0};
	char what[32];

	while (part_next(j, &w)) {
		const struct attempt a = {.what = what, .run = part_run, .arg = &w, .is_final = part_is_final};

		snprintf(what, sizeof(what), "chunk %" PRIu32, w.seq);
		if (attempt_run(j, &a, &why) < 0) {
			pthread_mutex_lock(&j->lock);
			j->failed = true;
			j->why = why;
			pthread_mutex_unlock(&j->lock);
			break;
		}
	}
	return NULL;
}

void store_upload_wake(struct store_job *j)
{
	pthread_mutex_lock(&j->lock);
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
	/* Without a thread the chunks wait for the next one, or for store_upload_rest. */
	if (!j->threaded)
		j->threaded = pthread_create(&j->thread, NULL, upload_main, j) == 0;
}

static void upload_join(struct store_job *j)
{
	if (j->threaded)
		pthread_join(j->thread, NULL);
	j->threaded = false;
}

int store_upload_rest(struct store_job *j, struct err *err)
{
	bool threaded = j->threaded;

	pthread_mutex_lock(&j->lock);
	j->ended = true;
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
	upload_join(j);
	if (!threaded)
		upload_main(j);
	if (!j->failed)
		return 0;
	if (err)
		*err = j->why;
	return -1;
}

void store_upload_stop(struct store_job *j)
{
	pthread_mutex_lock(&j->lock);
	j->cancelled = true;
	pthread_cond_broadcast(&j->cond);
	pthread_mutex_unlock(&j->lock);
	upload_join(j);
}

/* ---- the object ---- */

struct complete_work {
	const struct driver_object *expect;
	const char **parts;
};

static int complete_run(struct store_job *j, void *arg, struct err *err)
{
	const struct complete_work *w = arg;

	/* First the database learns what the object must be: after a crash from here on it is recognised by that. */
	if (upload_text_set(j, w->expect, err) < 0)
		return -1;
	return j->store->driver->ops->upload_complete(j->upload, j->parts_n, w->parts, w->expect, err);
}

int store_upload_complete(struct store_job *j, const struct driver_object *expect, struct err *err)
{
	struct complete_work w = {.expect = expect, .parts = calloc(j->parts_n + 1u, sizeof(*w.parts))};
	const struct attempt a = {.what = "object", .run = complete_run, .arg = &w, .is_final = complete_is_final};
	int rc;

	if (!w.parts)
		return err_nomem(err);
	for (uint32_t i = 0; i < j->parts_n; i++)
		w.parts[i] = j->parts[i].part;
	rc = attempt_run(j, &a, err);
	free(w.parts);
	return rc;
}
