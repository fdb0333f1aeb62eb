/* capture.h - a live capture at this end: start it or attach to it, write what comes, go on after a broken connection without a
 * lost or doubled byte, end as asked. */
#ifndef PCAPLINE_CLI_CAPTURE_H
#define PCAPLINE_CLI_CAPTURE_H

#include "cli/api.h"
#include "common/err.h"
#include "common/id.h"

#include <jansson.h>
#include <stdbool.h>

struct capture_task {
	const struct api *api;
	const char *request; /* start: JSON text; NULL: attach to job */
	const char
		*approved; /* start: id of the job that waited, and may begin now; request is "{}"; NULL: a new one */
	const char *job;   /* attach: its id */
	const char *write; /* path, "-"; NULL: a new file named after target and job (start only) */
	const char *first_target; /* start: for that name */
	const char *format;       /* start: "pcapng" or "pcap", for that name */
	bool with_events;         /* also say what happens to the job */
	bool json;                /* the job, with what was written, as JSON on stdout at the end */
};

/* capture_task_run: returns an enum cli_exit; says everything itself.  When the gateway chose to store instead (202, mode auto), or the
 * capture has to wait for an approval, nothing is written and *ret_stored is the new job, which the caller owns; else NULL.  ret_stored may be NULL for attaching. */
int capture_task_run(const struct capture_task *t, json_t **ret_stored);

#endif
