#include "collector/pace.h"

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* n * mul / div without the product's overflow; div > 0, and (div - 1) * mul fits. */
static uint64_t scale(uint64_t n, uint64_t mul, uint64_t div)
{
	uint64_t whole;

	if (__builtin_mul_overflow(n / div, mul, &whole))
		return UINT64_MAX;
	return add(whole, n % div * mul / div);
}

void pace_begin(struct pace *p, const struct pace_limits *limits, const struct pace_moment *at)
{
	*p = (struct pace){.limits = *limits, .last = *at, .bytes_paid_ns = at->now_ns, .cpu_paid_ns = at->now_ns};
}

/* The price is paid from the last look on, for it was run up since then. */
static uint64_t paid(uint64_t before, uint64_t since, uint64_t price)
{
	return add(most(before, since), price);
}

uint64_t pace_rest(struct pace *p, const struct pace_moment *at)
{
	const uint64_t bytes = at->bytes - p->last.bytes;
	const uint64_t cpu_ns = at->cpu_ns > p->last.cpu_ns ? at->cpu_ns - p->last.cpu_ns : 0;
	uint64_t until = 0;

	if (p->limits.bytes_per_s) {
		p->bytes_paid_ns =
			paid(p->bytes_paid_ns, p->last.now_ns, scale(bytes, CLOCK_NS_PER_S, p->limits.bytes_per_s));
		until = p->bytes_paid_ns;
	}
	if (p->limits.cpu_percent) {
		p->cpu_paid_ns = paid(p->cpu_paid_ns, p->last.now_ns, scale(cpu_ns, 100, p->limits.cpu_percent));
		until = most(until, p->cpu_paid_ns);
	}
	if (p->resting)
		p->rested_ns += at->now_ns - p->last.now_ns;
	p->resting = until > add(at->now_ns, p->resting ? 0 : PACE_AHEAD_NS);
	p->last = *at;
	return p->resting ? until : 0;
}

bool pace_is_for_bytes(const struct pace *p)
{
	return p->limits.bytes_per_s && (!p->limits.cpu_percent || p->bytes_paid_ns >= p->cpu_paid_ns);
}

size_t pace_piece(const struct pace *p, size_t max)
{
	uint64_t piece = scale(PACE_AHEAD_NS, p->limits.bytes_per_s, CLOCK_NS_PER_S);

	if (p->limits.bytes_per_s == 0 || piece >= max)
		return max;
	return piece ? (size_t)piece : 1;
}
