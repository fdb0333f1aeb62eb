/* pcap-gateway: the public door.  Loads the configuration, opens state and store, finishes what a former process left, serves, and drains
 * when told to end. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/http_client.h"
#include "common/log.h"
#include "common/parse.h"
#include "common/source_ports.h"
#include "common/version.h"
#include "gateway/api/api.h"
#include "gateway/audit/audit.h"
#include "gateway/capture/capture.h"
#include "gateway/capture/jobs.h"
#include "gateway/gateway.h"
#include "gateway/identity/identity.h"
#include "gateway/limits/limits.h"
#include "gateway/limits/rate.h"
#include "gateway/metrics/metrics_page.h"
#include "gateway/page/page.h"
#include "gateway/page/page_login.h"
#include "gateway/policy/enforcer.h"
#include "gateway/policy/policy.h"
#include "gateway/storage/retention.h"
#include "gateway/storage/storage.h"
#include "gateway/targets/agents.h"
#include "gateway/targets/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES_MAX (32u * 1024)
#define STREAM_BYTES     (256u * 1024)
#define BODY_TIMEOUT_S   20u
#define KILL_WAIT_MS     10000u

static const char usage[] = "usage: pcap-gateway --config FILE [--check-config]\n"
			    "       pcap-gateway --config-help | --version | --help\n"
			    "\n"
			    "Lets users capture packets on the instances that they may see.\n"
			    "\n"
			    "  -c, --config FILE    configuration (YAML)\n"
			    "      --check-config   read it with all files it names, say what is wrong, and end\n"
			    "      --config-help    print all configuration keys with defaults and ranges\n"
			    "  -V, --version        print the version\n"
			    "  -h, --help           print this\n"
			    "\n"
			    "SIGTERM and SIGINT drain: captures end gracefully, then the program.  SIGHUP reads\n"
			    "inventory, tokens and issuers again, and opens the file of the audit trail anew.  Logs "
			    "are JSON lines on stderr.\n";

struct arguments {
	const char *config;
	bool check;
};

/* 0: go on; 1: done, exit 0; 2: usage error. */
static int read_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'C'},
		{"config-help", no_argument, NULL, 'H'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			ret->config = optarg;
			break;
		case 'C':
			ret->check = true;
			break;
		case 'H':
			config_help(config_gateway_keys, config_gateway_keys_n, stdout);
			return 1;
		case 'V':
			printf("pcap-gateway %s\n", PCAPLINE_VERSION);
			return 1;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			fputs("see pcap-gateway --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "pcap-gateway: unexpected argument \"%s\"; see --help\n", argv[optind]);
		return 2;
	}
	if (!ret->config) {
		fputs("pcap-gateway: --config FILE is needed; see --help\n", stderr);
		return 2;
	}
	return 0;
}

/* ---- opening ---- */

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static int check_issuers(struct gateway *gw, struct err *err)
{
	json_t *logins = json_array();
	int rc;

	gw->identities->ops->tell_login(gw->identities, logins);
	rc = targets_check_issuers(gw->targets, logins, err);
	json_decref(logins);
	return rc;
}

static int load_files(struct gateway *gw, struct err *err)
{
	struct config_gateway *c = &gw->config;

	if (tls_files_load(&gw->agents_tls, c->agents_certificate, c->agents_private_key, c->agents_ca, err) < 0)
		return err_in(err, "agents");
	if (tls_files_load(&gw->server_tls, or_null(c->tls_certificate), or_null(c->tls_private_key), NULL, err) < 0)
		return err_in(err, "tls");
	if (tls_files_load(&gw->metrics_tls, or_null(c->metrics.certificate), or_null(c->metrics.private_key),
		    or_null(c->metrics.client_ca), err) < 0)
		return err_in(err, "metrics");
	if (!(gw->identities = identity_any_new(c->tokens_file, c->issuers_file, err)))
		return -1;
	if (!(gw->targets = targets_new(c, err)))
		return -1;
	if (c->page_enabled && (!(gw->page = page_new(err)) || page_login_new(c, &gw->login, err) < 0))
		return -1;
	return check_issuers(gw, err);
}

