/* tls_files.c - see tls_files.h. */
#include "common/tls_files.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/ossl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* OpenSSL's reason for the last failure, taken off its queue. */
static const char *tls_reason(void)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return reason != NULL ? reason : "unreadable";
}

/* An encrypted key must be refused, not asked about on a terminal. */
static int tls_no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

/* Reads one PEM file and remembers its path.  header is how some line of it must begin, with "..." for any words. */
static int tls_read(
	const char *path, const char *header, const char *what, char **ret_path, char **ret_pem, struct err *err)
{
	const char *dots = strstr(header, "... ");

	if ((*ret_path = strdup(path)) == NULL)
		return err_nomem(err);
	if ((*ret_pem = fs_read_text(path, TLS_FILE_BYTES_MAX, err)) == NULL)
		return err_in(err, "%s", what);
	if (strstr(*ret_pem, dots != NULL ? dots + 4 : header) == NULL)
		return err_set(err, ERR_INPUT, "%s: %s has no line \"%s\"", what, path, header);
	return 0;
}

/* Whoever can write the key can be us, and so can whoever can read it; a group may read, for services that share one. */
static int tls_check_key_mode(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_sys(err, errno, "TLS key: %s", path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH | S_IROTH)) != 0)
		return err_set(err, ERR_PERM,
			"TLS key: %s has mode %04o: others may read or write it; 0600 or 0640 is right", path,
			(unsigned)(st.st_mode & 07777));
	return 0;
}

/* The first certificate of the text; NULL with err. */
static X509 *tls_first_cert(const char *pem, const char *path, const char *what, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, tls_no_passphrase, NULL) : NULL;

	if (cert == NULL)
		err_set(err, ERR_INPUT, "%s: %s holds no readable certificate: %s", what, path, tls_reason());
	BIO_free(bio);
	return cert;
}

static EVP_PKEY *tls_key(const char *pem, const char *path, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL) : NULL;

	if (key == NULL && strstr(pem, "ENCRYPTED") != NULL) {
		ERR_clear_error();
		err_set(err, ERR_INPUT, "TLS key: %s is encrypted; a key without passphrase is needed", path);
	} else if (key == NULL) {
		err_set(err, ERR_INPUT, "TLS key: %s holds no readable key: %s", path, tls_reason());
	}
	BIO_free(bio);
	return key;
}

static int tls_check_pair(const struct tls_files *t, struct err *err)
{
	EVP_PKEY *key = NULL;
	X509 *cert;
	int rc = -1;

	if ((cert = tls_first_cert(t->cert_pem, t->cert_path, "TLS certificate", err)) == NULL)
		goto out;
	if ((key = tls_key(t->key_pem, t->key_path, err)) == NULL)
		goto out;
	if (X509_check_private_key(cert, key) == 1)
		rc = 0;
	else
		err_set(err, ERR_INPUT, "TLS key: %s does not belong to the certificate in %s", t->key_path,
			t->cert_path);
	ERR_clear_error();
out:
	EVP_PKEY_free(key);
	X509_free(cert);
	return rc;
}

static int tls_load_pair(struct tls_files *t, const char *cert_path, const char *key_path, struct err *err)
{
	static const char cert_header[] = "-----BEGIN CERTIFICATE-----";

	if (tls_check_key_mode(key_path, err) < 0)
		return -1;
	if (tls_read(cert_path, cert_header, "TLS certificate", &t->cert_path, &t->cert_pem, err) < 0)
		return -1;
	if (tls_read(key_path, "-----BEGIN ... PRIVATE KEY-----", "TLS key", &t->key_path, &t->key_pem, err) < 0)
		return -1;
	return tls_check_pair(t, err);
}

static int tls_load_ca(struct tls_files *t, const char *ca_path, struct err *err)
{
	X509 *cert;

	if (tls_read(ca_path, "-----BEGIN CERTIFICATE-----", "TLS CA", &t->ca_path, &t->ca_pem, err) < 0)
		return -1;
	if ((cert = tls_first_cert(t->ca_pem, ca_path, "TLS CA", err)) == NULL)
		return -1;
	X509_free(cert);
	return 0;
}

int tls_files_load(
	struct tls_files *t, const char *cert_path, const char *key_path, const char *ca_path, struct err *err)
{
	*t = (struct tls_files){0};
	if ((cert_path == NULL) != (key_path == NULL))
		return err_set(err, ERR_INPUT, "TLS %s without %s: they come together",
			cert_path != NULL ? "certificate" : "key", cert_path != NULL ? "key" : "certificate");
	if ((cert_path != NULL && tls_load_pair(t, cert_path, key_path, err) < 0) ||
		(ca_path != NULL && tls_load_ca(t, ca_path, err) < 0)) {
		tls_files_done(t);
		return -1;
	}
	return 0;
}

void tls_files_done(struct tls_files *t)
{
	free(t->cert_path);
	free(t->key_path);
	free(t->ca_path);
	free(t->cert_pem);
	digest_wipe_free(t->key_pem);
	free(t->ca_pem);
	*t = (struct tls_files){0};
}
