/* cmd_admin_switch.c - pcap admin switch: what may be captured and stored where, and what is forced on it. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SWITCHES     "/v1/admin/switches"
#define YEARS_MS     (UINT64_C(10) * 365 * 24 * 3600 * 1000)
#define SHOWN        1200
#define FORCES_SHOWN 200

struct values {
	const char *capture, *storage, *filter, *reason, *until, *level;
	struct arg_number snaplen, retention, retention_max, lasts;
	bool headers_only, approval;
};

#define AT(member) offsetof(struct values, member)

static const struct arg_option options[] = {
	{0, "capture", "WORD", ARG_TEXT, AT(capture), 0, 0, "set: allow or forbid captures"},
	{0, "storage", "WORD", ARG_TEXT, AT(storage), 0, 0, "set: allow or forbid that they are stored"},
	{0, "snaplen", "N", ARG_NUMBER, AT(snaplen), 16, 262144, "set: no more than N bytes of a packet"},
	{0, "headers-only", NULL, ARG_FLAG, AT(headers_only), 0, 0, "set: headers only, whatever is asked for"},
	{0, "filter", "FILTER", ARG_TEXT, AT(filter), 0, 0, "set: only what this filter accepts, beside the user's"},
	{0, "approval", NULL, ARG_FLAG, AT(approval), 0, 0, "set: an operator must approve each capture"},
	{0, "retention", "TIME", ARG_DURATION, AT(retention), 1000, YEARS_MS, "set: keep stored captures for so long"},
	{0, "retention-max", "TIME", ARG_DURATION, AT(retention_max), 1000, YEARS_MS,
		"set: and never longer than that"},
	{0, "reason", "TEXT", ARG_TEXT, AT(reason), 0, 0, "set: why; users are told"},
	{0, "for", "TIME", ARG_DURATION, AT(lasts), 1000, YEARS_MS, "set: it holds for so long (2h)"},
	{0, "until", "TIME", ARG_TEXT, AT(until), 0, 0, "set: it holds until then (2026-01-05T10:00:00Z)"},
	{0, "level", "LEVEL", ARG_TEXT, AT(level), 0, 0,
		"show, delete: operator (it stays), temporary (--for, --until), or developer: what they have set"},
	{0},
};

static const char details[] =
	"  pcap admin switch list [SCOPE [ID]]\n"
	"  pcap admin switch show SCOPE [ID]\n"
	"  pcap admin switch set SCOPE [ID] --reason TEXT ...\n"
	"  pcap admin switch delete SCOPE [ID]\n"
	"\n"
	"SCOPE is platform (without ID), org, space, app, deployment (by name) or group (DEPLOYMENT/GROUP, or a group "
	"of the\n"
	"gateway's inventory).  Orgs, spaces and apps of Cloud Foundry go by GUID (\"cf org NAME --guid\"), not by "
	"name; where hosts\n"
	"and deployments are captured, org and space are those of the user.\n"
	"\n"
	"Captures are forbidden where any switch around them forbids them; of what is forced the strictest holds.  It "
	"counts at once:\n"
	"captures that run and are not allowed any more, or not so, end.  A switch replaces the one that its scope "
	"had; but one for\n"
	"a time (--for, --until) stands beside the one that stays: what the two force adds up, its --capture and "
	"--storage count\n"
	"instead, and when it ends the other is as it was.\n"
	"\n"
	"  pcap admin switch set org 4f1c... --headers-only --storage forbid --reason 'GDPR case 12'\n"
	"  pcap admin switch set platform --capture forbid --for 2h --reason 'incident 7'\n";

/* ---- the request ---- */

static char *path_of(const struct args *args, const struct values *v, struct err *err)
{
	const char *kind = args->words_n > 1 ? args->words[1] : "", *id = args->words_n > 2 ? args->words[2] : "";
	char *k = api_escape(kind, err), *i = api_escape(id, err), *level = api_escape(v->level ? v->level : "", err);
	char *path = NULL;

	if (!k || !i || !level)
		goto out;
	if (!strcmp(args->words[0], "list"))
		path = api_path(err, SWITCHES "%s%s%s%s", *k ? "?scope=" : "", k, *i ? "&id=" : "", i);
	else
		path = api_path(err, SWITCHES "/%s%s%s%s%s", k, *i ? "/" : "", i, *level ? "?level=" : "", level);
out:
	free(k);
	free(i);
	free(level);
	return path;
}

static int add_text(json_t *body, const char *key, const char *option, const char *value, struct err *err)
{
	if (!value || json_object_set_new(body, key, json_string(value)) == 0)
		return 0;
	return err_set(err, ERR_INPUT, "option --%s: must be UTF-8 text", option);
}

