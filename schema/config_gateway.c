#include "schema/config_gateway.h"

#include "common/digest.h"
#include "common/source_ports.h"
#include "schema/capture_request.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define PATH_MAX_BYTES 4096
#define KIB            (UINT64_C(1) << 10)
#define MIB            (UINT64_C(1) << 20)
#define GIB            (UINT64_C(1) << 30)
#define TIB            (UINT64_C(1) << 40)
#define SECOND_MS      UINT64_C(1000)
#define MINUTE_MS      (60 * SECOND_MS)
#define HOUR_MS        (60 * MINUTE_MS)
#define DAY_MS         (24 * HOUR_MS)
#define RATE_LEAST     (64 * KIB)
#define AT(field)      offsetof(struct config_gateway, field)

const struct config_key config_gateway_keys[] = {
	{"", "public_url", CONFIG_TEXT, AT(public_url), "", 0, 512, NULL, "",
		"Base of the links that users get; empty: http or https, listen.address and listen.port"},
	{"", "state_dir", CONFIG_TEXT, AT(state_dir), "/var/lib/pcap-gateway", 1, PATH_MAX_BYTES, NULL, "",
		"Folder of the database, the spool, the objects and the link key"},
	{"", "run_as", CONFIG_TEXT, AT(run_as), "", 0, 32, NULL, "",
		"User to become when started as root; empty: stay"},
	{"", "log_level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, "debug|info|warning|error", "",
		"What is worth a line in the log"},
	{"", "drain_timeout", CONFIG_DURATION, AT(drain_ms), "30s", SECOND_MS, 15 * MINUTE_MS, NULL, "",
		"How long a gateway that was told to end waits for its captures"},
	{"", "inventory", CONFIG_TEXT, AT(inventory_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the host targets; empty: there are none"},
	{"", "tokens", CONFIG_TEXT, AT(tokens_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the static tokens; empty: there are none"},
	{"", "issuers", CONFIG_TEXT, AT(issuers_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the issuers whose signed tokens are taken (UAA, OpenID Connect); empty: there are none"},

	{"listen", "address", CONFIG_TEXT, AT(listen_address), "127.0.0.1", 1, 45, NULL, "",
		"Numeric address of the public API"},
	{"listen", "port", CONFIG_NUMBER, AT(listen_port), "8780", 0, 65535, NULL, "", "Port; 0: any free one"},

	{"outgoing", "port", CONFIG_NUMBER, AT(outgoing_port), "61440", 0, 61440, NULL, "",
		"First of 4096 local ports that the gateway's own connections, to agents and to the store, leave from, "
		"so that captures leave them out; 0: any "
		"port, and a capture on the gateway's machine can see what is stored"},

	{"tls", "certificate", CONFIG_TEXT, AT(tls_certificate), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the public certificate, PEM, with its chain; empty: plain HTTP, on loopback only"},
	{"tls", "private_key", CONFIG_TEXT, AT(tls_private_key), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of its private key, PEM"},

	{"agents", "ca", CONFIG_TEXT, AT(agents_ca), NULL, 1, PATH_MAX_BYTES, NULL, "",
		"File of the CA that signed the agents' certificates, PEM"},
	{"agents", "certificate", CONFIG_TEXT, AT(agents_certificate), NULL, 1, PATH_MAX_BYTES, NULL, "",
		"File of the gateway's client certificate, PEM"},
	{"agents", "private_key", CONFIG_TEXT, AT(agents_private_key), NULL, 1, PATH_MAX_BYTES, NULL, "",
		"File of its private key, PEM"},
	{"agents", "name", CONFIG_TEXT, AT(agents_name), "pcap-agent", 1, 253, NULL, "",
		"DNS name that an agent's certificate must bear"},
	{"agents", "connect_timeout", CONFIG_DURATION, AT(agents_connect_ms), "5s", 100, MINUTE_MS, NULL, "",
		"Until a connection to an agent stands"},
	{"agents", "start_timeout", CONFIG_DURATION, AT(agents_start_ms), "10s", 100, MINUTE_MS, NULL, "",
		"Until an agent has answered a start"},
	{"agents", "idle_timeout", CONFIG_DURATION, AT(agents_idle_ms), "15s", 3 * SECOND_MS, 5 * MINUTE_MS, NULL, "",
		"An agent that sends nothing for so long, not even statistics, is lost"},
	{"agents", "stop_timeout", CONFIG_DURATION, AT(agents_stop_ms), "10s", SECOND_MS, MINUTE_MS, NULL, "",
		"Grace for the rest of an agent's packets after a stop"},

	{"storage", "enabled", CONFIG_BOOL, AT(storage_enabled), "true", 0, 0, NULL, "",
		"Whether captures can be stored"},
	{"storage", "driver", CONFIG_CHOICE, AT(storage_driver), "file", 0, 0, "file|s3", "",
		"Where objects are kept: in a folder, or in a bucket (section s3)"},
	{"storage", "strict", CONFIG_BOOL, AT(storage_strict), "false", 0, 0, NULL, "",
		"Refuse to store while the examination of the store finds errors or warnings"},
	{"storage", "links", CONFIG_CHOICE, AT(storage_links), "direct", 0, 0, "direct|gateway", "",
		"Whether links lead to the store itself where it can sign them, or always to this gateway"},
	{"storage", "path", CONFIG_TEXT, AT(storage_path), "", 0, PATH_MAX_BYTES, NULL, "",
		"Folder of the objects (driver file); empty: state_dir/objects"},
	{"storage", "spool", CONFIG_TEXT, AT(storage_spool), "", 0, PATH_MAX_BYTES, NULL, "",
		"Folder of what is not yet an object; empty: state_dir/spool"},
	{"storage", "chunk", CONFIG_SIZE, AT(storage_chunk_bytes), "8MiB", 64 * KIB, GIB, NULL, "", "Size of a chunk"},
	{"storage", "job_max", CONFIG_SIZE, AT(storage_job_max_bytes), "10GiB", 64 * KIB, 1024 * TIB, NULL, "",
		"Largest stored capture"},
	{"storage", "min_free", CONFIG_SIZE, AT(storage_min_free_bytes), "256MiB", 0, 1024 * TIB, NULL, "",
		"With less free disk than this, captures to store end or are refused"},
	{"storage", "spool_job_max", CONFIG_SIZE, AT(storage_spool_job_max_bytes), "2GiB", 0, 1024 * TIB, NULL, "",
		"What of one capture may wait in the spool while the store does not take it; then the capture ends; 0: "
		"no "
		"limit"},
	{"storage", "spool_max", CONFIG_SIZE, AT(storage_spool_max_bytes), "16GiB", 0, 1024 * TIB, NULL, "",
		"What of all captures together may wait in the spool; 0: no limit"},
	{"storage", "retention", CONFIG_DURATION, AT(storage_retention_ms), "24h", SECOND_MS, 365 * DAY_MS, NULL, "",
		"How long objects are kept"},
	{"storage", "retention_max", CONFIG_DURATION, AT(storage_retention_max_ms), "0s", 0, 365 * DAY_MS, NULL, "",
		"The longest that a user may ask for; 0s: storage.retention. A rule in a bucket goes by it"},
	{"storage", "sweep_interval", CONFIG_DURATION, AT(storage_sweep_ms), "60s", 100, HOUR_MS, NULL, "",
		"How often expired objects are looked for"},
	{"storage", "history", CONFIG_DURATION, AT(storage_history_ms), "30d", SECOND_MS, 3650 * DAY_MS, NULL, "",
		"How long ended captures without an object are remembered"},
	{"storage", "prefix", CONFIG_TEXT, AT(storage_prefix), "captures", 1, 200, NULL, "",
		"First part of every object's key"},

	{"s3", "endpoint", CONFIG_TEXT, AT(s3.endpoint), "", 0, 512, NULL, "",
		"URL of the store, without a path: https://s3.eu-central-1.amazonaws.com"},
	{"s3", "bucket", CONFIG_TEXT, AT(s3.bucket), "", 0, 63, NULL, "", "Name of the bucket, which must be there"},
	{"s3", "region", CONFIG_TEXT, AT(s3.region), "us-east-1", 1, 63, NULL, "",
		"Region that requests are signed for"},
	{"s3", "signature_version", CONFIG_CHOICE, AT(s3.signature_version), "4", 0, 0, "4|2", "",
		"4; or 2 for older stores: whole objects of at most 5GiB at the end of a capture, no tags, no "
		"encryption, no "
		"lifecycle"},
	{"s3", "path_style", CONFIG_BOOL, AT(s3.path_style), "true", 0, 0, NULL, "",
		"Whether the bucket stands in the path of a URL or before the host name"},
	{"s3", "ca", CONFIG_TEXT, AT(s3.ca), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the CA that signed the store's certificate, PEM; empty: the system's CAs"},
	{"s3", "allow_http", CONFIG_BOOL, AT(s3.allow_http), "false", 0, 0, NULL, "",
		"Whether the endpoint may be http://: everybody on the way can read the captures"},
	{"s3", "credentials", CONFIG_CHOICE, AT(s3.credentials), "static", 0, 0, "static|environment|file|instance", "",
		"Where the keys come from: from here, from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from a file, "
		"from the "
		"instance metadata service"},
	{"s3", "access_key", CONFIG_TEXT, AT(s3.access_key), "", 0, 128, NULL, "", "Access key (credentials static)"},
	{"s3", "secret_key", CONFIG_TEXT, AT(s3.secret_key), "", 0, 128, NULL, "", "Its secret key"},
	{"s3", "session_token", CONFIG_TEXT, AT(s3.session_token), "", 0, 4096, NULL, "",
		"Session token of temporary keys; empty: the keys are lasting ones"},
	{"s3", "credentials_file", CONFIG_TEXT, AT(s3.credentials_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the keys, as ~/.aws/credentials (credentials file); read again when it changes"},
	{"s3", "profile", CONFIG_TEXT, AT(s3.profile), "", 0, 128, NULL, "",
		"Profile in that file; empty: \"default\""},
	{"s3", "imds_url", CONFIG_TEXT, AT(s3.imds_url), "", 0, 512, NULL, "",
		"URL of the metadata service (credentials instance); empty: that of EC2"},
	{"s3", "encryption", CONFIG_CHOICE, AT(s3.encryption), "none", 0, 0, "none|AES256|aws:kms", "",
		"What the store is asked to encrypt objects with; none: what the bucket does by itself"},
	{"s3", "kms_key_id", CONFIG_TEXT, AT(s3.kms_key_id), "", 0, 2048, NULL, "",
		"Key for aws:kms; empty: the bucket's"},
	{"s3", "part_min", CONFIG_SIZE, AT(s3.part_min_bytes), "5MiB", 64 * KIB, GIB, NULL, "",
		"Smallest part that the store takes; storage.chunk must not be smaller"},
	{"s3", "parallel", CONFIG_NUMBER, AT(s3.parallel), "4", 1, 32, NULL, "parts",
		"Parts of one capture on their way at once"},
	{"s3", "connections", CONFIG_NUMBER, AT(s3.connections), "16", 1, 256, NULL, "uploads",
		"Uploads on their way to the store at once, over all captures; what else the store is asked does not "
		"wait for them"},
	{"s3", "connect_timeout", CONFIG_DURATION, AT(s3.connect_timeout_ms), "10s", SECOND_MS, 10 * MINUTE_MS, NULL,
		"", "Until a connection to the store stands"},
	{"s3", "idle_timeout", CONFIG_DURATION, AT(s3.idle_timeout_ms), "30s", SECOND_MS, 10 * MINUTE_MS, NULL, "",
		"A request on which nothing moves for so long has failed"},
	{"s3", "lifecycle", CONFIG_BOOL, AT(s3.lifecycle), "true", 0, 0, NULL, "",
		"Put the bucket's lifecycle rule for storage.prefix in place (signature version 4)"},

	{"links", "ttl", CONFIG_DURATION, AT(link_ttl_ms), "15m", SECOND_MS, 7 * DAY_MS, NULL, "",
		"How long a download link works"},
	{"links", "ttl_max", CONFIG_DURATION, AT(link_ttl_max_ms), "24h", SECOND_MS, 7 * DAY_MS, NULL, "",
		"The longest that a user may ask for"},
	{"links", "key_file", CONFIG_TEXT, AT(link_key_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the key that signs links, made when missing; empty: state_dir/link.key"},

	{"live", "backlog", CONFIG_SIZE, AT(live_backlog_bytes), "32MiB", MIB, 4 * GIB, NULL, "",
		"What a live capture keeps for a viewer that is slow or comes back"},
	{"live", "grace", CONFIG_DURATION, AT(live_grace_ms), "30s", 0, HOUR_MS, NULL, "",
		"How long a live capture waits for its viewer to come back"},

	{"merge", "window", CONFIG_DURATION, AT(merge_window_ms), "200ms", 1, 10 * SECOND_MS, NULL, "",
		"How long a packet waits for earlier ones of other instances"},
	{"merge", "queue", CONFIG_SIZE, AT(merge_queue_bytes), "8MiB", 256 * KIB, GIB, NULL, "",
		"Bytes that wait, per instance"},

	{"limits", "captures", CONFIG_NUMBER, AT(limit_captures), "100", 1, 10000, NULL, "captures",
		"Captures at once"},
	{"limits", "captures_per_user", CONFIG_NUMBER, AT(limit_captures_per_user), "10", 1, 10000, NULL, "captures",
		"Captures at once of one user"},
	{"limits", "captures_per_org", CONFIG_NUMBER, AT(limit_captures_per_org), "50", 0, 10000, NULL, "captures",
		"Captures at once of one org's apps, or of its users where the targets lie in no org; half of all, so "
		"that others find room; 0: no limit, as in all limits below"},
	{"limits", "captures_per_space", CONFIG_NUMBER, AT(limit_captures_per_space), "30", 0, 10000, NULL, "captures",
		"Captures at once of one space's apps"},
	{"limits", "captures_per_app", CONFIG_NUMBER, AT(limit_captures_per_app), "10", 0, 10000, NULL, "captures",
		"Captures at once of one app"},
	{"limits", "captures_per_agent", CONFIG_NUMBER, AT(limit_captures_per_agent), "100", 0, 10000, NULL,
		"instances",
		"Instances captured at once by one agent; each is a thread there (an agent has a limit of its own "
		"too)"},
	{"limits", "starts_per_hour", CONFIG_NUMBER, AT(limit_starts_per_hour), "200", 0, 1000000, NULL, "captures",
		"Captures that one user may start within any hour, also across restarts; more than one each 18 s is a "
		"script that went wrong"},
	{"limits", "starts_per_day", CONFIG_NUMBER, AT(limit_starts_per_day), "1000", 0, 1000000, NULL, "captures",
		"The same within any 24 hours"},
	{"limits", "starts_per_hour_org", CONFIG_NUMBER, AT(limit_starts_per_hour_org), "1000", 0, 1000000, NULL,
		"captures",
		"Captures that may be started of one org within any hour; one of two orgs is a start in each"},
	{"limits", "starts_per_day_org", CONFIG_NUMBER, AT(limit_starts_per_day_org), "5000", 0, 1000000, NULL,
		"captures", "The same within any 24 hours"},
	{"limits", "max_bytes", CONFIG_SIZE, AT(limit_max_bytes), "100GiB", 0, 1024 * TIB, NULL, "",
		"Largest capture, live or stored, and the default; a stored one is bounded by storage.job_max too"},
	{"limits", "max_packets", CONFIG_NUMBER, AT(limit_max_packets), "0", 0, CAPTURE_PACKETS_MAX, NULL, "packets",
		"Most packets of a capture, and the default"},
	{"limits", "rate_per_capture", CONFIG_SIZE, AT(limit_rate_per_capture), "0", 0, 16 * GIB, NULL, "",
		"Bytes per second of one capture, all of its instances together: 0, or at least 64KiB; beyond it the "
		"agents' kernels drop, and count; none by default, as agents bound themselves (their limits.rate)"},
	{"limits", "rate", CONFIG_SIZE, AT(limit_rate), "0", 0, 16 * GIB, NULL, "",
		"Bytes per second of the whole gateway, shared fairly between users, whatever number of captures each "
		"has: 0, or at least 64KiB; what is right depends on the machine, so none by default"},
	{"limits", "quota_user", CONFIG_SIZE, AT(limit_quota_user_bytes), "100GiB", 0, 1024 * TIB, NULL, "",
		"Bytes that one user may have stored, running captures among them; ten of the largest"},
	{"limits", "quota_org", CONFIG_SIZE, AT(limit_quota_org_bytes), "1TiB", 0, 1024 * TIB, NULL, "",
		"Bytes that may be stored of one org; a capture of two orgs counts in full in each"},
	{"limits", "waiting_per_user", CONFIG_NUMBER, AT(limit_waiting_per_user), "10", 1, 1000, NULL, "captures",
		"Captures of one user that may wait for an operator's approval"},
	{"limits", "instances", CONFIG_NUMBER, AT(limit_instances), "50", 1, 1000, NULL, "instances",
		"Instances in one capture"},
	{"limits", "connections", CONFIG_NUMBER, AT(limit_connections), "1024", 8, 65536, NULL, "connections",
		"Connections at once"},
	{"limits", "connections_per_address", CONFIG_NUMBER, AT(limit_connections_per_address), "0", 0, 65536, NULL,
		"connections",
		"Connections at once from one address; 0: no limit of its own (behind a proxy all have the same)"},
	{"limits", "duration", CONFIG_DURATION, AT(limit_duration_ms), "24h", SECOND_MS, 7 * DAY_MS, NULL, "",
		"Longest capture, and the default"},
	{"limits", "snaplen", CONFIG_NUMBER, AT(limit_snaplen), "262144", 16, 262144, NULL, "bytes",
		"Most bytes of a packet that are captured"},
	{"limits", "idle_timeout", CONFIG_DURATION, AT(limit_idle_ms), "120s", SECOND_MS, HOUR_MS, NULL, "",
		"How long an idle connection is kept (a proxy in front should close first: gorouter does after 90 s)"},
	{"limits", "header_timeout", CONFIG_DURATION, AT(limit_header_ms), "10s", 100, 5 * MINUTE_MS, NULL, "",
		"Until a request's header is whole"},

	{"policy", "share", CONFIG_CHOICE, AT(share), "none", 0, 0, "none|space|org", "",
		"Whose captures a user sees beside the own"},
	{"policy", "default", CONFIG_CHOICE, AT(policy_default), "open", 0, 0, "open|closed", "",
		"Whether captures are allowed where no switch says anything"},
	{"policy", "storage", CONFIG_CHOICE, AT(policy_storage), "open", 0, 0, "open|closed", "",
		"The same of storing them"},
	{"policy", "developers", CONFIG_CHOICE, AT(policy_developers), "disable", 0, 0, "off|disable|on", "",
		"Whether space developers may switch captures of their own apps and spaces: not at all; off, and on "
		"again what they switched off; or also on where policy.default is closed"},

	{"policy", "approval", CONFIG_CHOICE, AT(policy_approval), "off", 0, 0, "off|all", "",
		"Whether every capture of somebody who is no operator waits until an operator approves it; switches "
		"ask for that on parts of the platform, in either case"},
	{"policy", "approval_expiry", CONFIG_DURATION, AT(approval_expiry_ms), "24h", SECOND_MS, 30 * DAY_MS, NULL, "",
		"How long a capture waits for an approval, and how long an approved one may then be begun"},

	{"page", "enabled", CONFIG_BOOL, AT(page_enabled), "true", 0, 0, NULL, "",
		"Whether the status page is at /admin; with no more rights than those of the token that it is given"},
	{"page", "client_id", CONFIG_TEXT, AT(page_client_id), "", 0, 255, NULL, "",
		"Client of the issuer with which people log in there (authorization code with PKCE; in UAA one with "
		"allowpublic, and the page's address as redirect-uri); empty: tokens are pasted"},
	{"page", "issuer", CONFIG_TEXT, AT(page_issuer), "cf", 1, 31, NULL, "",
		"Name, in the file of issuers, of whom that client belongs to"},
	{"page", "scopes", CONFIG_TEXT, AT(page_scopes), "", 0, 1024, NULL, "",
		"Scopes to ask for, with spaces between them; empty: all that the client may have"},
	{"page", "authorize_url", CONFIG_TEXT, AT(page_authorize_url), "", 0, 512, NULL, "",
		"Where people log in; empty: /oauth/authorize below the issuer's login_url, as UAA has it"},
	{"page", "token_url", CONFIG_TEXT, AT(page_token_url), "", 0, 512, NULL, "",
		"Where the gateway changes a code for a token; empty: /oauth/token below the issuer's url, as UAA has "
		"it"},

	{"cf", "api", CONFIG_TEXT, AT(cf_api), "", 0, 512, NULL, "",
		"URL of Cloud Controller, https://api.sys.example.test; empty: apps are no targets here"},
	{"cf", "ca", CONFIG_TEXT, AT(cf_ca), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the CA that signed its certificate, PEM; empty: the system's CAs"},
	{"cf", "issuer", CONFIG_TEXT, AT(cf_issuer), "cf", 1, 31, NULL, "",
		"Name, in the file of issuers, of the UAA whose tokens it takes"},
	{"cf", "timeout", CONFIG_DURATION, AT(cf_timeout_ms), "10s", SECOND_MS, MINUTE_MS, NULL, "",
		"Until it has answered a request"},
	{"cf", "agent_port", CONFIG_NUMBER, AT(cf_agent_port), "9494", 1, 65535, NULL, "", "Port of the cells' agents"},
	{"cf", "agent_name", CONFIG_TEXT, AT(cf_agent_name), "", 0, 253, NULL, "",
		"DNS name that their certificates bear; empty: agents.name"},
	{"cf", "ssh", CONFIG_BOOL, AT(cf_ssh), "false", 0, 0, NULL, "",
		"Whether only apps that cf ssh may enter may be captured"},
	{"cf", "label", CONFIG_TEXT, AT(cf_label), "", 0, 317, NULL, "",
		"Key of a label of org, space or app whose value deny forbids captures and allow permits them; the "
		"org's "
		"word is above the space's, that above the app's; empty: labels are not looked at"},
	{"cf", "default", CONFIG_CHOICE, AT(cf_default), "allow", 0, 0, "allow|deny", "",
		"What holds where no label says anything"},

	{"bosh", "director", CONFIG_TEXT, AT(bosh_director), "", 0, 512, NULL, "",
		"URL of the director, https://10.0.0.6:25555; empty: VMs are no targets here"},
	{"bosh", "ca", CONFIG_TEXT, AT(bosh_ca), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the CA that signed its certificate, PEM; empty: the system's CAs"},
	{"bosh", "issuer", CONFIG_TEXT, AT(bosh_issuer), "bosh", 1, 31, NULL, "",
		"Name, in the file of issuers, of the UAA whose tokens it takes"},
	{"bosh", "timeout", CONFIG_DURATION, AT(bosh_timeout_ms), "10s", SECOND_MS, MINUTE_MS, NULL, "",
		"Until it has answered a request"},
	{"bosh", "agent_port", CONFIG_NUMBER, AT(bosh_agent_port), "9494", 1, 65535, NULL, "",
		"Port of the VMs' agents"},
	{"bosh", "agent_name", CONFIG_TEXT, AT(bosh_agent_name), "", 0, 253, NULL, "",
		"DNS name that their certificates bear; empty: agents.name"},
	{"bosh", "confirm", CONFIG_BOOL, AT(bosh_confirm), "true", 0, 0, NULL, "",
		"Whether agents must confirm that they run on the very instance (their setting instance): an address "
		"may have "
		"changed hands"},

	{"recheck", "interval", CONFIG_DURATION, AT(recheck_interval_ms), "30s", SECOND_MS, HOUR_MS, NULL, "",
		"How often the platform is asked again what a running capture's user may capture, and where it is"},
	{"recheck", "grace", CONFIG_DURATION, AT(recheck_grace_ms), "10m", 0, DAY_MS, NULL, "",
		"How long a capture goes on while the platform does not answer, and a live one without a fresh token"},
	{"recheck", "stored", CONFIG_DURATION, AT(recheck_stored_ms), "1h", 0, 7 * DAY_MS, NULL, "",
		"How long a stored capture goes on without a fresh token"},

	{"audit", "file", CONFIG_TEXT, AT(audit_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the audit trail, JSON lines; empty: state_dir/audit.jsonl"},
	{"audit", "key_file", CONFIG_TEXT, AT(audit_key_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the key that seals its records, made when missing; empty: state_dir/audit.key"},
	{"audit", "sync", CONFIG_BOOL, AT(audit_sync), "true", 0, 0, NULL, "",
		"Whether a record must be on the disk before what it tells of happens"},
	{"audit", "file_max", CONFIG_SIZE, AT(audit_file_max_bytes), "100MiB", 64 * KIB, TIB, NULL, "",
		"With so many bytes the file is put aside, under its name and the number of its last record, and "
		"another one begun; none is ever removed"},
	{"audit", "retention", CONFIG_DURATION, AT(audit_retention_ms), "365d", HOUR_MS, 3650 * DAY_MS, NULL, "",
		"How long records stay in the database too, where operators look through them"},
	{"audit", "refused_per_minute", CONFIG_NUMBER, AT(audit_refused_per_minute), "60", 1, 10000, NULL, "records",
		"Refused tokens and links that get a record of their own, and ten times as many refusals of people who "
		"are "
		"known; the rest of a minute gets one together"},
	{"audit", "syslog", CONFIG_CHOICE, AT(audit_syslog), "off", 0, 0, "off|local", "",
		"Whether each record also goes to this machine's syslog"},
	{"audit", "syslog_socket", CONFIG_TEXT, AT(audit_syslog_socket), "/dev/log", 1, 107, NULL, "", "Its socket"},
	{"audit", "syslog_facility", CONFIG_CHOICE, AT(audit_syslog_facility), "auth", 0, 0,
		"auth|authpriv|daemon|user|local0|local1|local2|local3|local4|local5|local6|local7", "",
		"Facility of the records there"},
	{"audit", "syslog_format", CONFIG_CHOICE, AT(audit_syslog_format), "json", 0, 0, "json|cef", "",
		"Form of the records there; the file is always JSON"},

	{"webhook", "url", CONFIG_TEXT, AT(webhook_url), "", 0, 1024, NULL, "",
		"https URL that gets each record of webhook.events by POST; empty: none"},
	{"webhook", "secret_file", CONFIG_TEXT, AT(webhook_secret_file), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the secret that signs what is sent, 16 characters or more"},
	{"webhook", "ca", CONFIG_TEXT, AT(webhook_ca), "", 0, PATH_MAX_BYTES, NULL, "",
		"File of the CA that signed its certificate, PEM; empty: the system's CAs"},
	{"webhook", "events", CONFIG_LIST, AT(webhook_events), "", 1, 64, NULL, "",
		"Actions that it is told of; left out: capture.start, capture.end, admin.kill, admin.purge and "
		"admin.purged"},
	{"webhook", "timeout", CONFIG_DURATION, AT(webhook_timeout_ms), "10s", SECOND_MS, MINUTE_MS, NULL, "",
		"Until it has answered"},
	{"webhook", "allow_http", CONFIG_BOOL, AT(webhook_allow_http), "false", 0, 0, NULL, "",
		"Whether http:// will do, on this machine alone"},

	CONFIG_METRICS_KEYS(struct config_gateway),
};
const size_t config_gateway_keys_n = sizeof(config_gateway_keys) / sizeof(config_gateway_keys[0]);

static int check_listen(const struct config_gateway *c, struct err *err)
{
	const char *url = c->public_url;
	struct in6_addr any;

	if (inet_pton(AF_INET, c->listen_address, &any) != 1 && inet_pton(AF_INET6, c->listen_address, &any) != 1)
		return err_set(err, ERR_INPUT, "listen.address: \"%s\" is not a numeric address", c->listen_address);
	if (!*c->tls_certificate != !*c->tls_private_key)
		return err_set(err, ERR_INPUT, "tls.certificate and tls.private_key must be given together");
	if (!*c->tls_certificate && !config_is_loopback(c->listen_address))
		return err_set(err, ERR_INPUT,
			"listen.address: without tls.certificate only a loopback address, not \"%s\"",
			c->listen_address);
	if (*url && strncasecmp(url, "http://", 7) && strncasecmp(url, "https://", 8))
		return err_set(err, ERR_INPUT, "public_url: \"%s\" begins with neither http:// nor https://", url);
	if (strpbrk(url, " ?#\"<>\\"))
		return err_set(err, ERR_INPUT, "public_url: \"%s\" holds what the base of a link cannot", url);
	return 0;
}

static bool is_outgoing(const struct config_gateway *c, uint64_t port)
{
	return port >= c->outgoing_port && port < c->outgoing_port + SOURCE_PORTS_N;
}

static int check_outgoing(const struct config_gateway *c, struct err *err)
{
	if (c->outgoing_port == 0)
		return 0;
	if (c->outgoing_port < 1024)
		return err_set(err, ERR_INPUT, "outgoing.port: is 0 or 1024..61440");
	if (is_outgoing(c, c->listen_port) || is_outgoing(c, c->metrics.port) || is_outgoing(c, INVENTORY_AGENT_PORT))
		return err_set(err, ERR_INPUT,
			"outgoing.port: the %d ports from there on hold listen.port, metrics.port or the agents' port "
			"%d",
			SOURCE_PORTS_N, INVENTORY_AGENT_PORT);
	return 0;
}

static int check_rate(const char *name, uint64_t rate, struct err *err)
{
	if (rate > 0 && rate < RATE_LEAST)
		return err_set(err, ERR_INPUT, "%s: %" PRIu64 " is neither 0 nor at least 64KiB", name, rate);
	return 0;
}

static int check_limits(const struct config_gateway *c, struct err *err)
{
	if (check_rate("limits.rate_per_capture", c->limit_rate_per_capture, err) < 0 ||
		check_rate("limits.rate", c->limit_rate, err) < 0)
		return -1;
	if (c->storage_retention_max_ms > 0 && c->storage_retention_max_ms < c->storage_retention_ms)
		return err_set(err, ERR_INPUT, "storage.retention_max is shorter than storage.retention");
	return 0;
}

static int check_together(struct config_gateway *c, struct err *err)
{
	if (check_listen(c, err) < 0 || config_storage_check(c, err) < 0)
		return -1;
	if (check_outgoing(c, err) < 0 || config_platform_check(c, err) < 0 || config_audit_check(c, err) < 0)
		return -1;
	if (config_metrics_check(&c->metrics, err) < 0)
		return -1;
	if (check_limits(c, err) < 0)
		return -1;
	if (c->page_client_id[0] && !c->issuers_file[0])
		return err_set(
			err, ERR_INPUT, "page.client_id: is of no use without issuers, of which page.issuer is one");
	if (c->link_ttl_ms > c->link_ttl_max_ms)
		return err_set(err, ERR_INPUT, "links.ttl is longer than links.ttl_max");
	return 0;
}

int config_gateway_load(const char *path, struct config_gateway *ret, struct err *err)
{
	if (config_load(path, config_gateway_keys, config_gateway_keys_n, ret, err) < 0)
		return -1;
	if (check_together(ret, err) < 0) {
		config_gateway_done(ret);
		return path ? err_in(err, "%s", path) : -1;
	}
	return 0;
}

static void wipe(char *secret)
{
	if (secret)
		digest_wipe(secret, strlen(secret));
}

void config_gateway_done(struct config_gateway *c)
{
	wipe(c->s3.secret_key);
	wipe(c->s3.session_token);
	config_done(config_gateway_keys, config_gateway_keys_n, c);
}
