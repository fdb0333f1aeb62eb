/* fuzz_http_uri.c - the request target: whatever it is, it is refused with a reason, or all its parts are clean text. */
#include "common/http_server_internal.h"
#include "common/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct http_request *rq = calloc(1, sizeof(*rq));
	struct err err = {0};
	size_t i;

	if (!rq)
		return 0;
	rq->path = "";
	rq->uri = strndup((const char *)data, n);
	if (rq->uri && http_uri_split(rq, &err) < 0) {
		assert(err.code == ERR_INPUT && err.msg[0]);
	} else if (rq->uri) {
		assert(rq->path[0] == '/' && parse_is_text(rq->path, strlen(rq->path), false));
		assert(rq->query_n <= HTTP_QUERY_MAX);
		for (i = 0; i < rq->query_n; i++) {
			assert(parse_is_text(rq->query[i].name, strlen(rq->query[i].name), false));
			assert(parse_is_text(rq->query[i].value, strlen(rq->query[i].value), false));
		}
	}
	free(rq->uri);
	free(rq);
	return 0;
}
