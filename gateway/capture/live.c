#include "gateway/capture/live.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "schema/pcap_file.h"
#include "schema/pcapng.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PEER_CHECK_MS 500u /* how soon a viewer that left is noticed while the stream is quiet */

/* A segment's place in the stream. */
struct stretch {
	struct segment *segment;
	uint64_t offset; /* of its first byte in the stream */
};

struct dropped {
	uint64_t packets;        /* in all */
	uint64_t unsaid;         /* not yet told in the stream */
	uint64_t from_ns, to_ns; /* timestamps of the first and last unsaid one */
};

struct live {
	atomic_uint refs;
	uint64_t backlog;
	enum job_format format;
	pthread_mutex_t lock;
	pthread_cond_t news;
	/* by lock */
	struct stretch *ring; /* kept_n places from kept_first on, in the stream's order, wrapping at ring_n */
	size_t ring_n, kept_first, kept_n;
	uint64_t start, end; /* the bytes kept are start..end */
	uint64_t sent;       /* the furthest that any viewer has been given */
	bool ended, whole, delivered;
	struct live_viewer *viewing;
	unsigned viewers;
	uint64_t alone_since;
	struct dropped *dropped; /* by interface */
	uint32_t dropped_n;
	uint64_t dropped_packets;
	bool dropping;
};

struct live_viewer {
	struct live *live;
	struct live_viewer *prev, *next; /* by the live's lock */
	int peer_fd;
	struct segment *prelude;
	size_t prelude_pos;
	uint64_t pos;
};

struct live *live_new(uint64_t backlog_bytes, enum job_format format, struct err *err)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l)
		goto fail;
	if (pthread_mutex_init(&l->lock, NULL) != 0)
		goto fail;
	if (clock_cond_init(&l->news) != 0) {
		pthread_mutex_destroy(&l->lock);
		goto fail;
	}
	atomic_init(&l->refs, 1);
	l->backlog = backlog_bytes;
	l->format = format;
	l->alone_since = clock_mono_ns();
	return l;
fail:
	free(l);
	err_nomem(err);
	return NULL;
}

struct live *live_ref(struct live *l)
{
	atomic_fetch_add(&l->refs, 1);
	return l;
}

static struct stretch *kept(const struct live *l, size_t i)
{
	return &l->ring[(l->kept_first + i) % l->ring_n];
}

static void drop_oldest(struct live *l)
{
	struct stretch *st = kept(l, 0);

	l->start = st->offset + st->segment->len;
	segment_unref(st->segment);
	l->kept_first = (l->kept_first + 1) % l->ring_n;
	l->kept_n--;
}

void live_unref(struct live *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	while (l->kept_n > 0)
		drop_oldest(l);
	free(l->ring);
	free(l->dropped);
	pthread_cond_destroy(&l->news);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- writing; all with the lock held ---- */

static int ring_grow(struct live *l, struct err *err)
{
	size_t n = l->ring_n ? l->ring_n * 2 : 64;
	struct stretch *ring = calloc(n, sizeof(*ring));

	if (!ring)
		return err_nomem(err);
	for (size_t i = 0; i < l->kept_n; i++)
		ring[i] = *kept(l, i);
	free(l->ring);
	l->ring = ring;
	l->ring_n = n;
	l->kept_first = 0;
	return 0;
}

static int append(struct live *l, struct segment *s, struct err *err)
{
	if (l->kept_n == l->ring_n && ring_grow(l, err) < 0)
		return -1;
	*kept(l, l->kept_n) = (struct stretch){.segment = segment_ref(s), .offset = l->end};
	l->kept_n++;
	l->end += s->len;
	while (l->kept_n > 1 && l->end - (kept(l, 0)->offset + kept(l, 0)->segment->len) >= l->backlog)
		drop_oldest(l);
	pthread_cond_broadcast(&l->news);
	return 0;
}

static int count_drop(struct live *l, uint32_t interface, uint64_t ts_ns, struct err *err)
{
	struct dropped *d;

	if (interface >= l->dropped_n) {
		uint32_t n = interface + 16;

		if (interface >= PCAPNG_INTERFACES_MAX * 4)
			return err_set(err, ERR_INTERNAL, "interface %" PRIu32 " in the live stream", interface);
		if (!(d = realloc(l->dropped, n * sizeof(*d))))
			return err_nomem(err);
		memset(d + l->dropped_n, 0, (n - l->dropped_n) * sizeof(*d));
		l->dropped = d;
		l->dropped_n = n;
	}
	d = &l->dropped[interface];
	if (d->unsaid == 0)
		d->from_ns = ts_ns;
	d->to_ns = ts_ns;
	d->unsaid++;
	d->packets++;
	l->dropped_packets++;
	return 0;
}

/* Leaves the packets of s out, and counts them. */
static int leave_out(struct live *l, const struct segment *s, struct err *err)
{
	if (l->format == JOB_PCAP) {
		for (size_t pos = 0; pos + PCAP_FILE_RECORD_BYTES <= s->len;) {
			uint32_t caplen;

			memcpy(&caplen, s->data + pos + 8, 4);
			if (count_drop(l, 0, 0, err) < 0)
				return -1;
			pos += PCAP_FILE_RECORD_BYTES + caplen;
		}
		return 0;
	}
	for (size_t pos = 0; pos < s->len;) {
		struct block_view v = block_at(s->data + pos);

		if (v.type == PCAPNG_BLOCK_PACKET && count_drop(l, v.interface_id, v.ts_ns, err) < 0)
			return -1;
		pos += v.len;
	}
	return 0;
}

/* Tells in the stream what was left out since it was last told. */
static int say_dropped(struct live *l, struct err *err)
{
	struct segment *s;
	int rc = 0;

	if (l->format == JOB_PCAP)
		return 0;
	if (!(s = segment_new(4096)))
		return err_nomem(err);
	for (uint32_t i = 0; i < l->dropped_n; i++) {
		struct dropped *d = &l->dropped[i];
		char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], text[256];
		struct pcapng_stats stats = {.interface_id = i, .ts_ns = d->to_ns, .comment = text};
		uint8_t *room;

		if (d->unsaid == 0)
			continue;
		snprintf(text, sizeof(text),
			"%" PRIu64
			" packets between %s and %s are missing here: the viewer was too slow for the traffic",
			d->unsaid, clock_rfc3339(d->from_ns, from), clock_rfc3339(d->to_ns, to));
		if (!(room = segment_room(s, PCAPNG_META_BYTES_MAX))) {
			rc = err_nomem(err);
			goto out;
		}
		s->len += pcapng_write_stats(room, PCAPNG_META_BYTES_MAX, &stats);
		d->unsaid = 0;
	}
	segment_trim(s);
	if (s->len > 0)
		rc = append(l, s, err);
out:
	segment_unref(s);
	return rc;
}

