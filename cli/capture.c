/* capture.c - see capture.h.  What is around the stream itself (receiver.h): output, live line, events, the end. */
#include "cli/capture.h"

#include "cli/cli.h"
#include "cli/events.h"
#include "cli/login/renewer.h"
#include "cli/receiver.h"
#include "cli/request.h"
#include "cli/rules.h"
#include "cli/summary.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_END_MS 2000u /* how long the last events may come after the last packet */

struct capture {
	const struct capture_task *t;
	struct out out;
	struct counter *counter;
	struct stopper *stopper;
	struct receiver receiver;
	struct renewer *renewer;
	char job[ID_MAX]; /* set before the events' thread begins */
	pthread_t events;
	bool has_events;      /* that thread was started */
	pthread_mutex_t lock; /* events_over */
	pthread_cond_t changed;
	bool events_over;
};

/* ---- events beside the packets: failures of instances at once, with_events all ---- */

static void *events_main(void *arg)
{
	struct capture *c = arg;
	struct events_options o = {
		.api = c->t->api,
		.job = c->job,
		.stopper = c->stopper,
		.failures_only = !c->t->with_events,
	};
	json_t *last = NULL;

	events_follow(&o, &last, NULL); /* without them the packets are still worth having */
	json_decref(last);
	pthread_mutex_lock(&c->lock);
	c->events_over = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void end_events(struct capture *c, enum call_end end)
{
	struct timespec until = clock_deadline(EVENTS_END_MS);

	if (!c->has_events)
		return;
	pthread_mutex_lock(&c->lock);
	while (c->t->with_events && end == CALL_WHOLE && !c->events_over &&
		pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&c->lock);
	stopper_leave(c->stopper);
	pthread_join(c->events, NULL);
}

/* ---- the beginning ---- */

static int open_unnamed(struct capture *c, const char *job, struct err *err)
{
	char *name = request_file_name(c->t->first_target, job, c->t->format);
	int rc = name ? out_open(&c->out, name, true, err) : err_nomem(err);

	free(name);
	return rc;
}

/* The output of a capture without -w is named after the job, so it is opened only now. */
static int on_begin(void *ctx, const char *job, struct err *err)
{
	struct capture *c = ctx;

	if (!out_is_open(&c->out) && open_unnamed(c, job, err) < 0)
		return -1;
	if (out_begin(&c->out, err) < 0)
		return -1;
	talk_say("job %s: %s to %s", job, c->t->request ? "capturing" : "writing",
		c->out.is_stdout ? "stdout" : c->out.path);
	snprintf(c->job, sizeof(c->job), "%s", job);
	c->has_events = pthread_create(&c->events, NULL, events_main, c) == 0;
	c->renewer = renewer_start(c->t->api, c->job);
	return 0;
}

static void on_tick(void *ctx)
{
	struct capture *c = ctx;
	char line[TALK_LINE_MAX];

	/* While the output takes its time the line waits, not the signals. */
	if (!c->receiver.begun || pthread_mutex_trylock(&c->receiver.lock))
		return;
	counter_line(c->counter, clock_mono_ns(), talk_width(), line, sizeof(line));
	pthread_mutex_unlock(&c->receiver.lock);
	talk_line(line);
}

static int prepare(struct capture *c, struct err *err)
{
	struct stopper_options so = {
		.api = c->t->api,
		.stops_job = c->t->request != NULL,
		.is_bounded = true,
		.on_tick = on_tick,
		.ctx = c,
	};
	struct receiver *r = &c->receiver;

	if (c->t->write && out_open(&c->out, c->t->write, false, err) < 0)
		return -1;
	if (!(c->counter = counter_new(err)))
		return -1;
	*r = (struct receiver){
		.api = c->t->api,
		.request = c->t->request,
		.attach_job = c->t->job,
		.approved_job = c->t->approved,
		.out = &c->out,
		.counter = c->counter,
		.on_begin = on_begin,
		.ctx = c,
	};
	if (receiver_init(r, err) < 0 || api_live_grace_s(c->t->api, &r->grace_s, err) < 0)
		return -1;
	if (!(c->stopper = stopper_start(&so, err)))
		return -1;
	r->stopper = c->stopper;
	return 0;
}

/* ---- the end ---- */

static json_t *fetch_job(const struct capture *c)
{
	json_t *job = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/v1/captures/%s", c->receiver.job);
	api_call(c->t->api, "GET", path, NULL, &job, NULL); /* without it the summary says what came here */
	return job;
}

static int print_result(const struct capture *c, json_t *job, const char *file, uint64_t bytes, bool complete)
{
	struct counter_row total;
	json_t *all = job ? json_incref(job) : json_pack("{s:s}", "id", c->receiver.job), *written;
	int rc = CLI_FAILED;

	counter_total(c->counter, &total);
	written = json_pack("{s:s, s:I, s:I, s:b}", "path", file, "bytes", (json_int_t)bytes, "packets",
		(json_int_t)total.packets, "complete", (int)complete);
	if (all && json_object_set_new(all, "file", written) == 0)
		rc = cli_print_json(all);
	json_decref(all);
	return rc;
}

/* The words and the exit code for how it ended, apart from what the job itself says. */
static int end_exit(const struct capture *c, enum call_end end, const struct err *err)
{
	const struct receiver *r = &c->receiver;
	char bytes[32];

	if (r->pipe_closed)
		return CLI_OK;
	if (r->fault.code) {
		cli_fail(&r->fault);
		return r->fault.code == ERR_INPUT || r->fault.code == ERR_NET ? CLI_INCOMPLETE : CLI_FAILED;
	}
	if (end == CALL_LEFT)
		return c->t->request ? CLI_INCOMPLETE : CLI_OK;
	if (end != CALL_WHOLE) {
		talk_say("pcap: the connection broke after %s and could not be resumed: %s",
			parse_format_bytes(stream_bytes(r->stream), bytes, sizeof(bytes)), err->msg);
		return CLI_INCOMPLETE;
	}
	if (stream_kept(r->stream) || !stream_bytes(r->stream)) {
		talk_say("pcap: the stream ended %s", stream_kept(r->stream) ? "inside a packet" : "before it began");
		return CLI_INCOMPLETE;
	}
	return CLI_OK;
}

static int finish(struct capture *c, enum call_end end, const struct err *err)
{
	struct err closing = {0};
	char *path = strdup(c->out.path);
	struct summary s = {.counter = c->counter, .file = c->out.is_stdout ? NULL : path, .file_bytes = c->out.bytes};
	json_t *job = NULL;
	int rc = end_exit(c, end, err);

	if (out_close(&c->out, &closing) < 0)
		rc = cli_fail(&closing);
	/* Who leaves at once does not wait, and a gateway that was not there a moment ago is not asked again. */
	if (end == CALL_WHOLE || err->code == ERR_STATE || err->code == ERR_NOT_FOUND)
		job = fetch_job(c);
	s.job = job;
	rules_say(json_object_get(job, "policy")); /* the event may not have come in time */
	summary_say(&s);
	if (rc == CLI_OK && !c->receiver.pipe_closed && end == CALL_WHOLE)
		rc = summary_exit(job);
	if (c->t->json && path && print_result(c, job, path, s.file_bytes, rc == CLI_OK) != CLI_OK)
		rc = CLI_FAILED;
	json_decref(job);
	free(path);
	return rc;
}

static int read_stored(const struct buf *body, json_t **ret_stored, struct err *err)
{
	json_t *job = json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL);

	if (!job || !id_is_valid(json_text(job, "id")) || !ret_stored) {
		json_decref(job);
		return err_set(err, ERR_NET, "the gateway's answer names no job");
	}
	*ret_stored = job;
	return 0;
}

