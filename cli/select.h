/* select.h - which jobs an operator means: all, or by job, user, org, space, app, deployment, group, agent, age; and what is said with it. */
#ifndef PCAPLINE_CLI_SELECT_H
#define PCAPLINE_CLI_SELECT_H

#include "cli/args.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

struct select_values {
	bool all, yes;
	const char *job, *user, *org, *space, *app, *deployment, *group, *agent;
	const char *reason;
	struct arg_number older_ms;
	bool dry_run, records; /* of purge */
	const char *report;
};

extern const struct arg_option select_options[];
extern const struct arg_option select_purge_options[]; /* more of them */

/* select_body: the request's body, new reference; NULL with ERR_INPUT when nothing, or --all and more, was given. */
json_t *select_body(const struct select_values *v, struct err *err);

#endif
