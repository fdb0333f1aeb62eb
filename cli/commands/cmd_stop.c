/* cmd_stop.c - pcap stop: the graceful end of running captures; all that was captured is delivered or stored. */
#include "cli/cli.h"
#include "cli/talk.h"
#include "cli/text.h"

static int stop_one(const struct cli *cli, const struct api *api, const char *id)
{
	char path[64], state[40];
	struct err err = {0};
	json_t *job = NULL;
	int rc = CLI_OK;

	if (cli_check_job(id, &err) < 0)
		return cli_fail(&err);
	snprintf(path, sizeof(path), "/v1/captures/%s/stop", id);
	if (api_call(api, "POST", path, NULL, &job, &err) < 0)
		rc = cli_fail(&err);
	else if (cli->globals.json && job)
		rc = cli_print_json(job);
	else if (*json_text(job, "state"))
		talk_say("job %s: stop asked for, now %s", id,
			text_clean(json_text(job, "state"), state, sizeof(state)));
	else
		talk_say("job %s: stop asked for", id);
	json_decref(job);
	return rc;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	struct err err = {0};
	struct api api;
	int rc = CLI_OK;

	(void)values;
	if (cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	for (size_t i = 0; i < args->words_n; i++) {
		int one = stop_one(cli, &api, args->words[i]);

		if (rc == CLI_OK)
			rc = one;
	}
	api_close(&api);
	return rc;
}

const struct command cmd_stop = {
	.name = "stop",
	.words = "JOB...",
	.summary = "end running captures; what was captured stays",
	.words_least = 1,
	.words_most = ARGS_WORDS_MAX,
	.run = run,
};
