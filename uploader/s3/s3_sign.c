/* s3_sign.c - see s3_sign.h. */
#include "uploader/s3/s3_sign_internal.h"

#include "common/ossl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALGORITHM       "AWS4-HMAC-SHA256"
#define NOW_MAX_S       UINT64_C(253402300799) /* the end of the year 9999: the stamp has four digits for it */
#define LINES_MAX       (S3_PAIRS_MAX + 5)     /* host, date, payload, token, authorization */
#define OWN_MAX         6                      /* parameters that a presigned URL gets from us */
#define SCOPE_MAX       128
#define REGION_MAX      63
#define CANONICAL_USUAL 16384
#define HEADER_MAX      16384

/* ---- what is signed with ---- */

static int scope_set(struct s3_scope *ret, const char *region, uint64_t now_s, struct err *err)
{
	size_t n = strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
	time_t t = (time_t)now_s;
	struct tm tm;

	if (now_s > NOW_MAX_S || !gmtime_r(&t, &tm))
		return err_set(err, ERR_INPUT, "S3 request: %" PRIu64 " is no time to sign for", now_s);
	if (n == 0 || n > REGION_MAX || region[n])
		return err_set(err, ERR_INPUT, "S3 region \"%.80s\": 1 to %d letters, digits and '-' were expected",
			region, REGION_MAX);
	*ret = (struct s3_scope){.region = region, .service = "s3"};
	strftime(ret->stamp, sizeof(ret->stamp), "%Y%m%dT%H%M%SZ", &tm);
	memcpy(ret->day, ret->stamp, sizeof(ret->day) - 1);
	return 0;
}

/* The scope as text: "20130524/us-east-1/s3/aws4_request". */
static void scope_text(const struct s3_scope *s, char ret[SCOPE_MAX])
{
	snprintf(ret, SCOPE_MAX, "%s/%.*s/%s/aws4_request", s->day, REGION_MAX, s->region, s->service);
}

/* key may be ret.  OpenSSL's HMAC fails only without memory or without its provider: see digest.c. */
static void hmac(const uint8_t *key, size_t key_len, const char *text, uint8_t ret[DIGEST_SHA256_BYTES])
{
	uint8_t sum[DIGEST_SHA256_BYTES];

	if (!HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), sum, NULL))
		abort();
	memcpy(ret, sum, sizeof(sum));
	digest_wipe(sum, sizeof(sum));
}

void s3_signature(
	const struct s3_scope *scope, const char *secret, const struct buf *canonical, char ret[DIGEST_SHA256_HEX_MAX])
{
	char first[sizeof("AWS4") + sizeof(((struct s3_keys *)NULL)->secret)], hash[DIGEST_SHA256_HEX_MAX];
	char range[SCOPE_MAX], text[SCOPE_MAX + 128];
	uint8_t key[DIGEST_SHA256_BYTES];

	snprintf(first, sizeof(first), "AWS4%s", secret);
	hmac((const uint8_t *)first, strlen(first), scope->day, key);
	hmac(key, sizeof(key), scope->region, key);
	hmac(key, sizeof(key), scope->service, key);
	hmac(key, sizeof(key), "aws4_request", key);
	digest_sha256_hex(canonical->data, canonical->len, hash);
	scope_text(scope, range);
	snprintf(text, sizeof(text), ALGORITHM "\n%s\n%s\n%s", scope->stamp, range, hash);
	digest_hmac_hex(key, sizeof(key), text, strlen(text), ret);
	digest_wipe(first, sizeof(first));
	digest_wipe(key, sizeof(key));
}

/* ---- what may be signed ---- */

/* Printable ASCII without blanks: what can stand in a request line or a credential. */
static bool is_visible(const char *text, const char *but_not)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p <= ' ' || *p > '~' || strchr(but_not, *p))
			return false;
	}
	return *text != '\0';
}

static bool is_payload(const char *text)
{
	return strcmp(text, S3_UNSIGNED_PAYLOAD) == 0 ||
	       (strlen(text) == DIGEST_SHA256_HEX_MAX - 1 &&
		       strspn(text, "0123456789abcdef") == DIGEST_SHA256_HEX_MAX - 1);
}

