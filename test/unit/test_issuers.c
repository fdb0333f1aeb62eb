/* test_issuers.c - schema/issuers.c: what the file of issuers may say, its bounds, and that each slip is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/issuers.h"
#include "temp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DAY_MS   86400000

static struct temp_file file;
static struct issuers all;
static struct err err;

static int setup(void **state)
{
	(void)state;
	temp_file_init(&file);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	issuers_done(&all);
	temp_file_done(&file);
	return 0;
}

static int load(const char *text)
{
	memset(&err, 0, sizeof(err));
	issuers_done(&all);
	temp_file_write(&file, text, strlen(text));
	return issuers_load(file.path, &all, &err);
}

static void loads(const char *text)
{
	if (load(text) < 0)
		fail_msg("%s in\n%s", err.msg, text);
}

static void is_refused(const char *text, const char *says)
{
	if (load(text) == 0)
		fail_msg("taken: %s", text);
	assert_memory_equal(err.msg, file.path, strlen(file.path));
	if (!strstr(err.msg, says))
		fail_msg("not \"%s\" but \"%s\"", says, err.msg);
	assert_int_equal(err.code, ERR_INPUT);
	assert_null(all.issuers);
	assert_int_equal(all.n, 0);
}

static void all_that_can_be_said(void **state)
{
	static const char text[] = "issuers:\n"
				   "- name: corp-1\n"
				   "  issuer: https://idp.example.com\n"
				   "  kind: oidc\n"
				   "  keys_url: https://keys.example.com:8443/k/\n"
				   "  login_url: http://login.example.com/\n"
				   "  ca: /etc/ca.pem\n"
				   "  audience: [pcap, 'bosh.*']\n"
				   "  required_scopes: [network.capture]\n"
				   "  operator_scopes: [pcap.admin, pcap.root]\n"
				   "  clients: false\n"
				   "  leeway: 0\n"
				   "  refresh: 90\n"
				   "  retry: 500ms\n"
				   "  allow_http: true\n";
	const struct issuer *s;

	(void)state;
	loads(text);
	assert_int_equal(all.n, 1);
	s = &all.issuers[0];
	assert_string_equal(s->name, "corp-1");
	assert_string_equal(s->issuer, "https://idp.example.com");
	assert_int_equal(s->kind, ISSUER_OIDC);
	assert_string_equal(s->url, "");
	assert_string_equal(s->keys_url, "https://keys.example.com:8443/k");
	assert_string_equal(s->login_url, "http://login.example.com");
	assert_string_equal(s->ca, "/etc/ca.pem");
	assert_int_equal(s->audience.n, 2);
	assert_string_equal(s->audience.items[0], "pcap");
	assert_string_equal(s->audience.items[1], "bosh.*");
	assert_int_equal(s->required_scopes.n, 1);
	assert_string_equal(s->required_scopes.items[0], "network.capture");
	assert_int_equal(s->operator_scopes.n, 2);
	assert_string_equal(s->operator_scopes.items[1], "pcap.root");
	assert_false(s->clients);
	assert_true(s->allow_http);
	assert_int_equal(s->leeway_ms, 0);
	assert_int_equal(s->refresh_ms, 90000);
	assert_int_equal(s->retry_ms, 500);
}

static void what_is_not_said(void **state)
{
	const struct issuer *s;

	(void)state;
	loads("issuers:\n- {name: cf, issuer: 'https://uaa/oauth/token/', url: 'https://uaa//', audience: [x]}\n");
	s = &all.issuers[0];
	assert_string_equal(s->issuer, "https://uaa/oauth/token/"); /* to the letter */
	assert_int_equal(s->kind, ISSUER_UAA);
	assert_string_equal(s->url, "https://uaa");
	assert_string_equal(s->login_url, "https://uaa");
	assert_string_equal(s->keys_url, "");
	assert_string_equal(s->ca, "");
	assert_int_equal(s->required_scopes.n, 0);
	assert_int_equal(s->operator_scopes.n, 0);
	assert_true(s->clients);
	assert_false(s->allow_http);
	assert_int_equal(s->leeway_ms, 30000);
	assert_int_equal(s->refresh_ms, 300000);
	assert_int_equal(s->retry_ms, 10000);
	loads("issuers:\n- {name: cf, issuer: i, keys_url: 'https://uaa', audience: [x]}\n");
	assert_string_equal(all.issuers[0].login_url, "");
}

