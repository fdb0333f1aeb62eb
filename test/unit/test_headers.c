/* test_headers.c - collector/headers.c: where packets are cut, to the byte, and that truncated ones lose nothing of their headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/headers.h"
#include "schema/capture_request.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 4096u

enum {
	L_NULL = 0,
	L_ETH = 1,
	L_PPP = 9,
	L_PPPOE = 51,
	L_RAW = 101,
	L_HDLC = 104,
	L_WIFI = 105,
	L_LOOP = 108,
	L_SLL = 113,
	L_IP4 = 228,
	L_IP6 = 229,
	L_SLL2 = 276
};

/* Packets are hexadecimal; | is where they are to be cut (at the end when there is none). */
#define ETH(type)               "020000000002 020000000001 " type " "
#define ARP                     "0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002 "
#define IP4(total, flags, next) "45 00 " total " 0001 " flags " 40 " next " 0000 0a000001 0a000002 "
#define IP6(length, next)                                                                                              \
	"60000000 " length " " next " 40 fd000000000000000000000000000001 fd000000000000000000000000000002 "
#define TCP             "1f90 0050 00000001 00000002 50 18 ffff 0000 0000 "
#define TCP_32          "1f90 0050 00000001 00000002 80 18 ffff 0000 0000 01 01 08 0a 00000001 00000002 "
#define TCP_60          "1f90 0050 00000001 00000000 f0 02 ffff 0000 0000 22 0a 0102030405060708 " ONES ONES ONES
#define ONES            "01010101 01010101 0101 "
#define UDP(to, length) "1f90 " to " " length " 0000 "
#define ICMP(type)      type " 03 0000 00000000 "
#define VXLAN           "08000000 00002a00 "
#define LOOSE           "~"                 /* captured short it cannot be told for what it is */
#define DATA            "5041594c4f414421 " /* 8 bytes */

