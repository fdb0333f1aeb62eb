#include "collector/stream_out.h"

#include <stdlib.h>
#include <string.h>

int stream_out_init(struct stream_out *o, size_t spill_max, struct err *err)
{
	*o = (struct stream_out){.spill_max = spill_max, .spill = malloc(spill_max)};
	return o->spill ? 0 : err_nomem(err);
}

void stream_out_done(struct stream_out *o)
{
	free(o->spill);
	*o = (struct stream_out){0};
}

static void move_spill(struct stream_out *o)
{
	size_t n = o->room - o->len;

	if (n > o->spill_len)
		n = o->spill_len;
	if (n == 0)
		return;
	memcpy(o->dst + o->len, o->spill + o->spill_from, n);
	o->len += n;
	o->spill_len -= n;
	o->spill_from = o->spill_len ? o->spill_from + n : 0;
}

void stream_out_begin(struct stream_out *o, uint8_t *dst, size_t room)
{
	o->dst = dst;
	o->room = room;
	o->len = 0;
	move_spill(o);
}

uint8_t *stream_out_reserve(struct stream_out *o, size_t n)
{
	if (o->spill_len == 0 && n <= o->room - o->len)
		return o->dst + o->len;
	if (n > o->spill_max - o->spill_from - o->spill_len)
		return NULL;
	return o->spill + o->spill_from + o->spill_len;
}

void stream_out_add(struct stream_out *o, size_t n)
{
	if (o->spill_len == 0 && n <= o->room - o->len) {
		o->len += n;
	} else {
		o->spill_len += n;
		move_spill(o);
	}
}

bool stream_out_put(struct stream_out *o, const uint8_t *p, size_t n)
{
	uint8_t *to = stream_out_reserve(o, n);

	if (!to)
		return false;
	memcpy(to, p, n);
	stream_out_add(o, n);
	return true;
}

bool stream_out_spilled(const struct stream_out *o)
{
	return o->spill_len > 0;
}
