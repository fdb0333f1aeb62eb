/* start.c - see start.h. */
#include "cli/start.h"

#include "cli/capture.h"
#include "cli/fetch.h"
#include "cli/identity.h"
#include "cli/rules.h"
#include "cli/summary.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/wait.h"
#include "common/id.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waiting is over: figures, and with -w the file. */
static int finish_stored(
	const struct api *api, const struct cli *cli, const struct request_values *v, const json_t *job)
{
	struct summary s = {.job = job};
	struct fetch f = {.api = api, .job = json_text(job, "id"), .path = v->write, .force = true};
	struct err err = {0};
	int rc = summary_exit(job), fetched = CLI_OK;

	if (v->write && !strcmp(json_text(job, "state"), "ready")) {
		s.file = strcmp(v->write, "-") ? v->write : NULL;
		if (fetch_run(&f, &s.file_bytes, &err) < 0) {
			fetched = cli_fail(&err);
			s.file = NULL;
		}
	}
	summary_say(&s);
	if (!strcmp(json_text(job, "state"), "ready") && !v->write)
		talk_say("stored; fetch it with \"pcap download %s\"", f.job);
	if (cli->globals.json && cli_print_json(job) != CLI_OK)
		return CLI_FAILED;
	return fetched != CLI_OK ? fetched : rc;
}

static int wait_stored(const struct api *api, const struct cli *cli, const struct request_values *v, const char *id)
{
	struct err err = {0};
	json_t *job = wait_job(api, id, &err);
	int rc;

	if (!job)
		return cli_fail(&err);
	rc = finish_stored(api, cli, v, job);
	json_decref(job);
	return rc;
}

/* The gateway has taken it: the job is on its way without us. */
static int after_start(const struct api *api, const struct cli *cli, const struct request_values *v, const json_t *job)
{
	const char *id = json_text(job, "id"), *hint = api->identity ? api->identity->hint : "";

	if (!id_is_valid(id)) {
		talk_say("pcap: the gateway's answer names no job");
		return CLI_UNREACHABLE;
	}
	rules_say(json_object_get(job, "policy"));
	if (v->wait) {
		talk_say("job %s: capturing to the gateway's store", id);
		return wait_stored(api, cli, v, id);
	}
	if (v->write)
		talk_say("it is stored at the gateway, nothing is written to %s", v->write);
	talk_say("job %s: capturing to the gateway's store", id);
	talk_say("  pcap show %s%s       how it goes", id, hint);
	talk_say("  pcap stop %s%s       end it", id, hint);
	talk_say("  pcap download %s%s   fetch it when it is ready", id, hint);
	return cli->globals.json ? cli_print_json(job) : CLI_OK;
}

static int run_store(const struct api *api, const struct cli *cli, const struct request_values *v, json_t *request)
{
	struct err err = {0};
	json_t *job = NULL;
	int rc;

	if (api_call(api, "POST", "/v1/captures", json_incref(request), &job, &err) < 0)
		return cli_fail(&err);
	rc = after_start(api, cli, v, job);
	json_decref(job);
	return rc;
}

static int run_live(const struct api *api, const struct cli *cli, const struct request_values *v, const json_t *request,
	const char *first_target)
{
	char *text = json_dumps(request, JSON_COMPACT);
	struct capture_task t = {
		.api = api,
		.request = text,
		.write = v->write,
		.first_target = first_target,
		.format = v->format ? v->format : "pcapng",
		.json = cli->globals.json,
	};
	json_t *job = NULL;
	int rc = CLI_FAILED;

	if (text)
		rc = capture_task_run(&t, &job);
	if (job)
		rc = after_start(api, cli, v, job);
	json_decref(job);
	free(text);
	return rc;
}

int start_check(const struct cli *cli, const struct request_values *v)
{
	bool to_stdout = v->write && !strcmp(v->write, "-");

	if (to_stdout && cli->globals.json)
		return cli_usage("-w - and --json both want stdout");
	if (to_stdout && isatty(STDOUT_FILENO) == 1)
		return cli_usage("stdout is a terminal: packets go to a pipe or a file (\"-w - | wireshark -k -i -\", "
				 "or -w FILE)");
	return CLI_OK;
}

int start_run(const struct api *api, const struct cli *cli, const struct request_values *v, json_t *request,
	const char *first_target)
{
	if (v->store)
		return run_store(api, cli, v, request);
	return run_live(api, cli, v, request, first_target);
}
