/* test_issuer_keys.c - the keys of an issuer on loopback: when they are fetched and when not, who waits for them, what stays while it is away, and how it
 * all ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/http_client.h"
#include "gateway/identity/issuer_keys.h"
#include "test/unit/jwt_rig.h"
#include "test/unit/temp_file.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEVER_MS 86400000u
#define WAIT_MS  20000u
#define MANY     65 /* one more than may wait */

static struct issuer_double uaa;
static struct jwt_rig_key keys[3]; /* "a", "b" and another "a" */
static struct issuer issuer;
static struct issuer_keys *k;
static struct err err;

static int group_setup(void **state)
{
	(void)state;
	jwt_rig_key_new(&keys[0], "a", "ES256");
	jwt_rig_key_new(&keys[1], "b", "ES256");
	jwt_rig_key_new(&keys[2], "a", "ES256");
	return http_client_global_init(NULL);
}

static int group_teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		jwt_rig_key_free(&keys[i]);
	return 0;
}

static int setup(void **state)
{
	static char name[] = "cf", none[] = "";

	(void)state;
	issuer_double_start(&uaa);
	issuer_double_offer(&uaa, keys, 1);
	issuer = (struct issuer){.name = name,
		.issuer = uaa.url,
		.url = uaa.url,
		.keys_url = none,
		.login_url = none,
		.ca = none,
		.allow_http = true,
		.refresh_ms = NEVER_MS,
		.retry_ms = NEVER_MS};
	k = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	issuer_keys_unref(k);
	if (uaa.server)
		issuer_double_stop(&uaa);
	return 0;
}

static void start(void)
{
	if (!(k = issuer_keys_start(&issuer, &err)))
		fail_msg("%s", err.msg);
}

static int verify(const struct jwt_rig_key *key, struct err *ret)
{
	char *token = jwt_rig_sign(key, json_object());
	struct jwt t;
	int rc = jwt_read(token, &t, ret);

	memset(ret, 0, sizeof(*ret));
	if (rc == 0)
		rc = issuer_keys_verify(k, &t, ret);
	jwt_done(&t);
	free(token);
	return rc;
}

static void is_good(const struct jwt_rig_key *key)
{
	if (verify(key, &err) < 0)
		fail_msg("%s", err.msg);
}

static void is_bad(const struct jwt_rig_key *key)
{
	assert_int_equal(verify(key, &err), -1);
	assert_string_equal(err.msg, "the token is not valid here");
	assert_int_equal(err.code, ERR_AUTH);
}

static void is_unknown(const struct jwt_rig_key *key, const char *says)
{
	assert_int_equal(verify(key, &err), -1);
	if (err.code != ERR_UNAVAILABLE || !strstr(err.msg, says) || !strstr(err.msg, "issuer \"cf\""))
		fail_msg("%s \"%s\"", err_code_name(err.code), err.msg);
	assert_string_equal(err.detail, "issuer_away");
}

static void fetches_are(unsigned n)
{
	assert_int_equal(atomic_load(&uaa.fetches), n);
}

/* ---- when ---- */

static void fetched_once_at_the_start(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 20; i++)
		is_good(&keys[0]);
	fetches_are(1);
	assert_int_equal(atomic_load(&uaa.discoveries), 1);
}

static void without_discovery(void **state)
{
	char url[100];
	static char none[] = "";

	(void)state;
	snprintf(url, sizeof(url), "%s/token_keys", uaa.url);
	issuer.url = none;
	issuer.keys_url = url;
	start();
	is_good(&keys[0]);
	fetches_are(1);
	assert_int_equal(atomic_load(&uaa.discoveries), 0);
}

static void strangers_cause_no_fetch_before_retry(void **state)
{
	(void)state;
	start();
	is_good(&keys[0]);
	issuer_double_offer(&uaa, keys, 2);
	for (unsigned i = 0; i < 20; i++) {
		is_bad(&keys[1]); /* of an id that is not known */
		is_bad(&keys[2]); /* of a known one */
	}
	fetches_are(1);
}

static void an_unknown_key_is_looked_for(void **state)
{
	(void)state;
	issuer.retry_ms = 0;
	start();
	is_good(&keys[0]);
	fetches_are(1);
	issuer_double_offer(&uaa, keys, 2);
	is_good(&keys[1]);
	fetches_are(2);
	is_good(&keys[0]);
	is_good(&keys[1]);
	fetches_are(2);
}