static void nothing_is_no_issuer(void **state)
{
	static const char *const texts[] = {"", "# none\n", "issuers: []\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		loads(texts[i]);
		assert_int_equal(all.n, 0);
	}
	assert_int_equal(issuers_load("", &all, &err), 0); /* no file at all */
	assert_int_equal(all.n, 0);
}

static void no_such_file(void **state)
{
	(void)state;
	assert_int_equal(issuers_load(file.path, &all, &err), -1);
	assert_non_null(strstr(err.msg, file.path));
	assert_int_equal(all.n, 0);
}

/* A good one: what follows stands within the same braces. */
#define GOOD "issuers:\n- {name: cf, issuer: i, url: 'https://uaa', audience: [x]"

static void slips_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"issuers:\n- {issuer: i, url: 'https://u', audience: [x]}\n", "key \"name\" is missing in issuers[1]"},
		{"issuers:\n- {name: cf, url: 'https://u', audience: [x]}\n", "key \"issuer\" is missing"},
		{"issuers:\n- {name: cf, issuer: i, url: 'https://u'}\n", "key \"audience\" is missing"},
		{"issuers:\n- {name: cf, issuer: i, audience: [x]}\n", "issuer 1 (\"cf\"): neither url nor keys_url"},
		{GOOD ", keys_url: 'https://k'}\n", "issuer 1 (\"cf\"): url and keys_url: "},
		{"issuers:\n- {name: cf, issuer: i, url: 'https://u', audience: []}\n", "audience: is empty"},
		{"issuers:\n- {name: CF, issuer: i, url: 'https://u', audience: [x]}\n", "(\"CF\"): name: only a-z"},
		{"issuers:\n- {name: 'c:f', issuer: i, url: 'https://u', audience: [x]}\n", "name: only a-z"},
		{"issuers:\n- {name: '', issuer: i, url: 'https://u', audience: [x]}\n",
			"name: 0 bytes are not within 1..31"},
		{"issuers:\n- {name: cf, issuer: '', url: 'https://u', audience: [x]}\n",
			"issuer: 0 bytes are not within 1..512"},
		{GOOD ", kind: UAA}\n", "kind: is none of: uaa, oidc"},
		{GOOD ", kind: ''}\n", "kind: is none of"},
		{GOOD ", clients: maybe}\n", "clients: \"maybe\""},
		{GOOD ", allow_http: 1}\n", "allow_http: \"1\""},
		{GOOD ", login_url: login}\n", "login_url: does not begin with https://"},
		{GOOD ", required_scopes: ['a b']}\n", "required_scopes: entry 1: has a character"},
		{GOOD ", required_scopes: [a, '']}\n", "required_scopes: entry 2: 0 bytes"},
		{GOOD ", operator_scopes: [a, b, 'c\"']}\n", "operator_scopes: entry 3: has a character"},
		{GOOD ", operator_scopes: ['a\\b']}\n", "operator_scopes: entry 1: has a character"},
		{GOOD ", operator_scopes: [\"\\u00e4\"]}\n", "operator_scopes: entry 1: has a character"},
		{GOOD ", operator_scopes: a}\n", "expected a list"},
		{GOOD ", scopes: [a]}\n", "unexpected key \"scopes\""},
		{GOOD ", name: uaa}\n", "key \"name\" stands twice"},
		{GOOD "}\n- {name: cf, issuer: j, url: 'https://u', audience: [x]}\n",
			": the name \"cf\" stands twice"},
		{GOOD "}\n- {name: b, issuer: i, url: 'https://u', audience: [x]}\n",
			"\"cf\" and \"b\" are the same issuer"},
		{GOOD "}\n- {name: b, issuer: j, url: 'https://u', audience: [x, 'y z']}\n",
			"issuer 2 (\"b\"): audience: entry 2: has a character"},
		{"issuers: {}\n", "expected a list"},
		{"issuer: []\n", "unexpected key \"issuer\""},
	};

	(void)state;
	loads(GOOD "}\n");
	for (size_t i = 0; i < COUNT(rows); i++)
		is_refused(rows[i].text, rows[i].says);
}

