/* test_tls_files.c - common/tls_files.c, with keys and certificates made anew for each run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fs.h"
#include "common/ossl.h"
#include "common/tls_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];
static char cert_path[100], key_path[100], other_key_path[100], locked_key_path[100], path[100];

/* A certificate of key for "test", signed by itself. */
static X509 *make_cert(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name;

	assert_non_null(cert);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

static void write_key(const char *to, EVP_PKEY *key, const char *passphrase)
{
	FILE *f = fopen(to, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, passphrase != NULL ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL,
				 (void *)(uintptr_t)passphrase),
		1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(to, 0600), 0);
}

static void write_cert(const char *to, X509 *cert)
{
	FILE *f = fopen(to, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
}

static int make_files(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	X509 *cert;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/pcapline-tls-XXXXXX");
	if (key == NULL || other == NULL || mkdtemp(dir) == NULL)
		return -1;
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	snprintf(other_key_path, sizeof(other_key_path), "%s/other.pem", dir);
	snprintf(locked_key_path, sizeof(locked_key_path), "%s/locked.pem", dir);
	snprintf(path, sizeof(path), "%s/file.pem", dir);
	cert = make_cert(key);
	write_cert(cert_path, cert);
	write_key(key_path, key, NULL);
	write_key(other_key_path, other, NULL);
	write_key(locked_key_path, key, "open sesame");
	X509_free(cert);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	return fs_remove_tree(dir, NULL);
}

static void assert_empty(const struct tls_files *t)
{
	assert_null(t->cert_path);
	assert_null(t->key_path);
	assert_null(t->ca_path);
	assert_null(t->cert_pem);
	assert_null(t->key_pem);
	assert_null(t->ca_pem);
}

/* Makes "@" in says the test's folder. */
static void with_dir(const char *says, char *ret, size_t size)
{
	size_t at = 0;

	for (; *says != '\0' && at + 1 < size; says++)
		if (*says == '@')
			at += (size_t)snprintf(ret + at, size - at, "%s", dir);
		else
			ret[at++] = *says;
	ret[at] = '\0';
}

/* says ends with "..." where OpenSSL's own words follow, which change between its versions. */
static void assert_refused(const char *cert, const char *key, const char *ca, enum err_code code, const char *says)
{
	struct tls_files t;
	struct err e = {0};
	char expected[2 * ERR_MSG_MAX], *end;

	memset(&t, 0x55, sizeof(t)); /* whatever was in it before */
	assert_int_equal(tls_files_load(&t, cert, key, ca, &e), -1);
	with_dir(says, expected, sizeof(expected));
	if ((end = strstr(expected, "...")) != NULL && end[3] == '\0')
		e.msg[end - expected] = expected[end - expected] = '\0';
	assert_string_equal(e.msg, expected);
	assert_int_equal(e.code, code);
	assert_empty(&t);
	assert_null(strstr(e.msg, "BEGIN PRIVATE"));
}

static void test_loads(void **state)
{
	struct tls_files t;
	struct err e = {0};

	(void)state;
	if (tls_files_load(&t, cert_path, key_path, cert_path, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(t.cert_path, cert_path);
	assert_string_equal(t.key_path, key_path);
	assert_string_equal(t.ca_path, cert_path);
	assert_int_equal(strncmp(t.cert_pem, "-----BEGIN CERTIFICATE-----", 27), 0);
	assert_int_equal(strncmp(t.key_pem, "-----BEGIN PRIVATE KEY-----", 27), 0);
	assert_string_equal(t.ca_pem, t.cert_pem);
	tls_files_done(&t);
	assert_empty(&t);
	tls_files_done(&t);
}

static void test_any_may_be_missing(void **state)
{
	struct tls_files t;
	struct err e = {0};

	(void)state;
	assert_int_equal(tls_files_load(&t, NULL, NULL, NULL, &e), 0);
	assert_empty(&t);
	assert_int_equal(tls_files_load(&t, NULL, NULL, cert_path, &e), 0);
	assert_null(t.key_pem);
	assert_non_null(t.ca_pem);
	tls_files_done(&t);
	assert_int_equal(tls_files_load(&t, cert_path, key_path, NULL, &e), 0);
	assert_null(t.ca_pem);
	tls_files_done(&t);
	assert_refused(cert_path, NULL, NULL, ERR_INPUT, "TLS certificate without key: they come together");
	assert_refused(NULL, key_path, NULL, ERR_INPUT, "TLS key without certificate: they come together");
}

static void test_key_of_another(void **state)
{
	(void)state;
	assert_refused(cert_path, other_key_path, NULL, ERR_INPUT,
		"TLS key: @/other.pem does not belong to the certificate in @/cert.pem");
}

static void test_key_modes(void **state)
{
	static const struct {
		mode_t mode;
		const char *says;
	} rows[] = {
		{0400, NULL},
		{0600, NULL},
		{0440, NULL},
		{0640, NULL},
		{0644, "TLS key: @/key.pem has mode 0644: others may read or write it; 0600 or 0640 is right"},
		{0604, "TLS key: @/key.pem has mode 0604: others may read or write it; 0600 or 0640 is right"},
		{0620, "TLS key: @/key.pem has mode 0620: others may read or write it; 0600 or 0640 is right"},
		{0602, "TLS key: @/key.pem has mode 0602: others may read or write it; 0600 or 0640 is right"},
	};
	struct tls_files t;
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(chmod(key_path, rows[i].mode), 0);
		if (rows[i].says != NULL) {
			assert_refused(cert_path, key_path, NULL, ERR_PERM, rows[i].says);
			continue;
		}
		if (tls_files_load(&t, cert_path, key_path, NULL, &e) < 0)
			fail_msg("mode %o: %s", (unsigned)rows[i].mode, e.msg);
		tls_files_done(&t);
	}
}

static void test_encrypted_key_is_not_asked_about(void **state)
{
	(void)state;
	assert_refused(cert_path, locked_key_path, NULL, ERR_INPUT,
		"TLS key: @/locked.pem is encrypted; a key without passphrase is needed");
}

static void test_not_there(void **state)
{
	(void)state;
	assert_refused(cert_path, path, NULL, ERR_NOT_FOUND, "TLS key: @/file.pem: No such file or directory");
	assert_refused(
		path, key_path, NULL, ERR_NOT_FOUND, "TLS certificate: open @/file.pem: No such file or directory");
	assert_refused(NULL, NULL, path, ERR_NOT_FOUND, "TLS CA: open @/file.pem: No such file or directory");
}

static void test_not_pem(void **state)
{
	static const char broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

	(void)state;
	assert_refused(key_path, key_path, NULL, ERR_INPUT,
		"TLS certificate: @/key.pem has no line \"-----BEGIN CERTIFICATE-----\"");
	assert_refused(
		NULL, NULL, key_path, ERR_INPUT, "TLS CA: @/key.pem has no line \"-----BEGIN CERTIFICATE-----\"");
	assert_int_equal(fs_write_new(path, broken, sizeof(broken) - 1, 0600, NULL), 0);
	assert_refused(cert_path, path, NULL, ERR_INPUT,
		"TLS key: @/file.pem has no line \"-----BEGIN ... PRIVATE KEY-----\"");
	assert_refused(cert_path, key_path, path, ERR_INPUT, "TLS CA: @/file.pem holds no readable certificate: ...");
	assert_refused(
		path, key_path, NULL, ERR_INPUT, "TLS certificate: @/file.pem holds no readable certificate: ...");
}

static void test_broken_key(void **state)
{
	static const char broken[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

	(void)state;
	assert_int_equal(fs_write_new(path, broken, sizeof(broken) - 1, 0600, NULL), 0);
	assert_refused(cert_path, path, NULL, ERR_INPUT, "TLS key: @/file.pem holds no readable key: ...");
}

static void test_too_large(void **state)
{
	char *big = malloc(TLS_FILE_BYTES_MAX + 1);

	(void)state;
	assert_non_null(big);
	memset(big, 'x', TLS_FILE_BYTES_MAX + 1);
	assert_int_equal(fs_write_new(path, big, TLS_FILE_BYTES_MAX + 1, 0600, NULL), 0);
	free(big);
	assert_refused(
		NULL, NULL, path, ERR_LIMIT, "TLS CA: @/file.pem has 1048577 bytes, more than the 1048576 allowed");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_files, remove_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_loads),
		CASE(test_any_may_be_missing),
		CASE(test_key_of_another),
		CASE(test_key_modes),
		CASE(test_encrypted_key_is_not_asked_about),
		CASE(test_not_there),
		CASE(test_not_pem),
		CASE(test_broken_key),
		CASE(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
