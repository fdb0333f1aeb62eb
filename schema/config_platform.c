/* config_platform.c - the sections cf, bosh and recheck of the gateway's configuration, checked. */
#include "schema/config_gateway.h"

#include <string.h>

static int check_url(const char *key, const char *url, struct err *err)
{
	static const char scheme[] = "https://";
	const char *host = url + sizeof(scheme) - 1;
	size_t n;

	if (!url[0])
		return 0;
	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return err_set(err, ERR_INPUT, "%s: \"%s\" does not begin with https://: users' tokens are sent there",
			key, url);
	n = strcspn(host, "/");
	if (n == 0 || strspn(host + n, "/") != strlen(host + n) || strpbrk(url, "@?#\\\" <>"))
		return err_set(err, ERR_INPUT, "%s: \"%s\" is not https://HOST or https://HOST:PORT", key, url);
	return 0;
}

/* Cloud Controller's rules: an optional DNS name and a slash, then a name, both of harmless characters. */
static int check_label(const char *label, struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	const char *slash = strchr(label, '/'), *name = slash ? slash + 1 : label;

	if (!label[0])
		return 0;
	if (!name[0] || strlen(name) > 63 || strspn(name, allowed) != strlen(name) ||
		(slash && (slash == label || strspn(label, allowed) != (size_t)(slash - label))))
		return err_set(err, ERR_INPUT,
			"cf.label: \"%s\" is not the key of a label: NAME or PREFIX/NAME of letters, digits and -_.",
			label);
	return 0;
}

int config_platform_check(const struct config_gateway *c, struct err *err)
{
	if (check_url("cf.api", c->cf_api, err) < 0 || check_url("bosh.director", c->bosh_director, err) < 0 ||
		check_label(c->cf_label, err) < 0)
		return -1;
	if ((c->cf_api[0] || c->bosh_director[0]) && !c->issuers_file[0])
		return err_set(err, ERR_INPUT, "%s: is of no use without issuers, whose tokens it takes",
			c->cf_api[0] ? "cf.api" : "bosh.director");
	if (strcmp(c->cf_default, "deny") == 0 && !c->cf_label[0])
		return err_set(err, ERR_INPUT, "cf.default: deny without cf.label forbids everything");
	return 0;
}
