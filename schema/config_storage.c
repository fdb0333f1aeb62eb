/* config_storage.c - do storage and s3 fit together?  Every refusal names key, value and what would be right; secrets are never shown. */
#include "schema/config_gateway.h"

#include "common/parse.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#define GIB          (UINT64_C(1) << 30)
#define TIB          (UINT64_C(1) << 40)
#define PUT_MAX      (5 * GIB) /* S3: one PUT, and one part */
#define OBJECT_MAX   (5 * TIB)
#define BUCKET_LEAST 3u
#define BUCKET_MOST  63u
#define LOWER        "abcdefghijklmnopqrstuvwxyz"
#define UPPER        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS       "0123456789"

static bool is(const char *value, const char *word)
{
	return strcmp(value, word) == 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && is(text + n - m, end);
}

/* A size as one would write it. */
static const char *size_text(uint64_t bytes, char ret[32])
{
	static const char *const units[] = {"TiB", "GiB", "MiB", "KiB"};

	for (unsigned i = 0; i < 4; i++) {
		uint64_t factor = UINT64_C(1) << (40 - 10 * i);

		if (bytes > 0 && bytes % factor == 0) {
			snprintf(ret, 32, "%" PRIu64 "%s", bytes / factor, units[i]);
			return ret;
		}
	}
	snprintf(ret, 32, "%" PRIu64, bytes);
	return ret;
}

static int check_prefix(const char *prefix, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";

	if (prefix[strspn(prefix, allowed)] || *prefix == '/' || *prefix == '.' || strstr(prefix, "//") ||
		strstr(prefix, "/.") || prefix[strlen(prefix) - 1] == '/')
		return err_set(err, ERR_INPUT,
			"storage.prefix: \"%s\" is not made of names with letters, digits, '.', '_', '-' and '/' "
			"between them",
			prefix);
	return 0;
}

/* ---- sizes ---- */

static int check_budget(const char *key, uint64_t bytes, uint64_t least, const char *why, struct err *err)
{
	char given[32], needed[32];

	if (bytes == 0 || bytes >= least)
		return 0;
	return err_set(err, ERR_INPUT, "storage.%s: %s is less than %s, %s; 0 is no limit", key,
		size_text(bytes, given), size_text(least, needed), why);
}

/* An open chunk and a closed one must fit, or no capture would come to its second chunk. */
static int check_sizes(const struct config_gateway *c, struct err *err)
{
	if (c->storage_chunk_bytes > c->storage_job_max_bytes)
		return err_set(err, ERR_INPUT, "storage.chunk is larger than storage.job_max");
	if (check_budget("spool_job_max", c->storage_spool_job_max_bytes, 2 * c->storage_chunk_bytes,
		    "twice storage.chunk", err) < 0)
		return -1;
	return check_budget("spool_max", c->storage_spool_max_bytes,
		c->storage_spool_job_max_bytes ? c->storage_spool_job_max_bytes : 2 * c->storage_chunk_bytes,
		c->storage_spool_job_max_bytes ? "storage.spool_job_max" : "twice storage.chunk", err);
}

static int check_job_max(const struct config_gateway *c, uint64_t most, const char *why, struct err *err)
{
	char given[32], limit[32];

	if (c->storage_job_max_bytes <= most)
		return 0;
	return err_set(err, ERR_INPUT, "storage.job_max: %s is more than %s, %s",
		size_text(c->storage_job_max_bytes, given), size_text(most, limit), why);
}

/* ---- where ---- */

/* The host of an http or https URL that has nothing but host and port. */
static int check_url(const char *key, const char *url, char ret_host[256], bool *ret_tls, struct err *err)
{
	const char *rest = url;
	uint16_t port;

	*ret_tls = strncmp(url, "https://", 8) == 0;
	rest += *ret_tls ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
	if (strchr(url, '@')) /* not shown: it may be a password */
		return err_set(err, ERR_INPUT, "%s: holds a user or an '@'; keys are given by s3.credentials", key);
	if (rest == url)
		return err_set(err, ERR_INPUT, "%s: \"%s\" begins with neither https:// nor http://", key, url);
	if (strpbrk(rest, "/?#"))
		return err_set(
			err, ERR_INPUT, "%s: \"%s\" has a path or a query; it must end after host and port", key, url);
	if (parse_host_port(rest, *ret_tls ? 443 : 80, ret_host, &port, err) < 0)
		return err_in(err, "%s", key);
	return 0;
}

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || strchr(host, ':');
}

