/* fuzz_s3_lifecycle.c - whatever lifecycle a bucket has: when our rule was merged into it, every rule of others is there as it was and in its place, ours is there
 * once, and merging again changes nothing. */
#include "uploader/s3/s3_xml.h"
#include "uploader/s3/s3_xml_internal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FUZZ_BYTES_MAX (16 << 20)

static const struct s3_lifecycle_rule ours = {"pcapline", "cap/", 2, 3, 4};

static bool is_ours(const xmlNode *rule)
{
	for (const xmlNode *n = s3_node_first(rule, "ID"); n; n = s3_node_next(n, "ID")) {
		char text[16];

		if (s3_node_text(n, text, sizeof(text), NULL) == 0 && strcmp(text, ours.id) == 0)
			return true;
	}
	return false;
}

static xmlNode *foreign(xmlNode *rule)
{
	while (rule && is_ours(rule))
		rule = s3_node_next(rule, "Rule");
	return rule;
}

/* A filter of the kind that is mended. */
static bool is_mended(const xmlNode *rule)
{
	for (const xmlNode *n = s3_node_first(rule, "Filter"); n; n = s3_node_next(n, "Filter"))
		if (s3_node_first(n, "And") && s3_node_count(n, NULL) > 1)
			return true;
	return false;
}

static size_t elements(const xmlNode *n)
{
	size_t count = 1;

	for (const xmlNode *c = s3_node_first(n, NULL); c; c = s3_node_next(c, NULL))
		count += elements(c);
	return count;
}

static void assert_same_rule(xmlDoc *before, xmlNode *a, xmlDoc *after, xmlNode *b)
{
	xmlBuffer *x = xmlBufferCreate(), *y = xmlBufferCreate();

	assert(x && y);
	assert(xmlNodeDump(x, before, a, 0, 0) >= 0 && xmlNodeDump(y, after, b, 0, 0) >= 0);
	if (is_mended(a)) {
		assert(!is_mended(b));
		assert(elements(a) == elements(b));
	} else {
		assert(xmlStrEqual(xmlBufferContent(x), xmlBufferContent(y)));
	}
	xmlBufferFree(x);
	xmlBufferFree(y);
}

static void assert_others_stay(xmlDoc *before, xmlDoc *after)
{
	xmlNode *a = foreign(s3_node_first(xmlDocGetRootElement(before), "Rule"));
	xmlNode *b = foreign(s3_node_first(xmlDocGetRootElement(after), "Rule"));

	for (; a && b; a = foreign(s3_node_next(a, "Rule")), b = foreign(s3_node_next(b, "Rule")))
		assert_same_rule(before, a, after, b);
	assert(!a && !b);
}

static void check(const void *current, size_t n, const struct buf *merged)
{
	struct err err = {0};
	xmlDoc *before = s3_doc_read(current, n, &err), *after;
	bool changed = true;
	struct buf again;
	size_t count = 0;

	assert(before);
	/* Escaped, a text at the limit may now be over it. */
	if (!(after = s3_doc_read(merged->data, merged->len, &err))) {
		assert(err.code == ERR_LIMIT);
		xmlFreeDoc(before);
		return;
	}
	assert_others_stay(before, after);
	for (const xmlNode *r = s3_node_first(xmlDocGetRootElement(after), "Rule"); r; r = s3_node_next(r, "Rule"))
		count += is_ours(r);
	assert(count == 1);
	xmlFreeDoc(before);
	xmlFreeDoc(after);
	buf_init(&again, FUZZ_BYTES_MAX);
	assert(s3_xml_lifecycle_merge(merged->data, merged->len, &ours, &again, &changed, &err) == 0);
	assert(!changed && again.len == 0);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err err = {0};
	bool changed = false;
	struct buf merged;

	if (n == 0)
		return 0;
	buf_init(&merged, FUZZ_BYTES_MAX);
	if (s3_xml_lifecycle_merge(data, n, &ours, &merged, &changed, &err) < 0) {
		assert(err.code != ERR_NONE && err.msg[0]);
		assert(merged.len == 0 && !changed);
	} else if (changed) {
		check(data, n, &merged);
	} else {
		assert(merged.len == 0);
	}
	buf_done(&merged);
	return 0;
}
