/* stream_out.h - where blocks are written: the reader's buffer, and a little of our own for what does not fit.
 * A round: stream_out_begin with the reader's buffer (first takes what was left of the last round), then blocks, each
 * stream_out_reserve, write, stream_out_add; at its end the buffer holds len bytes.  Once spilled, the round is over: at most one
 * packet and a few statistics blocks are ever kept, so the memory is bounded by spill_max. */
#ifndef PCAPLINE_COLLECTOR_STREAM_OUT_H
#define PCAPLINE_COLLECTOR_STREAM_OUT_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_out {
	uint8_t *dst;
	size_t room, len;
	uint8_t *spill;
	size_t spill_max, spill_from, spill_len; /* spill_len bytes from spill_from on */
};

int stream_out_init(struct stream_out *o, size_t spill_max, struct err *err);
void stream_out_done(struct stream_out *o);

void stream_out_begin(struct stream_out *o, uint8_t *dst, size_t room);

/* stream_out_reserve: where n bytes can be written; NULL when even the spill has no room for them. */
uint8_t *stream_out_reserve(struct stream_out *o, size_t n);

/* stream_out_add: the n bytes reserved last, all of them, were written. */
void stream_out_add(struct stream_out *o, size_t n);

/* stream_out_put: both in one, for small blocks.  false: no room. */
bool stream_out_put(struct stream_out *o, const uint8_t *p, size_t n);

bool stream_out_spilled(const struct stream_out *o);

#endif
