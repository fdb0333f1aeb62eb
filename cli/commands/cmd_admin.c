/* cmd_admin.c - pcap admin: what operators may do to everybody's captures. */
#include "cli/cli.h"

static const struct command *const subs[] = {&cmd_admin_jobs, &cmd_admin_kill, &cmd_admin_halt, &cmd_admin_resume,
	&cmd_admin_purge, &cmd_admin_hold, &cmd_admin_unhold, &cmd_admin_switch, &cmd_admin_approvals,
	&cmd_admin_approve, &cmd_admin_deny, &cmd_admin_agents, &cmd_admin_audit, NULL};

const struct command cmd_admin = {
	.name = "admin",
	.words = "COMMAND",
	.summary = "for operators: jobs, kill, halt, purge, hold, switch, approve, agents, audit",
	.subs = subs,
};
