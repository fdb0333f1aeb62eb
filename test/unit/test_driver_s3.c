/* test_driver_s3.c - uploads to a bucket that says odd things: nothing is called ready that is not, nothing lost that the store has not called lost. */
#include "test/unit/bucket_double.h"
#include "uploader/s3/driver_s3.h"

#include "common/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY  "captures/acme/1.pcapng"
#define PAGE "<!DOCTYPE html><html><body>It works!</body></html>"

struct fixture {
	struct bucket_double d;
	struct driver *driver;
	char etags[DOUBLE_PARTS_MAX][33];
	const char *parts[DOUBLE_PARTS_MAX];
	char text[DOUBLE_OBJECT_MAX]; /* what the object must be */
	struct driver_object expect;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char endpoint[64];
	struct driver_s3_options o = {.endpoint = endpoint,
		.bucket = DOUBLE_BUCKET,
		.region = "us-east-1",
		.path_style = true,
		.ca_file = "",
		.credentials = {.source = S3_SOURCE_STATIC,
			.access_key = "AK",
			.secret_key = "SK",
			.session_token = ""},
		.kms_key_id = "",
		.prefix = "captures"};
	struct err err = {0};

	assert_non_null(f);
	bucket_double_start(&f->d);
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", http_server_port(f->d.server));
	if (!(f->driver = driver_s3_new(&o, &err)))
		fail_msg("%s", err.msg);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->driver->ops->free(f->driver);
	bucket_double_stop(&f->d);
	free(f);
	return 0;
}

/* n parts of three bytes each in the upload "u1". */
static void parts_make(struct fixture *f, unsigned n)
{
	uint8_t sum[DIGEST_MD5_BYTES];

	bucket_double_upload(&f->d, KEY, "u1");
	f->text[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		char *at = f->text + 3 * (size_t)i;

		snprintf(at, 4, "%03x", i & 0xfffu);
		bucket_double_part(&f->d, i + 1, at);
		assert_int_equal(digest_md5(at, 3, sum, NULL), 0);
		for (size_t k = 0; k < sizeof(sum); k++)
			snprintf(f->etags[i] + 2 * k, 3, "%02x", sum[k]);
		f->parts[i] = f->etags[i];
	}
	f->expect.bytes = strlen(f->text);
	digest_sha256_hex(f->text, strlen(f->text), f->expect.sha256);
}

static void *begin(struct fixture *f, const char *resume, struct err *err)
{
	const struct driver_tags tags = {.job = "1", .user = "u", .org = "acme", .space = "s", .source = "pcapline"};
	void *u;

	bucket_double_settle(&f->d);
	u = f->driver->ops->upload_begin(f->driver, KEY, &tags, resume, err);
	bucket_double_settle(&f->d);
	return u;
}

static int complete(struct fixture *f, unsigned n, struct err *err)
{
	void *u = begin(f, "id u1", err);
	int rc;

	*err = (struct err){0};
	assert_non_null(u);
	rc = f->driver->ops->upload_complete(u, n, f->parts, &f->expect, err);
	f->driver->ops->upload_free(u);
	bucket_double_settle(&f->d);
	return rc;
}

static void complete_well(struct fixture *f, unsigned n)
{
	struct err err;

	if (complete(f, n, &err) < 0)
		fail_msg("%u parts: %s [%s]", n, err.msg, err.detail);
	assert_string_equal(f->d.object, f->text);
	assert_int_equal(bucket_double_left(&f->d, KEY), 1);
}

/* Refused as something that passes, with everything left where it was. */
static void complete_later(struct fixture *f, unsigned n)
{
	size_t left = bucket_double_left(&f->d, KEY);
	struct err err;

	assert_int_equal(complete(f, n, &err), -1);
	if (err.code != ERR_UNAVAILABLE)
		fail_msg("code %s: %s [%s]", err_code_name(err.code), err.msg, err.detail);
	assert_int_equal(bucket_double_left(&f->d, KEY), left);
}

/* ---- the list of parts ---- */

