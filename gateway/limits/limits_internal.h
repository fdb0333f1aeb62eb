/* limits_internal.h - the inside of limits, shared by limits*.c only: limits.c (captures at once, starts per time), limits_quota.c (stored bytes), limits_standing.c
 * (what is told), limits_options.c (what one capture may ask for). */
#ifndef PCAPLINE_GATEWAY_LIMITS_LIMITS_INTERNAL_H
#define PCAPLINE_GATEWAY_LIMITS_LIMITS_INTERNAL_H

#include "common/digest.h"
#include "common/id.h"
#include "gateway/limits/limits.h"
#include "schema/starts_db.h"

#include <pthread.h>

#define HOLDING_AGENT_MAX 288

/* What one capture takes of the limits. */
struct holding {
	struct holding *next;
	char job[ID_MAX];
	char *user_id, *org;
	struct scope_list scopes;
	const char **orgs; /* each that its targets lie in, once; of org, where these lie in none */
	size_t orgs_n;
	char (*agents)[HOLDING_AGENT_MAX]; /* "host:port" of each stream; "" : none is asked */
	size_t agents_n;
	uint64_t until_ns; /* wall: it must have ended */
	bool stored;
	uint64_t bytes; /* reserved of the quotas, what it has written among them */
};

struct limits {
	const struct config_gateway *config;
	struct job_db *db;
	char key[DIGEST_SHA256_HEX_MAX]; /* of what users are called in the database */
	pthread_mutex_t lock;
	struct holding *holdings; /* by lock */
};

/* All below: the lock is held. */

struct holding *limits_holding(struct limits *l, const char *job_id); /* NULL: none */
uint64_t limits_of_user(const struct limits *l, const char *user_id, uint64_t *ret_until);
uint64_t limits_of_org(const struct limits *l, const char *org);
bool limits_is_of(const struct holding *h, enum starts_of of, const char *id);

/* A sliding window over starts. */
struct limits_window {
	const char *name, *unit;
	enum starts_of of;
	uint64_t span_ns;
	size_t max_at; /* in the configuration */
};
#define LIMITS_WINDOWS_N 4
extern const struct limits_window limits_windows[LIMITS_WINDOWS_N];
uint64_t limits_window_max(const struct limits *l, const struct limits_window *w);
int limits_window_used(struct limits *l, const struct limits_window *w, const char *id, uint64_t now_ns,
	uint64_t *ret_used, uint64_t *ret_reset_s, struct err *err);

/* limits_quota_begin: room for the blocks that even an empty file has; ERR_BUSY quota_exceeded. */
int limits_quota_begin(
	struct limits *l, const struct limits_ask *ask, struct holding *h, struct limits_told *told, struct err *err);

/* limits_quota_used: stored, and reserved by what runs. */
int limits_quota_used(struct limits *l, enum starts_of of, const char *id, uint64_t *ret, struct err *err);

#endif
