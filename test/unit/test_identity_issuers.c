/* test_identity_issuers.c - signed tokens as a source of identities: issuer, keys and claims together; the file that is read again; and all of it at once in
 * many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/http_client.h"
#include "gateway/identity/identity.h"
#include "test/unit/jwt_rig.h"
#include "test/unit/temp_file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S  INT64_C(1767607200) /* 2026-01-05T10:00:00Z */
#define NOW    ((uint64_t)NOW_S * CLOCK_NS_PER_S)
#define WRONG  "the token is not valid here"
#define ROUNDS 30

static struct issuer_double uaa, other;
static struct jwt_rig_key keys[2], strange; /* uaa's "a" and "b"; "a" of the other issuer */
static struct temp_file file, tokens;
static struct identity_source *source;
static struct identity who;
static struct err err;

static int group_setup(void **state)
{
	(void)state;
	jwt_rig_key_new(&keys[0], "a", "ES256");
	jwt_rig_key_new(&keys[1], "b", "ES256");
	jwt_rig_key_new(&strange, "a", "ES256");
	return http_client_global_init(NULL);
}

static int group_teardown(void **state)
{
	(void)state;
	jwt_rig_key_free(&keys[0]);
	jwt_rig_key_free(&keys[1]);
	jwt_rig_key_free(&strange);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	temp_file_init(&file);
	temp_file_init(&tokens);
	issuer_double_start(&uaa);
	issuer_double_start(&other);
	issuer_double_offer(&uaa, keys, 1);
	issuer_double_offer(&other, &strange, 1);
	source = NULL;
	memset(&who, 0, sizeof(who));
	clock_fake(NOW);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (source)
		source->ops->free(source);
	issuer_double_stop(&uaa);
	issuer_double_stop(&other);
	temp_file_done(&file);
	temp_file_done(&tokens);
	clock_fake(0);
	return 0;
}

/* The file's text: uaa as "cf" with more YAML of its own; then the other issuer as "corp", if wanted. */
static void write_file(const char *more, bool with_other)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
		"issuers:\n- {name: cf, issuer: '%s', url: '%s', allow_http: true, audience: [cc]%s}\n", uaa.url,
		uaa.url, more);

	if (with_other)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			"- {name: corp, kind: oidc, issuer: '%s', url: '%s', allow_http: true, audience: [cc]}\n",
			other.url, other.url);
	temp_file_write(&file, text, (size_t)n);
}

static void open_file(void)
{
	if (!(source = identity_issuers_new(file.path, &err)))
		fail_msg("%s", err.msg);
}

static char *token_of(const struct issuer_double *d, const struct jwt_rig_key *k)
{
	return jwt_rig_sign(k, json_pack("{s:s, s:s, s:s, s:s, s:s, s:[s], s:s, s:I}", "iss", d->url, "jti", "1", "sub",
				       "7a1f", "user_id", "7a1f", "user_name", "alice", "scope", "cc.read", "aud", "cc",
				       "exp", (json_int_t)NOW_S + 60));
}

static int check(const char *token)
{
	memset(&err, 0, sizeof(err));
	memset(&who, 0xff, sizeof(who));
	return source->ops->check(source, token, &who, &err);
}

static void is_good(const char *token, const char *user_id)
{
	if (check(token) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(who.user_id, user_id);
	identity_done(&who);
}

static void is_refused(const char *token, enum err_code code, const char *says)
{
	assert_int_equal(check(token), -1);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("not %s \"%s\" but %s \"%s\"", err_code_name(code), says, err_code_name(err.code), err.msg);
	assert_null(who.user_id);
	assert_null(who.scopes);
}

static void reload(void)
{
	if (source->ops->reload(source, &err) < 0)
		fail_msg("%s", err.msg);
}

/* ---- one after the other ---- */

static void each_issuer_signs_for_itself(void **state)
{
	char *of_uaa = token_of(&uaa, keys), *of_other = token_of(&other, &strange);
	char *crossed = token_of(&uaa, &strange), *crossed_too = token_of(&other, keys);

	(void)state;
	write_file("", true);
	open_file();
	is_good(of_uaa, "cf:7a1f");
	is_good(of_other, "corp:7a1f");
	is_refused(crossed, ERR_AUTH, WRONG);
	is_refused(crossed_too, ERR_AUTH, WRONG);
	free(of_uaa);
	free(of_other);
	free(crossed);
	free(crossed_too);
}

static void the_clock_ends_it(void **state)
{
	char *token = token_of(&uaa, keys);

	(void)state;
	write_file(", leeway: 10s", false);
	open_file();
	clock_fake(NOW + 69 * CLOCK_NS_PER_S + 999 * CLOCK_NS_PER_MS);
	is_good(token, "cf:7a1f");
	clock_fake(NOW + 70 * CLOCK_NS_PER_S);
	is_refused(token, ERR_AUTH, "has expired");
	assert_string_equal(err.detail, "token_expired");
	free(token);
}

/* Nothing is told of a token that nobody has signed: not even that it has expired. */
static void claims_count_only_when_signed(void **state)
{
	char *token = token_of(&uaa, &strange);

	(void)state;
	write_file("", false);
	open_file();
	clock_fake(NOW + 3600 * CLOCK_NS_PER_S);
	is_refused(token, ERR_AUTH, WRONG);
	assert_string_equal(err.detail, "");
	free(token);
}

static void an_unknown_issuer_is_asked_nothing(void **state)
{
	char *token = token_of(&other, &strange);

	(void)state;
	write_file("", false);
	open_file();
	is_refused(token, ERR_AUTH, WRONG);
	is_refused("a.b.c", ERR_AUTH, WRONG);
	is_refused("", ERR_AUTH, WRONG);
	assert_int_equal(atomic_load(&other.discoveries) + atomic_load(&other.fetches), 0);
	free(token);
}

static void without_a_file_nobody_is_known(void **state)
{
	char *token = token_of(&uaa, keys);
	json_t *list = json_array();

	(void)state;
	assert_non_null(source = identity_issuers_new("", &err));
	is_refused(token, ERR_AUTH, WRONG);
	reload();
	source->ops->tell_login(source, list);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	free(token);
}

static void what_clients_are_told(void **state)
{
	json_t *list = json_array(), *want;

	(void)state;
	write_file(", login_url: 'https://login/'", true);
	open_file();
	source->ops->tell_login(source, list);
	want = json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}]", "name", "cf", "issuer", uaa.url, "url", "https://login",
		"name", "corp", "issuer", other.url, "url", other.url);
	assert_true(json_equal(list, want));
	json_decref(list);
	json_decref(want);
}

