/* test_config_storage.c - schema/config_storage.c: which storage configurations fit together, and in which words the others are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/config_gateway.h"
#include "temp_file.h"

#include <stdio.h>
#include <string.h>

#define AGENTS  "agents: {ca: a, certificate: c, private_key: k}\n"
#define KEYS    ", access_key: AK, secret_key: hidden-word"
#define PLACE   "endpoint: 'https://s3.example.org', bucket: caps"
#define S3      "storage: {driver: s3}\ns3: {" PLACE KEYS
#define S3_V2   "storage: {driver: s3, job_max: 5GiB}\ns3: {signature_version: 2, " PLACE
#define NO_KEYS "storage: {driver: s3}\ns3: {" PLACE

struct row {
	const char *text, *says; /* NULL: taken */
};

static void check(const struct row *rows, size_t n)
{
	struct temp_file t;

	temp_file_init(&t);
	for (size_t i = 0; i < n; i++) {
		struct config_gateway c;
		struct err err = {0};
		char text[800];
		int rc;

		snprintf(text, sizeof(text), AGENTS "%s", rows[i].text);
		temp_file_write(&t, text, strlen(text));
		rc = config_gateway_load(t.path, &c, &err);
		if (rc == 0)
			config_gateway_done(&c);
		if (rc != (rows[i].says ? -1 : 0))
			fail_msg("%s: %d %s", rows[i].text, rc, err.msg);
		if (rc == 0)
			continue;
		snprintf(text, sizeof(text), "%s: %s", t.path, rows[i].says);
		if (strncmp(err.msg, text, strlen(text)) != 0)
			fail_msg("%s\nis told: %s\nnot:     %s", rows[i].text, err.msg, text);
		if (err.code != ERR_INPUT || strstr(err.msg, "hidden-word"))
			fail_msg("%s", err.msg);
	}
	temp_file_done(&t);
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void the_least_that_s3_needs(void **state)
{
	static const struct row rows[] = {
		{S3 "}\n", NULL},
		{"storage: {driver: s3}\n", "s3.endpoint: must be given with storage.driver s3"},
		{"storage: {driver: s3}\ns3: {bucket: caps" KEYS "}\n", "s3.endpoint: must be given"},
		{"storage: {driver: s3}\ns3: {endpoint: 'https://a.b'" KEYS "}\n", "s3.bucket: must be given"},
		{"storage: {driver: s3, path: /x}\ns3: {" PLACE KEYS "}\n",
			"storage.path: \"/x\" is for storage.driver file, not s3"},
		{"storage: {driver: tape}\n", "storage.driver: \"tape\" is none of file|s3"},
		{"storage: {links: never}\n", "storage.links: \"never\" is none of direct|gateway"},
	};

	(void)state;
	CHECK(rows);
}

static void endpoints(void **state)
{
	static const struct {
		const char *endpoint, *more, *says;
	} rows[] = {
		{"https://s3.example.org/", "", NULL},
		{"https://s3.example.org:8443", "", NULL},
		{"https://10.0.0.1", "", NULL},
		{"https://[fd00::1]:7480", "", NULL},
		{"http://s3.example.org", ", allow_http: true", NULL},
		{"https://s3.example.org", ", ca: ca.pem, path_style: false", NULL},
		{"http://s3.example.org", "",
			"s3.endpoint: \"http://s3.example.org\" is not encrypted; use https://, or say s3.allow_http: "
			"true"},
		{"http://s3.example.org", ", allow_http: true, ca: ca.pem",
			"s3.ca: \"ca.pem\" is of no use to the endpoint \"http://s3.example.org\""},
		{"ftp://s3.example.org", "",
			"s3.endpoint: \"ftp://s3.example.org\" begins with neither https:// nor http://"},
		{"s3.example.org", "", "s3.endpoint: \"s3.example.org\" begins with neither"},
		{"https://", "", "s3.endpoint: \"https:/\" begins with neither"},
		{"https://s3.example.org/caps", "",
			"s3.endpoint: \"https://s3.example.org/caps\" has a path or a query; it must end after host "
			"and port"},
		{"https://s3.example.org?x=1", "", "s3.endpoint: \"https://s3.example.org?x=1\" has a path or a query"},
		{"https://AK:hidden-word@s3.example.org", "", "s3.endpoint: holds a user or an '@'"},
		{"https://s3.example.org:0", "", "s3.endpoint: port: \"0\" is not within 1..65535"},
		{"https://s3 example.org", "", "s3.endpoint: \"s3 example.org\" is not host:port"},
		{"https://10.0.0.1", ", path_style: false",
			"s3.path_style: false needs a host name in s3.endpoint, not the address \"10.0.0.1\""},
		{"https://[fd00::1]", ", path_style: false", "s3.path_style: false needs a host name"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[600];
		struct row r = {text, rows[i].says};

		snprintf(text, sizeof(text),
			"storage: {driver: s3}\ns3: {endpoint: '%s', bucket: caps, access_key: A, secret_key: "
			"hidden-word%s}\n",
			rows[i].endpoint, rows[i].more);
		check(&r, 1);
	}
}

static void buckets_are_named_by_the_rules(void **state)
{
	static const struct {
		const char *name, *says;
	} rows[] = {
		{"abc", NULL},
		{"1-a.b-2", NULL},
		{"a23456789012345678901234567890123456789012345678901234567890123", NULL},
		{"ab", "has not 3 to 63 characters"},
		{"Captures", "is not made of lower-case letters, digits, '.' and '-'"},
		{"cap_tures", "is not made of"},
		{"cap/tures", "is not made of"},
		{"-abc", "does not begin and end with a letter or a digit"},
		{"abc.", "does not begin and end"},
		{"a..b", "has two dots in a row"},
		{"192.168.0.1", "looks like an address"},
		{"xn--abc", "begins as S3 keeps for itself"},
		{"abc-s3alias", "ends as S3 keeps for itself"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[400], says[200];
		struct row r = {text, rows[i].says ? says : NULL};

		snprintf(text, sizeof(text),
			"storage: {driver: s3}\ns3: {endpoint: 'https://a.b', bucket: '%s'" KEYS "}\n", rows[i].name);
		snprintf(says, sizeof(says), "s3.bucket: \"%s\" %s", rows[i].name, rows[i].says ? rows[i].says : "");
		check(&r, 1);
	}
}

static void keys_come_from_one_place(void **state)
{
	static const struct row rows[] = {
		{S3 ", session_token: t}\n", NULL},
		{NO_KEYS "}\n", "s3.access_key: must be given with s3.credentials static"},
		{NO_KEYS ", secret_key: hidden-word}\n", "s3.access_key: must be given with s3.credentials static"},
		{NO_KEYS ", access_key: a}\n", "s3.secret_key: must be given with s3.credentials static"},
		{NO_KEYS ", credentials: environment}\n", NULL},
		{S3 ", credentials: environment}\n",
			"s3.access_key: is for credentials static and must not be given with "
			"s3.credentials environment"},
		{NO_KEYS ", credentials: instance, secret_key: hidden-word}\n",
			"s3.secret_key: is for credentials static"},
		{NO_KEYS ", credentials: instance, session_token: hidden-word}\n",
			"s3.session_token: is for credentials"},
		{NO_KEYS ", credentials: file}\n", "s3.credentials_file: must be given with s3.credentials file"},
		{NO_KEYS ", credentials: file, credentials_file: f, profile: p}\n", NULL},
		{S3 ", credentials_file: f}\n",
			"s3.credentials_file: is for credentials file and must not be given with "
			"s3.credentials static"},
		{S3 ", profile: f}\n", "s3.profile: is for credentials file"},
		{S3 ", imds_url: 'http://1.2.3.4'}\n", "s3.imds_url: is for credentials instance"},
		{NO_KEYS ", credentials: instance, imds_url: 'http://169.254.169.254'}\n", NULL},
		{NO_KEYS ", credentials: instance, imds_url: 'http://1.2.3.4/x'}\n",
			"s3.imds_url: \"http://1.2.3.4/x\" has a path or a query"},
	};

	(void)state;
	CHECK(rows);
}

static void encryption(void **state)
{
	static const struct row rows[] = {
		{S3 ", encryption: AES256}\n", NULL},
		{S3 ", encryption: 'aws:kms', kms_key_id: k}\n", NULL},
		{S3 ", kms_key_id: k}\n",
			"s3.kms_key_id: \"k\" is for s3.encryption aws:kms and must not be given with none"},
		{S3 ", encryption: AES256, kms_key_id: k}\n", "s3.kms_key_id: \"k\" is for s3.encryption aws:kms"},
		{"storage: {driver: s3}\ns3: {endpoint: 'http://a.b', allow_http: true, bucket: caps, encryption: "
		 "'aws:kms'" KEYS "}\n",
			"s3.encryption: aws:kms is taken over https:// only, not by \"http://a.b\""},
	};

	(void)state;
	CHECK(rows);
}

static void sizes(void **state)
{
	static const struct row rows[] = {
		{"storage: {driver: s3, chunk: 5MiB}\ns3: {" PLACE KEYS "}\n", NULL},
		{"storage: {driver: s3, chunk: 4MiB}\ns3: {" PLACE KEYS "}\n",
			"storage.chunk: 4MiB is less than s3.part_min, 5MiB"},
		{"storage: {driver: s3, chunk: 64KiB}\ns3: {part_min: 64KiB, " PLACE KEYS "}\n", NULL},
		{"storage: {driver: s3, job_max: 5TiB}\ns3: {" PLACE KEYS "}\n", NULL},
		{"storage: {driver: s3, job_max: 6TiB}\ns3: {" PLACE KEYS "}\n",
			"storage.job_max: 6TiB is more than 5TiB"},
		{"storage: {job_max: 6TiB}\n", NULL},
		{"storage: {spool_job_max: 16MiB}\n", NULL},
		{"storage: {spool_job_max: 0, spool_max: 0}\n", NULL},
		{"storage: {spool_job_max: 16777215}\n",
			"storage.spool_job_max: 16777215 is less than 16MiB, twice storage.chunk; 0 is no limit"},
		{"storage: {spool_max: 1GiB}\n",
			"storage.spool_max: 1GiB is less than 2GiB, storage.spool_job_max; 0 is no limit"},
		{"storage: {spool_job_max: 0, spool_max: 8MiB}\n",
			"storage.spool_max: 8MiB is less than 16MiB, twice storage.chunk; 0 is no limit"},
	};

	(void)state;
	CHECK(rows);
}

static void what_signature_version_2_cannot(void **state)
{
	static const struct row rows[] = {
		{S3_V2 KEYS "}\n", NULL},
		{S3_V2 KEYS ", part_min: 1GiB}\n", NULL}, /* it knows no parts */
		{S3_V2 ", credentials: environment}\n", NULL},
		{"storage: {driver: s3}\ns3: {signature_version: 2, " PLACE KEYS "}\n",
			"storage.job_max: 10GiB is more than 5GiB, the most that one PUT of s3.signature_version 2 "
			"takes"},
		{"storage: {driver: s3, job_max: 5GiB, strict: true}\ns3: {signature_version: 2, " PLACE KEYS "}\n",
			"storage.strict: what it asks for"},
		{S3_V2 KEYS ", encryption: AES256}\n",
			"s3.encryption: AES256 cannot be asked for with s3.signature_version 2"},
		{S3_V2 KEYS ", session_token: hidden-word}\n",
			"s3.session_token: cannot be sent with s3.signature_version 2"},
		{S3_V2 ", credentials: instance}\n", "s3.credentials: keys of an instance have a session token"},
	};

	(void)state;
	CHECK(rows);
}

static void s3_without_its_driver_is_a_mistake(void **state)
{
	static const struct row rows[] = {
		{"s3: {region: us-east-1}\n", NULL}, /* the default, said */
		{"s3: {bucket: caps}\n",
			"s3.bucket: is given while storage.driver is \"file\"; say storage.driver: s3"},
		{"s3: {secret_key: hidden-word}\n", "s3.secret_key: is given while storage.driver is \"file\""},
		{"s3: {parallel: 5}\n", "s3.parallel: is given while storage.driver is \"file\""},
		{"s3: {lifecycle: false}\n", "s3.lifecycle: is given while storage.driver is \"file\""},
		{"s3: {connect_timeout: 11s}\n", "s3.connect_timeout: is given"},
	};

	(void)state;
	CHECK(rows);
}

static void values_arrive(void **state)
{
	static const char text[] =
		AGENTS "storage: {driver: s3, strict: true, links: gateway, spool_job_max: 1GiB, spool_max: 3GiB}\n"
		       "s3: {endpoint: 'https://s3.example.org/', bucket: caps, region: eu-central-1, path_style: "
		       "false, access_key: "
		       "AK,\n secret_key: SK, session_token: ST, encryption: AES256, part_min: 6MiB, parallel: 2, "
		       "connections: "
		       "3,\n connect_timeout: 4s, idle_timeout: 5s, lifecycle: false}\n";
	struct config_gateway c;
	struct err err = {0};
	struct temp_file t;

	(void)state;
	temp_file_init(&t);
	temp_file_write(&t, text, strlen(text));
	if (config_gateway_load(t.path, &c, &err) < 0)
		fail_msg("%s", err.msg);
	temp_file_done(&t);
	assert_true(c.storage_strict);
	assert_string_equal(c.storage_links, "gateway");
	assert_int_equal(c.storage_spool_job_max_bytes, UINT64_C(1) << 30);
	assert_int_equal(c.storage_spool_max_bytes, UINT64_C(3) << 30);
	assert_string_equal(c.s3.endpoint, "https://s3.example.org");
	assert_string_equal(c.s3.bucket, "caps");
	assert_string_equal(c.s3.region, "eu-central-1");
	assert_string_equal(c.s3.signature_version, "4");
	assert_false(c.s3.path_style);
	assert_false(c.s3.allow_http);
	assert_string_equal(c.s3.access_key, "AK");
	assert_string_equal(c.s3.secret_key, "SK");
	assert_string_equal(c.s3.session_token, "ST");
	assert_string_equal(c.s3.encryption, "AES256");
	assert_int_equal(c.s3.part_min_bytes, 6 << 20);
	assert_int_equal(c.s3.parallel, 2);
	assert_int_equal(c.s3.connections, 3);
	assert_int_equal(c.s3.connect_timeout_ms, 4000);
	assert_int_equal(c.s3.idle_timeout_ms, 5000);
	assert_false(c.s3.lifecycle);
	config_gateway_done(&c);
	assert_null(c.s3.secret_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_that_s3_needs),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(buckets_are_named_by_the_rules),
		cmocka_unit_test(keys_come_from_one_place),
		cmocka_unit_test(encryption),
		cmocka_unit_test(sizes),
		cmocka_unit_test(what_signature_version_2_cannot),
		cmocka_unit_test(s3_without_its_driver_is_a_mistake),
		cmocka_unit_test(values_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
