/* cli.c - see cli.h. */
#include "cli/cli.h"

#include "cli/login/identity.h"
#include "cli/talk.h"
#include "common/id.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(member) offsetof(struct cli_globals, member)

const struct arg_option cli_global_options[] = {
	{0, "gateway", "URL", ARG_TEXT, AT(gateway), 0, 0, "the gateway (else PCAP_GATEWAY)"},
	{0, "cacert", "FILE", ARG_TEXT, AT(cacert), 0, 0,
		"CA of its certificate (else PCAP_CACERT, else the system's)"},
	{0, "login", "LOGIN", ARG_TEXT, AT(login), 0, 0,
		"who you are: cf, bosh, bosh:ENVIRONMENT or token (PCAP_TOKEN)"},
	{0, "json", NULL, ARG_FLAG, AT(json), 0, 0, "results as JSON on stdout"},
	{'v', "verbose", NULL, ARG_FLAG, AT(verbose), 0, 0, "say which login and gateway are used"},
	{'h', "help", NULL, ARG_FLAG, AT(help), 0, 0, "this help"},
	{0},
};

/* ---- failures ---- */

static enum cli_manner cli_speaks;

void cli_manner(enum cli_manner manner)
{
	cli_speaks = manner;
}

int cli_end(int rc)
{
	if (rc != CLI_OK && cli_speaks == CLI_AS_CF)
		talk_say("FAILED");
	if (rc != CLI_OK && cli_speaks == CLI_AS_BOSH)
		talk_say("Exit code %d", rc);
	return rc;
}

/* What to do where there is no login: the detail of the err says which. */
static const struct {
	const char *detail, *tip;
} tips[] = {
	{LOGIN_NO_CF, "TIP: log in with 'cf login' (or 'cf login --sso'), then try again."},
	{LOGIN_NO_API, "TIP: say where the platform is with 'cf api URL' and log in with 'cf login'."},
	{LOGIN_NO_SPACE, "TIP: choose one with 'cf target -o ORG -s SPACE', or name apps by GUID with --guid."},
	{LOGIN_NO_BOSH, "TIP: log in with 'bosh -e ENVIRONMENT log-in', or set BOSH_CLIENT and BOSH_CLIENT_SECRET."},
};

static const char *tip_of(const struct err *err)
{
	for (size_t i = 0; i < sizeof(tips) / sizeof(*tips); i++)
		if (!strcmp(err->detail, tips[i].detail))
			return tips[i].tip;
	return NULL;
}

int cli_exit_code(const struct err *err)
{
	if (tip_of(err))
		return CLI_FAILED; /* nobody was asked: another tool's login is missing */
	if (!strcmp(err->detail, "halted"))
		return CLI_REFUSED; /* by an operator; trying again soon is no use */
	switch (err->code) {
	case ERR_NONE:
		return CLI_OK;
	case ERR_INPUT:
		return CLI_USAGE;
	case ERR_AUTH:
	case ERR_PERM:
		return CLI_REFUSED;
	case ERR_NOT_FOUND:
		return CLI_NOT_FOUND;
	case ERR_LIMIT:
	case ERR_BUSY:
		return CLI_LIMIT;
	case ERR_NET:
	case ERR_TIMEOUT:
	case ERR_UNAVAILABLE:
		return CLI_UNREACHABLE;
	case ERR_STATE:
		return CLI_STATE;
	case ERR_IO:
	case ERR_FULL:
	case ERR_CANCELLED:
	case ERR_NOMEM:
	case ERR_INTERNAL:
		return CLI_FAILED;
	}
	return CLI_FAILED;
}

int cli_fail(const struct err *err)
{
	const char *who = cli_speaks == CLI_AS_PCAP ? "pcap: " : "", *tip = tip_of(err);
	size_t n = strlen(err->field);

	if (!n || (!strncmp(err->msg, err->field, n) && err->msg[n] == ':'))
		talk_say("%s%s", who, err->msg);
	else
		talk_say("%s%s: %s", who, err->field, err->msg);
	if (!tip && cli_speaks != CLI_AS_PCAP && !strcmp(err->detail, API_CERTIFICATE))
		tip = "TIP: name its CA with --cacert FILE (a director's with --ca-cert FILE).";
	if (tip)
		talk_say("%s", tip);
	return cli_exit_code(err);
}

