/* metrics_process.c - what every program tells of itself.  /proc/self/status is read, and not the folder of descriptors: that one belongs to root where a process keeps its memory from
 * being dumped, as the gateway does. */
#include "common/clock.h"
#include "common/metrics.h"
#include "common/parse.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct process {
	bool known;
	uint64_t resident_kib, virtual_kib, threads, fd_slots;
};

/* "VmRSS:     1234 kB" */
static void take_line(char *line, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);
	char *text;

	if (strncmp(line, key, n) != 0)
		return;
	text = line + n + strspn(line + n, " \t");
	text[strcspn(text, " \n")] = '\0';
	parse_u64(text, 0, UINT64_MAX, ret, NULL);
}

static void read_process(struct process *ret)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	memset(ret, 0, sizeof(*ret));
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		take_line(line, "VmRSS:", &ret->resident_kib);
		take_line(line, "VmSize:", &ret->virtual_kib);
		take_line(line, "Threads:", &ret->threads);
		take_line(line, "FDSize:", &ret->fd_slots);
	}
	fclose(f);
	ret->known = ret->threads > 0;
}

static uint64_t count_open(uint64_t slots)
{
	uint64_t n = 0;

	for (int fd = 0; (uint64_t)fd < slots; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Since the clock began to count for this process: the first look fixes it, so that it does not wander. */
static double started_at(void)
{
	static _Atomic uint64_t started_ns;
	uint64_t none = 0, now = clock_wall_ns(), age = 0, start = 0;
	struct timespec boot;
	char text[1024], *at;
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	long hz = sysconf(_SC_CLK_TCK);

	if (f)
		fclose(f);
	text[n] = '\0';
	/* Field 22, in ticks since the machine began; the name in field 2 may hold anything, so the count begins behind it. */
	at = strrchr(text, ')');
	for (unsigned field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at && hz > 0 && clock_gettime(CLOCK_BOOTTIME, &boot) == 0) {
		at[1 + strcspn(at + 1, " ")] = '\0';
		parse_u64(at + 1, 0, UINT64_MAX / CLOCK_NS_PER_S, &start, NULL);
		start = start * (CLOCK_NS_PER_S / (uint64_t)hz);
		age = (uint64_t)boot.tv_sec * CLOCK_NS_PER_S + (uint64_t)boot.tv_nsec;
		age = age > start ? age - start : 0;
	}
	atomic_compare_exchange_strong(&started_ns, &none, now - age);
	return (double)atomic_load(&started_ns) / (double)CLOCK_NS_PER_S;
}

void metrics_process(struct metrics_page *p)
{
	struct process self;
	struct rlimit files;
	struct timespec cpu;

	read_process(&self);
	if (self.known) {
		metrics_single(p, METRICS_GAUGE, "process_resident_memory_bytes", "Resident memory size in bytes.",
			self.resident_kib * 1024);
		metrics_single(p, METRICS_GAUGE, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
			self.virtual_kib * 1024);
		metrics_single(p, METRICS_GAUGE, "process_threads", "Number of threads.", self.threads);
		metrics_single(p, METRICS_GAUGE, "process_open_fds", "Number of open file descriptors.",
			count_open(self.fd_slots));
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		metrics_single(p, METRICS_GAUGE, "process_max_fds", "Maximum number of open file descriptors.",
			(uint64_t)files.rlim_cur);
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
		metrics_family(p, METRICS_COUNTER, "process_cpu_seconds_total",
			"Total user and system CPU time spent in seconds.");
		metrics_real(p, (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9, METRICS_END);
	}
	metrics_family(p, METRICS_GAUGE, "process_start_time_seconds",
		"Start time of the process since unix epoch in seconds.");
	metrics_real(p, started_at(), METRICS_END);
}
