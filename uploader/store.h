/* store.h - everything between "bytes of a job" and "an object somebody can download": spool, chunks, driver, recovery, retention, purge.
 * Knows no HTTP server and no users.
 *
 * Life of the bytes of a job:
 *   spool/<job>/000001.open   being written (whole blocks only, unbuffered: what store_write took survives kill -9)
 *   spool/<job>/000001.chunk  closed: flushed, renamed, its SHA-256 in the database (.last: the one that ends the object)
 *   part 1 at the driver      uploaded by the store's own threads while the capture runs; then the spool file is removed
 *   object                    all parts, completed and verified; then spool folder and chunk records go
 * The spool is bounded per job, over all jobs and by free disk. */
#ifndef PCAPLINE_UPLOADER_STORE_H
#define PCAPLINE_UPLOADER_STORE_H

#include "common/err.h"
#include "schema/job_db.h"
#include "uploader/driver.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_job; /* the spool and upload of one running capture */

/* Where below the spool a driver that sends whole objects puts the parts together. */
#define STORE_STAGING_NAME ".staging"

struct store_options {
	const char *spool_dir;   /* made when missing (0700) */
	uint64_t chunk_bytes;    /* of the first chunks; later ones are larger (store_chunk_bytes) */
	uint64_t job_bytes_max;  /* of one object */
	uint64_t min_free_bytes; /* of the spool's file system */
	/* What may wait in the spool, closed chunks that the store has not confirmed and open ones: of one job, and in all with what former
	 * processes left; 0: no limit. */
	uint64_t spool_job_max_bytes, spool_max_bytes;
	struct job_db *db;     /* borrowed: chunk records */
	struct driver *driver; /* taken over (when store_open fails: still the caller's) */
	/* Told from upload threads (of one job from several) when an outage begins ("storage_retry": the store fails, parts are tried again), when it is
	 * over ("storage_ok") or when the upload is given up ("storage_failed"), and from store_recover when a chunk is damaged or missing and
	 * the object therefore ends before it ("storage_damaged"); may be NULL.  text is a plain sentence. */
	void (*on_event)(void *ctx, const char *job_id, const char *type, const char *text);
	void *ctx;
};

struct store *store_open(const struct store_options *o, struct err *err);
void store_close(struct store *s); /* waits for upload threads; jobs must be finished or dropped before */
int store_check(struct store *s, struct err *err); /* may a capture be stored now?  ERR_FULL, ERR_UNAVAILABLE... */

/* store_examine: what an operator should know of the store (driver.h); of a driver that has nothing to tell no findings, 0.
 * ERR_CANCELLED: store_cancel came in between. */
int store_examine(struct store *s, struct driver_findings *ret, struct err *err);

/* store_chunk_bytes: a chunk with this number is closed when it has so many bytes.  They grow so that job_bytes_max fits into
 * STORE_PARTS_MAX of them, which is what S3 takes; only the last chunk of an object can be smaller. */
#define STORE_PARTS_MAX 10000u
uint64_t store_chunk_bytes(const struct store *s, uint32_t seq);

/* store_key: "<prefix>/<org or deployment>/<yyyy>/<mm>/<dd>/<job>.pcapng" with each component made of [A-Za-z0-9._-] (others become '_',
 * and so does a leading '.'; at most 128 bytes each).  prefix may have several components or none, an empty owner is "_"; extension
 * without the dot.  New string, NULL on no memory. */
char *store_key(const char *prefix, const char *owner, uint64_t created_ns, const char *job_id, const char *extension);

/* ---- a running job: one writer thread (store_job_bytes, store_job_status: any) ---- */

/* store_job_begin: spool folder and upload.  tags->job is the id; the job must be in the database.  ERR_STATE: spool or object of that
 * job are there already. */
struct store_job *store_job_begin(struct store *s, const char *key, const struct driver_tags *tags, struct err *err);

/* store_write: whole pcapng blocks, or the header and whole records of classic pcap (one format per job).  -1: ERR_FULL (disk or spool budget: with
 * detail "spool_full"; job_bytes_max: without; nothing of these bytes was taken; finish what there is), ERR_IO (with detail "storage_lost"
 * when the store lost parts that it had confirmed: no object will come of it), or ERR_INTERNAL (not whole blocks).
 * After a failure only store_job_finish or store_job_drop may follow; the spool then ends at the last good write. */
int store_write(struct store_job *j, const void *blocks, size_t n, struct err *err);
uint64_t store_job_bytes(const struct store_job *j);

/* store_room: room for how many more bytes before job_bytes_max, a spool budget or the disk reserve is reached (the last STORE_TAIL_BYTES are kept for
 * the end notes).  Who stops at 0 can still write that many: job_bytes_max leaves them, budgets and reserve lend them. */
#define STORE_TAIL_BYTES (256u * 1024)
uint64_t store_room(const struct store_job *j);
bool store_room_is_spool(const struct store_job *j); /* what limits it: the spool (budget, disk), not job_bytes_max */