int cli_usage(const char *fmt, ...)
{
	struct err err = {0};
	va_list ap;

	va_start(ap, fmt);
	err_vset(&err, ERR_INPUT, fmt, ap);
	va_end(ap);
	return cli_fail(&err);
}

/* ---- what subcommands share ---- */

static const char *or_env(const char *option, const char *name)
{
	const char *value = option ? option : getenv(name);

	return value && *value ? value : NULL;
}

/* What a command knows of its user is the API's from here on. */
static struct identity *new_identity(
	const struct cli *cli, const struct cli_identity *who, struct api *ret, struct err *err)
{
	const struct identity_options o = {
		.cacert = or_env(cli->globals.cacert, "PCAP_CACERT"),
		.login = cli->globals.login,
		.environment = who->environment,
		.ca_cert = who->ca_cert,
		.verbose = cli->globals.verbose,
	};

	if (!(ret->identity = calloc(1, sizeof(*ret->identity)))) {
		err_nomem(err);
		return NULL;
	}
	return identity_init(ret->identity, &o, err) < 0 ? NULL : ret->identity;
}

/* The gateway that was named; only without one the platform is asked for it. */
static char *find_gateway(const struct cli *cli, struct identity *id, struct err *err)
{
	const char *gateway = or_env(cli->globals.gateway, "PCAP_GATEWAY");
	char *ret;

	if (!gateway)
		return identity_gateway(id, err);
	if (!(ret = strdup(gateway)))
		err_nomem(err);
	return ret;
}

static int open_as(const struct cli *cli, const struct cli_identity *who, struct api *a, struct err *err)
{
	struct identity *id = new_identity(cli, who, a, err);
	char *gateway;
	int rc;

	if (!id || (who->login && who->login(id, err) < 0) || (who->second && who->second(id, err) < 0))
		return -1;
	if (!(gateway = find_gateway(cli, id, err)))
		return -1;
	rc = api_open(a, gateway, or_env(cli->globals.cacert, "PCAP_CACERT"), err);
	free(gateway);
	return rc == 0 && who->login ? api_login(a, id->first, id->second, err) : rc;
}

int cli_api_as(const struct cli *cli, const struct cli_identity *who, struct api *ret, struct err *err)
{
	*ret = (struct api){0};
	if (open_as(cli, who, ret, err) == 0)
		return 0;
	api_close(ret);
	return -1;
}

int cli_api(const struct cli *cli, bool token, struct api *ret, struct err *err)
{
	const struct cli_identity who = {.login = token ? identity_default : NULL};

	return cli_api_as(cli, &who, ret, err);
}

int cli_check_job(const char *text, struct err *err)
{
	if (id_is_valid(text))
		return 0;
	return err_set(
		err, ERR_INPUT, "\"%.40s\" is not the id of a job (26 letters and digits, see \"pcap jobs\")", text);
}

int cli_flush_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CLI_OK;
	talk_say("pcap: stdout cannot be written");
	return CLI_FAILED;
}

int cli_print_json(const json_t *value)
{
	if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0)
		talk_say("pcap: stdout cannot be written");
	putchar('\n');
	return cli_flush_stdout();
}

