#include "schema/config_agent.h"

#include "common/parse.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES    4096
#define KIB               (UINT64_C(1) << 10)
#define MIB               (UINT64_C(1) << 20)
#define RATE_LEAST        (64 * KIB)
#define SECOND_MS         UINT64_C(1000)
#define WATCHDOG_LEAST_MS (10 * SECOND_MS)
#define MEMORY_FREE_MOST  (1024 * 1024 * 1024 * MIB)
#define DAY_MS            (24 * 3600 * SECOND_MS)
#define AT(field)         offsetof(struct config_agent, field)

#define ENTER_AUTO "auto"

const struct config_key config_agent_keys[] = {
	{"", "run_as", CONFIG_TEXT, AT(run_as), "", 0, 32, NULL, "",
		"User to become after the start as root; empty: stay, with cap_net_raw alone"},
	{"", "log_level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, "debug|info|warning|error", "",
		"What is worth a line in the log"},
	{"", "targets", CONFIG_LIST, AT(targets), NULL, 1, 16, NULL, "",
		"What may be captured here: host, the machine's own devices; container, app instances of a Diego cell; "
		"left out: host alone"},
	{"", "instance", CONFIG_TEXT, AT(instance), "", 0, 127, NULL, "",
		"Who this machine is, of BOSH the instance's id: a capture that is meant for another one is refused"},
	{"listen", "address", CONFIG_TEXT, AT(listen_address), "0.0.0.0", 1, 45, NULL, "",
		"Numeric address that gateways connect to; \"::\" for IPv4 and IPv6"},
	{"listen", "port", CONFIG_NUMBER, AT(listen_port), "9494", 0, 65535, NULL, "", "Port; 0: any free one"},
	{"tls", "certificate", CONFIG_TEXT, AT(tls_certificate), NULL, 1, PATH_MAX_BYTES, NULL, "",
		"File of the agent's certificate, PEM, with its chain"},
	{"tls", "private_key", CONFIG_TEXT, AT(tls_private_key), NULL, 1, PATH_MAX_BYTES, NULL, "",
		"File of its private key, PEM"},
	{"tls", "client_ca", CONFIG_TEXT, AT(tls_client_ca), NULL, 1, PATH_MAX_BYTES, NULL, "",
		"File of the CA that signed the gateway's client certificate, PEM"},
	{"tls", "client_name", CONFIG_TEXT, AT(tls_client_name), "pcap-gateway", 1, 253, NULL, "",
		"DNS name that the gateway's certificate must bear"},
	{"limits", "captures", CONFIG_NUMBER, AT(captures_max), "16", 1, 1024, NULL, "captures", "Captures at once"},
	{"limits", "connections", CONFIG_NUMBER, AT(connections_max), "128", 4, 4096, NULL, "connections",
		"Connections at once"},
	{"limits", "duration", CONFIG_DURATION, AT(duration_max_ms), "24h", SECOND_MS, 7 * DAY_MS, NULL, "",
		"No capture runs longer"},
	{"limits", "rate", CONFIG_SIZE, AT(rate_max), "0", 0, 16384 * MIB, NULL, "",
		"Bytes per second that each capture may send, at least 64KiB; what comes faster is dropped by the "
		"kernel and counted; 0: no ceiling"},
	{"limits", "cpu", CONFIG_NUMBER, AT(cpu_percent), "75", 1, 100, NULL, "percent of one core",
		"CPU that each capture may use; what comes faster is dropped by the kernel and counted"},
	{"limits", "rate_total", CONFIG_SIZE, AT(rate_total), "0", 0, 16384 * MIB, NULL, "",
		"Bytes per second that all captures together may send, at least 64KiB; what comes faster is shed and "
		"counted; "
		"0: no ceiling"},
	{"limits", "cpu_total", CONFIG_NUMBER, AT(cpu_total_percent), "100", 0, 102400, NULL, "percent of one core",
		"CPU that all captures together may use; what comes faster is shed and counted; 0: no ceiling"},
	{"limits", "memory", CONFIG_SIZE, AT(memory_max), "1280MiB", 0, 1024 * 1024 * MIB, NULL, "",
		"Memory of the agent and its kernel rings: a capture whose ring would pass it is refused; 0: no "
		"ceiling"},
	{"limits", "peer_timeout", CONFIG_DURATION, AT(peer_timeout_ms), "10s", 2 * SECOND_MS, 300 * SECOND_MS, NULL,
		"", "A gateway that takes nothing for so long is gone"},
	{"capture", "ring", CONFIG_SIZE, AT(ring_bytes), "64MiB", MIB, 1024 * MIB, NULL, "",
		"Kernel ring of each capture"},
	{"capture", "block_timeout", CONFIG_DURATION, AT(block_timeout_ms), "50ms", 1, SECOND_MS, NULL, "",
		"A quiet capture hands its packets on after this"},
	{"capture", "stats_interval", CONFIG_DURATION, AT(stats_interval_ms), "2s", SECOND_MS, 60 * SECOND_MS, NULL, "",
		"How often a stream tells what was received and lost"},
	{"guard", "enabled", CONFIG_BOOL, AT(guard_enabled), "true", 0, 0, NULL, "",
		"While the host is under pressure captures hold back: at a threshold they take together a quarter of "
		"limits.cpu_total and limits.rate_total, at twice of it a sixteenth, at four times of it nothing"},
	{"guard", "interval", CONFIG_DURATION, AT(guard_interval_ms), "1s", 100, 4 * SECOND_MS, NULL, "",
		"How often the host is looked at"},
	{"guard", "cpu_pressure", CONFIG_NUMBER, AT(guard_cpu_pressure), "40", 0, 100, NULL, "percent of time",
		"Some task waits for a CPU (the kernel's PSI); 0: not looked at"},
	{"guard", "memory_pressure", CONFIG_NUMBER, AT(guard_memory_pressure), "10", 0, 100, NULL, "percent of time",
		"Some task waits for memory (PSI); 0: not looked at"},
	{"guard", "io_pressure", CONFIG_NUMBER, AT(guard_io_pressure), "60", 0, 100, NULL, "percent of time",
		"Some task waits for a disk (PSI); 0: not looked at"},
	{"guard", "load", CONFIG_NUMBER, AT(guard_load), "8", 0, 1000, NULL, "per core",
		"Load average of the last minute; 0: not looked at"},
	{"guard", "memory_free", CONFIG_TEXT, AT(guard_memory_free), "5%", 1, 32, NULL, "",
		"Percent of the host's memory, or a size: less available is pressure, at a half and a quarter of it "
		"more so, and "
		"a new ring must leave so much; 0: not looked at"},
	{"guard", "nice", CONFIG_NUMBER, AT(guard_nice), "10", 0, 19, NULL, "",
		"Niceness of the agent, unless it was started with more"},
	{"guard", "ionice", CONFIG_CHOICE, AT(guard_ionice), "idle", 0, 0, "idle|low|keep", "",
		"Its class for disks: idle, the lowest best effort, or as it was started"},
	{"guard", "oom_score_adj", CONFIG_NUMBER, AT(guard_oom_score_adj), "500", 0, 1000, NULL, "",
		"How much sooner than others the kernel ends it when memory is out, unless it was started with more"},
	{"guard", "watchdog", CONFIG_DURATION, AT(guard_watchdog_ms), "30s", 0, 600 * SECOND_MS, NULL, "",
		"A capture that hangs for so long, at least 10s, is cut; when it still hangs after as long again the "
		"agent ends; "
		"0: never"},
	{"containers", "metadata", CONFIG_TEXT, AT(containers_metadata), "/var/vcap/data/container-metadata/store.json",
		1, PATH_MAX_BYTES, NULL, "",
		"File that says which container belongs to which app: silk's container metadata store"},
	{"containers", "runc_roots", CONFIG_LIST, AT(containers_runc_roots), NULL, 1, PATH_MAX_BYTES, NULL, "",
		"Folders of runc's states, HANDLE/state.json; left out: /run/containerd/runc/garden and /run/runc"},
	{"containers", "netns", CONFIG_TEXT, AT(containers_netns), "/var/vcap/data/garden-cni/container-netns", 1,
		PATH_MAX_BYTES, NULL, "", "Folder where the network namespace of each container is mounted on HANDLE"},
	{"containers", "proc", CONFIG_TEXT, AT(containers_proc), "/proc", 0, PATH_MAX_BYTES, NULL, "",
		"Where the processes of the containers are seen; empty: nowhere, as in a process namespace of its own; "
		"then runc's states are not looked at"},
	{"containers", "workloads", CONFIG_LIST, AT(containers_workloads), NULL, 1, 31, NULL, "",
		"Kinds of containers that may be captured, of app, task and staging; left out: app alone"},
	{"containers", "enter", CONFIG_CHOICE, AT(containers_enter), ENTER_AUTO, 0, 0, ENTER_AUTO "|never", "",
		"auto: enter the containers' network namespaces where that is allowed (cap_sys_admin, cap_sys_ptrace); "
		"never: show their eth0 from the host's end, and no lo"},
	CONFIG_METRICS_KEYS(struct config_agent),
};
const size_t config_agent_keys_n = sizeof(config_agent_keys) / sizeof(config_agent_keys[0]);

