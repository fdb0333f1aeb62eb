/* uaa.h - calls to a platform's own servers with the user's login: its root document, its token endpoint. */
#ifndef PCAPLINE_CLI_LOGIN_UAA_H
#define PCAPLINE_CLI_LOGIN_UAA_H

#include "cli/halt.h"
#include "common/err.h"
#include "common/tls_files.h"

#include <jansson.h>
#include <stdbool.h>

/* How they are called.  Whose certificates are believed: those of ca, or the system's; when that fails those of also. */
struct trust {
	bool insecure;                     /* none is looked at: the user's own setting of that tool */
	const struct tls_files *ca, *also; /* NULL: none */
	struct halt *halt;                 /* ends a call that is under way; NULL: nothing does */
};

/* uaa_get: a JSON document of a platform, new reference.  what: "the director", for messages. */
json_t *uaa_get(const char *url, const struct trust *trust, const char *what, struct err *err);

struct uaa {
	const char *url; /* "https://login.sys.example.test", without /oauth/token */
	const char *client, *secret;
	bool secret_in_body; /* instead of HTTP Basic */
	struct trust trust;
};

struct uaa_answer {
	char *access_token, *refresh_token; /* the second one NULL: none came */
};

/* uaa_ask: a new token for this refresh token, or the client's own one (refresh NULL).  ERR_AUTH with detail UAA_REFUSED: the server says that it
 * takes them no more; ERR_NET...: anything else.  No message holds what was sent or what came.  ERR_PERM: url is plain HTTP to another machine. */
#define UAA_REFUSED "login_refused"
int uaa_ask(const struct uaa *u, const char *refresh, struct uaa_answer *ret, struct err *err);
void uaa_answer_done(struct uaa_answer *a); /* wipes */

#endif
