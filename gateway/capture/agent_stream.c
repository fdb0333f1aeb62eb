#include "gateway/capture/agent_stream.h"

#include "common/http_client.h"
#include "common/parse.h"
#include "gateway/targets/target.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_INTERFACES_MAX 16u /* one capture has one device today; bounded, as agents are other machines */
#define GATHER_BYTES         (256u * 1024)
#define GATHER_MS            20u /* a busy stream is looked at so often; the first packet after silence waits for nothing */
#define URL_MAX              512

struct agent_stream {
	struct agent_stream_options o;
	char dials[1 + TARGET_OTHERS_MAX][288]; /* "host:port", in the order of trying */
	size_t dials_n;
	const char *dial; /* where it is now; the reading thread's own once that runs */
	char agent_name[256];
	char id[ID_MAX];
	char *body;
	bool headers_only;
	pthread_t thread;
	struct http_call *call; /* by lock, but for reading by the reading thread */
	/* the reading thread's own */
	struct pcapng_reader *reader;
	struct segment *segment; /* being filled */
	size_t piece_bytes;      /* of the agent's stream, that the segment is made of */
	uint32_t ids[AGENT_INTERFACES_MAX];
	uint32_t ids_n;
	bool noted; /* the agent said why it ended */
	enum stop_reason reason;
	char note[STOP_NOTE_MAX];
	struct err err; /* why a callback gave up */
	/* by lock */
	pthread_mutex_t lock;
	bool started, ended, cancelled;
	struct http_call *stop_call; /* NULL: not asked to stop; else stopper runs it */
	pthread_t stopper;
};

/* ---- from the agent's blocks to ours ---- */

static int on_interface(struct agent_stream *s, const struct pcapng_interface *i, struct err *err)
{
	if (s->ids_n >= AGENT_INTERFACES_MAX)
		return err_set(err, ERR_LIMIT, "the agent describes more than %u interfaces", AGENT_INTERFACES_MAX);
	if (s->o.ops->interface(s->o.ctx, s->o.index, i, &s->ids[s->ids_n], err) < 0)
		return -1;
	s->ids_n++;
	return 0;
}

static uint8_t *room(struct agent_stream *s, size_t n, struct err *err)
{
	uint8_t *p = NULL;

	if (!s->segment)
		s->segment = segment_new(s->piece_bytes + s->piece_bytes / 16 + PCAPNG_META_BYTES_MAX);
	if (!s->segment || !(p = segment_room(s->segment, n)))
		err_nomem(err);
	return p;
}

/* The agent is not one that cuts payload off.  Nothing of its stream is taken: somebody was promised that. */
static int refuse_payload(const struct agent_stream *s, const char *why, struct err *err)
{
	err_set(err, ERR_NET, "agent %s: headers only were asked for, and %s", s->dial, why);
	return err_detail(err, "agent_payload");
}

static int on_packet(struct agent_stream *s, const struct pcapng_packet *from, struct err *err)
{
	struct pcapng_packet p = *from;
	size_t n = pcapng_packet_bytes(p.caplen) + 16; /* with flags */
	uint8_t *dst;

	if (s->headers_only && p.caplen > CAPTURE_HEADERS_MAX)
		return refuse_payload(s, "it sent more than headers can be, in spite of its word", err);
	if (!(dst = room(s, n, err)))
		return -1;
	s->noted = false; /* a note that packets follow was not the end */
	p.interface_id = s->ids[from->interface_id];
	s->segment->len += pcapng_write_packet(dst, n, &p);
	return 0;
}

static int on_stats(struct agent_stream *s, const struct pcapng_stats *from, struct err *err)
{
	struct pcapng_stats st = *from;
	uint8_t *dst;

	st.interface_id = s->ids[from->interface_id];
	s->o.ops->stats(s->o.ctx, s->o.index, &st);
	if (st.comment && stop_note_parse(st.comment, &s->reason, s->note)) {
		s->noted = true;
		return 0; /* the job writes the last statistics itself, with what the gateway knows added */
	}
	if (!(dst = room(s, PCAPNG_META_BYTES_MAX, err)))
		return -1;
	s->segment->len += pcapng_write_stats(dst, PCAPNG_META_BYTES_MAX, &st);
	return 0;
}

