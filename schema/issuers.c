/* issuers.c - the file of issuers, read strictly: a slip here would open a door. */
#include "schema/issuers.h"

#include "common/parse.h"
#include "schema/yaml_file.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX_BYTES 4096 /* taken from the file before the exact checks */
#define S               UINT64_C(1000)

/* As the file has it. */
struct file_issuer {
	char *name, *issuer, *kind, *url, *keys_url, *login_url, *ca, *clients, *leeway, *refresh, *retry, *allow_http;
	struct config_list audience, required_scopes, operator_scopes;
};
struct file_issuers {
	struct file_issuer *issuers;
	size_t issuers_count;
};

#define TEXT(key, flags)                                                                                               \
	CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | (flags), struct file_issuer, key, 0, VALUE_MAX_BYTES)

static const cyaml_schema_value_t text_entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, VALUE_MAX_BYTES)};

static const cyaml_schema_field_t issuer_fields[] = {
	TEXT(name, 0),
	TEXT(issuer, 0),
	TEXT(kind, CYAML_FLAG_OPTIONAL),
	TEXT(url, CYAML_FLAG_OPTIONAL),
	TEXT(keys_url, CYAML_FLAG_OPTIONAL),
	TEXT(login_url, CYAML_FLAG_OPTIONAL),
	TEXT(ca, CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_SEQUENCE_COUNT("audience", CYAML_FLAG_POINTER, struct file_issuer, audience.items, audience.n,
		&text_entry, 0, CONFIG_LIST_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("required_scopes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_issuer,
		required_scopes.items, required_scopes.n, &text_entry, 0, CONFIG_LIST_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("operator_scopes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_issuer,
		operator_scopes.items, operator_scopes.n, &text_entry, 0, CONFIG_LIST_MAX),
	TEXT(clients, CYAML_FLAG_OPTIONAL),
	TEXT(leeway, CYAML_FLAG_OPTIONAL),
	TEXT(refresh, CYAML_FLAG_OPTIONAL),
	TEXT(retry, CYAML_FLAG_OPTIONAL),
	TEXT(allow_http, CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t issuer_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_issuer, issuer_fields)};

static const cyaml_schema_field_t top_fields[] = {
	CYAML_FIELD_SEQUENCE(
		"issuers", CYAML_FLAG_POINTER, struct file_issuers, issuers, &issuer_entry, 0, ISSUERS_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t top = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER_NULL, struct file_issuers, top_fields)};

/* ---- checks ---- */

static int take_text(const char *text, size_t least, size_t most, char **ret, struct err *err)
{
	size_t n = text ? strlen(text) : 0;

	if (n < least || n > most)
		return err_set(err, ERR_INPUT, "%zu bytes are not within %zu..%zu", n, least, most);
	if (!(*ret = strdup(text ? text : "")))
		return err_nomem(err);
	return 0;
}

static int take_name(const char *text, char **ret, struct err *err)
{
	if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")])
		return err_set(err, ERR_INPUT, "only a-z, 0-9 and \"-\" are taken");
	return take_text(text, 1, ISSUER_NAME_MAX - 1, ret, err);
}

static int take_kind(const char *text, enum issuer_kind *ret, struct err *err)
{
	if (text && strcmp(text, "uaa") != 0 && strcmp(text, "oidc") != 0)
		return err_set(err, ERR_INPUT, "is none of: uaa, oidc");
	*ret = text && strcmp(text, "oidc") == 0 ? ISSUER_OIDC : ISSUER_UAA;
	return 0;
}

/* A URL to which a path can be added; a slash at its end goes. */
static int take_url(const char *text, bool allow_http, char **ret, struct err *err)
{
	size_t host;

	if (take_text(text, 0, ISSUER_URL_BYTES, ret, err) < 0)
		return -1;
	if (!text)
		return 0;
	if (strncmp(text, "http://", 7) == 0 && !allow_http)
		return err_set(err, ERR_INPUT,
			"http:// lets anybody on the way put in keys of theirs; https:// it should be "
			"(or allow_http: true, for tests)");
	if (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0)
		return err_set(err, ERR_INPUT, "does not begin with https://");
	host = (size_t)(strstr(text, "//") - text) + 2;
	if (strcspn(text + host, "/:") == 0 || strpbrk(text, "?#@ \"<>\\^`{|}"))
		return err_set(err, ERR_INPUT, "must be a URL with a host and without user, query and fragment");
	for (size_t n = strlen(*ret); n > host && (*ret)[n - 1] == '/'; n--)
		(*ret)[n - 1] = '\0';
	return 0;
}

/* Scopes and audiences: a token says them without spaces and quotes (RFC 6749, 3.3). */
static int take_words(const struct config_list *from, struct config_list *ret, struct err *err)
{
	if (from->n && !(ret->items = calloc(from->n, sizeof(*ret->items))))
		return err_nomem(err);
	for (size_t i = 0; i < from->n; i++) {
		const char *w = from->items[i];

		for (const char *p = w; *p; p++) {
			if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
				return err_set(
					err, ERR_INPUT, "entry %zu: has a character that no token has there", i + 1);
		}
		if (take_text(w, 1, ISSUER_SCOPE_BYTES, &ret->items[i], err) < 0)
			return err_in(err, "entry %zu", i + 1);
		ret->n++;
	}
	return 0;
}

static int take_bool(const char *text, bool otherwise, bool *ret, struct err *err)
{
	*ret = otherwise;
	return text ? parse_bool(text, ret, err) : 0;
}

static int take_ms(const char *text, uint64_t otherwise, uint64_t least, uint64_t most, uint64_t *ret, struct err *err)
{
	*ret = otherwise;
	return text ? parse_duration_ms(text, least, most, ret, err) : 0;
}

static int take_urls(const struct file_issuer *from, struct issuer *ret, struct err *err)
{
	if (take_url(from->url, ret->allow_http, &ret->url, err) < 0)
		return err_in(err, "url");
	if (take_url(from->keys_url, ret->allow_http, &ret->keys_url, err) < 0)
		return err_in(err, "keys_url");
	if (take_url(from->login_url ? from->login_url : from->url, true, &ret->login_url, err) < 0)
		return err_in(err, "login_url");
	if (!ret->url[0] == !ret->keys_url[0])
		return err_set(err, ERR_INPUT, "%s: where its keys are is said by one of them",
			ret->url[0] ? "url and keys_url" : "neither url nor keys_url");
	return 0;
}

static int take_times(const struct file_issuer *from, struct issuer *ret, struct err *err)
{
	if (take_ms(from->leeway, 30 * S, 0, 300 * S, &ret->leeway_ms, err) < 0)
		return err_in(err, "leeway");
	if (take_ms(from->refresh, 300 * S, S, 86400 * S, &ret->refresh_ms, err) < 0)
		return err_in(err, "refresh");
	if (take_ms(from->retry, 10 * S, 100, 600 * S, &ret->retry_ms, err) < 0)
		return err_in(err, "retry");
	return 0;
}

static int take_issuer(const struct file_issuer *from, struct issuer *ret, struct err *err)
{
	if (take_name(from->name, &ret->name, err) < 0)
		return err_in(err, "name");
	if (take_text(from->issuer, 1, ISSUER_URL_BYTES, &ret->issuer, err) < 0)
		return err_in(err, "issuer");
	if (take_kind(from->kind, &ret->kind, err) < 0)
		return err_in(err, "kind");
	if (take_bool(from->allow_http, false, &ret->allow_http, err) < 0)
		return err_in(err, "allow_http");
	if (take_bool(from->clients, true, &ret->clients, err) < 0)
		return err_in(err, "clients");
	if (take_urls(from, ret, err) < 0 || take_times(from, ret, err) < 0)
		return -1;
	if (take_text(from->ca, 0, VALUE_MAX_BYTES, &ret->ca, err) < 0)
		return err_in(err, "ca");
	if (take_words(&from->audience, &ret->audience, err) < 0)
		return err_in(err, "audience");
	if (ret->audience.n == 0)
		return err_set(err, ERR_INPUT,
			"audience: is empty, so tokens made for anything at all would do; name what "
			"these are for (cloud_controller, say)");
	if (take_words(&from->required_scopes, &ret->required_scopes, err) < 0)
		return err_in(err, "required_scopes");
	if (take_words(&from->operator_scopes, &ret->operator_scopes, err) < 0)
		return err_in(err, "operator_scopes");
	return 0;
}

static int check_unique(const struct issuers *all, struct err *err)
{
	for (size_t i = 0; i < all->n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(all->issuers[i].name, all->issuers[k].name) == 0)
				return err_set(err, ERR_INPUT, "the name \"%s\" stands twice", all->issuers[i].name);
			if (strcmp(all->issuers[i].issuer, all->issuers[k].issuer) == 0)
				return err_set(err, ERR_INPUT, "\"%s\" and \"%s\" are the same issuer",
					all->issuers[k].name, all->issuers[i].name);
		}
	}
	return 0;
}

static int take_issuers(const struct file_issuers *from, struct issuers *ret, struct err *err)
{
	if (from->issuers_count && !(ret->issuers = calloc(from->issuers_count, sizeof(*ret->issuers))))
		return err_nomem(err);
	ret->n = from->issuers_count;
	for (size_t i = 0; i < ret->n; i++) {
		if (take_issuer(&from->issuers[i], &ret->issuers[i], err) < 0)
			return err_in(err, "issuer %zu (\"%.80s\")", i + 1, from->issuers[i].name);
	}
	return check_unique(ret, err);
}

int issuers_load(const char *path, struct issuers *ret, struct err *err)
{
	void *data = NULL;
	int rc = 0;

	*ret = (struct issuers){0};
	if (!path[0])
		return 0;
	if (yaml_file_load(path, &top, &data, err) < 0)
		return -1;
	if (data)
		rc = take_issuers(data, ret, err);
	yaml_file_free(&top, data);
	if (rc < 0) {
		issuers_done(ret);
		return err_in(err, "%s", path);
	}
	return 0;
}

void issuers_done(struct issuers *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct issuer *s = &all->issuers[i];

		free(s->name);
		free(s->issuer);
		free(s->url);
		free(s->keys_url);
		free(s->login_url);
		free(s->ca);
		config_list_done(&s->audience);
		config_list_done(&s->required_scopes);
		config_list_done(&s->operator_scopes);
	}
	free(all->issuers);
	*all = (struct issuers){0};
}
