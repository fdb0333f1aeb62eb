/* config_gateway.h - the configuration of pcap-gateway, and the two lists it reads: inventory and static tokens. */
#ifndef PCAPLINE_SCHEMA_CONFIG_GATEWAY_H
#define PCAPLINE_SCHEMA_CONFIG_GATEWAY_H

#include "schema/config.h"
#include "schema/config_metrics.h"

/* Section s3: where the driver s3 keeps its objects.  Checked against each other by config_storage.c. */
struct config_s3 {
	char *endpoint; /* "https://s3.eu-central-1.amazonaws.com": a URL without path, query and user; no slash at its end */
	char *bucket;                                 /* named by S3's own rules */
	char *region;                                 /* "us-east-1" */
	char *signature_version;                      /* "4" 4|2 */
	bool path_style;                              /* true: endpoint/bucket/key; false: bucket.endpoint/key */
	char *ca;                                     /* "": path; "" : the system's CAs */
	bool allow_http;                              /* false: an endpoint with http:// is refused */
	char *credentials;                            /* "static" static|environment|file|instance */
	char *access_key;                             /* "" */
	char *secret_key;                             /* "", wiped by config_gateway_done */
	char *session_token;                          /* "", the same */
	char *credentials_file;                       /* "": path */
	char *profile;                                /* "" : "default" */
	char *imds_url;                               /* "" : that of EC2 */
	char *encryption;                             /* "none" none|AES256|aws:kms */
	char *kms_key_id;                             /* "" : the bucket's */
	uint64_t part_min_bytes;                      /* "5MiB", 64KiB..1GiB */
	uint64_t parallel;                            /* 4, 1..32 */
	uint64_t connections;                         /* 16, 1..256 */
	uint64_t connect_timeout_ms, idle_timeout_ms; /* 10s, 30s; 1s..10m */
	bool lifecycle;                               /* true; nothing to signature version 2 */
};

