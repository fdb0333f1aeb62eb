#include "common/metrics_server.h"

#include "common/http_server.h"

#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX  16u
#define HEADER_BYTES_MAX (16u * 1024)
#define BODY_BYTES_MAX   1024u
#define TIMEOUT_S        10u
#define IDLE_TIMEOUT_S   180u /* the next scrape comes by the same connection */

struct metrics_server {
	struct http_server *http;
	void (*show)(void *ctx, struct metrics_page *p);
	void *ctx;
};

static void on_headers(void *ctx, struct http_request *rq)
{
	(void)ctx;
	if (strcmp(http_request_path(rq), "/metrics") != 0) {
		http_reply_error(rq, 404, "not_found", NULL, "only /metrics is served here");
	} else if (strcmp(http_request_method(rq), "GET") != 0) {
		http_reply_header(rq, "Allow", "GET, HEAD");
		http_reply_error(rq, 405, "method_not_allowed", NULL, "this path takes GET");
	}
}

static void on_request(void *ctx, struct http_request *rq)
{
	struct metrics_server *s = ctx;
	struct metrics_page p;
	struct err err = {0};
	const char *text;
	struct buf b;

	buf_init(&b, METRICS_PAGE_MAX);
	metrics_page_begin(&p, &b);
	s->show(s->ctx, &p);
	metrics_process(&p);
	if (metrics_page_end(&p, &err) < 0)
		http_reply_err(rq, &err);
	else if (!(text = buf_str(&b)))
		http_reply_error(rq, 500, "internal", NULL, "no memory for the page");
	else
		http_reply_text(rq, 200, METRICS_CONTENT_TYPE, text);
	buf_done(&b);
}

struct metrics_server *metrics_server_start(const struct metrics_server_options *o, struct err *err)
{
	struct metrics_server *s = calloc(1, sizeof(*s));
	const bool tls = o->tls && o->tls->cert_pem;
	const struct http_server_options http = {
		.address = o->address,
		.port = o->port,
		.tls = tls ? o->tls : NULL,
		.client_name = tls && o->tls->ca_pem ? o->client_name : NULL,
		.connections_max = CONNECTIONS_MAX,
		.idle_timeout_s = IDLE_TIMEOUT_S,
		.header_timeout_s = TIMEOUT_S,
		.body_timeout_s = TIMEOUT_S,
		.header_bytes_max = HEADER_BYTES_MAX,
		.body_bytes_max = BODY_BYTES_MAX,
		.stream_block_bytes = 4096,
		.on_headers = on_headers,
		.on_request = on_request,
		.ctx = s,
	};

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->show = o->show;
	s->ctx = o->ctx;
	if (!(s->http = http_server_start(&http, err))) {
		err_in(err, "metrics");
		free(s);
		return NULL;
	}
	return s;
}

uint16_t metrics_server_port(const struct metrics_server *s)
{
	return http_server_port(s->http);
}

void metrics_server_stop(struct metrics_server *s)
{
	if (!s)
		return;
	http_server_stop(s->http);
	free(s);
}
