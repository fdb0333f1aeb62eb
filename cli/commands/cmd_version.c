/* cmd_version.c - pcap version. */
#include "cli/cli.h"
#include "common/version.h"

static int run(struct cli *cli, const struct args *args, const void *values)
{
	(void)args;
	(void)values;
	if (cli->globals.json) {
		json_t *v = json_pack("{s:s, s:i}", "version", PCAPLINE_VERSION, "api_level", PCAPLINE_API_LEVEL);
		int rc = v ? cli_print_json(v) : CLI_FAILED;

		json_decref(v);
		return rc;
	}
	printf("pcap %s (API level %d)\n", PCAPLINE_VERSION, PCAPLINE_API_LEVEL);
	return cli_flush_stdout();
}

const struct command cmd_version = {
	.name = "version",
	.words = "",
	.summary = "version of this command",
	.run = run,
};
