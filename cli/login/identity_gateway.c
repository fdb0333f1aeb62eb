/* identity_gateway.c - where the gateway is, when only the platform is known (identity.h). */
#include "cli/login/identity.h"

#include "cli/api.h"
#include "cli/talk.h"
#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

char *identity_derive(const char *api)
{
	const char *rest = strstr(api, "://");
	size_t scheme, n;
	char *ret = NULL;

	if (!rest)
		return NULL;
	scheme = (size_t)(rest - api);
	rest += 3;
	n = strcspn(rest, "/?#");
	if (strncasecmp(rest, "api.", 4) || n <= 4 || memchr(rest, '@', n))
		return NULL;
	if (asprintf(&ret, "%.*s://pcap.%.*s", (int)scheme, api, (int)(n - 4), rest + 4) < 0)
		return NULL;
	return ret;
}

/* The operator's own link; NULL: there is none, or the platform does not answer, which the next call will tell.  It decides who gets the token: it must
 * come from the platform itself, whatever cf was told of certificates. */
static char *from_root(const struct identity *id)
{
	struct trust trust = {.also = id->has_also ? &id->also : NULL};
	size_t n = strlen(id->cf.target);
	json_t *root;
	const char *href;
	char *url, *ret = NULL;

	if (!api_may_carry_secrets(id->cf.target))
		return NULL;
	while (n && id->cf.target[n - 1] == '/')
		n--;
	if (asprintf(&url, "%.*s/", (int)n, id->cf.target) < 0)
		return NULL;
	root = uaa_get(url, &trust, "the platform", NULL);
	href = json_text(root, "links.pcap.href");
	if (*href)
		ret = strdup(href);
	json_decref(root);
	free(url);
	return ret;
}

char *identity_gateway(struct identity *id, struct err *err)
{
	char *ret, clean[300];

	if (identity_config(id, err) < 0)
		return NULL;
	/* A token of somewhere else (PCAP_TOKEN, a director's) is nothing for whatever platform cf happens to have as its target. */
	if (!*id->cf.target || (id->first && !id->is_cf)) {
		err_set(err, ERR_INPUT, "no gateway: give --gateway URL or set PCAP_GATEWAY");
		return NULL;
	}
	if (!(ret = from_root(id)))
		ret = identity_derive(id->cf.target);
	if (!ret)
		err_set(err, ERR_INPUT,
			"no gateway: the platform names none and its API \"%.200s\" is not at api.SYSTEM-DOMAIN; give "
			"--gateway URL or set PCAP_GATEWAY",
			id->cf.target);
	else if (id->o.verbose)
		talk_say("the gateway is %s", text_clean(ret, clean, sizeof(clean)));
	return ret;
}