/* Becomes another user for good, who then owns the state folder. */
static int become(const char *user, const char *state_dir, struct err *err)
{
	const struct passwd *p;

	if (!user[0])
		return 0;
	if (geteuid() != 0)
		return err_set(err, ERR_PERM, "run_as: only root can become \"%s\"", user);
	errno = 0;
	if (!(p = getpwnam(user)))
		return err_set(err, ERR_INPUT, "run_as: there is no user \"%s\"", user);
	if (chown(state_dir, p->pw_uid, p->pw_gid) < 0)
		return err_sys(err, errno, "%s", state_dir);
	if (setgroups(0, NULL) < 0 || setgid(p->pw_gid) < 0 || setuid(p->pw_uid) < 0)
		return err_sys(err, errno, "run_as: become \"%s\"", user);
	return 0;
}

/* One gateway per state folder: a second one would take the first one's captures for left over. */
static int lock_state(const char *dir, struct err *err)
{
	char *path = fs_path("%s/lock", dir);
	int fd;

	if (!path)
		return err_nomem(err);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		err_sys(err, errno, "%s", path);
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		err_set(err, ERR_STATE, "%s is held: another pcap-gateway uses this state_dir", path);
	else
		goto out; /* kept open until the process ends */
	fs_close(fd);
	fd = -1;
out:
	free(path);
	return fd < 0 ? -1 : 0;
}

static char *below(const char *dir, const char *configured, const char *name, struct err *err)
{
	char *path = configured[0] ? strdup(configured) : fs_path("%s/%s", dir, name);

	if (!path)
		err_nomem(err);
	return path;
}

static int open_policy(struct gateway *gw, struct err *err)
{
	struct policy_options o = {
		.db = gw->db,
		.closed = strcmp(gw->config.policy_default, "closed") == 0,
		.store_closed = strcmp(gw->config.policy_storage, "closed") == 0,
	};

	policy_developers_parse(gw->config.policy_developers, &o.developers);
	return (gw->policy = policy_new(&o, err)) ? 0 : -1;
}

_Static_assert(LINK_KEY_BYTES == LIMITS_KEY_BYTES, "the key of links makes that of limits");

static int open_state(struct gateway *gw, struct err *err)
{
	const struct config_gateway *c = &gw->config;
	char *db = NULL, *key = NULL;
	int rc = -1;

	if (fs_mkdir_p(c->state_dir, 0700, err) < 0 || become(c->run_as, c->state_dir, err) < 0 ||
		lock_state(c->state_dir, err) < 0)
		goto out;
	if (!(db = fs_path("%s/jobs.db", c->state_dir)) ||
		!(key = below(c->state_dir, c->link_key_file, "link.key", err))) {
		err_nomem(err);
		goto out;
	}
	if (stop_switch_open(&gw->stop_switch, c->state_dir, err) < 0)
		goto out;
	if (!(gw->db = job_db_open(db, err)) || link_key_load(key, &gw->link_key, err) < 0)
		goto out;
	if (open_policy(gw, err) < 0)
		goto out;
	if (!(gw->jobs = jobs_new(err)) || !(gw->limits = limits_new(c, gw->db, gw->link_key.bytes, err)) ||
		!(gw->rate = rate_new(c->limit_rate_per_capture, c->limit_rate, err)))
		goto out;
	if (!(gw->agents = agents_new(err)))
		goto out;
	rc = c->storage_enabled ? storage_open(gw, err) : 0;
out:
	free(db);
	free(key);
	return rc;
}

