/* output.h - the stream of one job as its sinks get it: section header, an interface block for each instance, packets, statistics; in
 * pcapng or classic pcap.  Numbers interfaces, keeps the job's limits, counts what went out, and hands segments to the sinks (live, store;
 * one or both).
 *
 * output_interface and output_join may be called by any thread, the rest by the job's thread only. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_OUTPUT_H
#define PCAPLINE_GATEWAY_CAPTURE_OUTPUT_H

#include "gateway/capture/live.h"
#include "gateway/capture/merge.h"
#include "schema/job.h"
#include "schema/pcapng.h"
#include "uploader/store.h"

struct output;

struct output_options {
	enum job_format format;
	uint64_t max_packets, max_bytes; /* 0: none */
	uint32_t snaplen;
	struct live *live;       /* a reference is taken; may be NULL */
	struct store_job *store; /* borrowed; may be NULL */
};

struct output *output_new(const struct output_options *o, const struct pcapng_section *section, struct err *err);
void output_free(struct output *o);

/* output_interface: describes one more interface; it can be used from then on.  ERR_STATE detail link_type_mismatch: classic pcap takes one link type only. */
int output_interface(struct output *o, const struct pcapng_interface *i, uint32_t *ret_id, struct err *err);

/* What a piece met.  From the first one that is not OUTPUT_OK on, packets are refused. */
enum output_result {
	OUTPUT_OK,
	OUTPUT_ASK_AGAIN, /* nothing went out, packets are not refused: an interface came after output_need, and what was allowed knows nothing of it */
	OUTPUT_FULL_PACKETS,
	OUTPUT_FULL_BYTES,
	OUTPUT_FULL_QUOTA, /* as large as output_allow said */
	OUTPUT_FULL_STORE, /* as large as the gateway stores */
	OUTPUT_FULL_SPOOL, /* what waits for the store has no more room */
	OUTPUT_FAILED
};

/* output_piece: ret_packets, ret_bytes: those of the piece that went out.  OUTPUT_FAILED fills err (ERR_FULL: as store_write says). */
enum output_result output_piece(
	struct output *o, const struct merge_piece *p, uint64_t *ret_packets, uint64_t *ret_bytes, struct err *err);

/* output_stats: a statistics block of our own; always goes out (pcapng only). */
int output_stats(struct output *o, const struct pcapng_stats *s, struct err *err);

/* output_flush: what was gathered goes to the sinks. */
int output_flush(struct output *o, struct err *err);

/* output_join: a viewer for the stream from here on (offset -1) or from a numbered byte.  live: the job's live sink, which the output feeds from now on
 * if it did not yet.  With offset -1 fresh header blocks (*ret_prelude_bytes) go to the viewer first.  See live_attach. */
struct live_viewer *output_join(struct output *o, struct live *live, int64_t offset, int peer_fd, uint64_t *ret_offset,
	size_t *ret_prelude_bytes, struct err *err);

/* output_leave: the live sink gets nothing more. */
void output_leave(struct output *o);

/* output_need: how large it is with so many bytes of packets more, were this the end: with the last statistics.  Who keeps a quota asks, and says with
 * output_allow before the next piece how large it may become so; UINT64_MAX: as the options said (the default). */
uint64_t output_need(struct output *o, size_t more);
void output_allow(struct output *o, uint64_t bytes);

uint64_t output_bytes(struct output *o); /* of the stream so far */

#endif
