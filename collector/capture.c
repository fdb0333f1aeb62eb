#include "collector/capture.h"

#include "collector/capture_stats.h"
#include "collector/device.h"
#include "collector/guard.h"
#include "collector/headers.h"
#include "collector/shed.h"
#include "collector/stream_out.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/version.h"
#include "schema/pcapng.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Kept free below max_bytes for the last statistics block: its figures and a stop note. */
#define LAST_BLOCK_BYTES 640
#define SHED_BLOCK_BYTES (SHED_NOTE_MAX + 160) /* one more before it, when something was shed */

/* The kernel hands over a block that is not full at the second tick of its timer, and a tick is up to 10 ms late (HZ=100); on a machine that has no time for its
 * timers later than any such figure.  So where the counters say that packets are still to come, they are waited for as long as one can at an end. */
#define DRAIN_TICKS      2
#define DRAIN_MARGIN_MS  30
#define DRAIN_LONGEST_MS 2000
#define RETRY_MS         10

#define TURN_MS 2000           /* no longer without a turn, for the watchdog's sake */
#define LOUD_NS CLOCK_NS_PER_S /* what is told at once is told no more often */

enum capture_state { CAPTURE_NEW, CAPTURE_OPENED, CAPTURE_RUNNING, CAPTURE_DRAINING, CAPTURE_ENDED };

struct capture {
	/* fixed after capture_new */
	struct capture_options options;
	struct capture_forced forced[CAPTURE_FORCED_MAX];
	size_t forced_n;
	char description[CAPTURE_NAME_MAX];
	uint64_t duration_ms;
	uint64_t ring_bytes, block_timeout_ms, stats_interval_ns;
	struct pace_limits limits;
	struct guard *guard; /* NULL: none */
	int stop_fd;         /* an eventfd, readable once a stop was asked for */

	/* any thread */
	atomic_int requested; /* enum stop_reason */
	atomic_uint turn;
	atomic_bool away; /* what it has is on its way out */

	/* told by the reading thread, read by any */
	struct {
		_Atomic uint64_t bytes, packets, accepted, dropped_os, dropped_interface, shed, rested_ms;
	} told;

	/* fixed after capture_open */
	struct device *device;
	struct container *container; /* NULL: of this host */
	const char *note;            /* for the interface; NULL: none */
	int peer_fd;
	uint64_t started_wall_ns;
	uint64_t deadline_ns; /* UINT64_MAX: none */

	/* owned by the reading thread */
	enum capture_state state;
	struct stream_out out;
	struct capture_stats stats;
	struct pace pace;
	struct pace_moment paid; /* as the guard knows it */
	struct shed shed;
	uint64_t next_stats_ns;
	uint64_t next_look_ns;   /* at the container; UINT64_MAX: there is none */
	uint64_t drain_until_ns; /* the latest */
	uint64_t bytes, packets;
	uint64_t seen; /* taken out of the ring: delivered, or cut off by a limit */
	enum stop_reason cut;
	enum stop_reason reason;
	char reason_text[ERR_MSG_MAX];
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct capture *capture_new(const struct capture_settings *s, struct err *err)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (!c) {
		err_nomem(err);
		return NULL;
	}
	c->options = s->request->options;
	c->forced_n = s->request->forced_n;
	memcpy(c->forced, s->request->forced, sizeof(c->forced));
	snprintf(c->description, sizeof(c->description), "%s", s->request->name);
	c->duration_ms = s->duration_max_ms;
	if (c->options.max_duration_s)
		c->duration_ms = least(c->duration_ms, c->options.max_duration_s * 1000);
	c->limits = s->limits;
	c->guard = s->guard;
	c->ring_bytes = s->ring_bytes;
	c->block_timeout_ms = s->block_timeout_ms;
	c->stats_interval_ns = s->stats_interval_ms * CLOCK_NS_PER_MS;
	c->peer_fd = -1;
	atomic_init(&c->requested, STOP_NONE);
	atomic_init(&c->turn, 0);
	atomic_init(&c->away, false);
	c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->stop_fd < 0) {
		err_sys(err, errno, "eventfd");
		goto fail;
	}
	if (stream_out_init(&c->out, pcapng_packet_bytes(PCAPNG_SNAPLEN_MAX) + (size_t)2 * PCAPNG_META_BYTES_MAX, err) <
		0)
		goto fail;
	return c;
