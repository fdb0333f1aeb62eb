/* cmd_host.c - pcap host: capture from hosts of the gateway's static inventory, live or stored. */
#include "cli/cli.h"
#include "cli/request.h"
#include "cli/start.h"

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct request_values *v = values;
	struct err err = {0};
	struct api api;
	json_t *request;
	int rc = start_check(cli, v);

	if (rc != CLI_OK)
		return rc;
	if (!(request = request_host(v, args, &err)))
		return cli_fail(&err);
	if (cli_api(cli, true, &api, &err) < 0) {
		json_decref(request);
		return cli_fail(&err);
	}
	rc = start_run(&api, cli, v, request, args->words[0]);
	api_close(&api);
	json_decref(request);
	return rc;
}

const struct command cmd_host = {
	.name = "host",
	.words = "NAME[/N]... [--] [FILTER...]",
	.summary = "capture from hosts of the gateway's inventory",
	.details = request_targets_help,
	.options = request_options,
	.values_size = sizeof(struct request_values),
	.words_least = 1,
	.words_most = ARGS_WORDS_MAX,
	.run = run,
};
