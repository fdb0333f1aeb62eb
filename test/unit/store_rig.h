/* store_rig.h - a store to test with: folder, database with jobs, the file driver or a bucket behind a fake that fails, waits or ends the process on
 * order, and streams of pcapng or classic pcap blocks to write into it. */
#ifndef PCAPLINE_TEST_UNIT_STORE_RIG_H
#define PCAPLINE_TEST_UNIT_STORE_RIG_H

#include "test/unit/temp_file.h"
#include "uploader/store.h"
#include "uploader/store_internal.h"

#include <stddef.h>
#include <stdint.h>

/* Where the fake may end the process: around the real driver's calls. */
enum store_rig_point {
	STORE_RIG_NEVER,
	STORE_RIG_BEFORE_OPEN,
	STORE_RIG_AFTER_OPEN,
	STORE_RIG_BEFORE_PART,
	STORE_RIG_AFTER_PART,
	STORE_RIG_BEFORE_COMPLETE,
	STORE_RIG_AFTER_COMPLETE
};

#define STORE_RIG_DEATH 42 /* exit code of such an end */

struct store_rig {
	struct temp_file folder;
	char root[TEMP_FILE_PATH_MAX + 16], spool[TEMP_FILE_PATH_MAX + 16];
	uint64_t chunk_bytes, job_bytes_max, min_free_bytes, spool_job_max_bytes, spool_max_bytes;
	unsigned
		parallel; /* more than 0: a bucket that takes so many parts at once, none below chunk_bytes but the last; 0: the file driver */
	pthread_mutex_t lock; /* of what follows, while a job runs */

	/* orders to the fake driver; counts go down */
	enum store_rig_point die_at;
	unsigned die_after;     /* calls of that kind that are let pass */
	unsigned fail_open;     /* so many calls of upload_open fail */
	unsigned fail_parts;    /* so many of upload_part */
	unsigned fail_state;    /* so many of upload_state */
	unsigned fail_complete; /* so many of upload_complete */
	enum err_code fail_code;
	unsigned slow_us;        /* a part takes up to so long */
	uint32_t hold_seq;       /* this part is held until ... */
	unsigned hold_until;     /* ... so many others are stored */
	unsigned forget_at_part; /* as this call of upload_part comes, all open uploads are forgotten; 0: never */
	bool forget_at_complete;
	uint32_t
		late_seq; /* this part is stored in a forgotten upload: once another call has found that out, it says all is well */

	/* what the fake saw */
	bool cancelled; /* upload_cancel was called */
	unsigned gone;  /* parts that found the upload forgotten */
	unsigned opens, alones, parts_done;
	unsigned in_flight, in_flight_max;
	unsigned overtaken; /* parts that were stored after one with a larger seq */
	uint32_t seq_max;
	unsigned mistakes; /* upload_open while parts were on their way, parts before the database knew of the upload */

	/* what was told by on_event */
	unsigned retries, oks, failures, damages;

	char job[ID_MAX];
	char *key;
	struct job_db *db;   /* while open */
	struct store *store; /* while open */
};

struct driver *store_rig_fake_new(struct store_rig *r);

void store_rig_init(struct store_rig *r); /* folder and a job in the database; nothing open */
void store_rig_done(struct store_rig *r);
void store_rig_open(struct store_rig *r);
void store_rig_close(struct store_rig *r);
void store_rig_add_job(struct store_rig *r, const char *id); /* while open */
struct driver_tags store_rig_tags(const struct store_rig *r);
struct store_job *store_rig_begin(struct store_rig *r); /* of r->job; must work */

/* The object at r->key; new memory, *ret_n bytes; NULL: none. */
uint8_t *store_rig_object(struct store_rig *r, size_t *ret_n);

/* store_rig_assert_object: the object is these n bytes, and o says so. */
void store_rig_assert_object(struct store_rig *r, const struct driver_object *o, const uint8_t *bytes, size_t n);

/* A stream as a list of writes: write i is bytes ends[i-1]..ends[i]. */
struct store_rig_stream {
	uint8_t *bytes;
	size_t n;
	size_t *ends;
	size_t writes_n;
	uint32_t interfaces;
};

/* Deterministic by seed: a header, then writes - 1 calls with one to four blocks of random sizes each. */
void store_rig_stream_make(struct store_rig_stream *s, enum frame_format format, unsigned seed, size_t writes);
void store_rig_stream_done(struct store_rig_stream *s);

/* The tail that recovery adds: one statistics block per interface. */
int store_rig_tail(void *ctx, uint32_t interfaces_n, uint8_t *dst, size_t room, size_t *ret_n, struct err *err);
size_t store_rig_tail_bytes(uint32_t interfaces_n);

#endif
