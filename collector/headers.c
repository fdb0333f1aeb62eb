#include "collector/headers.h"

#include "schema/capture_request.h"

#include <stdbool.h>
#include <stddef.h>

#define IP4_BYTES       20u
#define IP6_BYTES       40u
#define TCP_BYTES       20u
#define AH_BYTES        12u
#define LENGTH_MAX      65535u /* that a field of 16 bits can say */
#define ARP_ADDRESS_MAX 20u    /* the longest: InfiniBand */
#define PORT_VXLAN      4789u
#define PORT_GENEVE     6081u

struct walk {
	const uint8_t *p;
	uint32_t at;                  /* where the next header begins: at <= cap, at <= end */
	uint32_t cap;                 /* captured: nothing from here on is read */
	uint32_t end;                 /* of what the carriers say that they carry */
	uint32_t keep;                /* the result so far */
	bool v6;                      /* the IP header before this was IPv6's */
	void (*next)(struct walk *w); /* takes the header at `at`; NULL: nothing more is known */
};

typedef void (*header_fn)(struct walk *w);

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- the walk ---- */

/* Are the next n bytes there, all of them header?  Where it is the capture that ends within them, what there is of them is kept. */
static bool has(struct walk *w, uint32_t n)
{
	if (n > w->end - w->at)
		return false;
	if (n > w->cap - w->at) {
		w->keep = w->cap;
		return false;
	}
	return true;
}

/* The next n bytes, to find out how long the header is; NULL: the walk is over. */
static const uint8_t *look(struct walk *w, uint32_t n)
{
	return has(w, n) ? w->p + w->at : NULL;
}

/* The same where they may be something else: nothing is kept of what is not whole. */
static const uint8_t *guess(const struct walk *w, uint32_t n)
{
	return n <= w->end - w->at && n <= w->cap - w->at ? w->p + w->at : NULL;
}

/* The next n bytes are a header; true: it is whole, and the walk goes on behind it. */
static bool take(struct walk *w, uint32_t n)
{
	if (!has(w, n))
		return false;
	w->at += n;
	w->keep = w->at;
	return true;
}

static void take_then(struct walk *w, uint32_t n, header_fn next)
{
	if (take(w, n))
		w->next = next;
}

/* From here on there are n bytes, says a header's field. */
static void narrow(struct walk *w, uint32_t n)
{
	if (n < w->end - w->at)
		w->end = w->at + n;
}

/* A length of 0 means one that the field cannot say (jumbograms, BIG TCP), but only where there is more than it could. */
static uint32_t field_length(const struct walk *w, uint32_t n)
{
	return n == 0 && w->end - w->at > LENGTH_MAX ? UINT32_MAX : n;
}

/* What follows is the beginning of a packet, cut off anywhere: like one that was captured short. */
static void quote(struct walk *w, header_fn next)
{
	w->cap = least(w->cap, w->end);
	w->end = w->at + LENGTH_MAX;
	w->next = next;
}

static header_fn of_type(uint32_t ethertype);
static header_fn of_protocol(uint32_t protocol, bool v6);
static void ip4(struct walk *w);
static void ip6(struct walk *w);

/* ---- behind IP ---- */

static void tcp(struct walk *w)
{
	const uint8_t *p = look(w, TCP_BYTES);
	uint32_t n = p ? (p[12] >> 4) * 4u : 0;

	if (n >= TCP_BYTES)
		take(w, n);
}

static void ethernet(struct walk *w)
{
	const uint8_t *p = look(w, 14);

	if (p)
		take_then(w, 14, of_type(u16(p + 12)));
}

/* RFC 7348: the flags say "there is a VNI" and nothing else. */
static void vxlan(struct walk *w)
{
	const uint8_t *p = guess(w, 8);

	if (p && p[0] == 0x08 && p[1] == 0 && u16(p + 2) == 0 && p[7] == 0)
		take_then(w, 8, ethernet);
}

/* RFC 8926: version 0, nothing reserved set, a payload that is known here. */
static void geneve(struct walk *w)
{
	const uint8_t *p = guess(w, 8);

	if (p && p[0] >> 6 == 0 && (p[1] & 0x3f) == 0 && p[7] == 0 && of_type(u16(p + 2)))
		take_then(w, 8 + (p[0] & 0x3fu) * 4, of_type(u16(p + 2)));
}

static void udp(struct walk *w)
{
	const uint8_t *p = look(w, 8);
	uint32_t n = p ? field_length(w, u16(p + 4)) : 0, to;

	if (n < 8)
		return;
	to = u16(p + 2);
	narrow(w, n);
	take_then(w, 8, to == PORT_VXLAN ? vxlan : to == PORT_GENEVE ? geneve : NULL);
}

static void first_8(struct walk *w) /* UDP-Lite, IGMP; of ESP all that is not encrypted */
{
	take(w, 8);
}

static void sctp(struct walk *w)
{
	take(w, 12);
}

