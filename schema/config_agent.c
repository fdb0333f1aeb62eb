#include "schema/config_agent.h"

#include <arpa/inet.h>
#include <inttypes.h>

#define PATH_MAX_BYTES 4096
#define KIB            (UINT64_C(1) << 10)
#define MIB            (UINT64_C(1) << 20)
#define RATE_LEAST     (64 * KIB)
#define SECOND_MS      UINT64_C(1000)
#define DAY_MS         (24 * 3600 * SECOND_MS)
#define AT(field)      offsetof(struct config_agent, field)

const struct config_key config_agent_keys[] = {
	{"", "run_as", CONFIG_TEXT, AT(run_as), "", 0, 32, NULL, "",
		"User to become after the start as root; empty: stay, with cap_net_raw alone"},
	{"", "log_level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, "debug|info|warning|error", "",
		"What is worth a line in the log"},
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
	{"limits", "peer_timeout", CONFIG_DURATION, AT(peer_timeout_ms), "10s", 2 * SECOND_MS, 300 * SECOND_MS, NULL,
		"", "A gateway that takes nothing for so long is gone"},
	{"capture", "ring", CONFIG_SIZE, AT(ring_bytes), "64MiB", MIB, 1024 * MIB, NULL, "",
		"Kernel ring of each capture"},
	{"capture", "block_timeout", CONFIG_DURATION, AT(block_timeout_ms), "50ms", 1, SECOND_MS, NULL, "",
		"A quiet capture hands its packets on after this"},
	{"capture", "stats_interval", CONFIG_DURATION, AT(stats_interval_ms), "2s", SECOND_MS, 60 * SECOND_MS, NULL, "",
		"How often a stream tells what was received and lost"},
};
const size_t config_agent_keys_n = sizeof(config_agent_keys) / sizeof(config_agent_keys[0]);

/* 0 is a word of its own, so the table cannot tell the least. */
static int check_rate(uint64_t rate, struct err *err)
{
	if (rate > 0 && rate < RATE_LEAST)
		return err_set(err, ERR_INPUT, "limits.rate: %" PRIu64 " is neither 0 nor at least 64KiB", rate);
	return 0;
}

static int check_address(const char *address, struct err *err)
{
	struct in6_addr any;

	if (inet_pton(AF_INET, address, &any) != 1 && inet_pton(AF_INET6, address, &any) != 1)
		return err_set(err, ERR_INPUT, "listen.address: \"%s\" is not a numeric address", address);
	return 0;
}

int config_agent_load(const char *path, struct config_agent *ret, struct err *err)
{
	if (config_load(path, config_agent_keys, config_agent_keys_n, ret, err) < 0)
		return -1;
	if (check_rate(ret->rate_max, err) == 0 && check_address(ret->listen_address, err) == 0)
		return 0;
	config_agent_done(ret);
	return path ? err_in(err, "%s", path) : -1;
}

void config_agent_done(struct config_agent *c)
{
	config_done(config_agent_keys, config_agent_keys_n, c);
}