static void urls(void **state)
{
	static const struct {
		const char *url, *is; /* NULL: refused */
	} rows[] = {
		{"https://u", "https://u"},
		{"https://u/", "https://u"},
		{"https://u//", "https://u"},
		{"https://u/a/", "https://u/a"},
		{"https://u:8443", "https://u:8443"},
		{"https://[::1]:8443/a", "https://[::1]:8443/a"},
		{"http://u", NULL},
		{"HTTPS://u", NULL},
		{"https:/u", NULL},
		{"https://", NULL},
		{"https:///", NULL},
		{"https:///a", NULL},
		{"https:////", NULL},
		{"ftp://u", NULL},
		{"file:///etc/passwd", NULL},
		{"u", NULL},
		{"", NULL},
		{" https://u", NULL},
		{"https://u ", NULL},
		{"https://u?a=b", NULL},
		{"https://u#a", NULL},
		{"https://me@u", NULL},
		{"https://me:secret@u", NULL},
		{"https://u\\a", NULL},
		{"https://{u}", NULL},
		{"https://<u>", NULL},
	};
	char text[300];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "issuers:\n- {name: cf, issuer: i, audience: [x], url: '%s'}\n",
			rows[i].url);
		if (rows[i].is) {
			loads(text);
			assert_string_equal(all.issuers[0].url, rows[i].is);
		} else {
			is_refused(text, "(\"cf\"): url: ");
		}
		snprintf(text, sizeof(text), "issuers:\n- {name: cf, issuer: i, audience: [x], keys_url: '%s'}\n",
			rows[i].url);
		if (rows[i].is) {
			loads(text);
			assert_string_equal(all.issuers[0].keys_url, rows[i].is);
		} else {
			is_refused(text, "(\"cf\"): keys_url: ");
		}
	}
}

static void http_only_where_allowed(void **state)
{
	(void)state;
	is_refused("issuers:\n- {name: cf, issuer: i, audience: [x], url: 'http://u'}\n", "lets anybody on the way");
	is_refused("issuers:\n- {name: cf, issuer: i, audience: [x], url: 'http://u', allow_http: false}\n",
		"lets anybody on the way");
	loads("issuers:\n- {name: cf, issuer: i, audience: [x], url: 'http://u/', allow_http: true}\n");
	assert_string_equal(all.issuers[0].url, "http://u");
	is_refused(
		"issuers:\n- {name: cf, issuer: i, audience: [x], url: 'http:///', allow_http: true}\n", "with a host");
	is_refused("issuers:\n- {name: cf, issuer: i, audience: [x], url: 'ftp://u', allow_http: true}\n", "https://");
	/* Each for itself. */
	is_refused("issuers:\n- {name: a, issuer: i, audience: [x], url: 'http://u', allow_http: true}\n"
		   "- {name: b, issuer: j, audience: [x], url: 'http://u'}\n",
		"issuer 2 (\"b\"): url: ");
}

