/* cmd_info.c - pcap info: what the gateway is and offers; needs no token, but one shows where its user stands, and an operator's what was found about the store. */
#include "cli/cli.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/parse.h"
#include "common/version.h"

#include <stdlib.h>
#include <string.h>

static void show_findings(const json_t *findings)
{
	char name[64], check[64], text[600];
	json_t *one;
	size_t i;

	json_array_foreach(findings, i, one)
	{
		snprintf(name, sizeof(name), "storage: %s",
			text_clean(json_text(one, "severity"), check, sizeof(check)));
		printf("%-36s %s: ", name, text_clean(json_text(one, "check"), check, sizeof(check)));
		printf("%s\n", text_clean(json_text(one, "message"), text, sizeof(text)));
	}
}

static void show_amount(const char *limit, json_int_t n, char ret[40])
{
	if (strncmp(limit, "quota", 5) == 0)
		parse_format_bytes((uint64_t)n, ret, 40);
	else
		snprintf(ret, 40, "%" JSON_INTEGER_FORMAT, n);
}

/* Where the caller stands. */
static void show_standing(const json_t *standing)
{
	char limit[64], of[16], used[40], max[40];
	json_t *one;
	size_t i;

	printf("\n%-24s %-6s %14s %14s   %s\n", "YOUR STANDING", "OF", "USED", "LIMIT", "ONE MORE FREE IN");
	json_array_foreach(standing, i, one)
	{
		json_int_t most = json_integer_value(json_object_get(one, "max"));
		json_int_t reset_s = json_integer_value(json_object_get(one, "reset_s"));

		text_clean(json_text(one, "limit"), limit, sizeof(limit));
		show_amount(limit, json_integer_value(json_object_get(one, "used")), used);
		show_amount(limit, most, max);
		printf("%-24s %-6s %14s %14s", limit, text_clean(json_text(one, "of"), of, sizeof(of)), used,
			most > 0 ? max : "none");
		if (reset_s > 0 && most > 0)
			printf("   %" JSON_INTEGER_FORMAT " s", reset_s);
		printf("\n");
	}
}

/* Whatever a later gateway tells more is shown as well: members as "name.name  value". */
static void show(const json_t *value, const char *path)
{
	char name[256], clean[1024];
	const char *key;
	json_t *member;

	if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, member)
		{
			snprintf(name, sizeof(name), "%s%s%s", path, *path ? "." : "", text_clean(key, clean, 64));
			show(member, name);
		}
	} else if (json_is_array(value) && strcmp(path, "storage.findings") == 0) {
		show_findings(value);
	} else if (json_is_array(value) && strcmp(path, "standing") == 0) {
		show_standing(value);
	} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
		for (size_t i = 0; i < json_array_size(value); i++) {
			snprintf(name, sizeof(name), "%s.%zu", path, i);
			show(json_array_get(value, i), name);
		}
	} else if (json_is_string(value)) {
		printf("%-36s %s\n", path, text_clean(json_string_value(value), clean, sizeof(clean)));
	} else if (!json_is_null(value)) {
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

		printf("%-36s %s\n", path, text ? text : "");
		free(text);
	}
}

/* A token that cannot be used here (an old one, one for another machine) is no reason to say nothing. */
static int open_api(const struct cli *cli, struct api *ret, struct err *err)
{
	const char *token = getenv("PCAP_TOKEN");

	if (token && *token && cli_api(cli, true, ret, NULL) == 0)
		return 0;
	return cli_api(cli, false, ret, err);
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	struct err err = {0};
	json_t *info = NULL;
	struct api api;
	int rc;

	(void)args;
	(void)values;
	if (open_api(cli, &api, &err) < 0)
		return cli_fail(&err);
	if (api_call(&api, "GET", "/v1/info", NULL, &info, &err) < 0) {
		rc = cli_fail(&err);
	} else if (cli->globals.json) {
		rc = cli_print_json(info);
	} else {
		printf("%-36s %s\n", "gateway", api.base);
		show(info, "");
		rc = cli_flush_stdout();
		if (json_count(info, "api_level") > PCAPLINE_API_LEVEL)
			talk_say("the gateway is newer than this command (API level %d)", PCAPLINE_API_LEVEL);
	}
	json_decref(info);
	api_close(&api);
	return rc;
}

const struct command cmd_info = {
	.name = "info",
	.words = "",
	.summary = "version, limits and storage of the gateway",
	.run = run,
};
