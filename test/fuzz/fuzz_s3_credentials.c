/* fuzz_s3_credentials.c - a credentials file: what is accepted can be signed with, and reads the same when it is written plainly. */
#include "uploader/s3/s3_credentials_internal.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_signs(const struct s3_keys *k)
{
	const struct s3_signable s = {.method = "GET", .host = "h", .path = "/", .payload_sha256 = S3_UNSIGNED_PAYLOAD};
	char **headers = s3_sign(&s, k, "us-east-1", 1, NULL);

	assert(headers);
	s3_headers_free(headers);
}

static void check_plain(const struct s3_keys *k)
{
	static char text[8192];
	struct s3_keys again = {0};
	int len = snprintf(text, sizeof(text),
		"[default]\naws_access_key_id=%s\naws_secret_access_key=%s\naws_session_token=%s\n", k->access,
		k->secret, k->token);

	assert(len > 0 && (size_t)len < sizeof(text));
	assert(s3_file_parse(text, (size_t)len, "default", &again, NULL) == 0);
	assert(strcmp(again.access, k->access) == 0 && strcmp(again.secret, k->secret) == 0 &&
		strcmp(again.token, k->token) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct s3_keys k = {0};
	struct err err = {0};

	if (s3_file_parse((const char *)data, n, "default", &k, &err) == 0) {
		check_signs(&k);
		check_plain(&k);
	} else {
		assert(err.code == ERR_INPUT && err.msg[0]);
		assert(!k.access[0] && !k.secret[0] && !k.token[0]);
	}
	return 0;
}
