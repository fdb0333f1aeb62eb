/* cf_config.c - see cf_config.h. */
#include "cli/login/cf_config.h"

#include "cli/login/login_file.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/json_in.h"
#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

#define CF_CONFIG_VERSION 4

char *cf_config_path(void)
{
	const char *home = getenv("CF_HOME");

	if (!home || !*home)
		home = getenv("HOME");
	return home && *home ? fs_path("%s/.cf/config.json", home) : NULL;
}

/* A text of the object that goes into requests or on the screen: absent counts as "". */
static int text_of(json_t *obj, const char *key, const char **ret, struct err *err)
{
	json_t *value = json_object_get(obj, key);

	*ret = "";
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return err_set(err, ERR_INPUT, "%s: must be a string", key);
	if (!parse_is_text(json_string_value(value), json_string_length(value), false))
		return err_set(err, ERR_INPUT, "%s: must be text without control characters", key);
	*ret = json_string_value(value);
	return 0;
}

/* The object at key; an empty one's worth (NULL) when it is absent. */
static int object_of(json_t *obj, const char *key, json_t **ret, struct err *err)
{
	*ret = json_object_get(obj, key);
	if (json_is_null(*ret))
		*ret = NULL;
	if (*ret && !json_is_object(*ret))
		return err_set(err, ERR_INPUT, "%s: must be an object", key);
	return 0;
}

static int read_targeted(struct cf_config *c, struct err *err)
{
	json_t *org, *space;

	if (object_of(c->root, "OrganizationFields", &org, err) < 0 || text_of(org, "Name", &c->org, err) < 0)
		return -1;
	if (object_of(c->root, "SpaceFields", &space, err) < 0 || text_of(space, "Name", &c->space, err) < 0)
		return -1;
	return text_of(space, "GUID", &c->space_guid, err);
}

static int read_members(struct cf_config *c, struct err *err)
{
	const struct {
		const char *key, **ret;
	} texts[] = {
		{"Target", &c->target},
		{"UaaEndpoint", &c->uaa},
		{"AccessToken", &c->access_token},
		{"RefreshToken", &c->refresh_token},
		{"UAAOAuthClient", &c->client},
		{"UAAOAuthClientSecret", &c->client_secret},
		{"UAAGrantType", &c->grant_type},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (text_of(c->root, texts[i].key, texts[i].ret, err) < 0)
			return -1;
	if (!*c->uaa && text_of(c->root, "AuthorizationEndpoint", &c->uaa, err) < 0)
		return -1;
	c->ssl_disabled = json_is_true(json_object_get(c->root, "SSLDisabled"));
	if (!strncasecmp(c->access_token, "bearer ", 7))
		c->access_token += 7;
	return read_targeted(c, err);
}

static void clear(struct cf_config *c)
{
	const char **texts[] = {&c->target, &c->uaa, &c->access_token, &c->refresh_token, &c->client, &c->client_secret,
		&c->grant_type, &c->org, &c->space, &c->space_guid};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		*texts[i] = "";
}

static int parse(struct cf_config *c, const char *text, struct err *err)
{
	if (!(c->root = json_in_parse(text, strlen(text), err)))
		return -1;
	if (!json_is_object(c->root))
		return err_set(err, ERR_INPUT, "must be an object");
	c->is_there = json_integer_value(json_object_get(c->root, "ConfigVersion")) == CF_CONFIG_VERSION;
	return c->is_there ? read_members(c, err) : 0;
}

int cf_config_load(const char *path, struct cf_config *ret, struct err *err)
{
	char *text = NULL;
	int rc = 0;

	*ret = (struct cf_config){0};
	clear(ret);
	if (!path)
		return 0;
	if (login_file_read(path, &text, &ret->is_readable, err) < 0)
		return err_in(err, "the cf CLI's configuration");
	if (!text)
		return 0;
	rc = parse(ret, text, err);
	digest_wipe_free(text);
	return rc < 0 ? err_in(err, "the cf CLI's configuration %s", path) : 0;
}

void cf_config_done(struct cf_config *c)
{
	json_decref(c->root);
	*c = (struct cf_config){0};
	clear(c);
}
