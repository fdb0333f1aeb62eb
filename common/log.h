/* log.h - one JSON object per line on stderr: time, level, program, event, the thread's context, fields.
 *   {"ts":"2026-01-05T10:00:00.123456Z","level":"info","source":"pcap-gateway","event":"capture.started",
 *    "request_id":"...","job":"...","data":{...}}
 * Only the outer layers log; tokens, keys and packets never get here.  Thread-safe; each line is one write. */
#ifndef PCAPLINE_COMMON_LOG_H
#define PCAPLINE_COMMON_LOG_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/* error: the operation was lost; warning: we went on and say how; info: what an operator wants to see. */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* log_init: source is the program's name (borrowed, static).  Before it, source is "pcapline", level info. */
void log_init(const char *source, enum log_level least);

/* Parses "debug", "info", "warning", "error".  Returns 0 or -1. */
int log_level_parse(const char *text, enum log_level *ret);

/* log_event: event is a dotted name ("capture.started").  fields is a new JSON object (stolen, may be NULL). */
void log_event(enum log_level level, const char *event, json_t *fields);

/* log_err: as log_event, with "error": {"code", "message", "field"} added to fields (stolen, may be NULL). */
void log_err(enum log_level level, const char *event, const struct err *e, json_t *fields);

/* The calling thread's context, added to each of its lines; NULL clears.  Copied, cut at 63 bytes. */
void log_context_request(const char *request_id);
void log_context_job(const char *job_id);

#endif
