/* s3_fault.c - see s3_fault.h.  Source: "Error responses", Amazon S3 API Reference; Ceph's own codes as met. */
#include "uploader/s3/s3_fault.h"

#include "common/clock.h"
#include "uploader/s3/s3_xml.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Codes whose status does not tell enough. */
static const struct {
	const char *code;
	enum err_code kind;
	bool keys;
	const char *says;
} known[] = {
	{"RequestTimeout", ERR_TIMEOUT, false, ""},
	{"RequestTimeTooSkewed", ERR_UNAVAILABLE, false, ""},
	{"RequestExpired", ERR_UNAVAILABLE, false, ""},
	{"ExpiredToken", ERR_UNAVAILABLE, true, "the session token has expired"},
	{"TokenRefreshRequired", ERR_UNAVAILABLE, true, "the session token has expired"},
	{"InvalidToken", ERR_PERM, true, "the session token is not accepted"},
	{"InvalidAccessKeyId", ERR_PERM, true, "the access key is not known there"},
	{"SignatureDoesNotMatch", ERR_PERM, true,
		"the secret key does not belong to the access key, or something between changes requests"},
	{"AccessDenied", ERR_PERM, false, "the keys have no right to do this"},
	{"AllAccessDisabled", ERR_PERM, false, ""},
	{"AccountProblem", ERR_PERM, false, ""},
	{"UserSuspended", ERR_PERM, false, "the user of these keys is suspended"},
	{"QuotaExceeded", ERR_FULL, false, "the quota of the user or the bucket is used up"},
	{"NoSuchBucket", ERR_STATE, false, "there is no such bucket"},
	{"InvalidBucketName", ERR_STATE, false, ""},
	{"NoSuchKey", ERR_NOT_FOUND, false, ""},
	{"NoSuchUpload", ERR_NOT_FOUND, false, "the store knows this upload no more"},
	{"NoSuchVersion", ERR_NOT_FOUND, false, ""},
	{"BadDigest", ERR_IO, false, "the bytes that arrived are not those that were sent"},
	{"XAmzContentSHA256Mismatch", ERR_IO, false, "the bytes that arrived are not those that were sent"},
	{"IncompleteBody", ERR_NET, false, ""},
	{"OperationAborted", ERR_UNAVAILABLE, false, ""},
	{"InternalError", ERR_UNAVAILABLE, false, ""},
	{"ServiceUnavailable", ERR_UNAVAILABLE, false, ""},
	{"SlowDown", ERR_UNAVAILABLE, false, "it asks for fewer requests"},
};

void s3_fault_detail(const char *code, char ret[32])
{
	size_t n = 0;
	bool was_upper = true;

	for (; *code && n < 30; code++) {
		bool upper = *code >= 'A' && *code <= 'Z';

		if (!upper && (*code < 'a' || *code > 'z'))
			continue;
		if (upper && !was_upper)
			ret[n++] = '_';
		ret[n++] = upper ? (char)(*code - 'A' + 'a') : *code;
		was_upper = upper;
	}
	ret[n] = '\0';
}

/* A store says in words that something is not there, where it can: an answer to HEAD has no body.  Any other 404 is somebody else's. */
static bool is_foreign(int status, bool head, const struct s3_error *e)
{
	return status == 404 && !head && !e->code[0];
}

static enum err_code kind_of_status(int status)
{
	if (status >= 500 || status == 429)
		return status == 501 ? ERR_INPUT : ERR_UNAVAILABLE;
	switch (status) {
	case 401:
	case 403:
		return ERR_PERM;
	case 404:
		return ERR_NOT_FOUND;
	case 408:
		return ERR_TIMEOUT;
	case 409:
	case 412:
		return ERR_STATE;
	}
	/* 1xx and 3xx: whoever answers this is not the store that was meant */
	return status < 400 ? ERR_STATE : ERR_INPUT;
}

/* ": this machine's clock is 20 minutes ahead" */
static void say_skew(const char *date, char *ret, size_t size)
{
	long long ours = (long long)(clock_wall_ns() / CLOCK_NS_PER_S), off;
	struct tm tm = {0};

	if (!date || !strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm)) {
		snprintf(ret, size, ": this machine's clock and the store's are too far apart");
		return;
	}
	off = ours - (long long)timegm(&tm);
	snprintf(ret, size, ": this machine's clock is %lld s %s the store's", off < 0 ? -off : off,
		off < 0 ? "behind" : "ahead of");
}

/* Does the store say that the bucket is in another place?  There are stores that put their own region into every error. */
static bool is_elsewhere(int status, const char *code)
{
	static const char *const codes[] = {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect",
		"IllegalLocationConstraintException"};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i], code) == 0)
			return true;
	return status / 100 == 3;
}

static void say_elsewhere(const struct s3_error *e, char *ret, size_t size)
{
	if (e->region[0])
		snprintf(ret, size, ": the bucket is in region \"%s\", set s3.region", e->region);
	else if (e->endpoint[0])
		snprintf(ret, size, ": the bucket is at \"%s\", set s3.endpoint", e->endpoint);
	else
		snprintf(ret, size, ": the bucket is elsewhere; check s3.endpoint, s3.region and s3.bucket");
}

void s3_fault_judge(
	int status, bool head, const struct s3_error *e, const char *date, bool *ret_keys_refused, struct err *err)
{
	enum err_code kind = kind_of_status(status);
	bool elsewhere = is_elsewhere(status, e->code), foreign = is_foreign(status, head, e);
	char says[400] = "", detail[32];

	*ret_keys_refused = false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].code, e->code) != 0)
			continue;
		kind = known[i].kind;
		*ret_keys_refused = known[i].keys;
		if (known[i].says[0])
			snprintf(says, sizeof(says), ": %s", known[i].says);
	}
	if (strcmp(e->code, "RequestTimeTooSkewed") == 0)
		say_skew(date, says, sizeof(says));
	else if (elsewhere)
		say_elsewhere(e, says, sizeof(says));
	else if (foreign)
		snprintf(says, sizeof(says), " without a code: whoever answers is not the store");
	else if (status == 400 && !e->code[0] && e->region[0])
		snprintf(says, sizeof(says), ": the bucket is in region \"%s\"; is that s3.region?", e->region);
	if (elsewhere)
		kind = ERR_STATE;
	else if (foreign)
		kind = ERR_UNAVAILABLE;
	if (e->code[0])
		err_set(err, kind, "HTTP %d %s%s%s%s%s", status, e->code, says, e->message[0] ? " (" : "", e->message,
			e->message[0] ? ")" : "");
	else
		err_set(err, kind, "HTTP %d%s", status, says);
	s3_fault_detail(e->code, detail);
	if (foreign)
		err_detail(err, "bad_answer");
	else if (detail[0])
		err_detail(err, detail);
}

void s3_fault_of(const struct http_call *call, bool head, bool *ret_keys_refused, struct err *err)
{
	const struct buf *body = http_call_body(call);
	const char *region = http_call_header(call, "x-amz-bucket-region");
	int status = http_call_status(call);
	struct s3_error e;

	s3_xml_error(body->data, body->len, &e);
	/* AWS refuses a HEAD that was signed for another region with 400 and nothing else. */
	if (!e.region[0] && (status / 100 == 3 || status == 400) && region)
		snprintf(e.region, sizeof(e.region), "%s", region);
	s3_fault_judge(status, head, &e, http_call_header(call, "Date"), ret_keys_refused, err);
}
