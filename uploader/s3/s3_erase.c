/* s3_erase.c - see s3_erase.h.
 * Source: "DeleteObject", "ListObjectVersions", "AbortMultipartUpload", "ListMultipartUploads", Amazon S3 API Reference.
 *
 * Lists are asked by prefix, which also finds longer keys: only an equal key is ours.  After a page with something of ours the list begins anew, because a marker that was deleted
 * need not be a place to go on from; a list that shows the same entry first a second time has not lost it. */
#include "uploader/s3/s3_erase.h"

#include "common/parse.h"
#include "uploader/s3/s3_xml.h"

#include <stdio.h>
#include <string.h>

#define PAGE_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define PAGES_MAX      2000u /* of one erasing: a store that never comes to an end must not keep us */
#define ABORTS_MAX     3u    /* of one upload */

/* A key on its way out. */
struct erasing {
	struct s3_client *c;
	const char *key;
	struct driver_erased *ret;
	const atomic_bool *cancelled; /* NULL: only with all others */
};

/* How far a list has come. */
struct listing {
	unsigned pages;
	char key[S3_KEY_MAX], id[S3_UPLOAD_ID_MAX]; /* the next page begins behind these; "" : from the start */
	char first[S3_UPLOAD_ID_MAX + 1];           /* the first entry of ours on the last page that had one */
	bool found;                                 /* this page had one */
	bool more;
	struct err untold; /* why there is no list; ERR_NONE: there is one */
};

/* Reads one page and takes away what is ours in it.  -1: ERR_NONE in untold says that err tells why. */
typedef int (*page_erase)(struct erasing *e, struct listing *l, const struct buf *page, struct err *err);

/* What is ours and stands first on a page once more was not taken away the last time. */
static int still_there(
	struct listing *l, const char *what, const char *id, const char *key, bool marker, struct err *err)
{
	char now[sizeof(l->first)];

	if (l->found)
		return 0;
	l->found = true;
	snprintf(now, sizeof(now), "%c%s", marker ? 'm' : 'v', id);
	if (strcmp(now, l->first) == 0)
		return err_set(
			err, ERR_UNAVAILABLE, "%s %.64s of %s is still listed after it was taken away", what, id, key);
	memcpy(l->first, now, sizeof(now));
	return 0;
}

static int page_get(struct erasing *e, const char *what, struct listing *l, struct s3_answer *ret)
{
	const char *id_marker = strcmp(what, "uploads") == 0 ? "upload-id-marker" : "version-id-marker";
	/* Not encoding-type=url: Ceph encodes the keys of uploads then, but does not say so. */
	const struct s3_pair query[] = {{what, ""}, {"prefix", e->key}, {"key-marker", l->key}, {id_marker, l->id}};
	const struct s3_request rq = {.method = "GET",
		.query = query,
		.query_n = 2u + (l->key[0] != '\0') + (l->key[0] && l->id[0]),
		.answer_bytes_max = PAGE_BYTES_MAX,
		.cancelled = e->cancelled};

	if (l->pages++ >= PAGES_MAX)
		return err_set(&l->untold, ERR_UNAVAILABLE, "%s of %s: the list does not come to an end", what, e->key);
	return s3_call(e->c, &rq, ret, &l->untold);
}

/* All that is ours in the list of "uploads" or "versions". */
static int list_erase(struct erasing *e, const char *what, page_erase erase, struct err *ret_untold, struct err *err)
{
	struct listing l = {.more = true};
	struct s3_answer a;
	int rc = 0;

	while (rc == 0 && l.more) {
		if ((rc = page_get(e, what, &l, &a)) < 0)
			break;
		l.found = false;
		if ((rc = erase(e, &l, http_call_body(a.call), err)) == 0 && l.found) {
			l.key[0] = '\0';
			l.id[0] = '\0';
			l.more = true;
		}
		s3_answer_done(&a);
	}
	*ret_untold = l.untold;
	return rc;
}

/* ---- uploads ---- */

