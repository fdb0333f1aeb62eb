/* driver_s3_complete.c - the end of an upload: what the store holds is compared with what was sent, made one object, compared again, and tagged.
 * Source: "CompleteMultipartUpload", "ListParts", "PutObjectTagging", Amazon S3 API Reference. */
#include "uploader/s3/driver_s3_internal.h"

#include "common/digest.h"
#include "uploader/s3/s3_erase.h"
#include "uploader/text_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPLETE_BYTES_MAX (4u * 1024 * 1024) /* 10,000 parts */
#define LIST_BYTES_MAX     (4u * 1024 * 1024)

/* Only what is known for certain may end a capture that is all there: anything else that looks like a final word may come from something on the way. */
static int later(struct err *err)
{
	if (err && (err->code == ERR_NOT_FOUND || err->code == ERR_STATE))
		err->code = ERR_UNAVAILABLE;
	return -1;
}

/* ---- before: the list of parts ---- */

static int list_page(struct s3_object_upload *u, uint32_t after, struct s3_parts *ret, struct err *err)
{
	char marker[16];
	const struct s3_pair query[] = {{"max-parts", "1000"}, {"part-number-marker", marker}, {"uploadId", u->id}};
	const struct s3_request rq = {.method = "GET",
		.key = u->key,
		.query = query,
		.query_n = 3,
		.answer_bytes_max = LIST_BYTES_MAX,
		.cancelled = &u->cancelled};
	struct s3_answer a;
	int rc;

	snprintf(marker, sizeof(marker), "%" PRIu32, after);
	if (s3_call(u->d->client, &rq, &a, err) < 0)
		return -1;
	rc = s3_xml_parts(http_call_body(a.call)->data, http_call_body(a.call)->len, ret, err);
	s3_answer_done(&a);
	return rc;
}

/* All pages of the list from the part after number `after` on. */
static int list_parts(struct s3_object_upload *u, uint32_t after,
	int (*take)(void *ctx, const struct s3_parts *page, struct err *err), void *ctx, struct err *err)
{
	struct s3_parts page;
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		if (list_page(u, after, &page, err) < 0)
			return -1;
		rc = take(ctx, &page, err);
		more = page.more;
		if (rc == 0 && more && page.next <= after)
			rc = err_set(err, ERR_UNAVAILABLE, "the store's list of parts does not come to an end");
		after = page.next;
		s3_parts_free(&page);
	}
	return rc;
}

struct comparison {
	const char *const *parts;
	uint32_t n, seen;
	uint64_t bytes;
};

/* No use in trying again: what is missing is nowhere else. */
static int lost(struct err *err, int rc)
{
	err_detail(err, "storage_lost");
	return rc;
}

/* Parts come sorted by number; those beyond ours are left over and will not be part of the object. */
static int compare_page(void *ctx, const struct s3_parts *page, struct err *err)
{
	struct comparison *c = ctx;

	for (size_t i = 0; i < page->n; i++) {
		const struct s3_part *p = &page->items[i];

		if (p->number > c->n)
			continue;
		if (p->number != c->seen + 1)
			return err_set(
				err, ERR_IO, "the store lacks part %" PRIu32 ", which it had confirmed", c->seen + 1);
		if (strcmp(p->etag, c->parts[c->seen]) != 0)
			return err_set(err, ERR_IO, "part %" PRIu32 ": the store holds ETag %s and had answered %s",
				p->number, p->etag, c->parts[c->seen]);
		c->seen++;
		c->bytes += p->bytes;
	}
	return 0;
}

static int compare_parts(struct s3_object_upload *u, uint32_t n, const char *const *parts,
	const struct driver_object *expect, struct err *err)
{
	struct comparison c = {.parts = parts, .n = n};
	int rc = list_parts(u, 0, compare_page, &c, err);

	if (rc == 0 && c.seen < n)
		rc = lost(err,
			err_set(err, ERR_IO, "the store holds %" PRIu32 " of %" PRIu32 " parts that it had confirmed",
				c.seen, n));
	if (rc == 0 && c.bytes != expect->bytes)
		rc = err_set(err, ERR_IO, "the store's parts have %" PRIu64 " bytes, %" PRIu64 " were sent", c.bytes,
			expect->bytes);
	return rc;
}

/* What a crash has left: parts behind ours, in which those before them are missing. */
struct beyond {
	uint32_t after; /* number of our last one */
	char **etags;   /* by number - 1; NULL: there is none */
	uint32_t n;     /* number of the last one, 0: there are none */
};

