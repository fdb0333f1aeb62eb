/* events.c - see events.h. */
#include "cli/events.h"

#include "cli/rules.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/wait.h"
#include "common/buf.h"
#include "common/json_in.h"

#include <inttypes.h>
#include <string.h>

#define ANSWER_TIMEOUT_MS 15000u
#define IDLE_TIMEOUT_MS   60000u
#define BACKOFF_FIRST_MS  200u
#define BACKOFF_MOST_MS   5000u
#define TRIES_MAX         20u /* without an answer: more than a minute */
#define TEXT_MAX          2048
#define NAME_MAX_SHOWN    300

struct events {
	const struct events_options *o;
	struct buf line;
	uint64_t seq_seen; /* events up to here were shown */
	json_t *last;
	struct err fault;
	bool heard; /* the present connection gave something */
};

/* Members of data as "key=value"; nested ones as JSON. */
static size_t add_data(const json_t *data, char *ret, size_t size)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)data, key, value)
	{
		char *json = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		const char *text = json_is_string(value) ? json_string_value(value) : json ? json : "";
		bool quoted = json_is_string(value) && (!*text || strpbrk(text, " \t="));
		int done = 0;

		if (!json_is_null(value))
			done = snprintf(ret + n, size - n, quoted ? " %s=\"%s\"" : " %s=%s", key, text);
		free(json);
		if (done < 0 || (size_t)done >= size - n)
			break;
		n += (size_t)done;
	}
	return n;
}

char *events_text(const json_t *event, char *ret, size_t size)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%s  %s", json_text(event, "at"), json_text(event, "type"));

	if (n > 0 && (size_t)n < sizeof(text))
		add_data(json_at(event, "data"), text + n, sizeof(text) - (size_t)n);
	return text_clean(text, ret, size);
}

static bool is_progress(const json_t *event)
{
	return !strcmp(json_text(event, "type"), "progress");
}

static void keep_last(struct events *e, json_t *job)
{
	json_decref(e->last);
	e->last = json_incref(job);
}

static int print_line(struct events *e, const char *text)
{
	if (!e->o->to) {
		talk_say("%s", text);
		return 0;
	}
	talk_clear();
	if (fprintf(e->o->to, "%s\n", text) < 0 || fflush(e->o->to) != 0) {
		err_set(&e->fault, ERR_CANCELLED, "the output cannot be written");
		return -1;
	}
	return 0;
}

static void warn_of(const json_t *event)
{
	char name[NAME_MAX_SHOWN], error[TEXT_MAX];

	if (!strcmp(json_text(event, "type"), "policy"))
		rules_say(json_at(event, "data.rules"));
	if (*json_text(event, "data.error") && *json_text(event, "data.instance"))
		talk_say("warning: %s: %s", text_clean(json_text(event, "data.instance"), name, sizeof(name)),
			text_clean(json_text(event, "data.error"), error, sizeof(error)));
}

static int show_event(struct events *e, const json_t *event, const char *raw)
{
	char text[TEXT_MAX];
	uint64_t seq = json_count(event, "seq");

	if (is_progress(event)) {
		keep_last(e, json_at(event, "data"));
		if (e->o->live_line && talk_is_live())
			talk_line(wait_line(e->last, text, sizeof(text)));
		return e->o->raw ? print_line(e, raw) : 0;
	}
	if (seq && seq <= e->seq_seen) /* told again after a reconnection */
		return 0;
	if (seq)
		e->seq_seen = seq;
	if (e->o->failures_only) {
		warn_of(event);
		return 0;
	}
	return print_line(e, e->o->raw ? raw : events_text(event, text, sizeof(text)));
}

static int take_line(struct events *e)
{
	const char *raw = buf_str(&e->line);
	json_t *event;
	int rc = 0;

	if (!raw || !e->line.len) /* an empty line keeps the connection alive */
		return 0;
	event = json_in_parse(raw, e->line.len, &e->fault);
	if (!event) {
		err_in(&e->fault, "an event of the gateway is not understood");
		e->fault.code = ERR_NET;
		return -1;
	}
	rc = show_event(e, event, raw);
	json_decref(event);
	return rc;
}

static int on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct events *e = ctx;

	e->heard = true;
	while (n) {
		const uint8_t *end = memchr(p, '\n', n);
		size_t part = end ? (size_t)(end - p) : n;

		if (buf_add(&e->line, p, part, &e->fault) < 0)
			return -1;
		if (end && take_line(e) < 0)
			return -1;
		if (end) {
			buf_clear(&e->line);
			part++;
		}
		p += part;
		n -= part;
	}
	return 0;
}

/* One connection.  1: over; 0: broken, worth another try (why in err); -1: failed for good. */
static int follow_once(struct events *e, const char *path, struct err *err)
{
	struct api_stream o = {
		.method = "GET",
		.path = path,
		.answer_timeout_ms = ANSWER_TIMEOUT_MS,
		.idle_timeout_ms = IDLE_TIMEOUT_MS,
		.on_data = on_data,
		.ctx = e,
	};
	struct http_call *call = api_stream_new(e->o->api, &o, err);
	int rc = 0, status;

	if (!call)
		return -1;
	buf_clear(&e->line);
	e->heard = false;
	if (stopper_run(e->o->stopper, call, err) == 0) {
		status = http_call_status(call);
		rc = http_call_error(call, err) == 0 ? 1 : status >= 500 || status == 429 ? 0 : -1;
	} else if (stopper_is_leaving(e->o->stopper)) {
		rc = 1;
	} else if (e->fault.code) {
		*err = e->fault;
		rc = -1;
	}
	http_call_free(call);
	return rc;
}

static int follow(struct events *e, const char *path, struct err *err)
{
	unsigned delay_ms = BACKOFF_FIRST_MS, tries = 0;

	for (;;) {
		struct err why = {0};
		int rc = follow_once(e, path, &why);

		if (rc > 0)
			return 0;
		if (e->heard) {
			tries = 0;
			delay_ms = BACKOFF_FIRST_MS;
		}
		if (rc < 0 || ++tries >= TRIES_MAX || (tries == 1 && !e->heard && !e->seq_seen)) {
			if (err)
				*err = why;
			return -1;
		}
		stopper_sleep(e->o->stopper, delay_ms);
		if (stopper_is_leaving(e->o->stopper))
			return 0;
		delay_ms = delay_ms * 2 < BACKOFF_MOST_MS ? delay_ms * 2 : BACKOFF_MOST_MS;
	}
}

int events_follow(const struct events_options *o, json_t **ret_last, struct err *err)
{
	struct events e = {.o = o};
	char path[80];
	int rc;

	snprintf(path, sizeof(path), "/v1/captures/%s/events", o->job);
	buf_init(&e.line, EVENTS_LINE_MAX);
	rc = follow(&e, path, err);
	buf_done(&e.line);
	*ret_last = e.last;
	return rc;
}