static const struct row {
	const char *what;
	uint16_t link;
	const char *packet;
} rows[] = {
	{"TCP", L_ETH, ETH("0800") IP4("0030", "0000", "06") TCP "|" DATA},
	{"TCP without payload, padded", L_ETH,
		ETH("0800") IP4("0028", "0000", "06") TCP "|"
							  "000000000000"},
	{"TCP with options", L_ETH, ETH("0800") IP4("003c", "0000", "06") TCP_32 "|" DATA},
	{"TCP Fast Open: a SYN with a cookie and data", L_ETH, ETH("0800") IP4("0058", "4000", "06") TCP_60 "|" DATA},
	{"TCP data offset 4", L_ETH,
		ETH("0800") IP4("0030", "0000", "06") "|1f90 0050 00000001 00000002 40 18 ffff 0000 0000" DATA LOOSE},
	{"TCP data offset beyond the packet", L_ETH,
		ETH("0800") IP4("0030", "0000", "06") "|1f90 0050 00000001 00000002 80 18 ffff 0000 0000" DATA LOOSE},
	{"UDP", L_ETH, ETH("0800") IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"UDP length under 8", L_ETH, ETH("0800") IP4("0024", "0000", "11") "|" UDP("0035", "0007") DATA LOOSE},
	{"UDP length 0 in a small packet", L_ETH, ETH("86dd") IP6("0010", "11") "|" UDP("0035", "0000") DATA LOOSE},
	{"UDP length beyond the packet: a first fragment", L_ETH,
		ETH("0800") IP4("0024", "2000", "11") UDP("0035", "0400") "|" DATA},
	{"a fragment that is not the first", L_ETH, ETH("0800") IP4("0024", "2001", "11") "|" UDP("0035", "0010") DATA},
	{"the last fragment", L_ETH, ETH("0800") IP4("0024", "00b9", "06") "|" DATA DATA},
	{"IPv4 with options", L_ETH,
		ETH("0800") "48 00 0030 0001 0000 40 11 0000 0a000001 0a000002 070b04 0a000001 00000000 00 " UDP(
			"0035", "0010") "|" DATA},
	{"IPv4: IHL 4", L_ETH,
		ETH("0800") "|44 00 0024 0001 0000 40 11 0000 0a000001 0a000002" UDP("0035", "0010") DATA LOOSE},
	{"IPv4: IHL beyond the total length", L_ETH,
		ETH("0800") "|4f 00 0024 0001 0000 40 11 0000 0a000001 0a000002" UDP("0035", "0010")
			DATA DATA DATA DATA LOOSE},
	{"IPv4: total length under 20", L_ETH,
		ETH("0800") "|" IP4("0013", "0000", "11") UDP("0035", "0010") DATA LOOSE},
	{"IPv4: total length 0 in a small packet", L_ETH,
		ETH("0800") "|" IP4("0000", "0000", "11") UDP("0035", "0010") DATA LOOSE},
	{"IPv4: total length of the header alone", L_ETH,
		ETH("0800") IP4("0014", "0000", "11") "|" UDP("0035", "0010") DATA LOOSE},
	{"IPv4: total length within UDP's header", L_ETH,
		ETH("0800") IP4("0018", "0000", "11") "|" UDP("0035", "0010") DATA LOOSE},
	{"IPv4: total length beyond the packet", L_ETH,
		ETH("0800") IP4("05dc", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"IPv4: a length within TCP's options", L_ETH, ETH("0800") IP4("0030", "0000", "06") "|" TCP_32 DATA LOOSE},
	{"IPv4 that is IPv6", L_ETH, ETH("0800") "|" IP6("0010", "11") UDP("0035", "0010") DATA},
	{"IPv4: unknown protocol", L_ETH, ETH("0800") IP4("001c", "0000", "59") "|" DATA},
	{"IPv4: IPv6's extension headers mean nothing", L_ETH,
		ETH("0800") IP4("0024", "0000", "00") "|11 00 000000000000" DATA},
	{"IPv6", L_ETH, ETH("86dd") IP6("001c", "06") TCP "|" DATA},
	{"IPv6 that is IPv4", L_ETH, ETH("86dd") "|" IP4("0030", "0000", "06") TCP DATA},
	{"IPv6: hop-by-hop, destination, routing", L_ETH,
		ETH("86dd") IP6("0040", "00") "3c 00 0502 0000 0100 2b 00 0104 00000000 11 02 03 00 00000000 "
					      "fd000000000000000000000000000003" UDP("0035", "0010") "|" DATA DATA},
	{"IPv6: first fragment", L_ETH,
		ETH("86dd") IP6("0018", "2c") "11 00 0001 00000007" UDP("0035", "0400") "|" DATA},
	{"IPv6: a later fragment", L_ETH, ETH("86dd") IP6("0018", "2c") "11 00 0008 00000007 |" DATA DATA},
	{"IPv6: AH", L_ETH,
		ETH("86dd") IP6("0028", "33") "11 04 0000 00000001 00000002 000102030405060708090a0b" UDP(
			"0035", "0010") "|" DATA},
	{"IPv4: AH", L_ETH,
		ETH("0800") IP4("003c", "0000", "33") "11 04 0000 00000001 00000002 000102030405060708090a0b" UDP(
			"0035", "0010") "|" DATA},
	{"AH that is too short", L_ETH,
		ETH("0800") IP4("0024", "0000", "33") "|11 00 0000 00000001 00000002" DATA LOOSE},
	{"AH: IPv6's ends stay IPv6's", L_ETH,
		ETH("86dd") IP6("0024", "33") "3a 01 0000 00000001 00000002" ICMP("80") "|" DATA DATA},
	{"ESP", L_ETH, ETH("0800") IP4("002c", "0000", "32") "00000001 00000002 |" DATA DATA},
	{"IPv6: no next header", L_ETH, ETH("86dd") IP6("0008", "3b") "|" DATA},
	{"IPv6: payload length 0, then padding", L_ETH, ETH("86dd") IP6("0000", "06") "|" TCP DATA LOOSE},
	{"IPv6: an extension beyond the packet", L_ETH,
		ETH("86dd") IP6("0010", "00") "|11 ff 0502 0000 0100" DATA LOOSE},
	{"SCTP: common header", L_ETH,
		ETH("0800") IP4("0030", "0000", "84") "0001 0002 00000003 00000000 |00 03 0010 00000001" DATA},
	{"DCCP: 24 bits", L_ETH, ETH("0800") IP4("0028", "0000", "21") "0001 0002 03 00 0000 00 000001 |" DATA},
	{"DCCP: 48 bits", L_ETH,
		ETH("0800") IP4("0030", "0000", "21") "0001 0002 05 00 0000 01 00 0001 00000001 00000000 |" DATA},
	{"DCCP: 48 bits, data offset of 24", L_ETH,
		ETH("0800") IP4("0030", "0000", "21") "|0001 0002 03 00 0000 01 00 0001 00000001 00000000" DATA LOOSE},
	{"UDP-Lite", L_ETH, ETH("0800") IP4("0024", "0000", "88") UDP("0035", "0008") "|" DATA},
	{"IGMP", L_ETH, ETH("0800") IP4("0024", "0000", "02") "22 00 0000 00000001 |" DATA},
	{"ICMP echo", L_ETH, ETH("0800") IP4("0024", "0000", "01") ICMP("08") "|" DATA},
	{"ICMP error: quotes IP and UDP", L_ETH,
		ETH("0800") IP4("0040", "0000", "01") ICMP("03") IP4("0024", "0000", "11")
			UDP("0035", "0010") "|" DATA},
	{"ICMP error: quotes 8 bytes of TCP", L_ETH,
		ETH("0800") IP4("0038", "0000", "01") ICMP("0b") IP4("0400", "0000", "06") "1f90 0050 00000001 |"
											   "000000000000" LOOSE},
	{"ICMP error: quotes a fragment", L_ETH,
		ETH("0800") IP4("0040", "0000", "01") ICMP("0b") IP4("0400", "2010", "06") "|" DATA DATA},
	{"ICMP error: the quote's own length ends it", L_ETH,
		ETH("0800") IP4("0040", "0000", "01") ICMP("03") IP4("0014", "0000", "11") "|" DATA DATA LOOSE},
	{"ICMP error: quotes what is none", L_ETH, ETH("0800") IP4("002c", "0000", "01") ICMP("03") "|" DATA DATA},
	{"ICMP redirect of a tunnel", L_ETH,
		ETH("0800") IP4("0058", "0000", "01") ICMP("05") IP4("0400", "0000", "04") IP4("0400", "0000", "11")
			UDP("0035", "0010") "|" DATA},
	{"ICMPv6 echo", L_ETH, ETH("86dd") IP6("0010", "3a") ICMP("80") "|" DATA},
	{"ICMPv6 error", L_ETH,
		ETH("86dd") IP6("0040", "3a") ICMP("01") IP6("0400", "11") UDP("0035", "0400") "|" DATA},
	{"ICMPv6: neighbour solicitation", L_ETH,
		ETH("86dd") IP6("0020", "3a") ICMP("87") "fd000000000000000000000000000003 |0101 020000000001"},
	{"ICMPv6: redirect", L_ETH,
		ETH("86dd") IP6("0030", "3a") ICMP(
			"89") "fd000000000000000000000000000003 fd000000000000000000000000000004 |04 01 000000000000"},
	{"ICMPv6: router advertisement", L_ETH, ETH("86dd") IP6("0018", "3a") ICMP("86") "00000000 00000000 |" DATA},
	{"ICMPv6: MLD", L_ETH, ETH("86dd") IP6("0020", "3a") ICMP("83") "ff020000000000000000000000000001 |" DATA},
	{"ICMPv6 in IPv4 is none", L_ETH, ETH("0800") IP4("0024", "0000", "3a") "|" ICMP("80") DATA},
	{"ARP", L_ETH, ETH("0806") ARP "|" DATA DATA},
	{"ARP with addresses of no known kind", L_ETH,
		ETH("0806") "|0001 0800 ff ff 0001 020000000001 0a000001 000000000000 0a000002" DATA LOOSE},
	{"802.1Q", L_ETH, ETH("8100") "0064 0800" IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"QinQ", L_ETH, ETH("88a8") "0064 8100 0065 86dd" IP6("0010", "11") UDP("0035", "0010") "|" DATA},
	{"802.1Q, then LLC", L_ETH, ETH("8100") "0064 0026 |" DATA},
	{"LLC", L_ETH, ETH("0026") "|424203 0000000000" DATA},
	{"unknown ethertype", L_ETH, ETH("88cc") "|" DATA},
	{"MACsec", L_ETH, ETH("88e5") "|" DATA DATA},
	{"MPLS, two labels, IPv4", L_ETH,
		ETH("8847") "00010040 00011140 4500 0024 0001 0000 40 11 66c6 0a000001 0a000002" UDP(
			"0035", "0010") "|" DATA LOOSE},
	{"MPLS, IPv4 with a wrong checksum: perhaps none", L_ETH,
		ETH("8847") "00010140 |4500 0024 0001 0000 40 11 66c7 0a000001 0a000002" UDP("0035", "0010")
			DATA LOOSE},
	{"MPLS, IPv6", L_ETH, ETH("8848") "00010140" IP6("0010", "11") UDP("0035", "0010") "|" DATA LOOSE},
	{"MPLS, IPv6 whose length does not fit: perhaps none", L_ETH,
		ETH("8848") "00010140 |" IP6("0011", "11") UDP("0035", "0010") DATA LOOSE},
	{"MPLS, an Ethernet pseudowire", L_ETH,
		ETH("8847") "00010140 |" ETH("0800") IP4("0024", "0000", "11") UDP("0035", "0010") DATA},
	{"MPLS without an end", L_ETH, ETH("8847") "00010040 00010040 00010040 |0001"},
	{"MPLS in IP", L_ETH, ETH("0800") IP4("0020", "0000", "89") "00010140 |" DATA},
	{"PPPoE", L_ETH, ETH("8864") "11 00 0001 0026 0021" IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"PPPoE: its length ends the packet", L_ETH,
		ETH("8864") "11 00 0001 0016 0021" IP4("0024", "0000", "11") "|" UDP("0035", "0010") DATA LOOSE},
	{"PPPoE: a password", L_ETH, ETH("8864") "11 00 0001 000a c023 |" DATA},
	{"PPPoE: no session's packet", L_ETH, ETH("8864") "|11 09 0001 000a c023" DATA LOOSE},
	{"GRE", L_ETH,
		ETH("0800") IP4("003c", "0000", "2f") "0000 0800" IP4("0024", "0000", "11")
			UDP("0035", "0010") "|" DATA},
	{"GRE with checksum, key and number", L_ETH,
		ETH("0800") IP4("0048", "0000", "2f") "b000 0800 00000000 00000007 00000001" IP4("0024", "0000", "11")
			UDP("0035", "0010") "|" DATA},
	{"GRE with a frame", L_ETH,
		ETH("86dd") IP6("0036", "2f") "2000 6558 00000007" ETH("0800") IP4("0024", "0000", "11")
			UDP("0035", "0010") "|" DATA},
	{"GRE with routing", L_ETH,
		ETH("0800") IP4("003c", "0000", "2f") "|4000 0800" IP4("0024", "0000", "11") UDP("0035", "0010")
			DATA LOOSE},
	{"GRE of something", L_ETH, ETH("0800") IP4("0020", "0000", "2f") "0000 88be |" DATA},
	{"GRE version 1: PPTP", L_ETH,
		ETH("0800") IP4("002c", "0000", "2f") "3081 880b 0008 0001 00000001 00000001 |" DATA},
	{"GRE version 2", L_ETH, ETH("0800") IP4("0020", "0000", "2f") "|0002 0800" DATA LOOSE},
	{"IPv6 in IPv4 in IPv6", L_ETH,
		ETH("86dd") IP6("004c", "04") IP4("004c", "0000", "29") IP6("0010", "11") UDP("0035", "0010") "|" DATA},
	{"VXLAN", L_ETH,
		ETH("0800") IP4("0056", "0000", "11") UDP("12b5", "0042") VXLAN ETH("0800") IP4("0024", "0000", "11")
			UDP("0035", "0010") "|" DATA LOOSE},
	{"VXLAN in VXLAN", L_ETH,
		ETH("0800") IP4("0088", "0000", "11") UDP("12b5", "0074") VXLAN ETH("0800") IP4("0056", "0000", "11")
			UDP("12b5", "0042") VXLAN ETH("0800") IP4("0024", "0000", "11")
				UDP("0035", "0010") "|" DATA LOOSE},
	{"VXLAN's port, but something else", L_ETH,
		ETH("0800") IP4("002c", "0000", "11") UDP("12b5", "0018") "|" DATA DATA},
	{"VXLAN's reserved bits", L_ETH,
		ETH("0800") IP4("0056", "0000", "11") UDP("12b5", "0042") "|08000000 00002a01" ETH("0800")
			IP4("0024", "0000", "11") UDP("0035", "0010") DATA},
	{"Geneve with options", L_ETH,
		ETH("0800") IP4("005e", "0000", "11") UDP("17c1", "004a") "0200 6558 00002a00 0102 80 01 00000007" ETH(
			"0800") IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA LOOSE},
	{"Geneve of IP", L_ETH,
		ETH("0800") IP4("0048", "0000", "11") UDP("17c1", "0034") "0000 0800 00002a00" IP4("0024", "0000", "11")
			UDP("0035", "0010") "|" DATA LOOSE},
	{"Geneve's port, but something else", L_ETH,
		ETH("0800") IP4("002c", "0000", "11") UDP("17c1", "0018") "|" DATA DATA},
	{"a frame of 13 bytes", L_ETH, "|020000000002 020000000001 08"},
	{"nothing", L_ETH, ""},
	{"raw IPv4", L_RAW, IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"raw IPv6", L_RAW, IP6("0010", "11") UDP("0035", "0010") "|" DATA},
	{"raw something", L_RAW, "|" DATA},
	{"IPv4's own link type", L_IP4, IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"IPv6's own link type", L_IP6, IP6("0010", "11") UDP("0035", "0010") "|" DATA},
	{"cooked", L_SLL,
		"0000 0001 0006 020000000001 0000 0800" IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"cooked, tagged", L_SLL,
		"0000 0001 0006 020000000001 0000 8100 0064 0800" IP4("0024", "0000", "11")
			UDP("0035", "0010") "|" DATA},
	{"cooked netlink", L_SLL, "0004 0338 0000 0000000000000000 0004 |" DATA},
	{"cooked, version 2", L_SLL2,
		"86dd 0000 00000001 0001 00 06 0200000000010000" IP6("0010", "11") UDP("0035", "0010") "|" DATA},
	{"BSD's loopback, little endian", L_NULL, "02000000" IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"OpenBSD's loopback", L_LOOP, "00000018" IP6("0010", "11") UDP("0035", "0010") "|" DATA},
	{"BSD's loopback of no family", L_NULL, "02010001 |" IP4("0024", "0000", "11") UDP("0035", "0010") DATA},
	{"PPP", L_PPP, "ff03 0057" IP6("0010", "11") UDP("0035", "0010") "|" DATA},
	{"PPP without address", L_PPP, "0021" IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"PPP with MPLS", L_PPP, "0281 00010140 |" DATA},
	{"PPPoE's own link type", L_PPPOE,
		"11 00 0001 0026 0021" IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"HDLC", L_HDLC, "0f00 0800" IP4("0024", "0000", "11") UDP("0035", "0010") "|" DATA},
	{"a link type that is not known", L_WIFI, "|0801 0000" DATA DATA DATA DATA},
};

static bool is_strict(const struct row *r)
{
	return !strchr(r->packet, '~');
}

static unsigned nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static uint32_t bytes_of(const char *hex, uint8_t ret[BYTES_MAX], uint32_t *ret_cut)
{
	uint32_t n = 0;
	bool cut = false;

	for (; *hex; hex++) {
		if (*hex == ' ' || *hex == '~')
			continue;
		if (*hex == '|') {
			*ret_cut = n;
			cut = true;
			continue;
		}
		assert_true(isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]) && n < BYTES_MAX);
		ret[n++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
		hex++;
	}
	if (!cut)
		*ret_cut = n;
	return n;
}

