/* config.h - configuration files: YAML (libcyaml), sections of plain values, checked by one table per program.
 *
 * The table is the truth: the struct is filled, the defaults set, `--config-help` printed and the documentation checked from it.
 * Values are text with units ("64MiB", "30s") or numbers; unknown keys, repeated keys, wrong types and values out of range are refused
 * with file, key, value and interval: "gateway.yml: limits.captures: 70000 is not within 1..10000".
 * Files are at most CONFIG_FILE_BYTES_MAX bytes; lists of text are supported, anchors and aliases are not. */
#ifndef PCAPLINE_SCHEMA_CONFIG_H
#define PCAPLINE_SCHEMA_CONFIG_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_FILE_BYTES_MAX (4u * 1024 * 1024)
#define CONFIG_LIST_MAX       64

enum config_type {
	CONFIG_TEXT,     /* char *: owned, never NULL ("" when the default is "") */
	CONFIG_NUMBER,   /* uint64_t */
	CONFIG_SIZE,     /* uint64_t bytes */
	CONFIG_DURATION, /* uint64_t milliseconds */
	CONFIG_BOOL,     /* bool */
	CONFIG_CHOICE,   /* char *: one of the words in `choices`, separated by '|' */
	CONFIG_LIST,     /* struct config_list: empty unless given; a given one must not be */
};

struct config_list {
	char **items;
	size_t n;
};
void config_list_done(struct config_list *l);

struct config_key {
	const char *section, *key; /* "limits", "captures"; section "" : at the top */
	enum config_type type;
	size_t offset;            /* of the member in the program's struct */
	const char *default_text; /* as one would write it; NULL: must be given */
	uint64_t least, most;     /* numbers; for text: bytes */
	const char *choices;
	const char *unit; /* "bytes", "captures"..., "" : none */
	const char *text; /* one sentence */
};

/* config_load: fills the struct at ret (zeroed first).  On failure nothing is left allocated. path NULL: all defaults (fails when one is required). */
int config_load(const char *path, const struct config_key *keys, size_t keys_n, void *ret, struct err *err);
void config_done(const struct config_key *keys, size_t keys_n, void *config);

/* config_help: the commented YAML of all keys with defaults, units and ranges. */
void config_help(const struct config_key *keys, size_t keys_n, FILE *out);

#endif
