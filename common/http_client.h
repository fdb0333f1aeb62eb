/* http_client.h - one HTTP exchange over libcurl (OpenSSL), blocking, that another thread may cancel.
 *
 * Life: http_client_global_init once per process; http_call_new, http_call_run, (answer read), http_call_free.
 * TLS verifies chain and name always (1.2 the least) against tls->ca_pem when given, else the system's store; the
 * environment (SSL_CERT_FILE...) is not looked at.  Redirects are not followed.  Never sends Expect: 100-continue.
 * A 2xx body goes to on_data piece by piece (or, when NULL, into the answer's body up to body_bytes_max: ERR_LIMIT);
 * the body of any other answer is collected up to 64 KiB, whatever on_data says.
 * An answer with a 2xx status must have a length or chunks: without, nobody can tell whether it is whole (ERR_NET).
 * Limits: 100 headers, 64 KiB of headers. */
#ifndef PCAPLINE_COMMON_HTTP_CLIENT_H
#define PCAPLINE_COMMON_HTTP_CLIENT_H

#include "common/buf.h"
#include "common/err.h"
#include "common/tls_files.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_call;

/* A body that is read from a descriptor while it is sent: bytes from offset on, by pread.  Borrowed until the call is freed. */
struct http_body_file {
	int fd;
	uint64_t offset, bytes;
};

struct http_call_options {
	const char *method;          /* "GET", "POST"... */
	const char *url;             /* its host is the name that the certificate must bear */
	const char *dial;            /* "host:port" to connect to instead of the url's; NULL: as the url says */
	const struct tls_files *tls; /* NULL: system CAs, no client certificate; must outlive the call */
	bool tls_insecure;           /* do not verify: only where the user said so */
	bool use_proxy;              /* honour https_proxy and so on (the CLI does, the gateway never) */
	const char *bearer;          /* token for Authorization; NULL: none */
	const char *const *headers;  /* "Name: value", NULL-terminated, or NULL */
	const void *body;            /* borrowed until the call is freed */
	size_t body_len;
	const struct http_body_file *body_file; /* instead of body; without a Content-Type of its own */
	bool exact_path;                        /* the URL's path goes out as it stands, ".." and all */
	bool own_content_type;       /* content_type is not sent: it is among headers, or there shall be none */
	const char *content_type;    /* of the body; NULL: application/json */
	unsigned connect_timeout_ms; /* resolve, connect and TLS; 0: 10 s */
	unsigned answer_timeout_ms;  /* from start until the header block is in; 0: no limit */
	unsigned total_timeout_ms;   /* 0: no limit */
	unsigned idle_timeout_ms;    /* no byte sent or received for so long: ERR_TIMEOUT; 0: no limit */
	size_t body_bytes_max;       /* for a collected body; 0: 1 MiB */
	size_t gather_bytes; /* on_data gets what came in pieces of up to so many bytes instead of libcurl's 16 KiB, but waits
	                              * for nothing; 0: as they come */
	unsigned gather_ms; /* and while fewer than that come at once, looks only so often: fewer and larger steps for a
	                              * busy stream, at most this much delay (1..20); 0: looks at once */
	int (*on_answer)(void *ctx, const struct http_call *call); /* headers are in; -1 aborts; may be NULL */
	int (*on_data)(void *ctx, const uint8_t *p, size_t n);     /* -1 aborts; may block; may be NULL */
	void *ctx;
};

/* Also ignores SIGPIPE, unless the program has its own handler: OpenSSL would raise it. */
int http_client_global_init(struct err *err);

/* Everything in o is copied but body, tls and the callbacks' ctx.  NULL: ERR_INPUT (bad URL, header, token or dial). */
struct http_call *http_call_new(const struct http_call_options *o, struct err *err);

/* http_call_run: 0 when an answer came whole (any status!); -1: ERR_NET (refused, reset, cut short: "after N bytes"), ERR_TIMEOUT, ERR_AUTH
 * (TLS: certificate not accepted, either way), ERR_CANCELLED (http_call_cancel, or a callback said -1), ERR_LIMIT, ERR_INPUT (bad URL). */
int http_call_run(struct http_call *c, struct err *err);

/* http_call_gather: another gather_bytes (> 0) from now on.  For on_data only, of a call that gathers. */
void http_call_gather(struct http_call *c, size_t bytes);

/* http_call_cancel: thread-safe, any time between new and free; run returns at once (when not inside a callback). */
void http_call_cancel(struct http_call *c);

int http_call_status(const struct http_call *c);                           /* 0: no answer (yet) */
const char *http_call_header(const struct http_call *c, const char *name); /* of the final answer; NULL: absent */
const struct buf *http_call_body(const struct http_call *c);               /* collected body */
bool http_call_sent(const struct http_call *c); /* did the request leave (so it may have had effects)? */

/* http_call_error: for a status >= 400: err from the body's {"error":{code,message,field}} (code -> detail) or, when the body is none of ours,
 * "HTTP 502 from HOST"; kind by status.  Returns -1; 0 for a status < 400. */
int http_call_error(const struct http_call *c, struct err *err);

/* http_call_json: the collected body as JSON (strict, bounded); new reference or NULL with err. */
json_t *http_call_json(const struct http_call *c, struct err *err);

void http_call_free(struct http_call *c);

#endif
