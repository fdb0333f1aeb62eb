#include "collector/own_traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum end { END_SOURCE, END_DESTINATION };
static const char *const end_words[] = {"src", "dst"};

/* Numeric text in libpcap's spelling: v4-mapped IPv6 as IPv4 (that is what is on the wire), no zone. */
struct address {
	char text[INET6_ADDRSTRLEN];
	bool v6;
};

struct address_list {
	struct address a[OWN_TRAFFIC_ADDRESSES_MAX];
	size_t n;
	bool overflow;
};

/* -1: not numeric, or unspecified. */
static int address_parse(const char *text, struct address *ret)
{
	struct in6_addr a6;
	struct in_addr a4;

	if (inet_pton(AF_INET6, text, &a6) == 1) {
		if (IN6_IS_ADDR_UNSPECIFIED(&a6))
			return -1;
		ret->v6 = !IN6_IS_ADDR_V4MAPPED(&a6);
		if (ret->v6)
			return inet_ntop(AF_INET6, &a6, ret->text, sizeof(ret->text)) ? 0 : -1;
		memcpy(&a4, &a6.s6_addr[12], sizeof(a4));
	} else if (inet_pton(AF_INET, text, &a4) == 1) {
		ret->v6 = false;
	} else {
		return -1;
	}
	if (a4.s_addr == htonl(INADDR_ANY))
		return -1;
	return inet_ntop(AF_INET, &a4, ret->text, sizeof(ret->text)) ? 0 : -1;
}

static void address_list_add(struct address_list *l, const struct address *a)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->a[i].v6 == a->v6 && strcmp(l->a[i].text, a->text) == 0)
			return;
	}
	if (l->n == OWN_TRAFFIC_ADDRESSES_MAX)
		l->overflow = true;
	else
		l->a[l->n++] = *a;
}

/* Addresses that every machine and container has: of the gateway's machine only when that is this one. */
static bool is_everywhere(const struct address *a)
{
	return strncmp(a->text, "127.", 4) == 0 || strcmp(a->text, "::1") == 0 || strncmp(a->text, "fe80:", 5) == 0 ||
	       strncmp(a->text, "169.254.", 8) == 0;
}

static void add_local(const struct own_traffic *o, const char *text, struct address_list *ret)
{
	struct address a;

	if (address_parse(text, &a) == 0 && !(o->container && is_everywhere(&a)))
		address_list_add(ret, &a);
}

static int local_addresses(const struct own_traffic *o, struct address_list *ret, struct err *err)
{
	struct ifaddrs *list = NULL;

	if (o->local)
		add_local(o, o->local, ret);
	if (getifaddrs(&list) < 0)
		return err_sys(err, errno, "local addresses");
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN];
		const void *raw;

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			raw = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
		else if (i->ifa_addr->sa_family == AF_INET6)
			raw = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
		else
			continue;
		if (inet_ntop(i->ifa_addr->sa_family, raw, text, sizeof(text)))
			add_local(o, text, ret);
	}
	freeifaddrs(list);
	return 0;
}

/* All of 127/8 is local, not only the address that lo bears.  A container's loopback is its own: in its place stands an address that
 * nothing comes from, so that the list is never empty. */
static int add_hosts(struct buf *b, enum end end, const struct address_list *l, bool container, struct err *err)
{
	const char *word = end_words[end];

	if (container ? buf_addf(b, err, "(ip %s host 0.0.0.0", word) < 0
		      : buf_addf(b, err, "(ip %s net 127.0.0.0/8 or ip6 %s host ::1", word, word) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		if (buf_addf(b, err, " or %s %s host %s", l->a[i].v6 ? "ip6" : "ip", word, l->a[i].text) < 0)
			return -1;
	}
	return buf_add_str(b, ")", err);
}

/* The ports first: that is where nearly every foreign packet leaves the program. */
static int add_agent(
	struct buf *b, enum end end, const struct own_traffic *o, const struct address_list *l, struct err *err)
{
	if (buf_addf(b, err, "(tcp %s port %u", end_words[end], o->port) < 0)
		return -1;
	if (!l->overflow && (buf_add_str(b, " and ", err) < 0 || add_hosts(b, end, l, o->container, err) < 0))
		return -1;
	return buf_add_str(b, ")", err);
}

