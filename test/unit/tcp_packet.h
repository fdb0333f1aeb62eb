/* tcp_packet.h - packets for filter tests, made byte by byte: link header by link type, IPv4 or IPv6, TCP or UDP. */
#ifndef PCAPLINE_TEST_UNIT_TCP_PACKET_H
#define PCAPLINE_TEST_UNIT_TCP_PACKET_H

#include <stddef.h>
#include <stdint.h>

#define TCP_PACKET_MAX 128

struct tcp_packet {
	int dlt;               /* DLT_EN10MB, DLT_LINUX_SLL2 or DLT_RAW */
	uint8_t protocol;      /* IPPROTO_TCP or IPPROTO_UDP */
	const char *from, *to; /* numeric, both of one family */
	uint16_t from_port, to_port;
};

/* Fails the program when an address is not numeric or the link type is another.  Returns the length. */
size_t tcp_packet_build(const struct tcp_packet *p, uint8_t ret[TCP_PACKET_MAX]);

#endif
