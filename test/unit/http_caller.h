/* http_caller.h - one call of the HTTP client in a unit test: options with defaults, and what became of it. */
#ifndef PCAPLINE_TEST_UNIT_HTTP_CALLER_H
#define PCAPLINE_TEST_UNIT_HTTP_CALLER_H

#include "common/http_client.h"

struct caller {
	struct http_call_options o; /* GET of url */
	char url[128];
	struct err err;
};

/* caller_use: o afresh, for http://127.0.0.1:port/path. */
void caller_use(struct caller *c, uint16_t port, const char *path);

/* caller_run: makes the call and runs it; its result in ret_rc.  The test fails when it cannot even be made. */
struct http_call *caller_run(struct caller *c, int *ret_rc);

/* caller_fails: the call must fail in this way, with says in the message. */
void caller_fails(struct caller *c, enum err_code code, const char *says);

#endif