fail:
	capture_free(c);
	return NULL;
}

void capture_free(struct capture *c)
{
	if (!c)
		return;
	device_close(c->device);
	stream_out_done(&c->out);
	fs_close(c->stop_fd);
	free(c);
}

void capture_stop(struct capture *c, enum stop_reason reason)
{
	const uint64_t one = 1;
	int none = STOP_NONE;

	atomic_compare_exchange_strong(&c->requested, &none, (int)reason);
	/* Fails only when the counter is full, and then the reader is awake already. */
	if (write(c->stop_fd, &one, sizeof(one)) < 0)
		return;
}

bool capture_turn(const struct capture *c, unsigned *ret)
{
	*ret = atomic_load(&c->turn);
	return !atomic_load(&c->away);
}

/* ---- figures ---- */

static void read_counts(struct capture *c)
{
	const uint64_t dropped = c->stats.dropped_os, shed = c->shed.note.packets;
	struct capture_counts now;

	/* Unreadable counters leave the totals as they were: not exact, but never invented. */
	if (device_counts(c->device, &now, NULL) == 0)
		capture_stats_add(&c->stats, &now);
	shed_count(&c->shed, c->stats.dropped_os - dropped);
	if (c->guard && c->shed.note.packets != shed)
		guard_count_shed(c->guard, c->shed.note.packets - shed);
}

static uint64_t dropped_by_kernel(const struct capture *c)
{
	return c->stats.dropped_os - c->shed.note.packets;
}

/* Where the filter does not run in the kernel nobody knows which of the dropped packets it would have accepted: all, then. */
static uint64_t accepted(const struct capture *c)
{
	return c->device && device_filters_in_kernel(c->device) ? c->stats.received : c->seen + c->stats.dropped_os;
}

/* Once for each piece that goes out, not for each packet. */
static void tell(struct capture *c)
{
	atomic_store_explicit(&c->told.bytes, c->bytes, memory_order_relaxed);
	atomic_store_explicit(&c->told.packets, c->packets, memory_order_relaxed);
	atomic_store_explicit(&c->told.accepted, accepted(c), memory_order_relaxed);
	atomic_store_explicit(&c->told.dropped_os, dropped_by_kernel(c), memory_order_relaxed);
	atomic_store_explicit(&c->told.shed, c->shed.note.packets, memory_order_relaxed);
	atomic_store_explicit(&c->told.dropped_interface, c->stats.dropped_interface, memory_order_relaxed);
	atomic_store_explicit(&c->told.rested_ms, c->pace.rested_ns / CLOCK_NS_PER_MS, memory_order_relaxed);
}

void capture_figures(struct capture *c, struct capture_figures *ret)
{
	ret->bytes = atomic_load_explicit(&c->told.bytes, memory_order_relaxed);
	ret->packets = atomic_load_explicit(&c->told.packets, memory_order_relaxed);
	ret->accepted = atomic_load_explicit(&c->told.accepted, memory_order_relaxed);
	ret->dropped_os = atomic_load_explicit(&c->told.dropped_os, memory_order_relaxed);
	ret->dropped_interface = atomic_load_explicit(&c->told.dropped_interface, memory_order_relaxed);
	ret->shed = atomic_load_explicit(&c->told.shed, memory_order_relaxed);
	ret->rested_ms = atomic_load_explicit(&c->told.rested_ms, memory_order_relaxed);
}

void capture_result(struct capture *c, struct capture_result *ret)
{
	if (c->device && c->state != CAPTURE_ENDED) /* the last block's figures stay the last */
		read_counts(c);
	tell(c);
	ret->reason = c->reason;
	memcpy(ret->text, c->reason_text, sizeof(ret->text));
	ret->bytes = c->bytes;
	ret->packets = c->packets;
	ret->accepted = accepted(c);
	ret->dropped_os = dropped_by_kernel(c);
	ret->dropped_interface = c->stats.dropped_interface;
	ret->shed = c->shed.note.packets;
	ret->rested_ms = c->pace.rested_ns / CLOCK_NS_PER_MS;
}

