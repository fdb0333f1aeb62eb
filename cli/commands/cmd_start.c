/* cmd_start.c - pcap start: a capture that waits for an operator's approval, taken up again by its user. */
#include "cli/start.h"

#define AT(member) offsetof(struct request_values, member)

static const struct arg_option options[] = {
	{'w', "write", "FILE", ARG_TEXT, AT(write), 0, 0, "write to FILE; - is stdout"},
	{0, "wait", NULL, ARG_FLAG, AT(wait), 0, 0, "of a stored capture: wait for its end; with -w fetch it then"},
	{0},
};

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct request_values *v = values;
	struct err err = {0};
	struct api api;
	int rc;

	if ((rc = start_check(cli, v)) != CLI_OK)
		return rc;
	if (cli_check_job(args->words[0], &err) < 0 || cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	rc = start_waiting(&api, cli, v, args->words[0]);
	api_close(&api);
	return rc;
}

const struct command cmd_start = {
	.name = "start",
	.words = "JOB",
	.summary = "begin a capture that has waited for an operator's approval",
	.details = "The command that asked for it waits and begins it by itself; this is for when that has ended.  "
		   "What was asked\n"
		   "for is captured, under the rules of now.\n",
	.options = options,
	.values_size = sizeof(struct request_values),
	.words_least = 1,
	.words_most = 1,
	.run = run,
};