static void add_number(json_t *body, const char *key, const struct arg_number *n, uint64_t unit)
{
	if (n->given)
		json_object_set_new(body, key, json_integer((json_int_t)(n->value / unit)));
}

static json_t *body_of(const struct values *v, struct err *err)
{
	json_t *body = json_object();

	if (!v->reason || !*v->reason) {
		err_set(err, ERR_INPUT, "set: give a reason with --reason: users and the audit trail are told");
		goto bad;
	}
	if (v->lasts.given && v->until) {
		err_set(err, ERR_INPUT, "--for and --until exclude each other");
		goto bad;
	}
	if (add_text(body, "capture", "capture", v->capture, err) < 0 ||
		add_text(body, "storage", "storage", v->storage, err) < 0 ||
		add_text(body, "filter", "filter", v->filter, err) < 0 ||
		add_text(body, "reason", "reason", v->reason, err) < 0 ||
		add_text(body, "expires_at", "until", v->until, err) < 0)
		goto bad;
	if (v->headers_only)
		json_object_set_new(body, "payload", json_string("headers"));
	if (v->approval)
		json_object_set_new(body, "approval", json_string("required"));
	add_number(body, "snaplen", &v->snaplen, 1);
	add_number(body, "retention_s", &v->retention, 1000);
	add_number(body, "retention_max_s", &v->retention_max, 1000);
	add_number(body, "ttl_s", &v->lasts, 1000);
	return body;
bad:
	json_decref(body);
	return NULL;
}

/* ---- the answers ---- */

static void add_part(char *ret, size_t size, const char *text, const char *value)
{
	size_t n = strlen(ret);

	snprintf(ret + n, size - n, "%s%s%s", n ? ", " : "", text, value);
}

/* Into a few words; what is not said is left out. */
static char *forces_text(const json_t *row, char *ret, size_t size)
{
	char text[64];

	ret[0] = '\0';
	if (*json_text(row, "capture"))
		add_part(ret, size, "capture ", json_text(row, "capture"));
	if (*json_text(row, "storage"))
		add_part(ret, size, "storage ", json_text(row, "storage"));
	if (*json_text(row, "payload"))
		add_part(ret, size, "headers only", "");
	if (json_count(row, "snaplen")) {
		snprintf(text, sizeof(text), "%" PRIu64, json_count(row, "snaplen"));
		add_part(ret, size, "snaplen ", text);
	}
	if (*json_text(row, "approval"))
		add_part(ret, size, "approval", "");
	if (json_count(row, "retention_s")) {
		snprintf(text, sizeof(text), "%" PRIu64 "s", json_count(row, "retention_s"));
		add_part(ret, size, "retention ", text);
	}
	if (json_count(row, "retention_max_s")) {
		snprintf(text, sizeof(text), "%" PRIu64 "s", json_count(row, "retention_max_s"));
		add_part(ret, size, "retention at most ", text);
	}
	if (*json_text(row, "filter"))
		add_part(ret, size, "filter ", json_text(row, "filter"));
	return ret;
}

static int show_list(const json_t *answer)
{
	static const char *const heads[] = {"SCOPE", "ID", "BY", "SAYS", "UNTIL", "REASON", NULL};
	struct err err = {0};
	struct table *table = table_new(heads, &err);
	char forces[FORCES_SHOWN], left[32];
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(answer, "switches"), i, row)
	{
		const char *cells[] = {json_text(row, "scope"), json_text(row, "id"), json_text(row, "level"),
			forces_text(row, forces, sizeof(forces)),
			text_until(json_text(row, "expires_at"), clock_wall_ns(), left, sizeof(left)),
			json_text(row, "reason")};

		if (table && table_add(table, cells, &err) < 0)
			break;
	}
	if (err.code) {
		table_free(table);
		return cli_fail(&err);
	}
	if (i > 0)
		table_print(table, stdout);
	table_free(table);
	talk_say("by default captures are %s, storing them %s; developers: %s", json_text(answer, "default"),
		json_text(answer, "storage"), json_text(answer, "developers"));
	return cli_flush_stdout();
}

static void line(const char *name, const char *value)
{
	char clean[SHOWN];

	if (*value)
		printf("%-14s%s\n", name, text_clean(value, clean, sizeof(clean)));
}

