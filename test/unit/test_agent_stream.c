/* test_agent_stream.c - one instance of a capture, against an agent that behaves in every way it should and should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/http_client.h"
#include "common/json_in.h"
#include "gateway/capture/agent_stream.h"
#include "test/unit/http_rig.h"
#include "test/unit/segment_rig.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ID 5u /* of the job's interfaces that are this instance's */
#define IDS      32u
#define TAKE_MAX (8u * 1024 * 1024)

/* ---- the agent ---- */

enum agent_way {
	WAY_END,   /* the bytes, then a good end */
	WAY_ABORT, /* the bytes, then the connection is cut */
	WAY_HOLD,  /* the bytes, then nothing until told to stop; then tail and a good end */
	WAY_REFUSE,
	WAY_REFUSE_PAYLOAD, /* as those do that know no headers only */
	WAY_REFUSE_TEXT,
	WAY_ACCEPT,   /* 202, which is no start */
	WAY_NO_ANSWER /* until the peer hangs up */
};

static struct agent {
	struct http_server *server;
	enum agent_way way;
	struct segment *bytes, *tail;
	size_t slice;
	const char *payload; /* its Pcap-Payload; NULL: none */
	bool stop_hangs;     /* a stop is not answered until the peer hangs up */
	/* what it saw */
	char body[8192];
	char stop_path[128];
	atomic_uint starts, sent, stops, hanging;
} agent;

struct agent_reply {
	int fd;
	size_t pos;
	bool in_tail;
};

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 10) > 0;
}

static ssize_t reply_some(struct agent_reply *r, const struct segment *from, uint8_t *dst, size_t max)
{
	size_t n = from->len - r->pos;

	n = n < max ? n : max;
	n = n < agent.slice ? n : agent.slice;
	memcpy(dst, from->data + r->pos, n);
	r->pos += n;
	if (r->pos == from->len)
		atomic_fetch_add(&agent.sent, 1);
	return (ssize_t)n;
}

static ssize_t reply_read(void *ctx, uint8_t *dst, size_t max)
{
	struct agent_reply *r = ctx;

	if (!r->in_tail && r->pos < agent.bytes->len)
		return reply_some(r, agent.bytes, dst, max);
	if (agent.way != WAY_HOLD)
		return agent.way == WAY_ABORT ? HTTP_STREAM_ABORT : HTTP_STREAM_END;
	if (!r->in_tail) {
		while (atomic_load(&agent.stops) == 0) {
			if (hung_up(r->fd))
				return HTTP_STREAM_ABORT;
		}
		r->in_tail = true;
		r->pos = 0;
	}
	return r->pos < agent.tail->len ? reply_some(r, agent.tail, dst, max) : HTTP_STREAM_END;
}

static void reply_close(void *ctx)
{
	free(ctx);
}

static void agent_start(struct http_request *rq)
{
	static const struct http_stream ops = {.read = reply_read, .close = reply_close};
	struct agent_reply *r;
	const char *body;
	size_t n;

	body = http_request_body(rq, &n);
	snprintf(agent.body, sizeof(agent.body), "%.*s", (int)n, body);
	atomic_fetch_add(&agent.starts, 1);
	switch (agent.way) {
	case WAY_REFUSE:
		http_reply_error(rq, 400, "bad_filter", "options.filter", "syntax error in \"tcp porf\"");
		return;
	case WAY_REFUSE_PAYLOAD:
		http_reply_error(rq, 400, "input", "options.payload", "\"headers\" is not offered by this gateway");
		return;
	case WAY_REFUSE_TEXT:
		http_reply_text(rq, 400, "text/plain", "no");
		return;
	case WAY_ACCEPT:
		http_reply_text(rq, 202, "application/x-pcapng", "no stream");
		return;
	case WAY_NO_ANSWER:
		while (!hung_up(http_request_fd(rq)))
			;
		http_reply_empty(rq, 503);
		return;
	case WAY_END:
	case WAY_ABORT:
	case WAY_HOLD:
		break;
	}
	if (!(r = calloc(1, sizeof(*r))))
		abort();
	r->fd = http_request_fd(rq);
	if (agent.payload)
		http_reply_header(rq, AGENT_PAYLOAD_HEADER, agent.payload);
	http_reply_stream(rq, 200, "application/x-pcapng", &ops, r);
}