struct config_gateway {
	char *listen_address; /* listen.address "127.0.0.1" */
	uint64_t listen_port; /* listen.port 8780, 0..65535 */
	uint64_t
		outgoing_port; /* outgoing.port 61440, 0 or 1024..61440: first of SOURCE_PORTS_N; the default is above what Linux gives to others by itself */
	char *public_url;      /* public_url "": base of links; "" : http(s)://listen.address:port */
	char *tls_certificate; /* tls.certificate "": "" : plain HTTP, loopback only */
	char *tls_private_key; /* tls.private_key "" */
	char *agents_ca;       /* agents.ca (required path) */
	char *agents_certificate;   /* agents.certificate (required path): our client certificate */
	char *agents_private_key;   /* agents.private_key (required path) */
	char *agents_name;          /* agents.name "pcap-agent": DNS SAN an agent's certificate must bear */
	uint64_t agents_connect_ms; /* agents.connect_timeout "5s", 100ms..60s */
	uint64_t agents_start_ms;   /* agents.start_timeout "10s", 100ms..60s: until the agent's answer to a start */
	uint64_t
		agents_idle_ms; /* agents.idle_timeout "15s", 3s..5m: an agent that sends nothing for so long is lost */
	uint64_t agents_stop_ms; /* agents.stop_timeout "10s", 1s..60s: grace for its last packets after a stop */
	char *state_dir;         /* state_dir "/var/lib/pcap-gateway": database, spool, objects, keys live below it */
	char *run_as;            /* run_as "": user to become when started as root */
	char *log_level;         /* log_level "info" */
	bool storage_enabled;    /* storage.enabled true */
	char *storage_driver;    /* storage.driver "file" file|s3 */
	bool storage_strict;     /* storage.strict false: what the examination finds wrong refuses storage */
	char *storage_links;     /* storage.links "direct" direct|gateway */
	char *storage_path;      /* storage.path "": objects; "" : state_dir/objects */
	char *storage_spool;     /* storage.spool "": "" : state_dir/spool */
	uint64_t storage_chunk_bytes;    /* storage.chunk "8MiB", 64KiB..1GiB */
	uint64_t storage_job_max_bytes;  /* storage.job_max "10GiB": largest stored capture */
	uint64_t storage_min_free_bytes; /* storage.min_free "256MiB": with less free disk stored captures end */
	uint64_t
		storage_spool_job_max_bytes; /* storage.spool_job_max "2GiB": may wait in the spool, of one capture; 0: no limit */
	uint64_t storage_spool_max_bytes; /* storage.spool_max "16GiB": of all captures; 0: no limit */
	uint64_t storage_retention_ms;    /* storage.retention "24h", 1s..365d */
	uint64_t
		storage_retention_max_ms; /* storage.retention_max "0s", ..365d: longest that a user may ask for; 0: storage.retention */
	uint64_t storage_sweep_ms;   /* storage.sweep_interval "60s", 100ms..1h */
	uint64_t storage_history_ms; /* storage.history "30d": how long ended jobs without an object are remembered */
	char *storage_prefix;        /* storage.prefix "captures" */
	struct config_s3 s3;
	uint64_t link_ttl_ms;               /* links.ttl "15m", 1s..7d */
	uint64_t link_ttl_max_ms;           /* links.ttl_max "24h", 1s..7d */
	char *link_key_file;                /* links.key_file "": "" : state_dir/link.key, made at first start */
	uint64_t live_backlog_bytes;        /* live.backlog "32MiB", 1MiB..4GiB, per live job */
	uint64_t live_grace_ms;             /* live.grace "30s", 0..1h */
	uint64_t merge_window_ms;           /* merge.window "200ms", 1ms..10s */
	uint64_t merge_queue_bytes;         /* merge.queue "8MiB", 256KiB..1GiB, per instance */
	uint64_t limit_captures;            /* limits.captures 100, 1..10000 */
	uint64_t limit_captures_per_user;   /* limits.captures_per_user 10 */
	uint64_t limit_captures_per_org;    /* limits.captures_per_org 50; 0: no limit, here and below */
	uint64_t limit_captures_per_space;  /* limits.captures_per_space 30 */
	uint64_t limit_captures_per_app;    /* limits.captures_per_app 10 */
	uint64_t limit_captures_per_agent;  /* limits.captures_per_agent 100, instances */
	uint64_t limit_starts_per_hour;     /* limits.starts_per_hour 200, of one user */
	uint64_t limit_starts_per_day;      /* limits.starts_per_day 1000 */
	uint64_t limit_starts_per_hour_org; /* limits.starts_per_hour_org 1000 */
	uint64_t limit_starts_per_day_org;  /* limits.starts_per_day_org 5000 */
	uint64_t limit_max_bytes;   /* limits.max_bytes "100GiB": largest capture of either mode, and the default */
	uint64_t limit_max_packets; /* limits.max_packets 0 */
	uint64_t limit_rate_per_capture;        /* limits.rate_per_capture "0", bytes per second */
	uint64_t limit_rate;                    /* limits.rate "0", of the whole gateway */
	uint64_t limit_quota_user_bytes;        /* limits.quota_user "100GiB", stored */
	uint64_t limit_quota_org_bytes;         /* limits.quota_org "1TiB" */
	uint64_t limit_waiting_per_user;        /* limits.waiting_per_user 10, for an approval */
	uint64_t limit_instances;               /* limits.instances 50, 1..1000, per capture */
	uint64_t limit_connections;             /* limits.connections 1024, 8..65536 */
	uint64_t limit_connections_per_address; /* limits.connections_per_address 0 */
	uint64_t limit_duration_ms;             /* limits.duration "24h", 1s..7d: longest capture, and the default */
	uint64_t limit_snaplen;                 /* limits.snaplen 262144 */
	uint64_t limit_idle_ms;   /* limits.idle_timeout "120s": kept-alive connections (above gorouter's 90 s) */
	uint64_t limit_header_ms; /* limits.header_timeout "10s" */
	bool page_enabled;        /* page.enabled true */
	char *page_client_id; /* page.client_id "": public client of the issuer, for logins in the browser; "" : none, tokens are pasted */
	char *page_issuer; /* page.issuer "cf": name in `issuers` */
	char *page_scopes; /* page.scopes "": that it asks for, with spaces between; "" : all that the client may have */
	char *page_authorize_url;    /* page.authorize_url "": where people log in; "" : UAA's, below login_url */
	char *page_token_url;        /* page.token_url "": where codes become tokens; "" : UAA's, below url */
	char *share;                 /* policy.share "none" none|space|org */
	char *policy_default;        /* policy.default "open" open|closed: captures where no switch says anything */
	char *policy_storage;        /* policy.storage "open" open|closed: storing them */
	char *policy_approval;       /* policy.approval "off" off|all: every start by non-operators waits for one */
	uint64_t approval_expiry_ms; /* policy.approval_expiry "24h" */
	char *policy_developers;     /* policy.developers "disable" off|disable|on */
	/* Cloud Foundry: apps as targets; cf_api "" : not offered.  Checked by config_platform.c */
	char *cf_api;           /* cf.api "": https://api.sys.example.test */
	char *cf_ca;            /* cf.ca "": path; "" : the system's CAs */
	char *cf_issuer;        /* cf.issuer "cf": name in `issuers` */
	uint64_t cf_timeout_ms; /* cf.timeout "10s", 1s..60s, of one request */
	uint64_t cf_agent_port; /* cf.agent_port 9494, of the cells' agents */
	char *cf_agent_name;    /* cf.agent_name "": in the cells' agents' certificates; "" : agents.name */
	bool cf_ssh;            /* cf.ssh false: only apps that cf ssh may enter */
	char *cf_label; /* cf.label "": key of a label of app, space or org that says "allow" or "deny"; "" : labels say nothing */
	char *cf_default; /* cf.default "allow" allow|deny: where no label says anything */
	/* BOSH: VMs as targets; bosh_director "" : not offered */
	char *bosh_director;      /* bosh.director "": https://10.0.0.6:25555 */
	char *bosh_ca;            /* bosh.ca "" */
	char *bosh_issuer;        /* bosh.issuer "bosh" */
	uint64_t bosh_timeout_ms; /* bosh.timeout "10s" */
	uint64_t bosh_agent_port; /* bosh.agent_port 9494 */
	char *bosh_agent_name;    /* bosh.agent_name "" */
	bool bosh_confirm;        /* bosh.confirm true: agents confirm the instance's id (their setting `instance`) */
	uint64_t
		recheck_interval_ms; /* recheck.interval "30s", 1s..1h: how often a running capture's right and instances are asked for again */
	uint64_t
		recheck_grace_ms; /* recheck.grace "10m", 0..24h: how long it goes on while the platform does not answer, and live without a fresh token */
	uint64_t
		recheck_stored_ms; /* recheck.stored "1h", 0..7d: how long a stored capture goes on without a fresh token */
	/* The audit trail, and who is told of it at once.  Checked by config_audit.c */
	char *audit_file;              /* audit.file "": "" : state_dir/audit.jsonl */
	char *audit_key_file;          /* audit.key_file "": "" : state_dir/audit.key, made at first start */
	bool audit_sync;               /* audit.sync true: a record is on the disk before what it tells of happens */
	uint64_t audit_file_max_bytes; /* audit.file_max "100MiB", 64KiB..1TiB: then another file is begun */
	uint64_t audit_retention_ms;   /* audit.retention "365d", 1h..3650d, in the database */
	uint64_t audit_refused_per_minute; /* audit.refused_per_minute 60, 1..10000, of those whom nobody knows */
	char *audit_syslog;                /* audit.syslog "off" off|local */
	char *audit_syslog_socket;         /* audit.syslog_socket "/dev/log" */
	char *audit_syslog_facility;       /* audit.syslog_facility "auth" auth|authpriv|daemon|user|local0...local7 */
	char *audit_syslog_format;         /* audit.syslog_format "json" json|cef */
	char *webhook_url;                 /* webhook.url "": "" : nobody is told */
	char *webhook_secret_file;         /* webhook.secret_file "" */
	char *webhook_ca;                  /* webhook.ca "": path; "" : the system's CAs */
	struct config_list webhook_events; /* webhook.events: actions; empty: those of config_webhook_events */
	uint64_t webhook_timeout_ms;       /* webhook.timeout "10s", 1s..60s */
	bool webhook_allow_http;           /* webhook.allow_http false: http:// to this machine */
	uint64_t drain_ms;                 /* drain_timeout "30s", 1s..15m */
	char *inventory_file;              /* inventory "": path; "" : no host targets */
	struct config_metrics metrics;
	char *tokens_file;  /* tokens "": path */
	char *issuers_file; /* issuers "": path; see schema/issuers.h */
};

