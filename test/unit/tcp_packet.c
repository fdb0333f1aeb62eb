#include "test/unit/tcp_packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static size_t build_link(int dlt, uint16_t ethertype, uint8_t *p)
{
	switch (dlt) {
	case DLT_EN10MB:
		memset(p, 2, 12);
		put_u16(p + 12, ethertype);
		return 14;
	case DLT_LINUX_SLL2:
		memset(p, 0, 20);
		put_u16(p, ethertype);
		p[7] = 1;
		put_u16(p + 8, 1);
		return 20;
	case DLT_RAW:
		return 0;
	default:
		abort();
	}
}

size_t tcp_packet_build(const struct tcp_packet *p, uint8_t ret[TCP_PACKET_MAX])
{
	uint8_t from[16], to[16], *ip;
	int v6 = strchr(p->from, ':') != NULL;
	size_t n;

	if (inet_pton(v6 ? AF_INET6 : AF_INET, p->from, from) != 1 ||
		inet_pton(v6 ? AF_INET6 : AF_INET, p->to, to) != 1)
		abort();
	memset(ret, 0, TCP_PACKET_MAX);
	n = build_link(p->dlt, v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP, ret);
	ip = ret + n;
	if (v6) {
		ip[0] = 0x60;
		put_u16(ip + 4, 20);
		ip[6] = p->protocol;
		ip[7] = 64;
		memcpy(ip + 8, from, 16);
		memcpy(ip + 24, to, 16);
		n += 40;
	} else {
		ip[0] = 0x45;
		put_u16(ip + 2, 40);
		ip[8] = 64;
		ip[9] = p->protocol;
		memcpy(ip + 12, from, 4);
		memcpy(ip + 16, to, 4);
		n += 20;
	}
	put_u16(ret + n, p->from_port);
	put_u16(ret + n + 2, p->to_port);
	ret[n + 12] = 0x50;
	return n + 20;
}
