/* audit.h - the audit trail: who did what to which captures, from where, why, and how it went.  Never a packet, never a token.
 *
 * Actions: capture.start, capture.stop, capture.end, capture.delete, capture.attach, link.create, link.use, download, admin.kill, admin.purge, admin.halt, admin.resume,
 * admin.hold, admin.unhold, switch.set, switch.delete, approval.ask, approval.approve, approval.deny, approval.expire, config.reload, gateway.start, gateway.stop. */
#ifndef PCAPLINE_GATEWAY_AUDIT_H
#define PCAPLINE_GATEWAY_AUDIT_H

#include "common/err.h"
#include "schema/scope.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct audit;

/* Texts are borrowed; NULL or "" : there is none. */
struct audit_record {
	const char *action;
	const char *outcome;             /* "ok", "refused", "failed" */
	const char *code;                /* of a refusal or failure, as in the API */
	const char *why;                 /* the refusal's message, or the reason that somebody gave */
	const char *user_id, *user_name; /* "" : the gateway by itself */
	const char *peer;                /* address and port that it came from */
	const char *request_id;
	const char *job;
	const struct scope_list *scopes;
	json_t *data; /* more of it; borrowed */
};

/* audit_write: 0 once the record is on its way to the disk.  -1: it could not be written, and what it was to tell of must not happen (ERR_UNAVAILABLE, detail audit_failed). */
int audit_write(struct audit *a, const struct audit_record *r, struct err *err);

#endif
