#include "gateway/limits/limits_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/parse.h"
#include "gateway/metrics/metrics.h"
#include "gateway/targets/target.h"
#include "schema/starts_db.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS     (3600 * CLOCK_NS_PER_S)
#define DAY_NS      (24 * HOUR_NS)
#define KEY_PURPOSE "pcapline-starts" /* the same key signs links, and what is signed here must be none */
#define RETRY_MAX_S 30u               /* a capture may end at any time: nobody is sent away for longer because of one */

/* ---- places ---- */

struct limits *limits_new(
	const struct config_gateway *c, struct job_db *db, const uint8_t key[LIMITS_KEY_BYTES], struct err *err)
{
	struct limits *l = calloc(1, sizeof(*l));

	if (!l || pthread_mutex_init(&l->lock, NULL) != 0) {
		free(l);
		err_nomem(err);
		return NULL;
	}
	l->config = c;
	l->db = db;
	digest_hmac_hex(key, LIMITS_KEY_BYTES, KEY_PURPOSE, strlen(KEY_PURPOSE), l->key);
	return l;
}

static void holding_free(struct holding *h)
{
	if (!h)
		return;
	free(h->user_id);
	free(h->org);
	scope_list_done(&h->scopes);
	free(h->orgs);
	free(h->agents);
	free(h);
}

void limits_free(struct limits *l)
{
	if (!l)
		return;
	for (struct holding *h = l->holdings, *next; h; h = next) {
		next = h->next;
		holding_free(h);
	}
	pthread_mutex_destroy(&l->lock);
	digest_wipe(l->key, sizeof(l->key));
	free(l);
}

static void agent_of(const struct target_instance *t, char ret[HOLDING_AGENT_MAX])
{
	if (t->error.code != ERR_NONE || !t->host[0])
		ret[0] = '\0'; /* none is asked */
	else
		parse_join_host_port(t->host, t->port, ret, HOLDING_AGENT_MAX);
}

static bool is_among(const char *const *orgs, size_t n, const char *org)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(orgs[i], org) == 0)
			return true;
	}
	return false;
}

static int take_orgs(struct holding *h, struct err *err)
{
	const char **orgs = calloc(h->scopes.n + 1, sizeof(*orgs));
	size_t n = 0;

	if (!orgs)
		return err_nomem(err);
	for (size_t i = 0; i < h->scopes.n; i++) {
		const char *org = h->scopes.items[i].org;

		if (org[0] && !is_among(orgs, n, org))
			orgs[n++] = org;
	}
	if (n == 0 && h->org[0])
		orgs[n++] = h->org;
	h->orgs = orgs;
	h->orgs_n = n;
	return 0;
}

static struct holding *holding_new(const struct limits_ask *ask, struct err *err)
{
	const struct job *j = ask->job;
	struct holding *h = calloc(1, sizeof(*h));

	if (!h || !(h->user_id = strdup(j->owner_user_id)) || !(h->org = strdup(j->org)) ||
		!(h->agents = calloc(ask->instances_n + 1, sizeof(*h->agents)))) {
		err_nomem(err);
		goto fail;
	}
	if (scope_list_copy(&j->scopes, &h->scopes, err) < 0 || take_orgs(h, err) < 0)
		goto fail;
	memcpy(h->job, j->id, sizeof(h->job));
	for (size_t i = 0; i < ask->instances_n; i++)
		agent_of(&ask->instances[i], h->agents[h->agents_n++]);
	h->stored = j->mode == JOB_STORE;
	h->until_ns = ask->now_ns + j->options.max_duration_s * CLOCK_NS_PER_S;
	return h;
fail:
	holding_free(h);
	return NULL;
}

struct holding *limits_holding(struct limits *l, const char *job_id)
{
	struct holding *h = l->holdings;

	while (h && strcmp(h->job, job_id) != 0)
		h = h->next;
	return h;
}

void limits_give(struct limits *l, const char *job_id)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	for (struct holding **at = &l->holdings; *at; at = &(*at)->next) {
		struct holding *h = *at;

		if (strcmp(h->job, job_id) != 0)
			continue;
		*at = h->next;
		holding_free(h);
		break;
	}
	pthread_mutex_unlock(&l->lock);
}

