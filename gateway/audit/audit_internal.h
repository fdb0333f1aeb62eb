/* audit_internal.h - the inside of the audit trail, shared by audit*.c only: audit.c (records, what waits), audit_begin.c (going on where it ended), audit_look.c (is it whole?), audit_again.c (what was
 * just recorded),
 * audit_config.c (what the gateway goes by). */
#ifndef PCAPLINE_GATEWAY_AUDIT_AUDIT_INTERNAL_H
#define PCAPLINE_GATEWAY_AUDIT_AUDIT_INTERNAL_H

#include "gateway/audit/audit.h"
#include "gateway/audit/audit_file.h"
#include "gateway/gateway.h"
#include "schema/audit_db.h"

#include <pthread.h>

struct audit_syslog;
struct audit_webhook;

#define AUDIT_AGAIN_MAX 256u

struct audit_again {
	char sha256[DIGEST_SHA256_HEX_MAX];
	uint64_t at_ns; /* monotonic; 0: empty */
};

/* What anybody can cause again and again: so many a minute get a record, the rest one together. */
struct audit_minute {
	uint64_t begin_ns; /* monotonic; 0: none yet */
	uint64_t since;    /* the same, wall */
	uint64_t n, more;
};

/* How the file that is written to came to begin where it does, or lost what it held: told by a record "audit.file" before any other one, so that it is the first line of each new
 * file.  A file that begins without a good reason is one that somebody has emptied or taken away. */
enum audit_begun {
	AUDIT_BEGUN_TOLD,        /* nothing is to be told */
	AUDIT_BEGUN_PUT_ASIDE,   /* "put_aside": by us, for its size */
	AUDIT_BEGUN_ROTATED,     /* "rotated": by another program, and the old file was seen whole under another name */
	AUDIT_BEGUN_UNEXPLAINED, /* "unexplained": what stood in the file before was not found */
	AUDIT_BEGUN_CUT          /* "cut": the file was made shorter while it was written to */
};

struct audit {
	struct gateway *gw;
	char *path, *dir;
	struct audit_key key;
	struct audit_syslog *syslog;   /* NULL: none */
	struct audit_webhook *webhook; /* NULL: none */

	pthread_mutex_t lock;
	/* by lock */
	struct audit_file file;
	enum audit_begun begun;
	uint64_t begun_lost; /* bytes, of AUDIT_BEGUN_CUT */
	uint64_t seq;        /* of the last record; 0: none yet */
	char head[DIGEST_SHA256_HEX_MAX];
	uint64_t failing_since; /* wall ns; 0: records can be written */
	struct err failing;
	json_t *held[AUDIT_HELD_MAX]; /* oldest first; not sealed yet */
	size_t held_n;
	uint64_t lost;                             /* that found no room there */
	struct audit_minute strangers, refused;    /* refusals: of those whom nobody knows, of people who are known */
	struct audit_again again[AUDIT_AGAIN_MAX]; /* a ring */
	size_t again_next;
};

/* audit_append: seals record (borrowed) and writes it to both places; the lock is held. */
int audit_append(struct audit *a, json_t *record, struct err *err);

/* audit_new_record: with what every record has.  NULL: no memory. */
json_t *audit_new_record(const struct audit *a, const char *action, const char *outcome);

/* audit_follows: is the last line of f the trail's last record? */
bool audit_follows(const struct audit *a, const struct audit_file *f);

/* audit_begin: opens the file and brings it and the database together.  What was mended, a new reference, is left in ret_mended; NULL: nothing. */
int audit_begin(struct audit *a, json_t **ret_mended, struct err *err);

#endif
