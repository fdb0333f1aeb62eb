/* id.c - see id.h. */
#include "common/id.h"

#include "common/clock.h"
#include "common/digest.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ID_RANDOM_BYTES 10
#define ID_STEP_BYTES   8
#define ID_MS_MASK      ((UINT64_C(1) << 48) - 1)

static const char id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Guarded by id_lock: what the last id was made of. */
static pthread_mutex_t id_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t id_last_ms;
static uint8_t id_last_random[ID_RANDOM_BYTES]; /* big-endian */

/* Adds 1..2^64 to the random part; false when that passes its 80 bits. */
static bool id_step(void)
{
	uint8_t step[ID_RANDOM_BYTES] = {0};
	unsigned carry = 1;

	digest_random(step + ID_RANDOM_BYTES - ID_STEP_BYTES, ID_STEP_BYTES);
	for (size_t i = ID_RANDOM_BYTES; i-- > 0;) {
		carry += (unsigned)id_last_random[i] + step[i];
		id_last_random[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return carry == 0;
}

/* Within one millisecond, or when the clock was set back, the next id is the last plus 64 random bits: it sorts
 * after it, and who knows one still cannot guess its neighbour. */
static void id_advance(uint64_t now_ms)
{
	if (now_ms <= id_last_ms) {
		if (id_step())
			return;
		now_ms = id_last_ms + 1;
	}
	id_last_ms = now_ms;
	digest_random(id_last_random, sizeof(id_last_random));
}

/* 128 bits in 26 digits of 5: the first digit carries 3. */
static void id_encode(const uint8_t bytes[16], char ret[ID_MAX])
{
	unsigned pending = 0, bits = 2; /* two leading zero bits make 130 */
	size_t at = 0;

	for (size_t i = 0; i < 16; i++) {
		pending = (pending << 8 | bytes[i]) & 0xfff;
		for (bits += 8; bits >= 5; bits -= 5)
			ret[at++] = id_digits[pending >> (bits - 5) & 31];
	}
	ret[at] = '\0';
}

void id_new(char ret[ID_MAX])
{
	uint8_t bytes[16];

	if (pthread_mutex_lock(&id_lock) != 0)
		abort();
	id_advance(clock_wall_ns() / CLOCK_NS_PER_MS & ID_MS_MASK);
	for (size_t i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(id_last_ms >> (40 - 8 * i));
	memcpy(bytes + 6, id_last_random, sizeof(id_last_random));
	pthread_mutex_unlock(&id_lock);
	id_encode(bytes, ret);
}

bool id_is_valid(const char *text)
{
	if (text == NULL || text[0] < '0' || text[0] > '7')
		return false;
	return strspn(text, id_digits) == ID_LEN && text[ID_LEN] == '\0';
}
