/* stop_switch.h - an operator's word that no captures may begin on this gateway, by whom and why.  It stands in a file of its own in state_dir: so it holds from before the first
 * request after a restart on until it is lifted, and needs no database to be set. */
#ifndef PCAPLINE_GATEWAY_POLICY_STOP_SWITCH_H
#define PCAPLINE_GATEWAY_POLICY_STOP_SWITCH_H

#include "common/err.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define STOP_SWITCH_REASON_MAX 256
#define STOP_SWITCH_BY_MAX     256

struct stop_switch {
	pthread_mutex_t lock, writing;
	char *path; /* fixed */
	/* by lock */
	bool on;
	char by[STOP_SWITCH_BY_MAX], reason[STOP_SWITCH_REASON_MAX];
	uint64_t since_ns; /* wall clock */
};

/* stop_switch_open: as the file says; s->lock and s->writing are initialized.  A file that is not understood is an error: who stopped everything must not be
 * overruled by a damaged disk. */
int stop_switch_open(struct stop_switch *s, const char *state_dir, struct err *err);
void stop_switch_close(struct stop_switch *s);

/* stop_switch_set: it holds at once, and waits for nothing; reason is UTF-8 without control characters, shorter than STOP_SWITCH_REASON_MAX.  stop_switch_keep: so that it outlives this process.
 * stop_switch_keep, stop_switch_lift: 0 once it is on the disk.  Lifting what is not set is success. */
void stop_switch_set(struct stop_switch *s, const char *by, const char *reason);
int stop_switch_keep(struct stop_switch *s, struct err *err);
int stop_switch_lift(struct stop_switch *s, struct err *err);

/* stop_switch_check: may captures begin?  -1: ERR_UNAVAILABLE, detail halted, with by whom and why. */
int stop_switch_check(struct stop_switch *s, struct err *err);

/* stop_switch_json: {"since"}, to people who are known with "reason", to operators with "by" too; JSON null when it is off.  New reference. */
enum stop_switch_told { STOP_SWITCH_ANYBODY, STOP_SWITCH_USER, STOP_SWITCH_OPERATOR };
json_t *stop_switch_json(struct stop_switch *s, enum stop_switch_told told);

#endif
