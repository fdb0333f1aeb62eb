/* test_own_traffic.c - collector/own_traffic.c: no filter reaches the platform's own packets, and every other packet is untouched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/own_traffic.h"
#include "test/unit/tcp_packet.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_PORT   9494
#define GATEWAY_PORT 8780
#define SNAPLEN      65535
#define RANGE_FIRST  61440
#define RANGE_LAST   65534

static const struct capture_exclude excludes[] = {
	{"198.51.100.7", GATEWAY_PORT, 0},
	{"2001:db8::7", GATEWAY_PORT, 0},
	{"::ffff:198.51.100.8", GATEWAY_PORT, 0},
	{"198.51.100.7", RANGE_FIRST, RANGE_LAST},
};
static const struct own_traffic own = {.port = AGENT_PORT,
	.local = "192.0.2.1",
	.excludes = excludes,
	.excludes_n = sizeof(excludes) / sizeof(excludes[0])};

static const int dlts[] = {DLT_EN10MB, DLT_LINUX_SLL2, DLT_RAW};

/* The program for a filter on a link type; false when libpcap refuses the filter there. */
static bool build(int dlt, const char *filter, struct bpf_program *ret)
{
	pcap_t *dead = pcap_open_dead(dlt, SNAPLEN);
	struct bpf_program user, exclusion;
	struct err err = {0};
	struct buf text;
	bool good;

	assert_non_null(dead);
	good = pcap_compile(dead, &user, filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
	if (good) {
		buf_init(&text, OWN_TRAFFIC_TEXT_MAX);
		assert_int_equal(own_traffic_text(&own, &text, &err), 0);
		if (pcap_compile(dead, &exclusion, buf_str(&text), 1, PCAP_NETMASK_UNKNOWN) < 0)
			fail_msg("%s: %s", buf_str(&text), pcap_geterr(dead));
		if (own_traffic_combine(&exclusion, &user, ret, &err) < 0)
			fail_msg("%s", err.msg);
		pcap_freecode(&exclusion);
		pcap_freecode(&user);
		buf_done(&text);
	}
	pcap_close(dead);
	return good;
}

static bool passes(const struct bpf_program *program, const struct tcp_packet *p)
{
	uint8_t bytes[TCP_PACKET_MAX];
	struct pcap_pkthdr h = {0};

	h.caplen = h.len = (bpf_u_int32)tcp_packet_build(p, bytes);
	return pcap_offline_filter(program, &h, bytes) != 0;
}

static const struct {
	const char *what;
	uint8_t protocol;
	const char *from, *to;
	uint16_t from_port, to_port;
	bool ours;
} packets[] = {
	{"to us over loopback", IPPROTO_TCP, "127.0.0.1", "127.0.0.1", 40000, AGENT_PORT, true},
	{"from us over another loopback address", IPPROTO_TCP, "127.8.9.10", "127.0.0.1", AGENT_PORT, 40000, true},
	{"to us over loopback, IPv6", IPPROTO_TCP, "::1", "::1", 40000, AGENT_PORT, true},
	{"to our end of the connection", IPPROTO_TCP, "203.0.113.9", "192.0.2.1", 40000, AGENT_PORT, true},
	{"from our end of the connection", IPPROTO_TCP, "192.0.2.1", "203.0.113.9", AGENT_PORT, 40000, true},
	{"to the gateway's public port", IPPROTO_TCP, "203.0.113.9", "198.51.100.7", 40000, GATEWAY_PORT, true},
	{"from the gateway's public port", IPPROTO_TCP, "198.51.100.7", "203.0.113.9", GATEWAY_PORT, 40000, true},
	{"to the gateway's public port, IPv6", IPPROTO_TCP, "2001:db8::9", "2001:db8::7", 40000, GATEWAY_PORT, true},
	{"from the gateway's public port, IPv6", IPPROTO_TCP, "2001:db8::7", "2001:db8::9", GATEWAY_PORT, 40000, true},
	{"an exclude given as a mapped address", IPPROTO_TCP, "203.0.113.9", "198.51.100.8", 40000, GATEWAY_PORT, true},
	{"from the first of a range", IPPROTO_TCP, "198.51.100.7", "203.0.113.9", RANGE_FIRST, 443, true},
	{"to the last of a range", IPPROTO_TCP, "203.0.113.9", "198.51.100.7", 443, RANGE_LAST, true},
	{"before a range", IPPROTO_TCP, "198.51.100.7", "203.0.113.9", RANGE_FIRST - 1, 443, false},
	{"behind a range", IPPROTO_TCP, "203.0.113.9", "198.51.100.7", 443, RANGE_LAST + 1, false},
	{"the range at another host", IPPROTO_TCP, "203.0.113.9", "198.51.100.7", RANGE_FIRST, 443, false},
	{"UDP on our port", IPPROTO_UDP, "203.0.113.9", "192.0.2.1", 40000, AGENT_PORT, false},
	{"our port as the source of a packet to us", IPPROTO_TCP, "203.0.113.9", "192.0.2.1", AGENT_PORT, 40000, false},
	{"our port at another host", IPPROTO_TCP, "203.0.113.9", "203.0.113.10", 40000, AGENT_PORT, false},
	{"our port at another host, IPv6", IPPROTO_TCP, "2001:db8::9", "2001:db8::10", 40000, AGENT_PORT, false},
	{"another port of ours", IPPROTO_TCP, "203.0.113.9", "192.0.2.1", 40000, AGENT_PORT + 1, false},
	{"another port of the gateway's", IPPROTO_TCP, "203.0.113.9", "198.51.100.7", 40000, GATEWAY_PORT - 1, false},
	{"the gateway's port at another host", IPPROTO_TCP, "203.0.113.9", "198.51.100.9", 40000, GATEWAY_PORT, false},
	{"the gateway as a client of that port elsewhere", IPPROTO_TCP, "198.51.100.7", "203.0.113.9", 40000,
		GATEWAY_PORT, false},
};

static void test_own_packets_and_no_others(void **state)
{
	(void)state;
	for (size_t d = 0; d < sizeof(dlts) / sizeof(dlts[0]); d++) {
		struct bpf_program program;

		assert_true(build(dlts[d], "", &program));
		for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
			const struct tcp_packet p = {dlts[d], packets[i].protocol, packets[i].from, packets[i].to,
				packets[i].from_port, packets[i].to_port};

			if (passes(&program, &p) == packets[i].ours)
				fail_msg("link type %d: %s: %s", dlts[d], packets[i].what,
					packets[i].ours ? "captured" : "left out");
		}
		own_traffic_program_done(&program);
	}
}

