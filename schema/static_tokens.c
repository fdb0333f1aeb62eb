/* static_tokens.c - bearer tokens known by their hash: nobody who reads the file can use them. */
#include "common/clock.h"
#include "common/parse.h"
#include "schema/config_gateway.h"
#include "schema/yaml_file.h"

#include <stdlib.h>
#include <string.h>

#define STATIC_TOKENS_MAX 10000
#define NAME_MAX_BYTES    256
#define VALUE_MAX_BYTES   4096 /* taken from the file before the exact checks */
#define SHA256_DIGITS     64

/* As the file has it. */
struct file_token {
	char *sha256, *user_id, *user_name, *org, *space, *is_operator, *expires_at;
};
struct file_tokens {
	struct file_token *tokens;
	size_t tokens_count;
};

#define TEXT(key, member, flags)                                                                                       \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | (flags), struct file_token, member, 0, VALUE_MAX_BYTES)

static const cyaml_schema_field_t token_fields[] = {
	TEXT("sha256", sha256, 0),
	TEXT("user_id", user_id, 0),
	TEXT("user_name", user_name, CYAML_FLAG_OPTIONAL),
	TEXT("org", org, CYAML_FLAG_OPTIONAL),
	TEXT("space", space, CYAML_FLAG_OPTIONAL),
	TEXT("operator", is_operator, CYAML_FLAG_OPTIONAL),
	TEXT("expires_at", expires_at, CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t token_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_token, token_fields)};

static const cyaml_schema_field_t top_fields[] = {
	CYAML_FIELD_SEQUENCE(
		"tokens", CYAML_FLAG_POINTER, struct file_tokens, tokens, &token_entry, 0, STATIC_TOKENS_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t top = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER_NULL, struct file_tokens, top_fields)};

/* The text is not shown: somebody may have put the token itself there. */
static int take_sha256(const char *text, char ret[65], struct err *err)
{
	size_t n = strspn(text, "0123456789abcdefABCDEF");

	if (text[n] || n != SHA256_DIGITS)
		return err_set(err, ERR_INPUT, "sha256: not %d hex digits", SHA256_DIGITS);
	for (size_t i = 0; i <= n; i++)
		ret[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
	return 0;
}

static int take_name(const char *text, const char *what, size_t least, char **ret, struct err *err)
{
	size_t n = strlen(text);

	if (n < least || n > NAME_MAX_BYTES)
		return err_set(err, ERR_INPUT, "%s: %zu bytes are not within %zu..%d", what, n, least, NAME_MAX_BYTES);
	if (!(*ret = strdup(text)))
		return err_nomem(err);
	return 0;
}

static const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static int take_token(const struct file_token *from, struct static_token *ret, struct err *err)
{
	if (strchr(from->user_id, ':'))
		return err_set(err, ERR_INPUT,
			"user_id: has a \":\", which stands behind an issuer's name in the ids of its people");
	if (take_sha256(from->sha256, ret->sha256, err) < 0 ||
		take_name(from->user_id, "user_id", 1, &ret->user_id, err) < 0 ||
		take_name(or_else(from->user_name, from->user_id), "user_name", 1, &ret->user_name, err) < 0 ||
		take_name(or_else(from->org, ""), "org", 0, &ret->org, err) < 0 ||
		take_name(or_else(from->space, ""), "space", 0, &ret->space, err) < 0)
		return -1;
	if (from->is_operator && parse_bool(from->is_operator, &ret->is_operator, err) < 0)
		return err_in(err, "operator");
	if (from->expires_at && clock_parse_rfc3339(from->expires_at, &ret->expires_at, err) < 0)
		return err_in(err, "expires_at");
	/* 0 would mean never */
	if (from->expires_at && !ret->expires_at)
		return err_set(err, ERR_INPUT, "expires_at: not after 1970");
	return 0;
}

static int compare_hash(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const struct static_tokens *t, struct err *err)
{
	const char **all = calloc(t->n + 1, sizeof(*all));
	int rc = 0;

	if (!all)
		return err_nomem(err);
	for (size_t i = 0; i < t->n; i++)
		all[i] = t->tokens[i].sha256;
	qsort(all, t->n, sizeof(*all), compare_hash);
	for (size_t i = 1; i < t->n && rc == 0; i++)
		if (!strcmp(all[i - 1], all[i]))
			rc = err_set(err, ERR_INPUT, "a token stands twice: sha256 %.8s...", all[i]);
	free(all);
	return rc;
}

static int take_tokens(const struct file_tokens *from, struct static_tokens *ret, struct err *err)
{
	if (from->tokens_count && !(ret->tokens = calloc(from->tokens_count, sizeof(*ret->tokens))))
		return err_nomem(err);
	ret->n = from->tokens_count;
	for (size_t i = 0; i < from->tokens_count; i++)
		if (take_token(&from->tokens[i], &ret->tokens[i], err) < 0)
			return err_in(err, "token %zu", i + 1);
	return check_unique(ret, err);
}

int static_tokens_load(const char *path, struct static_tokens *ret, struct err *err)
{
	void *data = NULL;
	int rc = 0;

	*ret = (struct static_tokens){0};
	if (yaml_file_load(path, &top, &data, err) < 0)
		return -1;
	if (data)
		rc = take_tokens(data, ret, err);
	yaml_file_free(&top, data);
	if (rc < 0) {
		static_tokens_done(ret);
		return err_in(err, "%s", path);
	}
	return 0;
}

void static_tokens_done(struct static_tokens *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->tokens[i].user_id);
		free(t->tokens[i].user_name);
		free(t->tokens[i].org);
		free(t->tokens[i].space);
	}
	free(t->tokens);
	*t = (struct static_tokens){0};
}
