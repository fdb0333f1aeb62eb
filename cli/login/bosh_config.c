/* bosh_config.c - see bosh_config.h. */
#include "cli/login/bosh_config.h"

#include "cli/login/login_file.h"
#include "cli/login/yaml_json.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

char *bosh_config_path(void)
{
	const char *path = getenv("BOSH_CONFIG"), *home = getenv("HOME");

	if (path && *path)
		return strdup(path);
	return home && *home ? fs_path("%s/.bosh/config", home) : NULL;
}

static int text_of(json_t *obj, const char *key, bool lines, const char **ret, struct err *err)
{
	json_t *value = json_object_get(obj, key);

	*ret = "";
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return err_set(err, ERR_INPUT, "environments: %s: must be plain text", key);
	if (!lines && !parse_is_text(json_string_value(value), json_string_length(value), false))
		return err_set(err, ERR_INPUT, "environments: %s: must be text without control characters", key);
	*ret = json_string_value(value);
	return 0;
}

static int read_environment(struct bosh_config *c, json_t *e, struct err *err)
{
	const struct {
		const char *key, **ret;
		bool lines;
	} texts[] = {
		{"url", &c->url, false},
		{"ca_cert", &c->ca_cert, true},
		{"access_token", &c->access_token, false},
		{"refresh_token", &c->refresh_token, false},
		{"username", &c->username, false},
		{"password", &c->password, false},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (text_of(e, texts[i].key, texts[i].lines, texts[i].ret, err) < 0)
			return -1;
	c->is_known = true;
	return 0;
}

static bool is_named(const json_t *e, const char *environment)
{
	const char *alias = json_string_value(json_object_get(e, "alias"));
	const char *url = json_string_value(json_object_get(e, "url"));

	return (alias && !strcmp(alias, environment)) || (url && !strcmp(url, environment));
}

static int find(struct bosh_config *c, const char *environment, struct err *err)
{
	json_t *all = json_object_get(c->root, "environments"), *one;
	size_t i;

	if (!json_is_object(c->root) && !json_is_null(c->root))
		return err_set(err, ERR_INPUT, "must be keys and values");
	if (all && !json_is_array(all) && !(json_is_string(all) && !json_string_length(all)))
		return err_set(err, ERR_INPUT, "environments: must be a list");
	json_array_foreach(all, i, one) if (is_named(one, environment)) return read_environment(c, one, err);
	return 0;
}

static void clear(struct bosh_config *c)
{
	c->url = c->ca_cert = c->access_token = c->refresh_token = c->username = c->password = "";
}

int bosh_config_load(const char *path, const char *environment, struct bosh_config *ret, struct err *err)
{
	char *text = NULL;
	int rc = 0;

	*ret = (struct bosh_config){0};
	clear(ret);
	if (!path)
		return 0;
	if (login_file_read(path, &text, &ret->is_readable, err) < 0)
		return err_in(err, "the bosh CLI's configuration");
	if (!text)
		return 0;
	ret->is_there = true;
	if (!(ret->root = yaml_json(text, err)) || find(ret, environment, err) < 0)
		rc = -1;
	digest_wipe_free(text);
	return rc < 0 ? err_in(err, "the bosh CLI's configuration %s", path) : 0;
}

void bosh_config_done(struct bosh_config *c)
{
	json_decref(c->root);
	*c = (struct bosh_config){0};
	clear(c);
}
