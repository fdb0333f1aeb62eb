/* test_limits.c - may one more start?  Below, at and above each limit, with the clock under control, across restarts and under many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "gateway/limits/limits.h"
#include "gateway/targets/target.h"
#include "test/unit/temp_file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB    UINT64_C(1024)
#define SECOND CLOCK_NS_PER_S
#define HOUR   (3600 * SECOND)
#define T0     (1000 * 24 * HOUR)

static struct config_gateway config;
static struct temp_file file;

static uint8_t key[LIMITS_KEY_BYTES];
static struct job_db *db;
static struct limits *limits;
static struct limits_told told;
static struct err err;
static uint64_t now;

static void open_all(void)
{
	if (!(db = job_db_open(file.path, &err)) || !(limits = limits_new(&config, db, key, &err)))
		fail_msg("%s", err.msg);
}

static void close_all(void)
{
	limits_free(limits);
	job_db_close(db);
}

/* What a new process knows. */
static void restart(void)
{
	close_all();
	open_all();
}

static int setup(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	memset(&err, 0, sizeof(err));
	memset(key, 1, sizeof(key));
	config.limit_captures = config.limit_captures_per_user = 1000;
	now = T0;
	temp_file_init(&file);
	open_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_all();
	temp_file_done(&file);
	return 0;
}

/* ---- who asks ---- */

static struct job *job_of(const char *user, const char *org)
{
	struct job *j = job_new(0);

	assert_non_null(j);
	id_new(j->id);
	assert_int_equal(job_set(&j->owner_user_id, user, &err), 0);
	assert_int_equal(job_set(&j->org, org, &err), 0);
	assert_int_equal(job_set(&j->target, "{}", &err), 0);
	capture_options_init(&j->options);
	j->options.max_duration_s = 3600;
	j->mode = JOB_LIVE;
	return j;
}

static void add_scope(struct job *j, const char *org, const char *space, const char *app)
{
	struct scope s = {0};

	snprintf(s.org, sizeof(s.org), "%s", org);
	snprintf(s.space, sizeof(s.space), "%s", space);
	snprintf(s.app, sizeof(s.app), "%s", app);
	assert_int_equal(scope_list_add(&j->scopes, &s, &err), 0);
}

static int take_on(const struct job *j, const struct target_instance *instances, size_t n)
{
	const struct limits_ask ask = {.job = j, .instances = instances, .instances_n = n, .now_ns = now};

	memset(&err, 0, sizeof(err));
	return limits_take(limits, &ask, &told, &err);
}

/* A start that goes through; its id. */
static void starts(struct job *j, char ret[ID_MAX])
{
	if (take_on(j, NULL, 0) < 0)
		fail_msg("%s", err.msg);
	memcpy(ret, j->id, ID_MAX);
	job_free(j);
}

