#include "gateway/capture/watch.h"

#include "common/clock.h"
#include "common/log.h"
#include "gateway/capture/capture.h"
#include "gateway/gateway.h"
#include "gateway/targets/platform.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* After a hint looks come after 1, 3 and 9 s: platforms need a while to know themselves what has changed.  Not more of them in one interval: an app that crashes again and again
 * must not use up what its developer may ask of Cloud Controller. */
#define HINT_MS     1000u
#define HINT_FACTOR 3u
#define HINTS_MAX   3u
#define AGAIN_MAX   5000u /* instances that a look takes in */

/* What one look has found. */
enum finding {
	FOUND_RIGHT,   /* it stands */
	FOUND_END,     /* the capture is to end; reason and err say why */
	FOUND_NOTHING, /* the platform does not answer; err says what was tried */
	FOUND_STALE    /* there is no fresh token to ask with */
};

struct look {
	enum finding finding;
	enum stop_reason reason;
	struct err err;
	struct target_set set; /* of FOUND_RIGHT */
	struct {
		enum finding finding;
		struct err err;
	} tokens[TARGETS_PEOPLE_MAX]; /* of each person */
};

struct watch {
	struct gateway *gw;
	struct capture *capture;
	json_t *targets; /* a list; the thread's own */
	struct capture_options options;
	pthread_t thread; /* and running: watch_start's and watch_join's */
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct platform_stop cut; /* of what the thread asks */
	/* by lock */
	struct people people;
	bool stopped, hinted, renewed;
	/* the thread's own */
	uint64_t unknown_ns; /* monotonic: since when the right is not known; while told */
	unsigned hints;      /* looks for hints since the last regular one */
	bool told;           /* that it is not known now */
};

/* ---- life ---- */

static int people_copy(const struct people *from, struct people *ret, struct err *err)
{
	ret->n = 0;
	for (size_t i = 0; i < from->n; i++) {
		if (identity_copy(&from->who[i], &ret->who[i], err) < 0) {
			people_done(ret);
			return -1;
		}
		ret->n++;
	}
	return 0;
}

/* Each its own: the platform of one may be away while that of another has something to say.  Copies: a count of references that two threads change is none. */
static json_t *list_of(json_t *targets)
{
	json_t *list;

	if (json_is_array(targets))
		return json_deep_copy(targets);
	list = json_array();
	if (list && json_array_append_new(list, json_deep_copy(targets)) < 0) {
		json_decref(list);
		list = NULL;
	}
	return list;
}

struct watch *watch_new(struct gateway *gw, struct capture *c, const struct capture_watch *what, struct err *err)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w) {
		err_nomem(err);
		return NULL;
	}
	w->gw = gw;
	w->capture = c;
	w->options = *what->options;
	if (platform_stop_init(&w->cut, err) < 0) {
		free(w);
		return NULL;
	}
	if (pthread_mutex_init(&w->lock, NULL) != 0) {
		platform_stop_done(&w->cut);
		free(w);
		err_nomem(err);
		return NULL;
	}
	if (clock_cond_init(&w->changed) != 0) {
		pthread_mutex_destroy(&w->lock);
		platform_stop_done(&w->cut);
		free(w);
		err_nomem(err);
		return NULL;
	}
	if (people_copy(what->people, &w->people, err) == 0 && (w->targets = list_of(what->targets)))
		return w;
	err_nomem(err);
	watch_free(w);
	return NULL;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	people_done(&w->people);
	json_decref(w->targets);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	platform_stop_done(&w->cut);
	free(w);
}

/* ---- what others tell ---- */