/* ---- blocks ---- */

static void put(struct capture *c, const uint8_t *p, size_t n)
{
	if (stream_out_put(&c->out, p, n))
		c->bytes += n;
}

static void put_header(struct capture *c)
{
	uint8_t block[2 * PCAPNG_META_BYTES_MAX];
	char os[256] = "Linux";
	struct utsname u;
	const struct pcapng_section section = {.os = os, .application = "pcap-agent " PCAPLINE_VERSION};
	const struct pcapng_interface interface = {
		.link_type = device_link_type(c->device),
		.snaplen = device_snaplen(c->device),
		.name = c->options.device,
		.description = *c->description ? c->description : NULL,
		.filter = *c->options.filter ? c->options.filter : NULL,
		.comment = c->note,
	};
	size_t n;

	if (uname(&u) == 0)
		snprintf(os, sizeof(os), "%s %s", u.sysname, u.release);
	n = pcapng_write_section(block, sizeof(block), &section);
	n += pcapng_write_interface(block + n, sizeof(block) - n, &interface);
	put(c, block, n);
}

/* note: of the end; NULL: one of the running ones. */
static void put_stats(struct capture *c, const char *note)
{
	uint8_t block[PCAPNG_META_BYTES_MAX];
	char text[SHED_NOTE_MAX];
	uint64_t now = clock_wall_ns();
	struct pcapng_stats s = {
		.ts_ns = now,
		.start_ns = c->started_wall_ns,
		.end_ns = now,
		.have = PCAPNG_STATS_START | PCAPNG_STATS_RECEIVED | PCAPNG_STATS_ACCEPTED | PCAPNG_STATS_OSDROP |
			PCAPNG_STATS_DELIVERED | (device_has_figures(c->device) ? PCAPNG_STATS_IFDROP : 0) |
			(note ? PCAPNG_STATS_END : 0),
	};

	read_counts(c);
	/* Linux counts behind the filter only: what the interface received before it nobody knows. */
	s.received = c->stats.received;
	s.accepted = accepted(c);
	s.dropped_os = dropped_by_kernel(c);
	s.dropped_interface = c->stats.dropped_interface;
	s.delivered = c->packets;
	s.comment = note ? note : shed_tell(&c->shed, text);
	put(c, block, pcapng_write_stats(block, sizeof(block), &s));
}

/* Is there room below max_bytes for n more bytes and the last block? */
static bool fits_limit(const struct capture *c, size_t n)
{
	const uint64_t max = c->options.max_bytes, last = LAST_BLOCK_BYTES + (c->shed.ever ? SHED_BLOCK_BYTES : 0);

	return max == 0 || (c->bytes < max && max - c->bytes >= n + last);
}

/* In a capture of headers only the rest is cut here, before anything else gets to see it. */
static uint32_t kept(const struct capture *c, const struct device_packet *p)
{
	if (c->options.headers_only)
		return headers_keep(device_link_type(c->device), p->data, p->caplen, p->len);
	return p->caplen < PCAPNG_SNAPLEN_MAX ? p->caplen : PCAPNG_SNAPLEN_MAX;
}

/* The way of every packet.  After the first false nothing more comes, see device_read. */
static bool take_packet(void *ctx, const struct device_packet *p)
{
	struct capture *c = ctx;
	const struct pcapng_packet packet = {
		.ts_ns = p->ts_ns,
		.caplen = kept(c, p),
		.len = p->len,
		.data = p->data,
	};
	const size_t n = pcapng_packet_bytes(packet.caplen);
	uint8_t *dst;

	c->seen++;
	if (!fits_limit(c, n)) {
		c->cut = STOP_MAX_BYTES;
		return false;
	}
	dst = stream_out_reserve(&c->out, n);
	if (!dst)
		return false;
	stream_out_add(&c->out, pcapng_write_packet(dst, n, &packet));
	c->bytes += n;
	c->packets++;
	if (c->packets == c->options.max_packets) {
		c->cut = STOP_MAX_PACKETS;
		return false;
	}
	return !stream_out_spilled(&c->out);
}

