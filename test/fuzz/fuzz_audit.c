/* fuzz_audit.c - a file of the audit trail, line by line: what is wrong always has a name and words, and what is whole is a chain that can be made again. */
#include "schema/audit_cef.h"
#include "schema/audit_verify.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A genuine record, sealed anew, is the same line. */
static void check_again(const struct audit_key *key, json_t *record, const char *line, size_t n)
{
	struct audit_link l;
	char prev[DIGEST_SHA256_HEX_MAX], *again, *cef;
	struct err err = {0};

	snprintf(prev, sizeof(prev), "%s", json_string_value(json_object_get(record, "prev")));
	assert((cef = audit_cef(record, &err)) && !strchr(cef, '\n'));
	free(cef);
	again = audit_line_make(
		record, (uint64_t)json_integer_value(json_object_get(record, "seq")), prev, key, &l, &err);
	assert(again && strlen(again) == n && memcmp(again, line, n) == 0);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *at = (const char *)data, *end = at + n;
	struct audit_key key;
	struct audit_check c;
	json_t *json;

	/* The key of the seeds: 00 01 02 ... 1f. */
	for (unsigned i = 0; i < AUDIT_KEY_BYTES; i++)
		key.bytes[i] = (uint8_t)i;
	audit_check_begin(&c, &key);
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);
		json_t *record = audit_check_line(&c, at, len);

		if (record)
			check_again(&key, record, at, len);
		json_decref(record);
		at += len + 1;
	}
	audit_check_end(&c, NULL);
	assert((c.fault == AUDIT_WHOLE) == (c.message[0] == '\0'));
	assert(c.fault != AUDIT_WHOLE || c.records == c.lines);
	assert((json = audit_check_to_json(&c)));
	json_decref(json);
	return 0;
}