static void agent_request(void *ctx, struct http_request *rq)
{
	(void)ctx;
	if (strcmp(http_request_path(rq), "/v1/captures") == 0) {
		agent_start(rq);
		return;
	}
	snprintf(agent.stop_path, sizeof(agent.stop_path), "%s", http_request_path(rq));
	if (agent.stop_hangs) {
		atomic_fetch_add(&agent.hanging, 1);
		while (!hung_up(http_request_fd(rq)))
			;
	} else {
		atomic_fetch_add(&agent.stops, 1);
	}
	http_reply_empty(rq, 202);
}

/* ---- our side ---- */

static struct rig_certs certs;
static struct merge *merge;
static struct agent_stream *stream;
static struct agent_stream_options o;
static struct agent_request request;
static struct segment *taken; /* a stream with headers for all ids, then what came */

static struct {
	unsigned interfaces, stats, ends;
	bool refuse_interface;
	struct pcapng_stats last;
	char device[32];
	bool started;
	enum stop_reason reason;
	char note[STOP_NOTE_MAX];
	struct err err;
} seen_by_job; /* written by the stream's thread, read when it is joined */

static int on_interface(void *ctx, unsigned index, const struct pcapng_interface *i, uint32_t *ret_id, struct err *err)
{
	(void)ctx;
	if (index != 3)
		abort();
	if (seen_by_job.refuse_interface) {
		err_set(err, ERR_STATE, "not this link type");
		return err_detail(err, "link_type_mismatch");
	}
	snprintf(seen_by_job.device, sizeof(seen_by_job.device), "%s", i->name ? i->name : "");
	*ret_id = FIRST_ID + seen_by_job.interfaces++;
	return 0;
}

static void on_stats(void *ctx, unsigned index, const struct pcapng_stats *s)
{
	(void)ctx;
	(void)index;
	seen_by_job.stats++;
	seen_by_job.last = *s;
	seen_by_job.last.comment = NULL;
}

static void on_ended(
	void *ctx, unsigned index, bool started, enum stop_reason reason, const char *note, const struct err *err)
{
	(void)ctx;
	(void)index;
	seen_by_job.ends++;
	seen_by_job.started = started;
	seen_by_job.reason = reason;
	snprintf(seen_by_job.note, sizeof(seen_by_job.note), "%s", note);
	seen_by_job.err = *err;
}

static const struct agent_stream_ops ops = {.interface = on_interface, .stats = on_stats, .ended = on_ended};

static int group_setup(void **state)
{
	(void)state;
	assert_int_equal(http_client_global_init(NULL), 0);
	rig_certs_init(&certs);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	rig_certs_done(&certs);
	return 0;
}

static void request_make(void)
{
	memset(&request, 0, sizeof(request));
	id_new(request.id);
	id_new(request.job);
	snprintf(request.name, sizeof(request.name), "web/3");
	capture_options_init(&request.options);
	snprintf(request.options.filter, sizeof(request.options.filter), "tcp port 80");
}

