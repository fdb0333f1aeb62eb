/* audit.h - the audit trail: who did what to which captures, from where, why, and how it went.  Never a packet, never a token.
 *
 * Each record is sealed and chained (schema/audit_record.h), written to a file of its own and to the database, as one: it is in both or in none.  Then it goes, without
 * waiting for them, to syslog and to the webhook where these are configured.
 *
 * When a record cannot be written, what it was to tell of must not happen; only what ends captures, what is refused and what the gateway does by itself goes on
 * (schema/audit_action.h): those records are kept in memory, AUDIT_HELD_MAX of them, and written once they can be, then followed by audit.resumed, which says how many were
 * lost.  Thread-safe; never call it with a lock held that a request waits for: it waits for the disk.
 *
 * Actions: see schema/audit_action.c. */
#ifndef PCAPLINE_GATEWAY_AUDIT_AUDIT_H
#define PCAPLINE_GATEWAY_AUDIT_AUDIT_H

#include "common/err.h"
#include "schema/audit_verify.h"
#include "schema/scope.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define AUDIT_HELD_MAX 1000u

struct audit;
struct gateway;

/* Texts are borrowed; NULL or "" : there is none. */
struct audit_record {
	const char *action;
	const char *outcome;             /* "ok", "begun" (another record tells its result), "refused", "failed" */
	const char *code;                /* of a refusal or failure, as in the API */
	const char *why;                 /* the refusal's message, or the reason that somebody gave */
	const char *user_id, *user_name; /* "" : the gateway by itself */
	const char *peer;                /* address that it came from */
	const char *forwarded_for;       /* what the peer says that it came from: anybody can say that */
	const char *request_id;
	const char *job;
	const struct scope_list *scopes;
	bool has_figures; /* bytes and packets mean something */
	uint64_t bytes, packets;
	json_t *data;      /* more of it; borrowed */
	bool is_strangers; /* anybody can cause it: so many a minute get a record, the rest one together */
};

/* audit_open: the trail goes on where file and database end; what a former process left unfinished is mended, and said so in the trail.  The database is open. */
struct audit *audit_open(struct gateway *gw, struct err *err);
void audit_close(struct audit *a);

/* audit_write: 0 once the record is on the disk (a == NULL: at once).  -1: it could not be written, and what it was to tell of must not happen (ERR_UNAVAILABLE, detail
 * audit_failed). */
int audit_write(struct audit *a, const struct audit_record *r, struct err *err);

/* audit_event: what the gateway does by itself; data is stolen, may be NULL. */
void audit_event(struct audit *a, const char *action, json_t *data);

/* audit_knows: was this remembered within the last so many seconds?  What is in many pieces (a download in ranges, a list that is asked for again and again) gets one record, at its
 * first piece.  So many as there is room for are remembered. */
bool audit_knows(struct audit *a, const char *what, unsigned within_s);
void audit_remember(struct audit *a, const char *what);

/* audit_usable: -1 with the reason while records cannot be written; tries what waits. */
int audit_usable(struct audit *a, struct err *err);

/* audit_tick: now and then: writes what waits, forgets what is too old in the database. */
void audit_tick(struct audit *a);

/* audit_settle: before the last record: what was left out of this minute is told now. */
void audit_settle(struct audit *a);

/* audit_reopen: the file, which somebody may have put aside. */
void audit_reopen(struct audit *a);

/* audit_look: the chain in the database, and that in the file with those put aside beside it, each held against what was written last.  -1: they could not be read. */
int audit_look(struct audit *a, struct audit_check *ret_database, struct audit_check *ret_file, struct err *err);

/* audit_config_json: what the gateway goes by: the SHA-256 of its settings without the secret ones, and of each file that it reads again at SIGHUP; changed is said of those
 * that differ from before (a former answer of it, or NULL).  A new reference; NULL: no memory. */
json_t *audit_config_json(const struct gateway *gw, const json_t *before);

#endif
