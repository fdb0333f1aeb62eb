#include "collector/agent.h"

#include "collector/capture.h"
#include "collector/capture_table.h"
#include "collector/container.h"
#include "collector/container_runc.h"
#include "collector/devices.h"
#include "collector/guard.h"
#include "collector/metrics.h"
#include "collector/netns.h"
#include "collector/own_traffic.h"
#include "collector/privileges.h"
#include "common/fs.h"
#include "common/http_server.h"
#include "common/json_in.h"
#include "common/log.h"
#include "common/metrics_server.h"
#include "common/version.h"
#include "schema/capture_request.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_BLOCK_BYTES (512u * 1024) /* larger brings nothing, smaller costs TLS records and wake-ups */
#define HEADER_BYTES_MAX   (16u * 1024)
#define HEADER_TIMEOUT_S   10u
#define BODY_TIMEOUT_S     10u
#define CUT_WAIT_MS        1000 /* for a capture's thread to notice that its socket was shut down */

#define CAPTURES_PATH "/v1/captures"
#define INFO_PATH     "/v1/info"
#define DEVICES_PATH  "/v1/devices"
#define STOP_WORD     "/stop"

/* A capture and the connection that it goes out by: made by the request that starts it, freed when its stream is closed. */
struct slot {
	struct agent *agent;
	struct capture_slot entry;
	struct agent_target target;
	struct container *container; /* NULL: of this host */
	bool admitted;               /* by the guard */
	char job[ID_MAX], name[CAPTURE_NAME_MAX], device[CAPTURE_DEVICE_MAX];
	const char *payload;
};

/* All fixed after the start. */
struct agent {
	const struct config_agent *config;
	struct http_server *server;
	struct capture_table *table;
	struct guard *guard;
	struct metrics_server *metrics; /* NULL: there is none */
	char no_entry[256];             /* why containers are not entered; "" : they are */
};

/* ---- the life of a slot ---- */

static void slot_free(struct slot *s)
{
	if (!s)
		return;
	capture_free(s->entry.capture);
	container_free(s->container);
	if (s->admitted)
		guard_release(s->agent->guard);
	free(s);
}

/* The slower of what this agent allows and what the gateway takes; 0: neither says. */
static uint64_t rate_of(const struct config_agent *c, const struct agent_request *r)
{
	if (c->rate_max == 0 || r->max_rate == 0)
		return c->rate_max + r->max_rate;
	return c->rate_max < r->max_rate ? c->rate_max : r->max_rate;
}

static struct slot *slot_new(struct agent *a, const struct agent_request *r, int fd, struct err *err)
{
	const struct capture_settings settings = {
		.request = r,
		.duration_max_ms = a->config->duration_max_ms,
		.limits = {.bytes_per_s = rate_of(a->config, r), .cpu_percent = (unsigned)a->config->cpu_percent},
		.guard = a->guard,
		.ring_bytes = a->config->ring_bytes,
		.block_timeout_ms = a->config->block_timeout_ms,
		.stats_interval_ms = a->config->stats_interval_ms,
	};
	struct slot *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->agent = a;
	s->entry.fd = fd;
	s->target = r->target;
	memcpy(s->entry.id, r->id, sizeof(s->entry.id));
	memcpy(s->job, r->job, sizeof(s->job));
	memcpy(s->name, r->name, sizeof(s->name));
	memcpy(s->device, r->options.device, sizeof(s->device));
	s->payload = capture_options_payload(&r->options);
	s->entry.capture = capture_new(&settings, err);
	if (!s->entry.capture) {
		slot_free(s);
		return NULL;
	}
	return s;
}

/* Which container is meant, for the log. */
static void add_target(json_t *fields, const struct agent_target *t, const struct container *c)
{
	const char *handle = c ? container_entry(c)->handle : t->handle;

	if (t->type != AGENT_TARGET_CONTAINER)
		return;
	if (*handle)
		json_object_set_new(fields, "handle", json_string(handle));
	if (!*handle && *t->address)
		json_object_set_new(fields, "address", json_string(t->address));
	json_object_set_new(fields, "app", json_string(t->app));
}

