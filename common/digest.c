/* digest.c - see digest.h.
 * OpenSSL's SHA-256 and HMAC fail only without memory or without their provider: a wrong digest that reads as right
 * would be worse than an end, so the functions that cannot report abort. */
#include "common/digest.h"

#include "common/ossl.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIGEST_READ_BYTES (32 * 1024)

struct digest {
	EVP_MD_CTX *ctx;
};

static void digest_to_hex(const uint8_t sum[DIGEST_SHA256_BYTES], char ret[DIGEST_SHA256_HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SHA256_BYTES; i++) {
		ret[2 * i] = digits[sum[i] >> 4];
		ret[2 * i + 1] = digits[sum[i] & 15];
	}
	ret[2 * DIGEST_SHA256_BYTES] = '\0';
}

struct digest *digest_new(void)
{
	struct digest *d = malloc(sizeof(*d));

	if (d == NULL)
		return NULL;
	d->ctx = EVP_MD_CTX_new();
	if (d->ctx == NULL || EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1) {
		digest_free(d);
		return NULL;
	}
	return d;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
	if (n > 0 && EVP_DigestUpdate(d->ctx, p, n) != 1)
		abort();
}

void digest_hex(struct digest *d, char ret[DIGEST_SHA256_HEX_MAX])
{
	uint8_t sum[DIGEST_SHA256_BYTES];

	if (EVP_DigestFinal_ex(d->ctx, sum, NULL) != 1)
		abort();
	digest_to_hex(sum, ret);
}

void digest_free(struct digest *d)
{
	if (d == NULL)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

void digest_sha256(const void *p, size_t n, uint8_t ret[DIGEST_SHA256_BYTES])
{
	if (EVP_Digest(p, n, ret, NULL, EVP_sha256(), NULL) != 1)
		abort();
}

void digest_sha256_hex(const void *p, size_t n, char ret[DIGEST_SHA256_HEX_MAX])
{
	uint8_t sum[DIGEST_SHA256_BYTES];

	digest_sha256(p, n, sum);
	digest_to_hex(sum, ret);
}

int digest_md5(const void *p, size_t n, uint8_t ret[DIGEST_MD5_BYTES], struct err *err)
{
	if (EVP_Digest(p, n, ret, NULL, EVP_md5(), NULL) != 1)
		return err_set(err, ERR_INTERNAL, "this OpenSSL does no MD5");
	return 0;
}

void digest_base64(const void *p, size_t n, char *ret)
{
	if (n > INT_MAX / 2 || EVP_EncodeBlock((unsigned char *)ret, p, (int)n) < 0)
		abort();
}

/* Adds the first bytes of fd to d. */
static int digest_add_fd(struct digest *d, int fd, uint64_t bytes, struct err *err)
{
	uint8_t chunk[DIGEST_READ_BYTES];
	uint64_t at = 0;
	ssize_t n;

	while (at < bytes) {
		n = pread(fd, chunk, bytes - at < sizeof(chunk) ? (size_t)(bytes - at) : sizeof(chunk), (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read at byte %" PRIu64, at);
		if (n == 0)
			return err_set(
				err, ERR_IO, "file ends at byte %" PRIu64 ", %" PRIu64 " were expected", at, bytes);
		digest_add(d, chunk, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

int digest_fd_hex(int fd, uint64_t bytes, char ret[DIGEST_SHA256_HEX_MAX], struct err *err)
{
	struct digest *d;
	int rc;

	if (bytes > INT64_MAX)
		return err_set(err, ERR_LIMIT, "%" PRIu64 " bytes are more than a file can have", bytes);
	if ((d = digest_new()) == NULL)
		return err_nomem(err);
	if ((rc = digest_add_fd(d, fd, bytes, err)) == 0)
		digest_hex(d, ret);
	digest_free(d);
	return rc;
}

void digest_hmac_hex(const void *key, size_t key_len, const void *p, size_t n, char ret[DIGEST_SHA256_HEX_MAX])
{
	uint8_t sum[DIGEST_SHA256_BYTES];

	if (key_len > INT_MAX || HMAC(EVP_sha256(), key, (int)key_len, p, n, sum, NULL) == NULL)
		abort();
	digest_to_hex(sum, ret);
}

void digest_random(void *ret, size_t n)
{
	if (n > INT_MAX || RAND_bytes(ret, (int)n) != 1)
		abort();
}

bool digest_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

bool digest_equal_str(const char *a, const char *b)
{
	size_t n = strlen(a);

	return strlen(b) == n && digest_equal(a, b, n);
}

void digest_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

void digest_wipe_free(char *secret)
{
	if (secret)
		digest_wipe(secret, strlen(secret));
	free(secret);
}
