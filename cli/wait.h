/* wait.h - waiting for a stored job: until its file is ready, with a live line; Ctrl-C stops the job gracefully. */
#ifndef PCAPLINE_CLI_WAIT_H
#define PCAPLINE_CLI_WAIT_H

#include "cli/api.h"
#include "common/err.h"

#include <jansson.h>

/* wait_job: the job in an end state, owned by the caller; NULL with err: ERR_CANCELLED when interrupted twice, ERR_NET... when the gateway
 * did not answer for a minute, or what it refused. */
json_t *wait_job(const struct api *api, const char *job, struct err *err);

/* wait_approval: the same of a job in state waiting, until it is approved or waits no more; Ctrl-C cancels it. */
json_t *wait_approval(const struct api *api, const char *job, struct err *err);

/* wait_line: a job that runs as one line for the terminal; returns ret. */
char *wait_line(const json_t *job, char *ret, size_t size);

#endif