static int open_server(struct gateway *gw, struct err *err)
{
	const struct config_gateway *c = &gw->config;
	bool tls = c->tls_certificate[0] != '\0';
	struct http_server_options o = {
		.address = c->listen_address,
		.port = (uint16_t)c->listen_port,
		.tls = tls ? &gw->server_tls : NULL,
		.connections_max = (unsigned)c->limit_connections,
		.connections_reserved = API_RESERVED,
		.connections_per_address_max = (unsigned)c->limit_connections_per_address,
		.idle_timeout_s = (unsigned)((c->limit_idle_ms + 999) / 1000),
		.header_timeout_s = (unsigned)((c->limit_header_ms + 999) / 1000),
		.body_timeout_s = BODY_TIMEOUT_S,
		.header_bytes_max = HEADER_BYTES_MAX,
		.body_bytes_max = CAPTURE_BODY_MAX,
		.stream_block_bytes = STREAM_BYTES,
		.on_headers = api_on_headers,
		.on_request = api_on_request,
		.on_done = api_on_done,
		.ctx = gw,
	};
	struct http_server *server;
	char where[300], *url;

	if (!(server = http_server_start(&o, err)))
		return err_in(err, "listen");
	atomic_store(&gw->server, server); /* the page of metrics counts its connections */
	parse_join_host_port(c->listen_address, http_server_port(server), where, sizeof(where));
	url = c->public_url[0] ? strdup(c->public_url) : fs_path("%s://%s", tls ? "https" : "http", where);
	if (!url)
		return err_nomem(err);
	for (size_t n = strlen(url); n > 1 && url[n - 1] == '/'; n--)
		url[n - 1] = '\0';
	atomic_store(&gw->public_url, url);
	log_event(LOG_LEVEL_INFO, "gateway.listening",
		json_pack("{s:s, s:b, s:b, s:s}", "address", where, "tls", tls, "storage", gw->store != NULL, "version",
			PCAPLINE_VERSION));
	return 0;
}

static void close_all(struct gateway *gw)
{
	metrics_page_close(gw);
	http_server_stop(gw->server);
	enforcer_stop(gw->enforcer);
	storage_close(gw); /* and with it the eraser, who looks at jobs */
	jobs_free(gw->jobs);
	agents_free(gw->agents);
	limits_free(gw->limits);
	rate_free(gw->rate);
	policy_free(gw->policy);
	audit_close(gw->audit);
	job_db_close(gw->db);
	stop_switch_close(&gw->stop_switch);
	targets_free(gw->targets);
	page_login_free(gw->login);
	page_free(gw->page);
	if (gw->identities)
		gw->identities->ops->free(gw->identities);
	tls_files_done(&gw->server_tls);
	tls_files_done(&gw->agents_tls);
	tls_files_done(&gw->metrics_tls);
	digest_wipe(&gw->link_key, sizeof(gw->link_key));
	free(gw->public_url);
	config_gateway_done(&gw->config);
}

/* ---- running ---- */

/* What the files say now, and what came of it. */
static void audit_reload(struct gateway *gw, json_t **known, const struct err *err)
{
	json_t *now = audit_config_json(gw, *known);
	const struct audit_record r = {
		.action = "config.reload",
		.outcome = err->code == ERR_NONE ? "ok" : "failed",
		.code = err->code == ERR_NONE ? NULL : err_api_code(err),
		.why = err->msg,
		.data = now,
	};

	audit_reopen(gw->audit);
	audit_write(gw->audit, &r, NULL);
	json_decref(*known);
	*known = now;
}

static void reload(struct gateway *gw, json_t **known)
{
	struct err err = {0};

	if (gw->identities->ops->reload(gw->identities, &err) < 0 || targets_reload(gw->targets, &err) < 0 ||
		page_login_reload(gw->login, &err) < 0)
		log_err(LOG_LEVEL_ERROR, "gateway.reload_failed", &err, NULL);
	else
		log_event(LOG_LEVEL_INFO, "gateway.reloaded", NULL);
	audit_reload(gw, known, &err);
}

static void end_captures(struct gateway *gw, bool kill)
{
	size_t n;
	struct capture **all = jobs_all(gw->jobs, &n);

	for (size_t i = 0; i < n; i++) {
		if (kill)
			capture_kill(all[i], STOP_GATEWAY_SHUTDOWN, NULL);
		else
			capture_stop(all[i], STOP_GATEWAY_SHUTDOWN, NULL);
		capture_unref(all[i]);
	}
	free(all);
}

