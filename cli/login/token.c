/* token.c - see token.h. */
#include "cli/login/token.h"

#include "cli/api.h"
#include "cli/text.h"
#include "common/digest.h"
#include "common/json_in.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define RENEW_LEFT_S 30u
#define TIME_MAX_S   UINT64_C(253402300799) /* the end of the year 9999 */

static int digit_of(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Base64 as it stands in tokens: its own two characters, no padding.  ret has room for n bytes; how many came, or -1. */
static long decode(const char *text, size_t n, uint8_t *ret)
{
	uint32_t bits = 0;
	unsigned bits_n = 0;
	long len = 0;

	for (size_t i = 0; i < n; i++) {
		int digit = digit_of(text[i]);

		if (digit < 0)
			return -1;
		bits = bits << 6 | (uint32_t)digit;
		bits_n += 6;
		if (bits_n >= 8) {
			bits_n -= 8;
			ret[len++] = (uint8_t)(bits >> bits_n);
			bits &= (1u << bits_n) - 1;
		}
	}
	return len;
}

static json_t *claims_of(const char *text)
{
	const char *begin = strchr(text, '.'), *end = begin ? strchr(begin + 1, '.') : NULL;
	json_t *claims = NULL;
	uint8_t *bytes;
	long len;

	if (!end || end == begin + 1)
		return NULL;
	begin++;
	if (!(bytes = malloc((size_t)(end - begin))))
		return NULL;
	len = decode(begin, (size_t)(end - begin), bytes);
	if (len > 0)
		claims = json_in_parse(bytes, (size_t)len, NULL);
	digest_wipe(bytes, (size_t)(end - begin));
	free(bytes);
	if (json_is_object(claims))
		return claims;
	json_decref(claims);
	return NULL;
}

static uint64_t seconds(const json_t *claims, const char *name)
{
	double s = json_number_value(json_object_get(claims, name));

	return s >= 1 && s <= (double)TIME_MAX_S ? (uint64_t)s : 0;
}

bool token_is_plain(const char *text)
{
	size_t n = strnlen(text, API_TOKEN_MAX + 1);

	if (!n || n > API_TOKEN_MAX)
		return false;
	for (; *text; text++)
		if (!isgraph((unsigned char)*text))
			return false;
	return true;
}

bool token_read(const char *text, struct token_info *ret)
{
	json_t *claims = token_is_plain(text) ? claims_of(text) : NULL;
	const char *user;

	*ret = (struct token_info){0};
	if (!claims)
		return false;
	ret->issued_s = seconds(claims, "iat");
	ret->expires_s = seconds(claims, "exp");
	user = json_text(claims, "user_name");
	ret->is_client = !*user;
	text_clean(*user ? user : json_text(claims, "client_id"), ret->user, sizeof(ret->user));
	json_decref(claims);
	return true;
}

uint64_t token_renew_s(const struct token_info *t)
{
	uint64_t left = RENEW_LEFT_S;

	if (!t->expires_s)
		return 0;
	if (t->issued_s && t->issued_s < t->expires_s)
		left = (t->expires_s - t->issued_s) / 4;
	return t->expires_s > left ? t->expires_s - left : 1;
}
