/* test_s3_xml_list.c - pages of S3's lists: as AWS documents them, as radosgw 16.2 gave them (marked RGW), and such as would lead astray whoever follows them. */
#include "uploader/s3/s3_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DECL "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

#define PART(number, size)  "<Part><PartNumber>" number "</PartNumber><ETag>\"e\"</ETag><Size>" size "</Size></Part>"
#define PARTS(more, inside) "<ListPartsResult><IsTruncated>" more "</IsTruncated>" inside "</ListPartsResult>"
#define UPLOADS(more, inside)                                                                                          \
	"<ListMultipartUploadsResult><IsTruncated>" more "</IsTruncated>" inside "</ListMultipartUploadsResult>"
#define UPLOAD(key)            "<Upload><Key>" key "</Key><UploadId>2~x</UploadId></Upload>"
#define VERSIONS(more, inside) "<ListVersionsResult><IsTruncated>" more "</IsTruncated>" inside "</ListVersionsResult>"
#define VERSION(key)           "<Version><Key>" key "</Key><VersionId>v1</VersionId><Size>1</Size></Version>"
#define ENCODED                "<EncodingType>url</EncodingType>"
#define NEXT_KEY(key)          "<NextKeyMarker>" key "</NextKeyMarker>"

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

static void test_parts_aws(void **state)
{
	static const char xml[] = DECL
		"\n<ListPartsResult" NS ">\n  <Bucket>example-bucket</Bucket>\n  <Key>example-object</Key>\n"
		"  <UploadId>XXBsb2FkIElEIGZvciBlbHZpbmcncyVcdS1tb3ZpZS5tMnRzEEEwbG9hZA</UploadId>\n"
		"  <Initiator>\n    <ID>arn:aws:iam::111122223333:user/u</ID>\n  </Initiator>\n"
		"  <StorageClass>STANDARD</StorageClass>\n  <PartNumberMarker>1</PartNumberMarker>\n"
		"  <NextPartNumberMarker>3</NextPartNumberMarker>\n  <MaxParts>2</MaxParts>\n"
		"  <IsTruncated>true</IsTruncated>\n  <Part>\n    <PartNumber>2</PartNumber>\n"
		"    <LastModified>2010-11-10T20:48:34.000Z</LastModified>\n"
		"    <ETag>\"7778aef83f66abc1fa1e8477f296d394\"</ETag>\n    <Size>10485760</Size>\n  </Part>\n"
		"  <Part>\n    <PartNumber>3</PartNumber>\n    <LastModified>2010-11-10T20:48:33.000Z</LastModified>\n"
		"    <ETag>\"aaaa18db4cc2f85cedef654fccc4a4x8\"</ETag>\n    <Size>10485761</Size>\n  </Part>\n"
		"</ListPartsResult>\n";
	struct s3_parts p;
	struct err err = {0};

	(void)state;
	assert_int_equal(s3_xml_parts(xml, strlen(xml), &p, &err), 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.items[0].number, 2);
	assert_int_equal(p.items[0].bytes, 10485760);
	assert_string_equal(p.items[0].etag, "7778aef83f66abc1fa1e8477f296d394");
	assert_int_equal(p.items[1].number, 3);
	assert_int_equal(p.items[1].bytes, 10485761);
	assert_true(p.more);
	assert_int_equal(p.next, 3);
	s3_parts_free(&p);
	assert_null(p.items);
	s3_parts_free(&p);
}

static void test_parts_rgw(void **state)
{
	static const char xml[] = DECL
		"<ListPartsResult" NS
		"><Bucket>bkt</Bucket><Key>cap/a b+c&amp;&lt;\xc3\xbc&gt;.pcapng</Key><UploadId>2~c4h-87HR6wYwu6Mn"
		"159wSo8aJZJY1fP</UploadId><StorageClass>STANDARD</StorageClass><PartNumberMarker>0</PartNumberMarker>"
		"<NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</"
		"IsTruncated>"
		"<Owner><ID></ID><DisplayName></DisplayName></Owner><Part><LastModified>2026-11-23T12:36:47.864Z</"
		"LastModified>"
		"<PartNumber>1</PartNumber><ETag>&quot;4f08eef4096726bff1125e1b1b734644&quot;</ETag><Size>5242880</"
		"Size></Part>"
		"<Part><LastModified>2026-11-23T12:36:47.868Z</LastModified><PartNumber>2</PartNumber>"
		"<ETag>&quot;336311a016184326ddbdd61edd4eeb52&quot;</ETag><Size>10</Size></Part></ListPartsResult>";
	struct s3_parts p;
	struct err err = {0};

	(void)state;
	assert_int_equal(s3_xml_parts(xml, strlen(xml), &p, &err), 0);
	assert_int_equal(p.n, 2);
	assert_string_equal(p.items[0].etag, "4f08eef4096726bff1125e1b1b734644");
	assert_int_equal(p.items[1].bytes, 10);
	assert_false(p.more);
	s3_parts_free(&p);
}

