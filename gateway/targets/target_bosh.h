/* target_bosh.h - targets of type "bosh": VMs of a deployment, asked of the director with the user's own token. */
#ifndef PCAPLINE_GATEWAY_TARGETS_TARGET_BOSH_H
#define PCAPLINE_GATEWAY_TARGETS_TARGET_BOSH_H

#include "gateway/targets/target.h"
#include "schema/config_gateway.h"

/* As the section bosh says, whose director is set; everything is copied. */
struct target_source *target_bosh_new(const struct config_gateway *c, struct err *err);

#endif
