/* Instances of a running capture that come and go. */
#include "gateway/capture/capture_internal.h"

#include "common/parse.h"
#include "gateway/limits/limits.h"
#include "gateway/targets/target.h"

#include <stdlib.h>
#include <string.h>

#define JOIN_MAX     256u /* instances that join one capture, all told */
#define MISSED_MOST  2u   /* a list in which an instance is missing may be stale; two of them are not */
#define ATTEMPTS_MAX 3u   /* to take in one and the same instance that cannot be started */

/* ---- one more ---- */

/* The lock is held, or nobody else knows of c yet. */
static int add_instance(struct capture *c, const struct target_instance *t, struct err *err)
{
	struct job_instance *i = &c->job->instances[c->n];
	struct capture_instance *ci = &c->instances[c->n];

	ci->target = *t;
	if (!(ci->input = merge_add(c->merge, (unsigned)c->n, err)))
		return -1;
	snprintf(i->name, sizeof(i->name), "%s", t->name);
	if (t->host[0])
		parse_join_host_port(t->host, t->port, i->agent, sizeof(i->agent));
	memcpy(i->device, t->device, sizeof(i->device));
	rate_join(c->flow);
	c->n++;
	return 0;
}

/* All the room there will be is made now: the streams' threads look at their own instance without a lock. */
int capture_instances_begin(struct capture *c, const struct target_instance *targets, struct err *err)
{
	const struct config_gateway *cfg = &c->gw->config;
	size_t n = c->job->instances_n, room = n + (c->follows ? JOIN_MAX : 0);

	if (job_make_room(c->job, room, err) < 0)
		return -1;
	if (!(c->instances = calloc(room, sizeof(*c->instances))))
		return err_nomem(err);
	if (!(c->merge = merge_new(cfg->merge_window_ms * CLOCK_NS_PER_MS, cfg->merge_queue_bytes, err)))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (add_instance(c, &targets[i], err) < 0)
			return -1;
	}
	c->streams_n = n;
	return 0;
}

/* ---- what the platform lists ---- */

static bool is_live(const struct capture *c, size_t n)
{
	return c->job->instances[n].state <= INSTANCE_RUNNING;
}

static bool lists(const struct target_set *set, const struct target_instance *t)
{
	for (size_t n = 0; n < set->n; n++) {
		if (set->instances[n].error.code == ERR_NONE && target_instance_is(&set->instances[n], t))
			return true;
	}
	return false;
}

/* Is any to be let go that was not before? */
static bool count_missed(struct capture *c, const struct target_set *now)
{
	bool any = false;

	for (size_t n = 0; n < c->n; n++) {
		struct capture_instance *ci = &c->instances[n];

		if (!is_live(c, n) || lists(now, &ci->target))
			ci->missed = 0;
		else if (++ci->missed >= MISSED_MOST && !ci->left)
			any = ci->left = true;
	}
	return any;
}

/* Is it to be taken in?  Not what is here, is about to be, or has failed too often. */
static bool is_new(const struct capture *c, const struct target_instance *t)
{
	unsigned attempts = 0;

	for (size_t n = 0; n < c->joining_n; n++) {
		if (target_instance_is(&c->joining[n], t))
			return false;
	}
	for (size_t n = 0; n < c->n; n++) {
		if (!target_instance_is(&c->instances[n].target, t))
			continue;
		/* What has ended is still listed for a while; a handle never comes back. */
		if (is_live(c, n) || (t->agent.handle[0] && c->job->instances[n].stop_reason == STOP_CONTAINER_GONE))
			return false;
		attempts += c->instances[n].target.error.code == ERR_NONE && !c->instances[n].started;
	}
	return attempts < ATTEMPTS_MAX;
}

static size_t live_instances(const struct capture *c)
{
	size_t live = c->joining_n;

	for (size_t n = 0; n < c->n; n++)
		live += is_live(c, n);
	return live;
}

