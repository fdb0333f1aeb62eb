/* bucket_double.c - see bucket_double.h. */
#include "test/unit/bucket_double.h"

#include "common/buf.h"
#include "common/digest.h"
#include "test/unit/http_double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *const words[] = {"versions", "versionId", "uploads", "uploadId", "versioning", "encryption",
	"publicAccessBlock", "policyStatus", "policy", "acl", "lifecycle", "tagging", NULL};

static const char good_policy[] = "{\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:*\","
				  "\"Resource\":[\"arn:aws:s3:::" DOUBLE_BUCKET "\",\"arn:aws:s3:::" DOUBLE_BUCKET
				  "/*\"],\"Condition\":{\"BoolIfExists\":{\"aws:SecureTransport\":\"false\"}}}}";
static const char good_block[] = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</"
				 "BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>"
				 "<BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</"
				 "RestrictPublicBuckets></PublicAccessBlockConfiguration>";
static const char good_encryption[] =
	"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</"
	"SSEAlgorithm>"
	"</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

/* ---- entries ---- */

static void entry_add(
	struct double_entry *list, size_t *n, const char *key, const char *id, bool marker, unsigned bytes)
{
	struct double_entry *e = &list[*n];

	if (*n >= DOUBLE_ENTRIES_MAX)
		abort();
	*e = (struct double_entry){.marker = marker, .bytes = bytes};
	snprintf(e->key, sizeof(e->key), "%s", key);
	snprintf(e->id, sizeof(e->id), "%s", id);
	++*n;
}

static void entry_drop(struct double_entry *list, size_t *n, size_t i)
{
	memmove(&list[i], &list[i + 1], (*n - i - 1) * sizeof(list[0]));
	--*n;
}

/* id NULL: the last one of the key.  The index, or n. */
static size_t entry_find(const struct double_entry *list, size_t n, const char *key, const char *id)
{
	for (size_t i = n; i-- > 0;)
		if (strcmp(list[i].key, key) == 0 && (!id || strcmp(list[i].id, id) == 0))
			return i;
	return n;
}

static void put_entry(struct buf *b, const struct double_entry *e, bool uploads)
{
	const char *name = uploads ? "Upload" : e->marker ? "DeleteMarker" : "Version";
	const char *id = uploads ? "UploadId" : "VersionId";

	if (buf_addf(b, NULL, "<%s><Key>%s</Key><%s>%s</%s><Size>%u</Size></%s>", name, e->key, id, e->id, id, e->bytes,
		    name) < 0)
		abort();
}

/* A marker must be of an entry that is there: one that was deleted is no place to go on from. */
static void reply_list(struct bucket_double *d, struct http_request *rq, bool uploads)
{
	const struct double_entry *list = uploads ? d->uploads : d->versions;
	size_t n = uploads ? d->uploads_n : d->versions_n, i = 0, put = 0;
	const char *root = uploads ? "ListMultipartUploadsResult" : "ListVersionsResult";
	const char *prefix = http_request_query(rq, "prefix"), *at = http_request_query(rq, "key-marker");
	const char *id = http_request_query(rq, uploads ? "upload-id-marker" : "version-id-marker");
	struct buf b;

	if (at && (i = entry_find(list, n, at, id) + 1) > n) {
		http_reply_text(rq, 400, "application/xml", DOUBLE_ERROR("InvalidArgument"));
		return;
	}
	buf_init(&b, 65536);
	buf_addf(&b, NULL, "<%s>", root);
	for (; i < n && (d->page == 0 || put < d->page); i++) {
		if (prefix && strncmp(list[i].key, prefix, strlen(prefix)) != 0)
			continue;
		put_entry(&b, &list[i], uploads);
		put++;
	}
	if (i < n)
		buf_addf(&b, NULL, "<NextKeyMarker>%s</NextKeyMarker><Next%sIdMarker>%s</Next%sIdMarker>",
			list[i - 1].key, uploads ? "Upload" : "Version", list[i - 1].id,
			uploads ? "Upload" : "Version");
	buf_addf(&b, NULL, "<IsTruncated>%s</IsTruncated></%s>", i < n ? "true" : "false", root);
	http_reply_text(rq, 200, "application/xml", buf_str(&b));
	buf_done(&b);
}

/* ---- objects ---- */

