/* What operators erase: files, and with "records" also what the database knows of those captures. */
#include "common/clock.h"
#include "common/log.h"
#include "gateway/api/api.h"
#include "gateway/api/api_select.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/storage/retention.h"

#include <string.h>

#define END_WAIT_MS 10000u
/* Then an answer says how far it came, and who asks goes on from there: nothing on the way cuts what takes hours. */
#define TURN_NS   (10 * CLOCK_NS_PER_S)
#define TURN_MOST 500u

struct purge {
	const struct api_selection *s;
	struct err why; /* what runs is ended */
	json_t *purged, *held, *failed;
	struct driver_erased sum;
	json_int_t records, verified;
	uint64_t until_ns; /* monotonic */
	size_t n;          /* of those that the answer names */
	char next[ID_MAX]; /* the last that was looked at; "" : none */
	bool more;         /* it was not the last of all, maybe */
};

/* Is there, or could there be, anything of it in spool or store? */
static bool has_file(const struct job *j)
{
	return !job_state_is_end(j->state) || j->state == JOB_READY || j->object_key[0];
}

/* Each one has a record of its own: a purge of an app or a user may be of thousands. */
static int audit_one(struct api_call *a, const struct job *j, const struct purge *p, struct err *err)
{
	json_t *data = json_pack("{s:b, s:b}", "purge", 1, "record", (int)p->s->records);
	const struct api_audited what = {.begins = true, .job = j->id, .scopes = &j->scopes, .data = data};
	int rc = api_audit(a, "capture.delete", &what, err);

	json_decref(data);
	return rc;
}

static int erase_file(
	struct api_call *a, const struct job *j, const struct err *why, struct erase_report *r, struct err *err)
{
	struct capture *c = jobs_find(a->gw->jobs, j->id);
	int rc = 0;

	if (c) {
		capture_kill_for(c, STOP_KILLED, a->who->user_id, why);
		if (capture_wait_ended(c, END_WAIT_MS) < 0)
			rc = err_set(err, ERR_UNAVAILABLE, "the capture is still being ended");
		else
			capture_erased(c, &r->store);
		capture_unref(c);
	}
	return rc < 0 ? -1 : retention_erase(a->gw, j->id, JOB_PURGED, a->who->user_id, r, err);
}

static json_t *purged_json(const struct job *j, const struct erase_report *r, bool record)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:s*}", "job", j->id, "state", job_state_name(j->state),
		"size_bytes", (json_int_t)r->store.bytes, "objects", (json_int_t)r->store.objects, "uploads",
		(json_int_t)r->store.uploads, "verified", (int)r->verified, "record", (int)record, "note",
		r->note[0] ? r->note : NULL);
}

/* What would be, as far as the record knows; of a live one nothing is stored anywhere. */
static void foresee(const struct job *j, struct erase_report *r)
{
	if (!has_file(j) || j->mode == JOB_LIVE)
		return;
	r->store.bytes = j->state == JOB_READY ? j->object_bytes : j->bytes;
	r->store.objects = j->state == JOB_READY;
}

/* What was erased until then: the next purge does not find it any more. */
static json_t *failed_json(const struct job *j, const struct erase_report *r, const struct err *err)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "job", j->id, "error", err->msg, "size_bytes",
		(json_int_t)r->store.bytes, "objects", (json_int_t)r->store.objects, "uploads",
		(json_int_t)r->store.uploads);
}

static void purge_one(struct api_call *a, const struct job *j, struct purge *p)
{
	struct erase_report r = {0};
	struct err err = {0};
	bool begun = !p->s->dry_run && audit_one(a, j, p, &err) == 0;
	int rc = 0;

	if (p->s->dry_run)
		foresee(j, &r);
	else if (!begun)
		rc = -1;
	else if (has_file(j))
		rc = erase_file(a, j, &p->why, &r, &err);
	else
		r.verified = strcmp(j->error_code, "storage_elsewhere") != 0;
	if (!has_file(j) && strcmp(j->error_code, "storage_elsewhere") == 0)
		snprintf(r.note, sizeof(r.note), "its file may still be in a store that this gateway does not use");
	if (rc == 0 && p->s->records && !p->s->dry_run)
		rc = job_db_delete(a->gw->db, j->id, &err);
	if (begun)
		api_audit_erased(a, j, &r, true, p->s->records, rc < 0 ? &err : NULL);
	if (rc == 0) {
		json_array_append_new(p->purged, purged_json(j, &r, p->s->records));
		p->records += p->s->records;
		p->verified += r.verified;
	} else {
		json_array_append_new(p->failed, failed_json(j, &r, &err));
	}
	p->sum.objects += r.store.objects;
	p->sum.uploads += r.store.uploads;
	p->sum.bytes += r.store.bytes;
}

