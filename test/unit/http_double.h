/* http_double.h - a server on loopback that stands for somebody else's: what it says is its double's business.  Aborts the test program when the system refuses. */
#ifndef PCAPLINE_TEST_UNIT_HTTP_DOUBLE_H
#define PCAPLINE_TEST_UNIT_HTTP_DOUBLE_H

#include "common/http_server.h"

/* On any free port, with room for all that a test sends.  The caller stops it. */
struct http_server *http_double_start(void (*on_request)(void *ctx, struct http_request *rq), void *ctx);

#endif
