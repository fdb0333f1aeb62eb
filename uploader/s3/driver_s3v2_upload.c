/* driver_s3v2_upload.c - one object of the driver for signature version 2.  libs3 has no multipart upload: parts are put together in the staging folder, so that the
 * spool's files can go, and the whole is sent at the end of the capture.  An upload is believed when the store has answered it with 200 and a HEAD of our own shows
 * size and MD5. */
#include "uploader/s3/driver_s3v2_internal.h"

#include "common/fs.h"
#include "common/ossl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (1024u * 1024)

struct s3v2_upload {
	struct driver_s3v2 *d;
	char *key, *job;
	struct s3_labels labels;
	struct staging parts;
	bool maybe_stored; /* something of ours may stand at the key */
	atomic_bool cancelled;
};

/* ---- the beginning ---- */

/* Without the right to list the bucket, an object that is not there looks forbidden.  1: something stands at the key, 0: nothing does, -1: nobody can tell. */
static int look_at_key(struct s3v2_upload *u, struct libs3_object *ret, struct err *err)
{
	struct err why = {0};

	if (libs3_head(u->d->client, u->key, &u->cancelled, ret, &why) == 0)
		return 1;
	if (why.code == ERR_NOT_FOUND || (why.code == ERR_PERM && driver_s3v2_look(u->d, &why) == 0))
		return 0;
	if (err)
		*err = why;
	return -1;
}

/* Job ids are never used twice, so what stands at the key of a new one is not ours to replace. */
static int refuse_existing(struct s3v2_upload *u, struct err *err)
{
	struct libs3_object there;
	int rc = look_at_key(u, &there, err);

	return rc > 0 ? err_set(err, ERR_STATE, "there is an object at %s already", u->key) : rc;
}

void *driver_s3v2_upload_begin(
	struct driver *base, const char *key, const struct driver_tags *tags, const char *resume_text, struct err *err)
{
	bool resume = resume_text && resume_text[0];
	struct s3v2_upload *u;

	if (resume && strcmp(resume_text, tags->job) != 0) {
		err_set(err, ERR_INPUT, "upload of job %s: \"%s\" does not belong to it", tags->job, resume_text);
		return NULL;
	}
	if (!(u = calloc(1, sizeof(*u)))) {
		err_nomem(err);
		return NULL;
	}
	u->d = (struct driver_s3v2 *)base;
	u->parts.data = u->parts.index = -1;
	u->maybe_stored = resume;
	atomic_init(&u->cancelled, false);
	if (!(u->key = strdup(key)) || !(u->job = strdup(tags->job))) {
		err_nomem(err);
		goto fail;
	}
	s3_labels_make(tags, key, &u->labels);
	if (!resume && refuse_existing(u, err) < 0)
		goto fail;
	if (staging_open(&u->parts, u->d->staging, tags->job, resume, err) < 0) {
		err_in(err, "staging folder %s", u->d->staging_path);
		goto fail;
	}
	return u;
fail:
	driver_s3v2_upload_free(u);
	return NULL;
}

char *driver_s3v2_upload_state(void *upload, struct err *err)
{
	const struct s3v2_upload *u = upload;
	char *text = strdup(u->job);

	if (!text)
		err_nomem(err);
	return text;
}

static int check_cancelled(const struct s3v2_upload *u, struct err *err)
{
	return atomic_load(&u->cancelled) ? err_set(err, ERR_CANCELLED, "upload of %s: given up", u->key) : 0;
}

int driver_s3v2_upload_part(void *upload, uint32_t seq, bool alone, int fd, uint64_t bytes, const char *sha256,
	char **ret_part, struct err *err)
{
	struct s3v2_upload *u = upload;

	(void)alone; /* one part is sent like many */
	if (check_cancelled(u, err) < 0)
		return -1;
	/* Told now, and not when the capture is over: nothing beyond could ever be stored. */
	if (bytes > LIBS3_OBJECT_BYTES_MAX || staging_bytes(&u->parts) > LIBS3_OBJECT_BYTES_MAX - bytes)
		return err_set(err, ERR_LIMIT, "object %s: signature version 2 stores at most 5 GiB", u->key);
	return staging_add(&u->parts, seq, fd, bytes, sha256, ret_part, err);
}

