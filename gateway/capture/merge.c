#include "gateway/capture/merge.h"

#include "common/clock.h"
#include "schema/pcapng.h"

#include <pthread.h>
#include <stdlib.h>

struct merge_input {
	struct merge *merge;
	struct merge_input *next;
	unsigned tag;
	/* by merge->lock */
	struct segment *head, *tail;
	size_t queued_bytes;
	bool closed;
	bool full; /* its producer waits for room */
	pthread_cond_t room;
	/* the consumer's own */
	size_t pos;       /* in head */
	uint64_t head_ts; /* what the block at pos counts as in the order, see head_set */
};

struct merge {
	uint64_t window_ns;
	size_t queue_bytes;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct merge_input *inputs; /* by lock */
	bool woken, held;           /* by lock */
	uint64_t last_ts;           /* the consumer's own */
};

struct merge *merge_new(uint64_t window_ns, size_t queue_bytes, struct err *err)
{
	struct merge *m = calloc(1, sizeof(*m));

	if (!m) {
		err_nomem(err);
		return NULL;
	}
	m->window_ns = window_ns;
	m->queue_bytes = queue_bytes;
	if (pthread_mutex_init(&m->lock, NULL) != 0) {
		err_nomem(err);
		free(m);
		return NULL;
	}
	if (clock_cond_init(&m->more) != 0) {
		err_nomem(err);
		pthread_mutex_destroy(&m->lock);
		free(m);
		return NULL;
	}
	return m;
}

static void input_forget(struct merge_input *in)
{
	struct segment *s;

	while ((s = in->head)) {
		in->head = s->next;
		segment_unref(s);
	}
	in->tail = NULL;
	in->queued_bytes = 0;
	in->pos = 0;
}

