/* cmd_admin_hold.c - pcap admin hold and unhold: what must not be erased, whoever asks and however old it gets. */
#include "cli/cli.h"
#include "cli/select.h"
#include "cli/talk.h"
#include "cli/text.h"

static int show(const json_t *answer, const char *key, const char *word)
{
	char job[64], text[512];
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(answer, key), i, one)
		printf("%s\n", text_clean(json_string_value(one) ? json_string_value(one) : "", job, sizeof(job)));
	talk_say("%s %s", text_count(json_array_size(json_object_get(answer, key)), "capture", "captures", text, 64),
		word);
	json_array_foreach(json_object_get(answer, "warnings"), i, one) talk_say(
		"warning: %s", text_clean(json_string_value(one) ? json_string_value(one) : "", text, sizeof(text)));
	json_array_foreach(json_object_get(answer, "failed"), i, one)
		talk_say("pcap: job %s: %s", text_clean(json_text(one, "job"), job, sizeof(job)),
			text_clean(json_text(one, "error"), text, sizeof(text)));
	return cli_flush_stdout();
}

static int run(
	const struct cli *cli, const struct select_values *v, const char *path, const char *key, const char *word)
{
	struct err err = {0};
	json_t *body = select_body(v, &err), *answer = NULL;
	struct api api;
	int rc;

	if (!body)
		return cli_fail(&err);
	if (cli_api(cli, true, &api, &err) < 0) {
		json_decref(body);
		return cli_fail(&err);
	}
	if (api_call(&api, "POST", path, body, &answer, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = cli->globals.json ? cli_print_json(answer) : show(answer, key, word);
	if (rc == CLI_OK && json_array_size(json_object_get(answer, "failed")))
		rc = CLI_FAILED;
	json_decref(answer);
	api_close(&api);
	return rc;
}

static int run_hold(struct cli *cli, const struct args *args, const void *values)
{
	const struct select_values *v = values;

	(void)args;
	if (!v->reason)
		return cli_usage("--reason TEXT is needed: why these must not be erased");
	return run(cli, v, "/v1/admin/hold", "held", "on hold");
}

static int run_unhold(struct cli *cli, const struct args *args, const void *values)
{
	(void)args;
	return run(cli, values, "/v1/admin/unhold", "released", "released");
}

const struct command cmd_admin_hold = {
	.name = "hold",
	.words = "",
	.summary = "keep captures from being erased (legal hold)",
	.details = "Neither their users nor \"pcap admin purge\" nor time erase what is on hold, until unhold.  Only "
		   "captures that are\n"
		   "there now are meant.  Their users see that they are held, operators also why.\n",
	.options = select_options,
	.values_size = sizeof(struct select_values),
	.run = run_hold,
};

const struct command cmd_admin_unhold = {
	.name = "unhold",
	.words = "",
	.summary = "lift a legal hold",
	.details = "What has outlived its time while it was held is erased by the gateway's next sweep.\n",
	.options = select_options,
	.values_size = sizeof(struct select_values),
	.run = run_unhold,
};