static const struct {
	const char *what, *xml, *says;
} bad_parts[] = {
	{"more not said", "<ListPartsResult></ListPartsResult>", "no <IsTruncated>"},
	{"more neither true nor false", PARTS("maybe", ""), "\"maybe\""},
	{"more, but not where", PARTS("true", PART("1", "1")), "no <NextPartNumberMarker>"},
	{"more, from the start again", PARTS("true", "<NextPartNumberMarker>0</NextPartNumberMarker>"),
		"NextPartNumberMarker"},
	{"number 0", PARTS("false", PART("0", "1")), "PartNumber"},
	{"number 10001", PARTS("false", PART("10001", "1")), "PartNumber"},
	{"number with more than digits", PARTS("false", PART("1x", "1")), "PartNumber"},
	{"a size below 0", PARTS("false", PART("1", "-1")), "Size"},
	{"a size over 63 bits", PARTS("false", PART("1", "9223372036854775808")), "Size"},
	{"no size", PARTS("false", "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>"), "no <Size>"},
	{"no ETag", PARTS("false", "<Part><PartNumber>1</PartNumber><Size>1</Size></Part>"), "no <ETag>"},
	{"two sizes", PARTS("false", "<Part><PartNumber>1</PartNumber><Size>1</Size><Size>2</Size></Part>"),
		"more than one <Size>"},
	{"an error with status 200", "<Error><Code>InternalError</Code></Error>", "InternalError"},
};

static void test_parts_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_parts) / sizeof(bad_parts[0]); i++) {
		struct s3_parts p = {.n = 77};
		struct err err = {0};

		print_message("%s\n", bad_parts[i].what);
		assert_int_equal(s3_xml_parts(bad_parts[i].xml, strlen(bad_parts[i].xml), &p, &err), -1);
		assert_contains(err.msg, bad_parts[i].says);
		assert_int_equal(p.n, 77);
	}
}

static int parts_of(size_t n, struct s3_parts *ret, struct err *err)
{
	struct buf b;
	int rc;

	buf_init(&b, 1 << 20);
	assert_int_equal(buf_add_str(&b, "<ListPartsResult><IsTruncated>false</IsTruncated>", NULL), 0);
	for (size_t i = 1; i <= n; i++)
		assert_int_equal(
			buf_addf(&b, NULL, "<Part><PartNumber>%zu</PartNumber><ETag>e</ETag><Size>1</Size></Part>", i),
			0);
	assert_int_equal(buf_add_str(&b, "</ListPartsResult>", NULL), 0);
	rc = s3_xml_parts(b.data, b.len, ret, err);
	buf_done(&b);
	return rc;
}

