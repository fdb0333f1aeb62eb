/* cf_config.h - what the cf CLI remembers: where its platform is, who is logged in, what is targeted.  Read, never written. */
#ifndef PCAPLINE_CLI_LOGIN_CF_CONFIG_H
#define PCAPLINE_CLI_LOGIN_CF_CONFIG_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/* Texts are "" when the file does not say; they are borrowed from root. */
struct cf_config {
	bool is_there;    /* a file, of the version that is known */
	bool is_readable; /* by everybody on this machine */
	const char *target, *uaa, *access_token, *refresh_token;
	const char *client, *client_secret, *grant_type;
	const char *org, *space, *space_guid;
	bool ssl_disabled;
	json_t *root;
};

/* cf_config_path: $CF_HOME/.cf/config.json, else below HOME; a new string, NULL: neither is set, or no memory. */
char *cf_config_path(void);

/* cf_config_load: a missing file is none (is_there false), as is one of another version: cf takes it so too.  ERR_INPUT: not what cf writes, the
 * message names file and member.  cf_config_done frees, also after a failure. */
int cf_config_load(const char *path, struct cf_config *ret, struct err *err);
void cf_config_done(struct cf_config *c);

#endif
