/* POST /v1/resolve and /v1/devices: what a target stands for, and what devices its instances have, without a capture. */
#include "gateway/api/api.h"
#include "gateway/api/start_request.h"
#include "gateway/targets/agent_devices.h"

#include "common/parse.h"

#define DEVICES_INSTANCES_MAX 8u /* asked one after the other */

/* The body of a start, whose other members are checked and do nothing. */
static int resolve(struct api_call *a, size_t max, struct target_set *ret, struct err *err)
{
	struct start_request r;
	size_t n;
	const void *body = http_request_body(a->rq, &n);
	int rc;

	if (start_request_read(body, n, &r, err) < 0)
		return -1;
	rc = targets_resolve(a->gw->targets,
		&(struct targets_query){.people = &a->people, .targets = r.targets, .options = &r.options, .max = max},
		ret, err);
	start_request_done(&r);
	return rc;
}

static json_t *error_json(const struct err *e)
{
	if (e->code == ERR_NONE)
		return json_null();
	return json_pack("{s:s, s:s}", "code", err_api_code(e), "message", e->msg);
}

void api_resolve(struct api_call *a)
{
	size_t max = a->gw->config.limit_instances;
	json_t *list = json_array();
	struct target_set set;
	struct err err = {0};

	if (resolve(a, max, &set, &err) < 0) {
		json_decref(list);
		http_reply_err(a->rq, &err);
		return;
	}
	for (size_t n = 0; n < set.n; n++) {
		const struct target_instance *i = &set.instances[n];
		char agent[300] = "";

		if (i->host[0])
			parse_join_host_port(i->host, i->port, agent, sizeof(agent));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", i->name, "device", i->device,
						    "agent", agent, "error", error_json(&i->error)));
	}
	target_set_done(&set);
	http_reply_json(a->rq, 200, json_pack("{s:o, s:I}", "instances", list, "limit", (json_int_t)max));
}

void api_devices(struct api_call *a)
{
	json_t *list = json_array();
	struct target_set set;
	struct err err = {0};

	if (resolve(a, DEVICES_INSTANCES_MAX, &set, &err) < 0) {
		json_decref(list);
		http_reply_err(a->rq, &err);
		return;
	}
	for (size_t n = 0; n < set.n; n++) {
		const struct target_instance *i = &set.instances[n];
		struct err e = i->error;
		json_t *devices = e.code == ERR_NONE ? agent_devices(a->gw, i, &e) : NULL;

		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", i->name, "error", error_json(&e),
						    "devices", devices ? devices : json_array()));
	}
	target_set_done(&set);
	http_reply_json(a->rq, 200, json_pack("{s:o}", "instances", list));
}
