#include "gateway/audit/audit_webhook.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/http_client.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define QUEUE_MAX       1000u
#define ATTEMPTS_MAX    10u
#define PAUSE_FIRST_MS  500u
#define PAUSE_MOST_MS   60000u
#define LAST_WORDS_NS   (2 * CLOCK_NS_PER_S)
#define SECRET_LEAST    16u
#define SECRET_MOST     4096u
#define ANSWER_MOST     65536u
#define SIGNATURE_BYTES 160

struct audit_webhook {
	const struct config_gateway *config;
	char *secret;
	struct tls_files tls;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* by lock */
	char *queue[QUEUE_MAX]; /* a ring */
	size_t first, n;
	uint64_t lost;
	bool busy;              /* with one that is in the queue no more */
	struct http_call *call; /* under way; NULL: none */
	uint64_t stop_ns;       /* monotonic: the end of last words; 0: go on */
};

/* ---- one call ---- */

static void sign(const struct audit_webhook *w, const char *body, char ret[SIGNATURE_BYTES])
{
	char mac[DIGEST_SHA256_HEX_MAX] = "", *text;
	uint64_t now_s = clock_wall_ns() / CLOCK_NS_PER_S;

	if ((text = fs_path("%" PRIu64 ".%s", now_s, body)))
		digest_hmac_hex(w->secret, strlen(w->secret), text, strlen(text), mac);
	free(text);
	snprintf(ret, SIGNATURE_BYTES, "Pcap-Signature: t=%" PRIu64 ",v1=%s", now_s, mac);
}

static int run_call(struct audit_webhook *w, struct http_call *call, struct err *err)
{
	int rc;

	pthread_mutex_lock(&w->lock);
	w->call = call;
	if (w->stop_ns > 0 && clock_mono_ns() >= w->stop_ns)
		http_call_cancel(call);
	pthread_mutex_unlock(&w->lock);
	rc = http_call_run(call, err);
	pthread_mutex_lock(&w->lock);
	w->call = NULL;
	pthread_mutex_unlock(&w->lock);
	return rc;
}

/* Signed afresh each time: who hears it may refuse what is too old. */
static int tell(struct audit_webhook *w, const char *body, struct err *err)
{
	char signature[SIGNATURE_BYTES];
	const char *const headers[] = {signature, NULL};
	const unsigned timeout_ms = (unsigned)w->config->webhook_timeout_ms;
	const struct http_call_options o = {
		.method = "POST",
		.url = w->config->webhook_url,
		.tls = w->config->webhook_ca[0] ? &w->tls : NULL,
		.headers = headers,
		.body = body,
		.body_len = strlen(body),
		.connect_timeout_ms = timeout_ms,
		.answer_timeout_ms = timeout_ms,
		.total_timeout_ms = timeout_ms,
		.body_bytes_max = ANSWER_MOST,
	};
	struct http_call *call;
	int rc, status;

	sign(w, body, signature);
	if (!(call = http_call_new(&o, err)))
		return -1;
	rc = run_call(w, call, err);
	status = http_call_status(call);
	/* An answer is an answer, whatever its body is like. */
	if (status >= 200 && status < 300)
		rc = 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NET, "it answered %d", status);
	http_call_free(call);
	return rc;
}

/* ---- the thread ---- */

