/* test_driver_s3_links.c - the driver for signature version 4 as a whole: how long its links are good. */
#include "common/clock.h"
#include "common/http_client.h"
#include "test/unit/imds_double.h"
#include "uploader/driver_s3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS (1767607200 * CLOCK_NS_PER_S) /* 2026-01-05 10:00 */
#define HOUR_S UINT64_C(3600)

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
	keys = (struct s3_credentials_options){
		.source = S3_SOURCE_STATIC, .access_key = "AK", .secret_key = "SK", .session_token = ""};
	d = driver_at("http://127.0.0.1:1", &keys);
	url_is_good_for(d, 2 * HOUR_S, 2 * HOUR_S);
	url_is_good_for(d, 1000 * HOUR_S, 168 * HOUR_S);
	d->ops->free(d);
	clock_fake(0);
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
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
