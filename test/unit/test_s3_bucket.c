/* test_s3_bucket.c - what is said of a bucket when one thing about it is not as it should be. */
#include "test/unit/bucket_double.h"
#include "uploader/s3/s3_bucket_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS UINT64_C(86400000)
#define DENIED DOUBLE_ERROR("AccessDenied")

struct fixture {
	struct bucket_double d;
	struct s3_bucket_options o;
	struct driver_findings found;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	bucket_double_start(&f->d);
	f->o = (struct s3_bucket_options){.prefix = "captures",
		.kms_key_id = "",
		.lifecycle = true,
		.retention_ms = DAY_MS,
		.capture_ms = DAY_MS,
		.probe = "unit"};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bucket_double_stop(&f->d);
	free(f);
	return 0;
}

static int ask(struct fixture *f, struct err *err)
{
	int rc;

	bucket_double_settle(&f->d);
	rc = s3_bucket_examine(f->d.client, &f->o, &f->found, err);
	bucket_double_settle(&f->d);
	return rc;
}

static void examine(struct fixture *f)
{
	struct err err = {0};

	if (ask(f, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < f->found.n; i++) {
		assert_true(f->found.items[i].text[0] != '\0');
		assert_true(strlen(f->found.items[i].text) < sizeof(f->found.items[i].text));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(f->found.items[i].check, f->found.items[k].check);
	}
}

static const struct driver_finding *finding(const struct fixture *f, const char *check)
{
	for (size_t i = 0; i < f->found.n; i++)
		if (strcmp(f->found.items[i].check, check) == 0)
			return &f->found.items[i];
	return NULL;
}

static void assert_found(const struct fixture *f, const char *check, enum driver_severity severity, const char *says)
{
	const struct driver_finding *d = finding(f, check);

	if (!d || d->severity != severity || !strstr(d->text, says))
		fail_msg("%s: severity %d: %s", check, d ? (int)d->severity : -1, d ? d->text : "no finding");
}

/* ---- as it should be ---- */

static void test_all_good(void **state)
{
	static const char *const good[] = {"reachable", "versioning", "writable", "tags", "encryption", "uploads",
		"erase", "public_access", "tls_only", "lifecycle"};
	struct fixture *f = *state;

	examine(f);
	assert_found(f, "transport", DRIVER_WARNING, "https");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_found(f, good[i], DRIVER_GOOD, "");
	assert_int_equal(f->found.n, 11);
	assert_int_equal(f->d.versions_n + f->d.uploads_n, 0); /* no probe stays */
}

static void test_versioned(void **state)
{
	struct fixture *f = *state;

	f->d.versioning = "Enabled";
	examine(f);
	assert_found(f, "versioning", DRIVER_NOTE, "s3:DeleteObjectVersion");
	assert_found(f, "erase", DRIVER_GOOD, "");
	assert_found(f, "lifecycle", DRIVER_GOOD, "noncurrent");
	assert_non_null(strstr(f->d.lifecycle, "<NoncurrentDays>1</NoncurrentDays>"));
	assert_int_equal(f->d.versions_n, 0);
	bucket_double_say(&f->d, "GET", "versions", 403, DENIED);
	examine(f);
	assert_found(f, "versioning", DRIVER_WARNING, "s3:ListBucketVersions");
	assert_found(f, "erase", DRIVER_ERROR, "s3:ListBucketVersions");
}

/* ---- one thing wrong at a time ---- */

static void test_one_wrong(void **state)
{
	static const struct {
		const char *method, *what;
		int status;
		const char *body, *check;
		enum driver_severity severity;
		const char *says;
	} cases[] = {
		{"GET", "list", 403, DENIED, "reachable", DRIVER_WARNING, "s3:ListBucket"},
		{"GET", "versioning", 403, DENIED, "versioning", DRIVER_NOTE, "s3:GetBucketVersioning"},
		{"GET", "versioning", 501, DOUBLE_ERROR("NotImplemented"), "versioning", DRIVER_NOTE, "does not tell"},
		{"GET", "versioning", 500, "", "versioning", DRIVER_WARNING, "500"},
		{"PUT", "object", 403, DENIED, "writable", DRIVER_ERROR, "s3:PutObject"},
		{"PUT", "object", 503, DOUBLE_ERROR("SlowDown"), "writable", DRIVER_ERROR, "SlowDown"},
		{"PUT", "object", 403, DOUBLE_ERROR("QuotaExceeded"), "writable", DRIVER_ERROR, "quota"},
		{"GET", "object", 403, DENIED, "writable", DRIVER_ERROR, "s3:GetObject"},
		{"GET", "object", 200, "something else", "writable", DRIVER_ERROR, "other bytes"},
		{"PUT", "tagging", 403, DENIED, "tags", DRIVER_WARNING, "s3:PutObjectTagging"},
		{"PUT", "tagging", 501, DOUBLE_ERROR("NotImplemented"), "tags", DRIVER_NOTE, "NotImplemented"},
		{"PUT", "tagging", 500, "", "tags", DRIVER_WARNING, "500"},
		{"GET", "encryption", 404, DOUBLE_ERROR("ServerSideEncryptionConfigurationNotFoundError"), "encryption",
			DRIVER_WARNING, "not encrypted"},
		{"GET", "encryption", 403, DENIED, "encryption", DRIVER_NOTE, "s3:GetEncryptionConfiguration"},
		{"GET", "encryption", 200, "<ListBucketResult/>", "encryption", DRIVER_NOTE, "without saying"},
		{"POST", "uploads", 403, DENIED, "uploads", DRIVER_ERROR, "cannot be begun"},
		{"POST", "uploads", 200, "<html/>", "uploads", DRIVER_ERROR, "cannot be begun"},
		{"GET", "uploads", 403, DENIED, "uploads", DRIVER_ERROR, "s3:ListBucketMultipartUploads"},
		{"GET", "uploads", 501, DOUBLE_ERROR("NotImplemented"), "uploads", DRIVER_NOTE, "cannot be listed"},
		{"GET", "uploads", 200,
			"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
			"uploads", DRIVER_NOTE, "does not show"},
		{"DELETE", "uploadId", 403, DENIED, "uploads", DRIVER_ERROR, "s3:AbortMultipartUpload"},
		{"DELETE", "uploadId", 500, "", "uploads", DRIVER_WARNING, "could not be aborted"},
		{"DELETE", "*", 403, DENIED, "erase", DRIVER_ERROR, "cannot be erased"},
		{"HEAD", "object", 200, "", "erase", DRIVER_WARNING, "still there"},
		{"GET", "publicAccessBlock", 404, DOUBLE_ERROR("NoSuchPublicAccessBlockConfiguration"), "public_access",
			DRIVER_NOTE, "nothing is public now"},
		{"GET", "publicAccessBlock", 200,
			"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></"
			"PublicAccessBlockConfiguration>",
			"public_access", DRIVER_NOTE, "nothing is public now"},
		{"GET", "publicAccessBlock", 403, DENIED, "public_access", DRIVER_NOTE, "not known"},
		{"GET", "policy", 404, DOUBLE_ERROR("NoSuchBucketPolicy"), "tls_only", DRIVER_WARNING, "BoolIfExists"},
		{"GET", "policy", 200, "{\"Statement\":[]}", "tls_only", DRIVER_WARNING, "does not deny plain http"},
		{"GET", "policy", 200, "<html/>", "tls_only", DRIVER_NOTE, "does not tell"},
		{"GET", "policy", 403, DENIED, "tls_only", DRIVER_NOTE, "s3:GetBucketPolicy"},
		{"GET", "policy", 405, DOUBLE_ERROR("MethodNotAllowed"), "tls_only", DRIVER_NOTE, "does not tell"},
		{"GET", "lifecycle", 403, DENIED, "lifecycle", DRIVER_WARNING, "expires after 3 days"},
		{"GET", "lifecycle", 501, DOUBLE_ERROR("NotImplemented"), "lifecycle", DRIVER_NOTE, "does not tell"},
		{"GET", "lifecycle", 200, "<html/>", "lifecycle", DRIVER_NOTE, "does not tell"},
		{"GET", "lifecycle", 500, "", "lifecycle", DRIVER_WARNING, "500"},
		{"PUT", "lifecycle", 403, DENIED, "lifecycle", DRIVER_WARNING, "put this in place yourselves: rule"},
		{"PUT", "lifecycle", 400, DOUBLE_ERROR("MalformedXML"), "lifecycle", DRIVER_WARNING, "MalformedXML"},
		{"PUT", "lifecycle", 200, "", "lifecycle", DRIVER_WARNING, "does not give it back"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->d.answers_n = 0;
		f->d.versions_n = 0;
		f->d.uploads_n = 0;
		f->d.lifecycle[0] = '\0';
		bucket_double_say(&f->d, cases[i].method, cases[i].what, cases[i].status, cases[i].body);
		examine(f);
		assert_found(f, cases[i].check, cases[i].severity, cases[i].says);
		/* The rest is examined all the same (where nothing can be put, neither tags nor erasing). */
		assert_true(f->found.n >= 9);
	}
}

static void test_tags_replace(void **state)
{
	struct fixture *f = *state;

	f->d.tags_replace = true;
	examine(f);
	assert_found(f, "tags", DRIVER_ERROR, "replaces it");
	assert_found(f, "erase", DRIVER_GOOD, "");
}

static void test_not_usable(void **state)
{
	static const struct {
		int status;
		const char *body, *says;
	} cases[] = {
		{404, DOUBLE_ERROR("NoSuchBucket"), "no such bucket"},
		{403, DOUBLE_ERROR("InvalidAccessKeyId"), "access key"},
		{403, DOUBLE_ERROR("SignatureDoesNotMatch"), "secret key"},
		{301, "<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>", "eu-west-1"},
		{200, "<html><body>Sign in</body></html>", "no S3 store"},
		{200, "", "no S3 store"},
		{501, "", "501"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->d.answers_n = 0;
		bucket_double_say(&f->d, "GET", "list", cases[i].status, cases[i].body);
		examine(f);
		assert_found(f, "reachable", DRIVER_ERROR, cases[i].says);
		assert_int_equal(f->found.n, 2); /* and the transport; nothing more is tried */
	}
}

/* The right to list is usually given for the prefix alone. */
static void test_list_of_prefix(void **state)
{
	struct fixture *f = *state;

	f->d.allowed = "captures/";
	f->d.versioning = "Enabled";
	bucket_double_version(
		&f->d, "before/\x01", "v0", false, 1); /* nor can a name of others make the list unreadable */
	examine(f);
	assert_found(f, "reachable", DRIVER_GOOD, "");
	assert_found(f, "versioning", DRIVER_NOTE, "s3:DeleteObjectVersion");
	assert_found(f, "uploads", DRIVER_GOOD, "");
	assert_found(f, "erase", DRIVER_GOOD, "");
	f->d.allowed = "elsewhere/";
	examine(f);
	assert_found(f, "reachable", DRIVER_WARNING, "s3:ListBucket");
}

/* ---- a store that falls silent ---- */

static void test_silence(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};

	/* Once: one finding is worse for it, no more. */
	bucket_double_say(&f->d, "PUT", "tagging", 0, NULL);
	examine(f);
	assert_found(f, "tags", DRIVER_WARNING, "not known");
	assert_found(f, "lifecycle", DRIVER_GOOD, "");
	/* For good: found out at once, or on the way, and not asked for ever. */
	for (unsigned after = 0; after < 12; after += 3) {
		f->d.answers_n = 0;
		f->d.requests = 0;
		bucket_double_say(&f->d, "*", "*", 0, NULL);
		f->d.answers[0].after = after;
		assert_int_equal(ask(f, &err), -1);
		assert_int_equal(err.code, ERR_NET);
		assert_true(f->d.requests <= after + 8);
	}
}

/* ---- strangers ---- */

static void test_public(void **state)
{
	static const char policy[] =
		"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\","
		"\"Resource\":\"arn:aws:s3:::" DOUBLE_BUCKET "/*\"}}";
	static const char acl[] = "<AccessControlPolicy><AccessControlList><Grant><Grantee>"
				  "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee></Grant></"
				  "AccessControlList></AccessControlPolicy>";
	struct fixture *f = *state;

	bucket_double_say(&f->d, "GET", "policy", 200, policy);
	examine(f);
	assert_found(f, "public_access", DRIVER_GOOD, "blocked"); /* the block is stronger */
	bucket_double_say(&f->d, "GET", "publicAccessBlock", 404, DOUBLE_ERROR("NoSuchPublicAccessBlockConfiguration"));
	examine(f);
	assert_found(f, "public_access", DRIVER_ERROR, "policy lets everybody in");
	f->d.answers[0] = (struct double_answer){"GET", "acl", 200, acl, 0};
	examine(f);
	assert_found(f, "public_access", DRIVER_ERROR, "ACL lets everybody in");
	f->d.answers[0] = (struct double_answer){
		"GET", "policyStatus", 200, "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>", 0};
	examine(f);
	assert_found(f, "public_access", DRIVER_ERROR, "policy lets everybody in");
}

/* ---- encryption ---- */

static void test_encryption_asked(void **state)
{
	struct fixture *f = *state;

	f->o.encryption = S3_SSE_AES256;
	examine(f);
	assert_found(f, "encryption", DRIVER_WARNING, "does not say that it encrypted");
	f->d.encryption = "AES256";
	examine(f);
	assert_found(f, "encryption", DRIVER_GOOD, "as asked");
	f->o.encryption = S3_SSE_KMS;
	f->o.kms_key_id = "key-1";
	examine(f);
	assert_found(f, "encryption", DRIVER_WARNING, "aws:kms was asked for");
	/* Refused: told, and what is left is examined without. */
	bucket_double_say(&f->d, "PUT", "object", 400, DOUBLE_ERROR("InvalidRequest"));
	f->d.encryption = "";
	examine(f);
	assert_found(f, "writable", DRIVER_ERROR, "InvalidRequest");
	assert_found(f, "encryption", DRIVER_NOTE, "nothing could be put");
}

static void test_encryption_judged(void **state)
{
	static const struct {
		struct s3_exam_encryption e;
		enum driver_severity severity;
	} cases[] = {
		{{.asked = S3_SSE_NONE, .put = true, .told = S3_TOLD_NONE}, DRIVER_WARNING},
		{{.asked = S3_SSE_NONE, .put = true, .told = S3_TOLD}, DRIVER_WARNING},
		{{.asked = S3_SSE_NONE, .put = true, .told = S3_TOLD, .by_default = "AES256"}, DRIVER_GOOD},
		{{.asked = S3_SSE_NONE, .put = true, .told = S3_TOLD_DENIED, .answer = "AES256"}, DRIVER_GOOD},
		{{.asked = S3_SSE_NONE, .put = true, .told = S3_TOLD_DENIED}, DRIVER_NOTE},
		{{.asked = S3_SSE_NONE, .put = true, .told = S3_TOLD_UNKNOWN}, DRIVER_NOTE},
		{{.asked = S3_SSE_NONE, .put = true, .told = S3_TOLD_FAULT}, DRIVER_NOTE},
		{{.asked = S3_SSE_AES256, .put = true, .answer = "AES256"}, DRIVER_GOOD},
		{{.asked = S3_SSE_AES256, .put = true, .answer = "aws:kms"}, DRIVER_WARNING},
		/* the bucket's default does not make up for a header that is missing */
		{{.asked = S3_SSE_AES256, .put = true, .told = S3_TOLD, .by_default = "AES256"}, DRIVER_WARNING},
		{{.asked = S3_SSE_KMS, .put = true, .answer = "aws:kms"}, DRIVER_GOOD},
		{{.asked = S3_SSE_KMS, .put = true, .refused = "HTTP 400"}, DRIVER_ERROR},
		{{.asked = S3_SSE_KMS}, DRIVER_NOTE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[320] = "";
		enum driver_severity got = s3_exam_encryption_judge(&cases[i].e, text, sizeof(text));

		if (got != cases[i].severity || !text[0])
			fail_msg("case %zu: %d: %s", i, (int)got, text);
	}
}

/* ---- lifecycle ---- */

static void test_lifecycle_days(void **state)
{
	(void)state;
	assert_int_equal(s3_bucket_lifecycle_days(1, 0), 2);
	assert_int_equal(s3_bucket_lifecycle_days(DAY_MS - 1, 0), 2);
	assert_int_equal(s3_bucket_lifecycle_days(DAY_MS - 1, 1), 2);
	assert_int_equal(s3_bucket_lifecycle_days(DAY_MS, 1), 3);
	assert_int_equal(s3_bucket_lifecycle_days(DAY_MS, DAY_MS), 3);
	/* The age of an object of parts counts from the beginning of its capture. */
	assert_int_equal(s3_bucket_lifecycle_days(DAY_MS, 7 * DAY_MS), 9);
	assert_int_equal(s3_bucket_lifecycle_days(UINT64_MAX, 7 * DAY_MS), 36500);
	assert_int_equal(s3_bucket_lifecycle_days(7 * DAY_MS, UINT64_MAX), 36500);
}

#define FOREIGN                                                                                                        \
	"<Rule><ID>theirs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status>"                         \
	"<Expiration><Days>30</Days></Expiration><Unknown>x</Unknown></Rule>"

static void test_lifecycle_of_others(void **state)
{
	struct fixture *f = *state;

	snprintf(f->d.lifecycle, sizeof(f->d.lifecycle), "%s",
		"<LifecycleConfiguration>" FOREIGN "</LifecycleConfiguration>");
	f->o.lifecycle = false;
	examine(f);
	assert_found(f, "lifecycle", DRIVER_WARNING, "missing");
	assert_null(strstr(f->d.lifecycle, "pcapline"));
	f->o.lifecycle = true;
	examine(f);
	assert_found(f, "lifecycle", DRIVER_GOOD, "put in place now");
	assert_non_null(strstr(f->d.lifecycle, "pcapline-captures"));
	assert_non_null(strstr(f->d.lifecycle, FOREIGN));
	examine(f);
	assert_found(f, "lifecycle", DRIVER_GOOD, "rule \"pcapline-captures\"");
	for (size_t i = 0; i < f->found.n; i++)
		assert_null(strstr(f->found.items[i].text, "put in place now"));
	/* Another retention changes our rule, and no other. */
	f->o.retention_ms = 9 * DAY_MS;
	examine(f);
	assert_found(f, "lifecycle", DRIVER_GOOD, "expires after 11 days");
	assert_null(strstr(f->d.lifecycle, "<Days>3</Days>"));
	assert_non_null(strstr(f->d.lifecycle, FOREIGN));
}

/* AWS says in a header what objects are too small for transitions, and forgets it when it is not said again. */
static void test_lifecycle_size(void **state)
{
	static const char rules[] = "<LifecycleConfiguration>" FOREIGN "</LifecycleConfiguration>";
	static const char *const kept[] = {"varies_by_storage_class", "all_storage_classes_128K"};
	char too_long[100];
	const char *const refused[] = {too_long, "a b", "a,b", "a\xc3\xbc"};
	struct fixture *f = *state;

	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		memcpy(f->d.lifecycle, rules, sizeof(rules));
		snprintf(f->d.transition, sizeof(f->d.transition), "%s", kept[i]);
		examine(f);
		assert_found(f, "lifecycle", DRIVER_GOOD, "put in place now");
		assert_string_equal(f->d.transition, kept[i]);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		memcpy(f->d.lifecycle, rules, sizeof(rules));
		snprintf(f->d.transition, sizeof(f->d.transition), "%s", refused[i]);
		examine(f);
		assert_found(f, "lifecycle", DRIVER_NOTE, "would be lost");
		assert_string_equal(f->d.lifecycle, rules);
	}
}

/* A rule for everything would expire what is not ours. */
static void test_no_prefix(void **state)
{
	struct fixture *f = *state;

	f->o.prefix = "";
	examine(f);
	assert_found(f, "lifecycle", DRIVER_WARNING, "storage.prefix");
	assert_string_equal(f->d.lifecycle, "");
	assert_found(f, "erase", DRIVER_GOOD, "");
}

/* ---- the parts ---- */

static void test_told(void **state)
{
	static const struct {
		enum err_code code;
		const char *detail;
		enum s3_told told;
	} cases[] = {
		{ERR_NONE, "", S3_TOLD},
		{ERR_PERM, "access_denied", S3_TOLD_DENIED},
		{ERR_NOT_FOUND, "no_such_bucket_policy", S3_TOLD_NONE},
		{ERR_NOT_FOUND, "no_such_key", S3_TOLD_UNKNOWN},
		{ERR_NOT_FOUND, "", S3_TOLD_UNKNOWN},
		{ERR_UNAVAILABLE, "bad_answer", S3_TOLD_UNKNOWN},
		{ERR_INPUT, "not_implemented", S3_TOLD_UNKNOWN},
		{ERR_INPUT, "bad_answer", S3_TOLD_UNKNOWN},
		{ERR_STATE, "no_such_bucket", S3_TOLD_FAULT},
		{ERR_UNAVAILABLE, "slow_down", S3_TOLD_FAULT},
		{ERR_NET, "", S3_TOLD_FAULT},
		{ERR_TIMEOUT, "", S3_TOLD_FAULT},
		{ERR_LIMIT, "", S3_TOLD_FAULT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = {.code = cases[i].code};

		err_detail(&e, cases[i].detail);
		assert_int_equal(s3_told_of(&e), cases[i].told);
	}
}

static void test_findings_bounded(void **state)
{
	struct fixture *f = *state;
	struct s3_exam x = {.ret = &f->found};
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 0; i < 2 * DRIVER_FINDINGS_MAX; i++)
		s3_exam_add(&x, DRIVER_NOTE, "check", "%s", text);
	assert_int_equal(f->found.n, DRIVER_FINDINGS_MAX);
	assert_int_equal(strlen(f->found.items[0].text), sizeof(f->found.items[0].text) - 1);
	assert_string_equal(f->found.items[0].text + sizeof(f->found.items[0].text) - 5, "x...");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_all_good),
		T(test_versioned),
		T(test_one_wrong),
		T(test_tags_replace),
		T(test_not_usable),
		T(test_list_of_prefix),
		T(test_silence),
		T(test_public),
		T(test_encryption_asked),
		T(test_encryption_judged),
		T(test_lifecycle_days),
		T(test_lifecycle_of_others),
		T(test_lifecycle_size),
		T(test_no_prefix),
		T(test_told),
		T(test_findings_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
