/* What the gateway goes by, for the trail: digests, so that a change is seen, and no secret. */
#include "gateway/audit/audit.h"

#include "common/buf.h"
#include "common/fs.h"
#include "common/version.h"
#include "gateway/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_secret(const struct config_key *k)
{
	return strcmp(k->section, "s3") == 0 &&
	       (strcmp(k->key, "access_key") == 0 || strcmp(k->key, "secret_key") == 0 ||
		       strcmp(k->key, "session_token") == 0);
}

static void add_value(struct digest *d, const struct config_key *k, const void *config)
{
	const char *at = (const char *)config + k->offset;
	char number[24] = "";
	const char *text = number;

	switch (k->type) {
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
		text = *(char *const *)at;
		break;
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
		snprintf(number, sizeof(number), "%" PRIu64, *(const uint64_t *)at);
		break;
	case CONFIG_BOOL:
		text = *(const bool *)at ? "true" : "false";
		break;
	case CONFIG_LIST:
		for (size_t i = 0; i < ((const struct config_list *)at)->n; i++)
			digest_add(d, ((const struct config_list *)at)->items[i],
				strlen(((const struct config_list *)at)->items[i]) + 1);
		break;
	}
	digest_add(d, text, strlen(text) + 1);
}

static int settings_digest(const struct config_gateway *c, char ret[DIGEST_SHA256_HEX_MAX])
{
	struct digest *d = digest_new();

	if (!d)
		return -1;
	for (size_t i = 0; i < config_gateway_keys_n; i++) {
		const struct config_key *k = &config_gateway_keys[i];

		if (is_secret(k))
			continue;
		digest_add(d, k->section, strlen(k->section) + 1);
		digest_add(d, k->key, strlen(k->key) + 1);
		add_value(d, k, c);
	}
	digest_hex(d, ret);
	digest_free(d);
	return 0;
}

/* "" : it cannot be read, which the reload says. */
static void file_digest(const char *path, char ret[DIGEST_SHA256_HEX_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	ret[0] = '\0';
	if (fd >= 0 &&
		(fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || digest_fd_hex(fd, (uint64_t)st.st_size, ret, NULL) < 0))
		ret[0] = '\0';
	fs_close(fd);
}

static void add_file(json_t *files, const char *name, const char *path, const json_t *before)
{
	const char *old =
		json_string_value(json_object_get(json_object_get(json_object_get(before, "files"), name), "sha256"));
	char sha256[DIGEST_SHA256_HEX_MAX];

	if (!path[0])
		return;
	file_digest(path, sha256);
	json_object_set_new(files, name,
		json_pack("{s:s, s:s, s:b}", "path", path, "sha256", sha256, "changed",
			before && (!old || strcmp(old, sha256) != 0)));
}

json_t *audit_config_json(const struct gateway *gw, const json_t *before)
{
	const struct config_gateway *c = &gw->config;
	char settings[DIGEST_SHA256_HEX_MAX];
	json_t *files = json_object();

	if (!files || settings_digest(c, settings) < 0) {
		json_decref(files);
		return NULL;
	}
	add_file(files, "inventory", c->inventory_file, before);
	add_file(files, "tokens", c->tokens_file, before);
	add_file(files, "issuers", c->issuers_file, before);
	return json_pack("{s:s, s:s, s:o}", "version", PCAPLINE_VERSION, "settings_sha256", settings, "files", files);
}
