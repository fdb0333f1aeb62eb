/* s3_erase.c - see s3_erase.h.
 * Source: "DeleteObject", "ListObjectVersions", "AbortMultipartUpload", "ListMultipartUploads", Amazon S3 API Reference.
 *
 * Lists are asked by prefix, which also finds longer keys: only an equal key is ours.  After a page with something of ours the list begins anew, because a marker that was deleted
 * need not be a place to go on from; a list that shows the same entry first a second time has not lost it. */
#include "uploader/s3_erase.h"

#include "common/parse.h"
#include "uploader/s3_told.h"
#include "uploader/s3_xml.h"

#include <stdio.h>
#include <string.h>

#define PAGE_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define PAGES_MAX      2000u /* of one erasing: a store that never comes to an end must not keep us */
#define ABORTS_MAX     3u    /* of one upload: a part that is on its way can outlive an abort */

static const char no_end[] = "the list does not come to an end";

/* What a list of one key has come to. */
struct listing {
	unsigned pages;
	char key[S3_KEY_MAX], id[S3_UPLOAD_ID_MAX]; /* the next page begins behind these; "" : from the start */
	char first[S3_UPLOAD_ID_MAX + 1];           /* the first entry of ours on the last page that had one */
};

static void listing_restart(struct listing *l)
{
	l->key[0] = '\0';
	l->id[0] = '\0';
}

/* Did this entry, the first of ours, stand first the last time too?  Then deleting it has done nothing. */
static bool listing_stands(struct listing *l, const char *id, bool marker)
{
	char now[sizeof(l->first)];
	bool same;

	snprintf(now, sizeof(now), "%c%s", marker ? 'm' : 'v', id);
	same = strcmp(now, l->first) == 0;
	memcpy(l->first, now, sizeof(now));
	return same;
}

/* One page of a list of all that begins with key: what is "uploads" or "versions". */
static int page_get(struct s3_client *c, const char *what, const char *key, struct listing *l, struct s3_answer *ret,
	struct err *err)
{
	bool uploads = strcmp(what, "uploads") == 0;
	const struct s3_pair query[] = {{what, ""}, {"prefix", key}, {"encoding-type", "url"}, {"key-marker", l->key},
		{uploads ? "upload-id-marker" : "version-id-marker", l->id}};
	const struct s3_request rq = {.method = "GET",
		.query = query,
		.query_n = !l->key[0]  ? 3
			   : !l->id[0] ? 4
				       : 5,
		.answer_bytes_max = PAGE_BYTES_MAX};

	if (l->pages++ >= PAGES_MAX)
		return err_set(err, ERR_UNAVAILABLE, "%s of %s: %s", what, key, no_end);
	return s3_call(c, &rq, ret, err);
}

/* ---- uploads ---- */

static int upload_abort(struct s3_client *c, const struct s3_upload *u, struct driver_erased *ret, struct err *err)
{
	const struct s3_pair query = {"uploadId", u->id};
	const struct s3_request rq = {.method = "DELETE", .key = u->key, .query = &query, .query_n = 1};
	struct err why = {0};

	for (unsigned i = 0; i < ABORTS_MAX; i++) {
		if (s3_call(c, &rq, NULL, &why) < 0)
			break;
		if (i == 0)
			ret->uploads++;
	}
	if (why.code == ERR_NONE || why.code == ERR_NOT_FOUND)
		return 0;
	if (why.code == ERR_PERM)
		return err_set(err, ERR_PERM,
			"an upload of %s is open and may not be aborted (right s3:AbortMultipartUpload): %s", u->key,
			why.msg);
	if (err)
		*err = why;
	return -1;
}

/* Aborts those of the page that are ours; *ret_found: there were some. */
static int uploads_page(struct s3_client *c, const char *key, struct listing *l, const struct s3_uploads *page,
	struct driver_erased *ret, bool *ret_found, struct err *err)
{
	*ret_found = false;
	for (size_t i = 0; i < page->n; i++) {
		const struct s3_upload *u = &page->items[i];

		if (strcmp(u->key, key) != 0)
			continue;
		if (!*ret_found && listing_stands(l, u->id, false))
			return err_set(err, ERR_UNAVAILABLE, "upload %.64s of %s is still listed after it was aborted",
				u->id, key);
		*ret_found = true;
		if (upload_abort(c, u, ret, err) < 0)
			return -1;
	}
	return 0;
}

