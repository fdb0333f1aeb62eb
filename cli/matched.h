/* matched.h - before a start: which instances it would capture, as a table on stderr, and above a number of them a question. */
#ifndef PCAPLINE_CLI_MATCHED_H
#define PCAPLINE_CLI_MATCHED_H

#include "cli/api.h"
#include "cli/args.h"

#include <jansson.h>
#include <stdbool.h>

#define MATCHED_ABOVE     10u
#define MATCHED_ABOVE_MAX 100000u

struct matched_values {
	bool yes;
	struct arg_number above; /* else PCAP_CONFIRM_ABOVE, else MATCHED_ABOVE */
};

/* Options of a command whose struct holds a matched_values. */
#define MATCHED_OPTIONS(type, member)                                                                                  \
	{'y', "yes", NULL, ARG_FLAG, offsetof(type, member.yes), 0, 0, "do not ask, however many instances"},          \
	{                                                                                                              \
		0, "confirm-above", "N", ARG_NUMBER, offsetof(type, member.above), 0, MATCHED_ABOVE_MAX,               \
			"ask when it is more than N instances (else PCAP_CONFIRM_ABOVE, else 10)"                      \
	}

/* matched_ask: CLI_OK to go on, else the exit code; says everything itself.  A gateway that cannot resolve is no hindrance. */
int matched_ask(const struct api *api, const struct matched_values *v, const json_t *request);

#endif
