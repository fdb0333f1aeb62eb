/* imds_double.h - an instance metadata service on loopback for unit tests: version 2 as it is, version 1 only counted. Aborts the test program when the
 * system refuses. */
#ifndef PCAPLINE_TEST_UNIT_IMDS_DOUBLE_H
#define PCAPLINE_TEST_UNIT_IMDS_DOUBLE_H

#include "common/http_server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define IMDS_ROLE "pcap-gateway_1@x"

/* What it answers.  NULL: the right thing. */
struct imds_say {
	int session_status, roles_status, keys_status; /* 0: 200 */
	const char *session, *roles, *keys;            /* bodies */
	uint64_t expiry_ns;                            /* of the keys in the right body */
};

struct imds_double {
	struct http_server *server;
	char url[64];
	atomic_uint sessions, roles, keys; /* requests with all that version 2 asks for */
	atomic_uint foreign;               /* all others: version 1's among them */
	atomic_bool hold;                  /* sessions are not answered while it is true */

	pthread_mutex_t lock;
	struct imds_say say;
	char session[32]; /* the last one given out */
};

void imds_double_start(struct imds_double *d);
void imds_double_say(struct imds_double *d, const struct imds_say *say); /* its strings are borrowed */
void imds_double_stop(struct imds_double *d);

#endif
