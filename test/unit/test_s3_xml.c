/* test_s3_xml.c - S3's documents: as AWS documents them, as radosgw 16.2 gave them (texts marked RGW are its own words), and as somebody hostile would.
 * The lifecycle has its own, test_s3_lifecycle.c. */
#include "uploader/s3/s3_xml.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DECL "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

#define INITIATE(inside) "<InitiateMultipartUploadResult>" inside "</InitiateMultipartUploadResult>"

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

/* head, then unit n times, then tail; the caller frees. */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
	struct buf b;
	char *text;

	buf_init(&b, 64 << 20);
	assert_int_equal(buf_add_str(&b, head, NULL), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_add_str(&b, unit, NULL), 0);
	assert_int_equal(buf_add_str(&b, tail, NULL), 0);
	text = strdup(buf_str(&b));
	assert_non_null(text);
	buf_done(&b);
	return text;
}

/* ---- <Error> ---- */

static const struct {
	const char *what, *xml, *code, *message, *region, *endpoint, *server_time;
} errors[] = {
	{"AWS, API Reference, Error Responses",
		DECL
		"\n<Error>\n  <Code>NoSuchKey</Code>\n  <Message>The resource you requested does not exist</Message>\n"
		"  <Resource>/mybucket/myfoto.jpg</Resource> \n  <RequestId>4442587FB7D0A2F9</RequestId>\n</Error>",
		"NoSuchKey", "The resource you requested does not exist", "", "", ""},
	{"RGW: no message",
		DECL "<Error><Code>NoSuchKey</Code><Message></Message><BucketName>bkt</BucketName>"
		     "<RequestId>tx000005f2afb3a00fcb4fa-006b04335f-100d-default</RequestId>"
		     "<HostId>100d-default-default</HostId></Error>",
		"NoSuchKey", "", "", "", ""},
	{"a bucket of another region",
		"<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the "
		"region "
		"'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region></Error>",
		"AuthorizationHeaderMalformed",
		"The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
		"eu-central-1", "", ""},
	{"a bucket that lives elsewhere",
		"<Error><Code>PermanentRedirect</Code><Message/><Endpoint>mybucket.s3.eu-west-1.amazonaws.com</"
		"Endpoint>"
		"<Bucket>mybucket</Bucket></Error>",
		"PermanentRedirect", "", "", "mybucket.s3.eu-west-1.amazonaws.com", ""},
	{"a wrong clock",
		"<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message><RequestTime>20300101T000000Z</"
		"RequestTime>"
		"<ServerTime>2026-11-23T12:36:47Z</ServerTime></Error>",
		"RequestTimeTooSkewed", "m", "", "", "2026-11-23T12:36:47Z"},
	{"with a name space and a prefix", "<s:Error xmlns:s=\"http://x/\"><s:Code>SlowDown</s:Code></s:Error>",
		"SlowDown", "", "", "", ""},
	{"text that is not printable", "<Error><Code>SlowDown</Code><Message>a&#10;b\xc3\xbc</Message></Error>",
		"SlowDown", "a?b??", "", "", ""},
	{"a code that is no word", "<Error><Code>Slow Down</Code><Message>m</Message></Error>", "", "m", "", "", ""},
	{"a code given twice", "<Error><Code>A</Code><Code>B</Code></Error>", "", "", "", "", ""},
	{"a code with elements in it", "<Error><Code>A<b/></Code></Error>", "", "", "", "", ""},
	{"a proxy's page", "<html><head><title>502</title></head><body>Bad Gateway</body></html>", "", "", "", "", ""},
	{"a page with a DOCTYPE", "<!DOCTYPE html><html></html>", "", "", "", "", ""},
	{"a DOCTYPE before an error", "<!DOCTYPE Error><Error><Code>SlowDown</Code></Error>", "", "", "", "", ""},
	{"not XML", "upstream connect error", "", "", "", "", ""},
	{"cut off", "<Error><Code>SlowDown</Code>", "", "", "", "", ""},
	{"nothing", "", "", "", "", "", ""},
};

static void test_error(void **state)
{
	struct s3_error e;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		memset(&e, 'x', sizeof(e));
		print_message("%s\n", errors[i].what);
		s3_xml_error(errors[i].xml, strlen(errors[i].xml), &e);
		assert_string_equal(e.code, errors[i].code);
		assert_string_equal(e.message, errors[i].message);
		assert_string_equal(e.region, errors[i].region);
		assert_string_equal(e.endpoint, errors[i].endpoint);
		assert_string_equal(e.server_time, errors[i].server_time);
	}
}

