/* libs3_curl_wrap.c - see libs3_curl_wrap.h. */
#include "uploader/s3/libs3_curl_wrap.h"

#include "common/clock.h"
#include "common/source_ports.h"
#include "common/version.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (1024u * 1024) /* a page of a list */
#define ERROR_BYTES_MAX  (64u * 1024)
#define HEADER_BYTES_MAX (64u * 1024)
#define UPLOAD_BUFFER    (512L * 1024)
#define DOWNLOAD_BUFFER  (256L * 1024)

/* Names given by the linker: the program's calls of curl_easy_perform go to the first, the second is libcurl's. */
CURLcode __wrap_curl_easy_perform(CURL *easy);
CURLcode __real_curl_easy_perform(CURL *easy);

static pthread_mutex_t composing = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct libs3_transfer *current;

/* ---- callbacks ---- */

static size_t give_up(struct libs3_transfer *t, enum libs3_abort why)
{
	t->abort = why;
	return 0; /* fewer bytes than given: libcurl ends the transfer */
}

/* libcurl keeps the headers; they are only counted. */
static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct libs3_transfer *t = ctx;

	(void)line;
	(void)size; /* always 1 */
	t->header_bytes += n;
	return t->header_bytes > HEADER_BYTES_MAX ? give_up(t, LIBS3_ABORT_HEADERS) : n;
}

static size_t collect(struct libs3_transfer *t, const char *p, size_t n)
{
	return buf_add(&t->body, p, n, NULL) == 0 ? n : give_up(t, LIBS3_ABORT_NOMEM);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct libs3_transfer *t = ctx;
	long status = 0;

	(void)size;
	t->received += n;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return t->body.len + n > ERROR_BYTES_MAX ? give_up(t, LIBS3_ABORT_ENOUGH) : collect(t, p, n);
	if (!t->into)
		return t->body.len + n > ANSWER_BYTES_MAX ? give_up(t, LIBS3_ABORT_BODY) : collect(t, p, n);
	if (n > t->into_max - t->into_n)
		return give_up(t, LIBS3_ABORT_BODY);
	memcpy(t->into + t->into_n, p, n);
	t->into_n += n;
	return n;
}

static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
	struct libs3_transfer *t = ctx;
	uint64_t left = t->send_bytes - t->sent;
	ssize_t got;

	n *= size;
	if (n > left)
		n = (size_t)left;
	if (n == 0)
		return 0;
	do
		got = pread(t->send_fd, p, n, (off_t)t->sent);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		t->file_errno = got < 0 ? errno : 0;
		t->abort = LIBS3_ABORT_FILE;
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)got;
	return (size_t)got;
}

/* A connection that turned out to be dead before anything was answered: libcurl begins again. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct libs3_transfer *t = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->send_bytes)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Called whenever something moves, and about once a second when nothing does. */
static int on_progress(void *ctx, curl_off_t in_n, curl_off_t in, curl_off_t out_n, curl_off_t out)
{
	struct libs3_transfer *t = ctx;
	uint64_t now = clock_mono_ns();
	curl_off_t departure_us = 0;

	(void)in_n;
	(void)out_n;
	if (t->at && s3_endpoint_check(t->at, t->cancelled, NULL) < 0) {
		t->abort = LIBS3_ABORT_CANCELLED;
		return 1;
	}
	/* Until the request leaves, the time to connect counts. */
	curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &departure_us);
	if (departure_us == 0 || (uint64_t)(in + out) != t->moved) {
		t->moved = (uint64_t)(in + out);
		t->moved_ns = now;
	}
	if ((now - t->moved_ns) / CLOCK_NS_PER_MS < t->idle_timeout_ms)
		return 0;
	t->abort = LIBS3_ABORT_SILENCE;
	return 1;
}

/* ---- the exchange ---- */

static CURLcode set_tls(CURL *easy, const struct libs3_transfer *t)
{
	struct curl_blob ca = {.data = t->ca_pem, .len = t->ca_pem ? strlen(t->ca_pem) : 0, .flags = CURL_BLOB_COPY};
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!t->ca_pem)
		return code;
	code |= curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
	/* The blob replaces libcurl's own file of CAs, but not its folder. */
	code |= curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	code |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	return code;
}

static CURLcode set_callbacks(CURL *easy, struct libs3_transfer *t)
{
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->error);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	code |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	code |= curl_easy_setopt(easy, CURLOPT_XFERINFODATA, t);
	if (t->send_fd < 0)
		return code;
	code |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	code |= curl_easy_setopt(easy, CURLOPT_READDATA, t);
	code |= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	code |= curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
	code |= curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->send_bytes);
	code |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	return code;
}

