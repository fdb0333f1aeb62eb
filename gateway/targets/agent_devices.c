#include "gateway/targets/agent_devices.h"

#include "common/http_client.h"
#include "common/json_in.h"
#include "common/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX   1024u
#define ADDRESSES_MAX 256u
#define URL_MAX       512

/* ---- what it says ---- */

static json_t *read_device(json_t *obj, struct err *err)
{
	const char *name = NULL, *description = "";
	json_t *addresses = NULL, *address, *list = json_array();
	bool up = false, loopback = false;
	struct json_in in;
	size_t n;

	json_in_begin(&in, obj, "devices", err);
	json_in_str(&in, "name", JSON_IN_REQUIRED, 1, CAPTURE_DEVICE_MAX - 1, &name);
	json_in_bool(&in, "up", &up);
	json_in_bool(&in, "loopback", &loopback);
	json_in_array(&in, "addresses", JSON_IN_OPTIONAL, ADDRESSES_MAX, &addresses);
	json_in_str(&in, "description", JSON_IN_OPTIONAL, 0, 256, &description);
	json_array_foreach(addresses, n, address)
	{
		char shown[64];

		if (json_is_string(address))
			json_array_append_new(
				list, json_string(parse_printable(json_string_value(address), shown, sizeof(shown))));
	}
	if (json_in_end(&in) < 0) {
		json_decref(list);
		return NULL;
	}
	return json_pack("{s:s, s:b, s:b, s:o, s:s}", "name", name, "up", up, "loopback", loopback, "addresses", list,
		"description", description);
}

static json_t *read_devices(json_t *body, struct err *err)
{
	json_t *from = NULL, *obj, *one, *ret = json_array();
	struct json_in in;
	size_t n;

	json_in_begin(&in, body, "", err);
	json_in_array(&in, "devices", JSON_IN_REQUIRED, DEVICES_MAX, &from);
	if (json_in_end(&in) < 0)
		goto fail;
	json_array_foreach(from, n, obj)
	{
		if (!(one = read_device(obj, err)))
			goto fail;
		json_array_append_new(ret, one);
	}
	return ret;
fail:
	json_decref(ret);
	return NULL;
}

/* ---- asking ---- */

static int ask(const struct gateway *gw, const struct target_instance *i, const char *dial, const char *body,
	json_t **ret, struct err *err)
{
	const struct config_gateway *c = &gw->config;
	char url[URL_MAX];
	const struct http_call_options o = {
		.method = "POST",
		.url = url,
		.dial = dial,
		.tls = &gw->agents_tls,
		.connect_timeout_ms = (unsigned)c->agents_connect_ms,
		.total_timeout_ms = (unsigned)(c->agents_connect_ms + c->agents_start_ms),
		.body = body,
		.body_len = strlen(body),
	};
	struct http_call *call;
	json_t *json;
	int rc = -1;

	snprintf(url, sizeof(url), "https://%s:%u/v1/devices", i->agent_name, (unsigned)i->port);
	if (!(call = http_call_new(&o, err)))
		return -1;
	if (http_call_run(call, err) < 0 || http_call_error(call, err) < 0) {
		err_in(err, "agent %s", dial);
	} else if ((json = http_call_json(call, err))) {
		if ((*ret = read_devices(json, err)))
			rc = 0;
		else
			err_in(err, "agent %s", dial);
		json_decref(json);
	}
	http_call_free(call);
	return rc;
}

/* Another address may be worth trying, see agent_stream. */
static bool is_elsewhere(const struct err *err)
{
	return err->code == ERR_NET || err->code == ERR_TIMEOUT || err->code == ERR_AUTH ||
	       strcmp(err->detail, AGENT_OTHER_INSTANCE) == 0;
}

json_t *agent_devices(const struct gateway *gw, const struct target_instance *i, struct err *err)
{
	json_t *request = json_pack("{s:o}", "target", agent_target_to_json(&i->agent)), *ret = NULL;
	char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
	char dial[288];
	struct err e = {0};
	int rc;

	json_decref(request);
	if (!body) {
		err_nomem(err);
		return NULL;
	}
	parse_join_host_port(i->host, i->port, dial, sizeof(dial));
	rc = ask(gw, i, dial, body, &ret, &e);
	for (size_t n = 0; rc < 0 && n < i->others_n && is_elsewhere(&e); n++) {
		e = (struct err){0};
		parse_join_host_port(i->others[n], i->port, dial, sizeof(dial));
		rc = ask(gw, i, dial, body, &ret, &e);
	}
	free(body);
	if (rc < 0 && err)
		*err = e;
	return rc < 0 ? NULL : ret;
}
