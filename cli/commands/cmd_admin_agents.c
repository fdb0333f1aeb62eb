/* cmd_admin_agents.c - pcap admin agents: which agents there are, and how each is. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

static void targets_text(const json_t *list, char *ret, size_t size)
{
	const json_t *one;
	size_t i, n = 0;

	ret[0] = '\0';
	json_array_foreach(list, i, one)
	{
		if (json_is_string(one) && n < size)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? "," : "", json_string_value(one));
	}
}

/* What is to be known of it: why it does not answer, or that it is not of the gateway's version. */
static void note_text(const json_t *agent, const char *gateway, char *ret, size_t size)
{
	const json_t *error = json_object_get(agent, "error");
	const char *skew = json_text(agent, "skew");

	if (json_is_object(error))
		snprintf(ret, size, "%s", json_text(error, "message"));
	else if (strcmp(skew, "older") == 0 || strcmp(skew, "newer") == 0)
		snprintf(ret, size, "%s than this gateway (%s)", skew, gateway);
	else
		snprintf(ret, size, "%s%s", *skew ? "not the gateway's version, " : "", *skew ? gateway : "");
}

static int add(struct table *t, const json_t *agent, const char *gateway, struct err *err)
{
	const bool answers = !json_is_object(json_object_get(agent, "error"));
	char captures[48] = "", targets[64], note[600];
	const char *cells[] = {json_text(agent, "agent"), json_text(agent, "version"), captures, targets,
		json_text(agent, "last_seen_at"), note};

	if (answers)
		snprintf(captures, sizeof(captures), "%" PRIu64 "/%" PRIu64, json_count(agent, "captures"),
			json_count(agent, "captures_max"));
	targets_text(json_object_get(agent, "targets"), targets, sizeof(targets));
	note_text(agent, gateway, note, sizeof(note));
	return table_add(t, cells, err);
}

static int show(const json_t *answer)
{
	static const char *const heads[] = {"AGENT", "VERSION", "CAPTURES", "TARGETS", "LAST SEEN", "NOTE", NULL};
	const char *gateway = json_text(json_object_get(answer, "gateway"), "version");
	const json_t *agents = json_object_get(answer, "agents"), *agent;
	struct err err = {0};
	struct table *t = table_new(heads, &err);
	size_t i;

	if (!t)
		return cli_fail(&err);
	json_array_foreach(agents, i, agent)
	{
		if (add(t, agent, gateway, &err) < 0) {
			table_free(t);
			return cli_fail(&err);
		}
	}
	if (json_array_size(agents) == 0)
		talk_say("this gateway knows no agents yet");
	else
		table_print(t, stdout);
	table_free(t);
	if (json_count(answer, "more") > 0)
		talk_say("and %" PRIu64 " more, which were not asked", json_count(answer, "more"));
	return cli_flush_stdout();
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	(void)args;
	(void)values;
	return cli_call(cli, "GET", "/v1/admin/agents", NULL, show);
}

const struct command cmd_admin_agents = {
	.name = "agents",
	.words = "",
	.summary = "list the agents, their versions and their load",
	.details = "Those of the inventory, and those that the gateway has dialled since it began.  Each is asked how "
		   "it is.\n",
	.run = run,
};