static int check(const struct s3_signable *s, const struct s3_keys *k, struct err *err)
{
	if (!is_visible(s->method, "") || !is_visible(s->host, "/?#@") || s->path[0] != '/' ||
		!is_visible(s->path, "?#"))
		return err_set(err, ERR_INPUT, "S3 request: method, host and path must be printable and encoded");
	if (s->query_n > S3_PAIRS_MAX || s->headers_n > S3_PAIRS_MAX)
		return err_set(err, ERR_INPUT, "S3 request: %zu query parameters and %zu headers, at most %u of each",
			s->query_n, s->headers_n, S3_PAIRS_MAX);
	if (!is_visible(k->access, "/,") || !k->secret[0])
		return err_set(
			err, ERR_INPUT, "S3 keys: the access key is empty or not printable, or there is no secret key");
	if (k->token[0] && !is_visible(k->token, ""))
		return err_set(err, ERR_INPUT, "S3 keys: the session token is not printable");
	return 0;
}

static bool is_ours(const char *name)
{
	static const char *const ours[] = {
		"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "authorization"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	}
	return false;
}

/* ---- headers ---- */

struct lines {
	struct s3_line at[LINES_MAX];
	size_t n;
};

static int lines_add(struct lines *l, const char *name, const char *value, struct err *err)
{
	if (s3_line_make(&l->at[l->n], name, value, l->n, err) < 0)
		return -1;
	l->n++;
	return 0;
}

static int lines_fill(struct lines *l, const struct s3_signable *s, const struct s3_keys *k,
	const struct s3_scope *scope, struct err *err)
{
	for (size_t i = 0; i < s->headers_n; i++) {
		if (is_ours(s->headers[i].name))
			return err_set(
				err, ERR_INPUT, "S3 request: header %s is added by the signer", s->headers[i].name);
		if (lines_add(l, s->headers[i].name, s->headers[i].value, err) < 0)
			return -1;
	}
	if (lines_add(l, "x-amz-date", scope->stamp, err) < 0 ||
		lines_add(l, "x-amz-content-sha256", s->payload_sha256, err) < 0 ||
		(k->token[0] && lines_add(l, "x-amz-security-token", k->token, err) < 0))
		return -1;
	return lines_add(l, "host", s->host, err);
}

/* Adds the header that says: the signature of all the others. */
static int lines_authorize(struct lines *l, const struct s3_signable *s, const struct s3_keys *k,
	const struct s3_scope *scope, struct err *err)
{
	char range[SCOPE_MAX], signature[DIGEST_SHA256_HEX_MAX];
	struct buf canonical, names, query, value;
	const char *text;
	int rc = -1;

	buf_init(&canonical, S3_TEXT_MAX);
	buf_init(&names, HEADER_MAX);
	buf_init(&query, S3_TEXT_MAX);
	buf_init(&value, HEADER_MAX + 1024);
	/* The token goes in there, and a buffer that grows leaves copies behind. */
	if (!buf_reserve(&canonical, CANONICAL_USUAL, err) || s3_query(&query, s->query, s->query_n, err) < 0)
		goto out;
	if (!(text = buf_str(&query))) {
		err_nomem(err);
		goto out;
	}
	if (s3_canonical(&canonical, &names, s, text, l->at, l->n, err) < 0)
		goto out;
	s3_signature(scope, k->secret, &canonical, signature);
	scope_text(scope, range);
	if (buf_addf(&value, err, ALGORITHM " Credential=%s/%s, SignedHeaders=%.*s, Signature=%s", k->access, range,
		    (int)names.len, (const char *)names.data, signature) < 0)
		goto out;
	if (!(text = buf_str(&value)))
		err_nomem(err);
	else
		rc = lines_add(l, "authorization", text, err);
out:
	s3_buf_wipe(&canonical);
	buf_done(&names);
	buf_done(&query);
	buf_done(&value);
	return rc;
}

/* All lines but the host's as a list; they go over to it. */
static char **lines_take(struct lines *l, struct err *err)
{
	char **list = calloc(l->n, sizeof(*list));
	size_t n = 0;

	if (!list) {
		err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (strncmp(l->at[i].text, "host:", 5) == 0)
			continue;
		list[n++] = l->at[i].text;
		l->at[i].text = NULL;
	}
	return list;
}

char **s3_sign(
	const struct s3_signable *s, const struct s3_keys *k, const char *region, uint64_t now_s, struct err *err)
{
	struct s3_scope scope;
	struct lines l = {0};
	char **list = NULL;

	if (check(s, k, err) < 0 || scope_set(&scope, region, now_s, err) < 0)
		return NULL;
	if (!is_payload(s->payload_sha256)) {
		err_set(err, ERR_INPUT,
			"S3 request: the payload's hash is neither 64 hex digits nor " S3_UNSIGNED_PAYLOAD);
		return NULL;
	}
	if (lines_fill(&l, s, k, &scope, err) == 0 && lines_authorize(&l, s, k, &scope, err) == 0)
		list = lines_take(&l, err);
	for (size_t i = 0; i < l.n; i++)
		s3_line_done(&l.at[i]);
	return list;
}

void s3_headers_free(char **headers)
{
	for (size_t i = 0; headers && headers[i]; i++)
		digest_wipe_free(headers[i]);
	free(headers);
}

/* ---- URLs ---- */

/* The parameters that stand in the URL before the signature. */
static int presign_query(struct buf *ret, const struct s3_signable *s, const struct s3_keys *k,
	const struct s3_scope *scope, uint64_t ttl_s, struct err *err)
{
	char credential[sizeof(k->access) + 1 + SCOPE_MAX], range[SCOPE_MAX], ttl[21];
	struct s3_pair own[OWN_MAX] = {{"X-Amz-Algorithm", ALGORITHM}, {"X-Amz-Credential", credential},
		{"X-Amz-Date", scope->stamp}, {"X-Amz-Expires", ttl}, {"X-Amz-SignedHeaders", "host"},
		{"X-Amz-Security-Token", k->token}};
	size_t own_n = k->token[0] ? OWN_MAX : OWN_MAX - 1;
	struct s3_pair all[S3_PAIRS_MAX];

	if (s->query_n > S3_PAIRS_MAX - own_n)
		return err_set(
			err, ERR_INPUT, "S3 URL: %zu query parameters, at most %zu", s->query_n, S3_PAIRS_MAX - own_n);
	scope_text(scope, range);
	snprintf(credential, sizeof(credential), "%s/%s", k->access, range);
	snprintf(ttl, sizeof(ttl), "%" PRIu64, ttl_s);
	for (size_t i = 0; i < s->query_n; i++) {
		if (strncasecmp(s->query[i].name, "x-amz-", 6) == 0)
			return err_set(err, ERR_INPUT, "S3 URL: parameter %s is added by the signer", s->query[i].name);
		all[i] = s->query[i];
	}
	memcpy(all + s->query_n, own, own_n * sizeof(own[0]));
	return s3_query(ret, all, s->query_n + own_n, err);
}

static int presign_sign(struct buf *query, const struct s3_signable *s, const struct s3_keys *k,
	const struct s3_scope *scope, struct err *err)
{
	struct s3_signable unsigned_body = *s;
	char signature[DIGEST_SHA256_HEX_MAX];
	struct s3_line host = {0};
	struct buf canonical, names;
	const char *text = buf_str(query);
	int rc = -1;

	unsigned_body.payload_sha256 = S3_UNSIGNED_PAYLOAD;
	buf_init(&canonical, S3_TEXT_MAX);
	buf_init(&names, HEADER_MAX);
	if (!text) {
		err_nomem(err);
	} else if (s3_line_make(&host, "host", s->host, 0, err) == 0 &&
		   s3_canonical(&canonical, &names, &unsigned_body, text, &host, 1, err) == 0) {
		s3_signature(scope, k->secret, &canonical, signature);
		rc = buf_addf(query, err, "&X-Amz-Signature=%s", signature);
	}
	s3_line_done(&host);
	s3_buf_wipe(&canonical);
	buf_done(&names);
	return rc;
}

char *s3_presign(const struct s3_signable *s, const struct s3_keys *k, const char *region, uint64_t now_s,
	uint64_t ttl_s, struct err *err)
{
	struct s3_scope scope;
	const char *text;
	char *url = NULL;
	struct buf query;

	if (check(s, k, err) < 0 || scope_set(&scope, region, now_s, err) < 0)
		return NULL;
	if (ttl_s == 0 || ttl_s > S3_TTL_MAX_S || s->headers_n > 0) {
		err_set(err, ERR_INPUT,
			"S3 URL: %zu headers and good for %" PRIu64 " s; none and 1 to %u s were expected",
			s->headers_n, ttl_s, S3_TTL_MAX_S);
		return NULL;
	}
	buf_init(&query, S3_TEXT_MAX);
	if (presign_query(&query, s, k, &scope, ttl_s, err) == 0 && presign_sign(&query, s, k, &scope, err) == 0 &&
		(!(text = buf_str(&query)) || !(url = strdup(text))))
		err_nomem(err);
	s3_buf_wipe(&query);
	return url;
}
