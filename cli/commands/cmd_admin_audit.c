/* cmd_admin_audit.c - pcap admin audit: who did what, newest first; and whether the trail is whole. */
#include "cli/audit_files.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"
#include "schema/audit_cef.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct values, member)

struct values {
	const char *user, *action, *job, *org, *space, *app, *outcome, *since, *until;
	struct arg_number limit;
	bool all_pages, cef;
	const char *key, *head;
};

static const struct arg_option options[] = {
	{0, "user", "USER", ARG_TEXT, AT(user), 0, 0, "what this user did (name or id)"},
	{0, "action", "ACTION", ARG_TEXT, AT(action), 0, 0, "capture.start, capture.end, link.create, admin.kill..."},
	{0, "job", "ID", ARG_TEXT, AT(job), 0, 0, "what was done to this capture"},
	{0, "org", "ORG", ARG_TEXT, AT(org), 0, 0, "... in this org"},
	{0, "space", "SPACE", ARG_TEXT, AT(space), 0, 0, "... in this space"},
	{0, "app", "GUID", ARG_TEXT, AT(app), 0, 0, "... to this app"},
	{0, "outcome", "OUTCOME", ARG_TEXT, AT(outcome), 0, 0, "ok, begun, refused or failed"},
	{0, "since", "TIME", ARG_TEXT, AT(since), 0, 0, "from then on: 2h (ago), or 2026-01-05T10:00:00Z"},
	{0, "until", "TIME", ARG_TEXT, AT(until), 0, 0, "before then"},
	{0, "limit", "N", ARG_NUMBER, AT(limit), 1, 1000, "at most N on a page (default: 100)"},
	{0, "all-pages", NULL, ARG_FLAG, AT(all_pages), 0, 0, "all of them"},
	{0, "cef", NULL, ARG_FLAG, AT(cef), 0, 0, "as lines in the Common Event Format"},
	{0, "key", "FILE", ARG_TEXT, AT(key), 0, 0, "verify: the key of the trail, for files"},
	{0, "head", "HASH", ARG_TEXT, AT(head), 0, 0, "verify: hash of the record that the last file must end with"},
	{0},
};

static const char details[] =
	"verify asks the gateway to look at its database and its file: a record that was altered, removed, moved or "
	"added is found, and an\n"
	"end that was cut off.  verify FILE... --key FILE does the same without a gateway for files of the trail, "
	"given from the oldest on;\n"
	"that nothing was cut off their end it can only tell with --head.  It ends with 1 when something is wrong.\n";

/* ---- the list ---- */

static int add_query(struct buf *b, const char *key, const char *value, struct err *err)
{
	char *escaped;
	int rc;

	if (!value)
		return 0;
	if (!(escaped = api_escape(value, err)))
		return -1;
	rc = buf_addf(b, err, "%c%s=%s", memchr(b->data, '?', b->len) ? '&' : '?', key, escaped);
	free(escaped);
	return rc;
}

static char *build_path(const struct values *v, const char *cursor, struct err *err)
{
	char limit[24];
	const struct {
		const char *key, *value;
	} all[] = {{"user", v->user}, {"action", v->action}, {"job", v->job}, {"org", v->org}, {"space", v->space},
		{"app", v->app}, {"outcome", v->outcome}, {"since", v->since}, {"until", v->until},
		{"limit", v->limit.given ? limit : NULL}, {"cursor", *cursor ? cursor : NULL}};
	struct buf b;
	char *ret = NULL;
	int rc;

	snprintf(limit, sizeof(limit), "%" PRIu64, v->limit.value);
	buf_init(&b, 8192);
	rc = buf_add_str(&b, "/v1/admin/audit", err);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && rc == 0; i++)
		rc = add_query(&b, all[i].key, all[i].value, err);
	if (rc == 0 && (!buf_str(&b) || !(ret = strdup(buf_str(&b)))))
		err_nomem(err);
	buf_done(&b);
	return ret;
}

/* Page after page into one array, a new reference; the cursor of what is left in ret_cursor (new string or NULL). */
static json_t *read_pages(const struct api *api, const struct values *v, char **ret_cursor, struct err *err)
{
	json_t *all = json_array(), *answer;
	char *cursor = strdup(""), *path;
	int rc = 0;

	do {
		path = cursor ? build_path(v, cursor, err) : NULL;
		answer = NULL;
		rc = path ? api_call(api, "GET", path, NULL, &answer, err) : -1;
		free(path);
		if (rc < 0)
			break;
		json_array_extend(all, json_object_get(answer, "records"));
		free(cursor);
		cursor = strdup(json_text(answer, "next_cursor"));
		json_decref(answer);
	} while (v->all_pages && cursor && *cursor);
	*ret_cursor = cursor;
	if (rc == 0 && cursor)
		return all;
	if (!cursor)
		err_nomem(err);
	json_decref(all);
	return NULL;
}

static int add_record(struct table *t, const json_t *r, struct err *err)
{
	const char *user = *json_text(r, "user_name") ? json_text(r, "user_name") : json_text(r, "user_id");
	char at[32];
	const char *cells[TABLE_COLUMNS_MAX] = {at, *user ? user : "-", json_text(r, "action"), json_text(r, "outcome"),
		*json_text(r, "job") ? json_text(r, "job") : "-", *json_text(r, "peer") ? json_text(r, "peer") : "-",
		json_text(r, "why")};

	snprintf(at, sizeof(at), "%.19sZ", json_text(r, "at")); /* to the second */
	return table_add(t, cells, err);
}

