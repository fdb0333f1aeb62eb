/* s3_bucket.c - see s3_bucket.h. */
#include "uploader/s3/s3_bucket_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS       5000u /* small requests all: who ends the gateway waits for the one under way */
#define FAULTS_MAX       3u    /* then the store is gone; the examination must come to an end */
#define ANSWER_BYTES_MAX ((size_t)1024 * 1024)

/* ---- what all checks use ---- */

void s3_exam_add(struct s3_exam *x, enum driver_severity severity, const char *check, const char *fmt, ...)
{
	struct driver_finding *f;
	va_list ap;
	int n;

	if (x->ret->n >= DRIVER_FINDINGS_MAX)
		return;
	f = &x->ret->items[x->ret->n++];
	f->severity = severity;
	snprintf(f->check, sizeof(f->check), "%s", check);
	va_start(ap, fmt);
	n = vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	if (n < 0)
		f->text[0] = '\0';
	else if ((size_t)n >= sizeof(f->text))
		memcpy(f->text + sizeof(f->text) - 4, "...", 4);
}

void s3_exam_add_untold(struct s3_exam *x, enum s3_told told, const char *check, const char *question,
	const char *right, const struct err *why)
{
	if (told == S3_TOLD_DENIED)
		s3_exam_add(x, DRIVER_NOTE, check, "%s is not known: the keys have no right to ask (%s): %s", question,
			right, why->msg);
	else if (told == S3_TOLD_FAULT)
		s3_exam_add(x, DRIVER_WARNING, check, "%s is not known: %s", question, why->msg);
	else
		s3_exam_add(x, DRIVER_NOTE, check, "%s is not known: the store does not tell: %s", question, why->msg);
}

static bool is_silence(enum err_code code)
{
	return code == ERR_NET || code == ERR_TIMEOUT || code == ERR_AUTH || code == ERR_NOMEM;
}

enum s3_told s3_exam_call(struct s3_exam *x, const struct s3_request *rq, struct s3_answer *ret, struct err *why)
{
	struct s3_request quick = *rq;

	*why = x->gone;
	if (why->code != ERR_NONE)
		return S3_TOLD_FAULT;
	quick.timeout_ms = TIMEOUT_MS;
	if (s3_call(x->c, &quick, ret, why) == 0)
		return S3_TOLD;
	if (is_silence(why->code) && ++x->faults >= FAULTS_MAX)
		x->gone = *why;
	return s3_told_of(why);
}

enum s3_told s3_exam_get(struct s3_exam *x, const char *what, struct s3_answer *ret, struct err *why)
{
	const struct s3_pair query = {what, ""};
	const struct s3_request rq = {
		.method = "GET", .query = &query, .query_n = 1, .answer_bytes_max = ANSWER_BYTES_MAX};

	return s3_exam_call(x, &rq, ret, why);
}

/* ---- transport, reachable ---- */

static void transport(struct s3_exam *x)
{
	if (s3_client_is_tls(x->c))
		s3_exam_add(x, DRIVER_GOOD, "transport", "the endpoint is https");
	else
		s3_exam_add(x, DRIVER_WARNING, "transport",
			"the endpoint %s is not https: whoever is on the way can read captures and links; set an "
			"https:// endpoint",
			s3_client_endpoint(x->c));
}

/* 0: an S3 store answered with a list. */
static int list_is_one(const struct s3_answer *a, struct err *why)
{
	const struct buf *body = http_call_body(a->call);
	struct s3_versions list;

	if (s3_xml_versions(body->data, body->len, &list, why) < 0)
		return -1;
	s3_versions_free(&list);
	return 0;
}

