/* test_s3_access.c - what policies, ACLs and statuses say of strangers and of plain http. */
#include "uploader/s3/s3_access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define EVERYBODY "\"Principal\":\"*\","
#define ALL       "\"Action\":\"s3:*\",\"Resource\":[\"arn:aws:s3:::b\",\"arn:aws:s3:::b/*\"]"
#define NOT_TLS   "\"Condition\":{\"BoolIfExists\":{\"aws:SecureTransport\":\"false\"}}"
#define DENY      "\"Effect\":\"Deny\","
#define ALLOW     "\"Effect\":\"Allow\","
#define ONE(s)    "{\"Version\":\"2012-10-17\",\"Statement\":[{" s "}]}"

static const struct {
	const char *what, *json;
	enum s3_plain_http plain_http;
	bool is_public;
} policies[] = {
	{"as recommended", ONE(DENY EVERYBODY ALL "," NOT_TLS), S3_PLAIN_HTTP_DENIED, false},
	{"one statement, no list", "{\"Statement\":{" DENY EVERYBODY ALL "," NOT_TLS "}}", S3_PLAIN_HTTP_DENIED, false},
	{"the second of two", "{\"Statement\":[{\"Effect\":\"Allow\"},{" DENY EVERYBODY ALL "," NOT_TLS "}]}",
		S3_PLAIN_HTTP_DENIED, false},
	{"AWS: *", ONE(DENY "\"Principal\":{\"AWS\":\"*\"}," ALL "," NOT_TLS), S3_PLAIN_HTTP_DENIED, false},
	{"AWS: [*]", ONE(DENY "\"Principal\":{\"AWS\":[\"x\",\"*\"]}," ALL "," NOT_TLS), S3_PLAIN_HTTP_DENIED, false},
	{"Bool", ONE(DENY EVERYBODY ALL ",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}}"),
		S3_PLAIN_HTTP_DENIED_IF_KNOWN, false},
	{"a JSON false", ONE(DENY EVERYBODY ALL ",\"Condition\":{\"BoolIfExists\":{\"aws:SecureTransport\":false}}"),
		S3_PLAIN_HTTP_DENIED, false},
	{"a list of one, other case",
		ONE(DENY EVERYBODY ALL ",\"Condition\":{\"BoolIfExists\":{\"AWS:securetransport\":[\"False\"]}}"),
		S3_PLAIN_HTTP_DENIED, false},
	{"actions one by one",
		ONE(DENY EVERYBODY
			"\"Action\":[\"s3:Get*\",\"S3:putobject\"],\"Resource\":\"arn:aws-cn:s3:::b/*\"," NOT_TLS),
		S3_PLAIN_HTTP_DENIED, false},
	{"our prefix alone", ONE(DENY EVERYBODY "\"Action\":\"*\",\"Resource\":\"arn:aws:s3:::b/captures/*\"," NOT_TLS),
		S3_PLAIN_HTTP_DENIED, false},
	{"every resource", ONE(DENY EVERYBODY "\"Action\":\"s3:?*\",\"Resource\":\"*\"," NOT_TLS), S3_PLAIN_HTTP_DENIED,
		false},
	/* no praise */
	{"denied over TLS",
		ONE(DENY EVERYBODY ALL ",\"Condition\":{\"BoolIfExists\":{\"aws:SecureTransport\":\"true\"}}"),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"no condition", ONE(DENY EVERYBODY ALL), S3_PLAIN_HTTP_ALLOWED, false},
	{"Allow", ONE(ALLOW EVERYBODY ALL "," NOT_TLS), S3_PLAIN_HTTP_ALLOWED, false},
	{"for one user", ONE(DENY "\"Principal\":{\"AWS\":\"arn:aws:iam::1:user/x\"}," ALL "," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"but for one", ONE(DENY "\"NotPrincipal\":{\"AWS\":\"arn:aws:iam::1:user/x\"}," ALL "," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"reading alone", ONE(DENY EVERYBODY "\"Action\":\"s3:Get*\",\"Resource\":\"*\"," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"writing alone", ONE(DENY EVERYBODY "\"Action\":\"s3:PutObject\",\"Resource\":\"*\"," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"the bucket without its objects",
		ONE(DENY EVERYBODY "\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b\"," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"another bucket", ONE(DENY EVERYBODY "\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b2/*\"," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"another prefix", ONE(DENY EVERYBODY "\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/logs/*\"," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"NotResource", ONE(DENY EVERYBODY "\"Action\":\"s3:*\",\"NotResource\":\"arn:aws:s3:::b/x\"," NOT_TLS),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"one more key",
		ONE(DENY EVERYBODY ALL
			",\"Condition\":{\"BoolIfExists\":{\"aws:SecureTransport\":\"false\",\"aws:x\":\"true\"}}"),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"one more operator",
		ONE(DENY EVERYBODY ALL ",\"Condition\":{\"BoolIfExists\":{\"aws:SecureTransport\":\"false\"},"
				       "\"StringEquals\":{\"aws:x\":\"y\"}}"),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"another operator",
		ONE(DENY EVERYBODY ALL ",\"Condition\":{\"StringEquals\":{\"aws:SecureTransport\":\"false\"}}"),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"odd types", ONE("\"Effect\":7,\"Principal\":[],\"Action\":{},\"Resource\":null,\"Condition\":\"x\""),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"statements that are none", "{\"Statement\":[1,\"x\",null,[],{}]}", S3_PLAIN_HTTP_ALLOWED, false},
	{"none", "{\"Statement\":[]}", S3_PLAIN_HTTP_ALLOWED, false},
	/* public */
	{"everybody may all", ONE(ALLOW EVERYBODY ALL), S3_PLAIN_HTTP_ALLOWED, true},
	{"everybody may list", ONE(ALLOW EVERYBODY "\"Action\":\"s3:ListBucket\",\"Resource\":\"arn:aws:s3:::b\""),
		S3_PLAIN_HTTP_ALLOWED, true},
	{"AWS: * may read",
		ONE(ALLOW
			"\"Principal\":{\"AWS\":\"*\"},\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::b/*\""),
		S3_PLAIN_HTTP_ALLOWED, true},
	{"all but one", ONE(ALLOW "\"NotPrincipal\":{\"AWS\":\"x\"}," ALL), S3_PLAIN_HTTP_ALLOWED, true},
	{"all but some objects", ONE(ALLOW EVERYBODY "\"Action\":\"s3:*\",\"NotResource\":\"arn:aws:s3:::b/x\""),
		S3_PLAIN_HTTP_ALLOWED, true},
	{"others' objects", ONE(ALLOW EVERYBODY "\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/site/*\""),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"from one network",
		ONE(ALLOW EVERYBODY ALL ",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}"),
		S3_PLAIN_HTTP_ALLOWED, false},
	{"one user", ONE(ALLOW "\"Principal\":{\"AWS\":\"arn:aws:iam::1:root\"}," ALL), S3_PLAIN_HTTP_ALLOWED, false},
	{"public, but not by plain http",
		"{\"Statement\":[{" ALLOW EVERYBODY ALL "},{" DENY EVERYBODY ALL "," NOT_TLS "}]}",
		S3_PLAIN_HTTP_DENIED, true},
};

static void test_policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		struct s3_policy_judgement j;
		struct err err = {0};

		if (s3_access_policy(policies[i].json, strlen(policies[i].json), "b", "captures", &j, &err) < 0)
			fail_msg("%s: %s", policies[i].what, err.msg);
		if (j.plain_http != policies[i].plain_http || j.is_public != policies[i].is_public)
			fail_msg("%s: plain http %d, public %d", policies[i].what, (int)j.plain_http, (int)j.is_public);
	}
}

static void test_no_policies(void **state)
{
	static const char *const bad[] = {"", "{}", "[]", "7", "{\"Statement\":7}", "{\"Statement\":[}", "<html>",
		"{\"Statement\":[]} x", "{\"Statement\":[],\"Statement\":[]}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct s3_policy_judgement j;
		struct err err = {0};

		if (s3_access_policy(bad[i], strlen(bad[i]), "b", "captures", &j, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, ERR_INPUT);
	}
}

/* Patterns that would keep a backtracking matcher busy for longer than anybody waits. */
static void test_stars(void **state)
{
	char json[4096], stars[1024];
	struct s3_policy_judgement j;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(stars) - 2; i += 2)
		memcpy(stars + i, "*/", 2);
	stars[sizeof(stars) - 2] = '\0';
	snprintf(json, sizeof(json), ONE(ALLOW EVERYBODY "\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::%s!\""),
		stars);
	assert_int_equal(s3_access_policy(json, strlen(json), "b", "captures", &j, &err), 0);
	assert_false(j.is_public);
}

#define GRANT(grantee) "<Grant><Grantee>" grantee "</Grantee><Permission>READ</Permission></Grant>"
#define ACL(grants)                                                                                                    \
	"<AccessControlPolicy><Owner><ID>x</ID></Owner><AccessControlList>" grants                                     \
	"</AccessControlList></AccessControlPolicy>"
#define GROUP(name) "<URI>http://acs.amazonaws.com/groups/" name "</URI>"

static void test_acls(void **state)
{
	static const struct {
		const char *xml;
		int rc;
		bool is_public;
	} cases[] = {
		{ACL(GRANT("<ID>x</ID>")), 0, false},
		{ACL(""), 0, false},
		{ACL("<Grant/>"), 0, false},
		{"<AccessControlPolicy/>", 0, false},
		{ACL(GRANT("<ID>x</ID>") GRANT(GROUP("global/AllUsers"))), 0, true},
		{ACL(GRANT(GROUP("global/AuthenticatedUsers")) GRANT("<ID>x</ID>")), 0, true},
		{ACL(GRANT(GROUP("s3/LogDelivery"))), 0, false},
		{"<AccessControlPolicy><AccessControlList/><AccessControlList/></AccessControlPolicy>", -1, false},
		{"<ListBucketResult/>", -1, false},
		{"<html>", -1, false},
		{"", -1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_public = false;
		struct err err = {0};
		int rc = s3_access_acl(cases[i].xml, strlen(cases[i].xml), &is_public, &err);

		if (rc != cases[i].rc || is_public != cases[i].is_public)
			fail_msg("%s: %d, %d: %s", cases[i].xml, rc, (int)is_public, err.msg);
	}
}

static void test_policy_status(void **state)
{
	static const struct {
		const char *xml;
		int rc;
		bool is_public;
	} cases[] = {
		{"<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>", 0, true},
		{"<PolicyStatus xmlns=\"x\"><IsPublic>FALSE</IsPublic></PolicyStatus>", 0, false},
		{"<PolicyStatus><IsPublic>maybe</IsPublic></PolicyStatus>", -1, false},
		{"<PolicyStatus/>", -1, false},
		{"<Other/>", -1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_public = false;
		struct err err = {0};

		assert_int_equal(
			s3_access_policy_status(cases[i].xml, strlen(cases[i].xml), &is_public, &err), cases[i].rc);
		assert_int_equal(is_public, cases[i].is_public);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_no_policies),
		cmocka_unit_test(test_stars),
		cmocka_unit_test(test_acls),
		cmocka_unit_test(test_policy_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
