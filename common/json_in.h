/* json_in.h - strict reading of JSON from outside.
 * json_in_parse bounds size and depth and refuses duplicate keys, NUL bytes and anything after the value.  A struct
 * json_in then reads one object: each known key by a getter, and json_in_end refuses by name whatever was not asked
 * for.  The first failure sticks (err.field names the dotted path); later getters do nothing, so an object is read
 * straight through and tested once:
 *
 *     struct json_in in;
 *     json_in_begin(&in, obj, "options", err);
 *     json_in_u64(&in, "snaplen", 1, 262144, &o->snaplen);          // optional: untouched when absent
 *     json_in_str(&in, "device", JSON_IN_REQUIRED, 1, 15, &o->device);
 *     return json_in_end(&in);
 */
#ifndef PCAPLINE_COMMON_JSON_IN_H
#define PCAPLINE_COMMON_JSON_IN_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_IN_BYTES_MAX ((size_t)4 * 1024 * 1024) /* values take up to some 50 times their text in memory */
#define JSON_IN_DEPTH_MAX 16
#define JSON_IN_KEYS_MAX  48 /* known keys per object */

#define JSON_IN_OPTIONAL 0
#define JSON_IN_REQUIRED 1

/* json_in_parse: any JSON value in n bytes; a new reference, or NULL with ERR_INPUT ("line 1 column 7: ...") or ERR_LIMIT
 * (JSON_IN_BYTES_MAX). */
json_t *json_in_parse(const void *p, size_t n, struct err *err);

struct json_in {
	json_t *obj;      /* borrowed */
	const char *path; /* borrowed, "" at the top */
	const char *seen[JSON_IN_KEYS_MAX];
	size_t seen_n;
	struct err *err;
	bool bad;
};

/* json_in_begin: obj must be an object, else the reader is bad at once.  err must not be NULL.  Messages begin
 * with the dotted path: "options.snaplen: 9999999 is not within 16..262144". */
void json_in_begin(struct json_in *in, json_t *obj, const char *path, struct err *err);

/* Getters.  A JSON null counts as absent.  Results are untouched when absent.  Strings are borrowed from obj, valid
 * UTF-8 without control characters, least..most bytes. */
void json_in_str(struct json_in *in, const char *key, int required, size_t least, size_t most, const char **ret);
void json_in_u64(struct json_in *in, const char *key, uint64_t least, uint64_t most, uint64_t *ret);
void json_in_bool(struct json_in *in, const char *key, bool *ret);
void json_in_obj(struct json_in *in, const char *key, int required, json_t **ret); /* borrowed */
void json_in_array(struct json_in *in, const char *key, int required, size_t most, json_t **ret);
void json_in_any(struct json_in *in, const char *key, json_t **ret);

/* json_in_enum: the index of the value in names (NULL-terminated); the refusal lists them. */
void json_in_enum(struct json_in *in, const char *key, int required, const char *const *names, int *ret);

/* json_in_fail: a refusal of the caller's own for path.key (key "": the object itself).  Always returns -1. */
int json_in_fail(struct json_in *in, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* json_in_end: refuses unknown keys.  0, or -1 with the first failure in err. */
int json_in_end(struct json_in *in);

#endif
