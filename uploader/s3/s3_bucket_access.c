/* s3_bucket_access.c - the examination of a bucket: strangers and plain http. */
#include "uploader/s3/s3_bucket_internal.h"

#include "uploader/s3/s3_access.h"

#include <string.h>

/* What is asked of one document about the bucket. */
struct question {
	enum s3_told told;
	bool yes;
	struct err why;
};

typedef int (*reader)(const void *xml, size_t n, bool *ret, struct err *err);

static void ask(struct s3_exam *x, const char *what, reader read, struct question *ret)
{
	struct s3_answer a;

	ret->yes = false;
	ret->told = s3_exam_get(x, what, &a, &ret->why);
	if (ret->told != S3_TOLD)
		return;
	if (read(http_call_body(a.call)->data, http_call_body(a.call)->len, &ret->yes, &ret->why) < 0)
		ret->told = s3_told_of(&ret->why);
	s3_answer_done(&a);
}

/* ---- the policy ---- */

static void ask_policy(struct s3_exam *x, struct question *ret, struct s3_policy_judgement *ret_policy)
{
	const struct buf *body;
	struct s3_answer a;

	*ret_policy = (struct s3_policy_judgement){0};
	ret->told = s3_exam_get(x, "policy", &a, &ret->why);
	if (ret->told != S3_TOLD)
		return;
	body = http_call_body(a.call);
	if (s3_access_policy(body->data, body->len, s3_client_bucket(x->c), x->o->prefix, ret_policy, &ret->why) < 0)
		ret->told = S3_TOLD_UNKNOWN;
	s3_answer_done(&a);
}

static bool is_aws(const struct s3_exam *x)
{
	return strstr(s3_client_endpoint(x->c), ".amazonaws.com") != NULL;
}

static void tls_only(struct s3_exam *x, const struct question *q, const struct s3_policy_judgement *policy)
{
	static const char right_one[] =
		"a statement with Effect Deny, Principal \"*\", Action \"s3:*\" for the bucket and BUCKET/*, and the "
		"condition {\"BoolIfExists\":{\"aws:SecureTransport\":\"false\"}} would do";

	if (q->told != S3_TOLD && q->told != S3_TOLD_NONE)
		s3_exam_add_untold(
			x, q->told, "tls_only", "whether the policy denies plain http", "s3:GetBucketPolicy", &q->why);
	else if (q->told == S3_TOLD_NONE)
		s3_exam_add(x, DRIVER_WARNING, "tls_only", "there is no bucket policy, so plain http is not denied: %s",
			right_one);
	else if (policy->plain_http == S3_PLAIN_HTTP_ALLOWED)
		s3_exam_add(x, DRIVER_WARNING, "tls_only", "the bucket policy does not deny plain http: %s", right_one);
	else if (policy->plain_http == S3_PLAIN_HTTP_DENIED_IF_KNOWN && !is_aws(x))
		s3_exam_add(x, DRIVER_NOTE, "tls_only",
			"the bucket policy denies plain http with \"Bool\", which some stores (Ceph) never find to be "
			"true; \"BoolIfExists\" is right everywhere");
	else
		s3_exam_add(x, DRIVER_GOOD, "tls_only", "the bucket policy denies plain http");
}

/* ---- strangers ---- */

/* The first that says yes is told; block: the store keeps strangers out whatever policy and ACL say. */
static void public_access(struct s3_exam *x, const struct question *policy, bool policy_is_public)
{
	struct question block, status, acl;

	ask(x, "publicAccessBlock", s3_xml_public_block, &block);
	if (block.told == S3_TOLD && block.yes) {
		s3_exam_add(x, DRIVER_GOOD, "public_access", "public access is blocked");
		return;
	}
	ask(x, "policyStatus", s3_access_policy_status, &status);
	ask(x, "acl", s3_access_acl, &acl);
	/* Before the policy: some stores count the ACL in the policy's status. */
	if (acl.told == S3_TOLD && acl.yes)
		s3_exam_add(x, DRIVER_ERROR, "public_access",
			"the bucket's ACL lets everybody in: take the groups AllUsers and AuthenticatedUsers out of "
			"it, and set the bucket's public access block");
	else if (policy_is_public || (status.told == S3_TOLD && status.yes))
		s3_exam_add(x, DRIVER_ERROR, "public_access",
			"the bucket policy lets everybody in: take Principal \"*\" out of what it allows, and set the "
			"bucket's public access block");
	else if (block.told == S3_TOLD || block.told == S3_TOLD_NONE)
		s3_exam_add(x, is_aws(x) ? DRIVER_WARNING : DRIVER_NOTE, "public_access",
			"nothing is public now, but the bucket's public access block is not set, so that one mistake "
			"can make it so; set all four of its flags");
	else if (acl.told != S3_TOLD && policy->told != S3_TOLD && policy->told != S3_TOLD_NONE)
		s3_exam_add_untold(x, block.told, "public_access", "whether strangers may read the bucket",
			"s3:GetBucketPublicAccessBlock, s3:GetBucketAcl, s3:GetBucketPolicy", &block.why);
	else
		s3_exam_add(x, DRIVER_NOTE, "public_access",
			"nothing that could be seen is public; whether public access is blocked is not known: %s",
			block.why.msg);
}

void s3_exam_access(struct s3_exam *x)
{
	struct s3_policy_judgement policy;
	struct question q;

	ask_policy(x, &q, &policy);
	public_access(x, &q, policy.is_public);
	tls_only(x, &q, &policy);
}
