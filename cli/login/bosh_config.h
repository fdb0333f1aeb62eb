/* bosh_config.h - what the bosh CLI remembers of an environment (a director).  Read, never written. */
#ifndef PCAPLINE_CLI_LOGIN_BOSH_CONFIG_H
#define PCAPLINE_CLI_LOGIN_BOSH_CONFIG_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/* Texts are "" when the file does not say; they are borrowed from root. */
struct bosh_config {
	bool is_there;    /* the file */
	bool is_known;    /* the environment in it */
	bool is_readable; /* by everybody on this machine */
	const char *url, *ca_cert, *access_token, *refresh_token, *username, *password;
	json_t *root;
};

/* bosh_config_path: BOSH_CONFIG, else below HOME; a new string, NULL: neither is set, or no memory. */
char *bosh_config_path(void);

/* bosh_config_load: the environment of this alias or exact url.  A missing file knows none.  ERR_INPUT: not what bosh writes.
 * bosh_config_done frees, also after a failure. */
int bosh_config_load(const char *path, const char *environment, struct bosh_config *ret, struct err *err);
void bosh_config_done(struct bosh_config *c);

#endif
