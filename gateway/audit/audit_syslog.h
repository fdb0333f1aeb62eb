/* audit_syslog.h - records to this machine's syslog, which may send them on.  Waits for it a tenth of a second, and after
 * that was in vain not at all for ten: what it does not take is counted and said in the log. */
#ifndef PCAPLINE_GATEWAY_AUDIT_AUDIT_SYSLOG_H
#define PCAPLINE_GATEWAY_AUDIT_AUDIT_SYSLOG_H

#include "schema/config_gateway.h"

#include <jansson.h>

struct audit_syslog;

struct audit_syslog *audit_syslog_new(const struct config_gateway *c, struct err *err); /* c must live as long */

/* audit_syslog_put: line is the record as it stands in the file.  s may be NULL.  One thread at a time. */
void audit_syslog_put(struct audit_syslog *s, const json_t *record, const char *line);
void audit_syslog_free(struct audit_syslog *s); /* accepts NULL */

#endif
