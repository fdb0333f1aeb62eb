/* http_caller.c - see http_caller.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/http_caller.h"
#include "test/unit/http_rig.h"

#include <stdio.h>
#include <string.h>

void caller_use(struct caller *c, uint16_t port, const char *path)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->url, sizeof(c->url), "http://127.0.0.1:%u%s", port, path);
	c->o.method = "GET";
	c->o.url = c->url;
	c->o.total_timeout_ms = RIG_WAIT_MS; /* so that no test hangs */
}

struct http_call *caller_run(struct caller *c, int *ret_rc)
{
	struct http_call *call = http_call_new(&c->o, &c->err);

	if (!call)
		fail_msg("%s", c->err.msg);
	*ret_rc = http_call_run(call, &c->err);
	return call;
}

void caller_fails(struct caller *c, enum err_code code, const char *says)
{
	int rc;

	memset(&c->err, 0, sizeof(c->err));
	http_call_free(caller_run(c, &rc));
	if (rc == 0)
		fail_msg("\"%s\" was expected to fail", says);
	if (c->err.code != code || !strstr(c->err.msg, says))
		fail_msg("not %s \"%s\" but %s \"%s\"", err_code_name(code), says, err_code_name(c->err.code),
			c->err.msg);
}
