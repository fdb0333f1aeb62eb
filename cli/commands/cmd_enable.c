/* cmd_enable.c - pcap enable, disable, allowed: captures of one's own app or space switched, as cf enable-ssh, disable-ssh and ssh-enabled. */
#include "cli/cli.h"
#include "cli/login/identity.h"
#include "cli/rules.h"
#include "cli/talk.h"
#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

struct values {
	const char *reason;
	bool guid;
};

#define AT(member) offsetof(struct values, member)
#define SHOWN      256
#define WHY        1200

static const struct arg_option options[] = {
	{0, "reason", "TEXT", ARG_TEXT, AT(reason), 0, 0, "why; users who are refused are told"},
	{0, "guid", NULL, ARG_FLAG, AT(guid), 0, 0, "NAME is a GUID"},
	{0},
};

static const struct arg_option asking[] = {
	{0, "guid", NULL, ARG_FLAG, AT(guid), 0, 0, "NAME is a GUID"},
	{0},
};

/* ---- which one ---- */

static int check_kind(const struct args *args)
{
	const char *kind = args->words[0];

	if (!strcmp(kind, "app") || !strcmp(kind, "space"))
		return CLI_OK;
	return cli_usage("\"%.40s\" is neither app nor space", kind);
}

static int no_space(struct err *err)
{
	err_set(err, ERR_AUTH, "No space targeted.");
	return err_detail(err, LOGIN_NO_SPACE);
}

/* A name is one of the space that cf has as its target, or of that space itself. */
static char *path_of(struct identity *id, const struct args *args, bool is_guid, struct err *err)
{
	const char *kind = args->words[0], *name = args->words[1];
	char *escaped = NULL, *path = NULL;

	if (!is_guid && identity_config(id, err) < 0)
		return NULL;
	if (!is_guid && !*id->cf.space_guid) {
		no_space(err);
		return NULL;
	}
	if (!is_guid && !strcmp(kind, "space")) {
		if (strcmp(name, id->cf.space)) {
			err_set(err, ERR_INPUT,
				"\"%.80s\" is not the space that cf has as its target (%.80s); target it with 'cf "
				"target -s', "
				"or name it by GUID with --guid",
				name, id->cf.space);
			return NULL;
		}
		name = id->cf.space_guid;
		is_guid = true;
	}
	if (!(escaped = api_escape(name, err)))
		return NULL;
	path = is_guid ? api_path(err, "/v1/switches/%s/%s", kind, escaped)
		       : api_path(err, "/v1/switches/%s/%s?space=%s", kind, escaped, id->cf.space_guid);
	free(escaped);
	return path;
}

/* ---- the answer ---- */

static int show(const struct args *args, const json_t *answer, bool expected)
{
	char name[SHOWN], why[WHY];
	bool allowed = json_is_true(json_at(answer, "capture.allowed"));
	bool stored = json_is_true(json_at(answer, "storage.allowed"));

	text_clean(args->words[1], name, sizeof(name));
	printf("captures of %s '%s' are %s\n", args->words[0], name, allowed ? "allowed" : "not allowed");
	if (!allowed)
		talk_say("%s", text_clean(json_text(answer, "capture.because"), why, sizeof(why)));
	else if (!stored)
		talk_say("live only: %s", text_clean(json_text(answer, "storage.because"), why, sizeof(why)));
	if (allowed)
		rules_say(json_object_get(answer, "rules"));
	return cli_flush_stdout() != CLI_OK ? CLI_FAILED : allowed == expected ? CLI_OK : CLI_REFUSED;
}

/* word NULL: only asks. */
static int call(struct cli *cli, const struct args *args, const struct values *v, const char *word)
{
	const struct cli_identity who = {.login = identity_cf};
	json_t *body = NULL, *answer = NULL;
	bool expected = !word || !strcmp(word, "allow");
	struct err err = {0};
	struct api api;
	char *path;
	int rc;

	cli_manner(CLI_AS_CF);
	if ((rc = check_kind(args)) != CLI_OK)
		return cli_end(rc);
	if (cli_api_as(cli, &who, &api, &err) < 0)
		return cli_end(cli_fail(&err));
	if (word && !(body = json_pack("{s:s, s:s*}", "capture", word, "reason", v->reason)))
		err_set(&err, ERR_INPUT, "option --reason: must be UTF-8 text");
	path = err.code ? NULL : path_of(api.identity, args, v->guid, &err);
	if (!path) {
		json_decref(body);
		rc = cli_fail(&err);
	} else if (api_call(&api, word ? "PUT" : "GET", path, body, &answer, &err) < 0) {
		rc = cli_fail(&err);
	} else {
		rc = cli->globals.json ? cli_print_json(answer) : show(args, answer, expected);
	}
	json_decref(answer);
	free(path);
	api_close(&api);
	return cli_end(rc);
}

static int run_enable(struct cli *cli, const struct args *args, const void *values)
{
	return call(cli, args, values, "allow");
}

static int run_disable(struct cli *cli, const struct args *args, const void *values)
{
	return call(cli, args, values, "forbid");
}

static int run_allowed(struct cli *cli, const struct args *args, const void *values)
{
	return call(cli, args, values, NULL);
}

#define WORDS "app|space NAME"
#define WHO                                                                                                            \
	"For space developers, with the cf CLI's login; NAME is an app of the space that \"cf target\" shows, or "     \
	"that "                                                                                                        \
	"space.\n"

const struct command cmd_enable = {
	.name = "enable",
	.words = WORDS,
	.summary = "allow captures of your app or space",
	.details = WHO
	"It takes back what \"pcap disable\" did; what an operator has switched off stays off, and is told.  "
	"Exit code 3:\n"
	"captures are still not allowed.\n",
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 2,
	.words_most = 2,
	.run = run_enable,
};

const struct command cmd_disable = {
	.name = "disable",
	.words = WORDS,
	.summary = "forbid captures of your app or space",
	.details = WHO "Captures of it that run end at once.\n",
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 2,
	.words_most = 2,
	.run = run_disable,
};

const struct command cmd_allowed = {
	.name = "allowed",
	.words = WORDS,
	.summary = "tell whether your app or space may be captured",
	.details = WHO "Says why not, and what is forced on captures there.  Exit code 3: they are not allowed.\n",
	.options = asking,
	.values_size = sizeof(struct values),
	.words_least = 2,
	.words_most = 2,
	.run = run_allowed,
};
