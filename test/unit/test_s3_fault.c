/* test_s3_fault.c - answers that are no success: later or never, and in words that help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "uploader/s3/s3_fault.h"
#include "uploader/s3/s3_xml.h"

#include <stdio.h>
#include <string.h>

static void judged(int status, bool head, const char *code, const char *date, bool *keys, struct err *err)
{
	struct s3_error e = {0};

	snprintf(e.code, sizeof(e.code), "%s", code);
	*err = (struct err){0};
	s3_fault_judge(status, head, &e, date, keys, err);
}

static void each_code_has_its_kind(void **state)
{
	static const struct {
		int status;
		const char *code;
		enum err_code kind;
		bool keys;
		const char *detail;
	} cases[] = {
		/* by the store's word */
		{503, "SlowDown", ERR_UNAVAILABLE, false, "slow_down"},
		{500, "InternalError", ERR_UNAVAILABLE, false, "internal_error"},
		{400, "ExpiredToken", ERR_UNAVAILABLE, true, "expired_token"},
		{403, "ExpiredToken", ERR_UNAVAILABLE, true, "expired_token"},
		{403, "RequestTimeTooSkewed", ERR_UNAVAILABLE, false, "request_time_too_skewed"},
		{400, "RequestTimeout", ERR_TIMEOUT, false, "request_timeout"},
		{403, "AccessDenied", ERR_PERM, false, "access_denied"},
		{403, "InvalidAccessKeyId", ERR_PERM, true, "invalid_access_key_id"},
		{403, "SignatureDoesNotMatch", ERR_PERM, true, "signature_does_not_match"},
		{403, "QuotaExceeded", ERR_FULL, false, "quota_exceeded"},
		{404, "NoSuchUpload", ERR_NOT_FOUND, false, "no_such_upload"},
		{404, "NoSuchKey", ERR_NOT_FOUND, false, "no_such_key"},
		{404, "NoSuchBucket", ERR_STATE, false, "no_such_bucket"},
		{400, "BadDigest", ERR_IO, false, "bad_digest"},
		{400, "XAmzContentSHA256Mismatch", ERR_IO, false, "xamz_content_shamismatch"},
		{400, "EntityTooSmall", ERR_INPUT, false, "entity_too_small"},
		/* by the status alone */
		{500, "", ERR_UNAVAILABLE, false, ""},
		{501, "", ERR_INPUT, false, ""},
		{502, "", ERR_UNAVAILABLE, false, ""},
		{503, "", ERR_UNAVAILABLE, false, ""},
		{599, "", ERR_UNAVAILABLE, false, ""},
		{429, "", ERR_UNAVAILABLE, false, ""},
		{408, "", ERR_TIMEOUT, false, ""},
		{404, "", ERR_UNAVAILABLE, false, "bad_answer"},
		{403, "", ERR_PERM, false, ""},
		{401, "", ERR_PERM, false, ""},
		{400, "", ERR_INPUT, false, ""},
		{301, "", ERR_STATE, false, ""},
		{307, "TemporaryRedirect", ERR_STATE, false, "temporary_redirect"},
		{100, "", ERR_STATE, false, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err;
		bool keys;

		judged(cases[i].status, false, cases[i].code, NULL, &keys, &err);
		if (err.code != cases[i].kind || keys != cases[i].keys || strcmp(err.detail, cases[i].detail) != 0)
			fail_msg("%d %s: kind %s, keys %d, detail \"%s\"", cases[i].status, cases[i].code,
				err_code_name(err.code), keys, err.detail);
	}
}

static void a_clock_that_is_off_is_named(void **state)
{
	struct err err;
	bool keys;

	(void)state;
	clock_fake(UINT64_C(1767604200) * CLOCK_NS_PER_S); /* 2026-01-05 09:10:00 */
	judged(403, false, "RequestTimeTooSkewed", "Mon, 05 Jan 2026 09:30:00 GMT", &keys, &err);
	assert_non_null(strstr(err.msg, "1200 s behind"));
	judged(403, false, "RequestTimeTooSkewed", "Mon, 05 Jan 2026 09:00:00 GMT", &keys, &err);
	assert_non_null(strstr(err.msg, "600 s ahead of"));
	judged(403, false, "RequestTimeTooSkewed", "yesterday", &keys, &err);
	assert_non_null(strstr(err.msg, "too far apart"));
	judged(403, false, "RequestTimeTooSkewed", NULL, &keys, &err);
	assert_non_null(strstr(err.msg, "too far apart"));
	clock_fake(0);
}

static void a_bucket_elsewhere_says_where(void **state)
{
	struct s3_error e = {.code = "AuthorizationHeaderMalformed", .region = "eu-central-1"};
	struct err err = {0};
	bool keys;

	(void)state;
	s3_fault_judge(400, false, &e, NULL, &keys, &err);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "region \"eu-central-1\", set s3.region"));
	e = (struct s3_error){.code = "PermanentRedirect", .endpoint = "b.s3-eu-west-1.amazonaws.com"};
	s3_fault_judge(301, false, &e, NULL, &keys, &err);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "b.s3-eu-west-1.amazonaws.com"));
}

/* MinIO puts its own region into every error. */
static void a_region_alone_is_no_elsewhere(void **state)
{
	static const struct {
		int status;
		const char *code;
		enum err_code kind;
	} cases[] = {
		{403, "AccessDenied", ERR_PERM},
		{404, "NoSuchKey", ERR_NOT_FOUND},
		{404, "NoSuchUpload", ERR_NOT_FOUND},
		{400, "EntityTooSmall", ERR_INPUT},
		{400, "ExpiredToken", ERR_UNAVAILABLE},
		{503, "SlowDown", ERR_UNAVAILABLE},
	};
	struct err err = {0};
	bool keys;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_error e = {.region = "us-east-1"};

		snprintf(e.code, sizeof(e.code), "%s", cases[i].code);
		s3_fault_judge(cases[i].status, false, &e, NULL, &keys, &err);
		assert_int_equal(err.code, cases[i].kind);
		assert_null(strstr(err.msg, "region"));
	}
}

/* An answer to HEAD has no body: its status, and AWS's header, are all there is. */
static void an_answer_without_a_body(void **state)
{
	struct s3_error e = {.region = "eu-central-1"};
	struct err err;
	bool keys;

	(void)state;
	judged(404, true, "", NULL, &keys, &err);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.detail, "");
	judged(404, false, "", NULL, &keys, &err);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "not the store"));
	s3_fault_judge(400, true, &e, NULL, &keys, &err);
	assert_int_equal(err.code, ERR_INPUT);
	assert_non_null(strstr(err.msg, "region \"eu-central-1\""));
}

static void what_the_store_says_cannot_break_a_line(void **state)
{
	struct s3_error e = {.code = "Odd", .message = "two\nlines\x1b[31m"};
	struct err err = {0};
	bool keys;

	(void)state;
	s3_fault_judge(400, false, &e, NULL, &keys, &err);
	assert_null(strchr(err.msg, '\n'));
	assert_null(strchr(err.msg, '\x1b'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_code_has_its_kind),
		cmocka_unit_test(a_clock_that_is_off_is_named),
		cmocka_unit_test(a_bucket_elsewhere_says_where),
		cmocka_unit_test(a_region_alone_is_no_elsewhere),
		cmocka_unit_test(an_answer_without_a_body),
		cmocka_unit_test(what_the_store_says_cannot_break_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
