/* test_s3_labels.c - tags, metadata and file names out of what users called things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uploader/s3/s3_labels.h"

#include <string.h>

static void tags_hold_only_what_s3_allows(void **state)
{
	static const struct {
		const char *text, *tag;
	} cases[] = {
		{"", ""},
		{"alice@example.org", "alice@example.org"},
		{"my org", "my org"},
		{" my org ", "=20my org=20"},
		{" ", "=20"},
		{"a=b", "a=3Db"},
		{"a&b<c>\"'", "a=26b=3Cc=3E=22=27"},
		{"100%", "100=25"},
		{"\xc3\xbc", "=C3=BC"},
		{"a\r\nx-amz-acl: public-read", "a=0D=0Ax-amz-acl: public-read"},
		{"+-._:/@", "+-._:/@"},
		{"\x01\x7f", "=01=7F"},
	};
	char got[S3_TAG_VALUE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s3_label_tag(cases[i].text, got);
		assert_string_equal(got, cases[i].tag);
	}
}

static void metadata_is_plain_ascii(void **state)
{
	static const struct {
		const char *text, *meta;
	} cases[] = {
		{"", ""},
		{"alice", "alice"},
		{"a b", "a%20b"},
		{"a/b@c", "a%2Fb%40c"},
		{"50%", "50%25"},
		{"\xe2\x82\xac", "%E2%82%AC"},
		{"x\r\nHost: evil", "x%0D%0AHost%3A%20evil"},
		{"-._~", "-._~"},
	};
	char got[S3_META_VALUE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s3_label_meta(cases[i].text, got);
		assert_string_equal(got, cases[i].meta);
	}
}

/* Just inside and just outside of the longest value, plain and encoded. */
static void long_values_are_cut_between_characters(void **state)
{
	char text[400], tag[S3_TAG_VALUE_MAX], meta[S3_META_VALUE_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[256] = '\0';
	s3_label_tag(text, tag);
	assert_int_equal(strlen(tag), 256);
	text[256] = 'a';
	text[257] = '\0';
	s3_label_tag(text, tag);
	assert_int_equal(strlen(tag), 256);
	memset(text, '&', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	s3_label_tag(text, tag);
	assert_int_equal(strlen(tag), 255); /* 85 times "=26" */
	s3_label_meta(text, meta);
	assert_int_equal(strlen(meta), 300);
	assert_string_equal(meta + 297, "%26");
	memset(text, 'a', 299);
	text[299] = '&';
	text[300] = '\0';
	s3_label_meta(text, meta);
	assert_int_equal(strlen(meta), 299);
}

static void headers_say_what_the_object_is(void **state)
{
	const struct driver_tags tags = {
		.job = "01j0000000000000000000000a", .user = "al ice", .org = "o", .space = "", .source = "pcapline"};
	struct s3_pair headers[S3_LABEL_HEADERS_MAX];
	struct s3_labels l;
	size_t n;

	(void)state;
	s3_labels_make(&tags, "captures/o/2026/01/02/01j0000000000000000000000a.pcapng", &l);
	n = s3_labels_headers(&l, headers);
	assert_int_equal(n, 6); /* no metadata of an empty space */
	assert_string_equal(headers[0].name, "content-type");
	assert_string_equal(headers[0].value, "application/x-pcapng");
	assert_string_equal(headers[1].value, "attachment; filename=\"01j0000000000000000000000a.pcapng\"");
	assert_string_equal(headers[2].name, "x-amz-meta-job");
	assert_string_equal(headers[3].value, "al%20ice");
	assert_string_equal(l.tags[1], "al ice");
	assert_string_equal(s3_label_names[3], "space");
	assert_string_equal(l.tags[3], "");
	assert_string_equal(s3_label_content_type("a/b.pcap"), "application/vnd.tcpdump.pcap");
	assert_string_equal(s3_label_content_type("pcap"), "application/x-pcapng");
	assert_string_equal(s3_label_file_name("plain"), "plain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_hold_only_what_s3_allows),
		cmocka_unit_test(metadata_is_plain_ascii),
		cmocka_unit_test(long_values_are_cut_between_characters),
		cmocka_unit_test(headers_say_what_the_object_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
