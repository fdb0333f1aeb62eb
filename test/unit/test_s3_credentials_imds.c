/* test_s3_credentials_imds.c - keys of the instance's role: when they are fetched, what of a wrong service is refused, and that version 1 is never asked. */
#include "test/unit/http_script.h"
#include "test/unit/imds_double.h"
#include "uploader/s3/s3_credentials_internal.h"

#include "common/clock.h"
#include "common/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define NOW_NS      (1767607200 * CLOCK_NS_PER_S) /* 2026-01-05 10:00 */
#define HOUR_NS     (3600 * CLOCK_NS_PER_S)
#define NEVER_MS    3600000u
#define GENEROUS_MS 60000u
#define THREADS     6
#define ROUNDS      60

static struct imds_double imds;
static struct imds_say right;

static int group_setup(void **state)
{
	(void)state;
	return http_client_global_init(NULL);
}

static int setup(void **state)
{
	(void)state;
	clock_fake(NOW_NS);
	imds_double_start(&imds);
	right = (struct imds_say){.expiry_ns = NOW_NS + HOUR_NS};
	imds_double_say(&imds, &right);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	imds_double_stop(&imds);
	clock_fake(0);
	return 0;
}

/* Tries follow each other at once here, and none is given up early on a slow machine. */
static struct s3_credentials *credentials_at(const char *url)
{
	struct s3_credentials_options o = {.source = S3_SOURCE_IMDS, .imds_url = url};
	struct s3_credentials *c = s3_credentials_new(&o, NULL);

	assert_non_null(c);
	c->again_ms = c->renew_ms = 0;
	c->imds_total_ms = GENEROUS_MS;
	return c;
}

static void get_is(struct s3_credentials *c, unsigned n)
{
	char access[16], secret[16], token[16];
	struct s3_keys k;
	struct err err = {0};

	if (s3_credentials_get(c, &k, &err) < 0)
		fail_msg("%s", err.msg);
	snprintf(access, sizeof(access), "AK%u", n);
	snprintf(secret, sizeof(secret), "SK%u", n);
	snprintf(token, sizeof(token), "TK%u", n);
	assert_string_equal(k.access, access);
	assert_string_equal(k.secret, secret);
	assert_string_equal(k.token, token);
}

static void get_fails(struct s3_credentials *c, enum err_code code, const char *says)
{
	struct s3_keys k;
	struct err err = {0};

	assert_int_equal(s3_credentials_get(c, &k, &err), -1);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("not %s \"%s\" but %s \"%s\"", err_code_name(code), says, err_code_name(err.code), err.msg);
	assert_string_equal(err.detail, "no_keys");
	assert_null(strstr(err.msg, "SK")); /* a secret key, or what is near one */
}

static void test_keys_of_the_role(void **state)
{
	struct s3_credentials *c = credentials_at(imds.url);
	char text[64];

	(void)state;
	s3_credentials_describe(c, text, sizeof(text));
	assert_string_equal(text, "instance role");
	assert_int_equal(s3_credentials_expiry(c), 0);
	assert_int_equal(atomic_load(&imds.sessions), 0); /* not before they are needed */
	get_is(c, 1);
	get_is(c, 1);
	assert_int_equal(s3_credentials_expiry(c), NOW_NS + HOUR_NS);
	s3_credentials_describe(c, text, sizeof(text));
	assert_string_equal(text, "instance role " IMDS_ROLE);
	assert_int_equal(atomic_load(&imds.sessions), 1);
	assert_int_equal(atomic_load(&imds.roles), 1);
	assert_int_equal(atomic_load(&imds.keys), 1);
	assert_int_equal(atomic_load(&imds.foreign), 0);
	s3_credentials_free(c);
}

static void test_renewed_before_they_end(void **state)
{
	struct s3_credentials *c = credentials_at(imds.url);

	(void)state;
	get_is(c, 1);
	right.expiry_ns = NOW_NS + 2 * HOUR_NS;
	imds_double_say(&imds, &right);
	clock_fake(NOW_NS + HOUR_NS - 301 * CLOCK_NS_PER_S);
	get_is(c, 1);
	clock_fake(NOW_NS + HOUR_NS - 299 * CLOCK_NS_PER_S);
	get_is(c, 2);
	get_is(c, 2);
	assert_int_equal(s3_credentials_expiry(c), NOW_NS + 2 * HOUR_NS);
	s3_credentials_free(c);
}

