/* json_in_parse.c - bytes to a JSON value, with every bound checked before jansson builds anything; see json_in.h. */
#include "common/json_in.h"

/* Where a scan of the bytes stands. */
struct json_scan {
	size_t line, column;
	unsigned depth;
	bool in_string, escaped;
};

/* Takes one byte; false when it opens one level too many. */
static bool json_scan_byte(struct json_scan *s, uint8_t c)
{
	s->column++;
	if (c == '\n') {
		s->line++;
		s->column = 0;
	}
	if (s->escaped)
		s->escaped = false;
	else if (s->in_string && c == '\\')
		s->escaped = true;
	else if (c == '"')
		s->in_string = !s->in_string;
	else if (!s->in_string && (c == '[' || c == '{'))
		s->depth++;
	else if (!s->in_string && (c == ']' || c == '}') && s->depth > 0)
		s->depth--;
	return s->depth <= JSON_IN_DEPTH_MAX;
}

/* Jansson's own bound of 2048 levels is a constant of its build, and deep values cost stack wherever they are walked. */
static int json_check_depth(const uint8_t *p, size_t n, struct err *err)
{
	struct json_scan s = {.line = 1};

	for (size_t i = 0; i < n; i++)
		if (!json_scan_byte(&s, p[i]))
			return err_set(err, ERR_INPUT, "line %zu column %zu: nested deeper than %d levels", s.line,
				s.column, JSON_IN_DEPTH_MAX);
	return 0;
}

json_t *json_in_parse(const void *p, size_t n, struct err *err)
{
	/* Duplicates are refused, since two readers of one text may each believe another; NUL in strings is refused by
	 * default (no JSON_ALLOW_NUL), since what follows it would be hidden from C. */
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	json_error_t why;
	json_t *v;

	if (n == 0) {
		err_set(err, ERR_INPUT, "empty, where JSON is expected");
		return NULL;
	}
	if (n > JSON_IN_BYTES_MAX) {
		err_set(err, ERR_LIMIT, "%zu bytes of JSON are more than the %zu allowed", n, JSON_IN_BYTES_MAX);
		return NULL;
	}
	if (json_check_depth(p, n, err) < 0)
		return NULL;
	if ((v = json_loadb(p, n, flags, &why)) == NULL) {
		if (json_error_code(&why) == json_error_out_of_memory)
			err_nomem(err);
		else
			err_set(err, ERR_INPUT, "line %d column %d: %s", why.line, why.column, why.text);
	}
	return v;
}
