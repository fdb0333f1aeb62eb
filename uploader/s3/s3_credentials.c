/* s3_credentials.c - see s3_credentials.h: which keys are good now, and when others are fetched. */
#include "uploader/s3/s3_credentials_internal.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS      5000u  /* between two tries */
#define RENEW_MS      30000u /* the same while the keys at hand are still good */
#define EARLY_NS      (300 * CLOCK_NS_PER_S)
#define IMDS_TOTAL_MS 3000u

/* ---- keys ---- */

static int check_key(const char *name, const char *value, size_t size, const char *but_not, struct err *err)
{
	size_t n = strlen(value);

	if (n == 0)
		return err_set(err, ERR_INPUT, "%s is missing", name);
	if (n >= size)
		return err_set(err, ERR_INPUT, "%s is %zu bytes long, at most %zu", name, n, size - 1);
	for (size_t i = 0; i < n; i++) {
		if (value[i] <= ' ' || value[i] > '~' || strchr(but_not, value[i]))
			return err_set(err, ERR_INPUT, "%s: byte %zu is a blank or another character that no key has",
				name, i + 1);
	}
	return 0;
}

int s3_keys_set(struct s3_keys *ret, const struct s3_key_names *names, const char *access, const char *secret,
	const char *token, struct err *err)
{
	if (check_key(names->access, access ? access : "", sizeof(ret->access), "/,", err) < 0 ||
		check_key(names->secret, secret ? secret : "", sizeof(ret->secret), "", err) < 0 ||
		(token && *token && check_key(names->token, token, sizeof(ret->token), "", err) < 0))
		return -1;
	snprintf(ret->access, sizeof(ret->access), "%s", access);
	snprintf(ret->secret, sizeof(ret->secret), "%s", secret);
	snprintf(ret->token, sizeof(ret->token), "%s", token ? token : "");
	return 0;
}

/* ---- life ---- */

static int take_static(struct s3_credentials *c, const struct s3_credentials_options *o, struct err *err)
{
	static const struct s3_key_names names = {"s3.access_key", "s3.secret_key", "s3.session_token"};

	return s3_keys_set(&c->keys, &names, o->access_key, o->secret_key, o->session_token, err);
}

static int take_environment(struct s3_credentials *c, struct err *err)
{
	static const struct s3_key_names names = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"};

	if (s3_keys_set(&c->keys, &names, getenv(names.access), getenv(names.secret), getenv(names.token), err) < 0)
		return err_in(err, "S3 keys of the environment");
	return 0;
}

static const char *given(const char *text, const char *otherwise)
{
	return text && *text ? text : otherwise;
}

static int take_file(struct s3_credentials *c, const struct s3_credentials_options *o, struct err *err)
{
	if (!given(o->file, NULL)) {
		err_set(err, ERR_INPUT, "the path of the credentials file is missing");
		return err_field(err, "s3.credentials_file");
	}
	c->file = strdup(o->file);
	c->profile = strdup(given(o->profile, "default"));
	if (!c->file || !c->profile)
		return err_nomem(err);
	if (s3_file_read(c->file, c->profile, &c->keys, &c->seen, err) == 0)
		return 0;
	if (err && err->code == ERR_NOT_FOUND)
		err->code = ERR_INPUT;
	return -1;
}

static int take(struct s3_credentials *c, const struct s3_credentials_options *o, struct err *err)
{
	const char *url = given(o->imds_url, S3_IMDS_URL);

	switch (o->source) {
	case S3_SOURCE_STATIC:
		return take_static(c, o, err);
	case S3_SOURCE_ENVIRONMENT:
		return take_environment(c, err);
	case S3_SOURCE_FILE:
		return take_file(c, o, err);
	case S3_SOURCE_IMDS:
		if (s3_imds_check_url(url, err) < 0)
			return -1;
		return (c->imds_url = strdup(url)) ? 0 : err_nomem(err);
	}
	return err_set(err, ERR_INTERNAL, "S3 keys from source %d", (int)o->source);
}

struct s3_credentials *s3_credentials_new(const struct s3_credentials_options *o, struct err *err)
{
	struct s3_credentials *c = calloc(1, sizeof(*c));

	if (!c) {
		err_nomem(err);
		return NULL;
	}
	c->source = o->source;
	c->again_ms = AGAIN_MS;
	c->renew_ms = RENEW_MS;
	c->imds_total_ms = IMDS_TOTAL_MS;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->fetched, NULL);
	if (take(c, o, err) < 0) {
		s3_credentials_free(c);
		return NULL;
	}
	c->have = o->source != S3_SOURCE_IMDS;
	return c;
}

void s3_credentials_free(struct s3_credentials *c)
{
	if (!c)
		return;
	free(c->file);
	free(c->profile);
	free(c->imds_url);
	pthread_cond_destroy(&c->fetched);
	pthread_mutex_destroy(&c->lock);
	digest_wipe(c, sizeof(*c));
	free(c);
}

/* ---- when ---- */