void merge_free(struct merge *m)
{
	struct merge_input *in;

	if (!m)
		return;
	while ((in = m->inputs)) {
		m->inputs = in->next;
		input_forget(in);
		pthread_cond_destroy(&in->room);
		free(in);
	}
	pthread_cond_destroy(&m->more);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

uint64_t merge_queued(struct merge *m)
{
	uint64_t sum = 0;

	pthread_mutex_lock(&m->lock);
	for (const struct merge_input *in = m->inputs; in; in = in->next)
		sum += in->queued_bytes;
	pthread_mutex_unlock(&m->lock);
	return sum;
}

struct merge_input *merge_add(struct merge *m, unsigned tag, struct err *err)
{
	struct merge_input *in = calloc(1, sizeof(*in));

	if (!in || clock_cond_init(&in->room) != 0) {
		free(in);
		err_nomem(err);
		return NULL;
	}
	in->merge = m;
	in->tag = tag;
	pthread_mutex_lock(&m->lock);
	in->next = m->inputs;
	m->inputs = in;
	pthread_mutex_unlock(&m->lock);
	return in;
}

/* Statistics are stamped when they are made, ahead of packets that the agent's kernel still holds: were they waited for in the order, these
 * would come late.  So they count as old as what went before them and go on at once. */
static void head_set(struct merge_input *in, const struct block_view *v)
{
	if (v->type == PCAPNG_BLOCK_PACKET)
		in->head_ts = v->ts_ns;
}

int merge_push(struct merge_input *in, struct segment *s)
{
	struct merge *m = in->merge;
	struct block_view v;

	if (s->len == 0) {
		segment_unref(s);
		return 0;
	}
	v = block_at(s->data);
	pthread_mutex_lock(&m->lock);
	while (!in->closed && in->head && (s->len > m->queue_bytes || in->queued_bytes > m->queue_bytes - s->len)) {
		in->full = true;
		pthread_cond_signal(&m->more);
		pthread_cond_wait(&in->room, &m->lock);
	}
	in->full = false;
	if (in->closed) {
		pthread_mutex_unlock(&m->lock);
		segment_unref(s);
		return -1;
	}
	s->next = NULL;
	s->arrived_ns = clock_mono_ns();
	if (in->tail) {
		in->tail->next = s;
	} else {
		in->head = s;
		in->pos = 0;
		head_set(in, &v);
		pthread_cond_signal(&m->more);
	}
	in->tail = s;
	in->queued_bytes += s->len;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

void merge_close(struct merge_input *in)
{
	struct merge *m = in->merge;

	pthread_mutex_lock(&m->lock);
	in->closed = true;
	pthread_cond_broadcast(&in->room);
	pthread_cond_signal(&m->more);
	pthread_mutex_unlock(&m->lock);
}

void merge_abort(struct merge *m)
{
	pthread_mutex_lock(&m->lock);
	for (struct merge_input *in = m->inputs; in; in = in->next) {
		in->closed = true;
		input_forget(in);
		pthread_cond_broadcast(&in->room);
	}
	pthread_cond_signal(&m->more);
	pthread_mutex_unlock(&m->lock);
}

void merge_hold(struct merge *m, bool held)
{
	pthread_mutex_lock(&m->lock);
	m->held = held;
	pthread_cond_signal(&m->more);
	pthread_mutex_unlock(&m->lock);
}

void merge_wake(struct merge *m)
{
	pthread_mutex_lock(&m->lock);
	m->woken = true;
	pthread_cond_signal(&m->more);
	pthread_mutex_unlock(&m->lock);
}

/* What the heads look like at one moment. */
struct heads {
	struct merge_input *best; /* with the oldest head */
	uint64_t bound_ts;        /* the oldest head of all others: best may run up to here */
	bool waiting;             /* an open input is empty */
	bool full;                /* a producer waits for room */
	bool open;                /* any input is open */
};

static struct heads heads_look(const struct merge *m)
{
	struct heads h = {.bound_ts = UINT64_MAX};

	for (struct merge_input *in = m->inputs; in; in = in->next) {
		h.open |= !in->closed;
		h.full |= in->full;
		if (!in->head) {
			h.waiting |= !in->closed;
		} else if (!h.best || in->head_ts < h.best->head_ts) {
			h.bound_ts = h.best ? h.best->head_ts : UINT64_MAX;
			h.best = in;
		} else if (in->head_ts < h.bound_ts) {
			h.bound_ts = in->head_ts;
		}
	}
	return h;
}

/* Takes from best's head segment the run of blocks that are not newer than bound_ts, and at least one block. The lock is held; a segment
 * in the queue is only read, so holding it for a walk over one segment's block headers is all it costs. */
static void piece_take(struct merge *m, struct merge_input *in, uint64_t bound_ts, struct merge_piece *ret)
{
	struct segment *s = in->head;
	struct block_view v;
	size_t pos = in->pos;

	*ret = (struct merge_piece){.tag = in->tag, .segment = segment_ref(s), .off = pos};
	do {
		v = block_at(s->data + pos);
		if (v.type == PCAPNG_BLOCK_PACKET && v.ts_ns > bound_ts && pos > in->pos)
			break;
		pos += v.len;
		if (v.type != PCAPNG_BLOCK_PACKET)
			continue;
		ret->packets++;
		ret->captured_bytes += v.caplen;
		if (v.ts_ns < m->last_ts)
			ret->late++;
		else
			m->last_ts = v.ts_ns;
	} while (pos < s->len);
	ret->len = pos - ret->off;
	ret->last_ts_ns = m->last_ts;

	if (pos < s->len) {
		in->pos = pos;
		head_set(in, &v);
		return;
	}
	in->head = s->next;
	in->queued_bytes -= s->len;
	in->full = false; /* until its producer says so again */
	in->pos = 0;
	if (in->head) {
		v = block_at(in->head->data);
		head_set(in, &v);
	} else {
		in->tail = NULL;
	}
	s->next = NULL;
	segment_unref(s);
	pthread_cond_signal(&in->room);
}

/* Waits for news until ns (monotonic).  False: the time has come. */
static bool wait_until(struct merge *m, uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / CLOCK_NS_PER_S), .tv_nsec = (long)(ns % CLOCK_NS_PER_S)};

	return pthread_cond_timedwait(&m->more, &m->lock, &ts) == 0;
}

enum merge_result merge_next(struct merge *m, uint64_t deadline_ns, struct merge_piece *ret)
{
	enum merge_result result = MERGE_PIECE;

	pthread_mutex_lock(&m->lock);
	for (;;) {
		struct heads h = heads_look(m);
		uint64_t until = deadline_ns;

		if (m->woken) {
			m->woken = false;
			result = MERGE_WOKEN;
			break;
		}
		if (!h.best && !h.open && !m->held) {
			result = MERGE_END;
			break;
		}
		if (h.best) {
			uint64_t due = h.waiting && !h.full ? h.best->head->arrived_ns + m->window_ns : 0;

			if (due <= clock_mono_ns()) {
				piece_take(m, h.best, h.bound_ts, ret);
				break;
			}
			if (due < until)
				until = due;
		}
		if (!wait_until(m, until) && until == deadline_ns) {
			result = MERGE_IDLE;
			break;
		}
	}
	pthread_mutex_unlock(&m->lock);
	return result;
}
