/* test_capture.c - collector/capture.c on the real loopback device.  Needs CAP_NET_RAW: without it each test is skipped, and says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/capture.h"
#include "collector/guard.h"
#include "common/buf.h"
#include "common/clock.h"
#include "schema/pcapng.h"
#include "schema/shed_note.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NO_OWN_TRAFFIC "tcp port 1 and tcp port 2"
#define STREAM_MAX     (64u * 1024 * 1024)
#define PAYLOAD        100u

/* Two UDP sockets of ours: what goes from one to the other is the traffic that a test captures. */
struct fixture {
	int from, to;
	char filter[64];
	uint32_t sent;
};

static int setup(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(in);

	*f = (struct fixture){0};
	f->from = socket(AF_INET, SOCK_DGRAM, 0);
	f->to = socket(AF_INET, SOCK_DGRAM, 0);
	if (f->from < 0 || f->to < 0 || bind(f->to, (struct sockaddr *)&in, sizeof(in)) < 0 ||
		getsockname(f->to, (struct sockaddr *)&in, &n) < 0 ||
		connect(f->from, (struct sockaddr *)&in, sizeof(in)) < 0)
		return -1;
	snprintf(f->filter, sizeof(f->filter), "udp dst port %u", ntohs(in.sin_port));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->from);
	close(f->to);
	return 0;
}

/* Each packet bears its number.  The socket at the other end may drop them: the capture sees them before it. */
static void send_packets(struct fixture *f, uint32_t n)
{
	uint8_t payload[PAYLOAD] = {0};

	for (uint32_t i = 0; i < n; i++, f->sent++) {
		memcpy(payload, &f->sent, sizeof(f->sent));
		assert_int_equal(send(f->from, payload, sizeof(payload), 0), sizeof(payload));
	}
}

static struct guard *guard; /* of the captures that make() makes; NULL: none */
static uint64_t ring_bytes = 16u << 20;

static struct capture *make(const struct capture_options *o, struct pace_limits limits)
{
	struct agent_request r = {.options = *o, .name = "web/0"};
	const struct capture_settings s = {.request = &r,
		.limits = limits,
		.guard = guard,
		.duration_max_ms = 60 * 1000,
		.ring_bytes = ring_bytes,
		.block_timeout_ms = 20,
		.stats_interval_ms = 60 * 1000};
	struct err err = {0};
	struct capture *c = capture_new(&s, &err);

	if (!c)
		fail_msg("%s", err.msg);
	return c;
}

static struct capture_options options(const char *device, const char *filter)
{
	struct capture_options o;

	capture_options_init(&o);
	snprintf(o.device, sizeof(o.device), "%s", device);
	snprintf(o.filter, sizeof(o.filter), "%s", filter);
	return o;
}

/* An opened capture, or the test is skipped. */
static struct capture *open_paced_or_skip(const struct capture_options *o, struct pace_limits limits, int peer_fd)
{
	struct capture *c = make(o, limits);
	struct err err = {0};

	if (capture_open(c, NO_OWN_TRAFFIC, NULL, peer_fd, &err) == 0)
		return c;
	capture_free(c);
	if (strcmp(err.detail, "no_permission") != 0)
		fail_msg("%s", err.msg);
	print_message("skipped: %s\n", err.msg);
	skip();
	return NULL;
}

static struct capture *open_or_skip(const struct capture_options *o, int peer_fd)
{
	return open_paced_or_skip(o, (struct pace_limits){0}, peer_fd);
}

/* What a reader sees of a stream. */
struct seen {
	unsigned sections, interfaces, packets, stats;
	uint16_t link_type;
	uint32_t next; /* number that the next packet must bear */
	uint32_t caplen, len;
	uint64_t last_ts;
	struct pcapng_stats last;
	enum stop_reason reason;
	char filter[64];
	struct shed_note shed; /* the latest */
	unsigned sheds;
};

