/* capture.c - see capture.h.
 *
 *   first call -200-> RECEIVING -body whole-> complete
 *       |                |  cut         \-> the output failed, or its reader went: job is stopped, the rest is thrown away
 *       202, refused     RESUMING -200-> RECEIVING;  -409, 404, grace over-> broken
 *
 * Position in the stream: each answer says at which byte K its data begin, after P bytes of prelude (fresh header blocks for one who
 * attaches) that do not count.  So the next byte wanted is K + received - P. */
#include "cli/capture.h"

#include "cli/cli.h"
#include "cli/counter.h"
#include "cli/events.h"
#include "cli/output.h"
#include "cli/request.h"
#include "cli/stopper.h"
#include "cli/stream.h"
#include "cli/summary.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/parse.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define START_TIMEOUT_MS  90000u /* the gateway waits for its agents, a minute at most */
#define START_IDLE_MS     70000u /* as the clock of silence runs during that wait too */
#define RESUME_TIMEOUT_MS 10000u
#define IDLE_TIMEOUT_MS   20000u /* under the grace period: a connection that died silently is noticed in time to go on */
#define BACKOFF_FIRST_MS  200u
#define BACKOFF_MOST_MS   5000u
#define EVENTS_END_MS     2000u /* how long the last events may come after the last packet */
#define STORED_JOB_MAX    (1024u * 1024)
#define PRELUDE_MAX       (UINT64_C(64) * 1024 * 1024)

struct capture {
	const struct capture_task *t;
	struct stopper *stopper;
	struct out out;
	struct stream *stream;
	struct counter *counter;
	pthread_mutex_t lock; /* counter, between the receiver and the live line */
	unsigned grace_s;
	char job[ID_MAX];
	uint64_t base, prelude, received; /* of the present answer */
	uint64_t contact_ns;              /* the gateway was last heard of */
	bool begun;                       /* a 200 was there: the output is ours */
	bool discarding;                  /* nothing is written any more */
	bool pipe_closed;
	bool answered_now; /* the call that runs or ran last got a 200 */
	struct err fault;  /* why the output or the stream failed, or what was wrong with an answer */
	struct buf stored; /* the job of a 202 */
	pthread_t events;
	bool has_events; /* that thread runs */
};

/* What became of one call. */
enum call_end { CALL_WHOLE, CALL_CUT, CALL_REFUSED, CALL_STORED, CALL_LEFT };

static bool is_resumable(const struct capture *c)
{
	return c->received >= c->prelude;
}

/* ---- receiving ---- */

static int set_fault(struct capture *c, const struct err *err)
{
	if (!c->fault.code)
		c->fault = *err;
	return -1;
}

static int read_header(struct capture *c, const struct http_call *call, const char *name, uint64_t most, uint64_t *ret)
{
	const char *text = http_call_header(call, name);
	struct err err = {0};

	*ret = 0;
	if (!text || parse_u64(text, 0, most, ret, &err) == 0)
		return 0;
	err_in(&err, "the gateway's header %s", name);
	err.code = ERR_NET;
	return set_fault(c, &err);
}

/* The output of a capture without -w is named after the job, so it is opened only now. */
static int open_unnamed(struct capture *c, struct err *err)
{
	char *name = request_file_name(c->t->first_target, c->job, c->t->format);
	int rc = name ? out_open(&c->out, name, true, err) : err_nomem(err);

	free(name);
	return rc;
}

static int begin(struct capture *c, const struct http_call *call, struct err *err)
{
	const char *job = c->t->request ? http_call_header(call, "Pcap-Job") : c->t->job;

	if (!job || !id_is_valid(job))
		return err_set(err, ERR_NET, "the gateway's answer names no job");
	memcpy(c->job, job, ID_MAX);
	stopper_set_job(c->stopper, c->job);
	if (!out_is_open(&c->out) && open_unnamed(c, err) < 0)
		return -1;
	if (out_begin(&c->out, err) < 0)
		return -1;
	c->begun = true;
	if (c->t->request)
		talk_say("job %s: capturing to %s", c->job, c->out.is_stdout ? "stdout" : c->out.path);
	else
		talk_say("job %s: writing to %s", c->job, c->out.is_stdout ? "stdout" : c->out.path);
	return 0;
}

