/* test_job_db.c - schema/job_db*.c: what goes in comes out, filters, migrations, foreign files, a full disk, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fs.h"
#include "schema/job_db_internal.h"
#include "temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_A "01jh8zxk5f8m3q0v7w2n4r6t9a"
#define ID_B "01jh8zxk5f8m3q0v7w2n4r6t9b"
#define ID_C "01jh8zxk5f8m3q0v7w2n4r6t9c"

struct rig {
	struct temp_file file;
	struct job_db *db;
	struct err err;
};

static void rig_open(struct rig *r)
{
	r->db = job_db_open(r->file.path, &r->err);
	if (!r->db)
		fail_msg("%s", r->err.msg);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	temp_file_init(&r->file);
	rig_open(r);
	*state = r;
	return 0;
}

static int setup_closed(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	temp_file_init(&r->file);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	job_db_close(r->db);
	temp_file_done(&r->file);
	free(r);
	return 0;
}

#define ok(r, call)                                                                                                    \
	do {                                                                                                           \
		if ((call) < 0)                                                                                        \
			fail_msg("%s: %s", #call, (r)->err.msg);                                                       \
	} while (0)

static struct job *make_job(const char *id, size_t instances_n)
{
	struct job *j = job_new(instances_n);

	assert_non_null(j);
	snprintf(j->id, sizeof(j->id), "%s", id);
	job_set(&j->owner_user_id, "u-alice", NULL);
	job_set(&j->owner_user_name, "alice", NULL);
	job_set(&j->target, "{\"type\":\"host\"}", NULL);
	job_set(&j->gateway, "gw-1", NULL);
	j->created_at = 1000;
	for (size_t i = 0; i < instances_n; i++) {
		snprintf(j->instances[i].name, sizeof(j->instances[i].name), "web/%zu", i);
		snprintf(j->instances[i].agent, sizeof(j->instances[i].agent), "10.0.0.%zu:9494", i + 1);
	}
	return j;
}

static void insert(struct rig *r, struct job *j)
{
	ok(r, job_db_insert(r->db, j, &r->err));
	job_free(j);
}

static struct job *get(struct rig *r, const char *id)
{
	struct job *j = job_db_get(r->db, id, &r->err);

	if (!j)
		fail_msg("%s", r->err.msg);
	return j;
}

/* ---- one job ---- */

/* Every field different from its default and from its neighbours. */
static void fill(struct job *j)
{
	struct job_instance *i = &j->instances[0];

	j->state = JOB_READY;
	j->mode = JOB_STORE;
	j->started_at = 11;
	j->ended_at = 12;
	j->expires_at = 13;
	j->stop_reason = STOP_MAX_BYTES;
	job_set(&j->stop_by, "bob", NULL);
	job_set(&j->error_code, "full", NULL);
	job_set(&j->error, "it's \"full\"; DROP TABLE jobs;--", NULL);
	j->bytes = UINT64_C(1) << 40;
	j->packets = 14;
	j->dropped = (struct job_drops){1, 2, 3, 4};
	job_set(&j->object_key, "k", NULL);
	j->object_bytes = 15;
	memset(j->object_sha256, 'a', 64);
	job_set(&j->object_store, "s3 bucket caps", NULL);
	job_set(&j->gateway, "gw-2", NULL);
	j->heartbeat_at = 16;
	snprintf(i->device, sizeof(i->device), "eth7");
	i->link_type = 276;
	i->state = INSTANCE_FAILED;
	i->stop_reason = STOP_AGENT_LOST;
	i->packets = 21;
	i->bytes = 22;
	i->late_packets = 23;
	i->dropped = (struct job_drops){5, 6, 7, 8};
	snprintf(i->error_code, sizeof(i->error_code), "net");
	snprintf(i->error, sizeof(i->error), "gone");
}

static void assert_instances_equal(const struct job_instance *a, const struct job_instance *b)
{
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->agent, b->agent);
	assert_string_equal(a->device, b->device);
	assert_int_equal(a->link_type, b->link_type);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->stop_reason, b->stop_reason);
	assert_int_equal(a->packets, b->packets);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->late_packets, b->late_packets);
	assert_memory_equal(&a->dropped, &b->dropped, sizeof(a->dropped));
	assert_string_equal(a->error_code, b->error_code);
	assert_string_equal(a->error, b->error);
}