static int see(void *ctx, const struct pcapng_block *b, struct err *err)
{
	struct seen *s = ctx;
	uint32_t number;

	(void)err;
	switch (b->kind) {
	case PCAPNG_SECTION:
		s->sections++;
		break;
	case PCAPNG_INTERFACE:
		s->interfaces++;
		s->link_type = b->interface.link_type;
		snprintf(s->filter, sizeof(s->filter), "%s", b->interface.filter ? b->interface.filter : "");
		break;
	case PCAPNG_PACKET:
		s->packets++;
		s->caplen = b->packet.caplen;
		s->len = b->packet.len;
		if (b->packet.caplen >= PAYLOAD) {
			memcpy(&number, b->packet.data + b->packet.caplen - PAYLOAD, sizeof(number));
			assert_int_equal(number, s->next++);
		}
		assert_true(b->packet.ts_ns >= s->last_ts);
		s->last_ts = b->packet.ts_ns;
		break;
	case PCAPNG_STATS:
		s->stats++;
		s->last = b->stats;
		s->reason = STOP_NONE;
		stop_note_parse(b->stats.comment, &s->reason, NULL);
		s->sheds += shed_note_parse(b->stats.comment, &s->shed);
		break;
	case PCAPNG_OTHER:
		fail_msg("block of type %u", b->type);
	}
	return 0;
}

/* Reads to the end in pieces of at most `piece` bytes, and frees the capture. */
static void read_all(struct capture *c, size_t piece, struct seen *ret, struct capture_result *ret_result)
{
	struct err err = {0};
	struct pcapng_reader *r = pcapng_reader_new(0, see, ret, &err);
	uint8_t *bytes = malloc(piece);
	uint64_t total = 0;
	ssize_t n;

	assert_non_null(r);
	assert_non_null(bytes);
	while ((n = capture_read(c, bytes, piece)) > 0) {
		assert_in_range(n, 1, piece);
		total += (uint64_t)n;
		if (pcapng_reader_feed(r, bytes, (size_t)n, &err) < 0)
			fail_msg("%s", err.msg);
	}
	assert_int_equal(n, CAPTURE_END);
	assert_int_equal(capture_read(c, bytes, piece), CAPTURE_END);
	if (pcapng_reader_end(r, &err) < 0)
		fail_msg("%s", err.msg);
	capture_result(c, ret_result);
	assert_int_equal(ret_result->bytes, total);
	assert_int_equal(ret_result->packets, ret->packets);
	assert_int_equal(ret->last.delivered, ret->packets);
	free(bytes);
	pcapng_reader_free(r);
	capture_free(c);
}

static void assert_nothing_is_missing(const struct seen *s)
{
	assert_int_equal(s->last.accepted, s->packets + s->last.dropped_os + s->shed.packets);
}

/* The order of things: packets from before the start, packets, stop, packets from after it. */
static void test_stop_delivers_all_there_was(void **state)
{
	static const size_t pieces[] = {1, 7, 64, 4096, 512 * 1024};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		const struct capture_options o = options("lo", f->filter);
		struct capture_result result;
		struct seen seen = {0};
		struct capture *c;

		send_packets(f, 10);
		c = open_or_skip(&o, -1);
		seen.next = f->sent;
		send_packets(f, 200);
		capture_stop(c, STOP_USER);
		capture_stop(c, STOP_AGENT_SHUTDOWN); /* too late: the first reason stays */
		read_all(c, pieces[i], &seen, &result);
		assert_int_equal(seen.sections, 1);
		assert_int_equal(seen.interfaces, 1);
		assert_int_equal(seen.packets, 200);
		assert_int_equal(seen.reason, STOP_USER);
		assert_int_equal(result.reason, STOP_USER);
		assert_int_equal(seen.link_type, 1);
		assert_string_equal(seen.filter, f->filter);
		assert_nothing_is_missing(&seen);
	}
}

static void test_nothing_captured_is_a_whole_file(void **state)
{
	const struct capture_options o = options("lo", "ether proto 0x9999");
	struct capture *c = open_or_skip(&o, -1);
	struct capture_result result;
	struct seen seen = {0};

	(void)state;
	capture_stop(c, STOP_USER);
	read_all(c, 4096, &seen, &result);
	assert_int_equal(seen.interfaces, 1);
	assert_int_equal(seen.packets, 0);
	assert_int_equal(seen.stats, 1);
	assert_int_equal(seen.last.have & PCAPNG_STATS_END, PCAPNG_STATS_END);
}

