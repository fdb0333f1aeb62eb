/* parse_text.c - text made fit to show, and told from what is none; see parse.h. */
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *parse_printable(const char *s, char *ret, size_t size)
{
	size_t i;

	if (size == 0)
		return ret;
	for (i = 0; i < size - 1 && s[i] != '\0'; i++)
		ret[i] = (unsigned char)s[i] >= 0x20 && (unsigned char)s[i] <= 0x7e ? s[i] : '?';
	ret[i] = '\0';
	if (s[i] != '\0' && size > 4)
		memcpy(ret + size - 4, "...", 4);
	return ret;
}

/* The length of the UTF-8 sequence at p (RFC 3629, section 4), and its code point; 0: there is none. */
static size_t parse_utf8(const uint8_t *p, size_t left, uint32_t *ret_point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: anything under it is overlong */
	uint32_t v;
	size_t n;

	if (p[0] < 0x80)
		n = 1;
	else if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > left)
		return 0;
	v = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*ret_point = v;
	return n;
}

bool parse_is_text(const char *s, size_t n, bool tabs)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t point = 0;
	size_t len;

	for (; n > 0; p += len, n -= len) {
		if ((len = parse_utf8(p, n, &point)) == 0)
			return false;
		if (point < 0x20 && !(tabs && point == '\t'))
			return false;
		if (point >= 0x7f && point <= 0x9f)
			return false;
	}
	return true;
}

char *parse_format_bytes(uint64_t bytes, char *ret, size_t size)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t unit = 1000;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(ret, size, "%" PRIu64 " B", bytes);
		return ret;
	}
	for (; bytes / unit >= 1000; i++)
		unit *= 1000;
	snprintf(ret, size, "%" PRIu64 ".%" PRIu64 " %s", bytes / unit, bytes % unit / (unit / 10), units[i]);
	return ret;
}
