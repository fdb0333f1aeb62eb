/* fuzz_issuers.c - any bytes as the file of issuers: taken whole, within all that its header promises, or refused with a reason that names the file. */
#include "schema/issuers.h"
#include "test/fuzz/memory_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_url(const char *url, bool allow_http)
{
	size_t n = strlen(url);

	if (n == 0)
		return;
	assert(n <= ISSUER_URL_BYTES && !strpbrk(url, "?#@ \"\t\r\n"));
	assert(strncmp(url, "https://", 8) == 0 || (allow_http && strncmp(url, "http://", 7) == 0));
	assert(url[n - 1] != '/' && strstr(url, "//")[2] != '/');
}

static void check_words(const struct config_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		assert(l->items[i][0] && strlen(l->items[i]) <= ISSUER_SCOPE_BYTES);
		assert(!strpbrk(l->items[i], " \t\r\n\"\\"));
	}
}

static void check_issuer(const struct issuer *s)
{
	assert(s->name[0] && strlen(s->name) < ISSUER_NAME_MAX &&
		!s->name[strspn(s->name, "abcdefghijklmnopqrstuvwxyz0123456789-")]);
	assert(s->issuer[0] && strlen(s->issuer) <= ISSUER_URL_BYTES);
	assert(s->kind == ISSUER_UAA || s->kind == ISSUER_OIDC);
	assert(!s->url[0] != !s->keys_url[0]);
	check_url(s->url, s->allow_http);
	check_url(s->keys_url, s->allow_http);
	check_url(s->login_url, true);
	assert(s->audience.n > 0);
	check_words(&s->audience);
	check_words(&s->required_scopes);
	check_words(&s->operator_scopes);
	assert(s->leeway_ms <= 300000 && s->refresh_ms >= 1000 && s->refresh_ms <= 86400000);
	assert(s->retry_ms >= 100 && s->retry_ms <= 600000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *path = memory_file(data, n);
	struct issuers all;
	struct err err = {0};

	if (issuers_load(path, &all, &err) < 0) {
		assert(err.code != ERR_NONE && err.code != ERR_INTERNAL && err.code != ERR_IO);
		assert(strstr(err.msg, path) && !all.issuers && all.n == 0);
		return 0;
	}
	assert(all.n <= ISSUERS_MAX);
	for (size_t i = 0; i < all.n; i++) {
		check_issuer(&all.issuers[i]);
		for (size_t k = 0; k < i; k++)
			assert(strcmp(all.issuers[i].name, all.issuers[k].name) != 0 &&
				strcmp(all.issuers[i].issuer, all.issuers[k].issuer) != 0);
	}
	issuers_done(&all);
	return 0;
}
