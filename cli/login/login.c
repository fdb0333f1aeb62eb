/* login.c - see login.h. */
#include "cli/login/login.h"

#include "common/clock.h"
#include "common/digest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_S 2u
#define RETRY_MOST_S  30u
/* A tool that keeps its token for longer than we would renews it in its last minute; asked then, it will. */
#define OTHERS_LEFT_S 45u

struct login {
	struct login_source source;
	pthread_mutex_t renewing; /* held while a new token is asked for */
	pthread_mutex_t lock;     /* guards what follows */
	char *token;              /* "" : none */
	struct token_info info;
	uint64_t due_s;  /* wall time; 0: never */
	unsigned wait_s; /* after the next failure */
	struct err trouble;
	bool has_trouble;
	bool is_cancelled;
};

static uint64_t now_s(void)
{
	return clock_wall_ns() / CLOCK_NS_PER_S;
}

static void free_source(const struct login_source *s)
{
	if (s && s->free)
		s->free(s->ctx);
}

/* ---- under the lock ---- */

static bool is_expired(const struct login *l)
{
	return !*l->token || (l->info.expires_s && l->info.expires_s <= now_s());
}

/* fresh: it was made just now, so that our clock need not agree with the issuer's. */
static void schedule(struct login *l, bool fresh)
{
	const struct token_info *t = &l->info;
	uint64_t now = now_s();

	l->due_s = token_renew_s(t);
	if (fresh && l->due_s && t->issued_s && t->issued_s < t->expires_s)
		l->due_s = now + (t->expires_s - t->issued_s) * 3 / 4;
	if (!l->source.renew)
		l->due_s = 0;
	else if (!*l->token)
		l->due_s = 1;
}

/* The same token again, or one as old: it is good until its end, and a new one will come late. */
static void schedule_same(struct login *l)
{
	uint64_t now = now_s(), late = l->info.expires_s > OTHERS_LEFT_S ? l->info.expires_s - OTHERS_LEFT_S : 0;

	l->due_s = late > now + RETRY_FIRST_S ? late : now + RETRY_FIRST_S;
}

static void take(struct login *l, char *token)
{
	struct token_info info;
	bool is_newer;

	token_read(token, &info);
	is_newer = !*l->token || info.expires_s > l->info.expires_s || !info.expires_s;
	digest_wipe_free(l->token);
	l->token = token;
	l->info = info;
	l->wait_s = RETRY_FIRST_S;
	l->has_trouble = false;
	l->trouble = (struct err){0};
	if (is_newer)
		schedule(l, info.expires_s <= now_s() || token_renew_s(&info) <= now_s());
	else
		schedule_same(l);
}

static void failed(struct login *l, const struct err *why)
{
	if (!l->trouble.code)
		l->has_trouble = true;
	l->trouble = *why;
	l->due_s = now_s() + l->wait_s;
	l->wait_s = l->wait_s * 2 < RETRY_MOST_S ? l->wait_s * 2 : RETRY_MOST_S;
}

static bool is_due(const struct login *l)
{
	return l->due_s && l->due_s <= now_s();
}

/* ---- renewal ---- */

/* With renewing held. */
static int renew(struct login *l, struct err *err)
{
	struct err why = {0};
	char *old, *fresh = NULL;
	int rc;

	pthread_mutex_lock(&l->lock);
	old = is_due(l) && !l->is_cancelled ? strdup(l->token) : NULL; /* else another thread has done it meanwhile */
	pthread_mutex_unlock(&l->lock);
	if (!old)
		return 0;
	rc = l->source.renew(l->source.ctx, old, &fresh, &why);
	digest_wipe_free(old);
	pthread_mutex_lock(&l->lock);
	if (rc == 0)
		take(l, fresh);
	else if (!l->is_cancelled)
		failed(l, &why);
	pthread_mutex_unlock(&l->lock);
	if (rc < 0 && err)
		*err = why;
	return rc;
}

struct login *login_new(const char *token, const struct login_source *source, struct err *err)
{
	struct login *l = calloc(1, sizeof(*l));

	if (!l || !(l->token = strdup(token ? token : "")) || pthread_mutex_init(&l->lock, NULL) ||
		pthread_mutex_init(&l->renewing, NULL)) { /* locks cannot fail with these attributes on Linux */
		if (l)
			free(l->token);
		free(l);
		free_source(source);
		err_nomem(err);
		return NULL;
	}
	if (source)
		l->source = *source;
	l->wait_s = RETRY_FIRST_S;
	token_read(l->token, &l->info);
	schedule(l, false);
	return l;
}

void login_free(struct login *l)
{
	if (!l)
		return;
	free_source(&l->source);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->renewing);
	digest_wipe_free(l->token);
	free(l);
}

int login_ready(struct login *l, struct err *err)
{
	struct err why = {0};
	bool good;

	pthread_mutex_lock(&l->renewing);
	renew(l, &why);
	pthread_mutex_unlock(&l->renewing);
	pthread_mutex_lock(&l->lock);
	good = l->source.renew ? !is_expired(l) : *l->token != '\0'; /* PCAP_TOKEN is the gateway's to judge */
	pthread_mutex_unlock(&l->lock);
	if (good)
		return 0;
	if (!why.code)
		return err_set(
			err, ERR_AUTH, "the token that came from the login has expired already; is the clock right?");
	if (err)
		*err = why;
	return -1;
}

static char *copy_token(struct login *l)
{
	char *ret;

	pthread_mutex_lock(&l->lock);
	ret = strdup(l->token);
	pthread_mutex_unlock(&l->lock);
	return ret;
}

char *login_token(struct login *l)
{
	bool due, expired;

	pthread_mutex_lock(&l->lock);
	due = is_due(l) && !l->is_cancelled;
	expired = is_expired(l);
	pthread_mutex_unlock(&l->lock);
	/* As long as the old one is good nobody waits for another thread's renewal. */
	if (due && (expired ? pthread_mutex_lock(&l->renewing) : pthread_mutex_trylock(&l->renewing)) == 0) {
		renew(l, NULL);
		pthread_mutex_unlock(&l->renewing);
	}
	return copy_token(l);
}

char *login_present(struct login *l)
{
	bool expired;

	pthread_mutex_lock(&l->lock);
	expired = is_expired(l);
	pthread_mutex_unlock(&l->lock);
	return expired ? login_token(l) : copy_token(l);
}

void login_cancel(struct login *l)
{
	pthread_mutex_lock(&l->lock);
	l->is_cancelled = true;
	pthread_mutex_unlock(&l->lock);
	if (l->source.cancel)
		l->source.cancel(l->source.ctx);
}

uint64_t login_due_ms(struct login *l)
{
	uint64_t now = now_s(), ret = UINT64_MAX;

	pthread_mutex_lock(&l->lock);
	if (l->due_s)
		ret = l->due_s > now ? (l->due_s - now) * 1000 : 0;
	pthread_mutex_unlock(&l->lock);
	return ret;
}

bool login_trouble(struct login *l, struct err *ret)
{
	bool has;

	pthread_mutex_lock(&l->lock);
	has = l->has_trouble;
	*ret = l->trouble;
	l->has_trouble = false;
	pthread_mutex_unlock(&l->lock);
	return has;
}

void login_info(struct login *l, struct token_info *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->info;
	pthread_mutex_unlock(&l->lock);
}