static int setup(void **state)
{
	const struct http_server_options server = {.address = "127.0.0.1",
		.tls = &certs.server,
		.client_name = RIG_CLIENT_NAME,
		.connections_max = 16,
		.idle_timeout_s = 60,
		.header_timeout_s = 60,
		.body_timeout_s = 60,
		.header_bytes_max = 8192,
		.body_bytes_max = CAPTURE_BODY_MAX,
		.stream_block_bytes = 65536,
		.on_request = agent_request};
	struct err err = {0};

	(void)state;
	memset(&agent, 0, sizeof(agent));
	memset(&seen_by_job, 0, sizeof(seen_by_job));
	agent.slice = SIZE_MAX;
	agent.bytes = seg_header(1);
	agent.tail = seg_new();
	if (!(agent.server = http_server_start(&server, &err)))
		fail_msg("%s", err.msg);
	request_make();
	merge = merge_new(1, 64 * 1024 * 1024, &err);
	assert_non_null(merge);
	o = (struct agent_stream_options){.index = 3,
		.host = "127.0.0.1",
		.port = http_server_port(agent.server),
		.agent_name = "localhost",
		.tls = &certs.client[RIG_RIGHT],
		.request = &request,
		.connect_ms = RIG_WAIT_MS,
		.start_ms = RIG_WAIT_MS,
		.idle_ms = RIG_WAIT_MS,
		.input = merge_add(merge, 3, &err),
		.ops = &ops};
	assert_non_null(o.input);
	taken = seg_header(IDS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_stop(agent.server);
	merge_free(merge);
	segment_unref(agent.bytes);
	segment_unref(agent.tail);
	segment_unref(taken);
	return 0;
}

/* The last statistics, with the reason in them. */
static void add_note(struct segment *s, enum stop_reason reason, const char *text)
{
	char note[STOP_NOTE_MAX];
	const struct pcapng_stats st = {.ts_ns = 99,
		.have = PCAPNG_STATS_RECEIVED | PCAPNG_STATS_OSDROP,
		.received = 12,
		.dropped_os = 3,
		.comment = stop_note_format(reason, text, note)};
	uint8_t *room = segment_room(s, PCAPNG_META_BYTES_MAX);

	assert_non_null(room);
	s->len += pcapng_write_stats(room, PCAPNG_META_BYTES_MAX, &st);
}

static void start(void)
{
	struct err err = {0};

	if (!(stream = agent_stream_start(&o, &err)))
		fail_msg("%s", err.msg);
}

static void take(const struct merge_piece *p)
{
	uint8_t *room = segment_room(taken, p->len);

	assert_non_null(room);
	assert_true(taken->len < TAKE_MAX);
	assert_int_equal(p->tag, 3);
	memcpy(room, p->segment->data + p->off, p->len);
	taken->len += p->len;
	segment_unref(p->segment);
}

static enum merge_result next(struct merge_piece *p)
{
	return merge_next(merge, clock_mono_ns() + RIG_WAIT_MS * CLOCK_NS_PER_MS, p);
}

static void take_to_the_end(void)
{
	struct merge_piece p;

	while (next(&p) == MERGE_PIECE)
		take(&p);
}

/* The first piece: then the stream has begun for us too.  A stop before that is another story. */
static void take_first(void)
{
	struct merge_piece p;

	assert_int_equal(next(&p), MERGE_PIECE);
	take(&p);
}

static void finish(void)
{
	take_to_the_end();
	agent_stream_join(stream);
	assert_int_equal(seen_by_job.ends, 1);
}

static void run(void)
{
	start();
	finish();
}

static void assert_packets(uint32_t n)
{
	struct seen s;
	uint32_t next = 0;

	seen_pcapng(&s, taken->data, taken->len);
	assert_int_equal(s.packets, n);
	for (size_t i = 0; i < s.n; i++) {
		if (s.blocks[i].kind != PCAPNG_PACKET)
			continue;
		assert_int_equal(s.blocks[i].number, next++);
		assert_in_range(s.blocks[i].interface_id, FIRST_ID, FIRST_ID + 1);
	}
	seen_done(&s);
}

static void add_packets(struct segment *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		seg_packet(s, 0, 1000 + i, 40, i);
}

static void assert_failed(bool started, enum err_code code, const char *detail)
{
	assert_int_equal(seen_by_job.started, started);
	assert_int_equal(seen_by_job.reason, started ? STOP_AGENT_LOST : STOP_START_FAILED);
	if (seen_by_job.err.code != code || strcmp(seen_by_job.err.detail, detail) != 0 || !seen_by_job.err.msg[0])
		fail_msg("%s, \"%s\": %s", err_code_name(seen_by_job.err.code), seen_by_job.err.detail,
			seen_by_job.err.msg);
}

/* ---- good ones ---- */

static void a_stream_arrives_whole(void **state)
{
	static const size_t slices[] = {SIZE_MAX, 1000, 7};
	struct agent_request got;
	struct err err = {0};
	struct seen s;
	json_t *j;

	for (size_t k = 0; k < sizeof(slices) / sizeof(slices[0]); k++) {
		segment_unref(agent.bytes);
		agent.bytes = seg_header(2);
		agent.slice = slices[k];
		seg_packet(agent.bytes, 0, 100, 40, 0);
		seg_packet(agent.bytes, 1, 200, 1500, 1);
		seg_stats(agent.bytes, 1, 250);
		seg_packet(agent.bytes, 0, 300, 61, 2);
		add_note(agent.bytes, STOP_MAX_PACKETS, "3 packets");
		run();
		assert_true(seen_by_job.started);
		assert_int_equal(seen_by_job.err.code, ERR_NONE);
		assert_int_equal(seen_by_job.reason, STOP_MAX_PACKETS);
		assert_string_equal(seen_by_job.note, "3 packets");
		assert_int_equal(seen_by_job.interfaces, 2);
		assert_string_equal(seen_by_job.device, "i1");
		assert_int_equal(seen_by_job.stats, 2);
		assert_int_equal(seen_by_job.last.interface_id, FIRST_ID);
		assert_int_equal(seen_by_job.last.dropped_os, 3);
		assert_packets(3);
		seen_pcapng(&s, taken->data, taken->len);
		assert_int_equal(s.stats, 1); /* the last ones are the job's to write */
		assert_int_equal(s.blocks[1 + IDS + 1].interface_id, FIRST_ID + 1);
		assert_int_equal(s.blocks[1 + IDS + 1].caplen, 1500);
		assert_int_equal(s.blocks[1 + IDS + 2].interface_id, FIRST_ID + 1);
		seen_done(&s);

		j = json_in_parse(agent.body, strlen(agent.body), &err);
		assert_int_equal(agent_request_from_json(j, &got, &err), 0);
		assert_string_equal(got.id, request.id);
		assert_string_equal(got.job, request.job);
		assert_string_equal(got.name, "web/3");
		assert_string_equal(got.options.filter, "tcp port 80");
		json_decref(j);
		teardown(state);
		setup(state);
	}
}

static void the_largest_packets_arrive(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 12; i++)
		seg_packet(agent.bytes, 0, 100 + i, i % 2 ? PCAPNG_SNAPLEN_MAX : 4, i);
	add_note(agent.bytes, STOP_USER, NULL);
	run();
	assert_int_equal(seen_by_job.err.code, ERR_NONE);
	assert_string_equal(seen_by_job.note, "");
	assert_packets(12);
}