static void assert_said(const char *detail, const char *says)
{
	assert_int_equal(err.code, ERR_BUSY);
	assert_string_equal(err.detail, detail);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void refused(struct job *j, const char *detail, const char *says)
{
	assert_int_equal(take_on(j, NULL, 0), -1);
	assert_said(detail, says);
	job_free(j);
}

/* ---- at once ---- */

static void each_limit_of_captures_at_once(void **state)
{
	static const struct {
		size_t at;
		const char *org, *space, *app, *other_org, *other_space, *other_app, *says;
	} rows[] = {
		{offsetof(struct config_gateway, limit_captures_per_app), "o", "s", "a", "o", "s", "b",
			"app a has 2 captures running, which is the limit (captures_per_app)"},
		{offsetof(struct config_gateway, limit_captures_per_space), "o", "s", "a", "o", "t", "a2",
			"space s has 2 captures running, which is the limit (captures_per_space)"},
		{offsetof(struct config_gateway, limit_captures_per_org), "o", "s", "a", "p", "s2", "a2",
			"org o has 2 captures running, which is the limit (captures_per_org)"},
	};
	char id[2][ID_MAX], other[ID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t max = 2;
		struct job *j;

		memcpy((char *)&config + rows[i].at, &max, sizeof(max));
		for (unsigned n = 0; n < 3; n++) {
			j = job_of("alice", rows[i].org);
			add_scope(j, "elsewhere", "x", "x"); /* any of its scopes counts */
			add_scope(j, rows[i].org, rows[i].space, rows[i].app);
			if (n < 2) {
				char x[ID_MAX];

				/* Only the row's own scope is to be full. */
				scope_list_done(&j->scopes);
				add_scope(j, rows[i].org, rows[i].space, rows[i].app);
				starts(j, x);
				memcpy(id[n], x, sizeof(x));
			} else {
				refused(j, "too_many_captures", rows[i].says);
			}
		}
		j = job_of("bob", rows[i].other_org);
		add_scope(j, rows[i].other_org, rows[i].other_space, rows[i].other_app);
		starts(j, other);
		limits_give(limits, id[0]);
		j = job_of("bob", rows[i].org);
		add_scope(j, rows[i].org, rows[i].space, rows[i].app);
		starts(j, id[0]);
		limits_give(limits, id[0]);
		limits_give(limits, id[0]); /* not twice */
		limits_give(limits, id[1]);
		limits_give(limits, other);
		max = 0;
		memcpy((char *)&config + rows[i].at, &max, sizeof(max));
	}
}

static void users_and_the_gateway(void **state)
{
	char id[4][ID_MAX];

	(void)state;
	config.limit_captures = 3;
	config.limit_captures_per_user = 2;
	starts(job_of("alice", ""), id[0]);
	starts(job_of("alice", ""), id[1]);
	refused(job_of("alice", ""), "too_many_captures",
		"you have 2 captures running, which is the limit (captures_per_user)");
	assert_int_equal(told.retry_s, 30); /* they may end at any time */
	starts(job_of("bob", ""), id[2]);
	refused(job_of("carol", ""), "too_many_captures",
		"3 captures are running on this gateway, which is the limit (captures)");
	refused(job_of("alice", ""), "too_many_captures", "captures_per_user"); /* the nearer one */
	now += 3590 * SECOND;
	refused(job_of("carol", ""), "too_many_captures", "(captures)");
	assert_int_equal(told.retry_s, 10); /* then the first must have ended */
	limits_give(limits, id[1]);
	starts(job_of("carol", ""), id[3]);
}

/* Of targets that lie in no org the user's counts; else only theirs. */
static void the_org_is_that_of_the_targets(void **state)
{
	char id[ID_MAX];
	struct job *j;

	(void)state;
	config.limit_captures_per_org = 1;
	starts(job_of("alice", "acme"), id);
	refused(job_of("carol", "acme"), "too_many_captures", "org acme");
	j = job_of("carol", "acme");
	add_scope(j, "guid", "s", "a");
	starts(j, id);
	j = job_of("bob", "other");
	add_scope(j, "guid", "s", "a");
	refused(j, "too_many_captures", "org guid");
	starts(job_of("dave", ""), id); /* in none at all */
	starts(job_of("dave", ""), id);
}

static void instances_of_one_agent(void **state)
{
	struct target_instance t[4] = {{.host = "10.0.0.1", .port = 9494}, {.host = "10.0.0.1", .port = 9494},
		{.host = "10.0.0.1", .port = 9495}, {.host = "10.0.0.1", .port = 9494}};
	struct job *j = job_of("alice", ""), *k = job_of("bob", "");

	(void)state;
	config.limit_captures_per_agent = 2;
	assert_int_equal(take_on(j, t, 4), -1);
	assert_int_equal(err.code, ERR_LIMIT); /* it never will */
	assert_string_equal(err.detail, "over_limit");
	err_set(&t[3].error, ERR_STATE, "it is stopped"); /* is not asked */
	assert_int_equal(take_on(j, t, 4), 0);
	assert_int_equal(take_on(k, t, 1), -1);
	assert_said("too_many_captures", "agent 10.0.0.1:9494 has 2 of the 2 instances");
	assert_int_equal(take_on(k, &t[2], 1), 0); /* the other one */
	assert_int_equal(limits_join(limits, k->id, &t[0], &err), -1);
	assert_said("too_many_captures", "captures_per_agent");
	limits_leave(limits, j->id, &t[0]);
	assert_int_equal(limits_join(limits, k->id, &t[0], &err), 0);
	assert_int_equal(limits_join(limits, k->id, &t[0], &err), -1);
	job_free(j);
	job_free(k);
}

/* ---- starts per time ---- */

static void assert_told(uint64_t limit, uint64_t remaining, uint64_t reset_s)
{
	assert_true(told.known);
	assert_int_equal(told.limit, limit);
	assert_int_equal(told.remaining, remaining);
	assert_int_equal(told.reset_s, reset_s);
}

static void start_and_end(const char *user, const char *org)
{
	char id[ID_MAX];

	starts(job_of(user, org), id);
	limits_give(limits, id);
}

static void the_window_slides(void **state)
{
	(void)state;
	config.limit_starts_per_hour = 3;
	limits_tell(limits, "alice", "acme", now, &told);
	assert_told(3, 3, 0);
	start_and_end("alice", "acme");
	assert_told(3, 2, 3600);
	now += 600 * SECOND;
	start_and_end("alice", "acme");
	assert_told(3, 1, 3000);
	restart();
	now += 600 * SECOND;
	start_and_end("alice", "acme");
	assert_told(3, 0, 2400);
	refused(job_of("alice", "acme"), "too_many_starts",
		"you started 3 captures within the last hour, which is the limit (starts_per_hour); the next can start "
		"in 2400 s");
	assert_int_equal(told.retry_s, 2400);
	start_and_end("bob", "acme"); /* each has an own count */
	restart();
	now = T0 + HOUR - 1;
	refused(job_of("alice", "acme"), "too_many_starts", "starts_per_hour");
	assert_int_equal(told.retry_s, 1);
	now = T0 + HOUR; /* what was said is true */
	start_and_end("alice", "acme");
	assert_told(3, 0, 600);
	refused(job_of("alice", "acme"), "too_many_starts", "the next can start in 600 s");
}

static void the_day_and_the_org_count_too(void **state)
{
	(void)state;
	config.limit_starts_per_hour = 2;
	config.limit_starts_per_day = 3;
	config.limit_starts_per_day_org = 4;
	start_and_end("alice", "acme");
	assert_told(2, 1, 3600); /* the nearest of the three */
	start_and_end("alice", "acme");
	now += 2 * HOUR;
	start_and_end("alice", "acme");
	refused(job_of("alice", "acme"), "too_many_starts", "within the last day, which is the limit (starts_per_day)");
	assert_int_equal(told.retry_s, 22 * 3600);
	start_and_end("carol", "acme");
	restart();
	refused(job_of("carol", "acme"), "too_many_starts",
		"4 captures of org acme were started within the last day, which is the limit (starts_per_day_org)");
	start_and_end("carol", "other");
	now = T0 + 24 * HOUR;
	start_and_end("carol", "acme");
}

/* Told by a clock that is set back: what counts no more is gone. */
static void starts_are_forgotten_after_a_day(void **state)
{
	char id[ID_MAX];

	(void)state;
	config.limit_starts_per_day = 1;
	starts(job_of("alice", ""), id);
	limits_sweep(limits, T0 + 24 * HOUR - 1);
	refused(job_of("alice", ""), "too_many_starts", "starts_per_day");
	limits_sweep(limits, T0 + 24 * HOUR);
	starts(job_of("alice", ""), id);
}

static void users_are_known_by_the_key_only(void **state)
{
	char id[ID_MAX];

	(void)state;
	config.limit_starts_per_hour = 1;
	starts(job_of("alice", ""), id);
	restart();
	refused(job_of("alice", ""), "too_many_starts", "starts_per_hour");
	starts(job_of("bob", ""), id);
	key[0] = 2;
	restart();
	starts(job_of("alice", ""), id);
}

static void a_refused_start_takes_nothing(void **state)
{
	char id[2][ID_MAX];

	(void)state;
	config.limit_starts_per_hour = 2;
	config.limit_captures_per_user = 1;
	starts(job_of("alice", ""), id[0]);
	for (unsigned i = 0; i < 5; i++)
		refused(job_of("alice", ""), "too_many_captures", "captures_per_user");
	assert_told(2, 1, 3600);
	limits_give(limits, id[0]);
	starts(job_of("alice", ""), id[0]);
	limits_forget(limits, id[0]); /* no agent was asked */
	limits_forget(limits, id[0]);
	limits_tell(limits, "alice", "", now, &told);
	assert_told(2, 1, 3600);
	starts(job_of("alice", ""), id[1]);
	limits_give(limits, id[1]);
	refused(job_of("alice", ""), "too_many_starts", "starts_per_hour");
}

/* One capture of two orgs is one start of its user, and one in each org; its user's own org is none of them. */
static void a_start_counts_in_each_org(void **state)
{
	struct job *j;
	char id[ID_MAX];

	(void)state;
	config.limit_starts_per_day_org = 2;
	config.limit_starts_per_hour = 4;
	for (unsigned i = 0; i < 2; i++) {
		j = job_of("alice", "first");
		add_scope(j, "first", "s", "a");
		add_scope(j, "second", "t", "b");
		add_scope(j, "second", "t", "c"); /* not twice */
		starts(j, id);
		limits_give(limits, id);
		now += 60 * SECOND;
	}
	restart();
	for (unsigned i = 0; i < 2; i++) {
		j = job_of("bob", "third");
		add_scope(j, i ? "first" : "second", "x", "x");
		refused(j, "too_many_starts",
			i ? "2 captures of org first were started within the last day"
			  : "2 captures of org second were started within the last day");
		assert_int_equal(told.retry_s, 24 * 3600 - 120);
	}
	j = job_of("bob", "third");
	add_scope(j, "third", "x", "x");
	add_scope(j, "second", "x", "x");
	refused(j, "too_many_starts", "of org second"); /* one that is full is enough */
	start_and_end("alice", "third");
	assert_told(2, 1, 24 * 3600);
	config.limit_starts_per_day_org = 0;
	start_and_end("alice", "third");
	assert_told(4, 0, 3600 - 120);
	refused(job_of("alice", "third"), "too_many_starts", "you started 4 captures");
	assert_int_equal(told.retry_s, 3600 - 120);
	limits_forget(limits, id); /* in both */
	config.limit_starts_per_day_org = 2;
	j = job_of("bob", "third");
	add_scope(j, "first", "s", "a");
	add_scope(j, "second", "s", "a");
	starts(j, id);
}

/* A clock that was set back makes nobody wait for longer than the window, and frees nothing early. */
static void the_clock_is_set_back(void **state)
{
	(void)state;
	config.limit_starts_per_hour = 1;
	start_and_end("alice", "");
	now -= 600 * SECOND;
	refused(job_of("alice", ""), "too_many_starts", "starts_per_hour");
}

/* ---- what is stored ---- */

static struct job *store_of(const char *user, const char *org)
{
	struct job *j = job_of(user, org);

	j->mode = JOB_STORE;
	return j;
}

static void is_stored(const char *user, const char *org, uint64_t bytes, uint64_t expires_ns)
{
	struct job *j = store_of(user, org);

	j->state = JOB_READY;
	j->object_bytes = j->bytes = bytes;
	j->expires_at = expires_ns;
	assert_int_equal(job_db_insert(db, j, &err), 0);
	job_free(j);
}

static void a_full_quota_refuses_and_says_when_there_is_room(void **state)
{
	char id[ID_MAX];

	(void)state;
	config.limit_quota_user_bytes = 1000 * KIB;
	is_stored("alice", "acme", 600 * KIB, now + 500 * SECOND);
	is_stored("bob", "acme", 900 * KIB, now + 10 * SECOND);
	starts(store_of("alice", "acme"), id);
	limits_give(limits, id);
	is_stored("alice", "acme", 392 * KIB, now + 300 * SECOND);
	starts(store_of("alice", "acme"), id); /* 8 KiB are just enough for headers */
	limits_give(limits, id);
	is_stored("alice", "acme", 1, now + 400 * SECOND);
	refused(store_of("alice", "acme"), "quota_exceeded",
		"what you have stored leaves 8191 of 1024000 bytes (quota_user)");
	assert_int_equal(told.retry_s, 300);
	assert_string_equal(err.field, "mode");
	starts(job_of("alice", "acme"), id); /* live takes no room */

	config.limit_quota_user_bytes = 0;
	config.limit_quota_org_bytes = 1500 * KIB;
	refused(store_of("carol", "acme"), "quota_exceeded",
		"what is stored of org acme leaves 0 of 1536000 bytes (quota_org)");
	assert_int_equal(told.retry_s, 10);
	starts(store_of("carol", "other"), id);
}

/* In full in each: what is stored, and what runs. */
static void stored_bytes_count_in_each_org(void **state)
{
	struct job *j = store_of("alice", "first");
	const char *limit = NULL;
	char id[ID_MAX];

	(void)state;
	add_scope(j, "first", "s", "a");
	add_scope(j, "second", "t", "b");
	config.limit_quota_org_bytes = 300 * KIB;
	is_stored("dave", "second", 50 * KIB, now + 500 * SECOND);
	memcpy(id, j->id, sizeof(id));
	assert_int_equal(take_on(j, NULL, 0), 0);
	assert_int_equal(limits_room(limits, id, 100 * KIB, &limit), (8 + 128) * KIB);
	assert_int_equal(limits_room(limits, id, 400 * KIB, &limit), 250 * KIB); /* the fuller one bounds it */
	assert_string_equal(limit, "limits.quota_org");
	j->state = JOB_RUNNING;
	j->bytes = 250 * KIB;
	assert_int_equal(job_db_insert(db, j, &err), 0);
	assert_int_equal(limits_room(limits, id, 400 * KIB, &limit), 250 * KIB); /* nor is it counted twice there */
	j->state = JOB_READY;
	j->object_bytes = 250 * KIB;
	j->expires_at = now + 100 * SECOND;
	assert_int_equal(job_db_save(db, j, &err), 0);
	restart();
	refused(store_of("carol", "second"), "quota_exceeded", "what is stored of org second leaves 0 of 307200 bytes");
	assert_int_equal(told.retry_s, 100);
	starts(store_of("carol", "first"), id); /* has 50 KiB more */
	limits_give(limits, id);
	is_stored("dave", "first", 43 * KIB, now + 500 * SECOND);
	refused(store_of("carol", "first"), "quota_exceeded", "what is stored of org first leaves 7168 of");
	job_free(j);
}

static void what_runs_reserves_before_it_writes(void **state)
{
	const char *limit = NULL;
	char a[ID_MAX], b[ID_MAX], live[ID_MAX];

	(void)state;
	config.limit_quota_user_bytes = 300 * KIB;
	is_stored("alice", "", 50 * KIB, now + HOUR);
	starts(store_of("alice", ""), a);
	starts(store_of("alice", ""), b);
	starts(job_of("alice", ""), live);
	assert_true(limits_room(limits, live, 1000 * KIB, &limit) == UINT64_MAX);
	assert_int_equal(limits_room(limits, a, KIB, &limit), 8 * KIB);               /* has it already */
	assert_int_equal(limits_room(limits, a, 100 * KIB, &limit), (8 + 128) * KIB); /* in steps of 64 KiB */
	assert_int_equal(limits_room(limits, b, 1000 * KIB, &limit), (300 - 50 - 136) * KIB);
	assert_string_equal(limit, "limits.quota_user");
	assert_int_equal(limits_room(limits, a, 136 * KIB, &limit), 136 * KIB);
	assert_int_equal(limits_room(limits, a, 136 * KIB + 1, &limit), 136 * KIB); /* not one byte */
	limits_give(limits, b);
	assert_int_equal(limits_room(limits, a, 137 * KIB, &limit), 200 * KIB);
	limits_give(limits, a);
	assert_true(limits_room(limits, a, 1, &limit) == UINT64_MAX); /* does not run */
}

/* What the database says of a running capture is not counted beside its reservation; what a former process left is. */
static void nothing_counts_twice(void **state)
{
	struct job *j = store_of("alice", ""), *left = store_of("alice", "");
	const char *limit = NULL;

	(void)state;
	config.limit_quota_user_bytes = 300 * KIB;
	assert_int_equal(take_on(j, NULL, 0), 0);
	j->state = JOB_RUNNING;
	j->bytes = 100 * KIB;
	assert_int_equal(job_db_insert(db, j, &err), 0);
	assert_int_equal(limits_room(limits, j->id, 250 * KIB, &limit), (8 + 256) * KIB);
	j->state = JOB_READY;
	j->object_bytes = 250 * KIB;
	assert_int_equal(job_db_save(db, j, &err), 0);
	assert_int_equal(limits_room(limits, j->id, 280 * KIB, &limit), 300 * KIB); /* before its place is given back */
	restart();
	left->state = JOB_FINISHING;
	left->bytes = 45 * KIB;
	assert_int_equal(job_db_insert(db, left, &err), 0);
	refused(store_of("alice", ""), "quota_exceeded", "leaves 5120 of");
	job_free(j);
	job_free(left);
}

/* ---- one capture ---- */

static void options_are_bounded_and_filled(void **state)
{
	static const struct {
		size_t limit, option;
		const char *field;
		enum stop_reason reason;
	} rows[] = {
		{offsetof(struct config_gateway, limit_max_bytes), offsetof(struct capture_options, max_bytes),
			"options.max_bytes", STOP_MAX_BYTES},
		{offsetof(struct config_gateway, limit_max_packets), offsetof(struct capture_options, max_packets),
			"options.max_packets", STOP_MAX_PACKETS},
		{0, offsetof(struct capture_options, max_duration_s), "options.max_duration_s", STOP_MAX_DURATION},
	};

	(void)state;
	config.limit_snaplen = 65535;
	config.storage_job_max_bytes = 5000;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint64_t max = 1000;
		struct err why = {0};

		memcpy((char *)&config + rows[i].limit, &max, sizeof(max));
		config.limit_duration_ms = max * 1000;
		for (uint64_t asked = 0; asked <= 1001; asked = asked ? asked + 1 : 999) {
			struct capture_options o;
			uint64_t is;

			capture_options_init(&o);
			memcpy((char *)&o + rows[i].option, &asked, sizeof(asked));
			memset(&err, 0, sizeof(err));
			if (asked > max) {
				assert_int_equal(limits_options(&config, JOB_LIVE, &o, &err), -1);
				assert_string_equal(err.field, rows[i].field);
				assert_string_equal(err.detail, "over_limit");
				continue;
			}
			assert_int_equal(limits_options(&config, JOB_LIVE, &o, &err), 0);
			memcpy(&is, (char *)&o + rows[i].option, sizeof(is));
			assert_int_equal(is, asked ? asked : max);
			assert_int_equal(limits_bound(&config, &o, rows[i].reason, &why), is == max);
			assert_false(limits_bound(&config, &o, STOP_USER, &why));
		}
	}
}

