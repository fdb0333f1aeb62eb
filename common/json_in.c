/* json_in.c - one JSON object read strictly; see json_in.h. */
#include "common/json_in.h"

#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_IN_SHOWN_MAX 64 /* of a refused value, in messages */
#define JSON_IN_NAMES_MAX 256

/* A dotted name keeps its end when it has to be cut by err_field; messages have room for a long one. */
#define JSON_IN_NAME_MAX 192

/* path.key, printable: either may be empty, and an unknown key is a stranger's. */
static const char *json_in_name(const struct json_in *in, const char *key, char ret[JSON_IN_NAME_MAX])
{
	char shown[JSON_IN_NAME_MAX / 2];

	parse_printable(key, shown, sizeof(shown));
	snprintf(ret, JSON_IN_NAME_MAX, "%.*s%s%s", JSON_IN_NAME_MAX / 2 - 2, in->path,
		in->path[0] != '\0' && key[0] != '\0' ? "." : "", shown);
	return ret;
}

int json_in_fail(struct json_in *in, const char *key, const char *fmt, ...)
{
	char name[JSON_IN_NAME_MAX];
	va_list ap;

	if (in->bad)
		return -1;
	in->bad = true;
	va_start(ap, fmt);
	err_vset(in->err, ERR_INPUT, fmt, ap);
	va_end(ap);
	json_in_name(in, key != NULL ? key : "", name);
	if (name[0] != '\0')
		err_in(in->err, "%s", name);
	return err_field(in->err, name);
}

/* The value as a message shows it: text quoted, numbers as they are, the rest by kind. */
static const char *json_in_show(const json_t *v, char ret[JSON_IN_SHOWN_MAX])
{
	char text[JSON_IN_SHOWN_MAX - 2];

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		snprintf(ret, JSON_IN_SHOWN_MAX, "\"%s\"", parse_printable(json_string_value(v), text, sizeof(text)));
		return ret;
	case JSON_INTEGER:
		snprintf(ret, JSON_IN_SHOWN_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return ret;
	case JSON_REAL:
		snprintf(ret, JSON_IN_SHOWN_MAX, "%.10g", json_real_value(v));
		return ret;
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	}
	return "?";
}

static void json_in_wrong_type(struct json_in *in, const char *key, const char *wanted, const json_t *v)
{
	char shown[JSON_IN_SHOWN_MAX];

	json_in_fail(in, key, "must be %s, is %s", wanted, json_in_show(v, shown));
}

void json_in_begin(struct json_in *in, json_t *obj, const char *path, struct err *err)
{
	*in = (struct json_in){.obj = obj, .path = path, .err = err};
	if (obj == NULL)
		json_in_fail(in, "", "must be an object, is not there");
	else if (!json_is_object(obj))
		json_in_wrong_type(in, "", "an object", obj);
}

/* The value of key, which is known from now on; NULL when absent, null, or the reader is bad. */
static json_t *json_in_take(struct json_in *in, const char *key, int required)
{
	json_t *v;

	if (in->bad)
		return NULL;
	if (in->seen_n == JSON_IN_KEYS_MAX) {
		in->bad = true;
		err_set(in->err, ERR_INTERNAL, "more than %d known keys in \"%s\"", JSON_IN_KEYS_MAX, in->path);
		return NULL;
	}
	in->seen[in->seen_n++] = key;
	v = json_object_get(in->obj, key);
	if (v != NULL && !json_is_null(v))
		return v;
	if (required)
		json_in_fail(in, key, "is required");
	return NULL;
}

void json_in_str(struct json_in *in, const char *key, int required, size_t least, size_t most, const char **ret)
{
	json_t *v = json_in_take(in, key, required);
	size_t n;

	if (v == NULL)
		return;
	if (!json_is_string(v)) {
		json_in_wrong_type(in, key, "a string", v);
		return;
	}
	n = json_string_length(v);
	if (n < least || n > most)
		json_in_fail(in, key, "length %zu is not within %zu..%zu bytes", n, least, most);
	else if (!parse_is_text(json_string_value(v), n, false))
		json_in_fail(in, key, "must be text without control characters");
	else
		*ret = json_string_value(v);
}

