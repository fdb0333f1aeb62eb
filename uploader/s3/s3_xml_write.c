/* s3_xml_write.c - see s3_xml.h; the documents that go to the store, but for the lifecycle (s3_xml_lifecycle.c). */
#include "uploader/s3/s3_xml.h"

#include "common/parse.h"
#include "uploader/s3/s3_xml_internal.h"

#include <stdio.h>
#include <string.h>

#define PARTS_MAX           10000
#define TAGS_MAX            10
#define TAG_NAME_BYTES_MAX  512  /* 128 characters of UTF-8 */
#define TAG_VALUE_BYTES_MAX 1024 /* 256 */

static int part_add(xmlNode *root, uint32_t number, const char *etag, struct err *err)
{
	size_t len = strnlen(etag, S3_ETAG_MAX);
	char quoted[S3_ETAG_MAX + 2];
	xmlNode *part;

	if (len == 0 || len == S3_ETAG_MAX || strchr(etag, '"') || !parse_is_text(etag, len, false))
		return err_set(err, ERR_INPUT, "the ETag of part %u is none", number);
	snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
	part = s3_node_add(root, "Part", NULL, err);
	if (!part || s3_node_add_number(part, "PartNumber", number, err) < 0)
		return -1;
	return s3_node_add(part, "ETag", quoted, err) ? 0 : -1;
}

int s3_xml_complete(struct buf *dst, const char *const *etags, uint32_t n, struct err *err)
{
	xmlDoc *doc;
	int rc = 0;

	if (n == 0 || n > PARTS_MAX)
		return err_set(err, ERR_LIMIT, "an object of %u parts: S3 takes 1 to %d", n, PARTS_MAX);
	if (!(doc = s3_doc_new("CompleteMultipartUpload", err)))
		return -1;
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = etags[i] ? part_add(xmlDocGetRootElement(doc), i + 1, etags[i], err) : 0;
	if (rc == 0)
		rc = s3_doc_write(doc, dst, err);
	xmlFreeDoc(doc);
	return rc;
}

static int tag_add(xmlNode *set, const char *name, const char *value, struct err *err)
{
	size_t name_len = strnlen(name, TAG_NAME_BYTES_MAX + 1), value_len = strnlen(value, TAG_VALUE_BYTES_MAX + 1);
	xmlNode *tag;

	if (name_len == 0 || name_len > TAG_NAME_BYTES_MAX || value_len > TAG_VALUE_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "tag \"%.64s\": a name has 1 to %d bytes, a value 0 to %d", name,
			TAG_NAME_BYTES_MAX, TAG_VALUE_BYTES_MAX);
	if (!parse_is_text(name, name_len, false) || !parse_is_text(value, value_len, false))
		return err_set(err, ERR_INPUT, "tag \"%.64s\": name or value are no text", name);
	tag = s3_node_add(set, "Tag", NULL, err);
	return tag && s3_node_add(tag, "Key", name, err) && s3_node_add(tag, "Value", value, err) ? 0 : -1;
}

int s3_xml_tagging(struct buf *dst, const char *const (*pairs)[2], size_t n, struct err *err)
{
	xmlDoc *doc;
	xmlNode *set;
	int rc;

	if (n > TAGS_MAX)
		return err_set(err, ERR_LIMIT, "%zu tags: S3 takes up to %d", n, TAGS_MAX);
	if (!(doc = s3_doc_new("Tagging", err)))
		return -1;
	set = s3_node_add(xmlDocGetRootElement(doc), "TagSet", NULL, err);
	rc = set ? 0 : -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tag_add(set, pairs[i][0], pairs[i][1], err);
	if (rc == 0)
		rc = s3_doc_write(doc, dst, err);
	xmlFreeDoc(doc);
	return rc;
}
