/* TLS of the server, which is GnuTLS by way of libmicrohttpd.
 *
 * libmicrohttpd itself only *asks* for a client certificate and leaves the answer to the application, after it has read a
 * request.  So each session gets, before its first byte, the order to require one and a function of ours that GnuTLS
 * calls inside the handshake: chain, dates, purpose and name.  It must not be silent: without the alert a TLS 1.3 client,
 * whose own half of the handshake is over by then, would not learn why. */
#include "common/http_server_internal.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* TLS 1.3 and 1.2, forward secrecy and authenticated ciphers only.  AES-128 first: captures are bulk data, and it costs
 * less than AES-256 for each byte. */
#define TLS_PRIORITIES                                                                                                 \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:" \
	"%SERVER_PRECEDENCE"

#define TLS_SANS_MAX  64
#define TLS_LINGER_MS 500

const char *http_tls_priorities(void)
{
	return TLS_PRIORITIES;
}

static gnutls_datum_t tls_datum(const char *pem)
{
	return (gnutls_datum_t){.data = (unsigned char *)pem, .size = (unsigned)strlen(pem)};
}

int http_tls_check(const struct http_server_options *o, struct err *err)
{
	gnutls_certificate_credentials_t cred;
	gnutls_datum_t cert, key, ca;
	int rc;

	if (!o->tls->cert_pem || !o->tls->key_pem)
		return err_set(err, ERR_INPUT, "TLS needs a certificate and its key");
	if (o->client_name && !o->tls->ca_pem)
		return err_set(err, ERR_INPUT, "client certificates need a CA to be checked against");
	if (gnutls_certificate_allocate_credentials(&cred) < 0)
		return err_nomem(err);
	cert = tls_datum(o->tls->cert_pem);
	key = tls_datum(o->tls->key_pem);
	rc = gnutls_certificate_set_x509_key_mem(cred, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (rc < 0) {
		err_set(err, ERR_INPUT, "certificate and key: %s", gnutls_strerror(rc));
	} else if (o->client_name) {
		ca = tls_datum(o->tls->ca_pem);
		rc = gnutls_certificate_set_x509_trust_mem(cred, &ca, GNUTLS_X509_FMT_PEM);
		if (rc <= 0) /* the number of CAs */
			rc = err_set(err, ERR_INPUT, "CA: %s", rc ? gnutls_strerror(rc) : "no certificate in it");
	}
	gnutls_certificate_free_credentials(cred);
	return rc < 0 ? -1 : 0;
}

/* tls_bears_name: is name one of the DNS subject alternative names?  The common name does not count (RFC 9525, 2), and
 * neither do wildcards: a client is one thing. */
static bool tls_bears_name(gnutls_x509_crt_t crt, const char *name)
{
	char san[256];
	size_t size;
	unsigned i;
	int type;

	for (i = 0; i < TLS_SANS_MAX; i++) {
		size = sizeof(san);
		type = gnutls_x509_crt_get_subject_alt_name(crt, i, san, &size, NULL);
		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return false;
		if (type == GNUTLS_SAN_DNSNAME && size == strlen(name) && strncasecmp(san, name, size) == 0)
			return true;
	}
	return false;
}

static bool tls_peer_bears_name(gnutls_session_t session, const char *name)
{
	const gnutls_datum_t *chain;
	gnutls_x509_crt_t crt;
	unsigned n = 0;
	bool ok;

	chain = gnutls_certificate_get_peers(session, &n);
	if (!chain || n == 0 || gnutls_x509_crt_init(&crt) < 0)
		return false;
	ok = gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) == 0 && tls_bears_name(crt, name);
	gnutls_x509_crt_deinit(crt);
	return ok;
}

/* tls_refuse: the alert, and time to read it.  A TLS 1.3 client has sent its request by now, and closing a socket with
 * unread bytes in it resets the connection before the client sees why.  Returns -1. */
static int tls_refuse(gnutls_session_t session, gnutls_alert_description_t why)
{
	struct pollfd p = {.fd = gnutls_transport_get_int(session), .events = POLLIN};
	uint8_t waste[4096];

	gnutls_alert_send(session, GNUTLS_AL_FATAL, why);
	shutdown(p.fd, SHUT_WR);
	while (poll(&p, 1, TLS_LINGER_MS) > 0 && recv(p.fd, waste, sizeof(waste), 0) > 0)
		;
	return -1;
}

static gnutls_alert_description_t tls_alert_of(unsigned status)
{
	if (status & GNUTLS_CERT_EXPIRED)
		return GNUTLS_A_CERTIFICATE_EXPIRED;
	return status & GNUTLS_CERT_SIGNER_NOT_FOUND ? GNUTLS_A_UNKNOWN_CA : GNUTLS_A_BAD_CERTIFICATE;
}

/* tls_verify_client: GnuTLS calls it in the handshake once the client's certificate is in.  Anything but 0 ends it. */
static int tls_verify_client(gnutls_session_t session)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
	};
	struct MHD_Connection *mhd = gnutls_session_get_ptr(session); /* set by libmicrohttpd */
	const union MHD_ConnectionInfo *info;
	const struct http_conn *c;
	unsigned status = 0;

	info = mhd ? MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
	c = info ? info->socket_context : NULL;
	if (!c || gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0)
		return tls_refuse(session, GNUTLS_A_BAD_CERTIFICATE);
	if (status != 0)
		return tls_refuse(session, tls_alert_of(status));
	return tls_peer_bears_name(session, c->server->client_name) ? 0 : tls_refuse(session, GNUTLS_A_ACCESS_DENIED);
}

bool http_tls_require_client(struct http_server *s, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info;

	if (!s->client_name)
		return true;
	info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (!info || !info->tls_session)
		return false;
	gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_function(info->tls_session, tls_verify_client);
	return true;
}
