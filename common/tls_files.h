/* tls_files.h - certificate, key and CA as PEM text read from files.  Both sides (the HTTP server over GnuTLS, the client over
 * libcurl/OpenSSL) start from these; nothing is taken from the environment. */
#ifndef PCAPLINE_COMMON_TLS_FILES_H
#define PCAPLINE_COMMON_TLS_FILES_H

#include "common/err.h"

#define TLS_FILE_BYTES_MAX (1024 * 1024)

struct tls_files {
	char *cert_path; /* NULL: none */
	char *key_path;
	char *ca_path;
	char *cert_pem; /* certificate chain, leaf first */
	char *key_pem;  /* wiped before it is freed */
	char *ca_pem;   /* one or more CAs */
};

/* tls_files_load: fills t, whatever was in it before; empty after a failure.  Any path may be NULL (then no such
 * material); cert and key come together.  Refuses key files that others may write or everybody may read, encrypted keys,
 * files without the PEM header that they should have, and a key that does not belong to the certificate. */
int tls_files_load(
	struct tls_files *t, const char *cert_path, const char *key_path, const char *ca_path, struct err *err);
void tls_files_done(struct tls_files *t);

#endif
