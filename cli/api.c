/* api.c - see api.h. */
#include "cli/api.h"

#include "cli/login/identity.h"
#include "cli/login/login.h"

#include "common/digest.h"
#include "common/parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_GATHER_BYTES (256u * 1024) /* a file is written in pieces of this size, if there is that much */
#define STREAM_GATHER_MS    20u
#define GATEWAY_URL_MAX     2048u
#define LIVE_GRACE_MAX_S    3600u

/* Is the authority part of a URL ("127.0.0.1:8780", "[::1]:80", "localhost") this machine itself? */
static bool is_loopback(const char *authority, size_t len)
{
	char text[300], host[256];
	struct in_addr v4;
	struct in6_addr v6;
	uint16_t port = 0;

	if (len >= sizeof(text))
		return false;
	memcpy(text, authority, len);
	text[len] = '\0';
	if (parse_host_port(text, 80, host, &port, NULL) < 0)
		return false;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return !strcasecmp(host, "localhost");
}

static int check_text(const char *gateway, struct err *err)
{
	if (strlen(gateway) > GATEWAY_URL_MAX)
		return err_set(err, ERR_INPUT, "URL of the gateway is longer than %u bytes", GATEWAY_URL_MAX);
	for (const char *p = gateway; *p; p++)
		if (!isgraph((unsigned char)*p))
			return err_set(
				err, ERR_INPUT, "gateway \"%s\": a URL has no blanks or control characters", gateway);
	if (strpbrk(gateway, "?#@"))
		return err_set(err, ERR_INPUT, "gateway: give scheme, host and port only (no user, query or fragment)");
	return 0;
}

static int set_base(struct api *a, const char *gateway, struct err *err)
{
	const char *rest;
	size_t len;

	if (check_text(gateway, err) < 0)
		return -1;
	if (!strncasecmp(gateway, "https://", 8)) {
		rest = gateway + 8;
	} else if (!strncasecmp(gateway, "http://", 7)) {
		rest = gateway + 7;
		a->plain = true;
	} else if (strstr(gateway, "://")) {
		return err_set(err, ERR_INPUT, "gateway \"%s\": only https:// (or http:// on this machine)", gateway);
	} else {
		rest = gateway;
	}
	for (len = strlen(rest); len && rest[len - 1] == '/';)
		len--;
	if (!len || rest[0] == '/')
		return err_set(err, ERR_INPUT, "gateway \"%s\" names no host", gateway);
	a->base = api_path(err, "%s://%.*s", a->plain ? "http" : "https", (int)len, rest);
	return a->base ? 0 : -1;
}

bool api_is_plain(const char *url)
{
	return !strncasecmp(url, "http://", 7) && is_loopback(url + 7, strcspn(url + 7, "/?#"));
}

bool api_may_carry_secrets(const char *url)
{
	return !strncasecmp(url, "https://", 8) || api_is_plain(url);
}

static int check_token(const char *token, struct err *err)
{
	size_t n = strlen(token);

	if (!n || n > API_TOKEN_MAX)
		return err_set(err, ERR_INPUT, "the token has %zu bytes, which is outside 1..%u", n, API_TOKEN_MAX);
	for (const char *p = token; *p; p++)
		if (!isgraph((unsigned char)*p))
			return err_set(err, ERR_INPUT, "the token holds a blank or control character");
	return 0;
}

static int check_login(struct login *login, struct err *err)
{
	char *token = login_token(login);
	int rc = token ? check_token(token, err) : err_nomem(err);

	digest_wipe_free(token);
	return rc;
}

int api_login(struct api *a, struct login *login, struct login *second, struct err *err)
{
	if (check_login(login, err) < 0 || (second && check_login(second, err) < 0))
		return -1;
	if (!api_may_carry_secrets(a->base))
		return err_set(err, ERR_PERM,
			"the token is not sent to %s: plain http to another machine shows it to everybody on the way; "
			"use https://",
			a->base);
	a->login = login;
	a->second = second;
	return 0;
}

int api_open(struct api *a, const char *gateway, const char *cacert, struct err *err)
{
	if (http_client_global_init(err) < 0 || set_base(a, gateway, err) < 0)
		return -1;
	if (cacert) {
		a->has_ca = true;
		if (tls_files_load(&a->tls, NULL, NULL, cacert, err) < 0) {
			if (err)
				err->code = ERR_INPUT; /* a local file, not something the gateway refused */
			return err_in(err, "CA file");
		}
	}
	return 0;
}

void api_close(struct api *a)
{
	if (a->has_ca)
		tls_files_done(&a->tls);
	if (a->identity)
		identity_done(a->identity);
	free(a->identity);
	free(a->base);
	*a = (struct api){0};
}

/* A proxy of the environment would carry calls that are meant for this machine elsewhere, token included. */
static void set_common(const struct api *a, struct http_call_options *o)
{
	o->tls = a->has_ca ? &a->tls : NULL;
	o->use_proxy = !a->plain;
	o->body_bytes_max = API_BODY_MAX;
}

