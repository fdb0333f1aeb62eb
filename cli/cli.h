/* cli.h - what the files of the command `pcap` share: how a subcommand is described, the exit codes, the talk on errors.
 * A subcommand is one file with one struct command; main.c lists them, cli.c reads the options and calls them. */
#ifndef PCAPLINE_CLI_CLI_H
#define PCAPLINE_CLI_CLI_H

#include "cli/api.h"
#include "cli/args.h"
#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Stable: scripts depend on them.  `pcap help exit-codes` explains them. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_REFUSED = 3,
	CLI_NOT_FOUND = 4,
	CLI_LIMIT = 5,
	CLI_UNREACHABLE = 6,
	CLI_INCOMPLETE = 7,
	CLI_STATE = 8,
};

/* Options that every subcommand takes. */
struct cli_globals {
	const char *gateway;
	const char *cacert;
	const char *login;
	bool json;
	bool verbose;
	bool help;
};
extern const struct arg_option cli_global_options[];

struct cli;

struct command {
	const char *name;
	const char *words;   /* what stands after the name in the usage line */
	const char *summary; /* half a line for the list */
	const char *details; /* paragraphs for its own help; NULL: none */
	const struct arg_option *options;
	const struct arg_option *more_options; /* into the same struct; NULL: none */
	size_t values_size;                    /* of the struct that options write to, at most CLI_VALUES_MAX */
	size_t words_least, words_most;
	int (*run)(struct cli *cli, const struct args *args, const void *values); /* returns an enum cli_exit */
	const struct command *const *subs; /* NULL-terminated list of subcommands instead of run; NULL: none */
};
#define CLI_VALUES_MAX 1024

struct cli {
	const struct command *const *commands; /* NULL-terminated */
	struct cli_globals globals;
};

/* cli_main: the whole program behind main(). */
int cli_main(const struct command *const *commands, int argc, char *const *argv);

/* cli_fail: says "pcap: field: message" on stderr; returns the exit code that fits the kind. */
int cli_fail(const struct err *err);
int cli_exit_code(const struct err *err);
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* says it, returns CLI_USAGE */

/* cli_api: the gateway as options, environment or the platform name it; with a token unless it is not needed.  api_close frees it. */
int cli_api(const struct cli *cli, bool token, struct api *ret, struct err *err);

/* cli_api_as: the same for the identity that login fills; it belongs to *ret, also after a failure. */
struct cli_identity {
	const char *environment, *ca_cert;                   /* of a director, as given; NULL: not */
	int (*login)(struct identity *id, struct err *err);  /* NULL: nobody */
	int (*second)(struct identity *id, struct err *err); /* NULL: none */
};
int cli_api_as(const struct cli *cli, const struct cli_identity *who, struct api *ret, struct err *err);

/* How failures are told: "pcap: message", or as the tool whose login is used does. */
enum cli_manner { CLI_AS_PCAP, CLI_AS_CF, CLI_AS_BOSH };
void cli_manner(enum cli_manner manner);
int cli_end(int rc); /* the last line of a failure in that manner; returns rc */

/* cli_check_job: a job id as a user typed it.  ERR_INPUT when it cannot be one. */
int cli_check_job(const char *text, struct err *err);

/* cli_print_json: one value and a newline on stdout.  Returns CLI_OK, or CLI_FAILED when stdout cannot be written. */
int cli_print_json(const json_t *value);
int cli_flush_stdout(void); /* the same check after other output */

/* cli_call: one call with a token, its answer shown by show, or as JSON with --json.  body is stolen (NULL: none).  The exit code. */
int cli_call(
	const struct cli *cli, const char *method, const char *path, json_t *body, int (*show)(const json_t *answer));

/* cli_confirm: asks on the terminal; without one, or at any other answer than yes, refuses. */
bool cli_confirm(const char *question);

/* cli_ask: a question that only a person at a terminal is asked; without one the answer is yes. */
bool cli_ask(const char *question);

void cli_help_command(FILE *to, const struct command *parent, const struct command *c);
void cli_help_list(FILE *to, const struct command *const *commands);

extern const struct command cmd_cf, cmd_bosh, cmd_devices, cmd_devices_cf, cmd_devices_bosh, cmd_devices_host;
extern const struct command cmd_host, cmd_jobs, cmd_show, cmd_follow, cmd_stop, cmd_link, cmd_download, cmd_rm,
	cmd_info, cmd_version, cmd_help, cmd_completion, cmd_admin, cmd_admin_jobs, cmd_admin_kill, cmd_admin_purge,
	cmd_admin_approvals, cmd_admin_approve, cmd_admin_deny, cmd_start, cmd_admin_agents, cmd_admin_halt,
	cmd_admin_resume, cmd_admin_hold, cmd_admin_unhold, cmd_admin_audit;
extern const struct command cmd_enable, cmd_disable, cmd_allowed, cmd_admin_switch;

#endif