/* RFC 4340, 5.1: the longer sequence number makes the header longer by a word. */
static void dccp(struct walk *w)
{
	const uint8_t *p = look(w, 12);

	if (p && p[4] >= (p[8] & 1u ? 4u : 3u))
		take(w, p[4] * 4u);
}

static void icmp4(struct walk *w)
{
	const uint8_t *p = look(w, 8);

	if (!p || !take(w, 8))
		return;
	switch (p[0]) {
	case 3:  /* destination unreachable */
	case 4:  /* source quench */
	case 5:  /* redirect */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		quote(w, ip4);
		break;
	default:
		break;
	}
}

static uint32_t icmp6_bytes(uint32_t type)
{
	switch (type) {
	case 134: /* router advertisement */
		return 16;
	case 130: /* MLD: query, report, done */
	case 131:
	case 132:
	case 135: /* neighbour solicitation, advertisement */
	case 136:
		return 24;
	case 137: /* redirect */
		return 40;
	default:
		return 8;
	}
}

static void icmp6(struct walk *w)
{
	const uint8_t *p = look(w, 8);

	if (p && take(w, icmp6_bytes(p[0])) && p[0] >= 1 && p[0] <= 4)
		quote(w, ip6);
}

/* RFC 2784 and 2890, and version 1 of RFC 2637, whose PPP is cut.  With routing (RFC 1701) or another bit it is nobody's any more. */
static void gre(struct walk *w)
{
	const uint8_t *p = look(w, 4);
	uint32_t n = 4;

	if (!p || (p[0] & 0x4f) || (p[1] & 0x78) || (p[1] & 7) > 1)
		return;
	for (uint8_t bit = 0x80; bit >= 0x10; bit >>= 1) /* checksum, (routing,) key, number */
		n += p[0] & bit ? 4 : 0;
	if ((p[1] & 7) == 1)
		take(w, n + (p[1] & 0x80 ? 4 : 0));
	else if (!(p[1] & 0x80))
		take_then(w, n, of_type(u16(p + 2)));
}

static void extension6(struct walk *w) /* hop-by-hop, routing, destination */
{
	const uint8_t *p = look(w, 8);

	if (p)
		take_then(w, (p[1] + 1u) * 8, of_protocol(p[0], true));
}

static void fragment6(struct walk *w)
{
	const uint8_t *p = look(w, 8);

	if (p)
		take_then(w, 8, u16(p + 2) >> 3 ? NULL : of_protocol(p[0], true));
}

static void ah(struct walk *w)
{
	const uint8_t *p = look(w, AH_BYTES);
	uint32_t n = p ? (p[1] + 2u) * 4 : 0;

	if (n >= AH_BYTES)
		take_then(w, n, of_protocol(p[0], w->v6));
}

/* ---- IP ---- */

/* A look at the version alone: of what is no IP not a byte is kept, however short it was captured. */
static bool is_version(const struct walk *w, uint8_t version)
{
	const uint8_t *p = guess(w, 1);

	return !p || *p >> 4 == version;
}

static void ip4(struct walk *w)
{
	const uint8_t *p = is_version(w, 4) ? look(w, IP4_BYTES) : NULL;
	uint32_t header, total;

	if (!p)
		return;
	header = (p[0] & 15u) * 4;
	total = field_length(w, u16(p + 2));
	if (header < IP4_BYTES || total < header)
		return;
	narrow(w, total);
	w->v6 = false;
	take_then(w, header, (u16(p + 6) & 0x1fff) ? NULL : of_protocol(p[9], false));
}

static void ip6(struct walk *w)
{
	const uint8_t *p = is_version(w, 6) ? look(w, IP6_BYTES) : NULL;
	uint32_t payload;

	if (!p)
		return;
	payload = field_length(w, u16(p + 4));
	if (payload != UINT32_MAX)
		narrow(w, IP6_BYTES + payload);
	w->v6 = true;
	take_then(w, IP6_BYTES, of_protocol(p[6], true));
}

/* ---- below IP ---- */

static void vlan(struct walk *w)
{
	const uint8_t *p = look(w, 4);

	if (p)
		take_then(w, 4, of_type(u16(p + 2)));
}

