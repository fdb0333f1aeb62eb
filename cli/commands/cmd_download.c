/* cmd_download.c - pcap download: the file of a stored capture, checked. */
#include "cli/cli.h"
#include "cli/fetch/fetch.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

struct values {
	const char *output;
	bool force;
	struct arg_number connections;
};

static const struct arg_option options[] = {
	{'o', "output", "FILE", ARG_TEXT, offsetof(struct values, output), 0, 0,
		"write to FILE; - is stdout (default: JOB.pcapng)"},
	{0, "force", NULL, ARG_FLAG, offsetof(struct values, force), 0, 0, "replace FILE if it is there"},
	{0, "connections", "N", ARG_NUMBER, offsetof(struct values, connections), 1, FETCH_CONNECTIONS_MAX,
		"fetch a large file over up to N connections (default: 4, at most 16)"},
	{0},
};

static const char details[] = "The data go to FILE.part first.  A later download of the same job goes on where this "
			      "one was interrupted.  Only when size\n"
			      "and SHA-256 are those that the gateway stored is it renamed to FILE; an existing FILE "
			      "stays as it is without --force.\n"
			      "What is larger than 8 MiB comes in parts over several connections, each of which takes "
			      "up to 8 MiB of memory; from a\n"
			      "server that does not serve parts it comes over one.\n";

static int download(const struct cli *cli, const struct api *api, const struct values *v, json_t *job)
{
	char *name = v->output ? strdup(v->output) : fetch_name(job);
	struct fetch f = {
		.api = api,
		.job = json_text(job, "id"),
		.path = name,
		.force = v->force,
		.connections = (unsigned)v->connections.value, /* 0: not given */
	};
	char text[32];
	struct err err = {0};
	uint64_t bytes = 0;
	int rc = CLI_OK;
	if (!name || fetch_run(&f, &bytes, &err) < 0) {
		if (!name)
			err_nomem(&err);
		rc = !strcmp(err.detail, "pipe_closed") ? CLI_OK : cli_fail(&err);
		/* Broken off or not what was stored: the caller has no complete capture. */
		if (rc == CLI_UNREACHABLE || err.code == ERR_INTERNAL)
			rc = CLI_INCOMPLETE;
	} else if (cli->globals.json) {
		json_object_set_new(job, "file", json_pack("{s:s, s:I}", "path", name, "bytes", (json_int_t)bytes));
		rc = cli_print_json(job);
	} else if (strcmp(name, "-")) {
		talk_say("wrote %s (%s)", name, parse_format_bytes(bytes, text, sizeof(text)));
	}
	free(name);
	return rc;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;
	struct err err = {0};
	json_t *job = NULL;
	struct api api;
	char path[64];
	int rc;

	if (cli->globals.json && v->output && !strcmp(v->output, "-"))
		return cli_usage("-o - and --json both want stdout");
	if (cli_check_job(args->words[0], &err) < 0 || cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	snprintf(path, sizeof(path), "/v1/captures/%s", args->words[0]);
	if (api_call(&api, "GET", path, NULL, &job, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = download(cli, &api, v, job);
	json_decref(job);
	api_close(&api);
	return rc;
}

const struct command cmd_download = {
	.name = "download",
	.words = "JOB",
	.summary = "fetch a stored capture and check it",
	.details = details,
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 1,
	.words_most = 1,
	.run = run,
};
