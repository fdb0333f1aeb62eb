/* Legal hold: what operators keep from being erased, by anybody and by time, until they let it go. */
#include "common/clock.h"
#include "common/log.h"
#include "gateway/api/api.h"
#include "gateway/api/api_select.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/storage/eraser.h"

#include <string.h>

#define CLAIM_WAIT_MS 10000u
#define HOLD_TEXT_MAX (API_REASON_MAX + API_OPERATOR_NAME_MAX + 4)

struct hold {
	char text[HOLD_TEXT_MAX]; /* "" : it is lifted */
	json_t *done, *failed;
};

static void tell(struct api_call *a, struct capture *c, const char *id, bool held)
{
	const char *type = held ? "held" : "released"; /* who and why is for operators: the owner sees that it is */
	struct err err = {0};

	if (c)
		capture_event(c, type, NULL);
	else if (job_db_event_add(a->gw->db, id, clock_wall_ns(), type, "{}", NULL, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "hold.event_lost", &err, json_pack("{s:s}", "job", id));
}

/* One that runs is told first: from then on its end keeps what it has.  One that does not is claimed, so that nobody is just erasing it. */
/* In memory and in the database, never in memory alone: a hold first in memory, so that nothing is erased meanwhile, the end of one first in the database. */
static int hold_running(struct api_call *a, struct capture *c, const char *id, const char *text, struct err *err)
{
	if (!text[0])
		return job_db_hold(a->gw->db, id, text, err) < 0 ? -1 : capture_hold(c, text, err);
	if (capture_hold(c, text, err) < 0)
		return -1;
	if (job_db_hold(a->gw->db, id, text, err) == 0)
		return 0;
	capture_hold(c, "", NULL);
	return -1;
}

/* Whoever finishes or erases what it has left holds the claim, or is the eraser. */
static int hold_record(struct api_call *a, const char *id, const char *text, struct err *err)
{
	int rc = jobs_claim(a->gw->jobs, id, CLAIM_WAIT_MS, err);

	if (rc < 0)
		return -1;
	if (text[0] && eraser_is_at(a->gw->eraser, id))
		rc = err_set(err, ERR_STATE, "the capture is just being erased");
	else
		rc = job_db_hold(a->gw->db, id, text, err);
	jobs_unclaim(a->gw->jobs, id);
	return rc;
}

static int hold_one(struct api_call *a, const char *id, const char *text, struct err *err)
{
	struct capture *c = jobs_find(a->gw->jobs, id);
	int rc = c ? hold_running(a, c, id, text, err) : hold_record(a, id, text, err);

	if (rc == 0)
		tell(a, c, id, text[0] != '\0');
	capture_unref(c);
	return rc;
}

static bool visit(struct api_call *a, const struct job *j, void *ctx)
{
	struct hold *h = ctx;
	struct err err = {0};

	if (!h->text[0] && !j->hold[0])
		return true;
	if (hold_one(a, j->id, h->text, &err) == 0)
		json_array_append_new(h->done, json_string(j->id));
	else
		json_array_append_new(h->failed, json_pack("{s:s, s:s}", "job", j->id, "error", err.msg));
	return true;
}

/* A bucket's lifecycle rule knows nothing of a hold. */
static json_t *warnings(const struct gateway *gw, const struct hold *h)
{
	if (!h->text[0] || json_array_size(h->done) == 0 || !gw->store || strcmp(gw->config.storage_driver, "s3") != 0)
		return json_array();
	return json_pack("[s]",
		"the bucket may still expire these files by its lifecycle rule: suspend or lengthen it, or "
		"download what must be kept");
}

/* What was recorded as done was not, of these. */
static void audit_failed(struct api_call *a, const char *action, json_t *body, json_t *failed)
{
	json_t *data = json_pack("{s:O, s:O}", "selector", body, "failed", failed);
	struct err some = {0};

	err_set(&some, ERR_INTERNAL, "%zu captures stay as they were", json_array_size(failed));
	err_detail(&some, "not_all_changed");
	api_audit(a, action, &(struct api_audited){.refused = &some, .was_begun = true, .data = data}, NULL);
	json_decref(data);
}

static void run(struct api_call *a, const char *action, const char *verb, enum api_reason reason)
{
	struct hold h = {.done = json_array(), .failed = json_array()};
	struct api_selection s = {0};
	char name[API_OPERATOR_NAME_MAX];
	json_t *body = api_body(a);
	struct err err = {0};

	if (!body)
		goto out;
	if (api_select_read(body, reason, false, &s, &err) < 0 ||
		api_audit(a, action, &(struct api_audited){.why = s.reason, .data = body}, &err) < 0)
		goto refused;
	if (reason == API_REASON_REQUIRED)
		snprintf(h.text, sizeof(h.text), "%s (%s)", s.reason, api_operator_name(a, name));
	if (api_each_selected(a, &s.filter, visit, &h, &err) < 0)
		goto refused;
	if (json_array_size(h.failed) > 0)
		audit_failed(a, action, body, h.failed);
	log_event(LOG_LEVEL_WARNING, action,
		json_pack("{s:s, s:O, s:O}", "by", a->who->user_id, verb, h.done, "failed", h.failed));
	http_reply_json(a->rq, 200,
		json_pack("{s:O, s:O, s:o}", verb, h.done, "failed", h.failed, "warnings", warnings(a->gw, &h)));
	goto out;
refused:
	http_reply_err(a->rq, &err);
out:
	json_decref(h.done);
	json_decref(h.failed);
	json_decref(body);
}

void api_admin_hold(struct api_call *a)
{
	run(a, "admin.hold", "held", API_REASON_REQUIRED);
}

void api_admin_unhold(struct api_call *a)
{
	run(a, "admin.unhold", "released", API_REASON_OPTIONAL);
}
