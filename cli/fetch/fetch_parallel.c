/* The rest of the file over several connections.  Each worker takes segment after segment from the window and fetches it, again and again
 * if need be; the caller's thread writes what the window lets out, in order.  The first worker begins alone: the others follow when
 * the server has shown that it serves parts, so that one that does not, or refuses, is asked once.
 *
 * The window's lock guards all that is shared here.  A worker writes into its segment without it, behind the bytes that it told of. */
#include "cli/fetch/fetch_internal.h"
#include "cli/fetch/fetch_ranges.h"
#include "common/clock.h"

#include <string.h>

_Static_assert(FETCH_CONNECTIONS_MAX <= STOPPER_CALLS_MAX, "Ctrl-C ends all connections");
_Static_assert(FETCH_CONNECTIONS_MAX <= RANGES_SLOTS_MAX, "a segment for each connection");

struct parallel;

struct worker {
	struct parallel *p;
	pthread_t thread;
	struct ranges_segment *segment; /* being fetched */
	struct fetch_call *call;        /* under way; NULL: none */
};

struct parallel {
	struct fetch_task *t; /* fixed */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct ranges ranges;
	bool is_proven;     /* the server serves parts */
	enum fetch_end end; /* FETCH_DONE: nothing speaks against going on */
	struct err why;     /* of an end that is none */
	unsigned workers_n;
	struct worker workers[FETCH_CONNECTIONS_MAX];
};

/* The first reason counts; what the others are told then is a consequence. */
static void call_off_locked(struct parallel *p, enum fetch_end end, const struct err *why)
{
	if (p->end != FETCH_DONE)
		return;
	p->end = end;
	p->why = *why;
	atomic_store(&p->t->is_called_off, true);
	for (unsigned i = 0; i < p->workers_n; i++)
		if (p->workers[i].call)
			fetch_call_cancel(p->workers[i].call);
	pthread_cond_broadcast(&p->changed);
}

static void call_off(struct parallel *p, enum fetch_end end, const struct err *why)
{
	pthread_mutex_lock(&p->lock);
	call_off_locked(p, end, why);
	pthread_mutex_unlock(&p->lock);
}

/* ---- a worker ---- */