/* Most that do not fit a known key are forged: nobody waits for those, but a new key may have the old one's id. */
static void a_new_key_of_an_old_id_is_found(void **state)
{
	(void)state;
	issuer.retry_ms = 0;
	start();
	is_good(&keys[0]);
	issuer_double_offer(&uaa, keys + 2, 1);
	is_bad(&keys[2]);
	for (unsigned ms = 0; verify(&keys[2], &err) < 0 && ms < WAIT_MS; ms++)
		(void)poll(NULL, 0, 1);
	is_good(&keys[2]);
	is_bad(&keys[0]);
}

static void a_token_without_kid_may_be_of_any(void **state)
{
	struct jwt_rig_key nameless = keys[1];

	(void)state;
	nameless.kid = NULL;
	issuer_double_offer(&uaa, keys, 2);
	start();
	is_good(&nameless);
	nameless.jwk = keys[2].jwk;
	is_bad(&nameless);
	fetches_are(1);
}

/* Keys of the set that have no id are of no use to a token that names one. */
static void a_key_without_kid(void **state)
{
	struct jwt_rig_key nameless = keys[0];

	(void)state;
	nameless.kid = NULL;
	issuer_double_offer(&uaa, &nameless, 1);
	start();
	is_good(&nameless);
	is_bad(&keys[0]);
}

static void fetched_again_each_refresh(void **state)
{
	(void)state;
	issuer.refresh_ms = 5;
	start();
	is_good(&keys[0]);
	jwt_rig_wait(&uaa.fetches, 5); /* nobody has asked */
	issuer_double_offer(&uaa, keys + 1, 1);
	jwt_rig_wait(&uaa.fetches, atomic_load(&uaa.fetches) + 2);
	is_good(&keys[1]);
	is_bad(&keys[0]); /* what is no longer published is no longer good */
}

/* ---- while it is away ---- */

static void the_last_good_ones_stay(void **state)
{
	static const char *const broken[] = {
		"{\"keys\":[]}", "<html>", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", ""};

	(void)state;
	issuer.refresh_ms = 5;
	issuer.retry_ms = 5;
	start();
	is_good(&keys[0]);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		issuer_double_say(&uaa, 200, broken[i]);
		jwt_rig_wait(&uaa.fetches, atomic_load(&uaa.fetches) + 2);
		is_good(&keys[0]);
		is_unknown(&keys[1], "/token_keys: ");
		is_bad(&keys[2]); /* its signature was looked at */
	}
	issuer_double_offer(&uaa, keys, 2);
	jwt_rig_wait(&uaa.fetches, atomic_load(&uaa.fetches) + 2);
	is_good(&keys[1]);
}

