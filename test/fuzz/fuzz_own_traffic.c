/* fuzz_own_traffic.c - any filter text, compiled alone and joined with the exclusion: the sum is a valid program, never accepts an own
 * packet, and decides every other packet as the user's filter alone does.
 * Input: one byte for the link type, the rest is the filter. */
#include "collector/own_traffic.h"

#include <assert.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SNAPLEN    65535
#define PACKET_MAX 80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* libpcap looks up the names in a filter; here none may reach a name server.  Same name as libc's, hence found first. */
int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
	struct addrinfo **restrict ret)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo numeric = {0};
	void *symbol;

	if (!real) {
		symbol = dlsym(RTLD_NEXT, "getaddrinfo");
		memcpy(&real, &symbol, sizeof(real));
	}
	if (hints)
		numeric = *hints;
	numeric.ai_flags |= AI_NUMERICHOST;
	return real(node, service, &numeric, ret);
}

/* Per link type: where IP begins, and where its type stands (nowhere: -1). */
static const struct {
	int dlt;
	size_t ip;
	int type;
} links[] = {{DLT_EN10MB, 14, 12}, {DLT_LINUX_SLL2, 20, 0}, {DLT_LINUX_SLL, 16, 14}, {DLT_RAW, 0, -1}};
#define LINKS_N (sizeof(links) / sizeof(links[0]))

static const struct capture_exclude exclude = {"198.51.100.7", 8780, 8789};
static const struct own_traffic own = {.port = 9494, .local = "192.0.2.1", .excludes = &exclude, .excludes_n = 1};

static const struct {
	bool v6, ours;
	uint8_t protocol;
	uint8_t from[16], to[16];
	uint16_t from_port, to_port;
} packets[] = {
	{false, true, IPPROTO_TCP, {203, 0, 113, 9}, {192, 0, 2, 1}, 40000, 9494},
	{false, true, IPPROTO_TCP, {192, 0, 2, 1}, {203, 0, 113, 9}, 9494, 40000},
	{false, true, IPPROTO_TCP, {203, 0, 113, 9}, {198, 51, 100, 7}, 40000, 8780},
	{false, true, IPPROTO_TCP, {198, 51, 100, 7}, {203, 0, 113, 9}, 8780, 40000},
	{true, true, IPPROTO_TCP, {[15] = 1}, {[15] = 1}, 40000, 9494},
	{true, true, IPPROTO_TCP, {[15] = 1}, {[15] = 1}, 9494, 40000},
	{false, false, IPPROTO_TCP, {203, 0, 113, 9}, {192, 0, 2, 1}, 40000, 80},
	{false, false, IPPROTO_TCP, {203, 0, 113, 9}, {203, 0, 113, 8}, 40000, 9494},
	{false, false, IPPROTO_UDP, {203, 0, 113, 9}, {192, 0, 2, 1}, 40000, 9494},
	{true, false, IPPROTO_TCP, {[15] = 1}, {[15] = 1}, 40000, 443},
	{true, false, IPPROTO_UDP, {[15] = 2}, {[15] = 1}, 9494, 53},
};
#define PACKETS_N (sizeof(packets) / sizeof(packets[0]))

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool accepts(const struct bpf_program *program, size_t link, size_t i)
{
	uint8_t bytes[PACKET_MAX] = {0}, *ip = bytes + links[link].ip, *tcp = ip + (packets[i].v6 ? 40 : 20);
	struct pcap_pkthdr h = {0};

	if (links[link].type >= 0)
		put_u16(bytes + links[link].type, packets[i].v6 ? 0x86dd : 0x0800);
	ip[0] = packets[i].v6 ? 0x60 : 0x45;
	ip[packets[i].v6 ? 6 : 9] = packets[i].protocol;
	memcpy(ip + (packets[i].v6 ? 8 : 12), packets[i].from, packets[i].v6 ? 16 : 4);
	memcpy(ip + (packets[i].v6 ? 24 : 16), packets[i].to, packets[i].v6 ? 16 : 4);
	put_u16(tcp, packets[i].from_port);
	put_u16(tcp + 2, packets[i].to_port);
	tcp[12] = 0x50;
	h.caplen = h.len = (bpf_u_int32)(tcp + 20 - bytes);
	return pcap_offline_filter(program, &h, bytes) != 0;
}

/* The handle and the exclusion of a link type, made once. */
static pcap_t *handle_of(size_t link, const struct bpf_program **ret_own)
{
	static pcap_t *handles[LINKS_N];
	static struct bpf_program programs[LINKS_N];
	struct buf text;

	if (!handles[link]) {
		handles[link] = pcap_open_dead(links[link].dlt, SNAPLEN);
		assert(handles[link]);
		buf_init(&text, OWN_TRAFFIC_TEXT_MAX);
		if (own_traffic_text(&own, &text, NULL) < 0 ||
			pcap_compile(handles[link], &programs[link], buf_str(&text), 1, PCAP_NETMASK_UNKNOWN) < 0)
			abort();
		buf_done(&text);
	}
	*ret_own = &programs[link];
	return handles[link];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct bpf_program *exclusion;
	struct bpf_program user, both = {0};
	struct err err = {0};
	size_t link;
	pcap_t *handle;
	char *filter;

	if (n == 0 || n > CAPTURE_FILTER_MAX)
		return 0;
	link = data[0] % LINKS_N;
	filter = malloc(n);
	assert(filter);
	memcpy(filter, data + 1, n - 1);
	filter[n - 1] = '\0';
	handle = handle_of(link, &exclusion);
	if (pcap_compile(handle, &user, filter, 1, PCAP_NETMASK_UNKNOWN) == 0) {
		if (own_traffic_combine(exclusion, &user, &both, &err) == 0) {
			assert(bpf_validate(both.bf_insns, (int)both.bf_len));
			for (size_t i = 0; i < PACKETS_N; i++)
				assert(accepts(&both, link, i) == (!packets[i].ours && accepts(&user, link, i)));
		} else {
			assert(err.code == ERR_LIMIT);
		}
		own_traffic_program_done(&both);
		pcap_freecode(&user);
	}
	free(filter);
	return 0;
}
