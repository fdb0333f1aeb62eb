/* Any bytes as the body that an agent gets, and as the options that a user sends: refused with a reason, or within every limit and the
 * same after it was written and read again. */
#include "common/json_in.h"
#include "common/parse.h"
#include "schema/capture_request.h"

#include <assert.h>
#include <string.h>

static void check_options(const struct capture_options *o)
{
	const size_t device_n = strnlen(o->device, sizeof(o->device)), filter_n = strnlen(o->filter, sizeof(o->filter));

	assert(device_n >= 1 && device_n < sizeof(o->device));
	assert(!strchr(o->device, '/') && strcmp(o->device, ".") != 0 && strcmp(o->device, "..") != 0);
	assert(filter_n <= CAPTURE_FILTER_MAX && parse_is_text(o->filter, filter_n, true));
	assert(o->snaplen >= CAPTURE_SNAPLEN_MIN && o->snaplen <= PCAPNG_SNAPLEN_MAX);
	assert(o->max_duration_s <= CAPTURE_DURATION_MAX_S);
	assert(o->max_bytes <= CAPTURE_BYTES_MAX && o->max_packets <= CAPTURE_PACKETS_MAX);
}

static void same_options(const struct capture_options *a, const struct capture_options *b)
{
	assert(strcmp(a->device, b->device) == 0 && strcmp(a->filter, b->filter) == 0);
	assert(a->headers_only == b->headers_only);
	assert(a->snaplen == b->snaplen && a->max_duration_s == b->max_duration_s);
	assert(a->max_bytes == b->max_bytes && a->max_packets == b->max_packets);
}

static void same_request(const struct agent_request *a, const struct agent_request *b)
{
	same_options(&a->options, &b->options);
	assert(strcmp(a->id, b->id) == 0 && strcmp(a->job, b->job) == 0 && strcmp(a->name, b->name) == 0);
	assert(a->excludes_n == b->excludes_n);
	for (size_t i = 0; i < a->excludes_n; i++) {
		assert(strcmp(a->excludes[i].address, b->excludes[i].address) == 0);
		assert(a->excludes[i].port == b->excludes[i].port);
	}
	assert(a->forced_n == b->forced_n && a->forced_n <= CAPTURE_FORCED_MAX);
	for (size_t i = 0; i < a->forced_n; i++) {
		assert(a->forced[i].filter[0] && strcmp(a->forced[i].filter, b->forced[i].filter) == 0);
		assert(a->forced[i].by[0] && strcmp(a->forced[i].by, b->forced[i].by) == 0);
	}
}

static void check_refusal(const struct err *err)
{
	assert(err->code == ERR_INPUT || err->code == ERR_LIMIT);
	assert(err->msg[0]);
}

static void try_options(json_t *v)
{
	struct capture_options first, second;
	struct err err = {0};
	json_t *written;

	if (capture_options_from_json(v, "options", &first, &err) < 0) {
		check_refusal(&err);
		assert(err.field[0]);
		return;
	}
	check_options(&first);
	written = capture_options_to_json(&first);
	assert(written && capture_options_from_json(written, "options", &second, &err) == 0);
	same_options(&first, &second);
	json_decref(written);
}

static void try_request(json_t *v)
{
	static struct agent_request first, second;
	struct err err = {0};
	json_t *written;

	if (agent_request_from_json(v, &first, &err) < 0) {
		check_refusal(&err);
		return;
	}
	check_options(&first.options);
	assert(id_is_valid(first.id) && id_is_valid(first.job));
	assert(first.excludes_n <= CAPTURE_EXCLUDES_MAX);
	written = agent_request_to_json(&first);
	assert(written && agent_request_from_json(written, &second, &err) == 0);
	same_request(&first, &second);
	json_decref(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err err = {0};
	json_t *v = json_in_parse(data, n, &err);

	if (!v) {
		check_refusal(&err);
		return 0;
	}
	try_options(v);
	try_request(v);
	json_decref(v);
	return 0;
}
