/* cmd_rm.c - pcap rm: erase captures, after stopping those that run. */
#include "cli/cli.h"
#include "cli/talk.h"

static int remove_one(const struct api *api, const char *id)
{
	struct err err = {0};
	char path[64];

	if (cli_check_job(id, &err) < 0)
		return cli_fail(&err);
	snprintf(path, sizeof(path), "/v1/captures/%s", id);
	if (api_call(api, "DELETE", path, NULL, NULL, &err) < 0) {
		err_in(&err, "job %s", id);
		return cli_fail(&err);
	}
	talk_say("job %s: erased", id);
	return CLI_OK;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	struct err err = {0};
	struct api api;
	int rc = CLI_OK;

	(void)values;
	if (cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	/* One that cannot be erased does not keep the others. */
	for (size_t i = 0; i < args->words_n; i++) {
		int one = remove_one(&api, args->words[i]);

		if (rc == CLI_OK)
			rc = one;
	}
	api_close(&api);
	return rc;
}

const struct command cmd_rm = {
	.name = "rm",
	.words = "JOB...",
	.summary = "erase captures, running or stored",
	.words_least = 1,
	.words_most = ARGS_WORDS_MAX,
	.run = run,
};
