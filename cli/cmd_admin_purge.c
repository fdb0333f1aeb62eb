/* cmd_admin_purge.c - pcap admin purge: erase stored captures, whoever's they are. */
#include "cli/cli.h"
#include "cli/select.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/parse.h"

/* "2 captures erased: 2 objects, 1 unfinished upload, 3.1 MB" */
static void say_sum(const json_t *answer)
{
	char captures[40], objects[40], uploads[48], bytes[32];
	uint64_t n = json_count(answer, "uploads");

	talk_say("%s erased: %s%s%s, %s",
		text_count(json_array_size(json_object_get(answer, "purged")), "capture", "captures", captures,
			sizeof(captures)),
		text_count(json_count(answer, "objects"), "object", "objects", objects, sizeof(objects)), n ? ", " : "",
		n ? text_count(n, "unfinished upload", "unfinished uploads", uploads, sizeof(uploads)) : "",
		parse_format_bytes(json_count(answer, "size_bytes"), bytes, sizeof(bytes)));
}

static int show(const json_t *answer)
{
	json_t *purged = json_object_get(answer, "purged"), *one;
	char job[64], text[512];
	size_t i;

	json_array_foreach(purged, i, one)
	{
		printf("%s\n", text_clean(json_text(one, "job"), job, sizeof(job)));
		if (*json_text(one, "note"))
			talk_say("job %s: %s", job, text_clean(json_text(one, "note"), text, sizeof(text)));
	}
	say_sum(answer);
	json_array_foreach(json_object_get(answer, "failed"), i, one)
	{
		json_t *error = json_object_get(one, "error");
		const char *why = json_is_object(error) ? json_text(error, "message") : json_text(one, "error");

		talk_say("pcap: job %s: %s", text_clean(json_text(one, "job"), job, sizeof(job)),
			text_clean(why, text, sizeof(text)));
	}
	return cli_flush_stdout();
}

static int purge(const struct cli *cli, json_t *body)
{
	struct err err = {0};
	json_t *answer = NULL;
	struct api api;
	int rc;

	if (cli_api(cli, true, &api, &err) < 0) {
		json_decref(body);
		return cli_fail(&err);
	}
	if (api_call(&api, "POST", "/v1/admin/purge", body, &answer, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = cli->globals.json ? cli_print_json(answer) : show(answer);
	if (rc == CLI_OK && json_array_size(json_object_get(answer, "failed")))
		rc = CLI_FAILED;
	json_decref(answer);
	api_close(&api);
	return rc;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct select_values *v = values;
	struct err err = {0};
	json_t *body = select_body(v, &err);

	(void)args;
	if (!body)
		return cli_fail(&err);
	if (!v->yes && !cli_confirm(v->all ? "erase all captures of all users" : "erase these captures for good")) {
		json_decref(body);
		return CLI_FAILED;
	}
	return purge(cli, body);
}

const struct command cmd_admin_purge = {
	.name = "purge",
	.words = "",
	.summary = "erase stored captures for good",
	.details = "What runs is ended first.  Selections that stand together must all hold.  Asks before it erases.\n",
	.options = select_options,
	.values_size = sizeof(struct select_values),
	.run = run,
};