static void a_bad_file_is_refused_at_the_start(void **state)
{
	(void)state;
	assert_null(identity_issuers_new(file.path, &err)); /* no such file */
	write_file(", leeway: 1h", false);
	assert_null(identity_issuers_new(file.path, &err));
	assert_non_null(strstr(err.msg, "issuer 1 (\"cf\"): leeway"));
	write_file(", ca: /nonexistent.pem", true);
	assert_null(identity_issuers_new(file.path, &err));
	assert_non_null(strstr(err.msg, file.path));
	assert_non_null(strstr(err.msg, "/nonexistent.pem"));
}

/* ---- the file again ---- */

static void a_reload_keeps_the_keys(void **state)
{
	char *token = token_of(&uaa, keys), *of_other = token_of(&other, &strange);

	(void)state;
	write_file("", false);
	open_file();
	is_good(token, "cf:7a1f");
	issuer_double_say(&uaa, 503, NULL); /* from now on there are none but those that we have */
	write_file(", operator_scopes: [cc.read], leeway: 1s", true);
	reload();
	assert_int_equal(check(token), 0);
	assert_true(who.is_operator); /* claims go by the new file */
	identity_done(&who);
	is_good(of_other, "corp:7a1f");
	assert_int_equal(atomic_load(&uaa.fetches), 1);
	write_file("", false);
	reload();
	is_good(token, "cf:7a1f");
	is_refused(of_other, ERR_AUTH, WRONG);
	assert_int_equal(atomic_load(&uaa.fetches), 1);
	free(token);
	free(of_other);
}

/* Keys from elsewhere are others, whatever the name: nothing of the old place counts any more. */
static void a_reload_forgets_keys_of_another_place(void **state)
{
	char *token = token_of(&uaa, keys), text[512];
	int n;

	(void)state;
	write_file("", false);
	open_file();
	is_good(token, "cf:7a1f");
	n = snprintf(text, sizeof(text),
		"issuers:\n- {name: cf, issuer: '%s', keys_url: '%s/token_keys', allow_http: true, audience: [cc]}\n",
		uaa.url, other.url);
	temp_file_write(&file, text, (size_t)n);
	reload();
	is_refused(token, ERR_AUTH, WRONG);
	free(token);
	token = token_of(&uaa, &strange);
	is_good(token, "cf:7a1f");
	free(token);
}

static void a_bad_reload_changes_nothing(void **state)
{
	static const char *const broken[] = {"issuers: [", "issuers:\n- {name: x}\n", "issuer: []\n"};
	char *token = token_of(&uaa, keys);

	(void)state;
	write_file("", false);
	open_file();
	is_good(token, "cf:7a1f");
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		temp_file_write(&file, broken[i], strlen(broken[i]));
		assert_int_equal(source->ops->reload(source, &err), -1);
		assert_non_null(strstr(err.msg, file.path));
		is_good(token, "cf:7a1f");
	}
	write_file(", ca: /nonexistent.pem", true);
	assert_int_equal(source->ops->reload(source, &err), -1);
	is_good(token, "cf:7a1f");
	assert_int_equal(atomic_load(&uaa.fetches), 1);
	temp_file_write(&file, "", 0);
	reload();
	is_refused(token, ERR_AUTH, WRONG);
	free(token);
}

/* ---- beside static tokens ---- */