static int check_endpoint(const struct config_s3 *s, struct err *err)
{
	char host[256];
	bool tls;

	if (!*s->endpoint)
		return err_set(err, ERR_INPUT,
			"s3.endpoint: must be given with storage.driver s3: https://s3.eu-central-1.amazonaws.com, "
			"say");
	if (check_url("s3.endpoint", s->endpoint, host, &tls, err) < 0)
		return -1;
	if (!tls && !s->allow_http)
		return err_set(err, ERR_INPUT,
			"s3.endpoint: \"%s\" is not encrypted; use https://, or say s3.allow_http: true", s->endpoint);
	if (!tls && *s->ca)
		return err_set(err, ERR_INPUT, "s3.ca: \"%s\" is of no use to the endpoint \"%s\", which is http://",
			s->ca, s->endpoint);
	if (!s->path_style && is_address(host))
		return err_set(err, ERR_INPUT,
			"s3.path_style: false needs a host name in s3.endpoint, not the address \"%s\"", host);
	return 0;
}

/* Source: "General purpose bucket naming rules", Amazon S3 User Guide. */
static int check_bucket(const char *name, struct err *err)
{
	static const char *const begins[] = {"xn--", "sthree-", "amzn-s3-demo-", NULL};
	static const char *const ends[] = {"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", NULL};
	size_t n = strlen(name);
	const char *bad = NULL;
	struct in_addr v4;

	if (n == 0)
		return err_set(err, ERR_INPUT, "s3.bucket: must be given with storage.driver s3");
	if (n < BUCKET_LEAST || n > BUCKET_MOST)
		bad = "has not 3 to 63 characters";
	else if (name[strspn(name, LOWER DIGITS ".-")])
		bad = "is not made of lower-case letters, digits, '.' and '-'";
	else if (strchr(".-", name[0]) || strchr(".-", name[n - 1]))
		bad = "does not begin and end with a letter or a digit";
	else if (strstr(name, ".."))
		bad = "has two dots in a row";
	else if (inet_pton(AF_INET, name, &v4) == 1)
		bad = "looks like an address";
	for (unsigned i = 0; begins[i] && !bad; i++)
		bad = strncmp(name, begins[i], strlen(begins[i])) == 0 ? "begins as S3 keeps for itself" : NULL;
	for (unsigned i = 0; ends[i] && !bad; i++)
		bad = ends_with(name, ends[i]) ? "ends as S3 keeps for itself" : NULL;
	return bad ? err_set(err, ERR_INPUT, "s3.bucket: \"%s\" %s, so it is no name of a bucket", name, bad) : 0;
}

static int check_region(const char *region, struct err *err)
{
	if (!region[strspn(region, LOWER UPPER DIGITS "-_")])
		return 0;
	return err_set(err, ERR_INPUT, "s3.region: \"%s\" is not made of letters, digits, '-' and '_'", region);
}

/* ---- with which keys ---- */

static int check_needless(
	const char *key, const char *value, const struct config_s3 *s, const char *source, struct err *err)
{
	if (!*value)
		return 0;
	return err_set(err, ERR_INPUT, "s3.%s: is for credentials %s and must not be given with s3.credentials %s", key,
		source, s->credentials);
}

static int check_static(const struct config_s3 *s, struct err *err)
{
	if (!is(s->credentials, "static")) {
		if (check_needless("access_key", s->access_key, s, "static", err) < 0 ||
			check_needless("secret_key", s->secret_key, s, "static", err) < 0)
			return -1;
		return check_needless("session_token", s->session_token, s, "static", err);
	}
	if (!*s->access_key || !*s->secret_key)
		return err_set(err, ERR_INPUT,
			"s3.%s: must be given with s3.credentials static; the others are environment, file and "
			"instance",
			*s->access_key ? "secret_key" : "access_key");
	return 0;
}

static int check_credentials(const struct config_s3 *s, struct err *err)
{
	char host[256];
	bool tls;

	if (check_static(s, err) < 0)
		return -1;
	if (is(s->credentials, "file") && !*s->credentials_file)
		return err_set(err, ERR_INPUT, "s3.credentials_file: must be given with s3.credentials file");
	if (!is(s->credentials, "file") &&
		(check_needless("credentials_file", s->credentials_file, s, "file", err) < 0 ||
			check_needless("profile", s->profile, s, "file", err) < 0))
		return -1;
	if (!is(s->credentials, "instance"))
		return check_needless("imds_url", s->imds_url, s, "instance", err);
	return *s->imds_url ? check_url("s3.imds_url", s->imds_url, host, &tls, err) : 0;
}

/* ---- what the store can do ---- */