/* 0 is a word of its own, so the table cannot tell the least. */
static int check_rate(const char *key, uint64_t rate, struct err *err)
{
	if (rate > 0 && rate < RATE_LEAST)
		return err_set(err, ERR_INPUT, "limits.%s: %" PRIu64 " is neither 0 nor at least 64KiB", key, rate);
	return 0;
}

static int check_watchdog(uint64_t ms, struct err *err)
{
	if (ms > 0 && ms < WATCHDOG_LEAST_MS)
		return err_set(err, ERR_INPUT, "guard.watchdog: %" PRIu64 " ms is neither 0 nor at least 10s", ms);
	return 0;
}

/* "5%" or a size. */
static int read_memory_free(struct config_agent *c, struct err *err)
{
	char text[33];
	const size_t n = strlen(c->guard_memory_free);
	int rc;

	c->guard_memory_free_percent = c->guard_memory_free_bytes = 0;
	if (n > 0 && n < sizeof(text) && c->guard_memory_free[n - 1] == '%') {
		memcpy(text, c->guard_memory_free, n - 1);
		text[n - 1] = '\0';
		rc = parse_u64(text, 0, 100, &c->guard_memory_free_percent, err);
	} else {
		rc = parse_size(c->guard_memory_free, 0, MEMORY_FREE_MOST, &c->guard_memory_free_bytes, err);
	}
	return rc < 0 ? err_in(err, "guard.memory_free, percent (\"5%%\") or a size (\"512MiB\")") : 0;
}

