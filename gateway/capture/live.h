/* live.h - the live sink of one job: its stream as numbered bytes, of which a bounded stretch is kept, and the viewers that read it.
 *
 * The stream is one sequence for everybody.  Bytes that a viewer has been sent stay for a while (half of the backlog), so that a viewer whose
 * connection broke goes on at any byte of it.  When the fastest viewer (or, with none connected, the point that the last one had reached) falls
 * further behind than the other half, new packets are left out of the stream - counted per interface, and said in the stream itself by a
 * statistics block with a comment - and never the old ones, so that numbering and blocks stay whole.  A viewer that is slower than the fastest one and falls off the
 * kept stretch is cut.  The sink never blocks its writer.
 *
 * Life: live_new, live_push by the writer, live_attach/read/detach by viewers' threads, live_end by the writer; live_unref by all who hold it. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_LIVE_H
#define PCAPLINE_GATEWAY_CAPTURE_LIVE_H

#include "common/err.h"
#include "gateway/capture/segment.h"
#include "schema/job.h"

#include <sys/types.h>

#define LIVE_VIEWERS_MAX 16

struct live;
struct live_viewer;

struct live *live_new(uint64_t backlog_bytes, enum job_format format, struct err *err);
struct live *live_ref(struct live *l);
void live_unref(struct live *l);

/* live_push: whole blocks, shared.  must: never left out (headers, last statistics). 0, or -1 on no memory. */
int live_push(struct live *l, struct segment *s, bool must, struct err *err);

/* live_end: nothing will follow.  whole: the stream is complete; else viewers' connections are cut after the last byte. */
void live_end(struct live *l, bool whole);

/* live_cut: after live_end: who has not taken all of it within ms is cut off, whatever is left. */
void live_cut(struct live *l, uint64_t ms);

uint64_t live_dropped(struct live *l);                        /* packets left out */
uint64_t live_dropped_of(struct live *l, uint32_t interface); /* of one interface */

/* live_attach: offset -1: at the newest block boundary, *ret_offset says where; prelude (taken, may be NULL) goes first and is not numbered.
 * Else at this byte.  ERR_STATE detail offset_gone; ERR_INPUT: beyond the end; ERR_BUSY: too many viewers. */
struct live_viewer *live_attach(
	struct live *l, int64_t offset, struct segment *prelude, int peer_fd, uint64_t *ret_offset, struct err *err);

/* live_read: blocks; bytes, HTTP_STREAM_END or HTTP_STREAM_ABORT (fell behind, peer gone, not whole). */
ssize_t live_read(struct live_viewer *v, uint8_t *dst, size_t max);
void live_detach(struct live_viewer *v);

/* live_fill: bytes kept, and viewers, just now. */
void live_fill(struct live *l, uint64_t *ret_bytes, unsigned *ret_viewers);

/* Nobody connected, and since when (monotonic; birth counts)? */
bool live_is_alone(struct live *l, uint64_t *ret_since_ns);
/* Has some viewer been given everything, to a clean end? */
bool live_is_delivered(struct live *l);

#endif
