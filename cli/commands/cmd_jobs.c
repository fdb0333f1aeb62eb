/* cmd_jobs.c - pcap jobs: one's own captures, newest first. */
#include "cli/list.h"

static int run(struct cli *cli, const struct args *args, const void *values)
{
	(void)args;
	return list_run(cli, values, "/v1/captures", false);
}

const struct command cmd_jobs = {
	.name = "jobs",
	.words = "",
	.summary = "list captures, newest first",
	.options = list_options,
	.values_size = sizeof(struct list_values),
	.run = run,
};