static int on_answer(void *ctx, const struct http_call *call)
{
	struct capture *c = ctx;
	struct err err = {0};
	uint64_t offset, prelude, wanted = c->base + c->received - c->prelude;
	bool is_resume = c->begun && is_resumable(c);

	if (http_call_status(call) != 200)
		return 0;
	if (read_header(c, call, "Pcap-Offset", UINT64_MAX / 2, &offset) < 0 ||
		read_header(c, call, "Pcap-Prelude", PRELUDE_MAX, &prelude) < 0)
		return -1;
	if (is_resume && (offset != wanted || prelude)) {
		err_set(&err, ERR_NET, "asked for byte %" PRIu64 " of the stream, the gateway went on at %" PRIu64,
			wanted, offset);
		return set_fault(c, &err);
	}
	if (!c->begun && begin(c, call, &err) < 0)
		return set_fault(c, &err);
	c->base = offset;
	c->prelude = prelude;
	c->received = 0;
	c->answered_now = true;
	c->contact_ns = clock_mono_ns();
	return 0;
}

/* The output is lost: end the job, but receive what still comes, so that the end is the regular one. */
static void give_up_output(struct capture *c, const struct err *err)
{
	c->discarding = true;
	if (!strcmp(err->detail, OUTPUT_PIPE_CLOSED))
		c->pipe_closed = true;
	else
		set_fault(c, err);
	stopper_ask(c->stopper);
}

static int on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct capture *c = ctx;
	struct err err = {0};
	int rc;

	if (!c->answered_now) /* a 202 */
		return buf_add(&c->stored, p, n, &c->fault);
	c->received += n;
	c->contact_ns = clock_mono_ns();
	if (c->discarding)
		return 0;
	pthread_mutex_lock(&c->lock);
	rc = stream_feed(c->stream, p, n, &err);
	pthread_mutex_unlock(&c->lock);
	if (rc < 0)
		give_up_output(c, &err);
	return 0;
}

/* ---- one call, and the chain of them ---- */

static enum call_end judge(struct capture *c, struct http_call *call, int rc, struct err *err)
{
	int status = http_call_status(call);

	if (rc < 0 && c->fault.code && !c->discarding) {
		*err = c->fault;
		return CALL_REFUSED;
	}
	if (rc < 0)
		return stopper_is_leaving(c->stopper) ? CALL_LEFT : CALL_CUT;
	if (status == 200)
		return CALL_WHOLE;
	if (status == 202 && !c->begun)
		return CALL_STORED;
	if (http_call_error(call, err) == 0)
		err_set(err, ERR_NET, "the gateway answered %d, which fits nothing", status);
	/* A gateway that restarts, a proxy that has lost it, too many at once: again, as long as the grace lasts. */
	return c->begun && (status >= 500 || status == 429) ? CALL_CUT : CALL_REFUSED;
}

static enum call_end run_call(
	struct capture *c, const char *method, const char *path, const char *body, struct err *err)
{
	struct api_stream o = {
		.method = method,
		.path = path,
		.body = body,
		.answer_timeout_ms = body ? START_TIMEOUT_MS : RESUME_TIMEOUT_MS,
		.idle_timeout_ms = body ? START_IDLE_MS : IDLE_TIMEOUT_MS,
		.on_answer = on_answer,
		.on_data = on_data,
		.ctx = c,
	};
	struct http_call *call = api_stream_new(c->t->api, &o, err);
	enum call_end end;

	if (!call)
		return CALL_REFUSED;
	c->answered_now = false;
	end = judge(c, call, stopper_run(c->stopper, call, err), err);
	http_call_free(call);
	return end;
}

/* Cut within the prelude there is no position yet: begin anew, which a pipe that has got bytes does not allow. */
static int begin_anew(struct capture *c, struct err *err)
{
	struct stream *fresh;

	if (out_rewind(&c->out, err) < 0 || !(fresh = stream_new(&c->out, c->counter, err)))
		return -1;
	stream_free(c->stream);
	c->stream = fresh;
	return 0;
}

static enum call_end resume_once(struct capture *c, struct err *err)
{
	char path[128];

	if (is_resumable(c)) {
		snprintf(path, sizeof(path), "/v1/captures/%s/live?offset=%" PRIu64, c->job,
			c->base + c->received - c->prelude);
	} else {
		if (begin_anew(c, err) < 0)
			return CALL_REFUSED;
		snprintf(path, sizeof(path), "/v1/captures/%s/live", c->job);
	}
	return run_call(c, "GET", path, NULL, err);
}

