/* s3_xml_lifecycle.c - see s3_xml.h; the gateway's lifecycle rule among those of others.
 *
 * S3 keeps one document per bucket, and a PUT replaces all of it.  So the current one is kept as a tree, and only the rule with our id is
 * touched in it; what we do not know stays as it is.  (One thing must change for the rest to stay: filter_mend.)
 *
 * One rule is enough.  Beside Days, <ExpiredObjectDeleteMarker> is refused by S3 and not needed: a rule with Days also removes delete markers
 * that have no version left and are old enough.  So it is written only where non-current versions expire and current ones do not.
 *
 * S3 has two grammars and refuses a document that mixes them: <Prefix> in the rule itself (old), or in <Filter>.  Where all rules of
 * others are old, so is ours ("Filter element can only be used in Lifecycle V2").  Reading, either form says the same: RGW gives back an
 * empty prefix as <Prefix/> in the rule, whatever was put. */
#include "uploader/s3/s3_xml.h"

#include "common/parse.h"
#include "uploader/s3/s3_xml_internal.h"

#include <string.h>

#define RULES_MAX        1000
#define ID_BYTES_MAX     255
#define PREFIX_BYTES_MAX 1024
#define DAYS_MAX         INT32_MAX

static int rule_check(const struct s3_lifecycle_rule *r, struct err *err)
{
	size_t id_len = strnlen(r->id, ID_BYTES_MAX + 1), prefix_len = strnlen(r->prefix, PREFIX_BYTES_MAX + 1);

	if (id_len == 0 || id_len > ID_BYTES_MAX || !parse_is_text(r->id, id_len, false))
		return err_set(err, ERR_INPUT, "lifecycle rule: its id must be text of 1 to %d bytes", ID_BYTES_MAX);
	if (prefix_len > PREFIX_BYTES_MAX || !parse_is_text(r->prefix, prefix_len, false))
		return err_set(err, ERR_INPUT, "lifecycle rule %s: its prefix must be text of up to %d bytes", r->id,
			PREFIX_BYTES_MAX);
	if (r->days > DAYS_MAX || r->abort_days > DAYS_MAX || r->noncurrent_days > DAYS_MAX)
		return err_set(err, ERR_INPUT, "lifecycle rule %s: over %d days", r->id, DAYS_MAX);
	if (r->days == 0 && r->abort_days == 0 && r->noncurrent_days == 0)
		return err_set(err, ERR_INPUT, "lifecycle rule %s: it would do nothing", r->id);
	return 0;
}

/* ---- does a rule say what ours says? ---- */

static bool text_is(const xmlNode *n, const char *want)
{
	char text[PREFIX_BYTES_MAX + 1];

	return s3_node_text(n, text, sizeof(text), NULL) == 0 && strcmp(text, want) == 0;
}

static bool number_is(const xmlNode *n, uint32_t want)
{
	char text[32];
	uint64_t v;

	return s3_node_text(n, text, sizeof(text), NULL) == 0 && parse_u64(text, 1, DAYS_MAX, &v, NULL) == 0 &&
	       v == want;
}

static bool filter_is(const xmlNode *filter, const char *prefix)
{
	const xmlNode *n = s3_node_first(filter, NULL);

	if (!n)
		return prefix[0] == '\0';
	return s3_node_is(n, "Prefix") && !s3_node_next(n, NULL) && text_is(n, prefix);
}

/* An action with one number in it and nothing else. */
static bool action_is(const xmlNode *action, const char *name, uint32_t days)
{
	const xmlNode *n = s3_node_first(action, NULL);

	return n && !s3_node_next(n, NULL) && s3_node_is(n, name) && number_is(n, days);
}

static bool clears_markers(const struct s3_lifecycle_rule *r)
{
	return r->days == 0 && r->noncurrent_days > 0;
}