void limits_forget(struct limits *l, const char *job_id)
{
	struct err err = {0};

	if (!l)
		return;
	limits_give(l, job_id);
	if (starts_db_remove(l->db, job_id, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "limits.start_not_forgotten", &err, json_pack("{s:s}", "job", job_id));
}

/* ---- captures at once ---- */

static bool lies_in(const struct holding *h, enum scope_kind kind, const char *id)
{
	if (kind == SCOPE_PLATFORM)
		return true;
	return kind == SCOPE_ORG ? is_among(h->orgs, h->orgs_n, id) : scope_list_has(&h->scopes, kind, id);
}

bool limits_is_of(const struct holding *h, enum starts_of of, const char *id)
{
	return of == STARTS_OF_USER ? strcmp(h->user_id, id) == 0 : is_among(h->orgs, h->orgs_n, id);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 || b < a ? b : a;
}

/* How many of them lie there, and when the first must end. */
static uint64_t count_in(const struct limits *l, enum scope_kind kind, const char *id, uint64_t *ret_until)
{
	uint64_t n = 0;

	*ret_until = 0;
	for (const struct holding *h = l->holdings; h; h = h->next) {
		if (!lies_in(h, kind, id))
			continue;
		*ret_until = earlier(*ret_until, h->until_ns);
		n++;
	}
	return n;
}

uint64_t limits_of_user(const struct limits *l, const char *user_id, uint64_t *ret_until)
{
	uint64_t n = 0;

	*ret_until = 0;
	for (const struct holding *h = l->holdings; h; h = h->next) {
		if (strcmp(h->user_id, user_id) != 0)
			continue;
		*ret_until = earlier(*ret_until, h->until_ns);
		n++;
	}
	return n;
}

uint64_t limits_of_org(const struct limits *l, const char *org)
{
	uint64_t until;

	return org[0] ? count_in(l, SCOPE_ORG, org, &until) : 0;
}

static uint64_t streams_on(const struct holding *h, const char *agent)
{
	uint64_t n = 0;

	for (size_t i = 0; h && i < h->agents_n; i++)
		n += strcmp(h->agents[i], agent) == 0;
	return n;
}

static uint64_t count_on(const struct limits *l, const char *agent, uint64_t *ret_until)
{
	uint64_t n = 0;

	*ret_until = 0;
	for (const struct holding *h = l->holdings; h; h = h->next) {
		uint64_t here = streams_on(h, agent);

		if (here > 0)
			*ret_until = earlier(*ret_until, h->until_ns);
		n += here;
	}
	return n;
}

static uint64_t retry_at(uint64_t now_ns, uint64_t until_ns)
{
	uint64_t s = until_ns > now_ns ? (until_ns - now_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S : 1;

	return s < RETRY_MAX_S ? s : RETRY_MAX_S;
}

static int too_many(
	struct err *err, const char *limit, struct limits_told *told, const struct limits_ask *ask, uint64_t until_ns)
{
	metrics_limit_hit(limit);
	told->retry_s = retry_at(ask->now_ns, until_ns);
	return err_detail(err, "too_many_captures");
}

static int check_scope(struct limits *l, const struct limits_ask *ask, enum scope_kind kind, const char *id,
	uint64_t max, struct limits_told *told, struct err *err)
{
	const char *limit = kind == SCOPE_APP     ? "captures_per_app"
			    : kind == SCOPE_SPACE ? "captures_per_space"
						  : "captures_per_org";
	uint64_t until, n = max > 0 && id[0] ? count_in(l, kind, id, &until) : 0;

	if (max == 0 || !id[0] || n < max)
		return 0;
	err_set(err, ERR_BUSY, "%s %s has %" PRIu64 " captures running, which is the limit (%s)", scope_kind_name(kind),
		id, n, limit);
	return too_many(err, limit, told, ask, until);
}

static int check_scopes(struct limits *l, const struct limits_ask *ask, const struct holding *h,
	struct limits_told *told, struct err *err)
{
	const struct config_gateway *c = l->config;

	for (size_t i = 0; i < h->scopes.n; i++) {
		const struct scope *s = &h->scopes.items[i];

		if (check_scope(l, ask, SCOPE_APP, s->app, c->limit_captures_per_app, told, err) < 0 ||
			check_scope(l, ask, SCOPE_SPACE, s->space, c->limit_captures_per_space, told, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < h->orgs_n; i++) {
		if (check_scope(l, ask, SCOPE_ORG, h->orgs[i], c->limit_captures_per_org, told, err) < 0)
			return -1;
	}
	return 0;
}

static int check_agent(struct limits *l, const char *agent, uint64_t more, uint64_t *ret_until, struct err *err)
{
	uint64_t max = l->config->limit_captures_per_agent, n;

	if (max == 0 || !agent[0] || (n = count_on(l, agent, ret_until)) + more <= max)
		return 0;
	if (n == 0)
		err_set(err, ERR_LIMIT,
			"target: %" PRIu64 " instances are on agent %s, more than it may have at once: %" PRIu64
			" (captures_per_agent)",
			more, agent, max);
	else
		err_set(err, ERR_BUSY,
			"agent %s has %" PRIu64 " of the %" PRIu64 " instances that it may have at once "
			"(captures_per_agent), and %" PRIu64 " more are asked for",
			agent, n, max, more);
	return -1;
}

static int check_agents(struct limits *l, const struct limits_ask *ask, const struct holding *h,
	struct limits_told *told, struct err *err)
{
	uint64_t until;

	for (size_t i = 0; i < h->agents_n; i++) {
		if (check_agent(l, h->agents[i], streams_on(h, h->agents[i]), &until, err) == 0)
			continue;
		if (err && err->code == ERR_LIMIT) {
			err_field(err, "target");
			return err_detail(err, "over_limit");
		}
		return too_many(err, "captures_per_agent", told, ask, until);
	}
	return 0;
}

static int check_captures(struct limits *l, const struct limits_ask *ask, const struct holding *h,
	struct limits_told *told, struct err *err)
{
	const struct config_gateway *c = l->config;
	uint64_t until, n = limits_of_user(l, h->user_id, &until);

	if (n >= c->limit_captures_per_user) {
		err_set(err, ERR_BUSY, "you have %" PRIu64 " captures running, which is the limit (captures_per_user)",
			n);
		return too_many(err, "captures_per_user", told, ask, until);
	}
	if (check_scopes(l, ask, h, told, err) < 0 || check_agents(l, ask, h, told, err) < 0)
		return -1;
	if ((n = count_in(l, SCOPE_PLATFORM, "", &until)) >= c->limit_captures) {
		err_set(err, ERR_BUSY,
			"%" PRIu64 " captures are running on this gateway, which is the limit (captures)", n);
		return too_many(err, "captures", told, ask, until);
	}
	return 0;
}

int limits_join(struct limits *l, const char *job_id, const struct target_instance *t, struct err *err)
{
	char agent[HOLDING_AGENT_MAX], (*more)[HOLDING_AGENT_MAX];
	struct holding *h;
	uint64_t until;
	int rc = 0;

	if (!l)
		return 0;
	agent_of(t, agent);
	pthread_mutex_lock(&l->lock);
	if ((h = limits_holding(l, job_id)) && (rc = check_agent(l, agent, 1, &until, err)) == 0) {
		if ((more = realloc(h->agents, (h->agents_n + 1) * sizeof(*more)))) {
			h->agents = more;
			memcpy(h->agents[h->agents_n++], agent, sizeof(agent));
		} else {
			rc = err_nomem(err);
		}
	}
	pthread_mutex_unlock(&l->lock);
	return rc < 0 ? err_detail(err, "too_many_captures") : 0;
}

void limits_leave(struct limits *l, const char *job_id, const struct target_instance *t)
{
	char agent[HOLDING_AGENT_MAX];
	struct holding *h;

	if (!l)
		return;
	agent_of(t, agent);
	pthread_mutex_lock(&l->lock);
	h = limits_holding(l, job_id);
	for (size_t i = 0; h && i < h->agents_n; i++) {
		if (strcmp(h->agents[i], agent) != 0)
			continue;
		memmove(h->agents[i], h->agents[--h->agents_n], sizeof(agent));
		break;
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- starts per time ---- */

/* What a user is called in the database. */
static void call_user(const struct limits *l, const char *user_id, char ret[DIGEST_SHA256_HEX_MAX])
{
	digest_hmac_hex(l->key, strlen(l->key), user_id, strlen(user_id), ret);
}

void limits_sweep(struct limits *l, uint64_t now_ns)
{
	struct err err = {0};

	if (l && now_ns > DAY_NS && starts_db_forget(l->db, now_ns - DAY_NS, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "limits.starts_not_forgotten", &err, NULL);
}

#define AT(field) offsetof(struct config_gateway, field)

const struct limits_window limits_windows[LIMITS_WINDOWS_N] = {
	{"starts_per_hour", "hour", STARTS_OF_USER, HOUR_NS, AT(limit_starts_per_hour)},
	{"starts_per_day", "day", STARTS_OF_USER, DAY_NS, AT(limit_starts_per_day)},
	{"starts_per_hour_org", "hour", STARTS_OF_ORG, HOUR_NS, AT(limit_starts_per_hour_org)},
	{"starts_per_day_org", "day", STARTS_OF_ORG, DAY_NS, AT(limit_starts_per_day_org)},
};

uint64_t limits_window_max(const struct limits *l, const struct limits_window *w)
{
	uint64_t max;

	memcpy(&max, (const char *)l->config + w->max_at, sizeof(max));
	return max;
}

int limits_window_used(struct limits *l, const struct limits_window *w, const char *id, uint64_t now_ns,
	uint64_t *ret_used, uint64_t *ret_reset_s, struct err *err)
{
	uint64_t max = limits_window_max(l, w), since = now_ns > w->span_ns ? now_ns - w->span_ns : 0, used, at = 0;
	char user[DIGEST_SHA256_HEX_MAX];

	*ret_used = *ret_reset_s = 0;
	if (!id[0])
		return 0;
	if (w->of == STARTS_OF_USER) {
		call_user(l, id, user);
		id = user;
	}
	if (starts_db_count(l->db, w->of, id, since, &used, err) < 0)
		return -1;
	/* One more is free when so many of the oldest are out of the window that one less than the limit is left. */
	if (used > 0 && starts_db_at(l->db, w->of, id, since, max > 0 && used > max ? used - max : 0, &at, err) < 0)
		return -1;
	*ret_used = used;
	if (at > 0 && at + w->span_ns > now_ns)
		*ret_reset_s = (at + w->span_ns - now_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
	return 0;
}

/* The nearer to its end goes before. */
static void tell_window(struct limits_told *told, uint64_t max, uint64_t used, uint64_t reset_s)
{
	uint64_t remaining = used < max ? max - used : 0;

	if (told->known && (told->remaining < remaining || (told->remaining == remaining && told->reset_s >= reset_s)))
		return;
	told->known = true;
	told->limit = max;
	told->remaining = remaining;
	told->reset_s = reset_s;
}

/* Whose starts are looked at. */
struct whose {
	const char *user_id;
	const char *const *orgs;
	size_t orgs_n;
	uint64_t now_ns;
};

/* The one that is free last of those that are full. */
struct full {
	const struct limits_window *window; /* NULL: none is full */
	const char *id;
};

static struct whose whose_of(const struct holding *h, const struct limits_ask *ask)
{
	return (struct whose){.user_id = h->user_id, .orgs = h->orgs, .orgs_n = h->orgs_n, .now_ns = ask->now_ns};
}

static int tell_one(struct limits *l, const struct limits_window *w, const char *id, uint64_t now_ns,
	struct limits_told *told, struct full *full, struct err *err)
{
	uint64_t max = limits_window_max(l, w), used, reset_s;

	if (max == 0 || !id[0])
		return 0;
	if (limits_window_used(l, w, id, now_ns, &used, &reset_s, err) < 0)
		return -1;
	tell_window(told, max, used, reset_s);
	if (used < max)
		return 0;
	/* All that are full have to get free. */
	if (!full->window || reset_s > told->retry_s)
		*full = (struct full){.window = w, .id = id};
	told->retry_s = reset_s > told->retry_s ? reset_s : told->retry_s;
	return 0;
}

static int tell_windows(
	struct limits *l, const struct whose *whose, struct limits_told *told, struct full *ret_full, struct err *err)
{
	*ret_full = (struct full){0};
	for (size_t i = 0; i < LIMITS_WINDOWS_N; i++) {
		const struct limits_window *w = &limits_windows[i];
		bool of_user = w->of == STARTS_OF_USER;

		for (size_t n = 0; n < (of_user ? 1 : whose->orgs_n); n++) {
			const char *id = of_user ? whose->user_id : whose->orgs[n];

			if (tell_one(l, w, id, whose->now_ns, told, ret_full, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int check_windows(struct limits *l, const struct limits_ask *ask, const struct holding *h,
	struct limits_told *told, struct err *err)
{
	const struct whose whose = whose_of(h, ask);
	const struct limits_window *w;
	struct full full;
	uint64_t max;

	if (tell_windows(l, &whose, told, &full, err) < 0)
		return -1;
	if (!(w = full.window))
		return 0;
	max = limits_window_max(l, w);
	if (w->of == STARTS_OF_USER)
		err_set(err, ERR_BUSY,
			"you started %" PRIu64
			" captures within the last %s, which is the limit (%s); the next can start in %" PRIu64 " s",
			max, w->unit, w->name, told->retry_s);
	else
		err_set(err, ERR_BUSY,
			"%" PRIu64
			" captures of org %s were started within the last %s, which is the limit (%s); the next "
			"can start in %" PRIu64 " s",
			max, full.id, w->unit, w->name, told->retry_s);
	metrics_limit_hit(w->name);
	return err_detail(err, "too_many_starts");
}

void limits_tell(struct limits *l, const char *user_id, const char *org, uint64_t now_ns, struct limits_told *ret_told)
{
	const struct whose whose = {.user_id = user_id, .orgs = &org, .orgs_n = 1, .now_ns = now_ns};
	struct full full;
	uint64_t retry_s = ret_told->retry_s;
	struct err err = {0};

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	ret_told->known = false;
	if (tell_windows(l, &whose, ret_told, &full, &err) < 0)
		log_err(LOG_LEVEL_WARNING, "limits.not_told", &err, NULL);
	ret_told->retry_s = retry_s; /* that is a refusal's to say */
	pthread_mutex_unlock(&l->lock);
}

/* ---- all together ---- */

static int take(
	struct limits *l, const struct limits_ask *ask, struct holding *h, struct limits_told *told, struct err *err)
{
	const struct whose whose = whose_of(h, ask);
	char user[DIGEST_SHA256_HEX_MAX];
	const struct starts_one one = {
		.job_id = h->job, .user = user, .orgs = h->orgs, .orgs_n = h->orgs_n, .at_ns = ask->now_ns};
	struct limits_told refused = {0};
	struct err unread = {0};
	struct full full;
	int rc = check_captures(l, ask, h, told, err);

	if (rc < 0) { /* how it stands with starts is told all the same */
		if (tell_windows(l, &whose, &refused, &full, &unread) == 0) {
			refused.retry_s = told->retry_s > refused.retry_s ? told->retry_s : refused.retry_s;
			*told = refused;
		}
		return rc;
	}
	if (check_windows(l, ask, h, told, err) < 0 || limits_quota_begin(l, ask, h, told, err) < 0)
		return -1;
	call_user(l, h->user_id, user);
	return starts_db_add(l->db, &one, err);
}

int limits_take(struct limits *l, const struct limits_ask *ask, struct limits_told *ret_told, struct err *err)
{
	struct limits_told after = {0};
	struct err mine = {0};
	struct whose whose;
	struct full full;
	struct holding *h;
	int rc;

	if (!l)
		return 0;
	*ret_told = (struct limits_told){0};
	if (!(h = holding_new(ask, err)))
		return -1;
	whose = whose_of(h, ask);
	pthread_mutex_lock(&l->lock);
	if ((rc = take(l, ask, h, ret_told, &mine)) == 0) {
		h->next = l->holdings;
		l->holdings = h;
		h = NULL;
		/* As it stands now that this one counts. */
		if (tell_windows(l, &whose, &after, &full, &mine) == 0) {
			after.retry_s = 0;
			*ret_told = after;
		}
	}
	pthread_mutex_unlock(&l->lock);
	holding_free(h);
	if (rc < 0 && err)
		*err = mine;
	return rc;
}