/* After a cut: again and again until the gateway cannot have kept the stream any longer. */
static enum call_end resume(struct capture *c, struct err *err)
{
	unsigned delay_ms = BACKOFF_FIRST_MS;
	bool said = false;

	for (;;) {
		enum call_end end;

		if (err->code != ERR_TIMEOUT && !said) {
			talk_say("connection lost (%s); going on", err->msg);
			said = true;
		}
		stopper_sleep(c->stopper, delay_ms);
		if (stopper_is_leaving(c->stopper))
			return CALL_LEFT;
		end = resume_once(c, err);
		if (end != CALL_CUT)
			return end;
		if (c->answered_now) {
			delay_ms = BACKOFF_FIRST_MS;
			said = false;
		} else if (delay_ms < BACKOFF_MOST_MS) {
			delay_ms = delay_ms * 2 < BACKOFF_MOST_MS ? delay_ms * 2 : BACKOFF_MOST_MS;
		}
		if (c->discarding || clock_mono_ns() - c->contact_ns > c->grace_s * CLOCK_NS_PER_S)
			return CALL_REFUSED;
	}
}

static enum call_end receive(struct capture *c, struct err *err)
{
	enum call_end end;
	char path[64];

	if (c->t->request) {
		end = run_call(c, "POST", "/v1/captures", c->t->request, err);
	} else {
		snprintf(path, sizeof(path), "/v1/captures/%s/live", c->t->job);
		end = run_call(c, "GET", path, NULL, err);
	}
	if (end != CALL_CUT)
		return end;
	if (!c->begun || c->discarding)
		return CALL_REFUSED;
	return resume(c, err);
}

/* ---- events beside the packets ---- */

static void *events_main(void *arg)
{
	struct capture *c = arg;
	struct events_options o = {.api = c->t->api, .job = c->t->job, .stopper = c->stopper};
	json_t *last = NULL;

	events_follow(&o, &last, NULL); /* without them the packets are still worth having */
	json_decref(last);
	return NULL;
}

static void end_events(struct capture *c, enum call_end end)
{
	struct timespec until = clock_deadline(EVENTS_END_MS);

	if (!c->has_events)
		return;
	if (end == CALL_WHOLE && pthread_clockjoin_np(c->events, NULL, CLOCK_MONOTONIC, &until) == 0)
		return;
	stopper_leave(c->stopper);
	pthread_join(c->events, NULL);
}

/* ---- the end ---- */

static json_t *fetch_job(const struct capture *c)
{
	json_t *job = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/v1/captures/%s", c->job);
	api_call(c->t->api, "GET", path, NULL, &job, NULL); /* without it the summary says what came here */
	return job;
}

static int print_result(const struct capture *c, json_t *job, const char *file, uint64_t bytes, bool complete)
{
	struct counter_row total;
	json_t *all = job ? json_incref(job) : json_pack("{s:s}", "id", c->job);
	int rc = CLI_FAILED;

	counter_total(c->counter, &total);
	if (all && json_object_set_new(all, "file",
			   json_pack("{s:s, s:I, s:I, s:b}", "path", file, "bytes", (json_int_t)bytes, "packets",
				   (json_int_t)total.packets, "complete", (int)complete)) == 0)
		rc = cli_print_json(all);
	json_decref(all);
	return rc;
}

/* The words and the exit code for how it ended, apart from what the job itself says. */
static int end_exit(const struct capture *c, enum call_end end, const struct err *err)
{
	char bytes[32];

	if (c->pipe_closed)
		return CLI_OK;
	if (c->fault.code) {
		cli_fail(&c->fault);
		return c->fault.code == ERR_INPUT || c->fault.code == ERR_NET ? CLI_INCOMPLETE : CLI_FAILED;
	}
	if (end == CALL_LEFT)
		return c->t->request ? CLI_INCOMPLETE : CLI_OK;
	if (end != CALL_WHOLE) {
		talk_say("pcap: the connection broke after %s and could not be resumed: %s",
			parse_format_bytes(stream_bytes(c->stream), bytes, sizeof(bytes)), err->msg);
		return CLI_INCOMPLETE;
	}
	if (stream_kept(c->stream) || !stream_bytes(c->stream)) {
		talk_say("pcap: the stream ended %s", stream_kept(c->stream) ? "inside a packet" : "before it began");
		return CLI_INCOMPLETE;
	}
	return CLI_OK;
}

