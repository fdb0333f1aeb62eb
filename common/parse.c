/* parse.c - numbers, sizes, durations, flags and addresses in text; see parse.h. */
#include "common/parse.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PARSE_SHOWN_MAX 64 /* of a refused text, in messages */
#define PARSE_BOUND_MAX 32

/* A unit's name, and how many of the base unit it stands for. */
struct parse_unit {
	const char *name;
	uint64_t factor;
};

/* Largest first, the name used in messages before its aliases. */
static const struct parse_unit parse_size_units[] = {
	{"T", UINT64_C(1) << 40},
	{"TiB", UINT64_C(1) << 40},
	{"TB", UINT64_C(1000000000000)},
	{"G", UINT64_C(1) << 30},
	{"GiB", UINT64_C(1) << 30},
	{"GB", UINT64_C(1000000000)},
	{"M", UINT64_C(1) << 20},
	{"MiB", UINT64_C(1) << 20},
	{"MB", UINT64_C(1000000)},
	{"K", UINT64_C(1) << 10},
	{"KiB", UINT64_C(1) << 10},
	{"KB", UINT64_C(1000)},
	{"B", 1},
	{NULL, 0},
};

static const struct parse_unit parse_duration_units[] = {
	{"d", UINT64_C(86400000)},
	{"h", UINT64_C(3600000)},
	{"m", UINT64_C(60000)},
	{"s", UINT64_C(1000)},
	{"ms", 1},
	{NULL, 0},
};

static int parse_refuse(struct err *err, const char *text, const char *what)
{
	char shown[PARSE_SHOWN_MAX];

	return err_set(err, ERR_INPUT, "\"%s\" is not %s", parse_printable(text, shown, sizeof(shown)), what);
}

/* Digits at the start of text; *ret_end is what follows.  False without any, or past 64 bits (*ret_over). */
static bool parse_digits(const char *text, uint64_t *ret, const char **ret_end, bool *ret_over)
{
	uint64_t v = 0;
	const char *p;

	*ret_over = false;
	for (p = text; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (v > (UINT64_MAX - digit) / 10)
			*ret_over = true;
		else
			v = v * 10 + digit;
	}
	*ret = v;
	*ret_end = p;
	return p != text && !*ret_over;
}

int parse_u64(const char *text, uint64_t least, uint64_t most, uint64_t *ret, struct err *err)
{
	char what[2 * PARSE_BOUND_MAX];
	const char *end;
	uint64_t v;
	bool over;

	if ((!parse_digits(text, &v, &end, &over) && !over) || *end != '\0')
		return parse_refuse(err, text, "a whole number");
	if (over || v < least || v > most) {
		snprintf(what, sizeof(what), "within %" PRIu64 "..%" PRIu64, least, most);
		return parse_refuse(err, text, what);
	}
	*ret = v;
	return 0;
}

/* v in the largest unit that it is a whole number of: bounds are shown as people write them. */
static const char *parse_show(uint64_t v, const struct parse_unit *units, char ret[PARSE_BOUND_MAX])
{
	for (; v != 0 && units->name != NULL; units++)
		if (v % units->factor == 0) {
			snprintf(ret, PARSE_BOUND_MAX, "%" PRIu64 "%s", v / units->factor, units->name);
			return ret;
		}
	snprintf(ret, PARSE_BOUND_MAX, "%" PRIu64, v);
	return ret;
}

/* The factor of the unit named so, in either case; 0: there is none. */
static uint64_t parse_factor(const char *name, const struct parse_unit *units)
{
	for (; units->name != NULL; units++)
		if (strcasecmp(units->name, name) == 0)
			return units->factor;
	return 0;
}

