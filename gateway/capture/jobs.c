#include "gateway/capture/jobs.h"

#include "common/clock.h"
#include "common/id.h"
#include "gateway/capture/capture.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A place, and the capture in it once there is one. */
struct place {
	struct place *next;
	char *user_id;
	struct capture *capture; /* NULL: reserved */
	bool counted;
};

/* Somebody works on what a job that does not run has left. */
struct claim {
	struct claim *next;
	char id[ID_MAX];
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct place *places;         /* by lock */
	size_t counted;               /* by lock */
	struct claim *claims;         /* by lock */
	bool closed;                  /* by lock */
	struct capture_figures ended; /* by lock: of those that are gone */
};

struct jobs *jobs_new(struct err *err)
{
	struct jobs *j = calloc(1, sizeof(*j));

	if (!j || pthread_mutex_init(&j->lock, NULL) != 0) {
		free(j);
		err_nomem(err);
		return NULL;
	}
	if (clock_cond_init(&j->changed) != 0) {
		pthread_mutex_destroy(&j->lock);
		free(j);
		err_nomem(err);
		return NULL;
	}
	return j;
}

void jobs_free(struct jobs *j)
{
	struct place *p;

	if (!j)
		return;
	while ((p = j->places)) {
		j->places = p->next;
		free(p->user_id);
		free(p);
	}
	pthread_cond_destroy(&j->changed);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

int jobs_reserve(struct jobs *j, const char *user_id, struct err *err)
{
	struct place *p = calloc(1, sizeof(*p));
	int rc = 0;

	if (!p || !(p->user_id = strdup(user_id))) {
		free(p);
		return err_nomem(err);
	}
	pthread_mutex_lock(&j->lock);
	if (j->closed) {
		err_set(err, ERR_UNAVAILABLE, "this gateway is shutting down and takes no new captures");
		rc = err_detail(err, "draining");
	} else {
		p->counted = true;
		j->counted++;
		p->next = j->places;
		j->places = p;
	}
	pthread_mutex_unlock(&j->lock);
	if (rc < 0) {
		free(p->user_id);
		free(p);
	}
	return rc;
}

void jobs_close(struct jobs *j)
{
	pthread_mutex_lock(&j->lock);
	j->closed = true;
	pthread_mutex_unlock(&j->lock);
}

static void place_uncount(struct jobs *j, struct place *p)
{
	if (p->counted)
		j->counted--;
	p->counted = false;
}

/* Takes the first place out that holds c (NULL: a reservation of user_id).  The lock is held. */
static void place_drop(struct jobs *j, const struct capture *c, const char *user_id)
{
	for (struct place **at = &j->places; *at; at = &(*at)->next) {
		struct place *p = *at;

		if (p->capture != c || (user_id && strcmp(p->user_id, user_id) != 0))
			continue;
		place_uncount(j, p);
		*at = p->next;
		free(p->user_id);
		free(p);
		pthread_cond_broadcast(&j->changed);
		return;
	}
}

void jobs_release(struct jobs *j, const char *user_id)
{
	pthread_mutex_lock(&j->lock);
	place_drop(j, NULL, user_id);
	pthread_mutex_unlock(&j->lock);
}

void jobs_add(struct jobs *j, struct capture *c)
{
	pthread_mutex_lock(&j->lock);
	for (struct place *p = j->places; p; p = p->next) {
		if (!p->capture && strcmp(p->user_id, capture_user_id(c)) == 0) {
			p->capture = capture_ref(c);
			break;
		}
	}
	pthread_mutex_unlock(&j->lock);
}

void jobs_idle(struct jobs *j, struct capture *c)
{
	pthread_mutex_lock(&j->lock);
	for (struct place *p = j->places; p; p = p->next) {
		if (p->capture == c)
			place_uncount(j, p);
	}
	pthread_mutex_unlock(&j->lock);
}

/* What can be added up for good. */
static void counters_add(struct capture_figures *sum, const struct capture_figures *f)
{
	sum->packets += f->packets;
	sum->bytes += f->bytes;
	sum->stream_bytes += f->stream_bytes;
	sum->late_packets += f->late_packets;
	sum->dropped.kernel += f->dropped.kernel;
	sum->dropped.interface += f->dropped.interface;
	sum->dropped.agent += f->dropped.agent;
	sum->dropped.gateway += f->dropped.gateway;
}

void jobs_remove(struct jobs *j, struct capture *c)
{
	struct capture_figures last;

	pthread_mutex_lock(&j->lock);
	capture_figures(c, &last);
	counters_add(&j->ended, &last);
	place_drop(j, c, NULL);
	pthread_mutex_unlock(&j->lock);
	capture_unref(c);
}

struct capture *jobs_find(struct jobs *j, const char *id)
{
	struct capture *found = NULL;

	pthread_mutex_lock(&j->lock);
	for (const struct place *p = j->places; p && !found; p = p->next) {
		if (p->capture && strcmp(capture_id(p->capture), id) == 0)
			found = capture_ref(p->capture);
	}
	pthread_mutex_unlock(&j->lock);
	return found;
}

/* ---- claims ---- */

static bool is_taken(const struct jobs *j, const char *id)
{
	for (const struct claim *c = j->claims; c; c = c->next) {
		if (strcmp(c->id, id) == 0)
			return true;
	}
	for (const struct place *p = j->places; p; p = p->next) {
		if (p->capture && strcmp(capture_id(p->capture), id) == 0)
			return true;
	}
	return false;
}

int jobs_claim(struct jobs *j, const char *id, uint64_t ms, struct err *err)
{
	struct timespec until = clock_deadline(ms);
	struct claim *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (!c)
		return err_nomem(err);
	snprintf(c->id, sizeof(c->id), "%s", id);
	pthread_mutex_lock(&j->lock);
	while (is_taken(j, id) && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&j->changed, &j->lock, &until);
	rc = 0;
	if (is_taken(j, id)) {
		rc = err_set(err, ERR_UNAVAILABLE, "the capture is just being finished; try again in a moment");
		free(c);
	} else {
		c->next = j->claims;
		j->claims = c;
	}
	pthread_mutex_unlock(&j->lock);
	return rc;
}

void jobs_unclaim(struct jobs *j, const char *id)
{
	pthread_mutex_lock(&j->lock);
	for (struct claim **at = &j->claims; *at; at = &(*at)->next) {
		struct claim *c = *at;

		if (strcmp(c->id, id) != 0)
			continue;
		*at = c->next;
		free(c);
		break;
	}
	pthread_cond_broadcast(&j->changed);
	pthread_mutex_unlock(&j->lock);
}

struct capture **jobs_all(struct jobs *j, size_t *ret_n)
{
	struct capture **all = NULL;
	size_t n = 0;

	pthread_mutex_lock(&j->lock);
	for (const struct place *p = j->places; p; p = p->next)
		n += p->capture != NULL;
	if (n > 0 && (all = calloc(n, sizeof(*all)))) {
		n = 0;
		for (const struct place *p = j->places; p; p = p->next) {
			if (p->capture)
				all[n++] = capture_ref(p->capture);
		}
	}
	pthread_mutex_unlock(&j->lock);
	*ret_n = all ? n : 0;
	return all;
}

size_t jobs_running(struct jobs *j)
{
	size_t n;

	pthread_mutex_lock(&j->lock);
	n = j->counted;
	pthread_mutex_unlock(&j->lock);
	return n;
}

void jobs_figures(struct jobs *j, struct capture_figures *ret, size_t by_state[JOB_STATES_N])
{
	memset(by_state, 0, JOB_STATES_N * sizeof(*by_state));
	pthread_mutex_lock(&j->lock);
	*ret = j->ended;
	for (const struct place *p = j->places; p; p = p->next) {
		struct capture_figures f;

		if (!p->capture)
			continue;
		capture_figures(p->capture, &f);
		counters_add(ret, &f);
		ret->streams += f.streams;
		ret->viewers += f.viewers;
		ret->queued_bytes += f.queued_bytes;
		ret->backlog_bytes += f.backlog_bytes;
		by_state[f.state]++;
	}
	pthread_mutex_unlock(&j->lock);
}

int jobs_wait_empty(struct jobs *j, uint64_t ms)
{
	struct timespec until = clock_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&j->lock);
	while (j->places && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&j->changed, &j->lock, &until);
	rc = j->places ? -1 : 0;
	pthread_mutex_unlock(&j->lock);
	return rc;
}
