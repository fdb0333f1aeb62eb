/* capture_request.c - options of a capture and the request to an agent, from JSON and to JSON. */
#include "schema/capture_request.h"
#include "common/json_in.h"
#include "common/parse.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void capture_options_init(struct capture_options *o)
{
	*o = (struct capture_options){.device = "eth0", .snaplen = CAPTURE_SNAPLEN_DEFAULT};
}

/* Names of network devices.  Nothing that could be a path: the agent looks names up below /sys/class/net. */
static bool device_is_valid(const char *s)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
	size_t n = strlen(s);

	return n >= 1 && n < CAPTURE_DEVICE_MAX && strspn(s, allowed) == n && strcmp(s, ".") != 0 &&
	       strcmp(s, "..") != 0;
}

/* The first name of a list, cut where no device's name is longer; true: more follow, and *s is behind the comma. */
static bool next_device(const char **s, char ret[CAPTURE_DEVICE_MAX + 1])
{
	size_t n = strcspn(*s, ",");
	bool more = (*s)[n] == ',';

	snprintf(ret, CAPTURE_DEVICE_MAX + 1, "%.*s", (int)n, *s);
	*s += n + more;
	return more;
}

size_t capture_options_devices(const struct capture_options *o, char ret[CAPTURE_DEVICES_MAX][CAPTURE_DEVICE_MAX])
{
	char name[CAPTURE_DEVICE_MAX + 1];
	const char *s = o->device;
	size_t n = 0;
	bool more;

	do {
		bool known = false;

		more = next_device(&s, name);
		for (size_t i = 0; i < n; i++)
			known |= strcmp(ret[i], name) == 0;
		if (!known)
			snprintf(ret[n++], CAPTURE_DEVICE_MAX, "%.*s", CAPTURE_DEVICE_MAX - 1, name);
	} while (more && n < CAPTURE_DEVICES_MAX);
	return n;
}

static void read_device(struct json_in *in, struct capture_options *o)
{
	char name[CAPTURE_DEVICE_MAX + 1];
	const char *all = NULL, *s;
	size_t n = 0;
	bool more;

	json_in_str(in, "device", JSON_IN_OPTIONAL, 1, sizeof(o->device) - 1, &all);
	if (in->bad || !all)
		return;
	s = all;
	do {
		more = next_device(&s, name);
		if (!device_is_valid(name))
			json_in_fail(in, "device",
				"\"%s\" is not the name of a network device: 1 to 15 letters, digits and ._:@-", name);
		else if (++n > CAPTURE_DEVICES_MAX)
			json_in_fail(in, "device", "names more than %d devices", CAPTURE_DEVICES_MAX);
	} while (more && !in->bad);
	if (!in->bad)
		snprintf(o->device, sizeof(o->device), "%s", all);
}

/* Not with json_in_str, which refuses tabs. */
static void read_filter(struct json_in *in, struct capture_options *o)
{
	json_t *value = NULL;
	const char *s;
	size_t n;

	json_in_any(in, "filter", &value);
	if (in->bad || !value)
		return;
	if (!json_is_string(value)) {
		json_in_fail(in, "filter", "must be a string");
		return;
	}
	s = json_string_value(value);
	n = json_string_length(value);
	if (n > CAPTURE_FILTER_MAX)
		json_in_fail(in, "filter", "%zu bytes are over %u", n, CAPTURE_FILTER_MAX);
	else if (!parse_is_text(s, n, true))
		json_in_fail(in, "filter", "must be plain text without control characters");
	else
		memcpy(o->filter, s, n + 1);
}

static void read_snaplen(struct json_in *in, struct capture_options *o)
{
	uint64_t v = o->snaplen;

	json_in_u64(in, "snaplen", 0, PCAPNG_SNAPLEN_MAX, &v);
	if (in->bad)
		return;
	if (v == 0)
		v = PCAPNG_SNAPLEN_MAX;
	if (v < CAPTURE_SNAPLEN_MIN) {
		json_in_fail(in, "snaplen", "%u is not within %u..%u (0: the largest)", (unsigned)v,
			CAPTURE_SNAPLEN_MIN, PCAPNG_SNAPLEN_MAX);
		return;
	}
	o->snaplen = (uint32_t)v;
}

