#include "collector/guard.h"

#include "collector/capture_table.h"
#include "collector/pace_pool.h"
#include "common/clock.h"
#include "common/log.h"
#include "schema/capture_request.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PERCENT(x) ((json_int_t)((x) + 0.5))

struct guard {
	/* fixed; table and on_hung from guard_watch on */
	const struct config_agent *config;
	struct guard_thresholds thresholds;
	struct pace_pool pool;
	struct capture_table *table;
	guard_hung_fn on_hung;
	void *ctx;
	pthread_t thread;

	/* the thread's own */
	struct guard_host host;
	uint64_t last_bytes, last_ns;

	atomic_uint_fast64_t shed;
	atomic_int level, cause; /* as in now, for those who do not want the lock */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* by lock */
	bool stopping;
	struct guard_state state;
	struct guard_snapshot now;
	uint64_t rings;       /* admitted captures */
	uint64_t rings_fresh; /* of these, since the last look: its figures do not know of them */
};

/* ---- looking ---- */

static void log_pressure(const struct guard_snapshot *n, enum guard_level was)
{
	const struct guard_figures *f = &n->figures;
	json_t *fields = json_pack("{s:s, s:s, s:s}", "level", guard_level_name(n->level), "was", guard_level_name(was),
		"why", guard_cause_text(n->cause));

	if (f->cpu.there)
		json_object_set_new(fields, "cpu_percent", json_integer(PERCENT(f->cpu.percent)));
	if (f->memory.there)
		json_object_set_new(fields, "memory_percent", json_integer(PERCENT(f->memory.percent)));
	if (f->io.there)
		json_object_set_new(fields, "io_percent", json_integer(PERCENT(f->io.percent)));
	if (f->has_load)
		json_object_set_new(fields, "load_per_core", json_real(f->load));
	if (f->has_memory)
		json_object_set_new(fields, "memory_available", json_integer((json_int_t)f->memory_available));
	log_event(n->level > was ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "guard.pressure", fields);
}

/* What share of memory is meant is known once its size is. */
static uint64_t free_threshold(const struct config_agent *c, const struct guard_figures *f)
{
	if (c->guard_memory_free_percent)
		return f->memory_total / 100 * c->guard_memory_free_percent;
	return c->guard_memory_free_bytes;
}

static void look(struct guard *g)
{
	const uint64_t now_ns = clock_mono_ns(), bytes = pace_pool_bytes(&g->pool);
	struct guard_snapshot n;
	struct guard_figures f;
	enum guard_level was;
	bool changed;

	guard_host_look(&g->host, now_ns, &f);
	g->thresholds.free_bytes = free_threshold(g->config, &f);
	pthread_mutex_lock(&g->lock);
	was = g->state.level;
	changed = g->config->guard_enabled && guard_state_step(&g->state, &g->thresholds, &f);
	g->rings_fresh = 0;
	g->now.figures = f;
	g->now.level = g->state.level;
	g->now.cause = g->state.cause;
	if (g->last_ns && now_ns > g->last_ns)
		g->now.bytes_per_s = (uint64_t)((double)(bytes - g->last_bytes) * (double)CLOCK_NS_PER_S /
						(double)(now_ns - g->last_ns));
	if (changed) {
		g->now.changes++;
		g->now.since_ns = clock_wall_ns();
	}
	n = g->now;
	pthread_mutex_unlock(&g->lock);
	g->last_bytes = bytes;
	g->last_ns = now_ns;
	atomic_store(&g->cause, (int)n.cause);
	atomic_store(&g->level, (int)n.level);
	if (changed) {
		pace_pool_narrow(&g->pool, (unsigned)n.level);
		log_pressure(&n, was);
	}
}

/* ---- the watchdog ---- */

static void on_cut(void *ctx, const char *id)
{
	struct guard *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->now.cut++;
	pthread_mutex_unlock(&g->lock);
	log_event(LOG_LEVEL_ERROR, "guard.capture_cut",
		json_pack("{s:s, s:I, s:s}", "capture", id, "watchdog_ms", (json_int_t)g->config->guard_watchdog_ms,
			"text", "it made no turn for so long; its connection was shut down"));
}

