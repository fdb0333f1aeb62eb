/* matched.c - see matched.h. */
#include "cli/matched.h"

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/parse.h"

#include <stdlib.h>

static int above_which(const struct matched_values *v, uint64_t *ret, struct err *err)
{
	const char *text = getenv("PCAP_CONFIRM_ABOVE");

	*ret = MATCHED_ABOVE;
	if (v->above.given)
		*ret = v->above.value;
	else if (text && *text && parse_u64(text, 0, MATCHED_ABOVE_MAX, ret, err) < 0)
		return err_in(err, "PCAP_CONFIRM_ABOVE");
	return 0;
}

static json_t *body_of(const json_t *request)
{
	const char *key = json_object_get(request, "target") ? "target" : "targets";
	json_t *device = json_at(request, "options.device");
	json_t *body = json_pack("{s:O}", key, json_object_get(request, key));

	if (body && device)
		json_object_set_new(body, "options", json_pack("{s:O}", "device", device));
	return body;
}

static int show(const json_t *instances, struct err *err)
{
	static const char *const heads[] = {"instance", "device", "agent", "state", NULL};
	struct table *table = table_new(heads, err);
	char state[TABLE_CELL_MAX * 2];
	json_t *one;
	size_t i;
	int rc = table ? 0 : -1;

	json_array_foreach(instances, i, one)
	{
		const char *cells[] = {
			json_text(one, "name"), json_text(one, "device"), json_text(one, "agent"), state};
		const char *message = json_text(one, "error.message");

		snprintf(state, sizeof(state), "%s",
			json_is_object(json_object_get(one, "error"))
				? (*message ? message : json_text(one, "error.code"))
				: "ok");
		if (rc == 0)
			rc = table_add(table, cells, err);
	}
	if (rc == 0) {
		table_print(table, stderr);
		fputc('\n', stderr);
	}
	table_free(table);
	return rc;
}

static size_t count_good(const json_t *instances)
{
	size_t n = 0, i;
	json_t *one;

	json_array_foreach(instances, i, one) n += !json_is_object(json_object_get(one, "error"));
	return n;
}

static int judge(const struct matched_values *v, const json_t *answer, uint64_t above)
{
	const json_t *instances = json_object_get(answer, "instances");
	size_t all = json_array_size(instances), good = count_good(instances);
	struct err err = {0};
	char question[64];

	if ((all > 1 || good < all) && show(instances, &err) < 0)
		return cli_fail(&err);
	if (good <= above || v->yes)
		return CLI_OK;
	snprintf(question, sizeof(question), "Capture from %zu instances", good);
	if (cli_ask(question))
		return CLI_OK;
	talk_say("not started");
	return CLI_FAILED;
}

int matched_ask(const struct api *api, const struct matched_values *v, const json_t *request)
{
	struct err err = {0};
	json_t *answer = NULL;
	uint64_t above;
	int rc = CLI_OK;

	if (above_which(v, &above, &err) < 0)
		return cli_fail(&err);
	if (api_call(api, "POST", "/v1/resolve", body_of(request), &answer, &err) == 0)
		rc = judge(v, answer, above);
	else if (err.code != ERR_NOT_FOUND) /* an older gateway; or no such target, which the start will say */
		rc = cli_fail(&err);
	json_decref(answer);
	return rc;
}
