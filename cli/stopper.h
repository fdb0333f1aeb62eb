/* stopper.h - Ctrl-C while something is received.  The first SIGINT, SIGTERM or SIGHUP asks the gateway to stop the job,
 * and reception goes on until the stream ends, STOPPER_BOUND_MS at most; a second one leaves at once, a third one kills.
 * Without a job to stop (stops_job false: only watching) the first one leaves.
 *
 * A thread watches a pipe that the signal handler writes to; the stop itself is posted by another one, so that a gateway which
 * does not answer cannot hold up the second Ctrl-C.  One stopper at a time.  All functions may be called from any thread. */
#ifndef PCAPLINE_CLI_STOPPER_H
#define PCAPLINE_CLI_STOPPER_H

#include "cli/api.h"
#include "common/err.h"
#include "common/http_client.h"

#include <stdbool.h>

#define STOPPER_BOUND_MS 15000u /* from the stop until we leave without the stream's end */
#define STOPPER_TICK_MS  250u   /* how often on_tick is called */

#define STOPPER_CALLS_MAX 16 /* stopper_run at the same time: packets and events, or the connections of a download */

struct stopper;

struct stopper_options {
	const struct api *api;
	bool stops_job;
	bool is_bounded;            /* leave STOPPER_BOUND_MS after the stop */
	void (*on_tick)(void *ctx); /* from the stopper's thread, while stderr is a terminal; may be NULL */
	void *ctx;
};

struct stopper *stopper_start(const struct stopper_options *o, struct err *err);
void stopper_free(struct stopper *s); /* ends the threads, gives the signals back; accepts NULL */

/* The job to stop, as soon as it is known; a stop that was asked before is posted then. */
void stopper_set_job(struct stopper *s, const char *job);

/* stopper_run: api_stream_run with a call that leaving cancels. */
int stopper_run(struct stopper *s, struct http_call *call, struct err *err);

void stopper_ask(struct stopper *s);   /* as the first Ctrl-C, without words */
void stopper_leave(struct stopper *s); /* as the second one */
bool stopper_is_asked(struct stopper *s);
bool stopper_is_leaving(struct stopper *s);
void stopper_received(struct stopper *s);           /* the end is here: no bound any more */
void stopper_sleep(struct stopper *s, unsigned ms); /* less when leaving */

#endif
