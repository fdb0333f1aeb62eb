/* receiver.h - the chain of calls that brings a live stream here, without a lost or doubled byte however often it breaks.
 *
 *   first call -200-> RECEIVING -body whole-> complete
 *       |                |  cut         \-> the output failed, or its reader went: job is stopped, the rest is thrown away
 *       202, refused     RESUMING -200-> RECEIVING;  -409, 404, grace over-> broken
 *
 * Position in the stream: each answer says at which byte K its data begin, after P bytes of prelude (fresh header blocks for one who
 * attaches) that do not count.  So the next byte wanted is K + received - P. */
#ifndef PCAPLINE_CLI_RECEIVER_H
#define PCAPLINE_CLI_RECEIVER_H

#include "cli/api.h"
#include "cli/counter.h"
#include "cli/output.h"
#include "cli/stopper.h"
#include "cli/stream.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/id.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RECEIVER_STORED_MAX (1024u * 1024) /* bytes of the job in a 202 */

/* What became of a call, and in the end of all. */
enum call_end {
	CALL_WHOLE,   /* the stream came to its end */
	CALL_CUT,     /* broken off; never the end of all */
	CALL_REFUSED, /* err says why; after a beginning: it could not be resumed */
	CALL_STORED,  /* 202: the gateway stores instead */
	CALL_LEFT,    /* the user left */
};

/* The owner sets the first group; receiver_init the rest. */
struct receiver {
	const struct api *api;
	const char *request; /* start with this JSON text; NULL: attach to attach_job */
	const char *attach_job;
	const char *approved_job; /* start: this one, which is there and approved; NULL: a new one */
	struct stopper *stopper;
	struct out *out;
	struct counter *counter;
	unsigned grace_s; /* for so long a broken stream can be resumed */
	/* The job is known and its data will come: makes the output ready.  -1 with err ends it all. */
	int (*on_begin)(void *ctx, const char *job, struct err *err);
	void *ctx;

	struct stream *stream;
	pthread_mutex_t lock;             /* counter, between the receiver and the live line */
	char job[ID_MAX];                 /* "" : not known */
	uint64_t base, prelude, received; /* of the present answer */
	uint64_t contact_ns;              /* the gateway was last heard of */
	_Atomic bool begun;               /* a 200 was there: the output is ours */
	bool discarding;                  /* nothing is written any more */
	bool pipe_closed;                 /* since the reader of stdout has gone */
	bool answered_now;                /* the call that runs or ran last got a 200 */
	struct err fault;                 /* why the output or the stream failed, or what was wrong with an answer */
	struct buf stored;                /* the job of a 202 */
};

/* receiver_init: receiver_done must follow, also after a failure. */
int receiver_init(struct receiver *r, struct err *err);
void receiver_done(struct receiver *r);

enum call_end receiver_run(struct receiver *r, struct err *err);

#endif