static void a_stop_brings_what_is_left(void **state)
{
	char path[128];

	(void)state;
	agent.way = WAY_HOLD;
	add_packets(agent.bytes, 0, 10);
	add_packets(agent.tail, 10, 20);
	add_note(agent.tail, STOP_USER, "");
	start();
	take_first();
	agent_stream_stop(stream);
	agent_stream_stop(stream); /* asked for once only */
	finish();
	assert_true(seen_by_job.started);
	assert_int_equal(seen_by_job.err.code, ERR_NONE);
	assert_int_equal(seen_by_job.reason, STOP_USER);
	assert_int_equal(atomic_load(&agent.stops), 1);
	snprintf(path, sizeof(path), "/v1/captures/%s/stop", request.id);
	assert_string_equal(agent.stop_path, path);
	assert_packets(20);
}

/* ---- agents that do not start ---- */

static void a_refusal_is_handed_on(void **state)
{
	(void)state;
	agent.way = WAY_REFUSE;
	run();
	assert_failed(false, ERR_INPUT, "bad_filter");
	assert_string_equal(seen_by_job.err.field, "options.filter");
	assert_non_null(strstr(seen_by_job.err.msg, "tcp porf"));
	assert_packets(0);
}

static void an_answer_that_is_none_is_the_agents_fault(void **state)
{
	static const enum agent_way ways[] = {WAY_REFUSE_TEXT, WAY_ACCEPT};

	for (size_t i = 0; i < 2; i++) {
		agent.way = ways[i];
		run();
		assert_failed(false, ERR_NET, "agent_stream");
		assert_non_null(strstr(seen_by_job.err.msg, "127.0.0.1"));
		assert_int_equal(seen_by_job.interfaces, 0);
		teardown(state);
		setup(state);
	}
}

static void nobody_there_is_said(void **state)
{
	(void)state;
	http_server_stop(agent.server);
	agent.server = NULL;
	run();
	assert_failed(false, ERR_NET, "agent_unreachable");
}

static void who_proves_nothing_is_not_talked_to(void **state)
{
	static const enum rig_client wrong[] = {RIG_NONE, RIG_WRONG_CA, RIG_EXPIRED};

	o.agent_name = "another.test";
	run();
	assert_failed(false, ERR_AUTH, "agent_tls");
	assert_int_equal(atomic_load(&agent.starts), 0);
	for (size_t i = 0; i < 3; i++) {
		teardown(state);
		setup(state);
		o.tls = &certs.client[wrong[i]];
		run();
		assert_false(seen_by_job.started);
		assert_true(seen_by_job.err.code == ERR_AUTH || seen_by_job.err.code == ERR_NET);
		assert_int_equal(atomic_load(&agent.starts), 0);
	}
}

static void no_answer_in_time_ends_the_wait(void **state)
{
	(void)state;
	agent.way = WAY_NO_ANSWER;
	o.start_ms = 300;
	run();
	assert_failed(false, ERR_TIMEOUT, "agent_timeout");
}

static void a_stop_before_the_start_cuts(void **state)
{
	(void)state;
	agent.way = WAY_NO_ANSWER;
	start();
	rig_wait(&agent.starts, 1);
	agent_stream_stop(stream);
	finish();
	assert_false(seen_by_job.started);
	assert_int_equal(seen_by_job.err.code, ERR_CANCELLED);
	assert_int_equal(atomic_load(&agent.stops), 0);
}

