/* guard_host.h - how the host is, as the kernel says: pressure stall information, free memory, load; and what the agent itself takes.
 * Life: guard_host_init, guard_host_look again and again.  One thread.  What cannot be read (a kernel without PSI) is marked as missing, never guessed. */
#ifndef PCAPLINE_COLLECTOR_GUARD_HOST_H
#define PCAPLINE_COLLECTOR_GUARD_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* Where it is read; tests have their own. */
struct guard_paths {
	const char *psi_cpu, *psi_memory, *psi_io, *meminfo, *loadavg, *statm;
};
extern const struct guard_paths guard_paths_system;

/* A share of time: that of the last span between two looks in which at least one task waited. */
struct guard_psi {
	bool there; /* not before the second look */
	double percent;
};

struct guard_figures {
	struct guard_psi cpu, memory, io;
	bool has_load, has_memory;
	double load; /* of the last minute, per core */
	uint64_t memory_available, memory_total;
	uint64_t own_memory; /* anonymous, bytes: without program text, and without rings, which are the kernel's */
	double own_cpu;      /* percent of one core, over the last span */
};

struct guard_host {
	struct guard_paths paths;
	unsigned cores;
	uint64_t psi_us[3]; /* totals at the last look; UINT64_MAX: unknown */
	uint64_t mono_ns, cpu_ns;
	bool begun;
};

void guard_host_init(struct guard_host *h, const struct guard_paths *paths);

/* guard_host_look: mono_ns: now. */
void guard_host_look(struct guard_host *h, uint64_t mono_ns, struct guard_figures *ret);

#endif