extern const struct config_key config_gateway_keys[];
extern const size_t config_gateway_keys_n;

/* Also checks keys against each other. */
int config_gateway_load(const char *path, struct config_gateway *ret, struct err *err);

/* config_storage_check: storage and s3 against each other (config_storage.c; called by config_gateway_load).  A slash at the end of s3.endpoint goes. */
int config_storage_check(struct config_gateway *c, struct err *err);

/* config_platform_check: cf, bosh and recheck against each other and issuers (config_platform.c; called by config_gateway_load). */
int config_platform_check(const struct config_gateway *c, struct err *err);

/* config_audit_check: webhook (config_audit.c; called by config_gateway_load). */
int config_audit_check(const struct config_gateway *c, struct err *err);

/* config_webhook_wants: is the webhook told of this action? */
bool config_webhook_wants(const struct config_gateway *c, const char *action);
void config_gateway_done(struct config_gateway *c);

/* ---- the static inventory ----
 *   groups:
 *   - name: web                       # [A-Za-z0-9._-]{1,63}
 *     users: [alice]                  # user ids, or names of static tokens
 *     orgs: [acme]                    # everybody of these
 *     scopes: ["cf:pcap.web"]         # everybody with a token of issuer "cf" that has this scope
 *     instances:
 *     - {id: "0", agent: "10.0.0.1:9494"}           # id: as name; agent: host[:9494], IPv6 in brackets
 *     - {id: "1", agent: "[fd00::2]:9494", agent_name: other-name}   # DNS name in its certificate when not agents.name
 */