/* Every packet on lo is seen twice by the kernel; "any" has another header; neither may show in the figures. */
static void test_any_device(void **state)
{
	struct fixture *f = *state;
	const struct capture_options o = options("any", f->filter);
	struct capture *c = open_or_skip(&o, -1);
	struct seen seen = {.next = f->sent};
	struct capture_result result;

	send_packets(f, 300);
	capture_stop(c, STOP_USER);
	read_all(c, 65536, &seen, &result);
	assert_int_equal(seen.packets, 300);
	assert_int_equal(seen.link_type, 276);
	assert_nothing_is_missing(&seen);
}

static void test_filter_that_the_kernel_cannot_run(void **state)
{
	struct fixture *f = *state;
	struct capture_options o = options("any", "");
	struct seen seen = {.next = f->sent};
	struct capture_result result;
	struct capture *c;

	/* Byte 11 of the made-up header is the length of the link-layer address, which the kernel's filter cannot see. */
	snprintf(o.filter, sizeof(o.filter), "link[11] <= 8 and %s", f->filter);
	c = open_or_skip(&o, -1);
	send_packets(f, 300);
	capture_stop(c, STOP_USER);
	read_all(c, 65536, &seen, &result);
	assert_int_equal(seen.packets, 300);
	assert_nothing_is_missing(&seen);
}

static void test_max_packets(void **state)
{
	struct fixture *f = *state;
	struct capture_options o = options("lo", f->filter);
	struct seen seen = {.next = f->sent};
	struct capture_result result;
	struct capture *c;

	o.max_packets = 5;
	c = open_or_skip(&o, -1);
	send_packets(f, 20);
	read_all(c, 65536, &seen, &result);
	assert_int_equal(seen.packets, 5);
	assert_int_equal(seen.reason, STOP_MAX_PACKETS);
	assert_string_equal(result.text, "5 packets");
	assert_true(seen.last.accepted >= 5);
}

static void test_max_bytes(void **state)
{
	static const uint64_t limits[] = {1, 1000, 1500, 10000, 10001, 10002, 10003, 10004, 20000};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct capture_options o = options("lo", f->filter);
		struct capture_result result;
		struct seen seen = {0};
		struct capture *c;

		o.max_bytes = limits[i];
		c = open_or_skip(&o, -1);
		seen.next = f->sent;
		send_packets(f, 200);
		read_all(c, 65536, &seen, &result);
		assert_int_equal(seen.reason, STOP_MAX_BYTES);
		if (limits[i] >= 1000) /* below that not even the headers fit */
			assert_in_range(result.bytes, 1, limits[i]);
		if (limits[i] >= 10000)
			assert_true(limits[i] - result.bytes < 640 + pcapng_packet_bytes(PAYLOAD + 42));
	}
}

static void test_max_duration(void **state)
{
	struct fixture *f = *state;
	struct capture_options o = options("lo", f->filter);
	struct seen seen = {.next = f->sent};
	struct capture_result result;
	struct capture *c;

	o.max_duration_s = 1;
	c = open_or_skip(&o, -1);
	send_packets(f, 10);
	read_all(c, 65536, &seen, &result);
	assert_int_equal(seen.packets, 10);
	assert_int_equal(seen.reason, STOP_MAX_DURATION);
	assert_nothing_is_missing(&seen);
}

static void test_snaplen(void **state)
{
	struct fixture *f = *state;
	struct capture_options o = options("lo", f->filter);
	struct capture_result result;
	struct seen seen = {0};
	struct capture *c;

	o.snaplen = 60;
	c = open_or_skip(&o, -1);
	send_packets(f, 1);
	capture_stop(c, STOP_USER);
	read_all(c, 65536, &seen, &result);
	assert_int_equal(seen.packets, 1);
	assert_int_equal(seen.caplen, 60);
	assert_int_equal(seen.len, PAYLOAD + 42);
}

/* Also of a packet that is longer than what the kernel is asked for: lengths are the wire's. */
static void test_headers_only(void **state)
{
	struct fixture *f = *state;
	struct capture_options o = options("lo", f->filter);
	const uint8_t large[3 * CAPTURE_HEADERS_MAX] = {0};
	struct capture_result result;
	struct seen seen = {.next = f->sent};
	struct capture *c;

	o.headers_only = true;
	o.max_bytes = 3000; /* of the stream: with its payload the last packet alone is larger */
	c = open_or_skip(&o, -1);
	send_packets(f, 10);
	assert_int_equal(send(f->from, large, sizeof(large), 0), sizeof(large));
	capture_stop(c, STOP_USER);
	read_all(c, 65536, &seen, &result);
	assert_int_equal(seen.reason, STOP_USER);
	assert_int_equal(seen.packets, 11);
	assert_int_equal(seen.caplen, 42);
	assert_int_equal(seen.len, sizeof(large) + 42);
	assert_in_range(result.bytes, 11 * pcapng_packet_bytes(42), o.max_bytes);
	assert_nothing_is_missing(&seen);
}