static int show_row(const json_t *row)
{
	static const char *const texts[] = {"scope", "id", "level", "capture", "storage", "payload", "filter",
		"approval", "reason", "set_by", "set_at", "expires_at"},
				 *const numbers[] = {"snaplen", "retention_s", "retention_max_s"};
	char text[32];

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		line(texts[i], json_text(row, texts[i]));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		snprintf(text, sizeof(text), "%" PRIu64, json_count(row, numbers[i]));
		if (json_count(row, numbers[i]))
			line(numbers[i], text);
	}
	return cli_flush_stdout();
}

static void say_replaced(const json_t *row)
{
	char forces[FORCES_SHOWN + 1100], clean[FORCES_SHOWN + 1100], reason[SHOWN];

	forces_text(row, forces, sizeof(forces));
	talk_say("in place of: %s (%s)", text_clean(forces, clean, sizeof(clean)),
		text_clean(json_text(row, "reason"), reason, sizeof(reason)));
}

static int show_change(const json_t *answer, const char *what)
{
	char forces[FORCES_SHOWN + 1100], clean[FORCES_SHOWN + 1100], id[64], scope[600], text[64];
	json_t *row = json_object_get(answer, "switch"), *ended = json_object_get(answer, "ended"), *one;
	size_t i;

	snprintf(scope, sizeof(scope), "%s%s%s", json_text(row, "scope"), *json_text(row, "id") ? " " : "",
		json_text(row, "id"));
	forces_text(row, forces, sizeof(forces));
	talk_say("%s for %s: %s", what, text_clean(scope, id, sizeof(id)), text_clean(forces, clean, sizeof(clean)));
	if (json_is_object(json_object_get(answer, "replaced")))
		say_replaced(json_object_get(answer, "replaced"));
	json_array_foreach(json_object_get(answer, "warnings"), i, one) talk_say(
		"warning: %s", text_clean(json_string_value(one) ? json_string_value(one) : "", clean, sizeof(clean)));
	json_array_foreach(ended, i, one)
		printf("%s\n", text_clean(json_string_value(one) ? json_string_value(one) : "", id, sizeof(id)));
	if (json_array_size(ended))
		talk_say("%s ended by it",
			text_count(json_array_size(ended), "capture", "captures", text, sizeof(text)));
	return cli_flush_stdout();
}

/* ---- the command ---- */

static const struct {
	const char *name, *method;
} actions[] = {{"list", "GET"}, {"show", "GET"}, {"set", "PUT"}, {"delete", "DELETE"}};

static const char *method_of(const char *action)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (!strcmp(actions[i].name, action))
			return actions[i].method;
	return NULL;
}

static bool has_settings(const struct values *v)
{
	return v->capture || v->storage || v->filter || v->reason || v->until || v->snaplen.given ||
	       v->retention.given || v->retention_max.given || v->lasts.given || v->headers_only || v->approval;
}

static int check(const struct args *args, const struct values *v)
{
	const char *action = args->words[0];
	bool is_set = !strcmp(action, "set"), is_list = !strcmp(action, "list");

	if (!method_of(action))
		return cli_usage("\"%.40s\" is none of list, show, set, delete", action);
	if (!is_list && args->words_n < 2)
		return cli_usage("%s: expects SCOPE [ID]", action);
	if (!is_set && has_settings(v))
		return cli_usage("%s: takes no such option; see \"pcap help admin switch\"", action);
	if ((is_set || is_list) && v->level)
		return cli_usage("--level goes with show and delete");
	return CLI_OK;
}

static int show(const char *action, const json_t *answer)
{
	if (!strcmp(action, "list"))
		return show_list(answer);
	if (!strcmp(action, "show"))
		return show_row(answer);
	return show_change(answer, !strcmp(action, "set") ? "set" : "deleted");
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;
	const char *action = args->words[0];
	json_t *body = NULL, *answer = NULL;
	struct err err = {0};
	struct api api;
	char *path;
	int rc;

	if ((rc = check(args, v)) != CLI_OK)
		return rc;
	if (!strcmp(action, "set") && !(body = body_of(v, &err)))
		return cli_fail(&err);
	if (!(path = path_of(args, v, &err)) || cli_api(cli, true, &api, &err) < 0) {
		free(path);
		json_decref(body);
		return cli_fail(&err);
	}
	if (api_call(&api, method_of(action), path, body, &answer, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = cli->globals.json ? cli_print_json(answer) : show(action, answer);
	json_decref(answer);
	free(path);
	api_close(&api);
	return rc;
}

const struct command cmd_admin_switch = {
	.name = "switch",
	.words = "list|show|set|delete [SCOPE [ID]]",
	.summary = "allow and forbid captures, force privacy on them",
	.details = details,
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 1,
	.words_most = 3,
	.run = run,
};
