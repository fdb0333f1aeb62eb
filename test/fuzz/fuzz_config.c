/* fuzz_config.c - any bytes as configuration, inventory and token list.  Each is taken whole or refused with a reason that names the
 * file; what was taken keeps its own promises. */
#include "schema/config_agent.h"
#include "schema/config_gateway.h"
#include "test/fuzz/memory_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check_refusal(const struct err *err, const char *path)
{
	assert(err->code != ERR_NONE && err->code != ERR_INTERNAL && err->code != ERR_IO);
	assert(strstr(err->msg, path));
}

static void check_gateway(const char *path)
{
	struct config_gateway c;
	struct err err = {0};

	if (config_gateway_load(path, &c, &err) < 0) {
		check_refusal(&err, path);
		return;
	}
	assert(!*c.tls_certificate == !*c.tls_private_key);
	assert(*c.agents_ca && c.listen_port <= 65535 && c.link_ttl_ms <= c.link_ttl_max_ms);
	assert(c.storage_chunk_bytes >= 65536 && c.storage_chunk_bytes <= c.storage_job_max_bytes);
	if (strcmp(c.storage_driver, "s3") == 0) {
		assert(*c.s3.endpoint && *c.s3.bucket && c.s3.endpoint[strlen(c.s3.endpoint) - 1] != '/');
		assert(strncmp(c.s3.endpoint, "https://", 8) == 0 || c.s3.allow_http);
		assert(strcmp(c.s3.credentials, "static") != 0 || (*c.s3.access_key && *c.s3.secret_key));
	} else {
		assert(!*c.s3.endpoint && !*c.s3.secret_key);
	}
	config_gateway_done(&c);
}

static void check_agent(const char *path)
{
	struct config_agent c;
	struct err err = {0};

	if (config_agent_load(path, &c, &err) < 0) {
		check_refusal(&err, path);
		return;
	}
	assert(*c.tls_client_ca && *c.tls_client_name && c.captures_max >= 1 && c.captures_max <= 1024);
	config_agent_done(&c);
}

static void check_inventory(const char *path)
{
	struct inventory inv;
	struct err err = {0};

	if (inventory_load(path, &inv, &err) < 0) {
		check_refusal(&err, path);
		return;
	}
	for (size_t g = 0; g < inv.groups_n; g++) {
		assert(strlen(inv.groups[g].name) <= 63 && !strchr(inv.groups[g].name, '/'));
		for (size_t i = 0; i < inv.groups[g].instances_n; i++)
			assert(*inv.groups[g].instances[i].host && inv.groups[g].instances[i].port);
	}
	inventory_done(&inv);
}

static void check_tokens(const char *path)
{
	struct static_tokens t;
	struct err err = {0};

	if (static_tokens_load(path, &t, &err) < 0) {
		check_refusal(&err, path);
		return;
	}
	for (size_t i = 0; i < t.n; i++)
		assert(strspn(t.tokens[i].sha256, "0123456789abcdef") == 64 && *t.tokens[i].user_id &&
			*t.tokens[i].user_name);
	static_tokens_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *path = memory_file(data, n);

	check_gateway(path);
	check_agent(path);
	check_inventory(path);
	check_tokens(path);
	return 0;
}
