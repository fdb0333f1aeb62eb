/* digest.h - SHA-256, HMAC-SHA256, randomness, constant-time comparison; all OpenSSL's. */
#ifndef PCAPLINE_COMMON_DIGEST_H
#define PCAPLINE_COMMON_DIGEST_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA256_BYTES   32
#define DIGEST_SHA256_HEX_MAX 65

struct digest; /* a running SHA-256 */

struct digest *digest_new(void); /* NULL: no memory */
void digest_add(struct digest *d, const void *p, size_t n);
void digest_hex(struct digest *d, char ret[DIGEST_SHA256_HEX_MAX]); /* finishes; only digest_free may follow */
void digest_free(struct digest *d);

void digest_sha256(const void *p, size_t n, uint8_t ret[DIGEST_SHA256_BYTES]);
void digest_sha256_hex(const void *p, size_t n, char ret[DIGEST_SHA256_HEX_MAX]);
/* MD5, for peers that speak of it (S3's ETag and Content-MD5): protects against damage, not against malice. */
#define DIGEST_MD5_BYTES 16
int digest_md5(const void *p, size_t n, uint8_t ret[DIGEST_MD5_BYTES], struct err *err);

/* Base64 with padding, terminated; ret has room for 4 bytes per 3 begun and one more. */
void digest_base64(const void *p, size_t n, char *ret);

int digest_fd_hex(
	int fd, uint64_t bytes, char ret[DIGEST_SHA256_HEX_MAX], struct err *err); /* reads from offset 0 with pread */

void digest_hmac_hex(const void *key, size_t key_len, const void *p, size_t n, char ret[DIGEST_SHA256_HEX_MAX]);
void digest_random(void *ret, size_t n);                   /* aborts when the system has no randomness */
bool digest_equal(const void *a, const void *b, size_t n); /* time depends on n only */
bool digest_equal_str(const char *a, const char *b);       /* time depends on the lengths only */
void digest_wipe(void *p, size_t n);                       /* not optimised away */
void digest_wipe_free(char *secret);                       /* a text of malloc's, wiped first; accepts NULL */

#endif
