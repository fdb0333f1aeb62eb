/* audit_verify.h - is this the trail as it was written?  Records are given one after the other, from the database or from files in their order; what is wrong first is
 * kept with its place, and what comes after it only tells more exactly what it is.
 *
 * Life: audit_check_begin, audit_check_line or audit_check_file..., audit_check_end.
 * Proved by a good end: each record is as the gateway wrote it, and between the first and the last none is missing, added or moved.  Not proved: what stood before the
 * first one, unless that is number 1, and after the last one, unless its hash is known from elsewhere; nor anything against somebody who has the key. */
#ifndef PCAPLINE_SCHEMA_AUDIT_VERIFY_H
#define PCAPLINE_SCHEMA_AUDIT_VERIFY_H

#include "schema/audit_record.h"

enum audit_fault {
	AUDIT_WHOLE,
	AUDIT_ALTERED, /* "altered": a record that the key did not seal so */
	AUDIT_MISSING, /* "missing": records between two others are gone, or the first ones, which no file was put aside with */
	AUDIT_REORDERED, /* "reordered": they are there, at another place, or one is there twice */
	AUDIT_FOREIGN,   /* "foreign": a line that is no record of this trail, among those that are */
	AUDIT_CUT        /* "cut": it ends before its end */
};
const char *audit_fault_name(enum audit_fault f); /* "" for AUDIT_WHOLE */

struct audit_check {
	const struct audit_key *key;      /* borrowed */
	uint64_t records, lines;          /* genuine ones; all */
	uint64_t first, last;             /* numbers of the first and last record of what is whole; 0: none */
	char head[DIGEST_SHA256_HEX_MAX]; /* hash of the last */
	bool goes_on;                     /* the first says that the file before it was put aside ("audit.file") */
	enum audit_fault fault;
	uint64_t seq, upto; /* which records: the faulty one, or those that are missing (upto excluded) */
	uint64_t line;      /* where: counted from 1 in its file, or in all that was given */
	char place[256];    /* name of the file, "" : none */
	char message[ERR_MSG_MAX];
};

void audit_check_begin(struct audit_check *c, const struct audit_key *key);

/* audit_check_line: a line without its end.  Returns its record, a new reference, when it is genuine, else NULL. */
json_t *audit_check_line(struct audit_check *c, const char *line, size_t n);

/* audit_check_spoil: what stands beside the last line contradicts it; nothing when something was wrong before. */
void audit_check_spoil(struct audit_check *c, const char *message);

/* audit_check_file: the first `bytes` bytes of fd (from its beginning, by pread), called place in what is told; the place is counted anew.  -1: cannot be read. */
int audit_check_file(struct audit_check *c, int fd, uint64_t bytes, const char *place, struct err *err);

/* audit_check_end: head: the hash that it must end with, NULL: nobody knows.  Returns what is wrong. */
enum audit_fault audit_check_end(struct audit_check *c, const char *head);

/* audit_check_beside: files, which begin with a later record than what else is known (both have ended): a fault, unless it is said there that the file before was put aside. */
void audit_check_beside(struct audit_check *files, const struct audit_check *known);

/* audit_check_to_json: {"ok", "records", "first", "last", "head", "fault": null or {"what", "seq", "line", "file", "message"}}; NULL: no memory. */
json_t *audit_check_to_json(const struct audit_check *c);

#endif