static void it_says_why(void **state)
{
	static const struct {
		int status;
		const char *keys, *discovery, *says;
	} rows[] = {
		{503, NULL, NULL, "/token_keys: HTTP status 503"},
		{204, "", NULL, "/token_keys: HTTP status 204"},
		{200, "{}", NULL, "this is no key set"},
		{200, "{\"keys\":[5]}", NULL, "none of its 1 keys"},
		{200, NULL, "{}", "its issuer is \"\""},
		{200, NULL, "{\"issuer\":\"http://127.0.0.1:1\",\"jwks_uri\":\"http://127.0.0.1:1/\"}",
			"its issuer is \"http://127.0.0.1:1\""},
		{200, NULL, "{\"issuer\":5}", "its issuer is \"\""},
		{200, NULL, "[]", "its issuer is \"\""},
		{200, NULL, "no JSON", "/.well-known/openid-configuration: "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		issuer_double_say(&uaa, rows[i].status, rows[i].keys);
		issuer_double_discovery(&uaa, rows[i].discovery);
		start();
		is_unknown(&keys[0], rows[i].says);
		is_unknown(&keys[0], rows[i].says); /* and once more, from memory */
		assert_int_equal(atomic_load(&uaa.discoveries), i + 1);
		issuer_keys_unref(k);
		k = NULL;
	}
}

/* The place of the keys is as bound to TLS as all the rest. */
static void where_discovery_may_lead(void **state)
{
	static const char *const wrong[] = {
		"file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.1/", "/token_keys", "", "HTTP://127.0.0.1/"};
	char discovery[ISSUER_URL_BYTES + 200], uri[ISSUER_URL_BYTES + 2];

	(void)state;
	for (size_t i = 0; i <= sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *says = "is not https://";

		snprintf(uri, sizeof(uri), "%s", wrong[i % (sizeof(wrong) / sizeof(wrong[0]))]);
		if (i == sizeof(wrong) / sizeof(wrong[0])) {
			memset(uri, 'x', sizeof(uri) - 1);
			memcpy(uri, "https://", 8);
			uri[sizeof(uri) - 1] = '\0';
			says = "it names no jwks_uri";
		}
		snprintf(discovery, sizeof(discovery), "{\"issuer\":\"%s\",\"jwks_uri\":\"%s\"}", uaa.url, uri);
		issuer_double_discovery(&uaa, discovery);
		start();
		is_unknown(&keys[0], says);
		issuer_keys_unref(k);
		k = NULL;
	}
	issuer_double_discovery(&uaa, NULL);
	issuer.allow_http = false; /* discovery itself was of a URL that the file's reader would have refused */
	start();
	is_unknown(&keys[0], "is not https://");
	fetches_are(0);
}

static void nobody_there(void **state)
{
	(void)state;
	issuer_double_stop(&uaa);
	start();
	is_unknown(&keys[0], "127.0.0.1");
}

/* ---- who waits ---- */

struct asker {
	pthread_t thread;
	const struct jwt_rig_key *key;
	int rc;
	struct err err;
};
static atomic_uint answered;

static void *ask(void *arg)
{
	struct asker *a = arg;

	a->rc = verify(a->key, &a->err);
	atomic_fetch_add(&answered, 1);
	return NULL;
}

static void ask_all(struct asker *all, size_t n, const struct jwt_rig_key *key)
{
	atomic_store(&answered, 0);
	for (size_t i = 0; i < n; i++) {
		all[i].key = key;
		assert_int_equal(pthread_create(&all[i].thread, NULL, ask, &all[i]), 0);
	}
}

static void one_fetch_for_all_who_wait(void **state)
{
	struct asker all[8];

	(void)state;
	atomic_store(&uaa.hold, true);
	start();
	ask_all(all, 8, &keys[0]);
	jwt_rig_wait(&uaa.fetches, 1);
	assert_int_equal(atomic_load(&answered), 0);
	atomic_store(&uaa.hold, false);
	for (size_t i = 0; i < 8; i++) {
		pthread_join(all[i].thread, NULL);
		assert_int_equal(all[i].rc, 0);
	}
	fetches_are(1);
}

/* All places to wait are taken: one more is told so at once. */
static void not_all_of_them_wait(void **state)
{
	static struct asker all[MANY];
	unsigned refused = 0;

	(void)state;
	atomic_store(&uaa.hold, true);
	start();
	ask_all(all, MANY, &keys[0]);
	jwt_rig_wait(&answered, 1);
	assert_int_equal(atomic_load(&answered), 1);
	atomic_store(&uaa.hold, false);
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(all[i].thread, NULL);
		if (all[i].rc == 0)
			continue;
		assert_int_equal(all[i].err.code, ERR_UNAVAILABLE);
		refused++;
	}
	assert_int_equal(refused, 1);
}

/* Nor then: that the known keys are good says nothing of one that could not be looked for. */
static void not_all_of_them_wait_later(void **state)
{
	static struct asker all[MANY];
	unsigned refused = 0;

	(void)state;
	issuer.retry_ms = 0;
	start();
	is_good(&keys[0]);
	issuer_double_offer(&uaa, keys, 2);
	atomic_store(&uaa.hold, true);
	ask_all(all, MANY, &keys[1]);
	jwt_rig_wait(&answered, 1);
	is_good(&keys[0]); /* who bears a known one does not wait */
	atomic_store(&uaa.hold, false);
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(all[i].thread, NULL);
		if (all[i].rc == 0)
			continue;
		assert_int_equal(all[i].err.code, ERR_UNAVAILABLE);
		assert_string_equal(all[i].err.detail, "issuer_away");
		refused++;
	}
	assert_int_equal(refused, 1);
}

/* It takes the request and is silent: whose key is not known learns that it cannot be known, as long as nobody knows. */
static void waiting_has_an_end(void **state)
{
	(void)state;
	issuer.retry_ms = 0;
	start();
	is_good(&keys[0]);
	issuer_double_offer(&uaa, keys, 2);
	atomic_store(&uaa.hold, true);
	is_unknown(&keys[1], "");
	is_good(&keys[0]);
	atomic_store(&uaa.hold, false);
	for (unsigned i = 0; verify(&keys[1], &err) < 0; i++) {
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_true(i < 1000);
	}
}

/* ---- life ---- */

static void references(void **state)
{
	(void)state;
	start();
	assert_ptr_equal(issuer_keys_ref(k), k);
	assert_ptr_equal(issuer_keys_ref(k), k);
	issuer_keys_unref(k);
	is_good(&keys[0]);
	issuer_keys_unref(k);
	is_good(&keys[0]);
	fetches_are(1);
	issuer_keys_unref(NULL);
}