static void lengths(void **state)
{
	static const struct {
		const char *head, *tail;
		size_t most;
		const char *says;
	} rows[] = {
		{"issuers:\n- {issuer: i, audience: [x], url: 'https://u', name: ", "}\n", 31, "name: 32 bytes"},
		{"issuers:\n- {name: n, audience: [x], url: 'https://u', issuer: ", "}\n", 512, "issuer: 513 bytes"},
		{"issuers:\n- {name: n, issuer: i, audience: [x], url: 'https://", "'}\n", 504, "url: 513 bytes"},
		{"issuers:\n- {name: n, issuer: i, audience: [x], keys_url: 'https://", "'}\n", 504,
			"keys_url: 513 bytes"},
		{GOOD ", login_url: 'https://", "'}\n", 504, "login_url: 513 bytes"},
		{"issuers:\n- {name: n, issuer: i, url: 'https://u', audience: [x, ", "]}\n", 200,
			"audience: entry 2: 201 bytes"},
		{GOOD ", required_scopes: [", "]}\n", 200, "required_scopes: entry 1: 201 bytes"},
		{GOOD ", operator_scopes: [", "]}\n", 200, "operator_scopes: entry 1: 201 bytes"},
	};
	char text[1000], value[600];

	(void)state;
	memset(value, 'v', sizeof(value));
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "%s%.*s%s", rows[i].head, (int)rows[i].most, value, rows[i].tail);
		loads(text);
		snprintf(text, sizeof(text), "%s%.*s%s", rows[i].head, (int)rows[i].most + 1, value, rows[i].tail);
		is_refused(text, rows[i].says);
	}
}

static void times(void **state)
{
	static const struct {
		const char *key, *value;
		int64_t ms; /* -1: refused */
	} rows[] = {
		{"leeway", "0", 0},
		{"leeway", "1ms", 1},
		{"leeway", "5m", 300000},
		{"leeway", "300001ms", -1},
		{"leeway", "-1", -1},
		{"leeway", "''", -1},
		{"refresh", "999ms", -1},
		{"refresh", "1s", 1000},
		{"refresh", "1d", DAY_MS},
		{"refresh", "86400001ms", -1},
		{"retry", "99ms", -1},
		{"retry", "100ms", 100},
		{"retry", "10m", 600000},
		{"retry", "600001ms", -1},
		{"retry", "soon", -1},
	};
	char text[300], says[40];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct issuer *s;
		uint64_t got;

		snprintf(text, sizeof(text), GOOD ", %s: %s}\n", rows[i].key, rows[i].value);
		if (rows[i].ms < 0) {
			snprintf(says, sizeof(says), "(\"cf\"): %s: ", rows[i].key);
			is_refused(text, says);
			continue;
		}
		loads(text);
		s = &all.issuers[0];
		got = s->refresh_ms;
		if (strcmp(rows[i].key, "leeway") == 0)
			got = s->leeway_ms;
		else if (strcmp(rows[i].key, "retry") == 0)
			got = s->retry_ms;
		assert_int_equal(got, rows[i].ms);
	}
}

static void number_of_issuers(void **state)
{
	char text[64 * (ISSUERS_MAX + 2)];

	(void)state;
	for (unsigned n = ISSUERS_MAX; n <= ISSUERS_MAX + 1; n++) {
		size_t len = (size_t)snprintf(text, sizeof(text), "issuers:\n");

		for (unsigned i = 0; i < n; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
				"- {name: n%u, issuer: i%u, url: 'https://u', audience: [x]}\n", i, i);
		if (n <= ISSUERS_MAX) {
			loads(text);
			assert_int_equal(all.n, n);
			assert_string_equal(all.issuers[n - 1].name, "n31");
		} else {
			is_refused(text, "issuers");
		}
	}
}

#define with_file(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_file(all_that_can_be_said),
		with_file(what_is_not_said),
		with_file(nothing_is_no_issuer),
		with_file(no_such_file),
		with_file(slips_are_named),
		with_file(urls),
		with_file(http_only_where_allowed),
		with_file(lengths),
		with_file(times),
		with_file(number_of_issuers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
