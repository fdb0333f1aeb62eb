/* s3_bucket_probe.c - the examination of a bucket: what captures will need is done once with an object and an upload of our own, and erased.
 * A probe that stays behind (we died) is erased by the next examination; one of a gateway that never comes back begins with the prefix, so the lifecycle
 * rule takes it. */
#include "uploader/s3/s3_bucket_internal.h"

#include "common/fs.h"
#include "common/id.h"
#include "uploader/s3/s3_erase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BYTES_MAX ((size_t)1024 * 1024)
#define HEADERS_MAX    3

struct probe {
	char *key;
	char text[64];
	bool there; /* an object may stand at key */
	struct s3_exam_encryption encryption;
};

/* ---- writing ---- */

static const char *algorithm(enum s3_encryption e)
{
	return e == S3_SSE_AES256 ? "AES256" : e == S3_SSE_KMS ? "aws:kms" : "";
}

/* What goes with every object that is made; returns how many headers. */
static size_t headers_of(const struct s3_exam *x, bool encrypted, struct s3_pair ret[HEADERS_MAX])
{
	size_t n = 0;

	ret[n++] = (struct s3_pair){"content-type", "text/plain"};
	if (!encrypted || x->o->encryption == S3_SSE_NONE)
		return n;
	ret[n++] = (struct s3_pair){"x-amz-server-side-encryption", algorithm(x->o->encryption)};
	if (x->o->encryption == S3_SSE_KMS && x->o->kms_key_id[0])
		ret[n++] = (struct s3_pair){"x-amz-server-side-encryption-aws-kms-key-id", x->o->kms_key_id};
	return n;
}

static enum s3_told put_once(struct s3_exam *x, struct probe *p, bool encrypted, struct err *why)
{
	struct s3_pair headers[HEADERS_MAX];
	const struct s3_request rq = {.method = "PUT",
		.key = p->key,
		.headers = headers,
		.headers_n = headers_of(x, encrypted, headers),
		.body = p->text,
		.body_len = strlen(p->text),
		.md5 = true};
	enum s3_told told;
	const char *answer;
	struct s3_answer a;

	if ((told = s3_exam_call(x, &rq, &a, why)) == S3_TOLD) {
		answer = http_call_header(a.call, "x-amz-server-side-encryption");
		snprintf(p->encryption.answer, sizeof(p->encryption.answer), "%s", answer ? answer : "");
		s3_answer_done(&a);
		p->encryption.put = true;
	}
	/* An answer that was lost does not say that nothing was done. */
	p->there = p->there || told == S3_TOLD || told == S3_TOLD_FAULT;
	return told;
}

static enum s3_told read_back(struct s3_exam *x, const struct probe *p, struct err *why)
{
	const struct s3_request rq = {.method = "GET", .key = p->key, .answer_bytes_max = 4096};
	struct s3_answer a;
	enum s3_told told = s3_exam_call(x, &rq, &a, why);
	const struct buf *body;

	if (told != S3_TOLD)
		return told;
	body = http_call_body(a.call);
	if (body->len != strlen(p->text) || memcmp(body->data, p->text, body->len) != 0) {
		err_set(why, ERR_IO, "other bytes came back than were put");
		told = S3_TOLD_FAULT;
	}
	s3_answer_done(&a);
	return told;
}

/* Where the encryption is what the store will not have, the rest can still be examined without. */
static void writable(struct s3_exam *x, struct probe *p)
{
	struct err why;
	enum s3_told told = put_once(x, p, true, &why);

	if (told != S3_TOLD && told != S3_TOLD_FAULT && x->o->encryption != S3_SSE_NONE) {
		struct err refused = why;

		if ((told = put_once(x, p, false, &why)) == S3_TOLD)
			snprintf(p->encryption.refused, sizeof(p->encryption.refused), "%.255s", refused.msg);
	}
	if (told == S3_TOLD_DENIED)
		s3_exam_add(x, DRIVER_ERROR, "writable",
			"nothing can be stored: grant s3:PutObject (and on Ceph do not set BlockPublicAcls, which "
			"refuses every object there): %s",
			why.msg);
	else if (told != S3_TOLD)
		s3_exam_add(x, DRIVER_ERROR, "writable", "nothing can be stored: %s", why.msg);
	else if ((told = read_back(x, p, &why)) == S3_TOLD_DENIED)
		s3_exam_add(
			x, DRIVER_ERROR, "writable", "what is stored cannot be read: grant s3:GetObject: %s", why.msg);
	else if (told != S3_TOLD)
		s3_exam_add(x, DRIVER_ERROR, "writable", "what is stored cannot be read: %s", why.msg);
	else
		s3_exam_add(x, DRIVER_GOOD, "writable", "an object was put and read back");
}

/* ---- tags ---- */

