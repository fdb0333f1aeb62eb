#include "gateway/limits/rate.h"

#include "gateway/limits/fair.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD_NS    (100 * CLOCK_NS_PER_MS) /* bursts so long pass as they come */
#define PIECES      20u                     /* a second has so many */
#define PIECE_LEAST 1024u
#define TOLD_LEAST  1024u
#define AGENT_EXTRA 8u /* an agent's own limit is by an eighth above ours */

/* What was taken is paid for with time; no time is saved up. */
struct bucket {
	uint64_t bytes_per_s; /* 0: no limit */
	uint64_t paid_ns;     /* when the clock will have caught up */
	size_t streams;       /* that take from it */
};

struct rate_user {
	struct rate_user *next;
	char *id;
	size_t flows;
	struct fair_user fair;
};

struct rate {
	uint64_t per_capture;
	pthread_mutex_t lock;
	/* by lock */
	struct bucket all;
	struct fair fair;
	struct rate_user *users;
};

struct rate_flow {
	struct rate *rate;
	/* by rate's lock */
	struct rate_user *user;
	struct bucket own;
	bool open;
	pthread_cond_t opened;
	const char *limit; /* NULL: not slowed */
	uint64_t limit_bytes_per_s;
};

/* One that waits for the gateway's rate. */
struct waiter {
	struct fair_piece piece; /* first: found again by it */
	pthread_cond_t turn;
	const struct rate_flow *flow;
};

struct rate *rate_new(uint64_t per_capture, uint64_t all, struct err *err)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (!r || pthread_mutex_init(&r->lock, NULL) != 0) {
		free(r);
		err_nomem(err);
		return NULL;
	}
	r->per_capture = per_capture;
	r->all.bytes_per_s = all;
	return r;
}

void rate_free(struct rate *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- flows ---- */

/* The lock is held. */
static struct rate_user *user_get(struct rate *r, const char *id)
{
	struct rate_user *u = r->users;

	while (u && strcmp(u->id, id) != 0)
		u = u->next;
	if (u || !(u = calloc(1, sizeof(*u))))
		return u;
	if (!(u->id = strdup(id))) {
		free(u);
		return NULL;
	}
	u->next = r->users;
	r->users = u;
	return u;
}

static void user_put(struct rate *r, struct rate_user *u)
{
	if (--u->flows > 0)
		return;
	for (struct rate_user **at = &r->users; *at; at = &(*at)->next) {
		if (*at != u)
			continue;
		*at = u->next;
		break;
	}
	free(u->id);
	free(u);
}

struct rate_flow *rate_flow_new(struct rate *r, const char *user_id, struct err *err)
{
	struct rate_flow *f;

	if (!r)
		return NULL;
	if (!(f = calloc(1, sizeof(*f))) || clock_cond_init(&f->opened) != 0) {
		free(f);
		err_nomem(err);
		return NULL;
	}
	f->rate = r;
	f->own.bytes_per_s = r->per_capture;
	pthread_mutex_lock(&r->lock);
	if ((f->user = user_get(r, user_id)))
		f->user->flows++;
	pthread_mutex_unlock(&r->lock);
	if (f->user)
		return f;
	pthread_cond_destroy(&f->opened);
	free(f);
	err_nomem(err);
	return NULL;
}

void rate_flow_free(struct rate_flow *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->rate->lock);
	f->rate->all.streams -= f->own.streams;
	user_put(f->rate, f->user);
	pthread_mutex_unlock(&f->rate->lock);
	pthread_cond_destroy(&f->opened);
	free(f);
}

void rate_join(struct rate_flow *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->rate->lock);
	f->own.streams++;
	f->rate->all.streams++;
	pthread_mutex_unlock(&f->rate->lock);
}

void rate_leave(struct rate_flow *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->rate->lock);
	f->own.streams--;
	f->rate->all.streams--;
	pthread_mutex_unlock(&f->rate->lock);
}

/* ---- taking; the lock is held ---- */

static void pay(struct bucket *b, uint64_t n, uint64_t now)
{
	b->paid_ns = (b->paid_ns > now ? b->paid_ns : now) + n * CLOCK_NS_PER_S / b->bytes_per_s;
	/* Who may wait no longer passes all the same: what is owed for that does not grow without end. */
	if (b->paid_ns > now + RATE_WAIT_MAX_NS + AHEAD_NS)
		b->paid_ns = now + RATE_WAIT_MAX_NS + AHEAD_NS;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void slowed(struct rate_flow *f, const char *limit, uint64_t bytes_per_s)
{
	if (f->limit)
		return;
	f->limit = limit;
	f->limit_bytes_per_s = bytes_per_s;
}

static struct timespec moment(uint64_t mono_ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(mono_ns / CLOCK_NS_PER_S), .tv_nsec = (long)(mono_ns % CLOCK_NS_PER_S)};
}