/* ---- life ---- */

static int find_device(struct capture *c, struct container_device *ret, struct err *err)
{
	*ret = (struct container_device){.name = c->options.device, .netns = -1};
	if (!c->container)
		return 0;
	if (container_device(c->container, c->options.device, ret, err) < 0)
		return -1;
	c->note = ret->note;
	return 0;
}

/* What nobody will read the kernel need not copy: packets put together by GRO have 64 KB. */
static uint32_t snaplen(const struct capture_options *o)
{
	return o->headers_only && o->snaplen > CAPTURE_HEADERS_MAX ? CAPTURE_HEADERS_MAX : o->snaplen;
}

int capture_open(struct capture *c, const char *own_traffic, struct container *container, int peer_fd, struct err *err)
{
	struct container_device where;
	struct device_options o = {
		.filter = c->options.filter,
		.forced = c->forced,
		.forced_n = c->forced_n,
		.own_traffic = own_traffic,
		.snaplen = snaplen(&c->options),
		.ring_bytes = c->ring_bytes,
		.block_timeout_ms = c->block_timeout_ms,
	};
	uint64_t now;

	c->container = container;
	if (find_device(c, &where, err) < 0)
		return -1;
	o.name = where.name;
	o.netns = where.netns;
	o.ifindex = where.ifindex;
	c->device = device_open(&o, err);
	if (!c->device)
		return -1;
	if (container) {
		container_opened(container);
		if (container_verify(container, err) < 0)
			return -1;
	}
	read_counts(c); /* the zero of the totals */
	c->started_wall_ns = clock_wall_ns();
	if (device_join(c->device, err) < 0)
		return -1;
	now = clock_mono_ns();
	c->peer_fd = peer_fd;
	c->deadline_ns = c->duration_ms ? now + c->duration_ms * CLOCK_NS_PER_MS : UINT64_MAX;
	c->next_stats_ns = now + c->stats_interval_ns;
	c->next_look_ns = container ? now : UINT64_MAX;
	c->state = CAPTURE_OPENED;
	atomic_store(&c->away, true);
	return 0;
}

static void set_reason(struct capture *c, enum stop_reason reason, const char *text)
{
	if (c->reason != STOP_NONE)
		return;
	c->reason = reason;
	snprintf(c->reason_text, sizeof(c->reason_text), "%s", text);
}

static void begin_drain(struct capture *c, enum stop_reason reason, const char *text)
{
	uint64_t ms = DRAIN_TICKS * c->block_timeout_ms + DRAIN_MARGIN_MS;

	if (device_filters_in_kernel(c->device) && ms < DRAIN_LONGEST_MS)
		ms = DRAIN_LONGEST_MS;
	set_reason(c, reason, text);
	device_leave(c->device);
	c->drain_until_ns = clock_mono_ns() + ms * CLOCK_NS_PER_MS;
	c->state = CAPTURE_DRAINING;
}

static void finish(struct capture *c)
{
	char note[STOP_NOTE_MAX];

	if (c->state == CAPTURE_RUNNING)
		device_leave(c->device);
	read_counts(c);
	shed_over(&c->shed, clock_wall_ns());
	if (shed_is_untold(&c->shed))
		put_stats(c, NULL);
	put_stats(c, stop_note_format(c->reason, c->reason_text, note));
	c->state = CAPTURE_ENDED;
}

static void finish_at_limit(struct capture *c)
{
	char text[64];

	if (c->cut == STOP_MAX_PACKETS)
		snprintf(text, sizeof(text), "%" PRIu64 " packets", c->options.max_packets);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " bytes", c->options.max_bytes);
	set_reason(c, c->cut, text);
	finish(c);
}

