/* audit_webhook.h - tells the owner of the platform of records that matter: POST of the record, signed, by one thread, tried again with growing pauses.  Bounded: what finds
 * no room in the queue, and what was tried in vain, is lost there (not in the trail), counted and said in the log.
 *
 * Header  Pcap-Signature: t=SECONDS,v1=HMAC-SHA256(secret, SECONDS "." body) in hex.  Any 2xx is taken as heard.  No redirects, no proxy. */
#ifndef PCAPLINE_GATEWAY_AUDIT_AUDIT_WEBHOOK_H
#define PCAPLINE_GATEWAY_AUDIT_AUDIT_WEBHOOK_H

#include "schema/config_gateway.h"

struct audit_webhook;

struct audit_webhook *audit_webhook_start(const struct config_gateway *c, struct err *err); /* c must live as long */

/* audit_webhook_put: line is copied when action is one of webhook.events.  Never waits.  w may be NULL. */
void audit_webhook_put(struct audit_webhook *w, const char *action, const char *line);

/* audit_webhook_stop: what is queued is tried once more, two seconds in all; then at once, also in the middle of a call.  Accepts NULL. */
void audit_webhook_stop(struct audit_webhook *w);

#endif