static void test_old_ones_while_the_service_is_silent(void **state)
{
	struct imds_say broken = right;
	struct s3_credentials *c = credentials_at(imds.url);

	(void)state;
	get_is(c, 1);
	broken.session_status = 503;
	imds_double_say(&imds, &broken);
	clock_fake(NOW_NS + HOUR_NS - 10 * CLOCK_NS_PER_S);
	get_is(c, 1);
	assert_int_equal(atomic_load(&imds.sessions), 2);
	c->renew_ms = NEVER_MS; /* and not at every request */
	get_is(c, 1);
	assert_int_equal(atomic_load(&imds.sessions), 2);
	clock_fake(NOW_NS + HOUR_NS);
	get_fails(c, ERR_UNAVAILABLE, "HTTP 503 when asked for the session token");
	imds_double_say(&imds, &right);
	get_fails(c, ERR_UNAVAILABLE, "2026-01-05T11:00:00.000Z"); /* the service has none but those that ended */
	right.expiry_ns += HOUR_NS;
	imds_double_say(&imds, &right);
	get_is(c, 3);
	s3_credentials_free(c);
}

static void test_refused_ones(void **state)
{
	struct imds_say broken = right;
	struct s3_credentials *c = credentials_at(imds.url);

	(void)state;
	get_is(c, 1);
	s3_credentials_refused(c);
	get_is(c, 2);
	get_is(c, 2); /* nobody has refused these */
	c->again_ms = NEVER_MS;
	s3_credentials_refused(c);
	s3_credentials_refused(c);
	get_is(c, 2); /* too soon to ask again */
	assert_int_equal(atomic_load(&imds.sessions), 2);
	c->again_ms = 0;
	broken.keys_status = 500;
	imds_double_say(&imds, &broken);
	get_fails(c, ERR_UNAVAILABLE, "HTTP 500 when asked for the role's keys");
	c->again_ms = NEVER_MS;
	get_fails(c, ERR_UNAVAILABLE, "HTTP 500");
	assert_int_equal(atomic_load(&imds.sessions), 3);
	imds_double_say(&imds, &right);
	c->again_ms = 0;
	get_is(c, 4);
	s3_credentials_free(c);
}

static void test_first_try_fails(void **state)
{
	struct imds_say broken = {.roles_status = 404};
	struct s3_credentials *c = credentials_at(imds.url);

	(void)state;
	imds_double_say(&imds, &broken);
	get_fails(c, ERR_UNAVAILABLE, "this machine has no role");
	imds_double_say(&imds, &right);
	get_is(c, 1);
	s3_credentials_free(c);
}

/* Whatever the answer to the session's PUT is: nothing else is asked. */
static void test_never_version_1(void **state)
{
	static const struct imds_say rows[] = {{.session_status = 400}, {.session_status = 403},
		{.session_status = 404}, {.session_status = 405}, {.session_status = 500}, {.session_status = 302},
		{.session_status = 201}, {.session = ""}, {.session = "two words"}, {.session = "\nSKx"},
		{.session = "SK\x01"}};
	struct s3_credentials *c = credentials_at(imds.url);
	char long_one[2000];
	struct imds_say too_long = {.session = long_one};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		imds_double_say(&imds, &rows[i]);
		get_fails(c, ERR_UNAVAILABLE, "session token");
	}
	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	imds_double_say(&imds, &too_long);
	get_fails(c, ERR_UNAVAILABLE, "no session token");
	assert_int_equal(atomic_load(&imds.sessions), COUNT(rows) + 1);
	assert_int_equal(atomic_load(&imds.roles) + atomic_load(&imds.keys) + atomic_load(&imds.foreign), 0);
	s3_credentials_free(c);
}

#define EXPIRES "\"Expiration\":\"2026-01-05T11:00:00Z\""

