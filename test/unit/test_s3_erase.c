/* test_s3_erase.c - a key is gone only when nothing of it is left, and other keys are not touched. */
#include "test/unit/bucket_double.h"
#include "uploader/s3/s3_erase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY   "captures/acme/1.pcapng"
#define OTHER "captures/acme/1.pcapng.bak"

static int setup(void **state)
{
	struct bucket_double *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	bucket_double_start(d);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	bucket_double_stop(*state);
	free(*state);
	return 0;
}

static int ask(struct bucket_double *d, struct driver_erased *ret, struct err *err)
{
	int rc;

	bucket_double_settle(d);
	rc = s3_erase_key(d->client, KEY, ret, err);
	bucket_double_settle(d);
	return rc;
}

static struct driver_erased erased(struct bucket_double *d)
{
	struct driver_erased e = {0};
	struct err err = {0};

	if (ask(d, &e, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(bucket_double_left(d, KEY), 0);
	return e;
}

static void assert_refused(struct bucket_double *d, enum err_code code, const char *says)
{
	struct driver_erased e = {0};
	struct err err = {0};

	assert_int_equal(ask(d, &e, &err), -1);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("code %d: %s", (int)err.code, err.msg);
}

/* ---- what belongs to the key and what does not ---- */

static void test_nothing_there(void **state)
{
	struct driver_erased e = erased(*state);

	assert_int_equal(e.objects + e.uploads + e.bytes, 0);
}

static void fill(struct bucket_double *d)
{
	d->versioning = "Enabled";
	bucket_double_version(d, OTHER, "o1", false, 7);
	bucket_double_version(d, KEY, "v1", false, 100);
	bucket_double_version(d, KEY, "v2", true, 0);
	bucket_double_version(d, OTHER, "o2", true, 0);
	bucket_double_version(d, KEY, "v3", false, 11);
	bucket_double_version(d, KEY, "null", false, 5);
	bucket_double_version(d, KEY, "v5", true, 0);
	bucket_double_upload(d, OTHER, "x1");
	bucket_double_upload(d, KEY, "x2");
	bucket_double_upload(d, OTHER, "x3");
	bucket_double_upload(d, KEY, "x4");
}

/* Whatever the size of a page, and in whatever order a store lists. */
static void test_all_of_it(void **state)
{
	for (size_t page = 0; page < 5; page++) {
		struct bucket_double *d = *state;
		struct driver_erased e;

		d->page = page;
		d->versions_n = 0;
		d->uploads_n = 0;
		fill(d);
		e = erased(d);
		assert_int_equal(e.objects, 3);
		assert_int_equal(e.bytes, 116);
		assert_int_equal(e.uploads, 2);
		assert_int_equal(bucket_double_left(d, OTHER), 4);
		e = erased(d);
		assert_int_equal(e.objects + e.uploads, 0);
	}
}

static void test_uploads_alone(void **state)
{
	struct bucket_double *d = *state;
	struct err err = {0};

	fill(d);
	bucket_double_settle(d);
	assert_int_equal(s3_erase_uploads(d->client, KEY, NULL, &err), 0);
	assert_int_equal(bucket_double_left(d, KEY), 5);
	assert_int_equal(bucket_double_left(d, OTHER), 4);
}

static void test_abort_takes_two(void **state)
{
	struct bucket_double *d = *state;

	bucket_double_upload(d, KEY, "x1");
	d->aborts = 2;
	assert_int_equal(erased(d).uploads, 1);
}

/* ---- a store that does not do what it says ---- */

static void test_still_listed(void **state)
{
	struct bucket_double *d = *state;

	d->keeps = true;
	bucket_double_version(d, KEY, "v1", false, 1);
	assert_refused(d, ERR_UNAVAILABLE, "still listed");
	d->versions_n = 0;
	bucket_double_upload(d, KEY, "x1");
	assert_refused(d, ERR_UNAVAILABLE, "still listed");
}

static void test_still_readable(void **state)
{
	struct bucket_double *d = *state;

	bucket_double_say(d, "HEAD", "object", 200, "");
	assert_refused(d, ERR_UNAVAILABLE, "still there");
}

static void test_no_end(void **state)
{
	struct bucket_double *d = *state;

	bucket_double_say(d, "GET", "versions", 200,
		"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker></"
		"ListVersionsResult>");
	assert_refused(d, ERR_UNAVAILABLE, "does not come to an end");
}

/* A page of something else is no empty list. */
static void test_other_answers(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_code code;
	} cases[] = {
		{200, "<html><body>Sign in</body></html>", ERR_INPUT},
		{200, "", ERR_INPUT},
		{404, "<html>not here</html>", ERR_UNAVAILABLE},
		{404, DOUBLE_ERROR("NoSuchBucket"), ERR_STATE},
		{500, "", ERR_UNAVAILABLE},
		{503, DOUBLE_ERROR("SlowDown"), ERR_UNAVAILABLE},
		{400, DOUBLE_ERROR("InvalidArgument"), ERR_INPUT},
		{200, DOUBLE_ERROR("InternalError"), ERR_UNAVAILABLE},
	};
	static const char *const lists[] = {"versions", "uploads"};
	struct bucket_double *d = *state;

	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			d->answers_n = 0;
			bucket_double_say(d, "GET", lists[k], cases[i].status, cases[i].body);
			assert_refused(d, cases[i].code, "");
		}
	}
}

