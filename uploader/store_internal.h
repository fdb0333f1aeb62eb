/* store_internal.h - what the files of the store share: store.c (the store, objects), store_plan.c (sizes of chunks), store_budget.c (room in the spool),
 * store_job.c (a running job: its writer), store_upload.c (chunks and object to the driver), store_part.c (one chunk), store_attempt.c (calls
 * tried again), store_upload_text.c (what the database keeps of an upload), recover.c (jobs of a process that died).  Units use it to set the
 * pace of retries. */
#ifndef PCAPLINE_UPLOADER_STORE_INTERNAL_H
#define PCAPLINE_UPLOADER_STORE_INTERNAL_H

#include "common/id.h"
#include "uploader/spool/chunk_note.h"
#include "uploader/spool/spool.h"
#include "uploader/store.h"

#include <pthread.h>
#include <stdatomic.h>

/* Attempts at one call of the driver: waits grow from first_ms by doubling up to cap_ms, each shortened by up to half at random so that
 * jobs do not come back all at once.  tries and total_ms count while a job is being finished. */
struct store_retry {
	unsigned tries;
	uint64_t first_ms, cap_ms, total_ms;
};

#define STORE_THREADS_MAX 16u /* of one job, whatever the driver can take */

struct store {
	char *spool_dir;
	uint64_t chunk_bytes; /* of the first chunks, by the plan */
	uint64_t job_bytes_max, min_free_bytes, spool_job_max_bytes, spool_max_bytes;
	struct job_db *db;
	struct driver *driver;
	void (*on_event)(void *ctx, const char *job_id, const char *type, const char *text);
	void *ctx;
	struct store_retry retry;
	_Atomic uint64_t spool_bytes; /* all chunk files that lie in the spool, also of jobs that nobody runs */
	struct {
		_Atomic uint64_t parts_stored, attempts_failed, given_up, objects, object_bytes;
	} counted;                 /* see store_figures */
	pthread_mutex_t jobs_lock; /* taken before a job's own */
	struct store_job *jobs;    /* by jobs_lock: all that are not freed yet */
	bool cancelled;            /* by jobs_lock: so is every job that comes */
};

/* One closed chunk. */
struct job_part {
	uint64_t bytes;
	char sha256[DIGEST_SHA256_HEX_MAX];
	struct chunk_note note;
	char *part; /* the driver's text; NULL: not stored yet */
	bool taken; /* a thread is at it */
};

struct store_job {
	/* fixed after the beginning */
	struct store *store;
	char id[ID_MAX];
	char *key;
	struct spool *spool;
	void *upload;           /* the driver's; used by the upload threads while there are any; set under lock */
	char *upload_text;      /* the driver's, to resume it; set anew by the thread that opens the upload */
	struct store_job *next; /* by the store's jobs_lock */

	/* the writer's */
	struct chunk_note note;   /* of the stream so far */
	struct digest *chunk_sum; /* of the open chunk; NULL: none is open */
	uint64_t chunk_bytes;     /* of the open chunk */
	uint64_t free_bytes;      /* what the disk had free at the last look, less what was written since */
	uint64_t free_look_bytes; /* written since that look */
	uint64_t lent_bytes;      /* of STORE_TAIL_BYTES: written although a budget or the disk reserve was reached */
	bool stopped;             /* a write failed: the chunk was cut back, what is there can be finished */
	struct err broken;        /* code set: closing a chunk failed, only recovery can sort that out */
	pthread_t threads[STORE_THREADS_MAX]; /* they run or wait to be joined */
	unsigned threads_n;

	_Atomic uint64_t bytes;       /* taken so far */
	_Atomic uint64_t spool_bytes; /* of these: not confirmed by the store */
	atomic_bool lost;             /* the store lost confirmed parts: nothing can come of the job (why) */

	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t cond; /* anything below changed that somebody may wait for */
	struct job_part *parts;
	uint32_t parts_n, parts_cap;
	uint32_t parts_from; /* so many first ones are stored */
	uint32_t taken_n, stored_n;
	uint64_t waiting_bytes; /* of parts not stored */
	bool opened;            /* the driver's upload takes parts */
	bool opening;           /* a thread is at that */
	bool open_at_driver;    /* it is open there, the database does not know yet; the opening thread's */
	unsigned calls;         /* threads that send a part, until it is confirmed */
	bool ended;             /* no more parts will come */
	uint64_t ended_ns;      /* since when (clock_mono_ns) */
	bool cancelled;         /* stop trying */
	bool failed;            /* given up: why */
	struct err why;
	unsigned failing;         /* calls that failed and are tried again */
	uint64_t outage_since_ns; /* wall clock; 0: none */
	char outage[256];         /* the last failure */
};