static void md5_text(const void *p, size_t n, char ret[33])
{
	uint8_t sum[DIGEST_MD5_BYTES];

	if (digest_md5(p, n, sum, NULL) < 0)
		abort();
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

static void reply_etag(struct http_request *rq, const char *etag)
{
	char quoted[80];

	snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
	http_reply_header(rq, "ETag", quoted);
}

static bool is_kept(const struct bucket_double *d)
{
	return d->versioning[0] != '\0';
}

static void object_keep(struct bucket_double *d, const char *key, const char *text, size_t n)
{
	char id[32] = "null";
	size_t old = entry_find(d->versions, d->versions_n, key, "null");

	if (is_kept(d))
		snprintf(id, sizeof(id), "v%u", ++d->made);
	else if (old < d->versions_n)
		entry_drop(d->versions, &d->versions_n, old);
	entry_add(d->versions, &d->versions_n, key, id, false, (unsigned)n);
	snprintf(d->object, sizeof(d->object), "%.*s", (int)n, text);
	md5_text(text, n, d->etag);
}

static void object_put(struct bucket_double *d, struct http_request *rq, const char *key)
{
	size_t n;
	const void *body = http_request_body(rq, &n);

	object_keep(d, key, body, n);
	if (d->encryption[0])
		http_reply_header(rq, "x-amz-server-side-encryption", d->encryption);
	reply_etag(rq, d->etag);
	http_reply_empty(rq, 200);
}

static void object_delete(struct bucket_double *d, struct http_request *rq, const char *key)
{
	const char *id = http_request_query(rq, "versionId");
	size_t at = entry_find(d->versions, d->versions_n, key, id);
	char made[32];

	if (!id && is_kept(d)) {
		snprintf(made, sizeof(made), "v%u", ++d->made);
		entry_add(d->versions, &d->versions_n, key, made, true, 0);
		http_reply_header(rq, "x-amz-delete-marker", "true");
	} else if (at < d->versions_n && !d->keeps) {
		entry_drop(d->versions, &d->versions_n, at);
	}
	http_reply_empty(rq, 204);
}

/* A range is asked for from the first byte on. */
static void object_get(struct bucket_double *d, struct http_request *rq, const char *key)
{
	const char *range = http_request_header(rq, "Range");
	char text[DOUBLE_OBJECT_MAX];
	size_t at = entry_find(d->versions, d->versions_n, key, NULL);

	if (at == d->versions_n || d->versions[at].marker) {
		http_reply_text(rq, 404, "application/xml", DOUBLE_ERROR("NoSuchKey"));
		return;
	}
	snprintf(text, sizeof(text), "%.*s",
		range ? (int)strtol(strchr(range, '-') + 1, NULL, 10) + 1 : DOUBLE_OBJECT_MAX, d->object);
	reply_etag(rq, d->etag);
	http_reply_text(rq, range ? 206 : 200, "text/plain", text);
}

/* ---- parts ---- */

static void upload_begin(struct bucket_double *d, struct http_request *rq, const char *key)
{
	char id[32], body[256];

	snprintf(id, sizeof(id), "u%u", ++d->made);
	entry_add(d->uploads, &d->uploads_n, key, id, false, 0);
	memset(d->parts, 0, sizeof(d->parts));
	snprintf(body, sizeof(body),
		"<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id);
	http_reply_text(rq, 200, "application/xml", body);
}

static void upload_abort(struct bucket_double *d, struct http_request *rq, size_t at)
{
	if (!d->keeps && ++d->uploads[at].bytes >= d->aborts)
		entry_drop(d->uploads, &d->uploads_n, at);
	http_reply_empty(rq, 204);
}

/* From the part behind part-number-marker on; as AWS, no more than 1000. */
static void parts_list(struct bucket_double *d, struct http_request *rq)
{
	const char *marker = http_request_query(rq, "part-number-marker");
	unsigned n = marker ? (unsigned)strtoul(marker, NULL, 10) : 0, put = 0, last = 0;
	char etag[33];
	struct buf b;

	buf_init(&b, 1024 * 1024);
	buf_addf(&b, NULL, "<ListPartsResult>");
	for (; n < DOUBLE_PARTS_MAX && put < 1000; n++) {
		if (!d->parts[n][0])
			continue;
		md5_text(d->parts[n], strlen(d->parts[n]), etag);
		buf_addf(&b, NULL, "<Part><PartNumber>%u</PartNumber><ETag>\"%s\"</ETag><Size>%zu</Size></Part>", n + 1,
			etag, strlen(d->parts[n]));
		last = n + 1;
		put++;
	}
	while (n < DOUBLE_PARTS_MAX && !d->parts[n][0])
		n++;
	buf_addf(&b, NULL,
		"<NextPartNumberMarker>%u</NextPartNumberMarker><IsTruncated>%s</IsTruncated></ListPartsResult>", last,
		n < DOUBLE_PARTS_MAX ? "true" : "false");
	http_reply_text(rq, 200, "application/xml", buf_str(&b));
	buf_done(&b);
}

/* From a body, or from the object, which is the only one that can be copied. */
static void part_put(struct bucket_double *d, struct http_request *rq)
{
	const char *number = http_request_query(rq, "partNumber"), *range;
	char text[sizeof(d->parts[0])], etag[33], answer[128];
	size_t n, from = 0;
	const char *body = http_request_body(rq, &n);

	range = http_request_header(rq, "x-amz-copy-source-range");
	if (range) {
		char *dash;

		from = strtoul(strchr(range, '=') + 1, &dash, 10);
		n = strtoul(dash + 1, NULL, 10) + 1 - from;
		body = d->object + from;
	}
	if (from + n > sizeof(d->object))
		abort();
	snprintf(text, sizeof(text), "%.*s", (int)n, body);
	bucket_double_part(d, number ? (unsigned)strtoul(number, NULL, 10) : 0, text);
	md5_text(text, strlen(text), etag);
	snprintf(answer, sizeof(answer), "<CopyPartResult><ETag>\"%s\"</ETag></CopyPartResult>", etag);
	reply_etag(rq, etag);
	http_reply_text(rq, 200, "application/xml", range ? answer : "");
}

/* Is the part among those that are listed, behind *at? */
static bool is_listed(const char **at, unsigned number)
{
	char text[64];
	const char *found;

	snprintf(text, sizeof(text), "<PartNumber>%u</PartNumber>", number);
	if ((found = strstr(*at, text)))
		*at = found;
	return found != NULL;
}

/* The parts that are listed become the object. */
static void upload_complete(struct bucket_double *d, struct http_request *rq, const char *key, size_t at)
{
	uint8_t sums[DOUBLE_PARTS_MAX][DIGEST_MD5_BYTES];
	struct buf b;
	char etag[33];
	unsigned n = 0;
	size_t list_n;
	const char *body = http_request_body(rq, &list_n), *place;
	char *list = calloc(1, list_n + 1);

	if (!list)
		abort();
	place = memcpy(list, body, list_n);
	buf_init(&b, DOUBLE_OBJECT_MAX);
	for (unsigned i = 0; i < DOUBLE_PARTS_MAX; i++) {
		if (!d->parts[i][0])
			continue;
		if (!is_listed(&place, i + 1)) {
			if (!d->all_or_none)
				continue;
			http_reply_text(rq, 400, "application/xml", DOUBLE_ERROR("InvalidPart"));
			goto out;
		}
		if (buf_add_str(&b, d->parts[i], NULL) < 0 ||
			digest_md5(d->parts[i], strlen(d->parts[i]), sums[n++], NULL) < 0)
			abort();
	}
	object_keep(d, key, buf_str(&b), b.len);
	md5_text(sums, n * sizeof(sums[0]), etag);
	snprintf(d->etag, sizeof(d->etag), "%s-%u", etag, n);
	entry_drop(d->uploads, &d->uploads_n, at);
	http_reply_text(
		rq, 200, "application/xml", "<CompleteMultipartUploadResult><ETag/></CompleteMultipartUploadResult>");
out:
	buf_done(&b);
	free(list);
}

static void reply_upload(struct bucket_double *d, struct http_request *rq, const char *method, const char *key)
{
	size_t at = entry_find(d->uploads, d->uploads_n, key, http_request_query(rq, "uploadId"));

	if (at == d->uploads_n)
		http_reply_text(rq, 404, "application/xml", DOUBLE_ERROR("NoSuchUpload"));
	else if (strcmp(method, "PUT") == 0)
		part_put(d, rq);
	else if (strcmp(method, "GET") == 0)
		parts_list(d, rq);
	else if (strcmp(method, "POST") == 0)
		upload_complete(d, rq, key, at);
	else
		upload_abort(d, rq, at);
}

/* ---- the bucket ---- */

static void lifecycle(struct bucket_double *d, struct http_request *rq, bool put)
{
	static const char size[] = "x-amz-transition-default-minimum-object-size";
	size_t n;
	const void *body = http_request_body(rq, &n);
	const char *asked = http_request_header(rq, size);

	if (put && !http_request_header(rq, "Content-MD5")) { /* as AWS */
		http_reply_text(rq, 400, "application/xml", DOUBLE_ERROR("InvalidRequest"));
	} else if (put) {
		snprintf(d->lifecycle, sizeof(d->lifecycle), "%.*s", (int)n, (const char *)body);
		snprintf(d->transition, sizeof(d->transition), "%s", asked ? asked : "all_storage_classes_128K");
		http_reply_empty(rq, 200);
	} else if (d->lifecycle[0]) {
		if (d->transition[0])
			http_reply_header(rq, size, d->transition);
		http_reply_text(rq, 200, "application/xml", d->lifecycle);
	} else {
		http_reply_text(rq, 404, "application/xml", DOUBLE_ERROR("NoSuchLifecycleConfiguration"));
	}
}

/* As a policy does whose condition on s3:prefix wants names that begin so. */
static bool may_list(const struct bucket_double *d, struct http_request *rq, const char *what)
{
	const char *prefix = http_request_query(rq, "prefix");

	if (strcmp(what, "versions") != 0 && strcmp(what, "uploads") != 0 && strcmp(what, "list") != 0)
		return true;
	return strncmp(prefix ? prefix : "", d->allowed, strlen(d->allowed)) == 0;
}

static void reply_bucket(struct bucket_double *d, struct http_request *rq, const char *method, const char *what)
{
	char body[256];

	if (!may_list(d, rq, what)) {
		http_reply_text(rq, 403, "application/xml", DOUBLE_ERROR("AccessDenied"));
	} else if (strcmp(what, "versions") == 0 || strcmp(what, "uploads") == 0) {
		reply_list(d, rq, what[0] == 'u');
	} else if (strcmp(what, "lifecycle") == 0) {
		lifecycle(d, rq, strcmp(method, "PUT") == 0);
	} else if (strcmp(what, "versioning") == 0) {
		snprintf(body, sizeof(body), "<VersioningConfiguration><Status>%s</Status></VersioningConfiguration>",
			d->versioning);
		http_reply_text(rq, 200, "application/xml", body);
	} else {
		http_reply_text(rq, 200, "application/xml",
			strcmp(what, "policy") == 0              ? good_policy
			: strcmp(what, "publicAccessBlock") == 0 ? good_block
			: strcmp(what, "encryption") == 0        ? good_encryption
			: strcmp(what, "policyStatus") == 0 ? "<PolicyStatus><IsPublic>false</IsPublic></PolicyStatus>"
			: strcmp(what, "acl") == 0
				? "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>"
				: "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
	}
}

static void reply_object(
	struct bucket_double *d, struct http_request *rq, const char *method, const char *what, const char *key)
{
	if (strcmp(what, "tagging") == 0 && !d->tags_replace)
		http_reply_empty(rq, 200);
	else if (strcmp(what, "uploads") == 0)
		upload_begin(d, rq, key);
	else if (strcmp(what, "uploadId") == 0)
		reply_upload(d, rq, method, key);
	else if (strcmp(method, "PUT") == 0)
		object_put(d, rq, key);
	else if (strcmp(method, "DELETE") == 0)
		object_delete(d, rq, key);
	else
		object_get(d, rq, key);
}

/* ---- all requests ---- */

/* Answers as it was told; false: rightly. */
static bool reply_told(struct bucket_double *d, struct http_request *rq, const char *method, const char *what)
{
	for (size_t i = 0; i < d->answers_n; i++) {
		struct double_answer *a = &d->answers[i];

		if ((strcmp(a->method, "*") != 0 && strcmp(a->method, method) != 0) ||
			(strcmp(a->what, "*") != 0 && strcmp(a->what, what) != 0))
			continue;
		if (a->after > 0) {
			a->after--;
			continue;
		}
		if (a->status == 0) {
			shutdown(http_request_fd(rq), SHUT_RDWR);
			http_reply_empty(rq, 500);
		} else {
			http_reply_text(rq, a->status, "application/xml", a->body);
		}
		return true;
	}
	return false;
}

/* The lock is held. */
static void hold(struct bucket_double *d, const char *method, const char *what)
{
	if (!d->hold || strcmp(d->hold_method, method) != 0 || strcmp(d->hold_what, what) != 0)
		return;
	d->held++;
	pthread_cond_broadcast(&d->changed);
	while (d->hold)
		pthread_cond_wait(&d->changed, &d->lock);
}

static void on_request(void *ctx, struct http_request *rq)
{
	const char *method = http_request_is_head(rq) ? "HEAD" : http_request_method(rq), *what = NULL;
	const char *path = http_request_path(rq), *key = path + strlen("/" DOUBLE_BUCKET);
	struct bucket_double *d = ctx;

	for (size_t i = 0; words[i] && !what; i++)
		if (http_request_query(rq, words[i]))
			what = words[i];
	if (!what)
		what = *key ? "object" : "list";
	pthread_mutex_lock(&d->lock);
	d->requests++;
	hold(d, method, what);
	if (reply_told(d, rq, method, what))
		;
	else if (*key)
		reply_object(d, rq, method, what, key + 1);
	else
		reply_bucket(d, rq, method, what);
	pthread_mutex_unlock(&d->lock);
}

/* ---- life ---- */

static struct s3_client *client_of(struct bucket_double *d, struct err *err)
{
	const struct s3_credentials_options keys = {
		.source = S3_SOURCE_STATIC, .access_key = "AK", .secret_key = "SK", .session_token = ""};
	char endpoint[64];
	struct s3_client_options o = {.endpoint = endpoint,
		.bucket = DOUBLE_BUCKET,
		.region = "us-east-1",
		.path_style = true,
		.ca_file = ""};

	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", http_server_port(d->server));
	if (!(o.credentials = s3_credentials_new(&keys, err)))
		return NULL;
	return s3_client_new(&o, err);
}

void bucket_double_start(struct bucket_double *d)
{
	struct err err = {0};

	memset(d, 0, sizeof(*d));
	d->versioning = "";
	d->encryption = "";
	d->allowed = "";
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	d->server = http_double_start(on_request, d);
	if (http_client_global_init(&err) < 0 || !(d->client = client_of(d, &err))) {
		fprintf(stderr, "bucket double: %s\n", err.msg);
		abort();
	}
}

void bucket_double_stop(struct bucket_double *d)
{
	bucket_double_release(d);
	s3_client_free(d->client);
	http_server_stop(d->server);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
}

void bucket_double_settle(struct bucket_double *d)
{
	pthread_mutex_lock(&d->lock);
	pthread_mutex_unlock(&d->lock);
}

void bucket_double_version(struct bucket_double *d, const char *key, const char *version, bool marker, unsigned bytes)
{
	entry_add(d->versions, &d->versions_n, key, version, marker, bytes);
}

void bucket_double_upload(struct bucket_double *d, const char *key, const char *id)
{
	entry_add(d->uploads, &d->uploads_n, key, id, false, 0);
}

void bucket_double_part(struct bucket_double *d, unsigned number, const char *text)
{
	if (number == 0 || number > DOUBLE_PARTS_MAX || strlen(text) >= sizeof(d->parts[0]))
		abort();
	snprintf(d->parts[number - 1], sizeof(d->parts[0]), "%s", text);
}

void bucket_double_say(struct bucket_double *d, const char *method, const char *what, int status, const char *body)
{
	if (d->answers_n >= DOUBLE_ANSWERS_MAX)
		abort();
	d->answers[d->answers_n++] =
		(struct double_answer){.method = method, .what = what, .status = status, .body = body};
}

void bucket_double_hold(struct bucket_double *d, const char *method, const char *what)
{
	pthread_mutex_lock(&d->lock);
	d->hold_method = method;
	d->hold_what = what;
	d->hold = true;
	pthread_mutex_unlock(&d->lock);
}

void bucket_double_held(struct bucket_double *d, unsigned n)
{
	pthread_mutex_lock(&d->lock);
	while (d->held < n)
		pthread_cond_wait(&d->changed, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

void bucket_double_release(struct bucket_double *d)
{
	pthread_mutex_lock(&d->lock);
	d->hold = false;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

size_t bucket_double_left(struct bucket_double *d, const char *key)
{
	size_t n = 0;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->versions_n; i++)
		n += strcmp(d->versions[i].key, key) == 0;
	for (size_t i = 0; i < d->uploads_n; i++)
		n += strcmp(d->uploads[i].key, key) == 0;
	pthread_mutex_unlock(&d->lock);
	return n;
}
