/* receiver.c - see receiver.h. */
#include "cli/receiver.h"

#include "cli/talk.h"
#include "common/clock.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define START_TIMEOUT_MS  90000u /* the gateway waits for its agents, a minute at most */
#define START_IDLE_MS     70000u /* as the clock of silence runs during that wait too */
#define RESUME_TIMEOUT_MS 10000u
#define IDLE_TIMEOUT_MS   20000u /* under the grace period: a connection that died silently is noticed in time to go on */
#define BACKOFF_FIRST_MS  200u
#define BACKOFF_MOST_MS   5000u
#define PRELUDE_MAX       (UINT64_C(64) * 1024 * 1024)

static bool is_resumable(const struct receiver *r)
{
	return r->received >= r->prelude;
}

/* ---- receiving ---- */

static int set_fault(struct receiver *r, const struct err *err)
{
	if (!r->fault.code)
		r->fault = *err;
	return -1;
}

static int read_header(struct receiver *r, const struct http_call *call, const char *name, uint64_t most, uint64_t *ret)
{
	const char *text = http_call_header(call, name);
	struct err err = {0};

	*ret = 0;
	if (!text || parse_u64(text, 0, most, ret, &err) == 0)
		return 0;
	err_in(&err, "the gateway's header %s", name);
	err.code = ERR_NET;
	return set_fault(r, &err);
}

static int begin(struct receiver *r, const struct http_call *call, struct err *err)
{
	const char *job = r->request ? http_call_header(call, "Pcap-Job") : r->attach_job;

	if (!job || !id_is_valid(job))
		return err_set(err, ERR_NET, "the gateway's answer names no job");
	memcpy(r->job, job, ID_MAX);
	stopper_set_job(r->stopper, r->job);
	if (r->on_begin(r->ctx, r->job, err) < 0)
		return -1;
	r->begun = true;
	return 0;
}

static int on_answer(void *ctx, const struct http_call *call)
{
	struct receiver *r = ctx;
	struct err err = {0};
	uint64_t offset, prelude, wanted = r->base + r->received - r->prelude;
	bool is_resume = r->begun && is_resumable(r);

	if (http_call_status(call) != 200)
		return 0;
	if (read_header(r, call, "Pcap-Offset", UINT64_MAX / 2, &offset) < 0 ||
		read_header(r, call, "Pcap-Prelude", PRELUDE_MAX, &prelude) < 0)
		return -1;
	if (is_resume && (offset != wanted || prelude)) {
		err_set(&err, ERR_NET, "asked for byte %" PRIu64 " of the stream, the gateway went on at %" PRIu64,
			wanted, offset);
		return set_fault(r, &err);
	}
	if (!r->begun && begin(r, call, &err) < 0)
		return set_fault(r, &err);
	r->base = offset;
	r->prelude = prelude;
	r->received = 0;
	r->answered_now = true;
	r->contact_ns = clock_mono_ns();
	return 0;
}

/* The output is lost: end the job, but receive what still comes, so that the end is the regular one. */
static void give_up_output(struct receiver *r, const struct err *err)
{
	r->discarding = true;
	if (!strcmp(err->detail, OUTPUT_PIPE_CLOSED))
		r->pipe_closed = true;
	else
		set_fault(r, err);
	stopper_ask(r->stopper);
}

static int on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct receiver *r = ctx;
	struct err err = {0};
	int rc;

	if (!r->answered_now) /* a 202 */
		return buf_add(&r->stored, p, n, &r->fault);
	r->received += n;
	r->contact_ns = clock_mono_ns();
	if (r->discarding)
		return 0;
	pthread_mutex_lock(&r->lock);
	rc = stream_feed(r->stream, p, n, &err);
	pthread_mutex_unlock(&r->lock);
	if (rc < 0)
		give_up_output(r, &err);
	return 0;
}

/* ---- one call, and the chain of them ---- */

static enum call_end judge(struct receiver *r, struct http_call *call, int rc, struct err *err)
{
	int status = http_call_status(call);

	if (rc < 0 && r->fault.code && !r->discarding) {
		*err = r->fault;
		return CALL_REFUSED;
	}
	if (rc < 0)
		return stopper_is_leaving(r->stopper) ? CALL_LEFT : CALL_CUT;
	if (status == 200)
		return CALL_WHOLE;
	if (status == 202 && !r->begun)
		return CALL_STORED;
	if (http_call_error(call, err) == 0)
		err_set(err, ERR_NET, "the gateway answered %d, which fits nothing", status);
	/* A gateway that restarts, a proxy that has lost it, too many at once: again, as long as the grace lasts. */
	return r->begun && (status >= 500 || status == 429) ? CALL_CUT : CALL_REFUSED;
}

