/* s3_bucket_lifecycle.c - the examination of a bucket: the rule that expires what the gateway forgot.  The gateway erases in time by itself; the rule is for the day when there is no gateway. */
#include "uploader/s3/s3_bucket_internal.h"

#include "common/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK           "lifecycle"
#define RULES_BYTES_MAX ((size_t)2 * 1024 * 1024)
#define MS_PER_DAY      UINT64_C(86400000)
#define ABORT_DAYS      9u /* no capture runs for more than 7 (limits.duration), and an outage may follow */
#define NONCURRENT_DAYS 1u
#define DAYS_MAX        36500u
#define RULE_WORDS_MAX  512

/* AWS keeps one setting of the rules beside their document: what objects are too small for anybody's transitions. */
#define SIZE_HEADER    "x-amz-transition-default-minimum-object-size"
#define SIZE_VALUE_MAX 64

/* The bucket's rules with ours among them. */
struct rules {
	struct buf xml;            /* nothing when they are as they should be */
	bool changed;              /* by us; false: they say so already */
	char size[SIZE_VALUE_MAX]; /* SIZE_HEADER, "" : the store has no such thing */
};

uint32_t s3_bucket_lifecycle_days(uint64_t retention_ms, uint64_t capture_ms)
{
	uint64_t ms = retention_ms < UINT64_MAX - capture_ms ? retention_ms + capture_ms : UINT64_MAX;
	uint64_t days = ms / MS_PER_DAY + (ms % MS_PER_DAY != 0) + 1;

	return days > DAYS_MAX ? DAYS_MAX : (uint32_t)days;
}

static void rule_words(const struct s3_lifecycle_rule *r, char *ret, size_t size)
{
	char noncurrent[64] = "";

	if (r->noncurrent_days)
		snprintf(noncurrent, sizeof(noncurrent), ", noncurrent versions %" PRIu32 " day after that",
			r->noncurrent_days);
	snprintf(ret, size,
		"rule \"%s\": what begins with \"%s\" expires after %" PRIu32
		" days%s, incomplete uploads are aborted after %" PRIu32 " days",
		r->id, r->prefix, r->days, noncurrent, r->abort_days);
}

/* What cannot be said again as it was must not be changed: then nothing is. */
static int take_size(struct rules *rules, const struct s3_answer *a, struct err *why)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const char *value = http_call_header(a->call, SIZE_HEADER);

	if (!value || !rules->changed)
		return 0;
	if (strlen(value) >= sizeof(rules->size) || value[strspn(value, allowed)])
		return err_set(why, ERR_INPUT, "its " SIZE_HEADER " would be lost");
	memcpy(rules->size, value, strlen(value) + 1);
	return 0;
}

/* Reads and merges them into ret, which is empty.  S3_TOLD or why not. */
static enum s3_told merge(struct s3_exam *x, const struct s3_lifecycle_rule *r, struct rules *ret, struct err *why)
{
	struct s3_answer a = {0};
	enum s3_told told = s3_exam_get(x, "lifecycle", &a, why);
	const struct buf *body = told == S3_TOLD ? http_call_body(a.call) : NULL;

	if (told != S3_TOLD && told != S3_TOLD_NONE)
		return told;
	*why = (struct err){0};
	if (s3_xml_lifecycle_merge(body ? body->data : NULL, body ? body->len : 0, r, &ret->xml, &ret->changed, why) <
			0 ||
		(body && take_size(ret, &a, why) < 0))
		told = why->code == ERR_INPUT ? S3_TOLD_UNKNOWN : S3_TOLD_FAULT;
	else
		told = S3_TOLD;
	if (body)
		s3_answer_done(&a);
	return told;
}

static enum s3_told put(struct s3_exam *x, const struct rules *rules, struct err *why)
{
	static const struct s3_pair query = {"lifecycle", ""};
	const struct s3_pair headers[] = {{"content-type", "application/xml"}, {SIZE_HEADER, rules->size}};
	const struct s3_request rq = {.method = "PUT",
		.query = &query,
		.query_n = 1,
		.headers = headers,
		.headers_n = rules->size[0] ? 2 : 1,
		.body = rules->xml.data,
		.body_len = rules->xml.len,
		.md5 = true};

	return s3_exam_call(x, &rq, NULL, why);
}

static void put_and_check(struct s3_exam *x, const struct s3_lifecycle_rule *r, struct rules *rules, const char *words)
{
	struct err why;
	enum s3_told told = put(x, rules, &why);

	if (told == S3_TOLD_DENIED) {
		s3_exam_add(x, DRIVER_WARNING, CHECK,
			"not allowed (s3:PutLifecycleConfiguration): put this in place yourselves: %s", words);
		return;
	}
	if (told != S3_TOLD) {
		s3_exam_add(x, DRIVER_WARNING, CHECK, "the store did not take the %s: %s", words, why.msg);
		return;
	}
	buf_clear(&rules->xml);
	told = merge(x, r, rules, &why);
	if (told == S3_TOLD && !rules->changed)
		s3_exam_add(x, DRIVER_GOOD, CHECK, "put in place now: %s", words);
	else if (told == S3_TOLD)
		s3_exam_add(x, DRIVER_WARNING, CHECK, "the store took the rule and does not give it back as it was: %s",
			words);
	else
		s3_exam_add(x, DRIVER_WARNING, CHECK, "the store took the rule, but it could not be read again: %s",
			why.msg);
}

static void rule_examine(struct s3_exam *x, const struct s3_lifecycle_rule *r)
{
	struct rules rules = {.changed = false};
	char words[RULE_WORDS_MAX];
	struct err why;
	enum s3_told told;

	rule_words(r, words, sizeof(words));
	buf_init(&rules.xml, RULES_BYTES_MAX);
	told = merge(x, r, &rules, &why);
	if (told == S3_TOLD && !rules.changed)
		s3_exam_add(x, DRIVER_GOOD, CHECK, "%s", words);
	else if (told == S3_TOLD && x->o->lifecycle)
		put_and_check(x, r, &rules, words);
	else if (told == S3_TOLD)
		s3_exam_add(
			x, DRIVER_WARNING, CHECK, "missing; set s3.lifecycle or put it in place yourselves: %s", words);
	else if (told == S3_TOLD_DENIED)
		s3_exam_add(x, DRIVER_WARNING, CHECK,
			"not allowed (s3:GetLifecycleConfiguration): put this in place yourselves: %s", words);
	else
		s3_exam_add_untold(
			x, told, CHECK, "whether forgotten captures expire", "s3:GetLifecycleConfiguration", &why);
	buf_done(&rules.xml);
}

void s3_exam_lifecycle(struct s3_exam *x)
{
	struct s3_lifecycle_rule r = {
		.days = s3_bucket_lifecycle_days(x->o->retention_ms, x->o->capture_ms),
		.abort_days = ABORT_DAYS,
		.noncurrent_days = x->versions_kept ? NONCURRENT_DAYS : 0,
		.prefix = x->below,
	};
	char *id;

	if (!x->o->prefix[0]) {
		s3_exam_add(x, DRIVER_WARNING, CHECK,
			"storage.prefix is empty, so a rule would expire whatever is in the bucket; none is put in "
			"place: set storage.prefix");
		return;
	}
	if (!(id = fs_path("pcapline-%s", x->o->prefix))) {
		err_nomem(&x->gone);
		return;
	}
	r.id = id;
	rule_examine(x, &r);
	free(id);
}
