/* metrics.h - what the gateway counts for monitoring, where it happens.  Any thread; each is an addition or two.
 * What captures themselves count (packets, bytes, losses) is not here: see capture_figures and metrics_page. */
#ifndef PCAPLINE_GATEWAY_METRICS_METRICS_H
#define PCAPLINE_GATEWAY_METRICS_METRICS_H

#include "common/err.h"
#include "common/metrics.h"
#include "schema/job.h"

#include <stdbool.h>
#include <stdint.h>

/* Routes are told apart by their number in the API's table; METRICS_ROUTE_OTHER is no route at all. */
#define METRICS_ROUTES_MAX  64
#define METRICS_ROUTE_OTHER METRICS_ROUTES_MAX

/* metrics_request: answered with this status; ns is what we took for the head of the answer, however long its body or the request's took to pass. */
void metrics_request(size_t route, int status, uint64_t ns);
void metrics_request_show(struct metrics_page *p, size_t route, const char *path, const char *method);
void metrics_request_durations_show(struct metrics_page *p, size_t route, const char *path, const char *method);
#define METRICS_REQUESTS          "pcapline_gateway_http_requests_total"
#define METRICS_REQUEST_DURATIONS "pcapline_gateway_http_request_duration_seconds"

/* metrics_start: a request for a capture was answered with this status, or (no status) it waits for an approval. */
#define METRICS_START_WAITS 0
void metrics_start(int status);
/* metrics_capture_ended: with its last state and reason. */
void metrics_capture_ended(enum job_mode mode, enum job_state state, enum stop_reason reason);
/* metrics_stream_failed: an agent's stream, or the start of one. */
void metrics_stream_failed(enum err_code code);

/* metrics_token_refused: a call was refused for who makes it; shown: it came with a token. */
void metrics_token_refused(const struct err *why, bool shown);

enum metrics_platform { METRICS_CF, METRICS_BOSH, METRICS_ISSUER };
/* metrics_platform_asked: status 0: no answer came, why says more. */
void metrics_platform_asked(enum metrics_platform which, int status, const struct err *why, uint64_t ns);

void metrics_download(bool by_us); /* else the asker was sent to the store itself */
void metrics_audit_failed(void);   /* the audit trail could not be written */

/* metrics_limit_hit: a limit refused or ended something.  One of the names in metrics.c; what is none of them counts as "other". */
void metrics_limit_hit(const char *limit);
/* metrics_refused: the same for a request that was refused with err, when that was for a limit. */
void metrics_refused(const struct err *err);

/* metrics_show: the families above but the requests. */
void metrics_show(struct metrics_page *p);

#endif