static void test_wrong_answers(void **state)
{
	static const struct {
		const char *roles, *keys, *says;
	} rows[] = {
		{"", NULL, "no name of a role"},
		{"../../x", NULL, "no name of a role"},
		{"a b", NULL, "no name of a role"},
		{"role?x", NULL, "no name of a role"},
		{"<html>", NULL, "no name of a role"},
		{"0123456789012345678901234567890123456789012345678901234567890123456", NULL, "no name of a role"},
		{IMDS_ROLE "-gone", NULL, "HTTP 401 when asked for the role's keys"},
		{NULL, "", "no JSON object"},
		{NULL, "[1]", "no JSON object"},
		{NULL, "<html>SKx</html>", "no JSON object"},
		{NULL, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SKx\"oops}", "no JSON object"},
		{NULL, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", "it says AssumeRoleUnauthorizedAccess"},
		{NULL, "{}", "AccessKeyId is missing"},
		{NULL, "{\"AccessKeyId\":7,\"SecretAccessKey\":\"SKx\",\"Token\":\"T\"," EXPIRES "}",
			"AccessKeyId is missing"},
		{NULL, "{\"AccessKeyId\":\"A\",\"Token\":\"T\"," EXPIRES "}", "SecretAccessKey is missing"},
		{NULL, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SKx\"," EXPIRES "}", "Token is missing"},
		{NULL, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SKx\",\"Token\":\"T\\r\\nx\"," EXPIRES "}",
			"Token: byte 2"},
		{NULL, "{\"AccessKeyId\":\"A/B\",\"SecretAccessKey\":\"SKx\",\"Token\":\"T\"," EXPIRES "}",
			"AccessKeyId: byte 2"},
		{NULL, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SKx\",\"Token\":\"T\"}", "Expiration is missing"},
		{NULL, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SKx\",\"Token\":\"T\",\"Expiration\":\"soon\"}",
			"Expiration"},
	};
	struct s3_credentials *c = credentials_at(imds.url);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct imds_say say = {.roles = rows[i].roles, .keys = rows[i].keys};

		imds_double_say(&imds, &say);
		get_fails(c, ERR_UNAVAILABLE, rows[i].says);
	}
	s3_credentials_free(c);
}

static void test_an_endless_answer(void **state)
{
	char *body = malloc(20000);
	struct imds_say say = {.keys = body};
	struct s3_credentials *c = credentials_at(imds.url);

	(void)state;
	assert_non_null(body);
	memset(body, ' ', 19999);
	body[19999] = '\0';
	imds_double_say(&imds, &say);
	get_fails(c, ERR_UNAVAILABLE, "role's keys");
	s3_credentials_free(c);
	free(body);
}

static void test_nobody_there(void **state)
{
	struct http_script silent;
	struct s3_credentials *c;
	char url[64];

	(void)state;
	http_script_start_held(&silent, "");
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", silent.port);
	c = credentials_at(url);
	c->imds_total_ms = 100;
	get_fails(c, ERR_TIMEOUT, "instance metadata service");
	http_script_stop(&silent);
	c->imds_total_ms = GENEROUS_MS;
	get_fails(c, ERR_NET, "instance metadata service");
	s3_credentials_free(c);
}

static void test_urls(void **state)
{
	static const char *const wrong[] = {"169.254.169.254", "ftp://h", "http://", "http:///x", "http://h/latest",
		"http://h?x", "http://u@h", "http://h h", "http://h\n", "HTTP//h"};
	static const char *const fine[] = {"", "http://169.254.169.254/", "http://[fd00:ec2::254]", "https://h:8443"};
	struct s3_credentials_options o = {.source = S3_SOURCE_IMDS};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		o.imds_url = wrong[i];
		assert_null(s3_credentials_new(&o, &err));
		assert_int_equal(err.code, ERR_INPUT);
		assert_string_equal(err.field, "s3.imds_url");
	}
	for (size_t i = 0; i < COUNT(fine); i++) {
		struct s3_credentials *c;

		o.imds_url = fine[i];
		c = s3_credentials_new(&o, &err);
		assert_non_null(c);
		if (i == 0)
			assert_string_equal(c->imds_url, "http://169.254.169.254");
		s3_credentials_free(c);
	}
}

