/* s3_xml_node.c - see s3_xml_internal.h; elements and their texts. */
#include "common/parse.h"
#include "uploader/s3/s3_xml_internal.h"

#include <inttypes.h>
#include <libxml/parserInternals.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* XML has no way to hold control characters, U+FFFE, U+FFFF and what is no UTF-8; libxml2 would write them all the same. */
static bool is_legal(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t left = strlen(text);

	while (left) {
		int n = left > 4 ? 4 : (int)left, c = xmlGetUTF8Char(p, &n);

		if (c < 0 || !IS_CHAR(c))
			return false;
		p += n;
		left -= (size_t)n;
	}
	return true;
}

xmlNode *s3_node_add(xmlNode *parent, const char *name, const char *text, struct err *err)
{
	xmlNode *n;

	if (text && !is_legal(text)) {
		err_set(err, ERR_INPUT, "<%s>: \"%.64s\" has a character that XML cannot hold", name, text);
		return NULL;
	}
	n = xmlNewTextChild(parent, parent->ns, (const xmlChar *)name, (const xmlChar *)text);
	/* libxml2 gives the element even when there was no memory for its text. */
	if (n && text && text[0] && (!n->children || !n->children->content))
		n = NULL;
	if (!n)
		err_nomem(err);
	return n;
}

int s3_node_add_number(xmlNode *parent, const char *name, uint64_t v, struct err *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	return s3_node_add(parent, name, text, err) ? 0 : -1;
}

bool s3_node_is(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && (!name || strcmp((const char *)n->name, name) == 0);
}

static xmlNode *from(xmlNode *n, const char *name)
{
	while (n && !s3_node_is(n, name))
		n = n->next;
	return n;
}

xmlNode *s3_node_first(const xmlNode *parent, const char *name)
{
	return from(parent->children, name);
}

xmlNode *s3_node_next(const xmlNode *n, const char *name)
{
	return from(n->next, name);
}

size_t s3_node_count(const xmlNode *parent, const char *name)
{
	size_t count = 0;

	for (const xmlNode *n = s3_node_first(parent, name); n; n = s3_node_next(n, name))
		count++;
	return count;
}

int s3_node_text(const xmlNode *n, char *ret, size_t size, struct err *err)
{
	const char *name = (const char *)n->name;
	size_t used = 0;

	for (const xmlNode *c = n->children; c; c = c->next) {
		const char *text = c->content ? (const char *)c->content : "";
		size_t len = strlen(text);

		if (c->type == XML_COMMENT_NODE || c->type == XML_PI_NODE)
			continue;
		if (c->type != XML_TEXT_NODE && c->type != XML_CDATA_SECTION_NODE)
			return err_set(err, ERR_INPUT, "<%.64s> holds more than text", name);
		if (len >= size - used)
			return err_set(err, ERR_LIMIT, "<%.64s> has over %zu bytes", name, size - 1);
		memcpy(ret + used, text, len);
		used += len;
	}
	ret[used] = '\0';
	return 0;
}

int s3_child(const xmlNode *parent, const char *name, xmlNode **ret, struct err *err)
{
	xmlNode *n = s3_node_first(parent, name);

	if (n && s3_node_next(n, name))
		return err_set(err, ERR_INPUT, "<%.64s> has more than one <%s>", (const char *)parent->name, name);
	*ret = n;
	return 0;
}

int s3_child_text(const xmlNode *parent, const char *name, bool needed, char *ret, size_t size, struct err *err)
{
	xmlNode *n = NULL;

	if (s3_child(parent, name, &n, err) < 0)
		return -1;
	if (n && s3_node_text(n, ret, size, err) < 0)
		return err_in(err, "<%.64s>", (const char *)parent->name);
	if (!n)
		ret[0] = '\0';
	if (needed && ret[0] == '\0')
		return err_set(err, ERR_INPUT, "<%.64s> has no <%s>", (const char *)parent->name, name);
	return 0;
}

int s3_child_number(
	const xmlNode *parent, const char *name, uint64_t least, uint64_t most, uint64_t *ret, struct err *err)
{
	char text[32];

	if (s3_child_text(parent, name, true, text, sizeof(text), err) < 0)
		return -1;
	if (parse_u64(text, least, most, ret, err) < 0)
		return err_in(err, "<%.64s>: <%s>", (const char *)parent->name, name);
	return 0;
}

int s3_child_flag(const xmlNode *parent, const char *name, bool needed, bool *ret, struct err *err)
{
	char text[16];

	if (s3_child_text(parent, name, needed, text, sizeof(text), err) < 0)
		return -1;
	if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0 && (needed || text[0]))
		return err_set(err, ERR_INPUT, "<%.64s>: <%s> is \"%s\", not true or false", (const char *)parent->name,
			name, text);
	*ret = strcasecmp(text, "true") == 0;
	return 0;
}

int s3_child_etag(const xmlNode *parent, bool needed, char *ret, size_t size, struct err *err)
{
	size_t n;

	if (s3_child_text(parent, "ETag", needed, ret, size, err) < 0)
		return -1;
	n = strlen(ret);
	if (n == 0)
		return 0;
	if (n >= 2 && ret[0] == '"' && ret[n - 1] == '"') {
		memmove(ret, ret + 1, n - 2);
		ret[n - 2] = '\0';
	}
	if (ret[0] == '\0' || strchr(ret, '"') || !parse_is_text(ret, strlen(ret), false))
		return err_set(err, ERR_INPUT, "<%.64s>: <ETag> is none", (const char *)parent->name);
	return 0;
}
