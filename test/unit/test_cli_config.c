/* test_cli_config.c - cli/login/cf_config.c, cli/login/bosh_config.c, cli/login/yaml_json.c, and the URLs that come of them (cli/login/identity.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/login/bosh_config.h"
#include "cli/login/cf_config.h"
#include "cli/login/identity.h"
#include "cli/login/yaml_json.h"
#include "test/unit/temp_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void put(const struct temp_file *f, const char *text)
{
	temp_file_write(f, text, strlen(text));
}

static void test_cf(void **state)
{
	static const char text[] = "{\"ConfigVersion\":4,\"Target\":\"https://"
				   "api.sys.example.test\",\"AccessToken\":\"bearer abc\",\"RefreshToken\":"
				   "\"r\",\"AuthorizationEndpoint\":\"https://"
				   "login.example.test\",\"UaaEndpoint\":\"\",\"SSLDisabled\":true,"
				   "\"OrganizationFields\":{\"Name\":\"acme\"},\"SpaceFields\":{\"GUID\":\"s\","
				   "\"Name\":\"dev\"},\"UAAOAuthClient\":null,"
				   "\"PluginRepos\":[{\"a\":1}],\"AsyncTimeout\":0}";
	struct temp_file f;
	struct cf_config c;
	struct err err = {0};

	(void)state;
	temp_file_init(&f);
	assert_int_equal(cf_config_load(f.path, &c, &err), 0); /* not there */
	assert_false(c.is_there);
	assert_string_equal(c.target, "");
	cf_config_done(&c);
	put(&f, text);
	assert_int_equal(chmod(f.path, 0600), 0);
	assert_int_equal(cf_config_load(f.path, &c, &err), 0);
	assert_true(c.is_there && c.ssl_disabled && !c.is_readable);
	assert_string_equal(c.access_token, "abc");
	assert_string_equal(c.uaa, "https://login.example.test");
	assert_string_equal(c.space_guid, "s");
	assert_string_equal(c.org, "acme");
	assert_string_equal(c.client, "");
	cf_config_done(&c);
	assert_int_equal(chmod(f.path, 0644), 0);
	assert_int_equal(cf_config_load(f.path, &c, &err), 0);
	assert_true(c.is_readable);
	cf_config_done(&c);
	put(&f, "{\"ConfigVersion\":3,\"Target\":5}"); /* of another cf: none */
	assert_int_equal(cf_config_load(f.path, &c, &err), 0);
	assert_false(c.is_there);
	cf_config_done(&c);
	assert_int_equal(cf_config_load(NULL, &c, &err), 0);
	cf_config_done(&c);
	temp_file_done(&f);
}

static void test_cf_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "empty"},
		{"[]", "must be an object"},
		{"{\"ConfigVersion\":4,\"Target\":{}}", "Target: must be a string"},
		{"{\"ConfigVersion\":4,\"Target\":\"a\\u0000b\"}", "line 1"},
		{"{\"ConfigVersion\":4,\"RefreshToken\":\"a\\u001bb\"}", "RefreshToken: must be text without control"},
		{"{\"ConfigVersion\":4,\"SpaceFields\":[]}", "SpaceFields: must be an object"},
		{"{\"ConfigVersion\":4,\"ConfigVersion\":4}", "line 1"},
	};
	struct temp_file f;

	(void)state;
	temp_file_init(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct cf_config c;
		struct err err = {0};

		put(&f, rows[i].text);
		assert_int_equal(cf_config_load(f.path, &c, &err), -1);
		assert_int_equal(err.code, ERR_INPUT);
		if (!strstr(err.msg, rows[i].says) || !strstr(err.msg, f.path))
			fail_msg("%s: %s", rows[i].text, err.msg);
		cf_config_done(&c);
	}
	temp_file_done(&f);
}

#define LAB                                                                                                            \
	"environments:\n- url: https://192.0.2.6:25555\n  alias: lab\n  ca_cert: |\n    -----BEGIN\n    x\n"           \
	"  access_token: t\n  refresh_token: r\n- url: https://b\n  username: u\n  password: p\n  unknown: [1, {a: "   \
	"b}]\n"

