/* test_http_server_tls.c - who gets through the handshake, and what a server refuses to start with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/http_rig.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static struct rig_certs certs;
static struct rig rig;
static char answer[4096];

static int make_certs(void **state)
{
	(void)state;
	rig_certs_init(&certs);
	return 0;
}

static int drop_certs(void **state)
{
	(void)state;
	rig_certs_done(&certs);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	rig_init(&rig);
	rig.o.tls = &certs.server;
	rig.o.client_name = RIG_CLIENT_NAME;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void use_identity(gnutls_certificate_credentials_t cred, const struct tls_files *t)
{
	gnutls_datum_t cert = {.data = (unsigned char *)t->cert_pem, .size = (unsigned)strlen(t->cert_pem)};
	gnutls_datum_t key = {.data = (unsigned char *)t->key_pem, .size = (unsigned)strlen(t->key_pem)};

	assert_int_equal(gnutls_certificate_set_x509_key_mem(cred, &cert, &key, GNUTLS_X509_FMT_PEM), 0);
}

/* A request over TLS of one version ("1.2") as this client: how many bytes of an answer came; -1: not even a session.
 * That the server is the right one is not looked at here. */
static int ask_as(const struct tls_files *t, const char *version)
{
	int n = 0, rc, fd = rig_connect(http_server_port(rig.server));
	gnutls_certificate_credentials_t cred;
	gnutls_session_t session;
	char priorities[64];
	ssize_t k;

	snprintf(priorities, sizeof(priorities), "NORMAL:-VERS-ALL:+VERS-TLS%s", version);
	assert_int_equal(gnutls_certificate_allocate_credentials(&cred), 0);
	if (t->cert_pem)
		use_identity(cred, t);
	assert_int_equal(gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT | GNUTLS_NO_SIGNAL), 0);
	assert_int_equal(gnutls_priority_set_direct(session, priorities, NULL), 0);
	assert_int_equal(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, cred), 0);
	gnutls_transport_set_int(session, fd);
	while ((rc = gnutls_handshake(session)) < 0 && !gnutls_error_is_fatal(rc))
		;
	if (rc == 0) {
		/* Under TLS 1.3 the client's half is over before the server has looked at the certificate. */
		gnutls_record_send(session, REQUEST, strlen(REQUEST));
		while ((k = gnutls_record_recv(session, answer + n, sizeof(answer) - 1 - (size_t)n)) > 0)
			n += (int)k;
		answer[n] = '\0';
	}
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(cred);
	close(fd);
	return rc == 0 ? n : -1;
}

static const struct {
	const char *what;
	enum rig_client client;
	bool good;
} matrix[] = {
	{"none", RIG_NONE, false},
	{"of another CA", RIG_WRONG_CA, false},
	{"expired", RIG_EXPIRED, false},
	{"not valid yet", RIG_NOT_YET, false},
	{"another name", RIG_WRONG_NAME, false},
	{"name only as common name", RIG_NAME_IN_CN, false},
	{"for servers", RIG_WRONG_PURPOSE, false},
	{"right", RIG_RIGHT, true},
};

static void only_the_right_certificate_is_let_in(void **state)
{
	static const char *const versions[] = {"1.2", "1.3"};
	size_t i, v;
	int n;

	(void)state;
	rig_start(&rig);
	for (v = 0; v < 2; v++) {
		for (i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++) {
			n = ask_as(&certs.client[matrix[i].client], versions[v]);
			if (matrix[i].good != (n > 0))
				fail_msg("%s, TLS %s: %d bytes of an answer", matrix[i].what, versions[v], n);
		}
		assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	}
	assert_int_equal(rig.headers, 2); /* no handler ever saw the others */
}

static void old_versions_are_refused(void **state)
{
	(void)state;
	rig_start(&rig);
	assert_int_equal(ask_as(&certs.client[RIG_RIGHT], "1.1"), -1);
	assert_int_equal(ask_as(&certs.client[RIG_RIGHT], "1.0"), -1);
	assert_int_equal(rig.headers, 0);
}

static void without_a_client_name_nobody_is_asked(void **state)
{
	(void)state;
	rig.o.client_name = NULL;
	rig_start(&rig);
	assert_true(ask_as(&certs.client[RIG_NONE], "1.3") > 0);
	assert_true(ask_as(&certs.client[RIG_WRONG_CA], "1.3") > 0);
}

static void plain_http_is_not_understood(void **state)
{
	(void)state;
	rig_start(&rig);
	rig_ask(http_server_port(rig.server), REQUEST, strlen(REQUEST), answer, sizeof(answer));
	assert_null(strstr(answer, "HTTP/"));
	assert_int_equal(rig.headers, 0);
}

static void a_silent_handshake_is_cut(void **state)
{
	int fd;

	(void)state;
	rig.o.header_timeout_s = 1;
	rig_start(&rig);
	fd = rig_connect(http_server_port(rig.server));
	rig_send(fd, "\x16\x03\x01", 3);
	assert_true(rig_is_closed(fd));
	close(fd);
}

static void a_v6_listener_shows_v4_peers_as_such(void **state)
{
	(void)state;
	rig.o.address = "::";
	rig_start(&rig);
	assert_true(ask_as(&certs.client[RIG_RIGHT], "1.3") > 0);
	assert_non_null(strstr(answer, "\"peer\":\"127.0.0.1\""));
	assert_non_null(strstr(answer, "\"local\":\"127.0.0.1\""));
}

static void refuse_start(const char *says)
{
	struct err err = {0};

	assert_null(http_server_start(&rig.o, &err));
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
}

static void a_server_that_would_not_be_safe_does_not_start(void **state)
{
	struct tls_files mixed = certs.server, bare = certs.server, empty = {0};

	(void)state;
	rig.o.tls = NULL;
	refuse_start("client certificates need TLS");
	rig.o.client_name = NULL;
	rig.o.address = "0.0.0.0";
	refuse_start("plain HTTP is for loopback addresses only, not for 0.0.0.0");
	rig.o.address = "::";
	refuse_start("plain HTTP is for loopback");
	rig.o.address = "::ffff:127.0.0.1";
	refuse_start("plain HTTP is for loopback");
	rig.o.address = "localhost";
	refuse_start("neither IPv4 nor IPv6");
	rig.o.address = "127.0.0.1";
	rig.o.tls = &empty;
	refuse_start("needs a certificate");
	mixed.key_pem = certs.client[RIG_RIGHT].key_pem;
	rig.o.tls = &mixed;
	refuse_start("certificate and key");
	bare.ca_pem = NULL;
	rig.o.tls = &bare;
	rig.o.client_name = RIG_CLIENT_NAME;
	refuse_start("need a CA");
	bare.ca_pem = certs.server.key_pem;
	refuse_start("CA: ");
	rig.o.tls = &certs.server;
	rig_start(&rig);
	rig.o.port = http_server_port(rig.server);
	refuse_start("Address already in use");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_the_right_certificate_is_let_in, setup, teardown),
		cmocka_unit_test_setup_teardown(old_versions_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_client_name_nobody_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(plain_http_is_not_understood, setup, teardown),
		cmocka_unit_test_setup_teardown(a_silent_handshake_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(a_v6_listener_shows_v4_peers_as_such, setup, teardown),
		cmocka_unit_test_setup_teardown(a_server_that_would_not_be_safe_does_not_start, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
