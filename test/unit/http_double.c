/* http_double.c - see http_double.h. */
#include "test/unit/http_double.h"

#include <stdio.h>
#include <stdlib.h>

struct http_server *http_double_start(void (*on_request)(void *ctx, struct http_request *rq), void *ctx)
{
	const struct http_server_options o = {.address = "127.0.0.1",
		.connections_max = 128,
		.idle_timeout_s = 60,
		.header_timeout_s = 60,
		.body_timeout_s = 60,
		.header_bytes_max = 16384,
		.body_bytes_max = 1024 * 1024,
		.stream_block_bytes = 4096,
		.on_request = on_request,
		.ctx = ctx};
	struct err err = {0};
	struct http_server *server = http_server_start(&o, &err);

	if (server)
		return server;
	fprintf(stderr, "http double: %s\n", err.msg);
	abort();
}
