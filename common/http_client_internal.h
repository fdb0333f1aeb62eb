/* http_client_internal.h - what the files of the HTTP client share; nobody else includes it.
 *
 *   http_client.c        a call's options become libcurl's; its life
 *   http_client_run.c    the exchange: libcurl's callbacks, the waiting, what the failures mean
 *   http_client_answer.c reading the answer */
#ifndef PCAPLINE_COMMON_HTTP_CLIENT_INTERNAL_H
#define PCAPLINE_COMMON_HTTP_CLIENT_INTERNAL_H

#include "common/http_client.h"

#include <curl/curl.h>
#include <stdatomic.h>

#define HTTP_CLIENT_HEADERS_MAX      100
#define HTTP_CLIENT_HEADER_BYTES_MAX (64 * 1024)
#define HTTP_CLIENT_ERROR_BYTES_MAX  (64 * 1024)   /* body of an answer that is not 2xx */
#define HTTP_CLIENT_BODY_BYTES_MAX   (1024 * 1024) /* unless the caller says otherwise */
#define HTTP_CLIENT_CONNECT_MS       10000

/* Why a callback of ours ended the transfer. */
enum http_abort {
	HTTP_ABORT_NONE,
	HTTP_ABORT_CALLER,
	HTTP_ABORT_HEADERS,
	HTTP_ABORT_BODY,
	HTTP_ABORT_NOMEM,
	HTTP_ABORT_FILE,
	HTTP_ABORT_ENOUGH
};

struct http_call {
	/* fixed */
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers; /* may hold a token: wiped */
	struct curl_slist *connect_to;
	char *host;                 /* of the URL, for messages */
	struct http_body_file file; /* fd -1: none */
	bool is_head;
	unsigned answer_timeout_ms, total_timeout_ms, idle_timeout_ms, gather_ms;
	int (*on_answer)(void *ctx, const struct http_call *call);
	int (*on_data)(void *ctx, const uint8_t *p, size_t n);
	void *ctx;

	atomic_bool cancelled;

	/* owned by the thread in http_call_run */
	char curl_error[CURL_ERROR_SIZE];
	int status;    /* of the header block that is coming in, at last the final one */
	bool answered; /* the final header block is in */
	bool sent;
	unsigned headers_n;
	size_t header_bytes;
	uint64_t body_bytes; /* received, handed on or not */
	uint64_t last_ns;    /* of the last byte either way, or the request's departure */
	uint64_t file_at;    /* bytes of the file that libcurl has taken */
	int file_errno;      /* why the file could not be read; -1: it is shorter than was said */
	size_t body_bytes_max;
	struct buf body;
	struct buf gathered; /* for on_data; its max 0: not gathering */
	enum http_abort abort;
};

/* http_client_run.c: libcurl's callbacks */
size_t http_client_on_header(char *line, size_t size, size_t n, void *ctx);
size_t http_client_on_body(char *p, size_t size, size_t n, void *ctx);
size_t http_client_on_read(char *p, size_t size, size_t n, void *ctx);
int http_client_on_seek(void *ctx, curl_off_t offset, int origin);

#endif