/* -1: the peer hung up. */
static int wait_until(struct capture *c, bool for_packets, uint64_t until_ns)
{
	/* Once the end has begun a stop adds nothing, and its eventfd stays readable. */
	struct pollfd fds[] = {
		{.fd = for_packets ? device_fd(c->device) : -1, .events = POLLIN},
		{.fd = c->peer_fd, .events = POLLRDHUP},
		{.fd = c->state == CAPTURE_RUNNING ? c->stop_fd : -1, .events = POLLIN},
		{.fd = c->state == CAPTURE_RUNNING && c->container ? container_fd(c->container) : -1, .events = POLLIN},
	};
	uint64_t now = clock_mono_ns();
	uint64_t ms = until_ns > now ? least((until_ns - now) / CLOCK_NS_PER_MS + 1, TURN_MS) : 0;
	int poll_ms = device_poll_ms(c->device);

	if (poll_ms >= 0)
		ms = least(ms, (uint64_t)poll_ms);
	if (poll(fds, sizeof(fds) / sizeof(fds[0]), (int)ms) < 0)
		return errno == EINTR ? 0 : -1;
	if (fds[3].revents)
		c->next_look_ns = 0;
	return fds[1].revents ? -1 : 0;
}

/* Nothing that the kernel accepted is still in the ring.  The counters say so at once; without them only time does. */
static bool is_drained(struct capture *c)
{
	if (clock_mono_ns() >= c->drain_until_ns)
		return true;
	if (!device_filters_in_kernel(c->device))
		return false;
	read_counts(c);
	return c->stats.received - c->stats.dropped_os == c->seen;
}

/* Without this clock the CPU ceiling does not hold; the rest does. */
static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct pace_moment moment(const struct capture *c, uint64_t now)
{
	return (struct pace_moment){.now_ns = now, .cpu_ns = thread_cpu_ns(), .bytes = c->bytes};
}

/* A container's device goes with the container, often before anything else of it does. */
static enum stop_reason why_unreadable(const struct capture *c)
{
	if (!device_is_gone(c->device))
		return STOP_AGENT_ERROR;
	return c->container ? STOP_CONTAINER_GONE : STOP_DEVICE_GONE;
}

static bool container_ended(struct capture *c, uint64_t now)
{
	char text[CONTAINER_TEXT_MAX];

	if (now < c->next_look_ns)
		return false;
	c->next_look_ns = now + CONTAINER_LOOK_MS * CLOCK_NS_PER_MS;
	switch (container_look(c->container, text)) {
	case CONTAINER_THERE:
		return false;
	case CONTAINER_GONE:
		begin_drain(c, STOP_CONTAINER_GONE, text);
		break;
	case CONTAINER_OTHER:
		/* What is in the ring may be somebody else's: it is let go. */
		set_reason(c, STOP_CONTAINER_GONE, text);
		finish(c);
		break;
	}
	return true;
}

/* What is for the host's sake is told soon, and not only with the next statistics. */
static void tell_soon(struct capture *c)
{
	c->next_stats_ns = least(c->next_stats_ns, c->next_stats_ns - c->stats_interval_ns + LOUD_NS);
}

static void hold(struct capture *c, const char *why, bool host)
{
	if (!shed_is_new(&c->shed, why))
		return;
	read_counts(c);
	if (shed_begin(&c->shed, why, host, clock_wall_ns()))
		tell_soon(c);
}

static void caught_up(struct capture *c)
{
	if (!c->shed.held)
		return;
	read_counts(c);
	if (shed_over(&c->shed, clock_wall_ns()))
		tell_soon(c);
}

/* By its own ceilings and by those of all; until when, 0: no rest. */
static uint64_t rest_until(struct capture *c, const struct pace_moment *at)
{
	const uint64_t own = pace_rest(&c->pace, at);
	const char *why = NULL;
	bool host = false;
	const uint64_t all = c->guard ? guard_rest(c->guard, &c->paid, at, &why, &host) : 0;

	if (own && !host)
		why = pace_is_for_bytes(&c->pace) ? "limits.rate reached" : "limits.cpu reached";
	if (why)
		hold(c, why, host);
	return own > all ? own : all;
}

