#include "gateway/limits/limits_internal.h"

#include "common/log.h"

static int add(json_t *list, const char *limit, enum starts_of of, uint64_t used, uint64_t max, uint64_t reset_s)
{
	return json_array_append_new(list,
		json_pack("{s:s, s:s, s:I, s:I, s:I}", "limit", limit, "of", of == STARTS_OF_USER ? "user" : "org",
			"used", (json_int_t)used, "max", (json_int_t)max, "reset_s", (json_int_t)reset_s));
}

static int add_windows(struct limits *l, json_t *list, const char *user_id, const char *org, uint64_t now_ns)
{
	struct err err = {0};

	for (size_t i = 0; i < LIMITS_WINDOWS_N; i++) {
		const struct limits_window *w = &limits_windows[i];
		const char *id = w->of == STARTS_OF_USER ? user_id : org;
		uint64_t used, reset_s;

		if (!id[0])
			continue;
		if (limits_window_used(l, w, id, now_ns, &used, &reset_s, &err) < 0) {
			log_err(LOG_LEVEL_WARNING, "limits.not_told", &err, NULL);
			continue;
		}
		if (add(list, w->name, w->of, used, limits_window_max(l, w), reset_s) < 0)
			return -1;
	}
	return 0;
}

static int add_quota(struct limits *l, json_t *list, enum starts_of of, const char *id, uint64_t max)
{
	struct err err = {0};
	uint64_t used;

	if (!id[0])
		return 0;
	if (limits_quota_used(l, of, id, &used, &err) < 0) {
		log_err(LOG_LEVEL_WARNING, "limits.not_told", &err, NULL);
		return 0;
	}
	return add(list, of == STARTS_OF_USER ? "quota_user" : "quota_org", of, used, max, 0);
}

json_t *limits_standing(struct limits *l, const char *user_id, const char *org, uint64_t now_ns)
{
	json_t *list = json_array();
	uint64_t until;
	int rc = 0;

	if (!l || !list)
		return list;
	pthread_mutex_lock(&l->lock);
	rc |= add(list, "captures_per_user", STARTS_OF_USER, limits_of_user(l, user_id, &until),
		l->config->limit_captures_per_user, 0);
	if (org[0])
		rc |= add(list, "captures_per_org", STARTS_OF_ORG, limits_of_org(l, org),
			l->config->limit_captures_per_org, 0);
	rc |= add_windows(l, list, user_id, org, now_ns);
	rc |= add_quota(l, list, STARTS_OF_USER, user_id, l->config->limit_quota_user_bytes);
	rc |= add_quota(l, list, STARTS_OF_ORG, org, l->config->limit_quota_org_bytes);
	pthread_mutex_unlock(&l->lock);
	if (rc == 0)
		return list;
	json_decref(list);
	return NULL;
}
