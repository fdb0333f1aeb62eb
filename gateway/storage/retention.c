#include "gateway/storage/retention.h"

#include "common/clock.h"
#include "common/log.h"
#include "gateway/audit/audit_capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/gateway.h"
#include "gateway/limits/limits.h"
#include "gateway/policy/approvals.h"
#include "gateway/policy/policy.h"
#include "gateway/storage/eraser.h"
#include "gateway/storage/storage.h"
#include "schema/pcapng.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LISTED        1000u  /* a page of jobs */
#define CLAIM_WAIT_MS 10000u /* who wants to erase a job waits so long for another who works on it */
#define KILL_WAIT_MS  2000u  /* who kills it */

struct retention {
	struct gateway *gw;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping; /* by lock */
};

static void add_event(struct gateway *gw, const struct job *j, const char *type, json_t *data)
{
	char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
	struct err err = {0};
	uint64_t seq;

	if (job_db_event_add(gw->db, j->id, clock_wall_ns(), type, text ? text : "{}", &seq, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "retention.event_lost", &err, json_pack("{s:s}", "job", j->id));
	free(text);
	json_decref(data);
}

static void save(struct gateway *gw, const struct job *j)
{
	struct err err = {0};

	if (job_db_save(gw->db, j, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "retention.save_failed", &err, json_pack("{s:s}", "job", j->id));
}

/* ---- erasing ---- */

/* What the store holds of it; a job whose object this gateway cannot reach keeps its record, unless its time is over. */
static int erase_stored(
	struct gateway *gw, struct job *j, enum job_state state, struct erase_report *ret, struct err *err)
{
	struct driver_erased e = {0};
	struct err elsewhere = {0};
	int rc;

	if (!gw->store && !j->object_key[0])
		return 0;
	if (!gw->store)
		return err_set(err, ERR_UNAVAILABLE,
			"storage is switched off on this gateway; the capture's file cannot be reached to erase it");
	if (storage_is_elsewhere(gw, j, &elsewhere)) {
		err_in(&elsewhere, "not erased");
		if (state != JOB_EXPIRED) {
			if (err)
				*err = elsewhere;
			return -1;
		}
		log_err(LOG_LEVEL_WARNING, "retention.not_erased", &elsewhere, json_pack("{s:s}", "job", j->id));
		snprintf(ret->note, sizeof(ret->note), "%s", elsewhere.msg);
		if (job_set(&j->error_code, "storage_elsewhere", err) < 0)
			return -1;
		return job_set(&j->error, elsewhere.msg, err);
	}
	rc = store_erase(gw->store, j->id, j->object_key, &e, err);
	ret->store.objects += e.objects;
	ret->store.uploads += e.uploads;
	ret->store.bytes += e.bytes;
	if (rc == 0 && j->state == JOB_READY && e.objects == 0)
		snprintf(ret->note, sizeof(ret->note),
			"the store held no object of it any more; a try that failed before may have erased it");
	return rc;
}

/* Once more: what has erased it must find nothing now. */
static int verify(struct gateway *gw, const struct job *j, struct erase_report *ret, struct err *err)
{
	struct driver_erased again = {0};

	if (!gw->store) {
		ret->verified = !j->object_key[0];
		return 0;
	}
	if (store_erase(gw->store, j->id, j->object_key, &again, err) < 0)
		return err_in(err, "looking whether it is gone");
	if (again.objects > 0 || again.uploads > 0)
		return err_set(err, ERR_IO,
			"the store had erased it, and then still held %u objects and %u uploads of it", again.objects,
			again.uploads);
	ret->verified = true;
	return 0;
}

int retention_check_hold(const struct job *j, struct err *err)
{
	if (!j->hold[0])
		return 0;
	err_set(err, ERR_STATE, "the capture is on hold: it may not be erased until an operator lifts that");
	return err_detail(err, "on_hold");
}

static json_t *erased_json(const struct erase_report *r, const char *by)
{
	return json_pack("{s:s*, s:I, s:I, s:I, s:s*}", "by", by, "objects", (json_int_t)r->store.objects, "uploads",
		(json_int_t)r->store.uploads, "bytes", (json_int_t)r->store.bytes, "note", r->note[0] ? r->note : NULL);
}

static int erase_claimed(struct gateway *gw, const char *job_id, enum job_state state, const char *by,
	struct erase_report *ret, struct err *err)
{
	struct job *j = job_db_get(gw->db, job_id, err);
	enum job_state before;
	int rc = -1;

	if (!j)
		return -1;
	if (j->state == JOB_PURGED) {
		ret->verified = true;
		rc = 0;
		goto out;
	}
	if (retention_check_hold(j, err) < 0 || erase_stored(gw, j, state, ret, err) < 0)
		goto out;
	if (state == JOB_PURGED && verify(gw, j, ret, err) < 0)
		goto out;
	before = j->state;
	j->state = state;
	j->object_bytes = 0;
	j->object_sha256[0] = '\0';
	if (state == JOB_PURGED)
		j->expires_at = 0; /* what is gone does not expire */
	if (j->ended_at == 0)
		j->ended_at = clock_wall_ns();
	if (job_set(&j->object_key, "", err) < 0 || job_db_links_delete(gw->db, j->id, err) < 0 ||
		job_db_save(gw->db, j, err) < 0)
		goto out;
	add_event(gw, j, before == state ? "erased" : job_state_name(state), erased_json(ret, by));
	if (!job_state_is_end(before)) /* one that nobody runs any more: this is its end, and nobody else tells */
		audit_capture_end(gw->audit, j);
	if (state == JOB_EXPIRED)
		audit_capture_expired(gw->audit, j, ret->store.bytes, ret->note);
	rc = 0;
out:
	job_free(j);
	return rc;
}

/* Nobody else may finish it meanwhile: what was erased would come back. */
int retention_erase(struct gateway *gw, const char *job_id, enum job_state state, const char *by,
	struct erase_report *ret, struct err *err)
{
	struct erase_report unread = {0};
	int rc;

	if (gw->store)
		store_cancel(gw->store, job_id); /* should it just be finished: nobody waits for that any more */
	if (jobs_claim(gw->jobs, job_id, CLAIM_WAIT_MS, err) < 0)
		return -1;
	rc = erase_claimed(gw, job_id, state, by, ret ? ret : &unread, err);
	jobs_unclaim(gw->jobs, job_id);
	return rc;
}

/* ---- finishing what a former process left ---- */

static int tail_write(void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err)
{
	const struct job *j = ctx;
	char note[STOP_NOTE_MAX];
	size_t used = 0;

	(void)err;
	*ret_n = 0;
	if (j->stop_reason != STOP_INTERRUPTED)
		return 0; /* the stream had its end already; only its upload was missing */
	stop_note_format(
		STOP_INTERRUPTED, "the gateway ended unexpectedly; packets after this point are missing", note);
	for (uint32_t i = 0; i < interfaces_n; i++) {
		struct pcapng_stats s = {.interface_id = i, .ts_ns = clock_wall_ns(), .comment = note};

		used += pcapng_write_stats(dst + used, room - used, &s);
	}
	*ret_n = used;
	return 0;
}

static void finish_lost(struct gateway *gw, struct job *j, const char *code, const char *why)
{
	j->state = JOB_FAILED;
	j->ended_at = clock_wall_ns();
	job_set(&j->object_key, "", NULL);
	job_set(&j->error_code, code, NULL);
	job_set(&j->error, why, NULL);
	save(gw, j);
	add_event(gw, j, "failed", json_pack("{s:s, s:s}", "reason", stop_reason_name(j->stop_reason), "error", why));
	audit_capture_end(gw->audit, j);
}

static void finish_later(struct gateway *gw, struct job *j, const struct err *err)
{
	bool told = j->state == JOB_FINISHING && strcmp(j->error, err->msg) == 0;

	if (err->code == ERR_CANCELLED)
		return; /* it stays as it is: the next process goes on, or it is being erased */
	j->state = JOB_FINISHING;
	job_set(&j->error_code, strcmp(err->detail, "storage_elsewhere") == 0 ? err->detail : "storage_failed", NULL);
	job_set(&j->error, err->msg, NULL);
	save(gw, j);
	if (!told) /* not at each sweep */
		log_err(LOG_LEVEL_ERROR, "retention.recover_failed", err, json_pack("{s:s}", "job", j->id));
}

/* Nothing is tried for longer than a good object would have been kept. */
static bool is_too_old(const struct gateway *gw, const struct job *j)
{
	uint64_t now = clock_wall_ns(), last = j->heartbeat_at > 0 ? j->heartbeat_at : j->created_at;

	return !j->hold[0] && now > last && now - last > limits_kept_ns(&gw->config, j);
}

static void give_up(struct gateway *gw, struct job *j, const char *code, const struct err *why)
{
	struct err err = {0};

	if (j->hold[0]) /* what is left of it may be of no use, but is not ours to erase */
		finish_later(gw, j, why);
	else if (store_erase(gw->store, j->id, j->object_key, NULL, &err) < 0)
		finish_later(gw, j, &err);
	else
		finish_lost(gw, j, code, why->msg);
}

static void finish_stored(struct gateway *gw, struct job *j)
{
	struct driver_tags tags = {
		.job = j->id, .user = j->owner_user_id, .org = j->org, .space = j->space, .source = "pcapline"};
	char store[STORAGE_NAME_MAX];
	struct driver_object object;
	struct err err = {0};

	if (storage_is_elsewhere(gw, j, &err)) {
		finish_later(
			gw, j, &err); /* however long: parts of it are there, and here they would seem to be lost */
	} else if (store_recover(gw->store, j->id, j->object_key, &tags, tail_write, j, &object, &err) == 0) {
		j->state = JOB_READY;
		j->ended_at = clock_wall_ns();
		j->expires_at = j->ended_at + policy_kept_ns(gw->policy, &j->scopes, limits_kept_ns(&gw->config, j));
		j->object_bytes = j->bytes = object.bytes;
		memcpy(j->object_sha256, object.sha256, sizeof(object.sha256));
		job_set(&j->error_code, "", NULL);
		job_set(&j->error, "", NULL);
		job_set(&j->object_store, storage_name(&gw->config, store), NULL);
		save(gw, j);
		add_event(gw, j, "ready",
			json_pack("{s:I, s:s, s:b}", "size_bytes", (json_int_t)object.bytes, "sha256", object.sha256,
				"interrupted", j->stop_reason == STOP_INTERRUPTED));
		audit_capture_end(gw->audit, j);
		log_event(LOG_LEVEL_INFO, "retention.recovered",
			json_pack("{s:s, s:I}", "job", j->id, "bytes", (json_int_t)object.bytes));
	} else if (err.code == ERR_NOT_FOUND) {
		finish_lost(gw, j, "interrupted", "the gateway ended before anything was stored");
	} else if (strcmp(err.detail, "storage_lost") == 0) {
		give_up(gw, j, "storage_lost", &err); /* trying again is no use */
	} else if (err.code != ERR_CANCELLED && is_too_old(gw, j)) {
		give_up(gw, j, "storage_failed", &err);
	} else {
		finish_later(gw, j, &err);
	}
}

/* It stays as it is until there is a store again, but nobody shall think that it runs. */
static void finish_without_store(struct gateway *gw, struct job *j)
{
	struct err err = {0};

	err_set(&err, ERR_UNAVAILABLE, "storage is switched off on this gateway");
	finish_later(gw, j, &err);
}

/* The former process died, or failed, while it erased a job that was killed. */
static void finish_killed(struct gateway *gw, const struct job *j)
{
	struct erase_report r = {0};
	struct err err = {0};

	if (erase_claimed(gw, j->id, j->stop_reason == STOP_DELETED ? JOB_PURGED : JOB_KILLED, NULL, &r, &err) < 0 &&
		err.code != ERR_CANCELLED)
		log_err(LOG_LEVEL_ERROR, "retention.erase_failed", &err, json_pack("{s:s}", "job", j->id));
}

/* What is on hold is kept. */
static bool is_discarded(const struct job *j)
{
	return (j->stop_reason == STOP_KILLED || j->stop_reason == STOP_DELETED) && !j->hold[0];
}

/* What a job that nobody runs any more is called from now on; no store is asked.  A live one has its end with it. */
static void interrupt(struct gateway *gw, struct job *j)
{
	if (j->stop_reason == STOP_NONE) {
		j->stop_reason = STOP_INTERRUPTED;
		for (size_t n = 0; n < j->instances_n; n++) {
			struct job_instance *i = &j->instances[n];

			if (i->state == INSTANCE_STARTING || i->state == INSTANCE_RUNNING) {
				i->state = i->state == INSTANCE_RUNNING ? INSTANCE_ENDED : INSTANCE_FAILED;
				i->stop_reason = STOP_INTERRUPTED;
			}
		}
	}
	if (is_discarded(j))
		return; /* being erased */
	if (j->mode == JOB_LIVE) {
		finish_lost(gw, j, "interrupted", "the gateway ended while it streamed");
	} else if (j->state != JOB_FINISHING) {
		j->state = JOB_FINISHING;
		save(gw, j);
	}
}

static void finish(struct gateway *gw, struct job *j)
{
	interrupt(gw, j);
	if (is_discarded(j))
		finish_killed(gw, j);
	else if (job_state_is_end(j->state))
		return;
	else if (gw->store)
		finish_stored(gw, j);
	else if (!j->error_code[0])
		finish_without_store(gw, j);
}

static bool job_is_known(void *ctx, const char *id)
{
	struct gateway *gw = ctx;
	struct err err = {0};
	struct job *j = job_db_get(gw->db, id, &err);
	bool known = j || err.code != ERR_NOT_FOUND;

	job_free(j);
	return known;
}

static bool is_stopping(struct retention *r)
{
	bool stopping;

	pthread_mutex_lock(&r->lock);
	stopping = r->stopping;
	pthread_mutex_unlock(&r->lock);
	return stopping;
}

/* Every job that the filter finds, newest first, until we are to stop. */
static void each_job(
	struct retention *r, const struct job_filter *filter, void (*act)(struct gateway *gw, const char *id))
{
	struct job_filter f = *filter;
	char after[ID_MAX];
	struct job **jobs;
	struct err err = {0};
	size_t n;

	do {
		if (job_db_list(r->gw->db, &f, LISTED, &jobs, &n, &err) < 0) {
			log_err(LOG_LEVEL_ERROR, "retention.list_failed", &err, NULL);
			return;
		}
		for (size_t i = 0; i < n && !is_stopping(r); i++)
			act(r->gw, jobs[i]->id);
		if (n > 0) {
			snprintf(after, sizeof(after), "%s", jobs[n - 1]->id);
			f.after_id = after;
		}
		job_db_list_free(jobs, n);
	} while (n == LISTED && !is_stopping(r));
}

/* An unfinished one that no capture of this process runs. */
static void act_unfinished(struct gateway *gw, const char *id, void (*act)(struct gateway *gw, struct job *j))
{
	struct job *j;

	if (jobs_claim(gw->jobs, id, 0, NULL) < 0)
		return; /* it runs, or is being erased */
	/* Not one that has ended while we looked: the record tells once it has left the running ones. */
	if ((j = job_db_get(gw->db, id, NULL))) {
		if (!job_state_is_end(j->state))
			act(gw, j);
		job_free(j);
	}
	jobs_unclaim(gw->jobs, id);
}

static void interrupt_by_id(struct gateway *gw, const char *id)
{
	act_unfinished(gw, id, interrupt);
}

static void finish_by_id(struct gateway *gw, const char *id)
{
	act_unfinished(gw, id, finish);
}

/* Killed while the store did not answer. */
static void finish_killed_within(struct gateway *gw, const char *id, uint64_t claim_ms)
{
	struct job *j;

	if (jobs_claim(gw->jobs, id, claim_ms, NULL) < 0)
		return;
	if ((j = job_db_get(gw->db, id, NULL))) {
		if (j->state == JOB_KILLED && j->object_key[0] && gw->store && !j->hold[0])
			finish_killed(gw, j);
		job_free(j);
	}
	jobs_unclaim(gw->jobs, id);
}

static void finish_killed_by_id(struct gateway *gw, const char *id)
{
	finish_killed_within(gw, id, 0);
}

void retention_finish_killed(struct gateway *gw, const char *job_id)
{
	finish_killed_within(gw, job_id, CLAIM_WAIT_MS);
}

/* ---- killing what a former process left ---- */

/* Its key stays in the record until nothing of it is left: so the sweeper knows what is still to be erased. */
static int kill_claimed(struct gateway *gw, struct job *j, const char *by, const struct err *why, struct err *err)
{
	if (retention_check_hold(j, err) < 0)
		return -1;
	j->state = JOB_KILLED;
	j->stop_reason = STOP_KILLED;
	j->ended_at = clock_wall_ns();
	if (job_set(&j->stop_by, by, err) < 0 || job_set(&j->error_code, stop_reason_name(STOP_KILLED), err) < 0 ||
		job_set(&j->error, why->msg, err) < 0 || job_db_save(gw->db, j, err) < 0)
		return -1;
	add_event(gw, j, "killed",
		json_pack("{s:s, s:s, s:s}", "reason", stop_reason_name(STOP_KILLED), "by", by, "error", why->msg));
	audit_capture_end(gw->audit, j);
	return 0;
}

/* Who kills waits for no store. */
static void erase_killed(struct gateway *gw, const char *job_id, const char *key)
{
	struct driver_erased unread;

	if (!gw->eraser || eraser_erase(gw->eraser, job_id, key, 0, &unread, NULL) == 0)
		retention_finish_killed(gw, job_id);
}

int retention_kill(struct gateway *gw, const char *job_id, const char *by, const struct err *why, struct err *err)
{
	struct job *j = NULL;
	int rc = 1;

	if (gw->store)
		store_cancel(gw->store, job_id); /* should it just be finished */
	if (jobs_claim(gw->jobs, job_id, KILL_WAIT_MS, err) < 0)
		return -1;
	if (!(j = job_db_get(gw->db, job_id, err)))
		rc = err && err->code == ERR_NOT_FOUND ? 1 : -1;
	else if (j->state != JOB_WAITING && !job_state_is_end(j->state))
		rc = kill_claimed(gw, j, by, why, err);
	jobs_unclaim(gw->jobs, job_id);
	if (rc == 0)
		erase_killed(gw, job_id, j->object_key);
	job_free(j);
	return rc;
}

static const enum job_state killed_states[] = {JOB_KILLED};
static const struct job_filter killed = {.states = killed_states, .states_n = 1, .brief = true, .with_object = true};
static const enum job_state unfinished_states[] = {JOB_STARTING, JOB_RUNNING, JOB_FINISHING};
static const struct job_filter unfinished = {.states = unfinished_states, .states_n = 3, .brief = true};

static void recover(struct retention *r)
{
	struct gateway *gw = r->gw;
	unsigned erased = 0, foreign = 0;
	struct err err = {0};

	each_job(r, &unfinished, finish_by_id);
	each_job(r, &killed, finish_killed_by_id);
	if (!gw->store || is_stopping(r))
		return;
	if (store_orphans(gw->store, job_is_known, gw, &erased, &foreign, &err) < 0 && err.code != ERR_CANCELLED)
		log_err(LOG_LEVEL_WARNING, "retention.orphans_failed", &err, NULL);
	if (erased > 0 || foreign > 0)
		log_event(LOG_LEVEL_WARNING, "retention.spool_leftovers",
			json_pack("{s:i, s:i}", "erased", (int)erased, "foreign", (int)foreign));
}

/* ---- sweeping ---- */

static void expire_by_id(struct gateway *gw, const char *id)
{
	struct err err = {0};

	if (retention_erase(gw, id, JOB_EXPIRED, NULL, NULL, &err) < 0 && err.code != ERR_CANCELLED &&
		strcmp(err.detail, "on_hold") != 0)
		log_err(LOG_LEVEL_ERROR, "retention.expire_failed", &err, json_pack("{s:s}", "job", id));
}

/* All of them: one that cannot be erased must not keep the others. */
static void expire(struct retention *r)
{
	static const enum job_state ready[] = {JOB_READY};
	const struct job_filter f = {
		.states = ready, .states_n = 1, .brief = true, .expires_before_ns = clock_wall_ns(), .not_held = true};

	each_job(r, &f, expire_by_id);
}

static void sweep(struct retention *r)
{
	struct gateway *gw = r->gw;
	uint64_t now = clock_wall_ns(), forgotten = 0, history = gw->config.storage_history_ms * CLOCK_NS_PER_MS;
	struct err err = {0};

	expire(r);
	approvals_sweep(gw);
	each_job(r, &unfinished, finish_by_id);
	each_job(r, &killed, finish_killed_by_id);
	if (job_db_links_sweep(gw->db, now, &err) < 0 ||
		(now > history && job_db_forget(gw->db, now - history, &forgotten, &err) < 0))
		log_err(LOG_LEVEL_WARNING, "retention.sweep_failed", &err, NULL);
	limits_sweep(gw->limits, now);
	audit_tick(gw->audit);
}

static void *run(void *arg)
{
	struct retention *r = arg;

	pthread_setname_np(pthread_self(), "retention");
	recover(r);
	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		struct timespec until = clock_deadline(r->gw->config.storage_sweep_ms);

		pthread_cond_timedwait(&r->wake, &r->lock, &until);
		if (r->stopping)
			break;
		pthread_mutex_unlock(&r->lock);
		sweep(r);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct retention *retention_start(struct gateway *gw, struct err *err)
{
	struct retention *r = calloc(1, sizeof(*r));
	int rc;

	if (!r || pthread_mutex_init(&r->lock, NULL) != 0) {
		free(r);
		err_nomem(err);
		return NULL;
	}
	r->gw = gw;
	if ((rc = clock_cond_init(&r->wake)) == 0) {
		each_job(r, &unfinished, interrupt_by_id);
		if ((rc = pthread_create(&r->thread, NULL, run, r)) == 0)
			return r;
		pthread_cond_destroy(&r->wake);
	}
	err_sys(err, rc, "retention thread");
	pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

void retention_stop(struct retention *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (r->gw->store)
		store_cancel(r->gw->store, NULL); /* the next process goes on */
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
