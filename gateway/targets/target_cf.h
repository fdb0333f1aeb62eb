/* target_cf.h - apps of Cloud Foundry as targets.
 *
 *   {"type":"cf", "app":"GUID",                          "process":"web", "instances":[0,2]}
 *   {"type":"cf", "app_name":"shop", "space":"GUID", ...}
 *
 * process left out: "web", as of cf ssh; "*": all types.  instances left out: all.  Once an app was found by its name its GUID stands in the target too: asked again,
 * the target is that app and no other that has got the name.  Where a target has both from the start they must agree.
 *
 * Asked of Cloud Controller with the user's own token; who may enter the app by cf ssh may capture from it: scope cloud_controller.admin, or scope cloud_controller.write
 * and space developer, neither org nor space suspended.  Then labels (cf.label) and, with cf.ssh, the ssh switches.
 *
 * Requests of one resolve: the app with space and org, the role (not for an admin), the ssh switch (only with cf.ssh), the processes (one per page of 50), the stats of
 * each process of which an instance is meant: 4 for a developer and an app with one process, 3 for an admin.
 *
 * Names of instances: "shop/0"; of other types than web "shop/worker/0"; of a second process of a type, as there is while an app is deployed,
 * "shop/0 (rev 1c0f0a52)" with the beginning of its GUID.  The oldest has the plain name: when it goes, the name goes over to the next.  What is the same all the time is
 * agent.handle (or agent.address).
 *
 * Further details of errors: "suspended" (ERR_PERM), "not_running" (ERR_STATE); of instances "instance_down", "instance_crashed", "instance_starting" (ERR_STATE),
 * "platform_failed" (ERR_NET: it runs, but it is not said where). */
#ifndef PCAPLINE_GATEWAY_TARGETS_TARGET_CF_H
#define PCAPLINE_GATEWAY_TARGETS_TARGET_CF_H

#include "gateway/targets/target.h"
#include "schema/config_gateway.h"

/* c->cf_api is set. */
struct target_source *target_cf_new(const struct config_gateway *c, struct err *err);

#endif
