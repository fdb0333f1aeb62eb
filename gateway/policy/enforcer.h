/* enforcer.h - switches on what runs: a change, and what expires, is brought before every running capture at once.
 * Life: enforcer_start, enforcer_stop. */
#ifndef PCAPLINE_GATEWAY_POLICY_ENFORCER_H
#define PCAPLINE_GATEWAY_POLICY_ENFORCER_H

#include "common/err.h"

#include <jansson.h>

struct gateway;
struct enforcer;

struct enforcer *enforcer_start(struct gateway *gw, struct err *err);
void enforcer_stop(struct enforcer *e); /* accepts NULL */

/* enforcer_now: after a change; a new list of the ids of captures that it ends. */
json_t *enforcer_now(struct gateway *gw);

#endif