static void test_gateway_that_hangs_up(void **state)
{
	struct fixture *f = *state;
	const struct capture_options o = options("lo", f->filter);
	uint8_t bytes[4096];
	struct capture_result result;
	struct capture *c;
	int pair[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	c = open_or_skip(&o, pair[0]);
	assert_true(capture_read(c, bytes, sizeof(bytes)) > 0); /* the headers, at once */
	close(pair[1]);
	while ((n = capture_read(c, bytes, sizeof(bytes))) > 0)
		continue;
	assert_int_equal(n, CAPTURE_GONE);
	capture_result(c, &result);
	assert_int_equal(result.reason, STOP_GATEWAY_GONE);
	capture_free(c);
	close(pair[0]);
}

static void *stop_soon(void *arg)
{
	capture_stop(arg, STOP_USER);
	return NULL;
}

static void test_stop_from_another_thread(void **state)
{
	struct fixture *f = *state;
	const struct capture_options o = options("lo", f->filter);
	struct capture *c = open_or_skip(&o, -1);
	struct seen seen = {.next = f->sent};
	struct capture_result result;
	pthread_t thread;

	send_packets(f, 50);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, c), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	read_all(c, 300, &seen, &result);
	assert_int_equal(seen.packets, 50);
}

struct flood {
	struct fixture *f;
	atomic_bool over;
};

static void *send_until_over(void *arg)
{
	struct flood *flood = arg;
	const uint8_t payload[16] = {0};

	while (!atomic_load(&flood->over)) {
		if (send(flood->f->from, payload, sizeof(payload), 0) < 0)
			break;
	}
	return NULL;
}

/* More comes in all the time: the end comes all the same, and the figures are those of that moment. */
static void test_stop_under_traffic(void **state)
{
	struct fixture *f = *state;
	const struct capture_options o = options("lo", f->filter);
	struct capture *c = open_or_skip(&o, -1);
	struct flood flood = {.f = f};
	struct seen seen = {0};
	struct capture_result result;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, send_until_over, &flood), 0);
	while (capture_result(c, &result), result.accepted < 1000)
		sched_yield();
	capture_stop(c, STOP_USER);
	read_all(c, 512 * 1024, &seen, &result);
	atomic_store(&flood.over, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_in_range(seen.packets, 1, UINT32_MAX);
	assert_nothing_is_missing(&seen);
}

/* Once packets come that were there before the stop, the device has been left: what is sent then is nobody's. */
static void test_nothing_comes_in_after_the_stop(void **state)
{
	struct fixture *f = *state;
	const struct capture_options o = options("lo", f->filter);
	struct capture *c = open_or_skip(&o, -1);
	struct seen seen = {.next = f->sent};
	struct err err = {0};
	struct pcapng_reader *r = pcapng_reader_new(0, see, &seen, &err);
	uint8_t bytes[64];
	bool late = false;
	ssize_t n;

	assert_non_null(r);
	send_packets(f, 50);
	capture_stop(c, STOP_USER);
	while ((n = capture_read(c, bytes, sizeof(bytes))) > 0) {
		if (pcapng_reader_feed(r, bytes, (size_t)n, &err) < 0)
			fail_msg("%s", err.msg);
		if (seen.packets > 0 && !late) {
			send_packets(f, 100);
			late = true;
		}
	}
	assert_int_equal(n, CAPTURE_END);
	assert_int_equal(seen.packets, 50);
	assert_nothing_is_missing(&seen);
	pcapng_reader_free(r);
	capture_free(c);
}

#define SLOW_RATE UINT64_C(65536)

static const struct pace_limits slow = {.bytes_per_s = SLOW_RATE, .cpu_percent = 75};

