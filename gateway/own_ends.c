#include "gateway/own_ends.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define LOCAL_MAX (CAPTURE_EXCLUDES_MAX / 2) /* a machine with very many addresses must not push the agents out */

static void add(struct own_ends *o, const char *address, uint16_t port)
{
	struct capture_exclude *end = &o->ends[o->n];
	unsigned char raw[sizeof(struct in6_addr)];

	if (o->n == CAPTURE_EXCLUDES_MAX || strlen(address) >= sizeof(end->address) ||
		(inet_pton(AF_INET, address, raw) != 1 && inet_pton(AF_INET6, address, raw) != 1))
		return; /* a DNS name: its agent leaves its own listener out by itself */
	for (size_t i = 0; i < o->n; i++) {
		if (o->ends[i].port == port && strcmp(o->ends[i].address, address) == 0)
			return;
	}
	snprintf(end->address, sizeof(end->address), "%s", address);
	end->port = port;
	o->n++;
}

static void add_local(struct own_ends *o, bool ipv6, uint16_t port)
{
	struct ifaddrs *all = NULL;
	char text[INET6_ADDRSTRLEN];

	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i && o->n < LOCAL_MAX; i = i->ifa_next) {
		struct sockaddr_in6 in6;
		struct sockaddr_in in;

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			memcpy(&in, i->ifa_addr, sizeof(in));
			if (inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)))
				add(o, text, port);
		} else if (ipv6 && i->ifa_addr->sa_family == AF_INET6) {
			memcpy(&in6, i->ifa_addr, sizeof(in6));
			if (inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text)))
				add(o, text, port);
		}
	}
	freeifaddrs(all);
}

void own_ends_collect(const char *listen_address, const char *local, uint16_t port, const struct target_set *targets,
	struct target_source *source, struct own_ends *ret)
{
	struct capture_exclude others[CAPTURE_EXCLUDES_MAX];
	size_t others_n;

	ret->n = 0;
	add(ret, local, port);
	if (strcmp(listen_address, "0.0.0.0") == 0 || strcmp(listen_address, "::") == 0)
		add_local(ret, listen_address[0] == ':', port);
	for (size_t i = 0; i < targets->n; i++)
		add(ret, targets->instances[i].host, targets->instances[i].port);
	others_n = source->ops->agents(source, others, CAPTURE_EXCLUDES_MAX);
	for (size_t i = 0; i < others_n; i++)
		add(ret, others[i].address, others[i].port);
}
