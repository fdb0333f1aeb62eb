/* cmd_devices.c - pcap devices: the interfaces that an app's container, a VM or a host has. */
#include "cli/cli.h"
#include "cli/devices.h"
#include "cli/login/identity.h"
#include "cli/target.h"

#include <stdlib.h>
#include <string.h>

/* ---- pcap devices cf ---- */

struct cf_values {
	const char *process;
	bool guid;
};

static const struct arg_option cf_options[] = {
	{0, "process", "TYPE", ARG_TEXT, offsetof(struct cf_values, process), 0, 0, "process of the app (default web)"},
	{0, "guid", NULL, ARG_FLAG, offsetof(struct cf_values, guid), 0, 0,
		"the word is the app's GUID instead of its name"},
	{0},
};

/* With the one target of the list, as who says. */
static int ask(struct cli *cli, const struct cli_identity *who, json_t *targets)
{
	struct err err = {0};
	struct api api;
	int rc;

	if (cli_api_as(cli, who, &api, &err) < 0)
		return cli_fail(&err);
	if (identity_place(api.identity, targets, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = devices_run(cli, &api, json_incref(json_array_get(targets, 0)));
	api_close(&api);
	return rc;
}

static int run_cf(struct cli *cli, const struct args *args, const void *values)
{
	const struct cli_identity who = {.login = identity_cf};
	const struct cf_values *v = values;
	json_t *targets = json_array();
	struct err err = {0};
	int rc;

	cli_manner(CLI_AS_CF);
	if (target_add_app(targets, args->words[0], v->guid, v->process, &err) < 0)
		rc = cli_fail(&err);
	else
		rc = ask(cli, &who, targets);
	json_decref(targets);
	return cli_end(rc);
}

const struct command cmd_devices_cf = {
	.name = "cf",
	.words = "APP[/INDEX]",
	.summary = "of an app's containers",
	.options = cf_options,
	.values_size = sizeof(struct cf_values),
	.words_least = 1,
	.words_most = 1,
	.run = run_cf,
};

/* ---- pcap devices bosh ---- */

struct bosh_values {
	const char *environment, *deployment, *ca_cert;
};

static const struct arg_option bosh_options[] = {
	{'e', "environment", "ENV", ARG_TEXT, offsetof(struct bosh_values, environment), 0, 0,
		"the director, URL or alias (else BOSH_ENVIRONMENT)"},
	{'d', "deployment", "NAME", ARG_TEXT, offsetof(struct bosh_values, deployment), 0, 0,
		"the deployment (else BOSH_DEPLOYMENT)"},
	{0, "ca-cert", "FILE", ARG_TEXT, offsetof(struct bosh_values, ca_cert), 0, 0,
		"the director's CA (else BOSH_CA_CERT, else as bosh knows it)"},
	{0},
};

static int run_bosh(struct cli *cli, const struct args *args, const void *values)
{
	const struct bosh_values *v = values;
	const struct cli_identity who = {.environment = v->environment, .ca_cert = v->ca_cert, .login = identity_bosh};
	const char *deployment = v->deployment ? v->deployment : getenv("BOSH_DEPLOYMENT");
	json_t *targets = json_array();
	struct err err = {0};
	int rc;

	cli_manner(CLI_AS_BOSH);
	if (!deployment || !*deployment)
		rc = cli_usage("which deployment? give -d NAME or set BOSH_DEPLOYMENT");
	else if (target_add_vm(targets, deployment, args->words[0], &err) < 0)
		rc = cli_fail(&err);
	else
		rc = ask(cli, &who, targets);
	json_decref(targets);
	return cli_end(rc);
}

const struct command cmd_devices_bosh = {
	.name = "bosh",
	.words = "GROUP[/ID]",
	.summary = "of VMs of a deployment",
	.options = bosh_options,
	.values_size = sizeof(struct bosh_values),
	.words_least = 1,
	.words_most = 1,
	.run = run_bosh,
};

/* ---- pcap devices host ---- */

static int run_host(struct cli *cli, const struct args *args, const void *values)
{
	json_t *target = json_pack("{s:s, s:[s]}", "type", "host", "instances", args->words[0]);
	struct err err = {0};
	struct api api;
	int rc;

	(void)values;
	if (!target)
		return cli_usage("\"%.40s\" is not the name of a target", args->words[0]);
	if (cli_api(cli, true, &api, &err) < 0) {
		json_decref(target);
		return cli_fail(&err);
	}
	rc = devices_run(cli, &api, target);
	api_close(&api);
	return rc;
}

const struct command cmd_devices_host = {
	.name = "host",
	.words = "NAME[/N]",
	.summary = "of hosts of the gateway's inventory",
	.words_least = 1,
	.words_most = 1,
	.run = run_host,
};

static const struct command *const subs[] = {&cmd_devices_cf, &cmd_devices_bosh, &cmd_devices_host, NULL};

const struct command cmd_devices = {
	.name = "devices",
	.words = "cf|bosh|host",
	.summary = "list the interfaces of an instance",
	.subs = subs,
};