/* -1: there is no room for it. */
static int let_join(struct capture *c, const struct target_instance *t, struct err *err)
{
	struct target_instance *more;

	if (c->n + c->joining_n >= c->job->instances_room || live_instances(c) >= c->gw->config.limit_instances)
		return err_set(err, ERR_LIMIT, "there are more instances than one capture takes in");
	if (!(more = realloc(c->joining, (c->joining_n + 1) * sizeof(*more))))
		return err_nomem(err);
	c->joining = more;
	if (limits_join(c->gw->limits, c->job->id, t, err) < 0)
		return -1;
	c->joining[c->joining_n++] = *t;
	return 0;
}

void capture_follow(struct capture *c, const struct target_set *now)
{
	const char *left_out = NULL;
	struct err why = {0};
	bool news, first = false;

	pthread_mutex_lock(&c->lock);
	if (c->closing || c->stop_reason != STOP_NONE) {
		pthread_mutex_unlock(&c->lock);
		return;
	}
	news = count_missed(c, now);
	for (size_t n = 0; n < now->n; n++) {
		const struct target_instance *t = &now->instances[n];

		if (t->follows && t->error.code == ERR_NONE && is_new(c, t) && let_join(c, t, &why) < 0)
			left_out = t->name;
	}
	news |= c->joining_n > 0;
	if (left_out)
		first = !c->crowded;
	c->crowded = left_out != NULL;
	pthread_mutex_unlock(&c->lock);
	if (first)
		capture_event(c, "instance_left_out", json_pack("{s:s, s:s}", "instance", left_out, "error", why.msg));
	if (news)
		merge_wake(c->merge);
}

/* ---- the capture's thread ---- */

static bool take_next(struct capture *c, unsigned *ret_index)
{
	struct err err = {0};
	bool taken = false;

	pthread_mutex_lock(&c->lock);
	while (c->joining_n > 0 && !taken) {
		*ret_index = (unsigned)c->n;
		taken = add_instance(c, &c->joining[0], &err) == 0;
		memmove(c->joining, c->joining + 1, --c->joining_n * sizeof(*c->joining));
		if (taken) {
			c->instances[*ret_index].joined = true;
			c->job->instances_n = c->n;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return taken;
}

static void take_leave(struct capture *c)
{
	for (size_t n = 0; n < c->n; n++) {
		struct capture_instance *ci = &c->instances[n];
		bool left;

		pthread_mutex_lock(&c->lock);
		left = ci->left;
		pthread_mutex_unlock(&c->lock);
		if (!left || ci->leaving || !ci->stream)
			continue;
		ci->leaving = true;
		capture_event(c, "instance_left", json_pack("{s:s}", "instance", c->job->instances[n].name));
		agent_stream_stop(ci->stream);
	}
}

void capture_take_joining(struct capture *c)
{
	unsigned index;

	while (take_next(c, &index)) {
		capture_event(c, "instance_joined",
			json_pack("{s:s, s:s, s:s}", "instance", c->job->instances[index].name, "device",
				c->job->instances[index].device, "agent", c->job->instances[index].agent));
		capture_stream_start(c, index);
	}
	take_leave(c);
}

/* ---- what is missing between ---- */

void capture_gap_note(const struct capture *c, unsigned index, char ret[NOTE_MAX])
{
	const struct target_instance *t = &c->instances[index].target;
	uint64_t ended_at = 0, now = clock_wall_ns();
	char from[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];

	ret[0] = '\0';
	if (!c->instances[index].joined)
		return;
	for (unsigned n = 0; n < index; n++) {
		const struct capture_instance *before = &c->instances[n];

		if (strcmp(before->target.name, t->name) == 0 && strcmp(before->target.device, t->device) == 0 &&
			before->started && before->ended_at > ended_at)
			ended_at = before->ended_at;
	}
	clock_rfc3339(now, until);
	if (ended_at)
		snprintf(ret, NOTE_MAX, "joined %s; nothing of %s is here from %s until then", until, t->name,
			clock_rfc3339(ended_at, from));
	else
		snprintf(ret, NOTE_MAX, "joined %s; what %s sent before is not here", until, t->name);
}
