/* cmd_link.c - pcap link: a signed URL from which anyone who has it can fetch the file until it expires. */
#include "cli/cli.h"
#include "cli/talk.h"
#include "cli/text.h"

#define TTL_MOST_MS (UINT64_C(7) * 24 * 3600 * 1000)

struct values {
	struct arg_number ttl_ms;
	bool once;
};

static const struct arg_option options[] = {
	{0, "ttl", "TIME", ARG_DURATION, offsetof(struct values, ttl_ms), 1000, TTL_MOST_MS,
		"how long it works (15m, 24h)"},
	{0, "once", NULL, ARG_FLAG, offsetof(struct values, once), 0, 0, "it works a single time"},
	{0},
};

static json_t *body_of(const struct values *v)
{
	json_t *body = json_object();

	if (v->ttl_ms.given)
		json_object_set_new(body, "ttl_s", json_integer((json_int_t)((v->ttl_ms.value + 999) / 1000)));
	if (v->once)
		json_object_set_new(body, "once", json_true());
	return body;
}

static int show(const json_t *link)
{
	char url[4096], expires[64];

	printf("%s\n", text_clean(json_text(link, "url"), url, sizeof(url)));
	talk_say("expires %s", text_clean(json_text(link, "expires_at"), expires, sizeof(expires)));
	return cli_flush_stdout();
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	struct err err = {0};
	json_t *link = NULL;
	struct api api;
	char path[64];
	int rc;

	if (cli_check_job(args->words[0], &err) < 0 || cli_api(cli, true, &api, &err) < 0)
		return cli_fail(&err);
	snprintf(path, sizeof(path), "/v1/captures/%s/link", args->words[0]);
	if (api_call(&api, "POST", path, body_of(values), &link, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = cli->globals.json ? cli_print_json(link) : show(link);
	json_decref(link);
	api_close(&api);
	return rc;
}

const struct command cmd_link = {
	.name = "link",
	.words = "JOB",
	.summary = "print a signed URL for a stored capture",
	.options = options,
	.values_size = sizeof(struct values),
	.words_least = 1,
	.words_most = 1,
	.run = run,
};
