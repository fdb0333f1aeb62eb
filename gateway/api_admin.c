/* What operators may: see all jobs, end captures at once, erase what is stored. */
#include "common/clock.h"
#include "common/json_in.h"
#include "common/log.h"
#include "gateway/api.h"
#include "gateway/capture.h"
#include "gateway/jobs.h"
#include "gateway/retention.h"

#include <string.h>

#define AT_ONCE     1000u
#define END_WAIT_MS 10000u

void api_admin_list(struct api_call *a)
{
	api_list(a, true);
}

/* Which jobs are meant: {"all":true} or selectors that must all hold.  Strings are borrowed from body. */
static int read_selector(json_t *body, struct job_filter *f, struct err *err)
{
	uint64_t older_than_s = 0;
	struct json_in in;
	bool all = false, any;

	json_in_begin(&in, body, "", err);
	json_in_bool(&in, "all", &all);
	json_in_str(&in, "job", JSON_IN_OPTIONAL, 1, 64, &f->job);
	json_in_str(&in, "user", JSON_IN_OPTIONAL, 1, 256, &f->user_id);
	json_in_str(&in, "org", JSON_IN_OPTIONAL, 1, 256, &f->org);
	json_in_str(&in, "space", JSON_IN_OPTIONAL, 1, 256, &f->space);
	json_in_str(&in, "app", JSON_IN_OPTIONAL, 1, 256, &f->app);
	json_in_str(&in, "deployment", JSON_IN_OPTIONAL, 1, 256, &f->deployment);
	json_in_str(&in, "agent", JSON_IN_OPTIONAL, 1, 300, &f->agent);
	json_in_u64(&in, "older_than_s", 1, UINT64_C(100) * 365 * 24 * 3600, &older_than_s);
	if (json_in_end(&in) < 0)
		return -1;
	any = f->job || f->user_id || f->org || f->space || f->app || f->deployment || f->agent || older_than_s > 0;
	if (all && any)
		return err_set(err, ERR_INPUT, "all: stands alone; leave it out when other selectors are given");
	if (!all && !any)
		return err_set(err, ERR_INPUT,
			"name what is meant: \"all\": true, or job, user, org, space, app, deployment, agent, "
			"older_than_s");
	if (older_than_s > 0) {
		uint64_t now = clock_wall_ns();

		f->before_ns = now / CLOCK_NS_PER_S > older_than_s ? now - older_than_s * CLOCK_NS_PER_S : 1;
	}
	return 0;
}

/* What was meant, and what that is. */
static int audit_selected(
	struct api_call *a, const char *action, json_t *selector, struct job *const *jobs, size_t n, struct err *err)
{
	json_t *ids = json_array(), *data = json_pack("{s:O, s:O}", "selector", selector, "jobs", ids);
	int rc;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(ids, json_string(jobs[i]->id));
	rc = api_audit(a, action,
		&(struct api_audited){
			.job = n == 1 ? jobs[0]->id : NULL, .scopes = n == 1 ? &jobs[0]->scopes : NULL, .data = data},
		err);
	json_decref(data);
	json_decref(ids);
	return rc;
}

/* ---- kill ---- */

static bool kill_one(struct api_call *a, const char *id)
{
	struct capture *c = jobs_find(a->gw->jobs, id);
	bool killed = false;

	if (c && !job_state_is_end(capture_state(c))) {
		capture_kill(c, STOP_KILLED, a->who->user_id);
		killed = true;
	}
	capture_unref(c);
	return killed;
}