static bool expired(const struct s3_credentials *c, uint64_t early_ns)
{
	uint64_t now_ns = clock_wall_ns();

	return c->expiry_ns > 0 && (c->expiry_ns <= now_ns || c->expiry_ns - now_ns <= early_ns);
}

static bool waited(const struct s3_credentials *c, unsigned ms)
{
	return c->tried_ns == 0 || clock_mono_ns() - c->tried_ns >= ms * CLOCK_NS_PER_MS;
}

static bool due(const struct s3_credentials *c)
{
	struct s3_file_seen now;

	if (c->source == S3_SOURCE_FILE) {
		now = s3_file_look(c->file);
		return !s3_file_same(&now, &c->seen) || (c->refused && waited(c, c->again_ms));
	}
	if (c->source != S3_SOURCE_IMDS)
		return false;
	if (!c->have || c->refused || expired(c, 0))
		return waited(c, c->again_ms);
	return expired(c, EARLY_NS) && waited(c, c->renew_ms);
}

/* Refused keys are given on until a try to have others has failed: those that were had since may be right. */
static bool usable(const struct s3_credentials *c)
{
	return c->have && !expired(c, 0) && !(c->refused && c->failure.code != ERR_NONE);
}

/* What is wrong with the file or the service now may be right in a minute, and no caller shall take it for the store's own answer ("not found"). */
static void make_passing(struct err *err)
{
	if (err->code != ERR_NET && err->code != ERR_TIMEOUT && err->code != ERR_NOMEM)
		err->code = ERR_UNAVAILABLE;
	err_detail(err, "no_keys");
}

/* ---- fetching ---- */

/* fetch: with the lock held, which is given up meanwhile.  The old keys stay when there are no new ones. */
static void fetch(struct s3_credentials *c)
{
	struct s3_imds_keys got = {0};
	struct s3_file_seen seen = {0};
	struct err failure = {0};
	int rc;

	c->fetching = true;
	c->tried_ns = clock_mono_ns();
	pthread_mutex_unlock(&c->lock);
	if (c->source == S3_SOURCE_FILE)
		rc = s3_file_read(c->file, c->profile, &got.keys, &seen, &failure);
	else
		rc = s3_imds_fetch(c->imds_url, c->imds_total_ms, &got, &failure);
	pthread_mutex_lock(&c->lock);
	c->fetching = false;
	c->seen = seen;
	c->failure = failure;
	if (rc == 0) {
		c->keys = got.keys;
		c->expiry_ns = got.expiry_ns;
		memcpy(c->role, got.role, sizeof(c->role));
		c->have = true;
		c->refused = false;
	} else {
		make_passing(&c->failure);
	}
	pthread_cond_broadcast(&c->fetched);
	digest_wipe(&got, sizeof(got));
}

/* Why there are none to give. */
static int tell_failure(const struct s3_credentials *c, struct err *err)
{
	char when[CLOCK_TEXT_MAX];

	if (c->failure.code == ERR_NONE) {
		err_set(err, ERR_UNAVAILABLE,
			"the keys of role %s ended at %s, and the instance metadata service has no newer ones", c->role,
			clock_rfc3339(c->expiry_ns, when));
		return err_detail(err, "no_keys");
	}
	if (err)
		*err = c->failure;
	return -1;
}

int s3_credentials_get(struct s3_credentials *c, struct s3_keys *ret, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	if (!c->fetching && due(c))
		fetch(c);
	/* Others do not wait for the one that fetches while there is something to give. */
	while (c->fetching && (c->refused || !usable(c)))
		pthread_cond_wait(&c->fetched, &c->lock);
	if (usable(c))
		*ret = c->keys;
	else
		rc = tell_failure(c, err);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

bool s3_credentials_refused(struct s3_credentials *c)
{
	bool others = c->source == S3_SOURCE_FILE || c->source == S3_SOURCE_IMDS;

	pthread_mutex_lock(&c->lock);
	c->refused = others;
	pthread_mutex_unlock(&c->lock);
	return others;
}

uint64_t s3_credentials_expiry(struct s3_credentials *c)
{
	uint64_t expiry_ns;

	pthread_mutex_lock(&c->lock);
	expiry_ns = c->expiry_ns;
	pthread_mutex_unlock(&c->lock);
	return expiry_ns;
}

void s3_credentials_describe(struct s3_credentials *c, char *ret, size_t size)
{
	char text[512];

	pthread_mutex_lock(&c->lock);
	switch (c->source) {
	case S3_SOURCE_STATIC:
		snprintf(text, sizeof(text), "static keys");
		break;
	case S3_SOURCE_ENVIRONMENT:
		snprintf(text, sizeof(text), "keys of the environment");
		break;
	case S3_SOURCE_FILE:
		snprintf(text, sizeof(text), "file %s", c->file);
		break;
	case S3_SOURCE_IMDS:
		snprintf(text, sizeof(text), "instance role%s%s", c->role[0] ? " " : "", c->role);
		break;
	}
	pthread_mutex_unlock(&c->lock);
	parse_printable(text, ret, size);
}
