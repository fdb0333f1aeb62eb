/* config_audit.c - what the sections audit and webhook must be, held against each other. */
#include "schema/audit_action.h"
#include "schema/config_gateway.h"

#include <string.h>
#include <strings.h>

static const char *const default_events[] = {
	"capture.start", "capture.end", "admin.kill", "admin.purge", "admin.purged"};

bool config_webhook_wants(const struct config_gateway *c, const char *action)
{
	const struct config_list *l = &c->webhook_events;

	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->items[i], action) == 0)
			return true;
	for (size_t i = 0; l->n == 0 && i < sizeof(default_events) / sizeof(default_events[0]); i++)
		if (strcmp(default_events[i], action) == 0)
			return true;
	return false;
}

/* "http://127.0.0.1:8080/x": of this machine, whatever follows the host? */
static bool is_here(const char *url)
{
	static const char *const here[] = {"http://127.0.0.1", "http://[::1]", "http://localhost"};

	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		size_t n = strlen(here[i]);

		if (strncasecmp(url, here[i], n) == 0 && (url[n] == '\0' || url[n] == ':' || url[n] == '/'))
			return !strchr(url, '@');
	}
	return false;
}

int config_audit_check(const struct config_gateway *c, struct err *err)
{
	const char *url = c->webhook_url;

	for (size_t i = 0; i < c->webhook_events.n; i++)
		if (!audit_action_is_known(c->webhook_events.items[i]))
			return err_set(err, ERR_INPUT,
				"webhook.events: \"%.40s\" is no action of the audit trail (capture.start, for "
				"instance)",
				c->webhook_events.items[i]);
	if (!url[0])
		return 0;
	if (strpbrk(url, " #\"<>\\"))
		return err_set(err, ERR_INPUT, "webhook.url: \"%s\" holds what a URL cannot", url);
	if (strncasecmp(url, "https://", 8) != 0 && !(c->webhook_allow_http && is_here(url)))
		return err_set(err, ERR_INPUT,
			"webhook.url: \"%s\" does not begin with https:// (http:// only with webhook.allow_http, and "
			"to "
			"127.0.0.1, [::1] or localhost)",
			url);
	if (!c->webhook_secret_file[0])
		return err_set(err, ERR_INPUT, "webhook.secret_file: is needed with webhook.url");
	return 0;
}
