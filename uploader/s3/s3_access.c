/* s3_access.c - see s3_access.h.
 *
 * In doubt a policy gets no praise: a Deny counts only when it is for everybody, for reading and writing, for our objects, and under the one condition that the request came without TLS.
 * NotPrincipal, NotAction, NotResource and further conditions narrow it in ways that are not followed here; in an Allow they count as no limit. */
#include "uploader/s3/s3_access.h"

#include "common/json_in.h"
#include "uploader/s3/s3_xml_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ARN_MARK       ":s3:::"
#define NAME_MAX_BYTES 512

/* '*' and '?' as in IAM; steps are bounded by the product of the lengths. */
static bool matches(const char *pattern, const char *text, bool any_case)
{
	const char *star = NULL, *from = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			from = text;
		} else if (*pattern == '?' || *pattern == *text ||
			   (any_case && tolower((unsigned char)*pattern) == tolower((unsigned char)*text))) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* ---- elements that hold one text or a list of them ---- */

typedef bool (*text_test)(const char *text, const void *ctx);

static bool any_text(const json_t *v, text_test test, const void *ctx)
{
	const json_t *item;
	size_t i;

	if (json_is_string(v))
		return test(json_string_value(v), ctx);
	json_array_foreach(v, i, item) if (json_is_string(item) && test(json_string_value(item), ctx)) return true;
	return false;
}

static bool is_star(const char *text, const void *ctx)
{
	(void)ctx;
	return strcmp(text, "*") == 0;
}

static bool action_covers(const char *text, const void *ctx)
{
	return matches(text, ctx, true);
}

/* "arn:aws:s3:::bucket/key"; other clouds have another word for "aws". */
static bool resource_covers(const char *text, const void *ctx)
{
	const char *at = strstr(text, ARN_MARK);

	return is_star(text, NULL) || (at && matches(at + strlen(ARN_MARK), ctx, false));
}

/* ---- one statement ---- */

static bool has(const json_t *statement, const char *name, const char *value)
{
	const json_t *v = json_object_get(statement, name);

	return json_is_string(v) && strcmp(json_string_value(v), value) == 0;
}

static bool is_for_everybody(const json_t *statement)
{
	const json_t *who = json_object_get(statement, "Principal");

	return any_text(who, is_star, NULL) || any_text(json_object_get(who, "AWS"), is_star, NULL);
}

static bool is_false(const json_t *v)
{
	if (json_is_array(v) && json_array_size(v) == 1)
		v = json_array_get(v, 0);
	return json_is_false(v) || (json_is_string(v) && strcasecmp(json_string_value(v), "false") == 0);
}

/* {"BoolIfExists": {"aws:SecureTransport": "false"}} and nothing beside. */
static enum s3_plain_http plain_http_condition(json_t *condition)
{
	void *operation = json_object_iter(condition), *key;
	json_t *of;

	if (json_object_size(condition) != 1)
		return S3_PLAIN_HTTP_ALLOWED;
	of = json_object_iter_value(operation);
	if (json_object_size(of) != 1)
		return S3_PLAIN_HTTP_ALLOWED;
	key = json_object_iter(of);
	if (strcasecmp(json_object_iter_key(key), "aws:SecureTransport") != 0 || !is_false(json_object_iter_value(key)))
		return S3_PLAIN_HTTP_ALLOWED;
	if (strcasecmp(json_object_iter_key(operation), "BoolIfExists") == 0)
		return S3_PLAIN_HTTP_DENIED;
	return strcasecmp(json_object_iter_key(operation), "Bool") == 0 ? S3_PLAIN_HTTP_DENIED_IF_KNOWN
									: S3_PLAIN_HTTP_ALLOWED;
}

static enum s3_plain_http statement_plain_http(const json_t *statement, const char *object)
{
	const json_t *action = json_object_get(statement, "Action");

