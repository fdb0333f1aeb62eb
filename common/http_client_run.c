/* The exchange.  libcurl's multi interface with one transfer: its wait, unlike that of the simple one, can be woken up by
 * another thread, and between two waits our own clocks are looked at. */
#include "common/clock.h"
#include "common/http_client_internal.h"
#include "common/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HTTP_CLIENT_WAIT_MS (60 * 60 * 1000) /* without a limit there is nothing to look at; a cancel wakes */

static size_t call_abort(struct http_call *c, enum http_abort why)
{
	c->abort = why;
	return 0; /* fewer bytes than given: libcurl ends the transfer */
}

/* call_take_status: "HTTP/1.1 200 OK" begins a header block; 1xx ones come before the real one. */
static void call_take_status(struct http_call *c, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);
	int i, status = 0;

	c->headers_n = 0;
	if (space && (size_t)(line + n - space) > 3) {
		for (i = 1; i <= 3 && space[i] >= '0' && space[i] <= '9'; i++)
			status = status * 10 + (space[i] - '0');
	}
	c->status = status;
}

size_t http_client_on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;

	(void)size; /* always 1 */
	if (atomic_load(&c->cancelled))
		return call_abort(c, HTTP_ABORT_CALLER);
	c->last_ns = clock_mono_ns();
	c->header_bytes += n;
	if (c->header_bytes > HTTP_CLIENT_HEADER_BYTES_MAX || c->headers_n > HTTP_CLIENT_HEADERS_MAX)
		return call_abort(c, HTTP_ABORT_HEADERS);
	if (c->answered)
		return n; /* trailers */
	if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		call_take_status(c, line, n);
	} else if (line[0] == '\r' || line[0] == '\n') {
		if (c->status < 200)
			return n;
		c->answered = true;
		if (c->on_answer && c->on_answer(c->ctx, c) < 0)
			return call_abort(c, HTTP_ABORT_CALLER);
		c->last_ns = clock_mono_ns();
	} else {
		c->headers_n++;
	}
	return n;
}

static size_t call_collect(struct http_call *c, const char *p, size_t n, size_t max, enum http_abort over)
{
	size_t room = max - c->body.len, take = n < room ? n : room;

	if (buf_add(&c->body, p, take, NULL) < 0)
		return call_abort(c, HTTP_ABORT_NOMEM);
	return take == n ? n : call_abort(c, over);
}

/* call_hand_on: what was gathered goes to on_data. */
static int call_hand_on(struct http_call *c)
{
	size_t n = c->gathered.len;
	int rc;

	if (n == 0)
		return 0;
	/* Forgotten first: what a callback refused is not offered again. */
	buf_clear(&c->gathered);
	rc = c->on_data(c->ctx, c->gathered.data, n);
	c->last_ns = clock_mono_ns(); /* it may have blocked: not the peer's silence */
	return rc;
}

static int call_give(struct http_call *c, const uint8_t *p, size_t n)
{
	if (c->gathered.max == 0)
		return c->on_data(c->ctx, p, n);
	if (n > c->gathered.max - c->gathered.len && call_hand_on(c) < 0)
		return -1;
	/* More at once than there is room for at all, or no memory for it: as it is, in its order. */
	if (n > c->gathered.max || buf_add(&c->gathered, p, n, NULL) < 0)
		return call_hand_on(c) < 0 ? -1 : c->on_data(c->ctx, p, n);
	return 0;
}

size_t http_client_on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	bool good = c->status >= 200 && c->status < 300;

	(void)size;
	if (atomic_load(&c->cancelled))
		return call_abort(c, HTTP_ABORT_CALLER);
	c->body_bytes += n;
	c->last_ns = clock_mono_ns();
	if (!good) /* who answers an error with an endless body has said enough */
		return call_collect(c, p, n, HTTP_CLIENT_ERROR_BYTES_MAX, HTTP_ABORT_ENOUGH);
	if (!c->on_data)
		return call_collect(c, p, n, c->body_bytes_max, HTTP_ABORT_BODY);
	if (call_give(c, (const uint8_t *)p, n) < 0)
		return call_abort(c, HTTP_ABORT_CALLER);
	c->last_ns = clock_mono_ns(); /* it may have blocked: not the peer's silence */
	return n;
}