/* Sleeps unless it is to stop. */
static bool pause_ms(struct audit_webhook *w, unsigned ms)
{
	struct timespec until = clock_deadline(ms);
	bool stop;

	pthread_mutex_lock(&w->lock);
	while (w->stop_ns == 0 && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
		;
	stop = w->stop_ns > 0;
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

static void tell_until_heard(struct audit_webhook *w, const char *body)
{
	unsigned pause = PAUSE_FIRST_MS, n;
	struct err err = {0};

	for (n = 1;; n++) {
		err = (struct err){0};
		if (tell(w, body, &err) == 0)
			return;
		if (n == 1)
			log_err(LOG_LEVEL_WARNING, "audit.webhook_failed", &err, NULL);
		if (n == ATTEMPTS_MAX || !pause_ms(w, pause))
			break;
		pause = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
	}
	pthread_mutex_lock(&w->lock);
	w->lost++;
	pthread_mutex_unlock(&w->lock);
	if (n == ATTEMPTS_MAX) /* else it is the end that cuts it short, which says so for all */
		log_err(LOG_LEVEL_ERROR, "audit.webhook_lost", &err, NULL);
}

/* The next one; NULL: there is none any more, and nothing is to be waited for. */
static char *take(struct audit_webhook *w)
{
	char *body = NULL;

	pthread_mutex_lock(&w->lock);
	w->busy = false;
	pthread_cond_broadcast(&w->changed);
	while (w->n == 0 && w->stop_ns == 0)
		pthread_cond_wait(&w->changed, &w->lock);
	if (w->n > 0 && (w->stop_ns == 0 || clock_mono_ns() < w->stop_ns)) {
		body = w->queue[w->first];
		w->first = (w->first + 1) % QUEUE_MAX;
		w->n--;
		w->busy = true;
	}
	pthread_mutex_unlock(&w->lock);
	return body;
}

static void *run(void *arg)
{
	struct audit_webhook *w = arg;
	char *body;

	pthread_setname_np(pthread_self(), "webhook");
	while ((body = take(w))) {
		tell_until_heard(w, body);
		free(body);
	}
	return NULL;
}

/* ---- for others ---- */

void audit_webhook_put(struct audit_webhook *w, const char *action, const char *line)
{
	char *copy;

	if (!w || !config_webhook_wants(w->config, action))
		return;
	copy = strdup(line);
	pthread_mutex_lock(&w->lock);
	if (copy && w->n < QUEUE_MAX) {
		w->queue[(w->first + w->n++) % QUEUE_MAX] = copy;
		copy = NULL;
		pthread_cond_broadcast(&w->changed);
	} else if (w->lost++ % QUEUE_MAX == 0) {
		log_event(LOG_LEVEL_ERROR, "audit.webhook_full", json_pack("{s:I}", "lost", (json_int_t)w->lost));
	}
	pthread_mutex_unlock(&w->lock);
	free(copy);
}

static int load_secret(struct audit_webhook *w, struct err *err)
{
	const char *path = w->config->webhook_secret_file;
	struct stat st;
	size_t n;

	if (stat(path, &st) < 0)
		return err_sys(err, errno, "webhook.secret_file: %s", path);
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return err_set(err, ERR_PERM,
			"webhook.secret_file: %s: mode is %03o, others may not read it (0600 or 0640)", path,
			(unsigned)st.st_mode & 0777u);
	if (!(w->secret = fs_read_text(path, SECRET_MOST, err)))
		return err_in(err, "webhook.secret_file");
	n = strcspn(w->secret, "\r\n");
	if (w->secret[n + strspn(w->secret + n, "\r\n")] != '\0' || n < SECRET_LEAST)
		return err_set(err, ERR_INPUT, "webhook.secret_file: %s: is to hold one line of %u characters or more",
			path, SECRET_LEAST);
	w->secret[n] = '\0';
	return 0;
}

static void done(struct audit_webhook *w)
{
	while (w->n > 0) {
		free(w->queue[w->first]);
		w->first = (w->first + 1) % QUEUE_MAX;
		w->n--;
	}
	digest_wipe_free(w->secret);
	tls_files_done(&w->tls);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

struct audit_webhook *audit_webhook_start(const struct config_gateway *c, struct err *err)
{
	struct audit_webhook *w = calloc(1, sizeof(*w));
	int rc;

	if (!w || pthread_mutex_init(&w->lock, NULL) != 0) {
		free(w);
		err_nomem(err);
		return NULL;
	}
	w->config = c;
	if (clock_cond_init(&w->changed) != 0) {
		pthread_mutex_destroy(&w->lock);
		free(w);
		err_nomem(err);
		return NULL;
	}
	if (load_secret(w, err) < 0 ||
		(c->webhook_ca[0] && tls_files_load(&w->tls, NULL, NULL, c->webhook_ca, err) < 0))
		goto fail;
	if ((rc = pthread_create(&w->thread, NULL, run, w)) == 0)
		return w;
	err_sys(err, rc, "thread of the webhook");
fail:
	done(w);
	return NULL;
}

void audit_webhook_stop(struct audit_webhook *w)
{
	struct timespec until = clock_deadline(LAST_WORDS_NS / CLOCK_NS_PER_MS);

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop_ns = clock_mono_ns() + LAST_WORDS_NS;
	pthread_cond_broadcast(&w->changed);
	while ((w->n > 0 || w->busy) && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
		;
	w->stop_ns = 1;
	if (w->call)
		http_call_cancel(w->call);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	if (w->n > 0 || w->lost > 0)
		log_event(LOG_LEVEL_WARNING, "audit.webhook_lost",
			json_pack("{s:I}", "records", (json_int_t)w->n + (json_int_t)w->lost));
	done(w);
}
