/* job_json.c - a job as the API shows it (design, section 3). */
#include "common/clock.h"
#include "common/json_in.h"
#include "common/parse.h"
#include "schema/job.h"

#include <string.h>

/* Text from agents may hold what JSON cannot: then its printable form goes out rather than nothing. */
static json_t *text_json(const char *s)
{
	json_t *v = json_string(s);
	char plain[ERR_MSG_MAX];

	return v ? v : json_string(parse_printable(s, plain, sizeof(plain)));
}

static json_t *text_or_null_json(const char *s)
{
	return *s ? text_json(s) : json_null();
}

static json_t *u64_json(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *time_json(uint64_t wall_ns)
{
	char text[CLOCK_TEXT_MAX];

	return wall_ns ? json_string(clock_rfc3339(wall_ns, text)) : json_null();
}

static json_t *stop_reason_json(enum stop_reason r)
{
	return r == STOP_NONE ? json_null() : json_string(stop_reason_name(r));
}

static json_t *error_json(const char *code, const char *message)
{
	if (!*code && !*message)
		return json_null();
	return json_pack("{s:o, s:o}", "code", text_json(*code ? code : "internal"), "message", text_json(message));
}

static json_t *drops_json(const struct job_drops *d)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "kernel", u64_json(d->kernel), "interface", u64_json(d->interface),
		"agent", u64_json(d->agent), "gateway", u64_json(d->gateway));
}

static json_t *link_type_json(int link_type)
{
	if (link_type < 0 || link_type > UINT16_MAX)
		return json_null();
	return json_string(pcapng_link_type_name((uint16_t)link_type));
}

static json_t *instance_json(const struct job_instance *i)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", text_json(i->name), "agent",
		text_json(i->agent), "device", text_json(i->device), "link_type", link_type_json(i->link_type), "state",
		instance_state_name(i->state), "stop_reason", stop_reason_json(i->stop_reason), "packets",
		u64_json(i->packets), "bytes", u64_json(i->bytes), "late_packets", u64_json(i->late_packets), "dropped",
		drops_json(&i->dropped), "error", error_json(i->error_code, i->error));
}

static json_t *instances_json(const struct job *j)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < j->instances_n; i++) {
		if (json_array_append_new(list, instance_json(&j->instances[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The target was checked when the job was made; a database that says otherwise still shows the rest. */
static json_t *target_json(const char *text)
{
	json_t *v = json_in_parse(text, strlen(text), NULL);

	return v ? v : json_null();
}

/* The rules that it runs under; none is an empty list. */
static json_t *policy_json(const char *text)
{
	json_t *v = *text ? json_in_parse(text, strlen(text), NULL) : NULL;

	return v ? v : json_array();
}

static json_t *object_json(const struct job *j)
{
	if (j->state != JOB_READY || !*j->object_key)
		return json_null();
	return json_pack("{s:o, s:o, s:s}", "key", text_json(j->object_key), "size_bytes", u64_json(j->object_bytes),
		"sha256", j->object_sha256);
}

json_t *job_to_json(const struct job *j, bool brief)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "id", j->id, "state", job_state_name(j->state), "mode",
		job_mode_name(j->mode), "format", job_format_name(j->format));
	int bad = 0;

	if (!o)
		return NULL;
	bad |= json_object_set_new(o, "owner",
		json_pack("{s:o, s:o}", "user_id", text_json(j->owner_user_id), "user_name",
			text_json(j->owner_user_name)));
	bad |= json_object_set_new(o, "org", text_or_null_json(j->org));
	bad |= json_object_set_new(o, "space", text_or_null_json(j->space));
	bad |= json_object_set_new(o, "target", target_json(j->target));
	bad |= json_object_set_new(o, "options", capture_options_to_json(&j->options));
	bad |= json_object_set_new(o, "note", text_or_null_json(j->note));
	bad |= json_object_set_new(o, "policy", policy_json(j->policy));
	bad |= json_object_set_new(o, "retention_s", j->retention_s ? u64_json(j->retention_s) : json_null());
	bad |= json_object_set_new(o, "created_at", time_json(j->created_at));
	bad |= json_object_set_new(o, "started_at", time_json(j->started_at));
	bad |= json_object_set_new(o, "ended_at", time_json(j->ended_at));
	bad |= json_object_set_new(o, "expires_at", time_json(j->expires_at));
	bad |= json_object_set_new(o, "stop_reason", stop_reason_json(j->stop_reason));
	bad |= json_object_set_new(o, "stop_by", text_or_null_json(j->stop_by));
	bad |= json_object_set_new(o, "hold", json_boolean(j->hold[0]));
	bad |= json_object_set_new(o, "limited_by", text_or_null_json(j->limited_by));
	bad |= json_object_set_new(o, "error", error_json(j->error_code, j->error));
	bad |= json_object_set_new(o, "bytes", u64_json(j->bytes));
	bad |= json_object_set_new(o, "packets",
		json_pack("{s:o, s:o}", "captured", u64_json(j->packets), "dropped", drops_json(&j->dropped)));
	if (!brief)
		bad |= json_object_set_new(o, "instances", instances_json(j));
	bad |= json_object_set_new(o, "object", object_json(j));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}
