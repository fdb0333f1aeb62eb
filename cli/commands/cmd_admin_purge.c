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

/* ---- asking, as often as it takes ---- */

/* What one more answer says, into the sum of all. */
static int add_answer(json_t *sum, const json_t *answer, struct err *err)
{
	static const char *const lists[] = {"purged", "held", "failed"}, *const counts[] = {"size_bytes", "objects",
										 "uploads", "records"};
	int bad = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		bad |= json_array_extend(json_object_get(sum, lists[i]), json_object_get(answer, lists[i]));
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		uint64_t n = json_count(sum, counts[i]) + json_count(answer, counts[i]);

		bad |= json_object_set_new(sum, counts[i], json_integer((json_int_t)n));
	}
	bad |= json_object_set(sum, "next_cursor", json_object_get(answer, "next_cursor"));
	return bad ? err_set(err, ERR_NET, "the gateway's answer is not understood") : 0;
}

static json_t *body_from(json_t *body, const char *cursor)
{
	json_t *ret = json_copy(body);

	if (ret && *cursor)
		json_object_set_new(ret, "cursor", json_string(cursor));
	return ret;
}

static void say_more(const json_t *sum)
{
	char captures[40];

	talk_say("%s so far; it goes on", text_count(json_array_size(json_object_get(sum, "purged")), "capture erased",
						  "captures erased", captures, sizeof(captures)));
}

/* The gateway works for some seconds and says how far it came; then it is asked to go on.  *ret is the sum, on -1 too: of what was done until then (NULL: nothing). */
static int ask_all(const struct api *api, json_t *body, json_t **ret, struct err *err)
{
	char cursor[64] = "";
	int rc;

	*ret = NULL;
	do {
		json_t *answer = NULL;

		rc = api_call_long(api, "POST", "/v1/admin/purge", body_from(body, cursor), &answer, err);
		snprintf(cursor, sizeof(cursor), "%s", answer ? json_text(answer, "next_cursor") : "");
		if (*ret && rc == 0)
			rc = add_answer(*ret, answer, err);
		else if (answer)
			*ret = json_incref(answer);
		json_decref(answer);
		if (rc == 0 && *cursor && !json_is_true(json_object_get(body, "dry_run")))
			say_more(*ret);
	} while (rc == 0 && *cursor);
	return rc;
}

/* ---- the command ---- */

static int purge(const struct cli *cli, const struct api *api, const struct select_values *v, json_t *body)
{
	json_t *answer = NULL;
	struct err err = {0};
	int rc = CLI_OK, written;

	if (ask_all(api, body, &answer, &err) < 0) {
		rc = cli_fail(&err);
		if (!answer)
			return rc;
		talk_say("what was done until then follows; the same command goes on");
	}
	written = cli->globals.json ? cli_print_json(answer) : show(answer);
	if (rc == CLI_OK)
		rc = written;
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
	if (!asked || ask_all(api, asked, &answer, err) < 0) {
		json_decref(asked);
		json_decref(answer);
		return false;
	}
	json_decref(asked);
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
		"whether it is gone.  What is on hold stays (exit code 8).  Says every ten\n"
		"seconds or so how far it is, and may take hours; cut off, the same command goes on.  All of a user, "
		"with a report:\n"
		"\n"
		"  pcap admin purge --user USER --records -o report.json\n",
	.options = select_options,
	.more_options = select_purge_options,
	.values_size = sizeof(struct select_values),
	.run = run,
};
