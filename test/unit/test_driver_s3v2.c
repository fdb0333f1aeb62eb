/* test_driver_s3v2.c - objects put by libs3: made of staged parts, never written over, found again after a crash, erased; what version 2 cannot do is refused.  That a real store
 * takes the signatures is shown in test/e2e; what is not believed, in test_driver_s3v2_lies.c. */
#include "test/unit/s3v2_rig.h"

#include "common/clock.h"
#include "common/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what is right ---- */

static void test_object(void **state)
{
	struct s3v2_rig *f = *state;
	char path[700], disposition[200];

	s3v2_whole_object(f);
	assert_true(lying_store_has(&f->store, f->bytes, S3V2_BYTES));
	assert_false(s3v2_is_staged(f));
	assert_string_equal(f->store.put_key, f->key);
	snprintf(path, sizeof(path), "PUT /captures-1/%s HTTP/1.1\r\n", f->key);
	assert_true(s3v2_sent(f, path));
	snprintf(disposition, sizeof(disposition), "\r\nContent-Disposition: attachment; filename=\"%s.pcapng\"\r\n",
		f->job);
	assert_true(s3v2_sent(f, disposition));
	assert_true(s3v2_sent(f, "\r\nContent-Type: application/x-pcapng\r\n"));
	assert_true(s3v2_sent(f, "\r\nContent-MD5: "));
	assert_true(s3v2_sent(f, "\r\nContent-Length: 3145728\r\n"));
	assert_true(s3v2_sent(f, "\r\nx-amz-meta-user: Zo%C3%AB%20%3Cz%40x%3E\r\n"));
	assert_true(s3v2_sent(f, "\r\nx-amz-meta-org: acme%20inc\r\n"));
	assert_true(s3v2_sent(f, "\r\nx-amz-meta-source: host-1\r\n"));
	assert_false(s3v2_sent(f, "x-amz-meta-space")); /* libs3's signer cannot bear an empty value */
	assert_true(s3v2_sent(f, "\r\nAuthorization: AWS AKEY:sub:"));
	assert_false(s3v2_sent(f, S3V2_SECRET));
	assert_false(s3v2_sent(f, "Transfer-Encoding"));
}

/* An empty capture does not exist, but nothing may depend on that. */
static void test_empty_object(void **state)
{
	struct s3v2_rig *f = *state;
	struct driver_object none = {.bytes = 0};
	struct err err = {0};
	void *u = s3v2_begin(f, "");

	digest_sha256_hex("", 0, none.sha256);
	if (f->d->ops->upload_complete(u, 0, NULL, &none, &err) < 0)
		fail_msg("%s", err.msg);
	f->d->ops->upload_free(u);
	assert_true(lying_store_has(&f->store, "", 0));
}

static void test_read(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	uint8_t got[1000];

	s3v2_whole_object(f);
	assert_null(f->d->ops->open);
	assert_int_equal(f->d->ops->read(f->d, f->key, 0, got, 0, &err), 0);
	assert_int_equal(f->d->ops->read(f->d, f->key, 77, got, sizeof(got), &err), 0);
	assert_memory_equal(got, f->bytes + 77, sizeof(got));
	assert_int_equal(f->d->ops->read(f->d, f->key, S3V2_BYTES - 1, got, 1, &err), 0);
	assert_int_equal(got[0], f->bytes[S3V2_BYTES - 1]);
	assert_int_equal(f->d->ops->read(f->d, f->key, S3V2_BYTES - 1, got, 2, &err), -1);
	assert_int_equal(err.code, ERR_IO);
}

static void test_erase(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};

	assert_int_equal(f->d->ops->erase(f->d, f->key, &f->erased, &err), 0);
	assert_int_equal(f->store.deletes, 0); /* what is not there gets no delete marker */
	s3v2_whole_object(f);
	assert_int_equal(f->d->ops->erase(f->d, f->key, &f->erased, &err), 0);
	assert_int_equal(f->erased.objects, 1);
	assert_int_equal(f->erased.bytes, S3V2_BYTES);
	assert_false(f->store.there);
	assert_int_equal(f->d->ops->erase(f->d, f->key, &f->erased, &err), 0);
	assert_int_equal(f->erased.objects, 1);
}