static void drain(struct gateway *gw)
{
	log_event(
		LOG_LEVEL_INFO, "gateway.draining", json_pack("{s:I}", "captures", (json_int_t)jobs_running(gw->jobs)));
	atomic_store(&gw->draining, true);
	jobs_close(gw->jobs);
	end_captures(gw, false);
	if (jobs_wait_empty(gw->jobs, gw->config.drain_ms) < 0) {
		log_event(LOG_LEVEL_WARNING, "gateway.drain_timeout",
			json_pack("{s:I}", "captures", (json_int_t)jobs_running(gw->jobs)));
		end_captures(gw, true);
		if (jobs_wait_empty(gw->jobs, KILL_WAIT_MS / 2) < 0 && gw->store)
			store_cancel(gw->store,
				NULL); /* a store that is away: what is in the spool is finished by the next process */
		if (jobs_wait_empty(gw->jobs, KILL_WAIT_MS) < 0) {
			/* Their threads still use what would be freed; the next start finishes these captures from the spool. */
			log_event(LOG_LEVEL_ERROR, "gateway.captures_hang", NULL);
			_exit(1);
		}
	}
	http_server_quiesce(gw->server);
}

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void serve(struct gateway *gw, const sigset_t *signals)
{
	json_t *known = audit_config_json(gw, NULL);
	int sig = 0;

	while (sigwait(signals, &sig) == 0 && sig == SIGHUP)
		reload(gw, &known);
	json_decref(known);
	drain(gw);
}

static int run(struct gateway *gw, const struct arguments *args, const sigset_t *signals, struct err *err)
{
	struct retention *retention;

	if (load_files(gw, err) < 0)
		return err_in(err, "%s", args->config);
	if (args->check)
		return storage_check_files(&gw->config, err) < 0 ? err_in(err, "%s", args->config) : 0;
	if (open_state(gw, err) < 0 || storage_watch(gw, err) < 0 || !(gw->audit = audit_open(gw, err)))
		return -1;
	audit_event(gw->audit, "gateway.start", audit_config_json(gw, NULL));
	if (!(gw->enforcer = enforcer_start(gw, err)) || !(retention = retention_start(gw, err)))
		return -1;
	/* What may fail comes first: once somebody is served there may be captures, which use all that would be freed. */
	if (metrics_page_open(gw, err) < 0 || open_server(gw, err) < 0) {
		if (gw->server)
			drain(gw);
		retention_stop(retention);
		return -1;
	}
	serve(gw, signals);
	retention_stop(retention);
	audit_settle(gw->audit);
	audit_event(gw->audit, "gateway.stop", NULL);
	log_event(LOG_LEVEL_INFO, "gateway.ended", NULL);
	return 0;
}

/* Segments of a few 100 KiB are made by one thread and freed by another, a hundred times a second: the heap keeps some room instead of
 * asking the kernel for zeroed pages each time. */
static void set_heap(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
	mallopt(M_TOP_PAD, 1024 * 1024);
}

int main(int argc, char **argv)
{
	struct arguments args = {0};
	enum log_level level = LOG_LEVEL_INFO;
	struct gateway gw = {.readiness.lock = PTHREAD_MUTEX_INITIALIZER,
		.stop_switch.lock = PTHREAD_MUTEX_INITIALIZER,
		.stop_switch.writing = PTHREAD_MUTEX_INITIALIZER};
	struct err err = {0};
	sigset_t signals;
	int rc = read_arguments(argc, argv, &args);

	if (rc != 0)
		return rc == 1 ? 0 : 2;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* keys and packets are in this memory */
	umask(077);
	set_heap();
	log_init("pcap-gateway", level);
	block_signals(&signals);
	id_new(gw.id);
	if (config_gateway_load(args.config, &gw.config, &err) < 0) {
		fprintf(stderr, "pcap-gateway: %s\n", err.msg);
		return 1;
	}
	log_level_parse(gw.config.log_level, &level);
	log_init("pcap-gateway", level);
	source_ports_set((uint16_t)gw.config.outgoing_port);
	rc = http_client_global_init(&err);
	if (rc == 0)
		rc = run(&gw, &args, &signals, &err);
	close_all(&gw);
	if (rc < 0) {
		fprintf(stderr, "pcap-gateway: %s\n", err.msg);
		return 1;
	}
	if (args.check)
		puts("configuration is good");
	return 0;
}