/* Never faster than the ceiling, by the real clock. */
static void test_rate_holds(void **state)
{
	struct fixture *f = *state;
	struct capture_options o = options("lo", f->filter);
	struct seen seen = {.next = f->sent};
	struct capture_result result;
	struct capture *c;
	uint64_t ns;

	o.max_packets = 300;
	c = open_paced_or_skip(&o, slow, -1);
	send_packets(f, 300);
	ns = clock_mono_ns();
	read_all(c, 512 * 1024, &seen, &result);
	ns = clock_mono_ns() - ns;
	assert_int_equal(seen.packets, 300);
	assert_in_range(ns + 2 * PACE_AHEAD_NS, result.bytes * CLOCK_NS_PER_S / SLOW_RATE, UINT64_MAX);
	assert_in_range(result.rested_ms, 1, ns / CLOCK_NS_PER_MS);
}

#define MINUTE_PACKETS 20000u /* enough for a minute at the ceiling */

/* A rest hears the stop, and after it there is none: all that was in the ring comes at once. */
static void test_stop_ends_the_rests(void **state)
{
	struct fixture *f = *state;
	const struct capture_options o = options("lo", f->filter);
	struct capture *c = open_paced_or_skip(&o, slow, -1);
	struct seen seen = {.next = f->sent};
	struct err err = {0};
	struct pcapng_reader *r = pcapng_reader_new(0, see, &seen, &err);
	const uint64_t begin = clock_mono_ns();
	static uint8_t bytes[512 * 1024];
	bool stopped = false;
	pthread_t thread = {0};
	ssize_t n;

	assert_non_null(r);
	send_packets(f, MINUTE_PACKETS);
	while ((n = capture_read(c, bytes, sizeof(bytes))) > 0) {
		if (pcapng_reader_feed(r, bytes, (size_t)n, &err) < 0)
			fail_msg("%s", err.msg);
		if (seen.packets > 100 && !stopped) { /* more than may go without a rest */
			assert_int_equal(pthread_create(&thread, NULL, stop_soon, c), 0);
			stopped = true;
		}
	}
	assert_int_equal(n, CAPTURE_END);
	assert_true(stopped);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(seen.reason, STOP_USER);
	assert_int_equal(seen.packets, MINUTE_PACKETS);
	assert_nothing_is_missing(&seen);
	assert_in_range(clock_mono_ns() - begin, 0, 30 * CLOCK_NS_PER_S);
	pcapng_reader_free(r);
	capture_free(c);
}