static int print_table(const json_t *records, struct err *err)
{
	static const char *const heads[] = {"AT", "USER", "ACTION", "OUTCOME", "JOB", "FROM", "WHY", NULL};
	struct table *t = table_new(heads, err);
	int rc = t ? 0 : -1;
	json_t *record;
	size_t i;

	json_array_foreach(records, i, record) if (rc == 0) rc = add_record(t, record, err);
	if (rc == 0)
		table_print(t, stdout);
	table_free(t);
	return rc;
}

static int print_cef(const json_t *records, struct err *err)
{
	json_t *record;
	size_t i;
	char *line;

	json_array_foreach(records, i, record)
	{
		if (!(line = audit_cef(record, err)))
			return -1;
		puts(line);
		free(line);
	}
	return 0;
}

static int list(const struct cli *cli, const struct api *api, const struct values *v)
{
	struct err err = {0};
	char *cursor = NULL;
	json_t *records = read_pages(api, v, &cursor, &err), *out = NULL;
	int rc;

	if (!records) {
		rc = cli_fail(&err);
	} else if (cli->globals.json) {
		out = json_pack(
			"{s:O, s:o}", "records", records, "next_cursor", *cursor ? json_string(cursor) : json_null());
		rc = out ? cli_print_json(out) : CLI_FAILED;
	} else {
		rc = (v->cef ? print_cef(records, &err) : print_table(records, &err)) < 0 ? cli_fail(&err)
											  : cli_flush_stdout();
		if (*cursor)
			talk_say("there are more: --all-pages shows them all");
	}
	json_decref(out);
	json_decref(records);
	free(cursor);
	return rc;
}

/* ---- verify ---- */

/* "database: 120 records, 1 to 120, are whole" */
static void say(const char *what, const json_t *check)
{
	const json_t *fault = json_object_get(check, "fault");
	char clean[ERR_MSG_MAX], place[280], n[40];

	if (json_is_object(fault)) {
		talk_say("%s: %s: %s (%s%sline %" PRIu64 ")", what, json_text(fault, "what"),
			text_clean(json_text(fault, "message"), clean, sizeof(clean)),
			text_clean(json_text(fault, "file"), place, sizeof(place)), *place ? ", " : "",
			json_count(fault, "line"));
		return;
	}
	talk_say("%s: %s, number %" PRIu64 " to %" PRIu64 ": whole; the last one's hash is %s", what,
		text_count(json_count(check, "records"), "record", "records", n, sizeof(n)), json_count(check, "first"),
		json_count(check, "last"), text_clean(json_text(check, "head"), clean, sizeof(clean)));
	if (json_count(check, "first") > 1)
		talk_say("%s: what stood before record %" PRIu64 " is not looked at", what, json_count(check, "first"));
}

static int verify_online(const struct cli *cli, const struct api *api)
{
	struct err err = {0};
	json_t *answer = NULL;
	int rc = CLI_OK;

	if (api_call(api, "POST", "/v1/admin/audit/verify", NULL, &answer, &err) < 0)
		return cli_fail(&err);
	if (cli->globals.json) {
		rc = cli_print_json(answer);
	} else {
		say("database", json_object_get(answer, "database"));
		say("file", json_object_get(answer, "file"));
	}
	if (!json_is_true(json_object_get(answer, "ok")))
		rc = CLI_FAILED;
	json_decref(answer);
	return rc;
}

static int verify_files(const struct cli *cli, const struct args *args, const struct values *v)
{
	struct err err = {0};
	json_t *check;
	int rc = CLI_OK;

	if (!v->key)
		return cli_usage("verify FILE...: needs --key FILE, the gateway's audit.key");
	if (!(check = audit_files_check(&args->words[1], args->words_n - 1, v->key, v->head, &err)))
		return cli_fail(&err);
	if (cli->globals.json)
		rc = cli_print_json(check);
	else
		say("files", check);
	if (!json_is_true(json_object_get(check, "ok")))
		rc = CLI_FAILED;
	json_decref(check);
	return rc;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;
	bool verify = args->words_n > 0;
	struct err err = {0};
	struct api api;
	int rc;

	if (verify && strcmp(args->words[0], "verify") != 0)
		return cli_usage("audit: unexpected \"%.40s\"; only verify can stand there", args->words[0]);
	if (args->words_n > 1)
		return verify_files(cli, args, v);
	if (v->key || v->head)
		return cli_usage("--key and --head go with verify FILE...");
	if (v->job && cli_check_job(v->job, &err) < 0)
		return cli_fail(&err);
	if (cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	rc = verify ? verify_online(cli, &api) : list(cli, &api, v);
	api_close(&api);
	return rc;
}

const struct command cmd_admin_audit = {
	.name = "audit",
	.words = "[verify [FILE...]]",
	.summary = "who did what; is the trail whole",
	.details = details,
	.options = options,
	.values_size = sizeof(struct values),
	.words_most = 1000,
	.run = run,
};
