/* s3_client.c - see s3_client.h. */
#include "uploader/s3/s3_client.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/fs.h"
#include "uploader/s3/s3_fault.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX  8192u
#define QUERY_BYTES_MAX 16384u
#define MD5_TEXT_MAX    25 /* base64 of 16 bytes */

/* Without these an answer of a byte now and then would go on for days. */
#define TOTAL_MS            (5u * 60 * 1000)
#define SLOWEST_BYTES_PER_S 4096u
#define QUICK_TIMES         5u /* of the timeout of a request that must be quick */

struct s3_client {
	struct s3_endpoint at;
	char *host; /* as the Host header says it; with the bucket when not path style */
	char *region;
};

/* ---- birth and death ---- */

struct s3_client *s3_client_new(const struct s3_client_options *o, struct err *err)
{
	struct s3_client *c = calloc(1, sizeof(*c));

	if (!c) {
		s3_credentials_free(o->credentials);
		err_nomem(err);
		return NULL;
	}
	if (s3_endpoint_init(&c->at, o, err) < 0) {
		free(c);
		return NULL;
	}
	c->region = strdup(o->region);
	c->host = o->path_style ? strdup(c->at.host) : fs_path("%s.%s", o->bucket, c->at.host);
	if (c->region && c->host)
		return c;
	s3_client_free(c);
	err_nomem(err);
	return NULL;
}

void s3_client_free(struct s3_client *c)
{
	if (!c)
		return;
	s3_endpoint_done(&c->at);
	free(c->host);
	free(c->region);
	free(c);
}

const char *s3_client_bucket(const struct s3_client *c)
{
	return c->at.bucket;
}

const char *s3_client_endpoint(const struct s3_client *c)
{
	return c->at.url;
}

bool s3_client_is_tls(const struct s3_client *c)
{
	return c->at.is_tls;
}

/* ---- the request ---- */

/* "/bucket/key" or "/key", encoded, terminated. */
static int put_path(const struct s3_client *c, const char *key, struct buf *dst, struct err *err)
{
	if (buf_add_str(dst, "/", err) < 0)
		return -1;
	if (c->at.path_style &&
		(s3_encode(dst, c->at.bucket, false, err) < 0 || (key && buf_add_str(dst, "/", err) < 0)))
		return -1;
	if (key && s3_encode(dst, key, true, err) < 0)
		return -1;
	return buf_str(dst) ? 0 : err_nomem(err);
}

static char *make_url(const struct s3_client *c, const char *path, const char *query)
{
	return fs_path("%s://%s%s%s%s", c->at.is_tls ? "https" : "http", c->host, path, query[0] ? "?" : "", query);
}

static int md5_base64(const void *p, size_t n, char ret[MD5_TEXT_MAX], struct err *err)
{
	uint8_t sum[DIGEST_MD5_BYTES];

	if (digest_md5(p, n, sum, err) < 0)
		return -1;
	digest_base64(sum, sizeof(sum), ret);
	return 0;
}

/* The headers to send, signed with the keys of this moment. */
static char **sign(struct s3_client *c, const struct s3_request *rq, const char *path, struct err *err)
{
	struct s3_pair headers[65];
	char sum[DIGEST_SHA256_HEX_MAX], md5[MD5_TEXT_MAX];
	struct s3_keys keys = {0};
	struct s3_signable s = {
		.method = rq->method,
		.host = c->host,
		.path = path,
		.query = rq->query,
		.query_n = rq->query_n,
		.headers = headers,
		.headers_n = rq->headers_n,
		.payload_sha256 = rq->sha256,
	};
	char **list = NULL;

	if (rq->headers_n >= sizeof(headers) / sizeof(headers[0])) {
		err_set(err, ERR_INTERNAL, "more than 64 headers");
		return NULL;
	}
	if (rq->headers_n > 0)
		memcpy(headers, rq->headers, rq->headers_n * sizeof(headers[0]));
	if (!s.payload_sha256) {
		digest_sha256_hex(rq->body ? rq->body : "", rq->body ? rq->body_len : 0, sum);
		s.payload_sha256 = sum;
	}
	if (rq->md5) {
		if (md5_base64(rq->body, rq->body_len, md5, err) < 0)
			return NULL;
		headers[s.headers_n++] = (struct s3_pair){"content-md5", md5};
	}
	if (s3_credentials_get(c->at.credentials, &keys, err) == 0)
		list = s3_sign(&s, &keys, c->region, clock_wall_ns() / CLOCK_NS_PER_S, err);
	digest_wipe(&keys, sizeof(keys));
	return list;
}

