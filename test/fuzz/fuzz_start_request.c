/* Any bytes as the body of a start: refused with a reason and nothing left behind, or within every limit and the same after it was written and
 * read again. */
#include "common/parse.h"
#include "gateway/api/start_request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct start_request *r)
{
	const char *member = json_is_array(r->targets) ? "targets" : "target";

	assert(json_is_object(r->body) && (json_is_array(r->targets) || json_is_object(r->targets)));
	assert(r->targets == json_object_get(r->body, member));
	assert(r->mode == START_LIVE || r->mode == START_STORE || r->mode == START_AUTO);
	assert(r->format == JOB_PCAPNG || r->format == JOB_PCAP);
	assert(strlen(r->note) <= START_NOTE_MAX && parse_is_text(r->note, strlen(r->note), true));
	assert(r->options.snaplen >= CAPTURE_SNAPLEN_MIN && r->options.snaplen <= PCAPNG_SNAPLEN_MAX);
	assert(r->options.max_duration_s <= CAPTURE_DURATION_MAX_S);
	assert(r->options.device[0] && !strchr(r->options.device, '/'));
}

static char *write_again(const struct start_request *r)
{
	static const char *const modes[] = {"live", "store", "auto"};
	json_t *j = json_pack("{s:O, s:o, s:s, s:s, s:s}", json_is_array(r->targets) ? "targets" : "target", r->targets,
		"options", capture_options_to_json(&r->options), "mode", modes[r->mode], "format",
		job_format_name(r->format), "note", r->note);
	char *text;

	assert(j);
	text = json_dumps(j, JSON_COMPACT);
	assert(text);
	json_decref(j);
	return text;
}

static void same(const struct start_request *a, const struct start_request *b)
{
	assert(json_equal(a->targets, b->targets));
	assert(a->mode == b->mode && a->format == b->format && strcmp(a->note, b->note) == 0);
	assert(strcmp(a->options.device, b->options.device) == 0);
	assert(strcmp(a->options.filter, b->options.filter) == 0);
	assert(a->options.snaplen == b->options.snaplen && a->options.max_bytes == b->options.max_bytes);
	assert(a->options.max_packets == b->options.max_packets);
	assert(a->options.max_duration_s == b->options.max_duration_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct start_request first, second;
	struct err err = {0};
	char *text;

	if (start_request_read(data, n, &first, &err) < 0) {
		assert(err.code == ERR_INPUT || err.code == ERR_LIMIT);
		assert(err.msg[0] && !first.body);
		return 0;
	}
	check(&first);
	text = write_again(&first);
	assert(start_request_read(text, strlen(text), &second, &err) == 0);
	check(&second);
	same(&first, &second);
	free(text);
	start_request_done(&first);
	start_request_done(&second);
	return 0;
}