/* A rest hears the hang-up: what is left for the rest of the minute goes to nobody. */
static void test_hang_up_ends_the_rests(void **state)
{
	struct fixture *f = *state;
	const struct capture_options o = options("lo", f->filter);
	static uint8_t bytes[512 * 1024];
	struct capture_result result;
	struct capture *c;
	int pair[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	c = open_paced_or_skip(&o, slow, pair[0]);
	send_packets(f, MINUTE_PACKETS);
	assert_true(capture_read(c, bytes, sizeof(bytes)) > 0);
	close(pair[1]);
	while ((n = capture_read(c, bytes, sizeof(bytes))) > 0)
		continue;
	assert_int_equal(n, CAPTURE_GONE);
	capture_result(c, &result);
	assert_int_equal(result.reason, STOP_GATEWAY_GONE);
	assert_in_range(result.packets, 1, MINUTE_PACKETS / 2);
	capture_free(c);
	close(pair[0]);
}

#define SHED_PACKETS 20000u /* more than the smallest ring holds */

/* The host has no memory at all: the capture reads nothing, fills its ring once, and says so at once although its next statistics are a minute away. */
static void test_pressure_is_shed(void **state)
{
	static const char meminfo[] = "/tmp/test_capture_meminfo", none[] = "/nonexistent/file";
	const struct guard_paths paths = {none, none, none, meminfo, none, none};
	const struct config_agent config = {.guard_enabled = true,
		.guard_interval_ms = 1000,
		.guard_memory_free_bytes = UINT64_C(1) << 40,
		.ring_bytes = 1 << 20};
	struct fixture *f = *state;
	struct capture_options o = options("lo", f->filter);
	struct seen seen = {.next = f->sent};
	static uint8_t bytes[512 * 1024];
	struct pcapng_reader *r;
	struct capture_result result;
	struct guard_snapshot snapshot;
	struct err err = {0};
	struct capture *c;
	FILE *file = fopen(meminfo, "w");
	ssize_t n;

	assert_non_null(file);
	fputs("MemTotal: 1000 kB\nMemAvailable: 1 kB\n", file);
	assert_int_equal(fclose(file), 0);
	guard = guard_start(&config, &paths, &err);
	unlink(meminfo);
	assert_non_null(guard);
	ring_bytes = 1 << 20;
	c = open_or_skip(&o, -1);
	r = pcapng_reader_new(0, see, &seen, &err);
	assert_non_null(r);
	while (seen.sheds == 0 && (n = capture_read(c, bytes, sizeof(bytes))) > 0)
		assert_int_equal(pcapng_reader_feed(r, bytes, (size_t)n, &err), 0);
	assert_int_equal(seen.shed.packets, 0);
	assert_int_equal(seen.shed.to_ns, 0);
	assert_string_equal(seen.shed.why, "host short of memory");
	send_packets(f, SHED_PACKETS);
	assert_int_equal(seen.packets, 0);
	capture_stop(c, STOP_USER);
	while ((n = capture_read(c, bytes, sizeof(bytes))) > 0)
		assert_int_equal(pcapng_reader_feed(r, bytes, (size_t)n, &err), 0);
	assert_int_equal(n, CAPTURE_END);
	assert_true(seen.packets > 0);
	assert_true(seen.shed.packets > 0);
	assert_true(seen.shed.to_ns > 0);
	assert_int_equal(seen.packets + seen.shed.packets, SHED_PACKETS);
	assert_int_equal(seen.last.dropped_os, 0);
	assert_nothing_is_missing(&seen);
	capture_result(c, &result);
	assert_int_equal(result.shed, seen.shed.packets);
	guard_snapshot(guard, &snapshot);
	assert_int_equal(snapshot.shed, seen.shed.packets);
	pcapng_reader_free(r);
	capture_free(c);
	guard_stop(guard);
	guard = NULL;
	ring_bytes = 16u << 20;
}

static void test_refusals(void **state)
{
	static const struct {
		const char *device, *filter;
		enum err_code code;
		const char *detail, *field, *says;
	} cases[] = {
		{"nosuchdevice0", "", ERR_NOT_FOUND, "unknown_device", "options.device", "nosuchdevice0"},
		{"usbmon0", "", ERR_NOT_FOUND, "unknown_device", "options.device", "usbmon0"},
		{"nfqueue", "", ERR_NOT_FOUND, "unknown_device", "options.device", "nfqueue"},
		{"lo", "tcp port (", ERR_INPUT, "bad_filter", "options.filter", "syntax error"},
		{"lo", "tcp) or (udp", ERR_INPUT, "bad_filter", "options.filter", "syntax error"},
		{"lo", "port 70000", ERR_INPUT, "bad_filter", "options.filter", "70000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct capture_options o = options(cases[i].device, cases[i].filter);
		struct capture *c = make(&o, (struct pace_limits){0});
		struct err err = {0};

		assert_int_equal(capture_open(c, NO_OWN_TRAFFIC, NULL, -1, &err), -1);
		capture_free(c);
		if (strcmp(err.detail, "no_permission") == 0) {
			print_message("skipped: %s\n", err.msg);
			skip();
		}
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.detail, cases[i].detail);
		assert_string_equal(err.field, cases[i].field);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].says);
	}
}

#define ON_LO(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LO(test_stop_delivers_all_there_was),
		ON_LO(test_nothing_captured_is_a_whole_file),
		ON_LO(test_any_device),
		ON_LO(test_filter_that_the_kernel_cannot_run),
		ON_LO(test_max_packets),
		ON_LO(test_max_bytes),
		ON_LO(test_pressure_is_shed),
		ON_LO(test_max_duration),
		ON_LO(test_snaplen),
		ON_LO(test_headers_only),
		ON_LO(test_gateway_that_hangs_up),
		ON_LO(test_stop_from_another_thread),
		ON_LO(test_stop_under_traffic),
		ON_LO(test_nothing_comes_in_after_the_stop),
		ON_LO(test_rate_holds),
		ON_LO(test_stop_ends_the_rests),
		ON_LO(test_hang_up_ends_the_rests),
		ON_LO(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
