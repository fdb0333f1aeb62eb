/* agent_stream.h - one instance of a capture: dials its agent over mutual TLS, starts the capture there, reads its pcapng stream and feeds it,
 * re-encoded with this job's interface numbers, to a merge input.  One thread of its own with blocking calls.
 *
 * Where headers only are asked for, an agent that does not confirm them (AGENT_PAYLOAD_HEADER), or sends more of a packet than headers can be, ends its
 * instance with detail "agent_payload".  Of one that does not confirm not a packet is taken.
 *
 * Life: agent_stream_start, (agent_stream_stop), agent_stream_join.  The callbacks come from the stream's thread. */
#ifndef PCAPLINE_GATEWAY_CAPTURE_AGENT_STREAM_H
#define PCAPLINE_GATEWAY_CAPTURE_AGENT_STREAM_H

#include "common/err.h"
#include "common/tls_files.h"
#include "gateway/capture/merge.h"
#include "gateway/limits/rate.h"
#include "schema/capture_request.h"
#include "schema/pcapng.h"
#include "schema/stop_reason.h"

#include <stdbool.h>
#include <stdint.h>

struct agent_stream;

struct agent_stream_ops {
	/* The agent described an interface; gives its number in the job's stream. -1 with err ends the stream. */
	int (*interface)(
		void *ctx, unsigned index, const struct pcapng_interface *i, uint32_t *ret_id, struct err *err);
	/* Figures so far; last ones have a stop note in comment.  interface_id is the job's. */
	void (*stats)(void *ctx, unsigned index, const struct pcapng_stats *s);
	/* The end: err.code ERR_NONE: by itself, for reason.  Exactly once, also when it never started; started tells. */
	void (*ended)(void *ctx, unsigned index, bool started, enum stop_reason reason, const char *note,
		const struct err *err);
};

struct agent_stream_options {
	unsigned index;   /* of the instance in the job */
	const char *host; /* copied */
	/* Further addresses of the same machine, numeric, at most TARGET_OTHERS_MAX; copied.  Tried in their order while nobody answers, or not the machine that is meant. */
	const char (*others)[46];
	size_t others_n;
	uint16_t port;
	const char *agent_name;              /* in its certificate; copied */
	const struct tls_files *tls;         /* borrowed */
	const struct agent_request *request; /* copied */
	uint64_t connect_ms, start_ms, idle_ms;
	struct merge_input *input; /* closed when the stream ends */
	struct rate_flow *flow;    /* borrowed; NULL: nothing slows it */
	const struct agent_stream_ops *ops;
	void *ctx;
};

struct agent_stream *agent_stream_start(const struct agent_stream_options *o, struct err *err);

/* agent_stream_stop: asks the agent for a graceful end, from a thread of its own; returns at once.  Once; when the stream has not started
 * yet it is cancelled. */
void agent_stream_stop(struct agent_stream *s);

/* agent_stream_cancel: cuts the connection, which ends the capture at the agent. Returns at once. */
void agent_stream_cancel(struct agent_stream *s);

/* agent_stream_join: waits for its threads and frees. */
void agent_stream_join(struct agent_stream *s);

#endif