/* Never the filter: what somebody looks for is nobody else's business. */
static json_t *slot_json(const struct slot *s)
{
	json_t *fields = json_pack("{s:s, s:s, s:s}", "capture", s->entry.id, "instance", s->name, "device", s->device);

	add_target(fields, &s->target, s->container);
	return fields;
}

static void log_started(const struct slot *s, const char *peer)
{
	json_t *fields = slot_json(s);

	json_object_set_new(fields, "gateway", json_string(peer));
	json_object_set_new(fields, "payload", json_string(s->payload));
	log_event(LOG_LEVEL_INFO, "capture.started", fields);
}

static void log_ended(const struct slot *s)
{
	struct capture_result r;
	json_t *fields = slot_json(s);

	capture_result(s->entry.capture, &r);
	/* A stream that its reader closed without a word ended because the reader went away. */
	if (r.reason == STOP_NONE)
		r.reason = STOP_GATEWAY_GONE;
	agent_metrics_ended(r.reason);
	json_object_set_new(fields, "reason", json_string(stop_reason_name(r.reason)));
	if (*r.text)
		json_object_set_new(fields, "text", json_string(r.text));
	json_object_set_new(fields, "bytes", json_integer((json_int_t)r.bytes));
	json_object_set_new(fields, "packets", json_integer((json_int_t)r.packets));
	json_object_set_new(fields, "accepted", json_integer((json_int_t)r.accepted));
	json_object_set_new(fields, "dropped_kernel", json_integer((json_int_t)r.dropped_os));
	json_object_set_new(fields, "dropped_interface", json_integer((json_int_t)r.dropped_interface));
	json_object_set_new(fields, "dropped_agent", json_integer((json_int_t)r.shed));
	json_object_set_new(fields, "rested_ms", json_integer((json_int_t)r.rested_ms));
	log_event(r.reason == STOP_AGENT_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "capture.ended", fields);
}

static ssize_t stream_read(void *ctx, uint8_t *dst, size_t max)
{
	struct slot *s = ctx;
	ssize_t n = capture_read(s->entry.capture, dst, max);

	if (n == CAPTURE_END)
		return HTTP_STREAM_END;
	return n == CAPTURE_GONE ? HTTP_STREAM_ABORT : n;
}

static void stream_close(void *ctx)
{
	struct slot *s = ctx;

	log_context_job(s->job);
	log_ended(s);
	log_context_job(NULL);
	capture_table_remove(s->agent->table, &s->entry);
	slot_free(s);
}

/* ---- requests ---- */

enum route { ROUTE_NONE, ROUTE_START, ROUTE_STOP, ROUTE_INFO, ROUTE_DEVICES };

/* ret_id (of ROUTE_STOP) may be NULL. */
static enum route route_of(const char *path, char ret_id[ID_MAX])
{
	char id[ID_MAX];

	if (strcmp(path, INFO_PATH) == 0)
		return ROUTE_INFO;
	if (strcmp(path, DEVICES_PATH) == 0)
		return ROUTE_DEVICES;
	if (strncmp(path, CAPTURES_PATH, strlen(CAPTURES_PATH)) != 0)
		return ROUTE_NONE;
	path += strlen(CAPTURES_PATH);
	if (*path == '\0')
		return ROUTE_START;
	if (*path != '/' || strlen(path) != 1 + ID_LEN + strlen(STOP_WORD) || strcmp(path + 1 + ID_LEN, STOP_WORD) != 0)
		return ROUTE_NONE;
	memcpy(id, path + 1, ID_LEN);
	id[ID_LEN] = '\0';
	if (!id_is_valid(id))
		return ROUTE_NONE;
	if (ret_id)
		memcpy(ret_id, id, sizeof(id));
	return ROUTE_STOP;
}

