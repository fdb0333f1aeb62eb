/* merge.h - N streams of blocks into one, in the order of their timestamps, within a bounded window and bounded memory.
 *
 * Each input is a queue fed by one producer thread; one consumer thread takes pieces.  The oldest head goes first.  While some open
 * input is empty nobody knows what it will bring, so a head waits until it has been here for window_ns, or until a queue is full; then it goes,
 * and what comes later with an older timestamp is delivered all the same but counted late.  One input alone never waits.  So a hung input delays the
 * others by the window and no more, and a full queue blocks only its own producer.
 * While it is held (merge_hold) inputs may still come, and it does not end when all there are have ended.
 *
 * Life: merge_new, merge_add for each input, merge_push... merge_close by the producers, merge_next by the consumer until MERGE_END; then
 * merge_free, after the producers are joined. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_MERGE_H
#define PCAPLINE_GATEWAY_CAPTURE_MERGE_H

#include "common/err.h"
#include "gateway/capture/segment.h"

#include <stdbool.h>

struct merge;
struct merge_input;

struct merge *merge_new(uint64_t window_ns, size_t queue_bytes, struct err *err);
void merge_free(struct merge *m);

/* tag comes back with each piece.  Any thread, any time before MERGE_END. */
struct merge_input *merge_add(struct merge *m, unsigned tag, struct err *err);

/* merge_push: takes s over (whole packet and statistics blocks of our own writer).  Blocks while the queue is full (a segment larger than the
 * queue passes when the queue is empty).  -1: closed or aborted, s is gone. */
int merge_push(struct merge_input *in, struct segment *s);

/* merge_close: no more will come; what is queued is still delivered.  Idempotent, any thread. */
void merge_close(struct merge_input *in);

/* merge_abort: closes all inputs and forgets what is queued. */
void merge_abort(struct merge *m);

/* merge_hold: while held there is no MERGE_END: inputs may still be added.  Any thread. */
void merge_hold(struct merge *m, bool held);

/* merge_wake: makes merge_next return MERGE_WOKEN soon. Any thread. */
void merge_wake(struct merge *m);

/* merge_queued: bytes that wait in it. */
uint64_t merge_queued(struct merge *m);

enum merge_result { MERGE_PIECE, MERGE_IDLE, MERGE_WOKEN, MERGE_END };

struct merge_piece {
	unsigned tag;
	struct segment *segment; /* a reference of the caller's */
	size_t off, len;         /* the blocks: a run in order */
	uint64_t packets, captured_bytes, late;
	uint64_t last_ts_ns;
};

/* merge_next: MERGE_IDLE when nothing was due until deadline_ns (monotonic). */
enum merge_result merge_next(struct merge *m, uint64_t deadline_ns, struct merge_piece *ret);

#endif
