/* s3_xml_doc.c - see s3_xml_internal.h.  The one place that feeds libxml2.
 *
 * A document is bounded before libxml2 sees it (bytes; bytes between two '<', because its search for doubled attributes takes the square of
 * their number) and while it is read (elements, attributes of one, depth).  A DOCTYPE ends the reading where it begins, so there are no entities but
 * XML's own five and nothing to load.  Everything is UTF-8, whatever the document says of itself. */
#include "uploader/s3/s3_xml_internal.h"

#include "uploader/s3/s3_fault.h"
#include "uploader/s3/s3_xml.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <pthread.h>
#include <string.h>

#define S3_NAME_SPACE "http://s3.amazonaws.com/doc/2006-03-01/"

/* One document while it is read; why: "" as long as all is well. */
struct reading {
	unsigned elements;
	enum err_code code;
	const char *why;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
	xmlInitParser();
}

/* libxml2 writes to stderr what nobody takes. */
#if LIBXML_VERSION >= 21200
static void ignore(void *ctx, const xmlError *e)
#else
static void ignore(void *ctx, xmlError *e)
#endif
{
	(void)ctx;
	(void)e;
}

static void refuse(xmlParserCtxt *p, enum err_code code, const char *why)
{
	struct reading *r = p->_private;

	if (!r->why) {
		r->code = code;
		r->why = why;
	}
	xmlStopParser(p);
}

static void on_doctype(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	(void)name;
	(void)external;
	(void)system;
	refuse(ctx, ERR_INPUT, "it has a DOCTYPE");
}

static void on_element(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int spaces_n,
	const xmlChar **spaces, int attrs_n, int defaults_n, const xmlChar **attrs)
{
	xmlParserCtxt *p = ctx;
	struct reading *r = p->_private;

	if (r->why)
		return;
	if (++r->elements > S3_XML_ELEMENTS_MAX)
		refuse(p, ERR_LIMIT, "too many elements");
	else if (spaces_n + attrs_n > S3_XML_ATTRIBUTES_MAX)
		refuse(p, ERR_LIMIT, "too many attributes");
	else if (p->nodeNr >= S3_XML_DEPTH_MAX)
		refuse(p, ERR_LIMIT, "elements too deep in each other");
	else
		xmlSAX2StartElementNs(ctx, name, prefix, uri, spaces_n, spaces, attrs_n, defaults_n, attrs);
}

/* Stores send white space to keep a connection alive while they work, some of them before the XML declaration, where it may not be. */
static const char *skip_space(const char *p, size_t *n)
{
	if (*n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		p += 3;
		*n -= 3;
	}
	for (; *n && memchr(" \t\r\n", *p, 4); p++)
		--*n;
	return p;
}

static int check_bounds(const char *p, size_t n, struct err *err)
{
	const char *end = p + n, *next;

	if (n == 0)
		return err_set(err, ERR_INPUT, "XML document: it is empty");
	if (n > S3_XML_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "XML document: %zu bytes, over %d", n, S3_XML_BYTES_MAX);
	if (memchr(p, '\0', n))
		return err_set(err, ERR_INPUT, "XML document: it holds a NUL byte");
	for (; p < end; p = next) {
		next = memchr(p + 1, '<', (size_t)(end - p - 1));
		next = next ? next : end;
		if (next - p > S3_XML_GAP_MAX)
			return err_set(err, ERR_LIMIT, "XML document: a tag or text of over %d bytes", S3_XML_GAP_MAX);
	}
	return 0;
}

/* Why there is no document. */
static int tell(xmlParserCtxt *p, const struct reading *r, struct err *err)
{
	const xmlError *e = xmlCtxtGetLastError(p);

	if (r->why)
		return err_set(err, r->code, "XML document: %s", r->why);
	if (e && e->code == XML_ERR_NO_MEMORY)
		return err_nomem(err);
	if (e && e->message)
		return err_set(err, ERR_INPUT, "XML document: line %d: %.*s", e->line, (int)strcspn(e->message, "\r\n"),
			e->message);
	return err_set(err, ERR_INPUT, "XML document: it is none");
}

