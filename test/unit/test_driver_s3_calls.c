/* test_driver_s3_calls.c - the driver for signature version 4 as a whole: how long its links are good, who waits for whom, and giving up. */
#include "common/clock.h"
#include "common/http_client.h"
#include "test/unit/bucket_double.h"
#include "test/unit/imds_double.h"
#include "test/unit/temp_file.h"
#include "uploader/s3/driver_s3.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_NS (1767607200 * CLOCK_NS_PER_S) /* 2026-01-05 10:00 */
#define HOUR_S UINT64_C(3600)

static const struct s3_credentials_options fixed = {
	.source = S3_SOURCE_STATIC, .access_key = "AK", .secret_key = "SK", .session_token = ""};

static struct driver *driver_at(const char *endpoint, const struct s3_credentials_options *keys)
{
	const struct driver_s3_options o = {
		.endpoint = endpoint,
		.bucket = "captures-1",
		.region = "us-east-1",
		.path_style = true,
		.ca_file = "",
		.credentials = *keys,
		.kms_key_id = "",
		.prefix = "captures",
		.parallel = 1,
		.connections_max = 1,
	};
	struct err err = {0};
	struct driver *d = driver_s3_new(&o, &err);

	if (!d)
		fail_msg("%s", err.msg);
	return d;
}

static void url_is_good_for(struct driver *d, uint64_t asked_s, uint64_t want_s)
{
	uint64_t ttl_s = asked_s;
	char want[64], *url;
	struct err err = {0};

	if (!(url = d->ops->url(d, "captures/x.pcapng", &ttl_s, "x.pcapng", &err)))
		fail_msg("%s", err.msg);
	assert_int_equal(ttl_s, want_s);
	snprintf(want, sizeof(want), "X-Amz-Expires=%llu&", (unsigned long long)want_s);
	if (!strstr(url, want))
		fail_msg("no %s in %s", want, url);
	free(url);
}

/* A link is worth nothing without the keys that signed it. */
static void test_links_end_with_keys(void **state)
{
	const struct imds_say say = {.expiry_ns = NOW_NS + HOUR_S * CLOCK_NS_PER_S};
	struct s3_credentials_options keys = {.source = S3_SOURCE_IMDS};
	struct imds_double imds;
	struct driver *d;

	(void)state;
	imds_double_start(&imds);
	imds_double_say(&imds, &say);
	clock_fake(NOW_NS);
	keys.imds_url = imds.url;
	d = driver_at("http://127.0.0.1:1", &keys);
	url_is_good_for(d, HOUR_S / 2, HOUR_S / 2);
	url_is_good_for(d, HOUR_S, HOUR_S);
	url_is_good_for(d, 2 * HOUR_S, HOUR_S);
	d->ops->free(d);
	imds_double_stop(&imds);
	/* Keys without an end: as far as S3 allows. */
	d = driver_at("http://127.0.0.1:1", &fixed);
	url_is_good_for(d, 2 * HOUR_S, 2 * HOUR_S);
	url_is_good_for(d, 1000 * HOUR_S, 168 * HOUR_S);
	d->ops->free(d);
	clock_fake(0);
}

/* ---- one upload at a time ---- */

#define BYTES "the packets"

struct fixture {
	struct bucket_double bucket;
	struct driver *d;
	struct temp_file file;
	char sha256[DIGEST_SHA256_HEX_MAX];
	int fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char endpoint[64];

