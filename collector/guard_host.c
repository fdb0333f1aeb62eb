#include "collector/guard_host.h"

#include "common/clock.h"
#include "common/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX (64u * 1024)
#define NOT_READ UINT64_MAX

const struct guard_paths guard_paths_system = {
	.psi_cpu = "/proc/pressure/cpu",
	.psi_memory = "/proc/pressure/memory",
	.psi_io = "/proc/pressure/io",
	.meminfo = "/proc/meminfo",
	.loadavg = "/proc/loadavg",
	.statm = "/proc/self/statm",
};

void guard_host_init(struct guard_host *h, const struct guard_paths *paths)
{
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);

	*h = (struct guard_host){.paths = *paths, .cores = cores > 0 ? (unsigned)cores : 1};
	for (size_t i = 0; i < 3; i++)
		h->psi_us[i] = NOT_READ;
}

/* "some avg10=0.12 avg60=0.50 avg300=0.80 total=8503500140": the total alone, for the averages are those of ten seconds and more. */
static uint64_t read_psi(const char *path)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL);
	const char *some = text ? strstr(text, "some ") : NULL;
	const char *total = some ? strstr(some, "total=") : NULL;
	uint64_t us = NOT_READ;

	if (total && sscanf(total, "total=%" SCNu64, &us) != 1)
		us = NOT_READ;
	free(text);
	return us;
}

static struct guard_psi psi_since(uint64_t *last_us, const char *path, uint64_t span_ns)
{
	const uint64_t now_us = read_psi(path), was_us = *last_us;
	struct guard_psi psi = {0};

	*last_us = now_us;
	if (now_us == NOT_READ || was_us == NOT_READ || now_us < was_us || span_ns == 0)
		return psi;
	psi.there = true;
	psi.percent = 100.0 * 1000.0 * (double)(now_us - was_us) / (double)span_ns;
	if (psi.percent > 100) /* the kernel's clock and ours are not read at one moment */
		psi.percent = 100;
	return psi;
}

static bool read_kib(const char *text, const char *key, uint64_t *ret_bytes)
{
	const char *at = strstr(text, key);
	uint64_t kib;

	if (!at || sscanf(at + strlen(key), " %" SCNu64 " kB", &kib) != 1 || kib > UINT64_MAX / 1024)
		return false;
	*ret_bytes = kib * 1024;
	return true;
}

static void read_memory(const char *path, struct guard_figures *ret)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL);

	ret->has_memory = text && read_kib(text, "MemTotal:", &ret->memory_total) &&
			  read_kib(text, "MemAvailable:", &ret->memory_available);
	free(text);
}

static void read_load(const char *path, unsigned cores, struct guard_figures *ret)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL);

	ret->has_load = text && sscanf(text, "%lf", &ret->load) == 1 && ret->load >= 0;
	ret->load /= cores;
	free(text);
}

/* Resident and shared pages; the rings are mapped, and so among the shared ones. */
static uint64_t read_own(const char *path)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL);
	uint64_t resident = 0, shared = 0;

	if (text && sscanf(text, "%*u %" SCNu64 " %" SCNu64, &resident, &shared) != 2)
		resident = shared = 0;
	free(text);
	return resident > shared ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t process_cpu_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

void guard_host_look(struct guard_host *h, uint64_t mono_ns, struct guard_figures *ret)
{
	const uint64_t span_ns = h->begun ? mono_ns - h->mono_ns : 0, cpu_ns = process_cpu_ns();

	*ret = (struct guard_figures){0};
	ret->cpu = psi_since(&h->psi_us[0], h->paths.psi_cpu, span_ns);
	ret->memory = psi_since(&h->psi_us[1], h->paths.psi_memory, span_ns);
	ret->io = psi_since(&h->psi_us[2], h->paths.psi_io, span_ns);
	read_memory(h->paths.meminfo, ret);
	read_load(h->paths.loadavg, h->cores, ret);
	ret->own_memory = read_own(h->paths.statm);
	if (span_ns)
		ret->own_cpu = 100.0 * (double)(cpu_ns - h->cpu_ns) / (double)span_ns;
	h->cpu_ns = cpu_ns;
	h->mono_ns = mono_ns;
	h->begun = true;
}
