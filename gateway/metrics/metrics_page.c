#include "gateway/metrics/metrics_page.h"

#include "common/fs.h"
#include "common/log.h"
#include "common/metrics_server.h"
#include "common/version.h"
#include "gateway/api/api.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/metrics/metrics.h"

#include <stdlib.h>
#include <sys/stat.h>

#define GAUGE   METRICS_GAUGE
#define COUNTER METRICS_COUNTER

/* ---- captures ---- */

/* Of those that wait only the database knows; while it cannot be read there is no such row. */
static void show_waiting(struct metrics_page *p, struct gateway *gw)
{
	static const enum job_state waiting = JOB_WAITING;
	const struct job_filter f = {.states = &waiting, .states_n = 1};
	bool database, storage, audit;
	uint64_t n;

	readiness_look(gw, &database, &storage, &audit);
	if (database && job_db_count(gw->db, &f, &n, NULL) == 0)
		metrics_u64(p, n, "state", job_state_name(waiting), METRICS_END);
}

static void show_states(struct metrics_page *p, struct gateway *gw, const size_t by_state[JOB_STATES_N])
{
	static const enum job_state running[] = {JOB_STARTING, JOB_RUNNING, JOB_FINISHING};

	metrics_family(p, GAUGE, "pcapline_gateway_captures",
		"Captures that this gateway runs, by their state, and those that wait for an approval.");
	for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
		metrics_u64(p, by_state[running[i]], "state", job_state_name(running[i]), METRICS_END);
	show_waiting(p, gw);
}

static void show_figures(struct metrics_page *p, const struct capture_figures *f)
{
	metrics_single(p, COUNTER, "pcapline_gateway_packets_total", "Packets that captures brought.", f->packets);
	metrics_single(p, COUNTER, "pcapline_gateway_packet_bytes_total", "Captured bytes of these packets.", f->bytes);
	metrics_single(p, COUNTER, "pcapline_gateway_stream_bytes_total",
		"Bytes of the streams and objects that were made of them.", f->stream_bytes);
	metrics_single(p, COUNTER, "pcapline_gateway_late_packets_total",
		"Packets that came after their turn: out of order in the file.", f->late_packets);
	metrics_family(p, COUNTER, "pcapline_gateway_dropped_packets_total",
		"Packets lost: kernel, no room in the agent's ring; interface, by the device or its driver; agent, "
		"shed to spare its host; gateway, a live viewer was too slow.");
	metrics_u64(p, f->dropped.kernel, "where", "kernel", METRICS_END);
	metrics_u64(p, f->dropped.interface, "where", "interface", METRICS_END);
	metrics_u64(p, f->dropped.agent, "where", "agent", METRICS_END);
	metrics_u64(p, f->dropped.gateway, "where", "gateway", METRICS_END);
	metrics_single(p, GAUGE, "pcapline_gateway_agent_streams", "Streams of agents that run.", f->streams);
	metrics_single(p, GAUGE, "pcapline_gateway_viewers", "Viewers of live streams that are connected.", f->viewers);
	metrics_single(
		p, GAUGE, "pcapline_gateway_merge_queue_bytes", "Bytes that wait to be merged.", f->queued_bytes);
	metrics_single(p, GAUGE, "pcapline_gateway_live_backlog_bytes", "Bytes that are kept for live viewers.",
		f->backlog_bytes);
}

/* ---- state and store ---- */

static void show_store(struct metrics_page *p, struct gateway *gw, bool usable)
{
	struct store_figures f;

	store_figures(gw->store, &f);
	metrics_single(p, GAUGE, "pcapline_gateway_store_up", "Whether captures can be stored just now.", usable);
	metrics_single(p, GAUGE, "pcapline_gateway_spool_bytes", "Bytes in the spool.", f.spool_bytes);
	metrics_single(
		p, GAUGE, "pcapline_gateway_spool_limit_bytes", "What may wait there; 0: no limit.", f.spool_max_bytes);
	metrics_single(
		p, GAUGE, "pcapline_gateway_parts_waiting", "Parts that the store has not confirmed.", f.parts_waiting);
	metrics_single(p, GAUGE, "pcapline_gateway_uploads_failing",
		"Captures whose way to the store is broken just now; it is tried again.", f.jobs_failing);
	metrics_family(p, COUNTER, "pcapline_gateway_part_uploads_total",
		"Parts that the store took, and uploads that were given up.");
	metrics_u64(p, f.parts_stored, "outcome", "stored", METRICS_END);
	metrics_u64(p, f.given_up, "outcome", "given_up", METRICS_END);
	metrics_single(p, COUNTER, "pcapline_gateway_part_retries_total",
		"Calls of the store that failed and are tried again.", f.attempts_failed);
	metrics_single(p, COUNTER, "pcapline_gateway_objects_stored_total", "Objects that were completed.", f.objects);
	metrics_single(p, COUNTER, "pcapline_gateway_objects_stored_bytes_total", "Their bytes.", f.object_bytes);
}