static void test_error_long(void **state)
{
	char *message = repeat("<Error><Code>SlowDown</Code><Message>", "abcdefgh", 200, "</Message></Error>");
	char *code = repeat("<Error><Code>", "C", S3_CODE_MAX, "</Code></Error>");
	struct s3_error e;

	(void)state;
	s3_xml_error(message, strlen(message), &e);
	assert_string_equal(e.code, "SlowDown");
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1); /* cut: it is for people */
	s3_xml_error(code, strlen(code), &e);
	assert_string_equal(e.code, ""); /* never cut: it is compared */
	free(message);
	free(code);
}

/* ---- hostile documents, through a function that reads one text ---- */

static const struct {
	const char *what, *xml, *says;
	enum err_code code;
} hostile[] = {
	{"nothing", "", "empty", ERR_INPUT},
	{"white space", " \n\t ", "empty", ERR_INPUT},
	{"not XML", "hello", "line 1", ERR_INPUT},
	{"cut off", "<InitiateMultipartUploadResult><UploadId>abc</UploadId>", "line 1", ERR_INPUT},
	{"two roots", INITIATE("<UploadId>a</UploadId>") "<b/>", "line 1", ERR_INPUT},
	{"another document", "<html><body/></html>", "is <html>, not <InitiateMultipartUploadResult>", ERR_INPUT},
	{"DOCTYPE", "<!DOCTYPE a>" INITIATE("<UploadId>a</UploadId>"), "DOCTYPE", ERR_INPUT},
	{"an entity of its own", "<!DOCTYPE a [<!ENTITY e \"x\">]>" INITIATE("<UploadId>&e;</UploadId>"), "DOCTYPE",
		ERR_INPUT},
	{"a billion laughs",
		"<!DOCTYPE a [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c "
		"\"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]>" INITIATE(
			"<UploadId>&d;</UploadId>"),
		"DOCTYPE", ERR_INPUT},
	{"a file by entity",
		"<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>" INITIATE("<UploadId>&e;</UploadId>"),
		"DOCTYPE", ERR_INPUT},
	{"a DTD from the network",
		"<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/a.dtd\">" INITIATE("<UploadId>a</UploadId>"), "DOCTYPE",
		ERR_INPUT},
	{"an entity nobody declared", INITIATE("<UploadId>&e;</UploadId>"), "'e'", ERR_INPUT},
	{"a control character", INITIATE("<UploadId>&#1;</UploadId>"), "line 1", ERR_INPUT},
	{"not UTF-8", INITIATE("<UploadId>\xff</UploadId>"), "line 1", ERR_INPUT},
	{"UTF-16 by its own word", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>" INITIATE("<UploadId>\xc3</UploadId>"),
		"line 1", ERR_INPUT},
	{"no id", INITIATE("<Bucket>b</Bucket>"), "has no <UploadId>", ERR_INPUT},
	{"an empty id", INITIATE("<UploadId/>"), "has no <UploadId>", ERR_INPUT},
	{"two ids", INITIATE("<UploadId>a</UploadId><UploadId>b</UploadId>"), "more than one <UploadId>", ERR_INPUT},
	{"an id with elements in it", INITIATE("<UploadId>a<b/>c</UploadId>"), "more than text", ERR_INPUT},
	{"an id deeper in", INITIATE("<x><UploadId>a</UploadId></x>"), "has no <UploadId>", ERR_INPUT},
};

static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		char id[S3_UPLOAD_ID_MAX] = "as it was";
		struct err err = {0};

		print_message("%s\n", hostile[i].what);
		assert_int_equal(s3_xml_upload_id(hostile[i].xml, strlen(hostile[i].xml), id, &err), -1);
		assert_int_equal(err.code, hostile[i].code);
		assert_contains(err.msg, hostile[i].says);
		assert_string_equal(id, "as it was");
		assert_int_equal(s3_xml_upload_id(hostile[i].xml, strlen(hostile[i].xml), id, NULL), -1);
	}
}

