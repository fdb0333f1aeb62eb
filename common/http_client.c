/* A call's options become libcurl's.  libcurl copies the strings it is given, other than the request's body and the PEM
 * texts, which the caller keeps. */
#include "common/http_client_internal.h"

#include "common/digest.h"
#include "common/ossl.h"
#include "common/parse.h"
#include "common/source_ports.h"
#include "common/version.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HTTP_CLIENT_BUFFER_BYTES (512L * 1024) /* the most that libcurl takes */
#define HTTP_CLIENT_UPLOAD_BYTES (256L * 1024)
#define HTTP_CLIENT_UNSENT_BYTES (256 * 1024) /* that the kernel may hold */

int http_client_global_init(struct err *err)
{
	struct sigaction old, ignore = {.sa_handler = SIG_IGN};

	/* OpenSSL writes without MSG_NOSIGNAL, and with CURLOPT_NOSIGNAL (needed in threads) libcurl does not help. */
	if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL && sigaction(SIGPIPE, &ignore, NULL) < 0)
		return err_sys(err, errno, "SIGPIPE");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_INTERNAL, "libcurl did not start");
	return 0;
}

/* call_take_url: refuses what libcurl would refuse later, and keeps the host for messages. */
static int call_take_url(struct http_call *c, const char *url, struct err *err)
{
	char *host = NULL, *scheme = NULL, shown[128];
	CURLU *u = curl_url();
	CURLUcode code;
	int rc = -1;

	if (!u)
		return err_nomem(err);
	code = curl_url_set(u, CURLUPART_URL, url, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		code = CURLUE_UNSUPPORTED_SCHEME;
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_HOST, &host, 0);
	parse_printable(url, shown, sizeof(shown));
	if (code != CURLUE_OK)
		err_set(err, ERR_INPUT, "URL \"%s\": %s", shown, curl_url_strerror(code));
	else if (!(c->host = strdup(host)))
		err_nomem(err);
	else
		rc = 0;
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(u);
	return rc;
}

static int call_add_header(struct http_call *c, const char *line, struct err *err)
{
	struct curl_slist *list;

	if (!strpbrk(line, ":;") || strpbrk(line, "\r\n"))
		return err_set(err, ERR_INPUT, "request header: not \"Name: value\" on one line");
	list = curl_slist_append(c->headers, line);
	if (!list)
		return err_nomem(err);
	c->headers = list;
	return 0;
}

static int call_add_field(struct http_call *c, const char *name_colon, const char *value, struct err *err)
{
	char *line = NULL;
	int rc;

	if (asprintf(&line, "%s %s", name_colon, value) < 0)
		return err_nomem(err);
	rc = call_add_header(c, line, err);
	digest_wipe_free(line); /* it may be the token */
	return rc;
}

static int call_set_headers(struct http_call *c, const struct http_call_options *o, struct err *err)
{
	size_t i;

	if (call_add_header(c, "Expect:", err) < 0) /* no value: libcurl leaves the header out */
		return -1;
	if (o->bearer) {
		if (!*o->bearer || strchr(o->bearer, ' ') || !parse_is_text(o->bearer, strlen(o->bearer), false))
			return err_set(err, ERR_INPUT, "token: empty, or not printable");
		if (call_add_field(c, "Authorization: Bearer", o->bearer, err) < 0)
			return -1;
	}
	if (o->own_content_type && o->body && call_add_header(c, "Content-Type:", err) < 0)
		return -1;
	if (o->body && !o->own_content_type &&
		call_add_field(c, "Content-Type:", o->content_type ? o->content_type : "application/json", err) < 0)
		return -1;
	for (i = 0; o->headers && o->headers[i]; i++) {
		if (call_add_header(c, o->headers[i], err) < 0)
			return -1;
	}
	return curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK ? 0 : err_nomem(err);
}