static int on_block(void *ctx, const struct pcapng_block *b, struct err *err)
{
	struct agent_stream *s = ctx;

	switch (b->kind) {
	case PCAPNG_SECTION:
		if (b->offset != 0)
			return err_set(err, ERR_INPUT, "the agent began a second section");
		return 0;
	case PCAPNG_INTERFACE:
		return on_interface(s, &b->interface, err);
	case PCAPNG_PACKET:
		return on_packet(s, &b->packet, err);
	case PCAPNG_STATS:
		return on_stats(s, &b->stats, err);
	case PCAPNG_OTHER:
		return 0;
	}
	return 0;
}

static bool confirms(const struct http_call *call)
{
	const char *payload = http_call_header(call, AGENT_PAYLOAD_HEADER);

	return payload && strcmp(payload, CAPTURE_PAYLOAD_HEADERS) == 0;
}

static int on_answer(void *ctx, const struct http_call *call)
{
	struct agent_stream *s = ctx;

	const int status = http_call_status(call);

	if (status >= 300)
		return 0;
	if (status != 200) /* whatever it brings would be taken for the stream */
		return err_set(&s->err, ERR_INPUT, "HTTP status %d where 200 was due", status);
	if (s->headers_only && !confirms(call))
		return refuse_payload(s, "it does not confirm that it cuts the payload off: update it", &s->err);
	pthread_mutex_lock(&s->lock);
	s->started = true;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct agent_stream *s = ctx;
	struct segment *seg;
	int rc;

	s->piece_bytes = n;
	rc = pcapng_reader_feed(s->reader, p, n, &s->err);
	rate_take(s->o.flow, n); /* also what is only a part of a block */
	http_call_gather(s->call, rate_piece(s->o.flow, GATHER_BYTES));
	/* Whole blocks before a fault are as good as any. */
	seg = s->segment;
	s->segment = NULL;
	if (!seg)
		return rc;
	segment_trim(seg);
	if (merge_push(s->o.input, seg) < 0 && rc == 0)
		rc = err_set(&s->err, ERR_CANCELLED, "the capture has ended");
	return rc;
}

/* ---- the thread ---- */

/* Says who failed in words for the user, with a code that tells the cases apart. */
static void explain(const struct agent_stream *s, bool started, struct err *e)
{
	if (e->detail[0])
		return;
	switch (e->code) {
	case ERR_AUTH:
		err_detail(e, "agent_tls");
		break;
	case ERR_TIMEOUT:
		err_detail(e, started ? "agent_silent" : "agent_timeout");
		break;
	case ERR_NET:
		err_detail(e, started ? "agent_lost" : "agent_unreachable");
		break;
	case ERR_INPUT:
		e->code = ERR_NET; /* the agent's mistake, not the asker's */
		err_detail(e, "agent_stream");
		break;
	default:
		return;
	}
	err_in(e, "agent %s", s->dial);
}

/* What the platform said is not what is found on the machine: no fault of who asked, who named neither machine nor container. */
static void not_there(const struct agent_stream *s, struct err *err)
{
	err->code = ERR_NET;
	err->field[0] = '\0';
	err_in(err, "agent %s", s->dial);
}

/* The user asked for nothing wrong: agents from before headers only refuse the word. */
static void refuse_old(const struct agent_stream *s, struct err *err)
{
	*err = (struct err){0};
	refuse_payload(s, "it cannot cut the payload off: update it", err);
}