	if (!has(statement, "Effect", "Deny") || !is_for_everybody(statement) ||
		!any_text(action, action_covers, "s3:GetObject") || !any_text(action, action_covers, "s3:PutObject") ||
		!any_text(json_object_get(statement, "Resource"), resource_covers, object))
		return S3_PLAIN_HTTP_ALLOWED;
	return plain_http_condition(json_object_get(statement, "Condition"));
}

/* What it allows in particular does not matter: to list or to write is as bad as to read. */
static bool statement_is_public(const json_t *statement, const char *object, const char *bucket)
{
	const json_t *resource = json_object_get(statement, "Resource");

	if (!has(statement, "Effect", "Allow") || json_object_get(statement, "Condition"))
		return false;
	if (!is_for_everybody(statement) && !json_object_get(statement, "NotPrincipal"))
		return false;
	return !resource || any_text(resource, resource_covers, object) || any_text(resource, resource_covers, bucket);
}

/* ---- the policy ---- */

static void judge(const json_t *statement, const char *object, const char *bucket, struct s3_policy_judgement *ret)
{
	enum s3_plain_http plain_http = statement_plain_http(statement, object);

	if (plain_http > ret->plain_http)
		ret->plain_http = plain_http;
	ret->is_public = ret->is_public || statement_is_public(statement, object, bucket);
}

int s3_access_policy(const void *json, size_t n, const char *bucket, const char *prefix,
	struct s3_policy_judgement *ret, struct err *err)
{
	json_t *policy = json_in_parse(json, n, err), *statements;
	struct s3_policy_judgement found = {0};
	char object[NAME_MAX_BYTES];
	int rc = -1;

	if (!policy)
		return err_in(err, "bucket policy");
	/* As the keys of captures are, so that a rule for some other kind of name does not count. */
	snprintf(object, sizeof(object), "%s/%s%sorg/2000/01/31/01kdbw3m80jz6c5t9v2x4y7q8r.pcapng", bucket, prefix,
		prefix[0] ? "/" : "");
	statements = json_object_get(policy, "Statement");
	if (json_is_object(statements)) {
		judge(statements, object, bucket, &found);
		rc = 0;
	} else if (json_is_array(statements)) {
		for (size_t i = 0; i < json_array_size(statements); i++)
			judge(json_array_get(statements, i), object, bucket, &found);
		rc = 0;
	} else {
		err_set(err, ERR_INPUT, "bucket policy: it has no Statement");
	}
	if (rc == 0)
		*ret = found;
	json_decref(policy);
	return rc;
}

/* ---- what the store says itself ---- */

int s3_access_policy_status(const void *xml, size_t n, bool *ret_public, struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "PolicyStatus", NULL, err);
	int rc;

	if (!doc)
		return -1;
	/* AWS documents TRUE and sends true. */
	rc = s3_child_flag(xmlDocGetRootElement(doc), "IsPublic", true, ret_public, err);
	xmlFreeDoc(doc);
	return rc;
}

static bool is_open_group(const xmlNode *grantee)
{
	static const char *const groups[] = {"/groups/global/AllUsers", "/groups/global/AuthenticatedUsers"};
	char uri[256];

	if (!grantee || s3_child_text(grantee, "URI", false, uri, sizeof(uri), NULL) < 0)
		return false;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		size_t have = strlen(uri), want = strlen(groups[i]);

		if (have >= want && strcasecmp(uri + have - want, groups[i]) == 0)
			return true;
	}
	return false;
}

int s3_access_acl(const void *xml, size_t n, bool *ret_public, struct err *err)
{
	xmlDoc *doc = s3_answer_read(xml, n, "AccessControlPolicy", NULL, err);
	xmlNode *list = NULL;
	bool is_open = false;
	int rc = -1;

	if (!doc)
		return -1;
	if (s3_child(xmlDocGetRootElement(doc), "AccessControlList", &list, err) < 0)
		goto out;
	for (const xmlNode *g = list ? s3_node_first(list, "Grant") : NULL; g; g = s3_node_next(g, "Grant"))
		is_open = is_open || is_open_group(s3_node_first(g, "Grantee"));
	*ret_public = is_open;
	rc = 0;
out:
	xmlFreeDoc(doc);
	return rc;
}
