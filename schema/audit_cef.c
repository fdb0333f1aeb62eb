#include "schema/audit_cef.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/version.h"
#include "schema/audit_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CEF_MAX (4u * AUDIT_LINE_MAX)

static const char *text_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "";
}

/* In the header a bar ends a field, in the extension an equals sign ends a key; the rest would end the line. */
static int add_escaped(struct buf *b, const char *text, const char *special, struct err *err)
{
	for (; *text; text++) {
		int rc;

		if (*text == '\n' || *text == '\r')
			rc = buf_add_str(b, *text == '\n' ? "\\n" : "\\r", err);
		else if (strchr(special, *text))
			rc = buf_addf(b, err, "\\%c", *text);
		else
			rc = buf_add(b, (unsigned char)*text < ' ' || *text == 0x7f ? "?" : text, 1, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int add_value(struct buf *b, const char *key, const char *value, struct err *err)
{
	if (!value[0])
		return 0;
	if (buf_addf(b, err, " %s=", key) < 0)
		return -1;
	return add_escaped(b, value, "\\=", err);
}

static int add_number(struct buf *b, const char *key, const json_t *n, struct err *err)
{
	char text[24];

	if (!json_is_integer(n))
		return 0;
	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(n));
	return add_value(b, key, text, err);
}

static int add_json(struct buf *b, const char *key, const char *label, const json_t *value, struct err *err)
{
	char name[24], *text;
	int rc = 0;

	if (!value)
		return 0;
	if (!(text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII)))
		return err_nomem(err);
	snprintf(name, sizeof(name), "%sLabel", key);
	if (add_value(b, name, label, err) < 0 || add_value(b, key, text, err) < 0)
		rc = -1;
	free(text);
	return rc;
}

static int add_labelled(struct buf *b, const char *key, const char *label, const char *value, struct err *err)
{
	char name[24];

	if (!value[0])
		return 0;
	snprintf(name, sizeof(name), "%sLabel", key);
	return add_value(b, name, label, err) < 0 ? -1 : add_value(b, key, value, err);
}

static int add_header(struct buf *b, const json_t *record, struct err *err)
{
	const char *action = text_of(record, "action"), *outcome = text_of(record, "outcome");
	uint64_t at_ns = 0;

	clock_parse_rfc3339(text_of(record, "at"), &at_ns, NULL);
	if (buf_addf(b, err, "CEF:0|Pcapline|pcap-gateway|%s|", PCAPLINE_VERSION) < 0 ||
		add_escaped(b, action, "\\|", err) < 0 || buf_add_str(b, "|", err) < 0 ||
		add_escaped(b, action, "\\|", err) < 0 || buf_add_str(b, " ", err) < 0 ||
		add_escaped(b, outcome, "\\|", err) < 0)
		return -1;
	return buf_addf(b, err, "|%d|rt=%" PRIu64,
		strcmp(outcome, "ok") == 0 || strcmp(outcome, "begun") == 0 ? 3
		: strcmp(outcome, "refused") == 0                           ? 5
									    : 7,
		at_ns / CLOCK_NS_PER_MS);
}

static int add_extension(struct buf *b, const json_t *record, struct err *err)
{
	if (add_value(b, "outcome", text_of(record, "outcome"), err) < 0 ||
		add_value(b, "suid", text_of(record, "user_id"), err) < 0 ||
		add_value(b, "suser", text_of(record, "user_name"), err) < 0 ||
		add_value(b, "src", text_of(record, "peer"), err) < 0 ||
		add_value(b, "dvchost", text_of(record, "gateway"), err) < 0 ||
		add_value(b, "externalId", text_of(record, "job"), err) < 0 ||
		add_value(b, "reason", text_of(record, "code"), err) < 0 ||
		add_value(b, "msg", text_of(record, "why"), err) < 0 ||
		add_number(b, "out", json_object_get(record, "bytes"), err) < 0 ||
		add_number(b, "cnt", json_object_get(record, "packets"), err) < 0)
		return -1;
	if (add_value(b, "cn1Label", "seq", err) < 0 || add_number(b, "cn1", json_object_get(record, "seq"), err) < 0)
		return -1;
	if (add_labelled(b, "cs1", "hash", text_of(record, "hash"), err) < 0 ||
		add_labelled(b, "cs2", "prev", text_of(record, "prev"), err) < 0 ||
		add_labelled(b, "cs3", "request_id", text_of(record, "request_id"), err) < 0 ||
		add_labelled(b, "cs6", "forwarded_for_unproved", text_of(record, "forwarded_for_unproved"), err) < 0)
		return -1;
	return add_json(b, "cs4", "scopes", json_object_get(record, "scopes"), err) < 0
		       ? -1
		       : add_json(b, "cs5", "data", json_object_get(record, "data"), err);
}

char *audit_cef(const json_t *record, struct err *err)
{
	struct buf b;

	buf_init(&b, CEF_MAX);
	if (add_header(&b, record, err) < 0 || add_extension(&b, record, err) < 0 || buf_add(&b, "", 1, err) < 0) {
		buf_done(&b);
		return NULL;
	}
	return (char *)b.data;
}
