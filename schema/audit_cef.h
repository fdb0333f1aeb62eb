/* audit_cef.h - a record of the audit trail in the Common Event Format (CEF:0), for collectors of events that read nothing else. */
#ifndef PCAPLINE_SCHEMA_AUDIT_CEF_H
#define PCAPLINE_SCHEMA_AUDIT_CEF_H

#include "common/err.h"

#include <jansson.h>

/* audit_cef: one line without its end, the caller frees:
 *   CEF:0|Pcapline|pcap-gateway|VERSION|ACTION|ACTION OUTCOME|SEVERITY|rt=MILLISECONDS outcome=ok suser=... suid=... src=... externalId=JOB reason=CODE msg=WHY out=BYTES cnt=PACKETS ...
 * cs1 is hash, cs2 prev, cs3 the request's id, cs4 the scopes, cs5 data (JSON), cn1 seq.  What is cut in the middle is not: a value is whole or left out. */
char *audit_cef(const json_t *record, struct err *err);

#endif
