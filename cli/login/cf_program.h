/* cf_program.h - the cf CLI itself, asked for its token: it renews it and keeps what came, which nobody else may do for it. */
#ifndef PCAPLINE_CLI_LOGIN_CF_PROGRAM_H
#define PCAPLINE_CLI_LOGIN_CF_PROGRAM_H

#include "cli/halt.h"
#include "common/err.h"

/* cf_program_find: the first `cf` in the absolute folders of PATH; new string, NULL: none. */
char *cf_program_find(void);

/* cf_program_token: what `cf oauth-token` prints, without "bearer"; new string.  No shell; no token in its arguments or environment; 20 s at most.
 * NULL: ERR_AUTH (it says no), ERR_TIMEOUT, ERR_IO (it cannot be run, or prints something else), ERR_CANCELLED (halt, may be NULL: the program
 * goes on by itself, it may be writing its file). */
char *cf_program_token(const char *program, struct halt *halt, struct err *err);

#endif
