/* clock.h - time, in nanoseconds, and its text.  Wall time can be set by unit tests (clock_fake). */
#ifndef PCAPLINE_COMMON_CLOCK_H
#define PCAPLINE_COMMON_CLOCK_H

#include "common/err.h"

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S  UINT64_C(1000000000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_TEXT_MAX  32

uint64_t clock_wall_ns(void); /* nanoseconds since 1970-01-01 UTC */
uint64_t clock_mono_ns(void); /* never goes back; only differences mean anything */

/* clock_fake: from now on clock_wall_ns answers ns; 0 gives the real clock back.  Tests only. */
void clock_fake(uint64_t ns);

/* clock_deadline: CLOCK_MONOTONIC now + ms as a timespec for pthread_cond_timedwait (see clock_cond_init). */
struct timespec clock_deadline(uint64_t ms);

/* clock_cond_init: a condition variable that waits on CLOCK_MONOTONIC.  Returns a pthread error number. */
#include <pthread.h>
int clock_cond_init(pthread_cond_t *cond);

/* RFC 3339, UTC, milliseconds: "2026-01-05T10:00:00.123Z"; ret is CLOCK_TEXT_MAX bytes.  0 gives "". Returns ret. */
char *clock_rfc3339(uint64_t wall_ns, char ret[CLOCK_TEXT_MAX]);

/* Parses RFC 3339 with any fraction and offset ("Z", "+02:00").  -1 ERR_INPUT. */
int clock_parse_rfc3339(const char *text, uint64_t *ret_ns, struct err *err);

#endif
