/* cmd_admin_approvals.c - pcap admin approvals, approve and deny: captures that wait for an operator's word. */
#include "cli/cli.h"
#include "cli/list.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"

/* ---- the list ---- */

static int add(struct table *t, const json_t *one, struct err *err)
{
	char age[24], until[40], target[TABLE_CELL_MAX];
	const uint64_t now = clock_wall_ns();
	const char *user = json_text(one, "owner.user_name");
	const char *cells[] = {json_text(one, "job"), *user ? user : json_text(one, "owner.user_id"),
		text_since(json_text(one, "asked_at"), now, age, sizeof(age)),
		text_until(json_text(one, "expires_at"), now, until, sizeof(until)),
		list_target(one, target, sizeof(target)), json_text(one, "note"), json_text(one, "because")};

	return table_add(t, cells, err);
}

static int show(const json_t *answer)
{
	static const char *const heads[] = {"JOB", "USER", "AGE", "EXPIRES", "TARGET", "NOTE", "BECAUSE", NULL};
	struct err err = {0};
	struct table *t = table_new(heads, &err);
	json_t *one;
	size_t i;
	int rc = t ? 0 : -1;

	json_array_foreach(json_object_get(answer, "approvals"), i, one) if (rc == 0) rc = add(t, one, &err);
	if (rc == 0 && i > 0)
		table_print(t, stdout);
	table_free(t);
	if (rc < 0)
		return cli_fail(&err);
	if (i == 0)
		talk_say("nothing waits for an approval");
	return cli_flush_stdout();
}

static int run_list(struct cli *cli, const struct args *args, const void *values)
{
	(void)args;
	(void)values;
	return cli_call(cli, "GET", "/v1/admin/approvals", NULL, show);
}

const struct command cmd_admin_approvals = {
	.name = "approvals",
	.words = "",
	.summary = "list the captures that wait for an operator's approval",
	.run = run_list,
};

/* ---- the word ---- */

struct values {
	const char *reason;
};

static const struct arg_option options[] = {
	{0, "reason", "TEXT", ARG_TEXT, offsetof(struct values, reason), 0, 0, "why; the user sees it"},
	{0},
};

static int decide(const struct cli *cli, const char *job, const char *word, const char *reason, const char *done)
{
	json_t *answer = NULL;
	struct err err = {0};
	struct api api;
	char path[96];
	int rc = CLI_OK;

	if (cli_check_job(job, &err) < 0 || cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	snprintf(path, sizeof(path), "/v1/admin/captures/%s/%s", job, word);
	if (api_call(&api, "POST", path, json_pack("{s:s*}", "reason", reason), &answer, &err) < 0)
		rc = cli_fail(&err);
	else if (cli->globals.json)
		rc = cli_print_json(answer);
	else
		talk_say("job %s: %s", job, done);
	json_decref(answer);
	api_close(&api);
	return rc;
}

static int run_approve(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;

	return decide(cli, args->words[0], "approve", v->reason, "approved; its user begins it");
}

static int run_deny(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;

	if (!v->reason)
		return cli_usage("--reason TEXT is needed: the user is told");
	return decide(cli, args->words[0], "deny", v->reason, "denied");
}

const struct command cmd_admin_approve = {
	.name = "approve",
	.words = "JOB",
	.summary = "let a waiting capture of somebody else begin",
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 1,
	.words_most = 1,
	.run = run_approve,
};

const struct command cmd_admin_deny = {
	.name = "deny",
	.words = "JOB",
	.summary = "end a waiting capture of somebody else",
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 1,
	.words_most = 1,
	.run = run_deny,
};