static int call_set_dial(struct http_call *c, const char *dial, struct err *err)
{
	char host[256], address[300], entry[310];
	uint16_t port = 0;

	if (!dial)
		return 0;
	if (parse_host_port(dial, 0, host, &port, err) < 0)
		return -1;
	/* "any host, any port" of the URL goes there */
	snprintf(entry, sizeof(entry), "::%s", parse_join_host_port(host, port, address, sizeof(address)));
	c->connect_to = curl_slist_append(NULL, entry);
	if (!c->connect_to || curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->connect_to) != CURLE_OK)
		return err_nomem(err);
	return 0;
}

static CURLcode call_set_blob(CURL *easy, CURLoption option, char *pem)
{
	struct curl_blob blob = {.data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};

	return curl_easy_setopt(easy, option, &blob);
}

/* libcurl takes the subject's common name where a certificate has no alternative names.  A common name is no DNS name (RFC 6125,
 * 6.4.4): so OpenSSL checks the name too, while it builds the chain, and looks at alternative names only. */
static CURLcode call_on_ssl_ctx(CURL *easy, void *ssl_ctx, void *ctx)
{
	const struct http_call *c = ctx;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_ctx);
	size_t n = strlen(c->host);
	char address[64];

	(void)easy;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (n > 2 && n < sizeof(address) && c->host[0] == '[') {
		memcpy(address, c->host + 1, n - 2);
		address[n - 2] = '\0';
	} else {
		snprintf(address, sizeof(address), "%s", c->host);
	}
	if (X509_VERIFY_PARAM_set1_ip_asc(param, address) == 1)
		return CURLE_OK;
	ERR_clear_error(); /* no address: a name then */
	return X509_VERIFY_PARAM_set1_host(param, c->host, n) == 1 ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

static int call_set_tls(struct http_call *c, const struct http_call_options *o, struct err *err)
{
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	code |= curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYPEER, o->tls_insecure ? 0L : 1L);
	code |= curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYHOST, o->tls_insecure ? 0L : 2L);
	if (!o->tls_insecure) {
		code |= curl_easy_setopt(c->easy, CURLOPT_SSL_CTX_FUNCTION, call_on_ssl_ctx);
		code |= curl_easy_setopt(c->easy, CURLOPT_SSL_CTX_DATA, c);
	}
	if (o->tls && o->tls->ca_pem) {
		code |= call_set_blob(c->easy, CURLOPT_CAINFO_BLOB, o->tls->ca_pem);
		/* The blob replaces libcurl's own file of CAs, but not its folder. */
		code |= curl_easy_setopt(c->easy, CURLOPT_CAINFO, NULL);
		code |= curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL);
	}
	if (o->tls && o->tls->cert_pem && o->tls->key_pem) {
		code |= call_set_blob(c->easy, CURLOPT_SSLCERT_BLOB, o->tls->cert_pem);
		code |= call_set_blob(c->easy, CURLOPT_SSLKEY_BLOB, o->tls->key_pem);
	}
	return code == CURLE_OK ? 0 : err_set(err, ERR_INTERNAL, "TLS settings were not accepted by libcurl");
}

/* Else the kernel takes megabytes of a body at once, and a slow peer that works through them looks silent.  What is on its way to the peer does not count,
 * so a long line is filled all the same.  Nothing is lost where this cannot be had. */
static int call_on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	int unsent = HTTP_CLIENT_UNSENT_BYTES;

	(void)ctx;
	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	return CURL_SOCKOPT_OK;
}

static CURLcode call_set_method(struct http_call *c, const struct http_call_options *o)
{
	CURLcode code = CURLE_OK;

	c->is_head = strcmp(o->method, "HEAD") == 0;
	if (c->is_head)
		return curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
	if (o->body_file) {
		c->file = *o->body_file;
		code |= curl_easy_setopt(c->easy, CURLOPT_SOCKOPTFUNCTION, call_on_socket);
		code |= curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
		code |= curl_easy_setopt(c->easy, CURLOPT_UPLOAD_BUFFERSIZE, HTTP_CLIENT_UPLOAD_BYTES);
		code |= curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->file.bytes);
		code |= curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, http_client_on_read);
		code |= curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
		code |= curl_easy_setopt(c->easy, CURLOPT_SEEKFUNCTION, http_client_on_seek);
		code |= curl_easy_setopt(c->easy, CURLOPT_SEEKDATA, c);
	} else if (o->body || strcmp(o->method, "POST") == 0 || strcmp(o->method, "PUT") == 0) {
		code |= curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
		code |= curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, o->body ? o->body : "");
		code |= curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(o->body ? o->body_len : 0));
	}
	code |= curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, o->method);
	return code;
}