/* ---- streams that go wrong ---- */

static void garbage_is_no_stream(void **state)
{
	static const char text[] = "<html>It works!</html>, and something to be as long as a block needs to be";

	(void)state;
	agent.bytes->len = 0;
	memcpy(segment_room(agent.bytes, sizeof(text)), text, sizeof(text));
	agent.bytes->len = sizeof(text);
	agent.way = WAY_HOLD; /* cut by us */
	run();
	assert_failed(true, ERR_NET, "agent_stream");
	assert_packets(0);
}

static void a_broken_stream_keeps_what_came_whole(void **state)
{
	static const struct {
		enum agent_way way;
		size_t cut; /* bytes that are missing at the end */
		const char *detail;
	} rows[] = {
		{WAY_ABORT, 30, "agent_lost"},
		{WAY_ABORT, 0, "agent_lost"},
		{WAY_END, 30, "agent_stream"}, /* the connection was good, the stream was not */
		{WAY_END, 0, "agent_lost"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		agent.way = rows[i].way;
		add_packets(agent.bytes, 0, 5);
		agent.bytes->len -= rows[i].cut;
		run();
		assert_failed(true, ERR_NET, rows[i].detail);
		assert_packets(rows[i].cut ? 4 : 5);
		teardown(state);
		setup(state);
	}
}

static void a_note_makes_a_cut_a_good_end(void **state)
{
	(void)state;
	agent.way = WAY_ABORT;
	add_packets(agent.bytes, 0, 2);
	add_note(agent.bytes, STOP_DEVICE_GONE, "eth0");
	run();
	assert_int_equal(seen_by_job.err.code, ERR_NONE);
	assert_int_equal(seen_by_job.reason, STOP_DEVICE_GONE);
	assert_packets(2);
}

static void headers_only_are_confirmed(void **state)
{
	struct agent_request got;
	struct err err = {0};
	json_t *j;

	(void)state;
	request.options.headers_only = true;
	agent.payload = "headers";
	seg_packet(agent.bytes, 0, 100, CAPTURE_HEADERS_MAX, 0);
	add_note(agent.bytes, STOP_USER, "");
	run();
	assert_int_equal(seen_by_job.err.code, ERR_NONE);
	assert_packets(1);
	j = json_in_parse(agent.body, strlen(agent.body), &err);
	assert_int_equal(agent_request_from_json(j, &got, &err), 0);
	assert_true(got.options.headers_only);
	json_decref(j);
}

/* An agent from before it would send everything, or refuse the word; neither is what the user asked for, nor the user's fault. */
static void without_a_word_no_headers_only(void **state)
{
	static const struct {
		enum agent_way way;
		const char *payload, *says;
	} old[] = {
		{WAY_END, NULL, "does not confirm"},
		{WAY_END, "full", "does not confirm"},
		{WAY_END, "", "does not confirm"},
		{WAY_REFUSE_PAYLOAD, NULL, "cannot cut"},
	};

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		request.options.headers_only = true;
		agent.way = old[i].way;
		agent.payload = old[i].payload;
		add_packets(agent.bytes, 0, 10);
		add_note(agent.bytes, STOP_USER, "");
		run();
		assert_failed(false, ERR_NET, "agent_payload");
		assert_string_equal(seen_by_job.err.field, "");
		assert_non_null(strstr(seen_by_job.err.msg, "127.0.0.1"));
		assert_non_null(strstr(seen_by_job.err.msg, old[i].says));
		assert_packets(0);
		teardown(state);
		setup(state);
	}
}

static void more_than_headers_ends_it(void **state)
{
	(void)state;
	request.options.headers_only = true;
	agent.payload = "headers";
	add_packets(agent.bytes, 0, 2);
	seg_packet(agent.bytes, 0, 5000, CAPTURE_HEADERS_MAX + 1, 2);
	add_packets(agent.bytes, 3, 4);
	add_note(agent.bytes, STOP_USER, "");
	run();
	assert_failed(true, ERR_NET, "agent_payload");
	assert_packets(2);
}

static void a_second_section_is_refused(void **state)
{
	struct segment *again = seg_header(1);

	(void)state;
	add_packets(agent.bytes, 0, 1);
	memcpy(segment_room(agent.bytes, again->len), again->data, again->len);
	agent.bytes->len += again->len;
	segment_unref(again);
	add_packets(agent.bytes, 1, 2);
	run();
	assert_failed(true, ERR_NET, "agent_stream");
	assert_non_null(strstr(seen_by_job.err.msg, "second section"));
}

