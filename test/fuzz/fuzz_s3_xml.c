/* fuzz_s3_xml.c - S3's documents, written by somebody hostile.  The first byte chooses the document: 'e' error, 'u' upload id, 'c' completed, 'p' parts,
 * 'm' multipart uploads, 'v' versions, 's' versioning, 'k' encryption, 'b' public block, 't' a tag that we write (name, NUL, value). */
#include "uploader/s3/s3_xml.h"
#include "uploader/s3/s3_xml_internal.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FUZZ_BYTES_MAX (16 << 20)

static bool is_ended(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

/* A refusal says why; nothing else is said. */
static bool is_read(int rc, const struct err *err)
{
	if (rc == 0)
		assert(err->code == ERR_NONE);
	else
		assert(rc == -1 && err->code != ERR_NONE && err->msg[0]);
	return rc == 0;
}

static void fuzz_error(const void *xml, size_t n)
{
	struct s3_error e;

	memset(&e, 'x', sizeof(e));
	s3_xml_error(xml, n, &e);
	assert(is_ended(e.code, sizeof(e.code)) && is_ended(e.message, sizeof(e.message)));
	assert(is_ended(e.region, sizeof(e.region)) && is_ended(e.endpoint, sizeof(e.endpoint)));
	assert(is_ended(e.server_time, sizeof(e.server_time)));
	for (const char *c = e.message; *c; c++)
		assert(*c >= 0x20 && *c <= 0x7e);
}

/* What the store says of its parts can be sent back to it. */
static void fuzz_parts(const void *xml, size_t n)
{
	const char *etags[1000];
	struct s3_parts p;
	struct err err = {0};
	struct buf b;

	if (!is_read(s3_xml_parts(xml, n, &p, &err), &err))
		return;
	assert(p.n <= 1000 && (!p.more || p.next > 0));
	for (size_t i = 0; i < p.n; i++) {
		assert(p.items[i].number >= 1 && p.items[i].number <= 10000);
		etags[i] = p.items[i].etag;
	}
	if (p.n) {
		xmlDoc *doc;

		buf_init(&b, FUZZ_BYTES_MAX);
		assert(s3_xml_complete(&b, etags, (uint32_t)p.n, &err) == 0);
		doc = s3_doc_read(b.data, b.len, &err);
		assert(doc && s3_node_count(xmlDocGetRootElement(doc), "Part") == p.n);
		xmlFreeDoc(doc);
		buf_done(&b);
	}
	s3_parts_free(&p);
}

static void fuzz_uploads(const void *xml, size_t n)
{
	struct s3_uploads u;
	struct err err = {0};

	if (!is_read(s3_xml_uploads(xml, n, &u, &err), &err))
		return;
	assert(u.n <= 1000 && (!u.more || u.next_key[0]));
	assert(is_ended(u.next_key, sizeof(u.next_key)) && is_ended(u.next_id, sizeof(u.next_id)));
	for (size_t i = 0; i < u.n; i++) {
		assert(is_ended(u.items[i].key, sizeof(u.items[i].key)) && u.items[i].key[0]);
		assert(is_ended(u.items[i].id, sizeof(u.items[i].id)) && u.items[i].id[0]);
	}
	s3_uploads_free(&u);
}

static void fuzz_versions(const void *xml, size_t n)
{
	struct s3_versions v;
	struct err err = {0};

	if (!is_read(s3_xml_versions(xml, n, &v, &err), &err))
		return;
	assert(v.n <= 1000 && (!v.more || v.next_key[0]));
	assert(is_ended(v.next_key, sizeof(v.next_key)) && is_ended(v.next_version, sizeof(v.next_version)));
	for (size_t i = 0; i < v.n; i++) {
		assert(is_ended(v.items[i].key, sizeof(v.items[i].key)) && v.items[i].key[0]);
		assert(is_ended(v.items[i].version, sizeof(v.items[i].version)));
		assert(!v.items[i].marker || v.items[i].bytes == 0);
	}
	s3_versions_free(&v);
}

static void fuzz_one_text(char kind, const void *xml, size_t n)
{
	char id[S3_UPLOAD_ID_MAX], etag[S3_ETAG_MAX], word[16];
	bool all;
	struct err err = {0};

	switch (kind) {
	case 'u':
		if (is_read(s3_xml_upload_id(xml, n, id, &err), &err))
			assert(is_ended(id, sizeof(id)) && id[0]);
		break;
	case 'c':
		if (is_read(s3_xml_completed(xml, n, etag, &err), &err))
			assert(is_ended(etag, sizeof(etag)) && !strchr(etag, '"'));
		break;
	case 's':
		if (is_read(s3_xml_versioning(xml, n, word, &err), &err))
			assert(!word[0] || !strcmp(word, "Enabled") || !strcmp(word, "Suspended"));
		break;
	case 'k':
		if (is_read(s3_xml_encryption(xml, n, word, &err), &err))
			assert(is_ended(word, sizeof(word)));
		break;
	case 'b':
		is_read(s3_xml_public_block(xml, n, &all, &err), &err);
		break;
	default:
		break;
	}
}

/* What we write is read back as it was meant. */
static void fuzz_tag(const uint8_t *data, size_t n)
{
	char *name = malloc(n + 1), text[1025];
	const char *pair[1][2] = {{name, ""}};
	struct err err = {0};
	struct buf b;

	assert(name);
	memcpy(name, data, n);
	name[n] = '\0';
	if (strlen(name) < n)
		pair[0][1] = name + strlen(name) + 1;
	buf_init(&b, FUZZ_BYTES_MAX);
	if (is_read(s3_xml_tagging(&b, pair, 1, &err), &err)) {
		xmlDoc *doc = s3_doc_read(b.data, b.len, &err);
		const xmlNode *tag;

		/* 1024 bytes of '<' are 4096 in XML: within the bounds of reading. */
		assert(doc);
		tag = s3_node_first(s3_node_first(xmlDocGetRootElement(doc), "TagSet"), "Tag");
		assert(s3_child_text(tag, "Key", true, text, sizeof(text), &err) == 0 && !strcmp(text, pair[0][0]));
		assert(s3_child_text(tag, "Value", false, text, sizeof(text), &err) == 0 && !strcmp(text, pair[0][1]));
		xmlFreeDoc(doc);
	} else {
		assert(b.len == 0);
	}
	buf_done(&b);
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	switch (data[0]) {
	case 'e':
		fuzz_error(data + 1, n - 1);
		break;
	case 'p':
		fuzz_parts(data + 1, n - 1);
		break;
	case 'm':
		fuzz_uploads(data + 1, n - 1);
		break;
	case 'v':
		fuzz_versions(data + 1, n - 1);
		break;
	case 't':
		fuzz_tag(data + 1, n - 1);
		break;
	default:
		fuzz_one_text((char)data[0], data + 1, n - 1);
	}
	return 0;
}