static int upload_abort(struct erasing *e, const char *id, struct err *err)
{
	const struct s3_pair query = {"uploadId", id};
	const struct s3_request rq = {
		.method = "DELETE", .key = e->key, .query = &query, .query_n = 1, .cancelled = e->cancelled};
	struct err why = {0};

	/* A part that is on its way can outlive an abort. */
	for (unsigned i = 0; i < ABORTS_MAX && why.code == ERR_NONE; i++)
		if (s3_call(e->c, &rq, NULL, &why) == 0 && i == 0)
			e->ret->uploads++;
	if (why.code == ERR_NONE || why.code == ERR_NOT_FOUND)
		return 0;
	if (why.code == ERR_PERM)
		return err_set(err, ERR_PERM,
			"an upload of %s is open and may not be aborted (right s3:AbortMultipartUpload): %s", e->key,
			why.msg);
	if (err)
		*err = why;
	return -1;
}

static int uploads_page(struct erasing *e, struct listing *l, const struct buf *text, struct err *err)
{
	struct s3_uploads page;
	int rc = 0;

	if (s3_xml_uploads(text->data, text->len, &page, &l->untold) < 0)
		return -1;
	for (size_t i = 0; i < page.n && rc == 0; i++) {
		const struct s3_upload *u = &page.items[i];

		if (strcmp(u->key, e->key) != 0)
			continue;
		if ((rc = still_there(l, "upload", u->id, e->key, false, err)) == 0)
			rc = upload_abort(e, u->id, err);
	}
	l->more = page.more;
	memcpy(l->key, page.next_key, sizeof(l->key));
	memcpy(l->id, page.next_id, sizeof(l->id));
	s3_uploads_free(&page);
	return rc;
}

/* Does the store say itself that it has no such list?  What merely cannot be read may hide something. */
static bool not_offered(const struct err *untold)
{
	return strcmp(untold->detail, "not_implemented") == 0 || strcmp(untold->detail, "method_not_allowed") == 0 ||
	       strcmp(untold->detail, "no_such_key") == 0;
}

static int uploads_erase(struct erasing *e, struct err *err)
{
	struct err untold;
	int rc = list_erase(e, "uploads", uploads_page, &untold, err);

	if (untold.code == ERR_NONE)
		return rc;
	if (not_offered(&untold))
		return 0; /* who cannot list them has none */
	if (untold.code == ERR_PERM)
		return err_set(err, ERR_PERM,
			"whether uploads of %s are open cannot be seen (right s3:ListBucketMultipartUploads): %s",
			e->key, untold.msg);
	if (err)
		*err = untold;
	return -1;
}

int s3_erase_uploads(struct s3_client *c, const char *key, const atomic_bool *cancelled, struct err *err)
{
	struct driver_erased aside = {0};
	struct erasing e = {c, key, &aside, cancelled};

	return uploads_erase(&e, err);
}

/* ---- versions ---- */