/* What somebody may write to get at own packets.  Refused by libpcap, or without effect. */
static void test_no_filter_reaches_own_packets(void **state)
{
	static const char *const filters[] = {
		"tcp port 9494",
		"host 192.0.2.1",
		"not not tcp",
		"len > 0",
		"ip[0] & 1 = 0 or not ip[0] & 1 = 0",
		") or (tcp",
		"tcp) or (tcp",
		"tcp or (",
		"vlan or tcp",
		"vlan and tcp or tcp",
		"not vlan and tcp",
		"mpls or tcp",
		"pppoes or tcp",
		"not mpls 5 or tcp port 9494",
		"tcp[0:2] = 9494 or tcp[2:2] = 9494",
		"ether[0] >= 0",
		"link[0] >= 0 or 1 = 1",
		"1 = 1",
		"0 = 1 or 1 = 1",
		"inbound or outbound",
		"ip6 or ip or arp",
		"greater 1",
		"less 65535",
		"portrange 1-65535",
		"tcp # comment",
		"tcp; or",
		"tcp\tor\tudp",
		"-1 = -1",
		"ip proto \\tcp or ip6 proto \\tcp",
		"net 0.0.0.0/0 or net ::/0",
	};

	(void)state;
	for (size_t d = 0; d < sizeof(dlts) / sizeof(dlts[0]); d++) {
		for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
			struct bpf_program program;

			if (!build(dlts[d], filters[f], &program))
				continue;
			for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
				const struct tcp_packet p = {dlts[d], packets[i].protocol, packets[i].from,
					packets[i].to, packets[i].from_port, packets[i].to_port};

				if (packets[i].ours && passes(&program, &p))
					fail_msg("link type %d: filter \"%s\" reaches %s", dlts[d], filters[f],
						packets[i].what);
			}
			own_traffic_program_done(&program);
		}
	}
}

static void test_user_filter_still_decides(void **state)
{
	const struct tcp_packet web = {DLT_EN10MB, IPPROTO_TCP, "203.0.113.9", "192.0.2.1", 40000, 80};
	const struct tcp_packet other = {DLT_EN10MB, IPPROTO_TCP, "203.0.113.9", "192.0.2.1", 40000, 81};
	struct bpf_program program;

	(void)state;
	assert_true(build(DLT_EN10MB, "tcp port 80", &program));
	assert_true(passes(&program, &web));
	assert_false(passes(&program, &other));
	own_traffic_program_done(&program);
}