/* A list and not a HEAD: its failure has a body, which says why.  false: there is nothing more to examine. */
static bool reachable(struct s3_exam *x)
{
	const struct s3_pair query[] = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", x->below}};
	const struct s3_request rq = {
		.method = "GET", .query = query, .query_n = 3, .answer_bytes_max = ANSWER_BYTES_MAX};
	const char *bucket = s3_client_bucket(x->c), *endpoint = s3_client_endpoint(x->c);
	struct s3_answer a;
	struct err why;
	enum s3_told told = s3_exam_call(x, &rq, &a, &why);

	if (told == S3_TOLD) {
		if (list_is_one(&a, &why) < 0)
			told = S3_TOLD_UNKNOWN;
		s3_answer_done(&a);
	}
	if (told == S3_TOLD) {
		s3_exam_add(x, DRIVER_GOOD, "reachable", "bucket \"%s\" at %s answers", bucket, endpoint);
		return true;
	}
	if (strcmp(why.detail, "access_denied") == 0) {
		s3_exam_add(x, DRIVER_WARNING, "reachable",
			"the keys have no right to list bucket \"%s\" (s3:ListBucket)%s: what is missing cannot be "
			"told from what is forbidden; grant it",
			bucket, s3_client_is_tls(x->c) ? "" : ", or its policy denies plain http");
		return true;
	}
	if (told == S3_TOLD_FAULT && why.code != ERR_STATE)
		x->gone = why;
	else
		s3_exam_add(x, DRIVER_ERROR, "reachable", "bucket \"%s\" at %s cannot be used%s: %s", bucket, endpoint,
			strcmp(why.detail, "bad_answer") == 0 ? ", what answers there is no S3 store" : "", why.msg);
	return false;
}

/* ---- versioning ---- */

static void versions_listed(struct s3_exam *x, const char *status)
{
	const struct s3_pair query[] = {{"max-keys", "1"}, {"prefix", x->below}, {"versions", ""}};
	const struct s3_request rq = {
		.method = "GET", .query = query, .query_n = 3, .answer_bytes_max = ANSWER_BYTES_MAX};
	struct s3_answer a;
	struct err why;
	enum s3_told told = s3_exam_call(x, &rq, &a, &why);

	if (told == S3_TOLD) {
		if (list_is_one(&a, &why) < 0)
			told = s3_told_of(&why);
		s3_answer_done(&a);
	}
	if (told == S3_TOLD)
		s3_exam_add(x, DRIVER_NOTE, "versioning",
			"versioning is %s: what is deleted is kept as a version, so erasing takes the rights "
			"s3:ListBucketVersions (there) and s3:DeleteObjectVersion (see \"erase\")",
			status);
	else
		s3_exam_add(x, DRIVER_WARNING, "versioning",
			"versioning is %s and versions cannot be listed, so captures cannot be erased; grant "
			"s3:ListBucketVersions and s3:DeleteObjectVersion: %s",
			status, why.msg);
}

static void versioning(struct s3_exam *x)
{
	struct s3_answer a;
	struct err why;
	enum s3_told told = s3_exam_get(x, "versioning", &a, &why);
	char status[16] = "";

	if (told == S3_TOLD) {
		if (s3_xml_versioning(http_call_body(a.call)->data, http_call_body(a.call)->len, status, &why) < 0)
			told = s3_told_of(&why);
		s3_answer_done(&a);
	}
	x->versions_kept = told == S3_TOLD && status[0];
	if (told != S3_TOLD)
		s3_exam_add_untold(
			x, told, "versioning", "whether the bucket keeps versions", "s3:GetBucketVersioning", &why);
	else if (!status[0])
		s3_exam_add(x, DRIVER_GOOD, "versioning", "the bucket keeps no versions: what is deleted is gone");
	else
		versions_listed(x, strcmp(status, "Enabled") == 0 ? "enabled" : "suspended");
}

/* ---- the whole ---- */

int s3_bucket_examine(
	struct s3_client *c, const struct s3_bucket_options *o, struct driver_findings *ret, struct err *err)
{
	struct s3_exam x = {.c = c, .o = o, .ret = ret};

	ret->n = 0;
	snprintf(x.below, sizeof(x.below), "%s%s", o->prefix, o->prefix[0] ? "/" : "");
	transport(&x);
	if (reachable(&x)) {
		versioning(&x);
		s3_exam_probe(&x);
		s3_exam_access(&x);
		s3_exam_lifecycle(&x);
	}
	if (x.gone.code == ERR_NONE)
		return 0;
	if (err)
		*err = x.gone;
	return -1;
}