static void a_stored_one_is_bounded_by_the_store_too(void **state)
{
	struct capture_options o;

	(void)state;
	config.limit_snaplen = 65535;
	config.limit_duration_ms = 1000;
	config.storage_job_max_bytes = 5000;
	config.limit_max_bytes = 9000;
	capture_options_init(&o);
	assert_int_equal(limits_options(&config, JOB_STORE, &o, &err), 0);
	assert_int_equal(o.max_bytes, 0); /* the store ends it, and says so */
	o.max_bytes = 5001;
	assert_int_equal(limits_options(&config, JOB_STORE, &o, &err), -1);
	assert_non_null(strstr(err.msg, "storage.job_max"));
	config.limit_max_bytes = 4000;
	o.max_bytes = 0;
	assert_int_equal(limits_options(&config, JOB_STORE, &o, &err), 0);
	assert_int_equal(o.max_bytes, 4000);
}

static void retention_has_a_default_and_a_maximum(void **state)
{
	struct limits_overrides org = {.retention_ms = 60000, .retention_max_ms = 120000};
	uint64_t s = 0;

	(void)state;
	config.storage_retention_ms = 100 * 1000;
	assert_int_equal(limits_retention_max_ms(&config), 100 * 1000);
	assert_int_equal(limits_retention(&config, NULL, 0, &s, &err), 0);
	assert_int_equal(s, 100);
	assert_int_equal(limits_retention(&config, NULL, 101, &s, &err), -1);
	assert_string_equal(err.field, "retention_s");
	assert_string_equal(err.detail, "over_limit");
	config.storage_retention_max_ms = 200 * 1000;
	assert_int_equal(limits_retention_max_ms(&config), 200 * 1000);
	assert_int_equal(limits_retention(&config, NULL, 200, &s, &err), 0);
	assert_int_equal(s, 200);
	assert_int_equal(limits_retention(&config, NULL, 201, &s, &err), -1);
	assert_int_equal(limits_retention(&config, &org, 0, &s, &err), 0);
	assert_int_equal(s, 60);
	assert_int_equal(limits_retention(&config, &org, 120, &s, &err), 0);
	assert_int_equal(limits_retention(&config, &org, 121, &s, &err), -1);
	org.retention_max_ms = 1000 * 1000; /* the store's rule knows no orgs */
	assert_int_equal(limits_retention(&config, &org, 201, &s, &err), -1);
}

