/* audit_record.h - one record of the audit trail as a line of JSON, sealed so that nobody without the key can write, change or move one unnoticed.
 *
 * A line is one object, compact, ASCII, its members sorted by name but for the last one:
 *     {"action":"capture.start","at":"2026-01-05T10:00:00.123456789Z",...,"prev":"HASH","seq":7,...,"hash":"HASH"}
 * hash is the HMAC-SHA256, under the key of the trail, of all bytes before `,"hash":"`; prev is the hash of the record before, AUDIT_FIRST of the first.  seq counts
 * from 1 without gaps.  So whoever holds the key can tell from a line alone that it is genuine, and from two that nothing stood between them.  What a chain cannot tell is
 * that its end was cut off: somebody has to know the hash that it should end with. */
#ifndef PCAPLINE_SCHEMA_AUDIT_RECORD_H
#define PCAPLINE_SCHEMA_AUDIT_RECORD_H

#include "common/digest.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_LINE_MAX                                                                                                 \
	(256u * 1024) /* bytes, without the line's end: a start's body, twice as long when escaped, and what the gateway adds */
#define AUDIT_KEY_BYTES 32
#define AUDIT_TIME_MAX  40
#define AUDIT_FIRST     "0000000000000000000000000000000000000000000000000000000000000000"

struct audit_key {
	uint8_t bytes[AUDIT_KEY_BYTES];
};

/* audit_key_load: the file holds 64 lower-case hex digits, and others may not read it; make: a missing one is made.  The caller wipes the key. */
int audit_key_load(const char *path, bool make, struct audit_key *ret, struct err *err);

/* What chains a line to its neighbours. */
struct audit_link {
	uint64_t seq;
	char prev[DIGEST_SHA256_HEX_MAX], hash[DIGEST_SHA256_HEX_MAX];
};

/* audit_line_make: record (borrowed; seq, prev and hash are set in it) as a line without its end; the caller frees.  ERR_LIMIT: over AUDIT_LINE_MAX. */
char *audit_line_make(json_t *record, uint64_t seq, const char *prev, const struct audit_key *key,
	struct audit_link *ret, struct err *err);

/* audit_line_read: the record of a line of n bytes, a new reference; ret_genuine: it bears the key's own hash.  ERR_INPUT: no record at all. */
json_t *audit_line_read(const char *line, size_t n, const struct audit_key *key, struct audit_link *ret,
	bool *ret_genuine, struct err *err);

/* RFC 3339, UTC, nanoseconds.  Returns ret. */
char *audit_time(uint64_t wall_ns, char ret[AUDIT_TIME_MAX]);

#endif