static int beyond_page(void *ctx, const struct s3_parts *page, struct err *err)
{
	struct beyond *b = ctx;

	for (size_t i = 0; i < page->n; i++) {
		const struct s3_part *p = &page->items[i];

		if (p->number <= b->after)
			continue;
		if (p->number <= b->n)
			return err_set(err, ERR_UNAVAILABLE, "the store's list of parts is in no order");
		if (!(b->etags[p->number - 1] = strdup(p->etag)))
			return err_nomem(err);
		b->n = p->number;
	}
	return 0;
}

static void beyond_free(struct beyond *b)
{
	while (b->n > 0)
		free(b->etags[--b->n]);
	free(b->etags);
}

/* Parts over n; *ret must be freed, also after a failure. */
static int beyond_list(struct s3_object_upload *u, uint32_t n, struct beyond *ret, struct err *err)
{
	*ret = (struct beyond){.after = n, .etags = calloc(DRIVER_S3_PARTS_MAX, sizeof(*ret->etags))};
	return ret->etags ? list_parts(u, n, beyond_page, ret, err) : err_nomem(err);
}

/* Does the store say so itself, of an upload that it knows no more?  Ceph speaks of a key. */
static bool is_gone(const struct err *err)
{
	return strcmp(err->detail, "no_such_upload") == 0 || strcmp(err->detail, "no_such_key") == 0;
}

int driver_s3_upload_beyond(void *upload, uint32_t n, bool *ret, struct err *err)
{
	struct s3_object_upload *u = upload;
	struct err why = {0};
	struct beyond b;
	int rc = beyond_list(u, n, &b, &why);

	*ret = b.n > 0;
	beyond_free(&b);
	if (rc == 0)
		return 0;
	if (err)
		*err = why;
	return is_gone(&why) ? -1 : later(err);
}

/* ---- making it one ---- */

int driver_s3_completed(
	struct s3_object_upload *u, const char *id, uint32_t n, const char *const *parts, struct err *err)
{
	const struct s3_pair query = {"uploadId", id};
	const struct s3_pair type = {"content-type", "application/xml"};
	struct s3_request rq = {.method = "POST",
		.key = u->key,
		.query = &query,
		.query_n = 1,
		.headers = &type,
		.headers_n = 1,
		.cancelled = &u->cancelled};
	char etag[S3_ETAG_MAX];
	struct s3_answer a;
	struct buf body;
	int rc = -1;

	buf_init(&body, COMPLETE_BYTES_MAX);
	if (s3_xml_complete(&body, parts, n, err) == 0) {
		rq.body = body.data;
		rq.body_len = body.len;
		if ((rc = s3_call(u->d->client, &rq, &a, err)) == 0) {
			rc = s3_xml_completed(http_call_body(a.call)->data, http_call_body(a.call)->len, etag, err);
			s3_answer_done(&a);
		}
	}
	buf_done(&body);
	return rc;
}

/* ---- after: the object ---- */

/* The ETag of an object of parts is the MD5 of the parts' MD5s and their number, unless it is encrypted with a key of its own.  "" when the
 * parts' ETags are no MD5s: then nothing can be told from it. */
static int expected_etag(uint32_t n, const char *const *parts, char ret[S3_ETAG_MAX], struct err *err)
{
	uint8_t sum[DIGEST_MD5_BYTES], *all = calloc(n, DIGEST_MD5_BYTES);
	size_t at = 0;
	int rc = 0;

	ret[0] = '\0';
	if (!all)
		return err_nomem(err);
	for (uint32_t i = 0; i < n; i++) {
		const char *end = text_hex(parts[i], all + (size_t)i * DIGEST_MD5_BYTES, DIGEST_MD5_BYTES);

		if (!end || *end)
			goto out;
	}
	if ((rc = digest_md5(all, (size_t)n * DIGEST_MD5_BYTES, sum, err)) < 0)
		goto out;
	for (size_t k = 0; k < sizeof(sum); k++)
		at += (size_t)snprintf(ret + at, S3_ETAG_MAX - at, "%02x", sum[k]);
	snprintf(ret + at, S3_ETAG_MAX - at, "-%" PRIu32, n);
out:
	free(all);
	return rc;
}

struct reading {
	struct digest *sum;
	uint64_t n;
};

static int hash(void *ctx, const uint8_t *p, size_t n)
{
	struct reading *r = ctx;

	digest_add(r->sum, p, n);
	r->n += n;
	return 0;
}

