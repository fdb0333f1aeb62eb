/* issuers.h - whose signed tokens are taken: the file `issuers` of the gateway's configuration.
 *
 *   issuers:
 *   - name: cf                                          # [a-z0-9-]{1,31}: stands in front of its users' ids, "cf:7a1f..."
 *     issuer: https://uaa.sys.example.com/oauth/token   # what its tokens say as "iss", to the letter
 *     kind: uaa                                         # uaa (default) | oidc
 *     url: https://uaa.sys.example.com                  # its keys are found through /.well-known/openid-configuration below it, or
 *     keys_url: https://uaa.sys.example.com/token_keys  # here; one of the two
 *     login_url: https://login.sys.example.com          # optional: where `pcap info` sends people; default url
 *     ca: uaa-ca.pem                                    # optional; default: the system's CAs
 *     audience: [cloud_controller]                      # one of these stands in "aud"; "bosh.*": "bosh" or anything that begins with "bosh."
 *     required_scopes: [network.capture]                # optional: a token has all of these
 *     operator_scopes: [pcap.admin]                     # optional: who has one of these is an operator
 *     clients: true                                     # optional: are clients' own tokens taken (client credentials)?  Known by the marks of UAA, RFC 9068, Keycloak, Auth0, Entra ID
 *     leeway: 30s                                       # optional: clocks may differ by so much, 0..5m
 *     refresh: 5m                                       # optional: keys are fetched again after so long, 1s..1d
 *     retry: 10s                                        # optional: but never sooner than so after the last time, 100ms..10m
 *     allow_http: false                                 # optional: http:// is refused otherwise
 */
#ifndef PCAPLINE_SCHEMA_ISSUERS_H
#define PCAPLINE_SCHEMA_ISSUERS_H

#include "common/err.h"
#include "schema/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISSUERS_MAX        32
#define ISSUER_NAME_MAX    32 /* with the NUL */
#define ISSUER_URL_BYTES   512
#define ISSUER_SCOPE_BYTES 200

enum issuer_kind { ISSUER_UAA, ISSUER_OIDC };

struct issuer {
	char *name, *issuer;
	enum issuer_kind kind;
	char *url, *keys_url; /* one of them "" */
	char *login_url;      /* "" : none */
	char *ca;             /* path; "" : the system's */
	struct config_list audience, required_scopes, operator_scopes;
	bool clients, allow_http;
	uint64_t leeway_ms, refresh_ms, retry_ms;
};

struct issuers {
	struct issuer *issuers;
	size_t n;
};

/* Names and "iss" are unique afterwards, URLs whole.  path "": none.  ERR_INPUT: "path: issuer 2 (\"cf\"): audience: ..." */
int issuers_load(const char *path, struct issuers *ret, struct err *err);
void issuers_done(struct issuers *i);

#endif
