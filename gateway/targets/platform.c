#include "gateway/targets/platform.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/http_client.h"
#include "common/json_in.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS_MOST  5000u
#define RETRY_AFTER_MOST 3600u

int platform_open(
	struct platform *p, const char *what, const char *url, const char *ca, uint64_t timeout_ms, struct err *err)
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

static uint64_t at_most(uint64_t v, uint64_t most)
{
	return v < most ? v : most;
}

/* A date, which Retry-After may be too, counts as not said. */
static uint64_t retry_after(const struct http_call *call)
{
	const char *after = http_call_header(call, "Retry-After"), *reset = http_call_header(call, "X-RateLimit-Reset");
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S, s = 0;

	if (after && parse_u64(after, 0, UINT64_MAX, &s, NULL) == 0)
		return at_most(s, RETRY_AFTER_MOST);
	if (reset && parse_u64(reset, now_s, UINT64_MAX, &s, NULL) == 0)
		return at_most(s - now_s, RETRY_AFTER_MOST);
	return 0;
}

/* How a body begins, in printable characters. */
static void take_text(const void *p, size_t n, struct platform_answer *ret)
{
	char raw[sizeof(ret->text) + 1]; /* one more than fits: parse_printable shows that it was cut */

	n = n < sizeof(raw) - 1 ? n : sizeof(raw) - 1;
	if (n > 0)
		memcpy(raw, p, n);
	raw[n] = '\0';
	parse_printable(raw, ret->text, sizeof(ret->text));
}

static void take_answer(const struct http_call *call, struct platform_answer *ret)
{
	const struct buf *body = http_call_body(call);
	const char *location = http_call_header(call, "Location");

	ret->status = http_call_status(call);
	ret->retry_after_s = retry_after(call);
	if (location && strlen(location) < sizeof(ret->location))
		parse_printable(location, ret->location, sizeof(ret->location));
	if (body->len > 0 && !(ret->json = json_in_parse(body->data, body->len, NULL)))
		take_text(body->data, body->len, ret);
}

void platform_answer_done(struct platform_answer *a)
{
	json_decref(a->json);
	memset(a, 0, sizeof(*a));
}

/* ---- asking ---- */

/* The beginning of a body that nobody wants to read. */
struct glance {
	uint8_t bytes[sizeof(((struct platform_answer *)NULL)->text)];
	size_t n;
};

static int on_glance(void *ctx, const uint8_t *p, size_t n)
{
	struct glance *g = ctx;
	size_t room = sizeof(g->bytes) - g->n, take = n < room ? n : room;

	memcpy(g->bytes + g->n, p, take);
	g->n += take;
	return g->n < sizeof(g->bytes) ? 0 : -1;
}

static int no_answer(const struct platform *p, struct err *e)
{
	if (e->code == ERR_LIMIT) {
		e->code = ERR_NET;
		err_in(e, "the answer of %s cannot be taken", p->what);
		return err_detail(e, "platform_failed");
	}
	if (e->code != ERR_TIMEOUT && e->code != ERR_NOMEM)
		e->code = ERR_NET;
	err_in(e, "%s does not answer", p->what);
	return err_detail(e, "platform_unreachable");
}

static _Thread_local struct platform_stop *bound;

int platform_stop_init(struct platform_stop *s, struct err *err)
{
	s->call = NULL;
	s->stopped = false;
	return pthread_mutex_init(&s->lock, NULL) == 0 ? 0 : err_nomem(err);
}

void platform_stop_bind(struct platform_stop *s)
{
	bound = s;
}

void platform_stop_now(struct platform_stop *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	if (s->call)
		http_call_cancel(s->call);
	pthread_mutex_unlock(&s->lock);
}

void platform_stop_done(struct platform_stop *s)
{
	pthread_mutex_destroy(&s->lock);
}

/* As http_call_run, but platform_stop_now ends it. */
static int run(struct http_call *call, struct err *err)
{
	bool stopped;
	int rc;

	if (!bound)
		return http_call_run(call, err);
	pthread_mutex_lock(&bound->lock);
	stopped = bound->stopped;
	bound->call = call;
	pthread_mutex_unlock(&bound->lock);
	rc = stopped ? -1 : http_call_run(call, err);
	pthread_mutex_lock(&bound->lock);
	stopped = bound->stopped;
	bound->call = NULL;
	pthread_mutex_unlock(&bound->lock);
	return stopped ? err_set(err, ERR_NET, "it is not waited for any more") : rc;
}

/* glance NULL: the body is wanted. */
static int ask(const struct platform *p, const char *token, const char *path, struct glance *glance,
	struct platform_answer *ret, struct err *err)
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
		.on_data = glance ? on_glance : NULL,
		.ctx = glance,
	};
	const uint64_t begun_ns = clock_mono_ns();
	struct http_call *call;
	struct err e = {0};
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (!url)
		return err_nomem(err);
	call = http_call_new(&o, &e);
	free(url);
	rc = call ? run(call, &e) : -1;
	if (rc < 0 && e.code == ERR_CANCELLED) /* by on_glance, which had enough */
		rc = 0;
	if (rc == 0)
		take_answer(call, ret);
	http_call_free(call);
	metrics_platform_asked(p->metrics, ret->status, &e, clock_mono_ns() - begun_ns);
	if (rc < 0)
		no_answer(p, &e);
	if (rc < 0 && err)
		*err = e;
	return rc;
}

int platform_get(
	const struct platform *p, const char *token, const char *path, struct platform_answer *ret, struct err *err)
{
	return ask(p, token, path, NULL, ret, err);
}

int platform_probe(
	const struct platform *p, const char *token, const char *path, struct platform_answer *ret, struct err *err)
{
	struct glance g = {.n = 0};

	if (ask(p, token, path, &g, ret, err) < 0)
		return -1;
	if (g.n > 0)
		take_text(g.bytes, g.n, ret);
	return 0;
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

static bool is_redirect(int status)
{
	return status >= 300 && status < 400;
}

int platform_refuse(const struct platform *p, const struct platform_answer *a, const char *detail, struct err *err)
{
	const char *colon = detail[0] ? ": " : "";
	char shown[160], wait[48] = "";

	parse_printable(detail, shown, sizeof(shown));
	if (a->retry_after_s > 0)
		snprintf(wait, sizeof(wait), "; try again in %" PRIu64 " s", a->retry_after_s);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].status != a->status)
			continue;
		err_set(err, refusals[i].code, "%s %s%s%s%s", p->what, refusals[i].text, colon, shown, wait);
		return refusals[i].detail[0] ? err_detail(err, refusals[i].detail) : -1;
	}
	if (is_redirect(a->status))
		err_set(err, ERR_NET, "%s answers with a redirect (HTTP %d), which is not followed%s%s", p->what,
			a->status, colon, shown);
	else
		err_set(err, ERR_NET, "%s failed (HTTP %d)%s%s%s", p->what, a->status, colon, shown, wait);
	return err_detail(err, "platform_failed");
}

char *platform_encode(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~",
			  hex[] = "0123456789ABCDEF";
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