int live_push(struct live *l, struct segment *s, bool must, struct err *err)
{
	uint64_t unsent;
	int rc = 0;

	if (s->len == 0)
		return 0;
	pthread_mutex_lock(&l->lock);
	unsent = l->end - l->sent;
	/* Once dropping, go on until half of the room is free again: fewer and longer gaps. */
	if (!must && unsent + s->len > (l->dropping ? l->backlog / 4 : l->backlog / 2)) {
		l->dropping = true;
		rc = leave_out(l, s, err);
	} else {
		if (l->dropping)
			rc = say_dropped(l, err);
		l->dropping = false;
		if (rc == 0)
			rc = append(l, s, err);
	}
	pthread_mutex_unlock(&l->lock);
	return rc;
}

void live_end(struct live *l, bool whole)
{
	pthread_mutex_lock(&l->lock);
	l->ended = true;
	l->whole = whole;
	pthread_cond_broadcast(&l->news);
	pthread_mutex_unlock(&l->lock);
}

void live_fill(struct live *l, uint64_t *ret_bytes, unsigned *ret_viewers)
{
	pthread_mutex_lock(&l->lock);
	*ret_bytes = l->end - l->start;
	*ret_viewers = l->viewers;
	pthread_mutex_unlock(&l->lock);
}

uint64_t live_dropped(struct live *l)
{
	uint64_t n;

	pthread_mutex_lock(&l->lock);
	n = l->dropped_packets;
	pthread_mutex_unlock(&l->lock);
	return n;
}

