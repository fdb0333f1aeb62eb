/* driver_s3_upload.c - one object on its way into the bucket: parts of a multipart upload, or, when there will be one part only, a single PUT.
 * Source: "Uploading and copying objects using multipart upload", Amazon S3 User Guide. */
#include "uploader/s3/driver_s3_internal.h"

#include "common/fs.h"
#include "common/parse.h"
#include "uploader/s3/s3_erase.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX (S3_LABEL_HEADERS_MAX + 2)

static const char new_word[] = "new", id_word[] = "id ";

/* ---- the beginning ---- */

/* What is not the store's word for an upload of ours that it has forgotten must not read like one: that passes. */
static int not_forgotten(struct err *err)
{
	if (err && err->code == ERR_NOT_FOUND)
		err->code = ERR_UNAVAILABLE;
	return -1;
}

/* Whatever else is open at this key was begun by a process that died before it could write down what it had. */
static int abort_open(struct s3_object_upload *u, struct err *err)
{
	return s3_erase_uploads(u->d->client, u->key, &u->cancelled, err) < 0 ? not_forgotten(err) : 0;
}

static int resume(struct s3_object_upload *u, const char *text, struct err *err)
{
	if (strcmp(text, new_word) == 0)
		return abort_open(u, err);
	if (strncmp(text, id_word, strlen(id_word)) != 0 || !text[strlen(id_word)] ||
		strlen(text + strlen(id_word)) >= sizeof(u->id))
		return err_set(err, ERR_INPUT, "\"%s\" is no text of an upload", text);
	snprintf(u->id, sizeof(u->id), "%s", text + strlen(id_word));
	return 0;
}

int driver_s3_head(struct s3_object_upload *u, uint64_t *ret_bytes, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	const struct s3_request rq = {.method = "HEAD", .key = u->key, .cancelled = &u->cancelled};
	struct s3_answer a;
	const char *length;
	int rc = -1;

	if (s3_call(u->d->client, &rq, &a, err) < 0)
		return -1;
	length = http_call_header(a.call, "Content-Length");
	s3_answer_etag(&a, ret_etag);
	if (!length || parse_u64(length, 0, UINT64_MAX, ret_bytes, NULL) < 0 || !ret_etag[0])
		err_set(err, ERR_UNAVAILABLE, "HEAD %s: the answer has no length or no ETag, so no store gave it",
			u->key);
	else
		rc = 0;
	s3_answer_done(&a);
	return rc;
}

/* Job ids are never used twice, so what stands at the key of a new one is not ours to replace. */
static int refuse_existing(struct s3_object_upload *u, struct err *err)
{
	struct err why = {0};
	char etag[S3_ETAG_MAX];
	uint64_t bytes;

	if (driver_s3_head(u, &bytes, etag, &why) == 0)
		return err_set(err, ERR_STATE, "there is an object at %s already", u->key);
	if (why.code == ERR_NOT_FOUND)
		return 0;
	/* Without the right to list the bucket, an object that is not there looks forbidden. */
	if (why.code == ERR_PERM && u->d->base.ops->check(&u->d->base, &why) == 0)
		return 0;
	if (err)
		*err = why;
	return -1;
}

void *driver_s3_upload_begin(
	struct driver *base, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err)
{
	struct s3_object_upload *u = calloc(1, sizeof(*u));

	if (!u || !(u->key = strdup(key))) {
		driver_s3_upload_free(u);
		err_nomem(err);
		return NULL;
	}
	u->d = (struct driver_s3 *)base;
	s3_labels_make(tags, key, &u->labels);
	if ((resume_text[0] ? resume(u, resume_text, err) : refuse_existing(u, err)) < 0) {
		driver_s3_upload_free(u);
		return NULL;
	}
	return u;
}

char *driver_s3_upload_state(void *upload, struct err *err)
{
	struct s3_object_upload *u = upload;
	char *text = u->id[0] ? fs_path("%s%s", id_word, u->id) : strdup(new_word);

	if (!text)
		err_nomem(err);
	return text;
}

