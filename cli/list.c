/* list.c - see list.h. */
#include "cli/list.h"

#include "cli/table.h"
#include "cli/talk.h"
#include "cli/target.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct list_values, member)
#define FAR_NS     (20 * 3600 * CLOCK_NS_PER_S) /* from here on "12:04" could be meant of another day */
#define PAGES_MAX  10000u                       /* a cursor that leads in circles ends here */

const struct arg_option list_options[] = {
	{0, "state", "STATE", ARG_TEXT, AT(state), 0, 0,
		"only these: waiting, starting, running, finishing, ready, streamed, failed..."},
	{0, "since", "TIME", ARG_TEXT, AT(since), 0, 0, "created since: 2h (ago), or 2026-01-05T10:00:00Z"},
	{0, "app", "GUID", ARG_TEXT, AT(app), 0, 0, "those of this app"},
	{0, "deployment", "NAME", ARG_TEXT, AT(deployment), 0, 0, "those of this deployment"},
	{0, "limit", "N", ARG_NUMBER, AT(limit), 1, 1000, "at most N on a page"},
	{0, "all-pages", NULL, ARG_FLAG, AT(all_pages), 0, 0, "all of them"},
	{0},
};

/* The gateway takes points in time; "2h" is more handy to type. */
static int since_text(const char *text, char ret[CLOCK_TEXT_MAX], struct err *err)
{
	uint64_t ms = 0, at_ns = 0, now_ns = clock_wall_ns();

	if (clock_parse_rfc3339(text, &at_ns, NULL) == 0) {
		clock_rfc3339(at_ns, ret);
		return 0;
	}
	if (parse_duration_ms(text, 0, now_ns / CLOCK_NS_PER_MS, &ms, NULL) < 0)
		return err_set(err, ERR_INPUT,
			"option --since: \"%.40s\" is neither a time (2026-01-05T10:00:00Z) nor an age (2h)", text);
	clock_rfc3339(now_ns - ms * CLOCK_NS_PER_MS, ret);
	return 0;
}

static int add_query(struct buf *b, const char *key, const char *value, struct err *err)
{
	char *escaped = api_escape(value, err);
	int rc = -1;

	if (escaped)
		rc = buf_addf(b, err, "%c%s=%s", b->len && memchr(b->data, '?', b->len) ? '&' : '?', key, escaped);
	free(escaped);
	return rc;
}

static int build_path(struct buf *b, const struct list_values *v, const char *path, const char *cursor, struct err *err)
{
	char since[CLOCK_TEXT_MAX], limit[24];

	buf_clear(b);
	if (buf_add_str(b, path, err) < 0)
		return -1;
	if (v->state && add_query(b, "state", v->state, err) < 0)
		return -1;
	if (v->app && add_query(b, "app", v->app, err) < 0)
		return -1;
	if (v->deployment && add_query(b, "deployment", v->deployment, err) < 0)
		return -1;
	if (v->since && (since_text(v->since, since, err) < 0 || add_query(b, "since", since, err) < 0))
		return -1;
	if (v->limit.given) {
		snprintf(limit, sizeof(limit), "%" PRIu64, v->limit.value);
		if (add_query(b, "limit", limit, err) < 0)
			return -1;
	}
	return *cursor ? add_query(b, "cursor", cursor, err) : 0;
}

char *list_target(const json_t *job, char *ret, size_t size)
{
	return target_text(json_at(job, "target"), ret, size);
}

/* "12:04", with the day when that was long ago; here, in this machine's time. */
static const char *clock_text(const char *rfc3339, char ret[32])
{
	uint64_t ns = 0, now = clock_wall_ns();
	struct tm tm;
	time_t s;

	if (clock_parse_rfc3339(rfc3339, &ns, NULL) < 0)
		return "?";
	s = (time_t)(ns / CLOCK_NS_PER_S);
	if (!localtime_r(&s, &tm) ||
		!strftime(ret, 32, now > ns && now - ns > FAR_NS ? "%Y-%m-%d %H:%M" : "%H:%M", &tm))
		return "?";
	return ret;
}

char *list_storage(const json_t *job, bool troubles_only, char *ret, size_t size)
{
	const char *since = json_text(job, "storage.unreachable_since");
	uint64_t parts = json_count(job, "storage.parts_waiting");
	char text[48], at[32];

	ret[0] = '\0';
	if (parts == 0 && !*since)
		return ret;
	if (*since)
		snprintf(ret, size, "%s waiting, store unreachable since %s",
			text_count(parts, "part", "parts", text, sizeof(text)), clock_text(since, at));
	else if (!troubles_only)
		snprintf(ret, size, "%s waiting", text_count(parts, "part", "parts", text, sizeof(text)));
	return ret;
}