static bool expiration_is(const xmlNode *expiration, const struct s3_lifecycle_rule *want)
{
	unsigned days = 0, markers = 0;

	for (const xmlNode *n = s3_node_first(expiration, NULL); n; n = s3_node_next(n, NULL)) {
		if (s3_node_is(n, "Days") && number_is(n, want->days))
			days++;
		else if (s3_node_is(n, "ExpiredObjectDeleteMarker") && text_is(n, "true"))
			markers++;
		else if (!s3_node_is(n, "ExpiredObjectDeleteMarker") || !text_is(n, "false"))
			return false;
	}
	return days == (want->days > 0) && markers == clears_markers(want);
}

static bool rule_says(const xmlNode *rule, const struct s3_lifecycle_rule *want)
{
	unsigned prefix = 0, status = 0, expiration = 0, abort = 0, noncurrent = 0;

	for (const xmlNode *n = s3_node_first(rule, NULL); n; n = s3_node_next(n, NULL)) {
		if (s3_node_is(n, "ID"))
			continue; /* how it was found */
		if ((s3_node_is(n, "Prefix") && text_is(n, want->prefix)) ||
			(s3_node_is(n, "Filter") && filter_is(n, want->prefix)))
			prefix++;
		else if (s3_node_is(n, "Status") && text_is(n, "Enabled"))
			status++;
		else if (s3_node_is(n, "Expiration") && expiration_is(n, want))
			expiration++;
		else if (s3_node_is(n, "AbortIncompleteMultipartUpload") &&
			 action_is(n, "DaysAfterInitiation", want->abort_days))
			abort++;
		else if (s3_node_is(n, "NoncurrentVersionExpiration") &&
			 action_is(n, "NoncurrentDays", want->noncurrent_days))
			noncurrent++;
		else
			return false;
	}
	return prefix == 1 && status == 1 && expiration == (want->days > 0 || clears_markers(want)) &&
	       abort == (want->abort_days > 0) && noncurrent == (want->noncurrent_days > 0);
}

/* ---- those of others ---- */

static bool is_ours(const xmlNode *rule, const char *id)
{
	for (const xmlNode *n = s3_node_first(rule, "ID"); n; n = s3_node_next(n, "ID"))
		if (text_is(n, id))
			return true;
	return false;
}

/* RGW 16 takes <Filter><And><Prefix/><Tag/><Tag/></And></Filter> and gives back <Filter><Prefix/><And><Tag/><Tag/></And></Filter>, of which it would
 * take the <And> only: without its prefix the rule would expire what it was never meant for.  What stands beside <And> goes into it. */
static int filter_mend(xmlNode *filter, struct err *err)
{
	xmlNode *both = s3_node_first(filter, "And"), *front, *next;

	if (!both)
		return 0;
	if (s3_node_next(both, "And") || (s3_node_first(filter, "Prefix") && s3_node_first(both, "Prefix")))
		return err_set(
			err, ERR_INPUT, "a rule has a filter that can be understood in two ways; it would be lost");
	front = both->children;
	for (xmlNode *n = s3_node_first(filter, NULL); n; n = next) {
		next = s3_node_next(n, NULL);
		if (n == both)
			continue;
		xmlUnlinkNode(n);
		if (!(front ? xmlAddPrevSibling(front, n) : xmlAddChild(both, n))) {
			xmlFreeNode(n);
			return err_nomem(err);
		}
	}
	return 0;
}

static int filters_mend(xmlNode *root, const char *our_id, struct err *err)
{
	for (xmlNode *rule = s3_node_first(root, "Rule"); rule; rule = s3_node_next(rule, "Rule"))
		for (xmlNode *n = s3_node_first(rule, "Filter"); n && !is_ours(rule, our_id);
			n = s3_node_next(n, "Filter"))
			if (filter_mend(n, err) < 0)
				return err_in(err, "lifecycle of the bucket");
	return 0;
}

/* ---- putting ours in place ---- */

/* Are there rules of others, and all of them in the old grammar? */
static bool others_are_old(const xmlNode *root, const char *id)
{
	bool any = false;

	for (const xmlNode *n = s3_node_first(root, "Rule"); n; n = s3_node_next(n, "Rule")) {
		if (is_ours(n, id))
			continue;
		if (!s3_node_first(n, "Prefix") || s3_node_first(n, "Filter"))
			return false;
		any = true;
	}
	return any;
}

