/* start_request.h - the body of POST /v1/captures, read strictly. */
#ifndef PCAPLINE_GATEWAY_API_START_REQUEST_H
#define PCAPLINE_GATEWAY_API_START_REQUEST_H

#include "common/err.h"
#include "schema/capture_request.h"
#include "schema/job.h"

#include <jansson.h>

#define START_NOTE_MAX        500
#define START_RETENTION_MAX_S (365u * 24 * 3600)

enum start_mode { START_LIVE, START_STORE, START_AUTO };

struct start_request {
	json_t *body;    /* owned; what the rest borrows from */
	json_t *targets; /* an object, or a list of 1..TARGETS_MAX of them; each is checked by whoever resolves it */
	struct capture_options options;
	bool snaplen_open;      /* none was asked for */
	enum start_mode mode;   /* default live */
	enum job_format format; /* default pcapng */
	const char *note;       /* "" when absent */
	uint64_t retention_s;   /* 0 when absent */
};

/* From the bytes of a body.  ERR_INPUT with the field named. */
int start_request_read(const void *p, size_t n, struct start_request *ret, struct err *err);
void start_request_done(struct start_request *r);

#endif
