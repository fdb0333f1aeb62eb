/* s3_xml.c - see s3_xml.h; the documents that say one thing. */
#include "uploader/s3/s3_xml.h"

#include "common/parse.h"
#include "uploader/s3/s3_xml_internal.h"

#include <ctype.h>
#include <string.h>

/* Texts for people: printable, and cut when they are long. */
static void shown(const xmlNode *error, const char *name, char *ret, size_t size)
{
	char text[S3_XML_GAP_MAX + 1];

	if (s3_child_text(error, name, true, text, sizeof(text), NULL) == 0)
		parse_printable(text, ret, size);
}

/* A code is a word that we compare: one that is something else is none. */
static bool is_code(const char *code)
{
	for (; isalnum((unsigned char)*code) || *code == '.' || *code == '_' || *code == '-'; code++)
		;
	return *code == '\0';
}

void s3_error_read(const xmlNode *error, struct s3_error *ret)
{
	*ret = (struct s3_error){0};
	if (s3_child_text(error, "Code", true, ret->code, sizeof(ret->code), NULL) < 0 || !is_code(ret->code))
		ret->code[0] = '\0';
	shown(error, "Message", ret->message, sizeof(ret->message));
	shown(error, "Region", ret->region, sizeof(ret->region));
	shown(error, "Endpoint", ret->endpoint, sizeof(ret->endpoint));
	shown(error, "ServerTime", ret->server_time, sizeof(ret->server_time));
}

void s3_xml_error(const void *xml, size_t n, struct s3_error *ret)
{
	xmlDoc *doc = s3_doc_read(xml, n, NULL);
	const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	if (root && s3_node_is(root, "Error"))
		s3_error_read(root, ret);
	else
		*ret = (struct s3_error){0};
	xmlFreeDoc(doc);
}

int s3_xml_upload_id(const void *xml, size_t n, char ret[S3_UPLOAD_ID_MAX], struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "InitiateMultipartUploadResult", NULL, err);
	char id[S3_UPLOAD_ID_MAX];
	int rc = -1;

	if (!doc)
		return -1;
	if (s3_child_text(xmlDocGetRootElement(doc), "UploadId", true, id, sizeof(id), err) == 0) {
		memcpy(ret, id, sizeof(id));
		rc = 0;
	}
	xmlFreeDoc(doc);
	return rc;
}

static int etag_answer(
	const void *xml, size_t n, const char *name, bool needed, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, name, NULL, err);
	char etag[S3_ETAG_MAX];
	int rc = -1;

	if (!doc)
		return -1;
	if (s3_child_etag(xmlDocGetRootElement(doc), needed, etag, sizeof(etag), err) == 0) {
		memcpy(ret_etag, etag, sizeof(etag));
		rc = 0;
	}
	xmlFreeDoc(doc);
	return rc;
}

int s3_xml_completed(const void *xml, size_t n, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	return etag_answer(xml, n, "CompleteMultipartUploadResult", false, ret_etag, err);
}

int s3_xml_copied(const void *xml, size_t n, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	return etag_answer(xml, n, "CopyPartResult", true, ret_etag, err);
}

int s3_xml_versioning(const void *xml, size_t n, char ret[16], struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "VersioningConfiguration", NULL, err);
	char status[16];
	int rc = -1;

	if (!doc)
		return -1;
	if (s3_child_text(xmlDocGetRootElement(doc), "Status", false, status, sizeof(status), err) < 0)
		goto out;
	if (status[0] && strcmp(status, "Enabled") != 0 && strcmp(status, "Suspended") != 0) {
		err_set(err, ERR_INPUT, "<VersioningConfiguration>: <Status> is \"%s\", not Enabled or Suspended",
			status);
		goto out;
	}
	memcpy(ret, status, sizeof(status));
	rc = 0;
out:
	xmlFreeDoc(doc);
	return rc;
}

int s3_xml_encryption(const void *xml, size_t n, char ret[16], struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "ServerSideEncryptionConfiguration", NULL, err);
	xmlNode *rule = NULL, *by_default = NULL;
	char algorithm[16] = "";
	int rc = -1;

	if (!doc)
		return -1;
	/* S3 takes one rule. */
	if (s3_child(xmlDocGetRootElement(doc), "Rule", &rule, err) < 0 ||
		(rule && s3_child(rule, "ApplyServerSideEncryptionByDefault", &by_default, err) < 0) ||
		(by_default && s3_child_text(by_default, "SSEAlgorithm", false, algorithm, sizeof(algorithm), err) < 0))
		goto out;
	memcpy(ret, algorithm, sizeof(algorithm));
	rc = 0;
out:
	xmlFreeDoc(doc);
	return rc;
}

int s3_xml_public_block(const void *xml, size_t n, bool *ret_all, struct err *err)
{
	static const char *const flags[] = {
		"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"};
	/* The second is how RGW 16 calls it. */
	xmlDoc *doc =
		s3_answer_read(xml, n, "PublicAccessBlockConfiguration", "BlockPublicAccessBlockConfiguration", err);
	bool all = true, is_set = false;
	int rc = -1;

	if (!doc)
		return -1;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (s3_child_flag(xmlDocGetRootElement(doc), flags[i], false, &is_set, err) < 0)
			goto out;
		all = all && is_set;
	}
	*ret_all = all;
	rc = 0;
out:
	xmlFreeDoc(doc);
	return rc;
}