/* ---- store_job.c ---- */
struct store_job *store_job_new(struct store *s, const char *id, const char *key, struct err *err);
void store_job_free(struct store_job *j); /* no thread may run */
int store_job_open_chunk(struct store_job *j, struct err *err);
int store_job_append(struct store_job *j, const void *p, size_t n, const struct frame *after, struct err *err);
int store_job_close_chunk(struct store_job *j, bool last, struct err *err);

/* A closed chunk joins the list; p->part is copied. */
int store_job_add_part(struct store_job *j, const struct job_part *p, struct err *err);
void store_job_discard(struct store_job *j); /* upload, spool and records of a job that came to nothing; frees j */

/* The end of finishing and of recovering: no chunk is open, the rest goes to the driver, the object is completed, the spool cleaned. */
int store_job_complete(struct store_job *j, struct driver_object *ret, struct err *err);

/* ---- store_upload_text.c ---- */

/* What stands in the database about the upload as a whole: the driver's text and, once all parts are stored, what the object must be. */
struct upload_text {
	bool opened;   /* upload_open has worked, or the driver has none */
	bool complete; /* expect is known: all parts are stored */
	struct driver_object expect;
	const char *driver; /* borrowed */
};
int upload_text_parse(const char *text, struct upload_text *ret, struct err *err);
int store_upload_text_set(struct store_job *j, bool opened, const struct driver_object *expect, struct err *err);
int store_upload_state(struct store_job *j, struct err *err); /* asks the driver anew */

/* resume: NULL for a new one. */
int store_upload_begin(
	struct store_job *j, const struct driver_tags *tags, const struct upload_text *resume, struct err *err);

/* Takes back the upload that text (as in the database, "" : none) tells of. */
int store_upload_undo(struct store *s, const char *job_id, const char *key, const char *text, struct err *err);

/* ---- store_upload.c ---- */
void store_upload_wake(struct store_job *j);                 /* a part was added: makes threads as needed */
int store_upload_rest(struct store_job *j, struct err *err); /* no more parts: waits until all are stored */
int store_upload_complete(struct store_job *j, const struct driver_object *expect, struct err *err);
void store_upload_stop(struct store_job *j); /* cancels and joins */

/* ---- store_part.c ---- */
struct store_part {
	uint32_t seq;
	struct job_part part; /* as it stood in the list */
	bool alone;           /* it is the first and the last */
};
int store_part_run(struct store_job *j, void *arg, struct err *err); /* arg: struct store_part, taken */
bool store_part_is_final(const struct err *why);
bool store_is_lost(const struct err *why);
int store_upload_lost(uint32_t parts, uint64_t bytes, struct err *err); /* sets "storage_lost" */
int store_confirmed_lost(const struct store_job *j, struct err *err);   /* the lock is held, or no thread runs */

/* ---- store_attempt.c ---- */
struct store_attempt {
	const char *what; /* "chunk 3" */
	int (*run)(struct store_job *j, void *arg, struct err *err);
	void *arg;
	bool (*is_final)(const struct err *why); /* no use in trying again? */
};
int store_attempt(struct store_job *j, const struct store_attempt *a, struct err *err);

/* ---- store_budget.c ---- */
#define STORE_SPOOL_FULL "spool_full"                    /* err detail */
int store_spool_count(struct store *s, struct err *err); /* what former processes left */
void store_spool_add(struct store *s, uint64_t n);
void store_spool_sub(struct store *s, uint64_t n);
int store_spool_check(struct store *s, struct err *err); /* is there room for another job? */
int store_disk_look(struct store_job *j, struct err *err);
int store_allow(struct store_job *j, size_t n, struct err *err); /* may n bytes more go into the spool?  May lend */

/* ---- store_plan.c ---- */
uint64_t store_plan_first(
	uint64_t chunk_bytes, uint64_t job_bytes_max); /* chunk_bytes, doubled until the plan covers job_bytes_max */
uint64_t store_plan_bytes(uint64_t first, uint32_t seq);

/* ---- store.c ---- */
int store_clean(struct store *s, const char *job_id, struct err *err); /* spool folder and chunk records */
int store_free_bytes(const struct store *s, uint64_t *ret, struct err *err);

#endif
