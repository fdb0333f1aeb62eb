/* cmd_admin_jobs.c - pcap admin jobs: everybody's captures. */
#include "cli/list.h"

static int run(struct cli *cli, const struct args *args, const void *values)
{
	(void)args;
	return list_run(cli, values, "/v1/admin/captures", true);
}

const struct command cmd_admin_jobs = {
	.name = "jobs",
	.words = "",
	.summary = "list everybody's captures",
	.options = list_options,
	.values_size = sizeof(struct list_values),
	.run = run,
};
