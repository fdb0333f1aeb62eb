#include "collector/agent.h"

#include "collector/capture.h"
#include "collector/capture_table.h"
#include "collector/own_traffic.h"
#include "common/http_server.h"
#include "common/json_in.h"
#include "common/log.h"
#include "common/version.h"
#include "schema/capture_request.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STREAM_BLOCK_BYTES (512u * 1024) /* larger brings nothing, smaller costs TLS records and wake-ups */
#define HEADER_BYTES_MAX   (16u * 1024)
#define HEADER_TIMEOUT_S   10u
#define BODY_TIMEOUT_S     10u
#define CUT_WAIT_MS        1000 /* for a capture's thread to notice that its socket was shut down */

#define CAPTURES_PATH "/v1/captures"
#define INFO_PATH     "/v1/info"
#define STOP_WORD     "/stop"

/* A capture and the connection that it goes out by: made by the request that starts it, freed when its stream is closed. */
struct slot {
	struct agent *agent;
	struct capture_slot entry;
	char job[ID_MAX], name[CAPTURE_NAME_MAX], device[CAPTURE_DEVICE_MAX];
};

/* All fixed after the start. */
struct agent {
	const struct config_agent *config;
	struct http_server *server;
	struct capture_table *table;
};

/* ---- the life of a slot ---- */

static void slot_free(struct slot *s)
{
	if (!s)
		return;
	capture_free(s->entry.capture);
	free(s);
}

static struct slot *slot_new(struct agent *a, const struct agent_request *r, int fd, struct err *err)
{
	const struct capture_settings settings = {
		.request = r,
		.duration_max_ms = a->config->duration_max_ms,
		.limits = {.bytes_per_s = a->config->rate_max, .cpu_percent = (unsigned)a->config->cpu_percent},
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
	memcpy(s->entry.id, r->id, sizeof(s->entry.id));
	memcpy(s->job, r->job, sizeof(s->job));
	memcpy(s->name, r->name, sizeof(s->name));
	memcpy(s->device, r->options.device, sizeof(s->device));
	s->entry.capture = capture_new(&settings, err);
	if (!s->entry.capture) {
		slot_free(s);
		return NULL;
	}
	return s;
}

/* Never the filter: what somebody looks for is nobody else's business. */
static json_t *slot_json(const struct slot *s)
{
	return json_pack("{s:s, s:s, s:s}", "capture", s->entry.id, "instance", s->name, "device", s->device);
}

static void log_started(const struct slot *s, const char *peer)
{
	json_t *fields = slot_json(s);

	json_object_set_new(fields, "gateway", json_string(peer));
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
	json_object_set_new(fields, "reason", json_string(stop_reason_name(r.reason)));
	if (*r.text)
		json_object_set_new(fields, "text", json_string(r.text));
	json_object_set_new(fields, "bytes", json_integer((json_int_t)r.bytes));
	json_object_set_new(fields, "packets", json_integer((json_int_t)r.packets));
	json_object_set_new(fields, "accepted", json_integer((json_int_t)r.accepted));
	json_object_set_new(fields, "dropped_kernel", json_integer((json_int_t)r.dropped_os));
	json_object_set_new(fields, "dropped_interface", json_integer((json_int_t)r.dropped_interface));
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

enum route { ROUTE_NONE, ROUTE_START, ROUTE_STOP, ROUTE_INFO };

/* ret_id (of ROUTE_STOP) may be NULL. */
static enum route route_of(const char *path, char ret_id[ID_MAX])
{
	char id[ID_MAX];

	if (strcmp(path, INFO_PATH) == 0)
		return ROUTE_INFO;
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

static int read_request(struct http_request *rq, struct agent_request *ret, struct err *err)
{
	size_t n;
	const void *body = http_request_body(rq, &n);
	json_t *obj = json_in_parse(body, n, err);
	int rc;

	if (!obj)
		return -1;
	rc = agent_request_from_json(obj, ret, err);
	json_decref(obj);
	if (rc == 0 && (ret->target.type != AGENT_TARGET_HOST || ret->target.instance[0])) {
		err_set(err, ERR_PERM, "target.type: this agent offers whole devices of its host only");
		err_field(err, "target.type");
		return err_detail(err, "target_not_offered");
	}
	return rc;
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

static int open_slot(struct slot *s, struct http_request *rq, const struct agent_request *r, struct err *err)
{
	struct own_traffic own = {.excludes = r->excludes, .excludes_n = r->excludes_n};
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
	tune_socket(s->agent, s->entry.fd);
	rc = capture_open(s->entry.capture, buf_str(&text), s->entry.fd, err);
out:
	buf_done(&text);
	return rc;
}

static void refuse_start(struct http_request *rq, const struct err *err)
{
	log_event(LOG_LEVEL_INFO, "capture.refused",
		json_pack("{s:s, s:s}", "code", err_api_code(err), "field", err->field));
	http_reply_err(rq, err);
}

static void handle_start(struct agent *a, struct http_request *rq)
{
	static const struct http_stream stream = {.read = stream_read, .close = stream_close};
	struct agent_request r;
	struct err err = {0};
	struct slot *s;

	if (read_request(rq, &r, &err) < 0) {
		refuse_start(rq, &err);
		return;
	}
	log_context_job(r.job);
	s = slot_new(a, &r, http_request_fd(rq), &err);
	if (!s || capture_table_add(a->table, &s->entry, &err) < 0) {
		slot_free(s);
		refuse_start(rq, &err);
	} else if (open_slot(s, rq, &r, &err) < 0) {
		capture_table_remove(a->table, &s->entry);
		slot_free(s);
		refuse_start(rq, &err);
	} else {
		log_started(s, http_request_peer(rq));
		http_reply_header(rq, "Pcap-Capture", s->entry.id);
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

static void handle_info(struct agent *a, struct http_request *rq)
{
	size_t n = capture_table_count(a->table);

	http_reply_json(rq, 200,
		json_pack("{s:s, s:i, s:[s], s:I, s:I}", "version", PCAPLINE_VERSION, "api_level", PCAPLINE_API_LEVEL,
			"targets", "host", "captures", (json_int_t)n, "captures_max",
			(json_int_t)a->config->captures_max));
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
	case ROUTE_NONE: /* refused on its headers */
		break;
	}
}

/* ---- start and stop ---- */

static void agent_free(struct agent *a)
{
	http_server_stop(a->server);
	capture_table_free(a->table);
	free(a);
}

struct agent *agent_start(const struct config_agent *config, const struct tls_files *tls, struct err *err)
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
	a->table = capture_table_new(config->captures_max, err);
	if (!a->table)
		goto fail;
	a->server = http_server_start(&o, err);
	if (!a->server)
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