static void on_good(void *ctx)
{
	struct worker *w = ctx;
	struct parallel *p = w->p;

	pthread_mutex_lock(&p->lock);
	if (!p->is_proven) {
		p->is_proven = true;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
}

static int on_data(void *ctx, const uint8_t *data, size_t n, struct err *err)
{
	struct worker *w = ctx;
	struct parallel *p = w->p;
	struct ranges_segment *s = w->segment;

	(void)err; /* there is room: no call brings more than was asked for */
	memcpy(s->data + s->got, data, n);
	atomic_fetch_add(&p->t->seen, n);
	pthread_mutex_lock(&p->lock);
	ranges_got(s, n);
	if (ranges_is_head(&p->ranges, s))
		pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* The call can be cancelled from now on; false: it need not begin. */
static bool enter(struct worker *w, struct fetch_call *c)
{
	bool good;

	pthread_mutex_lock(&w->p->lock);
	good = w->p->end == FETCH_DONE;
	w->call = good ? c : NULL;
	pthread_mutex_unlock(&w->p->lock);
	return good;
}

static void leave(struct worker *w)
{
	pthread_mutex_lock(&w->p->lock);
	w->call = NULL;
	pthread_mutex_unlock(&w->p->lock);
}

/* One request for what its segment lacks. */
static enum fetch_end fetch_once(struct worker *w, unsigned *ret_generation, struct err *err)
{
	struct ranges_segment *s = w->segment;
	struct fetch_call c = {
		.t = w->p->t,
		.from = s->from + s->got,
		.end = s->from + s->bytes,
		.on_good = on_good,
		.on_data = on_data,
		.ctx = w,
	};
	enum fetch_end end = FETCH_NEVER;

	if (fetch_call_open(&c, err) == 0) {
		if (enter(w, &c))
			end = fetch_call_run(&c, err);
		leave(w);
	}
	*ret_generation = c.generation;
	fetch_call_close(&c);
	return end;
}

static bool fill_segment(struct worker *w)
{
	struct fetch_retry retry = {0};

	for (;;) {
		struct err why = {0};
		unsigned generation = 0;
		enum fetch_end end = fetch_once(w, &generation, &why);

		if (end == FETCH_DONE)
			return true;
		if (end == FETCH_NO_RANGES ||
			!fetch_retry(w->p->t, &retry, end, generation, w->segment->from + w->segment->got, &why)) {
			call_off(w->p, end == FETCH_NO_RANGES ? end : FETCH_NEVER, &why);
			return false;
		}
	}
}

/* Waits for its turn; false: there is nothing more to do. */
static bool take_segment(struct worker *w)
{
	struct parallel *p = w->p;
	struct err why = {0};
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	while (p->end == FETCH_DONE && !ranges_all_taken(&p->ranges)) {
		if (p->is_proven || w == &p->workers[0])
			rc = ranges_take(&p->ranges, &w->segment, &why);
		if (rc)
			break;
		pthread_cond_wait(&p->changed, &p->lock);
	}
	if (rc < 0)
		call_off_locked(p, FETCH_NEVER, &why);
	pthread_mutex_unlock(&p->lock);
	return rc > 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (take_segment(w) && fill_segment(w))
		;
	return NULL;
}

/* ---- the caller's thread ---- */

/* Writes what has come without a gap.  -1: the local side does not take it. */
static int write_head_locked(struct parallel *p, struct err *err)
{
	const uint8_t *data = NULL;
	size_t n;

	while ((n = ranges_head(&p->ranges, &data)) > 0) {
		int rc;

		pthread_mutex_unlock(&p->lock); /* what has come stays where it is until it is passed on */
		rc = fetch_file_write(&p->t->file, data, n, err);
		pthread_mutex_lock(&p->lock);
		if (rc < 0)
			return -1;
		ranges_pass(&p->ranges, n);
		pthread_cond_broadcast(&p->changed);
	}
	return 0;
}

/* Until all is written, or there is no use in waiting for more. */
static int write_all(struct parallel *p, struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	while ((rc = write_head_locked(p, err)) == 0 && p->end == FETCH_DONE && !ranges_is_over(&p->ranges))
		pthread_cond_wait(&p->changed, &p->lock);
	if (rc < 0)
		call_off_locked(p, FETCH_NEVER, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* Fewer threads than wished for are enough, none is not. */
static void start_workers(struct parallel *p, unsigned n)
{
	struct err why;

	pthread_mutex_lock(&p->lock);
	for (; p->workers_n < n; p->workers_n++) {
		struct worker *w = &p->workers[p->workers_n];

		w->p = p;
		if (pthread_create(&w->thread, NULL, work, w))
			break;
	}
	if (!p->workers_n) {
		err_set(&why, ERR_NOMEM, "no thread could be started");
		call_off_locked(p, FETCH_NEVER, &why);
	}
	pthread_mutex_unlock(&p->lock);
}

/* What was on its way when the end came is kept as well: FILE.part goes on behind it.  Not on stdout when the user leaves: nothing goes on
 * there, and its reader may have stopped reading. */
static void finish(struct parallel *p, bool takes_more)
{
	struct err why = {0};

	for (unsigned i = 0; i < p->workers_n; i++)
		pthread_join(p->workers[i].thread, NULL);
	if (!p->t->file.part_path && stopper_is_leaving(p->t->stopper))
		takes_more = false;
	pthread_mutex_lock(&p->lock);
	if (takes_more && write_head_locked(p, &why) < 0 && p->end == FETCH_NO_RANGES) {
		p->end = FETCH_NEVER;
		p->why = why;
	}
	pthread_mutex_unlock(&p->lock);
}

enum fetch_end fetch_parallel(struct fetch_task *t, unsigned connections, struct err *err)
{
	struct parallel p = {.t = t, .end = FETCH_DONE};
	struct err why = {0};
	uint64_t left;

	if (pthread_mutex_init(&p.lock, NULL) ||
		clock_cond_init(&p.changed)) { /* cannot fail with these attributes on Linux */
		err_nomem(err);
		return FETCH_NEVER;
	}
	ranges_init(&p.ranges, t->file.have, t->link.size, FETCH_SEGMENT_BYTES, connections);
	left = ranges_left(&p.ranges);
	atomic_store(&t->is_called_off, false);
	start_workers(&p, left < connections ? (unsigned)left : connections);
	finish(&p, write_all(&p, &why) == 0);
	/* What was in memory behind a gap is lost: the file has what is written. */
	atomic_store(&t->seen, t->file.have);
	atomic_store(&t->is_called_off, false);
	if (p.end != FETCH_DONE)
		*err = p.why;
	ranges_done(&p.ranges);
	pthread_cond_destroy(&p.changed);
	pthread_mutex_destroy(&p.lock);
	return p.end;
}
