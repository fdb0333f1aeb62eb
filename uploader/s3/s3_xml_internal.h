/* s3_xml_internal.h - what the files of s3_xml.h share: a document read with care, its nodes, and one written. */
#ifndef PCAPLINE_UPLOADER_S3_S3_XML_INTERNAL_H
#define PCAPLINE_UPLOADER_S3_S3_XML_INTERNAL_H

#include "common/buf.h"
#include "common/err.h"

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_XML_BYTES_MAX                                                                                               \
	(8 * 1024 * 1024)           /* 1000 uploads with keys and ids of 1024 bytes, each byte a "%20" or an "&amp;" */
#define S3_XML_ELEMENTS_MAX   40000 /* 1000 versions with an owner and checksums have 20 each */
#define S3_XML_ATTRIBUTES_MAX 16    /* S3 has name spaces and a type */
#define S3_XML_DEPTH_MAX      16    /* the deepest of S3's, a tag of a lifecycle rule, has 6 */
#define S3_XML_GAP_MAX        8192  /* bytes from one '<' to the next: a tag and the text behind it */

/* s3_doc_read: ERR_INPUT (not well-formed, a DOCTYPE), ERR_LIMIT.  Free with xmlFreeDoc; it has a root. */
xmlDoc *s3_doc_read(const void *xml, size_t n, struct err *err);

/* s3_answer_read: an answer whose root must be this (or or_root, unless that is NULL); an <Error> is ERR_UNAVAILABLE with its code.
 * err detail "bad_answer" for what is neither. */
xmlDoc *s3_answer_read(const void *xml, size_t n, const char *root, const char *or_root, struct err *err);

/* s3_error_read: what an <Error> says; never fails. */
struct s3_error;
void s3_error_read(const xmlNode *error, struct s3_error *ret);

/* s3_doc_write: the whole document as UTF-8, appended to dst. */
int s3_doc_write(xmlDoc *doc, struct buf *dst, struct err *err);

/* A document to write with its root, in S3's name space. */
xmlDoc *s3_doc_new(const char *root, struct err *err);

/* s3_node_add: a child with this text (NULL: none), in the name space of its parent.  NULL: no memory, or ERR_INPUT for a text that XML cannot hold. */
xmlNode *s3_node_add(xmlNode *parent, const char *name, const char *text, struct err *err);
int s3_node_add_number(xmlNode *parent, const char *name, uint64_t v, struct err *err);

/* Elements by local name.  first and next skip what is no element; name NULL: any. */
bool s3_node_is(const xmlNode *n, const char *name);
xmlNode *s3_node_first(const xmlNode *parent, const char *name);
xmlNode *s3_node_next(const xmlNode *n, const char *name);
size_t s3_node_count(const xmlNode *parent, const char *name);

/* The text of an element: 0, or -1 when it holds elements (ERR_INPUT) or has size bytes or more (ERR_LIMIT). */
int s3_node_text(const xmlNode *n, char *ret, size_t size, struct err *err);

/* Of a child that must be there at most once.  s3_child: NULL and 0 when absent.  The texts: absent is "", or ERR_INPUT when needed. */
int s3_child(const xmlNode *parent, const char *name, xmlNode **ret, struct err *err);
int s3_child_text(const xmlNode *parent, const char *name, bool needed, char *ret, size_t size, struct err *err);
int s3_child_number(
	const xmlNode *parent, const char *name, uint64_t least, uint64_t most, uint64_t *ret, struct err *err);
int s3_child_flag(const xmlNode *parent, const char *name, bool needed, bool *ret, struct err *err);

/* The ETag in a child, without quotes; absent is "", or ERR_INPUT when needed. */
int s3_child_etag(const xmlNode *parent, bool needed, char *ret, size_t size, struct err *err);

#endif
