/* cmd_cf.c - pcap cf: capture from apps of Cloud Foundry, with the cf CLI's login; VMs of deployments may be in the same capture. */
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
	const char *process, *environment, *ca_cert;
	bool guid;
	struct arg_list app_guids, bosh;
};

#define AT(member) offsetof(struct values, member)

static const struct arg_option options[] = {
	{0, "process", "TYPE", ARG_TEXT, AT(process), 0, 0, "process of the apps (default web)"},
	{0, "guid", NULL, ARG_FLAG, AT(guid), 0, 0, "the words are GUIDs of apps instead of names"},
	{0, "app-guid", "GUID[/INDEX]", ARG_LIST, AT(app_guids), 0, 0, "also this app; may be given several times"},
	{0, "bosh", "DEPLOYMENT[/GROUP[/ID]]", ARG_LIST, AT(bosh), 0, 0,
		"also these VMs, with the bosh login; may be given several times"},
	{'e', "environment", "ENV", ARG_TEXT, AT(environment), 0, 0,
		"for --bosh: the director, URL or alias (else BOSH_ENVIRONMENT)"},
	{0, "ca-cert", "FILE", ARG_TEXT, AT(ca_cert), 0, 0,
		"for --bosh: its CA (else BOSH_CA_CERT, else as bosh knows it)"},
	MATCHED_OPTIONS(struct values, matched),
	{0},
};

static const char details[] =
	"Apps are those of the space that \"cf target\" shows; with --guid they may be of any space that you may see.  "
	"Without an\n"
	"/INDEX all instances of the app are captured, and those that come later as well.  Where words stop being apps "
	"and the\n"
	"filter begins: see \"pcap help targets\".\n"
	"\n"
	"  pcap cf shop                            all instances, live to ./shop-JOB.pcapng\n"
	"  pcap cf shop/0 shop/2 cart -c 100 tcp port 8080\n"
	"  pcap cf shop -i lo -w - | wireshark -k -i -\n"
	"  pcap cf shop --bosh cf/router -e lab    the app and the routers before it in one file\n"
	"\n"
	"Which device: eth0 is what comes from outside, lo is within the container.  Where the platform puts Envoy "
	"before the app\n"
	"(the default), a request comes as TLS from the router to Envoy over eth0 and goes on from Envoy to the app as "
	"plain HTTP\n"
	"over lo: eth0 shows who speaks when but not what, lo shows the HTTP itself.  With -i eth0,lo each request is "
	"in the file\n"
	"twice, encrypted and plain, and so is its size.\n"
	"\n"
	"The login is the cf CLI's: CF_HOME or your home folder's .cf/config.json, renewed while the capture runs by "
	"\"cf\n"
	"oauth-token\", or, without a cf program, at the UAA.  pcap never writes that file.  PCAP_TOKEN overrides it.\n"
	"The gateway is the one that the platform's root document names, else pcap. and the system domain; the "
	"certificates of both\n"
	"are always verified, also after \"cf api --skip-ssl-validation\" (--cacert).\n";

/* ---- the request ---- */

static int add_targets(
	const struct values *v, const struct args *args, size_t words_n, json_t *targets, struct err *err)
{
	if (!words_n && !v->app_guids.n)
		return err_set(err, ERR_INPUT, "no app: name at least one (APP or APP/INDEX)");
	for (size_t i = 0; i < words_n; i++)
		if (target_add_app(targets, args->words[i], v->guid, v->process, err) < 0)
			return -1;
	for (size_t i = 0; i < v->app_guids.n; i++)
		if (target_add_app(targets, v->app_guids.items[i], true, v->process, err) < 0)
			return -1;
	for (size_t i = 0; i < v->bosh.n; i++)
		if (target_add_deployment(targets, v->bosh.items[i], err) < 0)
			return -1;
	return 0;
}

static json_t *build(const struct values *v, const struct args *args, json_t *targets, struct err *err)
{
	size_t words_n = request_split(args, v->request.filter != NULL, v->app_guids.n ? 0 : args->words_n ? 1 : 0);

	if (request_check(&v->request, args, err) < 0 || add_targets(v, args, words_n, targets, err) < 0)
		return NULL;
	if (!v->bosh.n && (v->environment || v->ca_cert)) {
		err_set(err, ERR_INPUT, "-e and --ca-cert go with --bosh");
		return NULL;
	}
	return request_build(&v->request, args, words_n, json_incref(targets), err);
}

