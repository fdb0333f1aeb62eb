/* cmd_admin.c - pcap admin: what operators may do to everybody's captures. */
#include "cli/cli.h"

static const struct command *const subs[] = {
	&cmd_admin_jobs, &cmd_admin_kill, &cmd_admin_purge, &cmd_admin_audit, NULL};

const struct command cmd_admin = {
	.name = "admin",
	.words = "COMMAND",
	.summary = "for operators: jobs, kill, purge, audit",
	.subs = subs,
};