static void write_tokens(const char *token, const char *more)
{
	char hex[DIGEST_SHA256_HEX_MAX], text[256];
	int n;

	digest_sha256_hex(token, strlen(token), hex);
	n = snprintf(text, sizeof(text), "tokens:\n- {sha256: %s, user_id: bob%s}\n", hex, more);
	temp_file_write(&tokens, text, (size_t)n);
}

static void both_sources(void **state)
{
	char *token = token_of(&uaa, keys);
	json_t *list = json_array();

	(void)state;
	write_tokens("opaque", "");
	write_file("", false);
	assert_non_null(source = identity_any_new(tokens.path, file.path, &err));
	is_good("opaque", "bob");
	is_good(token, "cf:7a1f");
	is_refused("opaque2", ERR_AUTH, WRONG);
	is_refused("a.b.c", ERR_AUTH, WRONG);
	source->ops->tell_login(source, list);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	/* The static list comes first, even for what looks like a signed one. */
	write_tokens(token, "");
	reload();
	is_good(token, "bob");
	is_refused("opaque", ERR_AUTH, WRONG);
	write_tokens("opaque", ", expires_at: '2026-01-05T10:00:00Z'");
	reload();
	is_refused("opaque", ERR_AUTH, "the token has expired");
	is_good(token, "cf:7a1f");
	free(token);
}

static void both_must_be_good_at_the_start(void **state)
{
	(void)state;
	write_tokens("opaque", "");
	assert_null(identity_any_new(tokens.path, file.path, &err));
	assert_non_null(strstr(err.msg, "issuers: "));
	write_file("", false);
	temp_file_write(&tokens, "tokens: {", 9);
	assert_null(identity_any_new(tokens.path, file.path, &err));
	assert_non_null(strstr(err.msg, "tokens: "));
}

/* ---- with threads ---- */

struct asker {
	pthread_t thread;
	char *token;
	bool always; /* good all the time; else only well told */
	struct err err;
};
static atomic_bool done;
static atomic_uint checks; /* by all of them */

static void *ask(void *arg)
{
	struct asker *a = arg;

	while (!atomic_load(&done)) {
		struct identity i;
		int rc = source->ops->check(source, a->token, &i, &a->err);

		if (rc == 0 && strcmp(i.user_name, "alice") != 0)
			return arg;
		if (rc < 0 && (a->always || a->err.code != ERR_AUTH || strcmp(a->err.msg, WRONG) != 0))
			return arg;
		identity_done(&i);
		atomic_fetch_add(&checks, 1);
	}
	return NULL;
}

static void start(struct asker *a, char *token, bool always)
{
	memset(a, 0, sizeof(*a));
	a->token = token;
	a->always = always;
	assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

/* The file changes between one whose keys are taken over and one whose keys are fetched anew, the issuer's keys come and go: who bears the lasting key never
 * notices. */
static void all_at_once(void **state)
{
	struct asker all[5];
	json_t *list = json_array();

	(void)state;
	write_file(", retry: 100ms", false);
	open_file();
	atomic_store(&done, false);
	start(&all[0], token_of(&uaa, keys), true);
	start(&all[1], token_of(&uaa, keys), true);
	start(&all[2], token_of(&uaa, &keys[1]), false);
	start(&all[3], token_of(&other, &strange), false);
	start(&all[4], token_of(&uaa, &strange), false);
	for (unsigned i = 0; i < ROUNDS; i++) {
		issuer_double_offer(&uaa, keys, 1 + i % 2);
		write_file(i % 3 ? ", retry: 100ms" : ", retry: 101ms", i % 4 < 2);
		reload();
		source->ops->tell_login(source, list);
		jwt_rig_wait(&checks, atomic_load(&checks) + 10);
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < 5; i++) {
		void *bad;

		pthread_join(all[i].thread, &bad);
		if (bad)
			fail_msg("asker %zu: %s \"%s\"", i, err_code_name(all[i].err.code), all[i].err.msg);
		free(all[i].token);
	}
	json_decref(list);
}

static void *reload_on(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (source->ops->reload(source, NULL) < 0)
			return arg;
	}
	return NULL;
}

static void reloads_at_once(void **state)
{
	char *token = token_of(&uaa, keys);
	pthread_t threads[3];

	(void)state;
	write_file("", true);
	open_file();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reload_on, token), 0);
	for (size_t i = 0; i < 3; i++) {
		void *bad;

		is_good(token, "cf:7a1f");
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	is_good(token, "cf:7a1f");
	assert_int_equal(atomic_load(&uaa.fetches), 1);
	free(token);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(each_issuer_signs_for_itself),
		test(the_clock_ends_it),
		test(claims_count_only_when_signed),
		test(an_unknown_issuer_is_asked_nothing),
		test(without_a_file_nobody_is_known),
		test(what_clients_are_told),
		test(a_bad_file_is_refused_at_the_start),
		test(a_reload_keeps_the_keys),
		test(a_reload_forgets_keys_of_another_place),
		test(a_bad_reload_changes_nothing),
		test(both_sources),
		test(both_must_be_good_at_the_start),
		test(all_at_once),
		test(reloads_at_once),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
