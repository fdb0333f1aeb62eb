/* approval.h - a capture that an operator must approve first: told, waited for. */
#ifndef PCAPLINE_CLI_APPROVAL_H
#define PCAPLINE_CLI_APPROVAL_H

#include "cli/api.h"

#include <jansson.h>
#include <stdbool.h>

bool approval_is_needed(const json_t *job);

/* approval_wait: CLI_OK once job is approved and may be begun; else says why not and returns another enum cli_exit. */
int approval_wait(const struct api *api, const json_t *job);

#endif
