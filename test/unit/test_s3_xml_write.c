/* test_s3_xml_write.c - the documents that go to the store.  The lifecycle has its own, test_s3_lifecycle.c. */
#include "uploader/s3/s3_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DECL "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

static void test_complete(void **state)
{
	static const char *const etags[] = {"b54357faf0632cce46e942fa68356b38", "a<b&c"};
	static const char *const bad[] = {"", "a\"b", "a\nb"}, *const gap[] = {NULL, "e"};
	char longest[S3_ETAG_MAX], too_long[S3_ETAG_MAX + 1];
	const char *const two[] = {longest, too_long};
	struct err err = {0};
	struct buf b;

	(void)state;
	memset(longest, 'e', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	memset(too_long, 'e', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	buf_init(&b, 1 << 20);
	assert_int_equal(s3_xml_complete(&b, etags, 2, &err), 0);
	assert_string_equal(buf_str(&b), DECL "\n<CompleteMultipartUpload" NS "><Part><PartNumber>1</PartNumber>"
					      "<ETag>\"b54357faf0632cce46e942fa68356b38\"</ETag></Part><Part>"
					      "<PartNumber>2</PartNumber><ETag>\"a&lt;b&amp;c\"</ETag></Part>"
					      "</CompleteMultipartUpload>\n");
	buf_clear(&b);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(s3_xml_complete(&b, &bad[i], 1, &err), -1);
	assert_int_equal(s3_xml_complete(&b, &two[0], 1, &err), 0);
	buf_clear(&b);
	assert_int_equal(s3_xml_complete(&b, two, 2, &err), -1);
	assert_contains(err.msg, "part 2");
	buf_clear(&b);
	assert_int_equal(s3_xml_complete(&b, gap, 2, &err), 0);
	assert_string_equal(buf_str(&b), DECL "\n<CompleteMultipartUpload" NS "><Part><PartNumber>2</PartNumber>"
					      "<ETag>\"e\"</ETag></Part></CompleteMultipartUpload>\n");
	buf_clear(&b);
	assert_int_equal(s3_xml_complete(&b, etags, 0, &err), -1);
	assert_int_equal(s3_xml_complete(&b, etags, 10001, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

/* The largest document that we write. */
static void test_complete_10000(void **state)
{
	const char **etags = calloc(10000, sizeof(*etags));
	struct err err = {0};
	struct buf b;

	(void)state;
	assert_non_null(etags);
	for (size_t i = 0; i < 10000; i++)
		etags[i] = "b54357faf0632cce46e942fa68356b38";
	buf_init(&b, 2 << 20);
	assert_int_equal(s3_xml_complete(&b, etags, 10000, &err), 0);
	assert_contains(buf_str(&b), "<PartNumber>10000</PartNumber>");
	buf_done(&b);
	buf_init(&b, 100);
	assert_int_equal(s3_xml_complete(&b, etags, 10000, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(b.len, 0);
	buf_done(&b);
	free(etags);
}

static void test_tagging(void **state)
{
	static const char *const pairs[][2] = {{"user", "j\xc3\xbcrgen <a&b>"}, {"job", ""}};
	static const char *const bad[][2] = {
		{"", "v"}, {"a\x01", "v"}, {"a", "\xff"}, {"a", "x\ny"}, {"a", "\xef\xbf\xbf"}, {"\xef\xbf\xbe", ""}};
	static const char *const many[11][2] = {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}, {"f", ""},
		{"g", ""}, {"h", ""}, {"i", ""}, {"j", ""}, {"k", ""}};
	struct err err = {0};
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	assert_int_equal(s3_xml_tagging(&b, pairs, 2, &err), 0);
	assert_string_equal(buf_str(&b),
		DECL "\n<Tagging" NS "><TagSet><Tag><Key>user</Key><Value>j\xc3\xbcrgen "
		     "&lt;a&amp;b&gt;</Value></Tag><Tag><Key>job</Key><Value></Value></Tag></TagSet>"
		     "</Tagging>\n");
	buf_clear(&b);
	assert_int_equal(s3_xml_tagging(&b, pairs, 0, &err), 0);
	assert_string_equal(buf_str(&b), DECL "\n<Tagging" NS "><TagSet/></Tagging>\n");
	buf_clear(&b);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(s3_xml_tagging(&b, &bad[i], 1, &err), -1);
	assert_int_equal(s3_xml_tagging(&b, many, 10, &err), 0);
	buf_clear(&b);
	assert_int_equal(s3_xml_tagging(&b, many, 11, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_complete_10000),
		cmocka_unit_test(test_tagging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
