/* pcap-agent - captures on this host for the gateway. */
#include "collector/agent.h"
#include "collector/priority.h"
#include "collector/privileges.h"
#include "common/log.h"
#include "common/tls_files.h"
#include "common/version.h"
#include "schema/config_agent.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"usage: pcap-agent --config FILE [--check-config]\n"
	"       pcap-agent --config-help | --version | --help\n"
	"\n"
	"Captures packets of this host for a pcap-gateway, over mutual TLS.\n"
	"\n"
	"  --config FILE    the configuration, YAML\n"
	"  --check-config   read it and the files that it names, say what is wrong, and end\n"
	"  --config-help    print all keys with their defaults\n"
	"\n"
	"Needs CAP_NET_RAW and gives up everything else, but for what entering containers takes, where these are "
	"offered:\n"
	"CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.  SIGTERM ends running captures gracefully.\n";

struct arguments {
	const char *config_path;
	bool check;
};

enum next { NEXT_RUN, NEXT_DONE, NEXT_USAGE };

static enum next read_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'k'},
		{"config-help", no_argument, NULL, 'H'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			ret->config_path = optarg;
			break;
		case 'k':
			ret->check = true;
			break;
		case 'H':
			config_help(config_agent_keys, config_agent_keys_n, stdout);
			return NEXT_DONE;
		case 'v':
			printf("pcap-agent %s (API level %d)\n", PCAPLINE_VERSION, PCAPLINE_API_LEVEL);
			return NEXT_DONE;
		case 'h':
			fputs(usage, stdout);
			return NEXT_DONE;
		default:
			return NEXT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "pcap-agent: unexpected argument \"%s\"\n", argv[optind]);
		return NEXT_USAGE;
	}
	if (!ret->config_path) {
		fputs("pcap-agent: --config FILE is missing\n", stderr);
		return NEXT_USAGE;
	}
	return NEXT_RUN;
}

/* Blocked in every thread, so that only the wait below sees them.  A lost terminal is no reason to lose packets: HUP ends us as gracefully. */
static int block_signals(sigset_t *ret, struct err *err)
{
	int rc;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_sys(err, errno, "SIGPIPE");
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	rc = pthread_sigmask(SIG_BLOCK, ret, NULL);
	return rc == 0 ? 0 : err_sys(err, rc, "blocking signals");
}

static void log_ready(const struct agent *a, const struct config_agent *config)
{
	char caps[256];

	log_event(LOG_LEVEL_INFO, "agent.ready",
		json_pack("{s:s, s:s, s:i, s:i, s:i, s:s}", "version", PCAPLINE_VERSION, "address",
			config->listen_address, "port", (int)agent_port(a), "pid", (int)getpid(), "uid", (int)geteuid(),
			"capabilities", privileges_text(caps, sizeof(caps))));
}

/* The agent works without; but whoever counts on it wants to know. */
static void step_back(const struct config_agent *config)
{
	static int (*const steps[])(const struct config_agent *config, struct err *err) = {
		priority_nice, priority_io, priority_oom};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct err err = {0};

		if (steps[i](config, &err) < 0)
			log_err(LOG_LEVEL_WARNING, "guard.priority", &err, NULL);
	}
}

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static int load_metrics_tls(const struct config_metrics *c, struct tls_files *ret, struct err *err)
{
	return tls_files_load(ret, or_null(c->certificate), or_null(c->private_key), or_null(c->client_ca), err);
}

/* Key files are read before privileges go, for the user we become need not be able to read them; the port is bound after it, for
 * threads keep the privileges of the time when they were started. */
static int run(const struct config_agent *config, const struct tls_files *tls, const struct tls_files *metrics_tls,
	struct err *err)
{
	const struct privileges_options privileges = privileges_wanted(config);
	struct agent *agent;
	sigset_t signals;
	int sig = 0;

	step_back(config);
	if (block_signals(&signals, err) < 0 || privileges_drop(&privileges, err) < 0)
		return -1;
	agent = agent_start(config, tls, metrics_tls, err);
	if (!agent)
		return -1;
	log_ready(agent, config);
	while (sigwait(&signals, &sig) != 0)
		continue;
	log_event(LOG_LEVEL_INFO, "agent.stopping", json_pack("{s:i}", "signal", sig));
	if (!agent_stop(agent)) {
		/* Some thread is stuck: it is not waited for, and nothing of it is freed. */
		log_event(LOG_LEVEL_WARNING, "agent.stopped", json_pack("{s:b}", "clean", 0));
		_exit(EXIT_SUCCESS);
	}
	log_event(LOG_LEVEL_INFO, "agent.stopped", json_pack("{s:b}", "clean", 1));
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments args = {0};
	struct config_agent config = {0};
	struct tls_files tls = {0}, metrics_tls = {0};
	enum log_level level = LOG_LEVEL_INFO;
	struct err err = {0};
	int status = EXIT_FAILURE;

	log_init("pcap-agent", LOG_LEVEL_INFO);
	switch (read_arguments(argc, argv, &args)) {
	case NEXT_DONE:
		return EXIT_SUCCESS;
	case NEXT_USAGE:
		fputs(usage, stderr);
		return EXIT_USAGE;
	case NEXT_RUN:
		break;
	}
	if (config_agent_load(args.config_path, &config, &err) < 0)
		goto out;
	agent_see_processes(&config);
	if (log_level_parse(config.log_level, &level) == 0)
		log_init("pcap-agent", level);
	if (tls_files_load(&tls, config.tls_certificate, config.tls_private_key, config.tls_client_ca, &err) < 0) {
		err_in(&err, "%s: tls", args.config_path);
		goto out;
	}
	if (load_metrics_tls(&config.metrics, &metrics_tls, &err) < 0) {
		err_in(&err, "%s: metrics", args.config_path);
		goto out;
	}
	if (args.check)
		puts("configuration is good");
	else if (run(&config, &tls, &metrics_tls, &err) < 0)
		goto out;
	status = EXIT_SUCCESS;
out:
	if (status != EXIT_SUCCESS && args.check)
		fprintf(stderr, "pcap-agent: %s\n", err.msg);
	else if (status != EXIT_SUCCESS)
		log_err(LOG_LEVEL_ERROR, "agent.failed", &err, NULL);
	tls_files_done(&tls);
	tls_files_done(&metrics_tls);
	config_agent_done(&config);
	return status;
}
