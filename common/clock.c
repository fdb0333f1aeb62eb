/* clock.c - see clock.h. */
#include "common/clock.h"

#include "common/parse.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

/* 2553-12-31 and a day of offset still fit 64 bits of nanoseconds; 2554 ends after them. */
#define CLOCK_YEAR_LEAST 1970
#define CLOCK_YEAR_MOST  2553

static _Atomic uint64_t clock_faked_ns; /* 0: the real clock */

static uint64_t clock_ns_of(clockid_t which)
{
	struct timespec ts;

	/* Both clocks exist on every Linux; a wall clock before 1970 reads as 1970. */
	if (clock_gettime(which, &ts) != 0 || ts.tv_sec < 0)
		return 0;
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_ns(void)
{
	uint64_t faked_ns = atomic_load(&clock_faked_ns);

	return faked_ns != 0 ? faked_ns : clock_ns_of(CLOCK_REALTIME);
}

uint64_t clock_mono_ns(void)
{
	return clock_ns_of(CLOCK_MONOTONIC);
}

void clock_fake(uint64_t ns)
{
	atomic_store(&clock_faked_ns, ns);
}

struct timespec clock_deadline(uint64_t ms)
{
	uint64_t now_ns = clock_mono_ns();
	uint64_t sub_ns = now_ns % CLOCK_NS_PER_S + ms % 1000 * CLOCK_NS_PER_MS;
	/* Seconds apart from nanoseconds: no ms, however large, overflows. */
	uint64_t s = now_ns / CLOCK_NS_PER_S + ms / 1000 + sub_ns / CLOCK_NS_PER_S;

	return (struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)(sub_ns % CLOCK_NS_PER_S)};
}

int clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int rc;

	if ((rc = pthread_condattr_init(&attr)) != 0)
		return rc;
	if ((rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC)) == 0)
		rc = pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
	return rc;
}

char *clock_rfc3339(uint64_t wall_ns, char ret[CLOCK_TEXT_MAX])
{
	time_t s = (time_t)(wall_ns / CLOCK_NS_PER_S);
	unsigned ms = (unsigned)(wall_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_MS);
	struct tm tm;
	size_t n;

	ret[0] = '\0';
	if (wall_ns == 0 || gmtime_r(&s, &tm) == NULL)
		return ret;
	n = strftime(ret, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, CLOCK_TEXT_MAX - n, ".%03uZ", ms);
	return ret;
}

/* A scan of the text: once something did not fit it stays bad. */
struct clock_scan {
	const char *p;
	bool bad;
};

static unsigned scan_digits(struct clock_scan *s, int count, unsigned least, unsigned most)
{
	unsigned v = 0;

	for (int i = 0; i < count && !s->bad; i++, s->p++) {
		if (*s->p < '0' || *s->p > '9')
			s->bad = true;
		else
			v = v * 10 + (unsigned)(*s->p - '0');
		if (s->bad)
			return least;
	}
	if (v < least || v > most)
		s->bad = true;
	return v;
}

static char scan_one_of(struct clock_scan *s, const char *set)
{
	for (; !s->bad && *set != '\0'; set++)
		if (*s->p == *set) {
			s->p++;
			return *set;
		}
	s->bad = true;
	return '\0';
}

/* What follows the point, in nanoseconds; digits after the ninth count for nothing. */
static uint64_t scan_fraction(struct clock_scan *s)
{
	uint64_t ns = 0, weight = CLOCK_NS_PER_S / 10;

	if (s->bad || *s->p != '.')
		return 0;
	s->p++;
	if (*s->p < '0' || *s->p > '9')
		s->bad = true;
	for (; *s->p >= '0' && *s->p <= '9'; s->p++, weight /= 10)
		ns += (uint64_t)(*s->p - '0') * weight;
	return ns;
}

/* Seconds that local time is ahead of UTC. */
static int64_t scan_offset(struct clock_scan *s)
{
	char sign = scan_one_of(s, "Zz+-");
	int64_t offset_s;

	if (s->bad || sign == 'Z' || sign == 'z')
		return 0;
	offset_s = scan_digits(s, 2, 0, 23) * 3600;
	scan_one_of(s, ":");
	offset_s += scan_digits(s, 2, 0, 59) * 60;
	return sign == '-' ? -offset_s : offset_s;
}

static unsigned clock_month_days(unsigned year, unsigned month)
{
	static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

static int64_t scan_date_days(struct clock_scan *s)
{
	unsigned year, month, day;
	int64_t days = 0;

	year = scan_digits(s, 4, CLOCK_YEAR_LEAST, CLOCK_YEAR_MOST);
	scan_one_of(s, "-");
	month = scan_digits(s, 2, 1, 12);
	scan_one_of(s, "-");
	day = scan_digits(s, 2, 1, s->bad ? 31 : clock_month_days(year, month));
	if (s->bad)
		return 0;
	for (unsigned y = CLOCK_YEAR_LEAST; y < year; y++)
		days += clock_month_days(y, 2) + 337;
	for (unsigned m = 1; m < month; m++)
		days += clock_month_days(year, m);
	return days + day - 1;
}

static int64_t scan_time_s(struct clock_scan *s)
{
	int64_t t;

	t = scan_digits(s, 2, 0, 23) * 3600;
	scan_one_of(s, ":");
	t += scan_digits(s, 2, 0, 59) * 60;
	scan_one_of(s, ":");
	/* A leap second (RFC 3339, 5.6) counts as the second after it, as Unix time has it. */
	return t + scan_digits(s, 2, 0, 60);
}

int clock_parse_rfc3339(const char *text, uint64_t *ret_ns, struct err *err)
{
	struct clock_scan scan = {.p = text};
	uint64_t fraction_ns;
	char shown[48];
	int64_t s;

	s = scan_date_days(&scan) * 86400;
	scan_one_of(&scan, "Tt");
	s += scan_time_s(&scan);
	fraction_ns = scan_fraction(&scan);
	s -= scan_offset(&scan);
	if (scan.bad || *scan.p != '\0')
		return err_set(err, ERR_INPUT, "\"%s\" is not a time such as 2026-01-05T10:00:00Z",
			parse_printable(text, shown, sizeof(shown)));
	if (s < 0)
		return err_set(err, ERR_INPUT, "\"%s\" is before 1970", parse_printable(text, shown, sizeof(shown)));
	*ret_ns = (uint64_t)s * CLOCK_NS_PER_S + fraction_ns;
	return 0;
}
