/* text.c - see text.h. */
#include "cli/text.h"

#include "common/clock.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PATH_KEY_MAX 64

char *text_clean(const char *s, char *ret, size_t size)
{
	size_t n = strlen(s);

	if (n >= size || !parse_is_text(s, n, false))
		return parse_printable(s, ret, size);
	memcpy(ret, s, n + 1);
	return ret;
}

size_t text_columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xC0) != 0x80;
	return n;
}

char *text_age(uint64_t seconds, char *ret, size_t size)
{
	if (seconds < 120)
		snprintf(ret, size, "%" PRIu64 "s", seconds);
	else if (seconds < 120 * 60)
		snprintf(ret, size, "%" PRIu64 "m", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(ret, size, "%" PRIu64 "h", seconds / 3600);
	else
		snprintf(ret, size, "%" PRIu64 "d", seconds / (24 * 3600));
	return ret;
}

char *text_since(const char *rfc3339, uint64_t now_ns, char *ret, size_t size)
{
	uint64_t at = 0;

	if (!*rfc3339 || clock_parse_rfc3339(rfc3339, &at, NULL) < 0) {
		snprintf(ret, size, "-");
		return ret;
	}
	return text_age(now_ns > at ? (now_ns - at) / CLOCK_NS_PER_S : 0, ret, size);
}

char *text_until(const char *rfc3339, uint64_t now_ns, char *ret, size_t size)
{
	char age[24];
	uint64_t at = 0;

	if (!*rfc3339 || clock_parse_rfc3339(rfc3339, &at, NULL) < 0)
		snprintf(ret, size, "-");
	else if (at <= now_ns)
		snprintf(ret, size, "now");
	else
		snprintf(ret, size, "in %s", text_age((at - now_ns) / CLOCK_NS_PER_S, age, sizeof(age)));
	return ret;
}

char *text_count(uint64_t n, const char *one, const char *many, char *ret, size_t size)
{
	snprintf(ret, size, "%" PRIu64 " %s", n, n == 1 ? one : many);
	return ret;
}

json_t *json_at(const json_t *obj, const char *path)
{
	char key[PATH_KEY_MAX];
	const json_t *at = obj;

	for (;;) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		at = json_object_get(at, key);
		if (!at || !path[n])
			return (json_t *)at;
		path += n + 1;
	}
}

const char *json_text(const json_t *obj, const char *path)
{
	const char *s = json_string_value(json_at(obj, path));

	return s ? s : "";
}

uint64_t json_count(const json_t *obj, const char *path)
{
	json_int_t n = json_integer_value(json_at(obj, path));

	return n > 0 ? (uint64_t)n : 0;
}
