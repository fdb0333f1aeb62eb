/* One request of a download.  No byte is taken before status, Content-Range and ETag say that it is a byte of the file at the place that
 * was asked for: a cache or proxy that answers with something else would corrupt the file. */
#include "cli/fetch/fetch_internal.h"
#include "cli/talk.h"
#include "common/clock.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX     6u
#define RENEWALS_MAX  3u
#define BACKOFF_MS    500u
#define PAUSE_STEP_MS 100u
#define TELL_EVERY_NS CLOCK_NS_PER_S
#define GATHER_BYTES  (256u * 1024)

static int refuse(struct fetch_call *c, enum fetch_end end)
{
	c->refusal = end;
	return -1;
}

static bool is_ranged(const struct fetch_call *c)
{
	return c->from > 0 || c->end < c->t->link.size;
}

/* ---- what the answer says ---- */

/* 200: all of the file. */
static int check_whole(struct fetch_call *c, const struct http_call *http)
{
	const char *length = http_call_header(http, "Content-Length");
	uint64_t n = 0, size = c->t->link.size;

	if (is_ranged(c) && !c->takes_whole)
		return refuse(c, FETCH_NO_RANGES);
	if (length && (parse_u64(length, 0, UINT64_MAX, &n, NULL) < 0 || n != size)) {
		err_set(&c->why, ERR_NET, "the server has a file of another size than the %" PRIu64 " bytes stored",
			size);
		return refuse(c, FETCH_NEVER);
	}
	c->drop = c->from;
	return 0;
}

/* 206: the bytes that were asked for, of a file of the right size. */
static int check_part(struct fetch_call *c, const struct http_call *http)
{
	const char *range = http_call_header(http, "Content-Range");
	char wanted[96], shown[96];

	snprintf(wanted, sizeof(wanted), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, c->from, c->end - 1,
		(uint64_t)c->t->link.size);
	if (is_ranged(c) && range && !strcasecmp(range, wanted))
		return 0;
	err_set(&c->why, ERR_NET, "asked for \"%s\" of the file, the server answered with \"%s\"", wanted,
		parse_printable(range ? range : "", shown, sizeof(shown)));
	return refuse(c, FETCH_NEVER);
}

static int on_answer(void *ctx, const struct http_call *http)
{
	struct fetch_call *c = ctx;
	int status = http_call_status(http);

	if (status / 100 != 2)
		return 0; /* its body may say why */
	if (status != 200 && status != 206) {
		err_set(&c->why, ERR_NET, "the server answered %d instead of the file", status);
		return refuse(c, FETCH_NEVER);
	}
	if ((status == 200 ? check_whole(c, http) : check_part(c, http)) < 0)
		return -1;
	if (fetch_link_check_etag(c->t, http_call_header(http, "ETag"), &c->why) < 0)
		return refuse(c, FETCH_NEVER);
	atomic_store(&c->t->is_answered, true);
	if (c->on_good)
		c->on_good(c->ctx);
	return 0;
}

static int on_data(void *ctx, const uint8_t *p, size_t n)
{
	struct fetch_call *c = ctx;
	size_t drop = c->drop < n ? (size_t)c->drop : n;

	c->drop -= drop;
	p += drop;
	n -= drop;
	if (n > c->end - c->from - c->got) {
		err_set(&c->why, ERR_INTERNAL, "the server sends more than the %" PRIu64 " bytes that were asked for",
			c->end - c->from);
		return refuse(c, FETCH_NEVER);
	}
	if (n && c->on_data(c->ctx, p, n, &c->why) < 0)
		return refuse(c, FETCH_NEVER);
	c->got += n;
	return 0;
}

/* ---- its life ---- */

static struct http_call *new_http(struct fetch_call *c, const char *url, struct err *err)
{
	const struct api *api = c->t->f->api;
	bool ours = api_is_ours(api, url), is_private = ours || atomic_load(&c->t->link.is_private);
	char range[64];
	const char *headers[] = {range, NULL};
	/* The link is its own permission: no bearer, wherever it leads. */
	struct http_call_options o = {
		.method = "GET",
		.url = url,
		.exact_path = true, /* it is signed as it stands */
		.tls = is_private && api->has_ca ? &api->tls : NULL,
		.use_proxy = !(ours && api->plain),
		.headers = is_ranged(c) ? headers : NULL,
		.answer_timeout_ms = FETCH_TIMEOUT_MS,
		.idle_timeout_ms = FETCH_TIMEOUT_MS,
		.gather_bytes = GATHER_BYTES,
		.on_answer = on_answer,
		.on_data = on_data,
		.ctx = c,
	};

	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64, c->from, c->end - 1);
	return http_call_new(&o, err);
}