static void read_payload(struct json_in *in, struct capture_options *o)
{
	const char *s = CAPTURE_PAYLOAD_FULL;

	json_in_str(in, "payload", JSON_IN_OPTIONAL, 0, 64, &s);
	if (in->bad)
		return;
	o->headers_only = strcmp(s, CAPTURE_PAYLOAD_HEADERS) == 0;
	if (!o->headers_only && strcmp(s, CAPTURE_PAYLOAD_FULL) != 0)
		json_in_fail(
			in, "payload", "\"%s\" is neither " CAPTURE_PAYLOAD_FULL " nor " CAPTURE_PAYLOAD_HEADERS, s);
}

int capture_options_from_json(json_t *obj, const char *path, struct capture_options *ret, struct err *err)
{
	struct capture_options o;
	struct err scratch = {0};
	struct json_in in;

	capture_options_init(&o);
	if (obj) {
		json_in_begin(&in, obj, path, err ? err : &scratch);
		read_device(&in, &o);
		read_filter(&in, &o);
		read_snaplen(&in, &o);
		read_payload(&in, &o);
		json_in_u64(&in, "max_duration_s", 0, CAPTURE_DURATION_MAX_S, &o.max_duration_s);
		json_in_u64(&in, "max_bytes", 0, CAPTURE_BYTES_MAX, &o.max_bytes);
		json_in_u64(&in, "max_packets", 0, CAPTURE_PACKETS_MAX, &o.max_packets);
		if (json_in_end(&in) < 0)
			return -1;
	}
	*ret = o;
	return 0;
}

const char *capture_options_payload(const struct capture_options *o)
{
	return o->headers_only ? CAPTURE_PAYLOAD_HEADERS : CAPTURE_PAYLOAD_FULL;
}

json_t *capture_options_to_json(const struct capture_options *o)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:I}", "device", o->device, "filter", o->filter, "snaplen",
		(json_int_t)o->snaplen, "payload", capture_options_payload(o), "max_duration_s",
		(json_int_t)o->max_duration_s, "max_bytes", (json_int_t)o->max_bytes, "max_packets",
		(json_int_t)o->max_packets);
}

static bool address_is_numeric(const char *s)
{
	struct in6_addr any;

	return inet_pton(AF_INET, s, &any) == 1 || inet_pton(AF_INET6, s, &any) == 1;
}

static int read_exclude(json_t *obj, size_t index, struct capture_exclude *ret, struct err *err)
{
	const char *address = NULL;
	uint64_t port = 0, last = 0;
	char path[32];
	struct json_in in;

	snprintf(path, sizeof(path), "exclude[%zu]", index);
	json_in_begin(&in, obj, path, err);
	json_in_str(&in, "address", JSON_IN_REQUIRED, 1, sizeof(ret->address) - 1, &address);
	json_in_u64(&in, "port", 1, UINT16_MAX, &port);
	json_in_u64(&in, "port_last", 1, UINT16_MAX, &last);
	if (!in.bad && !address_is_numeric(address))
		json_in_fail(&in, "address", "\"%s\" is not a numeric address", address);
	if (!in.bad && !port)
		json_in_fail(&in, "port", "is required");
	if (!in.bad && last && last < port)
		json_in_fail(&in, "port_last", "is before port");
	if (json_in_end(&in) < 0)
		return -1;
	snprintf(ret->address, sizeof(ret->address), "%s", address);
	ret->port = (uint16_t)port;
	ret->port_last = (uint16_t)last;
	return 0;
}

static int read_excludes(json_t *array, struct agent_request *r, struct err *err)
{
	r->excludes_n = json_array_size(array); /* bounded by the caller; NULL: 0 */
	for (size_t i = 0; i < r->excludes_n; i++)
		if (read_exclude(json_array_get(array, i), i, &r->excludes[i], err) < 0)
			return -1;
	return 0;
}

