/* rate.h - how fast packets may come in: bytes per second of one capture, and of the whole gateway, which its users share fairly (fair.h).
 *
 * Who reads from an agent asks before it hands on what it has read, and waits.  Meanwhile it reads nothing, TCP pushes back, the agent rests, and its
 * kernel's ring drops and counts what does not fit: nothing is lost in silence.  Nobody waits for longer than RATE_WAIT_MAX_NS at once, for an agent that gets rid of
 * nothing for longer takes its gateway for gone; what was passed on too early is paid for by who comes next.
 *
 * So that it is everybody's turn before that, the more streams there are the less each reads at once.  Less than a TLS record is not read at once, though:
 * where a stream's share is below RATE_SHARE_LEAST its agent is told that share to keep itself.  Above it none is, for a share is for the whole time: who has much
 * shall have what the others leave.
 *
 * Life: rate_new; of each capture rate_flow_new, rate_join for each stream that it will have, rate_take by any of their threads, rate_leave when one
 * is over, rate_open when all are to end, rate_flow_free when no thread takes any more; rate_free.  NULL for a flow: nothing slows. */
#ifndef PCAPLINE_GATEWAY_LIMITS_RATE_H
#define PCAPLINE_GATEWAY_LIMITS_RATE_H

#include "common/clock.h"
#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define RATE_WAIT_MAX_NS (1500 * CLOCK_NS_PER_MS) /* an agent waits for 2 s at least (its limits.peer_timeout) */
#define RATE_LEAST       (UINT64_C(64) * 1024)    /* less would be pieces smaller than a packet */
#define RATE_SHARE_LEAST (UINT64_C(16) * 1024)    /* of one stream: the largest TLS record each second */
#define RATE_MAX         (UINT64_C(1) << 34)      /* so that a second's worth of nanoseconds times it fits */

struct rate;
struct rate_flow;

/* Bytes per second, 0 or RATE_LEAST..RATE_MAX: of each capture, of all together; 0: no limit. */
struct rate *rate_new(uint64_t per_capture, uint64_t all, struct err *err);
void rate_free(struct rate *r);

struct rate_flow *rate_flow_new(
	struct rate *r, const char *user_id, struct err *err); /* r NULL: NULL, without an error */
void rate_flow_free(struct rate_flow *f);

void rate_join(struct rate_flow *f); /* one more stream */
void rate_leave(struct rate_flow *f);

/* rate_take: waits until n bytes may pass. */
void rate_take(struct rate_flow *f, size_t n);

/* rate_open: from now on nothing of this flow waits: what is on its way at the end shall arrive. */
void rate_open(struct rate_flow *f);

/* rate_limit: by which limit it was slowed first, "limits.rate_per_capture" or "limits.rate", and how fast that lets it be; NULL: not at all so far. */
const char *rate_limit(struct rate_flow *f, uint64_t *ret_bytes_per_s);

/* rate_piece: of at most max bytes, how many to read at once just now, so that a slow flow flows rather than jumps, and all streams have their turn. */
size_t rate_piece(struct rate_flow *f, size_t max);

/* rate_of_agent: what the agent of a stream that begins is told to keep itself; 0: nothing.  A little more than the limit here: this one is to be met first, where it is told. */
uint64_t rate_of_agent(struct rate_flow *f);

#endif