/* In a block of exactly caplen bytes: a sanitizer sees who reads on. */
static uint32_t keep(uint16_t link, const uint8_t *p, uint32_t caplen, uint32_t len)
{
	uint8_t *copy = malloc(caplen ? caplen : 1);
	uint32_t ret;

	assert_non_null(copy);
	memcpy(copy, p, caplen);
	ret = headers_keep(link, copy, caplen, len);
	free(copy);
	return ret;
}

static void test_where_packets_are_cut(void **state)
{
	uint8_t p[BYTES_MAX];
	uint32_t n, cut = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = bytes_of(rows[i].packet, p, &cut);
		if (keep(rows[i].link, p, n, n) != cut)
			fail_msg("%s: %u bytes kept where %u are headers", rows[i].what, keep(rows[i].link, p, n, n),
				cut);
		if (keep(rows[i].link, p, cut, n) != cut)
			fail_msg("%s: what was cut is cut again", rows[i].what);
	}
}

static void test_captured_short(void **state)
{
	uint8_t p[BYTES_MAX];
	uint32_t n, cut = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = bytes_of(rows[i].packet, p, &cut);
		for (uint32_t caplen = 0; caplen <= n; caplen++) {
			const uint32_t due = caplen < cut ? caplen : cut, got = keep(rows[i].link, p, caplen, n);

			if (got > caplen || (is_strict(&rows[i]) && got != due))
				fail_msg("%s: of %u bytes %u were kept where %u are headers", rows[i].what, caplen, got,
					due);
		}
	}
}

