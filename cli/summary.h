/* summary.h - how a capture ended: the figures as tcpdump gives them, what was lost, why it ended; and the exit code of that. */
#ifndef PCAPLINE_CLI_SUMMARY_H
#define PCAPLINE_CLI_SUMMARY_H

#include "cli/counter.h"

#include <jansson.h>
#include <stdint.h>

struct summary {
	const struct counter *counter; /* what came here; NULL: only the job's own figures */
	const json_t *job;             /* as the gateway shows it; NULL: not known */
	const char *file;              /* what was written; NULL: nothing */
	uint64_t file_bytes;
};

/* summary_say: on stderr. */
void summary_say(const struct summary *s);

/* summary_exit: of a job that has ended, in the gateway's view: ended as asked CLI_OK; early CLI_INCOMPLETE; never begun or
 * nothing kept CLI_FAILED.  NULL counts as ended as asked. */
int summary_exit(const json_t *job);

#endif
