/* A running capture whose platform is asked again: what ends it, what it waits for, and who joins or leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/gateway_rig.h"
#include "test/unit/segment_rig.h"

#include "common/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- a platform and an issuer that say what they are told to say ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	struct err refusal; /* of the platform; code ERR_NONE: what is in names */
	const char *names[8];
	struct err bad_token; /* of the issuer, for the token "old" */
	unsigned asked;
	char token[32]; /* what it was asked with */
} world;                /* by lock */

static struct gateway_rig rig;
static struct err err;

static int check(struct identity_source *s, const char *token, struct identity *ret, struct err *e)
{
	int rc = 0;

	(void)s;
	pthread_mutex_lock(&lock);
	if (world.bad_token.code != ERR_NONE && strcmp(token, "old") == 0) {
		*e = world.bad_token;
		rc = -1;
	}
	pthread_mutex_unlock(&lock);
	*ret = (struct identity){0};
	if (rc < 0)
		return -1;
	ret->user_id = strdup("cf:dev");
	ret->issuer = strdup("cf");
	ret->token = strdup(token);
	return 0;
}

static const struct identity_source_ops identity_ops = {.check = check};
static struct identity_source identities = {.ops = &identity_ops};

static int resolve(struct target_source *s, const struct target_query *q, struct target_set *ret, struct err *e)
{
	struct target_instance t;
	int rc = 0;

	(void)s;
	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&lock);
	world.asked++;
	snprintf(world.token, sizeof(world.token), "%s", q->who->token);
	if (world.refusal.code != ERR_NONE) {
		*e = world.refusal;
		rc = -1;
	}
	for (size_t i = 0; rc == 0 && i < 8 && world.names[i]; i++) {
		const char *at = strchr(world.names[i], '@'); /* name@handle */

		gateway_rig_target(&rig, "", &t);
		snprintf(t.name, sizeof(t.name), "%.*s", (int)(at - world.names[i]), world.names[i]);
		snprintf(t.agent.handle, sizeof(t.agent.handle), "%s", at + 1);
		rc = target_set_add(ret, &t, q->max, e);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static void nothing(struct target_source *s)
{
	(void)s;
}

static const struct target_source_ops source_ops = {.resolve = resolve, .free = nothing};
static struct target_source source = {.ops = &source_ops, .type = "cf", .issuer = "cf", .follows = true};

/* ---- the setting ---- */

/* One person, whose texts are those of the last call. */
static struct people person(const char *id, const char *token, uint64_t expires_at)
{
	static char texts[2][32], issuer[] = "cf";

	snprintf(texts[0], sizeof(texts[0]), "%s", id);
	snprintf(texts[1], sizeof(texts[1]), "%s", token);
	return (struct people){
		.who = {{.user_id = texts[0], .issuer = issuer, .token = texts[1], .expires_at = expires_at}}, .n = 1};
}

static int setup(void **state)
{
	struct target_source *sources[] = {&source};

	(void)state;
	memset(&err, 0, sizeof(err));
	memset(&world, 0, sizeof(world));
	world.names[0] = "shop/0@one";
	gateway_rig_init(&rig);
	rig.gw.identities = &identities;
	rig.gw.targets = targets_of(sources, 1);
	assert_non_null(rig.gw.targets);
	rig.gw.config.limit_instances = 3;
	rig.gw.config.recheck_interval_ms = 10;
	rig.gw.config.recheck_grace_ms = 3600 * 1000;
	rig.gw.config.recheck_stored_ms = 3600 * 1000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_rig_done(&rig);
	targets_free(rig.gw.targets);
	return 0;
}

static struct capture *start(enum job_mode mode)
{
	json_t *target = json_pack("{s:s}", "type", "cf");
	struct people people = person("cf:dev", "old", 1);
	struct capture_options options;
	struct capture_watch watch = {.people = &people, .targets = target, .options = &options};
	struct target_set set;
	struct capture *c;

	capture_options_init(&options);
	assert_int_equal(
		targets_resolve(rig.gw.targets,
			&(struct targets_query){.people = &people, .targets = target, .options = &options, .max = 3},
			&set, &err),
		0);
	c = gateway_rig_start_at(&rig, mode, &set, &watch, &err);
	target_set_done(&set);
	json_decref(target);
	if (!c)
		fail_msg("%s", err.msg);
	gateway_rig_until(c, JOB_RUNNING);
	return c;
}

static void say(enum err_code code, const char *detail, const char *message)
{
	pthread_mutex_lock(&lock);
	err_set(&world.refusal, code, "%s", message);
	err_detail(&world.refusal, detail);
	pthread_mutex_unlock(&lock);
}

static unsigned asked(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = world.asked;
	pthread_mutex_unlock(&lock);
	return n;
}

static void until_asked(unsigned more)
{
	unsigned from = asked();

	for (unsigned ms = 0; asked() < from + more; ms++) {
		assert_true(ms < GATEWAY_RIG_WAIT_MS);
		(void)poll(NULL, 0, 1);
	}
}

static const char *text_at(json_t *j, const char *member)
{
	return json_string_value(json_object_get(j, member)) ? json_string_value(json_object_get(j, member)) : "";
}

/* Of the instances in this state: how many. */
static size_t count(struct capture *c, const char *state, const char *reason)
{
	json_t *j = capture_to_json(c, false), *i;
	size_t n, found = 0;

	json_array_foreach(json_object_get(j, "instances"), n, i) found +=
		strcmp(text_at(i, "state"), state) == 0 && (!reason || strcmp(text_at(i, "stop_reason"), reason) == 0);
	json_decref(j);
	return found;
}

static void until_count(struct capture *c, const char *state, const char *reason, size_t n)
{
	for (unsigned ms = 0; count(c, state, reason) != n; ms++) {
		if (ms >= GATEWAY_RIG_WAIT_MS)
			fail_msg("%zu instances are %s, not %zu", count(c, state, reason), state, n);
		(void)poll(NULL, 0, 1);
	}
}

struct heard {
	size_t n;
	char last[512];
};

/* The events of this type so far: how many, and the newest one's data. */
static struct heard events(const char *type)
{
	struct heard h = {0};
	struct job_event *all = NULL;
	size_t n = 0;

	assert_int_equal(job_db_events(rig.gw.db, rig.store.job, 0, 1000, &all, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i].type, type) != 0)
			continue;
		h.n++;
		snprintf(h.last, sizeof(h.last), "%s", all[i].data);
	}
	job_db_events_free(all, n);
	return h;
}