/* A call with the tokens as they are now: renewed first when that is due, or present when they have expired. */
static struct http_call *new_call(const struct api *a, struct http_call_options *o, bool present, struct err *err)
{
	char *(*token)(struct login *) = present ? login_present : login_token;
	char *bearer = a->login ? token(a->login) : NULL, *second = a->second ? token(a->second) : NULL;
	char *line = second ? api_path(err, "Pcap-Second-Token: Bearer %s", second) : NULL;
	const char *headers[] = {line, NULL};
	struct http_call *call = NULL;

	o->bearer = bearer;
	o->headers = line ? headers : NULL;
	if ((a->login && !bearer) || (a->second && !line))
		err_nomem(err);
	else
		call = http_call_new(o, err);
	o->bearer = NULL;
	o->headers = NULL;
	digest_wipe_free(line);
	digest_wipe_free(second);
	digest_wipe_free(bearer);
	return call;
}

int api_stream_run(struct http_call *call, struct err *err)
{
	struct err why = {0};

	if (http_call_run(call, &why) == 0)
		return 0;
	if (err) {
		*err = why;
		if (why.code == ERR_AUTH) {
			err->code = ERR_NET;
			err_detail(err, API_CERTIFICATE);
		}
	}
	return -1;
}

static int read_answer(const struct http_call *call, json_t **ret, struct err *err)
{
	json_t *answer = NULL;

	if (http_call_error(call, err) < 0)
		return -1;
	if (http_call_body(call)->len) {
		answer = http_call_json(call, err);
		if (!answer) {
			err_in(err, "the gateway's answer is not understood");
			if (err)
				err->code = ERR_NET;
			return -1;
		}
	}
	if (ret)
		*ret = answer;
	else
		json_decref(answer);
	return 0;
}

static int call_within(const struct api *a, unsigned timeout_ms, const char *method, const char *path, json_t *body,
	json_t **ret, struct err *err)
{
	struct http_call_options o = {.method = method, .total_timeout_ms = timeout_ms};
	struct http_call *call = NULL;
	char *url = NULL, *text = NULL;
	int rc = -1;

	set_common(a, &o);
	url = api_path(err, "%s%s", a->base, path);
	if (!url)
		goto out;
	if (body) {
		text = json_dumps(body, JSON_COMPACT);
		if (!text) {
			err_nomem(err);
			goto out;
		}
		o.body = text;
		o.body_len = strlen(text);
	}
	o.url = url;
	call = new_call(a, &o, false, err);
	if (!call || api_stream_run(call, err) < 0)
		goto out;
	rc = read_answer(call, ret, err);
out:
	http_call_free(call);
	free(text);
	free(url);
	json_decref(body);
	return rc;
}

int api_call(const struct api *a, const char *method, const char *path, json_t *body, json_t **ret, struct err *err)
{
	return call_within(a, API_CALL_TIMEOUT_MS, method, path, body, ret, err);
}

int api_call_long(
	const struct api *a, const char *method, const char *path, json_t *body, json_t **ret, struct err *err)
{
	return call_within(a, API_LONG_TIMEOUT_MS, method, path, body, ret, err);
}

struct http_call *api_stream_new(const struct api *a, const struct api_stream *s, struct err *err)
{
	struct http_call_options o = {
		.method = s->method,
		.answer_timeout_ms = s->answer_timeout_ms,
		.idle_timeout_ms = s->idle_timeout_ms,
		.on_answer = s->on_answer,
		.on_data = s->on_data,
		.gather_bytes = STREAM_GATHER_BYTES,
		.gather_ms = STREAM_GATHER_MS,
		.ctx = s->ctx,
	};
	struct http_call *call;
	char *url = api_path(err, "%s%s", a->base, s->path);

	if (!url)
		return NULL;
	set_common(a, &o);
	o.url = url;
	o.body = s->body;
	o.body_len = s->body ? strlen(s->body) : 0;
	call = new_call(a, &o, s->present_token, err);
	free(url);
	return call;
}

bool api_is_ours(const struct api *a, const char *url)
{
	const char *authority = strstr(a->base, "://") + 3;
	size_t n = (size_t)(authority - a->base) + strcspn(authority, "/");

	return !strncmp(url, a->base, n) && (url[n] == '/' || url[n] == '\0');
}

char *api_path(struct err *err, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		err_nomem(err);
	return text;
}

char *api_escape(const char *text, struct err *err)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = malloc(strlen(text) * 3 + 1), *p = out;

	if (!out) {
		err_nomem(err);
		return NULL;
	}
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-._~", c)) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	*p = '\0';
	return out;
}

int api_live_grace_s(const struct api *a, unsigned *ret, struct err *err)
{
	json_t *info = NULL, *grace;

	*ret = API_LIVE_GRACE_S;
	if (api_call(a, "GET", "/v1/info", NULL, &info, err) < 0)
		return -1;
	grace = json_object_get(json_object_get(info, "limits"), "live_grace_s");
	if (json_is_integer(grace) && json_integer_value(grace) >= 0 && json_integer_value(grace) <= LIVE_GRACE_MAX_S)
		*ret = (unsigned)json_integer_value(grace);
	json_decref(info);
	return 0;
}
