/* identity.h - whose login a command uses, out of options, environment and the configurations of cf and bosh; and what these know of the platform.
 *
 * A command that names no platform takes PCAP_TOKEN, else the cf CLI's login, else (BOSH_ENVIRONMENT is set) the bosh CLI's; --login decides. */
#ifndef PCAPLINE_CLI_LOGIN_IDENTITY_H
#define PCAPLINE_CLI_LOGIN_IDENTITY_H

#include "cli/login/login.h"
#include "common/err.h"
#include "common/tls_files.h"

#include <stdbool.h>

/* As the user gave them; NULL: not. */
struct identity_options {
	const char *cacert;      /* of the gateway; the platform's servers may have one of the same CA */
	const char *login;       /* --login */
	const char *environment; /* -e */
	const char *ca_cert;     /* of the director: a file */
	bool verbose;
};

struct identity {
	struct identity_options o;
	struct login *first, *second;
	bool is_cf;          /* first is for the platform that cf has as its target: the gateway of that may get it */
	struct cf_config cf; /* read when it is first asked for */
	bool has_cf;
	struct bosh_config bosh;
	char *bosh_name, *bosh_url; /* of the environment */
	struct tls_files bosh_ca, also;
	bool has_also;
	char hint[128]; /* what later commands must be given to come as the same: "" or " --login bosh:lab" */
};

/* identity_init: identity_done must follow, also after failures of the others. */
int identity_init(struct identity *id, const struct identity_options *o, struct err *err);
void identity_done(struct identity *id);

/* identity_config: the cf CLI's configuration, whoever asks. */
int identity_config(struct identity *id, struct err *err);

/* Each fills `first` with a login that is ready. */
int identity_default(struct identity *id, struct err *err);
int identity_cf(struct identity *id, struct err *err);   /* PCAP_TOKEN overrides */
int identity_bosh(struct identity *id, struct err *err); /* PCAP_TOKEN overrides */

/* identity_second: the bosh login as the second one. */
int identity_second(struct identity *id, struct err *err);

/* identity_gateway: where the gateway of the platform is that cf has as its target: what the platform's root document says, else pcap. and its
 * system domain.  New string; NULL: ERR_INPUT, there is none, or `first` is not for that platform. */
char *identity_gateway(struct identity *id, struct err *err);

/* identity_place: apps that are named among these targets are of the space that cf has as its target; ERR_AUTH: there is none. */
int identity_place(struct identity *id, json_t *targets, struct err *err);

/* identity_derive: "https://api.sys.example.org" -> "https://pcap.sys.example.org"; NULL: the URL does not begin so, or no memory. */
char *identity_derive(const char *api);

/* identity_director: "lab.example.org" -> "https://lab.example.org:25555"; NULL: it can be no URL, or no memory. */
char *identity_director(const char *text);

#endif
