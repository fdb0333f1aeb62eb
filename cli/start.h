/* start.h - a capture from the built request to its end: started live or stored, received, waited for, fetched. */
#ifndef PCAPLINE_CLI_START_H
#define PCAPLINE_CLI_START_H

#include "cli/cli.h"
#include "cli/request.h"

/* start_check: what the options say about stdout; CLI_OK, or said and CLI_USAGE. */
int start_check(const struct cli *cli, const struct request_values *v);

/* start_run: returns an enum cli_exit; says everything itself.  first_target: for the name of a file that was not named. */
int start_run(const struct api *api, const struct cli *cli, const struct request_values *v, json_t *request,
	const char *first_target);

/* start_waiting: the same for a job that waits for an approval, or has it. */
int start_waiting(const struct api *api, const struct cli *cli, const struct request_values *v, const char *job_id);

#endif
