/* fuzz_bosh_config.c - any bytes as the bosh CLI's configuration, looked into for "lab": read with texts that may go into a header, or refused with a reason that
 * names the file and holds nothing out of it but names of keys. */
#include "cli/login/bosh_config.h"
#include "cli/login/identity.h"
#include "cli/login/yaml_json.h"
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

static void check_yaml(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);
	struct err err = {0};
	json_t *value;

	assert(text);
	memcpy(text, data, n);
	text[n] = '\0';
	value = yaml_json(text, &err);
	assert(value || (err.code == ERR_INPUT && err.msg[0]));
	json_decref(value);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *path = memory_file(data, n);
	struct bosh_config c;
	struct err err = {0};

	if (bosh_config_load(path, "lab", &c, &err) < 0) {
		assert((err.code == ERR_INPUT || err.code == ERR_LIMIT) &&
			strstr(err.msg, "the bosh CLI's configuration"));
	} else {
		const char *const texts[] = {c.url, c.access_token, c.refresh_token, c.username, c.password};
		char *director = identity_director(c.url);

		for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
			check_text(texts[i]);
			assert(c.is_known || !*texts[i]);
		}
		assert(!director || !strncmp(director, "https://", 8));
		free(director);
	}
	bosh_config_done(&c);
	check_yaml(data, n);
	return 0;
}
