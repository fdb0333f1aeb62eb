/* config_agent.h - the configuration of pcap-agent. */
#ifndef PCAPLINE_SCHEMA_CONFIG_AGENT_H
#define PCAPLINE_SCHEMA_CONFIG_AGENT_H

#include "schema/config.h"
#include "schema/config_metrics.h"

struct config_agent {
	char *listen_address;  /* listen.address "0.0.0.0" */
	uint64_t listen_port;  /* listen.port 9494, 0..65535 */
	char *tls_certificate; /* tls.certificate (required path) */
	char *tls_private_key; /* tls.private_key (required path) */
	char *tls_client_ca;   /* tls.client_ca (required path): CA of the gateway's client certificate */
	char *tls_client_name; /* tls.client_name "pcap-gateway": DNS SAN it must bear */
	char *run_as;          /* run_as "": user to become after start as root; "" : stay, keep only cap_net_raw */
	char *log_level;       /* log_level "info" debug|info|warning|error */
	char *instance;        /* instance "": who this machine is, see agent_target.instance */
	struct config_list targets; /* targets [host]: host, container */
	bool targets_given;         /* somebody decided that */
	uint64_t captures_max;      /* limits.captures 16, 1..1024 */
	uint64_t connections_max;   /* limits.connections 128, 4..4096 */
	uint64_t duration_max_ms;   /* limits.duration "24h", 1s..7d: no capture runs longer */
	uint64_t rate_max;    /* limits.rate "0", 64KiB..16GiB: bytes of stream per second and capture; 0: no ceiling */
	uint64_t cpu_percent; /* limits.cpu 75, 1..100: of one core, for each capture */
	uint64_t ring_bytes;  /* capture.ring "64MiB", 1MiB..1GiB: kernel ring of each capture */
	uint64_t block_timeout_ms;  /* capture.block_timeout "50ms", 1ms..1s: a quiet capture hands on after this */
	uint64_t stats_interval_ms; /* capture.stats_interval "2s", 1s..60s */
	uint64_t peer_timeout_ms; /* limits.peer_timeout "10s", 2s..5m: a gateway that takes nothing so long is gone */
	/* All captures together. */
	uint64_t rate_total;        /* limits.rate_total "0", 64KiB..16GiB: bytes of stream per second; 0: no ceiling */
	uint64_t cpu_total_percent; /* limits.cpu_total 100, 0..102400: of one core; 0: no ceiling */
	uint64_t memory_max; /* limits.memory "1280MiB", up to 1TiB: the agent's own and its rings; 0: no ceiling */
	/* The host; 0 : not looked at. */
	bool guard_enabled;             /* guard.enabled true: under pressure captures hold back */
	uint64_t guard_interval_ms;     /* guard.interval "1s", 100ms..4s: well under the watchdog */
	uint64_t guard_cpu_pressure;    /* guard.cpu_pressure 40, 0..100 percent of time */
	uint64_t guard_memory_pressure; /* guard.memory_pressure 10 */
	uint64_t guard_io_pressure;     /* guard.io_pressure 60 */
	uint64_t guard_load;            /* guard.load 8, 0..1000: of the last minute, per core */
	char *guard_memory_free;        /* guard.memory_free "5%": percent or size; read into one of: */
	uint64_t guard_memory_free_percent, guard_memory_free_bytes;
	uint64_t guard_nice;          /* guard.nice 10, 0..19 */
	char *guard_ionice;           /* guard.ionice "idle" idle|low|keep */
	uint64_t guard_oom_score_adj; /* guard.oom_score_adj 500, 0..1000 */
	uint64_t guard_watchdog_ms;   /* guard.watchdog "30s", 10s..10m; 0: none */
	struct config_metrics metrics;
	/* Of cells; paths are absolute, lists are never empty. */
	char *containers_metadata;                /* containers.metadata: silk's store.json */
	struct config_list containers_runc_roots; /* containers.runc_roots: folders of <handle>/state.json */
	char *containers_netns;                   /* containers.netns: folder of the mounts of network namespaces */
	char *containers_proc;                    /* containers.proc "/proc"; "" : not seen */
	struct config_list containers_workloads;  /* containers.workloads [app]: app, task, staging */
	char *containers_enter;                   /* containers.enter "auto" auto|never */
};

extern const struct config_key config_agent_keys[];
extern const size_t config_agent_keys_n;

int config_agent_load(const char *path, struct config_agent *ret, struct err *err);
void config_agent_done(struct config_agent *c);

bool config_agent_offers(const struct config_agent *c, const char *target); /* "host", "container" */
bool config_agent_may_enter(
	const struct config_agent *c); /* containers are offered, and entering them is not ruled out */

#endif