static enum call_end run_call(
	struct receiver *r, const char *method, const char *path, const char *body, bool present_token, struct err *err)
{
	struct api_stream o = {
		.method = method,
		.path = path,
		.body = body,
		.present_token = present_token,
		.answer_timeout_ms = body ? START_TIMEOUT_MS : RESUME_TIMEOUT_MS,
		.idle_timeout_ms = body ? START_IDLE_MS : IDLE_TIMEOUT_MS,
		.on_answer = on_answer,
		.on_data = on_data,
		.ctx = r,
	};
	struct http_call *call = api_stream_new(r->api, &o, err);
	enum call_end end;

	if (!call)
		return CALL_REFUSED;
	r->answered_now = false;
	end = judge(r, call, stopper_run(r->stopper, call, err), err);
	http_call_free(call);
	return end;
}

/* Cut within the prelude there is no position yet: begin anew, which a pipe that has got bytes does not allow. */
static int begin_anew(struct receiver *r, struct err *err)
{
	struct stream *fresh;

	if (out_rewind(r->out, err) < 0 || !(fresh = stream_new(r->out, r->counter, err)))
		return -1;
	stream_free(r->stream);
	r->stream = fresh;
	return 0;
}

static enum call_end resume_once(struct receiver *r, struct err *err)
{
	enum call_end end;
	char path[128];

	if (is_resumable(r)) {
		snprintf(path, sizeof(path), "/v1/captures/%s/live?offset=%" PRIu64, r->job,
			r->base + r->received - r->prelude);
	} else {
		if (begin_anew(r, err) < 0)
			return CALL_REFUSED;
		snprintf(path, sizeof(path), "/v1/captures/%s/live", r->job);
	}
	/* The gateway's patience runs: a renewal comes first only if there is no other way. */
	end = run_call(r, "GET", path, NULL, true, err);
	if (end == CALL_REFUSED && err->code == ERR_AUTH && !stopper_is_leaving(r->stopper))
		end = run_call(r, "GET", path, NULL, false, err);
	return end;
}

/* After a cut: again and again until the gateway cannot have kept the stream any longer. */
static enum call_end resume(struct receiver *r, struct err *err)
{
	unsigned delay_ms = BACKOFF_FIRST_MS;
	bool said = false;

	for (;;) {
		enum call_end end;

		if (err->code != ERR_TIMEOUT && !said) {
			talk_say("connection lost (%s); going on", err->msg);
			said = true;
		}
		stopper_sleep(r->stopper, delay_ms);
		if (stopper_is_leaving(r->stopper))
			return CALL_LEFT;
		end = resume_once(r, err);
		if (end != CALL_CUT)
			return end;
		if (r->answered_now) {
			delay_ms = BACKOFF_FIRST_MS;
			said = false;
		} else if (delay_ms < BACKOFF_MOST_MS) {
			delay_ms = delay_ms * 2 < BACKOFF_MOST_MS ? delay_ms * 2 : BACKOFF_MOST_MS;
		}
		if (r->discarding || clock_mono_ns() - r->contact_ns > r->grace_s * CLOCK_NS_PER_S)
			return CALL_REFUSED;
	}
}

enum call_end receiver_run(struct receiver *r, struct err *err)
{
	enum call_end end;
	char path[64];

	if (r->request) {
		snprintf(path, sizeof(path), "/v1/captures%s%s%s", r->approved_job ? "/" : "",
			r->approved_job ? r->approved_job : "", r->approved_job ? "/start" : "");
		end = run_call(r, "POST", path, r->request, false, err);
	} else {
		snprintf(path, sizeof(path), "/v1/captures/%s/live", r->attach_job);
		end = run_call(r, "GET", path, NULL, false, err);
	}
	if (end != CALL_CUT)
		return end;
	if (!r->begun || r->discarding)
		return CALL_REFUSED;
	return resume(r, err);
}

int receiver_init(struct receiver *r, struct err *err)
{
	buf_init(&r->stored, RECEIVER_STORED_MAX);
	r->stream = stream_new(r->out, r->counter, err);
	if (pthread_mutex_init(&r->lock, NULL)) /* cannot fail with these attributes on Linux */
		return err_nomem(err);
	return r->stream ? 0 : -1;
}

void receiver_done(struct receiver *r)
{
	stream_free(r->stream);
	r->stream = NULL;
	buf_done(&r->stored);
	pthread_mutex_destroy(&r->lock);
}
