/* devices.h - the interfaces of a target's instances as the gateway lists them. */
#ifndef PCAPLINE_CLI_DEVICES_H
#define PCAPLINE_CLI_DEVICES_H

#include "cli/cli.h"

/* devices_run: asks for this target (taken over) and prints; returns an enum cli_exit. */
int devices_run(const struct cli *cli, const struct api *api, json_t *target);

#endif
