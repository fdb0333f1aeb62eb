#include "gateway/storage/examination.h"

#include "common/clock.h"
#include "common/log.h"
#include "uploader/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MS 600000u
#define AGAIN_MS 30000u

struct examination {
	struct examination_options o;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* by lock */
	bool stopping, done; /* done: the findings are known */
	struct driver_findings findings;
};

static const char *severity_name(enum driver_severity s)
{
	static const char *const names[] = {
		[DRIVER_GOOD] = "good", [DRIVER_NOTE] = "note", [DRIVER_WARNING] = "warning", [DRIVER_ERROR] = "error"};

	return names[s];
}

static enum log_level level_of(enum driver_severity s)
{
	return s == DRIVER_ERROR ? LOG_LEVEL_ERROR : s == DRIVER_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
}

static bool holds(const struct driver_findings *all, const struct driver_finding *f)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct driver_finding *g = &all->items[i];

		if (g->severity == f->severity && strcmp(g->check, f->check) == 0 && strcmp(g->text, f->text) == 0)
			return true;
	}
	return false;
}

/* What was said at the last examination is not said again. */
static void tell_news(const struct driver_findings *before, const struct driver_findings *now)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct driver_finding *f = &now->items[i];

		if (f->severity != DRIVER_GOOD && !holds(before, f))
			log_event(level_of(f->severity), "storage.finding",
				json_pack("{s:s, s:s, s:s}", "severity", severity_name(f->severity), "check", f->check,
					"text", f->text));
	}
	for (size_t i = 0; i < before->n; i++) {
		const struct driver_finding *f = &before->items[i];

		if (f->severity >= DRIVER_WARNING && !holds(now, f))
			log_event(LOG_LEVEL_INFO, "storage.finding_gone",
				json_pack("{s:s, s:s}", "check", f->check, "text", f->text));
	}
}

static bool is_good(const struct driver_findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->items[i].severity >= DRIVER_WARNING)
			return false;
	}
	return true;
}

/* What the store could be asked. */
enum asked { ASKED, NOT_ASKED, GIVEN_UP };

/* NOT_ASKED is the only finding then. */
static enum asked examine(struct store *s, struct driver_findings *ret)
{
	struct err err = {0};

	memset(ret, 0, sizeof(*ret));
	if (store_examine(s, ret, &err) == 0)
		return ASKED;
	if (err.code == ERR_CANCELLED)
		return GIVEN_UP;
	ret->n = 1;
	ret->items[0].severity = DRIVER_ERROR;
	snprintf(ret->items[0].check, sizeof(ret->items[0].check), "reachable");
	snprintf(ret->items[0].text, sizeof(ret->items[0].text), "%.*s", (int)sizeof(ret->items[0].text) - 1, err.msg);
	return NOT_ASKED;
}

static void *run(void *arg)
{
	struct examination *e = arg;

	pthread_setname_np(pthread_self(), "examination");
	pthread_mutex_lock(&e->lock);
	while (!e->stopping) {
		struct driver_findings now, before = e->findings;
		struct timespec until;
		enum asked asked;

		pthread_mutex_unlock(&e->lock);
		if ((asked = examine(e->o.store, &now)) == GIVEN_UP)
			return NULL; /* the end is near, and nothing was learned */
		tell_news(&before, &now);
		pthread_mutex_lock(&e->lock);
		e->findings = now;
		e->done = true;
		pthread_cond_broadcast(&e->changed);
		until = clock_deadline(
			asked == NOT_ASKED || (e->o.strict && !is_good(&now)) ? e->o.again_ms : e->o.every_ms);
		for (int rc = 0; !e->stopping && rc != ETIMEDOUT;)
			rc = pthread_cond_timedwait(&e->changed, &e->lock, &until);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

struct examination *examination_start(const struct examination_options *o, struct err *err)
{
	struct examination *e = calloc(1, sizeof(*e));
	int rc;

	if (!e || pthread_mutex_init(&e->lock, NULL) != 0) {
		free(e);
		err_nomem(err);
		return NULL;
	}
	e->o = *o;
	if (e->o.every_ms == 0)
		e->o.every_ms = EVERY_MS;
	if (e->o.again_ms == 0)
		e->o.again_ms = AGAIN_MS;
	if ((rc = clock_cond_init(&e->changed)) == 0) {
		if ((rc = pthread_create(&e->thread, NULL, run, e)) == 0)
			return e;
		pthread_cond_destroy(&e->changed);
	}
	err_sys(err, rc, "thread for the examination of the store");
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

void examination_stop(struct examination *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* The names of what is not good: "encryption, public access". */
static void name_faults(const struct driver_findings *f, char *ret, size_t size)
{
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < f->n; i++) {
		int done;

		if (f->items[i].severity < DRIVER_WARNING)
			continue;
		done = snprintf(ret + n, size - n, "%s%s", n ? ", " : "", f->items[i].check);
		if (done < 0 || (size_t)done >= size - n)
			return;
		n += (size_t)done;
	}
}

int examination_allows(struct examination *e, uint64_t wait_ms, struct err *err)
{
	struct timespec until = clock_deadline(wait_ms);
	char faults[DRIVER_FINDINGS_MAX * sizeof(((struct driver_finding *)NULL)->check)];
	int rc = 0;

	if (!e->o.strict)
		return 0;
	pthread_mutex_lock(&e->lock);
	while (!e->done && !e->stopping && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&e->changed, &e->lock, &until);
	rc = 0;
	if (!e->done) {
		rc = err_set(err, ERR_UNAVAILABLE,
			"the store is just being examined (storage.strict); try again in a moment");
	} else if (!is_good(&e->findings)) {
		name_faults(&e->findings, faults, sizeof(faults));
		rc = err_set(err, ERR_UNAVAILABLE,
			"the store is not as it must be (storage.strict): %s; an operator sees more in \"pcap info\"",
			faults);
	}
	pthread_mutex_unlock(&e->lock);
	return rc < 0 ? err_detail(err, "storage_unsafe") : 0;
}

json_t *examination_json(struct examination *e)
{
	json_t *list = json_array();

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; list && i < e->findings.n; i++) {
		const struct driver_finding *f = &e->findings.items[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "severity", severity_name(f->severity),
						    "check", f->check, "message", f->text));
	}
	pthread_mutex_unlock(&e->lock);
	return list;
}
