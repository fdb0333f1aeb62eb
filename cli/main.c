/* main.c - pcap, the command of users and operators: its subcommands, each in its own file. */
#include "cli/cli.h"

#include <sys/resource.h>

static const struct command *const commands[] = {
	&cmd_cf,       /* apps of Cloud Foundry, with the cf CLI's login */
	&cmd_bosh,     /* VMs of BOSH deployments, with the bosh CLI's login */
	&cmd_host,     /* capture from hosts of the static inventory */
	&cmd_jobs,     /* list */
	&cmd_show,     /* one job in full */
	&cmd_follow,   /* events, and the live stream of a running job */
	&cmd_start,    /* one that was approved */
	&cmd_stop,     /* graceful end */
	&cmd_link,     /* signed URL */
	&cmd_download, /* fetch the file */
	&cmd_rm,       /* erase */
	&cmd_devices,  /* interfaces of an instance */
	&cmd_enable,   /* captures of one's own app or space: allow */
	&cmd_disable,  /* forbid */
	&cmd_allowed,  /* ask */
	&cmd_info,     /* the gateway */
	&cmd_admin,    /* operators */
	&cmd_version,
	&cmd_completion,
	&cmd_help,
	NULL,
};

int main(int argc, char **argv)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none); /* a core file would hold tokens and packets */
	return cli_main(commands, argc, argv);
}