static int action_add(xmlNode *rule, const char *action, const char *name, uint32_t days, struct err *err)
{
	xmlNode *n = days ? s3_node_add(rule, action, NULL, err) : NULL;

	if (days == 0)
		return 0;
	return n ? s3_node_add_number(n, name, days, err) : -1;
}

/* At the end of root. */
static xmlNode *rule_add(xmlNode *root, const struct s3_lifecycle_rule *r, struct err *err)
{
	bool is_old = others_are_old(root, r->id);
	xmlNode *rule = s3_node_add(root, "Rule", NULL, err), *n;

	if (!rule || !s3_node_add(rule, "ID", r->id, err))
		return NULL;
	n = is_old ? rule : s3_node_add(rule, "Filter", NULL, err);
	if (!n || !s3_node_add(n, "Prefix", r->prefix, err) || !s3_node_add(rule, "Status", "Enabled", err))
		return NULL;
	if (clears_markers(r) && (!(n = s3_node_add(rule, "Expiration", NULL, err)) ||
					 !s3_node_add(n, "ExpiredObjectDeleteMarker", "true", err)))
		return NULL;
	if (action_add(rule, "Expiration", "Days", r->days, err) < 0 ||
		action_add(rule, "NoncurrentVersionExpiration", "NoncurrentDays", r->noncurrent_days, err) < 0 ||
		action_add(rule, "AbortIncompleteMultipartUpload", "DaysAfterInitiation", r->abort_days, err) < 0)
		return NULL;
	return rule;
}

/* Moves rule to where the first one with our id stands, and drops those. */
static void rule_place(xmlNode *root, xmlNode *rule, const char *id)
{
	xmlNode *n = s3_node_first(root, "Rule"), *next;
	bool is_placed = false;

	for (; n; n = next) {
		next = s3_node_next(n, "Rule");
		if (n == rule || !is_ours(n, id))
			continue;
		if (!is_placed)
			xmlAddPrevSibling(n, rule);
		is_placed = true;
		xmlUnlinkNode(n);
		xmlFreeNode(n);
	}
}

static int merge(xmlDoc *doc, const struct s3_lifecycle_rule *r, struct buf *dst, bool *ret_changed, struct err *err)
{
	xmlNode *root = xmlDocGetRootElement(doc), *rule;
	const xmlNode *ours = NULL;
	size_t ours_n = 0;

	for (const xmlNode *n = s3_node_first(root, "Rule"); n; n = s3_node_next(n, "Rule")) {
		if (is_ours(n, r->id)) {
			ours = n;
			ours_n++;
		}
	}
	if (ours_n == 1 && rule_says(ours, r)) {
		*ret_changed = false;
		return 0;
	}
	if (s3_node_count(root, "Rule") - ours_n + 1 > RULES_MAX)
		return err_set(
			err, ERR_LIMIT, "lifecycle of the bucket: with ours it would have over %d rules", RULES_MAX);
	if (filters_mend(root, r->id, err) < 0 || !(rule = rule_add(root, r, err)))
		return -1;
	rule_place(root, rule, r->id);
	if (s3_doc_write(doc, dst, err) < 0)
		return -1;
	*ret_changed = true;
	return 0;
}

int s3_xml_lifecycle_merge(const void *current, size_t n, const struct s3_lifecycle_rule *rule, struct buf *dst,
	bool *ret_changed, struct err *err)
{
	xmlDoc *doc;
	int rc;

	if (rule_check(rule, err) < 0)
		return -1;
	doc = current ? s3_answer_read(current, n, "LifecycleConfiguration", NULL, err)
		      : s3_doc_new("LifecycleConfiguration", err);
	if (!doc)
		return current ? err_in(err, "lifecycle of the bucket") : -1;
	rc = merge(doc, rule, dst, ret_changed, err);
	xmlFreeDoc(doc);
	return rc;
}