static void assert_jobs_equal(const struct job *a, const struct job *b)
{
	assert_string_equal(a->id, b->id);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->format, b->format);
	assert_string_equal(a->owner_user_id, b->owner_user_id);
	assert_string_equal(a->owner_user_name, b->owner_user_name);
	assert_string_equal(a->org, b->org);
	assert_string_equal(a->space, b->space);
	assert_string_equal(a->target, b->target);
	assert_string_equal(a->options.device, b->options.device);
	assert_string_equal(a->options.filter, b->options.filter);
	assert_int_equal(a->options.snaplen, b->options.snaplen);
	assert_int_equal(a->options.max_duration_s, b->options.max_duration_s);
	assert_int_equal(a->options.max_bytes, b->options.max_bytes);
	assert_int_equal(a->options.max_packets, b->options.max_packets);
	assert_string_equal(a->note, b->note);
	assert_string_equal(a->policy, b->policy);
	assert_int_equal(a->retention_s, b->retention_s);
	assert_string_equal(a->limited_by, b->limited_by);
	assert_int_equal(a->created_at, b->created_at);
	assert_int_equal(a->started_at, b->started_at);
	assert_int_equal(a->ended_at, b->ended_at);
	assert_int_equal(a->expires_at, b->expires_at);
	assert_int_equal(a->stop_reason, b->stop_reason);
	assert_string_equal(a->stop_by, b->stop_by);
	assert_string_equal(a->error_code, b->error_code);
	assert_string_equal(a->error, b->error);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->packets, b->packets);
	assert_memory_equal(&a->dropped, &b->dropped, sizeof(a->dropped));
	assert_string_equal(a->object_key, b->object_key);
	assert_int_equal(a->object_bytes, b->object_bytes);
	assert_string_equal(a->object_sha256, b->object_sha256);
	assert_string_equal(a->object_store, b->object_store);
	assert_string_equal(a->gateway, b->gateway);
	assert_int_equal(a->heartbeat_at, b->heartbeat_at);
	assert_int_equal(a->instances_n, b->instances_n);
	for (size_t i = 0; i < a->instances_n; i++)
		assert_instances_equal(&a->instances[i], &b->instances[i]);
}

static void a_new_job_comes_back_as_it_was(void **state)
{
	struct rig *r = *state;
	struct job *j = make_job(ID_A, 2), *back;

	j->format = JOB_PCAP;
	job_set(&j->org, "acme", NULL);
	job_set(&j->space, "dev", NULL);
	job_set(&j->note, "why", NULL);
	job_set(&j->policy, "[\"org acme: headers only (x)\"]", NULL);
	j->retention_s = 604800;
	snprintf(j->limited_by, sizeof(j->limited_by), "limits.rate");
	snprintf(j->options.device, sizeof(j->options.device), "lo");
	memset(j->options.filter, 'x', CAPTURE_FILTER_MAX);
	j->options.snaplen = 96;
	j->options.max_duration_s = 60;
	j->options.max_bytes = 1000000;
	j->options.max_packets = 77;
	fill(j);
	ok(r, job_db_insert(r->db, j, &r->err));
	back = get(r, ID_A);
	assert_jobs_equal(back, j);
	job_free(back);
	job_free(j);
}

static void a_saved_job_comes_back_changed_after_reopening(void **state)
{
	struct rig *r = *state;
	struct job *j = make_job(ID_A, 2), *back;

	ok(r, job_db_insert(r->db, j, &r->err));
	fill(j);
	ok(r, job_db_save(r->db, j, &r->err));
	job_db_close(r->db);
	rig_open(r);
	back = get(r, ID_A);
	assert_jobs_equal(back, j);
	job_free(back);
	job_free(j);
}

static void figures_past_63_bits_stay_at_the_end(void **state)
{
	struct rig *r = *state;
	struct job *j = make_job(ID_A, 0), *back;

	j->bytes = UINT64_MAX;
	insert(r, j);
	back = get(r, ID_A);
	assert_true(back->bytes == INT64_MAX);
	job_free(back);
}