int cli_call(
	const struct cli *cli, const char *method, const char *path, json_t *body, int (*show)(const json_t *answer))
{
	struct err err = {0};
	json_t *answer = NULL;
	struct api api;
	int rc;

	if (cli_api(cli, true, &api, &err) < 0) {
		json_decref(body);
		return cli_fail(&err);
	}
	if (api_call(&api, method, path, body, &answer, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = cli->globals.json ? cli_print_json(answer) : show(answer);
	json_decref(answer);
	api_close(&api);
	return rc;
}

bool cli_confirm(const char *question)
{
	char answer[16];

	if (isatty(STDIN_FILENO) != 1 || !talk_is_live()) {
		talk_say("pcap: %s: not done without a terminal to ask on; --yes says yes", question);
		return false;
	}
	fprintf(stderr, "%s? [y/N] ", question);
	fflush(stderr);
	if (!fgets(answer, sizeof(answer), stdin) || (strcmp(answer, "y\n") && strcmp(answer, "yes\n"))) {
		talk_say("not done");
		return false;
	}
	return true;
}

bool cli_ask(const char *question)
{
	char answer[16];

	if (isatty(STDIN_FILENO) != 1 || !talk_is_live())
		return true;
	fprintf(stderr, "%s? [yN] ", question);
	fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) && (!strcmp(answer, "y\n") || !strcmp(answer, "yes\n"));
}

/* ---- finding and running a subcommand ---- */

static const struct command *find(const struct command *const *list, const char *name)
{
	for (; *list; list++)
		if (!strcmp((*list)->name, name))
			return *list;
	return NULL;
}

static int check_words(const struct command *c, const struct args *args)
{
	if (args->words_n < c->words_least)
		return cli_usage("%s: expects %s", c->name, c->words);
	if (args->words_n > c->words_most)
		return cli_usage("%s: unexpected \"%.40s\"", c->name, args->words[c->words_most]);
	return CLI_OK;
}

static int run_leaf(struct cli *cli, const struct command *parent, const struct command *c, int argc, char *const *argv)
{
	_Alignas(max_align_t) char values[CLI_VALUES_MAX] = {0};
	struct arg_table tables[] = {
		{c->options, values}, {c->more_options, values}, {cli_global_options, &cli->globals}};
	struct err err = {0};
	struct args args;
	int rc;

	if (args_parse(argc, argv, tables, 3, false, &args, &err) < 0) {
		rc = cli_fail(&err);
		talk_say("see \"pcap help %s%s%s\"", parent ? parent->name : "", parent ? " " : "", c->name);
	} else if (cli->globals.help) {
		cli_help_command(stdout, parent, c);
		rc = cli_flush_stdout();
	} else if ((rc = check_words(c, &args)) == CLI_OK) {
		rc = c->run(cli, &args, values);
	}
	args_done(&args);
	return rc;
}

/* Global options may stand before the subcommand; argv[0] of what is left is its name. */
static int skip_globals(struct cli *cli, int *argc, char *const **argv)
{
	struct arg_table table = {cli_global_options, &cli->globals};
	struct err err = {0};
	struct args args;
	int rc = CLI_OK;

	if (args_parse(*argc, *argv, &table, 1, true, &args, &err) < 0)
		rc = cli_fail(&err);
	*argc -= args.used;
	*argv += args.used;
	args_done(&args);
	return rc;
}

static int run_sub(struct cli *cli, const struct command *parent, int argc, char *const *argv)
{
	const struct command *c;
	int rc = skip_globals(cli, &argc, &argv);

	if (rc != CLI_OK)
		return rc;
	if (!argc || cli->globals.help) {
		cli_help_command(argc ? stdout : stderr, NULL, parent);
		return argc || cli->globals.help ? cli_flush_stdout() : CLI_USAGE;
	}
	if (!(c = find(parent->subs, argv[0])))
		return cli_usage(
			"%s: unknown command \"%.40s\"; see \"pcap help %s\"", parent->name, argv[0], parent->name);
	return run_leaf(cli, parent, c, argc - 1, argv + 1);
}

int cli_main(const struct command *const *commands, int argc, char *const *argv)
{
	struct cli cli = {.commands = commands};
	const struct command *c;
	int rc;

	/* A reader of stdout that goes away is an error of write, not the end of the program: there is a job to stop. */
	signal(SIGPIPE, SIG_IGN);
	argc--;
	argv++;
	if (argc && !strcmp(argv[0], "--version")) /* as nearly every program has it */
		return run_leaf(&cli, NULL, &cmd_version, argc - 1, argv + 1);
	rc = skip_globals(&cli, &argc, &argv);
	if (rc != CLI_OK)
		return rc;
	if (!argc) {
		cli_help_list(cli.globals.help ? stdout : stderr, commands);
		return cli.globals.help ? cli_flush_stdout() : CLI_USAGE;
	}
	if (!(c = find(commands, argv[0])))
		return cli_usage("unknown command \"%.40s\"; see \"pcap help\"", argv[0]);
	return c->subs ? run_sub(&cli, c, argc - 1, argv + 1) : run_leaf(&cli, NULL, c, argc - 1, argv + 1);
}