/* Longest that all of it may take. */
static unsigned total_ms(const struct s3_request *rq)
{
	uint64_t bytes = rq->file ? rq->file->bytes : rq->data_bytes;
	uint64_t ms = rq->timeout_ms ? QUICK_TIMES * rq->timeout_ms : TOTAL_MS;

	ms += bytes / SLOWEST_BYTES_PER_S * 1000;
	return ms < UINT_MAX ? (unsigned)ms : UINT_MAX;
}

/* What the caller takes of an answer, and no more. */
struct taking {
	const struct s3_request *rq;
	uint64_t left;
	bool too_much;
};

static int take(void *ctx, const uint8_t *p, size_t n)
{
	struct taking *t = ctx;

	t->too_much = n > t->left;
	if (t->too_much)
		return -1;
	t->left -= n;
	return t->rq->on_data(t->rq->ctx, p, n);
}

static int exchange(struct s3_client *c, const struct s3_request *rq, const char *url, const char *const *headers,
	struct s3_answer *ret, struct err *err)
{
	struct taking t = {.rq = rq, .left = rq->data_bytes};
	const struct http_call_options o = {
		.method = rq->method,
		.url = url,
		.tls = c->at.has_ca ? &c->at.tls : NULL,
		.headers = headers,
		.body = rq->body,
		.body_len = rq->body_len,
		.body_file = rq->file,
		.exact_path = true,
		.own_content_type = true,
		.connect_timeout_ms = rq->timeout_ms ? rq->timeout_ms : c->at.connect_timeout_ms,
		.idle_timeout_ms = rq->timeout_ms ? rq->timeout_ms : c->at.idle_timeout_ms,
		.body_bytes_max = rq->answer_bytes_max,
		.total_timeout_ms = total_ms(rq),
		.on_data = rq->on_data ? take : NULL,
		.ctx = &t,
	};
	struct http_call *call = http_call_new(&o, err);
	int rc;

	if (!call)
		return -1;
	if ((rc = s3_endpoint_run(&c->at, call, rq->cancelled, err)) == 0) {
		ret->status = http_call_status(call);
		ret->call = call;
	} else {
		http_call_free(call);
	}
	if (t.too_much)
		return err_set(
			err, ERR_UNAVAILABLE, "more than the %" PRIu64 " bytes that were expected", rq->data_bytes);
	return rc;
}

static int judge(struct s3_client *c, const struct s3_request *rq, struct s3_answer *a, struct err *err)
{
	bool keys_refused = false;

	if (a->status / 100 == 2)
		return 0;
	s3_fault_of(a->call, strcmp(rq->method, "HEAD") == 0, &keys_refused, err);
	if (keys_refused)
		s3_endpoint_keys_refused(&c->at, err);
	s3_answer_done(a);
	return -1;
}

/* Signed when it leaves: one that has waited long would be too old. */
static int make_call(struct s3_client *c, const struct s3_request *rq, const char *path, const char *url,
	struct s3_answer *ret, struct err *err)
{
	char **headers;
	int rc = rq->file ? s3_endpoint_enter(&c->at, rq->cancelled, err)
			  : s3_endpoint_check(&c->at, rq->cancelled, err);

	if (rc < 0)
		return -1;
	rc = -1;
	if ((headers = sign(c, rq, path, err)))
		rc = exchange(c, rq, url, (const char *const *)headers, ret, err);
	s3_headers_free(headers);
	if (rq->file)
		s3_endpoint_leave(&c->at);
	return rc;
}