/* Like the user's own filter, but short, and a control character is nobody's mistake in typing. */
static int read_forced_one(json_t *obj, size_t index, struct capture_forced *ret, struct err *err)
{
	const char *filter = NULL, *by = NULL;
	char path[32];
	struct json_in in;

	snprintf(path, sizeof(path), "forced[%zu]", index);
	json_in_begin(&in, obj, path, err);
	json_in_str(&in, "filter", JSON_IN_REQUIRED, 1, CAPTURE_FORCED_FILTER_MAX, &filter);
	json_in_str(&in, "by", JSON_IN_REQUIRED, 1, CAPTURE_FORCED_BY_MAX - 1, &by);
	if (json_in_end(&in) < 0)
		return -1;
	snprintf(ret->filter, sizeof(ret->filter), "%s", filter);
	snprintf(ret->by, sizeof(ret->by), "%s", by);
	return 0;
}

static int read_forced(json_t *array, struct agent_request *r, struct err *err)
{
	r->forced_n = json_array_size(array); /* bounded by the caller; NULL: 0 */
	for (size_t i = 0; i < r->forced_n; i++)
		if (read_forced_one(json_array_get(array, i), i, &r->forced[i], err) < 0)
			return -1;
	return 0;
}

/* ---- what on an agent's machine ---- */

/* Handles come from the network and end up in paths. */
static bool is_handle(const char *s)
{
	size_t n = strlen(s);

	return n >= 28 && n <= 36 && strspn(s, "0123456789abcdef-") == n;
}

