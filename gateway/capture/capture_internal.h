/* capture_internal.h - the inside of a capture, shared by capture*.c only: capture.c (birth, death, what others may ask),
 * capture_run.c (the thread while packets flow), capture_follow.c (instances that come and go), capture_end.c (how it ends), capture_record.c (job record and events). */
#ifndef PCAPLINE_GATEWAY_CAPTURE_CAPTURE_INTERNAL_H
#define PCAPLINE_GATEWAY_CAPTURE_CAPTURE_INTERNAL_H

#include "common/clock.h"
#include "gateway/capture/agent_stream.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/capture_notes.h"
#include "gateway/capture/merge.h"
#include "gateway/capture/output.h"
#include "gateway/gateway.h"
#include "gateway/limits/rate.h"
#include "gateway/targets/target.h"

#include <pthread.h>
#include <stdatomic.h>

struct capture_instance {
	struct target_instance target;
	struct agent_stream *stream; /* the capture thread's own; others, by streams_lock, cut it */
	struct merge_input *input;
	bool started;      /* by lock */
	struct err error;  /* by lock */
	bool joined;       /* after the start */
	unsigned missed;   /* how often in a row the platform did not list it; by lock */
	bool left;         /* it is to be let go; by lock */
	bool leaving;      /* the thread's own: its agent was told */
	uint64_t ended_at; /* wall ns, by lock */
};

/* One interface of the output. */
struct capture_interface {
	unsigned instance;
	struct pcapng_stats stats; /* newest; comment NULL */
	uint64_t shed;             /* packets, by its agent on purpose */
	bool shedding;             /* and an event says that it does */
	uint64_t shed_event_ns;    /* mono, of the last such event */
};

struct capture {
	atomic_uint refs;
	struct gateway *gw;
	size_t n;
	struct capture_instance
		*instances; /* there is room for more; n and what is new by lock, written by the thread alone */
	struct target_instance *joining; /* to be taken in; by lock */
	size_t joining_n;
	bool follows, crowded;
	bool approved;       /* by an operator, before it began */
	struct watch *watch; /* NULL: nobody asks again */
	struct capture_exclude excludes[CAPTURE_EXCLUDES_MAX];
	size_t excludes_n;
	struct capture_forced forced[CAPTURE_FORCED_MAX];
	size_t forced_n;
	struct merge *merge;
	struct output *output;
	struct store_job *store; /* the thread's own; NULL: not stored */
	struct rate_flow *flow;  /* NULL: nothing slows it */

	/* Innermost, held for moments only: so a kill need not wait for whoever waits for a disk with the other lock in hand. */
	pthread_mutex_t streams_lock;
	/* by streams_lock: instances up to here, and that pointers to streams are set and taken away */
	size_t streams_n;
	atomic_int
		cut; /* enum stop_reason: the streams are cut, or not even begun, because of it; STOP_NONE: they are not */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* by lock */
	struct job *job;
	struct live *live; /* NULL: nobody looks */
	struct capture_interface *interfaces;
	uint32_t interfaces_n;
	uint64_t events; /* number of the newest event */
	uint64_t saved_ns;
	enum stop_reason stop_reason;
	char stop_by[128];
	struct err stop_why; /* code ERR_NONE: the reason says it all */
	bool killed, ended;
	struct driver_erased erased; /* when it was killed; bytes also of what was no object yet */
	bool closing;                /* the last bytes are on their way out: nobody joins who needs more */

	pthread_mutex_t told_lock;   /* the last of all, and held for a copy only */
	struct capture_figures told; /* by told_lock */

	/* the thread's own */
	bool stopping, full, slowed;
	const char *quota; /* the one that bounds it, NULL: none */
	uint64_t born_ns, started_ns, stop_deadline_ns, ticked_ns;
	struct err store_err;
};

/* capture_refresh: figures that others keep go into the record; the lock is held. */
void capture_refresh(struct capture *c);

/* capture_save: the record goes to the database. */
void capture_save(struct capture *c);

/* capture_set_state: the record's state and the times that go with it, saved. */
void capture_set_state(struct capture *c, enum job_state state);

/* capture_is_discarded: killed, and nothing of it is kept (the end of the gateway only cuts it short, and what is on hold is not erased).  The lock is held. */
bool capture_is_discarded(const struct capture *c);

/* capture_over: its last word is in the database; who waits for its end goes on. */
void capture_over(struct capture *c);

/* capture_instances_begin: of the start: an input and a record for each. */
int capture_instances_begin(struct capture *c, const struct target_instance *targets, struct err *err);

/* capture_take_joining: those that the platform has named since get their streams; those that left lose theirs.  The thread's own. */
void capture_take_joining(struct capture *c);

/* capture_gap_note: what of an instance that joined later is missing before it, "" : nothing.  The lock is held. */
void capture_gap_note(const struct capture *c, unsigned index, char ret[NOTE_MAX]);

/* capture_stream_start: asks the agent of an instance. */
void capture_stream_start(struct capture *c, unsigned index);

/* capture_run: the thread; takes over one reference. */
void *capture_run(void *arg);

/* capture_end: when no stream runs any more: last notes, sinks, final state. */
void capture_end(struct capture *c);

/* capture_fail: nothing of it is kept; state is FAILED, KILLED or PURGED. */
void capture_fail(struct capture *c, enum job_state state, enum stop_reason reason);

#endif