static int call_set_transport(struct http_call *c, const struct http_call_options *o, struct err *err)
{
	long connect_ms = o->connect_timeout_ms ? (long)o->connect_timeout_ms : HTTP_CLIENT_CONNECT_MS;
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(c->easy, CURLOPT_URL, o->url);
	code |= curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code |= curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	code |= curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(c->easy, CURLOPT_QUICK_EXIT, 1L); /* a cancel does not wait for the resolver */
	code |= curl_easy_setopt(c->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	code |= curl_easy_setopt(c->easy, CURLOPT_NOPROGRESS, 1L);
	code |= curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, HTTP_CLIENT_BUFFER_BYTES);
	code |= curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	code |= source_ports_of(c->easy);
	code |= curl_easy_setopt(c->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	code |= curl_easy_setopt(c->easy, CURLOPT_TCP_KEEPIDLE, 15L);
	code |= curl_easy_setopt(c->easy, CURLOPT_TCP_KEEPINTVL, 5L);
	code |= curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "pcapline/" PCAPLINE_VERSION);
	code |= curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS, o->exact_path ? 1L : 0L);
	if (!o->use_proxy)
		code |= curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->curl_error);
	code |= curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, http_client_on_header);
	code |= curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	code |= curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, http_client_on_body);
	code |= curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	code |= call_set_method(c, o);
	return code == CURLE_OK ? 0 : err_set(err, ERR_INTERNAL, "request settings were not accepted by libcurl");
}

struct http_call *http_call_new(const struct http_call_options *o, struct err *err)
{
	struct http_call *c = calloc(1, sizeof(*c));

	if (!c) {
		err_nomem(err);
		return NULL;
	}
	atomic_init(&c->cancelled, false);
	c->answer_timeout_ms = o->answer_timeout_ms;
	c->total_timeout_ms = o->total_timeout_ms;
	c->idle_timeout_ms = o->idle_timeout_ms;
	c->gather_ms = o->gather_ms;
	buf_init(&c->gathered, o->gather_bytes);
	c->file.fd = -1;
	c->on_answer = o->on_answer;
	c->on_data = o->on_data;
	c->ctx = o->ctx;
	c->body_bytes_max = o->body_bytes_max ? o->body_bytes_max : HTTP_CLIENT_BODY_BYTES_MAX;
	buf_init(&c->body,
		c->body_bytes_max > HTTP_CLIENT_ERROR_BYTES_MAX ? c->body_bytes_max : HTTP_CLIENT_ERROR_BYTES_MAX);
	c->multi = curl_multi_init();
	c->easy = curl_easy_init();
	if (!c->multi || !c->easy) {
		err_nomem(err);
		goto fail;
	}
	if (call_take_url(c, o->url, err) < 0 || call_set_transport(c, o, err) < 0 || call_set_headers(c, o, err) < 0 ||
		call_set_dial(c, o->dial, err) < 0 || call_set_tls(c, o, err) < 0)
		goto fail;
	return c;
fail:
	http_call_free(c);
	return NULL;
}

void http_call_gather(struct http_call *c, size_t bytes)
{
	c->gathered.max = bytes; /* it is empty just now */
}

void http_call_cancel(struct http_call *c)
{
	atomic_store(&c->cancelled, true);
	curl_multi_wakeup(c->multi);
}

void http_call_free(struct http_call *c)
{
	struct curl_slist *h;

	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	curl_multi_cleanup(c->multi);
	for (h = c->headers; h; h = h->next)
		digest_wipe(h->data, strlen(h->data));
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->connect_to);
	buf_done(&c->body);
	buf_done(&c->gathered);
	free(c->host);
	free(c);
}
