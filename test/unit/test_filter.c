/* test_filter.c - collector/filter.c: the child compiles what libpcap compiles, says what libpcap says, and is not waited for without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/filter.h"
#include "common/fs.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SNAPLEN 65535

static int setup(void **state)
{
	*state = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	pcap_close(*state);
	return 0;
}

static void test_same_program_as_libpcap(void **state)
{
	static const char *const filters[] = {
		"", "tcp port 80", "host 10.0.0.1 and not port 22", "ip6 and udp", "ip[6:2] & 0x1fff = 0"};
	pcap_t *pcap = *state;

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct bpf_program ours = {0}, theirs;
		struct err err = {0};

		if (filter_compile(pcap, filters[i], PCAP_NETMASK_UNKNOWN, &ours, &err) < 0)
			fail_msg("\"%s\": %s", filters[i], err.msg);
		assert_int_equal(pcap_compile(pcap, &theirs, filters[i], 1, PCAP_NETMASK_UNKNOWN), 0);
		assert_int_equal(ours.bf_len, theirs.bf_len);
		assert_memory_equal(ours.bf_insns, theirs.bf_insns, ours.bf_len * sizeof(struct bpf_insn));
		pcap_freecode(&theirs);
		filter_done(&ours);
	}
}

/* A datagram over IPv4 to this port. */
static void make_datagram(uint8_t frame[64], uint16_t port)
{
	memset(frame, 0, 64);
	frame[12] = 0x08; /* IPv4 */
	frame[14] = 0x45;
	frame[14 + 9] = 17; /* UDP */
	frame[14 + 20 + 2] = (uint8_t)(port >> 8);
	frame[14 + 20 + 3] = (uint8_t)port;
}

static bool takes(const struct bpf_program *p, uint16_t port)
{
	uint8_t frame[64];

	make_datagram(frame, port);
	return bpf_filter(p->bf_insns, frame, sizeof(frame), sizeof(frame)) > 0;
}

/* Also where one as text would move what the other looks at (vlan), or take everything, or nothing that the first takes. */
static void test_both(void **state)
{
	static const struct {
		const char *first, *second;
		bool takes_53, takes_80;
	} cases[] = {
		{"udp port 53", "", true, false},
		{"", "udp port 53", true, false},
		{"", "", true, true},
		{"udp port 53", "udp port 53 or udp port 80", true, false},
		{"udp port 53 or udp port 80", "udp port 80", false, true},
		{"udp port 53", "udp port 80", false, false},
		{"udp port 53", "not port 53", false, false},
		{"udp or vlan", "udp port 53", true, false},
		{"udp port 53", "udp or vlan", true, false},
		{"not udp port 53", "udp", false, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpf_program first = {0}, second = {0}, both = {0};
		struct err err = {0};

		assert_int_equal(filter_compile(*state, cases[i].first, PCAP_NETMASK_UNKNOWN, &first, &err), 0);
		assert_int_equal(filter_compile(*state, cases[i].second, PCAP_NETMASK_UNKNOWN, &second, &err), 0);
		if (filter_both(&first, &second, &both, &err) < 0)
			fail_msg("\"%s\" and \"%s\": %s", cases[i].first, cases[i].second, err.msg);
		if (takes(&both, 53) != cases[i].takes_53 || takes(&both, 80) != cases[i].takes_80)
			fail_msg("\"%s\" and \"%s\" take others", cases[i].first, cases[i].second);
		filter_done(&both);
		filter_done(&second);
		filter_done(&first);
	}
}

static void test_refusal_in_libpcaps_words(void **state)
{
	static const struct {
		const char *filter, *says;
	} cases[] = {
		{"tcp port (", "syntax error"},
		{"tcp) or (udp", "syntax error"},
		{"port 70000", "70000"},
		{"ip and ip6 and arp", "rejects all packets"},
		{"ip broadcast", "netmask not known"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpf_program p = {0};
		struct err err = {0};

		assert_int_equal(filter_compile(*state, cases[i].filter, PCAP_NETMASK_UNKNOWN, &p, &err), -1);
		assert_int_equal(err.code, ERR_INPUT);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\": \"%s\" does not say \"%s\"", cases[i].filter, err.msg, cases[i].says);
		assert_null(p.bf_insns);
	}
}

/* The compiler is the only child that there is, and /proc shows it to whoever looks while it works. */
static bool child_has_no_capabilities(void)
{
	static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
	char path[64], line[64], *children, *status;
	bool none;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	children = fs_read_text(path, 4096, NULL);
	snprintf(path, sizeof(path), "/proc/%.*s/status", children ? (int)strcspn(children, " ") : 0,
		children ? children : "");
	status = fs_read_text(path, 65536, NULL);
	none = status != NULL;
	for (size_t i = 0; none && i < sizeof(sets) / sizeof(sets[0]); i++) {
		snprintf(line, sizeof(line), "\n%s:\t0000000000000000\n", sets[i]);
		none = strstr(status, line) != NULL;
	}
	free(status);
	free(children);
	return none;
}

struct watch {
	atomic_bool over, seen;
};

static void *watch_child(void *arg)
{
	struct watch *w = arg;

	while (!atomic_load(&w->over) && !atomic_load(&w->seen)) {
		if (child_has_no_capabilities())
			atomic_store(&w->seen, true);
		(void)poll(NULL, 0, 5);
	}
	return NULL;
}

/* Minutes of work for libpcap; long enough to look at who does it. */
static void test_endless_work_is_cut_off(void **state)
{
	static char filter[8192];
	struct bpf_program p = {0};
	struct err err = {0};
	struct watch w = {0};
	pthread_t watcher;
	size_t n = 0;

	for (int i = 1; n < sizeof(filter) - 16; i++)
		n += (size_t)snprintf(filter + n, sizeof(filter) - n, "%sport %d", i > 1 ? " or " : "", i);
	assert_int_equal(pthread_create(&watcher, NULL, watch_child, &w), 0);
	assert_int_equal(filter_compile(*state, filter, PCAP_NETMASK_UNKNOWN, &p, &err), -1);
	atomic_store(&w.over, true);
	pthread_join(watcher, NULL);
	assert_true(atomic_load(&w.seen));
	assert_int_equal(err.code, ERR_INPUT);
	if (!strstr(err.msg, "takes more than"))
		fail_msg("%s", err.msg);
}

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_nothing_is_left_behind(void **state)
{
	unsigned before = open_files();

	for (int i = 0; i < 50; i++) {
		struct bpf_program p = {0};

		if (filter_compile(*state, i % 2 ? "tcp" : "tcp (", PCAP_NETMASK_UNKNOWN, &p, NULL) == 0)
			filter_done(&p);
	}
	assert_int_equal(open_files(), before);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_program_as_libpcap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusal_in_libpcaps_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_work_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_left_behind, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
