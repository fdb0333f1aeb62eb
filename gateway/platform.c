#include "gateway/platform.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/http_client.h"
#include "common/json_in.h"
#include "common/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS_MOST  5000u
#define RETRY_AFTER_MOST 3600u

int platform_open(struct platform *p, const char *what, const char *url, const char *ca, uint64_t timeout_ms, struct err *err)
{
	size_t n = strlen(url);

	memset(p, 0, sizeof(*p));
	while (n > 0 && url[n - 1] == '/')
		n--;
	p->timeout_ms = timeout_ms;
	p->what = strdup(what);
	p->url = strndup(url, n);
	if (!p->what || !p->url) {
		platform_close(p);
		return err_nomem(err);
	}
	if (tls_files_load(&p->tls, NULL, NULL, ca[0] ? ca : NULL, err) == 0)
		return 0;
	platform_close(p);
	return -1;
}

void platform_close(struct platform *p)
{
	free(p->what);
	free(p->url);
	tls_files_done(&p->tls);
	memset(p, 0, sizeof(*p));
}

/* ---- an answer ---- */

static uint64_t retry_after(const struct http_call *call)
{
	const char *after = http_call_header(call, "Retry-After"), *reset = http_call_header(call, "X-RateLimit-Reset");
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S, s = 0;

	if (after && parse_u64(after, 0, RETRY_AFTER_MOST, &s, NULL) == 0)
		return s;
	if (reset && parse_u64(reset, now_s, now_s + RETRY_AFTER_MOST, &s, NULL) == 0)
		return s - now_s;
	return 0;
}

static void take_answer(const struct http_call *call, struct platform_answer *ret)
{
	const struct buf *body = http_call_body(call);
	const char *location = http_call_header(call, "Location");

	ret->status = http_call_status(call);
	ret->retry_after_s = retry_after(call);
	if (location && strlen(location) < sizeof(ret->location))
		snprintf(ret->location, sizeof(ret->location), "%s", location);
	if (body->len == 0 || (ret->json = json_in_parse(body->data, body->len, NULL)))
		return;
	snprintf(ret->text, sizeof(ret->text), "%.*s", (int)(body->len < sizeof(ret->text) ? body->len : sizeof(ret->text) - 1),
		(const char *)body->data);
}

void platform_answer_done(struct platform_answer *a)
{
	json_decref(a->json);
	memset(a, 0, sizeof(*a));
}

int platform_get(const struct platform *p, const char *token, const char *path, struct platform_answer *ret, struct err *err)
{
	static const char *const headers[] = {"Accept: application/json", NULL};
	char *url = fs_path("%s%s", p->url, path);
	struct http_call_options o = {
		.method = "GET",
		.url = url,
		.tls = &p->tls,
		.bearer = token,
		.headers = headers,
		.exact_path = true,
		.connect_timeout_ms = p->timeout_ms < CONNECT_MS_MOST ? (unsigned)p->timeout_ms : CONNECT_MS_MOST,
		.total_timeout_ms = (unsigned)p->timeout_ms,
		.body_bytes_max = PLATFORM_BODY_MAX,
	};
	struct http_call *call;
	struct err e = {0};
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (!url)
		return err_nomem(err);
	call = http_call_new(&o, &e);
	free(url);
	rc = call ? http_call_run(call, &e) : -1;
	if (rc == 0)
		take_answer(call, ret);
	http_call_free(call);
	if (rc == 0)
		return 0;
	if (e.code != ERR_TIMEOUT && e.code != ERR_NOMEM)
		e.code = ERR_NET;
	err_in(&e, "%s does not answer", p->what);
	err_detail(&e, "platform_unreachable");
	if (err)
		*err = e;
	return -1;
}

/* ---- what is wrong with it ---- */

static const struct {
	int status;
	enum err_code code;
	const char *text, *detail;
} refusals[] = {
	{401, ERR_AUTH, "does not take the token; log in again", "platform_token"},
	{403, ERR_PERM, "does not allow it", ""},
	{404, ERR_NOT_FOUND, "does not know it, or does not show it to you", ""},
	{429, ERR_BUSY, "asks for fewer requests with your token", "platform_busy"},
	{503, ERR_UNAVAILABLE, "is not available now", "platform_failed"},
};

int platform_refuse(const struct platform *p, const struct platform_answer *a, const char *detail, struct err *err)
{
	const char *colon = detail[0] ? ": " : "";
	char shown[160];

	parse_printable(detail, shown, sizeof(shown));
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].status != a->status)
			continue;
		err_set(err, refusals[i].code, "%s %s%s%s", p->what, refusals[i].text, colon, shown);
		return refusals[i].detail[0] ? err_detail(err, refusals[i].detail) : -1;
	}
	err_set(err, ERR_NET, "%s failed (HTTP %d)%s%s", p->what, a->status, colon, shown);
	return err_detail(err, "platform_failed");
}

char *platform_encode(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", hex[] = "0123456789ABCDEF";
	char *ret = malloc(3 * strlen(text) + 1), *out = ret;

	if (!ret)
		return NULL;
	for (; *text; text++) {
		if (strchr(plain, *text)) {
			*out++ = *text;
		} else {
			*out++ = '%';
			*out++ = hex[(unsigned char)*text >> 4];
			*out++ = hex[(unsigned char)*text & 15];
		}
	}
	*out = '\0';
	return ret;
}