/* ---- threads ---- */

struct getter {
	pthread_t thread;
	struct s3_credentials *c;
	int failures;
	atomic_uint done;
	struct s3_keys last;
};

/* Keys, secret and token of one answer, never of two. */
static bool is_one_set(const struct s3_keys *k)
{
	return strcmp(k->access + 2, k->secret + 2) == 0 && strcmp(k->access + 2, k->token + 2) == 0;
}

static void *get_once(void *arg)
{
	struct getter *g = arg;

	g->failures += s3_credentials_get(g->c, &g->last, NULL) < 0 || !is_one_set(&g->last);
	atomic_store(&g->done, 1);
	return NULL;
}

static void *get_many(void *arg)
{
	struct getter *g = arg;
	char text[64];

	for (int i = 0; i < ROUNDS; i++) {
		g->failures += s3_credentials_get(g->c, &g->last, NULL) < 0 || !is_one_set(&g->last);
		if (i % 8 == 0)
			s3_credentials_refused(g->c);
		if (s3_credentials_expiry(g->c) != NOW_NS + HOUR_NS)
			g->failures++;
		s3_credentials_describe(g->c, text, sizeof(text));
	}
	return NULL;
}

static void start(struct getter *g, struct s3_credentials *c, void *(*run)(void *))
{
	memset(g, 0, sizeof(*g));
	g->c = c;
	assert_int_equal(pthread_create(&g->thread, NULL, run, g), 0);
}

static void wait_for(const atomic_uint *what, unsigned n)
{
	const struct timespec tick = {.tv_nsec = 1000000};

	for (unsigned ms = 0; atomic_load(what) < n; ms++) {
		if (ms > GENEROUS_MS)
			fail_msg("waited in vain");
		nanosleep(&tick, NULL);
	}
}

static void test_many_threads(void **state)
{
	struct s3_credentials *c = credentials_at(imds.url);
	struct getter getters[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		start(&getters[i], c, get_many);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(getters[i].thread, NULL);
		assert_int_equal(getters[i].failures, 0);
	}
	assert_int_equal(atomic_load(&imds.foreign), 0);
	s3_credentials_free(c);
}

/* At first there is nothing to give: all wait for the one who asks. */
static void test_one_asks_for_all(void **state)
{
	struct s3_credentials *c = credentials_at(imds.url);
	struct getter getters[THREADS];

	(void)state;
	c->again_ms = NEVER_MS;
	atomic_store(&imds.hold, true);
	for (size_t i = 0; i < THREADS; i++)
		start(&getters[i], c, get_once);
	wait_for(&imds.sessions, 1);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(atomic_load(&getters[i].done), 0);
	atomic_store(&imds.hold, false);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(getters[i].thread, NULL);
		assert_int_equal(getters[i].failures, 0);
		assert_string_equal(getters[i].last.access, "AK1");
	}
	assert_int_equal(atomic_load(&imds.sessions), 1);
	s3_credentials_free(c);
}

/* Later the old ones are still good: nobody waits but the one who asks. */
static void test_others_do_not_wait(void **state)
{
	struct s3_credentials *c = credentials_at(imds.url);
	struct getter asks;

	(void)state;
	get_is(c, 1);
	atomic_store(&imds.hold, true);
	clock_fake(NOW_NS + HOUR_NS - 60 * CLOCK_NS_PER_S);
	start(&asks, c, get_once);
	wait_for(&imds.sessions, 2);
	get_is(c, 1);
	assert_int_equal(atomic_load(&asks.done), 0);
	atomic_store(&imds.hold, false);
	pthread_join(asks.thread, NULL);
	assert_int_equal(asks.failures, 0);
	assert_string_equal(asks.last.access, "AK2");
	s3_credentials_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keys_of_the_role, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renewed_before_they_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_ones_while_the_service_is_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_try_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_version_1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_endless_answer, setup, teardown),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_urls),
		cmocka_unit_test_setup_teardown(test_many_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_asks_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_do_not_wait, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