static int check_address(const char *address, struct err *err)
{
	struct in6_addr any;

	if (inet_pton(AF_INET, address, &any) != 1 && inet_pton(AF_INET6, address, &any) != 1)
		return err_set(err, ERR_INPUT, "listen.address: \"%s\" is not a numeric address", address);
	return 0;
}

/* The table has no defaults for lists. */
static int default_list(struct config_list *l, const char *const *items, size_t n, struct err *err)
{
	if (l->n > 0)
		return 0;
	free(l->items);
	l->items = calloc(n, sizeof(*l->items));
	if (!l->items)
		return err_nomem(err);
	for (; l->n < n; l->n++) {
		l->items[l->n] = strdup(items[l->n]);
		if (!l->items[l->n])
			return err_nomem(err);
	}
	return 0;
}

static int default_lists(struct config_agent *c, struct err *err)
{
	static const char *const targets[] = {"host"};
	static const char *const roots[] = {"/run/containerd/runc/garden", "/run/runc"};
	static const char *const workloads[] = {"app"};

	if (default_list(&c->targets, targets, 1, err) < 0 ||
		default_list(&c->containers_runc_roots, roots, 2, err) < 0)
		return -1;
	return default_list(&c->containers_workloads, workloads, 1, err);
}

static int check_targets(const struct config_list *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->items[i], "host") != 0 && strcmp(l->items[i], "container") != 0)
			return err_set(
				err, ERR_INPUT, "targets[%zu]: \"%s\" is neither host nor container", i, l->items[i]);
	}
	return 0;
}

static int check_workloads(const struct config_list *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *word = l->items[i];

		if (strcmp(word, "app") != 0 && strcmp(word, "task") != 0 && strcmp(word, "staging") != 0)
			return err_set(err, ERR_INPUT,
				"containers.workloads[%zu]: \"%s\" is none of app, task, staging", i, word);
	}
	return 0;
}

static int check_path(const char *key, const char *path, struct err *err)
{
	if (path[0] == '/')
		return 0;
	return err_set(err, ERR_INPUT, "%s: \"%s\" is not an absolute path", key, path);
}

static int check_paths(const struct config_agent *c, struct err *err)
{
	for (size_t i = 0; i < c->containers_runc_roots.n; i++) {
		if (check_path("containers.runc_roots", c->containers_runc_roots.items[i], err) < 0)
			return -1;
	}
	if (check_path("containers.metadata", c->containers_metadata, err) < 0 ||
		check_path("containers.netns", c->containers_netns, err) < 0)
		return -1;
	return *c->containers_proc ? check_path("containers.proc", c->containers_proc, err) : 0;
}

static int check_all(struct config_agent *c, struct err *err)
{
	if (check_rate("rate", c->rate_max, err) < 0 || check_rate("rate_total", c->rate_total, err) < 0 ||
		check_watchdog(c->guard_watchdog_ms, err) < 0 || read_memory_free(c, err) < 0 ||
		check_address(c->listen_address, err) < 0)
		return -1;
	if (check_targets(&c->targets, err) < 0 || check_workloads(&c->containers_workloads, err) < 0)
		return -1;
	if (config_metrics_check(&c->metrics, err) < 0)
		return -1;
	return check_paths(c, err);
}

bool config_agent_offers(const struct config_agent *c, const char *target)
{
	for (size_t i = 0; i < c->targets.n; i++) {
		if (strcmp(c->targets.items[i], target) == 0)
			return true;
	}
	return false;
}

bool config_agent_may_enter(const struct config_agent *c)
{
	return config_agent_offers(c, "container") && strcmp(c->containers_enter, ENTER_AUTO) == 0;
}

int config_agent_load(const char *path, struct config_agent *ret, struct err *err)
{
	if (config_load(path, config_agent_keys, config_agent_keys_n, ret, err) < 0)
		return -1;
	ret->targets_given = ret->targets.n > 0;
	if (default_lists(ret, err) == 0 && check_all(ret, err) == 0)
		return 0;
	config_agent_done(ret);
	return path ? err_in(err, "%s", path) : -1;
}

void config_agent_done(struct config_agent *c)
{
	config_done(config_agent_keys, config_agent_keys_n, c);
}
