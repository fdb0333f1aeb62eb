/* cmd_bosh.c - pcap bosh: capture from VMs of a deployment, with the bosh CLI's login or a client's. */
#include "cli/cli.h"
#include "cli/login/identity.h"
#include "cli/matched.h"
#include "cli/request.h"
#include "cli/start.h"
#include "cli/talk.h"
#include "cli/target.h"
#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

struct values {
	struct request_values request; /* the first: request_options write to it */
	struct matched_values matched;
	const char *environment, *deployment, *ca_cert;
};

#define AT(member) offsetof(struct values, member)

static const struct arg_option options[] = {
	{'e', "environment", "ENV", ARG_TEXT, AT(environment), 0, 0,
		"the director, URL or alias (else BOSH_ENVIRONMENT)"},
	{'d', "deployment", "NAME", ARG_TEXT, AT(deployment), 0, 0, "the deployment (else BOSH_DEPLOYMENT)"},
	{0, "ca-cert", "FILE", ARG_TEXT, AT(ca_cert), 0, 0,
		"the director's CA (else BOSH_CA_CERT, else as bosh knows it)"},
	MATCHED_OPTIONS(struct values, matched),
	{0},
};

static const char details[] =
	"An instance is GROUP/INDEX or GROUP/ID, a GROUP stands for all its instances; without any word it is the "
	"whole deployment.\n"
	"Where words stop being instances and the filter begins: see \"pcap help targets\"; here the first word too "
	"may be of the\n"
	"filter.\n"
	"\n"
	"  pcap bosh -d cf router                  all routers, live to ./cf--router-JOB.pcapng\n"
	"  pcap bosh -e lab -d cf router/0 diego-cell -s 128 tcp port 443\n"
	"  pcap bosh -d cf -- tcp port 443         the whole deployment\n"
	"\n"
	"The login is BOSH_CLIENT and BOSH_CLIENT_SECRET, else the bosh CLI's (BOSH_CONFIG or your home folder's "
	".bosh/config), and\n"
	"is renewed at the director's UAA while the capture runs.  pcap never writes that file.  PCAP_TOKEN overrides "
	"it.\n"
	"BOSH_CA_CERT may be a file or the certificate itself; BOSH_ALL_PROXY is not used.\n"
	"Where that UAA hands out each refresh token once, log in to bosh again afterwards.\n"
	"The gateway must be named (--gateway, PCAP_GATEWAY).\n";

static json_t *build(const struct values *v, const struct args *args, const char *deployment, struct err *err)
{
	size_t words_n = request_split(args, v->request.filter != NULL, 0);
	json_t *targets;
	int rc = 0;

	if (request_check(&v->request, args, err) < 0)
		return NULL;
	targets = json_array();
	if (!words_n)
		rc = target_add_vm(targets, deployment, NULL, err);
	for (size_t i = 0; i < words_n && rc == 0; i++)
		rc = target_add_vm(targets, deployment, args->words[i], err);
	if (rc == 0)
		return request_build(&v->request, args, words_n, targets, err);
	json_decref(targets);
	return NULL;
}

static void say_header(const struct identity *id, const char *deployment)
{
	char name[256], url[256], user[128];
	struct token_info info;

	login_info(id->first, &info);
	text_clean(info.user, user, sizeof(user));
	if (id->bosh_url)
		talk_say("Using environment '%s'%s%s%s", text_clean(id->bosh_url, url, sizeof(url)),
			*user ? (info.is_client ? " as client '" : " as user '") : "", user, *user ? "'" : "");
	talk_say("Using deployment '%s'", text_clean(deployment, name, sizeof(name)));
}

static int capture(struct cli *cli, const struct values *v, const char *deployment, json_t *request)
{
	const struct cli_identity who = {.environment = v->environment, .ca_cert = v->ca_cert, .login = identity_bosh};
	struct err err = {0};
	char first[256];
	struct api api;
	int rc;

	if (cli_api_as(cli, &who, &api, &err) < 0)
		return cli_fail(&err);
	say_header(api.identity, deployment);
	if ((rc = matched_ask(&api, &v->matched, request)) == CLI_OK) {
		target_text(json_object_get(request, "target"), first, sizeof(first));
		first[strcspn(first, ",")] = '\0';
		rc = start_run(&api, cli, &v->request, request, first);
	}
	api_close(&api);
	return rc;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;
	const char *deployment = v->deployment ? v->deployment : getenv("BOSH_DEPLOYMENT");
	struct err err = {0};
	json_t *request;
	int rc;

	cli_manner(CLI_AS_BOSH);
	if ((rc = start_check(cli, &v->request)) != CLI_OK)
		return cli_end(rc);
	if (!deployment || !*deployment)
		return cli_end(cli_usage("which deployment? give -d NAME or set BOSH_DEPLOYMENT"));
	request = build(v, args, deployment, &err);
	rc = request ? capture(cli, v, deployment, request) : cli_fail(&err);
	json_decref(request);
	return cli_end(rc);
}

const struct command cmd_bosh = {
	.name = "bosh",
	.words = "[GROUP[/ID]]... [--] [FILTER...]",
	.summary = "capture from VMs of a deployment, with the bosh CLI's login",
	.details = details,
	.options = request_options,
	.more_options = options,
	.values_size = sizeof(struct values),
	.words_most = ARGS_WORDS_MAX,
	.run = run,
};
_Static_assert(sizeof(struct values) <= CLI_VALUES_MAX, "values of pcap bosh");
