/* test_identity_static.c - who bears which token; what is said of wrong ones; a list that is read again while it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/digest.h"
#include "gateway/identity/identity.h"
#include "test/unit/temp_file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW UINT64_C(1767607200000000000) /* 2026-01-05T10:00:00Z */

static struct temp_file file;
static struct identity_source *source;
static struct identity who;
static struct err err;

static int setup(void **state)
{
	(void)state;
	temp_file_init(&file);
	memset(&err, 0, sizeof(err));
	source = NULL;
	clock_fake(NOW);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (source)
		source->ops->free(source);
	temp_file_done(&file);
	clock_fake(0);
	return 0;
}

/* One entry of a list: more is YAML behind the user's id. */
static size_t entry(char *text, size_t room, const char *token, const char *user, const char *more)
{
	char hex[DIGEST_SHA256_HEX_MAX];

	digest_sha256_hex(token, strlen(token), hex);
	return (size_t)snprintf(text, room, "- {sha256: %s, user_id: %s%s}\n", hex, user, more);
}

static void write_list(const char *first_user)
{
	char text[4096] = "tokens:\n";
	size_t n = strlen(text);

	n += entry(text + n, sizeof(text) - n, "token-a", first_user, "");
	n += entry(text + n, sizeof(text) - n, "token-b", "u-2",
		", user_name: Bob, org: acme, space: dev, operator: true");
	n += entry(text + n, sizeof(text) - n, "token-c", "u-3", ", expires_at: \"2026-01-05T10:00:00Z\"");
	n += entry(text + n, sizeof(text) - n, "token-d", "u-4", ", expires_at: \"2026-01-05T10:00:01Z\"");
	temp_file_write(&file, text, n);
}

static void open_list(void)
{
	write_list("alice");
	if (!(source = identity_static_new(file.path, &err)))
		fail_msg("%s", err.msg);
}

static int check(const char *token)
{
	memset(&err, 0, sizeof(err));
	memset(&who, 0xff, sizeof(who));
	return source->ops->check(source, token, &who, &err);
}

static void tokens_say_who(void **state)
{
	(void)state;
	open_list();
	assert_int_equal(check("token-a"), 0);
	assert_string_equal(who.user_id, "alice");
	assert_string_equal(who.user_name, "alice"); /* for want of another */
	assert_string_equal(who.org, "");
	assert_string_equal(who.space, "");
	assert_false(who.is_operator);
	identity_done(&who);
	assert_null(who.user_id);
	identity_done(&who);

	assert_int_equal(check("token-b"), 0);
	assert_string_equal(who.user_id, "u-2");
	assert_string_equal(who.user_name, "Bob");
	assert_string_equal(who.org, "acme");
	assert_string_equal(who.space, "dev");
	assert_true(who.is_operator);
	identity_done(&who);
}

static void wrong_tokens_are_told_alike(void **state)
{
	static const char *const wrong[] = {"", "token-", "token-aa", "Token-a", " token-a", "x"};
	char hex[DIGEST_SHA256_HEX_MAX], *large;

	(void)state;
	open_list();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(check(wrong[i]), -1);
		assert_int_equal(err.code, ERR_AUTH);
		assert_string_equal(err.msg, "the token is not valid here");
		assert_string_equal(err.detail, "");
		assert_null(who.user_id);
	}
	digest_sha256_hex("token-a", 7, hex); /* who has read the list has no token */
	assert_int_equal(check(hex), -1);
	large = malloc(1024 * 1024);
	assert_non_null(large);
	memset(large, 'x', 1024 * 1024 - 1);
	large[1024 * 1024 - 1] = '\0';
	assert_int_equal(check(large), -1);
	assert_string_equal(err.msg, "the token is not valid here");
	free(large);
}

static void tokens_end_in_time(void **state)
{
	(void)state;
	open_list();
	assert_int_equal(check("token-c"), -1);
	assert_int_equal(err.code, ERR_AUTH);
	assert_string_equal(err.msg, "the token has expired");
	assert_int_equal(check("token-d"), 0);
	identity_done(&who);
	clock_fake(NOW + CLOCK_NS_PER_S - 1);
	assert_int_equal(check("token-d"), 0);
	identity_done(&who);
	clock_fake(NOW + CLOCK_NS_PER_S);
	assert_int_equal(check("token-d"), -1);
	assert_int_equal(check("token-a"), 0);
	identity_done(&who);
}

static void without_a_file_nobody_is_known(void **state)
{
	(void)state;
	source = identity_static_new("", &err);
	assert_non_null(source);
	assert_int_equal(check("token-a"), -1);
	assert_int_equal(err.code, ERR_AUTH);
	assert_int_equal(source->ops->reload(source, &err), 0);
}

static void a_list_is_read_again(void **state)
{
	(void)state;
	open_list();
	write_list("carol");
	assert_int_equal(check("token-a"), 0);
	assert_string_equal(who.user_id, "alice"); /* not before it is told to */
	identity_done(&who);
	assert_int_equal(source->ops->reload(source, &err), 0);
	assert_int_equal(check("token-a"), 0);
	assert_string_equal(who.user_id, "carol");
	identity_done(&who);

	temp_file_write(&file, "tokens: [", 9);
	assert_int_equal(source->ops->reload(source, &err), -1);
	assert_true(err.msg[0] != '\0');
	assert_int_equal(check("token-a"), 0); /* the old one stays */
	identity_done(&who);

	temp_file_write(&file, "", 0);
	assert_int_equal(source->ops->reload(source, &err), 0);
	assert_int_equal(check("token-a"), -1);
}

static void a_bad_list_is_refused_at_the_start(void **state)
{
	(void)state;
	assert_null(identity_static_new(file.path, &err)); /* no such file */
	temp_file_write(&file, "tokens:\n- {sha256: 12, user_id: x}\n", 35);
	assert_null(identity_static_new(file.path, &err));
	assert_non_null(strstr(err.msg, "sha256"));
}

/* ---- with threads ---- */

static atomic_bool done;

static void *ask(void *arg)
{
	struct identity_source *s = arg;

	while (!atomic_load(&done)) {
		struct identity i;

		if (s->ops->check(s, "token-b", &i, NULL) < 0 || strcmp(i.user_name, "Bob") != 0)
			return arg;
		identity_done(&i);
	}
	return NULL;
}

static void the_list_changes_under_those_who_ask(void **state)
{
	pthread_t threads[3];
	void *bad;

	(void)state;
	open_list();
	atomic_store(&done, false);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, source), 0);
	for (unsigned i = 0; i < 50; i++) {
		write_list(i % 2 ? "alice" : "carol");
		assert_int_equal(source->ops->reload(source, &err), 0);
	}
	atomic_store(&done, true);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(tokens_say_who),
		test(wrong_tokens_are_told_alike),
		test(tokens_end_in_time),
		test(without_a_file_nobody_is_known),
		test(a_list_is_read_again),
		test(a_bad_list_is_refused_at_the_start),
		test(the_list_changes_under_those_who_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