void api_admin_kill(struct api_call *a)
{
	static const enum job_state unfinished[] = {JOB_STARTING, JOB_RUNNING, JOB_FINISHING};
	struct job_filter f = {.states = unfinished, .states_n = 3, .brief = true};
	struct err err = {0};
	json_t *body = api_body(a), *killed = json_array();
	struct job **jobs = NULL;
	size_t n = 0;

	if (!body) {
		json_decref(killed);
		return;
	}
	if (read_selector(body, &f, &err) < 0 || job_db_list(a->gw->db, &f, AT_ONCE, &jobs, &n, &err) < 0) {
		json_decref(killed);
		http_reply_err(a->rq, &err);
	} else {
		for (size_t i = 0; i < n; i++) {
			if (kill_one(a, jobs[i]->id))
				json_array_append_new(killed, json_string(jobs[i]->id));
		}
		audit_selected(a, "admin.kill", body, jobs, n, NULL); /* after it: a slow disk holds up no kill */
		log_event(LOG_LEVEL_WARNING, "admin.kill",
			json_pack("{s:s, s:O}", "by", a->who->user_id, "killed", killed));
		job_db_list_free(jobs, n);
		http_reply_json(a->rq, 200, json_pack("{s:o}", "killed", killed));
	}
	json_decref(body);
}

/* ---- purge ---- */

static json_t *purged_json(const char *id, const struct erase_report *r)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:s*}", "job", id, "size_bytes", (json_int_t)r->store.bytes, "objects",
		(json_int_t)r->store.objects, "uploads", (json_int_t)r->store.uploads, "note",
		r->note[0] ? r->note : NULL);
}

static void purge_one(struct api_call *a, const char *id, json_t *purged, json_t *failed, struct driver_erased *sum)
{
	struct capture *c = jobs_find(a->gw->jobs, id);
	struct erase_report r = {0};
	struct err err = {0};

	if (c) {
		capture_kill(c, STOP_KILLED, a->who->user_id);
		if (capture_wait_ended(c, END_WAIT_MS) < 0)
			err_set(&err, ERR_UNAVAILABLE, "the capture is still being ended");
		else
			capture_erased(c, &r.store);
		capture_unref(c);
	}
	if (err.code == ERR_NONE)
		retention_erase(a->gw, id, JOB_PURGED, a->who->user_id, &r, &err);
	if (err.code == ERR_NONE)
		json_array_append_new(purged, purged_json(id, &r));
	else
		json_array_append_new(failed, json_pack("{s:s, s:s}", "job", id, "error", err.msg));
	sum->objects += r.store.objects;
	sum->uploads += r.store.uploads;
	sum->bytes += r.store.bytes;
}

void api_admin_purge(struct api_call *a)
{
	static const enum job_state erasable[] = {JOB_STARTING, JOB_RUNNING, JOB_FINISHING, JOB_READY};
	struct job_filter f = {.states = erasable, .states_n = 4, .brief = true};
	json_t *body = api_body(a), *purged = json_array(), *failed = json_array();
	struct job **jobs = NULL;
	struct err err = {0};
	struct driver_erased sum = {0};
	size_t n = 0;
	int rc;

	if (!body)
		goto out;
	rc = read_selector(body, &f, &err);
	while (rc == 0) {
		if ((rc = job_db_list(a->gw->db, &f, AT_ONCE, &jobs, &n, &err)) < 0)
			break;
		if ((rc = audit_selected(a, "admin.purge", body, jobs, n, &err)) < 0) {
			job_db_list_free(jobs, n);
			break;
		}
		for (size_t i = 0; i < n; i++)
			purge_one(a, jobs[i]->id, purged, failed, &sum);
		job_db_list_free(jobs, n);
		/* What was erased has left the list, so the next look brings the rest; what failed would come again. */
		if (n < AT_ONCE || json_array_size(failed) > 0)
			break;
	}
	if (rc < 0) {
		http_reply_err(a->rq, &err);
		goto out;
	}
	log_event(LOG_LEVEL_WARNING, "admin.purge",
		json_pack("{s:s, s:O, s:O}", "by", a->who->user_id, "purged", purged, "failed", failed));
	http_reply_json(a->rq, 200,
		json_pack("{s:O, s:O, s:I, s:I, s:I}", "purged", purged, "failed", failed, "size_bytes",
			(json_int_t)sum.bytes, "objects", (json_int_t)sum.objects, "uploads", (json_int_t)sum.uploads));
out:
	json_decref(purged);
	json_decref(failed);
	json_decref(body);
}
