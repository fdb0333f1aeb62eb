/* test_claims.c - what a good signature says: until when to the millisecond, for whom, what it is, whose it is and with which scopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "gateway/identity/claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define NOW_S     INT64_C(1767607200) /* 2026-01-05T10:00:00Z */
#define NOW       ((uint64_t)NOW_S * CLOCK_NS_PER_S)
#define SCOPES_OK 1000

static struct issuer issuer;
static uint64_t now;
static struct identity who;
static struct err err;

static int setup(void **state)
{
	static char name[] = "cf", iss[] = "https://uaa/oauth/token", aud[] = "cloud_controller";
	static char *audience[] = {aud};

	(void)state;
	issuer = (struct issuer){
		.name = name, .issuer = iss, .audience = {audience, 1}, .clients = true, .leeway_ms = 30000};
	now = NOW;
	return 0;
}

/* A person's, as UAA makes them; each member of more (stolen) stands in the place of what was there, null takes it away. */
static json_t *claims_but(json_t *more)
{
	json_t *c = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[s, s], s:[s, s], s:I, s:I}", "iss", issuer.issuer,
		"jti", "0b6f2c1e", "sub", "7a1f", "user_id", "7a1f", "user_name", "alice", "client_id", "cf",
		"grant_type", "password", "aud", "openid", "cloud_controller", "scope", "openid",
		"cloud_controller.read", "iat", (json_int_t)NOW_S - 60, "exp", (json_int_t)NOW_S + 600);
	const char *member;
	json_t *v;

	assert_non_null(c);
	assert_non_null(more);
	json_object_foreach(more, member, v)
	{
		if (json_is_null(v))
			json_object_del(c, member);
		else
			json_object_set(c, member, v);
	}
	json_decref(more);
	return c;
}

static int take(json_t *more)
{
	json_t *c = claims_but(more);
	int rc;

	memset(&err, 0, sizeof(err));
	memset(&who, 0, sizeof(who));
	rc = claims_take(&issuer, c, now, &who, &err);
	json_decref(c);
	if (rc < 0)
		identity_done(&who);
	return rc;
}

static bool is_taken(json_t *more)
{
	bool taken = take(more) == 0;

	identity_done(&who);
	return taken;
}

static void is_refused(json_t *more, enum err_code code, const char *detail, const char *says)
{
	assert_int_equal(take(more), -1);
	assert_string_equal(err_code_name(err.code), err_code_name(code));
	assert_string_equal(err.detail, detail);
	if (!strstr(err.msg, says))
		fail_msg("not \"%s\" but \"%s\"", says, err.msg);
}

static json_t *text(const char *member, const char *value)
{
	return json_pack("{s:s?}", member, value);
}

static void who_it_is(void **state)
{
	(void)state;
	assert_int_equal(take(json_object()), 0);
	assert_string_equal(who.user_id, "cf:7a1f");
	assert_string_equal(who.user_name, "alice");
	assert_string_equal(who.org, "");
	assert_string_equal(who.space, "");
	assert_string_equal(who.issuer, "cf");
	assert_false(who.is_operator);
	assert_int_equal(json_array_size(who.scopes), 2);
	assert_true(identity_has_scope(&who, "openid"));
	assert_true(identity_has_scope(&who, "cloud_controller.read"));
	assert_false(identity_has_scope(&who, "cloud_controller"));
	assert_false(identity_has_scope(&who, ""));
	identity_done(&who);
}

