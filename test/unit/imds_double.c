/* imds_double.c - see imds_double.h.  The n-th keys are "AKn", "SKn" and "TKn". */
#include "test/unit/imds_double.h"

#include "common/clock.h"
#include "test/unit/http_double.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROLES "/latest/meta-data/iam/security-credentials/"

static void answer_session(struct imds_double *d, struct http_request *rq, const struct imds_say *say)
{
	const struct timespec tick = {.tv_nsec = 1000000};
	char session[sizeof(d->session)];
	unsigned n = atomic_fetch_add(&d->sessions, 1) + 1;

	while (atomic_load(&d->hold))
		nanosleep(&tick, NULL);
	snprintf(session, sizeof(session), "SESSION-%u==", n);
	pthread_mutex_lock(&d->lock);
	memcpy(d->session, session, sizeof(session));
	pthread_mutex_unlock(&d->lock);
	http_reply_text(rq, say->session_status ? say->session_status : 200, "text/plain",
		say->session ? say->session : session);
}

static void answer_keys(struct imds_double *d, struct http_request *rq, const struct imds_say *say)
{
	unsigned n = atomic_fetch_add(&d->keys, 1) + 1;
	char body[512], expiry[CLOCK_TEXT_MAX];

	snprintf(body, sizeof(body),
		"{\"Code\":\"Success\",\"LastUpdated\":\"2026-01-05T10:00:00Z\",\"Type\":\"AWS-HMAC\","
		"\"AccessKeyId\":\"AK%u\",\"SecretAccessKey\":\"SK%u\",\"Token\":\"TK%u\",\"Expiration\":\"%s\"}",
		n, n, n, clock_rfc3339(say->expiry_ns, expiry));
	http_reply_text(rq, say->keys_status ? say->keys_status : 200, "text/plain", say->keys ? say->keys : body);
}

static void on_request(void *ctx, struct http_request *rq)
{
	const char *method = http_request_method(rq), *path = http_request_path(rq);
	const char *ttl = http_request_header(rq, "X-aws-ec2-metadata-token-ttl-seconds");
	const char *session = http_request_header(rq, "X-aws-ec2-metadata-token");
	struct imds_double *d = ctx;
	struct imds_say say;
	bool known;

	pthread_mutex_lock(&d->lock);
	say = d->say;
	known = session && *session && strcmp(session, say.session ? say.session : d->session) == 0;
	pthread_mutex_unlock(&d->lock);
	if (strcmp(method, "PUT") == 0 && strcmp(path, "/latest/api/token") == 0 && ttl && strcmp(ttl, "60") == 0) {
		answer_session(d, rq, &say);
	} else if (strcmp(method, "GET") == 0 && known && strcmp(path, ROLES) == 0) {
		atomic_fetch_add(&d->roles, 1);
		http_reply_text(
			rq, say.roles_status ? say.roles_status : 200, "text/plain", say.roles ? say.roles : IMDS_ROLE);
	} else if (strcmp(method, "GET") == 0 && known && strcmp(path, ROLES IMDS_ROLE) == 0) {
		answer_keys(d, rq, &say);
	} else {
		atomic_fetch_add(&d->foreign, 1);
		http_reply_text(rq, 401, "text/plain", "");
	}
}

void imds_double_start(struct imds_double *d)
{
	memset(d, 0, sizeof(*d));
	pthread_mutex_init(&d->lock, NULL);
	d->server = http_double_start(on_request, d);
	snprintf(d->url, sizeof(d->url), "http://127.0.0.1:%u/", http_server_port(d->server));
}

void imds_double_say(struct imds_double *d, const struct imds_say *say)
{
	pthread_mutex_lock(&d->lock);
	d->say = *say;
	pthread_mutex_unlock(&d->lock);
}

void imds_double_stop(struct imds_double *d)
{
	atomic_store(&d->hold, false);
	http_server_stop(d->server);
	pthread_mutex_destroy(&d->lock);
}