/* ---- what cf would say ---- */

static void add_names(const json_t *targets, struct buf *b, size_t *ret_apps)
{
	const char *name;
	json_t *one;
	size_t i;

	json_array_foreach(targets, i, one)
	{
		name = *json_text(one, "app_name") ? json_text(one, "app_name") : json_text(one, "app");
		if (*name)
			buf_addf(b, NULL, "%s%s", (*ret_apps)++ ? ", " : "", name);
	}
}

static void say_vms(const struct identity *id, const json_t *targets)
{
	char names[512], clean[512], url[256];
	struct token_info info;
	json_t *vms = json_array(), *one;
	size_t i;

	json_array_foreach(targets, i, one) if (*json_text(one, "deployment")) json_array_append(vms, one);
	login_info(id->second, &info);
	text_clean(target_text(vms, names, sizeof(names)), clean, sizeof(clean));
	talk_say("and from %s at '%s'%s%s...", clean, text_clean(id->bosh_url, url, sizeof(url)),
		*info.user ? " as " : "", info.user);
	json_decref(vms);
}

static void say_header(const struct identity *id, const json_t *targets)
{
	char names[512], org[128], space[128], user[128];
	struct token_info info;
	struct buf b;
	size_t n = 0;

	login_info(id->first, &info);
	buf_init(&b, 4096);
	add_names(targets, &b, &n);
	text_clean(buf_str(&b) ? buf_str(&b) : "", names, sizeof(names));
	buf_done(&b);
	text_clean(info.user, user, sizeof(user));
	if (target_has_names(targets))
		talk_say("Capturing from %s %s in org %s / space %s%s%s...", n > 1 ? "apps" : "app", names,
			text_clean(id->cf.org, org, sizeof(org)), text_clean(id->cf.space, space, sizeof(space)),
			*user ? " as " : "", user);
	else
		talk_say("Capturing from %s %s%s%s...", n > 1 ? "apps" : "app", names, *user ? " as " : "", user);
	if (id->second)
		say_vms(id, targets);
}

static int capture(struct cli *cli, const struct values *v, json_t *targets, json_t *request)
{
	const struct cli_identity who = {.environment = v->environment,
		.ca_cert = v->ca_cert,
		.login = identity_cf,
		.second = v->bosh.n ? identity_second : NULL};
	struct err err = {0};
	char first[256];
	struct api api;
	int rc;

	if (cli_api_as(cli, &who, &api, &err) < 0)
		return cli_fail(&err);
	if (identity_place(api.identity, targets, &err) < 0) {
		rc = cli_fail(&err);
	} else {
		say_header(api.identity, targets);
		rc = matched_ask(&api, &v->matched, request);
	}
	if (rc == CLI_OK) {
		target_text(json_array_get(targets, 0), first, sizeof(first));
		first[strcspn(first, ",")] = '\0';
		rc = start_run(&api, cli, &v->request, request, first);
	}
	api_close(&api);
	return rc;
}

static int run(struct cli *cli, const struct args *args, const void *values)
{
	const struct values *v = values;
	struct err err = {0};
	json_t *targets, *request;
	int rc;

	cli_manner(CLI_AS_CF);
	if ((rc = start_check(cli, &v->request)) != CLI_OK)
		return cli_end(rc);
	targets = json_array();
	request = build(v, args, targets, &err);
	rc = request ? capture(cli, v, targets, request) : cli_fail(&err);
	json_decref(request);
	json_decref(targets);
	return cli_end(rc);
}

const struct command cmd_cf = {
	.name = "cf",
	.words = "APP[/INDEX]... [--] [FILTER...]",
	.summary = "capture from apps, with the cf CLI's login",
	.details = details,
	.options = request_options,
	.more_options = options,
	.values_size = sizeof(struct values),
	.words_most = ARGS_WORDS_MAX,
	.run = run,
};
_Static_assert(sizeof(struct values) <= CLI_VALUES_MAX, "values of pcap cf");
