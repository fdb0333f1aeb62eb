/* select.h - which jobs an operator means: all, or by job, user, org, space, app, deployment, agent, age. */
#ifndef PCAPLINE_CLI_SELECT_H
#define PCAPLINE_CLI_SELECT_H

#include "cli/args.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

struct select_values {
	bool all, yes;
	const char *job, *user, *org, *space, *app, *deployment, *agent;
	struct arg_number older_ms;
};

extern const struct arg_option select_options[];

/* select_body: the request's body, new reference; NULL with ERR_INPUT when nothing, or --all and more, was given. */
json_t *select_body(const struct select_values *v, struct err *err);

#endif