/* More of the body, from the file. */
size_t http_client_on_read(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	uint64_t left = c->file.bytes - c->file_at;
	ssize_t got;

	if (atomic_load(&c->cancelled)) {
		c->abort = HTTP_ABORT_CALLER;
		return CURL_READFUNC_ABORT;
	}
	n *= size;
	if (n > left)
		n = (size_t)left;
	if (n == 0)
		return 0;
	do
		got = pread(c->file.fd, p, n, (off_t)(c->file.offset + c->file_at));
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		c->file_errno = got < 0 ? errno : -1;
		c->abort = HTTP_ABORT_FILE;
		return CURL_READFUNC_ABORT;
	}
	c->file_at += (uint64_t)got;
	c->last_ns = clock_mono_ns(); /* what was given before has been taken by the peer, or by the kernel */
	return (size_t)got;
}

/* A connection that turned out to be dead before anything was answered: libcurl begins again. */
int http_client_on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct http_call *c = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > c->file.bytes)
		return CURL_SEEKFUNC_FAIL;
	c->file_at = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static bool call_is_past(uint64_t from_ns, unsigned limit_ms, uint64_t now, uint64_t *wait_ms)
{
	uint64_t gone_ms = (now - from_ns) / CLOCK_NS_PER_MS;

	if (limit_ms == 0)
		return false;
	if (gone_ms >= limit_ms)
		return true;
	if (limit_ms - gone_ms < *wait_ms)
		*wait_ms = limit_ms - gone_ms;
	return false;
}

/* call_check_clocks: -1 ERR_TIMEOUT; else how long libcurl may wait before the next look. */
static int call_check_clocks(struct http_call *c, uint64_t start_ns, uint64_t *ret_wait_ms, struct err *err)
{
	uint64_t now = clock_mono_ns(), wait_ms = HTTP_CLIENT_WAIT_MS;
	curl_off_t departure_us = 0;

	if (!c->sent && curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &departure_us) == CURLE_OK &&
		departure_us > 0) {
		c->sent = true;
		c->last_ns = now;
	}
	if (call_is_past(start_ns, c->total_timeout_ms, now, &wait_ms))
		return err_set(err, ERR_TIMEOUT, "%s: not over after %u ms", c->host, c->total_timeout_ms);
	if (!c->answered && call_is_past(start_ns, c->answer_timeout_ms, now, &wait_ms))
		return err_set(err, ERR_TIMEOUT, "%s: no answer within %u ms", c->host, c->answer_timeout_ms);
	if (c->sent && call_is_past(c->last_ns, c->idle_timeout_ms, now, &wait_ms))
		return err_set(err, ERR_TIMEOUT, "%s: silent for %u ms after %" PRIu64 " bytes", c->host,
			c->idle_timeout_ms, c->body_bytes);
	*ret_wait_ms = wait_ms;
	return 0;
}

/* call_is_certificate: does the text speak of a certificate that one side did not accept?  OpenSSL's alerts come as text
 * only, and under TLS 1.3 not before the first read. */
static bool call_is_certificate(const char *text)
{
	static const char *const words[] = {"alert unknown ca", "alert access denied", "certificate", NULL};
	size_t i;

	for (i = 0; words[i]; i++) {
		if (strcasestr(text, words[i]))
			return true;
	}
	return false;
}

static enum err_code call_kind(CURLcode code, const char *text)
{
	switch ((int)code) {
	case CURLE_URL_MALFORMAT:
		return ERR_INPUT;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return ERR_AUTH;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return call_is_certificate(text) ? ERR_AUTH : ERR_NET;
	}
	return ERR_NET;
}

static int call_fail(const struct http_call *c, CURLcode code, struct err *err)
{
	const char *text = c->curl_error[0] ? c->curl_error : curl_easy_strerror(code);
	enum err_code kind = call_kind(code, text);

	if (kind == ERR_NET && c->answered)
		return err_set(err, kind, "%s: cut short after %" PRIu64 " bytes: %s", c->host, c->body_bytes, text);
	return err_set(err, kind, "%s: %s", c->host, text);
}

/* call_check_end: libcurl takes an answer that has neither a length nor chunks as whole when the connection ends. */
static int call_check_end(const struct http_call *c, struct err *err)
{
	if (c->status / 100 != 2 || c->status == 204 || c->is_head || http_call_header(c, "Content-Length"))
		return 0;
	if (http_call_header(c, "Transfer-Encoding"))
		return 0;
	return err_set(err, ERR_NET, "%s: cut short after %" PRIu64 " bytes, or not: the answer has no length", c->host,
		c->body_bytes);
}