/* ---- the end ---- */

static int md5_feed(EVP_MD_CTX *md, int fd, uint64_t bytes, uint8_t *block, struct err *err)
{
	uint64_t at = 0;
	ssize_t n;

	while (at < bytes) {
		n = pread(fd, block, bytes - at < READ_BYTES ? (size_t)(bytes - at) : READ_BYTES, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "reading what is to be sent");
		if (n == 0)
			return err_set(err, ERR_IO, "what is to be sent ends after %" PRIu64 " of %" PRIu64 " bytes",
				at, bytes);
		if (EVP_DigestUpdate(md, block, (size_t)n) != 1)
			return err_set(err, ERR_INTERNAL, "MD5 fails");
		at += (uint64_t)n;
	}
	return 0;
}

int driver_s3v2_md5_of(int fd, uint64_t bytes, struct driver_s3v2_md5 *ret, struct err *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t *block = malloc(READ_BYTES), sum[DIGEST_MD5_BYTES];
	int rc = -1;

	if (!md || !block) {
		err_nomem(err);
	} else if (EVP_DigestInit_ex(md, EVP_md5(), NULL) != 1) {
		err_set(err, ERR_STATE,
			"this system's OpenSSL does no MD5, which signature version 2 cannot do without");
	} else if (md5_feed(md, fd, bytes, block, err) == 0 && EVP_DigestFinal_ex(md, sum, NULL) == 1) {
		for (size_t i = 0; i < sizeof(sum); i++)
			snprintf(ret->hex + 2 * i, 3, "%02x", sum[i]);
		digest_base64(sum, sizeof(sum), ret->base64);
		rc = 0;
	}
	EVP_MD_CTX_free(md);
	free(block);
	return rc;
}

/* What the store holds, read back; for the one case that nothing else can tell. */
static int compare_bytes(struct s3v2_upload *u, const struct driver_object *expect, struct err *err)
{
	struct digest *sum = digest_new();
	uint8_t *block = malloc(READ_BYTES);
	char hex[DIGEST_SHA256_HEX_MAX];
	int rc = sum && block ? 0 : err_nomem(err);

	for (uint64_t at = 0; rc == 0 && at < expect->bytes; at += READ_BYTES) {
		size_t n = expect->bytes - at < READ_BYTES ? (size_t)(expect->bytes - at) : READ_BYTES;

		if ((rc = check_cancelled(u, err)) < 0 ||
			(rc = libs3_get(u->d->client, u->key, at, block, n, &u->cancelled, err)) < 0)
			break;
		digest_add(sum, block, n);
	}
	if (rc == 0) {
		digest_hex(sum, hex);
		if (strcmp(hex, expect->sha256) != 0)
			rc = err_set(err, ERR_STATE, "another object stands at %s: its SHA-256 is %s", u->key, hex);
	}
	free(block);
	digest_free(sum);
	return rc;
}

/* Is what stands at the key the object already, from before a crash or an answer that was lost?  md5 NULL: the parts are gone. */
static int compare_object(struct s3v2_upload *u, const struct libs3_object *there, const struct driver_object *expect,
	const struct driver_s3v2_md5 *md5, struct err *err)
{
	if (there->bytes != expect->bytes)
		return err_set(
			err, ERR_STATE, "another object stands at %s: it has %" PRIu64 " bytes", u->key, there->bytes);
	if (md5 && strcasecmp(there->etag, md5->hex) == 0)
		return 0;
	return compare_bytes(u, expect, err);
}

/* What the store damaged may be sent again, and who says 404 to an upload is not the store. */
static int put_fault(struct err *err)
{
	if (err && err->code == ERR_IO && strcmp(err->detail, "bad_digest") == 0)
		err->code = ERR_NET;
	if (err && err->code == ERR_NOT_FOUND)
		err->code = ERR_UNAVAILABLE;
	return -1;
}