/* ---- standing ---- */

static json_int_t standing_of(const json_t *list, const char *limit, const char *what)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "limit")), limit) == 0)
			return json_integer_value(json_object_get(one, what));
	}
	fail_msg("no %s", limit);
	return -1;
}

static void everybody_sees_the_own_standing(void **state)
{
	char id[ID_MAX];
	json_t *list;

	(void)state;
	config.limit_starts_per_hour = 5;
	config.limit_captures_per_org = 7;
	config.limit_quota_user_bytes = 1000 * KIB;
	is_stored("alice", "acme", 100 * KIB, now + HOUR);
	starts(store_of("alice", "acme"), id);
	starts(job_of("carol", "acme"), id);
	now += 60 * SECOND;
	list = limits_standing(limits, "alice", "acme", now);
	assert_int_equal(standing_of(list, "captures_per_user", "used"), 1);
	assert_int_equal(standing_of(list, "captures_per_user", "max"), 1000);
	assert_int_equal(standing_of(list, "captures_per_org", "used"), 2);
	assert_int_equal(standing_of(list, "captures_per_org", "max"), 7);
	assert_int_equal(standing_of(list, "starts_per_hour", "used"), 1);
	assert_int_equal(standing_of(list, "starts_per_hour", "max"), 5);
	assert_int_equal(standing_of(list, "starts_per_hour", "reset_s"), 3540);
	assert_int_equal(standing_of(list, "starts_per_hour_org", "used"), 2);
	assert_int_equal(standing_of(list, "quota_user", "used"), (100 + 8) * KIB);
	assert_int_equal(standing_of(list, "quota_org", "used"), (100 + 8) * KIB);
	assert_int_equal(standing_of(list, "quota_org", "max"), 0);
	json_decref(list);
	list = limits_standing(limits, "dave", "", now);
	assert_int_equal(json_array_size(list), 4); /* no org, no rows of it */
	json_decref(list);
}

