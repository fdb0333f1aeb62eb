#include "collector/capture_table.h"

#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct capture_table {
	size_t max; /* fixed */

	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;      /* a slot was taken out */
	struct capture_slot **slots; /* max places, the first n in use */
	size_t n;
	bool stopping;
	uint64_t watched_ns;          /* the last look of capture_table_watch; 0: none */
	struct capture_figures ended; /* of those that were taken out */
};

struct capture_table *capture_table_new(size_t max, struct err *err)
{
	struct capture_table *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		goto nomem;
	t->max = max;
	t->slots = calloc(max, sizeof(struct capture_slot *));
	if (!t->slots)
		goto nomem;
	if ((rc = pthread_mutex_init(&t->lock, NULL)) != 0) {
		err_sys(err, rc, "mutex");
		goto fail;
	}
	if ((rc = clock_cond_init(&t->changed)) != 0) {
		err_sys(err, rc, "condition variable");
		pthread_mutex_destroy(&t->lock);
		goto fail;
	}
	return t;
nomem:
	err_nomem(err);
fail:
	if (t)
		free(t->slots);
	free(t);
	return NULL;
}

void capture_table_free(struct capture_table *t)
{
	if (!t)
		return;
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t->slots);
	free(t);
}

static struct capture_slot *find(const struct capture_table *t, const char *id)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->slots[i]->id, id) == 0)
			return t->slots[i];
	}
	return NULL;
}

int capture_table_add(struct capture_table *t, struct capture_slot *s, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	/* The duplicate is looked for first: who starts twice by mistake wants to hear that, and not that the table is full. */
	if (find(t, s->id)) {
		rc = err_set(err, ERR_STATE, "capture %s runs already", s->id);
		err_detail(err, "duplicate_capture");
	} else if (t->stopping) {
		rc = err_set(err, ERR_UNAVAILABLE, "the agent is shutting down");
		err_detail(err, "shutting_down");
	} else if (t->n >= t->max) {
		rc = err_set(err, ERR_BUSY, "%zu captures run on this agent, which is all it takes", t->n);
		err_detail(err, "too_many_captures");
	} else {
		t->slots[t->n++] = s;
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

static void figures_add(struct capture_figures *sum, struct capture *c)
{
	struct capture_figures f;

	capture_figures(c, &f);
	sum->bytes += f.bytes;
	sum->packets += f.packets;
	sum->accepted += f.accepted;
	sum->dropped_os += f.dropped_os;
	sum->dropped_interface += f.dropped_interface;
	sum->shed += f.shed;
	sum->rested_ms += f.rested_ms;
}

void capture_table_remove(struct capture_table *t, const struct capture_slot *s)
{
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n; i++) {
		if (t->slots[i] == s) {
			figures_add(&t->ended, s->capture);
			t->slots[i] = t->slots[--t->n];
			break;
		}
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

size_t capture_table_count(struct capture_table *t)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	n = t->n;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void capture_table_figures(struct capture_table *t, struct capture_figures *ret)
{
	pthread_mutex_lock(&t->lock);
	*ret = t->ended;
	for (size_t i = 0; i < t->n; i++)
		figures_add(ret, t->slots[i]->capture);
	pthread_mutex_unlock(&t->lock);
}

bool capture_table_stop(struct capture_table *t, const char *id, enum stop_reason reason)
{
	struct capture_slot *s;

	pthread_mutex_lock(&t->lock);
	s = find(t, id);
	if (s)
		capture_stop(s->capture, reason);
	pthread_mutex_unlock(&t->lock);
	return s != NULL;
}

void capture_table_stop_all(struct capture_table *t, enum stop_reason reason)
{
	pthread_mutex_lock(&t->lock);
	t->stopping = true;
	for (size_t i = 0; i < t->n; i++)
		capture_stop(t->slots[i]->capture, reason);
	pthread_mutex_unlock(&t->lock);
}

size_t capture_table_cut_all(struct capture_table *t)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	n = t->n;
	for (size_t i = 0; i < n; i++)
		(void)shutdown(t->slots[i]->fd, SHUT_RDWR); /* ENOTCONN: the peer was quicker */
	pthread_mutex_unlock(&t->lock);
	return n;
}

/* true: it has been at work without a turn for span_ns; the time begins anew then. */
static bool is_late(struct capture_slot *s, uint64_t now_ns, uint64_t span_ns)
{
	const unsigned before = s->turn;
	const bool at_work = capture_turn(s->capture, &s->turn);

	if (!at_work || s->turn != before) {
		s->cut = false;
		s->turned_ns = now_ns;
	}
	if (now_ns - s->turned_ns < span_ns)
		return false;
	s->turned_ns = now_ns;
	return true;
}

bool capture_table_watch(struct capture_table *t, uint64_t now_ns, uint64_t span_ns,
	void (*on_cut)(void *ctx, const char *id), void *ctx, char ret_id[ID_MAX])
{
	bool hung = false, gap;

	pthread_mutex_lock(&t->lock);
	gap = now_ns - t->watched_ns > span_ns / 2;
	for (size_t i = 0; i < t->n; i++) {
		struct capture_slot *s = t->slots[i];

		if (gap || s->turned_ns == 0)
			s->turned_ns = now_ns;
		if (!is_late(s, now_ns, span_ns))
			continue;
		if (s->cut) {
			memcpy(ret_id, s->id, sizeof(s->id));
			hung = true;
			continue;
		}
		s->cut = true;
		on_cut(ctx, s->id);
		(void)shutdown(s->fd, SHUT_RDWR);
	}
	t->watched_ns = now_ns;
	pthread_mutex_unlock(&t->lock);
	return hung;
}

bool capture_table_wait_empty(struct capture_table *t, uint64_t ms)
{
	const struct timespec deadline = clock_deadline(ms);
	bool empty;

	pthread_mutex_lock(&t->lock);
	while (t->n > 0) {
		if (pthread_cond_timedwait(&t->changed, &t->lock, &deadline) != 0)
			break;
	}
	empty = t->n == 0;
	pthread_mutex_unlock(&t->lock);
	return empty;
}