static void tags(struct s3_exam *x, const struct probe *p)
{
	static const char *const pairs[][2] = {{"job", "probe"}};
	static const struct s3_pair query = {"tagging", ""}, type = {"content-type", "application/xml"};
	struct s3_request rq = {.method = "PUT",
		.key = p->key,
		.query = &query,
		.query_n = 1,
		.headers = &type,
		.headers_n = 1,
		.md5 = true};
	enum s3_told told = S3_TOLD_FAULT;
	struct err why = {0};
	struct buf body;

	buf_init(&body, 4096);
	if (s3_xml_tagging(&body, pairs, 1, &why) == 0) {
		rq.body = body.data;
		rq.body_len = body.len;
		told = s3_exam_call(x, &rq, NULL, &why);
	}
	buf_done(&body);
	if (told == S3_TOLD && read_back(x, p, &why) == S3_TOLD_FAULT && why.code == ERR_IO)
		s3_exam_add(x, DRIVER_ERROR, "tags",
			"the store takes the tags of an object for the object and replaces it; captures will have no "
			"tags");
	else if (told == S3_TOLD)
		s3_exam_add(x, DRIVER_GOOD, "tags", "objects can be tagged");
	else if (told == S3_TOLD_DENIED)
		s3_exam_add(x, DRIVER_WARNING, "tags", "captures will have no tags: grant s3:PutObjectTagging: %s",
			why.msg);
	else if (told == S3_TOLD_FAULT)
		s3_exam_add(x, DRIVER_WARNING, "tags", "whether objects can be tagged is not known: %s", why.msg);
	else
		s3_exam_add(x, DRIVER_NOTE, "tags", "captures will have no tags, the store does not have them: %s",
			why.msg);
}

/* ---- encryption ---- */

static enum driver_severity judge_asked(const struct s3_exam_encryption *e, char *ret, size_t size)
{
	const char *asked = algorithm(e->asked);

	if (e->refused[0]) {
		snprintf(ret, size,
			"the store refuses %s, so no capture can be stored: use an https:// endpoint and a key that it "
			"has, or set s3.encryption to none: %s",
			asked, e->refused);
		return DRIVER_ERROR;
	}
	if (!e->put) {
		snprintf(ret, size, "whether the store encrypts with %s is not known: nothing could be put", asked);
		return DRIVER_NOTE;
	}
	if (strcmp(e->answer, asked) == 0) {
		snprintf(ret, size, "objects are encrypted with %s, as asked", asked);
		return DRIVER_GOOD;
	}
	if (e->answer[0]) {
		snprintf(ret, size, "%s was asked for, and the store says that it encrypted with %s", asked, e->answer);
		return DRIVER_WARNING;
	}
	snprintf(ret, size,
		"%s was asked for; the store took the object and does not say that it encrypted it, so it did not: set "
		"up encryption there, or set s3.encryption to none",
		asked);
	return DRIVER_WARNING;
}

enum driver_severity s3_exam_encryption_judge(const struct s3_exam_encryption *e, char *ret, size_t size)
{
	static const char remedy[] = "set s3.encryption or a default on the bucket";

	if (e->asked != S3_SSE_NONE)
		return judge_asked(e, ret, size);
	if (e->answer[0] || (e->told == S3_TOLD && e->by_default[0])) {
		snprintf(ret, size, "objects are encrypted by default with %s",
			e->answer[0] ? e->answer : e->by_default);
		return DRIVER_GOOD;
	}
	if (e->told == S3_TOLD || e->told == S3_TOLD_NONE) {
		snprintf(ret, size, "objects are not encrypted: %s", remedy);
		return DRIVER_WARNING;
	}
	if (e->told == S3_TOLD_UNKNOWN) {
		snprintf(ret, size,
			"objects are not encrypted, unless the store does so without saying: %s where it can", remedy);
		return DRIVER_NOTE;
	}
	snprintf(ret, size, "whether objects are encrypted is not known%s: %s",
		e->told == S3_TOLD_DENIED ? " (right s3:GetEncryptionConfiguration)" : "", remedy);
	return DRIVER_NOTE;
}

static void encryption(struct s3_exam *x, struct s3_exam_encryption *e)
{
	char text[sizeof(x->ret->items[0].text)];
	enum driver_severity severity;
	struct s3_answer a;
	struct err why;

	e->told = s3_exam_get(x, "encryption", &a, &why);
	if (e->told == S3_TOLD) {
		if (s3_xml_encryption(http_call_body(a.call)->data, http_call_body(a.call)->len, e->by_default, &why) <
			0)
			e->told = s3_told_of(&why);
		s3_answer_done(&a);
	}
	severity = s3_exam_encryption_judge(e, text, sizeof(text));
	s3_exam_add(x, severity, "encryption", "%s", text);
}

/* ---- uploads ---- */

static enum s3_told upload_begin(
	struct s3_exam *x, const struct probe *p, char ret_id[S3_UPLOAD_ID_MAX], struct err *why)
{
	static const struct s3_pair query = {"uploads", ""};
	struct s3_pair headers[HEADERS_MAX];
	const struct s3_request rq = {.method = "POST",
		.key = p->key,
		.query = &query,
		.query_n = 1,
		.headers = headers,
		.headers_n = headers_of(x, !p->encryption.refused[0], headers),
		.body = ""};
	struct s3_answer a;
	enum s3_told told = s3_exam_call(x, &rq, &a, why);

