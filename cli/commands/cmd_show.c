/* cmd_show.c - pcap show: one job in full. */
#include "cli/cli.h"
#include "cli/list.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/parse.h"
#include "schema/capture_request.h"
#include "schema/stop_reason.h"

#include <inttypes.h>
#include <string.h>

#define VALUE_MAX 3000

static void line(const char *name, const char *value)
{
	char clean[VALUE_MAX];

	if (*value)
		printf("%-12s%s\n", name, text_clean(value, clean, sizeof(clean)));
}

static void show_options(const json_t *job)
{
	char text[64];
	uint64_t n;

	line("device", json_text(job, "options.device"));
	line("filter", json_text(job, "options.filter"));
	if ((n = json_count(job, "options.snaplen"))) {
		snprintf(text, sizeof(text), "%" PRIu64, n);
		line("snaplen", text);
	}
	if (!strcmp(json_text(job, "options.payload"), CAPTURE_PAYLOAD_HEADERS))
		line("payload", "headers only, cut at the agent");
	if ((n = json_count(job, "options.max_duration_s"))) {
		snprintf(text, sizeof(text), "%" PRIu64 " s", n);
		line("duration", text);
	}
	if ((n = json_count(job, "options.max_bytes")))
		line("max size", parse_format_bytes(n, text, sizeof(text)));
	if ((n = json_count(job, "options.max_packets")))
		line("max packets", text_count(n, "packet", "packets", text, sizeof(text)));
}

static void show_policy(const json_t *job)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(job, "policy"), i, one)
		line("policy", json_string_value(one) ? json_string_value(one) : "");
}

static void show_approval(const json_t *job)
{
	const char *reason = json_text(job, "approval.reason"), *by = json_text(job, "approval.decided_by");
	const char *state = json_text(job, "approval.state");
	bool until = !strcmp(json_text(job, "state"), "waiting");
	char text[VALUE_MAX];

	if (!*state)
		return;
	snprintf(text, sizeof(text), "%s%s%s%s%s, %s%s%s", state, *by ? " by " : "", by, *reason ? ": " : "", reason,
		json_text(job, "approval.because"), until ? "; until " : "",
		until ? json_text(job, "approval.expires_at") : "");
	line("approval", text);
}

static void show_end(const json_t *job)
{
	enum stop_reason why = STOP_NONE;
	char text[VALUE_MAX];

	if (stop_reason_parse(json_text(job, "stop_reason"), &why) && why != STOP_NONE) {
		snprintf(text, sizeof(text), "%s: %s", stop_reason_name(why), stop_reason_text(why));
		line("ended by", text);
	} else {
		line("ended by", json_text(job, "stop_reason"));
	}
	line("stopped by", json_text(job, "stop_by"));
	line("slowed by", json_text(job, "limited_by"));
	line("error", json_text(job, "error.message"));
}

static void show_storage(const json_t *job)
{
	char text[VALUE_MAX], bytes[32], storage[120];

	if (!*list_storage(job, false, storage, sizeof(storage)))
		return;
	snprintf(text, sizeof(text), "%s (%s)%s%s", storage,
		parse_format_bytes(json_count(job, "storage.bytes_waiting"), bytes, sizeof(bytes)),
		*json_text(job, "storage.error") ? ": " : "", json_text(job, "storage.error"));
	line("storage", text);
}

static void show_figures(const json_t *job)
{
	static const char *const places[] = {"kernel", "interface", "agent", "gateway"};
	char text[VALUE_MAX], path[64], bytes[32];
	int n = 0;

	snprintf(text, sizeof(text), "%" PRIu64 " captured, %s", json_count(job, "packets.captured"),
		parse_format_bytes(json_count(job, "bytes"), bytes, sizeof(bytes)));
	line("packets", text);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(path, sizeof(path), "packets.dropped.%s", places[i]);
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%" PRIu64 " by %s", i ? ", " : "",
			json_count(job, path), places[i]);
	}
	line("dropped", text);
	if (!*json_text(job, "object.key"))
		return;
	line("file", json_text(job, "object.key"));
	line("size", parse_format_bytes(json_count(job, "object.size_bytes"), bytes, sizeof(bytes)));
	line("sha256", json_text(job, "object.sha256"));
}

static uint64_t instance_drops(const json_t *i)
{
	return json_count(i, "dropped.kernel") + json_count(i, "dropped.interface") + json_count(i, "dropped.agent") +
	       json_count(i, "dropped.gateway");
}

static int show_instances(const json_t *job, struct err *err)
{
	static const char *const heads[] = {
		"INSTANCE", "AGENT", "DEVICE", "STATE", "PACKETS", "BYTES", "DROPPED", "NOTE", NULL};
	struct table *table = table_new(heads, err);
	int rc = table ? 0 : -1;
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(job, "instances"), i, one)
	{
		char packets[24], bytes[32], dropped[24];
		const char *note = json_text(one, "error.message");
		const char *cells[] = {json_text(one, "name"), json_text(one, "agent"), json_text(one, "device"),
			json_text(one, "state"), packets,
			parse_format_bytes(json_count(one, "bytes"), bytes, sizeof(bytes)), dropped,
			*note ? note : json_text(one, "stop_reason")};

		if (rc < 0)
			break;
		snprintf(packets, sizeof(packets), "%" PRIu64, json_count(one, "packets"));
		snprintf(dropped, sizeof(dropped), "%" PRIu64, instance_drops(one));
		rc = table_add(table, cells, err);
	}
	if (rc == 0 && json_array_size(json_object_get(job, "instances"))) {
		putchar('\n');
		table_print(table, stdout);
	}
	table_free(table);
	return rc;
}

static int show(const json_t *job)
{
	char target[VALUE_MAX];
	struct err err = {0};

	line("job", json_text(job, "id"));
	line("state", json_text(job, "state"));
	line("mode", json_text(job, "mode"));
	line("user", *json_text(job, "owner.user_name") ? json_text(job, "owner.user_name")
							: json_text(job, "owner.user_id"));
	line("org", json_text(job, "org"));
	line("space", json_text(job, "space"));
	line("target", list_target(job, target, sizeof(target)));
	show_options(job);
	line("note", json_text(job, "note"));
	show_policy(job);
	show_approval(job);
	if (json_count(job, "retention_s")) {
		char kept[32];

		line("kept for", text_age(json_count(job, "retention_s"), kept, sizeof(kept)));
	}
	line("created", json_text(job, "created_at"));
	line("started", json_text(job, "started_at"));
	line("ended", json_text(job, "ended_at"));
	line("expires", json_text(job, "expires_at"));
	if (json_is_true(json_object_get(job, "hold")))
		line("on hold", *json_text(job, "hold_reason") ? json_text(job, "hold_reason")
							       : "it may not be erased until an operator lifts that");
	show_storage(job);
	show_end(job);
	show_figures(job);
	return show_instances(job, &err) < 0 ? cli_fail(&err) : cli_flush_stdout();
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	struct err err = {0};
	char path[64];

	(void)values;
	if (cli_check_job(args->words[0], &err) < 0)
		return cli_fail(&err);
	snprintf(path, sizeof(path), "/v1/captures/%s", args->words[0]);
	return cli_call(cli, "GET", path, NULL, show);
}

const struct command cmd_show = {
	.name = "show",
	.words = "JOB",
	.summary = "show one capture in full",
	.words_least = 1,
	.words_most = 1,
	.run = run,
};
