/* store.h - everything between "bytes of a job" and "an object somebody can download": spool, chunks, driver, recovery, retention, purge.
 * Knows no HTTP server and no users.
 *
 * Life of the bytes of a job:
 *   spool/<job>/000001.open   being written (whole blocks only, unbuffered: what store_write took survives kill -9)
 *   spool/<job>/000001.chunk  closed: flushed, renamed, its SHA-256 in the database
 *   part 1 at the driver      uploaded by the store's own thread while the capture runs; then the spool file is removed
 *   object                    all parts, completed and verified; then spool folder and chunk records go
 * The spool is bounded per job (chunks that wait) and by free disk. */
#ifndef PCAPLINE_UPLOADER_STORE_H
#define PCAPLINE_UPLOADER_STORE_H

#include "common/err.h"
#include "schema/job_db.h"
#include "uploader/driver.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_job; /* the spool and upload of one running capture */

struct store_options {
	const char *spool_dir;      /* made when missing (0700) */
	uint64_t chunk_bytes;       /* a chunk is closed when it has this many */
	uint64_t job_bytes_max;     /* of one object */
	uint64_t min_free_bytes;    /* of the spool's file system */
	struct job_db *db;          /* borrowed: chunk records */
	struct driver *driver;      /* taken over */
	/* told from the upload thread when a part fails or works again; may be NULL.  text is a plain sentence. */
	void (*on_event)(void *ctx, const char *job_id, const char *type, const char *text);
	void *ctx;
};

struct store *store_open(const struct store_options *o, struct err *err);
void store_close(struct store *s); /* waits for upload threads; jobs must be finished or dropped before */
int store_check(struct store *s, struct err *err); /* may a capture be stored now?  ERR_FULL, ERR_UNAVAILABLE... */

/* store_key: "<prefix>/<org or deployment>/<yyyy>/<mm>/<dd>/<job>.pcapng" with each component made of [A-Za-z0-9._-] (others become '_',
 * never "." or ".."); new string. */
char *store_key(const char *prefix, const char *owner, uint64_t created_ns, const char *job_id, const char *extension);

/* ---- a running job: one writer thread ---- */
struct store_job *store_job_begin(struct store *s, const char *key, const struct driver_tags *tags, struct err *err); /* tags->job is the id */

/* store_write: whole blocks.  -1: ERR_FULL (disk, budget, job_bytes_max: nothing of these bytes was taken; finish what there is) or ERR_IO.
 * After a failure only store_job_finish or store_job_drop may follow; the spool then ends at the last good write. */
int store_write(struct store_job *j, const void *blocks, size_t n, struct err *err);
uint64_t store_job_bytes(const struct store_job *j);

/* store_room: room for how many more bytes before job_bytes_max or the disk reserve is reached (the last STORE_TAIL_BYTES are kept for the end notes). */
#define STORE_TAIL_BYTES (256u * 1024)
uint64_t store_room(const struct store_job *j);

/* store_job_finish: closes the last chunk, waits for the uploads, completes and verifies; frees j.  On failure the spool is left for store_recover
 * (which can be called again later); ERR_IO, ERR_NET... */
int store_job_finish(struct store_job *j, struct driver_object *ret, struct err *err);
void store_job_drop(struct store_job *j); /* erases spool and upload; frees j */

/* ---- after a restart ---- */
/* store_recover: finishes job_id from what spool and database hold.  The last open chunk is cut to its last whole block, tail (may be
 * empty) is appended by the callback, given the interface count and the link to the stream so far: see store_tail_fn.
 * ERR_NOT_FOUND: the spool holds no byte of it (then nothing is left of it either). */
typedef int (*store_tail_fn)(void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err);
int store_recover(struct store *s, const char *job_id, const char *key, const struct driver_tags *tags, store_tail_fn tail, void *ctx,
	struct driver_object *ret, struct err *err);

/* store_orphans: folders in the spool whose name is a job id for which known() says no are erased; others are left alone and counted. */
int store_orphans(struct store *s, bool (*known)(void *ctx, const char *job_id), void *ctx, unsigned *ret_erased, unsigned *ret_foreign, struct err *err);

/* ---- objects ---- */
int store_object_open(struct store *s, const char *key, uint64_t *ret_bytes, struct err *err); /* descriptor, caller closes */
/* A URL of the store's own, or NULL without err set when links are the gateway's business. */
char *store_object_url(struct store *s, const char *key, uint64_t ttl_s, const char *file_name, struct err *err);

/* store_erase: object, spool, chunk records, one-time links of the job; verified.  Nothing there is success. */
int store_erase(struct store *s, const char *job_id, const char *key, struct err *err);

#endif
