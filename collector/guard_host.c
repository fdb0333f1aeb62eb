#include "collector/guard_host.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/parse.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX   (64u * 1024)
#define NOT_READ   UINT64_MAX
#define NUMBER_MAX 24

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

/* The number behind key, which may have spaces before it; NOT_READ: there is none. */
static uint64_t number_after(const char *text, const char *key)
{
	const char *at = text ? strstr(text, key) : NULL;
	char digits[NUMBER_MAX];
	uint64_t n = NOT_READ;
	size_t len;

	if (!at)
		return NOT_READ;
	at += strlen(key);
	at += strspn(at, " ");
	len = strspn(at, "0123456789");
	if (len == 0 || len >= sizeof(digits))
		return NOT_READ;
	memcpy(digits, at, len);
	digits[len] = '\0';
	return parse_u64(digits, 0, NOT_READ - 1, &n, NULL) == 0 ? n : NOT_READ;
}

/* "some avg10=0.12 avg60=0.50 avg300=0.80 total=8503500140": the total alone, for the averages are those of ten seconds and more. */
static uint64_t read_psi(const char *path)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL);
	const char *some = text ? strstr(text, "some ") : NULL;
	const uint64_t us = number_after(some, "total=");

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
	const uint64_t kib = number_after(text, key);

	if (kib > UINT64_MAX / 1024) /* NOT_READ as well */
		return false;
	*ret_bytes = kib * 1024;
	return true;
}

static void read_memory(const char *path, struct guard_figures *ret)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL);

	ret->has_memory = read_kib(text, "MemTotal:", &ret->memory_total) &&
			  read_kib(text, "MemAvailable:", &ret->memory_available);
	free(text);
}

static void read_load(const char *path, unsigned cores, struct guard_figures *ret)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL), *end = text;
	const double load = text ? strtod(text, &end) : 0;

	ret->has_load = end != text && load >= 0; /* not so of a NaN */
	ret->load = ret->has_load ? load / cores : 0;
	free(text);
}

/* "total resident shared ...", in pages; the rings are mapped, and so among the shared ones. */
static uint64_t read_own(const char *path)
{
	char *text = fs_read_text(path, TEXT_MAX, NULL);
	const char *second = text ? strchr(text, ' ') : NULL, *third = second ? strchr(second + 1, ' ') : NULL;
	const uint64_t resident = number_after(second, " "), shared = number_after(third, " ");

	free(text);
	if (resident == NOT_READ || shared == NOT_READ || resident < shared)
		return 0;
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
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