/* Does the gateway run on this machine, as far as its end of the connection tells? */
static bool gateway_is_here(const struct own_traffic *o, const struct address_list *local)
{
	struct address peer;

	if (!o->peer || address_parse(o->peer, &peer) < 0)
		return true;
	for (size_t i = 0; i < local->n; i++) {
		if (strcmp(local->a[i].text, peer.text) == 0)
			return true;
	}
	return local->overflow || strncmp(peer.text, "127.", 4) == 0;
}

static int add_exclude(struct buf *b, const struct capture_exclude *x, bool here, struct err *err)
{
	unsigned last = x->port_last ? x->port_last : x->port;
	struct address a;

	if (address_parse(x->address, &a) < 0) {
		err_set(err, ERR_INPUT, "\"%s\" is not the numeric address of a host", x->address);
		return err_field(err, "exclude");
	}
	if (!here && is_everywhere(&a))
		return 0;
	for (enum end end = END_SOURCE; end <= END_DESTINATION; end++) {
		if (buf_addf(b, err, " or (tcp %s portrange %u-%u and %s %s host %s)", end_words[end], x->port, last,
			    a.v6 ? "ip6" : "ip", end_words[end], a.text) < 0)
			return -1;
	}
	return 0;
}

int own_traffic_text(const struct own_traffic *o, struct buf *b, struct err *err)
{
	struct address_list local = {0};
	bool here;

	if (local_addresses(o, &local, err) < 0)
		return -1;
	here = !o->container && gateway_is_here(o, &local);
	if (add_agent(b, END_SOURCE, o, &local, err) < 0 || buf_add_str(b, " or ", err) < 0 ||
		add_agent(b, END_DESTINATION, o, &local, err) < 0)
		return -1;
	for (size_t i = 0; i < o->excludes_n; i++) {
		if (add_exclude(b, &o->excludes[i], here, err) < 0)
			return -1;
	}
	return 0;
}

int own_traffic_combine(
	const struct bpf_program *own, const struct bpf_program *user, struct bpf_program *ret, struct err *err)
{
	struct bpf_insn *insns;
	size_t n;

	if (own->bf_len > OWN_TRAFFIC_INSNS_MAX || user->bf_len > OWN_TRAFFIC_INSNS_MAX - own->bf_len)
		return err_set(err, ERR_LIMIT,
			"too long: it compiles to %u instructions; with the %u that keep the platform's own "
			"traffic out, at most %u are possible",
			user->bf_len, own->bf_len, OWN_TRAFFIC_INSNS_MAX);
	n = (size_t)own->bf_len + user->bf_len;
	insns = calloc(n ? n : 1, sizeof(*insns));
	if (!insns)
		return err_nomem(err);
	memcpy(insns, own->bf_insns, own->bf_len * sizeof(*insns));
	memcpy(insns + own->bf_len, user->bf_insns, user->bf_len * sizeof(*insns));

	/* "Not ours" (ret 0) becomes a jump to the user's first instruction, "ours" (ret anything) a refusal.  Offsets count from the
	 * next instruction, and a program of the compiler ends with a ret, so every jump goes forward and stays inside. */
	for (bpf_u_int32 i = 0; i < own->bf_len; i++) {
		if (BPF_CLASS(insns[i].code) != BPF_RET)
			continue;
		if (BPF_RVAL(insns[i].code) != BPF_K) {
			free(insns);
			return err_set(
				err, ERR_INTERNAL, "exclusion of own traffic: instruction %u returns no constant", i);
		}
		if (insns[i].k == 0)
			insns[i] = (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, own->bf_len - i - 1);
		else
			insns[i].k = 0;
	}
	if (!bpf_validate(insns, (int)n)) {
		free(insns);
		return err_set(err, ERR_INTERNAL, "filter and exclusion of own traffic do not make a valid program");
	}
	ret->bf_len = (u_int)n;
	ret->bf_insns = insns;
	return 0;
}

void own_traffic_program_done(struct bpf_program *p)
{
	free(p->bf_insns);
	p->bf_insns = NULL;
	p->bf_len = 0;
}

bool own_traffic_possible(int dlt)
{
	switch (dlt) {
	case DLT_CAN_SOCKETCAN:
	case DLT_NETLINK:
	case DLT_IEEE802_15_4_WITHFCS:
	case DLT_IEEE802_15_4_NOFCS:
	case DLT_IEEE802_15_4_TAP:
		return false;
	default:
		return true;
	}
}
