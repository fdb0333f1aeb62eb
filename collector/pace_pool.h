/* pace_pool.h - how fast all captures together may go: the ceilings of pace.h once more, for their sum, and narrowed while the host is under
 * pressure.  Whoever takes something pays into the same account, and all rest while it is overdrawn; so one capture may have all of it, and
 * several share it by turns.  The ceiling is passed by what pace.h says and one step of each capture.
 *
 * Any thread; one short lock per step of a capture.  Pure: the caller says what time it is. */
#ifndef PCAPLINE_COLLECTOR_PACE_POOL_H
#define PCAPLINE_COLLECTOR_PACE_POOL_H

#include "collector/pace.h"
#include "common/err.h"

#include <pthread.h>

#define PACE_POOL_STEPS   3                       /* the narrowest: nothing is taken at all */
#define PACE_POOL_LEAST   (64u * 1024)            /* bytes per second below which no step goes */
#define PACE_POOL_LOOK_NS (250 * CLOCK_NS_PER_MS) /* who rests without an end looks again after this */

struct pace_pool {
	struct pace_limits limits; /* fixed */
	pthread_mutex_t lock;
	/* by lock */
	struct pace pace;
	struct pace_moment sum;
	unsigned step;
};

int pace_pool_init(struct pace_pool *p, const struct pace_limits *limits, uint64_t now_ns, struct err *err);
void pace_pool_done(struct pace_pool *p);

/* pace_pool_narrow: step 0: the ceilings as they are; 1, 2: a quarter and a sixteenth of them (of one core where CPU has no ceiling; bytes only
 * where there is one); 3: nothing. */
void pace_pool_narrow(struct pace_pool *p, unsigned step);

/* pace_pool_rest: at: of this capture; last: the same at its last call (its first: when it began), updated.  Until when to rest; 0: no need.
 * ret_bytes (untouched without a rest): it is for the bytes. */
uint64_t pace_pool_rest(struct pace_pool *p, struct pace_moment *last, const struct pace_moment *at, bool *ret_bytes);

size_t pace_pool_piece(struct pace_pool *p, size_t max); /* as pace_piece */
uint64_t pace_pool_bytes(struct pace_pool *p);           /* taken by all captures, ever */

#endif
