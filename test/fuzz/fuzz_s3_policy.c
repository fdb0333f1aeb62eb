/* fuzz_s3_policy.c - any bytes as a bucket's policy, its status and its ACL.  Holds: a refusal says why; a policy that is taken is judged the same without its white
 * space. */
#include "uploader/s3/s3_access.h"

#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_refusal(const struct err *e)
{
	assert(e->code != ERR_NONE && e->msg[0] != '\0');
}

static void check_policy(const uint8_t *data, size_t n)
{
	struct s3_policy_judgement judged, again;
	struct err err = {0};
	json_t *v;
	char *text;

	if (s3_access_policy(data, n, "captures-1", "captures", &judged, &err) < 0) {
		check_refusal(&err);
		return;
	}
	v = json_loadb((const char *)data, n, 0, NULL);
	assert(v && (text = json_dumps(v, JSON_COMPACT)));
	assert(s3_access_policy(text, strlen(text), "captures-1", "captures", &again, &err) == 0);
	assert(again.plain_http == judged.plain_http && again.is_public == judged.is_public);
	free(text);
	json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err err = {0};
	bool is_public;

	if (n == 0 || data[0] != '<') {
		check_policy(data, n);
		return 0;
	}
	if (s3_access_acl(data, n, &is_public, &err) < 0)
		check_refusal(&err);
	err = (struct err){0};
	if (s3_access_policy_status(data, n, &is_public, &err) < 0)
		check_refusal(&err);
	return 0;
}