	assert_non_null(f);
	bucket_double_start(&f->bucket);
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", http_server_port(f->bucket.server));
	f->d = driver_at(endpoint, &fixed);
	temp_file_init(&f->file);
	temp_file_write(&f->file, BYTES, strlen(BYTES));
	digest_sha256_hex(BYTES, strlen(BYTES), f->sha256);
	assert_true((f->fd = open(f->file.path, O_RDONLY | O_CLOEXEC)) >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->d->ops->free(f->d);
	bucket_double_stop(&f->bucket);
	close(f->fd);
	temp_file_done(&f->file);
	free(f);
	return 0;
}

/* One call in a thread of its own, and what came of it. */
struct doing {
	struct fixture *f;
	void *upload;
	pthread_t thread;
	struct err err;
	int rc;
};

static void *do_upload(void *arg)
{
	struct doing *w = arg;
	char *part = NULL;

	w->rc = w->f->d->ops->upload_part(w->upload, 1, true, w->f->fd, strlen(BYTES), w->f->sha256, &part, &w->err);
	free(part);
	return NULL;
}

static void *do_open(void *arg)
{
	struct doing *w = arg;

	w->rc = w->f->d->ops->upload_open(w->upload, &w->err);
	return NULL;
}

static void *do_erase(void *arg)
{
	struct doing *w = arg;
	struct driver_erased erased = {0};

	w->rc = w->f->d->ops->erase(w->f->d, "captures/old.pcapng", &erased, &w->err);
	return NULL;
}

static void *do_examine(void *arg)
{
	struct doing *w = arg;
	struct driver_findings found = {0};

	w->rc = w->f->d->ops->examine(w->f->d, &found, &w->err);
	return NULL;
}

static void begin(struct doing *w, struct fixture *f, const char *key)
{
	const struct driver_tags tags = {"01j00000000000000000000000", "alice", "acme", "", "pcapline"};

	*w = (struct doing){.f = f};
	if (key && !(w->upload = f->d->ops->upload_begin(f->d, key, &tags, "", &w->err)))
		fail_msg("%s", w->err.msg);
}

static void start(struct doing *w, void *(*what)(void *))
{
	assert_int_equal(pthread_create(&w->thread, NULL, what, w), 0);
}

static void ends(struct doing *w, enum err_code want)
{
	pthread_join(w->thread, NULL);
	if (w->err.code != want)
		fail_msg("%s: %s", err_code_name(w->err.code), w->err.msg);
	assert_int_equal(w->rc, want == ERR_NONE ? 0 : -1);
	if (w->upload)
		w->f->d->ops->upload_free(w->upload);
}

/* While all uploads that may be are under way and slow: what else is asked does not wait for them, and who waits can be given up. */
static void test_slow_uploads(void **state)
{
	struct fixture *f = *state;
	struct driver_erased erased = {0};
	struct doing slow, waits, given_up;
	struct err err = {0};

	bucket_double_version(&f->bucket, "captures/old.pcapng", "null", false, 5);
	begin(&slow, f, "captures/a.pcapng");
	begin(&waits, f, "captures/b.pcapng");
	begin(&given_up, f, "captures/c.pcapng");
	bucket_double_hold(&f->bucket, "PUT", "object");
	start(&slow, do_upload);
	bucket_double_held(&f->bucket, 1);
	start(&waits, do_upload);
	start(&given_up, do_upload);

	assert_int_equal(f->d->ops->check(f->d, &err), 0);
	assert_int_equal(f->d->ops->erase(f->d, "captures/old.pcapng", &erased, &err), 0);
	assert_int_equal(erased.objects, 1);
	f->d->ops->upload_cancel(given_up.upload);
	ends(&given_up, ERR_CANCELLED);
	bucket_double_settle(&f->bucket);
	assert_int_equal(f->bucket.held, 1); /* uploads do wait for each other */

	bucket_double_release(&f->bucket);
	ends(&slow, ERR_NONE);
	ends(&waits, ERR_NONE);
}

/* An upload is opened by looking what else is open: that too is given up with it. */
static void test_upload_cancel(void **state)
{
	struct fixture *f = *state;
	struct doing opening;

	begin(&opening, f, "captures/a.pcapng");
	bucket_double_hold(&f->bucket, "GET", "uploads");
	start(&opening, do_open);
	bucket_double_held(&f->bucket, 1);
	f->d->ops->upload_cancel(opening.upload);
	ends(&opening, ERR_CANCELLED);
}

/* ---- the end ---- */

/* The store hangs, and the gateway ends: nobody waits, whatever was asked. */
static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct doing erasing, examining, uploading, waiting;
	struct err err = {0};
	char bytes[3];

	begin(&erasing, f, NULL);
	begin(&examining, f, NULL);
	begin(&uploading, f, "captures/a.pcapng");
	begin(&waiting, f, "captures/b.pcapng");
	bucket_double_hold(&f->bucket, "PUT", "object");
	start(&uploading, do_upload);
	bucket_double_held(&f->bucket, 1);
	start(&waiting, do_upload);
	bucket_double_hold(&f->bucket, "GET", "uploads");
	start(&erasing, do_erase);
	start(&examining, do_examine); /* it begins by erasing what it may have left */
	bucket_double_held(&f->bucket, 3);

	f->d->ops->cancel(f->d);
	ends(&erasing, ERR_CANCELLED);
	ends(&uploading, ERR_CANCELLED);
	ends(&waiting, ERR_CANCELLED);
	pthread_join(examining.thread, NULL);

	/* Nor does what comes; but who is being sent an object gets it. */
	assert_int_equal(f->d->ops->check(f->d, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	bucket_double_say(&f->bucket, "GET", "object", 206, "abc");
	err = (struct err){0};
	if (f->d->ops->read(f->d, "captures/old.pcapng", 0, bytes, sizeof(bytes), &err) < 0)
		fail_msg("%s", err.msg);
	assert_memory_equal(bytes, "abc", 3);
}

static int group_setup(void **state)
{
	(void)state;
	return http_client_global_init(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links_end_with_keys),
		cmocka_unit_test_setup_teardown(test_slow_uploads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_upload_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
