/* audit_capture.h - records of what happens to captures by itself. */
#ifndef PCAPLINE_GATEWAY_AUDIT_AUDIT_CAPTURE_H
#define PCAPLINE_GATEWAY_AUDIT_AUDIT_CAPTURE_H

#include "gateway/audit/audit.h"
#include "schema/job.h"

/* audit_capture_end: how it ended, and with how much; nobody changes j meanwhile. */
void audit_capture_end(struct audit *a, const struct job *j);

/* audit_capture_expired: its time was over, and what was stored of it is erased. */
void audit_capture_expired(struct audit *a, const struct job *j, uint64_t bytes, const char *note);

#endif
