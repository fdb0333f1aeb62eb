/* select.c - see select.h. */
#include "cli/select.h"

#include "cli/cli.h"

#include <stddef.h>

#define AT(member)    offsetof(struct select_values, member)
#define OLDER_MOST_MS (UINT64_C(3650) * 24 * 3600 * 1000)

const struct arg_option select_options[] = {
	{0, "all", NULL, ARG_FLAG, AT(all), 0, 0, "every one"},
	{0, "job", "ID", ARG_TEXT, AT(job), 0, 0, "this one"},
	{0, "user", "USER", ARG_TEXT, AT(user), 0, 0, "those of this user (name or id)"},
	{0, "org", "ORG", ARG_TEXT, AT(org), 0, 0, "those of this org"},
	{0, "space", "SPACE", ARG_TEXT, AT(space), 0, 0, "those of this space"},
	{0, "app", "GUID", ARG_TEXT, AT(app), 0, 0, "those of this app"},
	{0, "deployment", "NAME", ARG_TEXT, AT(deployment), 0, 0, "those of this deployment"},
	{0, "group", "GROUP", ARG_TEXT, AT(group), 0, 0, "those of this group (of the inventory, or DEPLOYMENT/GROUP)"},
	{0, "agent", "HOST[:PORT]", ARG_TEXT, AT(agent), 0, 0, "those with an instance on this agent"},
	{0, "older-than", "TIME", ARG_DURATION, AT(older_ms), 1000, OLDER_MOST_MS,
		"those created before that (2h, 7d)"},
	{0, "reason", "TEXT", ARG_TEXT, AT(reason), 0, 0,
		"why; stands in the audit trail, users of what runs are told"},
	{'y', "yes", NULL, ARG_FLAG, AT(yes), 0, 0, "do not ask"},
	{0},
};

const struct arg_option select_purge_options[] = {
	{0, "dry-run", NULL, ARG_FLAG, AT(dry_run), 0, 0, "only say what would be erased"},
	{0, "records", NULL, ARG_FLAG, AT(records), 0, 0,
		"also what is known of them: who, what, filter, note, events; the audit trail stays"},
	{'o', "output", "FILE", ARG_TEXT, AT(report), 0, 0, "write the report, as JSON, to FILE"},
	{0},
};

json_t *select_body(const struct select_values *v, struct err *err)
{
	const struct {
		const char *key, *value;
	} texts[] = {{"job", v->job}, {"user", v->user}, {"org", v->org}, {"space", v->space}, {"app", v->app},
		{"deployment", v->deployment}, {"group", v->group}, {"agent", v->agent}};
	json_t *body;
	int bad = 0;

	if (v->job && cli_check_job(v->job, err) < 0)
		return NULL;
	body = json_object();
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].value)
			bad |= json_object_set_new(body, texts[i].key, json_string(texts[i].value));
	if (v->older_ms.given)
		bad |= json_object_set_new(body, "older_than_s", json_integer((json_int_t)(v->older_ms.value / 1000)));
	if (bad) {
		err_set(err, ERR_INPUT, "names must be UTF-8 text");
		goto bad;
	}
	if (v->all && json_object_size(body)) {
		err_set(err, ERR_INPUT, "--all and a selection exclude each other");
		goto bad;
	}
	if (!v->all && !json_object_size(body)) {
		err_set(err, ERR_INPUT,
			"which captures? --all, --job, --user, --org, --space, --app, --deployment, --group, --agent "
			"or --older-than");
		goto bad;
	}
	if (v->all)
		json_object_set_new(body, "all", json_true());
	if (v->reason && json_object_set_new(body, "reason", json_string(v->reason)) < 0) {
		err_set(err, ERR_INPUT, "option --reason: must be UTF-8 text");
		goto bad;
	}
	return body;
bad:
	json_decref(body);
	return NULL;
}