/* With what has not yet been taken into the file itself. */
static uint64_t database_bytes(const struct gateway *gw)
{
	static const char *const names[] = {"jobs.db", "jobs.db-wal"};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = fs_path("%s/%s", gw->config.state_dir, names[i]);
		struct stat st;

		if (path && stat(path, &st) == 0)
			sum += (uint64_t)st.st_size;
		free(path);
	}
	return sum;
}

static void show_state(struct metrics_page *p, struct gateway *gw)
{
	bool database, storage, audit, draining = atomic_load(&gw->draining);
	const struct http_server *server = atomic_load(&gw->server); /* NULL: it is just being opened */

	readiness_look(gw, &database, &storage, &audit);
	metrics_single(p, GAUGE, "pcapline_gateway_ready", "Whether captures can be taken.", database && !draining);
	metrics_single(p, GAUGE, "pcapline_gateway_draining", "Whether the gateway is shutting down.", draining);
	metrics_single(p, GAUGE, "pcapline_gateway_database_up", "Whether the job database can be used.", database);
	metrics_single(p, GAUGE, "pcapline_gateway_audit_up", "Whether the audit trail can be written.", audit);
	metrics_single(p, GAUGE, "pcapline_gateway_database_bytes", "Size of the job database.", database_bytes(gw));
	metrics_single(p, GAUGE, "pcapline_gateway_connections", "Connections to the API.",
		server ? http_server_connections(server) : 0);
	metrics_single(p, GAUGE, "pcapline_gateway_captures_limit", "Captures that may run at once.",
		gw->config.limit_captures);
	if (gw->store)
		show_store(p, gw, storage);
}

/* ---- requests ---- */

static void show_requests(struct metrics_page *p,
	void (*show)(struct metrics_page *p, size_t route, const char *path, const char *method))
{
	size_t n;
	const struct api_route *routes = api_routes(&n);

	for (size_t i = 0; i < n; i++)
		show(p, i, routes[i].path, routes[i].method);
	show(p, METRICS_ROUTE_OTHER, "other", "other");
}

static void show(void *ctx, struct metrics_page *p)
{
	struct gateway *gw = ctx;
	struct capture_figures f;
	size_t by_state[JOB_STATES_N];

	metrics_family(p, GAUGE, "pcapline_gateway_build_info", "Always 1; what the gateway is.");
	metrics_u64(p, 1, "version", PCAPLINE_VERSION, METRICS_END);
	jobs_figures(gw->jobs, &f, by_state);
	show_states(p, gw, by_state);
	show_figures(p, &f);
	show_state(p, gw);
	metrics_show(p);
	metrics_family(p, COUNTER, METRICS_REQUESTS, "Requests to the API, by route and class of status.");
	show_requests(p, metrics_request_show);
	metrics_family(p, METRICS_HISTOGRAM, METRICS_REQUEST_DURATIONS, "Time to the head of the answer.");
	show_requests(p, metrics_request_durations_show);
}

int metrics_page_open(struct gateway *gw, struct err *err)
{
	const struct config_metrics *c = &gw->config.metrics;
	const struct metrics_server_options o = {
		.address = c->address,
		.port = (uint16_t)c->port,
		.tls = &gw->metrics_tls,
		.client_name = c->client_name,
		.show = show,
		.ctx = gw,
	};

	if (c->port == 0)
		return 0;
	if (!(gw->metrics = metrics_server_start(&o, err)))
		return -1;
	log_event(LOG_LEVEL_INFO, "gateway.metrics",
		json_pack("{s:s, s:i, s:b, s:b}", "address", c->address, "port", (int)metrics_server_port(gw->metrics),
			"tls", gw->metrics_tls.cert_pem != NULL, "client_certificate", gw->metrics_tls.ca_pem != NULL));
	return 0;
}

void metrics_page_close(struct gateway *gw)
{
	metrics_server_stop(gw->metrics);
	gw->metrics = NULL;
}
