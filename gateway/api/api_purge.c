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
	json_int_t records;
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
	return api_audit_job(
		a, "capture.delete", j, json_pack("{s:b, s:b}", "purge", 1, "record", (int)p->s->records), err);
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
	int rc = 0;

	if (p->s->dry_run)
		foresee(j, &r);
	else if (audit_one(a, j, p, &err) < 0)
		rc = -1;
	else if (has_file(j))
		rc = erase_file(a, j, &p->why, &r, &err);
	else
		r.verified = strcmp(j->error_code, "storage_elsewhere") != 0;
	if (!has_file(j) && strcmp(j->error_code, "storage_elsewhere") == 0)
		snprintf(r.note, sizeof(r.note), "its file may still be in a store that this gateway does not use");
	if (rc == 0 && p->s->records && !p->s->dry_run)
		rc = job_db_delete(a->gw->db, j->id, &err);
	if (rc == 0) {
		json_array_append_new(p->purged, purged_json(j, &r, p->s->records));
		p->records += p->s->records;
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

static int purge(struct api_call *a, json_t *body, struct purge *p, struct err *err)
{
	const char *reason = p->s->reason;
	char name[API_OPERATOR_NAME_MAX];

	p->until_ns = clock_mono_ns() + TURN_NS;
	err_set(&p->why, ERR_CANCELLED, "purged by %s%s%s", api_operator_name(a, name), reason ? ": " : "",
		reason ? reason : "");
	if (!p->s->dry_run && api_audit(a, "admin.purge", &(struct api_audited){.why = reason, .data = body}, err) < 0)
		return -1;
	if (api_each_selected(a, &p->s->filter, visit, p, err) < 0)
		return -1;
	return p->s->records && !p->s->dry_run ? job_db_wipe(a->gw->db, err) : 0;
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
