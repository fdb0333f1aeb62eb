/* store_plan.c - how large the chunks of a job are: small at first, so that little waits in the spool and a small capture stays in memory's reach, and
 * larger the longer a capture gets, so that the largest one fits into as many parts as S3 takes. */
#include "uploader/store_internal.h"

#define STEP_PARTS 1000u /* after so many the size doubles */
#define CHUNK_GROWN_MAX                                                                                                \
	(UINT64_C(4) * 1024 * 1024 * 1024) /* S3 takes parts of 5 GiB; a chunk ends up to one write beyond its size */

static uint64_t add_capped(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply_capped(uint64_t a, uint64_t b)
{
	return b > 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

uint64_t store_plan_bytes(uint64_t first, uint32_t seq)
{
	uint64_t bytes = first;

	for (uint32_t i = STEP_PARTS; i < seq && i < STORE_PARTS_MAX && bytes < CHUNK_GROWN_MAX; i += STEP_PARTS)
		bytes *= 2;
	return bytes > CHUNK_GROWN_MAX && bytes > first ? CHUNK_GROWN_MAX : bytes;
}

static uint64_t plan_total(uint64_t first)
{
	uint64_t total = 0;

	for (uint32_t seq = 1; seq <= STORE_PARTS_MAX; seq += STEP_PARTS)
		total = add_capped(total, multiply_capped(store_plan_bytes(first, seq), STEP_PARTS));
	return total;
}

uint64_t store_plan_first(uint64_t chunk_bytes, uint64_t job_bytes_max)
{
	uint64_t first = chunk_bytes;

	while (plan_total(first) < job_bytes_max)
		first = multiply_capped(first, 2);
	return first;
}

uint64_t store_chunk_largest(uint64_t chunk_bytes, uint64_t job_bytes_max)
{
	uint64_t first = store_plan_first(chunk_bytes, job_bytes_max), total = 0, bytes = first;

	for (uint32_t seq = 1; seq <= STORE_PARTS_MAX && total < job_bytes_max; seq += STEP_PARTS) {
		bytes = store_plan_bytes(first, seq);
		total = add_capped(total, multiply_capped(bytes, STEP_PARTS));
	}
	return bytes;
}

uint64_t store_chunk_bytes(const struct store *s, uint32_t seq)
{
	return store_plan_bytes(s->chunk_bytes, seq);
}
