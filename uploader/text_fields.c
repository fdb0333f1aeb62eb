/* text_fields.c - see text_fields.h. */
#include "uploader/text_fields.h"

#include <string.h>

const char *text_field(const char *text, char end, char *dst, size_t size)
{
	const char *stop = strchr(text, end);
	size_t n;

	if (!stop || (n = (size_t)(stop - text)) >= size)
		return NULL;
	memcpy(dst, text, n);
	dst[n] = '\0';
	return stop + 1;
}

bool text_u64(const char *text, uint64_t *ret)
{
	uint64_t v = 0;

	if (!text[0] || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(unsigned char)*text - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

const char *text_hex(const char *text, uint8_t *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return NULL;
		dst[i] = (uint8_t)(high << 4 | low);
	}
	return text + 2 * n;
}
