#include "gateway/api/start_request.h"

#include "common/json_in.h"
#include "gateway/targets/targets.h"

#include <string.h>

static const char *const mode_names[] = {"live", "store", "auto", NULL};
static const char *const format_names[] = {"pcapng", "pcap", NULL};

static int read_body(json_t *body, struct start_request *r, struct err *err)
{
	json_t *options = NULL, *target = NULL, *list = NULL;
	struct json_in in;
	int mode = START_LIVE, format = JOB_PCAPNG;

	json_in_begin(&in, body, "", err);
	json_in_obj(&in, "target", JSON_IN_OPTIONAL, &target);
	json_in_array(&in, "targets", JSON_IN_OPTIONAL, TARGETS_MAX, &list);
	if (!in.bad && target && list)
		json_in_fail(&in, "targets", "and target: one of the two");
	else if (!in.bad && !target && !list)
		json_in_fail(&in, "target", "is required");
	else if (!in.bad && list && json_array_size(list) == 0)
		json_in_fail(&in, "targets", "is empty");
	r->targets = target ? target : list;
	json_in_obj(&in, "options", JSON_IN_OPTIONAL, &options);
	json_in_enum(&in, "mode", JSON_IN_OPTIONAL, mode_names, &mode);
	json_in_enum(&in, "format", JSON_IN_OPTIONAL, format_names, &format);
	json_in_str(&in, "note", JSON_IN_OPTIONAL, 0, START_NOTE_MAX, &r->note);
	json_in_u64(&in, "retention_s", 1, START_RETENTION_MAX_S, &r->retention_s);
	if (json_in_end(&in) < 0 || capture_options_from_json(options, "options", &r->options, err) < 0)
		return -1;
	if (r->retention_s > 0 && mode == START_LIVE) {
		err_set(err, ERR_INPUT, "retention_s: goes with mode store or auto: nothing is kept of a live capture");
		return err_field(err, "retention_s");
	}
	r->snaplen_open = !json_object_get(options, "snaplen");
	r->mode = (enum start_mode)mode;
	r->format = (enum job_format)format;
	return 0;
}

int start_request_read(const void *p, size_t n, struct start_request *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->note = "";
	if (!(ret->body = json_in_parse(p, n, err)))
		return -1;
	if (read_body(ret->body, ret, err) == 0)
		return 0;
	start_request_done(ret);
	return -1;
}

void start_request_done(struct start_request *r)
{
	json_decref(r->body);
	r->body = NULL;
	r->targets = NULL;
}