int s3_call(struct s3_client *c, const struct s3_request *rq, struct s3_answer *ret, struct err *err)
{
	struct s3_answer answer = {0};
	struct buf path, query;
	char *url = NULL;
	int rc = -1;

	buf_init(&path, PATH_BYTES_MAX);
	buf_init(&query, QUERY_BYTES_MAX);
	if (put_path(c, rq->key, &path, err) < 0 || s3_query(&query, rq->query, rq->query_n, err) < 0)
		goto out;
	if (!(url = make_url(c, buf_str(&path), query.len > 0 ? buf_str(&query) : ""))) {
		err_nomem(err);
		goto out;
	}
	if ((rc = make_call(c, rq, buf_str(&path), url, &answer, err)) == 0)
		rc = judge(c, rq, &answer, err);
	if (rc == 0 && ret)
		*ret = answer;
	else if (rc == 0)
		s3_answer_done(&answer);
out:
	if (rc < 0)
		err_in(err, "%s %s%s%s", rq->method, c->at.bucket, rq->key ? "/" : "", rq->key ? rq->key : "");
	free(url);
	buf_done(&path);
	buf_done(&query);
	return rc;
}

void s3_client_cancel(struct s3_client *c, atomic_bool *flag)
{
	s3_endpoint_cancel(&c->at, flag);
}

int s3_absent(struct s3_client *c, const char *key, const atomic_bool *cancelled, struct err *err)
{
	static const struct s3_pair first = {"range", "bytes=0-0"};
	const struct s3_request rq = {
		.method = "GET", .key = key, .headers = &first, .headers_n = 1, .cancelled = cancelled};
	struct err why = {0};

	if (s3_call(c, &rq, NULL, &why) == 0)
		return err_set(err, ERR_UNAVAILABLE, "HEAD %s: not found, but it is there", key);
	if (strcmp(why.detail, "no_such_key") == 0)
		return 0;
	if (err)
		*err = why;
	return -1;
}

void s3_answer_done(struct s3_answer *a)
{
	http_call_free(a->call);
	a->call = NULL;
}

void s3_answer_etag(const struct s3_answer *a, char ret[S3_ETAG_MAX])
{
	const char *etag = http_call_header(a->call, "ETag");
	size_t n;

	ret[0] = '\0';
	if (!etag)
		return;
	if (etag[0] == '"')
		etag++;
	n = strcspn(etag, "\"");
	if (n >= S3_ETAG_MAX)
		return;
	memcpy(ret, etag, n);
	ret[n] = '\0';
}

/* ---- links ---- */

char *s3_client_url(struct s3_client *c, const char *key, const struct s3_pair *query, size_t query_n, uint64_t *ttl_s,
	struct err *err)
{
	uint64_t now_ns = clock_wall_ns(), ends_ns;
	struct s3_keys keys = {0};
	struct s3_signable s = {
		.method = "GET",
		.host = c->host,
		.query = query,
		.query_n = query_n,
		.payload_sha256 = S3_UNSIGNED_PAYLOAD,
	};
	char *text = NULL, *url = NULL;
	struct buf path;

	buf_init(&path, PATH_BYTES_MAX);
	if (put_path(c, key, &path, err) < 0)
		goto out;
	s.path = buf_str(&path);
	do { /* until the end is that of these keys, and not of others that came in between */
		ends_ns = s3_credentials_expiry(c->at.credentials);
		if (s3_credentials_get(c->at.credentials, &keys, err) < 0)
			goto out;
	} while (s3_credentials_expiry(c->at.credentials) != ends_ns);
	if (ends_ns > now_ns && (ends_ns - now_ns) / CLOCK_NS_PER_S < *ttl_s)
		*ttl_s = (ends_ns - now_ns) / CLOCK_NS_PER_S;
	if (*ttl_s > S3_TTL_MAX_S)
		*ttl_s = S3_TTL_MAX_S;
	if (*ttl_s == 0)
		*ttl_s = 1;
	if (!(text = s3_presign(&s, &keys, c->region, now_ns / CLOCK_NS_PER_S, *ttl_s, err)))
		goto out;
	if (!(url = make_url(c, s.path, text)))
		err_nomem(err);
out:
	digest_wipe(&keys, sizeof(keys));
	free(text);
	buf_done(&path);
	return url;
}