static void missing_and_double_jobs_are_told(void **state)
{
	struct rig *r = *state;
	struct job *j = make_job(ID_A, 1);

	assert_null(job_db_get(r->db, ID_A, &r->err));
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	assert_int_equal(job_db_save(r->db, j, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	ok(r, job_db_insert(r->db, j, &r->err));
	assert_int_equal(job_db_insert(r->db, j, &r->err), -1);
	assert_int_equal(r->err.code, ERR_STATE);
	assert_int_equal(job_db_upload_set(r->db, ID_B, "x", &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	assert_int_equal(job_db_event_add(r->db, ID_B, 1, "t", "{}", NULL, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	job_free(j);
}

static void a_failed_insert_leaves_nothing(void **state)
{
	struct rig *r = *state;
	uint64_t n = 9;

	/* a trigger stands for any failure in the middle of a transaction */
	assert_int_equal(sqlite3_exec(r->db->sqlite,
				 "CREATE TRIGGER t BEFORE INSERT ON instances WHEN NEW.position = 1 BEGIN SELECT "
				 "RAISE(ABORT, 'no'); END",
				 NULL, NULL, NULL),
		SQLITE_OK);
	struct job *j = make_job(ID_A, 2);
	assert_int_equal(job_db_insert(r->db, j, &r->err), -1);
	assert_int_equal(r->err.code, ERR_IO);
	job_free(j);
	ok(r, job_db_count(r->db, NULL, &n, &r->err));
	assert_int_equal(n, 0);
}

/* ---- many jobs ---- */

static void three_jobs(struct rig *r)
{
	struct job *a = make_job(ID_A, 1), *b = make_job(ID_B, 2), *c = make_job(ID_C, 1);

	job_set(&a->org, "acme", NULL);
	job_set(&a->space, "dev", NULL);
	a->expires_at = 500;
	a->state = JOB_READY;
	job_set(&b->owner_user_id, "u-bob", NULL);
	job_set(&b->owner_user_name, "bob", NULL);
	job_set(&b->target, "{\"type\":\"cf\",\"app\":\"guid-1\"}", NULL);
	job_set(&b->gateway, "gw-2", NULL);
	b->created_at = 2000;
	b->state = JOB_RUNNING;
	job_set(&c->target, "{\"type\":\"bosh\",\"deployment\":\"cf\",\"app\":7}", NULL);
	snprintf(c->instances[0].agent, sizeof(c->instances[0].agent), "[fd00::2]:9494");
	c->created_at = 3000;
	c->state = JOB_FAILED;
	insert(r, a);
	insert(r, b);
	insert(r, c);
}

/* The ids' last letters, newest first. */
static void assert_finds(struct rig *r, const char *what, struct job_filter f, const char *expected)
{
	struct job **list = NULL;
	size_t n = 0;
	uint64_t count = 0;
	char found[8] = "";

	ok(r, job_db_list(r->db, &f, 5, &list, &n, &r->err));
	for (size_t i = 0; i < n; i++)
		found[i] = list[i]->id[ID_LEN - 1];
	if (strcmp(found, expected))
		fail_msg("%s: found \"%s\" instead of \"%s\"", what, found, expected);
	job_db_list_free(list, n);
	ok(r, job_db_count(r->db, &f, &count, &r->err));
	assert_int_equal(count, n);
}

static void filters_find_what_they_name(void **state)
{
	static const enum job_state running[] = {JOB_STARTING, JOB_RUNNING}, ends[] = {JOB_READY, JOB_FAILED};
	static const struct {
		const char *what;
		struct job_filter f;
		const char *ids;
	} rows[] = {
		{"everything", {0}, "cba"},
		{"user id", {.user_id = "u-alice"}, "ca"},
		{"user name", {.user_id = "bob"}, "b"},
		{"half a name", {.user_id = "bo"}, ""},
		{"a pattern", {.user_id = "%"}, ""},
		{"a quote", {.user_id = "' OR 1 = 1 --"}, ""},
		{"org", {.org = "acme"}, "a"},
		{"org none", {.org = ""}, "cb"},
		{"space", {.space = "dev"}, "a"},
		{"own", {.visible_to = "u-bob"}, "b"},
		{"own, not those of a name", {.visible_to = "bob"}, ""},
		{"own and shared", {.visible_to = "u-bob", .shared_org = "acme"}, "ba"},
		{"own and of a space", {.visible_to = "u-bob", .shared_org = "acme", .shared_space = "dev"}, "ba"},
		{"own, not another space", {.visible_to = "u-bob", .shared_org = "acme", .shared_space = "prod"}, "b"},
		{"no org is no shared org", {.visible_to = "u-bob", .shared_org = ""}, "b"},
		{"own and another's cursor", {.visible_to = "u-bob", .shared_org = "acme", .after_id = ID_B}, "a"},
		{"job", {.job = ID_B}, "b"},
		{"agent", {.agent = "10.0.0.1:9494"}, "ba"},
		{"agent's host", {.agent = "10.0.0.2"}, "b"},
		{"IPv6 agent", {.agent = "[fd00::2]:9494"}, "c"},
		{"IPv6 host", {.agent = "fd00::2"}, "c"},
		{"app", {.app = "guid-1"}, "b"},
		{"app that is no text", {.app = "7"}, ""},
		{"deployment", {.deployment = "cf"}, "c"},
		{"states", {.states = running, .states_n = 2}, "b"},
		{"end states", {.states = ends, .states_n = 2}, "ca"},
		{"since, inside", {.since_ns = 2000}, "cb"},
		{"since, outside", {.since_ns = 2001}, "c"},
		{"before, outside", {.before_ns = 2000}, "a"},
		{"before, inside", {.before_ns = 2001}, "ba"},
		{"expires at", {.expires_before_ns = 500}, ""},
		{"expires before", {.expires_before_ns = 501}, "a"},
		{"gateway", {.gateway = "gw-2"}, "b"},
		{"other gateways", {.not_gateway = "gw-2"}, "ca"},
		{"cursor", {.after_id = ID_C}, "ba"},
		{"cursor at the end", {.after_id = ID_A}, ""},
		{"all at once",
			{.user_id = "alice",
				.states = ends,
				.states_n = 2,
				.since_ns = 1,
				.gateway = "gw-1",
				.after_id = ID_C},
			"a"},
	};
	struct rig *r = *state;

	three_jobs(r);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_finds(r, rows[i].what, rows[i].f, rows[i].ids);
}

static void lists_are_bounded(void **state)
{
	struct rig *r = *state;
	struct job **list = NULL;
	size_t n = 0;

	three_jobs(r);
	assert_int_equal(job_db_list(r->db, NULL, 0, &list, &n, &r->err), -1);
	assert_string_equal(r->err.msg, "jobs: limit 0 is not within 1..1000");
	assert_int_equal(job_db_list(r->db, NULL, 1001, &list, &n, &r->err), -1);
	ok(r, job_db_list(r->db, NULL, 1000, &list, &n, &r->err));
	assert_int_equal(n, 3);
	job_db_list_free(list, n);
	ok(r, job_db_list(r->db, NULL, 2, &list, &n, &r->err));
	assert_int_equal(n, 2);
	assert_int_equal(list[1]->instances_n, 2);
	job_db_list_free(list, n);
	ok(r, job_db_list(r->db, &(struct job_filter){.brief = true}, 2, &list, &n, &r->err));
	assert_int_equal(list[1]->instances_n, 0);
	job_db_list_free(list, n);
}

static void heartbeats_reach_own_unfinished_jobs(void **state)
{
	struct rig *r = *state;
	struct job *j;

	three_jobs(r);
	ok(r, job_db_heartbeat(r->db, "gw-2", 777, &r->err));
	ok(r, job_db_heartbeat(r->db, "gw-1", 888, &r->err));
	j = get(r, ID_B);
	assert_int_equal(j->heartbeat_at, 777);
	/* an older beat does not come back with a save */
	j->heartbeat_at = 5;
	ok(r, job_db_save(r->db, j, &r->err));
	job_free(j);
	j = get(r, ID_B);
	assert_int_equal(j->heartbeat_at, 777);
	job_free(j);
	j = get(r, ID_A);
	assert_int_equal(j->heartbeat_at, 0);
	job_free(j);
}

static size_t rows_of(struct rig *r, const char *table)
{
	struct dbq q;
	char sql[64];
	size_t n;

	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM %s", table);
	dbq_open_once(&q, r->db->sqlite, sql);
	assert_int_equal(dbq_step(&q, &r->err), 1);
	n = (size_t)dbq_col_u64(&q);
	dbq_close(&q);
	return n;
}

static void forgetting_takes_old_ends_and_all_that_hangs_on_them(void **state)
{
	static const char *const tables[] = {"instances", "events", "chunks", "links"};
	const struct job_chunk chunk = {.seq = 1};
	struct rig *r = *state;
	uint64_t n = 0;

	for (int s = JOB_STARTING; s <= JOB_PURGED; s++) {
		char id[ID_MAX];
		struct job *j;

		snprintf(id, sizeof(id), "01jh8zxk5f8m3q0v7w2n4r6t9%d", s);
		j = make_job(id, 1);
		j->state = (enum job_state)s;
		j->ended_at = 5000;
		insert(r, j);
		ok(r, job_db_event_add(r->db, id, 1, "t", "{}", NULL, &r->err));
		ok(r, job_db_chunk_put(r->db, id, &chunk, &r->err));
		ok(r, job_db_link_add(r->db, id, id, 1, &r->err));
	}
	ok(r, job_db_forget(r->db, 5000, &n, &r->err));
	assert_int_equal(n, 0);
	ok(r, job_db_forget(r->db, 5001, &n, &r->err));
	assert_int_equal(n, 5);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		assert_int_equal(rows_of(r, tables[i]), 4);
	assert_finds(
		r, "what is left", (struct job_filter){.states = (enum job_state[]){JOB_READY}, .states_n = 1}, "3");
}

/* ---- legal hold ---- */

static void what_is_held_is_neither_forgotten_nor_deleted(void **state)
{
	struct rig *r = *state;
	struct job *j;
	uint64_t n = 0;

	three_jobs(r);
	ok(r, job_db_hold(r->db, ID_A, "case 4711", &r->err));
	j = job_db_get(r->db, ID_A, &r->err);
	assert_string_equal(j->hold, "case 4711");
	j->state = JOB_FAILED;
	j->ended_at = 1;
	ok(r, job_db_save(r->db, j, &r->err)); /* which knows nothing of a hold */
	job_free(j);
	ok(r, job_db_forget(r->db, 1000, &n, &r->err));
	assert_int_equal(n, 0);
	assert_int_equal(job_db_delete(r->db, ID_A, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	assert_finds(r, "what is not held", (struct job_filter){.not_held = true, .job = ID_A}, "");
	ok(r, job_db_hold(r->db, ID_A, "", &r->err));
	ok(r, job_db_delete(r->db, ID_A, &r->err));
	assert_null(job_db_get(r->db, ID_A, &r->err));
	assert_int_equal(job_db_hold(r->db, ID_A, "x", &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	ok(r, job_db_wipe(r->db, &r->err));
}

/* Else nobody would know any more what the store is still to be rid of. */
static void what_is_still_to_be_erased_is_not_forgotten(void **state)
{
	struct rig *r = *state;
	struct job *j = make_job(ID_A, 1);
	uint64_t n = 0;

	j->state = JOB_KILLED;
	j->ended_at = 1;
	job_set(&j->object_key, "a/key", NULL);
	insert(r, j);
	ok(r, job_db_forget(r->db, 1000, &n, &r->err));
	assert_int_equal(n, 0);
	j = job_db_get(r->db, ID_A, &r->err);
	job_set(&j->object_key, "", NULL);
	ok(r, job_db_save(r->db, j, &r->err));
	job_free(j);
	ok(r, job_db_forget(r->db, 1000, &n, &r->err));
	assert_int_equal(n, 1);
}

/* ---- events, chunks, uploads, links ---- */

static void events_are_numbered_without_gaps(void **state)
{
	struct rig *r = *state;
	struct job_event *list = NULL;
	uint64_t seq = 0;
	size_t n = 0;

	three_jobs(r);
	for (uint64_t i = 1; i <= 3; i++) {
		ok(r, job_db_event_add(r->db, ID_A, 100 + i, "tick", "{\"a\":1}", &seq, &r->err));
		assert_int_equal(seq, i);
		ok(r, job_db_event_add(r->db, ID_B, 200 + i, "other", "{}", &seq, &r->err));
	}
	ok(r, job_db_events(r->db, ID_A, 1, 10, &list, &n, &r->err));
	assert_int_equal(n, 2);
	assert_int_equal(list[0].seq, 2);
	assert_int_equal(list[1].seq, 3);
	assert_int_equal(list[1].at_ns, 103);
	assert_string_equal(list[1].type, "tick");
	assert_string_equal(list[1].data, "{\"a\":1}");
	job_db_events_free(list, n);
	ok(r, job_db_events(r->db, ID_A, 0, 1, &list, &n, &r->err));
	assert_int_equal(n, 1);
	assert_int_equal(list[0].seq, 1);
	job_db_events_free(list, n);
	ok(r, job_db_events(r->db, ID_C, 0, 1, &list, &n, &r->err));
	assert_int_equal(n, 0);
	job_db_events_free(list, n);
	assert_int_equal(job_db_events(r->db, ID_A, 0, 0, &list, &n, &r->err), -1);
}

static void chunks_come_back_in_order_and_are_replaced(void **state)
{
	struct rig *r = *state;
	char etag[] = "etag";
	struct job_chunk *list = NULL;
	size_t n = 7;

	three_jobs(r);
	ok(r, job_db_chunks(r->db, ID_A, &list, &n, &r->err));
	assert_int_equal(n, 0);
	job_db_chunks_free(list, n);
	for (uint32_t seq = 3; seq >= 1; seq--) {
		struct job_chunk c = {.seq = seq, .bytes = seq * 10, .part = etag, .sha256 = "00ff"};

		ok(r, job_db_chunk_put(r->db, ID_A, &c, &r->err));
	}
	ok(r, job_db_chunk_put(r->db, ID_A, &(struct job_chunk){.seq = 2, .bytes = 21, .stored = true}, &r->err));
	ok(r, job_db_chunks(r->db, ID_A, &list, &n, &r->err));
	assert_int_equal(n, 3);
	assert_int_equal(list[0].seq, 1);
	assert_string_equal(list[0].part, "etag");
	assert_string_equal(list[0].sha256, "00ff");
	assert_false(list[0].stored);
	assert_int_equal(list[1].bytes, 21);
	assert_true(list[1].stored);
	assert_string_equal(list[1].part, "");
	job_db_chunks_free(list, n);
	ok(r, job_db_chunks_delete(r->db, ID_A, &r->err));
	assert_int_equal(rows_of(r, "chunks"), 0);
	assert_int_equal(job_db_chunk_put(r->db, "nobody", &(struct job_chunk){.seq = 1}, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
}

static void an_upload_is_remembered_and_survives_a_save(void **state)
{
	struct rig *r = *state;
	struct job *j;
	char *text = NULL;

	three_jobs(r);
	ok(r, job_db_upload_get(r->db, ID_A, &text, &r->err));
	assert_string_equal(text, "");
	free(text);
	ok(r, job_db_upload_set(r->db, ID_A, "upload-7", &r->err));
	j = get(r, ID_A);
	ok(r, job_db_save(r->db, j, &r->err));
	job_free(j);
	ok(r, job_db_upload_get(r->db, ID_A, &text, &r->err));
	assert_string_equal(text, "upload-7");
	free(text);
	assert_int_equal(job_db_upload_get(r->db, "nobody", &text, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
}

static void a_one_time_link_works_once_and_for_its_job(void **state)
{
	struct rig *r = *state;

	three_jobs(r);
	ok(r, job_db_link_add(r->db, "n1", ID_A, 100, &r->err));
	assert_int_equal(job_db_link_use(r->db, "n1", ID_B, &r->err), -1);
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
	ok(r, job_db_link_use(r->db, "n1", ID_A, &r->err));
	assert_int_equal(job_db_link_use(r->db, "n1", ID_A, &r->err), -1);
	assert_int_equal(job_db_link_use(r->db, "n2", ID_A, &r->err), -1);
}

static void links_are_swept_and_deleted(void **state)
{
	struct rig *r = *state;

	three_jobs(r);
	ok(r, job_db_link_add(r->db, "n1", ID_A, 100, &r->err));
	ok(r, job_db_link_add(r->db, "n2", ID_A, 101, &r->err));
	ok(r, job_db_link_add(r->db, "n3", ID_B, 999, &r->err));
	assert_int_equal(job_db_link_add(r->db, "n3", ID_A, 999, &r->err), -1);
	ok(r, job_db_links_sweep(r->db, 100, &r->err));
	assert_int_equal(rows_of(r, "links"), 2);
	ok(r, job_db_links_delete(r->db, ID_A, &r->err));
	assert_int_equal(rows_of(r, "links"), 1);
	ok(r, job_db_link_use(r->db, "n3", ID_B, &r->err));
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS  500

struct racer {
	struct job_db *db;
	unsigned won, failed;
};

static void *race(void *arg)
{
	struct racer *me = arg;
	struct err err = {0};
	char nonce[16];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(nonce, sizeof(nonce), "n%d", i);
		if (job_db_link_use(me->db, nonce, ID_A, &err) == 0)
			me->won++;
		else if (err.code != ERR_NOT_FOUND)
			me->failed++;
		if (job_db_event_add(me->db, ID_A, 1, "tick", "{}", NULL, &err) < 0)
			me->failed++;
	}
	return NULL;
}

/* Two connections with two threads each, as if two gateways shared the file. */
static void of_many_threads_one_wins_each_link(void **state)
{
	struct rig *r = *state;
	struct job_db *other = job_db_open(r->file.path, &r->err);
	struct racer racers[THREADS] = {{0}};
	pthread_t threads[THREADS];
	struct job_event *list = NULL;
	unsigned won = 0;
	size_t n = 0;

	assert_non_null(other);
	three_jobs(r);
	for (int i = 0; i < ROUNDS; i++) {
		char nonce[16];

		snprintf(nonce, sizeof(nonce), "n%d", i);
		ok(r, job_db_link_add(r->db, nonce, ID_A, 1, &r->err));
	}
	for (int i = 0; i < THREADS; i++) {
		racers[i].db = i % 2 ? other : r->db;
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(racers[i].failed, 0);
		won += racers[i].won;
	}
	assert_int_equal(won, ROUNDS);
	ok(r, job_db_events(r->db, ID_A, 0, 10000, &list, &n, &r->err));
	assert_int_equal(n, THREADS * ROUNDS);
	assert_int_equal(list[n - 1].seq, n);
	job_db_events_free(list, n);
	job_db_close(other);
}

/* ---- the file ---- */

static void the_file_is_private_and_of_our_version(void **state)
{
	struct rig *r = *state;
	char wal[200];
	struct stat st;

	assert_int_equal(stat(r->file.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(wal, sizeof(wal), "%s-wal", r->file.path);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(job_db_version(r->db), job_db_migrations_n);
	ok(r, job_db_check(r->db, &r->err));
}

static void a_second_connection_shares_the_file(void **state)
{
	struct rig *r = *state;
	struct job_db *other = job_db_open(r->file.path, &r->err);
	struct job *j;

	if (!other)
		fail_msg("%s", r->err.msg);
	three_jobs(r);
	j = job_db_get(other, ID_A, &r->err);
	assert_non_null(j);
	job_free(j);
	job_db_close(other);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *sqlite = NULL;

	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sqlite, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

/* As a program leaves it that was killed: its last change is in the write-ahead log only. */
static void sql_crashed(const char *path)
{
	sqlite3 *sqlite = NULL;

	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_db_config(sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(sqlite, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

/* Opening fails so, and changes not one byte. */
static void assert_refused(struct rig *r, const char *what, const char *says)
{
	struct buf before, after;
	char expected[400];
	struct job_db *db;

	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	ok(r, fs_read(r->file.path, &before, &r->err));
	db = job_db_open(r->file.path, &r->err);
	if (db)
		fail_msg("%s: opened", what);
	snprintf(expected, sizeof(expected), "%s: %s", r->file.path, says);
	assert_string_equal(r->err.msg, expected);
	assert_int_equal(r->err.code, ERR_STATE);
	ok(r, fs_read(r->file.path, &after, &r->err));
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	buf_done(&before);
	buf_done(&after);
	unlink(r->file.path);
	snprintf(expected, sizeof(expected), "%s-wal", r->file.path);
	unlink(expected);
	snprintf(expected, sizeof(expected), "%s-shm", r->file.path);
	unlink(expected);
}

static void foreign_files_are_refused_untouched(void **state)
{
	static const char other[] = "a database of another program: left untouched";
	static const char text[] = "not a job database (nor any SQLite database): left untouched";
	char page[8192];
	struct rig *r = *state;

	temp_file_write(&r->file, "short", 5);
	assert_refused(r, "a short text", text);
	memset(page, 'x', sizeof(page));
	temp_file_write(&r->file, page, sizeof(page));
	assert_refused(r, "a long text", text);
	sql(r->file.path, "CREATE TABLE t (a)");
	assert_refused(r, "other tables", other);
	sql(r->file.path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
	assert_refused(r, "other tables in WAL mode", other);
	sql_crashed(r->file.path);
	assert_refused(r, "other tables, after a crash", other);
	sql(r->file.path, "CREATE VIEW v AS SELECT 1");
	assert_refused(r, "a view", other);
	sql(r->file.path, "CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (1)");
	assert_refused(r, "another's schema_version", other);
	sql(r->file.path, "CREATE TABLE schema_version (product TEXT, version INTEGER)");
	assert_refused(r, "an empty schema_version", other);
	sql(r->file.path, "CREATE TABLE schema_version (product TEXT, version INTEGER); INSERT INTO schema_version "
			  "VALUES ('lnd', 1)");
	assert_refused(r, "another product", other);
	sql(r->file.path, "CREATE TABLE schema_version (product TEXT, version INTEGER);"
			  "INSERT INTO schema_version VALUES ('pcapline', 1), ('pcapline', 1)");
	assert_refused(r, "two versions", other);
	sql(r->file.path, "CREATE TABLE schema_version (product TEXT, version INTEGER); INSERT INTO schema_version "
			  "VALUES ('pcapline', 0)");
	assert_refused(r, "version 0", other);
}

static void a_newer_version_is_refused_untouched(void **state)
{
	struct rig *r = *state;
	char text[100], says[200];

	rig_open(r);
	job_db_close(r->db);
	r->db = NULL;
	snprintf(text, sizeof(text), "UPDATE schema_version SET version = %d", job_db_migrations_n + 1);
	sql(r->file.path, text);
	snprintf(says, sizeof(says),
		"written by a newer version (schema %d, this program knows up to %d): left untouched",
		job_db_migrations_n + 1, job_db_migrations_n);
	assert_refused(r, "newer", says);
}

static void paths_that_cannot_be_are_refused(void **state)
{
	struct rig *r = *state;

	assert_null(job_db_open(r->file.dir, &r->err));
	assert_int_equal(r->err.code, ERR_INPUT);
	assert_null(job_db_open("/nonexistent/folder/jobs.db", &r->err));
	assert_int_equal(r->err.code, ERR_NOT_FOUND);
}

/* From every version that ever was, by every step, to the present. */
static void migrations_lead_from_each_version_to_the_present(void **state)
{
	struct rig *r = *state;

	for (int from = 0; from <= job_db_migrations_n; from++) {
		sqlite3 *sqlite = NULL;
		int version = -1;

		assert_int_equal(sqlite3_open(r->file.path, &sqlite), SQLITE_OK);
		ok(r, job_db_migrate(sqlite, from, &r->err));
		ok(r, job_db_examine(sqlite, &version, &r->err));
		assert_int_equal(version, from);
		assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
		rig_open(r);
		three_jobs(r);
		assert_finds(r, "migrated", (struct job_filter){0}, "cba");
		job_db_close(r->db);
		r->db = NULL;
		unlink(r->file.path);
	}
}

/* What people of an issuer are called is theirs to choose. */
static void names_of_an_issuers_people_find_nothing(void **state)
{
	struct rig *r = *state;

	three_jobs(r);
	sql(r->file.path, "UPDATE jobs SET owner_user_id = 'cf:7a1f', owner_user_name = 'zoe' WHERE id = '" ID_B "'");
	sql(r->file.path, "UPDATE jobs SET owner_user_id = 'u-7', owner_user_name = 'zoe' WHERE id = '" ID_A "'");
	assert_finds(r, "a name", (struct job_filter){.user_id = "zoe"}, "a");
	assert_finds(r, "an id", (struct job_filter){.user_id = "cf:7a1f"}, "b");
}

/* Before the second version there was one kind of store. */
static void objects_of_the_first_version_are_files(void **state)
{
	struct rig *r = *state;
	sqlite3 *sqlite = NULL;
	struct job *j;

	assert_int_equal(sqlite3_open(r->file.path, &sqlite), SQLITE_OK);
	ok(r, job_db_migrate(sqlite, 1, &r->err));
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
	sql(r->file.path, "INSERT INTO jobs VALUES ('" ID_A
			  "', 'pcapng', 'alice', 'alice', '', '', '{}', '', '', 'eth0', '', 0, 0, 0, 0, '', 1, "
			  "'store', 'ready', 1, 1, 1, 'user_stop', '', '', '', 1, 1, 0, 0, 0, 0, 'captures/x', 1, '', "
			  "'', 0, '')");
	rig_open(r);
	j = get(r, ID_A);
	assert_string_equal(j->object_store, "file");
	job_free(j);
}

static void a_change_behind_our_back_fails_the_check(void **state)
{
	struct rig *r = *state;

	sql(r->file.path, "UPDATE schema_version SET version = version + 1");
	assert_int_equal(job_db_check(r->db, &r->err), -1);
	assert_int_equal(r->err.code, ERR_STATE);
}

static void a_full_disk_is_told_and_passes(void **state)
{
	struct rig *r = *state;
	char limit[64];
	struct job *j;
	int rc = 0;

	three_jobs(r);
	snprintf(limit, sizeof(limit), "PRAGMA max_page_count = %d", 40);
	assert_int_equal(sqlite3_exec(r->db->sqlite, limit, NULL, NULL, NULL), SQLITE_OK);
	for (int i = 0; i < 10000 && rc == 0; i++)
		rc = job_db_event_add(
			r->db, ID_A, 1, "tick", "{\"text\":\"some more bytes to fill a page with\"}", NULL, &r->err);
	assert_int_equal(rc, -1);
	assert_int_equal(r->err.code, ERR_FULL);
	/* reading goes on, and so does writing once there is room */
	j = get(r, ID_A);
	job_free(j);
	assert_int_equal(sqlite3_exec(r->db->sqlite, "PRAGMA max_page_count = 100000", NULL, NULL, NULL), SQLITE_OK);
	ok(r, job_db_event_add(r->db, ID_A, 1, "tick", "{}", NULL, &r->err));
}

static void damaged_rows_are_told(void **state)
{
	static const char *const damage[] = {
		"UPDATE jobs SET state = 'dancing'",
		"UPDATE jobs SET stop_reason = 'tired'",
		"UPDATE jobs SET bytes = -1",
		"UPDATE instances SET state = 'dancing'",
		"UPDATE instances SET name = printf('%.*c', 1000, 'x')",
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		insert(r, make_job(ID_A, 1));
		assert_int_equal(sqlite3_exec(r->db->sqlite, damage[i], NULL, NULL, NULL), SQLITE_OK);
		if (job_db_get(r->db, ID_A, &r->err))
			fail_msg("%s: read", damage[i]);
		assert_int_equal(r->err.code, ERR_IO);
		assert_int_equal(sqlite3_exec(r->db->sqlite, "DELETE FROM jobs", NULL, NULL, NULL), SQLITE_OK);
	}
}

#define with_db(f)   cmocka_unit_test_setup_teardown(f, setup, teardown)
#define with_file(f) cmocka_unit_test_setup_teardown(f, setup_closed, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_db(names_of_an_issuers_people_find_nothing),
		with_db(a_new_job_comes_back_as_it_was),
		with_db(a_saved_job_comes_back_changed_after_reopening),
		with_db(figures_past_63_bits_stay_at_the_end),
		with_db(missing_and_double_jobs_are_told),
		with_db(a_failed_insert_leaves_nothing),
		with_db(filters_find_what_they_name),
		with_db(lists_are_bounded),
		with_db(heartbeats_reach_own_unfinished_jobs),
		with_db(forgetting_takes_old_ends_and_all_that_hangs_on_them),
		with_db(what_is_held_is_neither_forgotten_nor_deleted),
		with_db(what_is_still_to_be_erased_is_not_forgotten),
		with_db(events_are_numbered_without_gaps),
		with_db(chunks_come_back_in_order_and_are_replaced),
		with_db(an_upload_is_remembered_and_survives_a_save),
		with_db(a_one_time_link_works_once_and_for_its_job),
		with_db(links_are_swept_and_deleted),
		with_db(of_many_threads_one_wins_each_link),
		with_db(the_file_is_private_and_of_our_version),
		with_db(a_second_connection_shares_the_file),
		with_file(foreign_files_are_refused_untouched),
		with_file(a_newer_version_is_refused_untouched),
		with_file(paths_that_cannot_be_are_refused),
		with_file(migrations_lead_from_each_version_to_the_present),
		with_file(objects_of_the_first_version_are_files),
		with_db(a_change_behind_our_back_fails_the_check),
		with_db(a_full_disk_is_told_and_passes),
		with_db(damaged_rows_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