/* ---- rights, and stores that have less ---- */

static void test_no_versions_listed(void **state)
{
	static const struct {
		int status;
		const char *body;
	} cases[] = {
		{403, DOUBLE_ERROR("AccessDenied")},
		{501, DOUBLE_ERROR("NotImplemented")},
		{405, DOUBLE_ERROR("MethodNotAllowed")},
		{404, DOUBLE_ERROR("NoSuchKey")},
	};
	struct bucket_double *d = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct driver_erased e;

		d->answers_n = 0;
		bucket_double_say(d, "GET", "versions", cases[i].status, cases[i].body);
		bucket_double_version(d, KEY, "null", false, 3);
		snprintf(d->object, sizeof(d->object), "abc");
		e = erased(d);
		assert_int_equal(e.objects, 1);
		assert_int_equal(e.bytes, 3);
		assert_int_equal(erased(d).objects, 0);
	}
}

/* What a versioned bucket hides is not gone, and it is told, also when nothing stands there any more. */
static void test_hidden_versions(void **state)
{
	struct bucket_double *d = *state;

	d->versioning = "Enabled";
	bucket_double_say(d, "GET", "versions", 403, DOUBLE_ERROR("AccessDenied"));
	bucket_double_version(d, KEY, "v1", false, 3);
	assert_refused(d, ERR_PERM, "s3:ListBucketVersions");
	assert_refused(d, ERR_PERM, "s3:ListBucketVersions");
	bucket_double_say(d, "GET", "versioning", 403, DOUBLE_ERROR("AccessDenied"));
	bucket_double_version(d, KEY, "v9", false, 3);
	assert_refused(d, ERR_PERM, "s3:ListBucketVersions");
}

static void test_rights_named(void **state)
{
	static const char denied[] = DOUBLE_ERROR("AccessDenied");
	struct bucket_double *d = *state;

	bucket_double_version(d, KEY, "v1", false, 3);
	bucket_double_upload(d, KEY, "x1");
	bucket_double_say(d, "DELETE", "versionId", 403, denied);
	assert_refused(d, ERR_PERM, "s3:DeleteObjectVersion");
	d->answers_n = 0;
	bucket_double_upload(d, KEY, "x1");
	bucket_double_say(d, "DELETE", "uploadId", 403, denied);
	assert_refused(d, ERR_PERM, "s3:AbortMultipartUpload");
	d->answers_n = 0;
	bucket_double_version(d, KEY, "v1", false, 3);
	bucket_double_say(d, "GET", "uploads", 403, denied);
	assert_refused(d, ERR_PERM, "s3:ListBucketMultipartUploads");
	assert_int_equal(d->versions_n, 0); /* the object went all the same */
	d->answers_n = 0;
	bucket_double_say(d, "GET", "versions", 403, denied);
	bucket_double_say(d, "HEAD", "object", 403, "");
	assert_refused(d, ERR_PERM, "s3:ListBucket)");
}

/* Where no versions are kept, nobody needs the right to delete one. */
static void test_null_version(void **state)
{
	struct bucket_double *d = *state;

	bucket_double_say(d, "DELETE", "versionId", 403, DOUBLE_ERROR("AccessDenied"));
	bucket_double_version(d, KEY, "null", false, 3);
	assert_int_equal(erased(d).objects, 1);
}

static void test_no_uploads_at_all(void **state)
{
	struct bucket_double *d = *state;

	bucket_double_say(d, "GET", "uploads", 501, DOUBLE_ERROR("NotImplemented"));
	bucket_double_version(d, KEY, "null", false, 3);
	assert_int_equal(erased(d).objects, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nothing_there),
		T(test_all_of_it),
		T(test_uploads_alone),
		T(test_abort_takes_two),
		T(test_still_listed),
		T(test_still_readable),
		T(test_no_end),
		T(test_other_answers),
		T(test_no_versions_listed),
		T(test_hidden_versions),
		T(test_rights_named),
		T(test_null_version),
		T(test_no_uploads_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
