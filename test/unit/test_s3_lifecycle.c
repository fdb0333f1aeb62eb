/* test_s3_lifecycle.c - our lifecycle rule is put among those of others without harm to them, and found again in whatever form a store gives it back.
 * What is marked RGW is in the words of radosgw 16.2. */
#include "uploader/s3/s3_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DECL "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

#define CONFIG(rules) DECL "\n<LifecycleConfiguration" NS ">" rules "</LifecycleConfiguration>\n"
#define RULE(inside)  "<Rule>" inside "</Rule>"
#define DAYS(n)       "<Expiration><Days>" n "</Days></Expiration>"
#define MARKERS(is)   "<Expiration><ExpiredObjectDeleteMarker>" is "</ExpiredObjectDeleteMarker></Expiration>"
#define NONCURRENT(n)                                                                                                  \
	"<NoncurrentVersionExpiration><NoncurrentDays>" n "</NoncurrentDays></NoncurrentVersionExpiration>"
#define ABORT(n)                                                                                                       \
	"<AbortIncompleteMultipartUpload><DaysAfterInitiation>" n                                                      \
	"</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
#define FILTER  "<Filter><Prefix>cap/</Prefix></Filter>"
#define ENABLED "<Status>Enabled</Status>"
#define ID      "<ID>pcapline</ID>"

#define OURS     RULE(ID FILTER ENABLED DAYS("2") ABORT("3"))
#define OURS_OLD RULE(ID "<Prefix>cap/</Prefix>" ENABLED DAYS("2") ABORT("3"))

static const struct s3_lifecycle_rule ours = {"pcapline", "cap/", 2, 3, 0};

/* Merges; *ret_text (new string) is what would be put, NULL when nothing would. */
static int merge(const char *current, const struct s3_lifecycle_rule *rule, char **ret_text, struct err *err)
{
	bool changed = false;
	struct buf b;
	int rc;

	*err = (struct err){0};
	*ret_text = NULL;
	buf_init(&b, 4 << 20);
	rc = s3_xml_lifecycle_merge(current, current ? strlen(current) : 0, rule, &b, &changed, err);
	if (rc == 0 && changed) {
		*ret_text = strdup(buf_str(&b));
		assert_non_null(*ret_text);
	} else {
		assert_int_equal(b.len, 0);
	}
	buf_done(&b);
	return rc;
}

static void expect(const char *current, const struct s3_lifecycle_rule *rule, const char *want)
{
	struct err err;
	char *text, *again;

	if (merge(current, rule, &text, &err) < 0)
		fail_msg("%s: %s", current ? current : "(none)", err.msg);
	if (!text || strcmp(text, want) != 0)
		fail_msg(
			"of %s\nbecame %s\nnot    %s", current ? current : "(none)", text ? text : "(unchanged)", want);
	/* Merged once, it says it. */
	assert_int_equal(merge(text, rule, &again, &err), 0);
	assert_null(again);
	free(again);
	free(text);
}

static void expect_unchanged(const char *current, const struct s3_lifecycle_rule *rule)
{
	struct err err;
	char *text;

	if (merge(current, rule, &text, &err) < 0)
		fail_msg("%s: %s", current ? current : "(none)", err.msg);
	if (text)
		fail_msg("%s\nbecame %s", current, text);
}

static void expect_refused(
	const char *current, const struct s3_lifecycle_rule *rule, enum err_code code, const char *says)
{
	struct err err;
	char *text;
	int rc = merge(current, rule, &text, &err);

	free(text);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not contain \"%s\"", err.msg, says);
}

static void test_new(void **state)
{
	struct s3_lifecycle_rule r = ours;

	(void)state;
	expect(NULL, &r, CONFIG(OURS));
	expect("<LifecycleConfiguration/>", &r, DECL "\n<LifecycleConfiguration>" OURS "</LifecycleConfiguration>\n");
	r.noncurrent_days = 4;
	expect(NULL, &r, CONFIG(RULE(ID FILTER ENABLED DAYS("2") NONCURRENT("4") ABORT("3"))));
	r.days = 0; /* then nothing else would take the delete markers away */
	expect(NULL, &r, CONFIG(RULE(ID FILTER ENABLED MARKERS("true") NONCURRENT("4") ABORT("3"))));
	r.noncurrent_days = 0;
	expect(NULL, &r, CONFIG(RULE(ID FILTER ENABLED ABORT("3"))));
	r = (struct s3_lifecycle_rule){"a&b", "", INT32_MAX, 0, 0};
	expect(NULL, &r, CONFIG(RULE("<ID>a&amp;b</ID><Filter><Prefix></Prefix></Filter>" ENABLED DAYS("2147483647"))));
}