/* "running", or "running, 3 parts waiting, store unreachable since 12:04" */
static const char *state_text(const json_t *job, char *ret, size_t size)
{
	const bool waits = !strcmp(json_text(job, "state"), "waiting");
	const bool approved = waits && !strcmp(json_text(job, "approval.state"), "approved");
	char storage[120];

	list_storage(job, true, storage, sizeof(storage));
	snprintf(ret, size, "%s%s%s%s%s", json_text(job, "state"),
		approved ? ", approved"
		: waits  ? " for approval"
			 : "",
		json_is_true(json_object_get(job, "hold")) ? ", on hold" : "", *storage ? ", " : "", storage);
	return ret;
}

static int add_job(struct table *table, const json_t *job, bool has_owner, struct err *err)
{
	char state[160], age[24], target[TABLE_CELL_MAX], packets[24], bytes[32], expires[40];
	const char *cells[TABLE_COLUMNS_MAX] = {0};
	uint64_t now = clock_wall_ns();
	size_t n = 0;

	snprintf(packets, sizeof(packets), "%" PRIu64, json_count(job, "packets.captured"));
	cells[n++] = json_text(job, "id");
	cells[n++] = state_text(job, state, sizeof(state));
	if (has_owner)
		cells[n++] = *json_text(job, "owner.user_name") ? json_text(job, "owner.user_name")
								: json_text(job, "owner.user_id");
	cells[n++] = text_since(json_text(job, "created_at"), now, age, sizeof(age));
	cells[n++] = list_target(job, target, sizeof(target));
	cells[n++] = packets;
	cells[n++] = parse_format_bytes(
		json_at(job, "object.size_bytes") ? json_count(job, "object.size_bytes") : json_count(job, "bytes"),
		bytes, sizeof(bytes));
	cells[n++] = strcmp(json_text(job, "state"), "ready")
			     ? "-"
			     : text_until(json_text(job, "expires_at"), now, expires, sizeof(expires));
	return table_add(table, cells, err);
}

/* Reads page after page into one array, a new reference, with the cursor of what is left in ret_cursor (new string or NULL). */
static json_t *read_pages(
	const struct api *api, const struct list_values *v, const char *path, char **ret_cursor, struct err *err)
{
	json_t *all = json_array();
	char *cursor = strdup("");
	struct buf url;
	int rc = -1;

	buf_init(&url, 8192);
	for (unsigned page = 0; all && cursor && page < PAGES_MAX; page++) {
		json_t *answer = NULL;

		rc = build_path(&url, v, path, cursor, err);
		if (rc == 0)
			rc = buf_str(&url) ? api_call(api, "GET", buf_str(&url), NULL, &answer, err) : err_nomem(err);
		if (rc < 0)
			break;
		json_array_extend(all, json_object_get(answer, "captures"));
		free(cursor);
		cursor = strdup(json_text(answer, "next_cursor"));
		json_decref(answer);
		if (!v->all_pages || !cursor || !*cursor)
			break;
	}
	buf_done(&url);
	*ret_cursor = cursor;
	if (rc == 0 && cursor)
		return all;
	json_decref(all);
	return NULL;
}

static int print_table(const json_t *jobs, bool has_owner, struct err *err)
{
	static const char *const own[] = {"ID", "STATE", "AGE", "TARGET", "PACKETS", "SIZE", "EXPIRES", NULL};
	static const char *const all[] = {"ID", "STATE", "USER", "AGE", "TARGET", "PACKETS", "SIZE", "EXPIRES", NULL};
	struct table *table = table_new(has_owner ? all : own, err);
	json_t *job;
	size_t i;
	int rc = table ? 0 : -1;

	json_array_foreach(jobs, i, job) if (rc == 0) rc = add_job(table, job, has_owner, err);
	if (rc == 0)
		table_print(table, stdout);
	table_free(table);
	return rc;
}

int list_run(struct cli *cli, const struct list_values *v, const char *path, bool has_owner)
{
	struct err err = {0};
	struct api api;
	json_t *jobs = NULL, *out = NULL;
	char *cursor = NULL;
	int rc;

	if (cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	jobs = read_pages(&api, v, path, &cursor, &err);
	if (!jobs) {
		rc = cli_fail(&err);
	} else if (cli->globals.json) {
		out = json_pack(
			"{s:O, s:o}", "captures", jobs, "next_cursor", *cursor ? json_string(cursor) : json_null());
		rc = out ? cli_print_json(out) : CLI_FAILED;
	} else {
		rc = print_table(jobs, has_owner, &err) < 0 ? cli_fail(&err) : cli_flush_stdout();
		if (*cursor)
			talk_say("there are more: --all-pages shows them all");
	}
	json_decref(out);
	json_decref(jobs);
	free(cursor);
	api_close(&api);
	return rc;
}
