/* test_cli_token.c - cli/login/token.c and cli/login/login.c: when a token is due, and what becomes of renewals that work, fail, or bring nothing new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/login/login.h"
#include "cli/login/token.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

#define NOW 1000000u

static void at(uint64_t s)
{
	clock_fake(s * CLOCK_NS_PER_S);
}

/* {"user_name":"dev","iat":1000000,"exp":1001200} and so on, between two dots. */
static const char twenty_minutes[] = "e30.eyJ1c2VyX25hbWUiOiJkZXYiLCJpYXQiOjEwMDAwMDAsImV4cCI6MTAwMTIwMH0.x";
static const char no_iat[] = "e30.eyJleHAiOjEwMDEyMDB9.x"; /* {"exp":1001200} */
static const char client[] = "e30.eyJjbGllbnRfaWQiOiJjaSIsImlhdCI6MTAwMDAwMCwiZXhwIjoxMDAwMTIwfQ.x"; /* 120 s */
static const char later[] = "e30.eyJpYXQiOjEwMDA5MDAsImV4cCI6MTAwMjEwMH0.x"; /* iat 1000900, exp 1002100 */

static void test_read(void **state)
{
	static const struct {
		const char *text, *user;
		bool is_read, is_client;
		uint64_t expires_s, renew_s;
	} rows[] = {
		{twenty_minutes, "dev", true, false, NOW + 1200, NOW + 900},
		{client, "ci", true, true, NOW + 120, NOW + 90},
		{no_iat, "", true, true, NOW + 1200, NOW + 1170},
		{"e30.e30.x", "", true, true, 0, 0},
		{"e30.W10.x", "", false, false, 0, 0}, /* [] */
		{"e30.e3.x", "", false, false, 0, 0},
		{"e30.*.x", "", false, false, 0, 0},
		{"e30.e30", "", false, false, 0, 0},
		{"..", "", false, false, 0, 0},
		{"", "", false, false, 0, 0},
		{"opaque", "", false, false, 0, 0},
		{"e30.e30.x y", "", false, false, 0, 0},
		/* {"exp":"x","user_name":5} */
		{"e30.eyJleHAiOiJ4IiwidXNlcl9uYW1lIjo1fQ.x", "", true, true, 0, 0},
		/* {"exp":1e300} */
		{"e30.eyJleHAiOjFlMzAwfQ.x", "", true, true, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct token_info info;

		assert_int_equal(token_read(rows[i].text, &info), rows[i].is_read);
		assert_string_equal(info.user, rows[i].user);
		assert_int_equal(info.is_client, rows[i].is_client);
		assert_int_equal(info.expires_s, rows[i].expires_s);
		assert_int_equal(token_renew_s(&info), rows[i].renew_s);
	}
}

/* ---- renewal ---- */

struct answers {
	const char *list[8]; /* NULL: a failure */
	size_t n, asked, cancelled;
	struct login *cancels; /* while it is asked */
	bool freed;
};

static int renew(void *ctx, const char *token, char **ret, struct err *err)
{
	struct answers *a = ctx;
	const char *answer = a->asked < a->n ? a->list[a->asked] : NULL;

	assert_non_null(token);
	a->asked++;
	if (a->cancels)
		login_cancel(a->cancels);
	if (!answer)
		return err_set(err, ERR_NET, "the login server is away");
	*ret = strdup(answer);
	return *ret ? 0 : err_nomem(err);
}

static void cancel(void *ctx)
{
	((struct answers *)ctx)->cancelled++;
}

static void freed(void *ctx)
{
	((struct answers *)ctx)->freed = true;
}

static struct login *login_of(const char *token, struct answers *a)
{
	const struct login_source source = {.renew = renew, .cancel = cancel, .free = freed, .ctx = a};
	struct login *l = login_new(token, &source, NULL);

	assert_non_null(l);
	return l;
}

static void check_token(struct login *l, const char *due)
{
	char *token = login_token(l);

	assert_string_equal(token, due);
	free(token);
}

static void test_renewed_when_due(void **state)
{
	struct answers a = {.list = {later}, .n = 1};
	struct login *l = login_of(twenty_minutes, &a);
	struct err err = {0};

	(void)state;
	at(NOW + 1);
	assert_int_equal(login_ready(l, &err), 0);
	assert_int_equal(login_due_ms(l), 899000);
	check_token(l, twenty_minutes);
	assert_int_equal(a.asked, 0);
	at(NOW + 900);
	assert_int_equal(login_due_ms(l), 0);
	check_token(l, later);
	check_token(l, later);
	assert_int_equal(a.asked, 1);
	assert_int_equal(login_due_ms(l), 900000);
	login_free(l);
	assert_true(a.freed);
	clock_fake(0);
}

/* A tool that keeps its token until the last minute: asked again then, not all the time. */
static void test_the_same_again(void **state)
{
	struct answers a = {.list = {twenty_minutes, later}, .n = 2};
	struct login *l = login_of(twenty_minutes, &a);

	(void)state;
	at(NOW + 900);
	check_token(l, twenty_minutes);
	assert_int_equal(login_due_ms(l), 255000);
	at(NOW + 1155);
	check_token(l, later);
	assert_int_equal(a.asked, 2);
	login_free(l);
	clock_fake(0);
}

static void test_failures(void **state)
{
	struct answers a = {.list = {NULL, NULL, later}, .n = 3};
	struct login *l = login_of(twenty_minutes, &a);
	struct err err = {0};

	(void)state;
	at(NOW + 1000);
	assert_int_equal(login_ready(l, &err), 0); /* it is good for a while yet */
	assert_true(login_trouble(l, &err));
	assert_string_equal(err.msg, "the login server is away");
	assert_int_equal(login_due_ms(l), 2000);
	check_token(l, twenty_minutes);
	assert_int_equal(a.asked, 1);
	at(NOW + 1300); /* it has ended meanwhile: the old one is what there is */
	check_token(l, twenty_minutes);
	assert_false(login_trouble(l, &err)); /* told once */
	assert_int_equal(login_due_ms(l), 4000);
	at(NOW + 1304);
	check_token(l, later);
	assert_int_equal(a.asked, 3);
	login_free(l);

	a = (struct answers){.list = {NULL, twenty_minutes}, .n = 2};
	l = login_of(NULL, &a);
	assert_int_equal(login_ready(l, &err), -1);
	assert_int_equal(err.code, ERR_NET);
	login_free(l);
	a = (struct answers){.list = {twenty_minutes}, .n = 1};
	l = login_of(NULL, &a);
	assert_int_equal(login_ready(l, &err), -1); /* what came is over already */
	assert_non_null(strstr(err.msg, "clock"));
	login_free(l);
	clock_fake(0);
}

static void check_present(struct login *l, const char *due)
{
	char *token = login_present(l);

	assert_string_equal(token, due);
	free(token);
}

/* Who is in a hurry takes what is there for as long as it is good. */
static void test_present(void **state)
{
	struct answers a = {.list = {later}, .n = 1};
	struct login *l = login_of(twenty_minutes, &a);

	(void)state;
	at(NOW + 1199);
	check_present(l, twenty_minutes);
	assert_int_equal(a.asked, 0);
	at(NOW + 1200);
	check_present(l, later);
	assert_int_equal(a.asked, 1);
	login_free(l);
	clock_fake(0);
}

static void test_cancelled(void **state)
{
	struct answers a = {.list = {later}, .n = 1};
	struct login *l = login_of(twenty_minutes, &a);
	struct err err = {0};

	(void)state;
	login_cancel(l);
	at(NOW + 1300);
	check_token(l, twenty_minutes);
	check_present(l, twenty_minutes);
	assert_int_equal(a.asked, 0);
	assert_int_equal(a.cancelled, 1);
	login_free(l);

	a = (struct answers){.n = 1};
	a.cancels = l = login_of(twenty_minutes, &a);
	check_token(l, twenty_minutes);
	assert_int_equal(a.asked, 1);
	assert_false(login_trouble(l, &err)); /* nobody wants to know */
	check_token(l, twenty_minutes);
	assert_int_equal(a.asked, 1);
	login_free(l);
	l = login_new(twenty_minutes, NULL, NULL);
	login_cancel(l);
	check_token(l, twenty_minutes);
	login_free(l);
	clock_fake(0);
}

static void test_static(void **state)
{
	struct login *l = login_new(twenty_minutes, NULL, NULL);
	struct err err = {0};

	(void)state;
	at(NOW + 5000);
	assert_int_equal(login_ready(l, &err), 0); /* the gateway judges it */
	assert_true(login_due_ms(l) == UINT64_MAX);
	check_token(l, twenty_minutes);
	login_free(l);
	clock_fake(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_renewed_when_due),
		cmocka_unit_test(test_the_same_again),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_present),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_static),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
