#include "gateway/limits/fair.h"

#include <stddef.h>

void fair_add(struct fair *f, struct fair_user *u, struct fair_piece *p, uint64_t bytes)
{
	struct fair_piece **at = &f->waiting;

	p->tag = u->stands > f->now ? u->stands : f->now;
	p->bytes = bytes;
	u->stands = p->tag + bytes; /* 2^64 bytes take longer than anything runs */
	while (*at && (*at)->tag <= p->tag)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
}

struct fair_piece *fair_first(const struct fair *f)
{
	return f->waiting;
}

void fair_remove(struct fair *f, struct fair_piece *p)
{
	for (struct fair_piece **at = &f->waiting; *at; at = &(*at)->next) {
		if (*at != p)
			continue;
		*at = p->next;
		p->next = NULL;
		if (p->tag > f->now)
			f->now = p->tag;
		return;
	}
}
