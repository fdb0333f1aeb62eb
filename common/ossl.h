/* ossl.h - OpenSSL's headers, all through here: its typedef ERR_STATE bears the name of our enum err_code value, so it
 * is read in under another. Include this and never <openssl/...> itself. */
#ifndef PCAPLINE_COMMON_OSSL_H
#define PCAPLINE_COMMON_OSSL_H

#define ERR_STATE OSSL_ERR_STATE
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#endif
