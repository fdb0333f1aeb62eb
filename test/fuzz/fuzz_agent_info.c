/* fuzz_agent_info.c - any bytes as what an agent says of itself: what is taken is short, printable, and of the type that the API says. */
#include "gateway/targets/agents.h"

#include "common/json_in.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(const json_t *v)
{
	const char *text = json_string_value(v);

	assert(!v || (text && strlen(text) < 128 && strlen(text) == json_string_length(v)));
	for (; text && *text; text++)
		assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_count(const json_t *v)
{
	assert(!v || (json_is_integer(v) && json_integer_value(v) >= 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	json_t *info = json_in_parse(data, n, NULL), *entry = json_object(), *one;
	size_t i;

	assert(entry);
	agents_read_info(info, entry);
	json_decref(info);
	check_text(json_object_get(entry, "version"));
	check_text(json_object_get(entry, "instance"));
	check_text(json_object_get(entry, "skew"));
	check_count(json_object_get(entry, "api_level"));
	check_count(json_object_get(entry, "captures"));
	check_count(json_object_get(entry, "captures_max"));
	assert(json_array_size(json_object_get(entry, "targets")) <= 8);
	json_array_foreach(json_object_get(entry, "targets"), i, one) check_text(one);
	json_decref(entry);
	return 0;
}
