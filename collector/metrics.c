#include "collector/metrics.h"

#include "collector/capture_table.h"
#include "collector/guard.h"
#include "common/version.h"

static const char *const reasons[] = {"user_stop", "max_duration", "max_bytes", "max_packets", "device_gone",
	"container_gone", "agent_error", "agent_shutdown", "gateway_gone", "other"};
static _Atomic uint64_t ended_cells[sizeof(reasons) / sizeof(reasons[0])];
static struct metrics_counter ended = {
	.name = "pcapline_agent_captures_ended_total",
	.help = "Captures whose stream is over, by the reason.",
	.labels = {{"reason", METRICS_WORDS(reasons)}},
	.cells = ended_cells,
};

static const char *const codes[] = {
	"input", "limit", "busy", "not_found", "perm", "state", "io", "timeout", "unavailable", "other"};
static _Atomic uint64_t refused_cells[sizeof(codes) / sizeof(codes[0])];
static struct metrics_counter refused = {
	.name = "pcapline_agent_refused_total",
	.help = "Requests of the gateway that were refused, by the kind of failure.",
	.labels = {{"code", METRICS_WORDS(codes)}},
	.cells = refused_cells,
};

void agent_metrics_ended(enum stop_reason reason)
{
	metrics_count(&ended, metrics_word(&ended.labels[0], stop_reason_name(reason)), 0, 1);
}

void agent_metrics_refused(enum err_code code)
{
	metrics_count(&refused, metrics_word(&refused.labels[0], err_code_name(code)), 0, 1);
}

static void show_captures(const struct agent_metrics_state *now, struct metrics_page *p)
{
	metrics_single(p, METRICS_GAUGE, "pcapline_agent_captures", "Captures that run or are being opened.",
		capture_table_count(now->table));
	metrics_single(
		p, METRICS_GAUGE, "pcapline_agent_captures_limit", "Captures that may run at once.", now->captures_max);
	metrics_counter_show(p, &ended);
	metrics_counter_show(p, &refused);
	metrics_single(p, METRICS_GAUGE, "pcapline_agent_connections", "Connections of gateways.", now->connections);
}

static void show_figures(const struct agent_metrics_state *now, struct metrics_page *p)
{
	struct capture_figures f;

	capture_table_figures(now->table, &f);
	metrics_single(
		p, METRICS_COUNTER, "pcapline_agent_packets_total", "Packets delivered to the gateway.", f.packets);
	metrics_single(p, METRICS_COUNTER, "pcapline_agent_accepted_packets_total",
		"Packets that passed a capture's filter, delivered or dropped.", f.accepted);
	metrics_single(p, METRICS_COUNTER, "pcapline_agent_stream_bytes_total", "Bytes of pcapng sent to the gateway.",
		f.bytes);
	metrics_family(p, METRICS_COUNTER, "pcapline_agent_dropped_packets_total",
		"Packets lost: kernel, no room in a capture's ring; interface, by the device or its driver; agent, "
		"shed while captures were held back.");
	metrics_u64(p, f.dropped_os, "where", "kernel", METRICS_END);
	metrics_u64(p, f.dropped_interface, "where", "interface", METRICS_END);
	metrics_u64(p, f.shed, "where", "agent", METRICS_END);
	metrics_family(p, METRICS_COUNTER, "pcapline_agent_rested_seconds_total",
		"Time for which captures were held back by the ceilings of rate and CPU.");
	metrics_real(p, (double)f.rested_ms / 1000, METRICS_END);
}

static void show_guard(const struct agent_metrics_state *now, struct metrics_page *p)
{
	struct guard_snapshot g;

	guard_snapshot(now->guard, &g);
	metrics_single(p, METRICS_GAUGE, "pcapline_agent_guard_level",
		"How much captures are held back for the host's sake: 0 not, 1 eased, 2 narrowed, 3 shedding.",
		(uint64_t)g.level);
	metrics_single(p, METRICS_COUNTER, "pcapline_agent_guard_changes_total", "Changes of that level.", g.changes);
	metrics_single(p, METRICS_COUNTER, "pcapline_agent_guard_refused_total",
		"Captures refused because the host was under pressure, or for memory.", g.refused);
	metrics_single(p, METRICS_COUNTER, "pcapline_agent_guard_cut_total", "Captures that hung and were cut.", g.cut);
	metrics_single(
		p, METRICS_GAUGE, "pcapline_agent_memory_bytes", "The agent's own memory and its rings.", g.own_bytes);
}

void agent_metrics_show(const struct agent_metrics_state *now, struct metrics_page *p)
{
	metrics_family(p, METRICS_GAUGE, "pcapline_agent_build_info", "Always 1; what the agent is.");
	metrics_u64(p, 1, "version", PCAPLINE_VERSION, METRICS_END);
	show_captures(now, p);
	show_figures(now, p);
	show_guard(now, p);
}