static void without_limits_all_goes(void **state)
{
	const struct limits_ask ask = {0};
	const char *limit;
	json_t *list = limits_standing(NULL, "alice", "", now);

	(void)state;
	assert_int_equal(limits_take(NULL, &ask, &told, &err), 0);
	limits_give(NULL, "x");
	limits_forget(NULL, "x");
	assert_true(limits_room(NULL, "x", 1, &limit) == UINT64_MAX);
	assert_int_equal(limits_join(NULL, "x", NULL, &err), 0);
	limits_leave(NULL, "x", NULL);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	limits_free(NULL);
}

/* ---- many at once ---- */

#define THREADS 200

static pthread_barrier_t line;
static atomic_uint went;

static void *race(void *arg)
{
	struct job *j = arg;
	const struct limits_ask ask = {.job = j, .now_ns = T0};
	struct limits_told mine;

	pthread_barrier_wait(&line);
	if (limits_take(limits, &ask, &mine, NULL) == 0)
		atomic_fetch_add(&went, 1);
	return NULL;
}

static unsigned run_race(unsigned users)
{
	struct job *jobs[THREADS];
	pthread_t threads[THREADS];
	char user[16];

	atomic_store(&went, 0);
	assert_int_equal(pthread_barrier_init(&line, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		snprintf(user, sizeof(user), "user%u", i % users);
		jobs[i] = store_of(user, "acme");
		assert_int_equal(pthread_create(&threads[i], NULL, race, jobs[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&line);
	for (unsigned i = 0; i < THREADS; i++) {
		limits_give(limits, jobs[i]->id);
		job_free(jobs[i]);
	}
	return atomic_load(&went);
}

static void two_hundred_at_once_overshoot_nothing(void **state)
{
	(void)state;
	config.limit_captures = 10;
	assert_int_equal(run_race(THREADS), 10); /* and not one too few */
	config.limit_captures = 1000;
	config.limit_captures_per_user = 3;
	assert_int_equal(run_race(4), 12);
	config.limit_captures_per_user = 1000;
	config.limit_quota_org_bytes = 17 * 8 * KIB;
	assert_int_equal(run_race(50), 17);
	config.limit_quota_org_bytes = 0;
	config.limit_starts_per_hour = 7; /* none of these users has started any of it yet but user0..user3 */
	config.limit_starts_per_hour_org = 10 + 12 + 17 + 5;
	assert_int_equal(run_race(1000), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_limit_of_captures_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(users_and_the_gateway, setup, teardown),
		cmocka_unit_test_setup_teardown(the_org_is_that_of_the_targets, setup, teardown),
		cmocka_unit_test_setup_teardown(instances_of_one_agent, setup, teardown),
		cmocka_unit_test_setup_teardown(the_window_slides, setup, teardown),
		cmocka_unit_test_setup_teardown(the_day_and_the_org_count_too, setup, teardown),
		cmocka_unit_test_setup_teardown(starts_are_forgotten_after_a_day, setup, teardown),
		cmocka_unit_test_setup_teardown(users_are_known_by_the_key_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_start_takes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_start_counts_in_each_org, setup, teardown),
		cmocka_unit_test_setup_teardown(the_clock_is_set_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_quota_refuses_and_says_when_there_is_room, setup, teardown),
		cmocka_unit_test_setup_teardown(stored_bytes_count_in_each_org, setup, teardown),
		cmocka_unit_test_setup_teardown(what_runs_reserves_before_it_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_counts_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(options_are_bounded_and_filled, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stored_one_is_bounded_by_the_store_too, setup, teardown),
		cmocka_unit_test_setup_teardown(retention_has_a_default_and_a_maximum, setup, teardown),
		cmocka_unit_test_setup_teardown(everybody_sees_the_own_standing, setup, teardown),
		cmocka_unit_test_setup_teardown(without_limits_all_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(two_hundred_at_once_overshoot_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