/* What a list that did not come means for erasing. */
static int uploads_unlisted(const char *key, const struct err *why, struct err *err)
{
	enum s3_told told = s3_told_of(why);

	if (told == S3_TOLD_UNKNOWN || told == S3_TOLD_NONE)
		return 0;
	if (told == S3_TOLD_DENIED)
		return err_set(err, ERR_PERM,
			"whether uploads of %s are open cannot be seen (right s3:ListBucketMultipartUploads): %s", key,
			why->msg);
	if (err)
		*err = *why;
	return -1;
}

static int uploads_erase(struct s3_client *c, const char *key, struct driver_erased *ret, struct err *err)
{
	struct listing l = {0};
	struct s3_uploads page;
	struct s3_answer a;
	bool more = true;

	while (more) {
		struct err why = {0};
		bool found = false;
		int rc;

		if (page_get(c, "uploads", key, &l, &a, &why) < 0)
			return uploads_unlisted(key, &why, err);
		rc = s3_xml_uploads(http_call_body(a.call)->data, http_call_body(a.call)->len, &page, &why);
		s3_answer_done(&a);
		if (rc < 0)
			return uploads_unlisted(key, &why, err);
		rc = uploads_page(c, key, &l, &page, ret, &found, err);
		more = found || page.more;
		if (found) {
			listing_restart(&l);
		} else if (more) {
			memcpy(l.key, page.next_key, sizeof(l.key));
			memcpy(l.id, page.next_id, sizeof(l.id));
		}
		s3_uploads_free(&page);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int s3_erase_uploads(struct s3_client *c, const char *key, struct driver_erased *ret, struct err *err)
{
	struct driver_erased aside = {0};

	return uploads_erase(c, key, ret ? ret : &aside, err);
}

/* ---- versions ---- */

/* version "" : the object, without naming one.  *ret_kept (may be NULL): the store kept the bytes and only hid them. */
static int object_delete(struct s3_client *c, const char *key, const char *version, bool *ret_kept, struct err *err)
{
	const struct s3_pair query = {"versionId", version};
	const struct s3_request rq = {.method = "DELETE", .key = key, .query = &query, .query_n = version[0] ? 1 : 0};
	struct err why = {0};
	const char *marker;
	struct s3_answer a;

	if (s3_call(c, &rq, &a, &why) == 0) {
		marker = http_call_header(a.call, "x-amz-delete-marker");
		if (ret_kept)
			*ret_kept = marker && strcmp(marker, "true") == 0;
		s3_answer_done(&a);
		return 0;
	}
	if (why.code == ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = why;
	return -1;
}

static int version_delete(struct s3_client *c, const struct s3_version *v, struct err *err)
{
	struct err why = {0};

	if (object_delete(c, v->key, v->version, NULL, &why) == 0)
		return 0;
	/* To name the only version of an object takes a right that is not needed where no versions are kept. */
	if (why.code == ERR_PERM && strcmp(v->version, "null") == 0 && !v->marker &&
		object_delete(c, v->key, "", NULL, NULL) == 0)
		return 0;
	if (why.code == ERR_PERM)
		return err_set(err, ERR_PERM,
			"version %.64s of %s may not be deleted (right s3:DeleteObjectVersion, or an object lock): %s",
			v->version, v->key, why.msg);
	if (err)
		*err = why;
	return -1;
}

static int versions_page(struct s3_client *c, const char *key, struct listing *l, const struct s3_versions *page,
	struct driver_erased *ret, bool *ret_found, struct err *err)
{
	*ret_found = false;
	for (size_t i = 0; i < page->n; i++) {
		const struct s3_version *v = &page->items[i];

		if (strcmp(v->key, key) != 0)
			continue;
		if (!*ret_found && listing_stands(l, v->version, v->marker))
			return err_set(err, ERR_UNAVAILABLE, "version %.64s of %s is still listed after it was deleted",
				v->version, key);
		*ret_found = true;
		if (version_delete(c, v, err) < 0)
			return -1;
		if (v->marker)
			continue;
		ret->objects++;
		ret->bytes += v->bytes;
	}
	return 0;
}

/* *ret_listed false: versions are not to be had here; the caller goes another way. */
static int versions_unlisted(const struct err *why, bool *ret_listed, struct err *err)
{
	*ret_listed = false;
	if (s3_told_of(why) != S3_TOLD_FAULT)
		return 0;
	if (err)
		*err = *why;
	return -1;
}

static int versions_erase(
	struct s3_client *c, const char *key, struct driver_erased *ret, bool *ret_listed, struct err *err)
{
	struct listing l = {0};
	struct s3_versions page;
	struct s3_answer a;
	bool more = true;

	*ret_listed = true;
	while (more) {
		struct err why = {0};
		bool found = false;
		int rc;

		if (page_get(c, "versions", key, &l, &a, &why) < 0)
			return versions_unlisted(&why, ret_listed, err);
		rc = s3_xml_versions(http_call_body(a.call)->data, http_call_body(a.call)->len, &page, &why);
		s3_answer_done(&a);
		if (rc < 0)
			return versions_unlisted(&why, ret_listed, err);
		rc = versions_page(c, key, &l, &page, ret, &found, err);
		more = found || page.more;
		if (found) {
			listing_restart(&l);
		} else if (more) {
			memcpy(l.key, page.next_key, sizeof(l.key));
			memcpy(l.id, page.next_id, sizeof(l.id));
		}
		s3_versions_free(&page);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- where versions cannot be listed ---- */

static int object_head(struct s3_client *c, const char *key, uint64_t *ret_bytes, struct err *err)
{
	const struct s3_request rq = {.method = "HEAD", .key = key};
	const char *length;
	struct s3_answer a;

	*ret_bytes = 0;
	if (s3_call(c, &rq, &a, err) < 0)
		return -1;
	length = http_call_header(a.call, "Content-Length");
	if (length)
		parse_u64(length, 0, INT64_MAX, ret_bytes, NULL);
	s3_answer_done(&a);
	return 0;
}

/* Does the bucket say that it keeps versions?  Where it may not be asked, its answer to the deletion must do. */
static bool keeps_versions(struct s3_client *c)
{
	const struct s3_pair query = {"versioning", ""};
	const struct s3_request rq = {.method = "GET", .query = &query, .query_n = 1};
	char status[16] = "";
	struct s3_answer a;
	bool kept;

	if (s3_call(c, &rq, &a, NULL) < 0)
		return false;
	kept = s3_xml_versioning(http_call_body(a.call)->data, http_call_body(a.call)->len, status, NULL) == 0 &&
	       status[0];
	s3_answer_done(&a);
	return kept;
}

static int plain_erase(struct s3_client *c, const char *key, struct driver_erased *ret, struct err *err)
{
	struct err why = {0};
	bool kept = false;
	uint64_t bytes;
	int rc = object_head(c, key, &bytes, &why);

	if (rc < 0 && why.code != ERR_NOT_FOUND && why.code != ERR_PERM) {
		if (err)
			*err = why;
		return -1;
	}
	if ((rc == 0 || why.code == ERR_PERM) && object_delete(c, key, "", &kept, err) < 0)
		return -1;
	if (kept || keeps_versions(c))
		return err_set(err, ERR_PERM,
			"the bucket keeps versions of %s that may not be listed (rights s3:ListBucketVersions and "
			"s3:DeleteObjectVersion)",
			key);
	if (rc == 0) {
		ret->objects++;
		ret->bytes += bytes;
	}
	return 0;
}

/* ---- the whole ---- */

/* listed: the list of versions was seen to be empty; then it does not matter that the keys may not ask. */
static int gone(struct s3_client *c, const char *key, bool listed, struct err *err)
{
	struct err why = {0};
	uint64_t bytes;

	if (object_head(c, key, &bytes, &why) == 0)
		return err_set(err, ERR_UNAVAILABLE, "%s is still there after it was deleted", key);
	if (why.code == ERR_NOT_FOUND || (listed && why.code == ERR_PERM))
		return 0;
	if (why.code == ERR_PERM)
		return err_set(
			err, ERR_PERM, "whether %s is gone cannot be seen (right s3:ListBucket): %s", key, why.msg);
	if (err)
		*err = why;
	return -1;
}

int s3_erase_key(struct s3_client *c, const char *key, struct driver_erased *ret, struct err *err)
{
	struct driver_erased aside = {0};
	bool listed;

	if (!ret)
		ret = &aside;
	/* Uploads first: one that is completed meanwhile becomes an object, which is then found. */
	if (uploads_erase(c, key, ret, err) < 0 || versions_erase(c, key, ret, &listed, err) < 0)
		return -1;
	if (!listed && plain_erase(c, key, ret, err) < 0)
		return -1;
	if (uploads_erase(c, key, ret, err) < 0)
		return -1;
	return gone(c, key, listed, err);
}