void json_in_u64(struct json_in *in, const char *key, uint64_t least, uint64_t most, uint64_t *ret)
{
	json_t *v = json_in_take(in, key, JSON_IN_OPTIONAL);
	json_int_t n;

	if (v == NULL)
		return;
	if (!json_is_integer(v)) {
		json_in_wrong_type(in, key, "a whole number", v);
		return;
	}
	n = json_integer_value(v);
	if (n < 0 || (uint64_t)n < least || (uint64_t)n > most)
		json_in_fail(in, key, "%" JSON_INTEGER_FORMAT " is not within %" PRIu64 "..%" PRIu64, n, least, most);
	else
		*ret = (uint64_t)n;
}

void json_in_bool(struct json_in *in, const char *key, bool *ret)
{
	json_t *v = json_in_take(in, key, JSON_IN_OPTIONAL);

	if (v == NULL)
		return;
	if (!json_is_boolean(v))
		json_in_wrong_type(in, key, "true or false", v);
	else
		*ret = json_is_true(v);
}

void json_in_obj(struct json_in *in, const char *key, int required, json_t **ret)
{
	json_t *v = json_in_take(in, key, required);

	if (v == NULL)
		return;
	if (!json_is_object(v))
		json_in_wrong_type(in, key, "an object", v);
	else
		*ret = v;
}

void json_in_array(struct json_in *in, const char *key, int required, size_t most, json_t **ret)
{
	json_t *v = json_in_take(in, key, required);

	if (v == NULL)
		return;
	if (!json_is_array(v))
		json_in_wrong_type(in, key, "an array", v);
	else if (json_array_size(v) > most)
		json_in_fail(in, key, "%zu elements are more than the %zu allowed", json_array_size(v), most);
	else
		*ret = v;
}

void json_in_any(struct json_in *in, const char *key, json_t **ret)
{
	json_t *v = json_in_take(in, key, JSON_IN_OPTIONAL);

	if (v != NULL)
		*ret = v;
}

/* "live, store, auto"; what does not fit is left out. */
static const char *json_in_list(const char *const *names, char ret[JSON_IN_NAMES_MAX])
{
	size_t at = 0;
	int n;

	ret[0] = '\0';
	for (size_t i = 0; names[i] != NULL && at < JSON_IN_NAMES_MAX; i++) {
		n = snprintf(ret + at, JSON_IN_NAMES_MAX - at, "%s%s", i > 0 ? ", " : "", names[i]);
		at += n > 0 ? (size_t)n : 0;
	}
	return ret;
}

void json_in_enum(struct json_in *in, const char *key, int required, const char *const *names, int *ret)
{
	json_t *v = json_in_take(in, key, required);
	char shown[JSON_IN_SHOWN_MAX], list[JSON_IN_NAMES_MAX];

	if (v == NULL)
		return;
	for (int i = 0; json_is_string(v) && names[i] != NULL; i++)
		if (strcmp(names[i], json_string_value(v)) == 0) {
			*ret = i;
			return;
		}
	json_in_fail(in, key, "%s is not one of %s", json_in_show(v, shown), json_in_list(names, list));
}

static bool json_in_is_known(const struct json_in *in, const char *key)
{
	for (size_t i = 0; i < in->seen_n; i++)
		if (strcmp(in->seen[i], key) == 0)
			return true;
	return false;
}

int json_in_end(struct json_in *in)
{
	char name[JSON_IN_NAME_MAX], shown[JSON_IN_SHOWN_MAX];
	const char *key;
	json_t *v;

	if (in->bad)
		return -1;
	json_object_foreach(in->obj, key, v)
	{
		if (json_in_is_known(in, key))
			continue;
		json_in_fail(in, "", "unknown key \"%s\"", parse_printable(key, shown, sizeof(shown)));
		return err_field(in->err, json_in_name(in, key, name));
	}
	return 0;
}
