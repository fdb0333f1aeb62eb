/* cmd_help.c - pcap help: the list, one command, the topics. */
#include "cli/cli.h"
#include "cli/request.h"

#include <string.h>

static const char exit_codes[] =
	"Exit codes of pcap\n"
	"\n"
	"  0  done; a capture ended as asked (by you, or at a limit you gave)\n"
	"  1  failed: a local file, a full disk, out of memory; the job failed; you interrupted a wait, or did not say "
	"yes;\n"
	"     the login of cf or bosh is missing or has expired, or no space is targeted\n"
	"  2  wrong usage: an option, a value, or a request that the gateway calls malformed (a bad filter)\n"
	"  3  not logged in, or refused (HTTP 401, 403); an operator denied the capture, or none approved it in time\n"
	"  4  not found, or not visible to you (404)\n"
	"  5  a limit: too much or too many (413, 429)\n"
	"  6  the gateway, or a platform service behind it, cannot be reached (502, 503, no connection)\n"
	"  7  the capture is incomplete: it ended early, the connection broke and could not be resumed, or you left at "
	"once;\n"
	"     the file holds whole packets up to there\n"
	"  8  wrong state: not possible with this job now (409), or the file is there already\n"
	"\n"
	"Instances that fail while others go on are named as warnings and do not change the code.\n";

static const char environment[] = "Environment of pcap\n"
				  "\n"
				  "  PCAP_GATEWAY  URL of the gateway, as --gateway\n"
				  "  PCAP_TOKEN    the token that says who you are; sent to the gateway only, never "
				  "over plain http to another machine\n"
				  "  PCAP_CACERT   file with the CA of the gateway's certificate, as --cacert\n"
				  "  PCAP_CONFIRM_ABOVE  ask before a capture of more instances, as --confirm-above\n"
				  "  CF_HOME       folder that holds the cf CLI's .cf (else your home folder)\n"
				  "  BOSH_CONFIG, BOSH_ENVIRONMENT, BOSH_DEPLOYMENT, BOSH_CA_CERT, BOSH_CLIENT, "
				  "BOSH_CLIENT_SECRET   as the bosh CLI takes them\n"
				  "  https_proxy, no_proxy   as usual\n";

static const struct {
	const char *name, *text, *summary;
} topics[] = {
	{"targets", request_targets_help, "how targets are told from filter words"},
	{"exit-codes", exit_codes, "what the exit codes mean"},
	{"environment", environment, "variables that are read"},
};
#define TOPICS_N (sizeof(topics) / sizeof(*topics))

static void list_commands(FILE *to, const struct command *const *list)
{
	for (; *list; list++)
		fprintf(to, "  %-12s %s\n", (*list)->name, (*list)->summary);
}

void cli_help_list(FILE *to, const struct command *const *commands)
{
	fprintf(to, "usage: pcap COMMAND [OPTION...] [WORD...]\n\n");
	list_commands(to, commands);
	fprintf(to, "\nOptions of every command:\n");
	args_help(to, cli_global_options);
	fprintf(to, "\nMore: pcap help COMMAND");
	for (size_t i = 0; i < TOPICS_N; i++)
		fprintf(to, ", pcap help %s", topics[i].name);
	fprintf(to, "\n");
}

void cli_help_command(FILE *to, const struct command *parent, const struct command *c)
{
	fprintf(to, "usage: pcap %s%s%s%s%s%s\n\n%s\n", parent ? parent->name : "", parent ? " " : "", c->name,
		c->options ? " [OPTION...]" : "", *c->words ? " " : "", c->words, c->summary);
	if (c->details)
		fprintf(to, "\n%s", c->details);
	if (c->subs) {
		fprintf(to, "\n");
		list_commands(to, c->subs);
	}
	if (c->options) {
		fprintf(to, "\nOptions:\n");
		args_help(to, c->options);
		args_help(to, c->more_options);
	}
	fprintf(to, "\nOptions of every command:\n");
	args_help(to, cli_global_options);
}

static const struct command *find(const struct command *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp((*list)->name, name))
			return *list;
	return NULL;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct command *c, *sub = NULL;

	(void)values;
	if (!args->words_n) {
		cli_help_list(stdout, cli->commands);
		return cli_flush_stdout();
	}
	for (size_t i = 0; i < TOPICS_N; i++)
		if (!strcmp(args->words[0], topics[i].name)) {
			fputs(topics[i].text, stdout);
			return cli_flush_stdout();
		}
	c = find(cli->commands, args->words[0]);
	if (c && args->words_n > 1)
		sub = find(c->subs, args->words[1]);
	if (!c || (args->words_n > 1 && !sub))
		return cli_usage("no help on \"%.40s\"", args->words[c ? 1 : 0]);
	cli_help_command(stdout, sub ? c : NULL, sub ? sub : c);
	return cli_flush_stdout();
}

const struct command cmd_help = {
	.name = "help",
	.words = "[COMMAND | TOPIC]",
	.summary = "this list, a command, or a topic",
	.words_most = 2,
	.run = run,
};