static void finish(struct agent_stream *s, int rc, struct err *err)
{
	enum stop_reason reason = s->noted ? s->reason : STOP_AGENT_LOST;
	bool started, cancelled;

	pthread_mutex_lock(&s->lock);
	s->ended = true;
	started = s->started;
	cancelled = s->cancelled;
	pthread_mutex_unlock(&s->lock);
	if (cancelled) {
		*err = (struct err){0};
		err_set(err, ERR_CANCELLED, "cut off by the gateway");
	} else if (rc < 0 && s->err.code != ERR_NONE) {
		*err = s->err;
	} else if (rc == 0 && http_call_status(s->call) != 200) {
		if (http_call_error(s->call, err) == 0)
			err_set(err, ERR_NET, "HTTP status %d where 200 was due", http_call_status(s->call));
		else if (strncmp(err->field, "target", strlen("target")) == 0)
			not_there(s, err);
		else if (s->headers_only && strcmp(err->field, "options.payload") == 0)
			refuse_old(s, err);
	} else if (rc == 0 && pcapng_reader_end(s->reader, err) == 0 && !s->noted) {
		err_set(err, ERR_NET, "the stream ended without saying why");
	}
	if (s->noted && started)
		*err = (struct err){0};
	else
		explain(s, started, err);
	merge_close(s->o.input);
	s->o.ops->ended(s->o.ctx, s->o.index, started, started ? reason : STOP_START_FAILED, s->note, err);
}

static struct http_call *call_new(struct agent_stream *s, const char *path, bool stream, struct err *err);

/* Is it worth trying another address?  Who answers with a certificate that is not an agent's, or says that it is another machine, is not the one that is meant. */
static bool is_elsewhere(const struct agent_stream *s, int rc, const struct err *err)
{
	struct err said = {0};

	if (rc < 0) /* once the request has left, a capture may have begun there */
		return err->code == ERR_AUTH ||
		       ((err->code == ERR_NET || err->code == ERR_TIMEOUT) && !http_call_sent(s->call));
	http_call_error(s->call, &said);
	return strcmp(err_api_code(&said), AGENT_OTHER_INSTANCE) == 0;
}

/* Points s at address n; false: the stream was cancelled. */
static bool turn_to(struct agent_stream *s, size_t n, struct err *err)
{
	struct http_call *old;
	bool go;

	pthread_mutex_lock(&s->lock);
	old = s->call;
	s->dial = s->dials[n];
	go = !s->cancelled && (s->call = call_new(s, "/v1/captures", true, err));
	if (!go)
		s->call = old;
	pthread_mutex_unlock(&s->lock);
	if (go)
		http_call_free(old);
	return go;
}

static void *run(void *arg)
{
	struct agent_stream *s = arg;
	struct err err = {0};
	int rc;

	pthread_setname_np(pthread_self(), "agent-stream");
	rc = http_call_run(s->call, &err);
	for (size_t n = 1; n < s->dials_n && !s->started && is_elsewhere(s, rc, &err) && turn_to(s, n, &err); n++) {
		err = (struct err){0};
		rc = http_call_run(s->call, &err);
	}
	segment_unref(s->segment);
	s->segment = NULL;
	finish(s, rc, &err);
	return NULL;
}

/* To s->dial.  The thread of a stop may call it while the reading thread is about to turn elsewhere only before the start, and then there is no stop. */
static struct http_call *call_new(struct agent_stream *s, const char *path, bool stream, struct err *err)
{
	char url[URL_MAX];
	struct http_call_options c = {
		.method = "POST",
		.url = url,
		.dial = s->dial,
		.tls = s->o.tls,
		.connect_timeout_ms = (unsigned)s->o.connect_ms,
		.ctx = s,
	};