static CURLcode set_rest(CURL *easy, const struct libs3_transfer *t)
{
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	code |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nothing from the environment */
	code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)t->connect_timeout_ms);
	code |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 0L); /* on_progress looks at the clock */
	code |= source_ports_of(easy);
	code |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER);
	code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "pcapline/" PCAPLINE_VERSION);
	return code;
}

static void take_header(CURL *easy, const char *name, char *ret, size_t size)
{
	struct curl_header *h;

	/* of several of one name, the last; one that is too long is none */
	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK || strlen(h->value) >= size)
		return;
	memcpy(ret, h->value, strlen(h->value) + 1);
}

static void take_answer(CURL *easy, struct libs3_transfer *t)
{
	curl_off_t length = -1;
	long status = 0;
	size_t n;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	t->status = (int)status;
	t->length = length;
	take_header(easy, "Date", t->date, sizeof(t->date));
	take_header(easy, "x-amz-bucket-region", t->region, sizeof(t->region));
	take_header(easy, "Content-Range", t->range, sizeof(t->range));
	take_header(easy, "ETag", t->etag, sizeof(t->etag));
	if (t->etag[0] != '"')
		return;
	n = strcspn(t->etag + 1, "\"");
	memmove(t->etag, t->etag + 1, n);
	t->etag[n] = '\0';
}

static CURLcode perform(CURL *easy, struct libs3_transfer *t)
{
	CURLcode code;

	t->performed = true;
	t->easy = easy;
	t->moved_ns = clock_mono_ns();
	pthread_mutex_unlock(&composing);
	code = set_tls(easy, t) | set_callbacks(easy, t) | set_rest(easy, t);
	if (code != CURLE_OK) /* never without our settings */
		return t->code = CURLE_FAILED_INIT;
	t->code = __real_curl_easy_perform(easy);
	take_answer(easy, t);
	/* The handle goes back to libs3, which keeps it; t goes. */
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
	t->easy = NULL;
	return t->code;
}

CURLcode __wrap_curl_easy_perform(CURL *easy)
{
	return current && !current->performed ? perform(easy, current) : __real_curl_easy_perform(easy);
}

void libs3_transfer_begin(struct libs3_transfer *t)
{
	buf_init(&t->body, ANSWER_BYTES_MAX + 1);
	t->length = -1;
	pthread_mutex_lock(&composing);
	current = t;
}

void libs3_transfer_end(struct libs3_transfer *t)
{
	current = NULL;
	if (!t->performed)
		pthread_mutex_unlock(&composing);
}

void libs3_transfer_done(struct libs3_transfer *t)
{
	buf_done(&t->body);
}

/* ---- what it came to ---- */

static enum err_code kind_of(CURLcode code, const char *text)
{
	switch ((int)code) {
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_FAILED_INIT:
		return ERR_INTERNAL;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return ERR_AUTH;
	case CURLE_SSL_CONNECT_ERROR:
		return strcasestr(text, "certificate") ? ERR_AUTH : ERR_NET;
	}
	return ERR_NET;
}

int libs3_transfer_judge(const struct libs3_transfer *t, struct err *err)
{
	const char *text = t->error[0] ? t->error : curl_easy_strerror(t->code);

	switch (t->abort) {
	case LIBS3_ABORT_HEADERS:
		return err_set(err, ERR_LIMIT, "the answer has over %u bytes of headers", HEADER_BYTES_MAX);
	case LIBS3_ABORT_BODY:
		return err_set(err, ERR_LIMIT, "the answer is longer than was asked for");
	case LIBS3_ABORT_NOMEM:
		return err_nomem(err);
	case LIBS3_ABORT_CANCELLED:
		return err_set(err, ERR_CANCELLED, "given up after %" PRIu64 " bytes", t->sent + t->received);
	case LIBS3_ABORT_SILENCE:
		return err_set(
			err, ERR_TIMEOUT, "silent for %u ms after %" PRIu64 " bytes", t->idle_timeout_ms, t->moved);
	case LIBS3_ABORT_FILE:
		if (t->file_errno)
			return err_sys(err, t->file_errno, "the file to be sent");
		return err_set(err, ERR_IO, "the file to be sent ends after %" PRIu64 " of %" PRIu64 " bytes", t->sent,
			t->send_bytes);
	case LIBS3_ABORT_ENOUGH:
		return 0;
	case LIBS3_ABORT_NONE:
		break;
	}
	if (t->code == CURLE_OK)
		return 0;
	if (t->status > 0 && kind_of(t->code, text) == ERR_NET)
		return err_set(err, ERR_NET, "cut short after %" PRIu64 " bytes: %s", t->received, text);
	return err_set(err, kind_of(t->code, text), "%s", text);
}
