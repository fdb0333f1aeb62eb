/* yaml_json.h - any YAML text as a JSON value, for files of other tools whose keys are theirs: nothing is required and nothing unknown
 * refused.  Scalars come as strings; one document; no anchors' references, no key twice, 16 levels. */
#ifndef PCAPLINE_CLI_LOGIN_YAML_JSON_H
#define PCAPLINE_CLI_LOGIN_YAML_JSON_H

#include "common/err.h"

#include <jansson.h>

/* yaml_json: a new reference (JSON null for a text without content), or NULL with ERR_INPUT and the line. */
json_t *yaml_json(const char *text, struct err *err);

#endif
