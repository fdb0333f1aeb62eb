#include "gateway/capture/capture_notes.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add(char ret[NOTE_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(char ret[NOTE_MAX], const char *fmt, ...)
{
	size_t used = strlen(ret);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret + used, NOTE_MAX - used, fmt, ap);
	va_end(ap);
}

/* What somebody finds missing in the file was not there to be captured. */
static void add_policy(const struct job *j, char ret[NOTE_MAX])
{
	json_t *rules = *j->policy ? json_loads(j->policy, 0, NULL) : NULL, *one;
	size_t n;

	json_array_foreach(rules, n, one)
		add(ret, "; forced by operators: %s", json_string_value(one) ? json_string_value(one) : "");
	json_decref(rules);
}

void note_section(const struct job *j, char ret[NOTE_MAX])
{
	const struct capture_options *o = &j->options;
	char at[CLOCK_TEXT_MAX];

	ret[0] = '\0';
	add(ret, "capture %s by %s", j->id, j->owner_user_name[0] ? j->owner_user_name : j->owner_user_id);
	if (j->org[0])
		add(ret, ", org %s", j->org);
	if (j->space[0])
		add(ret, ", space %s", j->space);
	add(ret, ", started %s; snaplen %" PRIu32, clock_rfc3339(j->created_at, at), o->snaplen);
	if (o->max_duration_s > 0)
		add(ret, "; at most %" PRIu64 " s", o->max_duration_s);
	if (o->max_bytes > 0)
		add(ret, "; at most %" PRIu64 " bytes", o->max_bytes);
	if (o->max_packets > 0)
		add(ret, "; at most %" PRIu64 " packets", o->max_packets);
	if (o->headers_only)
		add(ret, "; headers only");
	add(ret, "; traffic of the capture itself is left out");
	add_policy(j, ret);
	if (j->note[0])
		add(ret, "; note: %s", j->note);
	add(ret, "; target %s", j->target);
}

void note_interface(const struct job *j, const struct job_instance *i, const char *device, char ret_name[NOTE_MAX],
	char ret_description[NOTE_MAX])
{
	ret_name[0] = ret_description[0] = '\0';
	add(ret_name, "%s %s", i->name, device);
	add(ret_description, "%s, device %s, by agent %s, capture %s", i->name, device, i->agent, j->id);
	if (j->options.headers_only)
		add(ret_description, "; headers only: payload cut at the agent");
}

static void add_missing(const struct job *j, char ret[NOTE_MAX])
{
	for (size_t n = 0; n < j->instances_n; n++) {
		const struct job_instance *i = &j->instances[n];

		if (i->state == INSTANCE_FAILED)
			add(ret, "; nothing from %s: %s", i->name, i->error);
	}
}

void note_end(const struct job *j, const struct job_instance *i, bool first, char ret[NOTE_MAX])
{
	char text[ERR_MSG_MAX] = "", note[STOP_NOTE_MAX];

	if (j->stop_reason == STOP_KILLED && j->error[0])
		snprintf(text, sizeof(text), "%s", j->error);
	else if (j->stop_by[0])
		snprintf(text, sizeof(text), "by %s", j->stop_by);
	else if (i->error[0] || i->stop_reason == j->stop_reason)
		snprintf(text, sizeof(text), "%s", i->error[0] ? i->error : j->error);
	ret[0] = '\0';
	add(ret, "%s", stop_note_format(i->stop_reason, text, note));
	add(ret,
		"; %s: %" PRIu64 " packets here, missing: %" PRIu64 " kernel, %" PRIu64 " interface, %" PRIu64
		" agent, %" PRIu64 " gateway",
		i->name, i->packets, i->dropped.kernel, i->dropped.interface, i->dropped.agent, i->dropped.gateway);
	if (i->late_packets > 0)
		add(ret, "; %" PRIu64 " came late and stand out of order", i->late_packets);
	if (first)
		add_missing(j, ret);
}

void note_limited(const char *limit, uint64_t bytes_per_s, char ret[NOTE_MAX])
{
	add(ret, "; slowed to %" PRIu64 " bytes per second (%s)", bytes_per_s, limit);
}