void watch_hint(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	w->hinted = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* 0 is never. */
static bool is_newer(const struct identity *fresh, const struct identity *had)
{
	return fresh->expires_at - 1 > had->expires_at - 1;
}

static void renew_one(struct watch *w, const struct identity *fresh)
{
	for (size_t i = 0; i < w->people.n; i++) {
		struct identity *had = &w->people.who[i], copy;

		if (strcmp(had->user_id, fresh->user_id) != 0 || strcmp(had->issuer, fresh->issuer) != 0 ||
			!is_newer(fresh, had) || identity_copy(fresh, &copy, NULL) < 0)
			continue;
		identity_done(had);
		*had = copy;
		w->renewed = true;
	}
}

void watch_renew(struct watch *w, const struct people *people)
{
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < people->n; i++)
		renew_one(w, &people->who[i]);
	if (w->renewed)
		pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* ---- one look ---- */

/* The people again, as their tokens say now: a scope may have been asked for since, a static token may be gone. */
static int identify_again(struct watch *w, const struct people *had, struct people *ret, struct look *l)
{
	struct identity_source *s = w->gw->identities;

	ret->n = 0;
	for (size_t i = 0; i < had->n; i++) {
		struct err *e = &l->tokens[i].err;

		l->tokens[i].finding = FOUND_RIGHT;
		if (s->ops->check(s, had->who[i].token, &ret->who[i], e) == 0) {
			ret->n++;
			continue;
		}
		/* Nobody renews a static token. */
		l->tokens[i].finding = e->code == ERR_AUTH ? FOUND_STALE : FOUND_NOTHING;
		if (e->code == ERR_PERM || (e->code == ERR_AUTH && !had->who[i].issuer[0])) {
			l->finding = FOUND_END;
			l->reason = STOP_RIGHT_GONE;
			l->err = *e;
			return -1;
		}
		/* Only what this one is for is not known. */
		if (identity_copy(&had->who[i], &ret->who[i], &l->err) < 0) {
			l->finding = FOUND_NOTHING;
			return -1;
		}
		ret->n++;
	}
	return 0;
}

static enum finding judge(const struct err *err, enum stop_reason *ret_reason)
{
	switch (err->code) {
	case ERR_PERM:
		*ret_reason = strcmp(err->detail, "switched_off") == 0 ? STOP_SWITCHED_OFF : STOP_RIGHT_GONE;
		return FOUND_END;
	case ERR_NOT_FOUND:
	case ERR_INPUT: /* what was right once is wrong now: the inventory or the platform is another */
		*ret_reason = STOP_TARGET_GONE;
		return FOUND_END;
	case ERR_STATE: /* nothing of it runs just now */
	case ERR_LIMIT: /* it has grown beyond what a look takes in; what is captured already stays */
		return FOUND_RIGHT;
	case ERR_AUTH:
		return FOUND_STALE;
	default:
		return FOUND_NOTHING;
	}
}

static void resolve_all(struct watch *w, const struct people *people, struct look *l)
{
	json_t *target;
	size_t n;
	bool whole = true;

	l->finding = FOUND_RIGHT;
	json_array_foreach(w->targets, n, target)
	{
		const struct targets_query q = {
			.people = people,
			.targets = target,
			.options = &w->options,
			.max = AGAIN_MAX, /* what does not fit is left out, and told */
			.again = true,
		};
		struct target_set set;
		struct err err = {0};
		enum stop_reason reason = STOP_NONE;
		enum finding f;
		int person = targets_person(w->gw->targets, people, target);

		if (person >= 0 && l->tokens[person].finding != FOUND_RIGHT) {
			f = l->tokens[person].finding;
			err = l->tokens[person].err;
		} else if (targets_resolve(w->gw->targets, &q, &set, &err) == 0) {
			bool allowed = capture_judge(w->capture, &set.scopes);

			for (size_t i = 0; i < set.n && allowed; i++)
				target_set_add(&l->set, &set.instances[i], SIZE_MAX, NULL);
			target_set_done(&set);
			if (!allowed) { /* and so it ends */
				watch_stop(w);
				return;
			}
			continue;
		} else {
			f = judge(&err, &reason);
		}
		whole &= f == FOUND_RIGHT && err.code == ERR_STATE;
		if (f == FOUND_RIGHT || (l->finding != FOUND_RIGHT && f != FOUND_END))
			continue;
		l->finding = f;
		l->reason = reason;
		l->err = err;
		if (f == FOUND_END)
			return;
	}
	/* A list with a hole would look as if instances had left. */
	if (l->finding == FOUND_RIGHT && whole)
		capture_follow(w->capture, &l->set);
}

static void look(struct watch *w, struct look *l)
{
	struct people had, people = {0};
	int rc;

	memset(l, 0, sizeof(*l));
	pthread_mutex_lock(&w->lock);
	rc = people_copy(&w->people, &had, &l->err);
	w->renewed = false;
	pthread_mutex_unlock(&w->lock);
	if (rc < 0) {
		l->finding = FOUND_NOTHING;
		return;
	}
	if (identify_again(w, &had, &people, l) == 0)
		resolve_all(w, &people, l);
	target_set_done(&l->set);
	people_done(&people);
	people_done(&had);
}

/* ---- what comes of it ---- */

/* The thread goes on only to be joined. */
static void end(struct watch *w, enum stop_reason reason, const struct err *why)
{
	log_err(LOG_LEVEL_WARNING, "capture.right_gone", why,
		json_pack("{s:s, s:s}", "job", capture_id(w->capture), "reason", stop_reason_name(reason)));
	capture_stop_for(w->capture, reason, why);
	watch_stop(w);
}

static void unknown(struct watch *w, const struct look *l)
{
	const struct config_gateway *c = &w->gw->config;
	bool stale = l->finding == FOUND_STALE;
	uint64_t now = clock_mono_ns();
	uint64_t grace_ms = stale && capture_mode(w->capture) == JOB_STORE ? c->recheck_stored_ms : c->recheck_grace_ms;

	if (!w->told) {
		log_err(LOG_LEVEL_INFO, "capture.right_unknown", &l->err,
			json_pack("{s:s}", "job", capture_id(w->capture)));
		capture_event(w->capture, stale ? "token_needed" : "right_unknown",
			json_pack("{s:s, s:I}", "error", l->err.msg, "ends_in_s", (json_int_t)(grace_ms / 1000)));
		w->unknown_ns = now;
	}
	w->told = true;
	if (now - w->unknown_ns >= grace_ms * CLOCK_NS_PER_MS)
		end(w, STOP_RIGHT_UNKNOWN, &l->err);
}

static void known(struct watch *w)
{
	if (w->told)
		capture_event(w->capture, "right_known", NULL);
	w->told = false;
}

static void look_once(struct watch *w)
{
	struct look l;

	look(w, &l);
	switch (l.finding) {
	case FOUND_RIGHT:
		known(w);
		break;
	case FOUND_END:
		end(w, l.reason, &l.err);
		break;
	case FOUND_NOTHING:
	case FOUND_STALE:
		unknown(w, &l);
		break;
	}
}

/* When the next look is due after the last one, of this moment's hints; the lock is held. */
static uint64_t pause_ns(const struct watch *w)
{
	uint64_t interval = w->gw->config.recheck_interval_ms * CLOCK_NS_PER_MS, soon = HINT_MS * CLOCK_NS_PER_MS;

	for (unsigned n = 0; n < w->hints; n++)
		soon *= HINT_FACTOR;
	if (!w->renewed && (!w->hinted || w->hints >= HINTS_MAX))
		return interval;
	return soon < interval ? soon : interval;
}

/* Until the next look is due.  False: there will be none. */
static bool wait_next(struct watch *w, uint64_t looked_ns)
{
	uint64_t interval = w->gw->config.recheck_interval_ms * CLOCK_NS_PER_MS;
	bool go;

	pthread_mutex_lock(&w->lock);
	while (!w->stopped) {
		uint64_t due = looked_ns + pause_ns(w), now = clock_mono_ns();
		struct timespec until;

		if (now >= due)
			break;
		until = clock_deadline((due - now) / CLOCK_NS_PER_MS + 1);
		pthread_cond_timedwait(&w->changed, &w->lock, &until);
	}
	/* A hint is good for several looks, until one was due without it. */
	if (clock_mono_ns() - looked_ns >= interval) {
		w->hints = 0;
		w->hinted = false;
	} else {
		w->hints++;
	}
	go = !w->stopped;
	pthread_mutex_unlock(&w->lock);
	return go;
}

static void *run(void *arg)
{
	struct watch *w = arg;
	uint64_t looked_ns = clock_mono_ns(), alone_ns = looked_ns;

	pthread_setname_np(pthread_self(), "watch");
	log_context_job(capture_id(w->capture));
	platform_stop_bind(&w->cut);
	while (wait_next(w, looked_ns)) {
		look_once(w);
		looked_ns = clock_mono_ns();
		/* An app that was stopped may be started again, but not for ever. */
		if (capture_state(w->capture) != JOB_RUNNING || capture_has_any(w->capture))
			alone_ns = looked_ns;
		else if (looked_ns - alone_ns >= w->gw->config.recheck_grace_ms * CLOCK_NS_PER_MS)
			capture_stop(w->capture, STOP_INSTANCES_ENDED, NULL);
	}
	return NULL;
}

void watch_start(struct watch *w)
{
	struct err err = {0};
	int rc = pthread_create(&w->thread, NULL, run, w);

	w->running = rc == 0;
	if (rc == 0)
		return;
	err_sys(&err, rc, "thread for the right of capture %s", capture_id(w->capture));
	capture_stop_for(w->capture, STOP_INTERNAL, &err);
}

void watch_stop(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	w->stopped = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	platform_stop_now(&w->cut);
}

void watch_join(struct watch *w)
{
	if (w->running)
		pthread_join(w->thread, NULL);
	w->running = false;
}