static int call_end(struct http_call *c, CURLcode code, struct err *err)
{
	switch (c->abort) {
	case HTTP_ABORT_NONE:
		return code == CURLE_OK ? call_check_end(c, err) : call_fail(c, code, err);
	case HTTP_ABORT_CALLER:
		return err_set(err, ERR_CANCELLED, "%s: cancelled after %" PRIu64 " bytes", c->host, c->body_bytes);
	case HTTP_ABORT_HEADERS:
		return err_set(err, ERR_LIMIT, "%s: more than %d headers or %d bytes of them", c->host,
			HTTP_CLIENT_HEADERS_MAX, HTTP_CLIENT_HEADER_BYTES_MAX);
	case HTTP_ABORT_BODY:
		return err_set(err, ERR_LIMIT, "%s: answer is over %zu bytes", c->host, c->body_bytes_max);
	case HTTP_ABORT_NOMEM:
		return err_nomem(err);
	case HTTP_ABORT_FILE:
		if (c->file_errno > 0)
			return err_sys(err, c->file_errno, "%s: body read from its file", c->host);
		return err_set(err, ERR_IO, "%s: the file of the body has %" PRIu64 " of %" PRIu64 " bytes", c->host,
			c->file_at, c->file.bytes);
	case HTTP_ABORT_ENOUGH:
		break;
	}
	return 0;
}

/* call_step: what there is just now goes through libcurl and on to the caller.  1: libcurl is done, its verdict in ret_code. */
static int call_step(struct http_call *c, CURLcode *ret_code, struct err *err)
{
	int running = 0, left = 0;
	CURLMsg *msg;

	if (curl_multi_perform(c->multi, &running) != CURLM_OK)
		return err_set(err, ERR_INTERNAL, "%s: libcurl's transfer failed", c->host);
	if (call_hand_on(c) < 0) {
		c->abort = HTTP_ABORT_CALLER;
		*ret_code = CURLE_WRITE_ERROR;
		return 1;
	}
	msg = curl_multi_info_read(c->multi, &left);
	if (!msg || msg->msg != CURLMSG_DONE)
		return 0;
	*ret_code = msg->data.result;
	return 1;
}

/* call_gather: a stream that brings little at a time is left alone for a moment, so that the next look finds more. */
static void call_gather(const struct http_call *c, uint64_t got_bytes)
{
	struct timespec ts = {.tv_nsec = (long)(c->gather_ms * CLOCK_NS_PER_MS)};

	if (c->gather_ms > 0 && got_bytes > 0 && got_bytes < c->gathered.max)
		nanosleep(&ts, NULL);
}

/* call_loop: until libcurl is done (0, its verdict in ret_code), or we are (-1). */
static int call_loop(struct http_call *c, CURLcode *ret_code, struct err *err)
{
	uint64_t start_ns = clock_mono_ns(), wait_ms = 0;

	for (;;) {
		uint64_t before = c->body_bytes;
		int rc;

		if (atomic_load(&c->cancelled))
			return err_set(
				err, ERR_CANCELLED, "%s: cancelled after %" PRIu64 " bytes", c->host, c->body_bytes);
		if ((rc = call_step(c, ret_code, err)) != 0)
			return rc < 0 ? -1 : 0;
		if (call_check_clocks(c, start_ns, &wait_ms, err) < 0)
			return -1;
		call_gather(c, c->body_bytes - before);
		if (curl_multi_poll(c->multi, NULL, 0, (int)wait_ms, NULL) != CURLM_OK)
			return err_set(err, ERR_INTERNAL, "%s: libcurl's wait failed", c->host);
	}
}

int http_call_run(struct http_call *c, struct err *err)
{
	CURLcode code = CURLE_OK;
	curl_off_t departure_us = 0;
	int rc;

	if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
		return err_set(err, ERR_INTERNAL, "%s: the call has been run before", c->host);
	c->last_ns = clock_mono_ns();
	rc = call_loop(c, &code, err);
	if (curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &departure_us) == CURLE_OK && departure_us > 0)
		c->sent = true;
	if (rc == 0)
		rc = call_end(c, code, err);
	curl_multi_remove_handle(c->multi, c->easy);
	return rc;
}
