/* GET /v1/captures/{id}/events: what has happened to a job and what happens until it ends, one JSON object per line. Between the events a line of
 * type "progress" with the job's figures comes each second while it runs; these are not kept. */
#include "common/buf.h"
#include "common/clock.h"
#include "gateway/api/api.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_AT_ONCE 50u
#define PROGRESS_MS    1000u
#define PENDING_MAX    (4u * 1024 * 1024)

struct event_stream {
	struct gateway *gw;
	char id[ID_MAX];
	struct capture *capture; /* NULL: not running (any more) */
	uint64_t seq;            /* the last that was given */
	uint64_t progress_ns;
	bool last_look;
	struct buf pending; /* lines on their way out */
};

static int add_line(
	struct event_stream *s, uint64_t seq, uint64_t at_ns, const char *type, json_t *data, struct err *err)
{
	char at[CLOCK_TEXT_MAX];
	json_t *line = json_pack("{s:s, s:s, s:s, s:o}", "at", clock_rfc3339(at_ns, at), "type", type, "job", s->id,
		"data", data ? data : json_object());
	char *text = NULL;
	int rc = -1;

	if (line && seq > 0)
		json_object_set_new(line, "seq", json_integer((json_int_t)seq));
	if (!line || !(text = json_dumps(line, JSON_COMPACT)))
		err_nomem(err);
	else
		rc = buf_addf(&s->pending, err, "%s\n", text);
	free(text);
	json_decref(line);
	return rc;
}

static int add_events(struct event_stream *s, struct err *err)
{
	struct job_event *e = NULL;
	size_t n = 0;
	int rc = 0;

	if (job_db_events(s->gw->db, s->id, s->seq, EVENTS_AT_ONCE, &e, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = add_line(s, e[i].seq, e[i].at_ns, e[i].type, json_loads(e[i].data, 0, NULL), err);
		s->seq = e[i].seq;
	}
	job_db_events_free(e, n);
	return rc;
}

static int add_progress(struct event_stream *s, struct err *err)
{
	uint64_t now = clock_mono_ns();

	if (now - s->progress_ns < PROGRESS_MS * CLOCK_NS_PER_MS)
		return 0;
	s->progress_ns = now;
	return add_line(s, 0, clock_wall_ns(), "progress", capture_to_json(s->capture, false), err);
}

static ssize_t take(struct event_stream *s, uint8_t *dst, size_t max)
{
	size_t n = s->pending.len < max ? s->pending.len : max;

	memcpy(dst, s->pending.data, n);
	buf_consume(&s->pending, n);
	return (ssize_t)n;
}

static ssize_t stream_read(void *ctx, uint8_t *dst, size_t max)
{
	struct event_stream *s = ctx;

	while (s->pending.len == 0) {
		if (add_events(s, NULL) < 0)
			return HTTP_STREAM_ABORT;
		if (s->pending.len > 0)
			break;
		if (!s->capture || s->last_look)
			return HTTP_STREAM_END;
		s->last_look = capture_wait_event(s->capture, s->seq, PROGRESS_MS);
		if (!s->last_look && add_progress(s, NULL) < 0)
			return HTTP_STREAM_ABORT;
	}
	return take(s, dst, max);
}

static void stream_close(void *ctx)
{
	struct event_stream *s = ctx;

	capture_unref(s->capture);
	buf_done(&s->pending);
	free(s);
}

static const struct http_stream stream_ops = {.read = stream_read, .close = stream_close};

void api_events(struct api_call *a)
{
	static const char *const names[] = {NULL};
	struct job *j = api_job(a, api_may_see);
	struct event_stream *s = NULL;
	struct err err = {0};

	if (!j)
		return;
	if (http_request_query_known(a->rq, names, &err) < 0) {
		http_reply_err(a->rq, &err);
	} else if (!(s = calloc(1, sizeof(*s)))) {
		err_nomem(&err);
		http_reply_err(a->rq, &err);
	} else {
		api_audit_shown(a, j, "events");
		s->gw = a->gw;
		memcpy(s->id, j->id, sizeof(s->id));
		s->capture = jobs_find(a->gw->jobs, j->id);
		buf_init(&s->pending, PENDING_MAX);
		http_reply_stream(a->rq, 200, "application/x-ndjson", &stream_ops, s);
	}
	job_free(j);
}
