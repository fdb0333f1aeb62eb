/* fetch_ranges.c - see fetch_ranges.h. */
#include "cli/fetch/fetch_ranges.h"

#include <stdlib.h>

void ranges_init(struct ranges *r, uint64_t from, uint64_t end, size_t segment_bytes, unsigned slots_n)
{
	*r = (struct ranges){.next = from, .written = from, .end = end};
	r->segment_bytes = segment_bytes;
	r->slots_n = slots_n;
}

void ranges_done(struct ranges *r)
{
	for (unsigned i = 0; i < RANGES_SLOTS_MAX; i++)
		free(r->slots[i].data);
	*r = (struct ranges){0};
}

/* The slot behind the last segment of the window; NULL: all are in use. */
static struct ranges_segment *free_slot(struct ranges *r)
{
	for (unsigned i = 0; i < r->slots_n; i++) {
		struct ranges_segment *s = &r->slots[(r->head + i) % r->slots_n];

		if (!s->bytes)
			return s;
	}
	return NULL;
}

int ranges_take(struct ranges *r, struct ranges_segment **ret, struct err *err)
{
	uint64_t left = r->end - r->next;
	struct ranges_segment *s;

	if (!left || !(s = free_slot(r)))
		return 0;
	if (!s->data && !(s->data = malloc(r->segment_bytes)))
		return err_nomem(err);
	s->from = r->next;
	s->bytes = left < r->segment_bytes ? (size_t)left : r->segment_bytes;
	s->got = s->passed = 0;
	r->next += s->bytes;
	*ret = s;
	return 1;
}

bool ranges_all_taken(const struct ranges *r)
{
	return r->next == r->end;
}

uint64_t ranges_left(const struct ranges *r)
{
	uint64_t left = r->end - r->next;

	return left / r->segment_bytes + (left % r->segment_bytes > 0);
}

void ranges_got(struct ranges_segment *s, size_t n)
{
	s->got += n;
}

size_t ranges_head(const struct ranges *r, const uint8_t **ret)
{
	const struct ranges_segment *s = &r->slots[r->head];

	if (s->got == s->passed)
		return 0;
	*ret = s->data + s->passed;
	return s->got - s->passed;
}

void ranges_pass(struct ranges *r, size_t n)
{
	struct ranges_segment *s = &r->slots[r->head];

	s->passed += n;
	r->written += n;
	if (!s->bytes || s->passed < s->bytes)
		return;
	s->bytes = s->got = s->passed = 0;
	r->head = (r->head + 1) % r->slots_n;
}

bool ranges_is_head(const struct ranges *r, const struct ranges_segment *s)
{
	return s == &r->slots[r->head];
}

bool ranges_is_over(const struct ranges *r)
{
	return r->written == r->end;
}