static void ended_before_it_began(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		start();
		issuer_keys_unref(k);
	}
	k = NULL;
}

/* A fetch that is under way is cancelled, and that is no failure to tell of: else it would go on to its time limit, which is one. */
static void the_end_does_not_wait_for_a_fetch(void **state)
{
	struct temp_file log;
	int to, was = dup(STDERR_FILENO);
	char *text;

	(void)state;
	temp_file_init(&log);
	atomic_store(&uaa.hold, true);
	start();
	jwt_rig_wait(&uaa.fetches, 1);
	fflush(stderr);
	to = open(log.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(was >= 0 && to >= 0 && dup2(to, STDERR_FILENO) >= 0);
	issuer_keys_unref(k);
	k = NULL;
	dup2(was, STDERR_FILENO);
	close(was);
	close(to);
	text = fs_read_text(log.path, 65536, NULL);
	assert_non_null(text);
	assert_string_equal(text, "");
	free(text);
	temp_file_done(&log);
}

static void a_wrong_ca_is_told_at_the_start(void **state)
{
	static char ca[] = "/nonexistent/ca.pem";

	(void)state;
	issuer.ca = ca;
	assert_null(issuer_keys_start(&issuer, &err));
	assert_non_null(strstr(err.msg, "issuer \"cf\": ca: "));
	assert_non_null(strstr(err.msg, ca));
	fetches_are(0);
}

static void whose_they_are(void **state)
{
	static char other[] = "other";
	struct issuer s = issuer;

	(void)state;
	start();
	assert_true(issuer_keys_are_of(k, &s));
	s.leeway_ms++;
	s.clients = !s.clients;
	s.kind = ISSUER_OIDC;
	s.login_url = other;
	assert_true(issuer_keys_are_of(k, &s)); /* they matter to claims only */
#define differs(member, value)                                                                                         \
	do {                                                                                                           \
		s = issuer;                                                                                            \
		s.member = value;                                                                                      \
		assert_false(issuer_keys_are_of(k, &s));                                                               \
	} while (0)
	differs(name, other);
	differs(issuer, other);
	differs(url, other);
	differs(keys_url, other);
	differs(ca, other);
	differs(allow_http, false);
	differs(refresh_ms, issuer.refresh_ms + 1);
	differs(retry_ms, issuer.retry_ms + 1);
}

/* ---- threads ---- */

static atomic_bool done;

static void *ask_on(void *arg)
{
	struct asker *a = arg;

	for (unsigned i = 0; !atomic_load(&done); i++) {
		if ((a->rc = verify(a->key, &a->err)) < 0 && a->err.code != ERR_AUTH)
			return arg;
		if (a->rc < 0 && a->key == &keys[0])
			return arg; /* it is offered all the time */
	}
	return NULL;
}

static void keys_change_under_those_who_ask(void **state)
{
	struct asker all[4];

	(void)state;
	issuer.retry_ms = 0;
	issuer.refresh_ms = 2;
	start();
	atomic_store(&done, false);
	for (size_t i = 0; i < 4; i++) {
		all[i].key = &keys[i % 2];
		assert_int_equal(pthread_create(&all[i].thread, NULL, ask_on, &all[i]), 0);
	}
	for (unsigned i = 0; i < 40; i++) {
		issuer_double_offer(&uaa, keys, i % 2 ? 1 : 2);
		jwt_rig_wait(&uaa.fetches, atomic_load(&uaa.fetches) + 1);
		if (i % 8 == 0) /* another holder comes and goes */
			issuer_keys_unref(issuer_keys_ref(k));
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < 4; i++) {
		void *bad;

		pthread_join(all[i].thread, &bad);
		if (bad)
			fail_msg("key \"%s\": %s", all[i].key->kid, all[i].err.msg);
	}
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(fetched_once_at_the_start),
		test(without_discovery),
		test(strangers_cause_no_fetch_before_retry),
		test(an_unknown_key_is_looked_for),
		test(a_new_key_of_an_old_id_is_found),
		test(a_token_without_kid_may_be_of_any),
		test(a_key_without_kid),
		test(fetched_again_each_refresh),
		test(the_last_good_ones_stay),
		test(it_says_why),
		test(where_discovery_may_lead),
		test(nobody_there),
		test(one_fetch_for_all_who_wait),
		test(not_all_of_them_wait),
		test(not_all_of_them_wait_later),
		test(waiting_has_an_end),
		test(references),
		test(ended_before_it_began),
		test(the_end_does_not_wait_for_a_fetch),
		test(a_wrong_ca_is_told_at_the_start),
		test(whose_they_are),
		test(keys_change_under_those_who_ask),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
