/* test_page.c - gateway/page/page.c: the document is whole, and its policy names exactly the style and the script that stand in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/digest.h"
#include "gateway/page/page.h"

#include <stdio.h>
#include <string.h>

static struct page *page;

static int setup(void **state)
{
	struct err err = {0};

	(void)state;
	if (!(page = page_new(&err)))
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	page_free(page);
	page_free(NULL);
	return 0;
}

/* What stands between the tags is what the policy's hash is of, to the byte: else a browser would run nothing. */
static void hashed(const char *directive, const char *begin, const char *end)
{
	const char *from = strstr(page_document(page), begin), *to = from ? strstr(from, end) : NULL;
	uint8_t sum[DIGEST_SHA256_BYTES];
	char hash[64], want[128];

	if (!from || !to) {
		fail_msg("the document has no %s", begin);
		return;
	}
	from += strlen(begin);
	assert_in_range(to - from, 1000, 1000000);
	digest_sha256(from, (size_t)(to - from), sum);
	digest_base64(sum, sizeof(sum), hash);
	snprintf(want, sizeof(want), "%s 'sha256-%s';", directive, hash);
	assert_non_null(strstr(page_policy(page), want));
	assert_null(strstr(to + 1, begin)); /* and there is but one */
}

static void test_policy(void **state)
{
	(void)state;
	hashed("style-src", "<style>", "</style>");
	hashed("script-src", "<script type=\"module\">", "</script>");
	assert_non_null(strstr(page_policy(page), "default-src 'none';"));
	assert_non_null(strstr(page_policy(page), "frame-ancestors 'none';"));
	assert_non_null(strstr(page_policy(page), "trusted-types 'none'"));
	assert_null(strstr(page_policy(page), "unsafe"));
}

static void test_document(void **state)
{
	const char *text = page_document(page);

	(void)state;
	assert_memory_equal(text, "<!doctype html>", 15);
	assert_non_null(strstr(text, "</html>"));
	assert_null(strstr(text, "@STYLE@"));
	assert_null(strstr(text, "@SCRIPT@"));
	assert_null(strstr(text, " style=")); /* the policy would not apply it */
	assert_null(strstr(text, "innerHTML"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_document, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
