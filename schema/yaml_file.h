/* yaml_file.h - one YAML file into structs, through a libcyaml schema; for configuration, inventory and tokens.
 * Strict: one document, plain keys each at most once, no unknown keys, no anchors or aliases, no control characters or NULs within
 * quotes, YAML_FILE_DEPTH_MAX levels, CONFIG_FILE_BYTES_MAX bytes.  Messages name file, key and line. */
#ifndef PCAPLINE_SCHEMA_YAML_FILE_H
#define PCAPLINE_SCHEMA_YAML_FILE_H

#include "common/err.h"

#include <cyaml/cyaml.h>

#define YAML_FILE_DEPTH_MAX 8

/* top: a mapping with CYAML_FLAG_POINTER_NULL, outliving the data.  *ret_data: NULL for a file without content; yaml_file_free it.
 * ERR_INPUT, ERR_LIMIT, ERR_NOMEM, or why the file could not be read; "path: ..." */
int yaml_file_load(const char *path, const cyaml_schema_value_t *top, void **ret_data, struct err *err);
void yaml_file_free(const cyaml_schema_value_t *top, void *data);

#endif
