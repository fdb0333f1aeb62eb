#include "gateway/capture/own_ends.h"

#include "common/source_ports.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define LOCAL_MAX 24 /* a machine with very many addresses must not push the rest out */

struct ports {
	uint16_t first, last; /* last 0: one */
};

static void add(struct own_ends *o, const char *address, struct ports ports)
{
	struct capture_exclude *end = &o->ends[o->n];
	unsigned char raw[sizeof(struct in6_addr)];

	if (o->n == CAPTURE_EXCLUDES_MAX || strlen(address) >= sizeof(end->address) ||
		(inet_pton(AF_INET, address, raw) != 1 && inet_pton(AF_INET6, address, raw) != 1))
		return; /* a DNS name: its agent leaves its own listener out by itself */
	for (size_t i = 0; i < o->n; i++) {
		if (o->ends[i].port == ports.first && o->ends[i].port_last == ports.last &&
			strcmp(o->ends[i].address, address) == 0)
			return;
	}
	snprintf(end->address, sizeof(end->address), "%s", address);
	end->port = ports.first;
	end->port_last = ports.last;
	o->n++;
}

/* Each address of this machine. */
static void add_local(struct own_ends *o, bool ipv6, struct ports ports)
{
	size_t most = o->n + LOCAL_MAX;
	struct ifaddrs *all = NULL;
	char text[INET6_ADDRSTRLEN];

	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i && o->n < most; i = i->ifa_next) {
		struct sockaddr_in6 in6;
		struct sockaddr_in in;

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			memcpy(&in, i->ifa_addr, sizeof(in));
			if (inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)))
				add(o, text, ports);
		} else if (ipv6 && i->ifa_addr->sa_family == AF_INET6) {
			memcpy(&in6, i->ifa_addr, sizeof(in6));
			if (inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text)))
				add(o, text, ports);
		}
	}
	freeifaddrs(all);
}

void own_ends_collect(const struct config_gateway *c, const char *local, uint16_t port,
	const struct target_set *captured, struct targets *all, struct own_ends *ret)
{
	struct ports listener = {.first = port}, outgoing = {.first = (uint16_t)c->outgoing_port};
	struct capture_exclude others[CAPTURE_EXCLUDES_MAX];
	size_t others_n;

	ret->n = 0;
	add(ret, local, listener);
	if (strcmp(c->listen_address, "0.0.0.0") == 0 || strcmp(c->listen_address, "::") == 0)
		add_local(ret, c->listen_address[0] == ':', listener);
	if (outgoing.first) {
		outgoing.last = (uint16_t)(outgoing.first + SOURCE_PORTS_N - 1);
		add_local(ret, true, outgoing);
	}
	for (size_t i = 0; i < captured->n; i++)
		add(ret, captured->instances[i].host, (struct ports){.first = captured->instances[i].port});
	others_n = targets_agents(all, others, CAPTURE_EXCLUDES_MAX);
	for (size_t i = 0; i < others_n; i++)
		add(ret, others[i].address, (struct ports){.first = others[i].port});
}
