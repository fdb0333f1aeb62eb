/* cmd_admin_kill.c - pcap admin kill: end running captures at once, whoever's they are. */
#include "cli/cli.h"
#include "cli/select.h"
#include "cli/talk.h"
#include "cli/text.h"

/* What does not run any more, but is not finished either. */
static void say_left(const json_t *answer)
{
	char job[64], text[512];
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(answer, "held"), i, one)
		talk_say("job %s: does not run any more; it is on hold, so what it had stored is finished and kept",
			text_clean(json_string_value(one) ? json_string_value(one) : "", job, sizeof(job)));
	json_array_foreach(json_object_get(answer, "failed"), i, one)
		talk_say("pcap: job %s: does not run any more, but what it had stored is not given up: %s",
			text_clean(json_text(one, "job"), job, sizeof(job)),
			text_clean(json_text(one, "error"), text, sizeof(text)));
}

/* Who meant to end something, and misspelled whose, is to see it. */
static bool is_nothing(const json_t *answer)
{
	return !json_array_size(json_object_get(answer, "killed")) &&
	       !json_array_size(json_object_get(answer, "held")) && !json_array_size(json_object_get(answer, "failed"));
}

static int show(const json_t *answer, const struct select_values *v)
{
	json_t *killed = json_object_get(answer, "killed"), *id;
	char clean[64], text[64];
	size_t i;

	json_array_foreach(killed, i, id)
		printf("%s\n", text_clean(json_string_value(id) ? json_string_value(id) : "", clean, sizeof(clean)));
	if (is_nothing(answer))
		talk_say("nothing matched: no capture%s is running", v->all ? "" : " of this selection");
	else
		talk_say("%s killed", text_count(json_array_size(killed), "capture", "captures", text, sizeof(text)));
	say_left(answer);
	return cli_flush_stdout();
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct select_values *v = values;
	struct err err = {0};
	json_t *body, *answer = NULL;
	struct api api;
	int rc;

	(void)args;
	if (!(body = select_body(v, &err)))
		return cli_fail(&err);
	if (v->all && !v->yes && !cli_confirm("kill all running captures of all users")) {
		json_decref(body);
		return CLI_FAILED;
	}
	if (cli_api(cli, true, &api, &err) < 0) {
		json_decref(body);
		return cli_fail(&err);
	}
	if (api_call(&api, "POST", "/v1/admin/kill", body, &answer, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = cli->globals.json ? cli_print_json(answer) : show(answer, v);
	if (rc == CLI_OK && json_array_size(json_object_get(answer, "failed")))
		rc = CLI_FAILED;
	json_decref(answer);
	api_close(&api);
	return rc;
}

const struct command cmd_admin_kill = {
	.name = "kill",
	.words = "",
	.summary = "end running captures at once",
	.details =
		"What runs ends without its last packets, and nothing of it is kept, unless it is on hold.  Its "
		"users are told by\n"
		"whom, and the reason.  So does what ran before the gateway was started anew, or waits for the "
		"store.\n"
		"Selections that stand together must all hold.  Asks before --all.  When nothing matched it says so, "
		"and ends\n"
		"with 0: nothing of that runs, as was asked for.\n",
	.options = select_options,
	.values_size = sizeof(struct select_values),
	.run = run,
};
