/* s3_xml_list.c - see s3_xml.h; the pages of lists.
 * A page that says "more" must say where the next one begins: asked again with nothing, the store would give the same page for ever. */
#include "uploader/s3/s3_xml.h"

#include "uploader/s3/s3_xml_internal.h"

#include <stdlib.h>
#include <string.h>

#define LIST_ITEMS_MAX  1000
#define PART_NUMBER_MAX 10000
/* A key as it may be written with <EncodingType>url. */
#define ENCODED_KEY_MAX (3 * (S3_KEY_MAX - 1) + 1)

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* '+' is a space: AWS writes spaces so, and nobody leaves a real '+' as it is. */
static int decode(const char *text, const char *name, char *ret, size_t size, struct err *err)
{
	size_t n = 0;

	for (; *text; text++, n++) {
		char c = *text == '+' ? ' ' : *text;

		if (n + 1 >= size)
			return err_set(err, ERR_LIMIT, "<%s> has over %zu bytes", name, size - 1);
		if (c == '%') {
			int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);

			if (low < 0 || (high == 0 && low == 0))
				return err_set(err, ERR_INPUT, "<%s>: a '%%' that encodes nothing", name);
			c = (char)(high * 16 + low);
			text += 2;
		}
		ret[n] = c;
	}
	ret[n] = '\0';
	return 0;
}

/* A child that is a key, or where a page ends among keys. */
static int child_key(
	const xmlNode *parent, const char *name, bool encoded, bool needed, char ret[S3_KEY_MAX], struct err *err)
{
	char text[ENCODED_KEY_MAX];

	if (!encoded)
		return s3_child_text(parent, name, needed, ret, S3_KEY_MAX, err);
	if (s3_child_text(parent, name, needed, text, sizeof(text), err) < 0)
		return -1;
	return decode(text, name, ret, S3_KEY_MAX, err);
}

/* Where a page ends: AWS encodes it like the keys, RGW 16 does not.  As it stands it is the page's last key only when it is not encoded (or when that
 * makes no difference). */
static int child_marker(const xmlNode *root, bool encoded, const char *last_key, char ret[S3_KEY_MAX], struct err *err)
{
	char text[ENCODED_KEY_MAX];

	if (s3_child_text(root, "NextKeyMarker", false, text, sizeof(text), err) < 0)
		return -1;
	if (strcmp(text, last_key) == 0)
		encoded = false;
	return child_key(root, "NextKeyMarker", encoded, false, ret, err);
}

static int is_encoded(const xmlNode *root, bool *ret, struct err *err)
{
	char type[16];

	if (s3_child_text(root, "EncodingType", false, type, sizeof(type), err) < 0)
		return -1;
	if (type[0] && strcmp(type, "url") != 0)
		return err_set(err, ERR_INPUT, "<EncodingType> is \"%s\", not url", type);
	*ret = type[0] != '\0';
	return 0;
}

/* Room for n items, and never nothing. */
static int items_new(size_t n, size_t item_bytes, void **ret_items, struct err *err)
{
	if (n > LIST_ITEMS_MAX)
		return err_set(err, ERR_LIMIT, "a page of %zu entries, over %d", n, LIST_ITEMS_MAX);
	*ret_items = calloc(n ? n : 1, item_bytes);
	return *ret_items ? 0 : err_nomem(err);
}

static int no_next(struct err *err)
{
	return err_set(err, ERR_INPUT, "the page says that there is more, but not where");
}

static int part_read(const xmlNode *n, struct s3_part *ret, struct err *err)
{
	uint64_t number;

	if (s3_child_number(n, "PartNumber", 1, PART_NUMBER_MAX, &number, err) < 0 ||
		s3_child_number(n, "Size", 0, INT64_MAX, &ret->bytes, err) < 0 ||
		s3_child_etag(n, true, ret->etag, sizeof(ret->etag), err) < 0)
		return -1;
	ret->number = (uint32_t)number;
	return 0;
}

static int parts_read(const xmlNode *root, struct s3_parts *ret, struct err *err)
{
	void *items = NULL;
	uint64_t next = 0;

	if (s3_child_flag(root, "IsTruncated", true, &ret->more, err) < 0 ||
		items_new(s3_node_count(root, "Part"), sizeof(*ret->items), &items, err) < 0)
		return -1;
	ret->items = items;
	for (const xmlNode *n = s3_node_first(root, "Part"); n; n = s3_node_next(n, "Part"))
		if (part_read(n, &ret->items[ret->n++], err) < 0)
			return -1;
	if (ret->more && s3_child_number(root, "NextPartNumberMarker", 1, PART_NUMBER_MAX, &next, err) < 0)
		return -1;
	ret->next = (uint32_t)next;
	return 0;
}

int s3_xml_parts(const void *xml, size_t n, struct s3_parts *ret, struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "ListPartsResult", NULL, err);
	struct s3_parts p = {0};
	int rc;

	if (!doc)
		return -1;
	if ((rc = parts_read(xmlDocGetRootElement(doc), &p, err)) == 0)
		*ret = p;
	else
		s3_parts_free(&p);
	xmlFreeDoc(doc);
	return rc;
}