int fetch_call_open(struct fetch_call *c, struct err *err)
{
	char *url = fetch_link_url(c->t, &c->generation, err);

	if (!url)
		return -1;
	c->drop = c->got = 0;
	c->refusal = FETCH_DONE;
	c->why = (struct err){0};
	c->http = new_http(c, url, err);
	free(url);
	return c->http ? 0 : -1;
}

void fetch_call_cancel(struct fetch_call *c)
{
	http_call_cancel(c->http);
}

void fetch_call_close(struct fetch_call *c)
{
	http_call_free(c->http);
	c->http = NULL;
}

enum fetch_end fetch_end_of(const struct err *err)
{
	switch (err->code) {
	case ERR_NET:
	case ERR_TIMEOUT:
	case ERR_UNAVAILABLE:
	case ERR_BUSY:
		return FETCH_LATER;
	default:
		return FETCH_NEVER;
	}
}

static enum fetch_end judge_status(const struct fetch_call *c, struct err *err)
{
	int status = http_call_status(c->http);

	if (http_call_error(c->http, err) == 0) {
		err_set(err, ERR_NET, "the server answered %d instead of the file", status);
		return FETCH_NEVER;
	}
	if (status == 403 || status == 410)
		return FETCH_EXPIRED;
	return status >= 500 ? FETCH_LATER : fetch_end_of(err);
}

/* A private store is often of the same CA as the gateway, which the user has given for that one; a public one is not. */
static enum fetch_end judge_failure(struct fetch_call *c, const struct err *err)
{
	if (c->t->f->api->has_ca && !strcmp(err->detail, API_CERTIFICATE) &&
		!atomic_exchange(&c->t->link.is_private, true))
		return FETCH_AT_ONCE;
	return fetch_end_of(err);
}

enum fetch_end fetch_call_run(struct fetch_call *c, struct err *err)
{
	int rc = stopper_run(c->t->stopper, c->http, err);

	if (c->refusal != FETCH_DONE) {
		*err = c->why;
		return c->refusal;
	}
	if (rc < 0)
		return judge_failure(c, err);
	if (http_call_status(c->http) / 100 != 2)
		return judge_status(c, err);
	if (c->got == c->end - c->from)
		return FETCH_DONE;
	err_set(err, ERR_NET, "got %" PRIu64 " of %" PRIu64 " bytes", c->got, c->end - c->from);
	return FETCH_LATER;
}

/* ---- another one? ---- */

static bool is_over(struct fetch_task *t)
{
	return atomic_load(&t->is_called_off) || stopper_is_leaving(t->stopper);
}

/* Several connections break at once, and the user needs to hear it once. */
static void tell(struct fetch_task *t, const struct err *why, uint64_t at)
{
	uint64_t now = clock_mono_ns(), told = t->told_ns;

	if (told && now - told < TELL_EVERY_NS)
		return;
	if (atomic_compare_exchange_strong(&t->told_ns, &told, now))
		talk_say("connection lost (%s); going on at byte %" PRIu64, why->msg, at);
}

/* A link that was good before may have expired; when fresh ones are refused as well, that is the answer. */
static bool renew(struct fetch_task *t, struct fetch_retry *r, unsigned generation, uint64_t at, struct err *why)
{
	if (at > r->at)
		r->renewals = 0;
	r->at = at;
	return r->renewals++ < RENEWALS_MAX && fetch_link_renew(t, generation, why) == 0;
}

/* What did not even begin is not worth a pause: it is said at once. */
static bool is_worth_a_pause(const struct fetch_task *t, const struct fetch_retry *r, enum fetch_end end)
{
	return end == FETCH_LATER && r->tries < TRIES_MAX && (r->seen || atomic_load(&t->is_answered));
}

bool fetch_retry(struct fetch_task *t, struct fetch_retry *r, enum fetch_end end, unsigned generation, uint64_t at,
	struct err *why)
{
	uint64_t seen = t->seen;
	unsigned left_ms;

	if (is_over(t))
		return false;
	if (end == FETCH_AT_ONCE)
		return true;
	if (end == FETCH_EXPIRED) {
		if (renew(t, r, generation, at, why))
			return true;
		end = fetch_end_of(why);
	}
	r->tries = seen > r->seen ? 1 : r->tries + 1;
	r->seen = seen;
	if (!is_worth_a_pause(t, r, end) || is_over(t))
		return false;
	tell(t, why, at);
	for (left_ms = BACKOFF_MS * r->tries; left_ms && !is_over(t); left_ms -= PAUSE_STEP_MS)
		stopper_sleep(t->stopper, PAUSE_STEP_MS);
	return !is_over(t);
}
