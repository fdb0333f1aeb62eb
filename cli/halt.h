/* halt.h - ends a renewal from another thread: what it waits for, a call or a program, is left. */
#ifndef PCAPLINE_CLI_HALT_H
#define PCAPLINE_CLI_HALT_H

#include "common/err.h"
#include "common/http_client.h"

#include <pthread.h>
#include <stdbool.h>

struct halt {
	pthread_mutex_t lock;   /* guards what follows */
	struct http_call *call; /* under way */
	bool is_over;
};

int halt_init(struct halt *h, struct err *err);
void halt_done(struct halt *h);

/* halt_end: from now on nothing begins any more, and what runs ends.  From any thread. */
void halt_end(struct halt *h);
bool halt_is_over(struct halt *h); /* h NULL: false, likewise below */

/* halt_run: http_call_run with a call that halt_end cancels. */
int halt_run(struct halt *h, struct http_call *call, struct err *err);

#endif
