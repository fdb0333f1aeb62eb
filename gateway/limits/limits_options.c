/* limits_options.c - what one capture may ask for. */
#include "gateway/limits/limits.h"

#include "common/clock.h"

#include <inttypes.h>

static int over(struct err *err, const char *field, const char *limit, uint64_t max)
{
	err_set(err, ERR_LIMIT, "%s: is over %" PRIu64 ", the limit of this gateway (%s)", field, max, limit);
	err_field(err, field);
	return err_detail(err, "over_limit");
}

/* The largest that a capture may become here; 0: as large as the store takes it, or without a limit. */
static uint64_t most_bytes(const struct config_gateway *c, enum job_mode mode)
{
	if (mode == JOB_STORE && c->storage_job_max_bytes <= c->limit_max_bytes)
		return 0;
	return c->limit_max_bytes;
}

int limits_options(const struct config_gateway *c, enum job_mode mode, struct capture_options *o, struct err *err)
{
	uint64_t duration_s = c->limit_duration_ms / 1000, bytes = most_bytes(c, mode);

	if (o->max_duration_s > duration_s)
		return over(err, "options.max_duration_s", "limits.duration", duration_s);
	if (o->max_duration_s == 0)
		o->max_duration_s = duration_s;
	if (o->snaplen > c->limit_snaplen)
		return over(err, "options.snaplen", "limits.snaplen", c->limit_snaplen);
	if (c->limit_max_packets > 0 && o->max_packets > c->limit_max_packets)
		return over(err, "options.max_packets", "limits.max_packets", c->limit_max_packets);
	if (o->max_packets == 0)
		o->max_packets = c->limit_max_packets;
	if (c->limit_max_bytes > 0 && o->max_bytes > c->limit_max_bytes)
		return over(err, "options.max_bytes", "limits.max_bytes", c->limit_max_bytes);
	/* Where none is asked for the store ends it at its own limit, and the reason says whose limit it was. */
	if (mode == JOB_STORE && o->max_bytes > c->storage_job_max_bytes)
		return over(err, "options.max_bytes", "storage.job_max", c->storage_job_max_bytes);
	if (o->max_bytes == 0)
		o->max_bytes = bytes;
	return 0;
}

bool limits_bound(
	const struct config_gateway *c, const struct capture_options *o, enum stop_reason reason, struct err *ret)
{
	uint64_t duration_s = c->limit_duration_ms / 1000;

	switch (reason) {
	case STOP_MAX_DURATION:
		if (duration_s == 0 || o->max_duration_s != duration_s)
			return false;
		err_set(ret, ERR_LIMIT,
			"%" PRIu64 " s are the longest that this gateway lets a capture run (limits.duration)",
			duration_s);
		return true;
	case STOP_MAX_BYTES:
		if (c->limit_max_bytes == 0 || o->max_bytes != c->limit_max_bytes)
			return false;
		err_set(ret, ERR_LIMIT,
			"%" PRIu64 " bytes are the most that this gateway lets a capture have (limits.max_bytes)",
			c->limit_max_bytes);
		return true;
	case STOP_MAX_PACKETS:
		if (c->limit_max_packets == 0 || o->max_packets != c->limit_max_packets)
			return false;
		err_set(ret, ERR_LIMIT,
			"%" PRIu64 " packets are the most that this gateway lets a capture have (limits.max_packets)",
			c->limit_max_packets);
		return true;
	default:
		return false;
	}
}

/* ---- retention ---- */

uint64_t limits_retention_max_ms(const struct config_gateway *c)
{
	return c->storage_retention_max_ms > c->storage_retention_ms ? c->storage_retention_max_ms
								     : c->storage_retention_ms;
}

int limits_retention(const struct config_gateway *c, const struct limits_overrides *o, uint64_t asked_s,
	uint64_t *ret_s, struct err *err)
{
	uint64_t most = limits_retention_max_ms(c), usual = c->storage_retention_ms;

	if (o && o->retention_max_ms > 0 && o->retention_max_ms < most)
		most = o->retention_max_ms;
	if (o && o->retention_ms > 0)
		usual = o->retention_ms;
	if (usual > most)
		usual = most;
	if (asked_s > most / 1000) {
		err_set(err, ERR_LIMIT,
			"retention_s: is over %" PRIu64 ", the longest that this gateway keeps a capture "
			"(storage.retention_max)",
			most / 1000);
		err_field(err, "retention_s");
		return err_detail(err, "over_limit");
	}
	/* Up to the next second, so that it is never 0. */
	*ret_s = asked_s > 0 ? asked_s : (usual + 999) / 1000;
	return 0;
}

uint64_t limits_kept_ns(const struct config_gateway *c, const struct job *j)
{
	return j->retention_s > 0 ? j->retention_s * CLOCK_NS_PER_S : c->storage_retention_ms * CLOCK_NS_PER_MS;
}
