/* readiness.h - can captures be taken?  Looked at for anyone who asks, so at most once a second, however often that is; what
 * is wrong in detail goes to the log when it changes, and only its name to the asker. */
#ifndef PCAPLINE_GATEWAY_METRICS_READINESS_H
#define PCAPLINE_GATEWAY_METRICS_READINESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct gateway;

struct readiness {
	pthread_mutex_t lock;
	/* by lock */
	uint64_t looked_ns; /* monotonic; 0: never */
	bool looking;       /* somebody is; a disk may hang, and the others need not */
	bool database, storage, audit;
};

/* readiness_look: ret_storage is true where storage is switched off. */
void readiness_look(struct gateway *gw, bool *ret_database, bool *ret_storage, bool *ret_audit);

#endif