/* A state may be seen before the event that tells of it is written.  The newest one's data. */
static struct heard until_events(const char *type, size_t n)
{
	struct heard h;

	for (unsigned ms = 0; (h = events(type)).n < n; ms++) {
		if (ms >= GATEWAY_RIG_WAIT_MS)
			fail_msg("%zu events %s, not %zu", h.n, type, n);
		(void)poll(NULL, 0, 1);
	}
	assert_int_equal(h.n, n);
	return h;
}

static void ended(struct capture *c, enum stop_reason reason, const char *error_code, const char *says)
{
	struct job *j;

	gateway_rig_ended(&rig, c);
	j = gateway_rig_job(&rig);
	assert_string_equal(stop_reason_name(j->stop_reason), stop_reason_name(reason));
	assert_string_equal(j->error_code, error_code);
	if (!strstr(j->error, says))
		fail_msg("\"%s\" is not in \"%s\"", says, j->error);
	job_free(j);
}

/* ---- rights ---- */

static void what_the_platform_says_ends_it(void **state)
{
	static const struct {
		enum err_code code;
		const char *detail;
		enum stop_reason reason;
	} rows[] = {
		{ERR_PERM, "", STOP_RIGHT_GONE},
		{ERR_PERM, "suspended", STOP_RIGHT_GONE},
		{ERR_PERM, "switched_off", STOP_SWITCHED_OFF},
		{ERR_NOT_FOUND, "", STOP_TARGET_GONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct capture *c = start(JOB_STORE);

		until_asked(2);
		assert_int_equal(capture_state(c), JOB_RUNNING);
		say(rows[i].code, rows[i].detail, "the words of the platform");
		ended(c, rows[i].reason, stop_reason_name(rows[i].reason), "the words of the platform");
		assert_int_equal(events("ready").n, 1); /* what there was is kept */
		teardown(NULL);
		setup(NULL);
	}
}

static void a_platform_that_is_away_is_waited_for(void **state)
{
	struct capture *c = start(JOB_STORE);

	(void)state;
	say(ERR_NET, "platform_unreachable", "it does not answer");
	until_asked(3);
	say(ERR_STATE, "not_running", "nothing runs just now");
	until_asked(3);
	say(ERR_BUSY, "platform_busy", "fewer requests");
	until_asked(3);
	assert_int_equal(capture_state(c), JOB_RUNNING);
	assert_int_equal(events("right_unknown").n, 2); /* each time once */
	assert_int_equal(events("right_known").n, 1);
	capture_stop(c, STOP_USER, "alice");
	ended(c, STOP_USER, "", "");
}

static void but_not_for_ever(void **state)
{
	struct capture *c;

	(void)state;
	rig.gw.config.recheck_grace_ms = 50;
	c = start(JOB_STORE);
	until_asked(2);
	say(ERR_TIMEOUT, "platform_unreachable", "it does not answer");
	ended(c, STOP_RIGHT_UNKNOWN, "right_unknown", "it does not answer");
}

static void token_says(enum err_code code)
{
	pthread_mutex_lock(&lock);
	err_set(&world.bad_token, code, "the token has expired");
	pthread_mutex_unlock(&lock);
}

static void without_a_fresh_token_there_are_two_times(void **state)
{
	struct capture *c;

	(void)state;
	rig.gw.config.recheck_grace_ms = 0;
	c = start(JOB_STORE);
	until_asked(1);
	token_says(ERR_AUTH);
	(void)until_events("token_needed", 1);
	assert_int_equal(capture_state(c), JOB_RUNNING); /* a stored one has the other time */
	capture_stop(c, STOP_USER, "alice");
	ended(c, STOP_USER, "", "");
	teardown(NULL);
	setup(NULL);

	rig.gw.config.recheck_stored_ms = 0;
	c = start(JOB_STORE);
	until_asked(1);
	token_says(ERR_AUTH);
	ended(c, STOP_RIGHT_UNKNOWN, "right_unknown", "expired");
}

static void the_newest_token_is_asked_with(void **state)
{
	struct people shown;
	struct capture *c = start(JOB_STORE);

	(void)state;
	until_asked(1);
	token_says(ERR_AUTH);
	(void)until_events("token_needed", 1);
	shown = person("cf:dev", "fresh", 5);
	capture_renew(c, &shown);
	(void)until_events("right_known", 1);
	shown = person("cf:mallory", "stolen", 9);
	capture_renew(c, &shown);
	shown = person("cf:dev", "older", 4);
	capture_renew(c, &shown);
	until_asked(3);
	pthread_mutex_lock(&lock);
	assert_string_equal(world.token, "fresh");
	pthread_mutex_unlock(&lock);
	capture_stop(c, STOP_USER, "alice");
	ended(c, STOP_USER, "", "");
}

static void a_token_that_lacks_a_scope_now_ends_it(void **state)
{
	struct capture *c = start(JOB_STORE);

	(void)state;
	token_says(ERR_PERM);
	ended(c, STOP_RIGHT_GONE, "right_gone", "the token");
}

/* ---- instances ---- */

static void lists(const char *a, const char *b, const char *d)
{
	const char *names[] = {a, b, d, NULL};

	pthread_mutex_lock(&lock);
	memcpy(world.names, names, sizeof(names));
	pthread_mutex_unlock(&lock);
}

static void those_that_come_join(void **state)
{
	struct capture *c = start(JOB_STORE);
	struct seen seen;
	uint8_t *bytes;
	size_t n = 0;

	(void)state;
	lists("shop/0@one", "shop/1@two", NULL);
	until_count(c, "running", NULL, 2);
	assert_int_equal(events("instance_joined").n, 1);
	until_asked(3);
	assert_int_equal(events("instance_joined").n, 1);
	assert_non_null(strstr(until_events("instance_running", 2).last, "what shop/1 sent before is not here"));
	capture_stop(c, STOP_USER, "alice");
	ended(c, STOP_USER, "", "");
	bytes = store_rig_object(&rig.store, &n);
	assert_non_null(bytes);
	seen_pcapng(&seen, bytes, n);
	assert_int_equal(seen.packets, 2 * GATEWAY_RIG_PACKETS);
	seen_done(&seen);
	free(bytes);
}

static void a_name_that_changes_is_no_other_instance(void **state)
{
	struct capture *c = start(JOB_STORE);

	(void)state;
	lists("store/0@one", NULL, NULL);
	until_asked(4);
	assert_int_equal(count(c, "running", NULL), 1);
	assert_int_equal(events("instance_joined").n + events("instance_left").n, 0);
	capture_stop(c, STOP_USER, "alice");
	ended(c, STOP_USER, "", "");
}

/* One list without it may be stale. */
static void those_that_leave_are_let_go_and_come_back(void **state)
{
	struct capture *c = start(JOB_STORE);

	(void)state;
	lists(NULL, NULL, NULL);
	until_count(c, "ended", "instance_left", 1);
	assert_int_equal(events("instance_left").n, 1);
	until_asked(2);
	assert_int_equal(capture_state(c), JOB_RUNNING); /* an app may be started again */
	atomic_store(&rig.stopped, false);
	lists("shop/0@two", NULL, NULL);
	until_count(c, "running", NULL, 1);
	assert_non_null(strstr(until_events("instance_running", 2).last, "nothing of shop/0 is here from"));
	capture_stop(c, STOP_USER, "alice");
	ended(c, STOP_USER, "", "");
}

static void an_app_that_never_comes_back_ends_it(void **state)
{
	struct capture *c;

	(void)state;
	rig.gw.config.recheck_grace_ms = 50;
	c = start(JOB_STORE);
	lists(NULL, NULL, NULL);
	ended(c, STOP_INSTANCES_ENDED, "", "");
}

static void not_more_than_fit(void **state)
{
	struct capture *c;

	(void)state;
	rig.gw.config.limit_instances = 2;
	c = start(JOB_STORE);
	lists("shop/0@one", "shop/1@two", NULL);
	until_count(c, "running", NULL, 2);
	/* The source says that there are too many: the right stands, and what is here goes on. */
	lists("shop/0@one", "shop/1@two", "shop/2@three");
	until_asked(4);
	assert_int_equal(count(c, "running", NULL), 2);
	assert_int_equal(events("instance_left").n, 0);
	capture_stop(c, STOP_USER, "alice");
	ended(c, STOP_USER, "", "");
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(what_the_platform_says_ends_it),
		test(a_platform_that_is_away_is_waited_for),
		test(but_not_for_ever),
		test(without_a_fresh_token_there_are_two_times),
		test(the_newest_token_is_asked_with),
		test(a_token_that_lacks_a_scope_now_ends_it),
		test(those_that_come_join),
		test(a_name_that_changes_is_no_other_instance),
		test(those_that_leave_are_let_go_and_come_back),
		test(an_app_that_never_comes_back_ends_it),
		test(not_more_than_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
