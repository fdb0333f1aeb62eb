/* test_s3_credentials.c - keys that are given once: in the configuration or in the environment. */
#include "uploader/s3/s3_credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_static(void **state)
{
	struct s3_credentials_options o = {
		.source = S3_SOURCE_STATIC, .access_key = "AK", .secret_key = "a!\"#$%&'()*+,/:;<=>?@[\\]^_`{|}~"};
	struct s3_credentials *c = s3_credentials_new(&o, NULL);
	struct s3_keys k;
	char text[64], cut[8];

	(void)state;
	assert_non_null(c);
	assert_int_equal(s3_credentials_get(c, &k, NULL), 0);
	assert_string_equal(k.access, "AK");
	assert_string_equal(k.secret, o.secret_key);
	assert_string_equal(k.token, "");
	assert_false(s3_credentials_refused(c)); /* there are no others */
	assert_int_equal(s3_credentials_get(c, &k, NULL), 0);
	assert_int_equal(s3_credentials_expiry(c), 0);
	s3_credentials_describe(c, text, sizeof(text));
	assert_string_equal(text, "static keys");
	s3_credentials_describe(c, cut, sizeof(cut));
	assert_int_equal(strlen(cut), sizeof(cut) - 1);
	s3_credentials_free(c);
	o.session_token = "T0k=";
	c = s3_credentials_new(&o, NULL);
	assert_non_null(c);
	assert_int_equal(s3_credentials_get(c, &k, NULL), 0);
	assert_string_equal(k.token, "T0k=");
	s3_credentials_free(c);
	s3_credentials_free(NULL);
}

static void test_wrong_static(void **state)
{
	static char too_long[130];
	static const struct {
		const char *access, *secret, *token, *says;
	} rows[] = {
		{NULL, NULL, NULL, "s3.access_key is missing"},
		{"", "S3CRET", "", "s3.access_key is missing"},
		{"AK", "", "", "s3.secret_key is missing"},
		{"AK", NULL, "", "s3.secret_key is missing"},
		{"A K", "S3CRET", "", "s3.access_key: byte 2"},
		{"AK", "S3CRET\n", "", "s3.secret_key: byte 7"},
		{"AK", "S3CRET", "S3CRET x", "s3.session_token: byte 7"},
		{too_long, "S3CRET", "", "s3.access_key is 129 bytes long, at most 128"},
		{"AK", too_long, "", "s3.secret_key is 129 bytes long, at most 128"},
	};

	(void)state;
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct s3_credentials_options o = {.source = S3_SOURCE_STATIC,
			.access_key = rows[i].access,
			.secret_key = rows[i].secret,
			.session_token = rows[i].token};
		struct err err = {0};

		assert_null(s3_credentials_new(&o, &err));
		assert_int_equal(err.code, ERR_INPUT);
		if (!strstr(err.msg, rows[i].says))
			fail_msg("not \"%s\" but \"%s\"", rows[i].says, err.msg);
		assert_null(strstr(err.msg, "S3CRET"));
	}
}

static void test_environment(void **state)
{
	const struct s3_credentials_options o = {.source = S3_SOURCE_ENVIRONMENT};
	struct s3_credentials *c;
	struct err err = {0};
	struct s3_keys k;

	(void)state;
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	assert_null(s3_credentials_new(&o, &err));
	assert_int_equal(err.code, ERR_INPUT);
	assert_non_null(strstr(err.msg, "AWS_ACCESS_KEY_ID is missing"));
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	assert_null(s3_credentials_new(&o, &err));
	assert_non_null(strstr(err.msg, "AWS_SECRET_ACCESS_KEY is missing"));
	setenv("AWS_SECRET_ACCESS_KEY", "SKENV", 1);
	c = s3_credentials_new(&o, &err);
	assert_non_null(c);
	setenv("AWS_ACCESS_KEY_ID", "AKLATER", 1); /* read once */
	assert_int_equal(s3_credentials_get(c, &k, &err), 0);
	assert_string_equal(k.access, "AKENV");
	assert_string_equal(k.secret, "SKENV");
	assert_string_equal(k.token, "");
	s3_credentials_free(c);
	setenv("AWS_SESSION_TOKEN", "TKENV", 1);
	c = s3_credentials_new(&o, &err);
	assert_non_null(c);
	assert_int_equal(s3_credentials_get(c, &k, &err), 0);
	assert_string_equal(k.access, "AKLATER");
	assert_string_equal(k.token, "TKENV");
	s3_credentials_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_wrong_static),
		cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