static bool has_checksum4(const struct walk *w)
{
	const uint8_t *p = guess(w, IP4_BYTES);
	uint32_t n = p ? (p[0] & 15u) * 4 : 0, sum = 0;

	if (n < IP4_BYTES || !guess(w, n))
		return false;
	for (uint32_t i = 0; i < n; i += 2)
		sum += u16(p + i);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

static bool has_length6(const struct walk *w)
{
	const uint8_t *p = guess(w, IP6_BYTES);

	return p && u16(p + 4) == w->end - w->at - IP6_BYTES;
}

/* RFC 4928, 2: the first nibble tells IP from the rest, but an Ethernet pseudowire may begin with any. */
static header_fn of_mpls(const struct walk *w)
{
	const uint8_t *p = guess(w, 1);

	if (p && *p >> 4 == 4 && has_checksum4(w))
		return ip4;
	return p && *p >> 4 == 6 && has_length6(w) ? ip6 : NULL;
}

static void label(struct walk *w)
{
	const uint8_t *p = look(w, 4);

	if (p && take(w, 4))
		w->next = p[2] & 1 ? of_mpls(w) : label;
}

static void ppp(struct walk *w)
{
	const uint8_t *p = look(w, 2);
	uint32_t protocol = p ? u16(p) : 0;

	if (p)
		take_then(w, 2,
			protocol == 0x0021   ? ip4
			: protocol == 0x0057 ? ip6
			: protocol == 0x0281 ? label
					     : NULL);
}

/* RFC 2516, 4: version and type 1, code 0. */
static void pppoe(struct walk *w)
{
	const uint8_t *p = look(w, 6);

	if (!p || p[0] != 0x11 || p[1] != 0)
		return;
	narrow(w, 6 + u16(p + 4));
	take_then(w, 6, ppp);
}

/* RFC 826: two hardware and two protocol addresses. */
static void arp(struct walk *w)
{
	const uint8_t *p = look(w, 8);

	if (p && p[4] <= ARP_ADDRESS_MAX && p[5] <= 16)
		take(w, 8 + 2u * (p[4] + p[5]));
}

static header_fn of_type(uint32_t ethertype)
{
	static const struct {
		uint16_t ethertype;
		header_fn fn;
	} types[] = {
		{0x0800, ip4}, {0x86dd, ip6}, {0x0806, arp}, {0x8035, arp}, /* RARP */
		{0x8100, vlan}, {0x88a8, vlan}, {0x9100, vlan},             /* 802.1ad before it was a standard */
		{0x8847, label}, {0x8848, label}, {0x8864, pppoe}, {0x6558, ethernet}, /* in GRE and Geneve */
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].ethertype == ethertype)
			return types[i].fn;
	return NULL;
}

static header_fn of_protocol(uint32_t protocol, bool v6)
{
	static const struct {
		uint8_t protocol;
		bool v6_only;
		header_fn fn;
	} protocols[] = {
		{0, true, extension6},
		{1, false, icmp4},
		{2, false, first_8}, /* IGMP */
		{4, false, ip4},
		{6, false, tcp},
		{17, false, udp},
		{33, false, dccp},
		{41, false, ip6},
		{43, true, extension6},
		{44, true, fragment6},
		{47, false, gre},
		{50, false, first_8}, /* ESP */
		{51, false, ah},
		{58, true, icmp6},
		{60, true, extension6},
		{132, false, sctp},
		{136, false, first_8}, /* UDP-Lite */
		{137, false, label},
	};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (protocols[i].protocol == protocol && (v6 || !protocols[i].v6_only))
			return protocols[i].fn;
	return NULL;
}

/* ---- link types ---- */

static void raw(struct walk *w)
{
	const uint8_t *p = guess(w, 1);

	if (p)
		w->next = *p >> 4 == 6 ? ip6 : ip4;
}

/* The family as the writing system numbers it, in its own or in network order; what IP it is its version says. */
static void family(struct walk *w)
{
	const uint8_t *p = look(w, 4);

	if (p)
		take_then(w, 4, (p[0] | p[1]) == 0 || (p[2] | p[3]) == 0 ? raw : NULL);
}

static void cooked(struct walk *w)
{
	const uint8_t *p = look(w, 16);

	if (p)
		take_then(w, 16, of_type(u16(p + 14)));
}

static void cooked2(struct walk *w)
{
	const uint8_t *p = look(w, 20);

	if (p)
		take_then(w, 20, of_type(u16(p)));
}

/* RFC 1662: address and control may be left out. */
static void ppp_framed(struct walk *w)
{
	const uint8_t *p = look(w, 2);

	if (p && u16(p) == 0xff03)
		take_then(w, 2, ppp);
	else if (p)
		w->next = ppp;
}

static void cisco_hdlc(struct walk *w)
{
	vlan(w); /* as well two bytes, then the type */
}

static header_fn of_link(uint16_t link_type)
{
	static const struct {
		uint16_t link_type;
		header_fn fn;
	} links[] = {
		{0, family}, /* NULL */
		{1, ethernet},
		{9, ppp_framed},
		{50, ppp_framed}, /* PPP_SERIAL */
		{51, pppoe},
		{101, raw},
		{104, cisco_hdlc},
		{108, family}, /* LOOP */
		{113, cooked},
		{228, ip4},
		{229, ip6},
		{276, cooked2},
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (links[i].link_type == link_type)
			return links[i].fn;
	return NULL;
}

uint32_t headers_keep(uint16_t link_type, const uint8_t *p, uint32_t caplen, uint32_t len)
{
	struct walk w = {
		.p = p,
		.cap = least(least(caplen, len), CAPTURE_HEADERS_MAX),
		.end = len,
		.next = of_link(link_type),
	};

	while (w.next) {
		header_fn header = w.next;

		w.next = NULL;
		header(&w);
	}
	return w.keep;
}