static void test_bad_rule(void **state)
{
	char id[257], prefix[1026];
	const struct s3_lifecycle_rule bad[] = {
		{"", "p", 1, 0, 0},
		{id, "p", 1, 0, 0},
		{"a\nb", "p", 1, 0, 0},
		{"\xff", "p", 1, 0, 0},
		{"a", prefix, 1, 0, 0},
		{"a", "\x01", 1, 0, 0},
		{"a", "p", 0, 0, 0},
		{"a", "p", UINT32_MAX, 0, 0},
		{"a", "p", 0, UINT32_MAX, 0},
		{"a", "p", 0, 0, UINT32_MAX},
	};
	struct err err;
	char *text;

	(void)state;
	memset(id, 'i', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	memset(prefix, 'p', sizeof(prefix));
	prefix[sizeof(prefix) - 1] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_refused(NULL, &bad[i], ERR_INPUT, "lifecycle rule");
	id[255] = '\0';
	prefix[1024] = '\0';
	assert_int_equal(merge(NULL, &(struct s3_lifecycle_rule){id, prefix, 1, 0, 0}, &text, &err), 0);
	expect_unchanged(text, &(struct s3_lifecycle_rule){id, prefix, 1, 0, 0});
	free(text);
}

/* Forms that say the same as ours. */
static void test_same(void **state)
{
	static const char *const same[] = {
		CONFIG(OURS),
		CONFIG(OURS_OLD),
		"<LifecycleConfiguration>" OURS "</LifecycleConfiguration>",
		"<s:LifecycleConfiguration xmlns:s=\"http://s/\"><s:Rule><s:ID>pcapline</s:ID><s:Prefix>cap/</s:Prefix>"
		"<s:Status>Enabled</s:Status><s:Expiration><s:Days>2</s:Days></"
		"s:Expiration><s:AbortIncompleteMultipartUpload>"
		"<s:DaysAfterInitiation>3</s:DaysAfterInitiation></s:AbortIncompleteMultipartUpload></s:Rule>"
		"</s:LifecycleConfiguration>",
		CONFIG(RULE(ABORT("3") DAYS("2") ENABLED FILTER ID)),
		CONFIG(RULE(ENABLED ID "<Expiration>\n<ExpiredObjectDeleteMarker>false</ExpiredObjectDeleteMarker>"
				       "<Days>2</Days></Expiration>" FILTER "<!-- ours -->" ABORT("3"))),
		"\n" DECL "\n<LifecycleConfiguration>\n  <Rule>\n    " ID
		"\n    <Filter>\n      <Prefix>cap/</Prefix>\n    "
		"</Filter>\n    " ENABLED "\n    " DAYS("2") "\n    " ABORT("3") "\n  </Rule>\n"
										 "</LifecycleConfiguration>\n",
		CONFIG(RULE("<ID>other</ID><Prefix/>" ENABLED DAYS("9")) OURS),
		/* RGW: sorted by id. */
		DECL
		"<LifecycleConfiguration" NS "><Rule><ID>aa</ID><Prefix>old/</Prefix><Status>Enabled</Status>"
		"<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays></NoncurrentVersionExpiration></Rule>"
		"<Rule><ID>pcapline</ID><Filter><Prefix>cap/</Prefix></Filter><Status>Enabled</"
		"Status><Expiration><Days>2"
		"</Days></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation>"
		"</AbortIncompleteMultipartUpload></Rule><Rule><ID>zz &amp; "
		"b</ID><Filter><Prefix>logs/</Prefix><Tag><Key>a"
		"</Key><Value>b&lt;</Value></Tag></Filter><Status>Disabled</"
		"Status><Expiration><Date>2030-01-01T00:00:00Z"
		"</Date></Expiration></Rule></LifecycleConfiguration>",
	};
	static const char *const empty_prefix[] = {"<Filter><Prefix></Prefix></Filter>", "<Filter><Prefix/></Filter>",
		"<Filter/>", "<Filter> </Filter>", "<Prefix></Prefix>" /* RGW */};
	struct s3_lifecycle_rule r = ours;

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		expect_unchanged(same[i], &ours);
	r.prefix = "";
	for (size_t i = 0; i < sizeof(empty_prefix) / sizeof(empty_prefix[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), CONFIG(RULE(ID "%s" ENABLED DAYS("2") ABORT("3"))), empty_prefix[i]);
		expect_unchanged(text, &r);
	}
	r = (struct s3_lifecycle_rule){"pcapline", "cap/", 0, 0, 2};
	expect_unchanged(CONFIG(RULE(ID FILTER ENABLED MARKERS("true") NONCURRENT("2"))), &r);
}

/* Rules with our id that say something else: replaced where they stand. */
static void test_replaced(void **state)
{
	static const char *const other[] = {
		RULE(ID FILTER ENABLED DAYS("1") ABORT("3")),
		RULE(ID FILTER ENABLED DAYS("2") ABORT("2")),
		RULE(ID FILTER ENABLED DAYS("2")),
		RULE(ID FILTER ENABLED ABORT("3")),
		RULE(ID FILTER ENABLED DAYS("2") ABORT("3") NONCURRENT("1")),
		RULE(ID FILTER "<Status>Disabled</Status>" DAYS("2") ABORT("3")),
		RULE(ID FILTER DAYS("2") ABORT("3")),
		RULE(ID ENABLED DAYS("2") ABORT("3")),
		RULE(ID "<Filter/>" ENABLED DAYS("2") ABORT("3")),
		RULE(ID "<Filter><Prefix>cap</Prefix></Filter>" ENABLED DAYS("2") ABORT("3")),
		RULE(ID "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>" ENABLED DAYS("2") ABORT("3")),
		RULE(ID "<Filter><Prefix>cap/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></Filter>" ENABLED DAYS(
			"2") ABORT("3")),
		RULE(ID "<Filter><And><Prefix>cap/</Prefix></And><And><Prefix>x</Prefix></And></Filter>" ENABLED DAYS(
			"2") ABORT("3")),
		RULE(ID "<Prefix>cap/</Prefix>" FILTER ENABLED DAYS("2") ABORT("3")),
		RULE(ID FILTER ENABLED DAYS("2") DAYS("2") ABORT("3")),
		RULE(ID FILTER ENABLED DAYS("2") MARKERS("true") ABORT("3")),
		RULE(ID FILTER ENABLED "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>" ABORT("3")),
		RULE(ID FILTER ENABLED "<Expiration/>" ABORT("3")),
		RULE(ID FILTER ENABLED DAYS("x") ABORT("3")),
		RULE(ID FILTER ENABLED MARKERS("true") ABORT("3")),
		RULE(ID FILTER ENABLED MARKERS("false") ABORT("3")),
		RULE(ID FILTER ENABLED
			"<Expiration><Days>2</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>"
			"</Expiration>" ABORT("3")),
		RULE(ID FILTER ENABLED DAYS("2")
				ABORT("3") "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass>"
					   "</Transition>"),
		RULE(ID FILTER ENABLED DAYS("2") ABORT("3") "<Unknown/>"),
		RULE(ID ID FILTER "<Status>Disabled</Status>" DAYS("2") ABORT("3")),
		OURS OURS,
		OURS RULE(ID FILTER "<Status>Disabled</Status>" DAYS("2")),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		char text[4096];

		snprintf(text, sizeof(text),
			CONFIG(RULE("<ID>a</ID><Filter/>" ENABLED DAYS("7")) "%s" RULE(
				"<ID>z</ID><Filter/>" ENABLED DAYS("8"))),
			other[i]);
		expect(text, &ours,
			CONFIG(RULE("<ID>a</ID><Filter/>" ENABLED DAYS("7"))
					OURS RULE("<ID>z</ID><Filter/>" ENABLED DAYS("8"))));
	}
}

/* What others made comes out as it went in. */
static void test_others_stay(void **state)
{
#define OTHERS                                                                                                         \
	RULE("<ID>tax &amp; "                                                                                          \
	     "law</ID><Filter><And><Prefix>a&lt;b/\xc3\xbc</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>"            \
	     "<ObjectSizeGreaterThan>500</ObjectSizeGreaterThan></And></Filter><Status>Enabled</Status>"               \
	     "<Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"                        \
	     "<Transition><Days>90</Days><StorageClass>GLACIER</StorageClass></Transition>"                            \
	     "<NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays>"                                         \
	     "<NewerNoncurrentVersions>5</NewerNoncurrentVersions></NoncurrentVersionExpiration>")                     \
	"\n  <!-- kept by hand -->\n  " RULE("<Filter/><Status>Disabled</Status>" MARKERS("true"))                     \
		RULE("<ID>pcapline2</ID><Filter><Prefix>cap/</Prefix></Filter><Status>Enabled</Status>" DAYS("1"))     \
			RULE("<ID><![CDATA[pcaplin]]></ID><Filter/><Future xml:lang=\"de\" "                           \
			     "a=\"&quot;&lt;\">&#13;x<Deep><Er/></Deep></Future>")

	(void)state;
	expect(CONFIG(OTHERS), &ours, CONFIG(OTHERS OURS));
	expect(CONFIG(OTHERS "<Unknown>beside rules</Unknown>"), &ours,
		CONFIG(OTHERS "<Unknown>beside rules</Unknown>" OURS));
	expect(CONFIG(RULE(ID FILTER ENABLED DAYS("1")) OTHERS), &ours, CONFIG(OURS OTHERS));
	expect("<s:LifecycleConfiguration xmlns:s=\"http://s/\"><s:Rule><s:ID>x</s:ID><s:Filter/></s:Rule>"
	       "</s:LifecycleConfiguration>",
		&(struct s3_lifecycle_rule){"p", "c", 1, 0, 0},
		DECL
		"\n<s:LifecycleConfiguration xmlns:s=\"http://s/\"><s:Rule><s:ID>x</s:ID><s:Filter/></s:Rule><s:Rule>"
		"<s:ID>p</s:ID><s:Filter><s:Prefix>c</s:Prefix></s:Filter><s:Status>Enabled</s:Status><s:Expiration>"
		"<s:Days>1</s:Days></s:Expiration></s:Rule></s:LifecycleConfiguration>\n");
	expect("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><LifecycleConfiguration/>", &ours,
		"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<LifecycleConfiguration>" OURS
		"</LifecycleConfiguration>\n");
}

/* AWS refuses <Filter> beside rules of the old grammar, and <Prefix> beside rules of the new one. */
static void test_grammar(void **state)
{
#define OLD(id) RULE("<ID>" id "</ID><Prefix>" id "/</Prefix>" ENABLED DAYS("7"))
#define NEW(id) RULE("<ID>" id "</ID><Filter><Prefix>" id "/</Prefix></Filter>" ENABLED DAYS("7"))
	(void)state;
	expect(CONFIG(OLD("a")), &ours, CONFIG(OLD("a") OURS_OLD));
	expect(CONFIG(OLD("a") OLD("b")), &ours, CONFIG(OLD("a") OLD("b") OURS_OLD));
	expect(CONFIG(NEW("a")), &ours, CONFIG(NEW("a") OURS));
	/* RGW mixes and takes either. */
	expect(CONFIG(OLD("a") NEW("b")), &ours, CONFIG(OLD("a") NEW("b") OURS));
	/* Ours does not count. */
	expect(CONFIG(RULE(ID FILTER ENABLED DAYS("1")) OLD("a")), &ours, CONFIG(OURS_OLD OLD("a")));
	expect(CONFIG(RULE(ID "<Prefix>cap/</Prefix>" ENABLED DAYS("1"))), &ours, CONFIG(OURS));
}

/* RGW takes a prefix and tags in <And>, gives the prefix back beside it, and drops it when that is put again. */
static void test_filter_of_rgw(void **state)
{
#define TAG(name) "<Tag><Key>" name "</Key><Value>v</Value></Tag>"
	(void)state;
	expect(CONFIG(RULE("<ID>zz</ID><Filter><Prefix>logs/</Prefix><And>" TAG("a")
			       TAG("c") "</And></Filter>" ENABLED DAYS("30"))),
		&ours,
		CONFIG(RULE("<ID>zz</ID><Filter><And><Prefix>logs/</Prefix>" TAG("a")
				TAG("c") "</And></Filter>" ENABLED DAYS("30")) OURS));
	expect(CONFIG(RULE("<Filter><And/><Prefix>p</Prefix>" TAG("a") "</Filter>")), &ours,
		CONFIG(RULE("<Filter><And><Prefix>p</Prefix>" TAG("a") "</And></Filter>") OURS));
	/* This one it takes as it gave it. */
	expect(CONFIG(RULE("<ID>zz</ID><Filter><Prefix>logs/</Prefix>" TAG("a") "</Filter>" ENABLED DAYS("30"))), &ours,
		CONFIG(RULE("<ID>zz</ID><Filter><Prefix>logs/</Prefix>" TAG("a") "</Filter>" ENABLED DAYS("30")) OURS));
	/* Nobody knows which one would count. */
	expect_refused(CONFIG(RULE("<Filter><Prefix>a</Prefix><And><Prefix>b</Prefix></And></Filter>")), &ours,
		ERR_INPUT, "two ways");
	expect_refused(CONFIG(RULE("<Filter><And>" TAG("a") "</And><And>" TAG("b") "</And></Filter>")), &ours,
		ERR_INPUT, "two ways");
}

/* What cannot be read is never overwritten. */
static void test_unreadable(void **state)
{
	static const struct {
		const char *xml;
		enum err_code code;
	} bad[] = {
		{"", ERR_INPUT},
		{" ", ERR_INPUT},
		{"<LifecycleConfiguration>", ERR_INPUT},
		{"<LifecycleConfiguration><Rule></LifecycleConfiguration>", ERR_INPUT},
		{"<!DOCTYPE l>" CONFIG(OURS), ERR_INPUT},
		{"<html/>", ERR_INPUT},
		{"<Rule/>", ERR_INPUT},
		{"<Error><Code>AccessDenied</Code></Error>", ERR_UNAVAILABLE},
		{"<LifecycleConfiguration><Rule><ID>\xff</ID></Rule></LifecycleConfiguration>", ERR_INPUT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_refused(bad[i].xml, &ours, bad[i].code, "lifecycle of the bucket");
}

static int merge_into(size_t rules, const char *more, struct err *err, bool *ret_changed)
{
	struct buf current, merged;
	int rc;

	*err = (struct err){0};
	buf_init(&current, 4 << 20);
	buf_init(&merged, 4 << 20);
	assert_int_equal(buf_add_str(&current, "<LifecycleConfiguration>", NULL), 0);
	for (size_t i = 0; i < rules; i++)
		assert_int_equal(buf_addf(&current, NULL, "<Rule><ID>r%zu</ID></Rule>", i), 0);
	assert_int_equal(buf_addf(&current, NULL, "%s</LifecycleConfiguration>", more), 0);
	rc = s3_xml_lifecycle_merge(current.data, current.len, &ours, &merged, ret_changed, err);
	buf_done(&current);
	buf_done(&merged);
	return rc;
}

static void test_limit(void **state)
{
	struct err err;
	bool changed = false;

	(void)state;
	assert_int_equal(merge_into(999, "", &err, &changed), 0);
	assert_true(changed);
	assert_int_equal(merge_into(999, RULE(ID), &err, &changed), 0);
	assert_true(changed);
	assert_int_equal(merge_into(1000, "", &err, &changed), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	/* It would not fit into dst: nothing is added. */
	{
		struct buf b;

		buf_init(&b, 64);
		assert_int_equal(s3_xml_lifecycle_merge(NULL, 0, &ours, &b, &changed, &err), -1);
		assert_int_equal(err.code, ERR_LIMIT);
		assert_int_equal(b.len, 0);
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_bad_rule),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_others_stay),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_filter_of_rgw),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