static int put(struct s3v2_upload *u, const struct driver_s3v2_md5 *md5, struct err *err)
{
	struct s3_pair metadata[S3_LABELS_N];
	const struct libs3_body body = {
		.fd = u->parts.data,
		.bytes = staging_bytes(&u->parts),
		.md5_base64 = md5->base64,
		.content_type = u->labels.content_type,
		.file_name = s3_label_file_name(u->key),
		.metadata = metadata,
		.metadata_n = S3_LABELS_N,
		.cancelled = &u->cancelled,
	};
	struct err why = {0};

	for (size_t i = 0; i < S3_LABELS_N; i++)
		metadata[i] = (struct s3_pair){s3_label_names[i], u->labels.meta[i]};
	u->maybe_stored = true;
	if (libs3_put(u->d->client, u->key, &body, &why) == 0)
		return 0;
	put_fault(&why);
	if (err)
		*err = why;
	return -1;
}

/* The store's own word for what it holds now.  What is wrong does not stay. */
static int verify(struct s3v2_upload *u, const struct driver_s3v2_md5 *md5, struct err *err)
{
	struct driver_erased ignored = {0};
	struct libs3_object there;
	struct err why = {0};

	if (libs3_head(u->d->client, u->key, &u->cancelled, &there, &why) < 0) {
		if (why.code ==
			ERR_NOT_FOUND) /* stores that are eventually consistent; or it has lied: sent again either way */
			err_set(&why, ERR_UNAVAILABLE,
				"the upload of %s was answered as done, but nothing stands there", u->key);
		if (err)
			*err = why;
		return -1;
	}
	if (there.bytes == staging_bytes(&u->parts) && strcasecmp(there.etag, md5->hex) == 0)
		return 0;
	err_set(err, ERR_IO,
		"object %s: the store holds %" PRIu64 " bytes with ETag \"%s\", %" PRIu64
		" bytes with MD5 %s were sent",
		u->key, there.bytes, there.etag, staging_bytes(&u->parts), md5->hex);
	if (driver_s3v2_erase(u->d, u->key, &ignored, &why) < 0)
		err_in(err, "what is wrong cannot be removed (%.120s)", why.msg);
	return -1;
}

int driver_s3v2_upload_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err)
{
	struct s3v2_upload *u = upload;
	struct libs3_object object;
	struct driver_s3v2_md5 md5;
	struct err unsealed = {0};
	bool sealed;
	int there;

	/* First, as this is asked again and again while the store is away, and hashing takes long. */
	if (check_cancelled(u, err) < 0 || (there = look_at_key(u, &object, err)) < 0)
		return -1;
	sealed = staging_seal(&u->parts, n, parts, expect, &unsealed) == 0 &&
		 driver_s3v2_md5_of(u->parts.data, expect->bytes, &md5, &unsealed) == 0;
	if (there) {
		if (compare_object(u, &object, expect, sealed ? &md5 : NULL, err) < 0)
			return -1;
	} else if (!sealed) {
		if (err)
			*err = unsealed;
		return err_in(err, "object %s", u->key);
	} else if (put(u, &md5, err) < 0 || verify(u, &md5, err) < 0) {
		return -1;
	}
	return staging_remove(&u->parts, err);
}

/* ---- giving up ---- */

void driver_s3v2_upload_cancel(void *upload)
{
	struct s3v2_upload *u = upload;

	libs3_client_cancel(u->d->client, &u->cancelled);
}

int driver_s3v2_upload_abort(void *upload, struct err *err)
{
	struct s3v2_upload *u = upload;
	struct driver_erased ignored = {0};

	if (u->maybe_stored && driver_s3v2_erase(u->d, u->key, &ignored, err) < 0)
		return -1;
	return staging_remove(&u->parts, err);
}

void driver_s3v2_upload_free(void *upload)
{
	struct s3v2_upload *u = upload;

	if (!u)
		return;
	staging_close(&u->parts);
	free(u->job);
	free(u->key);
	free(u);
}