/* The judge of last resort: the object's own bytes (it has so many), or the first n of them.  Fewer or more than these are not the object. */
static int read_sum(
	struct s3_object_upload *u, uint64_t bytes, uint64_t n, char ret[DIGEST_SHA256_HEX_MAX], struct err *err)
{
	struct reading r = {.sum = digest_new()};
	char range[64];
	const struct s3_pair header = {"range", range};
	const struct s3_request rq = {.method = "GET",
		.key = u->key,
		.headers = &header,
		.headers_n = n < bytes,
		.on_data = hash,
		.ctx = &r,
		.data_bytes = n,
		.cancelled = &u->cancelled};
	int rc = -1;

	if (!r.sum)
		return err_nomem(err);
	snprintf(range, sizeof(range), "bytes=0-%" PRIu64, n - 1);
	if (s3_call(u->d->client, &rq, NULL, err) == 0) {
		digest_hex(r.sum, ret);
		rc = r.n == n ? 0
			      : err_set(err, ERR_UNAVAILABLE, "GET %s: %" PRIu64 " of %" PRIu64 " bytes came", u->key,
					r.n, n);
	}
	digest_free(r.sum);
	return rc;
}

enum standing {
	STANDS,
	STANDS_LONGER, /* it begins with what was sent and goes on */
	STANDS_OTHER,  /* err says what is wrong */
	STANDS_NOTHING,
	STANDS_UNKNOWN, /* err says why nobody knows */
};

/* What is at the key?  made: by the request before this.  ret_etag: what it has (STANDS). */
static enum standing what_stands(struct s3_object_upload *u, bool made, const char *etag,
	const struct driver_object *expect, char ret_etag[S3_ETAG_MAX], struct err *err)
{
	char sum[DIGEST_SHA256_HEX_MAX], *got = ret_etag;
	bool comparable;
	uint64_t bytes;

	if (driver_s3_head(u, &bytes, got, err) < 0) {
		if (err->code == ERR_NOT_FOUND && s3_absent(u->d->client, u->key, &u->cancelled, err) == 0)
			return STANDS_NOTHING;
		return STANDS_UNKNOWN;
	}
	/* Some stores make ETags of another kind: nothing can be told from these. */
	comparable = etag[0] && strlen(got) == strlen(etag) && strcspn(got, "-") == strcspn(etag, "-");
	if (bytes == expect->bytes && (comparable ? strcmp(got, etag) == 0 : made))
		return STANDS;
	if (read_sum(u, bytes, expect->bytes > 0 && expect->bytes < bytes ? expect->bytes : bytes, sum, err) < 0)
		return STANDS_UNKNOWN;
	if (strcmp(sum, expect->sha256) == 0)
		return bytes > expect->bytes ? STANDS_LONGER : STANDS;
	err_set(err, ERR_STATE, "what stands at %s is not what was sent (SHA-256)", u->key);
	return STANDS_OTHER;
}

/* There are stores that do not look at ?tagging and take the tags for the object. */
static int still_stands(
	struct s3_object_upload *u, const char *etag, const struct driver_object *expect, struct err *err)
{
	char got[S3_ETAG_MAX];
	uint64_t bytes;

	if (driver_s3_head(u, &bytes, got, err) < 0)
		return later(err);
	if (bytes == expect->bytes && strcmp(got, etag) == 0)
		return 0;
	return err_set(err, ERR_IO,
		"the store has put the tags of %s in its place (it has no tags, see the bucket's examination)", u->key);
}

/* The last step, so that tags survive stores that drop those given at the beginning of a multipart upload.  Where tags are not to be had, or not allowed,
 * the packets are worth more than their tags: the examination of the bucket tells.  etag: of what stands there. */
static int put_tags(struct s3_object_upload *u, const char *etag, const struct driver_object *expect, struct err *err)
{
	const char *pairs[S3_LABELS_N][2];
	static const struct s3_pair query = {"tagging", ""};
	const struct s3_pair type = {"content-type", "application/xml"};
	struct s3_request rq = {.method = "PUT",
		.key = u->key,
		.query = &query,
		.query_n = 1,
		.headers = &type,
		.headers_n = 1,
		.md5 = true,
		.cancelled = &u->cancelled};
	struct err why = {0};
	struct s3_answer a;
	struct buf body;
	int rc;

	if (atomic_load(&u->d->tags_harm))
		return 0;
	for (size_t i = 0; i < S3_LABELS_N; i++) {
		pairs[i][0] = s3_label_names[i];
		pairs[i][1] = u->labels.tags[i];
	}
	buf_init(&body, 16384);
	if ((rc = s3_xml_tagging(&body, (const char *const(*)[2])pairs, S3_LABELS_N, &why)) == 0) {
		rq.body = body.data;
		rq.body_len = body.len;
		rc = s3_call(u->d->client, &rq, &a, &why);
	}
	buf_done(&body);
	if (rc == 0) {
		if (http_call_body(a.call)->len > 0)
			rc = err_set(&why, ERR_UNAVAILABLE, "PUT %s?tagging: the answer is none of a store", u->key);
		s3_answer_done(&a);
	}
	if (rc == 0)
		return still_stands(u, etag, expect, err);
	if (why.code == ERR_PERM || why.code == ERR_INPUT)
		return 0;
	if (err)
		*err = why;
	return later(err);
}