static void test_bosh(void **state)
{
	struct temp_file f;
	struct bosh_config c;
	struct err err = {0};

	(void)state;
	temp_file_init(&f);
	assert_int_equal(bosh_config_load(f.path, "lab", &c, &err), 0);
	assert_false(c.is_there || c.is_known);
	bosh_config_done(&c);
	put(&f, LAB);
	assert_int_equal(bosh_config_load(f.path, "lab", &c, &err), 0);
	assert_true(c.is_known);
	assert_string_equal(c.url, "https://192.0.2.6:25555");
	assert_string_equal(c.ca_cert, "-----BEGIN\nx\n");
	assert_string_equal(c.access_token, "t");
	assert_string_equal(c.refresh_token, "r");
	assert_string_equal(c.username, "");
	bosh_config_done(&c);
	assert_int_equal(bosh_config_load(f.path, "https://b", &c, &err), 0);
	assert_string_equal(c.password, "p");
	bosh_config_done(&c);
	assert_int_equal(bosh_config_load(f.path, "https://192.0.2.6", &c, &err), 0); /* exactly, or not */
	assert_true(c.is_there && !c.is_known);
	bosh_config_done(&c);
	put(&f, "");
	assert_int_equal(bosh_config_load(f.path, "lab", &c, &err), 0);
	bosh_config_done(&c);
	temp_file_done(&f);
}

static void test_yaml(void **state)
{
	static const struct {
		const char *text, *says; /* JSON, or a part of the refusal */
	} rows[] = {
		{"", "null"},
		{"a: 1\nb: [x, {c: d}]\ne:\n", "{\"a\":\"1\",\"b\":[\"x\",{\"c\":\"d\"}],\"e\":\"\"}"},
		{"a", "\"a\""},
		{"&x a: 1", "{\"a\":\"1\"}"},
		{"- &x a\n- *x\n", "aliases are not supported (line 2)"},
		{"a: 1\na: 2\n", "a key stands twice (line 2)"},
		{"? [a]\n: b\n", "a key must be plain text (line 1)"},
		{"a: 1\n---\nb: 1\n", "more than one document (line 2)"},
		{"a: \"x\\0y\"\n", "a NUL in a value (line 1)"},
		{"a: secret\n b: [", "not YAML (line 2)"},
		{"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "nested too deeply (line 1)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err err = {0};
		json_t *value = yaml_json(rows[i].text, &err);
		char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

		assert_string_equal(text ? text : err.msg, rows[i].says);
		free(text);
		json_decref(value);
	}
}

static void test_urls(void **state)
{
	static const struct {
		const char *text, *derived, *director; /* NULL: none */
	} rows[] = {
		{"https://api.sys.example.test", "https://pcap.sys.example.test", "https://api.sys.example.test:25555"},
		{"https://API.sys.example.test:8443/v3", "https://pcap.sys.example.test:8443", NULL},
		{"https://sys.example.test", NULL, "https://sys.example.test:25555"},
		{"https://api.", NULL, "https://api.:25555"},
		{"https://api.x@evil", NULL, NULL},
		{"api.sys.example.test", NULL, "https://api.sys.example.test:25555"},
		{"192.0.2.6", NULL, "https://192.0.2.6:25555"},
		{"https://192.0.2.6:443//", NULL, "https://192.0.2.6:443"},
		{"[2001:db8::1]", NULL, "https://[2001:db8::1]:25555"},
		{"http://192.0.2.6", NULL, NULL},
		{"https://", NULL, NULL},
		{"a b", NULL, NULL},
		{"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *derived = identity_derive(rows[i].text), *director = identity_director(rows[i].text);

		assert_string_equal(derived ? derived : "-", rows[i].derived ? rows[i].derived : "-");
		assert_string_equal(director ? director : "-", rows[i].director ? rows[i].director : "-");
		free(derived);
		free(director);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cf),
		cmocka_unit_test(test_cf_refused),
		cmocka_unit_test(test_bosh),
		cmocka_unit_test(test_yaml),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