/* The job runs, but its output could not be opened: nobody would come for the data. */
static void stop_unwanted(const struct capture *c)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/captures/%s/stop", c->receiver.job);
	api_call(c->t->api, "POST", path, NULL, NULL, NULL);
}

static int run(struct capture *c, json_t **ret_stored)
{
	enum call_end end = CALL_REFUSED;
	struct err err = {0};

	if (prepare(c, &err) == 0) {
		end = receiver_run(&c->receiver, &err);
		stopper_received(c->stopper);
		renewer_free(c->renewer);
		end_events(c, end);
	}
	stopper_free(c->stopper);
	talk_clear();
	if (c->receiver.begun)
		return finish(c, end, &err);
	if (end == CALL_STORED && read_stored(&c->receiver.stored, ret_stored, &err) == 0)
		return CLI_OK;
	if (c->t->request && c->receiver.job[0])
		stop_unwanted(c);
	return end == CALL_LEFT ? CLI_FAILED : cli_fail(&err);
}

int capture_task_run(const struct capture_task *t, json_t **ret_stored)
{
	struct capture c = {.t = t, .out = {.fd = -1}};
	int rc = CLI_FAILED;

	if (ret_stored)
		*ret_stored = NULL;
	if (pthread_mutex_init(&c.lock, NULL) == 0 && clock_cond_init(&c.changed) == 0) {
		rc = run(&c, ret_stored);
		pthread_cond_destroy(&c.changed);
		pthread_mutex_destroy(&c.lock);
	}
	out_close(&c.out, NULL);
	receiver_done(&c.receiver);
	counter_free(c.counter);
	return rc;
}
