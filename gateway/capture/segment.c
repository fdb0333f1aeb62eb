#include "gateway/capture/segment.h"

#include "schema/pcapng.h"

#include <stdlib.h>
#include <string.h>

struct segment *segment_new(size_t cap)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (!(s->data = malloc(cap ? cap : 1))) {
		free(s);
		return NULL;
	}
	s->cap = cap;
	atomic_init(&s->refs, 1);
	return s;
}

uint8_t *segment_room(struct segment *s, size_t n)
{
	size_t cap = s->cap;
	uint8_t *data;

	if (n <= s->cap - s->len)
		return s->data + s->len;
	while (cap - s->len < n) {
		if (cap > SIZE_MAX / 4)
			return NULL;
		cap = cap ? cap * 2 : 4096;
	}
	if (!(data = realloc(s->data, cap)))
		return NULL;
	s->data = data;
	s->cap = cap;
	return s->data + s->len;
}

void segment_trim(struct segment *s)
{
	uint8_t *data;

	if (s->cap - s->len <= s->len / 8)
		return;
	if ((data = realloc(s->data, s->len > 0 ? s->len : 1))) {
		s->data = data;
		s->cap = s->len;
	}
}

struct segment *segment_ref(struct segment *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void segment_unref(struct segment *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(s->data);
	free(s);
}

struct block_view block_at(const uint8_t *p)
{
	struct block_view v = {0};
	uint32_t high, low;

	memcpy(&v.type, p, 4);
	memcpy(&v.len, p + 4, 4);
	if (v.type != PCAPNG_BLOCK_PACKET && v.type != PCAPNG_BLOCK_STATS)
		return v;
	memcpy(&v.interface_id, p + 8, 4);
	memcpy(&high, p + 12, 4);
	memcpy(&low, p + 16, 4);
	v.ts_ns = (uint64_t)high << 32 | low;
	if (v.type == PCAPNG_BLOCK_PACKET)
		memcpy(&v.caplen, p + 20, 4);
	return v;
}