static void test_many_parts(void **state)
{
	static const unsigned counts[] = {1, 2, 999, 1000, 1001, 2000, 2001, 2500};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bucket_double_settle(&f->d);
		f->d.versions_n = 0;
		memset(f->d.parts, 0, sizeof(f->d.parts));
		parts_make(f, counts[i]);
		complete_well(f, counts[i]);
	}
}

static void test_part_missing(void **state)
{
	struct fixture *f = *state;
	struct err err;

	parts_make(f, 1003);
	f->d.parts[1002][0] = '\0';
	assert_int_equal(complete(f, 1003, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err.detail, "storage_lost");
	assert_non_null(strstr(err.msg, "1002 of 1003"));
}

static void test_list_without_end(void **state)
{
	struct fixture *f = *state;

	parts_make(f, 2);
	bucket_double_say(&f->d, "GET", "uploadId", 200,
		"<ListPartsResult><NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>true</IsTruncated>"
		"</ListPartsResult>");
	complete_later(f, 2);
}

/* ---- parts behind ours ---- */

/* Chunk 3 was damaged when 4 and 6 were stored already. */
static void beyond_make(struct fixture *f, bool all_or_none)
{
	f->d.all_or_none = all_or_none;
	f->d.versions_n = 0;
	memset(f->d.parts, 0, sizeof(f->d.parts));
	parts_make(f, 2);
	bucket_double_part(&f->d, 4, "444");
	bucket_double_part(&f->d, 6, "6");
}

static void test_beyond(void **state)
{
	struct fixture *f = *state;

	for (int all_or_none = 0; all_or_none < 2; all_or_none++) {
		bucket_double_settle(&f->d);
		beyond_make(f, all_or_none);
		complete_well(f, 2);
	}
}

static void test_beyond_is_told(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};
	bool is = false;
	void *u;

	beyond_make(f, true);
	assert_non_null(u = begin(f, "id u1", &err));
	for (uint32_t n = 2; n < 8; n++) {
		assert_int_equal(f->driver->ops->upload_beyond(u, n, &is, &err), 0);
		assert_int_equal(is, n < 6);
	}
	bucket_double_settle(&f->d);
	f->d.uploads_n = 0;
	assert_int_equal(f->driver->ops->upload_beyond(u, 2, &is, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	bucket_double_settle(&f->d);
	bucket_double_say(&f->d, "GET", "uploadId", 404, PAGE);
	assert_int_equal(f->driver->ops->upload_beyond(u, 2, &is, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	f->driver->ops->upload_free(u);
}

/* Whatever fails on the way there: the next attempt finds the longer object and goes on. */
static void test_beyond_fails_half_way(void **state)
{
	static const struct {
		const char *method, *what;
		unsigned after;
	} cases[] = {
		{"POST", "uploadId", 1}, /* to complete all */
		{"HEAD", "object", 0},
		{"GET", "object", 0},
		{"POST", "uploads", 0},
		{"PUT", "uploadId", 0},
		{"POST", "uploadId", 2}, /* to complete the copy */
		{"HEAD", "object", 1},
		{"GET", "object", 1},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err;

		bucket_double_settle(&f->d);
		beyond_make(f, true);
		bucket_double_say(&f->d, cases[i].method, cases[i].what, 500, "");
		f->d.answers[0].after = cases[i].after;
		assert_int_equal(complete(f, 2, &err), -1);
		if (err.code != ERR_UNAVAILABLE)
			fail_msg("case %zu: %s", i, err.msg);
		f->d.answers_n = 0;
		complete_well(f, 2);
	}
}

/* Bytes that are not as many as the object has say nothing about it. */
static void test_page_for_the_object(void **state)
{
	struct fixture *f = *state;
	struct err err;

	beyond_make(f, true);
	bucket_double_say(&f->d, "GET", "object", 200, PAGE);
	assert_int_equal(complete(f, 2, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_int_equal(bucket_double_left(&f->d, KEY), 1);
	f->d.answers_n = 0;
	complete_well(f, 2);
}

/* ---- answers of somebody else ---- */

/* A capture that was put as a whole is resumed by a list of uploads: a proxy's 404 to it says nothing of the capture. */
static void test_page_at_the_beginning(void **state)
{
	static const struct {
		const char *method;
		int status;
		const char *body;
	} cases[] = {
		{"GET", 404, PAGE},
		{"GET", 404, ""},
		{"GET", 404, DOUBLE_ERROR("NoSuchUpload")},
		{"POST", 404, PAGE},
		{"POST", 404, ""},
		{"POST", 404, DOUBLE_ERROR("NoSuchKey")},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		void *u;

		f->d.answers_n = 0;
		bucket_double_say(&f->d, cases[i].method, "uploads", cases[i].status, cases[i].body);
		u = begin(f, "new", &err);
		if (u) {
			assert_int_equal(f->driver->ops->upload_open(u, &err), -1);
			f->driver->ops->upload_free(u);
		}
		if ((u != NULL) != (cases[i].method[0] == 'P') || err.code != ERR_UNAVAILABLE)
			fail_msg("case %zu: code %s: %s", i, err_code_name(err.code), err.msg);
		bucket_double_settle(&f->d);
	}
}

static void test_page_at_the_end(void **state)
{
	static const char *const methods[] = {"GET", "POST"};
	static const char *const bodies[] = {"", PAGE};
	struct fixture *f = *state;

	parts_make(f, 3);
	for (size_t i = 0; i < 4; i++) {
		f->d.answers_n = 0;
		bucket_double_say(&f->d, methods[i / 2], "uploadId", 404, bodies[i % 2]);
		complete_later(f, 3);
	}
	f->d.answers_n = 0;
	complete_well(f, 3);
}

/* The answer to the completion was lost: the upload is gone, the object stands, and somebody says that it does not. */
static void test_completed_unheard(void **state)
{
	struct fixture *f = *state;
	struct err err;

	parts_make(f, 3);
	complete_well(f, 3);
	bucket_double_say(&f->d, "HEAD", "object", 404, "");
	complete_later(f, 3);
	bucket_double_say(&f->d, "GET", "object", 404, PAGE);
	complete_later(f, 3);
	f->d.answers_n = 0;
	complete_well(f, 3);
	/* The store itself says that there is neither. */
	f->d.versions_n = 0;
	assert_int_equal(complete(f, 3, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* A crash came after the parts were forgotten and before the job was known to be ready. */
static void test_completed_and_forgotten(void **state)
{
	struct fixture *f = *state;
	struct err err;

	parts_make(f, 3);
	complete_well(f, 3);
	complete_well(f, 0);
	bucket_double_say(&f->d, "HEAD", "object", 404, "");
	complete_later(f, 0);
	f->d.answers_n = 0;
	f->d.versions_n = 0;
	assert_int_equal(complete(f, 0, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* ---- tags ---- */

static void test_tags_replace(void **state)
{
	struct fixture *f = *state;
	struct driver_findings found = {0};
	struct err err = {0};

	f->d.tags_replace = true;
	parts_make(f, 3);
	assert_int_equal(complete(f, 3, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.msg, "tags"));
	/* Once that is known the captures are left alone. */
	f->d.versions_n = 0;
	memset(f->d.parts, 0, sizeof(f->d.parts));
	if (f->driver->ops->examine(f->driver, &found, &err) < 0)
		fail_msg("%s", err.msg);
	bucket_double_settle(&f->d);
	parts_make(f, 3);
	complete_well(f, 3);
}

/* ---- is it there? ---- */

/* AWS answers a HEAD that was signed for another region with 400 and a header. */
static void test_other_region(void **state)
{
	struct fixture *f = *state;
	struct err err = {0};

	bucket_double_say(&f->d, "HEAD", "list", 400, "");
	bucket_double_say(&f->d, "GET", "list", 400,
		"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>");
	bucket_double_settle(&f->d);
	assert_int_equal(f->driver->ops->check(f->driver, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "region \"eu-west-1\", set s3.region"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_many_parts),
		T(test_part_missing),
		T(test_list_without_end),
		T(test_beyond),
		T(test_beyond_is_told),
		T(test_beyond_fails_half_way),
		T(test_page_for_the_object),
		T(test_page_at_the_beginning),
		T(test_page_at_the_end),
		T(test_completed_unheard),
		T(test_completed_and_forgotten),
		T(test_tags_replace),
		T(test_other_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