	if (told != S3_TOLD)
		return told;
	if (s3_xml_upload_id(http_call_body(a.call)->data, http_call_body(a.call)->len, ret_id, why) < 0)
		told = s3_told_of(why);
	s3_answer_done(&a);
	return told;
}

/* *ret_listed: the list shows this upload. */
static enum s3_told upload_list(
	struct s3_exam *x, const struct probe *p, const char *id, bool *ret_listed, struct err *why)
{
	const struct s3_pair query[] = {{"uploads", ""}, {"prefix", p->key}};
	const struct s3_request rq = {
		.method = "GET", .query = query, .query_n = 2, .answer_bytes_max = LIST_BYTES_MAX};
	struct s3_answer a;
	struct s3_uploads list;
	enum s3_told told = s3_exam_call(x, &rq, &a, why);

	*ret_listed = false;
	if (told != S3_TOLD)
		return told;
	if (s3_xml_uploads(http_call_body(a.call)->data, http_call_body(a.call)->len, &list, why) == 0) {
		for (size_t i = 0; i < list.n; i++)
			*ret_listed = *ret_listed || strcmp(list.items[i].id, id) == 0;
		s3_uploads_free(&list);
	} else {
		told = s3_told_of(why);
	}
	s3_answer_done(&a);
	return told;
}

static enum s3_told upload_abort(struct s3_exam *x, const struct probe *p, const char *id, struct err *why)
{
	const struct s3_pair query = {"uploadId", id};
	const struct s3_request rq = {.method = "DELETE", .key = p->key, .query = &query, .query_n = 1};

	return s3_exam_call(x, &rq, NULL, why);
}

static void uploads(struct s3_exam *x, const struct probe *p)
{
	struct err begun_why, listed_why, aborted_why;
	char id[S3_UPLOAD_ID_MAX];
	enum s3_told listed, aborted;
	bool seen;

	if (upload_begin(x, p, id, &begun_why) != S3_TOLD) {
		s3_exam_add(x, DRIVER_ERROR, "uploads",
			"captures of more than one part cannot be stored, an upload cannot be begun: %s",
			begun_why.msg);
		return;
	}
	listed = upload_list(x, p, id, &seen, &listed_why);
	aborted = upload_abort(x, p, id, &aborted_why);
	if (aborted == S3_TOLD_DENIED)
		s3_exam_add(x, DRIVER_ERROR, "uploads",
			"uploads that were begun cannot be taken back, so they stay: grant s3:AbortMultipartUpload: %s",
			aborted_why.msg);
	else if (aborted != S3_TOLD)
		s3_exam_add(x, DRIVER_WARNING, "uploads", "an upload that was begun could not be aborted: %s",
			aborted_why.msg);
	else if (listed == S3_TOLD_DENIED)
		s3_exam_add(x, DRIVER_ERROR, "uploads",
			"open uploads cannot be listed, so none can be begun and nothing erased for sure: grant "
			"s3:ListBucketMultipartUploads: %s",
			listed_why.msg);
	else if (listed != S3_TOLD)
		s3_exam_add(x, listed == S3_TOLD_FAULT ? DRIVER_WARNING : DRIVER_NOTE, "uploads",
			"open uploads cannot be listed: %s", listed_why.msg);
	else if (!seen)
		s3_exam_add(x, DRIVER_NOTE, "uploads", "the store's list of open uploads does not show one just begun");
	else
		s3_exam_add(x, DRIVER_GOOD, "uploads", "an upload was begun, listed and aborted");
}

/* ---- erasing ---- */

static void erase(struct s3_exam *x, const struct probe *p)
{
	struct err why = x->gone;

	if (why.code == ERR_NONE && s3_erase_key(x->c, p->key, NULL, &why) == 0)
		s3_exam_add(x, DRIVER_GOOD, "erase", "what was put is erased with all that belongs to it");
	else
		s3_exam_add(x, why.code == ERR_PERM ? DRIVER_ERROR : DRIVER_WARNING, "erase",
			"what was put cannot be erased for sure: %s", why.msg);
}

void s3_exam_probe(struct s3_exam *x)
{
	struct probe p = {.encryption.asked = x->o->encryption};
	char id[ID_MAX];

	id_new(id);
	snprintf(p.text, sizeof(p.text), "pcapline probe %s\n", id);
	p.key = fs_path("%s.pcapline-probe-%s", x->below, x->o->probe);
	if (!p.key) {
		err_nomem(&x->gone);
		return;
	}
	s3_erase_key(x->c, p.key, NULL, NULL); /* of an examination in which we died */
	writable(x, &p);
	if (p.encryption.put)
		tags(x, &p);
	encryption(x, &p.encryption);
	uploads(x, &p);
	if (p.there)
		erase(x, &p);
	free(p.key);
}
