/* cmd_admin_halt.c - pcap admin halt and resume: no captures on this gateway, until an operator says so again. */
#include "cli/cli.h"
#include "cli/talk.h"
#include "cli/text.h"

struct halt_values {
	const char *reason;
	bool no_kill, yes;
};

#define AT(member) offsetof(struct halt_values, member)

static const struct arg_option halt_options[] = {
	{0, "reason", "TEXT", ARG_TEXT, AT(reason), 0, 0, "why; everybody who wants to capture is told"},
	{0, "no-kill", NULL, ARG_FLAG, AT(no_kill), 0, 0, "let what runs run to its end"},
	{'y', "yes", NULL, ARG_FLAG, AT(yes), 0, 0, "do not ask"},
	{0},
};

static const struct arg_option resume_options[] = {
	{0, "reason", "TEXT", ARG_TEXT, AT(reason), 0, 0, "why; stands in the audit trail"},
	{0},
};

static int show_halted(const json_t *answer)
{
	char text[64];

	talk_say("captures are stopped until \"pcap admin resume\"; %s killed",
		text_count(
			json_array_size(json_object_get(answer, "killed")), "capture", "captures", text, sizeof(text)));
	return CLI_OK;
}

static int show_resumed(const json_t *answer)
{
	char by[300], reason[300];

	if (json_is_null(json_object_get(answer, "was")))
		talk_say("captures were not stopped");
	else
		talk_say("captures may begin again; they were stopped by %s: %s",
			text_clean(json_text(answer, "was.by"), by, sizeof(by)),
			text_clean(json_text(answer, "was.reason"), reason, sizeof(reason)));
	return CLI_OK;
}

static int call(const struct cli *cli, const char *path, json_t *body, int (*show)(const json_t *answer))
{
	return body ? cli_call(cli, "POST", path, body, show) : cli_usage("option --reason: must be UTF-8 text");
}

static int run_halt(struct cli *cli, const struct args *args, const void *values)
{
	const struct halt_values *v = values;

	(void)args;
	if (!v->reason)
		return cli_usage("--reason TEXT is needed: everybody who wants to capture is told");
	if (!v->yes && !cli_confirm(v->no_kill ? "let no new captures begin on this gateway"
					       : "kill all captures of all users and let no new ones begin"))
		return CLI_FAILED;
	return call(cli, "/v1/admin/halt", json_pack("{s:s, s:b}", "reason", v->reason, "kill", (int)!v->no_kill),
		show_halted);
}

static int run_resume(struct cli *cli, const struct args *args, const void *values)
{
	const struct halt_values *v = values;

	(void)args;
	return call(cli, "/v1/admin/resume", json_pack("{s:s*}", "reason", v->reason), show_resumed);
}

const struct command cmd_admin_halt = {
	.name = "halt",
	.words = "",
	.summary = "end all captures, and let none begin until resume",
	.details = "Holds over restarts of the gateway.  Asks first.\n",
	.options = halt_options,
	.values_size = sizeof(struct halt_values),
	.run = run_halt,
};

const struct command cmd_admin_resume = {
	.name = "resume",
	.words = "",
	.summary = "let captures begin again after halt",
	.options = resume_options,
	.values_size = sizeof(struct halt_values),
	.run = run_resume,
};
