/* approval.c - see approval.h. */
#include "cli/approval.h"

#include "cli/cli.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/wait.h"

#include <string.h>

#define TEXT_MAX 600

bool approval_is_needed(const json_t *job)
{
	return !strcmp(json_text(job, "state"), "waiting");
}

static bool is_approved(const json_t *job)
{
	return approval_is_needed(job) && !strcmp(json_text(job, "approval.state"), "approved");
}

static void say_approved(const json_t *job)
{
	char by[TEXT_MAX], reason[TEXT_MAX];

	talk_say("approved by %s%s%s", text_clean(json_text(job, "approval.decided_by"), by, sizeof(by)),
		*json_text(job, "approval.reason") ? ": " : "",
		text_clean(json_text(job, "approval.reason"), reason, sizeof(reason)));
}

/* It waits no more, and was not approved. */
static int say_ended(const json_t *job)
{
	const char *code = json_text(job, "error.code");
	char message[TEXT_MAX], state[40];

	if (!strcmp(code, "approval_cancelled")) {
		talk_say("not wanted any more; nothing was captured");
		return CLI_FAILED;
	}
	talk_say("pcap: not captured (%s): %s", text_clean(json_text(job, "state"), state, sizeof(state)),
		text_clean(json_text(job, "error.message"), message, sizeof(message)));
	return CLI_REFUSED;
}

int approval_wait(const struct api *api, const json_t *job)
{
	char because[TEXT_MAX], until[64], id[64];
	struct err err = {0};
	json_t *now;
	int rc = CLI_OK;

	if (is_approved(job)) {
		say_approved(job);
		return CLI_OK;
	}
	if (!approval_is_needed(job))
		return say_ended(job);
	talk_say("job %s waits for an operator's approval (%s), until %s; Ctrl-C cancels it",
		text_clean(json_text(job, "id"), id, sizeof(id)),
		text_clean(json_text(job, "approval.because"), because, sizeof(because)),
		text_clean(json_text(job, "approval.expires_at"), until, sizeof(until)));
	if (!(now = wait_approval(api, id, &err)))
		return cli_fail(&err);
	if (is_approved(now))
		say_approved(now);
	else
		rc = say_ended(now);
	json_decref(now);
	return rc;
}
