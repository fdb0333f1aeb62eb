#include "schema/audit_action.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	bool waits;
} actions[] = {
	{"capture.start", false},
	{"capture.attach", false},
	{"capture.stop", true},
	{"capture.end", true},
	{"capture.delete", false},
	{"capture.erased", true},
	{"capture.expire", true},
	{"link.create", false},
	{"link.use", false},
	{"download", false},
	{"admin.kill", true},
	{"admin.halt", true},
	{"admin.resume", false},
	{"admin.purge", false},
	{"admin.purged", true},
	{"admin.hold", false},
	{"admin.unhold", false},
	{"admin.read", true},
	{"switch.set", false},
	{"switch.delete", false},
	{"switch.expire", true},
	{"approval.ask", true},
	{"approval.approve", false},
	{"approval.deny", true},
	{"approval.expire", true},
	{"token.refused", true},
	{"request.refused", true},
	{"config.reload", true},
	{"gateway.start", true},
	{"gateway.stop", true},
	{"audit.file", true},
	{"audit.mended", true},
	{"audit.resumed", true},
	{"audit.verify", true},
};

static int find(const char *action)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, action) == 0)
			return (int)i;
	return -1;
}

bool audit_action_is_known(const char *action)
{
	return find(action) >= 0;
}

bool audit_action_can_wait(const char *action)
{
	int i = find(action);

	return i >= 0 && actions[i].waits;
}
