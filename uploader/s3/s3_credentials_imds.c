/* s3_credentials_imds.c - the keys of the instance's role, by version 2 of the metadata service only: without a session token nothing is asked, so
 * that nobody who can make this program send a simple GET gets at them. */
#include "uploader/s3/s3_credentials_internal.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/http_client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_TTL "60" /* seconds: three requests, one after the other */
#define SESSION_MAX 1024u
#define ANSWER_MAX  ((size_t)16 * 1024)
#define URL_MAX     256u
#define ROLES       "/latest/meta-data/iam/security-credentials/"

/* One run through the three requests. */
struct imds {
	const char *url;
	unsigned total_ms;
	char session[SESSION_MAX]; /* the header's value, a secret */
};

int s3_imds_check_url(const char *url, struct err *err)
{
	const char *host = NULL, *slash;

	if (strncmp(url, "http://", 7) == 0)
		host = url + 7;
	else if (strncmp(url, "https://", 8) == 0)
		host = url + 8;
	slash = host ? strchr(host, '/') : NULL;
	if (!host || !*host || host == slash || (slash && slash[1]) || strpbrk(host, "?#@ \t\r\n") ||
		strlen(url) > URL_MAX) {
		err_set(err, ERR_INPUT, "\"%s\" is not like \"" S3_IMDS_URL "\": scheme, host and perhaps a port", url);
		return err_field(err, "s3.imds_url");
	}
	return 0;
}

/* ask: the answer to one request, status 200; NULL with err.  what is for messages: "session token". */
static struct http_call *ask(const struct imds *m, const char *method, const char *path, const char *header,
	const char *what, struct err *err)
{
	const char *const headers[] = {header, NULL};
	char url[URL_MAX + sizeof(ROLES) + S3_IMDS_ROLE_MAX];
	struct http_call_options o = {.method = method,
		.url = url,
		.headers = headers,
		.connect_timeout_ms = m->total_ms,
		.total_timeout_ms = m->total_ms,
		.body_bytes_max = ANSWER_MAX};
	size_t n = strlen(m->url);
	struct http_call *call;
	int status;

	if (n > 0 && m->url[n - 1] == '/')
		n--;
	snprintf(url, sizeof(url), "%.*s%s", (int)n, m->url, path);
	if (!(call = http_call_new(&o, err)))
		return NULL;
	if (http_call_run(call, err) < 0) {
		err_in(err, "instance metadata service, %s", what);
		goto fail;
	}
	status = http_call_status(call);
	if (status == 200)
		return call;
	err_set(err, ERR_UNAVAILABLE, "instance metadata service: HTTP %d when asked for the %s%s", status, what,
		status == 404 && strcmp(path, ROLES) == 0 ? ": this machine has no role" : "");
fail:
	http_call_free(call);
	return NULL;
}

/* The first line of an answer, 1 to size - 1 visible characters of ASCII. */
static int first_line(const struct http_call *call, char *ret, size_t size)
{
	const struct buf *body = http_call_body(call);
	size_t n = 0;

	while (n < body->len && body->data[n] != '\n' && body->data[n] != '\r') {
		if (n + 1 >= size || body->data[n] <= ' ' || body->data[n] > '~')
			return -1;
		ret[n] = (char)body->data[n];
		n++;
	}
	ret[n] = '\0';
	return n > 0 ? 0 : -1;
}

static int open_session(struct imds *m, struct err *err)
{
	struct http_call *call = ask(m, "PUT", "/latest/api/token",
		"X-aws-ec2-metadata-token-ttl-seconds: " SESSION_TTL, "session token", err);
	char token[SESSION_MAX - 32];
	int rc;

	if (!call)
		return -1;
	rc = first_line(call, token, sizeof(token));
	if (rc < 0)
		err_set(err, ERR_UNAVAILABLE, "instance metadata service: what it gave is no session token");
	else
		snprintf(m->session, sizeof(m->session), "X-aws-ec2-metadata-token: %s", token);
	digest_wipe(token, sizeof(token));
	http_call_free(call);
	return rc;
}

static int find_role(const struct imds *m, char ret[S3_IMDS_ROLE_MAX], struct err *err)
{
	struct http_call *call = ask(m, "GET", ROLES, m->session, "role's name", err);
	int rc;

	if (!call)
		return -1;
	rc = first_line(call, ret, S3_IMDS_ROLE_MAX);
	/* What IAM allows in a name: it goes into the next URL as it is. */
	if (rc < 0 || ret[strspn(ret, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-")])
		rc = err_set(err, ERR_UNAVAILABLE, "instance metadata service: what it gave is no name of a role");
	http_call_free(call);
	return rc;
}

static const char *text_of(json_t *doc, const char *key)
{
	const char *s = json_string_value(json_object_get(doc, key));

	return s ? s : "";
}

/* Values are never told: in a wrong document anything may stand anywhere. */
static int take_keys(json_t *doc, struct s3_imds_keys *ret, struct err *err)
{
	static const struct s3_key_names names = {"AccessKeyId", "SecretAccessKey", "Token"};
	const char *code = text_of(doc, "Code");

	if (*code && strcmp(code, "Success") != 0)
		return err_set(err, ERR_UNAVAILABLE, "it says %.64s", code);
	if (s3_keys_set(&ret->keys, &names, text_of(doc, "AccessKeyId"), text_of(doc, "SecretAccessKey"),
		    text_of(doc, "Token"), err) < 0)
		return -1;
	if (!ret->keys.token[0])
		return err_set(err, ERR_UNAVAILABLE, "Token is missing");
	if (clock_parse_rfc3339(text_of(doc, "Expiration"), &ret->expiry_ns, NULL) < 0)
		return err_set(err, ERR_UNAVAILABLE, "Expiration is missing or is no time");
	return 0;
}

static int fetch_keys(const struct imds *m, struct s3_imds_keys *ret, struct err *err)
{
	char path[sizeof(ROLES) + S3_IMDS_ROLE_MAX];
	struct http_call *call;
	json_t *doc;
	int rc;

	snprintf(path, sizeof(path), ROLES "%s", ret->role);
	if (!(call = ask(m, "GET", path, m->session, "role's keys", err)))
		return -1;
	doc = http_call_json(call, NULL); /* its message would quote the text around the fault */
	rc = json_is_object(doc) ? take_keys(doc, ret, err)
				 : err_set(err, ERR_UNAVAILABLE, "the answer is no JSON object");
	if (rc < 0)
		err_in(err, "instance metadata service, keys of role %s", ret->role);
	json_decref(doc);
	http_call_free(call);
	return rc;
}

int s3_imds_fetch(const char *url, unsigned total_ms, struct s3_imds_keys *ret, struct err *err)
{
	struct imds m = {.url = url, .total_ms = total_ms};
	int rc = -1;

	if (open_session(&m, err) == 0 && find_role(&m, ret->role, err) == 0)
		rc = fetch_keys(&m, ret, err);
	digest_wipe(&m, sizeof(m));
	return rc;
}