static void test_parts_many(void **state)
{
	struct s3_parts p;
	struct err err = {0};

	(void)state;
	assert_int_equal(parts_of(0, &p, &err), 0);
	assert_int_equal(p.n, 0);
	s3_parts_free(&p);
	assert_int_equal(parts_of(1000, &p, &err), 0);
	assert_int_equal(p.items[999].number, 1000);
	s3_parts_free(&p);
	assert_int_equal(parts_of(1001, &p, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

static int uploads(const char *xml, struct s3_uploads *ret, struct err *err)
{
	*err = (struct err){0};
	return s3_xml_uploads(xml, strlen(xml), ret, err);
}

static void test_uploads(void **state)
{
	struct s3_uploads u;
	struct err err;

	(void)state;
	assert_int_equal(
		uploads(DECL
			"\n<ListMultipartUploadsResult" NS ">\n  <Bucket>bucket</Bucket>\n  <KeyMarker></KeyMarker>\n"
			"  <UploadIdMarker></UploadIdMarker>\n  <NextKeyMarker>my-movie.m2ts</NextKeyMarker>\n"
			"  <NextUploadIdMarker>YW55IGlkZWEgd2h5IGVsdmluZydzIHVwbG9hZCBmYWlsZWQ</NextUploadIdMarker>\n"
			"  <MaxUploads>3</MaxUploads>\n  <IsTruncated>true</IsTruncated>\n  <Upload>\n"
			"    <Key>my-divisor</Key>\n    "
			"<UploadId>XMgbGlrZSBlbHZpbmcncyBub3QgaGF2aW5nIG11Y2ggbHVjaw</UploadId>\n"
			"    <Initiator>\n      <ID>arn</ID>\n      <DisplayName>u</DisplayName>\n    </Initiator>\n"
			"    <StorageClass>STANDARD</StorageClass>\n    "
			"<Initiated>2010-11-10T20:48:33.000Z</Initiated>\n"
			"  </Upload>\n  <Upload>\n    <Key>my-movie.m2ts</Key>\n    <UploadId>VXBsb2FkIElE</UploadId>\n"
			"  </Upload>\n</ListMultipartUploadsResult>",
			&u, &err),
		0);
	assert_int_equal(u.n, 2);
	assert_string_equal(u.items[0].key, "my-divisor");
	assert_string_equal(u.items[0].id, "XMgbGlrZSBlbHZpbmcncyBub3QgaGF2aW5nIG11Y2ggbHVjaw");
	assert_true(u.more);
	assert_string_equal(u.next_key, "my-movie.m2ts");
	assert_string_equal(u.next_id, "YW55IGlkZWEgd2h5IGVsdmluZydzIHVwbG9hZCBmYWlsZWQ");
	s3_uploads_free(&u);
	/* RGW: without encoding, with the markers of a next page where there is none. */
	assert_int_equal(
		uploads(DECL "<ListMultipartUploadsResult" NS
			     "><Bucket>bkt</Bucket><Prefix>cap/</Prefix><NextKeyMarker>cap/a b+c2%</NextKeyMarker>"
			     "<NextUploadIdMarker>2~QkXpuZz-Qnjjx7swJk86XeEh35AP-Su</"
			     "NextUploadIdMarker><MaxUploads>1000</MaxUploads>"
			     "<IsTruncated>false</IsTruncated><Upload><Key>cap/a "
			     "b+c2%</Key><UploadId>2~QkXpuZz-Qnjjx7swJk86XeEh35AP-Su"
			     "</UploadId><Initiator><ID>test</ID><DisplayName>test</DisplayName></"
			     "Initiator><StorageClass>STANDARD"
			     "</StorageClass><Initiated>2026-11-23T12:36:47.874Z</Initiated></Upload></"
			     "ListMultipartUploadsResult>",
			&u, &err),
		0);
	assert_string_equal(u.items[0].key, "cap/a b+c2%");
	assert_string_equal(u.items[0].id, "2~QkXpuZz-Qnjjx7swJk86XeEh35AP-Su");
	assert_false(u.more);
	s3_uploads_free(&u);
}

static void test_uploads_next(void **state)
{
	struct s3_uploads u;
	struct err err;

	(void)state;
	assert_int_equal(uploads(UPLOADS("true", UPLOAD("k")), &u, &err), -1);
	assert_contains(err.msg, "not where");
	/* AWS encodes the marker like the keys ... */
	assert_int_equal(uploads(UPLOADS("true", ENCODED NEXT_KEY("a+b%2Bc") UPLOAD("a+b%2Bc")), &u, &err), 0);
	assert_string_equal(u.items[0].key, "a b+c");
	assert_string_equal(u.next_key, "a b+c");
	assert_string_equal(u.items[0].id, "2~x");
	s3_uploads_free(&u);
	/* ... RGW does not. */
	assert_int_equal(uploads(UPLOADS("true", ENCODED NEXT_KEY("a b+c%") UPLOAD("a%20b%2Bc%25")), &u, &err), 0);
	assert_string_equal(u.items[0].key, "a b+c%");
	assert_string_equal(u.next_key, "a b+c%");
	s3_uploads_free(&u);
}

static void test_encoding(void **state)
{
	static const struct {
		const char *encoded, *key; /* NULL: refused */
	} cases[] = {
		{"cap%2Fa%20b%2Bc%26%3C%C3%BC%3E.pcapng", "cap/a b+c&<\xc3\xbc>.pcapng"}, /* RGW */
		{"%7e%7E", "~~"},
		{"%01", "\x01"},
		{"%2525", "%25"},
		{"%", NULL},
		{"%2", NULL},
		{"%2g", NULL},
		{"%g2", NULL},
		{"a%00b", NULL},
	};
	char xml[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_uploads u;
		struct err err;
		int rc;

		snprintf(xml, sizeof(xml), UPLOADS("false", ENCODED UPLOAD("%s")), cases[i].encoded);
		rc = uploads(xml, &u, &err);
		assert_int_equal(rc, cases[i].key ? 0 : -1);
		if (rc < 0)
			continue;
		assert_string_equal(u.items[0].key, cases[i].key);
		s3_uploads_free(&u);
	}
}

/* A key at its limit and over it: as it is, with every byte encoded, and as one that was to be decoded but need not.  Never cut. */
static void test_key_bounds(void **state)
{
	(void)state;
	for (size_t n = S3_KEY_MAX - 1; n <= S3_KEY_MAX; n++) {
		for (unsigned encoded = 0; encoded < 3; encoded++) {
			struct s3_uploads u;
			struct err err = {0};
			struct buf b;

			buf_init(&b, 1 << 20);
			assert_int_equal(
				buf_addf(&b, NULL,
					"<ListMultipartUploadsResult>%s<IsTruncated>false</IsTruncated><Upload><Key>",
					encoded ? ENCODED : ""),
				0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(buf_add_str(&b, encoded == 1 ? "%6b" : "k", NULL), 0);
			assert_int_equal(
				buf_add_str(
					&b, "</Key><UploadId>i</UploadId></Upload></ListMultipartUploadsResult>", NULL),
				0);
			assert_int_equal(s3_xml_uploads(b.data, b.len, &u, &err), n < S3_KEY_MAX ? 0 : -1);
			if (n < S3_KEY_MAX) {
				assert_int_equal(strlen(u.items[0].key), n);
				s3_uploads_free(&u);
			} else {
				assert_int_equal(err.code, ERR_LIMIT);
			}
			buf_done(&b);
		}
	}
}

static int versions(const char *xml, struct s3_versions *ret, struct err *err)
{
	*err = (struct err){0};
	return s3_xml_versions(xml, strlen(xml), ret, err);
}

/* RGW, with encoding-type=url: the order between versions and markers is kept. */
static void test_versions(void **state)
{
	struct s3_versions v;
	struct err err;

	(void)state;
	assert_int_equal(
		versions(DECL
			"<ListVersionsResult" NS
			"><EncodingType>url</EncodingType><Name>bkt</Name><Prefix>cap/</Prefix><MaxKeys>1000</MaxKeys>"
			"<IsTruncated>false</IsTruncated><KeyMarker></KeyMarker><VersionIdMarker></"
			"VersionIdMarker><Version>"
			"<Key>cap%2Fa%20b%2Bc%26%3C%C3%BC%3E.pcapng</Key><VersionId>null</VersionId><IsLatest>true</"
			"IsLatest>"
			"<LastModified>2026-11-23T12:36:47.888Z</"
			"LastModified><ETag>&quot;326078dc9f7f9af267714c26f3d05fc3-2&quot;</ETag>"
			"<Size>5242890</Size><StorageClass>STANDARD</StorageClass><Owner><ID>test</ID></"
			"Owner><Type>Normal</Type></Version>"
			"<DeleteMarker><Key>cap%2Fv</Key><VersionId>dT1mFfHQuFqxp.RPpvuJOAr8dbIXoU-</"
			"VersionId><IsLatest>true</IsLatest>"
			"<LastModified>2026-11-23T12:36:47.912Z</LastModified></DeleteMarker><Version><Key>cap%2Fv</"
			"Key>"
			"<VersionId>ThBBn4oHhHHij4XrFal8RtIefGwVU68</VersionId><IsLatest>false</IsLatest><Size>5</"
			"Size></Version>"
			"</ListVersionsResult>",
			&v, &err),
		0);
	assert_int_equal(v.n, 3);
	assert_string_equal(v.items[0].key, "cap/a b+c&<\xc3\xbc>.pcapng");
	assert_string_equal(v.items[0].version, "null");
	assert_int_equal(v.items[0].bytes, 5242890);
	assert_false(v.items[0].marker);
	assert_string_equal(v.items[1].version, "dT1mFfHQuFqxp.RPpvuJOAr8dbIXoU-");
	assert_true(v.items[1].marker);
	assert_int_equal(v.items[1].bytes, 0);
	assert_string_equal(v.items[2].key, "cap/v");
	assert_int_equal(v.items[2].bytes, 5);
	assert_false(v.items[2].marker);
	assert_false(v.more);
	s3_versions_free(&v);
}

static void test_versions_next(void **state)
{
	static const char *const refused[] = {
		VERSIONS("true", VERSION("k")),
		VERSIONS("true", ""),
		VERSIONS("false", "<Version><Key>k</Key><Size>1</Size></Version>"), /* no version */
		VERSIONS("false", "<Version><VersionId>v</VersionId><Size>1</Size></Version>"),
		VERSIONS("false", "<Version><Key>k</Key><VersionId>v</VersionId></Version>"),
		VERSIONS("false", "<EncodingType>base64</EncodingType>"),
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
	};
	struct s3_versions v;
	struct err err;

	(void)state;
	/* RGW: keys encoded, the marker not. */
	assert_int_equal(
		versions(
			VERSIONS("true",
				ENCODED NEXT_KEY("cap/a b+c") "<NextVersionIdMarker>null</NextVersionIdMarker>" VERSION(
					"cap%2Fa%20b%2Bc")),
			&v, &err),
		0);
	assert_string_equal(v.next_key, "cap/a b+c");
	assert_string_equal(v.next_version, "null");
	s3_versions_free(&v);
	assert_int_equal(versions(VERSIONS("true", ENCODED NEXT_KEY("cap%2Fz") VERSION("cap%2Fa")), &v, &err), 0);
	assert_string_equal(v.next_key, "cap/z");
	assert_string_equal(v.next_version, "");
	s3_versions_free(&v);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(versions(refused[i], &v, &err), -1);
}

/* A bucket that has no versions is listed as objects. */
static void test_objects(void **state)
{
	struct s3_versions v;
	struct err err;

	(void)state;
	/* RGW */
	assert_int_equal(
		versions(DECL
			"<ListBucketResult" NS
			"><EncodingType>url</EncodingType><Name>bkt</Name><Prefix>cap/</Prefix><MaxKeys>1</MaxKeys>"
			"<IsTruncated>true</IsTruncated><Contents><Key>cap%2Fa%20b%2Bc</"
			"Key><LastModified>2026-11-23T12:36:47.888Z"
			"</LastModified><ETag>&quot;326078dc9f7f9af267714c26f3d05fc3-2&quot;</ETag><Size>5242890</"
			"Size><StorageClass>"
			"STANDARD</StorageClass><Type>Normal</Type></Contents><NextContinuationToken>cap/a "
			"b+c</NextContinuationToken>"
			"<KeyCount>1</KeyCount></ListBucketResult>",
			&v, &err),
		0);
	assert_int_equal(v.n, 1);
	assert_string_equal(v.items[0].key, "cap/a b+c");
	assert_string_equal(v.items[0].version, "");
	assert_int_equal(v.items[0].bytes, 5242890);
	assert_true(v.more);
	assert_string_equal(v.next_key, "cap/a b+c");
	assert_string_equal(v.next_version, "cap/a b+c");
	s3_versions_free(&v);
	assert_int_equal(
		versions("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>", &v, &err), 0);
	assert_int_equal(v.n, 0);
	s3_versions_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_aws),
		cmocka_unit_test(test_parts_rgw),
		cmocka_unit_test(test_parts_bad),
		cmocka_unit_test(test_parts_many),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_uploads_next),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_key_bounds),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_versions_next),
		cmocka_unit_test(test_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