#define INVENTORY_AGENT_PORT    9494 /* where an agent listens when it is not said */
#define INVENTORY_GROUPS_MAX    1000
#define INVENTORY_INSTANCES_MAX 10000

struct inventory_instance {
	char *id;
	char *host;
	uint16_t port;
	char *agent_name; /* "" : the default */
};
struct inventory_group {
	char *name;
	struct config_list users, orgs, scopes;
	struct inventory_instance *instances;
	size_t instances_n;
};
struct inventory {
	struct inventory_group *groups;
	size_t groups_n;
};
int inventory_load(const char *path, struct inventory *ret, struct err *err);
void inventory_done(struct inventory *i);

/* ---- static tokens ----
 *   tokens:
 *   - sha256: 64 hex digits of the token's SHA-256
 *     user_id: alice            # without ":"
 *     user_name: Alice          # optional, default user_id
 *     org: acme                 # optional
 *     space: dev                # optional
 *     operator: true            # optional, default false
 *     expires_at: 2027-01-01T00:00:00Z   # optional
 */
struct static_token {
	char sha256[65];
	char *user_id, *user_name, *org, *space;
	bool is_operator;
	uint64_t expires_at; /* wall ns, 0: never */
};
struct static_tokens {
	struct static_token *tokens;
	size_t n;
};
int static_tokens_load(const char *path, struct static_tokens *ret, struct err *err);
void static_tokens_done(struct static_tokens *t);

#endif
