/* driver_s3_shorten.c - an object that goes on behind its end becomes its beginning: the store copies that part of it over itself.
 * Source: "UploadPartCopy", Amazon S3 API Reference. */
#include "uploader/s3/driver_s3_internal.h"

#include "uploader/s3/s3_sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No part but the last may have less than 5 MiB, and none more than 5 GiB. */
#define PIECE_BYTES_MIN (UINT64_C(8) * 1024 * 1024)
#define SOURCE_MAX      4096u

/* "/bucket/key", encoded, terminated. */
static int put_source(const struct s3_object_upload *u, struct buf *dst, struct err *err)
{
	if (buf_add_str(dst, "/", err) < 0 || s3_encode(dst, s3_client_bucket(u->d->client), false, err) < 0 ||
		buf_add_str(dst, "/", err) < 0 || s3_encode(dst, u->key, true, err) < 0)
		return -1;
	return buf_str(dst) ? 0 : err_nomem(err);
}

/* Bytes from offset on become part number of the upload id. */
static int copy(struct s3_object_upload *u, const char *source, const char *id, uint32_t number, uint64_t offset,
	uint64_t bytes, char **ret_part, struct err *err)
{
	char number_text[16], range[64], etag[S3_ETAG_MAX];
	const struct s3_pair query[] = {{"partNumber", number_text}, {"uploadId", id}};
	const struct s3_pair headers[] = {{"x-amz-copy-source", source}, {"x-amz-copy-source-range", range}};
	const struct s3_request rq = {.method = "PUT",
		.key = u->key,
		.query = query,
		.query_n = 2,
		.headers = headers,
		.headers_n = 2,
		.cancelled = &u->cancelled};
	struct s3_answer a;
	int rc;

	snprintf(number_text, sizeof(number_text), "%" PRIu32, number);
	snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + bytes - 1);
	if (s3_call(u->d->client, &rq, &a, err) < 0)
		return -1;
	rc = s3_xml_copied(http_call_body(a.call)->data, http_call_body(a.call)->len, etag, err);
	s3_answer_done(&a);
	if (rc < 0)
		return err_in(err, "copy of %s", u->key);
	if (!(*ret_part = strdup(etag)))
		return err_nomem(err);
	return 0;
}

static int copy_all(struct s3_object_upload *u, const char *source, uint64_t bytes, struct err *err)
{
	char id[S3_UPLOAD_ID_MAX], **parts = calloc(DRIVER_S3_PARTS_MAX, sizeof(*parts));
	uint64_t piece = PIECE_BYTES_MIN, at = 0;
	uint32_t n = 0;
	int rc;

	if (!parts)
		return err_nomem(err);
	while (bytes / piece >= DRIVER_S3_PARTS_MAX)
		piece *= 2;
	rc = driver_s3_upload_create(u, id, err);
	for (; rc == 0 && at < bytes; at += piece) {
		rc = copy(u, source, id, n + 1, at, bytes - at < piece ? bytes - at : piece, &parts[n], err);
		n += rc == 0;
	}
	if (rc == 0)
		rc = driver_s3_completed(u, id, n, (const char *const *)parts, err);
	while (n > 0)
		free(parts[--n]);
	free(parts);
	return rc;
}

int driver_s3_shorten(struct s3_object_upload *u, uint64_t bytes, struct err *err)
{
	struct buf source;
	int rc;

	buf_init(&source, SOURCE_MAX);
	rc = put_source(u, &source, err);
	if (rc == 0)
		rc = copy_all(u, buf_str(&source), bytes, err);
	buf_done(&source);
	return rc;
}