uint64_t live_dropped_of(struct live *l, uint32_t interface)
{
	uint64_t n;

	pthread_mutex_lock(&l->lock);
	n = interface < l->dropped_n ? l->dropped[interface].packets : 0;
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* ---- viewers ---- */

struct live_viewer *live_attach(
	struct live *l, int64_t offset, struct segment *prelude, int peer_fd, uint64_t *ret_offset, struct err *err)
{
	struct live_viewer *v = calloc(1, sizeof(*v));
	int rc = 0;

	if (!v) {
		segment_unref(prelude);
		err_nomem(err);
		return NULL;
	}
	v->live = l;
	v->peer_fd = peer_fd;
	v->prelude = prelude;
	pthread_mutex_lock(&l->lock);
	v->pos = offset < 0 ? l->end : (uint64_t)offset;
	if (l->viewers >= LIVE_VIEWERS_MAX)
		rc = err_set(err, ERR_BUSY, "this capture has %u viewers already", l->viewers);
	else if (v->pos > l->end)
		rc = err_set(err, ERR_INPUT, "offset: the stream has %" PRIu64 " bytes so far", l->end);
	else if (v->pos < l->start)
		rc = err_set(err, ERR_STATE, "offset: the stream is kept from byte %" PRIu64 " on, not from %" PRIu64,
			l->start, v->pos);
	if (rc == 0) {
		/* What it does not ask for it will never take: were that still counted, nothing might get through to it. */
		if (v->pos > l->sent)
			l->sent = v->pos;
		l->viewers++;
		v->next = l->viewing;
		if (v->next)
			v->next->prev = v;
		l->viewing = v;
		live_ref(l);
	}
	pthread_mutex_unlock(&l->lock);
	if (rc < 0) {
		if (err && err->code == ERR_STATE)
			err_detail(err, "offset_gone");
		segment_unref(prelude);
		free(v);
		return NULL;
	}
	*ret_offset = v->pos;
	return v;
}

static bool peer_is_gone(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static size_t read_prelude(struct live_viewer *v, uint8_t *dst, size_t max)
{
	size_t n = v->prelude->len - v->prelude_pos;

	if (n > max)
		n = max;
	memcpy(dst, v->prelude->data + v->prelude_pos, n);
	v->prelude_pos += n;
	if (v->prelude_pos == v->prelude->len) {
		segment_unref(v->prelude);
		v->prelude = NULL;
	}
	return n;
}

/* The place that holds byte pos of the stream, which is kept. */
static size_t find_kept(const struct live *l, uint64_t pos)
{
	size_t low = 0, high = l->kept_n - 1;

	while (low < high) {
		size_t mid = low + (high - low + 1) / 2;

		if (kept(l, mid)->offset <= pos)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* Copies what there is from v->pos on; the lock is held. */
static size_t read_kept(struct live_viewer *v, uint8_t *dst, size_t max)
{
	struct live *l = v->live;
	size_t got = 0;

	for (size_t i = find_kept(l, v->pos); i < l->kept_n && got < max; i++) {
		const struct stretch *st = kept(l, i);
		size_t skip = (size_t)(v->pos - st->offset);
		size_t n = st->segment->len - skip;

		if (n > max - got)
			n = max - got;
		memcpy(dst + got, st->segment->data + skip, n);
		got += n;
		v->pos += n;
	}
	return got;
}

ssize_t live_read(struct live_viewer *v, uint8_t *dst, size_t max)
{
	struct live *l = v->live;
	ssize_t got = 0;

	if (v->prelude)
		return (ssize_t)read_prelude(v, dst, max);
	pthread_mutex_lock(&l->lock);
	while (got == 0) {
		struct timespec until;

		if (v->pos < l->start) {
			got = HTTP_STREAM_ABORT;
		} else if (v->pos < l->end) {
			got = (ssize_t)read_kept(v, dst, max);
			if (v->pos > l->sent)
				l->sent = v->pos;
		} else if (l->ended) {
			got = l->whole ? HTTP_STREAM_END : HTTP_STREAM_ABORT;
			l->delivered |= l->whole;
		} else if (peer_is_gone(v->peer_fd)) {
			got = HTTP_STREAM_ABORT;
		} else {
			until = clock_deadline(PEER_CHECK_MS);
			pthread_cond_timedwait(&l->news, &l->lock, &until);
		}
	}
	pthread_mutex_unlock(&l->lock);
	return got;
}

void live_detach(struct live_viewer *v)
{
	struct live *l = v->live;

	pthread_mutex_lock(&l->lock);
	if (v->prev)
		v->prev->next = v->next;
	else
		l->viewing = v->next;
	if (v->next)
		v->next->prev = v->prev;
	if (--l->viewers == 0) {
		l->alone_since = clock_mono_ns();
		pthread_cond_broadcast(&l->news); /* for live_cut */
	}
	pthread_mutex_unlock(&l->lock);
	segment_unref(v->prelude);
	free(v);
	live_unref(l);
}

void live_cut(struct live *l, uint64_t ms)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	while (l->viewing && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&l->news, &l->lock, &until);
	/* A viewer's socket is open for as long as it stands in the list. */
	for (const struct live_viewer *v = l->viewing; v; v = v->next) {
		if (v->peer_fd < 0)
			continue;
		(void)setsockopt(v->peer_fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		(void)shutdown(v->peer_fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&l->lock);
}

bool live_is_alone(struct live *l, uint64_t *ret_since_ns)
{
	bool alone;

	pthread_mutex_lock(&l->lock);
	alone = l->viewers == 0;
	if (alone)
		*ret_since_ns = l->alone_since;
	pthread_mutex_unlock(&l->lock);
	return alone;
}

bool live_is_delivered(struct live *l)
{
	bool delivered;

	pthread_mutex_lock(&l->lock);
	delivered = l->delivered;
	pthread_mutex_unlock(&l->lock);
	return delivered;
}