struct store_job_status {
	uint32_t parts_waiting;        /* closed chunks that the store has not confirmed */
	uint64_t bytes_waiting;        /* of these */
	uint64_t unreachable_since_ns; /* wall clock: since when calls of the driver fail; 0: all is well */
	char error[256];               /* why, a plain sentence; "" when all is well */
};
void store_job_status(struct store_job *j, struct store_job_status *ret); /* between begin and finish */

/* store_chunk_largest: the largest chunk of a capture of job_bytes_max whose first ones have chunk_bytes.  The spool must have room for two of them, one
 * open and one on its way. */
uint64_t store_chunk_largest(uint64_t chunk_bytes, uint64_t job_bytes_max);

/* store_status: the same by id, at any time, also of a job that is being finished or recovered.  False: the store is not at work on it. */
bool store_status(struct store *s, const char *job_id, struct store_job_status *ret);

/* store_figures: of the whole store, for monitoring; waits for no store.  Counters are this process's. */
struct store_figures {
	uint64_t spool_bytes, spool_max_bytes; /* waiting in the spool; 0: no limit */
	uint64_t parts_waiting;
	uint64_t jobs_failing;                            /* whose calls fail just now and are tried again */
	uint64_t parts_stored, attempts_failed, given_up; /* given_up: uploads that were */
	uint64_t objects, object_bytes;
};
void store_figures(struct store *s, struct store_figures *ret);

/* store_job_finish: closes the last chunk, waits for the uploads, completes and verifies; frees j.  While the capture runs a failing store is tried
 * again for ever; from here on for a while.  On failure the spool is left for store_recover (which can be called again later); ERR_IO, ERR_NET...
 * ERR_IO with detail "storage_lost": trying again is no use, the store lost parts that it had confirmed.
 * ERR_NOT_FOUND: not a byte was written (then nothing is left of it either). */
int store_job_finish(struct store_job *j, struct driver_object *ret, struct err *err);
/* store_cancel: nobody waits any longer for this job (NULL: for any, from now on): what is under way at the driver ends soon, store_job_finish and
 * store_recover with ERR_CANCELLED, and the spool stays.  Any thread; a job that is not known is fine.  NULL: the store is about to be closed, so everything else that asks the
 * driver ends as well (store_erase, store_check, store_examine...), but reading an object. */
void store_cancel(struct store *s, const char *job_id);

void store_job_drop(struct store_job *j); /* erases spool and upload; frees j */
/* store_job_leave: erases the spool and frees j, but asks the driver nothing, which may hang: store_erase must follow. */
void store_job_leave(struct store_job *j);

/* ---- after a restart ---- */
/* store_recover: finishes job_id from what spool and database hold, wherever the process died; call it again after a failure.
 * The last open chunk is cut to its last whole block.  A chunk that is damaged (its SHA-256 is not the one in the database) or missing
 * ends the object before it: the object is always a prefix of what was written, never with a hole.  Of pcapng the callback then makes
 * the tail (whole blocks for interfaces 0..interfaces_n-1, at most room bytes, STORE_TAIL_BYTES; 0 bytes are fine), unless the job had reached
 * store_job_finish: then its own end notes are in.  Classic pcap has no tail.  tail may be NULL.
 * ERR_NOT_FOUND: the spool holds no byte of it (then nothing is left of it either).  ERR_IO: nothing before a damaged chunk is left, or (detail
 * "storage_lost") the store lost parts that it had confirmed; the spool stays until store_erase. */
typedef int (*store_tail_fn)(
	void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err);
int store_recover(struct store *s, const char *job_id, const char *key, const struct driver_tags *tags,
	store_tail_fn tail, void *ctx, struct driver_object *ret, struct err *err);

/* store_orphans: folders in the spool whose name is a job id for which known() says no are erased, with what their uploads left at the
 * driver; others are left alone and counted. */
int store_orphans(struct store *s, bool (*known)(void *ctx, const char *job_id), void *ctx, unsigned *ret_erased,
	unsigned *ret_foreign, struct err *err);

/* ---- objects ---- */
/* store_objects_are_files: store_object_open works.  store_object_open: a descriptor, caller closes.  store_object_read: exactly n bytes from
 * offset on, of any store. */
bool store_objects_are_files(const struct store *s);
int store_object_open(struct store *s, const char *key, uint64_t *ret_bytes, struct err *err);
int store_object_read(struct store *s, const char *key, uint64_t offset, void *dst, size_t n, struct err *err);
/* store_object_url: a URL of the store's own, good for *ttl_s or what that was made by the store (less); NULL without err set when links are the gateway's business. */
char *store_object_url(struct store *s, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err);

/* store_erase: every version of the object, open uploads, spool, chunk records, one-time links of the job; verified.  Nothing there is success.
 * ret: what the store held of it, and has no more, on -1 too; may be NULL. */
int store_erase(struct store *s, const char *job_id, const char *key, struct driver_erased *ret, struct err *err);

#endif
