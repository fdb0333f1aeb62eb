/* fuzz_parse.c - any text through every function of parse.h and the time parser.  Holds: a refusal says why in printable
 * text and leaves the result; what is taken lies within the bounds and, written out again, reads as the same. */
#include "common/clock.h"
#include "common/parse.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED UINT64_C(0x5555555555555555)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_refusal(const struct err *e)
{
	assert(e->code == ERR_INPUT);
	assert(e->msg[0] != '\0');
	for (const char *p = e->msg; *p != '\0'; p++)
		assert(*p >= 0x20 && *p <= 0x7e);
}

typedef int parse_fn(const char *text, uint64_t least, uint64_t most, uint64_t *ret, struct err *err);

static void check_number(parse_fn *parse, const char *text, const char *base_unit)
{
	uint64_t v = UNTOUCHED, again, bounded = UNTOUCHED;
	struct err e = {0};
	char written[32];

	if (parse(text, 0, UINT64_MAX, &v, &e) < 0) {
		check_refusal(&e);
		assert(v == UNTOUCHED);
		return;
	}
	snprintf(written, sizeof(written), "%" PRIu64 "%s", v, base_unit);
	assert(parse(written, v, v, &again, &e) == 0 && again == v);
	if (parse(text, 1000, 100000, &bounded, &e) == 0)
		assert(bounded == v && v >= 1000 && v <= 100000);
	else
		assert(bounded == UNTOUCHED && (v < 1000 || v > 100000));
}

static void check_host_port(const char *text)
{
	char host[256], again[256], joined[300];
	uint16_t port, port_again;
	struct err e = {0};

	if (parse_host_port(text, 443, host, &port, &e) < 0) {
		check_refusal(&e);
		return;
	}
	assert(port != 0 && host[0] != '\0' && parse_is_text(host, strlen(host), false));
	parse_join_host_port(host, port, joined, sizeof(joined));
	assert(parse_host_port(joined, 0, again, &port_again, &e) == 0);
	assert(port_again == port && strcmp(again, host) == 0);
}

static void check_time(const char *text)
{
	char written[CLOCK_TEXT_MAX];
	uint64_t ns = UNTOUCHED, again;
	struct err e = {0};

	if (clock_parse_rfc3339(text, &ns, &e) < 0) {
		check_refusal(&e);
		assert(ns == UNTOUCHED);
	} else if (ns != 0) {
		clock_rfc3339(ns, written);
		/* An hour before the last year's end may lie in 2554 by UTC, which is read by nobody. */
		if (clock_parse_rfc3339(written, &again, &e) == 0)
			assert(again == ns - ns % CLOCK_NS_PER_MS);
		else
			assert(strncmp(written, "2554-01-01", 10) == 0);
	}
}

static void check_bool(const char *text)
{
	struct err e = {0};
	bool b;

	if (parse_bool(text, &b, &e) < 0)
		check_refusal(&e);
}

static void check_printable(const char *text)
{
	char shown[40];

	parse_printable(text, shown, sizeof(shown));
	assert(strlen(shown) <= strlen(text));
	assert(parse_is_text(shown, strlen(shown), false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);

	assert(text != NULL);
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	/* data has no terminator: under AddressSanitizer a look past it ends here. */
	assert(parse_is_text((const char *)data, n, true) == parse_is_text(text, n, true));
	if (parse_is_text(text, n, false))
		assert(strlen(text) == n && parse_is_text(text, n, true));
	check_number(parse_u64, text, "");
	check_number(parse_size, text, "B");
	check_number(parse_duration_ms, text, "ms");
	check_bool(text);
	check_host_port(text);
	check_time(text);
	check_printable(text);
	free(text);
	return 0;
}