static int finish(struct capture *c, enum call_end end, const struct err *err)
{
	struct err closing = {0};
	char *path = strdup(c->out.path);
	struct summary s = {.counter = c->counter, .file = path, .file_bytes = c->out.bytes};
	json_t *job = NULL;
	int rc = end_exit(c, end, err);

	if (c->out.is_stdout)
		s.file = NULL;
	if (out_close(&c->out, &closing) < 0)
		rc = cli_fail(&closing);
	/* Who leaves at once does not wait, and a gateway that was not there a moment ago is not asked again. */
	if (end == CALL_WHOLE || err->code == ERR_STATE || err->code == ERR_NOT_FOUND)
		job = fetch_job(c);
	s.job = job;
	summary_say(&s);
	if (rc == CLI_OK && !c->pipe_closed && end == CALL_WHOLE)
		rc = summary_exit(job);
	if (c->t->json && path && print_result(c, job, path, s.file_bytes, rc == CLI_OK) != CLI_OK)
		rc = CLI_FAILED;
	json_decref(job);
	free(path);
	return rc;
}

static void on_tick(void *ctx)
{
	struct capture *c = ctx;
	char line[TALK_LINE_MAX];

	/* While the output takes its time the line waits, not the signals. */
	if (pthread_mutex_trylock(&c->lock))
		return;
	counter_line(c->counter, clock_mono_ns(), talk_width(), line, sizeof(line));
	pthread_mutex_unlock(&c->lock);
	if (c->begun)
		talk_line(line);
}

static void on_interface_end(void *ctx, const struct counter_row *row)
{
	char text[STOP_NOTE_MAX];

	(void)ctx;
	talk_say("warning: %s: %s%s%s", row->name, stop_reason_text(row->end), *row->end_text ? ": " : "",
		text_clean(row->end_text, text, sizeof(text)));
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

	c->out.fd = -1;
	buf_init(&c->stored, STORED_JOB_MAX);
	if (pthread_mutex_init(&c->lock, NULL))
		return err_nomem(err);
	if (c->t->write && out_open(&c->out, c->t->write, false, err) < 0)
		return -1;
	if (!(c->counter = counter_new(err)) || !(c->stream = stream_new(&c->out, c->counter, err)))
		return -1;
	counter_on_end(c->counter, on_interface_end, c);
	if (api_live_grace_s(c->t->api, &c->grace_s, err) < 0)
		return -1;
	if (!(c->stopper = stopper_start(&so, err)))
		return -1;
	c->has_events = c->t->with_events && pthread_create(&c->events, NULL, events_main, c) == 0;
	return 0;
}

static int read_stored(struct capture *c, json_t **ret_stored, struct err *err)
{
	json_error_t why;
	json_t *job = json_loadb((const char *)c->stored.data, c->stored.len, JSON_REJECT_DUPLICATES, &why);

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

	snprintf(path, sizeof(path), "/v1/captures/%s/stop", c->job);
	api_call(c->t->api, "POST", path, NULL, NULL, NULL);
}

int capture_task_run(const struct capture_task *t, json_t **ret_stored)
{
	struct capture c = {.t = t};
	enum call_end end = CALL_REFUSED;
	struct err err = {0};
	int rc;

	if (ret_stored)
		*ret_stored = NULL;
	if (prepare(&c, &err) == 0) {
		end = receive(&c, &err);
		end_events(&c, end);
	}
	stopper_free(c.stopper);
	talk_clear();
	if (c.begun)
		rc = finish(&c, end, &err);
	else if (end == CALL_STORED && read_stored(&c, ret_stored, &err) == 0)
		rc = CLI_OK;
	else if (end == CALL_LEFT)
		rc = CLI_FAILED;
	else
		rc = cli_fail(&err);
	if (!c.begun && t->request && c.job[0])
		stop_unwanted(&c);
	out_close(&c.out, NULL);
	stream_free(c.stream);
	counter_free(c.counter);
	buf_done(&c.stored);
	pthread_mutex_destroy(&c.lock);
	return rc;
}