/* A program of n instructions that accepts everything. */
static struct bpf_insn *filler(u_int n)
{
	struct bpf_insn *p = calloc(n, sizeof(*p));

	assert_non_null(p);
	for (u_int i = 0; i + 1 < n; i++)
		p[i] = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_IMM, i);
	p[n - 1] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, SNAPLEN);
	return p;
}

static void test_length_is_bounded(void **state)
{
	static const struct {
		u_int own, user;
		bool fits;
	} cases[] = {
		{1, 1, true},
		{1, OWN_TRAFFIC_INSNS_MAX - 1, true},
		{1, OWN_TRAFFIC_INSNS_MAX, false},
		{OWN_TRAFFIC_INSNS_MAX - 1, 1, true},
		{OWN_TRAFFIC_INSNS_MAX, 1, false},
		{OWN_TRAFFIC_INSNS_MAX + 1, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpf_program a = {cases[i].own, filler(cases[i].own)};
		struct bpf_program b = {cases[i].user, filler(cases[i].user)};
		struct bpf_program sum = {0};
		struct err err = {0};

		assert_int_equal(own_traffic_combine(&a, &b, &sum, &err), cases[i].fits ? 0 : -1);
		assert_int_equal(err.code, cases[i].fits ? ERR_NONE : ERR_LIMIT);
		assert_int_equal(sum.bf_len, cases[i].fits ? cases[i].own + cases[i].user : 0);
		own_traffic_program_done(&sum);
		free(a.bf_insns);
		free(b.bf_insns);
	}
}

static void test_strange_programs_are_refused(void **state)
{
	struct bpf_insn returns_a[] = {BPF_STMT(BPF_RET | BPF_A, 0)};
	struct bpf_insn wild_jump[] = {BPF_STMT(BPF_JMP | BPF_JA, 7), BPF_STMT(BPF_RET | BPF_K, 1)};
	struct bpf_insn all[] = {BPF_STMT(BPF_RET | BPF_K, SNAPLEN)};
	const struct bpf_program a = {1, returns_a}, wild = {2, wild_jump}, user = {1, all};
	struct bpf_program sum = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(own_traffic_combine(&a, &user, &sum, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_int_equal(own_traffic_combine(&wild, &user, &sum, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_null(sum.bf_insns);
}

/* These words and not the beginning of longer ones: this machine has addresses of its own. */
static bool says(const struct own_traffic *o, const char *words)
{
	size_t n = strlen(words);
	const char *at;
	struct err err = {0};
	struct buf text;
	bool found = false;

	buf_init(&text, OWN_TRAFFIC_TEXT_MAX);
	if (own_traffic_text(o, &text, &err) < 0)
		fail_msg("%s", err.msg);
	for (at = buf_str(&text); at && !found && (at = strstr(at, words)); at++)
		found = words[n - 1] == '.' || !at[n] || !strchr("0123456789abcdef.:", at[n]);
	buf_done(&text);
	return found;
}

/* Every machine has a loopback; the gateway's own is meant. */
static void test_loopback_ends_of_another_machine(void **state)
{
	static const struct capture_exclude ends[] = {
		{"127.0.0.1", 61440, 65535}, {"fe80::1", 61440, 65535}, {"198.51.100.7", 61440, 65535}};
	static const char *const here[] = {"127.0.0.1", "::1", NULL};
	struct own_traffic o = {.port = AGENT_PORT, .excludes = ends, .excludes_n = 3};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		o.peer = here[i];
		assert_true(says(&o, "portrange 61440-65535 and ip src host 127.0.0.1"));
		assert_true(says(&o, "src host fe80::1"));
	}
	o.peer = "198.51.100.7";
	assert_false(says(&o, "portrange 61440-65535 and ip src host 127.0.0.1"));
	assert_false(says(&o, "src host fe80::1"));
	assert_true(says(&o, "src host 198.51.100.7"));
}

/* A container has a loopback of its own, and whatever port its app likes on it. */
static void test_loopback_of_a_container(void **state)
{
	static const struct capture_exclude ends[] = {{"127.0.0.1", 61440, 65535}, {"198.51.100.7", 61440, 65535}};
	static const char *const locals[] = {"192.0.2.1", "127.0.0.1", "fe80::1", NULL};
	struct own_traffic o = {
		.port = AGENT_PORT, .peer = "127.0.0.1", .excludes = ends, .excludes_n = 2, .container = true};

	(void)state;
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
		struct bpf_program program;
		struct err err = {0};
		pcap_t *dead = pcap_open_dead(DLT_EN10MB, SNAPLEN);
		struct buf text;

		o.local = locals[i];
		assert_false(says(&o, "host 127."));
		assert_false(says(&o, "net 127."));
		assert_false(says(&o, "host ::1"));
		assert_true(says(&o, "src host 198.51.100.7"));
		buf_init(&text, OWN_TRAFFIC_TEXT_MAX);
		assert_int_equal(own_traffic_text(&o, &text, &err), 0);
		assert_int_equal(pcap_compile(dead, &program, buf_str(&text), 1, PCAP_NETMASK_UNKNOWN), 0);
		pcap_freecode(&program);
		buf_done(&text);
		pcap_close(dead);
	}
	o.local = "192.0.2.1";
	assert_true(says(&o, "src host 192.0.2.1"));
}

static void test_excludes_are_addresses_of_hosts(void **state)
{
	static const char *const bad[] = {
		"", "0.0.0.0", "::", "::ffff:0.0.0.0", "gateway.example", "10.0.0.1 or tcp", "1.2.3", "fe80::1%eth0"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct capture_exclude x = {.port = 80};
		const struct own_traffic o = {.port = AGENT_PORT, .excludes = &x, .excludes_n = 1};
		struct err err = {0};
		struct buf text;

		snprintf(x.address, sizeof(x.address), "%s", bad[i]);
		buf_init(&text, OWN_TRAFFIC_TEXT_MAX);
		if (own_traffic_text(&o, &text, &err) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(err.code, ERR_INPUT);
		assert_string_equal(err.field, "exclude");
		buf_done(&text);
	}
}

static void test_most_excludes_fit(void **state)
{
	struct capture_exclude x[CAPTURE_EXCLUDES_MAX];
	const struct own_traffic o = {.port = AGENT_PORT, .excludes = x, .excludes_n = CAPTURE_EXCLUDES_MAX};
	pcap_t *dead = pcap_open_dead(DLT_LINUX_SLL2, SNAPLEN);
	struct bpf_insn all = BPF_STMT(BPF_RET | BPF_K, SNAPLEN);
	struct bpf_program program, sum, user = {1, &all};
	struct err err = {0};
	struct buf text;

	(void)state;
	for (size_t i = 0; i < CAPTURE_EXCLUDES_MAX; i++) {
		snprintf(x[i].address, sizeof(x[i].address), "2001:db8:%zx:ffff:eeee:dddd:cccc:%zx", i * 1001, i);
		x[i].port = (uint16_t)(50000 + i);
	}
	buf_init(&text, OWN_TRAFFIC_TEXT_MAX);
	assert_int_equal(own_traffic_text(&o, &text, &err), 0);
	assert_int_equal(pcap_compile(dead, &program, buf_str(&text), 1, PCAP_NETMASK_UNKNOWN), 0);
	assert_int_equal(own_traffic_combine(&program, &user, &sum, &err), 0);
	assert_in_range(sum.bf_len, 1, OWN_TRAFFIC_INSNS_MAX);
	own_traffic_program_done(&sum);
	pcap_freecode(&program);
	buf_done(&text);
	pcap_close(dead);
}

static void test_link_types_without_ip(void **state)
{
	(void)state;
	assert_false(own_traffic_possible(DLT_CAN_SOCKETCAN));
	assert_false(own_traffic_possible(DLT_NETLINK));
	for (size_t d = 0; d < sizeof(dlts) / sizeof(dlts[0]); d++)
		assert_true(own_traffic_possible(dlts[d]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_packets_and_no_others),
		cmocka_unit_test(test_no_filter_reaches_own_packets),
		cmocka_unit_test(test_user_filter_still_decides),
		cmocka_unit_test(test_length_is_bounded),
		cmocka_unit_test(test_strange_programs_are_refused),
		cmocka_unit_test(test_loopback_of_a_container),
		cmocka_unit_test(test_excludes_are_addresses_of_hosts),
		cmocka_unit_test(test_loopback_ends_of_another_machine),
		cmocka_unit_test(test_most_excludes_fit),
		cmocka_unit_test(test_link_types_without_ip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
