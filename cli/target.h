/* target.h - apps and VMs as a user names them, as the targets of a request: one target for each app or deployment, its instances
 * gathered in it, each once; the whole swallows its instances. */
#ifndef PCAPLINE_CLI_TARGET_H
#define PCAPLINE_CLI_TARGET_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

#define TARGET_INDEX_MAX 999999u /* as the gateway */
#define TARGET_APP_MAX   1024    /* name of an app; likewise */

/* target_add_app: "APP" or "APP/INDEX"; process NULL: the platform's default.  ERR_INPUT: not of that form. */
int target_add_app(json_t *targets, const char *text, bool is_guid, const char *process, struct err *err);

/* target_add_vm: "GROUP" or "GROUP/ID" of the deployment; NULL: all of it. */
int target_add_vm(json_t *targets, const char *deployment, const char *text, struct err *err);

/* target_add_deployment: "DEPLOYMENT", "DEPLOYMENT/GROUP", "DEPLOYMENT/GROUP/ID". */
int target_add_deployment(json_t *targets, const char *text, struct err *err);

/* target_set_space: the space that apps are named in.  target_has_names: are there any? */
void target_set_space(json_t *targets, const char *guid);
bool target_has_names(const json_t *targets);

/* target_text: what a target of a request or a job stands for: "shop/0, shop/2", "cf: router/0, diego-cell".  Returns ret. */
char *target_text(const json_t *target, char *ret, size_t size);

#endif
