#include "uploader/s3/s3_endpoint.h"

#include "common/http_client.h"
#include "common/parse.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX    16u
#define CONNECT_TIMEOUT_MS 10000u
#define IDLE_TIMEOUT_MS    30000u

/* "https://host[:port]" apart. */
static int take_url(struct s3_endpoint *e, const char *url, struct err *err)
{
	const char *at;
	char host[256], where[300];
	uint16_t port, own;

	e->is_tls = strncmp(url, "https://", 8) == 0;
	at = url + (e->is_tls ? 8 : 7);
	own = e->is_tls ? 443 : 80;
	if (!e->is_tls && strncmp(url, "http://", 7) != 0)
		return err_set(err, ERR_INPUT, "endpoint \"%s\": it begins with neither https:// nor http://", url);
	if (strpbrk(at, "/?#@ "))
		return err_set(err, ERR_INPUT, "endpoint \"%s\": nothing but host and port may follow the scheme", url);
	if (parse_host_port(at, own, host, &port, err) < 0)
		return err_in(err, "endpoint \"%s\"", url);
	if (port != own)
		parse_join_host_port(host, port, where, sizeof(where));
	else
		snprintf(where, sizeof(where), strchr(host, ':') ? "[%s]" : "%s", host);
	e->url = strdup(url);
	e->host = strdup(where);
	return e->url && e->host ? 0 : err_nomem(err);
}

int s3_endpoint_init(struct s3_endpoint *e, const struct s3_client_options *o, struct err *err)
{
	memset(e, 0, sizeof(*e));
	e->credentials = o->credentials;
	if (pthread_mutex_init(&e->lock, NULL) != 0)
		goto fail_lock;
	if (pthread_cond_init(&e->freed, NULL) != 0)
		goto fail_cond;
	e->path_style = o->path_style;
	e->uploads_max = o->connections_max ? o->connections_max : CONNECTIONS_MAX;
	e->connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	e->idle_timeout_ms = o->idle_timeout_ms ? o->idle_timeout_ms : IDLE_TIMEOUT_MS;
	e->has_ca = o->ca_file && o->ca_file[0];
	if (!(e->bucket = strdup(o->bucket))) {
		err_nomem(err);
		goto fail;
	}
	if (take_url(e, o->endpoint, err) < 0 ||
		(e->has_ca && tls_files_load(&e->tls, NULL, NULL, o->ca_file, err) < 0))
		goto fail;
	return 0;
fail:
	s3_endpoint_done(e);
	return -1;
fail_cond:
	pthread_mutex_destroy(&e->lock);
fail_lock:
	s3_credentials_free(e->credentials);
	e->credentials = NULL;
	return err_nomem(err);
}

void s3_endpoint_done(struct s3_endpoint *e)
{
	s3_credentials_free(e->credentials);
	tls_files_done(&e->tls);
	pthread_cond_destroy(&e->freed);
	pthread_mutex_destroy(&e->lock);
	free(e->url);
	free(e->host);
	free(e->bucket);
}

/* ---- giving up ---- */

/* On its thread's stack. */
struct s3_running {
	struct http_call *call;
	const atomic_bool *flag;
	struct s3_running *next;
};

const atomic_bool s3_to_the_end;

static bool is_cancelled(const struct s3_endpoint *e, const atomic_bool *flag)
{
	return (flag && atomic_load(flag)) || (flag != &s3_to_the_end && atomic_load(&e->cancelled));
}

int s3_endpoint_check(const struct s3_endpoint *e, const atomic_bool *flag, struct err *err)
{
	return is_cancelled(e, flag) ? err_set(err, ERR_CANCELLED, "given up") : 0;
}

void s3_endpoint_cancel(struct s3_endpoint *e, atomic_bool *flag)
{
	pthread_mutex_lock(&e->lock);
	atomic_store(flag ? flag : &e->cancelled, true);
	for (struct s3_running *r = e->running; r; r = r->next)
		if (is_cancelled(e, r->flag))
			http_call_cancel(r->call);
	pthread_cond_broadcast(&e->freed);
	pthread_mutex_unlock(&e->lock);
}

static int running_add(struct s3_endpoint *e, struct s3_running *r, struct err *err)
{
	int rc;

	pthread_mutex_lock(&e->lock);
	if ((rc = s3_endpoint_check(e, r->flag, err)) == 0) {
		r->next = e->running;
		e->running = r;
	}
	pthread_mutex_unlock(&e->lock);
	return rc;
}

static void running_drop(struct s3_endpoint *e, struct s3_running *r)
{
	struct s3_running **at = &e->running;

	pthread_mutex_lock(&e->lock);
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	pthread_mutex_unlock(&e->lock);
}

int s3_endpoint_run(struct s3_endpoint *e, struct http_call *call, const atomic_bool *flag, struct err *err)
{
	struct s3_running self = {.call = call, .flag = flag};
	int rc;

	if (running_add(e, &self, err) < 0)
		return -1;
	rc = http_call_run(call, err);
	running_drop(e, &self);
	return rc;
}

/* ---- one after the other ---- */

int s3_endpoint_enter(struct s3_endpoint *e, const atomic_bool *flag, struct err *err)
{
	int rc;

	pthread_mutex_lock(&e->lock);
	while ((rc = s3_endpoint_check(e, flag, err)) == 0 && e->uploads >= e->uploads_max)
		pthread_cond_wait(&e->freed, &e->lock);
	e->uploads += rc == 0;
	pthread_mutex_unlock(&e->lock);
	return rc;
}

void s3_endpoint_leave(struct s3_endpoint *e)
{
	pthread_mutex_lock(&e->lock);
	e->uploads--;
	pthread_cond_broadcast(&e->freed); /* the one that a signal wakes may just have been given up */
	pthread_mutex_unlock(&e->lock);
}

/* While keys are changed, the store may have forgotten the old ones a moment before we learn the new ones, or learn of the new ones a moment after us. */
void s3_endpoint_keys_refused(struct s3_endpoint *e, struct err *err)
{
	if (s3_credentials_refused(e->credentials) && err)
		err->code = ERR_UNAVAILABLE;
}