void s3_parts_free(struct s3_parts *p)
{
	free(p->items);
	*p = (struct s3_parts){0};
}

static int uploads_read(const xmlNode *root, struct s3_uploads *ret, struct err *err)
{
	bool encoded = false;
	void *items = NULL;

	if (is_encoded(root, &encoded, err) < 0 || s3_child_flag(root, "IsTruncated", true, &ret->more, err) < 0 ||
		items_new(s3_node_count(root, "Upload"), sizeof(*ret->items), &items, err) < 0)
		return -1;
	ret->items = items;
	for (const xmlNode *n = s3_node_first(root, "Upload"); n; n = s3_node_next(n, "Upload")) {
		struct s3_upload *u = &ret->items[ret->n++];

		if (child_key(n, "Key", encoded, true, u->key, err) < 0 ||
			s3_child_text(n, "UploadId", true, u->id, sizeof(u->id), err) < 0)
			return -1;
	}
	if (!ret->more)
		return 0;
	if (child_marker(root, encoded, ret->n ? ret->items[ret->n - 1].key : "", ret->next_key, err) < 0 ||
		s3_child_text(root, "NextUploadIdMarker", false, ret->next_id, sizeof(ret->next_id), err) < 0)
		return -1;
	return ret->next_key[0] ? 0 : no_next(err);
}

int s3_xml_uploads(const void *xml, size_t n, struct s3_uploads *ret, struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "ListMultipartUploadsResult", NULL, err);
	struct s3_uploads u = {0};
	int rc;

	if (!doc)
		return -1;
	if ((rc = uploads_read(xmlDocGetRootElement(doc), &u, err)) == 0)
		*ret = u;
	else
		s3_uploads_free(&u);
	xmlFreeDoc(doc);
	return rc;
}

void s3_uploads_free(struct s3_uploads *u)
{
	free(u->items);
	*u = (struct s3_uploads){0};
}

static bool is_version(const xmlNode *n)
{
	return s3_node_is(n, "Version") || s3_node_is(n, "DeleteMarker") || s3_node_is(n, "Contents");
}

static int version_read(const xmlNode *n, bool encoded, struct s3_version *ret, struct err *err)
{
	bool is_object = s3_node_is(n, "Contents");

	ret->marker = s3_node_is(n, "DeleteMarker");
	if (child_key(n, "Key", encoded, true, ret->key, err) < 0)
		return -1;
	if (!is_object && s3_child_text(n, "VersionId", true, ret->version, sizeof(ret->version), err) < 0)
		return -1;
	return ret->marker ? 0 : s3_child_number(n, "Size", 0, INT64_MAX, &ret->bytes, err);
}

/* Where the next page begins: <ListVersionsResult> says it.  Of a <ListBucketResult> the last key serves both versions of the
 * call (start-after, marker); version 2 also gives a token. */
static int versions_next(const xmlNode *root, bool encoded, struct s3_versions *ret, struct err *err)
{
	const char *last_key = ret->n ? ret->items[ret->n - 1].key : "", *name = "NextVersionIdMarker";

	if (s3_node_is(root, "ListBucketResult")) {
		name = "NextContinuationToken";
		memcpy(ret->next_key, last_key, strlen(last_key) + 1);
	} else if (child_marker(root, encoded, last_key, ret->next_key, err) < 0) {
		return -1;
	}
	if (s3_child_text(root, name, false, ret->next_version, sizeof(ret->next_version), err) < 0)
		return -1;
	return ret->next_key[0] ? 0 : no_next(err);
}

static int versions_read(const xmlNode *root, struct s3_versions *ret, struct err *err)
{
	bool encoded = false;
	void *items = NULL;
	size_t count =
		s3_node_count(root, "Version") + s3_node_count(root, "DeleteMarker") + s3_node_count(root, "Contents");

	if (is_encoded(root, &encoded, err) < 0 || s3_child_flag(root, "IsTruncated", true, &ret->more, err) < 0 ||
		items_new(count, sizeof(*ret->items), &items, err) < 0)
		return -1;
	ret->items = items;
	for (const xmlNode *n = s3_node_first(root, NULL); n; n = s3_node_next(n, NULL))
		if (is_version(n) && version_read(n, encoded, &ret->items[ret->n++], err) < 0)
			return -1;
	return ret->more ? versions_next(root, encoded, ret, err) : 0;
}

int s3_xml_versions(const void *xml, size_t n, struct s3_versions *ret, struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "ListVersionsResult", "ListBucketResult", err);
	struct s3_versions v = {0};
	int rc;

	if (!doc)
		return -1;
	if ((rc = versions_read(xmlDocGetRootElement(doc), &v, err)) == 0)
		*ret = v;
	else
		s3_versions_free(&v);
	xmlFreeDoc(doc);
	return rc;
}

void s3_versions_free(struct s3_versions *v)
{
	free(v->items);
	*v = (struct s3_versions){0};
}