/* GUIDs of Cloud Controller are UUIDs, but nothing promises that. */
static bool is_guid(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n < AGENT_GUID_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static void read_container(struct json_in *in, struct agent_target *t)
{
	const char *handle = NULL, *address = NULL, *app = NULL;
	uint64_t index = AGENT_INDEX_ANY;

	json_in_str(in, "handle", JSON_IN_OPTIONAL, 1, 4096, &handle);
	json_in_str(in, "address", JSON_IN_OPTIONAL, 1, sizeof(t->address) - 1, &address);
	json_in_str(in, "app", JSON_IN_REQUIRED, 1, AGENT_GUID_MAX - 1, &app);
	json_in_u64(in, "index", 0, AGENT_INDEX_ANY, &index);
	if (in->bad)
		return;
	if (!handle == !address)
		json_in_fail(in, "handle", handle ? "and address: one of the two" : "or address is required");
	else if (handle && !is_handle(handle))
		json_in_fail(in, "handle", "is not a container's: 28 to 36 of 0-9, a-f and -");
	else if (address && !address_is_numeric(address))
		json_in_fail(in, "address", "\"%s\" is not a numeric address", address);
	else if (!is_guid(app))
		json_in_fail(in, "app", "is not a GUID");
	if (in->bad)
		return;
	snprintf(t->handle, sizeof(t->handle), "%s", handle ? handle : "");
	snprintf(t->address, sizeof(t->address), "%s", address ? address : "");
	snprintf(t->app, sizeof(t->app), "%s", app);
	t->index = (uint32_t)index;
}

int agent_target_from_json(json_t *obj, struct agent_target *ret, struct err *err)
{
	static const char *const types[] = {"host", "container", NULL};
	const char *instance = NULL;
	struct json_in in;
	int type = AGENT_TARGET_HOST;

	*ret = (struct agent_target){.index = AGENT_INDEX_ANY};
	json_in_begin(&in, obj, "target", err);
	json_in_enum(&in, "type", JSON_IN_REQUIRED, types, &type);
	ret->type = (enum agent_target_type)type;
	if (!in.bad && ret->type == AGENT_TARGET_CONTAINER)
		read_container(&in, ret);
	else
		json_in_str(&in, "instance", JSON_IN_OPTIONAL, 1, AGENT_INSTANCE_MAX - 1, &instance);
	if (json_in_end(&in) < 0)
		return -1;
	snprintf(ret->instance, sizeof(ret->instance), "%s", instance ? instance : "");
	return 0;
}

json_t *agent_target_to_json(const struct agent_target *t)
{
	json_t *j;

	if (t->type == AGENT_TARGET_HOST)
		return json_pack("{s:s, s:s*}", "type", "host", "instance", t->instance[0] ? t->instance : NULL);
	j = json_pack("{s:s, s:s*, s:s*, s:s}", "type", "container", "handle", t->handle[0] ? t->handle : NULL,
		"address", t->address[0] ? t->address : NULL, "app", t->app);
	if (j && t->index != AGENT_INDEX_ANY)
		json_object_set_new(j, "index", json_integer(t->index));
	return j;
}

/* ---- the request to an agent ---- */

static void read_id(struct json_in *in, const char *key, char ret[ID_MAX])
{
	const char *s = NULL;

	json_in_str(in, key, JSON_IN_REQUIRED, 1, ID_LEN, &s);
	if (in->bad)
		return;
	if (id_is_valid(s))
		memcpy(ret, s, ID_MAX);
	else
		json_in_fail(in, key, "\"%s\" is not an id", s);
}

int agent_request_from_json(json_t *obj, struct agent_request *ret, struct err *err)
{
	struct err scratch = {0};
	json_t *target = NULL, *options = NULL, *exclude = NULL, *forced = NULL;
	const char *name = NULL;
	struct json_in in;

	if (!err)
		err = &scratch;
	*ret = (struct agent_request){0};
	json_in_begin(&in, obj, "", err);
	read_id(&in, "id", ret->id);
	read_id(&in, "job", ret->job);
	json_in_str(&in, "name", JSON_IN_REQUIRED, 1, CAPTURE_NAME_MAX - 1, &name);
	json_in_obj(&in, "target", JSON_IN_REQUIRED, &target);
	json_in_obj(&in, "options", JSON_IN_OPTIONAL, &options);
	json_in_u64(&in, "max_rate", 1, CAPTURE_RATE_MAX, &ret->max_rate);
	json_in_array(&in, "exclude", JSON_IN_OPTIONAL, CAPTURE_EXCLUDES_MAX, &exclude);
	json_in_array(&in, "forced", JSON_IN_OPTIONAL, CAPTURE_FORCED_MAX, &forced);
	if (json_in_end(&in) < 0)
		return -1;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (agent_target_from_json(target, &ret->target, err) < 0)
		return -1;
	if (capture_options_from_json(options, "options", &ret->options, err) < 0)
		return -1;
	if (strchr(ret->options.device, ',')) {
		err_set(err, ERR_INPUT, "options.device: an agent's capture is of one device");
		return err_field(err, "options.device");
	}
	if (read_forced(forced, ret, err) < 0)
		return -1;
	return read_excludes(exclude, ret, err);
}

static json_t *excludes_to_json(const struct agent_request *r)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < r->excludes_n; i++) {
		const struct capture_exclude *x = &r->excludes[i];
		json_t *one = json_pack("{s:s, s:i}", "address", x->address, "port", (int)x->port);

		if (x->port_last)
			json_object_set_new(one, "port_last", json_integer(x->port_last));
		if (json_array_append_new(array, one) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

/* Left out where none is forced: what an older agent does not know it refuses, and so captures nothing that it must not. */
static json_t *forced_to_json(const struct agent_request *r)
{
	json_t *array = r->forced_n > 0 ? json_array() : json_null();

	for (size_t i = 0; array && i < r->forced_n; i++) {
		const struct capture_forced *f = &r->forced[i];

		if (json_array_append_new(array, json_pack("{s:s, s:s}", "filter", f->filter, "by", f->by)) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

json_t *agent_request_to_json(const struct agent_request *r)
{
	json_t *forced = forced_to_json(r), *j;

	/* "o" takes the references, also on failure, and makes the whole fail when one is NULL */
	j = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o*}", "id", r->id, "job", r->job, "name", r->name,
		"target", agent_target_to_json(&r->target), "options", capture_options_to_json(&r->options), "exclude",
		excludes_to_json(r), "forced", forced, "max_rate",
		r->max_rate > 0 ? json_integer((json_int_t)r->max_rate) : NULL);
	if (j && r->forced_n == 0)
		json_object_del(j, "forced");
	return j;
}
