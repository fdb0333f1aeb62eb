/* renewer.h - hands the gateway a fresh token while a capture runs: it asks the platform again with the latest one that came with a request
 * which names the job, and a live stream lasts longer than a token. */
#ifndef PCAPLINE_CLI_LOGIN_RENEWER_H
#define PCAPLINE_CLI_LOGIN_RENEWER_H

#include "cli/api.h"

struct renewer;

/* renewer_start: a thread that renews what is due and gets the job with it; NULL: no login of api is ever renewed, or there is no thread, without which
 * the capture still begins.  renewer_free ends it, and with it all renewals of the two logins; accepts NULL. */
struct renewer *renewer_start(const struct api *api, const char *job);
void renewer_free(struct renewer *r);

#endif