/* Content, labels and encryption of the object; returns how many. */
static size_t object_headers(const struct s3_object_upload *u, struct s3_pair ret[HEADERS_MAX])
{
	size_t n = s3_labels_headers(&u->labels, ret);

	if (u->d->encryption == S3_SSE_AES256)
		ret[n++] = (struct s3_pair){"x-amz-server-side-encryption", "AES256"};
	if (u->d->encryption == S3_SSE_KMS)
		ret[n++] = (struct s3_pair){"x-amz-server-side-encryption", "aws:kms"};
	if (u->d->encryption == S3_SSE_KMS && u->d->kms_key_id[0])
		ret[n++] = (struct s3_pair){"x-amz-server-side-encryption-aws-kms-key-id", u->d->kms_key_id};
	return n;
}

int driver_s3_upload_create(struct s3_object_upload *u, char ret_id[S3_UPLOAD_ID_MAX], struct err *err)
{
	static const struct s3_pair query = {"uploads", ""};
	struct s3_pair headers[HEADERS_MAX];
	struct s3_request rq = {.method = "POST",
		.key = u->key,
		.query = &query,
		.query_n = 1,
		.headers = headers,
		.body = "",
		.cancelled = &u->cancelled};
	struct s3_answer a;
	int rc;

	rq.headers_n = object_headers(u, headers);
	if (abort_open(u, err) < 0)
		return -1;
	u->creates++;
	if (s3_call(u->d->client, &rq, &a, err) < 0)
		return not_forgotten(err);
	rc = s3_xml_upload_id(http_call_body(a.call)->data, http_call_body(a.call)->len, ret_id, err);
	s3_answer_done(&a);
	return rc < 0 ? err_in(err, "upload of %s", u->key) : 0;
}

int driver_s3_upload_open(void *upload, struct err *err)
{
	struct s3_object_upload *u = upload;

	u->id[0] = '\0';
	return driver_s3_upload_create(u, u->id, err);
}

/* ---- parts ---- */

/* The bytes go with the SHA-256 that they had when they were written, and the store refuses any others. */
static int put(
	struct s3_object_upload *u, const struct s3_request *rq, const char *word, char **ret_part, struct err *err)
{
	char etag[S3_ETAG_MAX];
	struct s3_answer a;

	if (s3_call(u->d->client, rq, &a, err) < 0)
		return strcmp(err->detail, "no_such_upload") == 0 ? -1 : not_forgotten(err);
	s3_answer_etag(&a, etag);
	s3_answer_done(&a);
	if (!etag[0])
		return err_set(err, ERR_UNAVAILABLE, "PUT %s: the answer has no ETag, so no store gave it", u->key);
	if (!(*ret_part = fs_path("%s%s", word, etag)))
		return err_nomem(err);
	return 0;
}

int driver_s3_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err)
{
	struct s3_object_upload *u = upload;
	const struct http_body_file file = {.fd = fd, .bytes = bytes};
	struct s3_pair headers[HEADERS_MAX];
	char number[16];
	const struct s3_pair query[] = {{"partNumber", number}, {"uploadId", u->id}};
	struct s3_request rq = {
		.method = "PUT", .key = u->key, .file = &file, .sha256 = sha256, .cancelled = &u->cancelled};
	struct err why = {0};
	int rc;

	if (alone && !u->id[0]) {
		rq.headers = headers;
		rq.headers_n = object_headers(u, headers);
		rc = put(u, &rq, DRIVER_S3_WHOLE, ret_part, &why);
	} else {
		snprintf(number, sizeof(number), "%" PRIu32, seq);
		rq.query = query;
		rq.query_n = 2;
		rc = put(u, &rq, "", ret_part, &why);
	}
	if (rc < 0 && err)
		*err = why;
	return rc;
}

/* ---- giving up ---- */

void driver_s3_upload_cancel(void *upload)
{
	struct s3_object_upload *u = upload;

	s3_client_cancel(u->d->client, &u->cancelled);
}

int driver_s3_upload_abort(void *upload, struct err *err)
{
	struct s3_object_upload *u = upload;
	struct driver_erased ignored = {0};

	/* The object too: a single PUT may have been on its way when it was given up. */
	return s3_erase_key(u->d->client, u->key, &ignored, err);
}

void driver_s3_upload_free(void *upload)
{
	struct s3_object_upload *u = upload;

	if (!u)
		return;
	free(u->key);
	free(u);
}