static void interfaces_have_an_end(void **state)
{
	segment_unref(agent.bytes);
	agent.bytes = seg_header(16);
	add_note(agent.bytes, STOP_USER, "");
	run();
	assert_int_equal(seen_by_job.err.code, ERR_NONE);
	assert_int_equal(seen_by_job.interfaces, 16);

	teardown(state);
	setup(state);
	segment_unref(agent.bytes);
	agent.bytes = seg_header(17);
	run();
	assert_int_equal(seen_by_job.err.code, ERR_LIMIT);
}

static void an_interface_that_the_job_does_not_take_ends_it(void **state)
{
	(void)state;
	seen_by_job.refuse_interface = true;
	add_packets(agent.bytes, 0, 2);
	agent.way = WAY_HOLD;
	run();
	assert_failed(true, ERR_STATE, "link_type_mismatch");
	assert_packets(0);
}

static void silence_ends_a_stream(void **state)
{
	(void)state;
	agent.way = WAY_HOLD;
	add_packets(agent.bytes, 0, 3);
	o.idle_ms = 1500;
	run();
	assert_failed(true, ERR_TIMEOUT, "agent_silent");
	assert_packets(3);
}

static void a_cancel_cuts_at_once(void **state)
{
	(void)state;
	agent.way = WAY_HOLD;
	add_packets(agent.bytes, 0, 3);
	start();
	rig_wait(&agent.sent, 1);
	agent_stream_cancel(stream);
	agent_stream_cancel(stream);
	finish();
	assert_int_equal(seen_by_job.err.code, ERR_CANCELLED);
	assert_int_equal(atomic_load(&agent.stops), 0);
	agent_stream_join(NULL);
}

/* An agent that hangs is asked to stop, in vain, and then cut: the question does not outlive the stream. */
static void a_cancel_cuts_the_stop_too(void **state)
{
	(void)state;
	agent.way = WAY_HOLD;
	agent.stop_hangs = true;
	o.connect_ms = 3600 * 1000; /* longer than any test */
	add_packets(agent.bytes, 0, 3);
	start();
	take_first();
	agent_stream_stop(stream);
	rig_wait(&agent.hanging, 1);
	agent_stream_cancel(stream);
	finish();
	assert_int_equal(seen_by_job.err.code, ERR_CANCELLED);
	assert_packets(3);
}

/* The reader stands in a push to a full queue; an end of the job frees it. */
static void a_blocked_reader_is_freed(void **state)
{
	struct err err = {0};

	(void)state;
	for (int cancel = 0; cancel < 2; cancel++) {
		merge_free(merge);
		merge = merge_new(1, 1, &err);
		assert_non_null(merge);
		o.input = merge_add(merge, 3, &err);
		agent.way = WAY_HOLD;
		for (uint32_t i = 0; i < 3000; i++)
			seg_packet(agent.bytes, 0, 100 + i, 1500, i); /* much more than one read brings */
		start();
		rig_wait(&agent.starts, 1);
		if (cancel)
			agent_stream_cancel(stream);
		else
			merge_abort(merge);
		agent_stream_join(stream);
		assert_int_equal(seen_by_job.ends, 1);
		assert_int_equal(seen_by_job.err.code, ERR_CANCELLED);
		teardown(state);
		setup(state);
	}
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_stream_arrives_whole),
		test(the_largest_packets_arrive),
		test(a_stop_brings_what_is_left),
		test(a_refusal_is_handed_on),
		test(an_answer_that_is_none_is_the_agents_fault),
		test(nobody_there_is_said),
		test(who_proves_nothing_is_not_talked_to),
		test(no_answer_in_time_ends_the_wait),
		test(a_stop_before_the_start_cuts),
		test(garbage_is_no_stream),
		test(a_broken_stream_keeps_what_came_whole),
		test(a_note_makes_a_cut_a_good_end),
		test(headers_only_are_confirmed),
		test(without_a_word_no_headers_only),
		test(more_than_headers_ends_it),
		test(a_second_section_is_refused),
		test(interfaces_have_an_end),
		test(an_interface_that_the_job_does_not_take_ends_it),
		test(silence_ends_a_stream),
		test(a_cancel_cuts_at_once),
		test(a_cancel_cuts_the_stop_too),
		test(a_blocked_reader_is_freed),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
