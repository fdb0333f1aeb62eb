/* headers.h - where a packet's headers end and its payload begins, for captures of headers only: what is behind is cut here, on the
 * machine where it was seen, and goes nowhere.
 *
 * A pure function of the packet's bytes: no state, no allocation, no failure.  Every step takes at least two bytes of header, so that
 * CAPTURE_HEADERS_MAX bounds the loop and, with it, how deep tunnels are followed.
 *
 * The rule: a byte is kept when it is certainly of a header, and everything from the first doubt on is cut.
 *   kept    link header, 802.1Q and 802.1ad tags, MPLS labels, PPPoE and PPP; ARP whole (but not what fills its frame up); IPv4 with options;
 *           IPv6 with hop-by-hop, routing, destination and fragment header; AH; of ESP only SPI and number; TCP with options; UDP, UDP-Lite,
 *           DCCP with options; SCTP's common header; 8 bytes of ICMP and IGMP; of ICMPv6 8, and the addresses of neighbour discovery and MLD
 *   inside  IP in IP, GRE, MPLS, VXLAN (UDP to port 4789) and Geneve (6081) are headers of what they carry, which begins again; so is an
 *           ICMP error of the packet that it quotes, however little of it
 *   cut     payload, also what a TCP SYN carries (Fast Open); SCTP's chunks; options of neighbour discovery (a redirect quotes payload there); everything
 *           in a fragment that is not the first; everything behind an ethertype, LLC, PPP or IP protocol that is not above; padding and trailers
 * What a carrier's own length does not cover is no header: it is padding, or somebody's leak.  What contradicts itself (IHL or data offset
 * under 5, a length under its own header's) is not kept at all, only what stood before it.  Where nothing but a guess says what follows - MPLS has no type, a UDP port is
 * anybody's - it must fit: a correct checksum, an exact length, every reserved bit 0.
 *
 * The gateway does not cut again: it would have to know every header that the newest agent knows, and would hide that an agent broke its word.
 * It wants the word (AGENT_PAYLOAD_HEADER), and ends an instance that sends more of a packet than CAPTURE_HEADERS_MAX. */
#ifndef PCAPLINE_COLLECTOR_HEADERS_H
#define PCAPLINE_COLLECTOR_HEADERS_H

#include <stdint.h>

/* headers_keep: how many of the packet's bytes are headers, 0..min(caplen, len, CAPTURE_HEADERS_MAX).
 *   link_type  as files name it (LINKTYPE_); of one that is not known here nothing is kept
 *   p          caplen bytes, borrowed for the call; nothing behind them is read
 *   len        bytes on the wire: tells padding from a packet that was captured short, of which all that is there of a header is kept */
uint32_t headers_keep(uint16_t link_type, const uint8_t *p, uint32_t caplen, uint32_t len);

#endif
