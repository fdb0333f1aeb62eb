/* summary.c - see summary.h. */
#include "cli/summary.h"

#include "cli/cli.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/parse.h"

#include <inttypes.h>
#include <string.h>

#define CLEAN_MAX 400

struct figures {
	uint64_t packets, received, kernel, interface, agent, gateway;
	bool has_received;
};

/* What came here counts for the packets; the losses are the larger of what the stream and what the job says: the last
 * statistics may be in one of them only. */
static void figures_of(const struct summary *s, struct figures *ret)
{
	struct counter_row total = {0};

	*ret = (struct figures){0};
	if (s->job) {
		ret->packets = json_count(s->job, "packets.captured");
		ret->kernel = json_count(s->job, "packets.dropped.kernel");
		ret->interface = json_count(s->job, "packets.dropped.interface");
		ret->agent = json_count(s->job, "packets.dropped.agent");
		ret->gateway = json_count(s->job, "packets.dropped.gateway");
	}
	if (!s->counter)
		return;
	counter_total(s->counter, &total);
	ret->packets = total.packets;
	/* Who leaves a running capture has packets that are younger than the last statistics. */
	ret->received = total.received > total.packets ? total.received : total.packets;
	ret->has_received = total.has_received;
	if (total.dropped_os > ret->kernel)
		ret->kernel = total.dropped_os;
	if (total.dropped_interface > ret->interface)
		ret->interface = total.dropped_interface;
	if (total.dropped_agent > ret->agent)
		ret->agent = total.dropped_agent;
}

static void say_figures(const struct figures *f)
{
	char text[64];

	talk_say("%s captured", text_count(f->packets, "packet", "packets", text, sizeof(text)));
	if (f->has_received)
		talk_say("%s received by filter", text_count(f->received, "packet", "packets", text, sizeof(text)));
	talk_say("%s dropped by kernel", text_count(f->kernel, "packet", "packets", text, sizeof(text)));
	if (f->interface)
		talk_say("%s dropped by interface", text_count(f->interface, "packet", "packets", text, sizeof(text)));
	if (f->agent)
		talk_say("%s shed by the agent (its limits, or its host under pressure)",
			text_count(f->agent, "packet", "packets", text, sizeof(text)));
	if (f->gateway)
		talk_say("%s dropped by the gateway (received too slowly)",
			text_count(f->gateway, "packet", "packets", text, sizeof(text)));
}

static void say_rows(const struct counter *c)
{
	char bytes[32], text[64];

	for (size_t i = 0; counter_rows_n(c) > 1 && i < counter_rows_n(c); i++) {
		const struct counter_row *row = counter_row(c, i);

		talk_say("  %s: %s, %s, %" PRIu64 " dropped", row->name,
			text_count(row->packets, "packet", "packets", text, sizeof(text)),
			parse_format_bytes(row->bytes, bytes, sizeof(bytes)),
			row->dropped_os + row->dropped_interface + row->dropped_agent);
	}
}

/* The exit code that is due when this is why packets ended. */
static int exit_of(enum stop_reason why)
{
	switch (why) {
	case STOP_NONE:
	case STOP_USER:
	case STOP_MAX_DURATION:
	case STOP_MAX_BYTES:
	case STOP_MAX_PACKETS:
	case STOP_CONTAINER_GONE: /* what there was of it is there */
	case STOP_INSTANCE_LEFT:
		return CLI_OK;
	case STOP_START_FAILED:
	case STOP_DELETED:
		return CLI_FAILED;
	case STOP_CLIENT_GONE:
	case STOP_INSTANCES_ENDED:
	case STOP_DEVICE_GONE:
	case STOP_AGENT_ERROR:
	case STOP_AGENT_LOST:
	case STOP_AGENT_SHUTDOWN:
	case STOP_GATEWAY_GONE:
	case STOP_GATEWAY_SHUTDOWN:
	case STOP_INTERRUPTED:
	case STOP_KILLED:
	case STOP_STORAGE_FULL:
	case STOP_SPOOL_FULL:
	case STOP_STORAGE_FAILED:
	case STOP_RIGHT_GONE:
	case STOP_RIGHT_UNKNOWN:
	case STOP_TARGET_GONE:
	case STOP_SWITCHED_OFF:
	case STOP_QUOTA:
	case STOP_POLICY:
	case STOP_INTERNAL:
		return CLI_INCOMPLETE;
	}
	return CLI_OK;
}

/* Why this instance gave nothing or not all, "" when it gave all that the capture as a whole was there for. */
static const char *failure_of(const json_t *job, const json_t *instance)
{
	const char *message = json_text(instance, "error.message"), *reason = json_text(instance, "stop_reason");
	enum stop_reason why = STOP_NONE;

	if (*message || !strcmp(reason, json_text(job, "stop_reason")))
		return message;
	return stop_reason_parse(reason, &why) && exit_of(why) != CLI_OK ? stop_reason_text(why) : "";
}

/* Named by the gateway, which knows more than the stream. */
static void say_failures(const json_t *job)
{
	char name[CLEAN_MAX], error[CLEAN_MAX];
	json_t *instance;
	size_t i;

	json_array_foreach(json_object_get(job, "instances"), i, instance)
	{
		const char *failure = failure_of(job, instance);

		if (*failure)
			talk_say("warning: %s: %s", text_clean(json_text(instance, "name"), name, sizeof(name)),
				text_clean(failure, error, sizeof(error)));
	}
}

/* What the stream itself says of that, when the gateway cannot be asked. */
static void say_early_ends(const struct counter *c)
{
	for (size_t i = 0; i < counter_rows_n(c); i++)
		if (counter_is_early(counter_row(c, i)))
			talk_say("warning: %s: %s", counter_row(c, i)->name, stop_reason_text(counter_row(c, i)->end));
}

static void say_end(const json_t *job)
{
	char message[CLEAN_MAX];
	enum stop_reason why = STOP_NONE;
	const char *error = json_text(job, "error.message");

	if (stop_reason_parse(json_text(job, "stop_reason"), &why) && why != STOP_NONE)
		talk_say("capture ended (%s): %s", stop_reason_name(why), stop_reason_text(why));
	if (*json_text(job, "limited_by"))
		talk_say("slowed by a limit of the gateway (%s): what was too fast is counted as dropped",
			text_clean(json_text(job, "limited_by"), message, sizeof(message)));
	if (*error)
		talk_say("%s: %s",
			exit_of(why) == CLI_OK && !strcmp(json_text(job, "error.code"), stop_reason_name(why))
				? "limit"
				: "error",
			text_clean(error, message, sizeof(message)));
}

void summary_say(const struct summary *s)
{
	struct figures f;
	char bytes[32];

	figures_of(s, &f);
	say_figures(&f);
	if (s->counter)
		say_rows(s->counter);
	if (s->job) {
		say_failures(s->job);
		say_end(s->job);
	} else if (s->counter) {
		say_early_ends(s->counter);
	}
	if (s->file)
		talk_say("wrote %s (%s)", s->file, parse_format_bytes(s->file_bytes, bytes, sizeof(bytes)));
}

int summary_exit(const json_t *job)
{
	const char *state = json_text(job, "state");
	enum stop_reason why = STOP_NONE;

	if (!strcmp(state, "failed"))
		return CLI_FAILED;
	if (!strcmp(state, "killed"))
		return CLI_INCOMPLETE;
	stop_reason_parse(json_text(job, "stop_reason"), &why);
	return exit_of(why);
}