static int check_encryption(const struct config_s3 *s, struct err *err)
{
	if (*s->kms_key_id && !is(s->encryption, "aws:kms"))
		return err_set(err, ERR_INPUT,
			"s3.kms_key_id: \"%s\" is for s3.encryption aws:kms and must not be given with %s",
			s->kms_key_id, s->encryption);
	if (is(s->encryption, "aws:kms") && strncmp(s->endpoint, "http://", 7) == 0)
		return err_set(err, ERR_INPUT, "s3.encryption: aws:kms is taken over https:// only, not by \"%s\"",
			s->endpoint);
	return 0;
}

static int check_v2(const struct config_gateway *c, struct err *err)
{
	const struct config_s3 *s = &c->s3;

	if (!is(s->encryption, "none"))
		return err_set(err, ERR_INPUT,
			"s3.encryption: %s cannot be asked for with s3.signature_version 2; say none, and have the "
			"bucket "
			"encrypt by itself",
			s->encryption);
	if (c->storage_strict)
		return err_set(err, ERR_INPUT,
			"storage.strict: what it asks for (encryption, access, lifecycle, versions) cannot be seen "
			"with "
			"s3.signature_version 2; use signature version 4, or say false");
	if (*s->session_token)
		return err_set(err, ERR_INPUT,
			"s3.session_token: cannot be sent with s3.signature_version 2; use lasting keys, or signature "
			"version 4");
	if (is(s->credentials, "instance"))
		return err_set(err, ERR_INPUT,
			"s3.credentials: keys of an instance have a session token, which s3.signature_version 2 cannot "
			"send; use static, environment or file");
	return check_job_max(c, PUT_MAX, "the most that one PUT of s3.signature_version 2 takes", err);
}

static int check_v4(const struct config_gateway *c, struct err *err)
{
	char chunk[32], part[32];

	if (c->storage_chunk_bytes < c->s3.part_min_bytes)
		return err_set(err, ERR_INPUT,
			"storage.chunk: %s is less than s3.part_min, %s: a chunk becomes a part of the upload",
			size_text(c->storage_chunk_bytes, chunk), size_text(c->s3.part_min_bytes, part));
	return check_job_max(c, OBJECT_MAX, "the most that an object in S3 can be", err);
}

static int check_s3(const struct config_gateway *c, struct err *err)
{
	const struct config_s3 *s = &c->s3;

	if (check_endpoint(s, err) < 0 || check_bucket(s->bucket, err) < 0 || check_region(s->region, err) < 0 ||
		check_credentials(s, err) < 0 || check_encryption(s, err) < 0)
		return -1;
	if (*c->storage_path)
		return err_set(
			err, ERR_INPUT, "storage.path: \"%s\" is for storage.driver file, not s3", c->storage_path);
	return is(s->signature_version, "2") ? check_v2(c, err) : check_v4(c, err);
}

/* ---- s3 without the driver ---- */

static bool is_as(const struct config_key *k, const void *a, const void *b)
{
	const char *x = (const char *)a + k->offset, *y = (const char *)b + k->offset;
	char *s, *t;

	switch (k->type) {
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
		memcpy(&s, x, sizeof(s));
		memcpy(&t, y, sizeof(t));
		return is(s, t);
	case CONFIG_BOOL:
		return memcmp(x, y, sizeof(bool)) == 0;
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
		return memcmp(x, y, sizeof(uint64_t)) == 0;
	case CONFIG_LIST:
		break;
	}
	return true;
}

/* Who fills in s3 and forgets the driver would believe that captures go to the bucket. */
static int check_no_s3(const struct config_gateway *c, struct err *err)
{
	struct config_gateway defaults = {0};
	const struct config_key *k = config_gateway_keys, *end = k + config_gateway_keys_n;
	size_t n = 0;
	int rc = 0;

	while (k < end && !is(k->section, "s3"))
		k++;
	while (k + n < end && is(k[n].section, "s3"))
		n++;
	if (config_load(NULL, k, n, &defaults, err) < 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		if (!is_as(&k[i], c, &defaults))
			rc = err_set(err, ERR_INPUT,
				"s3.%s: is given while storage.driver is \"%s\"; say storage.driver: s3, or leave it "
				"out",
				k[i].key, c->storage_driver);
	config_done(k, n, &defaults);
	return rc;
}

int config_storage_check(struct config_gateway *c, struct err *err)
{
	size_t n = strlen(c->s3.endpoint);

	if (ends_with(c->s3.endpoint, "/"))
		c->s3.endpoint[n - 1] = '\0';
	if (check_prefix(c->storage_prefix, err) < 0 || check_sizes(c, err) < 0)
		return -1;
	return is(c->storage_driver, "s3") ? check_s3(c, err) : check_no_s3(c, err);
}
