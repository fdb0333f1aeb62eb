/* renewer.c - see renewer.h. */
#include "cli/login/renewer.h"

#include "cli/login/login.h"
#include "cli/talk.h"
#include "common/clock.h"
#include "common/id.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS      10000u
#define RETRY_MS     3000u
#define SLEEP_MAX_MS 60000u /* a laptop may have slept meanwhile: the wall clock counts */

struct renewer {
	const struct api *api;
	char job[ID_MAX];
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct http_call *call; /* under way */
	bool ending;
};

static uint64_t due_ms(const struct api *a)
{
	uint64_t first = a->login ? login_due_ms(a->login) : UINT64_MAX;
	uint64_t second = a->second ? login_due_ms(a->second) : UINT64_MAX;

	return first < second ? first : second;
}

/* False: the end has come. */
static bool wait_ms(struct renewer *r, uint64_t ms)
{
	struct timespec until = clock_deadline(ms < SLEEP_MAX_MS ? ms : SLEEP_MAX_MS);
	bool go_on;

	pthread_mutex_lock(&r->lock);
	while (!r->ending && pthread_cond_timedwait(&r->changed, &r->lock, &until) != ETIMEDOUT)
		;
	go_on = !r->ending;
	pthread_mutex_unlock(&r->lock);
	return go_on;
}

static void tell(struct login *l)
{
	struct err why;

	if (l && login_trouble(l, &why))
		talk_say("warning: %s; the capture goes on for as long as the gateway takes the old token", why.msg);
}

/* Did the gateway hear of it? */
static bool hand_over(struct renewer *r)
{
	struct api_stream o = {.method = "GET", .answer_timeout_ms = CALL_MS, .idle_timeout_ms = CALL_MS};
	struct http_call *call = NULL;
	bool heard = false;
	char path[64];

	snprintf(path, sizeof(path), "/v1/captures/%s", r->job);
	o.path = path;
	call = api_stream_new(r->api, &o, NULL); /* renews what is due */
	pthread_mutex_lock(&r->lock);
	r->call = r->ending ? NULL : call;
	pthread_mutex_unlock(&r->lock);
	if (r->call)
		heard = api_stream_run(call, NULL) == 0 && http_call_status(call) < 500;
	pthread_mutex_lock(&r->lock);
	r->call = NULL;
	pthread_mutex_unlock(&r->lock);
	http_call_free(call);
	tell(r->api->login);
	tell(r->api->second);
	return heard;
}

static void *renew_main(void *arg)
{
	struct renewer *r = arg;

	for (;;) {
		uint64_t ms = due_ms(r->api);

		if (!wait_ms(r, ms))
			break;
		if (due_ms(r->api))
			continue; /* not yet */
		while (!hand_over(r) || !due_ms(r->api))
			if (!wait_ms(r, RETRY_MS))
				return NULL;
	}
	return NULL;
}

struct renewer *renewer_start(const struct api *api, const char *job)
{
	struct renewer *r;

	if (due_ms(api) == UINT64_MAX || !(r = calloc(1, sizeof(*r))))
		return NULL;
	r->api = api;
	snprintf(r->job, sizeof(r->job), "%s", job);
	if (pthread_mutex_init(&r->lock, NULL) == 0 && clock_cond_init(&r->changed) == 0 &&
		pthread_create(&r->thread, NULL, renew_main, r) == 0)
		return r;
	free(r);
	return NULL;
}

void renewer_free(struct renewer *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	if (r->call)
		http_call_cancel(r->call);
	/* A renewal may take half a minute, and nobody waits for what comes of it. */
	if (r->api->login)
		login_cancel(r->api->login);
	if (r->api->second)
		login_cancel(r->api->second);
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