/* Ceph completes all parts of an upload or none: then the object is longer at first. */
static int complete_all(struct s3_object_upload *u, uint32_t n, const char *const *parts, struct err *err)
{
	const char **all = calloc(DRIVER_S3_PARTS_MAX, sizeof(*all));
	struct err refused = *err;
	struct beyond b;
	int rc;

	*err = (struct err){0};
	rc = beyond_list(u, n, &b, err);
	if (rc == 0 && b.n == 0) {
		*err = refused;
		rc = -1;
	} else if (rc == 0 && !all) {
		rc = err_nomem(err);
	} else if (rc == 0) {
		for (uint32_t i = 0; i < b.n; i++)
			all[i] = i < n ? parts[i] : b.etags[i];
		rc = driver_s3_completed(u, u->id, b.n, all, err);
	}
	beyond_free(&b);
	free(all);
	return rc;
}

static int complete(struct s3_object_upload *u, uint32_t n, const char *const *parts, struct err *err)
{
	if (driver_s3_completed(u, u->id, n, parts, err) == 0)
		return 0;
	return strcmp(err->detail, "invalid_part") == 0 ? complete_all(u, n, parts, err) : -1;
}

/* All parts become one object.  *ret_gone: the store knows of no such upload: that has happened already, or it has dropped it. */
static int make_one(struct s3_object_upload *u, uint32_t n, const char *const *parts,
	const struct driver_object *expect, bool *ret_gone, struct err *err)
{
	*ret_gone = false;
	if (compare_parts(u, n, parts, expect, err) < 0) {
		*ret_gone = is_gone(err);
		return *ret_gone ? 0 : -1;
	}
	return complete(u, n, parts, err);
}

int driver_s3_upload_complete(
	void *upload, uint32_t n, const char *const *parts, const struct driver_object *expect, struct err *err)
{
	struct s3_object_upload *u = upload;
	bool whole = n == 1 && strncmp(parts[0], DRIVER_S3_WHOLE, strlen(DRIVER_S3_WHOLE)) == 0;
	bool gone = n == 0; /* a crash came when all was done and the parts were forgotten, but not yet the job */
	struct driver_erased ignored = {0};
	char etag[S3_ETAG_MAX] = "", stands[S3_ETAG_MAX];
	enum standing standing;
	struct err why = {0};

	if (!whole && !gone && !u->id[0])
		return err_set(err, ERR_INTERNAL, "parts of an upload that was never opened cannot be completed");
	if (whole)
		snprintf(etag, sizeof(etag), "%s", parts[0] + strlen(DRIVER_S3_WHOLE));
	else if (!gone && (expected_etag(n, parts, etag, &why) < 0 || make_one(u, n, parts, expect, &gone, &why) < 0))
		goto fail;
	why = (struct err){0};
	standing = what_stands(u, !gone, etag, expect, stands, &why);
	if (standing == STANDS_LONGER)
		standing = driver_s3_shorten(u, expect->bytes, &why) < 0
				   ? STANDS_UNKNOWN
				   : what_stands(u, false, "", expect, stands, &why);
	switch (standing) {
	case STANDS:
		if (u->creates > 1)
			s3_erase_uploads(u->d->client, u->key, &u->cancelled, NULL);
		return put_tags(u, stands, expect, err);
	case STANDS_OTHER:
		/* What was just made and is not what was sent must not stay where somebody could take it for good. */
		if (!gone) {
			u->d->base.ops->erase(&u->d->base, u->key, &ignored, NULL);
			why.code = ERR_IO;
		}
		if (err)
			*err = why;
		return -1;
	case STANDS_NOTHING:
		if (gone)
			return err_set(err, ERR_NOT_FOUND, "the store knows neither the upload nor the object");
		break; /* what was confirmed a moment ago does not vanish: somebody else has answered */
	case STANDS_LONGER:
		err_set(&why, ERR_UNAVAILABLE, "%s goes on behind what was sent, and the store does not shorten it",
			u->key);
		break;
	case STANDS_UNKNOWN:
		break;
	}
fail:
	if (err)
		*err = why;
	return later(err);
}
