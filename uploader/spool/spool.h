/* spool.h - the chunk files of one job: spool/<job>/000001.open, renamed to .chunk (or .last, the one that ends the object) once it is
 * on disk.  A file set aside by recovery is .bad.  A file "key" says where the object shall stand, for when nobody else knows any more.  Other
 * names in the folder are none of ours and are not looked at.
 *
 * Life: spool_begin (a new job) or spool_open (after a restart); spool_start, spool_append..., spool_seal for one chunk after the other;
 * spool_close.  One thread writes; spool_chunk_fd and spool_unlink may be called by another at the same time. */
#ifndef PCAPLINE_UPLOADER_SPOOL_SPOOL_H
#define PCAPLINE_UPLOADER_SPOOL_SPOOL_H

#include "common/err.h"
#include "uploader/spool/frame.h"
#include "uploader/spool/sha_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_SEQ_MAX 999999u

struct spool;

enum spool_kind { SPOOL_OPEN, SPOOL_CHUNK, SPOOL_LAST };

struct spool_file {
	uint32_t seq; /* 1..SPOOL_SEQ_MAX */
	enum spool_kind kind;
	uint64_t bytes;
};

/* spool_begin: the folder of a job that must not have one yet: ERR_STATE.  spool_open: of one that has: ERR_NOT_FOUND. */
struct spool *spool_begin(const char *spool_dir, const char *job_id, struct err *err);
struct spool *spool_open(const char *spool_dir, const char *job_id, struct err *err);
void spool_close(struct spool *sp); /* the files stay */

/* spool_key_put, spool_key_get: the file "key"; get: ERR_NOT_FOUND, new string. */
#define SPOOL_KEY_MAX 1024u
int spool_key_put(struct spool *sp, const char *key, struct err *err);
char *spool_key_get(struct spool *sp, struct err *err);

/* spool_bytes: of all chunk files of the job, .bad ones too; no folder: 0. */
int spool_bytes(const char *spool_dir, const char *job_id, uint64_t *ret, struct err *err);

/* spool_remove: the job's folder and all in it; a missing one is fine. */
int spool_remove(const char *spool_dir, const char *job_id, struct err *err);

/* spool_start: a new, empty open chunk; no other may be open.  spool_resume: the open chunk that a crash left, cut to bytes. */
int spool_start(struct spool *sp, uint32_t seq, struct err *err);
int spool_resume(struct spool *sp, uint32_t seq, uint64_t bytes, struct err *err);

/* spool_append: all n bytes or none; -1: ERR_FULL or ERR_IO, and the chunk is as long as before. */
int spool_append(struct spool *sp, const void *p, size_t n, struct err *err);

/* spool_seal: flushes the open chunk, renames it, flushes the folder.  Nothing is open then (after a failure neither). */
int spool_seal(struct spool *sp, bool last, struct err *err);

int spool_chunk_fd(struct spool *sp, uint32_t seq, enum spool_kind kind, uint64_t *ret_bytes,
	struct err *err);                                                                /* to read; caller closes */
int spool_unlink(struct spool *sp, uint32_t seq, enum spool_kind kind, struct err *err); /* gone already is fine */
int spool_set_aside(struct spool *sp, const struct spool_file *f, struct err *err);      /* renames to .bad */

/* spool_scan: what is there, by seq (of one seq OPEN before CHUNK before LAST); caller frees. */
int spool_scan(struct spool *sp, struct spool_file **ret, size_t *ret_n, struct err *err);

/* spool_measure: walks a file from its first byte; f and sum go on from the chunk before.  *ret_bytes: up to the end of the last whole
 * unit, which is also what f, sum and chunk (the chunk's own sum) have seen. */
int spool_measure(struct spool *sp, uint32_t seq, enum spool_kind kind, struct frame *f, struct sha_state *sum,
	struct digest *chunk, uint64_t *ret_bytes, struct err *err);

#endif