/* version "" : the object, without naming one.  *ret_hidden (may be NULL): the store kept the bytes and only hid them. */
static int object_delete(struct erasing *e, const char *version, bool *ret_hidden, struct err *err)
{
	const struct s3_pair query = {"versionId", version};
	const struct s3_request rq = {
		.method = "DELETE", .key = e->key, .query = &query, .query_n = version[0] ? 1 : 0};
	struct err why = {0};
	const char *marker;
	struct s3_answer a;

	if (s3_call(e->c, &rq, &a, &why) == 0) {
		marker = http_call_header(a.call, "x-amz-delete-marker");
		if (ret_hidden)
			*ret_hidden = marker && strcmp(marker, "true") == 0;
		s3_answer_done(&a);
		return 0;
	}
	if (why.code == ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = why;
	return -1;
}

static int version_delete(struct erasing *e, const struct s3_version *v, struct err *err)
{
	struct err why = {0};

	if (object_delete(e, v->version, NULL, &why) == 0)
		goto deleted;
	/* To name a version takes a right of its own, which nobody needs where no versions are kept. */
	if (why.code == ERR_PERM && strcmp(v->version, "null") == 0 && !v->marker &&
		object_delete(e, "", NULL, NULL) == 0)
		goto deleted;
	if (why.code == ERR_PERM)
		return err_set(err, ERR_PERM,
			"version %.64s of %s may not be deleted (right s3:DeleteObjectVersion, or an object lock): %s",
			v->version, e->key, why.msg);
	if (err)
		*err = why;
	return -1;
deleted:
	e->ret->objects += !v->marker;
	e->ret->bytes += v->bytes;
	return 0;
}

static int versions_page(struct erasing *e, struct listing *l, const struct buf *text, struct err *err)
{
	struct s3_versions page;
	int rc = 0;

	if (s3_xml_versions(text->data, text->len, &page, &l->untold) < 0)
		return -1;
	for (size_t i = 0; i < page.n && rc == 0; i++) {
		const struct s3_version *v = &page.items[i];

		if (strcmp(v->key, e->key) != 0)
			continue;
		if ((rc = still_there(l, "version", v->version, e->key, v->marker, err)) == 0)
			rc = version_delete(e, v, err);
	}
	l->more = page.more;
	memcpy(l->key, page.next_key, sizeof(l->key));
	memcpy(l->id, page.next_version, sizeof(l->id));
	s3_versions_free(&page);
	return rc;
}

/* *ret_listed false: versions are not to be had here; the caller goes another way. */
static int versions_erase(struct erasing *e, bool *ret_listed, struct err *err)
{
	struct err untold;
	int rc = list_erase(e, "versions", versions_page, &untold, err);

	*ret_listed = untold.code == ERR_NONE;
	if (*ret_listed)
		return rc;
	if (untold.code == ERR_PERM || not_offered(&untold))
		return 0;
	if (err)
		*err = untold;
	return -1;
}

/* ---- where versions cannot be listed ---- */

/* ERR_NOT_FOUND: the store says so. */
static int object_head(struct erasing *e, uint64_t *ret_bytes, struct err *err)
{
	const struct s3_request rq = {.method = "HEAD", .key = e->key};
	const char *length;
	struct s3_answer a;

	struct err why = {0};

	*ret_bytes = 0;
	if (s3_call(e->c, &rq, &a, &why) < 0) {
		if (why.code == ERR_NOT_FOUND)
			(void)s3_absent(e->c, e->key, e->cancelled, &why); /* why becomes another when it is not so */
		*err = why;
		return -1;
	}
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

static int plain_erase(struct erasing *e, struct err *err)
{
	struct err why = {0};
	bool hidden = false;
	uint64_t bytes;
	int rc = object_head(e, &bytes, &why);

	if (rc < 0 && why.code != ERR_NOT_FOUND && why.code != ERR_PERM) {
		if (err)
			*err = why;
		return -1;
	}
	if ((rc == 0 || why.code == ERR_PERM) && object_delete(e, "", &hidden, err) < 0)
		return -1;
	if (hidden || keeps_versions(e->c))
		return err_set(err, ERR_PERM,
			"the bucket keeps versions of %s that may not be listed (rights s3:ListBucketVersions and "
			"s3:DeleteObjectVersion)",
			e->key);
	if (rc == 0) {
		e->ret->objects++;
		e->ret->bytes += bytes;
	}
	return 0;
}

/* ---- the whole ---- */

/* listed: the list of versions was seen to be empty; then it does not matter that the keys may not ask. */
static int gone(struct erasing *e, bool listed, struct err *err)
{
	struct err why = {0};
	uint64_t bytes;

	if (object_head(e, &bytes, &why) == 0)
		return err_set(err, ERR_UNAVAILABLE, "%s is still there after it was deleted", e->key);
	if (why.code == ERR_NOT_FOUND || (listed && why.code == ERR_PERM))
		return 0;
	if (why.code == ERR_PERM)
		return err_set(
			err, ERR_PERM, "whether %s is gone cannot be seen (right s3:ListBucket): %s", e->key, why.msg);
	if (err)
		*err = why;
	return -1;
}

int s3_erase_key(struct s3_client *c, const char *key, struct driver_erased *ret, struct err *err)
{
	struct driver_erased aside = {0};
	struct erasing e = {c, key, ret ? ret : &aside, NULL};
	struct err why = {0};
	bool listed;

	/* Uploads first: one that is completed meanwhile becomes an object, which is then found.  Where they cannot be taken away the rest can. */
	uploads_erase(&e, &why);
	if (versions_erase(&e, &listed, err) < 0)
		return -1;
	if (!listed && plain_erase(&e, err) < 0)
		return -1;
	if (why.code == ERR_NONE && uploads_erase(&e, &why) == 0)
		return gone(&e, listed, err);
	if (err)
		*err = why;
	return -1;
}
