/* http_rig_certs.c - certificates for the rig, made in memory with OpenSSL. */
#include "common/ossl.h"
#include "test/unit/http_rig.h"

#include <openssl/x509v3.h> /* behind ossl.h, which keeps its names apart from ours */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S (24L * 60 * 60)

struct identity {
	X509 *crt;
	EVP_PKEY *key;
};

static void cert_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "http rig: certificates: %s\n", what);
	abort();
}

static void cert_add(X509 *crt, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	cert_must(ext && X509_add_ext(crt, ext, -1) == 1, value);
	X509_EXTENSION_free(ext);
}

/* issuer NULL: a CA that signs itself. */
static struct identity cert_make(
	const struct identity *issuer, const char *cn, const char *san, const char *purpose, long from_s, long to_s)
{
	static long serial = 1;
	struct identity id = {.crt = X509_new(), .key = EVP_EC_gen("P-256")};
	X509_NAME *name;

	cert_must(id.crt && id.key, "memory");
	name = X509_get_subject_name(id.crt);
	cert_must(X509_set_version(id.crt, 2) && ASN1_INTEGER_set(X509_get_serialNumber(id.crt), serial++), "serial");
	cert_must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0), "name");
	cert_must(X509_set_issuer_name(id.crt, issuer ? X509_get_subject_name(issuer->crt) : name), "issuer");
	cert_must(X509_gmtime_adj(X509_getm_notBefore(id.crt), from_s) &&
			  X509_gmtime_adj(X509_getm_notAfter(id.crt), to_s),
		"dates");
	cert_must(X509_set_pubkey(id.crt, id.key), "key");
	if (!issuer)
		cert_add(id.crt, NID_basic_constraints, "critical,CA:TRUE");
	if (san)
		cert_add(id.crt, NID_subject_alt_name, san);
	if (purpose)
		cert_add(id.crt, NID_ext_key_usage, purpose);
	cert_must(X509_sign(id.crt, issuer ? issuer->key : id.key, EVP_sha256()) > 0, "signature");
	return id;
}

static char *cert_text(BIO *bio)
{
	char *p = NULL, *text;
	size_t n = (size_t)BIO_get_mem_data(bio, &p);

	text = calloc(1, n + 1);
	cert_must(text != NULL, "memory");
	memcpy(text, p, n); /* it has no end of its own */
	BIO_free(bio);
	return text;
}

static char *cert_pem(const X509 *crt)
{
	BIO *bio = BIO_new(BIO_s_mem());

	cert_must(bio && PEM_write_bio_X509(bio, crt), "PEM");
	return cert_text(bio);
}

static char *cert_key_pem(const EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	cert_must(bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), "PEM");
	return cert_text(bio);
}

static void identity_done(struct identity *id)
{
	X509_free(id->crt);
	EVP_PKEY_free(id->key);
}

static void cert_give(struct tls_files *t, struct identity id, const struct identity *ca)
{
	t->cert_pem = cert_pem(id.crt);
	t->key_pem = cert_key_pem(id.key);
	t->ca_pem = cert_pem(ca->crt);
	identity_done(&id);
}

void rig_certs_init(struct rig_certs *c)
{
	static const char name[] = RIG_CLIENT_NAME, san[] = "DNS:" RIG_CLIENT_NAME, client[] = "clientAuth";
	struct identity ca = cert_make(NULL, "test CA", NULL, NULL, -DAY_S, DAY_S);
	struct identity other = cert_make(NULL, "test CA", NULL, NULL, -DAY_S, DAY_S);

	memset(c, 0, sizeof(*c));
	cert_give(
		&c->server, cert_make(&ca, "x", "DNS:localhost,IP:127.0.0.1,IP:::1", "serverAuth", -DAY_S, DAY_S), &ca);
	cert_give(&c->client[RIG_RIGHT], cert_make(&ca, "x", "DNS:a.test,DNS:" RIG_CLIENT_NAME, client, -DAY_S, DAY_S),
		&ca);
	c->client[RIG_NONE].ca_pem = cert_pem(ca.crt);
	cert_give(&c->client[RIG_WRONG_CA], cert_make(&other, name, san, client, -DAY_S, DAY_S), &ca);
	cert_give(&c->client[RIG_EXPIRED], cert_make(&ca, name, san, client, -2 * DAY_S, -DAY_S), &ca);
	cert_give(&c->client[RIG_NOT_YET], cert_make(&ca, name, san, client, DAY_S, 2 * DAY_S), &ca);
	cert_give(&c->client[RIG_WRONG_NAME],
		cert_make(&ca, name, "DNS:x." RIG_CLIENT_NAME ",DNS:gateway.tesu,DNS:*.test,DNS:gateway", client,
			-DAY_S, DAY_S),
		&ca);
	cert_give(&c->client[RIG_NAME_IN_CN], cert_make(&ca, name, "IP:127.0.0.1", client, -DAY_S, DAY_S), &ca);
	cert_give(&c->client[RIG_WRONG_PURPOSE], cert_make(&ca, name, san, "serverAuth", -DAY_S, DAY_S), &ca);
	identity_done(&ca);
	identity_done(&other);
}

void rig_certs_done(struct rig_certs *c)
{
	size_t i;

	tls_files_done(&c->server);
	for (i = 0; i < RIG_CLIENTS; i++)
		tls_files_done(&c->client[i]);
}
