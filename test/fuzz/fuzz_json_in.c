/* fuzz_json_in.c - any bytes through json_in_parse and a reader.  Holds: a refusal says why in printable text; what is
 * taken is no deeper than allowed and survives being written and read again; what the reader gives keeps its bounds. */
#include "common/json_in.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_refusal(const struct err *e)
{
	assert(e->code == ERR_INPUT || e->code == ERR_LIMIT);
	assert(e->msg[0] != '\0');
	for (const char *p = e->msg; *p != '\0'; p++)
		assert(*p >= 0x20 && *p <= 0x7e);
	for (const char *p = e->field; *p != '\0'; p++)
		assert(*p >= 0x20 && *p <= 0x7e);
}

static unsigned depth_of(json_t *v)
{
	unsigned deepest = 0, d;
	const char *key;
	json_t *member;
	size_t i;

	json_object_foreach(v, key, member) if ((d = depth_of(member)) > deepest) deepest = d;
	json_array_foreach(v, i, member) if ((d = depth_of(member)) > deepest) deepest = d;
	return deepest + (json_is_object(v) || json_is_array(v) ? 1 : 0);
}

static void check_rewritten(json_t *v)
{
	struct err e = {0};
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	json_t *again;

	assert(text != NULL);
	again = json_in_parse(text, strlen(text), &e);
	assert(again != NULL || e.code == ERR_LIMIT);
	assert(again == NULL || json_equal(v, again));
	json_decref(again);
	free(text);
}

static void check_reader(json_t *v)
{
	static const char *const modes[] = {"live", "store", "auto", NULL};
	json_t *target = NULL, *instances = NULL;
	uint64_t snaplen = 16;
	const char *device = "lo";
	struct err e = {0};
	struct json_in in;
	int mode = 0;

	json_in_begin(&in, v, "options", &e);
	json_in_u64(&in, "snaplen", 16, 262144, &snaplen);
	json_in_str(&in, "device", JSON_IN_OPTIONAL, 1, 15, &device);
	json_in_enum(&in, "mode", JSON_IN_OPTIONAL, modes, &mode);
	json_in_obj(&in, "target", JSON_IN_OPTIONAL, &target);
	json_in_array(&in, "instances", JSON_IN_OPTIONAL, 3, &instances);
	if (json_in_end(&in) < 0) {
		check_refusal(&e);
		assert(e.field[0] != '\0');
	} else {
		assert(e.code == ERR_NONE);
		assert(json_object_size(v) <= 5);
	}
	assert(snaplen >= 16 && snaplen <= 262144);
	assert(strlen(device) >= 1 && strlen(device) <= 15);
	assert(mode >= 0 && mode <= 2);
	assert(target == NULL || json_is_object(target));
	assert(instances == NULL || json_array_size(instances) <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = {0};
	json_t *v = json_in_parse(data, n, &e);

	if (v == NULL) {
		check_refusal(&e);
		return 0;
	}
	assert(e.code == ERR_NONE);
	assert(depth_of(v) <= JSON_IN_DEPTH_MAX);
	check_rewritten(v);
	check_reader(v);
	json_decref(v);
	return 0;
}