static void refuse_repeated(const char *head, const char *unit, size_t n, const char *tail, const char *says)
{
	char *xml = repeat(head, unit, n, tail), id[S3_UPLOAD_ID_MAX];
	struct err err = {0};

	assert_int_equal(s3_xml_upload_id(xml, strlen(xml), id, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_contains(err.msg, says);
	free(xml);
}

static void test_bounds(void **state)
{
	char *xml, id[S3_UPLOAD_ID_MAX];
	struct err err = {0};

	(void)state;
	refuse_repeated("<a>", "<b>", 30, "", "too deep");
	refuse_repeated("<a>", "<b/>", 40000, "</a>", "too many elements");
	refuse_repeated("<a>", "x", 8192, "</a>", "8192 bytes");
	refuse_repeated("<a ", "b='' ", 2000, "/>", "8192 bytes");
	refuse_repeated("<a b='' c='' d='' e='' f='' g='' h='' i='' j='' k='' l='' m='' n='' o='' p='' q=''", " r=''",
		1, "/>", "too many attributes");
	refuse_repeated("<a>", "<!-- x -->", 900000, "</a>", "8388608");
	refuse_repeated("<InitiateMultipartUploadResult><UploadId>", "u", S3_UPLOAD_ID_MAX,
		"</UploadId></InitiateMultipartUploadResult>", "over 1024 bytes");
	/* In pieces, each of them short. */
	refuse_repeated("<InitiateMultipartUploadResult><UploadId>", "<![CDATA[uuuu]]>", 257,
		"</UploadId></InitiateMultipartUploadResult>", "over 1024 bytes");

	/* Just inside. */
	xml = repeat("<InitiateMultipartUploadResult><UploadId>", "u", S3_UPLOAD_ID_MAX - 1,
		"</UploadId></InitiateMultipartUploadResult>");
	assert_int_equal(s3_xml_upload_id(xml, strlen(xml), id, &err), 0);
	assert_int_equal(strlen(id), S3_UPLOAD_ID_MAX - 1);
	free(xml);
	xml = repeat("<InitiateMultipartUploadResult><UploadId>2~a</UploadId><x>", "<y>", 14, "");
	assert_int_equal(s3_xml_upload_id(xml, strlen(xml), id, &err), -1);
	assert_int_equal(err.code, ERR_INPUT); /* 16 deep, but nothing closed */
	free(xml);
	assert_int_equal(s3_xml_upload_id("<a>\0</a>", 8, id, &err), -1);
	assert_contains(err.msg, "NUL");
}

/* libxml2 likes to talk on stderr. */
static void test_silent(void **state)
{
	FILE *said = tmpfile();
	int keep = dup(STDERR_FILENO);
	struct stat st;

	assert_non_null(said);
	assert_true(keep >= 0);
	fflush(stderr);
	assert_true(dup2(fileno(said), STDERR_FILENO) >= 0);
	test_hostile(state);
	test_error(state);
	fflush(stderr);
	assert_true(dup2(keep, STDERR_FILENO) >= 0);
	assert_int_equal(fstat(fileno(said), &st), 0);
	assert_int_equal(st.st_size, 0);
	close(keep);
	fclose(said);
}

static void *read_many(void *ret_good)
{
	static const char good[] = INITIATE("<UploadId>2~abc</UploadId>"), bad[] = INITIATE("<UploadId>&x;</UploadId>");
	char id[S3_UPLOAD_ID_MAX];
	struct err err = {0};
	bool *is_good = ret_good;

	*is_good = true;
	for (unsigned i = 0; i < 200; i++) {
		*is_good = *is_good && s3_xml_upload_id(good, strlen(good), id, &err) == 0 && strcmp(id, "2~abc") == 0;
		*is_good = *is_good && s3_xml_upload_id(bad, strlen(bad), id, &err) < 0 && err.code == ERR_INPUT;
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];
	bool good[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_many, &good[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(good[i]);
	}
}

/* ---- documents that say one thing ---- */

static void test_upload_id(void **state)
{
	static const struct {
		const char *xml, *id;
	} good[] = {
		{DECL "\n<InitiateMultipartUploadResult" NS ">\n  <Bucket>example-bucket</Bucket>\n"
		      "  <Key>example-object</Key>\n  "
		      "<UploadId>VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA"
		      "</UploadId>\n</InitiateMultipartUploadResult>",
			"VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA"},
		/* RGW */
		{DECL "<InitiateMultipartUploadResult" NS
		      "><Bucket>bkt</Bucket><Key>cap/a b+c&amp;&lt;\xc3\xbc&gt;.pcapng</Key>"
		      "<UploadId>2~c4h-87HR6wYwu6Mn159wSo8aJZJY1fP</UploadId></InitiateMultipartUploadResult>",
			"2~c4h-87HR6wYwu6Mn159wSo8aJZJY1fP"},
		{"\xef\xbb\xbf" DECL INITIATE("<UploadId>after a BOM</UploadId>"), "after a BOM"},
		{INITIATE("<UploadId> a&amp;b<!-- c --><![CDATA[<d>]]> </UploadId>"), " a&b<d> "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char id[S3_UPLOAD_ID_MAX];
		struct err err = {0};

		assert_int_equal(s3_xml_upload_id(good[i].xml, strlen(good[i].xml), id, &err), 0);
		assert_string_equal(id, good[i].id);
	}
}

static void test_copied(void **state)
{
	static const char *const bad[] = {"", "<CopyPartResult/>", "<CopyPartResult><ETag></ETag></CopyPartResult>",
		"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>",
		"<Error><Code>InternalError</Code></Error>"};
	static const char good[] = DECL "<CopyPartResult" NS "><LastModified>2026-01-05T09:10:00.000Z</LastModified>"
					"<ETag>&quot;b54357faf0632cce46e942fa68356b38&quot;</ETag></CopyPartResult>";
	char etag[S3_ETAG_MAX] = "";
	struct err err = {0};

	(void)state;
	assert_int_equal(s3_xml_copied(good, strlen(good), etag, &err), 0);
	assert_string_equal(etag, "b54357faf0632cce46e942fa68356b38");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(s3_xml_copied(bad[i], strlen(bad[i]), etag, &err), -1);
	assert_string_equal(etag, "b54357faf0632cce46e942fa68356b38");
}

static int completed(const char *xml, char etag[S3_ETAG_MAX], struct err *err)
{
	*err = (struct err){0};
	return s3_xml_completed(xml, strlen(xml), etag, err);
}

static void test_completed(void **state)
{
	char etag[S3_ETAG_MAX] = "";
	struct err err;

	(void)state;
	assert_int_equal(
		completed(DECL
			"\n<CompleteMultipartUploadResult" NS ">\n <Location>http://b.s3.amazonaws.com/k</Location>\n"
			" <Bucket>b</Bucket>\n <Key>k</Key>\n <ETag>\"3858f62230ac3c915f300c664312c11f-9\"</ETag>\n"
			"</CompleteMultipartUploadResult>",
			etag, &err),
		0);
	assert_string_equal(etag, "3858f62230ac3c915f300c664312c11f-9");
	/* Kept alive with white space while the store worked. */
	assert_int_equal(completed("\n \n " DECL "\n\n<CompleteMultipartUploadResult><ETag>&quot;ab-1&quot;</ETag>"
				   "</CompleteMultipartUploadResult>\n",
				 etag, &err),
		0);
	assert_string_equal(etag, "ab-1");
	assert_int_equal(completed("<CompleteMultipartUploadResult><ETag>bare-2</ETag></CompleteMultipartUploadResult>",
				 etag, &err),
		0);
	assert_string_equal(etag, "bare-2");
	/* RGW */
	assert_int_equal(
		completed(DECL "<CompleteMultipartUploadResult" NS "><Location>s3.localhost/bkt/cap/a</Location>"
			       "<Bucket>bkt</Bucket><Key>cap/a</Key><ETag></ETag></CompleteMultipartUploadResult>",
			etag, &err),
		0);
	assert_string_equal(etag, "");
}

static void test_completed_not(void **state)
{
	static const char *const etags[] = {"\"\"", "\"", "a\"b", "a&#10;b"};
	char etag[S3_ETAG_MAX] = "as it was", xml[256];
	struct err err;

	(void)state;
	/* A 200 that holds an error. */
	assert_int_equal(
		completed(DECL "\n\n<Error><Code>InternalError</Code><Message>We encountered an internal error. Please "
			       "try again.</Message><RequestId>656c76696e6727732072657175657374</RequestId></Error>",
			etag, &err),
		-1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.detail, "internal_error");
	assert_contains(err.msg, "InternalError: We encountered an internal error");
	assert_int_equal(completed("<Error/>", etag, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(err.detail, "");
	assert_int_equal(completed("<html/>", etag, &err), -1);
	assert_int_equal(err.code, ERR_INPUT);
	assert_string_equal(err.detail, "bad_answer");
	for (size_t i = 0; i < sizeof(etags) / sizeof(etags[0]); i++) {
		snprintf(xml, sizeof(xml),
			"<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>", etags[i]);
		assert_int_equal(completed(xml, etag, &err), -1);
		assert_contains(err.msg, "<ETag> is none");
	}
	assert_string_equal(etag, "as it was");
}

static void test_versioning(void **state)
{
	static const struct {
		const char *xml, *status;
	} cases[] = {
		{DECL "<VersioningConfiguration" NS "></VersioningConfiguration>", ""}, /* RGW */
		{"<VersioningConfiguration" NS "/>", ""},
		{DECL "<VersioningConfiguration" NS "><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>"
		      "</VersioningConfiguration>",
			"Enabled"}, /* RGW */
		{"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", "Suspended"},
		{"<VersioningConfiguration><Status>enabled</Status></VersioningConfiguration>", NULL},
		{"<VersioningConfiguration><Status>EnabledAndMuchMore</Status></VersioningConfiguration>", NULL},
		{"<Versioning/>", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char status[16] = "as it was";
		struct err err = {0};
		int rc = s3_xml_versioning(cases[i].xml, strlen(cases[i].xml), status, &err);

		assert_int_equal(rc, cases[i].status ? 0 : -1);
		assert_string_equal(status, cases[i].status ? cases[i].status : "as it was");
	}
}

static void test_encryption(void **state)
{
#define ENCRYPTION(inside) "<ServerSideEncryptionConfiguration" NS ">" inside "</ServerSideEncryptionConfiguration>"
	static const struct {
		const char *xml, *algorithm;
	} cases[] = {
		{ENCRYPTION("<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
			    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"),
			"AES256"},
		{ENCRYPTION("<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>"
			    "<KMSMasterKeyID>arn:aws:kms:us-east-1:1234:key/5678</KMSMasterKeyID>"
			    "</ApplyServerSideEncryptionByDefault></Rule>"),
			"aws:kms:dsse"},
		{ENCRYPTION("<Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule>"), ""},
		{ENCRYPTION(""), ""},
		{ENCRYPTION("<Rule/><Rule/>"), NULL},
		{ENCRYPTION("<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>0123456789abcdef</SSEAlgorithm>"
			    "</ApplyServerSideEncryptionByDefault></Rule>"),
			NULL},
		/* RGW does not know the question and lists the bucket. */
		{DECL "<ListBucketResult" NS "><Name>bkt</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>"
		      "<IsTruncated>false</IsTruncated><Marker></Marker></ListBucketResult>",
			NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char algorithm[16] = "as it was";
		struct err err = {0};
		int rc = s3_xml_encryption(cases[i].xml, strlen(cases[i].xml), algorithm, &err);

		assert_int_equal(rc, cases[i].algorithm ? 0 : -1);
		assert_string_equal(algorithm, cases[i].algorithm ? cases[i].algorithm : "as it was");
	}
}

static void test_public_block(void **state)
{
#define FLAGS(a, b, c, d)                                                                                              \
	"<BlockPublicAcls>" a "</BlockPublicAcls><IgnorePublicAcls>" b "</IgnorePublicAcls><BlockPublicPolicy>" c      \
	"</BlockPublicPolicy><RestrictPublicBuckets>" d "</RestrictPublicBuckets>"
#define BLOCK(inside) "<PublicAccessBlockConfiguration" NS ">" inside "</PublicAccessBlockConfiguration>"
	static const struct {
		const char *xml;
		int rc;
		bool all;
	} cases[] = {
		{BLOCK(FLAGS("true", "true", "true", "true")), 0, true},
		{BLOCK(FLAGS("TRUE", "true", "true", "true")), 0, true},
		{BLOCK(FLAGS("false", "true", "true", "true")), 0, false},
		{BLOCK(FLAGS("true", "true", "true", "false")), 0, false},
		{BLOCK("<BlockPublicAcls>true</BlockPublicAcls>"), 0, false},
		{BLOCK(""), 0, false},
		{BLOCK(FLAGS("yes", "true", "true", "true")), -1, true},
		{"<PublicAccessBlock/>", -1, true},
		/* RGW */
		{DECL "<BlockPublicAccessBlockConfiguration>" FLAGS(
			 "false", "true", "true", "true") "</BlockPublicAccessBlockConfiguration>",
			0, false},
		{"<BlockPublicAccessBlockConfiguration>" FLAGS(
			 "true", "true", "true", "true") "</BlockPublicAccessBlockConfiguration>",
			0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool all = true;
		struct err err = {0};

		assert_int_equal(s3_xml_public_block(cases[i].xml, strlen(cases[i].xml), &all, &err), cases[i].rc);
		assert_int_equal(all, cases[i].all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_error_long),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_upload_id),
		cmocka_unit_test(test_copied),
		cmocka_unit_test(test_completed),
		cmocka_unit_test(test_completed_not),
		cmocka_unit_test(test_versioning),
		cmocka_unit_test(test_encryption),
		cmocka_unit_test(test_public_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
