#include "gateway/api/api_select.h"

#include "common/clock.h"
#include "common/json_in.h"
#include "common/parse.h"

#include <stdio.h>

#define PAGE 500u

int api_select_read(json_t *body, enum api_reason reason, bool erasing, struct api_selection *ret, struct err *err)
{
	struct job_filter *f = &ret->filter;
	const char *cursor = NULL;
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
	json_in_str(&in, "group", JSON_IN_OPTIONAL, 1, SCOPE_GROUP_MAX - 1, &f->group);
	json_in_str(&in, "agent", JSON_IN_OPTIONAL, 1, 300, &f->agent);
	json_in_u64(&in, "older_than_s", 1, UINT64_C(100) * 365 * 24 * 3600, &older_than_s);
	json_in_str(&in, "reason", reason == API_REASON_REQUIRED, 1, API_REASON_MAX, &ret->reason);
	if (erasing) {
		json_in_bool(&in, "dry_run", &ret->dry_run);
		json_in_bool(&in, "records", &ret->records);
		json_in_str(&in, "cursor", JSON_IN_OPTIONAL, 1, 64, &cursor);
		if (!in.bad && cursor && !id_is_valid(cursor))
			json_in_fail(&in, "cursor", "\"%s\" is not the next_cursor of an answer", cursor);
	}
	if (json_in_end(&in) < 0)
		return -1;
	any = f->job || f->user_id || f->org || f->space || f->app || f->deployment || f->group || f->agent ||
	      older_than_s > 0;
	if (all && any)
		return err_set(err, ERR_INPUT, "all: stands alone; leave it out when other selectors are given");
	if (!all && !any)
		return err_set(err, ERR_INPUT,
			"name what is meant: \"all\": true, or job, user, org, space, app, deployment, group, agent, "
			"older_than_s");
	if (cursor) {
		snprintf(ret->after, sizeof(ret->after), "%s", cursor);
		f->after_id = ret->after;
	}
	if (older_than_s > 0) {
		uint64_t now = clock_wall_ns();

		f->before_ns = now / CLOCK_NS_PER_S > older_than_s ? now - older_than_s * CLOCK_NS_PER_S : 1;
	}
	return 0;
}

int api_each_selected(struct api_call *a, const struct job_filter *filter,
	bool (*act)(struct api_call *a, const struct job *j, void *ctx), void *ctx, struct err *err)
{
	struct job_filter f = *filter;
	char after[ID_MAX];
	struct job **jobs;
	bool go_on = true;
	size_t n;

	f.brief = true;
	do {
		if (job_db_list(a->gw->db, &f, PAGE, &jobs, &n, err) < 0)
			return -1;
		for (size_t i = 0; i < n && go_on; i++)
			go_on = act(a, jobs[i], ctx);
		if (n > 0) {
			snprintf(after, sizeof(after), "%s", jobs[n - 1]->id);
			f.after_id = after;
		}
		job_db_list_free(jobs, n);
	} while (n == PAGE && go_on);
	return 0;
}

const char *api_operator_name(const struct api_call *a, char ret[API_OPERATOR_NAME_MAX])
{
	const char *name = a->who->user_name && a->who->user_name[0] ? a->who->user_name : a->who->user_id;

	return parse_printable(name, ret, API_OPERATOR_NAME_MAX);
}
