/* libs3_call.c - see libs3_call.h.  The only file that includes libs3.h. */
#include "uploader/s3/libs3_call.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/parse.h"
#include "uploader/s3/libs3_curl_wrap.h"
#include "uploader/s3/s3_fault.h"

#include <inttypes.h>
#include <libs3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX       1024u
#define METADATA_MAX  8u
#define URL_NAME_MAX  200u
#define URL_BYTES_MAX 16384u

/* libs3's buffers; it cuts the first off without a word. */
#define ACCESS_KEY_MAX 79u       /* in the Authorization header */
#define FILE_NAME_MAX  80u       /* in Content-Disposition */
#define EXPIRES_MAX    INT32_MAX /* and older stores' */

struct libs3_client {
	struct s3_endpoint at;
};

/* ---- birth and death ---- */

static pthread_once_t libs3_once = PTHREAD_ONCE_INIT;
static S3Status libs3_status;

static void libs3_init(void)
{
	libs3_status = S3_initialize("pcapline", S3_INIT_ALL, NULL);
}

static bool is_graph(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

/* The keys of this moment, if version 2 can sign with them. */
static int take_keys(struct libs3_client *c, struct s3_keys *ret, struct err *err)
{
	if (s3_credentials_get(c->at.credentials, ret, err) < 0)
		return -1;
	if (ret->token[0])
		return err_set(err, ERR_INPUT,
			"signature version 2 through libs3 has no place for a session token; it needs long-lived keys");
	if (!ret->access[0] || strlen(ret->access) > ACCESS_KEY_MAX || !is_graph(ret->access))
		return err_set(err, ERR_INPUT,
			"signature version 2 through libs3 takes access keys of 1 to %u printable bytes",
			ACCESS_KEY_MAX);
	return 0;
}

static int check_keys(struct libs3_client *c, struct err *err)
{
	struct s3_keys keys = {0};
	int rc = take_keys(c, &keys, err);

	digest_wipe(&keys, sizeof(keys));
	return rc;
}

static int check(struct libs3_client *c, struct err *err)
{
	S3UriStyle style = c->at.path_style ? S3UriStylePath : S3UriStyleVirtualHost;
	S3Status status;

	if (pthread_once(&libs3_once, libs3_init) != 0 || libs3_status != S3StatusOK)
		return err_set(err, ERR_INTERNAL, "libs3 does not start: %s", S3_get_status_name(libs3_status));
	if (strlen(c->at.host) >= S3_MAX_HOSTNAME_SIZE)
		return err_set(err, ERR_INPUT, "endpoint \"%s\": the host's name is too long", c->at.url);
	status = S3_validate_bucket_name(c->at.bucket, style);
	if (status != S3StatusOK || !is_graph(c->at.bucket))
		return err_set(err, ERR_INPUT, "bucket \"%s\" is no bucket's name: %s", c->at.bucket,
			S3_get_status_name(status));
	return check_keys(c, err);
}

struct libs3_client *libs3_client_new(const struct s3_client_options *o, struct err *err)
{
	struct libs3_client *c = calloc(1, sizeof(*c));

	if (!c) {
		s3_credentials_free(o->credentials);
		err_nomem(err);
		return NULL;
	}
	if (s3_endpoint_init(&c->at, o, err) < 0) {
		free(c);
		return NULL;
	}
	if (check(c, err) < 0) {
		libs3_client_free(c);
		return NULL;
	}
	return c;
}

void libs3_client_free(struct libs3_client *c)
{
	if (!c)
		return;
	s3_endpoint_done(&c->at);
	free(c);
}

void libs3_client_cancel(struct libs3_client *c, atomic_bool *flag)
{
	s3_endpoint_cancel(&c->at, flag);
}

bool libs3_client_is_tls(const struct libs3_client *c)
{
	return c->at.is_tls;
}

/* ---- any request ---- */

/* What a request is made of, whichever it is. */
struct request {
	struct libs3_client *c;
	const char *method, *key;
	struct libs3_transfer t;
	struct s3_keys keys;
	S3BucketContext bucket;
	S3Status status; /* libs3's verdict */
};

static int check_key(const char *key, struct err *err)
{
	size_t n = strlen(key);

	if (n == 0 || n > KEY_MAX || key[0] == '/' ||
		strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-") != n)
		return err_set(err, ERR_INPUT,
			"key \"%s\": libs3 is trusted with 1 to %u bytes of [A-Za-z0-9._/-] only", key, KEY_MAX);
	return 0;
}

static void bucket_of(const struct libs3_client *c, const struct s3_keys *keys, S3BucketContext *ret)
{
	*ret = (S3BucketContext){
		.hostName = c->at.host,
		.bucketName = c->at.bucket,
		.protocol = c->at.is_tls ? S3ProtocolHTTPS : S3ProtocolHTTP,
		.uriStyle = c->at.path_style ? S3UriStylePath : S3UriStyleVirtualHost,
		.accessKeyId = keys->access,
		.secretAccessKey = keys->secret,
	};
}

/* Between request_begin and request_end one function of libs3 is called, with the request as its callbacks' data. */
static int request_begin(struct request *rq, struct libs3_client *c, const char *method, const char *key,
	const atomic_bool *cancelled, struct err *err)
{
	*rq = (struct request){.c = c, .method = method, .key = key, .status = S3StatusInternalError};
	rq->t.send_fd = -1;
	rq->t.ca_pem = c->at.tls.ca_pem;
	rq->t.connect_timeout_ms = c->at.connect_timeout_ms;
	rq->t.idle_timeout_ms = c->at.idle_timeout_ms;
	rq->t.at = &c->at;
	rq->t.cancelled = cancelled;
	if (check_key(key, err) < 0 || s3_endpoint_check(&c->at, cancelled, err) < 0 ||
		take_keys(c, &rq->keys, err) < 0)
		return -1;
	bucket_of(c, &rq->keys, &rq->bucket);
	return 0;
}

static int judge_status(struct request *rq, struct err *err)
{
	bool keys_refused = false;
	struct s3_error e;

	if (rq->t.status / 100 == 2)
		return 0;
	s3_xml_error(rq->t.body.data, rq->t.body.len, &e);
	if (!e.region[0] && rq->t.status / 100 == 3)
		snprintf(e.region, sizeof(e.region), "%s", rq->t.region);
	s3_fault_judge(rq->t.status, strcmp(rq->method, "HEAD") == 0, &e, rq->t.date, &keys_refused, err);
	if (keys_refused)
		s3_endpoint_keys_refused(&rq->c->at, err);
	return -1;
}

static int judge(struct request *rq, struct err *err)
{
	if (!rq->t.performed) /* it did not like what it was given */
		return err_set(err, rq->status == S3StatusOutOfMemory ? ERR_NOMEM : ERR_INPUT, "libs3 refuses: %s",
			S3_get_status_name(rq->status));
	if (libs3_transfer_judge(&rq->t, err) < 0 || judge_status(rq, err) < 0)
		return -1;
	/* It has seen the final status and nothing else of the answer; all the same, a success needs both. */
	if (rq->status != S3StatusOK)
		return err_set(
			err, ERR_NET, "HTTP %d, but libs3 says %s", rq->t.status, S3_get_status_name(rq->status));
	return 0;
}

/* The answer's body and headers stay in rq->t until request_done. */
static int request_end(struct request *rq, struct err *err)
{
	int rc;

	digest_wipe(&rq->keys, sizeof(rq->keys));
	if ((rc = judge(rq, err)) < 0)
		err_in(err, "%s %s/%s", rq->method, rq->c->at.bucket, rq->key);
	return rc;
}

static void request_done(struct request *rq)
{
	libs3_transfer_done(&rq->t);
}

/* ---- libs3's callbacks ---- */

static S3Status on_properties(const S3ResponseProperties *properties, void *ctx)
{
	(void)properties; /* empty: the headers do not get to libs3 */
	(void)ctx;
	return S3StatusOK;
}

static void on_complete(S3Status status, const S3ErrorDetails *details, void *ctx)
{
	struct request *rq = ctx;

	(void)details;
	rq->status = status;
}

/* Bodies go past libs3 (libs3_curl_wrap.h); these are never called. */
static int on_put_data(int size, char *buffer, void *ctx)
{
	(void)size;
	(void)buffer;
	(void)ctx;
	return -1;
}

static S3Status on_get_data(int size, const char *buffer, void *ctx)
{
	(void)size;
	(void)buffer;
	(void)ctx;
	return S3StatusAbortedByCallback;
}

static S3Status on_list(int truncated, const char *next, int n, const S3ListBucketContent *contents, int prefixes_n,
	const char **prefixes, void *ctx)
{
	(void)truncated;
	(void)next;
	(void)n;
	(void)contents;
	(void)prefixes_n;
	(void)prefixes;
	(void)ctx;
	return S3StatusOK;
}

static const S3ResponseHandler plain = {on_properties, on_complete};

/* ---- the requests ---- */

/* A value must not be empty: libs3's signer then runs into the next header. */
static int take_metadata(const struct libs3_body *b, S3NameValue ret[METADATA_MAX], int *ret_n, struct err *err)
{
	int n = 0;

	for (size_t i = 0; i < b->metadata_n; i++) {
		if (strspn(b->metadata[i].value, " ") == strlen(b->metadata[i].value))
			continue;
		if (n == METADATA_MAX)
			return err_set(err, ERR_INTERNAL, "more than %u metadata", METADATA_MAX);
		ret[n++] = (S3NameValue){b->metadata[i].name, b->metadata[i].value};
	}
	*ret_n = n;
	return 0;
}

int libs3_put(struct libs3_client *c, const char *key, const struct libs3_body *b, struct err *err)
{
	static const S3PutObjectHandler handler = {{on_properties, on_complete}, on_put_data};
	S3NameValue metadata[METADATA_MAX];
	S3PutProperties properties = {
		.contentType = b->content_type,
		.md5 = b->md5_base64,
		.expires = -1,
		.cannedAcl = S3CannedAclPrivate,
		.metaData = metadata,
	};
	struct request rq;
	int rc = -1;

	if (b->bytes > LIBS3_OBJECT_BYTES_MAX)
		return err_set(err, ERR_LIMIT,
			"object %s: signature version 2 stores at most 5 GiB, it has %" PRIu64 " bytes", key, b->bytes);
	if (take_metadata(b, metadata, &properties.metaDataCount, err) < 0)
		return -1;
	if (b->file_name && strlen(b->file_name) <= FILE_NAME_MAX)
		properties.contentDispositionFilename = b->file_name;
	if (s3_endpoint_enter(&c->at, b->cancelled, err) < 0)
		return -1;
	if (request_begin(&rq, c, "PUT", key, b->cancelled, err) < 0)
		goto out;
	rq.t.send_fd = b->fd;
	rq.t.send_bytes = b->bytes;
	libs3_transfer_begin(&rq.t);
	S3_put_object(&rq.bucket, key, b->bytes, &properties, NULL, &handler, &rq);
	libs3_transfer_end(&rq.t);
	rc = request_end(&rq, err);
	if (rc == 0 && rq.t.status != 200)
		rc = err_set(
			err, ERR_NET, "PUT %s/%s: HTTP %d is no answer to an upload", c->at.bucket, key, rq.t.status);
	request_done(&rq);
out:
	s3_endpoint_leave(&c->at);
	return rc;
}

int libs3_head(struct libs3_client *c, const char *key, const atomic_bool *cancelled, struct libs3_object *ret,
	struct err *err)
{
	struct request rq;
	int rc;

	if (request_begin(&rq, c, "HEAD", key, cancelled, err) < 0)
		return -1;
	libs3_transfer_begin(&rq.t);
	S3_head_object(&rq.bucket, key, NULL, &plain, &rq);
	libs3_transfer_end(&rq.t);
	rc = request_end(&rq, err);
	if (rc == 0 && (rq.t.status != 200 || rq.t.length < 0))
		rc = err_set(err, ERR_NET, "HEAD %s/%s: HTTP %d without a length", c->at.bucket, key, rq.t.status);
	if (rc == 0) {
		ret->bytes = (uint64_t)rq.t.length;
		memcpy(ret->etag, rq.t.etag, sizeof(ret->etag));
	}
	request_done(&rq);
	return rc;
}

/* Did the store send what was asked for, and all of it? */
static int check_range(const struct libs3_transfer *t, uint64_t offset, size_t n, struct err *err)
{
	char want[64], begin[32];

	snprintf(want, sizeof(want), "bytes %" PRIu64 "-%" PRIu64 "/", offset, offset + n - 1);
	snprintf(begin, sizeof(begin), "bytes %" PRIu64 "-", offset);
	if (t->status == 206 && t->into_n == n && strncmp(t->range, want, strlen(want)) == 0)
		return 0;
	if (t->status == 200 && t->into_n == n && offset == 0)
		return 0;
	/* The end of an object is its end the next time, too. */
	if (t->status == 206 && t->into_n < n && strncmp(t->range, begin, strlen(begin)) == 0)
		return err_set(err, ERR_IO, "the object ends after %" PRIu64 " bytes", offset + t->into_n);
	return err_set(
		err, ERR_NET, "HTTP %d with %zu of %zu bytes, Content-Range \"%s\"", t->status, t->into_n, n, t->range);
}

int libs3_get(struct libs3_client *c, const char *key, uint64_t offset, void *dst, size_t n,
	const atomic_bool *cancelled, struct err *err)
{
	static const S3GetObjectHandler handler = {{on_properties, on_complete}, on_get_data};
	static const S3GetConditions always = {.ifModifiedSince = -1, .ifNotModifiedSince = -1};
	struct request rq;
	int rc;

	if (n == 0)
		return 0;
	if (offset > (uint64_t)INT64_MAX - n)
		return err_set(err, ERR_INPUT, "GET %s: offset %" PRIu64 " is too large", key, offset);
	if (request_begin(&rq, c, "GET", key, cancelled, err) < 0)
		return -1;
	rq.t.into = dst;
	rq.t.into_max = n;
	libs3_transfer_begin(&rq.t);
	S3_get_object(&rq.bucket, key, &always, offset, n, NULL, &handler, &rq);
	libs3_transfer_end(&rq.t);
	rc = request_end(&rq, err);
	if (rc == 0 && check_range(&rq.t, offset, n, err) < 0)
		rc = err_in(err, "GET %s/%s", c->at.bucket, key);
	request_done(&rq);
	return rc;
}

int libs3_delete(struct libs3_client *c, const char *key, struct err *err)
{
	struct request rq;
	int rc;

	if (request_begin(&rq, c, "DELETE", key, NULL, err) < 0)
		return -1;
	libs3_transfer_begin(&rq.t);
	S3_delete_object(&rq.bucket, key, NULL, &plain, &rq);
	libs3_transfer_end(&rq.t);
	rc = request_end(&rq, err);
	request_done(&rq);
	return rc;
}

int libs3_list(struct libs3_client *c, const char *prefix, unsigned max, unsigned timeout_ms, struct s3_versions *ret,
	struct err *err)
{
	static const S3ListBucketHandler handler = {{on_properties, on_complete}, on_list};
	struct request rq;
	int rc;

	if (request_begin(&rq, c, "GET", prefix, NULL, err) < 0)
		return -1;
	if (timeout_ms > 0)
		rq.t.connect_timeout_ms = rq.t.idle_timeout_ms = timeout_ms;
	libs3_transfer_begin(&rq.t);
	S3_list_bucket(&rq.bucket, prefix, NULL, NULL, (int)max, NULL, &handler, &rq);
	libs3_transfer_end(&rq.t);
	rc = request_end(&rq, err);
	if (rc == 0 && s3_xml_versions(rq.t.body.data, rq.t.body.len, ret, err) < 0)
		rc = err_in(err, "list of %s/%s", c->at.bucket, prefix);
	request_done(&rq);
	return rc;
}

/* ---- links ---- */

/* libs3's URL says nothing that is ours to say but the signature: "...&Signature=" and its encoded text at the end. */
static const char *signature_of(const char *url)
{
	static const char name[] = "&Signature=";
	const char *at = NULL;

	for (const char *p = url; (p = strstr(p, name)); p += strlen(name))
		at = p + strlen(name);
	return at;
}

/* The response's headers are signed as they are meant and sent encoded; the access key is not signed at all. */
static int put_url(struct buf *dst, const char *libs3_says, const char *disposition, const char *access,
	uint64_t expires, struct err *err)
{
	const char *signature = signature_of(libs3_says);

	if (!signature)
		return err_set(err, ERR_INTERNAL, "libs3 made a link without a signature");
	if (buf_add(dst, libs3_says, strcspn(libs3_says, "?"), err) < 0 || buf_add_str(dst, "?", err) < 0)
		return -1;
	if (disposition && (buf_add_str(dst, "response-content-disposition=", err) < 0 ||
				   s3_encode(dst, disposition, false, err) < 0 || buf_add_str(dst, "&", err) < 0))
		return -1;
	if (buf_add_str(dst, "AWSAccessKeyId=", err) < 0 || s3_encode(dst, access, false, err) < 0)
		return -1;
	return buf_addf(dst, err, "&Expires=%" PRIu64 "&Signature=%s", expires, signature);
}

/* What would end the quotes, or look like another parameter to a store that splits before it decodes, becomes '_'. */
static void put_name(const char *name, char ret[URL_NAME_MAX + 1])
{
	size_t n = 0;

	for (; *name && n < URL_NAME_MAX; name++)
		ret[n++] = (char)(*name <= ' ' || *name > '~' || strchr("\"\\&;%?#+", *name) ? '_' : *name);
	ret[n] = '\0';
}

char *libs3_url(struct libs3_client *c, const char *key, uint64_t *ttl_s, const char *file_name, struct err *err)
{
	char libs3_says[S3_MAX_AUTHENTICATED_QUERY_STRING_SIZE + 1], name[URL_NAME_MAX + 1],
		disposition[sizeof(name) + 32], resource[sizeof(disposition) + 32];
	uint64_t now = clock_wall_ns() / CLOCK_NS_PER_S, expires;
	struct s3_keys keys = {0};
	S3BucketContext bucket;
	S3Status status;
	struct buf b;
	const char *text;
	char *url = NULL;

	if (check_key(key, err) < 0)
		return NULL;
	buf_init(&b, URL_BYTES_MAX);
	if (*ttl_s > EXPIRES_MAX - now)
		*ttl_s = EXPIRES_MAX - now;
	expires = now + *ttl_s;
	put_name(file_name ? file_name : "", name);
	snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", name);
	snprintf(resource, sizeof(resource), "response-content-disposition=%s", disposition);
	if (take_keys(c, &keys, err) < 0)
		goto out;
	bucket_of(c, &keys, &bucket);
	bucket.accessKeyId = "k"; /* the place for it on libs3's stack is short */
	status = S3_generate_authenticated_query_string(
		libs3_says, &bucket, key, (int64_t)expires, file_name ? resource : NULL);
	if (status != S3StatusOK)
		err_set(err, ERR_INPUT, "link of %s: libs3 refuses: %s", key, S3_get_status_name(status));
	else if (put_url(&b, libs3_says, file_name ? disposition : NULL, keys.access, expires, err) == 0 &&
		 (!(text = buf_str(&b)) || !(url = strdup(text))))
		err_nomem(err);
out:
	digest_wipe(&keys, sizeof(keys));
	buf_done(&b);
	return url;
}
