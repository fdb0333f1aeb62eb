#include "gateway/limits/limits_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "gateway/metrics/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STEP_LEAST     (64u * 1024)
#define STEP_MOST      (4u * 1024 * 1024)
#define STEPS          1024u       /* a quota has so many, within these */
#define HEADERS_BYTES  (8u * 1024) /* the section's block, and some */
#define INSTANCE_BYTES (8u * 1024) /* an interface's block, and its last statistics */
#define RETRY_S        60u         /* no object is about to expire: somebody has to erase one */

static uint64_t quota_of(const struct limits *l, enum starts_of of)
{
	return of == STARTS_OF_USER ? l->config->limit_quota_user_bytes : l->config->limit_quota_org_bytes;
}

static const char *quota_name(enum starts_of of)
{
	return of == STARTS_OF_USER ? "quota_user" : "quota_org";
}

int limits_quota_used(struct limits *l, enum starts_of of, const char *id, uint64_t *ret, struct err *err)
{
	const char **running = NULL;
	uint64_t reserved = 0, stored;
	size_t n = 0;
	int rc;

	for (const struct holding *h = l->holdings; h; h = h->next)
		n++;
	if (!(running = calloc(n + 1, sizeof(*running))))
		return err_nomem(err);
	n = 0;
	for (const struct holding *h = l->holdings; h; h = h->next) {
		if (!h->stored || !limits_is_of(h, of, id))
			continue;
		running[n++] = h->job; /* what the database says of it is in its reservation */
		reserved += h->bytes;
	}
	rc = starts_db_stored(l->db, of, id, running, n, &stored, err);
	free(running);
	if (rc == 0)
		*ret = stored + reserved;
	return rc;
}

/* What is left, and of whose quota. */
struct room {
	uint64_t left; /* UINT64_MAX: nothing bounds it */
	enum starts_of of;
	const char *id;
};

/* Is there less left of this one? */
static int look_in(struct limits *l, enum starts_of of, const char *id, struct room *least, struct err *err)
{
	uint64_t quota = quota_of(l, of), used = 0, left;

	if (quota == 0 || !id[0])
		return 0;
	if (limits_quota_used(l, of, id, &used, err) < 0)
		return -1;
	left = used < quota ? quota - used : 0;
	if (left < least->left)
		*least = (struct room){.left = left, .of = of, .id = id};
	return 0;
}

/* The least of its user's and those of all its orgs, in each of which it counts in full. */
static int room(struct limits *l, const struct holding *h, struct room *ret, struct err *err)
{
	*ret = (struct room){.left = UINT64_MAX, .of = STARTS_OF_USER, .id = h->user_id};
	if (look_in(l, STARTS_OF_USER, h->user_id, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < h->orgs_n; i++) {
		if (look_in(l, STARTS_OF_ORG, h->orgs[i], ret, err) < 0)
			return -1;
	}
	return 0;
}

static uint64_t until_expiry(struct limits *l, const struct room *r, uint64_t now_ns)
{
	uint64_t at = 0;

	if (starts_db_next_expiry(l->db, r->of, r->id, &at, NULL) < 0 || at == 0)
		return RETRY_S;
	return at > now_ns ? (at - now_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S : 1;
}

int limits_quota_begin(
	struct limits *l, const struct limits_ask *ask, struct holding *h, struct limits_told *told, struct err *err)
{
	uint64_t least = HEADERS_BYTES + (uint64_t)INSTANCE_BYTES * ask->instances_n;
	struct room r;

	if (!h->stored)
		return 0;
	if (room(l, h, &r, err) < 0)
		return -1;
	if (r.left >= least) {
		h->bytes = r.left == UINT64_MAX ? 0 : least;
		return 0;
	}
	told->retry_s = until_expiry(l, &r, ask->now_ns);
	err_set(err, ERR_BUSY,
		"mode: what %s%s leaves %" PRIu64 " of %" PRIu64
		" bytes (%s), too little for a file; erase captures, or wait until some expire",
		r.of == STARTS_OF_USER ? "you have stored" : "is stored of org ", r.of == STARTS_OF_USER ? "" : r.id,
		r.left, quota_of(l, r.of), quota_name(r.of));
	err_field(err, "mode");
	metrics_limit_hit(quota_name(r.of));
	return err_detail(err, "quota_exceeded");
}

static uint64_t step_of(const struct limits *l, enum starts_of of)
{
	uint64_t step = quota_of(l, of) / STEPS;

	return step < STEP_LEAST ? STEP_LEAST : step > STEP_MOST ? STEP_MOST : step;
}

static uint64_t grow(struct limits *l, struct holding *h, uint64_t bytes, const char **ret_limit)
{
	uint64_t want = bytes - h->bytes, step;
	struct err err = {0};
	struct room r;

	if (room(l, h, &r, &err) < 0) {
		/* No capture ends because a database hiccups: it goes on, and is counted afterwards. */
		log_err(LOG_LEVEL_WARNING, "limits.quota_unknown", &err, json_pack("{s:s}", "job", h->job));
		r = (struct room){.left = want, .of = STARTS_OF_USER};
	}
	if (r.left == UINT64_MAX)
		return UINT64_MAX;
	step = step_of(l, r.of);
	want = want > UINT64_MAX - step ? want : (want + step - 1) / step * step;
	h->bytes += want < r.left ? want : r.left;
	*ret_limit = r.of == STARTS_OF_USER ? "limits.quota_user" : "limits.quota_org";
	return h->bytes;
}

uint64_t limits_room(struct limits *l, const char *job_id, uint64_t bytes, const char **ret_limit)
{
	uint64_t n = UINT64_MAX;
	struct holding *h;

	if (!l)
		return n;
	pthread_mutex_lock(&l->lock);
	if ((l->config->limit_quota_user_bytes > 0 || l->config->limit_quota_org_bytes > 0) &&
		(h = limits_holding(l, job_id)) && h->stored) {
		*ret_limit = l->config->limit_quota_user_bytes > 0 ? "limits.quota_user" : "limits.quota_org";
		n = bytes <= h->bytes ? h->bytes : grow(l, h, bytes, ret_limit);
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}
