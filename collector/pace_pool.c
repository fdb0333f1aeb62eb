#include "collector/pace_pool.h"

#define STEP_BITS 2 /* a quarter each */
#define ONE_CORE  100

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int pace_pool_init(struct pace_pool *p, const struct pace_limits *limits, uint64_t now_ns, struct err *err)
{
	int rc;

	*p = (struct pace_pool){.limits = *limits, .sum.now_ns = now_ns};
	if ((rc = pthread_mutex_init(&p->lock, NULL)) != 0)
		return err_sys(err, rc, "mutex");
	pace_begin(&p->pace, limits, &p->sum);
	return 0;
}

void pace_pool_done(struct pace_pool *p)
{
	pthread_mutex_destroy(&p->lock);
}

void pace_pool_narrow(struct pace_pool *p, unsigned step)
{
	const unsigned shift = STEP_BITS * step;
	struct pace_limits l = p->limits;

	if (step > 0) {
		l.cpu_percent = (unsigned)most((l.cpu_percent ? l.cpu_percent : ONE_CORE) >> shift, 1);
		l.bytes_per_s = l.bytes_per_s ? most(l.bytes_per_s >> shift, PACE_POOL_LEAST) : 0;
	}
	pthread_mutex_lock(&p->lock);
	p->step = step;
	p->pace.limits = l;
	pthread_mutex_unlock(&p->lock);
}

uint64_t pace_pool_rest(struct pace_pool *p, struct pace_moment *last, const struct pace_moment *at, bool *ret_bytes)
{
	uint64_t until;

	pthread_mutex_lock(&p->lock);
	p->sum.bytes += at->bytes - last->bytes;
	p->sum.cpu_ns += at->cpu_ns > last->cpu_ns ? at->cpu_ns - last->cpu_ns : 0;
	p->sum.now_ns = most(p->sum.now_ns, at->now_ns); /* others may have looked at a later clock already */
	until = pace_rest(&p->pace, &p->sum);
	if (p->step >= PACE_POOL_STEPS)
		until = most(until, at->now_ns + PACE_POOL_LOOK_NS);
	if (until)
		*ret_bytes = pace_is_for_bytes(&p->pace);
	pthread_mutex_unlock(&p->lock);
	*last = *at;
	return until;
}

size_t pace_pool_piece(struct pace_pool *p, size_t max)
{
	size_t n;

	pthread_mutex_lock(&p->lock);
	n = pace_piece(&p->pace, max);
	pthread_mutex_unlock(&p->lock);
	return n;
}

uint64_t pace_pool_bytes(struct pace_pool *p)
{
	uint64_t n;

	pthread_mutex_lock(&p->lock);
	n = p->sum.bytes;
	pthread_mutex_unlock(&p->lock);
	return n;
}
