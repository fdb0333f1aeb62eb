/* start.c - see start.h. */
#include "cli/start.h"

#include "cli/approval.h"
#include "cli/capture.h"
#include "cli/fetch/fetch.h"
#include "cli/list.h"
#include "cli/login/identity.h"
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

/* A job that is approved; as it is then goes to *ret. */
static int begin_stored(const struct api *api, const char *id, json_t **ret)
{
	struct err err = {0};
	char path[80];

	snprintf(path, sizeof(path), "/v1/captures/%s/start", id);
	return api_call(api, "POST", path, json_object(), ret, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

static int run_store(const struct api *api, const struct cli *cli, const struct request_values *v, json_t *request)
{
	struct err err = {0};
	json_t *job = NULL, *waited = NULL;
	int rc = CLI_OK;

	if (api_call(api, "POST", "/v1/captures", json_incref(request), &job, &err) < 0)
		return cli_fail(&err);
	if (approval_is_needed(job)) {
		waited = job;
		job = NULL;
		if ((rc = approval_wait(api, waited)) == CLI_OK)
			rc = begin_stored(api, json_text(waited, "id"), &job);
	}
	if (job)
		rc = after_start(api, cli, v, job);
	json_decref(job);
	json_decref(waited);
	return rc;
}

/* After the word for it.  The output is opened anew: while it waits nothing of it is there. */
static int run_approved(const struct capture_task *asked, const json_t *waits, json_t **ret_stored)
{
	const char *id = json_text(waits, "id");
	struct capture_task t = *asked;
	int rc;

	if (!id_is_valid(id)) {
		talk_say("pcap: the gateway's answer names no job");
		return CLI_UNREACHABLE;
	}
	if ((rc = approval_wait(t.api, waits)) != CLI_OK)
		return rc;
	t.approved = id;
	t.request = "{}";
	return capture_task_run(&t, ret_stored);
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
	json_t *job = NULL, *waits = NULL;
	int rc = CLI_FAILED;

	if (text)
		rc = capture_task_run(&t, &job);
	if (job && approval_is_needed(job)) {
		waits = job;
		job = NULL;
		rc = run_approved(&t, waits, &job);
	}
	if (job)
		rc = after_start(api, cli, v, job);
	json_decref(job);
	json_decref(waits);
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

int start_waiting(const struct api *api, const struct cli *cli, const struct request_values *v, const char *job_id)
{
	char path[64], target[256];
	struct capture_task t = {.api = api, .write = v->write, .first_target = target, .json = cli->globals.json};
	json_t *waits = NULL, *job = NULL;
	struct err err = {0};
	int rc;

	snprintf(path, sizeof(path), "/v1/captures/%s", job_id);
	if (api_call(api, "GET", path, NULL, &waits, &err) < 0)
		return cli_fail(&err);
	list_target(waits, target, sizeof(target));
	t.format = strcmp(json_text(waits, "format"), "pcap") ? "pcapng" : "pcap";
	if (approval_is_needed(waits)) {
		rc = run_approved(&t, waits, &job);
	} else {
		err_set(&err, ERR_STATE, "job %s does not wait for an approval: it is %s", job_id,
			text_clean(json_text(waits, "state"), path, sizeof(path)));
		rc = cli_fail(&err);
	}
	if (job)
		rc = after_start(api, cli, v, job);
	json_decref(job);
	json_decref(waits);
	return rc;
}
