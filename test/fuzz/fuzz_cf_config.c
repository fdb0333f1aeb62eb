/* fuzz_cf_config.c - any bytes as the cf CLI's configuration: read with texts that may go into a header and onto a screen, or refused with a reason that
 * names the file; and its token says what it says, or nothing. */
#include "cli/login/cf_config.h"
#include "cli/login/identity.h"
#include "cli/login/token.h"
#include "common/parse.h"
#include "test/fuzz/memory_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(const char *text)
{
	assert(text && parse_is_text(text, strlen(text), false));
}

static void check_token(const char *text)
{
	struct token_info info;

	if (token_read(text, &info)) {
		assert(token_is_plain(text) && strlen(info.user) < TOKEN_USER_MAX);
		assert(token_renew_s(&info) <= info.expires_s);
		assert((token_renew_s(&info) == 0) == (info.expires_s == 0));
	} else {
		assert(!info.expires_s && !info.user[0]);
	}
}

static void check_url(const char *text)
{
	char *derived = identity_derive(text), *director = identity_director(text);

	assert(!derived || strstr(derived, "://pcap."));
	assert(!director || !strncmp(director, "https://", 8));
	free(derived);
	free(director);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *path = memory_file(data, n);
	struct cf_config c;
	struct err err = {0};

	if (cf_config_load(path, &c, &err) < 0) {
		assert((err.code == ERR_INPUT || err.code == ERR_LIMIT) &&
			strstr(err.msg, "the cf CLI's configuration"));
	} else {
		const char *const texts[] = {c.target, c.uaa, c.access_token, c.refresh_token, c.client,
			c.client_secret, c.grant_type, c.org, c.space, c.space_guid};

		for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
			check_text(texts[i]);
			assert(c.is_there || !*texts[i]);
		}
		check_token(c.access_token);
		check_url(c.target);
	}
	cf_config_done(&c);
	return 0;
}