static void on_headers(void *ctx, struct http_request *rq)
{
	static const char *const no_parameters[] = {NULL};
	enum route route = route_of(http_request_path(rq), NULL);
	const char *method = route == ROUTE_INFO ? "GET" : "POST";
	struct err err = {0};

	(void)ctx;
	if (route == ROUTE_NONE) {
		http_reply_error(rq, 404, "not_found", NULL, "nothing is served at this path");
	} else if (strcmp(http_request_method(rq), method) != 0) {
		http_reply_header(rq, "Allow", route == ROUTE_INFO ? "GET, HEAD" : "POST");
		http_reply_error(rq, 405, "method_not_allowed", NULL, "%s is wanted here", method);
	} else if (http_request_query_known(rq, no_parameters, &err) < 0) {
		http_reply_err(rq, &err);
	}
}

/* Is it us who are meant, and do we offer it? */
static int check_target(const struct agent *a, const struct agent_target *t, struct err *err)
{
	const char *own = a->config->instance;

	if (!config_agent_offers(a->config, t->type == AGENT_TARGET_HOST ? "host" : "container")) {
		err_set(err, ERR_PERM, "target.type: this agent offers no captures of %s",
			t->type == AGENT_TARGET_HOST ? "its host's own devices" : "containers");
		err_field(err, "target.type");
		return err_detail(err, "target_not_offered");
	}
	if (!*t->instance || strcmp(t->instance, own) == 0)
		return 0;
	err_set(err, ERR_STATE, "target.instance: \"%s\" is meant, and this machine %s%s%s", t->instance,
		*own ? "is \"" : "was not told who it is (setting `instance`)", own, *own ? "\"" : "");
	err_field(err, "target.instance");
	return err_detail(err, AGENT_OTHER_INSTANCE);
}

static int read_request(struct agent *a, struct http_request *rq, struct agent_request *ret, struct err *err)
{
	size_t n;
	const void *body = http_request_body(rq, &n);
	json_t *obj = json_in_parse(body, n, err);
	int rc;

	*ret = (struct agent_request){0};
	if (!obj)
		return -1;
	rc = agent_request_from_json(obj, ret, err);
	json_decref(obj);
	return rc < 0 ? -1 : check_target(a, &ret->target, err);
}

/* Small pieces go out at once, and what the gateway does not acknowledge for peer_timeout ends the connection: a gateway that
 * lost power says no goodbye.  Without these options the stream still works, only less promptly. */
