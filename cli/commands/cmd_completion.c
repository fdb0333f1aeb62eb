/* cmd_completion.c - pcap completion: scripts for bash, zsh and fish, made from the same tables that the options are read by. */
#include "cli/cli.h"

#include <string.h>

static void print_options(const struct arg_option *o)
{
	for (; o && o->name; o++) {
		printf(" --%s", o->name);
		if (o->letter)
			printf(" -%c", o->letter);
	}
}

static void print_names(const struct command *const *list)
{
	for (size_t i = 0; list[i]; i++)
		printf("%s%s", i ? " " : "", list[i]->name);
}

/* One arm of the case on the command line so far: what can follow it. */
static void print_arm(const struct command *parent, const struct command *c)
{
	printf("\t'%s%s%s') words='", parent ? parent->name : "", parent ? " " : "", c->name);
	if (c->subs)
		print_names(c->subs);
	print_options(c->options);
	print_options(c->more_options);
	print_options(cli_global_options);
	printf("' ;;\n");
}

static void print_arms(const struct command *const *list, const struct command *parent)
{
	for (; *list; list++) {
		print_arm(parent, *list);
		if ((*list)->subs)
			print_arms((*list)->subs, *list);
	}
}

/* zsh runs the same function through bashcompinit. */
static void bash(const struct cli *cli)
{
	printf("_pcap() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} word path='' words=''\n"
	       "\tcase $prev in\n"
	       "\t-w | -o | --write | --output | --cacert | --ca-cert) COMPREPLY=($(compgen -f -- \"$cur\")); return "
	       ";;\n"
	       "\t--login) COMPREPLY=($(compgen -W 'cf bosh token' -- \"$cur\")); return ;;\n"
	       "\t-i | --interface) COMPREPLY=($(compgen -W 'eth0 lo eth0,lo any' -- \"$cur\")); return ;;\n"
	       "\t--format) COMPREPLY=($(compgen -W 'pcapng pcap' -- \"$cur\")); return ;;\n"
	       "\tesac\n"
	       "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	       "\t\tcase $word in\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) case $path in\n"
	       "\t\t\t'') path=$word ;;\n"
	       "\t\t\tadmin | devices) path=\"$path $word\" ;;\n"
	       "\t\t\tesac ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase $path in\n"
	       "\t'') words='");
	print_names(cli->commands);
	print_options(cli_global_options);
	printf("' ;;\n");
	print_arms(cli->commands, NULL);
	printf("\tesac\n"
	       "\tcase $path in\n"
	       "\tcompletion) words=\"$words bash zsh fish\" ;;\n"
	       "\tenable | disable | allowed) words=\"$words app space\" ;;\n"
	       "\t'admin switch') words=\"$words list show set delete platform org space app deployment group\" ;;\n"
	       "\t'admin audit') words=\"$words verify\" ;;\n"
	       "\thelp) words=\"$words targets exit-codes environment ");
	print_names(cli->commands);
	printf("\" ;;\n"
	       "\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "}\n"
	       "complete -F _pcap pcap\n");
}

static void zsh(const struct cli *cli)
{
	printf("#compdef pcap\nautoload -U +X bashcompinit && bashcompinit\n");
	bash(cli);
}

static void fish_text(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void fish_options(const struct arg_option *o, const char *condition)
{
	for (; o && o->name; o++) {
		printf("complete -c pcap%s%s%s -l %s", *condition ? " -n '" : "", condition, *condition ? "'" : "",
			o->name);
		if (o->letter)
			printf(" -s %c", o->letter);
		if (o->value)
			printf(" -r%s", strcmp(o->value, "FILE") ? " -f" : " -F");
		printf(" -d ");
		fish_text(o->help);
		printf("\n");
	}
}

static void fish_command(const struct command *c, const char *seen)
{
	printf("complete -c pcap -f -n '%s' -a %s -d ", seen, c->name);
	fish_text(c->summary);
	printf("\n");
}

static void fish(const struct cli *cli)
{
	char condition[128];

	printf("complete -c pcap -f\n");
	fish_options(cli_global_options, "");
	for (const struct command *const *c = cli->commands; *c; c++) {
		fish_command(*c, "__fish_use_subcommand");
		snprintf(condition, sizeof(condition), "__fish_seen_subcommand_from %s", (*c)->name);
		fish_options((*c)->options, condition);
		fish_options((*c)->more_options, condition);
		for (const struct command *const *sub = (*c)->subs; sub && *sub; sub++) {
			fish_command(*sub, condition);
			snprintf(condition, sizeof(condition),
				"__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s", (*c)->name,
				(*sub)->name);
			fish_options((*sub)->options, condition);
			fish_options((*sub)->more_options, condition);
			snprintf(condition, sizeof(condition), "__fish_seen_subcommand_from %s", (*c)->name);
		}
	}
	printf("complete -c pcap -f -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
	printf("complete -c pcap -f -n '__fish_seen_subcommand_from enable disable allowed' -a 'app space'\n");
	printf("complete -c pcap -f -n '__fish_seen_subcommand_from switch' -a 'list show set delete platform org "
	       "space app "
	       "deployment group'\n");
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const char *shell = args->words[0];

	(void)values;
	if (!strcmp(shell, "bash"))
		bash(cli);
	else if (!strcmp(shell, "zsh"))
		zsh(cli);
	else if (!strcmp(shell, "fish"))
		fish(cli);
	else
		return cli_usage("completion: \"%.40s\" is none of bash, zsh, fish", shell);
	return cli_flush_stdout();
}

const struct command cmd_completion = {
	.name = "completion",
	.words = "bash|zsh|fish",
	.summary = "print a completion script for a shell",
	.words_least = 1,
	.words_most = 1,
	.run = run,
};