/* A number with an optional unit; without one it counts in bare_factor. */
static int parse_with_unit(const char *text, const struct parse_unit *units, uint64_t bare_factor, const char *kind,
	uint64_t least, uint64_t most, uint64_t *ret, struct err *err)
{
	char what[3 * PARSE_BOUND_MAX], low[PARSE_BOUND_MAX], high[PARSE_BOUND_MAX];
	uint64_t v, factor;
	const char *end;
	bool over;

	if (!parse_digits(text, &v, &end, &over) && !over)
		return parse_refuse(err, text, kind);
	factor = *end == '\0' ? bare_factor : parse_factor(end, units);
	if (factor == 0)
		return parse_refuse(err, text, kind);
	if (over || v > UINT64_MAX / factor || v * factor < least || v * factor > most) {
		snprintf(what, sizeof(what), "within %s..%s", parse_show(least, units, low),
			parse_show(most, units, high));
		return parse_refuse(err, text, what);
	}
	*ret = v * factor;
	return 0;
}

int parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *ret_bytes, struct err *err)
{
	return parse_with_unit(
		text, parse_size_units, 1, "a size such as 100, 64K, 100M or 2GB", least, most, ret_bytes, err);
}

int parse_duration_ms(const char *text, uint64_t least, uint64_t most, uint64_t *ret_ms, struct err *err)
{
	return parse_with_unit(
		text, parse_duration_units, 1000, "a duration such as 500ms, 60s, 5m or 2h", least, most, ret_ms, err);
}

int parse_bool(const char *text, bool *ret, struct err *err)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "on") == 0)
		*ret = true;
	else if (strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "off") == 0)
		*ret = false;
	else
		return parse_refuse(err, text, "true or false");
	return 0;
}

/* Letters, digits, '.', '-' and '_': what names of hosts and of network devices are made of. */
static bool parse_is_name(const char *s)
{
	return *s != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == '\0';
}

/* An IPv6 address, for a link-local one with its device ("fe80::1%eth0"). */
static bool parse_is_ipv6(const char *s)
{
	char address[INET6_ADDRSTRLEN];
	size_t n = strcspn(s, "%");
	struct in6_addr parsed;

	if (n >= sizeof(address) || (s[n] == '%' && !parse_is_name(s + n + 1)))
		return false;
	memcpy(address, s, n);
	address[n] = '\0';
	return inet_pton(AF_INET6, address, &parsed) == 1;
}

/* Splits off the host; *ret_rest is what follows it: "" or ":port".  False: it is no host. */
static bool parse_host(const char *text, char ret_host[256], const char **ret_rest)
{
	bool brackets = text[0] == '[';
	const char *start = brackets ? text + 1 : text;
	size_t n = strcspn(start, brackets ? "]" : ":");

	if (n > 255 || (brackets && start[n] != ']'))
		return false;
	memcpy(ret_host, start, n);
	ret_host[n] = '\0';
	*ret_rest = start + n + (brackets ? 1 : 0);
	return brackets ? parse_is_ipv6(ret_host) : parse_is_name(ret_host);
}

int parse_host_port(const char *text, uint16_t fallback, char ret_host[256], uint16_t *ret_port, struct err *err)
{
	uint64_t port = fallback;
	const char *rest;
	char host[256];

	if (parse_is_ipv6(text))
		return parse_refuse(err, text, "host:port: an IPv6 address needs brackets, as in [::1]:80");
	if (!parse_host(text, host, &rest) || (*rest != ':' && *rest != '\0'))
		return parse_refuse(err, text, "host:port, such as example.org:443 or [::1]:443");
	if (*rest == '\0' && fallback == 0)
		return parse_refuse(err, text, "host:port: the port is missing");
	if (*rest == ':' && parse_u64(rest + 1, 1, UINT16_MAX, &port, err) < 0)
		return err_in(err, "port");
	memcpy(ret_host, host, strlen(host) + 1);
	*ret_port = (uint16_t)port;
	return 0;
}

char *parse_join_host_port(const char *host, uint16_t port, char *ret, size_t size)
{
	bool brackets = strchr(host, ':') != NULL;

	snprintf(ret, size, "%s%s%s:%u", brackets ? "[" : "", host, brackets ? "]" : "", port);
	return ret;
}
