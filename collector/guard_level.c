#include "collector/guard_level.h"

#define MARGIN 1.25 /* of a figure, on the way down */

static enum guard_level level_of(double times)
{
	if (times >= 4)
		return GUARD_SHEDDING;
	if (times >= 2)
		return GUARD_NARROWED;
	return times >= 1 ? GUARD_EASED : GUARD_CALM;
}

struct worst {
	enum guard_cause cause;
	double times;
};

static void weigh(struct worst *w, enum guard_cause cause, bool there, double value, uint64_t threshold)
{
	const double times = there && threshold ? value / (double)threshold : 0;

	if (times > w->times)
		*w = (struct worst){cause, times};
}

static struct worst worst_of(const struct guard_thresholds *t, const struct guard_figures *f)
{
	const uint64_t available = f->memory_available ? f->memory_available : 1;
	struct worst w = {GUARD_BY_NOTHING, 0};

	weigh(&w, GUARD_BY_MEMORY, f->memory.there, f->memory.percent, t->memory_percent);
	weigh(&w, GUARD_BY_CPU, f->cpu.there, f->cpu.percent, t->cpu_percent);
	weigh(&w, GUARD_BY_IO, f->io.there, f->io.percent, t->io_percent);
	weigh(&w, GUARD_BY_LOAD, f->has_load, f->load, t->load);
	if (f->has_memory && t->free_bytes)
		weigh(&w, GUARD_BY_FREE, true, (double)t->free_bytes / (double)available, 1);
	return w;
}

bool guard_state_step(struct guard_state *s, const struct guard_thresholds *t, const struct guard_figures *f)
{
	const struct worst w = worst_of(t, f);
	const enum guard_level now = level_of(w.times);

	if (now > GUARD_CALM && now >= s->level)
		s->cause = w.cause;
	if (now > s->level) {
		s->level = now;
		s->calm_looks = 0;
		return true;
	}
	if (level_of(w.times * MARGIN) >= s->level)
		s->calm_looks = 0;
	else if (++s->calm_looks >= GUARD_CALM_LOOKS) {
		s->level--;
		s->calm_looks = 0;
		if (s->level == GUARD_CALM)
			s->cause = GUARD_BY_NOTHING;
		return true;
	}
	return false;
}

const char *guard_level_name(enum guard_level l)
{
	static const char *const names[] = {"calm", "eased", "narrowed", "shedding"};

	return names[l];
}

const char *guard_cause_text(enum guard_cause c)
{
	static const char *const texts[] = {
		[GUARD_BY_NOTHING] = "",
		[GUARD_BY_CPU] = "host under CPU pressure",
		[GUARD_BY_MEMORY] = "host under memory pressure",
		[GUARD_BY_IO] = "host under I/O pressure",
		[GUARD_BY_LOAD] = "host under load",
		[GUARD_BY_FREE] = "host short of memory",
	};

	return texts[c];
}