static void test_never_overwrites(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	void *u = s3v2_all_but_complete(f);

	f->store.there = true;
	memset(f->store.object, 'x', S3V2_BYTES);
	f->store.object_n = S3V2_BYTES;
	snprintf(f->store.put_key, sizeof(f->store.put_key), "%s", f->key);
	assert_null(f->d->ops->upload_begin(f->d, f->key, &f->tags, "", &err));
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(s3v2_complete(f, u, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(lying_store_puts(&f->store), 0);
	f->d->ops->upload_free(u);
}

/* ---- crashes ---- */

static void test_resume(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	void *u = s3v2_all_but_complete(f);
	char *text = f->d->ops->upload_state(u, &err);

	f->d->ops->upload_free(u);
	f->d->ops->free(f->d);
	s3v2_open(f);
	assert_non_null(text);
	u = s3v2_begin(f, text);
	free(text);
	assert_int_equal(s3v2_complete(f, u, &err), 0);
	assert_true(lying_store_has(&f->store, f->bytes, S3V2_BYTES));
	assert_int_equal(s3v2_complete(f, u, &err), 0); /* it stands there, and the parts are known still */
	assert_int_equal(lying_store_puts(&f->store), 1);
	f->d->ops->upload_free(u);

	/* The parts are gone: what stands there is read back. */
	u = s3v2_begin(f, f->job);
	assert_int_equal(s3v2_complete(f, u, &err), 0);
	lying_store_set(&f->store, LIE_GET_OTHER);
	assert_int_equal(s3v2_complete(f, u, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(lying_store_puts(&f->store), 1);
	f->d->ops->upload_free(u);
	assert_null(f->d->ops->upload_begin(f->d, f->key, &f->tags, "another", &err));
	assert_int_equal(err.code, ERR_INPUT);
}

static void test_parts_lost(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	char path[512];
	void *u = s3v2_all_but_complete(f);

	f->d->ops->upload_free(u);
	snprintf(path, sizeof(path), "%s/%s.part", f->staging, f->job);
	assert_int_equal(truncate(path, S3V2_BYTES - 1), 0);
	u = s3v2_begin(f, f->job);
	assert_int_equal(s3v2_complete(f, u, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(lying_store_puts(&f->store), 0);
	assert_int_equal(f->d->ops->upload_abort(u, &err), 0);
	f->d->ops->upload_free(u);
	assert_false(s3v2_is_staged(f));
}

/* An upload that was given up after its object had come to stand takes it along. */
static void test_abort(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	void *u;

	s3v2_whole_object(f);
	u = s3v2_begin(f, f->job);
	assert_int_equal(f->d->ops->upload_abort(u, &err), 0);
	f->d->ops->upload_free(u);
	assert_false(f->store.there);
	assert_false(s3v2_is_staged(f));
}

/* ---- what version 2 cannot do ---- */

static void refused(struct s3v2_rig *f, const struct driver_s3_options *o, const char *says)
{
	struct err err = {0};
	struct driver *d = driver_s3v2_new(o, &err);

	(void)f;
	assert_null(d);
	if (err.code != ERR_INPUT || !strstr(err.msg, says) || strstr(err.msg, S3V2_SECRET))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void test_refusals(void **state)
{
	struct s3v2_rig *f = *state;
	struct driver_s3_options o = f->o;
	uint64_t ttl_s = 60;
	char long_key[101];
	struct err err = {0};

	o.credentials.session_token = "token";
	refused(f, &o, "session token");
	o = f->o;
	o.credentials.source = S3_SOURCE_IMDS;
	o.credentials.imds_url = "";
	refused(f, &o, "instance role");
	o = f->o;
	o.encryption = S3_SSE_AES256;
	refused(f, &o, "encryption");
	memset(long_key, 'A', 100);
	long_key[100] = '\0';
	o = f->o;
	o.credentials.access_key = long_key;
	refused(f, &o, "access key");
	o = f->o;
	o.endpoint = "ftp://127.0.0.1";
	refused(f, &o, "neither");
	o.endpoint = "http://127.0.0.1/path";
	refused(f, &o, "nothing but host and port");
	o = f->o;
	o.bucket = "no bucket";
	refused(f, &o, "no bucket");
	/* libs3 would store "a b" as "a+b" */
	assert_null(f->d->ops->upload_begin(f->d, "captures/a b.pcapng", &f->tags, "", &err));
	assert_int_equal(err.code, ERR_INPUT);
	assert_null(f->d->ops->url(f->d, "captures/a b.pcapng", &ttl_s, "x", &err));
	assert_int_equal(f->store.requests, 0);
}

static void test_url(void **state)
{
	struct s3v2_rig *f = *state;
	uint64_t now = clock_wall_ns() / CLOCK_NS_PER_S;
	uint64_t expires, ttl_s = 3600;
	struct err err = {0};
	char want[512], *url = f->d->ops->url(f->d, f->key, &ttl_s, "my;\"1\".pcapng", &err), *at;

	assert_non_null(url);
	snprintf(want, sizeof(want),
		"http://127.0.0.1:%u/captures-1/"
		"%s?response-content-disposition=attachment%%3B%%20filename%%3D%%22my__1_.pcapng%%22"
		"&AWSAccessKeyId=AKEY%%3Asub&Expires=",
		f->store.port, f->key);
	assert_int_equal(strncmp(url, want, strlen(want)), 0);
	expires = strtoull(url + strlen(want), &at, 10);
	assert_in_range(expires, now + 3600, now + 3600 + 600);
	assert_int_equal(strncmp(at, "&Signature=", strlen("&Signature=")), 0);
	assert_true(strlen(at) > strlen("&Signature=") + 20);
	assert_null(strstr(url, S3V2_SECRET));
	free(url);
	assert_int_equal(ttl_s, 3600);
	/* far away is as far as older stores can count */
	ttl_s = UINT64_MAX;
	assert_non_null(url = f->d->ops->url(f->d, f->key, &ttl_s, NULL, &err));
	assert_in_range(ttl_s, INT32_MAX - now - 600, INT32_MAX - now);
	assert_non_null(strstr(url, "Expires=2147483647&"));
	free(url);
}

/* ---- health ---- */

static const struct driver_finding *finding(const struct driver_findings *all, const char *check)
{
	for (size_t i = 0; i < all->n; i++) {
		if (strcmp(all->items[i].check, check) == 0)
			return &all->items[i];
	}
	fail_msg("nothing is told of %s", check);
	return NULL;
}

static void test_examine(void **state)
{
	struct s3v2_rig *f = *state;
	struct driver_findings all = {0};
	struct err err = {0};

	assert_int_equal(f->d->ops->check(f->d, &err), 0);
	assert_int_equal(f->d->ops->examine(f->d, &all, &err), 0);
	assert_int_equal(finding(&all, "reachable")->severity, DRIVER_GOOD);
	if (finding(&all, "writable")->severity != DRIVER_GOOD)
		fail_msg("%s", finding(&all, "writable")->text);
	assert_int_equal(finding(&all, "erase")->severity, DRIVER_GOOD);
	assert_int_equal(finding(&all, "transport")->severity, DRIVER_WARNING);
	assert_int_not_equal(finding(&all, "encryption")->severity, DRIVER_GOOD);
	assert_int_not_equal(finding(&all, "public_access")->severity, DRIVER_GOOD);
	assert_int_not_equal(finding(&all, "lifecycle")->severity, DRIVER_GOOD);
	assert_int_not_equal(finding(&all, "versioning")->severity, DRIVER_GOOD);
	assert_false(f->store.there);
	assert_int_equal(f->store.deletes, 1);

	all.n = 0;
	lying_store_set(&f->store, LIE_ETAG); /* as of a bucket that encrypts with a key of its own */
	assert_int_equal(f->d->ops->examine(f->d, &all, &err), 0);
	assert_int_equal(finding(&all, "writable")->severity, DRIVER_ERROR);
	assert_false(f->store.there);
	all.n = 0;
	lying_store_set(&f->store, LIE_DELETE_KEEPS);
	assert_int_equal(f->d->ops->examine(f->d, &all, &err), 0);
	assert_int_equal(finding(&all, "erase")->severity, DRIVER_ERROR);
}

static void test_nobody_there(void **state)
{
	struct s3v2_rig *f = *state;
	struct driver_findings all = {0};
	struct err err = {0};

	f->d->ops->free(f->d);
	f->o.endpoint = "http://127.0.0.1:1";
	s3v2_open(f);
	assert_int_equal(f->d->ops->check(f->d, &err), -1);
	assert_int_equal(err.code, ERR_NET);
	err = (struct err){0};
	assert_int_equal(f->d->ops->check(f->d, &err), -1); /* as it was a moment ago */
	assert_int_equal(err.code, ERR_NET);
	assert_null(f->d->ops->upload_begin(f->d, f->key, &f->tags, "", &err));
	assert_int_equal(err.code, ERR_NET);
	assert_int_equal(f->d->ops->examine(f->d, &all, &err), -1);
	assert_int_equal(finding(&all, "reachable")->severity, DRIVER_ERROR);
}

/* A proxy in the environment would get the requests, and the packets. */
static void test_environment(void **state)
{
	struct s3v2_rig *f = *state;
	struct err err = {0};
	int rc;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	rc = f->d->ops->check(f->d, &err);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	if (rc < 0)
		fail_msg("%s", err.msg);
}

static void *read_much(void *arg)
{
	struct s3v2_rig *f = arg;
	uint8_t got[4096];

	for (size_t i = 0; i < 20; i++) {
		uint64_t ttl_s = 60;
		char *url;

		if (f->d->ops->read(f->d, f->key, i * 4096, got, sizeof(got), NULL) < 0 ||
			memcmp(got, f->bytes + i * 4096, sizeof(got)) != 0 ||
			!(url = f->d->ops->url(f->d, f->key, &ttl_s, "x.pcapng", NULL)))
			return f;
		free(url);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct s3v2_rig *f = *state;
	pthread_t threads[4];
	void *said;

	s3v2_whole_object(f);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_much, f), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &said), 0);
		assert_null(said);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, s3v2_setup, s3v2_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_object),
		TEST(test_empty_object),
		TEST(test_read),
		TEST(test_erase),
		TEST(test_never_overwrites),
		TEST(test_resume),
		TEST(test_parts_lost),
		TEST(test_abort),
		TEST(test_refusals),
		TEST(test_url),
		TEST(test_examine),
		TEST(test_nobody_there),
		TEST(test_environment),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
