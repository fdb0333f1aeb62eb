/* test_http_client_tls.c - common/http_client*.c: certificates, of either side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fs.h"
#include "test/unit/http_caller.h"
#include "test/unit/http_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rig rig;
static struct rig_certs certs;
static struct caller call;

static int group_setup(void **state)
{
	(void)state;
	assert_int_equal(http_client_global_init(NULL), 0);
	rig_certs_init(&certs);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	rig_certs_done(&certs);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	rig_init(&rig);
	rig_start(&rig);
	caller_use(&call, http_server_port(rig.server), "/echo");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void use_tls(enum rig_client who, const char *host)
{
	rig_stop(&rig);
	rig_init(&rig);
	rig.o.tls = &certs.server;
	rig.o.client_name = RIG_CLIENT_NAME;
	rig_start(&rig);
	caller_use(&call, http_server_port(rig.server), "/echo");
	snprintf(call.url, sizeof(call.url), "https://%s:%u/echo", host, http_server_port(rig.server));
	call.o.tls = &certs.client[who];
}

static void both_sides_of_tls_are_checked(void **state)
{
	struct tls_files stranger = certs.client[RIG_RIGHT];
	struct http_call *c;
	char dial[32];
	int rc;

	(void)state;
	use_tls(RIG_RIGHT, "localhost");
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(http_call_status(c), 200);
	http_call_free(c);

	stranger.ca_pem = certs.client[RIG_WRONG_CA].cert_pem; /* some certificate, but not our CA's */
	call.o.tls = &stranger;
	caller_fails(&call, ERR_AUTH, "");
	call.o.tls_insecure = true;
	c = caller_run(&call, &rc);
	assert_int_equal(rc, 0);
	http_call_free(c);

	use_tls(RIG_RIGHT, "other.test");
	snprintf(dial, sizeof(dial), "127.0.0.1:%u", http_server_port(rig.server));
	call.o.dial = dial;
	caller_fails(&call, ERR_AUTH, "other.test");
}

static void a_client_that_is_not_accepted_learns_it(void **state)
{
	int who;

	(void)state;
	for (who = 0; who < RIG_CLIENTS; who++) {
		if (who == RIG_RIGHT || who == RIG_NONE)
			continue;
		use_tls((enum rig_client)who, "localhost");
		caller_fails(&call, ERR_AUTH, "localhost: ");
	}
	use_tls(RIG_NONE, "localhost"); /* GnuTLS ends that one without an alert */
	memset(&call.err, 0, sizeof(call.err));
	http_call_free(caller_run(&call, &who));
	assert_int_equal(who, -1);
	assert_int_equal(rig.headers, 0);
}

/* CAs come from the caller or from libcurl's own default, never from variables. */
static void the_environment_is_not_trusted(void **state)
{
	char path[] = "/tmp/pcapline-ca-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	use_tls(RIG_NONE, "localhost");
	call.o.tls = NULL;
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, certs.server.ca_pem, strlen(certs.server.ca_pem), &call.err), 0);
	setenv("SSL_CERT_FILE", path, 1);
	setenv("CURL_CA_BUNDLE", path, 1);
	caller_fails(&call, ERR_AUTH, "");
	unsetenv("SSL_CERT_FILE");
	unsetenv("CURL_CA_BUNDLE");
	unlink(path);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_sides_of_tls_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_is_not_accepted_learns_it, setup, teardown),
		cmocka_unit_test_setup_teardown(the_environment_is_not_trusted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
