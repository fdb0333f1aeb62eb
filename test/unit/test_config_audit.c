/* test_config_audit.c - schema/config_audit.c: which webhooks may be configured, and what they are told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/config_gateway.h"
#include "test/unit/temp_file.h"

#include <stdio.h>
#include <string.h>

#define AGENTS "agents: {ca: a, certificate: c, private_key: k}\n"

static int load(const char *text, struct config_gateway *ret, struct err *err)
{
	struct temp_file t;
	char all[800];
	int rc;

	temp_file_init(&t);
	snprintf(all, sizeof(all), AGENTS "%s", text);
	temp_file_write(&t, all, strlen(all));
	rc = config_gateway_load(t.path, ret, err);
	temp_file_done(&t);
	return rc;
}

static void test_webhook(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: taken */
	} rows[] = {
		{"", NULL},
		{"webhook: {url: 'https://x.test/y', secret_file: s}", NULL},
		{"webhook: {url: 'https://x.test/y'}", "webhook.secret_file: is needed"},
		{"webhook: {url: 'http://127.0.0.1:1/', secret_file: s}", "webhook.url: "},
		{"webhook: {url: 'http://127.0.0.1:1/', secret_file: s, allow_http: true}", NULL},
		{"webhook: {url: 'http://localhost/', secret_file: s, allow_http: true}", NULL},
		{"webhook: {url: 'http://[::1]:80/', secret_file: s, allow_http: true}", NULL},
		{"webhook: {url: 'http://x.test/', secret_file: s, allow_http: true}", "webhook.url: "},
		{"webhook: {url: 'http://127.0.0.1.x.test/', secret_file: s, allow_http: true}", "webhook.url: "},
		{"webhook: {url: 'http://127.0.0.1:1@x.test/', secret_file: s, allow_http: true}", "webhook.url: "},
		{"webhook: {url: 'ftp://x.test/', secret_file: s}", "webhook.url: "},
		{"webhook: {url: 'https://x.test/ y', secret_file: s}", "webhook.url: "},
		{"webhook: {events: [capture.start, capture.stopp]}", "webhook.events: \"capture.stopp\" is no action"},
		{"audit: {syslog: remote}", "audit.syslog: "},
		{"audit: {file_max: 1KiB}", "audit.file_max: "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_gateway c;
		struct err err = {0};
		int rc = load(rows[i].text, &c, &err);

		if (rc == 0)
			config_gateway_done(&c);
		if (rc != (rows[i].says ? -1 : 0) || (rc < 0 && !strstr(err.msg, rows[i].says)))
			fail_msg("%s: %d %s", rows[i].text, rc, err.msg);
	}
}

static void test_events(void **state)
{
	struct config_gateway c;

	(void)state;
	assert_int_equal(load("", &c, NULL), 0);
	assert_true(config_webhook_wants(&c, "capture.start") && config_webhook_wants(&c, "admin.purge") &&
		    config_webhook_wants(&c, "admin.purged"));
	assert_false(config_webhook_wants(&c, "capture.stop"));
	config_gateway_done(&c);
	assert_int_equal(load("webhook: {events: [capture.stop]}", &c, NULL), 0);
	assert_true(config_webhook_wants(&c, "capture.stop"));
	assert_false(config_webhook_wants(&c, "capture.start"));
	config_gateway_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_webhook), cmocka_unit_test(test_events)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