/* What it takes is paid at once, so that all of its streams wait one behind the other. */
static void take_own(struct rate_flow *f, size_t n, uint64_t end_ns)
{
	uint64_t until_ns;
	struct timespec until;
	int rc = 0;

	if (f->own.bytes_per_s == 0)
		return;
	pay(&f->own, n, clock_mono_ns());
	if (f->own.paid_ns <= clock_mono_ns() + AHEAD_NS)
		return;
	until_ns = f->own.paid_ns - AHEAD_NS < end_ns ? f->own.paid_ns - AHEAD_NS : end_ns;
	until = moment(until_ns);
	slowed(f, "limits.rate_per_capture", f->own.bytes_per_s);
	while (!f->open && clock_mono_ns() < until_ns && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&f->opened, &f->rate->lock, &until);
}

/* Whose turn it is now looks at the clock. */
static void wake_first(struct rate *r)
{
	struct waiter *first = (struct waiter *)fair_first(&r->fair);

	if (first)
		pthread_cond_signal(&first->turn);
}

static void take_all(struct rate_flow *f, size_t n, uint64_t end_ns)
{
	struct rate *r = f->rate;
	struct waiter w = {.flow = f};
	uint64_t now = clock_mono_ns();

	if (r->all.bytes_per_s == 0)
		return;
	if (clock_cond_init(&w.turn) != 0)
		return; /* rather too fast than not at all */
	fair_add(&r->fair, &f->user->fair, &w.piece, n);
	while (!f->open && now < end_ns) {
		bool first = fair_first(&r->fair) == &w.piece;
		uint64_t free_ns = r->all.paid_ns > AHEAD_NS ? r->all.paid_ns - AHEAD_NS : 0, until_ns = end_ns;
		struct timespec until;

		if (first && now >= free_ns)
			break;
		if (first && free_ns < until_ns)
			until_ns = free_ns;
		until = moment(until_ns);
		slowed(f, "limits.rate", r->all.bytes_per_s);
		pthread_cond_timedwait(&w.turn, &r->lock, &until);
		now = later(now, clock_mono_ns());
	}
	fair_remove(&r->fair, &w.piece);
	pay(&r->all, n, now);
	wake_first(r);
	pthread_cond_destroy(&w.turn);
}

void rate_take(struct rate_flow *f, size_t n)
{
	uint64_t end_ns = clock_mono_ns() + RATE_WAIT_MAX_NS; /* of both together: its agent would take us for gone */

	if (!f)
		return;
	pthread_mutex_lock(&f->rate->lock);
	if (!f->open)
		take_own(f, n, end_ns);
	if (!f->open)
		take_all(f, n, end_ns);
	pthread_mutex_unlock(&f->rate->lock);
}

void rate_open(struct rate_flow *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->rate->lock);
	f->open = true;
	pthread_cond_broadcast(&f->opened);
	for (struct fair_piece *p = fair_first(&f->rate->fair); p; p = p->next) {
		struct waiter *w = (struct waiter *)p;

		if (w->flow == f)
			pthread_cond_signal(&w->turn);
	}
	pthread_mutex_unlock(&f->rate->lock);
}

/* ---- what others ask ---- */

const char *rate_limit(struct rate_flow *f, uint64_t *ret_bytes_per_s)
{
	const char *limit;

	if (!f)
		return NULL;
	pthread_mutex_lock(&f->rate->lock);
	limit = f->limit;
	*ret_bytes_per_s = f->limit_bytes_per_s;
	pthread_mutex_unlock(&f->rate->lock);
	return limit;
}

/* A round of all streams takes two thirds of a second at the most: well within what anybody waits. */
static uint64_t piece_of(const struct bucket *b)
{
	uint64_t pieces = b->streams + b->streams / 2;

	return b->bytes_per_s / (pieces > PIECES ? pieces : PIECES);
}

static uint64_t told_of(const struct bucket *b)
{
	uint64_t share = b->bytes_per_s / (b->streams > 0 ? b->streams : 1);

	if (b->bytes_per_s == 0 || share >= RATE_SHARE_LEAST)
		return b->bytes_per_s;
	return share < TOLD_LEAST ? TOLD_LEAST : share;
}

/* The lower of the two, as `of` tells it; 0: neither limits. */
static uint64_t slowest(struct rate_flow *f, uint64_t (*of)(const struct bucket *b))
{
	uint64_t own, all;

	if (!f)
		return 0;
	pthread_mutex_lock(&f->rate->lock);
	own = of(&f->own);
	all = of(&f->rate->all);
	pthread_mutex_unlock(&f->rate->lock);
	if (own == 0 || all == 0)
		return own + all;
	return own < all ? own : all;
}

size_t rate_piece(struct rate_flow *f, size_t max)
{
	uint64_t piece = slowest(f, piece_of);

	if (piece == 0 || piece >= max)
		return max;
	return piece < PIECE_LEAST ? PIECE_LEAST : (size_t)piece;
}

uint64_t rate_of_agent(struct rate_flow *f)
{
	uint64_t rate = slowest(f, told_of);

	return rate + rate / AGENT_EXTRA;
}