static bool visit(struct api_call *a, const struct job *j, void *ctx)
{
	struct purge *p = ctx;

	/* One at least, or it would never come to an end. */
	if (p->next[0] && (p->n >= TURN_MOST || clock_mono_ns() >= p->until_ns)) {
		p->more = true;
		return false;
	}
	memcpy(p->next, j->id, sizeof(p->next));
	if (!has_file(j) && !p->s->records)
		return true;
	p->n++;
	if (j->hold[0])
		json_array_append_new(p->held, json_pack("{s:s, s:s}", "job", j->id, "reason", j->hold));
	else
		purge_one(a, j, p);
	return true;
}

static json_t *ids_of(const json_t *list)
{
	json_t *ids = json_array(), *one;
	size_t i;

	json_array_foreach(list, i, one) json_array_append(ids, json_object_get(one, "job"));
	return ids;
}

/* What became of it; why: it could not even look for all of them. */
static void audit_result(struct api_call *a, json_t *body, const struct purge *p, const struct err *why)
{
	json_t *data = json_pack("{s:O, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "selector", body,
		"purged", (json_int_t)json_array_size(p->purged), "held", (json_int_t)json_array_size(p->held),
		"failed", (json_int_t)json_array_size(p->failed), "verified", p->verified, "erased_bytes",
		(json_int_t)p->sum.bytes, "objects", (json_int_t)p->sum.objects, "uploads", (json_int_t)p->sum.uploads,
		"records", p->records, "held_jobs", ids_of(p->held), "failed_jobs", ids_of(p->failed), "more",
		(int)p->more);
	struct err some = {0};

	if (!why && json_array_size(p->failed) > 0) {
		err_set(&some, ERR_INTERNAL, "%zu captures could not be erased", json_array_size(p->failed));
		err_detail(&some, "not_all_erased");
		why = &some;
	}
	api_audit(a, "admin.purged", &(struct api_audited){.refused = why, .was_begun = true, .data = data}, NULL);
	json_decref(data);
}

static int run(struct api_call *a, struct purge *p, struct err *err)
{
	if (api_each_selected(a, &p->s->filter, visit, p, err) < 0)
		return -1;
	return p->s->records && !p->s->dry_run ? job_db_wipe(a->gw->db, err) : 0;
}

static void audit_looked(struct api_call *a, json_t *body)
{
	json_t *data = json_pack("{s:s, s:O}", "what", "purge", "selector", body);

	api_audit(a, "admin.read", &(struct api_audited){.data = data}, NULL);
	json_decref(data);
}

static int purge(struct api_call *a, json_t *body, struct purge *p, struct err *err)
{
	const char *reason = p->s->reason;
	char name[API_OPERATOR_NAME_MAX];
	int rc;

	p->until_ns = clock_mono_ns() + TURN_NS;
	err_set(&p->why, ERR_CANCELLED, "purged by %s%s%s", api_operator_name(a, name), reason ? ": " : "",
		reason ? reason : "");
	if (p->s->dry_run) {
		audit_looked(a, body);
		return run(a, p, err);
	}
	if (api_audit(a, "admin.purge", &(struct api_audited){.begins = true, .why = reason, .data = body}, err) < 0)
		return -1;
	rc = run(a, p, err);
	audit_result(a, body, p, rc < 0 ? err : NULL);
	return rc;
}

void api_admin_purge(struct api_call *a)
{
	struct api_selection s = {0};
	struct purge p = {.s = &s, .purged = json_array(), .held = json_array(), .failed = json_array()};
	json_t *body = api_body(a);
	struct err err = {0};

	if (!body)
		goto out;
	if (api_select_read(body, API_REASON_OPTIONAL, true, &s, &err) < 0 || purge(a, body, &p, &err) < 0) {
		http_reply_err(a->rq, &err);
		goto out;
	}
	if (!s.dry_run)
		log_event(LOG_LEVEL_WARNING, "admin.purge",
			json_pack("{s:s, s:O, s:O, s:O, s:I, s:b}", "by", a->who->user_id, "purged", p.purged, "failed",
				p.failed, "held", p.held, "records", p.records, "more", (int)p.more));
	http_reply_json(a->rq, 200,
		json_pack("{s:b, s:O, s:O, s:O, s:I, s:I, s:I, s:I, s:s?}", "dry_run", (int)s.dry_run, "purged",
			p.purged, "held", p.held, "failed", p.failed, "size_bytes", (json_int_t)p.sum.bytes, "objects",
			(json_int_t)p.sum.objects, "uploads", (json_int_t)p.sum.uploads, "records", p.records,
			"next_cursor", p.more ? p.next : NULL));
out:
	json_decref(p.purged);
	json_decref(p.held);
	json_decref(p.failed);
	json_decref(body);
}