static void watch(struct guard *g, struct capture_table *table)
{
	char id[ID_MAX];

	if (!g->config->guard_watchdog_ms)
		return;
	if (capture_table_watch(table, clock_mono_ns(), g->config->guard_watchdog_ms * CLOCK_NS_PER_MS, on_cut, g, id))
		g->on_hung(g->ctx, id);
}

static void *run(void *arg)
{
	struct guard *g = arg;
	struct capture_table *table;
	struct timespec next;

	pthread_setname_np(pthread_self(), "guard");
	pthread_mutex_lock(&g->lock);
	while (!g->stopping) {
		next = clock_deadline(g->config->guard_interval_ms);
		while (!g->stopping && pthread_cond_timedwait(&g->changed, &g->lock, &next) == 0)
			continue;
		if (g->stopping)
			break;
		table = g->table;
		pthread_mutex_unlock(&g->lock);
		look(g);
		if (table)
			watch(g, table);
		pthread_mutex_lock(&g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

/* ---- life ---- */

static int init_locks(struct guard *g, struct err *err)
{
	int rc;

	if ((rc = pthread_mutex_init(&g->lock, NULL)) != 0)
		return err_sys(err, rc, "mutex");
	if ((rc = clock_cond_init(&g->changed)) != 0) {
		pthread_mutex_destroy(&g->lock);
		return err_sys(err, rc, "condition variable");
	}
	return 0;
}

static void guard_free(struct guard *g)
{
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
	pace_pool_done(&g->pool);
	free(g);
}

struct guard *guard_start(const struct config_agent *config, const struct guard_paths *paths, struct err *err)
{
	const struct pace_limits limits = {
		.bytes_per_s = config->rate_total, .cpu_percent = (unsigned)config->cpu_total_percent};
	struct guard *g = calloc(1, sizeof(*g));
	int rc;

	if (!g) {
		err_nomem(err);
		return NULL;
	}
	g->config = config;
	g->thresholds = (struct guard_thresholds){
		.cpu_percent = config->guard_cpu_pressure,
		.memory_percent = config->guard_memory_pressure,
		.io_percent = config->guard_io_pressure,
		.load = config->guard_load,
	};
	g->now.since_ns = clock_wall_ns();
	guard_host_init(&g->host, paths ? paths : &guard_paths_system);
	if (pace_pool_init(&g->pool, &limits, clock_mono_ns(), err) < 0) {
		free(g);
		return NULL;
	}
	if (init_locks(g, err) < 0) {
		pace_pool_done(&g->pool);
		free(g);
		return NULL;
	}
	look(g);
	if ((rc = pthread_create(&g->thread, NULL, run, g)) != 0) {
		err_sys(err, rc, "thread of the guard");
		guard_free(g);
		return NULL;
	}
	return g;
}

void guard_watch(struct guard *g, struct capture_table *table, guard_hung_fn on_hung, void *ctx)
{
	pthread_mutex_lock(&g->lock);
	g->on_hung = on_hung;
	g->ctx = ctx;
	g->table = table;
	pthread_mutex_unlock(&g->lock);
}

void guard_stop(struct guard *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stopping = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	guard_free(g);
}

/* ---- admission ---- */

/* The lock is held. */
static int check_room(const struct guard *g, struct err *err)
{
	const struct guard_figures *f = &g->now.figures;
	const uint64_t ring = g->config->ring_bytes, limit = g->config->memory_max;
	const uint64_t own = f->own_memory + g->rings * ring, fresh = (g->rings_fresh + 1) * ring;

	if (g->state.level >= GUARD_SHEDDING) {
		err_set(err, ERR_UNAVAILABLE,
			"%s: no new capture is taken here until that is over; try again in " AGENT_HOST_BUSY_RETRY_S
			" s",
			guard_cause_text(g->state.cause));
		return err_detail(err, AGENT_HOST_BUSY);
	}
	if (limit && own + ring > limit) {
		err_set(err, ERR_BUSY,
			"the agent takes %" PRIu64 " MiB, and one more ring of %" PRIu64
			" MiB would pass limits.memory, %" PRIu64 " MiB",
			own >> 20, ring >> 20, limit >> 20);
		return err_detail(err, "agent_memory");
	}
	if (g->config->guard_enabled && f->has_memory && g->thresholds.free_bytes &&
		(f->memory_available < fresh || f->memory_available - fresh < g->thresholds.free_bytes)) {
		err_set(err, ERR_UNAVAILABLE,
			"host short of memory: %" PRIu64 " MiB are free, and a ring of %" PRIu64
			" MiB would leave less than %" PRIu64 " MiB; try again in " AGENT_HOST_BUSY_RETRY_S " s",
			f->memory_available >> 20, ring >> 20, g->thresholds.free_bytes >> 20);
		return err_detail(err, AGENT_HOST_BUSY);
	}
	return 0;
}

int guard_admit(struct guard *g, struct err *err)
{
	int rc;

	pthread_mutex_lock(&g->lock);
	rc = check_room(g, err);
	if (rc == 0) {
		g->rings++;
		g->rings_fresh++;
	} else {
		g->now.refused++;
	}
	pthread_mutex_unlock(&g->lock);
	return rc;
}

void guard_release(struct guard *g)
{
	pthread_mutex_lock(&g->lock);
	g->rings--;
	if (g->rings_fresh)
		g->rings_fresh--;
	pthread_mutex_unlock(&g->lock);
}

/* ---- pace ---- */

uint64_t guard_rest(
	struct guard *g, struct pace_moment *last, const struct pace_moment *at, const char **ret_why, bool *ret_host)
{
	const bool host = atomic_load(&g->level) != GUARD_CALM;
	bool bytes = false;
	const uint64_t until = pace_pool_rest(&g->pool, last, at, &bytes);

	if (!until)
		return 0;
	*ret_host = host;
	if (host)
		*ret_why = guard_cause_text((enum guard_cause)atomic_load(&g->cause));
	else
		*ret_why = bytes ? "limits.rate_total reached" : "limits.cpu_total reached";
	return until;
}

size_t guard_piece(struct guard *g, size_t max)
{
	return pace_pool_piece(&g->pool, max);
}

void guard_count_shed(struct guard *g, uint64_t packets)
{
	atomic_fetch_add(&g->shed, packets);
}

/* ---- what there is to see ---- */

void guard_snapshot(struct guard *g, struct guard_snapshot *ret)
{
	pthread_mutex_lock(&g->lock);
	*ret = g->now;
	ret->own_bytes = g->now.figures.own_memory + g->rings * g->config->ring_bytes;
	pthread_mutex_unlock(&g->lock);
	ret->shed = atomic_load(&g->shed);
}

static json_t *psi_json(const struct guard_psi *p)
{
	return p->there ? json_real(p->percent) : json_null();
}

static json_t *host_json(const struct guard_figures *f)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "cpu_pressure", psi_json(&f->cpu), "memory_pressure",
		psi_json(&f->memory), "io_pressure", psi_json(&f->io), "load_per_core",
		f->has_load ? json_real(f->load) : json_null(), "memory_available",
		f->has_memory ? json_integer((json_int_t)f->memory_available) : json_null(), "memory_total",
		f->has_memory ? json_integer((json_int_t)f->memory_total) : json_null());
}

static json_t *ceilings_json(const struct config_agent *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "rate", (json_int_t)c->rate_max, "rate_total",
		(json_int_t)c->rate_total, "cpu", (json_int_t)c->cpu_percent, "cpu_total",
		(json_int_t)c->cpu_total_percent, "memory", (json_int_t)c->memory_max);
}

json_t *guard_json(struct guard *g)
{
	char since[CLOCK_TEXT_MAX];
	struct guard_snapshot s;

	guard_snapshot(g, &s);
	return json_pack("{s:b, s:s, s:s, s:s, s:o, s:{s:I, s:f, s:I}, s:o, s:I, s:I, s:I}", "enabled",
		g->config->guard_enabled, "level", guard_level_name(s.level), "why", guard_cause_text(s.cause), "since",
		clock_rfc3339(s.since_ns, since), "host", host_json(&s.figures), "own", "memory",
		(json_int_t)s.own_bytes, "cpu_percent", s.figures.own_cpu, "bytes_per_s", (json_int_t)s.bytes_per_s,
		"ceilings", ceilings_json(g->config), "shed", (json_int_t)s.shed, "refused", (json_int_t)s.refused,
		"cut", (json_int_t)s.cut);
}