static void the_issuer_to_the_letter(void **state)
{
	static const char *const wrong[] = {
		"", "https://uaa/oauth/token/", "https://uaa/oauth/toke", "HTTPS://uaa/oauth/token", NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		is_refused(text("iss", wrong[i]), ERR_AUTH, "", "the token is not valid here");
	is_refused(json_pack("{s:[s]}", "iss", issuer.issuer), ERR_AUTH, "", "the token is not valid here");
}

/* ---- when ---- */

static void leeway_to_the_millisecond(void **state)
{
	static const struct {
		uint64_t leeway_ms;
		const char *member;
		int64_t now_ms; /* beside what the claim says */
		bool taken;
	} rows[] = {
		{30000, "exp", 29999, true},
		{30000, "exp", 30000, false},
		{0, "exp", -1, true},
		{0, "exp", 0, false},
		{300000, "exp", 299999, true},
		{300000, "exp", 300000, false},
		{1, "exp", 0, true},
		{1, "exp", 1, false},
		{30000, "nbf", -30000, true},
		{30000, "nbf", -30001, false},
		{0, "nbf", 0, true},
		{0, "nbf", -1, false},
		{30000, "iat", -30000, true},
		{30000, "iat", -30001, false},
		{300000, "iat", -300000, true},
		{300000, "iat", -300001, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool taken;

		issuer.leeway_ms = rows[i].leeway_ms;
		now = (uint64_t)((int64_t)NOW + rows[i].now_ms * (int64_t)CLOCK_NS_PER_MS);
		taken = is_taken(json_pack("{s:I}", rows[i].member, (json_int_t)NOW_S));
		if (taken != rows[i].taken)
			fail_msg("row %zu: %s", i, taken ? "taken" : err.msg);
		if (!taken && rows[i].member[0] == 'e') {
			assert_string_equal(err.detail, "token_expired");
			assert_non_null(strstr(err.msg, "log in again"));
		} else if (!taken) {
			assert_string_equal(err.detail, "");
			assert_non_null(strstr(err.msg, "not valid yet"));
		}
		assert_int_equal(err.code, taken ? ERR_NONE : ERR_AUTH);
	}
}

static void dates_are_numbers(void **state)
{
	static const struct {
		const char *members;
		bool taken;
	} rows[] = {
		{"{\"exp\": 1767607200.5}", true},
		{"{\"exp\": 1767607170.5}", true},
		{"{\"exp\": 1767607169.5}", false},
		{"{\"iat\": 1767607229.5}", true},
		{"{\"iat\": 1767607230.5}", false},
		{"{\"exp\": 253402300799}", true},
		{"{\"exp\": 253402300800}", false},
		{"{\"exp\": 1.7676078e9}", true},
		{"{\"exp\": 9223372036854775807}", false},
		{"{\"exp\": -1767607800}", false},
		{"{\"exp\": \"1767607800\"}", false},
		{"{\"exp\": true}", false},
		{"{\"exp\": [1767607800]}", false},
		{"{\"exp\": null}", false},
		{"{\"iat\": null}", true},
		{"{\"iat\": 0}", true},
		{"{\"iat\": -1}", false},
		{"{\"iat\": \"0\"}", false},
		{"{\"nbf\": 0.0}", true},
		{"{\"nbf\": -0.5}", false},
		{"{\"nbf\": false}", false},
		{"{\"nbf\": 253402300800}", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (is_taken(json_loads(rows[i].members, 0, NULL)) != rows[i].taken)
			fail_msg("%s: %s", rows[i].members, rows[i].taken ? err.msg : "taken");
	}
}

/* ---- for whom ---- */

static void audiences(void **state)
{
	static const struct {
		const char *want, *aud;
		bool taken;
	} rows[] = {
		{"bosh", "\"bosh\"", true},
		{"bosh", "\"bosh.x\"", false},
		{"bosh.*", "\"bosh\"", true},
		{"bosh.*", "\"bosh.\"", true},
		{"bosh.*", "\"bosh.x\"", true},
		{"bosh.*", "\"bosh.x.y\"", true},
		{"bosh.*", "\"bosh.*\"", true},
		{"bosh.*", "\"bos\"", false},
		{"bosh.*", "\"boshx\"", false},
		{"bosh.*", "\"boshx.y\"", false},
		{"bosh.*", "\"bosh*\"", false},
		{"bosh.*", "\"Bosh.x\"", false},
		{"bosh.*", "\"x.bosh\"", false},
		{"bosh.*", "\"\"", false},
		{"bosh.*", "[]", false},
		{"bosh.*", "[5, \"bosh.x\"]", true},
		{"bosh.*", "[[\"bosh.x\"]]", false},
		{"bosh.*", "{\"bosh.x\": 1}", false},
		{"bosh*", "\"boshx\"", false}, /* no wildcard */
		{"bosh*", "\"bosh*\"", true},
		{"*", "\"x\"", false},
		{"*", "\"*\"", true},
		{".*", "\"x\"", false},
		{".*", "\".x\"", false},
		{".*", "\"\"", false},
		{".*", "\".*\"", true},
		{"a.*", "\"a\"", true},
		{"a.*", "\"a.b\"", true},
		{"a.*", "\"b\"", false},
		{"a.b.*", "\"a.b.c\"", true},
		{"a.b.*", "\"a.c\"", false},
		{"a.b.*", "\"a\"", false},
		{"*.x", "\"a.x\"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char want[16], *list[1] = {want};

		snprintf(want, sizeof(want), "%s", rows[i].want);
		issuer.audience = (struct config_list){list, 1};
		if (is_taken(json_pack("{s:o}", "aud", json_loads(rows[i].aud, JSON_DECODE_ANY, NULL))) !=
			rows[i].taken)
			fail_msg("%s for %s: %s", rows[i].aud, rows[i].want, rows[i].taken ? err.msg : "taken");
		assert_int_equal(err.code, rows[i].taken ? ERR_NONE : ERR_AUTH);
	}
}

static void one_of_several_audiences(void **state)
{
	static char first[] = "cf", second[] = "bosh.*";
	static char *list[] = {first, second};

	(void)state;
	issuer.audience = (struct config_list){list, 2};
	assert_true(is_taken(text("aud", "cf")));
	assert_true(is_taken(text("aud", "bosh.x")));
	assert_true(is_taken(json_pack("{s:[s, s]}", "aud", "x", "bosh")));
	assert_false(is_taken(text("aud", "cf.x")));
	assert_false(is_taken(text("aud", NULL)));
	issuer.audience.n = 0;
	assert_false(is_taken(text("aud", "cf")));
}

/* ---- what it is ---- */

static void only_access_tokens(void **state)
{
	(void)state;
	is_refused(text("jti", NULL), ERR_AUTH, "", "jti");
	is_refused(text("jti", ""), ERR_AUTH, "", "jti");
	is_refused(text("jti", "x-r"), ERR_AUTH, "", "a refresh token");
	is_refused(text("jti", "-r"), ERR_AUTH, "", "a refresh token");
	assert_true(is_taken(text("jti", "r")));
	assert_true(is_taken(text("jti", "x-rr")));
	assert_true(is_taken(text("jti", "-r-x")));
	is_refused(text("typ", "Refresh"), ERR_AUTH, "", "a refresh token");
	is_refused(text("typ", "Offline"), ERR_AUTH, "", "a refresh token");
	is_refused(text("typ", "ID"), ERR_AUTH, "", "an ID token");
	assert_true(is_taken(text("typ", "Bearer")));
	is_refused(text("nonce", ""), ERR_AUTH, "", "an ID token");
	is_refused(text("at_hash", "x"), ERR_AUTH, "", "an ID token");
	is_refused(text("c_hash", "x"), ERR_AUTH, "", "an ID token");
	is_refused(text("scope", NULL), ERR_AUTH, "", "an ID token");
	is_refused(json_pack("{s:[s]}", "scope", "openid"), ERR_AUTH, "", "an ID token"); /* as UAA makes them */
	is_refused(text("scope", "openid"), ERR_AUTH, "", "an ID token");
	assert_true(is_taken(json_pack("{s:[s, s]}", "scope", "openid", "uaa.user")));
	assert_true(is_taken(json_pack("{s:s, s:s}", "typ", "Bearer", "nonce", "n"))); /* Keycloak's until 25 */
	assert_true(is_taken(json_pack("{s:n, s:[s]}", "scope", "authorities", "x")));
	issuer.kind = ISSUER_OIDC; /* others have no such marks */
	assert_true(is_taken(json_pack("{s:n, s:n}", "scope", "jti")));
	is_refused(text("jti", "x-r"), ERR_AUTH, "", "a refresh token");
}

/* ---- whose ---- */

static void user_id_is(json_t *more, const char *id, const char *name)
{
	if (take(more) < 0)
		fail_msg("%s: %s", id, err.msg);
	assert_string_equal(who.user_id, id);
	assert_string_equal(who.user_name, name);
	identity_done(&who);
}

static void people_of_uaa(void **state)
{
	(void)state;
	user_id_is(text("sub", NULL), "cf:7a1f", "alice");
	user_id_is(json_pack("{s:n, s:n}", "client_id", "sub"), "cf:7a1f", "alice");
	is_refused(text("sub", "7a1g"), ERR_AUTH, "", "whose it is");
	is_refused(text("user_id", ""), ERR_AUTH, "", "whose it is"); /* there, so of no client */
	is_refused(json_pack("{s:n, s:n}", "user_id", "client_id"), ERR_AUTH, "", "whose it is");
}

static void clients_of_uaa(void **state)
{
	(void)state;
	user_id_is(json_pack("{s:n, s:s, s:s}", "user_id", "sub", "ci", "client_id", "ci"), "cf:client:ci", "ci");
	user_id_is(json_pack("{s:n, s:n, s:s}", "user_id", "sub", "client_id", "ci"), "cf:client:ci", "ci");
	/* "azp" says that it is a client's, but names none in UAA's tokens. */
	is_refused(json_pack("{s:n, s:n, s:n, s:s, s:s}", "user_id", "sub", "client_id", "azp", "x", "grant_type", "x"),
		ERR_AUTH, "", "whose it is");
}

static void clients_by_their_grant(void **state)
{
	(void)state;
	user_id_is(json_pack("{s:s, s:s}", "grant_type", "client_credentials", "sub", "ci"), "cf:client:ci", "ci");
	issuer.clients = false;
	is_refused(text("grant_type", "client_credentials"), ERR_PERM, "client_token", "only those of people");
	assert_true(is_taken(text("grant_type", "password")));
}

static void people_and_clients_of_others(void **state)
{
	(void)state;
	issuer.kind = ISSUER_OIDC;
	user_id_is(json_object(), "cf:7a1f", "alice");
	user_id_is(text("user_id", "another"), "cf:7a1f", "alice"); /* a member of UAA's only */
	user_id_is(text("client_id", "7a1f"), "cf:client:7a1f", "7a1f");
	user_id_is(json_pack("{s:n, s:s}", "client_id", "azp", "7a1f"), "cf:client:7a1f", "7a1f");
	user_id_is(json_pack("{s:s, s:s}", "client_id", "web", "azp", "7a1f"), "cf:7a1f", "alice");
	is_refused(text("sub", NULL), ERR_AUTH, "", "whose it is");
	issuer.clients = false;
	is_refused(text("client_id", "7a1f"), ERR_PERM, "client_token", "only those of people");
	is_refused(text("gty", "client-credentials"), ERR_PERM, "client_token", "only those of people");
	is_refused(text("sub", "abc@clients"), ERR_PERM, "client_token", "only those of people");
	is_refused(text("idtyp", "app"), ERR_PERM, "client_token", "only those of people");
	is_refused(text("preferred_username", "service-account-ci"), ERR_PERM, "client_token", "only those of people");
	assert_true(is_taken(text("gty", "password")));
	assert_true(is_taken(text("preferred_username", "service-accounts")));
	assert_true(is_taken(json_object()));
}

/* Nobody gets a client's captures by bearing a name like it. */
static void no_person_is_taken_for_a_client(void **state)
{
	(void)state;
	is_refused(json_pack("{s:s, s:s}", "user_id", "client:ci", "sub", "client:ci"), ERR_AUTH, "", "whose it is");
	issuer.kind = ISSUER_OIDC;
	is_refused(text("sub", "client:ci"), ERR_AUTH, "", "whose it is");
	is_refused(text("sub", "client:"), ERR_AUTH, "", "whose it is");
	user_id_is(text("sub", "client"), "cf:client", "alice");
	user_id_is(text("sub", "clients:x"), "cf:clients:x", "alice");
	user_id_is(text("sub", "auth0|x:y"), "cf:auth0|x:y", "alice");
}

static void ids_have_bounds(void **state)
{
	static const char *const wrong[] = {" ", "a b", "a\tb", "a\x7f", "\xc3\xa4", ""};
	char id[202];

	(void)state;
	issuer.kind = ISSUER_OIDC;
	memset(id, 'x', sizeof(id));
	id[201] = '\0';
	is_refused(text("sub", id), ERR_AUTH, "", "whose it is");
	id[200] = '\0';
	assert_int_equal(take(text("sub", id)), 0);
	assert_int_equal(strlen(who.user_id), 203);
	identity_done(&who);
	for (size_t i = 0; i < COUNT(wrong); i++)
		is_refused(text("sub", wrong[i]), ERR_AUTH, "", "whose it is");
	assert_true(is_taken(text("sub", "!\"#~")));
}

static void names_for_people(void **state)
{
	static const struct {
		const char *members, *name;
	} rows[] = {
		{"{}", "alice"},
		{"{\"user_name\":\"\\u00e4 b\"}", "\xc3\xa4 b"},
		{"{\"preferred_username\":\"p\", \"email\":\"e\", \"name\":\"n\"}", "alice"},
		{"{\"user_name\":null, \"preferred_username\":\"p\", \"email\":\"e\", \"name\":\"n\"}", "p"},
		{"{\"user_name\":null, \"email\":\"e\", \"name\":\"n\"}", "e"},
		{"{\"user_name\":null, \"name\":\"n\"}", "n"},
		{"{\"user_name\":null}", "7a1f"},
		{"{\"user_name\":\"\", \"name\":\"n\"}", "n"},
		{"{\"user_name\":5, \"name\":\"n\"}", "n"},
		{"{\"user_name\":\"a\\u0007\", \"name\":\"n\"}", "n"},
		{"{\"user_name\":\"a\\nb\", \"name\":\"n\\tm\"}", "7a1f"},
	};
	char name[258];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		user_id_is(json_loads(rows[i].members, 0, NULL), "cf:7a1f", rows[i].name);
	memset(name, 'x', sizeof(name));
	name[257] = '\0';
	user_id_is(text("user_name", name), "cf:7a1f", "7a1f");
	name[256] = '\0';
	user_id_is(text("user_name", name), "cf:7a1f", name);
}

/* ---- with which scopes ---- */

static void scopes_are(const char *members, const char *const *want, size_t n)
{
	if (take(json_loads(members, 0, NULL)) < 0)
		fail_msg("%s: %s", members, err.msg);
	assert_int_equal(json_array_size(who.scopes), n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(json_string_value(json_array_get(who.scopes, i)), want[i]);
	identity_done(&who);
}

static void forms_of_scopes(void **state)
{
	static const char *const ab[] = {"a", "b"}, *const odd[] = {"a\tb", "c"}, *const spaced[] = {"a b"};

	(void)state;
	scopes_are("{\"scope\":[\"a\", \"b\"]}", ab, 2);
	scopes_are("{\"scope\":[\"a\", 5, null, [\"c\"], \"\", \"b\"]}", ab, 2);
	scopes_are("{\"scope\":[\"a b\"]}", spaced, 1); /* one, and not two */
	scopes_are("{\"scope\":[]}", NULL, 0);
	scopes_are("{\"scope\":\"a b\"}", ab, 2);
	scopes_are("{\"scope\":\"  a   b  \"}", ab, 2);
	scopes_are("{\"scope\":\"a\\tb c\"}", odd, 2);
	scopes_are("{\"scope\":\"\"}", NULL, 0);
	scopes_are("{\"scope\":\"   \"}", NULL, 0);
	scopes_are("{\"scope\":5}", NULL, 0);
	scopes_are("{\"scope\":{\"a\":\"b\"}}", NULL, 0);
	scopes_are("{\"scope\":\"a b\", \"scp\":\"c\"}", ab, 2);
	issuer.kind = ISSUER_OIDC;
	scopes_are("{\"scope\":null, \"scp\":\"a b\"}", ab, 2);
	scopes_are("{\"scope\":null, \"scp\":[\"a\", \"b\"]}", ab, 2);
	scopes_are("{\"scope\":null}", NULL, 0);
	scopes_are("{\"scope\":null, \"roles\":[\"a\"]}", NULL, 0);
}

static void number_of_scopes(void **state)
{
	char words[2 * SCOPES_OK + 3];
	json_t *list = json_array();

	(void)state;
	for (size_t i = 0; i < SCOPES_OK; i++) {
		memcpy(words + 2 * i, "s ", 2);
		json_array_append_new(list, json_string("s"));
	}
	words[sizeof(words) - 3] = '\0';
	assert_true(is_taken(text("scope", words)));
	assert_true(is_taken(json_pack("{s:O}", "scope", list)));
	memcpy(words + sizeof(words) - 3, "s", 2);
	json_array_append_new(list, json_string("s"));
	is_refused(text("scope", words), ERR_AUTH, "", "more than 1000 scopes");
	is_refused(json_pack("{s:o}", "scope", list), ERR_AUTH, "", "more than 1000 scopes");
}

static void required_scopes(void **state)
{
	static char a[] = "net.a", b[] = "net.b", op[] = "ops", op2[] = "ops2";
	static char *required[] = {a, b}, *operators[] = {op, op2};

	(void)state;
	issuer.required_scopes = (struct config_list){required, 2};
	issuer.operator_scopes = (struct config_list){operators, 2};
	is_refused(json_object(), ERR_PERM, "scope_missing", "\"net.a\"");
	is_refused(text("scope", "net.a ops"), ERR_PERM, "scope_missing", "\"net.b\"");
	is_refused(text("scope", "net.a net.b.c net.B"), ERR_PERM, "scope_missing", "\"net.b\"");
	assert_int_equal(take(text("scope", "net.b net.a")), 0);
	assert_false(who.is_operator);
	identity_done(&who);
	assert_int_equal(take(text("scope", "net.b ops2 net.a")), 0);
	assert_true(who.is_operator);
	identity_done(&who);
	assert_int_equal(take(text("scope", "net.b ops3 net.a op")), 0);
	assert_false(who.is_operator);
	identity_done(&who);
	/* Which is asked first: what is wrong with the token itself. */
	now += 3600 * CLOCK_NS_PER_S;
	is_refused(json_object(), ERR_AUTH, "token_expired", "has expired");
}

#define test(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(who_it_is),
		test(the_issuer_to_the_letter),
		test(leeway_to_the_millisecond),
		test(dates_are_numbers),
		test(audiences),
		test(one_of_several_audiences),
		test(only_access_tokens),
		test(people_of_uaa),
		test(clients_of_uaa),
		test(clients_by_their_grant),
		test(people_and_clients_of_others),
		test(no_person_is_taken_for_a_client),
		test(ids_have_bounds),
		test(names_for_people),
		test(forms_of_scopes),
		test(number_of_scopes),
		test(required_scopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
