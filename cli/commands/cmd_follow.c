/* cmd_follow.c - pcap follow: what happens to a capture, until it ends; with -w its packets too.  Watching only: Ctrl-C leaves,
 * the capture goes on. */
#include "cli/capture.h"
#include "cli/cli.h"
#include "cli/events.h"
#include "cli/summary.h"
#include "cli/talk.h"

#include <string.h>
#include <unistd.h>

struct values {
	const char *write;
};

static const struct arg_option options[] = {
	{'w', "write", "FILE", ARG_TEXT, offsetof(struct values, write), 0, 0,
		"attach to the live stream and write it to FILE; - is stdout"},
	{0},
};

static const char details[] = "Shows the events of the capture as they happen (--json: as the gateway sends them, one "
			      "JSON object per line).\n"
			      "With -w it also writes the packets from now on.  Ctrl-C ends the watching, not the "
			      "capture (see \"pcap stop\").\n";

static int follow_events(const struct cli *cli, const struct api *api, const char *job)
{
	struct stopper_options so = {.api = api};
	struct events_options o = {.api = api, .job = job, .to = stdout, .raw = cli->globals.json, .live_line = true};
	struct err err = {0};
	json_t *last = NULL;
	int rc = CLI_OK;

	o.stopper = stopper_start(&so, &err);
	if (!o.stopper)
		return cli_fail(&err);
	if (events_follow(&o, &last, &err) < 0)
		rc = err.code == ERR_CANCELLED ? CLI_OK : cli_fail(&err); /* the reader of stdout has seen enough */
	stopper_free(o.stopper);
	talk_clear();
	json_decref(last);
	return rc;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;
	struct err err = {0};
	struct api api;
	int rc;

	if (v->write && !strcmp(v->write, "-") && cli->globals.json)
		return cli_usage("-w - and --json both want stdout");
	if (cli_check_job(args->words[0], &err) < 0 || cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	if (v->write) {
		struct capture_task t = {.api = &api,
			.job = args->words[0],
			.write = v->write,
			.with_events = true,
			.json = cli->globals.json};

		rc = capture_task_run(&t, NULL);
	} else {
		rc = follow_events(cli, &api, args->words[0]);
	}
	api_close(&api);
	return rc;
}

const struct command cmd_follow = {
	.name = "follow",
	.words = "JOB",
	.summary = "watch a capture until it ends; with -w write its packets",
	.details = details,
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 1,
	.words_most = 1,
	.run = run,
};