/* A packet that GRO or TSO put together may be longer than IP's length can say. */
static void test_big(void **state)
{
	static const struct {
		const char *packet;
		uint32_t len, keep;
	} big[] = {
		{ETH("0800") IP4("0000", "0000", "06") TCP_32 DATA, 14 + 65536, 14 + 20 + 32},
		{ETH("0800") IP4("0000", "0000", "06") TCP_32 DATA, 14 + 65535, 14},
		{ETH("86dd") IP6("0000", "00") "06 00 c204 00012345" TCP DATA, 14 + 70000, 14 + 40 + 8 + 20},
		{ETH("86dd") IP6("0000", "06") TCP DATA, 14 + 70000, 14 + 40 + 20},
		{ETH("86dd") IP6("0000", "06") TCP DATA, 14 + 65535, 14 + 40},
		{ETH("86dd") IP6("0000", "11") UDP("0035", "0000") DATA, UINT32_MAX, 14 + 40 + 8},
	};
	uint8_t p[BYTES_MAX];
	uint32_t n, unused;

	(void)state;
	for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
		n = bytes_of(big[i].packet, p, &unused);
		assert_int_equal(keep(L_ETH, p, n, big[i].len), big[i].keep);
	}
}

/* Headers without end are cut at the most that is kept, and read no further. */
static void test_the_most(void **state)
{
	uint8_t p[BYTES_MAX];
	uint32_t unused, n = bytes_of(ETH("8100"), p, &unused);

	(void)state;
	for (; n + 4 <= BYTES_MAX; n += 4)
		memcpy(p + n, "\x00\x64\x81\x00", 4);
	assert_int_equal(keep(L_ETH, p, n, n), CAPTURE_HEADERS_MAX);
	assert_int_equal(keep(L_ETH, p, CAPTURE_HEADERS_MAX - 1, n), CAPTURE_HEADERS_MAX - 1);
	assert_int_equal(headers_keep(L_ETH, p, n, 20), 18);
	assert_int_equal(headers_keep(L_ETH, NULL, 0, 0), 0);
	assert_int_equal(headers_keep(L_ETH, NULL, 0, 1500), 0);
	for (uint32_t link = 0; link <= UINT16_MAX; link++)
		assert_true(headers_keep((uint16_t)link, p, 64, 64) <= 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_packets_are_cut),
		cmocka_unit_test(test_captured_short),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_the_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