	snprintf(url, sizeof(url), "https://%s:%u%s", s->agent_name, (unsigned)s->o.port, path);
	if (stream) {
		c.body = s->body;
		c.body_len = strlen(s->body);
		c.answer_timeout_ms = (unsigned)s->o.start_ms;
		c.idle_timeout_ms = (unsigned)s->o.idle_ms;
		c.on_answer = on_answer;
		c.on_data = on_data;
		c.gather_bytes = rate_piece(s->o.flow, GATHER_BYTES);
		c.gather_ms = GATHER_MS;
	} else {
		c.total_timeout_ms = (unsigned)(s->o.connect_ms + s->o.start_ms);
	}
	return http_call_new(&c, err);
}

static void stream_free(struct agent_stream *s)
{
	http_call_free(s->call);
	http_call_free(s->stop_call);
	pcapng_reader_free(s->reader);
	segment_unref(s->segment);
	free(s->body);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct agent_stream *agent_stream_start(const struct agent_stream_options *o, struct err *err)
{
	struct agent_stream *s = calloc(1, sizeof(*s));
	json_t *body = NULL;
	int rc;

	if (!s || pthread_mutex_init(&s->lock, NULL) != 0) {
		free(s);
		err_nomem(err);
		return NULL;
	}
	s->o = *o;
	snprintf(s->agent_name, sizeof(s->agent_name), "%s", o->agent_name);
	parse_join_host_port(o->host, o->port, s->dials[s->dials_n++], sizeof(s->dials[0]));
	for (size_t n = 0; n < o->others_n && n < TARGET_OTHERS_MAX; n++)
		parse_join_host_port(o->others[n], o->port, s->dials[s->dials_n++], sizeof(s->dials[0]));
	s->dial = s->dials[0];
	memcpy(s->id, o->request->id, sizeof(s->id));
	s->headers_only = o->request->options.headers_only;
	if (!(body = agent_request_to_json(o->request)) || !(s->body = json_dumps(body, JSON_COMPACT))) {
		err_nomem(err);
		goto fail;
	}
	if (!(s->reader = pcapng_reader_new(0, on_block, s, err)) ||
		!(s->call = call_new(s, "/v1/captures", true, err)))
		goto fail;
	if ((rc = pthread_create(&s->thread, NULL, run, s)) != 0) {
		err_sys(err, rc, "thread for %s", s->dial);
		goto fail;
	}
	json_decref(body);
	return s;
fail:
	json_decref(body);
	stream_free(s);
	return NULL;
}

/* ---- stopping ---- */

/* Whether it succeeds is seen by the stream's end; a stream that does not end is cut by the job's stop timeout. */
static void *stopper(void *arg)
{
	struct agent_stream *s = arg;

	pthread_setname_np(pthread_self(), "agent-stop");
	http_call_run(s->stop_call, NULL);
	return NULL;
}

/* The lock is held. */
static int stopper_start(struct agent_stream *s)
{
	char path[URL_MAX];

	snprintf(path, sizeof(path), "/v1/captures/%s/stop", s->id);
	if (!(s->stop_call = call_new(s, path, false, NULL)))
		return -1;
	if (pthread_create(&s->stopper, NULL, stopper, s) == 0)
		return 0;
	http_call_free(s->stop_call);
	s->stop_call = NULL;
	return -1;
}

void agent_stream_stop(struct agent_stream *s)
{
	bool cancel = false;

	pthread_mutex_lock(&s->lock);
	if (!s->ended && !s->stop_call)
		cancel = !s->started || stopper_start(s) < 0;
	pthread_mutex_unlock(&s->lock);
	if (cancel)
		agent_stream_cancel(s);
}

void agent_stream_cancel(struct agent_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->cancelled = !s->ended;
	if (s->stop_call)
		http_call_cancel(s->stop_call);
	http_call_cancel(s->call);
	pthread_mutex_unlock(&s->lock);
	merge_close(s->o.input);
}

void agent_stream_join(struct agent_stream *s)
{
	bool stopper_runs;

	if (!s)
		return;
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&s->lock);
	stopper_runs = s->stop_call != NULL;
	pthread_mutex_unlock(&s->lock);
	if (stopper_runs)
		pthread_join(s->stopper, NULL);
	stream_free(s);
}
