/* fair.h - who goes next when there is not enough for all: start-time fair queueing between users.
 *
 * Each piece gets a tag when it begins to wait: where its user stands, which is never behind what is being served now; then its user moves on by the
 * piece's size.  The least tag goes first.  So users who always want more get the same, however many streams each has; who wants less gets all of it;
 * and nobody saves up for later.
 *
 * Pure: no clock, no lock of its own. */
#ifndef PCAPLINE_GATEWAY_LIMITS_FAIR_H
#define PCAPLINE_GATEWAY_LIMITS_FAIR_H

#include <stdint.h>

/* One of those who share; zero-initialised. */
struct fair_user {
	uint64_t stands;
};

struct fair_piece {
	struct fair_piece *next;
	uint64_t tag, bytes;
};

/* Zero-initialised: empty. */
struct fair {
	struct fair_piece *waiting; /* by tag, then as they came */
	uint64_t now;               /* tag of what was served last */
};

/* fair_add: p waits; it stays its owner's until it is taken out. */
void fair_add(struct fair *f, struct fair_user *u, struct fair_piece *p, uint64_t bytes);
struct fair_piece *fair_first(const struct fair *f); /* NULL: nobody waits */
void fair_remove(struct fair *f, struct fair_piece *p);

#endif
