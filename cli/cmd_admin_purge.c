/* cmd_admin_purge.c - pcap admin purge: erase stored captures, whoever's they are, and with --records what is known of them. */
#include "cli/cli.h"
#include "cli/select.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

/* "2 captures erased: 2 objects, 1 unfinished upload, 3.1 MB; 2 records" */
static void say_sum(const json_t *answer)
{
	char captures[40], objects[40], uploads[48], bytes[32], records[40];
	uint64_t n = json_count(answer, "uploads"), gone = json_count(answer, "records");

	talk_say("%s %s: %s%s%s, %s%s%s",
		text_count(json_array_size(json_object_get(answer, "purged")), "capture", "captures", captures,
			sizeof(captures)),
		json_is_true(json_object_get(answer, "dry_run")) ? "would be erased" : "erased",
		text_count(json_count(answer, "objects"), "object", "objects", objects, sizeof(objects)), n ? ", " : "",
		n ? text_count(n, "unfinished upload", "unfinished uploads", uploads, sizeof(uploads)) : "",
		parse_format_bytes(json_count(answer, "size_bytes"), bytes, sizeof(bytes)), gone ? "; " : "",
		gone ? text_count(gone, "record", "records", records, sizeof(records)) : "");
}

static void say_kept(const json_t *answer)
{
	json_t *one;
	char job[64], text[512];
	size_t i;

	json_array_foreach(json_object_get(answer, "held"), i, one)
		talk_say("job %s: not erased, it is on hold: %s", text_clean(json_text(one, "job"), job, sizeof(job)),
			text_clean(json_text(one, "reason"), text, sizeof(text)));
	json_array_foreach(json_object_get(answer, "failed"), i, one)
	{
		json_t *error = json_object_get(one, "error");
		const char *why = json_is_object(error) ? json_text(error, "message") : json_text(one, "error");

		talk_say("pcap: job %s: %s", text_clean(json_text(one, "job"), job, sizeof(job)),
			text_clean(why, text, sizeof(text)));
	}
}

static int show(const json_t *answer)
{
	json_t *purged = json_object_get(answer, "purged"), *one;
	bool dry_run = json_is_true(json_object_get(answer, "dry_run"));
	char job[64], text[512], state[32], bytes[32];
	size_t i;

	json_array_foreach(purged, i, one)
	{
		text_clean(json_text(one, "job"), job, sizeof(job));
		if (dry_run)
			printf("%s  %-9s  %s\n", job, text_clean(json_text(one, "state"), state, sizeof(state)),
				parse_format_bytes(json_count(one, "size_bytes"), bytes, sizeof(bytes)));
		else
			printf("%s\n", job);
		if (*json_text(one, "note"))
			talk_say("job %s: %s", job, text_clean(json_text(one, "note"), text, sizeof(text)));
	}
	say_sum(answer);
	say_kept(answer);
	return cli_flush_stdout();
}

/* Who asked for an erasure is to be able to show what was done, when and where. */
static int write_report(const struct api *api, const char *path, json_t *answer, json_t *asked)
{
	char at[CLOCK_TEXT_MAX];
	json_t *report = json_pack("{s:s, s:s, s:O, s:O}", "at", clock_rfc3339(clock_wall_ns(), at), "gateway",
		api->base, "asked", asked, "answer", answer);
	char *text = report ? json_dumps(report, JSON_INDENT(2)) : NULL;
	struct err err = {0};
	int rc = text ? fs_write_new(path, text, strlen(text), 0600, &err) : err_nomem(&err);

	free(text);
	json_decref(report);
	if (rc == 0)
		return CLI_OK;
	err_in(&err, "the report");
	return cli_fail(&err);
}

static int purge(const struct cli *cli, const struct api *api, const struct select_values *v, json_t *body)
{
	json_t *answer = NULL;
	struct err err = {0};
	int rc, written;

	if (api_call(api, "POST", "/v1/admin/purge", json_incref(body), &answer, &err) < 0)
		return cli_fail(&err);
	rc = cli->globals.json ? cli_print_json(answer) : show(answer);
	if (rc == CLI_OK && json_array_size(json_object_get(answer, "failed")))
		rc = CLI_FAILED;
	if (rc == CLI_OK && json_array_size(json_object_get(answer, "held")))
		rc = CLI_STATE;
	if (v->report && (written = write_report(api, v->report, answer, body)) != CLI_OK)
		rc = written;
	json_decref(answer);
	return rc;
}

/* Who is asked is told what it is about. */
static bool confirm(const struct api *api, const struct select_values *v, json_t *body, struct err *err)
{
	json_t *asked = json_copy(body), *answer = NULL;
	char captures[40], bytes[32], question[300];
	bool yes;

	if (asked)
		json_object_set_new(asked, "dry_run", json_true());
	if (api_call(api, "POST", "/v1/admin/purge", asked, &answer, err) < 0)
		return false;
	snprintf(question, sizeof(question), "erase %s of %s, %s%s, for good",
		text_count(json_array_size(json_object_get(answer, "purged")), "capture", "captures", captures,
			sizeof(captures)),
		v->all ? "all users" : "those selected",
		parse_format_bytes(json_count(answer, "size_bytes"), bytes, sizeof(bytes)),
		v->records ? " and all that is known of them" : "");
	json_decref(answer);
	yes = cli_confirm(question);
	return yes;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct select_values *v = values;
	struct err err = {0};
	json_t *body = select_body(v, &err);
	struct api api;
	int rc = CLI_FAILED;

	(void)args;
	if (!body)
		return cli_fail(&err);
	if (v->dry_run)
		json_object_set_new(body, "dry_run", json_true());
	if (v->records)
		json_object_set_new(body, "records", json_true());
	if (cli_api(cli, true, &api, &err) < 0) {
		json_decref(body);
		return cli_fail(&err);
	}
	if (v->yes || v->dry_run || confirm(&api, v, body, &err))
		rc = purge(cli, &api, v, body);
	else if (err.code)
		rc = cli_fail(&err);
	json_decref(body);
	api_close(&api);
	return rc;
}

const struct command cmd_admin_purge = {
	.name = "purge",
	.words = "",
	.summary = "erase stored captures for good",
	.details =
		"What runs is ended first.  Selections that stand together must all hold.  Asks before it erases, and "
		"looks again\n"
		"whether it is gone.  What is on hold stays (exit code 8).  All of a user, with a report:\n"
		"\n"
		"  pcap admin purge --user USER --records -o report.json\n",
	.options = select_options,
	.more_options = select_purge_options,
	.values_size = sizeof(struct select_values),
	.run = run,
};
