/* events.h - the events of a job, line by line as they come, until the job ends; goes on after a broken connection without
 * showing an event twice. */
#ifndef PCAPLINE_CLI_EVENTS_H
#define PCAPLINE_CLI_EVENTS_H

#include "cli/stopper.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define EVENTS_LINE_MAX (4u * 1024 * 1024) /* a progress line carries the job with all its instances */

struct events_options {
	const struct api *api;
	const char *job;
	struct stopper *stopper;
	FILE *to;           /* where lines go; NULL: with the talk on stderr */
	bool raw;           /* as they come, instead of as text; with the progress lines */
	bool live_line;     /* progress as the live line of the terminal */
	bool failures_only; /* instead of all: a warning on stderr for each instance that fails */
};

/* events_follow: 0 when the job's events are over or the stopper leaves; *ret_last is the job as last told of (new reference; NULL:
 * never).  ERR_NET... when the connection could not be brought back, or what the gateway refused. */
int events_follow(const struct events_options *o, json_t **ret_last, struct err *err);

/* events_text: one event as a line of text for people; returns ret. */
char *events_text(const json_t *event, char *ret, size_t size);

#endif