xmlDoc *s3_doc_read(const void *xml, size_t n, struct err *err)
{
	struct reading r = {0};
	const char *text = n ? skip_space(xml, &n) : "";
	xmlParserCtxt *p = NULL;
	xmlDoc *doc = NULL;

	if (check_bounds(text, n, err) < 0)
		return NULL;
	pthread_once(&once, init);
	xmlSetStructuredErrorFunc(NULL, ignore); /* of this thread */
	if (!(p = xmlNewParserCtxt())) {
		err_nomem(err);
		return NULL;
	}
	p->_private = &r;
	p->sax->serror = ignore;
	p->sax->internalSubset = on_doctype;
	p->sax->startElementNs = on_element;
	doc = xmlCtxtReadMemory(
		p, text, (int)n, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	/* One that was stopped half way may count as well-formed. */
	if (doc && (r.why || !xmlDocGetRootElement(doc))) {
		xmlFreeDoc(doc);
		doc = NULL;
	}
	if (!doc)
		tell(p, &r, err);
	xmlFreeParserCtxt(p);
	return doc;
}

static int tell_error(const xmlNode *error, struct err *err)
{
	struct s3_error e;
	char detail[32];

	s3_error_read(error, &e);
	err_set(err, ERR_UNAVAILABLE, "the store answered %s%s%s", e.code[0] ? e.code : "an error without a code",
		e.message[0] ? ": " : "", e.message);
	s3_fault_detail(e.code, detail);
	return detail[0] ? err_detail(err, detail) : -1;
}

xmlDoc *s3_answer_read(const void *xml, size_t n, const char *root, const char *or_root, struct err *err)
{
	xmlDoc *doc = s3_doc_read(xml, n, err);
	const xmlNode *found;

	if (!doc) {
		err_in(err, "the store's answer should be <%s>", root);
		if (err && err->code == ERR_INPUT)
			err_detail(err, "bad_answer");
		return NULL;
	}
	found = xmlDocGetRootElement(doc);
	if (s3_node_is(found, root) || (or_root && s3_node_is(found, or_root)))
		return doc;
	if (s3_node_is(found, "Error")) {
		tell_error(found, err);
	} else {
		err_set(err, ERR_INPUT, "the store's answer is <%.64s>, not <%s>", (const char *)found->name, root);
		err_detail(err, "bad_answer");
	}
	xmlFreeDoc(doc);
	return NULL;
}

int s3_doc_write(xmlDoc *doc, struct buf *dst, struct err *err)
{
	xmlChar *text = NULL;
	int n = 0, rc;

	xmlSetStructuredErrorFunc(NULL, ignore);
	xmlDocDumpMemoryEnc(doc, &text, &n, "UTF-8");
	rc = text && n > 0 ? buf_add(dst, text, (size_t)n, err) : err_nomem(err);
	xmlFree(text);
	return rc;
}

xmlDoc *s3_doc_new(const char *root, struct err *err)
{
	xmlDoc *doc;
	xmlNode *node;
	xmlNs *space;

	pthread_once(&once, init);
	xmlSetStructuredErrorFunc(NULL, ignore);
	doc = xmlNewDoc((const xmlChar *)"1.0");
	node = doc ? xmlNewDocNode(doc, NULL, (const xmlChar *)root, NULL) : NULL;
	if (!node) {
		xmlFreeDoc(doc);
		err_nomem(err);
		return NULL;
	}
	xmlDocSetRootElement(doc, node);
	if (!(space = xmlNewNs(node, (const xmlChar *)S3_NAME_SPACE, NULL))) {
		xmlFreeDoc(doc);
		err_nomem(err);
		return NULL;
	}
	xmlSetNs(node, space);
	return doc;
}
