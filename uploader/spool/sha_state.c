/* sha_state.c - see sha_state.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* the low-level calls are deprecated for those who do not need the state */
#include "uploader/spool/sha_state.h"

#include "uploader/text_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORDS           8u
#define LENGTH_TEXT_MAX 21 /* 20 digits of the largest uint64_t */

void sha_state_init(struct sha_state *s)
{
	SHA256_Init(&s->ctx);
	s->bytes = 0;
}

void sha_state_add(struct sha_state *s, const void *p, size_t n)
{
	SHA256_Update(&s->ctx, p, n);
	s->bytes += n;
}

void sha_state_hex(const struct sha_state *s, char ret[DIGEST_SHA256_HEX_MAX])
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	SHA256_CTX copy = s->ctx;

	SHA256_Final(sum, &copy);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

char *sha_state_save(const struct sha_state *s, char ret[SHA_STATE_TEXT_MAX])
{
	size_t rest = s->bytes % SHA256_CBLOCK, at = 0;
	uint8_t block[SHA256_CBLOCK];

	memcpy(block, s->ctx.data, sizeof(block)); /* its first ctx.num bytes: those that do not fill a block yet */
	for (unsigned i = 0; i < WORDS; i++)
		at += (size_t)snprintf(ret + at, SHA_STATE_TEXT_MAX - at, "%08" PRIx32, (uint32_t)s->ctx.h[i]);
	at += (size_t)snprintf(ret + at, SHA_STATE_TEXT_MAX - at, ":%" PRIu64 ":", s->bytes);
	for (size_t i = 0; i < rest; i++)
		at += (size_t)snprintf(ret + at, SHA_STATE_TEXT_MAX - at, "%02x", block[i]);
	return ret;
}

bool sha_state_load(struct sha_state *s, const char *text)
{
	uint8_t words[4 * WORDS], rest[SHA256_CBLOCK];
	char length[LENGTH_TEXT_MAX];
	struct sha_state in;
	uint64_t bytes, whole;

	text = text_hex(text, words, sizeof(words));
	if (!text || *text != ':' || !(text = text_field(text + 1, ':', length, sizeof(length))))
		return false;
	if (!text_u64(length, &bytes) || bytes > UINT64_MAX / 8)
		return false;
	text = text_hex(text, rest, bytes % SHA256_CBLOCK);
	if (!text || *text != '\0')
		return false;
	sha_state_init(&in);
	for (unsigned i = 0; i < WORDS; i++) {
		const uint8_t *w = words + 4 * (size_t)i;

		in.ctx.h[i] = (uint32_t)w[0] << 24 | (uint32_t)w[1] << 16 | (uint32_t)w[2] << 8 | w[3];
	}
	whole = bytes - bytes % SHA256_CBLOCK;
	in.ctx.Nl = (uint32_t)(whole << 3); /* the message's length in bits, two words */
	in.ctx.Nh = (uint32_t)(whole >> 29);
	in.bytes = whole;
	sha_state_add(&in, rest, bytes - whole);
	*s = in;
	return true;
}