static void tune_socket(const struct agent *a, int fd)
{
	const int on = 1;
	const unsigned timeout_ms = (unsigned)a->config->peer_timeout_ms;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

static struct container *find_container(const struct agent *a, const struct agent_target *t, struct err *err)
{
	return container_find(a->config, *a->no_entry ? a->no_entry : NULL, t, err);
}

static int open_slot(struct slot *s, struct http_request *rq, const struct agent_request *r, struct err *err)
{
	const bool of_container = r->target.type == AGENT_TARGET_CONTAINER;
	struct own_traffic own = {.excludes = r->excludes, .excludes_n = r->excludes_n, .container = of_container};
	struct buf text;
	int rc = -1;

	buf_init(&text, OWN_TRAFFIC_TEXT_MAX);
	own.local = http_request_local(rq, &own.port);
	own.peer = http_request_peer(rq);
	if (own_traffic_text(&own, &text, err) < 0)
		goto out;
	if (!buf_str(&text)) {
		err_nomem(err);
		goto out;
	}
	if (of_container && !(s->container = find_container(s->agent, &r->target, err)))
		goto out;
	tune_socket(s->agent, s->entry.fd);
	rc = capture_open(s->entry.capture, buf_str(&text), s->container, s->entry.fd, err);
out:
	buf_done(&text);
	return rc;
}

static void refuse(struct http_request *rq, const char *event, const struct agent_target *t, const struct err *err)
{
	json_t *fields = json_pack("{s:s, s:s}", "code", err_api_code(err), "field", err->field);

	add_target(fields, t, NULL);
	log_event(LOG_LEVEL_INFO, event, fields);
	if (strcmp(err->detail, AGENT_HOST_BUSY) == 0)
		http_reply_header(rq, "Retry-After", AGENT_HOST_BUSY_RETRY_S);
	agent_metrics_refused(err->code);
	http_reply_err(rq, err);
}

static void refuse_start(struct http_request *rq, const struct agent_request *r, const struct err *err)
{
	refuse(rq, "capture.refused", &r->target, err);
}

static int admit_slot(struct slot *s, struct err *err)
{
	if (guard_admit(s->agent->guard, err) < 0)
		return -1;
	s->admitted = true;
	return 0;
}

static void handle_start(struct agent *a, struct http_request *rq)
{
	static const struct http_stream stream = {.read = stream_read, .close = stream_close};
	struct agent_request r;
	struct err err = {0};
	struct slot *s;

	if (read_request(a, rq, &r, &err) < 0) {
		refuse_start(rq, &r, &err);
		return;
	}
	log_context_job(r.job);
	s = slot_new(a, &r, http_request_fd(rq), &err);
	if (!s || capture_table_add(a->table, &s->entry, &err) < 0) {
		slot_free(s);
		refuse_start(rq, &r, &err);
	} else if (admit_slot(s, &err) < 0 || open_slot(s, rq, &r, &err) < 0) {
		capture_table_remove(a->table, &s->entry);
		slot_free(s);
		refuse_start(rq, &r, &err);
	} else {
		log_started(s, http_request_peer(rq));
		http_reply_header(rq, "Pcap-Capture", s->entry.id);
		http_reply_header(rq, AGENT_PAYLOAD_HEADER, s->payload);
		http_reply_stream(rq, 200, "application/x-pcapng", &stream, s);
	}
	log_context_job(NULL);
}

static void handle_stop(struct agent *a, struct http_request *rq, const char *id)
{
	size_t n;

	(void)http_request_body(rq, &n);
	if (n > 0)
		http_reply_error(rq, 400, "input", NULL, "a stop takes no body");
	else if (!capture_table_stop(a->table, id, STOP_USER))
		http_reply_error(rq, 404, "not_found", NULL, "no capture %s runs here", id);
	else
		http_reply_json(rq, 202, json_pack("{s:s}", "id", id));
}

static int read_devices(struct agent *a, struct http_request *rq, struct agent_target *ret, struct err *err)
{
	size_t n;
	const void *body = http_request_body(rq, &n);
	json_t *obj = json_in_parse(body, n, err), *target = NULL;
	struct json_in in;
	int rc = -1;

	*ret = (struct agent_target){0};
	if (!obj)
		return -1;
	json_in_begin(&in, obj, "", err);
	json_in_obj(&in, "target", JSON_IN_REQUIRED, &target);
	if (json_in_end(&in) == 0 && agent_target_from_json(target, ret, err) == 0)
		rc = check_target(a, ret, err);
	json_decref(obj);
	return rc;
}

static json_t *container_devices(struct agent *a, const struct agent_target *t, struct err *err)
{
	struct container *c = find_container(a, t, err);
	struct container_device eth0;
	json_t *list = NULL;

	if (!c)
		return NULL;
	if (container_device(c, "eth0", &eth0, err) == 0)
		list = eth0.netns >= 0 ? devices_list(eth0.netns, true, err)
				       : devices_host_end(eth0.name, container_entry(c)->ip, eth0.note, err);
	if (list && container_verify(c, err) < 0) {
		json_decref(list);
		list = NULL;
	}
	container_free(c);
	return list;
}

static void handle_devices(struct agent *a, struct http_request *rq)
{
	struct agent_target t;
	struct err err = {0};
	json_t *list = NULL;

	if (read_devices(a, rq, &t, &err) == 0)
		list = t.type == AGENT_TARGET_HOST ? devices_list(-1, false, &err) : container_devices(a, &t, &err);
	if (list)
		http_reply_json(rq, 200, json_pack("{s:o}", "devices", list));
	else
		refuse(rq, "devices.refused", &t, &err);
}

static json_t *targets_json(const struct config_list *l)
{
	json_t *array = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(array, json_string(l->items[i]));
	return array;
}

static void handle_info(struct agent *a, struct http_request *rq)
{
	size_t n = capture_table_count(a->table);

	http_reply_json(rq, 200,
		json_pack("{s:s, s:i, s:o, s:[s, s], s:b, s:s, s:I, s:I, s:o}", "version", PCAPLINE_VERSION,
			"api_level", PCAPLINE_API_LEVEL, "targets", targets_json(&a->config->targets), "payloads",
			CAPTURE_PAYLOAD_FULL, CAPTURE_PAYLOAD_HEADERS, "enters", !*a->no_entry, "instance",
			a->config->instance, "captures", (json_int_t)n, "captures_max",
			(json_int_t)a->config->captures_max, "guard", guard_json(a->guard)));
}

static void on_request(void *ctx, struct http_request *rq)
{
	struct agent *a = ctx;
	char id[ID_MAX] = "";

	switch (route_of(http_request_path(rq), id)) {
	case ROUTE_START:
		handle_start(a, rq);
		break;
	case ROUTE_STOP:
		handle_stop(a, rq, id);
		break;
	case ROUTE_INFO:
		handle_info(a, rq);
		break;
	case ROUTE_DEVICES:
		handle_devices(a, rq);
		break;
	case ROUTE_NONE: /* refused on its headers */
		break;
	}
}

/* ---- start and stop ---- */

static void show_metrics(void *ctx, struct metrics_page *p)
{
	const struct agent *a = ctx;
	const struct agent_metrics_state now = {
		.table = a->table,
		.guard = a->guard,
		.captures_max = a->config->captures_max,
		.connections = http_server_connections(a->server),
	};

	agent_metrics_show(&now, p);
}

static int open_metrics(struct agent *a, const struct tls_files *tls, struct err *err)
{
	const struct config_metrics *c = &a->config->metrics;
	const struct metrics_server_options o = {
		.address = c->address,
		.port = (uint16_t)c->port,
		.tls = tls,
		.client_name = c->client_name,
		.show = show_metrics,
		.ctx = a,
	};

	if (c->port == 0)
		return 0;
	if (!(a->metrics = metrics_server_start(&o, err)))
		return -1;
	log_event(LOG_LEVEL_INFO, "agent.metrics",
		json_pack("{s:s, s:i, s:b, s:b}", "address", c->address, "port", (int)metrics_server_port(a->metrics),
			"tls", tls->cert_pem != NULL, "client_certificate", tls->ca_pem != NULL));
	return 0;
}

static void agent_free(struct agent *a)
{
	metrics_server_stop(a->metrics);
	http_server_stop(a->server);
	guard_stop(a->guard);
	capture_table_free(a->table);
	free(a);
}

void agent_see_processes(struct config_agent *config)
{
	if (strcmp(config->containers_proc, "/proc") == 0 && !container_proc_is_host())
		config->containers_proc[0] = '\0';
}

/* Says what captures of containers will lack, before anybody asks for one. */
static void log_containers(const struct agent *a, const char *missing)
{
	const struct container_key any = {.handle = "", .address = "0.0.0.0"};
	struct container_entry e;
	struct err err = {0};
	bool readable = container_store_read(a->config->containers_metadata, false, &any, &e, &err) >= 0;
	/* Who owns the store and does not enter lacks nothing. */
	const bool lacks = *missing && (config_agent_may_enter(a->config) || err.code == ERR_PERM);
	json_t *fields = json_pack("{s:b, s:s}", "enters", !*a->no_entry, "metadata", a->config->containers_metadata);

	if (*a->no_entry)
		json_object_set_new(fields, "no_entry", json_string(a->no_entry));
	if (lacks)
		json_object_set_new(fields, "missing", json_string(missing));
	if (!*a->config->containers_proc && !container_proc_is_host())
		json_object_set_new(fields, "processes",
			json_string("not seen: /proc is that of a process namespace of the agent's own; mounts "
				    "and the metadata store serve"));
	if (!readable)
		json_object_set_new(fields, "metadata_error", json_string(err.msg));
	log_event(readable && !lacks ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "agent.containers", fields);
}

/* Whoever put the agent on a cell and left targets out offers the traffic of every app there. */
static void log_cell(const struct config_agent *config)
{
	char *folder = fs_path("%s", config->containers_metadata);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (slash)
		*slash = '\0';
	if (!config->targets_given && slash && slash != folder && access(folder, F_OK) == 0)
		log_event(LOG_LEVEL_WARNING, "agent.looks_like_a_cell",
			json_pack("{s:s, s:s}", "folder", folder, "text",
				"captures of the host are offered, and show every app's traffic; set targets: "
				"[container], or [host] if that is meant"));
	free(folder);
}

static void examine_entry(struct agent *a)
{
	const struct privileges_options wanted = privileges_wanted(a->config);
	const bool offered = config_agent_offers(a->config, "container");
	char missing[128];

	privileges_missing(&wanted, missing, sizeof(missing));
	if (!offered)
		snprintf(a->no_entry, sizeof(a->no_entry), "containers are not offered");
	else if (!config_agent_may_enter(a->config))
		snprintf(a->no_entry, sizeof(a->no_entry), "containers.enter is never");
	else if (!netns_can_enter())
		snprintf(a->no_entry, sizeof(a->no_entry), "%s%s",
			*missing ? "the agent lacks " : "the system does not let the agent call setns", missing);
	if (offered)
		log_containers(a, missing);
	log_cell(a->config);
}

/* A thread that is stuck in the kernel cannot be ended but with the process, whose rings and descriptors the kernel then takes back.  The other captures get
 * the time of a good end; whoever supervises us starts the agent anew. */
static void on_hung(void *ctx, const char *id)
{
	struct agent *a = ctx;

	log_event(LOG_LEVEL_ERROR, "guard.agent_hangs",
		json_pack("{s:s, s:s}", "capture", id, "text",
			"it does not end although its connection was cut: the other captures are ended, and then the "
			"agent"));
	capture_table_stop_all(a->table, STOP_AGENT_SHUTDOWN);
	(void)capture_table_wait_empty(a->table, AGENT_STOP_MS);
	_exit(EXIT_FAILURE);
}

struct agent *agent_start(const struct config_agent *config, const struct tls_files *tls,
	const struct tls_files *metrics_tls, struct err *err)
{
	struct agent *a = calloc(1, sizeof(*a));
	const struct http_server_options o = {
		.address = config->listen_address,
		.port = (uint16_t)config->listen_port,
		.tls = tls,
		.client_name = config->tls_client_name,
		.connections_max = (unsigned)config->connections_max,
		.idle_timeout_s = (unsigned)((config->peer_timeout_ms + 999) / 1000),
		.header_timeout_s = HEADER_TIMEOUT_S,
		.body_timeout_s = BODY_TIMEOUT_S,
		.header_bytes_max = HEADER_BYTES_MAX,
		.body_bytes_max = CAPTURE_BODY_MAX,
		.stream_block_bytes = STREAM_BLOCK_BYTES,
		.on_headers = on_headers,
		.on_request = on_request,
		.ctx = a,
	};

	if (!a) {
		err_nomem(err);
		return NULL;
	}
	a->config = config;
	examine_entry(a);
	a->table = capture_table_new(config->captures_max, err);
	if (!a->table)
		goto fail;
	a->guard = guard_start(config, NULL, err);
	if (!a->guard)
		goto fail;
	guard_watch(a->guard, a->table, on_hung, a);
	a->server = http_server_start(&o, err);
	if (!a->server || open_metrics(a, metrics_tls, err) < 0)
		goto fail;
	return a;
fail:
	agent_free(a);
	return NULL;
}

uint16_t agent_port(const struct agent *a)
{
	return http_server_port(a->server);
}

bool agent_stop(struct agent *a)
{
	http_server_quiesce(a->server);
	capture_table_stop_all(a->table, STOP_AGENT_SHUTDOWN);
	if (!capture_table_wait_empty(a->table, AGENT_STOP_MS)) {
		log_event(LOG_LEVEL_WARNING, "agent.captures_cut",
			json_pack("{s:I}", "captures", (json_int_t)capture_table_cut_all(a->table)));
		if (!capture_table_wait_empty(a->table, CUT_WAIT_MS))
			return false;
	}
	agent_free(a);
	return true;
}