static int step_reading(struct capture *c, uint64_t now)
{
	const struct pace_moment at = moment(c, now);
	const uint64_t rest = rest_until(c, &at);
	uint64_t until = least(least(c->next_stats_ns, c->next_look_ns), c->deadline_ns);
	struct err err = {0};
	int n = 0;

	if (rest)
		until = least(until, rest);
	else
		n = device_read(c->device, take_packet, c, &err);
	if (!rest && n == 0)
		caught_up(c);
	if (c->cut != STOP_NONE)
		finish_at_limit(c);
	else if (n < 0)
		begin_drain(c, why_unreadable(c), err.msg);
	else if (n == 0 && c->out.len == 0)
		return wait_until(c, rest == 0, until);
	return 0;
}

static int step_running(struct capture *c)
{
	enum stop_reason requested = (enum stop_reason)atomic_load(&c->requested);
	uint64_t now = clock_mono_ns();
	char text[64];

	if (requested != STOP_NONE) {
		begin_drain(c, requested, "");
		return 0;
	}
	if (now >= c->deadline_ns) {
		snprintf(text, sizeof(text), "%" PRIu64 " s", c->duration_ms / 1000);
		begin_drain(c, STOP_MAX_DURATION, text);
		return 0;
	}
	if (container_ended(c, now))
		return 0;
	if (now >= c->next_stats_ns) {
		c->next_stats_ns = now + c->stats_interval_ns;
		if (!fits_limit(c, LAST_BLOCK_BYTES)) {
			c->cut = STOP_MAX_BYTES;
			finish_at_limit(c);
			return 0;
		}
		put_stats(c, NULL);
	}
	return step_reading(c, now);
}

/* A device that is gone makes every read fail that finds no block ready, but the kernel still hands over the last block in its time. */
static int step_draining(struct capture *c)
{
	int n = device_read(c->device, take_packet, c, NULL);

	if (c->cut != STOP_NONE)
		finish_at_limit(c);
	else if (n <= 0 && is_drained(c))
		finish(c);
	else if (n == 0 && c->out.len == 0)
		return wait_until(c, true, c->drain_until_ns);
	else if (n < 0 && c->out.len == 0)
		return wait_until(c, false, least(c->drain_until_ns, clock_mono_ns() + RETRY_MS * CLOCK_NS_PER_MS));
	return 0;
}

static void begin_running(struct capture *c)
{
	const struct pace_moment at = moment(c, clock_mono_ns());

	pace_begin(&c->pace, &c->limits, &at);
	c->paid = at;
	put_header(c);
	c->state = CAPTURE_RUNNING;
}

static int step(struct capture *c)
{
	switch (c->state) {
	case CAPTURE_OPENED:
		begin_running(c);
		return 0;
	case CAPTURE_RUNNING:
		return step_running(c);
	case CAPTURE_DRAINING:
		return step_draining(c);
	case CAPTURE_NEW:
	case CAPTURE_ENDED:
		break;
	}
	return 0;
}

static size_t piece(const struct capture *c, size_t max)
{
	if (c->state != CAPTURE_RUNNING)
		return max;
	max = pace_piece(&c->pace, max);
	return c->guard ? guard_piece(c->guard, max) : max;
}

static ssize_t read_some(struct capture *c, uint8_t *dst, size_t max)
{
	stream_out_begin(&c->out, dst, piece(c, max));
	while (c->out.len == 0) {
		atomic_fetch_add(&c->turn, 1);
		if (c->state == CAPTURE_ENDED || c->state == CAPTURE_NEW)
			return CAPTURE_END;
		if (step(c) < 0) {
			set_reason(c, STOP_GATEWAY_GONE, "");
			return CAPTURE_GONE;
		}
	}
	tell(c);
	return (ssize_t)c->out.len;
}

ssize_t capture_read(struct capture *c, uint8_t *dst, size_t max)
{
	ssize_t n;

	atomic_store(&c->away, false);
	n = read_some(c, dst, max);
	atomic_store(&c->away, true);
	return n;
}
